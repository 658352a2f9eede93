"""How the hub's own orders came: by hour of the week, how close together those of one SKU, how many units at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from entrepot.allocation.facade import SALES_LEAST, SCALES_S, USUAL_PART, WIDE_S, Counted, Pairs
from entrepot.database.pool import Tx

WEEK_HOURS = 168
_LEAST_STEP = timedelta(microseconds=1)

_SALES = """
    select l.variant_id, o.placed_at, o.connection_id, sum(l.quantity - l.cancelled) as units
    from sales_order o join order_line l on l.organisation_id = $1 and l.order_id = o.id
    where o.organisation_id = $1 and o.placed_at >= $2 and o.placed_at < $3 and not o.fulfilled_by_channel
      and l.quantity > l.cancelled and l.variant_id is not null
    group by 1, 2, 3
"""
"""A sale: what one order takes of a variant. What a channel ships itself is not our stock."""


async def count_sales(tx: Tx, since: datetime, until: datetime) -> Counted:
    """Return what allocation wants to know of orders placed in [since, until)."""
    by_hour = [0] * WEEK_HOURS
    for row in await orders_by_hour(tx, since, until):
        by_hour[row["hour"]] = row["orders"]
    row = await pairs(tx, since, until)
    first = row["first"]
    span_s = 0.0 if first is None else (until - first).total_seconds()
    near = tuple(row[f"near_{place}"] // 2 for place in range(len(SCALES_S)))
    return Counted(
        tuple(by_hour), Pairs(row["sales"], near, row["wide"] // 2, span_s), await usual_lot(tx, since, until)
    )


async def orders_by_hour(tx: Tx, since: datetime, until: datetime) -> list[Any]:
    """Return (hour of the week from Monday midnight in the organisation's time zone, orders)."""
    return await tx.fetch(
        """
        select ((extract(isodow from at) - 1) * 24 + extract(hour from at))::integer as hour, count(*)::integer as orders
        from (select o.placed_at at time zone g.timezone as at
              from sales_order o join organisation g on g.id = $1
              where o.organisation_id = $1 and o.placed_at >= $2 and o.placed_at < $3 and not o.fulfilled_by_channel) o
        group by 1
        """,
        tx.organisation,
        since,
        until,
    )


async def pairs(tx: Tx, since: datetime, until: datetime) -> Any:
    """Return (sales, first, wide, near_0, near_1, ...): sales of single variants, when the first was, and how many ordered
    pairs of one variant's sales lie closer together than `WIDE_S` and each of `SCALES_S`.

    A window slides over the sales of each variant in order of time, so the cost is that of sorting them.
    """
    spans = [timedelta(seconds=seconds) - _LEAST_STEP for seconds in (WIDE_S, *SCALES_S)]
    names = ["wide", *(f"near_{place}" for place in range(len(SCALES_S)))]
    counts = ", ".join(
        f"count(*) over (own range between ${number}::interval preceding and ${number}::interval following) - 1 as {name}"
        for number, name in enumerate(names, start=4)
    )
    sums = ", ".join(f"coalesce(sum({name}), 0)::bigint as {name}" for name in names)
    return await tx.fetch_row(
        f"""
        select count(*)::bigint as sales, min(placed_at) as first, {sums}
        from (select placed_at, {counts} from ({_SALES}) sale window own as (partition by variant_id order by placed_at)) c
        """,
        tx.organisation,
        since,
        until,
        *spans,
    )


async def usual_lot(tx: Tx, since: datetime, until: datetime) -> float | None:
    """Return the lot of most variants: of each the squares of its sales' units over their sum. None if none sold often."""
    found: float | None = await tx.fetch_value(
        f"""
        select percentile_cont($4) within group (order by lot)
        from (select sum(units * units)::float8 / sum(units)::float8 as lot from ({_SALES}) sale
              group by variant_id having count(*) >= $5) lots
        """,
        tx.organisation,
        since,
        until,
        USUAL_PART,
        SALES_LEAST,
    )
    return None if found is None else max(1.0, found)
