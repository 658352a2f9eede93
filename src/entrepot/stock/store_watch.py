"""Statements about what is low: thresholds, alerts, reorder rules and suggestions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id

WATCH = """
with named as (
    select v.id as variant_id, i.alert_id, coalesce(own.low_at, family.low_at, $4) as low_at
    from unnest($2::uuid[], $3::uuid[]) as i(id, alert_id)
    join variant v on v.organisation_id = $1 and v.id = i.id
    join product p on p.organisation_id = $1 and p.id = v.product_id and p.status = 'active'
    left join stock_threshold own on own.organisation_id = $1 and own.scope = 'variant' and own.scope_id = v.id
    left join stock_threshold family
        on family.organisation_id = $1 and family.scope = 'product' and family.scope_id = v.product_id
), level as (
    select variant_id, sum(on_hand - reserved - held - unavailable - safety_stock)::bigint as units
    from stock_level where organisation_id = $1 and variant_id = any($2::uuid[]) group by 1
), short as (
    select variant_id, sum(quantity)::bigint as units from shortage
    where organisation_id = $1 and state = 'open' and variant_id = any($2::uuid[]) group by 1
), present as (
    select n.variant_id, n.alert_id, n.low_at, l.units - coalesce(s.units, 0) as units
    from named n join level l using (variant_id) left join short s using (variant_id)
), changed as (
    update stock_alert a
    set state = case when p.units > p.low_at then 'closed' else 'open' end,
        closed_at = case when p.units > p.low_at then now() end,
        available = p.units, low_at = p.low_at, updated_at = now()
    from present p
    where a.organisation_id = $1 and a.variant_id = p.variant_id and a.state = 'open'
      and (a.available, a.low_at) is distinct from (p.units, p.low_at)
)
insert into stock_alert (organisation_id, id, variant_id, available, low_at)
select $1, p.alert_id, p.variant_id, p.units, p.low_at from present p
where p.units <= p.low_at
  and not exists (select from stock_alert a
                  where a.organisation_id = $1 and a.variant_id = p.variant_id and a.state = 'open')
order by p.variant_id
on conflict (organisation_id, variant_id) where state = 'open' do nothing
returning variant_id
"""


async def watch_levels(tx: Tx, variant_ids: Sequence[UUID], low_at: int) -> list[UUID]:
    """Open, change and close the alerts of these variants; return those that are low now and were not.

    `low_at`: where neither the variant nor its product has a threshold. A bundle is not watched, its parts are.
    """
    ids = list(dict.fromkeys(variant_ids))
    rows = await tx.fetch(WATCH, tx.organisation, ids, [new_id() for _ in ids], low_at)
    return [row[0] for row in rows]


async def put_threshold(tx: Tx, scope: str, scope_id: UUID, low_at: int | None) -> None:
    """Set at how many units a product's or a variant's stock is low; None takes the threshold away."""
    if low_at is None:
        await tx.execute(
            "delete from stock_threshold where organisation_id = $1 and scope = $2 and scope_id = $3",
            tx.organisation,
            scope,
            scope_id,
        )
        return
    await tx.execute(
        "insert into stock_threshold (organisation_id, scope, scope_id, low_at) values ($1, $2, $3, $4)"
        " on conflict (organisation_id, scope, scope_id) do update set low_at = excluded.low_at, updated_at = now()",
        tx.organisation,
        scope,
        scope_id,
        low_at,
    )


async def variants_of(tx: Tx, scope: str, scope_id: UUID) -> list[UUID]:
    """Return the variants of a product, or the one variant, if it exists."""
    column = "product_id" if scope == "product" else "id"
    rows = await tx.fetch(
        f"select id from variant where organisation_id = $1 and {column} = $2", tx.organisation, scope_id
    )
    return [row[0] for row in rows]


async def see_alert(tx: Tx, id: UUID, actor: str) -> bool:
    """Note who has seen an open alert; return whether there is such a one."""
    return bool(
        await tx.execute(
            "update stock_alert set seen_by = $3, updated_at = now()"
            " where organisation_id = $1 and id = $2 and state = 'open'",
            tx.organisation,
            id,
            actor,
        )
    )


# ---- reordering ------------------------------------------------------------------------------------------


async def put_rule(
    tx: Tx, variant_id: UUID, location_id: UUID, point: int | None, quantity: int | None, max_level: int | None
) -> None:
    """Set the reorder rule of a level; a point of None takes it away."""
    if point is None:
        await tx.execute(
            "delete from reorder_rule where organisation_id = $1 and variant_id = $2 and location_id = $3",
            tx.organisation,
            variant_id,
            location_id,
        )
        return
    await tx.execute(
        """
        insert into reorder_rule (organisation_id, variant_id, location_id, reorder_point, reorder_quantity, max_level)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (organisation_id, variant_id, location_id) do update
        set reorder_point = excluded.reorder_point, reorder_quantity = excluded.reorder_quantity,
            max_level = excluded.max_level, updated_at = now()
        """,
        tx.organisation,
        variant_id,
        location_id,
        point,
        quantity,
        max_level,
    )


POSITIONS = """
select l.variant_id, l.location_id, l.on_hand, l.reserved + l.held as claimed, l.unavailable, l.incoming,
       case when l.first then coalesce(s.units, 0) else 0 end as short,
       r.reorder_point, r.reorder_quantity, r.max_level, l.ours and l.place = 1 as is_first,
       n.variant_id is not null as has_need
from (
    select k.*, row_number() over (partition by k.variant_id order by p.priority, p.id) = 1 as first,
           p.kind not in ('supplier', 'dropship') as ours,
           row_number() over (partition by k.variant_id
                              order by p.kind in ('supplier', 'dropship'), p.priority, p.id) as place
    from stock_level k
    join location p on p.organisation_id = $1 and p.id = k.location_id and p.active
    where k.organisation_id = $1 and k.variant_id = any($2::uuid[])) l
