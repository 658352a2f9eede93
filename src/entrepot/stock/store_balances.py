"""Statements that read and prove balances. Nothing is locked here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.ids import first_id_at


async def read_levels(tx: Tx, variant_ids: Sequence[UUID]) -> list[Any]:
    """Return levels without locking."""
    return await tx.fetch(
        "select variant_id, location_id, on_hand, reserved, held, unavailable, incoming, safety_stock from stock_level"
        " where organisation_id = $1 and variant_id = any($2::uuid[]) order by variant_id, location_id",
        tx.organisation,
        variant_ids,
    )


_AVAILABLE = """
        with part as materialized (
            select bundle_id, component_id, quantity from bundle_component
            where organisation_id = $1 and bundle_id = any($2::uuid[])
        ), named as materialized (
            select array(select unnest($2::uuid[]) union select component_id from part) as ids
        ), ats as (
            select l.variant_id,
                   sum(l.on_hand - l.reserved - l.held - l.unavailable - l.safety_stock{kept})::bigint
                       - coalesce(max(s.short), 0) as units
            from stock_level l {join}
            left join (select variant_id, sum(quantity)::bigint as short from shortage
                       where organisation_id = $1 and state = 'open' and variant_id = any((select ids from named)::uuid[])
                       group by 1) s
                   on s.variant_id = l.variant_id
            where l.organisation_id = $1 and l.variant_id = any((select ids from named)::uuid[])
            group by l.variant_id
        )
        select variant_id, units from ats where variant_id = any($2::uuid[])
        union all
        select part.bundle_id, min(floor(coalesce(ats.units, 0)::numeric / part.quantity))::bigint
        from part left join ats on ats.variant_id = part.component_id
        group by part.bundle_id
