"""What other rooms may ask of orders. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.clock import utc_now
from entrepot.orders import store
from entrepot.orders.contracts import ORDERS_CHANGED, Ingested, LineToRoute, NothingToShip, OrderNotFound, OrderToRoute
from entrepot.orders.counting import count_sales
from entrepot.orders.ingest import ingest
from entrepot.orders.past import past_lines
from entrepot.orders.routing import note_routed, orders_to_route, tell_orders
from entrepot.orders.shipping import Parcel, ship, shipment_refused, shipment_told, shipments_to_tell
from entrepot.orders.store import lock_orders_named
from entrepot.stock import facade as stock
from entrepot.stock.contracts import SaleClaim

__all__ = [
    "ORDERS_CHANGED",
    "Ingested",
    "LineToRoute",
    "NothingToShip",
    "OrderNotFound",
    "OrderToRoute",
    "Parcel",
    "claims_changed",
    "count_sales",
    "ingest",
    "lock_orders_named",
    "note_routed",
    "orders_to_route",
    "past_lines",
    "settle_exceptions",
    "settle_known",
    "ship",
    "shipment_refused",
    "shipment_told",
    "shipments_to_tell",
]


async def settle_exceptions(tx: Tx, variants: Mapping[str, UUID]) -> int:
    """Claim stock for lines that waited for one of these SKUs (SKU -> variant); return how many lines that were."""
    await store.lock_orders_waiting_for(tx, list(variants))
    waiting = await store.exception_lines(tx, list(variants))
    await _settle(tx, [(row["id"], row["order_id"], variants[row["sku"]], row["units"]) for row in waiting])
    return len(waiting)


async def settle_known(tx: Tx, limit: int = 500) -> int:
    """Claim stock for lines that wait although their variant is known by now; return how many lines that were.

    Who makes a variant settles the lines that wait for it, but does not see those of orders that come in meanwhile, nor
    does their ingestion see the variant. And a line without a SKU is known by its listing only.
    """
    waiting = await store.lines_known_now(tx, limit)
    await _settle(tx, [(row["id"], row["order_id"], row["variant_id"], row["units"]) for row in waiting])
    return len(waiting)


async def _settle(tx: Tx, waiting: Sequence[tuple[UUID, UUID, UUID, int]]) -> None:
    """Give (line, order, variant, open units) lines their variant and claim their stock."""
    await store.settle_exception(tx, [(line, variant) for line, _, variant, _ in waiting])
    claims = [SaleClaim(line, variant, units) for line, _, variant, units in waiting if units > 0]
    results = await stock.claim_sales(tx, claims, actor="catalog")
    await store.update_line_claims(tx, list(results.values()))
    settled = list({order for _, order, _, _ in waiting})
    await store.refresh_flags(tx, settled)
    await tell_orders(tx, settled)


async def claims_changed(tx: Tx, events: Sequence[Mapping[str, Any]]) -> None:
    """React to `stock.claims_changed`: take over what is reserved and short now."""
    lines = list({UUID(line) for event in events for line in event["order_lines"]})
    # Orders first, as who takes orders in does; what is reserved is read when nobody changes it for them any more.
    await store.lock_orders_of_lines(tx, lines)
    results = await stock.claims_of_lines(tx, lines)
    orders = await store.update_line_claims(tx, list(results.values()))
    await store.refresh_flags(tx, orders)
    await store.note_claims_changed(tx, orders, utc_now())
    await tell_orders(tx, orders)