left join reorder_rule r on r.organisation_id = $1 and r.variant_id = l.variant_id and r.location_id = l.location_id
left join (select variant_id, sum(quantity)::bigint as units from shortage
           where organisation_id = $1 and state = 'open' and variant_id = any($2::uuid[]) group by 1) s
       on s.variant_id = l.variant_id
left join reorder_suggestion n on n.organisation_id = $1 and n.variant_id = l.variant_id
    and n.location_id = l.location_id and n.state in ('open', 'dismissed')
where $3 or r.variant_id is not null or n.variant_id is not null
order by l.variant_id, l.location_id
"""


async def positions(tx: Tx, variant_ids: Sequence[UUID], *, every_level: bool) -> list[Any]:
    """Return stock and rules of the levels of these variants: those with a rule or an open need, or all of them.

    What is short counts at the location taken first.
    """
    return await tx.fetch(POSITIONS, tx.organisation, list(variant_ids), every_level)


SuggestionRow = tuple[UUID, UUID, "UUID | None", int, int, str]


async def put_suggestions(tx: Tx, rows: Sequence[SuggestionRow]) -> None:
    """Suggest (variant, location, supplier, units, position, steps as lines): one open need per variant and location.

    What is suggested already is brought up to date; what was dismissed or is being bought is left alone.
    """
    if not rows:
        return
    await tx.execute(
        """
        insert into reorder_suggestion (organisation_id, id, variant_id, location_id, supplier_id, quantity, position,
            steps)
        select $1, i.id, i.variant_id, i.location_id, i.supplier_id, i.quantity, i.position,
               string_to_array(i.steps, e'\\n')
        from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::bigint[], $7::bigint[], $8::text[])
             as i(id, variant_id, location_id, supplier_id, quantity, position, steps)
        order by i.variant_id, i.location_id
        on conflict (organisation_id, variant_id, location_id) where state in ('open', 'drafted', 'dismissed') do update
        set supplier_id = excluded.supplier_id, quantity = excluded.quantity, position = excluded.position,
            steps = excluded.steps, updated_at = now()
        where reorder_suggestion.state = 'open'
          and (reorder_suggestion.supplier_id, reorder_suggestion.quantity, reorder_suggestion.steps)
              is distinct from (excluded.supplier_id, excluded.quantity, excluded.steps)
        """,
        tx.organisation,
        [new_id() for _ in rows],
        *map(list, zip(*rows, strict=True)),
    )


async def meet(tx: Tx, places: Sequence[tuple[UUID, UUID]]) -> None:
    """Close the needs of these (variant, location) that are met by themselves."""
    if places:
        await tx.execute(
            """
            update reorder_suggestion n set state = 'met', updated_at = now(), closed_at = now()
            from unnest($2::uuid[], $3::uuid[]) as i(variant_id, location_id)
            where n.organisation_id = $1 and n.variant_id = i.variant_id and n.location_id = i.location_id
              and n.state in ('open', 'dismissed')
            """,
            tx.organisation,
            [place[0] for place in places],
            [place[1] for place in places],
        )


async def lock_open_suggestions(
    tx: Tx, ids: Sequence[UUID] | None, limit: int, *, with_supplier: bool = False
) -> list[Any]:
    """Lock and return open suggestions, oldest first: these, or (None) those that nobody else is working on."""
    supplied = " and supplier_id is not null" if with_supplier else ""
    return await tx.fetch(
        "select id, variant_id, location_id, supplier_id, quantity from reorder_suggestion"
        f" where organisation_id = $1 and state = 'open' and ($2::uuid[] is null or id = any($2::uuid[])){supplied}"
        f" order by id limit $3 for update{'' if ids is not None else ' skip locked'}",
        tx.organisation,
        None if ids is None else list(ids),
        limit,
    )


async def set_suggestions(tx: Tx, ids: Sequence[UUID], state: str, purchase_id: UUID | None, actor: str) -> int:
    """Set the state of open suggestions, and the purchase order they went into; return how many that were."""
    return await tx.execute(
        "update reorder_suggestion set state = $3, purchase_order_id = $4, actor = $5, updated_at = now()"
        " where organisation_id = $1 and id = any($2::uuid[]) and state = 'open'",
        tx.organisation,
        list(ids),
        state,
        purchase_id,
        actor,
    )


async def close_drafted(tx: Tx, purchase_id: UUID) -> None:
    """The purchase order was sent: the needs in it are met by what is incoming."""
    await tx.execute(
        "update reorder_suggestion set state = 'ordered', updated_at = now(), closed_at = now()"
        " where organisation_id = $1 and purchase_order_id = $2 and state = 'drafted'",
        tx.organisation,
        purchase_id,
    )


async def reopen_drafted(tx: Tx, purchase_id: UUID) -> None:
    """The draft was given up: the needs in it are open again."""
    await tx.execute(
        "update reorder_suggestion set state = 'open', purchase_order_id = null, updated_at = now()"
        " where organisation_id = $1 and purchase_order_id = $2 and state = 'drafted'",
        tx.organisation,
        purchase_id,
    )


async def lock_automatic_draft(tx: Tx, supplier_id: UUID, location_id: UUID, actor: str) -> UUID | None:
    """Lock and return the newest draft that this actor made for a supplier and a location, or None."""
    found: UUID | None = await tx.fetch_value(
        "select id from purchase_order where organisation_id = $1 and state = 'draft' and supplier_id = $2"
        " and location_id = $3 and actor = $4 order by id desc limit 1 for update",
        tx.organisation,
        supplier_id,
        location_id,
        actor,
    )
    return found
