"""Writing prices: a few by patches, many by a feed. Amazon overwrites: it cannot compare with what was there."""

from __future__ import annotations

from typing import Any

from entrepot.channels.contract import (
    Api,
    ChannelReason,
    ConnectorError,
    ListingField,
    PriceBatch,
    PriceChange,
    PriceReceipt,
    PriceResult,
    PushOutcome,
)
from entrepot.channels.in_turn import written_in_turn
from entrepot.connectors.amazon import attributes, calls, feeds
from entrepot.connectors.amazon.issues import blocks, reasons_of
from entrepot.connectors.amazon.manifest import CURRENCY_OF, PATCHES_MAX
from entrepot.connectors.amazon.products import written
from entrepot.connectors.amazon.submissions import ended_of


async def push(api: Api, batch: PriceBatch) -> PriceReceipt:
    """Write the prices."""
    place = api.settings["marketplace_id"]
    currency = CURRENCY_OF.get(place)
    results: dict[str, PriceResult] = {}
    fit: list[PriceChange] = []
    for change in batch.changes:
        if currency is None or change.currency == currency:
            fit.append(change)
            continue
        reason = ChannelReason(f"Prices in this marketplace are in {currency}.", ListingField.PRICE, "CURRENCY")
        results[change.ref.external_id] = PriceResult(change.ref.external_id, PushOutcome.REFUSED, reasons=(reason,))
    handle: str | None = None
    if len(fit) > PATCHES_MAX:
        handle = await _push_feed(api, fit, place)
        results |= {each.ref.external_id: PriceResult(each.ref.external_id, PushOutcome.PENDING) for each in fit}
    else:

        async def write(change: PriceChange) -> PriceResult:
            return await _push_one(api, change, place)

        results |= {each.external_id: each for each in await written_in_turn(fit, write, _failed)}
    return PriceReceipt(tuple(results[change.ref.external_id] for change in batch.changes), handle)


def _failed(change: PriceChange, outcome: PushOutcome, error: ConnectorError) -> PriceResult:
    return PriceResult(change.ref.external_id, outcome, reasons=(ChannelReason(error.detail, code=error.code),))


async def _push_one(api: Api, change: PriceChange, place: str) -> PriceResult:
    sku = change.ref.external_id
    call = calls.patch_listing(api.settings["seller_id"], place, sku, _body(change, place), preview=False)
    ended = ended_of(await written(api, call))
    return PriceResult(sku, ended.outcome, reasons=ended.reasons)


def _body(change: PriceChange, place: str) -> dict[str, Any]:
    offer = attributes.offer_of(change.price, change.currency, place)
    patches: list[dict[str, Any]] = [{"op": "merge", "path": f"/attributes/{attributes.OFFER}", "value": [offer]}]
    if change.compare_at is None:
        patches.append(attributes.delete_of(attributes.LIST_PRICE, place))
    else:
        shown = attributes.list_price_of(change.compare_at, change.currency, place)
        patches.append({"op": "replace", "path": f"/attributes/{attributes.LIST_PRICE}", "value": [shown]})
    return {"productType": calls.product_type_of(change.ref), "patches": patches}


async def _push_feed(api: Api, fit: list[PriceChange], place: str) -> str:
    messages = [{"sku": change.ref.external_id, "operationType": "PATCH", **_body(change, place)} for change in fit]
    feed_id = await feeds.submit(api, calls.messages_feed(api.settings["seller_id"], messages))
    return feeds.handle_of(feed_id, [change.ref.external_id for change in fit])


async def follow(api: Api, handle: str) -> tuple[PriceResult, ...] | None:
    """Return how a feed of prices ended, or None while Amazon works on it."""
    feed_id, skus = feeds.read_handle(handle)
    ended = await feeds.ended_of(api, feed_id)
    if ended is None:
        return None
    if not ended.report:
        reasons = (ChannelReason(ended.detail, code=ended.code),)
        return tuple(PriceResult(sku, ended.outcome, reasons=reasons) for sku in skus)
    quantities_like = {each.external_id: each for each in feeds.results_of(ended.report, skus)}
    issues = feeds.issues_by_message(ended.report, skus)
    results = []
    for number, sku in enumerate(skus, start=1):
        about = issues.get(number, [])
        outcome = PushOutcome.REFUSED if blocks(about) else quantities_like[sku].outcome
        results.append(PriceResult(sku, outcome, reasons=reasons_of(about or issues.get(0, []))))
    return tuple(results)
