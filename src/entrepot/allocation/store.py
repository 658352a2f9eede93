"""Statements of allocation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx


async def outlets(tx: Tx, variant_ids: Sequence[UUID]) -> list[Any]:
    """Return the active listings of these variants, with the connection's settings. One that is closing counts as one
    of a connection that only fulfils: it shall show nothing.

    `rank` is the connection's place among all selling connections by priority; `siblings` how many listings of the variant
    the connection has.
    """
    return await tx.fetch(
        """
        with selling as (
            select id, channel, share, buffer, created_at, fulfilment_only,
                   row_number() over (partition by fulfilment_only order by priority, created_at, id) - 1 as rank
            from connection
            where organisation_id = $1 and state <> 'disconnected'
        )
        select l.id as listing_id, l.variant_id, v.product_id, s.id as connection_id, s.channel, s.share, s.buffer, s.rank,
               s.fulfilment_only or l.closing as fulfilment_only, count(*) over (partition by l.variant_id, s.id) as siblings,
               v.sku, p.tags, s.created_at as watched_since,
               coalesce(l.price_minor, v.price_minor) - coalesce(v.cost_minor, 0) as margin_minor
        from listing l
        join selling s on s.id = l.connection_id
        join variant v on v.organisation_id = $1 and v.id = l.variant_id
        join product p on p.organisation_id = $1 and p.id = v.product_id
        where l.organisation_id = $1 and l.variant_id = any($2::uuid[]) and l.active
        order by l.variant_id, s.fulfilment_only or l.closing, s.rank, l.id
        """,
        tx.organisation,
        variant_ids,
    )


# ---- what is learned --------------------------------------------------------------------------------------


async def count_sales(
    tx: Tx, connection_id: UUID, sold: Mapping[UUID, tuple[int, int]], now: datetime, half_life_s: float
) -> None:
    """Count what was sold on a connection (negative: cancelled), by variant: units, and the sum of the lines' squares."""
    variants = sorted(sold)
    units = [sold[variant][0] for variant in variants]
    await tx.execute(
        """
        with sold as (
            select * from unnest($3::uuid[], $4::bigint[], $7::bigint[]) as i(variant_id, units, squares)
        )
        insert into sales_rate as r (organisation_id, variant_id, connection_id, units, squares, at)
        select $1, i.variant_id, $2, greatest(0, i.units), greatest(0, i.squares), $5 from sold i order by 2
        on conflict (organisation_id, variant_id, connection_id) do update
        set units = greatest(0, r.units * power(0.5, greatest(0, extract(epoch from $5 - r.at)) / $6)
                                + (select i.units from sold i where i.variant_id = r.variant_id)),
            squares = greatest(0, r.squares * power(0.5, greatest(0, extract(epoch from $5 - r.at)) / $6)
                                  + (select i.squares from sold i where i.variant_id = r.variant_id)),
            at = greatest(r.at, $5)
        """,
        tx.organisation,
        connection_id,
        variants,
        units,
        now,
        half_life_s,
        [sold[variant][1] for variant in variants],
    )
    await tx.execute(
        """
        insert into sales_day as d (organisation_id, variant_id, connection_id, day, units)
        select $1, i.variant_id, $2, ($5::timestamptz at time zone 'utc')::date, i.units
        from unnest($3::uuid[], $4::bigint[]) as i(variant_id, units)
        on conflict (organisation_id, variant_id, connection_id, day) do update set units = d.units + excluded.units
        """,
        tx.organisation,
        connection_id,
        variants,
        units,
        now,
    )


async def sales_rates(tx: Tx, variant_ids: Sequence[UUID], now: datetime, half_life_s: float) -> list[Any]:
    """Return (variant, connection, units, squares): sales that count half as much after each half-life, as of now."""
    return await tx.fetch(
        """
        select variant_id, connection_id,
               (units * power(0.5, greatest(0, extract(epoch from $3 - at)) / $4))::float8 as units,
               (squares * power(0.5, greatest(0, extract(epoch from $3 - at)) / $4))::float8 as squares
        from sales_rate where organisation_id = $1 and variant_id = any($2::uuid[])
        """,
        tx.organisation,
        variant_ids,
        now,
        half_life_s,
    )


