"""Statements about forecasts: what they are made from, and what was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx


async def shop_sales(tx: Tx, since: date, until: date) -> dict[date, int]:
    """Return units sold by day, over all goods."""
    rows = await tx.fetch(
        "select day, sum(greatest(units, 0))::bigint as units from sales_day"
        " where organisation_id = $1 and day between $2 and $3 group by 1",
        tx.organisation,
        since,
        until,
    )
    return {row["day"]: row["units"] for row in rows}


async def variants_sold(tx: Tx, since: date, until: date) -> list[UUID]:
    """Return the variants that sold, by themselves or as parts of bundles."""
    rows = await tx.fetch(
        """
        with sold as (select distinct variant_id from sales_day where organisation_id = $1 and day between $2 and $3)
        select id from variant v where organisation_id = $1 and (
            id in (select variant_id from sold)
            or id in (select b.component_id from bundle_component b join sold s on s.variant_id = b.bundle_id
                      where b.organisation_id = $1))
        order by id
        """,
        tx.organisation,
        since,
        until,
    )
    return [row[0] for row in rows]


async def sales(tx: Tx, variant_ids: Sequence[UUID], since: date, until: date) -> list[Any]:
    """Return (variant, connection, day, units) of these variants; connection None: as a part of bundles, all together."""
    return await tx.fetch(
        """
        select variant_id, connection_id, day, units from sales_day
        where organisation_id = $1 and variant_id = any($2::uuid[]) and day between $3 and $4
        union all
        select b.component_id, null, s.day, sum(s.units * b.quantity)::bigint
        from bundle_component b
        join sales_day s on s.organisation_id = $1 and s.variant_id = b.bundle_id and s.day between $3 and $4
        where b.organisation_id = $1 and b.component_id = any($2::uuid[])
        group by 1, 3
        """,
        tx.organisation,
        list(variant_ids),
        since,
        until,
    )


async def listed_since(tx: Tx, variant_ids: Sequence[UUID]) -> list[Any]:
    """Return (variant, connection, day) since when connections that sell list these variants, as far as the hub knows."""
    return await tx.fetch(
        """
        select l.variant_id, l.connection_id, min((l.created_at at time zone 'utc')::date) as day
        from listing l join connection c on c.organisation_id = $1 and c.id = l.connection_id and not c.fulfilment_only
        where l.organisation_id = $1 and l.variant_id = any($2::uuid[]) group by 1, 2
        """,
        tx.organisation,
        list(variant_ids),
    )


ListingRow = tuple[UUID, UUID, float, int]
VariantRow = tuple[UUID, float, float, int]


async def put_forecasts(tx: Tx, listings: Sequence[ListingRow], variants: Sequence[VariantRow], made_on: date) -> None:
    """Write (variant, connection, units in 30 days, days of history) and (variant, units a day, mean a day, days)."""
    await tx.execute(
        """
        insert into listing_forecast as f (organisation_id, variant_id, connection_id, units_30d, days, made_on)
        select $1, i.variant_id, i.connection_id, i.units, i.days, $6
        from unnest($2::uuid[], $3::uuid[], $4::float8[], $5::int[]) as i(variant_id, connection_id, units, days)
        join connection c on c.organisation_id = $1 and c.id = i.connection_id
        order by 2, 3
        on conflict (organisation_id, variant_id, connection_id) do update
        set units_30d = excluded.units_30d, days = excluded.days, made_on = excluded.made_on
        """,
        tx.organisation,
        *_columns(listings, 4),
        made_on,
    )
    await tx.execute(
        """
        insert into variant_forecast as f (organisation_id, variant_id, units_a_day, mean_a_day, days, made_on)
        select $1, i.variant_id, i.units, i.mean, i.days, $6
        from unnest($2::uuid[], $3::float8[], $4::float8[], $5::int[]) as i(variant_id, units, mean, days)
        order by 2
        on conflict (organisation_id, variant_id) do update
        set units_a_day = excluded.units_a_day, mean_a_day = excluded.mean_a_day, days = excluded.days,
            made_on = excluded.made_on
        """,
        tx.organisation,
        *_columns(variants, 4),
        made_on,
    )


def _columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[list[Any]]:
    return [[row[place] for row in rows] for place in range(count)]


async def put_model(
    tx: Tx,
    profile: Sequence[float],
    scatters: Mapping[str, Any],
    habits: Mapping[str, Any],
    variants: int,
    made_on: date,
) -> None:
    """Write what all goods have in common."""
    await tx.execute(
        """
        insert into forecast_model (organisation_id, profile, scatters, variants, made_on, habits)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (organisation_id) do update
        set profile = excluded.profile, scatters = excluded.scatters, variants = excluded.variants,
            made_on = excluded.made_on, habits = excluded.habits, updated_at = now()
        """,
        tx.organisation, list(profile), scatters, variants, made_on, habits,
    )  # fmt: skip


async def model(tx: Tx) -> Any:
    """Return (profile, scatters, variants, made_on, updated_at), or None."""
    return await tx.fetch_row(
        "select profile, scatters, variants, made_on, updated_at from forecast_model where organisation_id = $1",
        tx.organisation,
    )


async def habits(tx: Tx, since: date) -> tuple[Mapping[str, Any], date] | None:
    """Return how customers buy and when that was counted, if it was since a day."""
    row = await tx.fetch_row(
        "select habits, made_on from forecast_model where organisation_id = $1 and made_on >= $2 and habits <> '{}'",
        tx.organisation,
        since,
    )
    return None if row is None else (row["habits"], row["made_on"])


async def listing_forecasts(tx: Tx, variant_ids: Sequence[UUID], since: date) -> list[Any]:
    """Return (variant, connection, units_30d, days) of forecasts made since a day."""
    return await tx.fetch(
        "select variant_id, connection_id, units_30d, days from listing_forecast"
        " where organisation_id = $1 and variant_id = any($2::uuid[]) and made_on >= $3",
        tx.organisation,
        list(variant_ids),
        since,
    )


async def variant_forecasts(tx: Tx, variant_ids: Sequence[UUID], since: date) -> list[Any]:
    """Return (variant, units_a_day, mean_a_day, days) of forecasts made since a day."""
    return await tx.fetch(
        "select variant_id, units_a_day, mean_a_day, days from variant_forecast"
        " where organisation_id = $1 and variant_id = any($2::uuid[]) and made_on >= $3",
        tx.organisation,
        list(variant_ids),
        since,
    )


async def forecast_of(tx: Tx, variant_id: UUID) -> Any:
    """Return (units_a_day, mean_a_day, days, made_on) of a variant, or None."""
    return await tx.fetch_row(
        "select units_a_day, mean_a_day, days, made_on from variant_forecast"
        " where organisation_id = $1 and variant_id = $2",
        tx.organisation,
        variant_id,
    )


async def model_made(tx: Tx) -> Any:
    """Return (variants, made_on, updated_at) of what was forecast last, or None."""
    return await tx.fetch_row(
        "select variants, made_on, updated_at from forecast_model where organisation_id = $1", tx.organisation
    )


async def forget(tx: Tx, before: date) -> int:
    """Delete forecasts that were made before a day; return how many."""
    deleted: int = await tx.fetch_value(
        """
        with listings as (delete from listing_forecast where organisation_id = $1 and made_on < $2 returning 1),
             variants as (delete from variant_forecast where organisation_id = $1 and made_on < $2 returning 1)
        select (select count(*) from listings) + (select count(*) from variants)
        """,
        tx.organisation,
        before,
    )
    return deleted
