"""Writing prices: only where the variation still shows what we believe, by its version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from entrepot.channels.contract import (
    Api,
    ChannelReason,
    ListingField,
    PriceBatch,
    PriceChange,
    PriceReceipt,
    PriceResult,
    PushOutcome,
)
from entrepot.connectors.square import drafts
from entrepot.connectors.square.errors import SquareRejected
from entrepot.connectors.square.listings import price_at
from entrepot.connectors.square.products import fetch
from entrepot.connectors.square.reading import variation_of
from entrepot.connectors.square.upserts import CONFLICTS, Work, Written, upsert
from entrepot.kernel.money import exponent


async def push(api: Api, batch: PriceBatch) -> PriceReceipt:
    """Write the prices in one request."""
    if not batch.changes:
        return PriceReceipt(())
    location_id = api.settings["location_id"]
    changes = {change.ref.external_id: change for change in batch.changes}

    async def plan(names: Sequence[str]) -> tuple[dict[str, PriceResult], dict[str, dict[str, Any]]]:
        there = await fetch(api, [variation_of(name) for name in names])
        decided: dict[str, PriceResult] = {}
        to_send: dict[str, dict[str, Any]] = {}
        for name in names:
            result, thing = _planned(changes[name], there.get(variation_of(name)), location_id)
            if thing is not None:
                to_send[name] = thing
            elif result is not None:
                decided[name] = result
        return decided, to_send

    def written(name: str, answer: Written) -> PriceResult:
        return PriceResult(name, PushOutcome.APPLIED, changes[name].price)

    def refused(name: str, error: SquareRejected) -> PriceResult:
        outcome = PushOutcome.STALE if error.code in CONFLICTS else PushOutcome.REFUSED
        return PriceResult(name, outcome, reasons=drafts.reasons_of(error))

    results = await upsert(api, batch.idempotency_key, list(changes), Work(plan, written, refused))
    return PriceReceipt(tuple(results[change.ref.external_id] for change in batch.changes))


def _planned(
    change: PriceChange, thing: Mapping[str, Any] | None, location_id: str
) -> tuple[PriceResult | None, dict[str, Any] | None]:
    """Return either what is decided without a write, or the variation to write."""
    name = change.ref.external_id
    if thing is None:
        return _no(
            change, "NOT_FOUND", "Square does not know this variation any more: import the listings again."
        ), None
    if change.price != round(change.price, exponent(change.currency)):
        places = exponent(change.currency)
        return _no(change, "PRICE", f"{change.price} has more than the {places} decimals of {change.currency}."), None
    shown, currency = price_at(thing, location_id)
    if shown is not None and currency != change.currency:
        return _no(change, "CURRENCY", f"Square has the price in {currency}, not in {change.currency}."), None
    if shown == change.price:
        return PriceResult(name, PushOutcome.APPLIED, shown), None
    if change.from_price is not None and shown != change.from_price:
        reasons = (ChannelReason(f"Square shows {_said(shown)}, not {change.from_price}: nothing was written."),)
        return PriceResult(name, PushOutcome.STALE, shown, reasons), None
    variation = drafts.writable(thing)
    drafts.set_price(variation, change.price, change.currency, location_id)
    return None, variation


def _said(price: Decimal | None) -> str:
    return "no price" if price is None else str(price)


def _no(change: PriceChange, code: str, detail: str) -> PriceResult:
    reasons = (ChannelReason(detail, ListingField.PRICE, code),)
    return PriceResult(change.ref.external_id, PushOutcome.REFUSED, reasons=reasons)
