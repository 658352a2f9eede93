"""Writing prices, up to 25 offers in a call. eBay overwrites: it cannot compare with what was there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from entrepot.channels.contract import (
    Api,
    ChannelReason,
    ListingField,
    OutcomeUnknown,
    Payload,
    PriceBatch,
    PriceChange,
    PriceReceipt,
    PriceResult,
    PushOutcome,
    RateLimited,
    RequestRejected,
    TemporarilyUnavailable,
)
from entrepot.connectors.ebay import calls, drafts, quota, stock
from entrepot.connectors.ebay.manifest import MARKETPLACES
from entrepot.connectors.ebay.reading import body_of, inner, objects, optional_text, text, whole


async def push(api: Api, batch: PriceBatch) -> PriceReceipt:
    """Write the prices; the price before a reduction needs the whole offer, and is written where it differs."""
    place = MARKETPLACES.get(api.settings["marketplace_id"])
    results: dict[str, PriceResult] = {}
    fit: list[tuple[PriceChange, Payload]] = []
    offers = await stock.offers_of(api, [change.ref.external_id for change in batch.changes])
    for change, offer in zip(batch.changes, offers, strict=True):
        sku = change.ref.external_id
        if place is not None and change.currency != place.currency:
            results[sku] = _refused(sku, f"Prices in this marketplace are in {place.currency}.", "CURRENCY")
        elif change.price <= 0:
            results[sku] = _refused(sku, "eBay takes prices above zero only.", "25003")
        elif offer is None:
            results[sku] = _refused(sku, "eBay has no offer of this listing any more.", "25713")
        else:
            fit.append((change, offer))
    if fit:
        results |= await _write(api, fit)
    for change, offer in fit:
        sku = change.ref.external_id
        if results[sku].outcome is PushOutcome.APPLIED and _struck_through(offer, change):
            results[sku] = await _write_whole(api, change)
    return PriceReceipt(tuple(results[change.ref.external_id] for change in batch.changes))


async def _write(api: Api, fit: Sequence[tuple[PriceChange, Payload]]) -> dict[str, PriceResult]:
    requests: list[Mapping[str, Any]] = []
    for change, offer in fit:
        price = drafts.money(change.price, change.currency)
        requests.append({"offers": [{"offerId": text(offer, "offerId"), "price": price}]})
    try:
        # A price is the same written twice.
        reply = await quota.send(api, calls.bulk_update(requests, not_after=None, idempotent=True))
    except RateLimited:
        raise
    except TemporarilyUnavailable as error:
        raise OutcomeUnknown(error.detail, code=error.code, retry_after_s=error.retry_after_s) from error
    told = {optional_text(each, "offerId"): each for each in objects(body_of(reply), "responses")}
    return {change.ref.external_id: _result(change, told.get(text(offer, "offerId"))) for change, offer in fit}


def _result(change: PriceChange, told: Payload | None) -> PriceResult:
    sku = change.ref.external_id
    if told is None:
        reason = ChannelReason("eBay's answer does not mention the listing.")
        return PriceResult(sku, PushOutcome.UNKNOWN, reasons=(reason,))
    status, errors = whole(told, "statusCode"), objects(told, "errors")
    if status is not None and 200 <= status < 300 and not errors:
        return PriceResult(sku, PushOutcome.APPLIED)
    outcome = PushOutcome.REFUSED if status is not None and 400 <= status < 500 else PushOutcome.UNKNOWN
    reasons = tuple(drafts.reason_of(each) for each in errors[:5])
    return PriceResult(sku, outcome, reasons=reasons or (ChannelReason(f"eBay answered {status}."),))


def _struck_through(offer: Payload, change: PriceChange) -> bool:
    """Return whether the price before a reduction is another than wanted."""
    there = optional_text(inner(inner(offer, "pricingSummary"), "originalRetailPrice"), "value")
    return there != (str(change.compare_at) if change.compare_at is not None else "")


async def _write_whole(api: Api, change: PriceChange) -> PriceResult:
    """Write the offer with the price before a reduction. Its quantity goes along, read a moment ago."""
    sku, place = change.ref.external_id, api.settings["marketplace_id"]
    offer = await stock.offer_of(api, sku)
    if offer is None:
        return _refused(sku, "eBay has no offer of this listing any more.", "25713")
    wanted = drafts.repriced(offer, change)
    try:
        await quota.send(api, calls.update_offer(place, text(offer, "offerId"), wanted))
    except RequestRejected as error:
        return PriceResult(sku, PushOutcome.REFUSED, reasons=drafts.reasons_of(error))
    except TemporarilyUnavailable as error:
        reason = ChannelReason(error.detail, code=error.code)
        return PriceResult(sku, PushOutcome.UNKNOWN, reasons=(reason,))
    return PriceResult(sku, PushOutcome.APPLIED)


def _refused(sku: str, detail: str, code: str) -> PriceResult:
    return PriceResult(sku, PushOutcome.REFUSED, reasons=(ChannelReason(detail, ListingField.PRICE, code),))
