"""The hub's own orders as past demand, for simulations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from entrepot.allocation.facade import PastLine
from entrepot.database.pool import Tx

PAST_LINES = """
select o.placed_at, l.id, o.id::text as order_id, o.connection_id, coalesce(v.sku, l.sku) as sku,
       l.quantity - l.cancelled as units,
       case when o.currency = g.currency then l.unit_price_minor
            when v.currency = g.currency then v.price_minor end as price_minor,
       case when v.currency = g.currency then v.cost_minor end as cost_minor,
       coalesce(o.ship_to ->> 'country', '') as country
from sales_order o
join organisation g on g.id = $1
join order_line l on l.organisation_id = $1 and l.order_id = o.id
left join variant v on v.organisation_id = $1 and v.id = l.variant_id
where o.organisation_id = $1 and o.placed_at >= $2 and o.placed_at < $3
  and ($4::timestamptz is null or (o.placed_at, l.id) > ($4, $5::uuid))
  and l.quantity > l.cancelled and not o.fulfilled_by_channel and coalesce(v.sku, l.sku) is not null
order by o.placed_at, l.id limit $6
"""


async def past_lines(
    tx: Tx, since: datetime, until: datetime, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[PastLine]:
    """Return lines of orders placed in [since, until), after a key, in the order of (placed, line).

    What was cancelled did not sell, and what the channel ships itself is not our stock; both are left out. Prices in the
    organisation's currency: of the order, or of the variant where the order is in another one.
    """
    at, line_id = after if after else (None, None)
    # An index walk from where the last page ended, not from the beginning.
    start = max(since, at) if at else since
    rows = await tx.fetch(PAST_LINES, tx.organisation, start, until, at, line_id, limit)
    return [
        PastLine(
            (row["placed_at"], row["id"]), row["order_id"], row["connection_id"], row["sku"], row["units"],
            row["price_minor"], row["cost_minor"], row["country"],
        )
        for row in rows
    ]  # fmt: skip
