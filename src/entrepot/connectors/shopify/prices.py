"""Writing prices. Shopify overwrites: it has no way to write only where a price is what it was."""

from __future__ import annotations

from collections.abc import Sequence

from entrepot.channels.contract import (
    Api,
    ChannelReason,
    ConnectorError,
    PriceBatch,
    PriceChange,
    PriceReceipt,
    PriceResult,
    PushOutcome,
)
from entrepot.channels.in_turn import written_in_turn
from entrepot.connectors.shopify import drafts, listing_queries, listing_shapes, mapping
from entrepot.connectors.shopify.calls import written as send
from entrepot.connectors.shopify.mapping import gid_of


async def push(api: Api, batch: PriceBatch) -> PriceReceipt:
    """Write the prices, a product's at a time; those that Shopify objects to spare the others."""
    by_product: dict[str, list[PriceChange]] = {}
    for change in batch.changes:
        by_product.setdefault(change.product_external_id, []).append(change)

    async def write(changes: list[PriceChange]) -> list[PriceResult]:
        return await _write(api, changes)

    answered = await written_in_turn(list(by_product.values()), write, _failed)
    results = {result.external_id: result for part in answered for result in part}
    return PriceReceipt(tuple(results[change.ref.external_id] for change in batch.changes))


def _failed(changes: list[PriceChange], outcome: PushOutcome, error: ConnectorError) -> list[PriceResult]:
    reasons = (ChannelReason(error.detail, code=error.code),)
    return [PriceResult(change.ref.external_id, outcome, reasons=reasons) for change in changes]


async def _write(api: Api, changes: Sequence[PriceChange]) -> list[PriceResult]:
    variants = [
        {
            "id": gid_of("ProductVariant", change.ref.external_id),
            "price": str(change.price),
            "compareAtPrice": None if change.compare_at is None else str(change.compare_at),
        }
        for change in changes
    ]
    variables = {"product": gid_of("Product", changes[0].product_external_id), "variants": variants}
    cost = len(changes) * listing_queries.COST_OF_VARIANT
    data = await send(api, listing_queries.SET_PRICES, listing_shapes.SetPrices, variables, cost)
    answer = data.product_variants_bulk_update
    written = {mapping.number_of(node.id) for node in answer.product_variants or ()}
    results = []
    for index, change in enumerate(changes):
        about = [each for each in answer.user_errors if str(index) in (each.field or ())]
        about = about or ([] if change.ref.external_id in written else list(answer.user_errors))
        if about:
            reasons = drafts.reasons_of(about)
            results.append(PriceResult(change.ref.external_id, PushOutcome.REFUSED, reasons=reasons))
        elif change.ref.external_id in written or not answer.user_errors:
            results.append(PriceResult(change.ref.external_id, PushOutcome.APPLIED, change.price))
    return results
