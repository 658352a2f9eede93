"""Writing and reading quantities at Amazon: a few one by one, many as a feed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from entrepot.channels.contract import (
    Api,
    Call,
    ConnectorError,
    ListingRef,
    PushOutcome,
    PushReceipt,
    PushResult,
    QuantityBatch,
    QuantityChange,
    RateLimited,
    Reply,
    ReportedQuantity,
    RequestRejected,
    TemporarilyUnavailable,
    TooLate,
    UnexpectedAnswer,
)
from entrepot.connectors.amazon import calls, feeds
from entrepot.connectors.amazon.errors import AmazonRejected
from entrepot.connectors.amazon.listings import quantity_of
from entrepot.connectors.amazon.manifest import FEED_MESSAGES_MAX, PATCHES_MAX
from entrepot.connectors.amazon.reading import body_of, objects, optional_text, text

AT_ONCE = 5
"""So many patches are under way together: the burst that Amazon allows."""
NOT_FOUND = 404
_NOT_OURS = "The listing is shipped from Amazon's own stock: its quantity is not ours to write."


async def push(api: Api, batch: QuantityBatch) -> PushReceipt:
    """Write the batch. Raises as the contract says."""
    if len(batch.changes) > FEED_MESSAGES_MAX:
        raise RequestRejected(f"At most {FEED_MESSAGES_MAX} changes go in one feed, not {len(batch.changes)}.")
    ours = [change for change in batch.changes if change.ref.keys.get("fulfilled_by") != "amazon"]
    refused = tuple(
        PushResult(change.ref.external_id, PushOutcome.REFUSED, code="fulfilled_by_amazon", detail=_NOT_OURS)
        for change in batch.changes
        if change.ref.keys.get("fulfilled_by") == "amazon"
    )
    if not ours:
        return PushReceipt(refused)
    if len(ours) <= PATCHES_MAX:
        return PushReceipt(refused + tuple(await _patch_each(api, ours, batch.not_after)))
    receipt = await feeds.push(api, ours)
    return PushReceipt(refused + receipt.results, receipt.handle)


async def _patch_each(api: Api, changes: Sequence[QuantityChange], not_after: datetime | None) -> list[PushResult]:
    """Patch a few at a time, lowering before raising; after trouble the rest is not sent. Each item tells what is known."""
    seller_id, marketplace_id = api.settings["seller_id"], api.settings["marketplace_id"]
    lowering = [each for each in changes if not _is_raise(each)]
    raising = [each for each in changes if _is_raise(each)]
    results: list[PushResult] = []
    groups = [group[at : at + AT_ONCE] for group in (lowering, raising) for at in range(0, len(group), AT_ONCE)]
    for number, some in enumerate(groups):
        patches = [calls.patch_quantity(seller_id, marketplace_id, each, not_after) for each in some]
        ended = await asyncio.gather(*map(partial(_patch, api), patches, some))
        results += [result for result, _ in ended]
        trouble = [error for _, error in ended if error is not None]
        if not trouble:
            continue
        if number == 0 and len(trouble) == len(some) and not any(map(_perhaps_written, trouble)):
            raise trouble[0]
        later = [each for group in groups[number + 1 :] for each in group]
        return results + [_result(each, PushOutcome.FAILED, trouble[0]) for each in later]
    return results


async def _patch(api: Api, call: Call, change: QuantityChange) -> tuple[PushResult, ConnectorError | None]:
    """Patch one listing; return what became of it, and the error that should stop the others."""
    try:
        reply = await api.send(call)
    except RequestRejected as error:
        return _result(change, PushOutcome.REFUSED, error), None
    except ConnectorError as error:
        outcome = PushOutcome.UNKNOWN if _perhaps_written(error) else PushOutcome.FAILED
        return _result(change, outcome, error), error
    return submission_of(reply, change), None


def _perhaps_written(error: ConnectorError) -> bool:
    return isinstance(error, TemporarilyUnavailable) and not isinstance(error, RateLimited | TooLate)


def _is_raise(change: QuantityChange) -> bool:
    return change.from_quantity is None or change.to_quantity > change.from_quantity


def submission_of(reply: Reply, change: QuantityChange) -> PushResult:
    """Return what Amazon answered to a patch. Pure. An answer that cannot be read leaves the outcome unknown."""
    listing = change.ref.external_id
    try:
        body = body_of(reply)
        status, issues = text(body, "status"), objects(body, "issues")
    except UnexpectedAnswer as error:
        return _result(change, PushOutcome.UNKNOWN, error)
    errors = [each for each in issues if each.get("severity") == "ERROR"]
    if status == "ACCEPTED" and not errors:
        return PushResult(listing, PushOutcome.APPLIED)
    if status in ("ACCEPTED", "INVALID"):
        words = " ".join(optional_text(each, "message") for each in (errors or issues)[:3])[:500]
        code = optional_text((errors or issues or [{}])[0], "code") or status
        return PushResult(listing, PushOutcome.REFUSED, code=code, detail=words or "Amazon calls the change invalid.")
    return PushResult(listing, PushOutcome.UNKNOWN, code=status, detail=f"Amazon answered {status[:30]}.")


def _result(change: QuantityChange, outcome: PushOutcome, error: ConnectorError) -> PushResult:
    return PushResult(change.ref.external_id, outcome, code=error.code, detail=error.detail)


async def read(api: Api, refs: Sequence[ListingRef]) -> tuple[ReportedQuantity, ...]:
    """Return what these listings show of the seller's own stock; None: unknown, or it does not say."""
    seller_id, marketplace_id = api.settings["seller_id"], api.settings["marketplace_id"]
    skus = [ref.external_id for ref in refs]
    # A comma separates SKUs in a search, so one that has a comma is read by itself.
    searched = [sku for sku in skus if "," not in sku] if len(skus) > 1 else []
    found: dict[str, int | None] = {}
    for start in range(0, len(searched), calls.LISTINGS_PAGE):
        part = searched[start : start + calls.LISTINGS_PAGE]
        body = body_of(await api.send(calls.search_quantities(seller_id, marketplace_id, part)))
        found |= {text(item, "sku"): quantity_of(item) for item in objects(body, "items")}
    for sku in skus:
        if sku not in searched:
            found[sku] = await _quantity(api, seller_id, marketplace_id, sku)
    return tuple(ReportedQuantity(sku, found.get(sku)) for sku in skus)


async def _quantity(api: Api, seller_id: str, marketplace_id: str, sku: str) -> int | None:
    try:
        return quantity_of(body_of(await api.send(calls.get_quantity(seller_id, marketplace_id, sku))))
    except AmazonRejected as error:
        if error.status == NOT_FOUND:
            return None
        raise
