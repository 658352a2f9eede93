"""What routing reads of orders, and what it writes into their timeline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.jobs import facade as jobs
from entrepot.orders import store
from entrepot.orders.contracts import ORDERS_CHANGED, LineToRoute, OrderToRoute

HEADS = """
select o.id, o.connection_id, c.channel, o.status, o.placed_at, o.ship_to, o.total_minor, o.currency,
       o.fulfilled_by_channel
from sales_order o
join connection c on c.organisation_id = $1 and c.id = o.connection_id
where o.organisation_id = $1 and o.id = any($2::uuid[])
order by o.connection_id, o.external_id
"""
LINES = """
select l.order_id, l.id, coalesce(l.sku, v.sku, l.title) as sku, l.variant_id,
       l.quantity - l.cancelled as ordered, l.quantity - l.cancelled - l.shipped as open, l.reserved, l.shortage
from order_line l
left join variant v on v.organisation_id = $1 and v.id = l.variant_id
where l.organisation_id = $1 and l.order_id = any($2::uuid[])
order by l.order_id, l.position, l.id
"""


async def orders_to_route(tx: Tx, order_ids: Sequence[UUID]) -> list[OrderToRoute]:
    """Return these orders with their lines."""
    lines: dict[UUID, list[LineToRoute]] = {}
    for row in await tx.fetch(LINES, tx.organisation, order_ids):
        lines.setdefault(row["order_id"], []).append(LineToRoute(*tuple(row)[1:]))
    return [_order(row, lines.get(row["id"], [])) for row in await tx.fetch(HEADS, tx.organisation, order_ids)]


def _order(row: Any, lines: Sequence[LineToRoute]) -> OrderToRoute:
    to = row["ship_to"] or {}
    return OrderToRoute(
        row["id"], row["connection_id"], row["channel"], row["status"], row["placed_at"],
        to.get("country", "").upper(), to.get("region", ""), row["total_minor"], row["currency"],
        row["fulfilled_by_channel"], tuple(lines),
    )  # fmt: skip


async def note_routed(tx: Tx, notes: Sequence[tuple[UUID, str]], now: datetime, *, actor: str) -> None:
    """Write (order, what was decided) into timelines."""
    await store.insert_events(tx, [(order, now, "routed", summary, {"actor": actor}) for order, summary in notes])


async def tell_orders(tx: Tx, order_ids: Sequence[UUID]) -> None:
    """Emit that these orders changed."""
    if order_ids:
        await jobs.emit(tx, ORDERS_CHANGED, {"order_ids": [str(order) for order in order_ids]})
