"""Writing and reading stock at Square.

A batch is one request: Square takes all of it or none. So one bad variation would block its neighbours; it is found
by the field that Square names, else by halving, each part under its own key made from the batch's key. Sending the
batch again therefore repeats the very same requests.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

from entrepot.channels.contract import (
    Api,
    ConnectorError,
    ListingRef,
    OutcomeUnknown,
    PushOutcome,
    PushReceipt,
    PushResult,
    QuantityBatch,
    QuantityChange,
    RateLimited,
    ReportedQuantity,
    RequestRejected,
    TemporarilyUnavailable,
)
from entrepot.connectors.square import calls
from entrepot.connectors.square.errors import SquareRejected
from entrepot.connectors.square.listings import counts_of
from entrepot.connectors.square.manifest import CHANGES_MAX
from entrepot.connectors.square.reading import body_of, listing_id, objects, optional_text, variation_of

_KEY_LENGTH_MAX = 128
_CHANGE_FIELD = re.compile(r"changes\[(\d+)\]")
_UNDECIDED_CODES = frozenset({"INVALID_TIME", "IDEMPOTENCY_KEY_REUSED"})
"""Refused for the request's age or key, not its contents: an earlier sending may have been accepted."""


async def push(api: Api, batch: QuantityBatch) -> PushReceipt:
    """Write the batch. Raises as the contract says."""
    if len(batch.changes) > CHANGES_MAX:
        raise RequestRejected(f"Square takes at most {CHANGES_MAX} changes at a time, not {len(batch.changes)}.")
    results: dict[str, PushResult] = {}
    to_send = []
    for change in batch.changes:
        listing = change.ref.external_id
        if change.from_quantity is None:
            detail = "Square shows no count for it: switch on stock tracking for the variation."
            results[listing] = PushResult(listing, PushOutcome.REFUSED, code="no_count", detail=detail)
        elif change.from_quantity == change.to_quantity:
            results[listing] = PushResult(listing, PushOutcome.APPLIED)
        else:
            to_send.append(change)
    if to_send:
        for result in await _push_part(api, batch, to_send, whole=True):
            results[result.external_id] = result
    return PushReceipt(tuple(results[change.ref.external_id] for change in batch.changes))


async def _push_part(
    api: Api, batch: QuantityBatch, changes: Sequence[QuantityChange], *, whole: bool
) -> list[PushResult]:
    location_id = api.settings["location_id"]
    key = batch.idempotency_key if whole else _part_key(batch.idempotency_key, changes)
    named = [(variation_of(change.ref.external_id), change) for change in changes]
    try:
        reply = await api.send(calls.change_stock(location_id, key, batch.at, named))
    except RequestRejected as error:
        return await _after_refusal(api, batch, changes, error, whole=whole)
    except (OutcomeUnknown, RateLimited) as error:
        if whole or isinstance(error, OutcomeUnknown):
            raise
        raise OutcomeUnknown(error.detail, code=error.code, retry_after_s=error.retry_after_s) from error
    except TemporarilyUnavailable as error:
        # The request may have gone through before the answer was lost; under the same key it can be sent again.
        raise OutcomeUnknown(error.detail, code=error.code, retry_after_s=error.retry_after_s) from error
    except ConnectorError as error:
        if whole:
            raise
        raise OutcomeUnknown(error.detail, code=error.code) from error
    counts = counts_of(objects(body_of(reply), "counts"))
    return [
        PushResult(
            change.ref.external_id,
            PushOutcome.APPLIED,
            reported=counts.get(listing_id(variation_of(change.ref.external_id), location_id)),
        )
        for change in changes
    ]


async def _after_refusal(
    api: Api, batch: QuantityBatch, changes: Sequence[QuantityChange], error: RequestRejected, *, whole: bool
) -> list[PushResult]:
    if error.code in _UNDECIDED_CODES:
        return [_result(change, PushOutcome.UNKNOWN, error) for change in changes]
    fields = error.fields if isinstance(error, SquareRejected) else ()
    if whole and (not isinstance(error, SquareRejected) or any("location" in name for name in fields)):
        raise error
    if len(changes) == 1:
        return [_result(changes[0], PushOutcome.REFUSED, error)]
    blamed = {int(match[1]) for name in fields if (match := _CHANGE_FIELD.search(name))}
    bad = [change for index, change in enumerate(changes) if index in blamed]
    if bad:
        good = [change for index, change in enumerate(changes) if index not in blamed]
        refused = [_result(change, PushOutcome.REFUSED, error) for change in bad]
        return refused + (await _push_part(api, batch, good, whole=False) if good else [])
    middle = len(changes) // 2
    first = await _push_part(api, batch, changes[:middle], whole=False)
    return first + await _push_part(api, batch, changes[middle:], whole=False)


def _result(change: QuantityChange, outcome: PushOutcome, error: ConnectorError) -> PushResult:
    return PushResult(change.ref.external_id, outcome, code=error.code, detail=error.detail)


def _part_key(key: str, changes: Sequence[QuantityChange]) -> str:
    part = hashlib.sha256("\n".join(change.ref.external_id for change in changes).encode()).hexdigest()[:20]
    return f"{key[: _KEY_LENGTH_MAX - 21]}-{part}"


async def read(api: Api, refs: Sequence[ListingRef]) -> tuple[ReportedQuantity, ...]:
    """Return the units in stock of these listings; None where Square has no count."""
    counts = await counts_at(api, [variation_of(ref.external_id) for ref in refs])
    return tuple(ReportedQuantity(ref.external_id, _count(api, counts, ref)) for ref in refs)


def _count(api: Api, counts: Mapping[str, int], ref: ListingRef) -> int | None:
    return counts.get(listing_id(variation_of(ref.external_id), api.settings["location_id"]))


async def counts_at(api: Api, variation_ids: Sequence[str]) -> dict[str, int]:
    """Return the units in stock at the connection's location, by listing id."""
    found: dict[str, int] = {}
    for start in range(0, len(variation_ids), calls.COUNTS_MAX):
        part = variation_ids[start : start + calls.COUNTS_MAX]
        page: str | None = None
        while True:
            body = body_of(await api.send(calls.retrieve_counts(api.settings["location_id"], part, page)))
            found.update(counts_of(objects(body, "counts")))
            page = optional_text(body, "cursor") or None
            if page is None:
                break
    return found
