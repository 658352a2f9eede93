"""Writing and reading quantities. eBay overwrites: it cannot compare with what was there.

An item has a total, an offer has what of it is on sale; buyers see the lesser of the two, and both are written together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from entrepot.channels.contract import (
    Api,
    ConnectorError,
    ListingRef,
    OutcomeUnknown,
    Payload,
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
from entrepot.connectors.ebay import calls, quota
from entrepot.connectors.ebay.errors import is_missing, words_of
from entrepot.connectors.ebay.manifest import OFFERS_MAX
from entrepot.connectors.ebay.reading import body_of, inner, objects, optional_text, whole

AT_ONCE = 16
"""So many offers are read side by side."""
WAITS = "waits"
"""`published` of a listing that eBay would not show while it had no stock."""
_TEMPORARY = frozenset({"25001", "25025"})


async def push(api: Api, batch: QuantityBatch) -> PushReceipt:
    """Write the batch in one call, then show what waited for stock. Raises as the contract says."""
    if len(batch.changes) > OFFERS_MAX:
        raise RequestRejected(f"At most {OFFERS_MAX} offers go in one call, not {len(batch.changes)}.")
    if not batch.changes:
        return PushReceipt(())
    # Only nothing can be written twice: a repetition writes over what sold since the first one came through.
    harmless = all(change.to_quantity == 0 for change in batch.changes)
    results = {each.external_id: each for each in await _write(api, batch.changes, batch, harmless, with_offer=True)}
    # An offer that is not shown is refused with its item; the item alone is taken, and the offer takes its quantity from it.
    refused = {sku for sku, result in results.items() if result.outcome is PushOutcome.REFUSED}
    alone = [change for change in batch.changes if _is_hidden(change) and change.ref.external_id in refused]
    if alone:
        results |= {each.external_id: each for each in await _write_alone(api, alone, batch, harmless)}
    for change in batch.changes:
        is_done = results[change.ref.external_id].outcome is PushOutcome.APPLIED
        if is_done and change.to_quantity > 0 and change.ref.keys.get("published") == WAITS:
            await _show(api, change)
    return PushReceipt(tuple(results[change.ref.external_id] for change in batch.changes))


async def _write(
    api: Api, changes: Sequence[QuantityChange], batch: QuantityBatch, harmless: bool, *, with_offer: bool
) -> tuple[PushResult, ...]:
    """Send one call. Raises OutcomeUnknown where it may have been done."""
    requests = [request_of(change, with_offer=with_offer) for change in changes]
    try:
        reply = await quota.send(api, calls.bulk_update(requests, not_after=batch.not_after, idempotent=harmless))
    except (RateLimited, TooLate):
        raise
    except TemporarilyUnavailable as error:
        raise OutcomeUnknown(error.detail, code=error.code, retry_after_s=error.retry_after_s) from error
    return results_of(reply, changes)


async def _write_alone(
    api: Api, changes: Sequence[QuantityChange], batch: QuantityBatch, harmless: bool
) -> tuple[PushResult, ...]:
    """Write items without their offers; the first call has been done, so trouble is told of these only."""
    try:
        return await _write(api, changes, batch, harmless, with_offer=False)
    except ConnectorError as error:
        outcome = PushOutcome.UNKNOWN if isinstance(error, OutcomeUnknown) else PushOutcome.FAILED
        code, detail = error.code, error.detail
    return tuple(PushResult(change.ref.external_id, outcome, code=code, detail=detail) for change in changes)


def _is_hidden(change: QuantityChange) -> bool:
    return bool(change.ref.keys.get("offer_id")) and change.ref.keys.get("published", "yes") != "yes"


def request_of(change: QuantityChange, *, with_offer: bool = True) -> dict[str, Any]:
    """Return what is asked for one listing. Pure."""
    units = max(0, change.to_quantity)
    request: dict[str, Any] = {"sku": change.ref.external_id, "shipToLocationAvailability": {"quantity": units}}
    offer_id = change.ref.keys.get("offer_id", "")
    if offer_id and with_offer:
        request["offers"] = [{"offerId": offer_id, "availableQuantity": units}]
    return request


def results_of(reply: Reply, changes: Sequence[QuantityChange]) -> tuple[PushResult, ...]:
    """Return what eBay answered for each listing. Pure. What it does not mention, or in words not known, stays unknown.

    An item and its offer may be answered separately: the listing is done when both are.
    """
    by_sku: dict[str, list[Payload]] = {}
    try:
        for each in objects(body_of(reply), "responses"):
            by_sku.setdefault(optional_text(each, "sku"), []).append(each)
    except UnexpectedAnswer as error:
        return tuple(
            PushResult(change.ref.external_id, PushOutcome.UNKNOWN, code=error.code, detail=error.detail)
            for change in changes
        )
    return tuple(_result(change.ref.external_id, by_sku.get(change.ref.external_id, [])) for change in changes)


def _result(sku: str, told: Sequence[Payload]) -> PushResult:
    if not told:
        return PushResult(sku, PushOutcome.UNKNOWN, detail="eBay's answer does not mention the listing.")
    ranked = [_outcome(each) for each in told]
    for wanted in (PushOutcome.UNKNOWN, PushOutcome.REFUSED, PushOutcome.FAILED):
        for outcome, code, words in ranked:
            if outcome is wanted:
                # One part done and the other not: what it shows is to be looked at.
                mixed = wanted is PushOutcome.FAILED and any(each[0] is PushOutcome.APPLIED for each in ranked)
                return PushResult(sku, PushOutcome.UNKNOWN if mixed else wanted, code=code, detail=words)
    return PushResult(sku, PushOutcome.APPLIED)


def _outcome(told: Payload) -> tuple[PushOutcome, str, str]:
    status = whole(told, "statusCode")
    code, words = words_of(objects(told, "errors"))
    if status is not None and 200 <= status < 300 and not code:
        return PushOutcome.APPLIED, "", ""
    if code in _TEMPORARY:
        # A conflict with another change of the same item is certainly not written; a failure of eBay's own may be.
        return (PushOutcome.FAILED if code == "25025" else PushOutcome.UNKNOWN), code, words
    if status is not None and 400 <= status < 500:
        return PushOutcome.REFUSED, code or str(status), words or f"eBay answered {status}."
    return PushOutcome.UNKNOWN, code or str(status), words or f"eBay answered {status}."


async def _show(api: Api, change: QuantityChange) -> None:
    """Publish what eBay would not show without stock. If it still will not, the next reading of listings tells so."""
    try:
        group_key = change.ref.keys.get("group", "")
        if group_key:
            await api.send(calls.publish_group(api.settings["marketplace_id"], group_key))
        else:
            await api.send(calls.publish_offer(change.ref.keys["offer_id"]))
    except ConnectorError:
        return


async def read(api: Api, refs: Sequence[ListingRef]) -> tuple[ReportedQuantity, ...]:
    """Return what these listings show at most: the items' totals, 25 a call. None: eBay does not know the item.

    A listing shows the lesser of its item's total and its offer's quantity. The hub writes both alike, and there is no call for
    many offers: reading each would take so long that nothing could be written upon it. The total errs on the side of
    showing more, which is lowered.
    """
    found: dict[str, int | None] = {}
    for start in range(0, len(refs), OFFERS_MAX):
        part = [ref.external_id for ref in refs[start : start + OFFERS_MAX]]
        body = body_of(await quota.send(api, calls.items_by_sku(part)))
        for each in objects(body, "responses"):
            found[optional_text(each, "sku")] = total_of(inner(each, "inventoryItem"))
    return tuple(ReportedQuantity(ref.external_id, found.get(ref.external_id)) for ref in refs)


async def offers_of(api: Api, skus: Sequence[str]) -> list[Payload | None]:
    """Return the offer of each item, several read side by side. Raises what the first that failed met."""
    gate = asyncio.Semaphore(AT_ONCE)
    failed: list[ConnectorError] = []

    async def one(sku: str) -> Payload | None:
        async with gate:
            if failed:
                return None
            try:
                return await offer_of(api, sku)
            except ConnectorError as error:
                failed.append(error)
                return None

    found = await asyncio.gather(*map(one, skus))
    if failed:
        raise failed[0]
    return found


async def offer_of(api: Api, sku: str) -> Payload | None:
    """Return the fixed-price offer of an item on our marketplace, None where there is none."""
    place = api.settings["marketplace_id"]
    try:
        body = body_of(await quota.send(api, calls.offers(sku, place)))
    except RequestRejected as error:
        if is_missing(error):
            return None
        raise
    return next((each for each in objects(body, "offers") if is_ours(each, place)), None)


def is_ours(offer: Payload, marketplace_id: str) -> bool:
    """Return whether an offer is of fixed price and of our marketplace."""
    return offer.get("marketplaceId") == marketplace_id and offer.get("format", "FIXED_PRICE") == "FIXED_PRICE"


def shown(item: Payload, offer: Payload) -> int | None:
    """Return what buyers see: the lesser of what the item has and what the offer has on sale. Pure."""
    told = [each for each in (total_of(item), whole(offer, "availableQuantity")) if each is not None]
    return min(told, default=None)


def total_of(item: Payload) -> int | None:
    """Return an item's total. Pure."""
    ship_to: Mapping[str, Any] = inner(inner(item, "availability"), "shipToLocationAvailability")
    return whole(ship_to, "quantity")