"""
_KEPT = "least(greatest(l.on_hand - l.reserved - l.held - l.unavailable - l.safety_stock, 0), b.buffer)"
_PLACE = "join location b on b.organisation_id = l.organisation_id and b.id = l.location_id"
AVAILABLE = _AVAILABLE.format(kept="", join="")
AVAILABLE_LESS_BUFFERS = _AVAILABLE.format(kept=f" - {_KEPT}", join=_PLACE)


async def available_to_sell(tx: Tx, variant_ids: Sequence[UUID], *, less_buffers: bool = False) -> dict[UUID, int]:
    """Return ATS over all locations by variant; a variant without a level is left out. Shortages lower it.

    Of a bundle there are as many as its scarcest part makes. `less_buffers`: without what locations keep back; one with
    less than its buffer keeps all it has, and takes nothing from the others.
    """
    rows = await tx.fetch(AVAILABLE_LESS_BUFFERS if less_buffers else AVAILABLE, tx.organisation, variant_ids)
    return {row[0]: row[1] for row in rows}


async def any_buffers(tx: Tx) -> bool:
    """Return whether any location keeps units back."""
    found: bool = await tx.fetch_value(
        "select exists (select 1 from location where organisation_id = $1 and buffer > 0)", tx.organisation
    )
    return found


async def kept_back(tx: Tx, variant_ids: Sequence[UUID]) -> list[Any]:
    """Return (variant, location name, units, SKU) of what locations keep back of these; of a bundle by its parts."""
    return await tx.fetch(
        f"""
        with wanted as (
            select v as variant_id, v as level_of, '' as sku from unnest($2::uuid[]) as v
            union all
            select c.bundle_id, c.component_id, p.sku
            from bundle_component c join variant p on p.organisation_id = $1 and p.id = c.component_id
            where c.organisation_id = $1 and c.bundle_id = any($2::uuid[])
        )
        select w.variant_id, b.name as location, {_KEPT}::bigint as units, w.sku
        from wanted w
        join stock_level l on l.organisation_id = $1 and l.variant_id = w.level_of
        {_PLACE}
        where {_KEPT} > 0
        order by w.variant_id, b.priority, b.id, w.sku
        """,
        tx.organisation,
        variant_ids,
    )


async def unpromised(tx: Tx, variant_ids: Sequence[UUID]) -> list[Any]:
    """Return (variant, units on hand that are not reserved, over all locations) of the variants that have a level."""
    return await tx.fetch(
        "select variant_id, sum(on_hand - reserved)::bigint as units from stock_level"
        " where organisation_id = $1 and variant_id = any($2::uuid[]) group by 1",
        tx.organisation,
        list(variant_ids),
    )


async def changes_by_day(tx: Tx, variant_ids: Sequence[UUID], since: date) -> list[Any]:
    """Return (variant, day, net, gained) by UTC day since a day: how what is not promised changed, and whether any was added."""
    return await tx.fetch(
        """
        select i.id as variant_id, (m.at at time zone 'utc')::date as day,
               sum(m.on_hand_delta - m.reserved_delta)::bigint as net,
               bool_or(m.on_hand_delta > m.reserved_delta) as gained
        from unnest($2::uuid[]) as i(id)
        join location l on l.organisation_id = $1
        cross join lateral (
            select at, on_hand_delta, reserved_delta from stock_movement
            where organisation_id = $1 and variant_id = i.id and location_id = l.id and id >= $3) m
        where m.at >= $4::date
        group by 1, 2
        """,
        tx.organisation,
        list(variant_ids),
        # Ids are made a little before the time that is written beside them.
        first_id_at(datetime.combine(since, time(), UTC) - timedelta(hours=1)),
        since,
    )


async def parts_without(tx: Tx, location_ids: Sequence[UUID]) -> list[Any]:
    """Return (sku, part of its units on hand that is elsewhere) of the variants that have some at these locations."""
    return await tx.fetch(
        """
        select v.sku,
               (coalesce(sum(l.on_hand) filter (where l.location_id <> all($2::uuid[])), 0) / sum(l.on_hand))::float8 as part
        from stock_level l join variant v on v.organisation_id = $1 and v.id = l.variant_id
        where l.organisation_id = $1
        group by v.sku having sum(l.on_hand) filter (where l.location_id = any($2::uuid[])) > 0
        """,
        tx.organisation,
        list(location_ids),
    )


async def mismatches(tx: Tx) -> list[Any]:
    """Return every balance that is not what the ledger, claims and papers sum up to, and what is reserved of nothing.

    More reserved for orders than on hand is wrong too: what is not there is a shortage, never a reservation. (A hold may
    outlast a count that finds less.)
    """
    return await tx.fetch(
        """
        with ledger as (
            select variant_id, location_id, sum(on_hand_delta)::bigint as on_hand,
                   sum(reserved_delta)::bigint as reserved, sum(held_delta)::bigint as held,
                   sum(unavailable_delta)::bigint as unavailable, sum(incoming_delta)::bigint as incoming
            from stock_movement where organisation_id = $1 group by 1, 2
        ), claims as (
            select variant_id, location_id, sum(quantity) filter (where kind = 'order')::bigint as reserved,
                   sum(quantity) filter (where kind = 'hold')::bigint as held
            from reservation where organisation_id = $1 and state = 'active' group by 1, 2
        ), coming as (
            select variant_id, location_id, sum(outstanding)::bigint as units from (
                select n.variant_id, o.location_id, n.outstanding
                from purchase_order_line n
                join purchase_order o on o.organisation_id = n.organisation_id and o.id = n.purchase_order_id
                where n.organisation_id = $1 and n.outstanding > 0
                union all
                select n.variant_id, t.to_location_id, n.outstanding
                from stock_transfer_line n
                join stock_transfer t on t.organisation_id = n.organisation_id and t.id = n.transfer_id
                where n.organisation_id = $1 and n.outstanding > 0) line
            group by 1, 2
        )
        select variant_id, location_id, c.name, c.balance, c.ledger
        from (select * from stock_level where organisation_id = $1) l
        full join ledger g using (variant_id, location_id)
        full join claims k using (variant_id, location_id)
        full join coming d using (variant_id, location_id)
        cross join lateral (values
            ('on_hand', coalesce(l.on_hand, 0), coalesce(g.on_hand, 0)),
            ('reserved', coalesce(l.reserved, 0), coalesce(g.reserved, 0)),
            ('held', coalesce(l.held, 0), coalesce(g.held, 0)),
            ('unavailable', coalesce(l.unavailable, 0), coalesce(g.unavailable, 0)),
            ('incoming', coalesce(l.incoming, 0), coalesce(g.incoming, 0)),
            ('reservations', coalesce(l.reserved, 0), coalesce(k.reserved, 0)),
            ('holds', coalesce(l.held, 0), coalesce(k.held, 0)),
            ('coming', coalesce(l.incoming, 0), coalesce(d.units, 0)),
            ('uncovered', greatest(l.reserved, l.on_hand), l.on_hand)
        ) as c(name, balance, ledger)
        where c.balance <> c.ledger
        order by 1, 2, 3
        """,
        tx.organisation,
    )