async def sold_lately(tx: Tx, variant_ids: Sequence[UUID], since: date) -> list[Any]:
    """Return (variant, connection, day, units) sold from a day on."""
    return await tx.fetch(
        """
        select variant_id, connection_id, day, units from sales_day
        where organisation_id = $1 and variant_id = any($2::uuid[]) and day >= $3
        """,
        tx.organisation,
        variant_ids,
        since,
    )


async def usual_sales(tx: Tx, now: datetime, half_life_s: float) -> list[Any]:
    """Return (connection, units, squares): all decayed sales of each selling connection."""
    return await tx.fetch(
        """
        select c.id as connection_id,
               coalesce(sum(r.units * power(0.5, greatest(0, extract(epoch from $2 - r.at)) / $3)), 0)::float8 as units,
               coalesce(sum(r.squares * power(0.5, greatest(0, extract(epoch from $2 - r.at)) / $3)), 0)::float8 as line_squares
        from connection c left join sales_rate r on r.organisation_id = $1 and r.connection_id = c.id
        where c.organisation_id = $1 and not c.fulfilment_only
        group by c.id
        """,
        tx.organisation,
        now,
        half_life_s,
    )


async def usual_spread(tx: Tx, now: datetime, half_life_s: float) -> tuple[int, float]:
    """Return how many variants are on sale, and the sum of the squares of their decayed sales."""
    row = await tx.fetch_row(
        """
        select (select count(distinct variant_id) from listing
                where organisation_id = $1 and active and variant_id is not null) as variants,
               (select coalesce(sum(units * units), 0)::float8 from (
                    select sum(units * power(0.5, greatest(0, extract(epoch from $2 - at)) / $3))::float8 as units
                    from sales_rate where organisation_id = $1 group by variant_id) v) as squares
        """,
        tx.organisation,
        now,
        half_life_s,
    )
    return (row["variants"], row["squares"]) if row else (0, 0.0)


async def count_lags(tx: Tx, connection_id: UUID, kind: str, hour: datetime, counts: Mapping[int, int]) -> None:
    """Add to an hour's counts of lags by bucket. `kind`: heard or shown."""
    await tx.execute(
        """
        insert into lag_count as l (organisation_id, connection_id, kind, hour, bucket, count)
        select $1, $2, $3, $4, i.bucket, i.count from unnest($5::smallint[], $6::bigint[]) as i(bucket, count)
        on conflict (organisation_id, connection_id, kind, hour, bucket) do update set count = l.count + excluded.count
        """,
        tx.organisation,
        connection_id,
        kind,
        hour,
        sorted(counts),
        [counts[bucket] for bucket in sorted(counts)],
    )


async def lag_counts(tx: Tx, since: datetime) -> list[Any]:
    """Return (connection, kind, bucket, count) of lags since an hour."""
    return await tx.fetch(
        "select connection_id, kind, bucket, sum(count)::bigint as count from lag_count"
        " where organisation_id = $1 and hour >= $2 group by 1, 2, 3",
        tx.organisation,
        since,
    )


async def forget(tx: Tx, lags_before: datetime, days_before: date) -> int:
    """Delete what is too old to be asked for; return how many rows."""
    deleted: int = await tx.fetch_value(
        """
        with lags as (delete from lag_count where organisation_id = $1 and hour < $2 returning 1),
             days as (delete from sales_day where organisation_id = $1 and day < $3 returning 1)
        select (select count(*) from lags) + (select count(*) from days)
        """,
        tx.organisation,
        lags_before,
        days_before,
    )
    return deleted
