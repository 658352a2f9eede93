"""Statements about policies and limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id


async def policies(tx: Tx) -> list[Any]:
    """Return (scope, scope_id, strategy, parameters) of all policies."""
    return await tx.fetch(
        "select scope, scope_id, strategy, parameters from allocation_policy where organisation_id = $1",
        tx.organisation,
    )


async def put_policy(
    tx: Tx, scope: str, scope_id: UUID | None, strategy: str, parameters: Mapping[str, Any], clock_at: datetime | None
) -> None:
    """Set the policy of a scope."""
    await tx.execute(
        """
        insert into allocation_policy (organisation_id, id, scope, scope_id, strategy, parameters, clock_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (organisation_id, scope, scope_id) do update
        set strategy = excluded.strategy, parameters = excluded.parameters, clock_at = excluded.clock_at,
            updated_at = now()
        """,
        tx.organisation,
        new_id(),
        scope,
        scope_id,
        strategy,
        parameters,
        clock_at,
    )


async def drop_policy(tx: Tx, scope: str, scope_id: UUID | None) -> bool:
    """Delete the policy of a scope; return whether there was one."""
    return bool(
        await tx.execute(
            "delete from allocation_policy where organisation_id = $1 and scope = $2"
            " and scope_id is not distinct from $3",
            tx.organisation,
            scope,
            scope_id,
        )
    )


async def lock_clocked(tx: Tx) -> list[Any]:
    """Lock and return the policies with a condition about time: (id, scope, scope_id, parameters, clock_at)."""
    return await tx.fetch(
        "select id, scope, scope_id, parameters, clock_at from allocation_policy"
        " where organisation_id = $1 and clock_at is not null order by id for update",
        tx.organisation,
    )


async def set_clock(tx: Tx, ids: Sequence[UUID], clock_at: datetime) -> None:
    """Note up to when policies were followed by the clock."""
    await tx.execute(
        "update allocation_policy set clock_at = $3 where organisation_id = $1 and id = any($2::uuid[])",
        tx.organisation,
        list(ids),
        clock_at,
    )


SCOPED = """
    with recursive under as (
        select id from category where organisation_id = $1 and id = $4
        union
        select c.id from under join category c on c.organisation_id = $1 and c.parent_id = under.id
    )
    select v.id, v.product_id
    from variant v join product p on p.organisation_id = $1 and p.id = v.product_id
    where v.organisation_id = $1 and ($2::uuid is null or v.id = $2) and ($3::uuid is null or v.product_id = $3)
      and ($4::uuid is null or p.category_id in (select id from under))
      and exists (select 1 from listing l where l.organisation_id = $1 and l.variant_id = v.id and l.active)
"""


async def variants_with_listings(tx: Tx, scope: str, scope_id: UUID | None) -> list[UUID]:
    """Return the variants in a scope that have an active listing."""
    rows = await tx.fetch(f"{SCOPED} order by v.id", tx.organisation, *_places(scope, scope_id))
    return [row["id"] for row in rows]


async def variants_of_products(tx: Tx, product_ids: Sequence[UUID]) -> list[UUID]:
    """Return the variants of these products that have an active listing."""
    rows = await tx.fetch(
        """
        select distinct v.id from variant v
        join listing l on l.organisation_id = $1 and l.variant_id = v.id and l.active
        where v.organisation_id = $1 and v.product_id = any($2::uuid[]) order by v.id
        """,
        tx.organisation,
        product_ids,
    )
    return [row["id"] for row in rows]


async def busiest_variants(tx: Tx, scope: str, scope_id: UUID | None) -> list[Any]:
    """Return (id, product_id) of the variants in a scope that have an active listing, what sells most first."""
    return await tx.fetch(
        f"""
        select s.id, s.product_id from ({SCOPED}) s
        left join (select variant_id, sum(units) as units from sales_rate where organisation_id = $1 group by 1) r
               on r.variant_id = s.id
        order by coalesce(r.units, 0) desc, s.id
        """,
        tx.organisation,
        *_places(scope, scope_id),
    )


def _places(scope: str, scope_id: UUID | None) -> tuple[UUID | None, UUID | None, UUID | None]:
    return (
        scope_id if scope == "variant" else None,
        scope_id if scope == "product" else None,
        scope_id if scope == "category" else None,
    )


async def exists_in_scope(tx: Tx, scope: str, scope_id: UUID) -> bool:
    """Return whether there is such a category, product or variant."""
    table = {"category": "category", "product": "product", "variant": "variant"}[scope]
    found = await tx.fetch_value(
        f"select 1 from {table} where organisation_id = $1 and id = $2", tx.organisation, scope_id
    )
    return found is not None


async def connection_exists(tx: Tx, connection_id: UUID) -> bool:
    """Return whether there is such a connection."""
    found = await tx.fetch_value(
        "select 1 from connection where organisation_id = $1 and id = $2", tx.organisation, connection_id
    )
    return found is not None


async def category_and_parents(tx: Tx, category_id: UUID) -> list[UUID]:
    """Return a category and its parents up to the root."""
    rows = await tx.fetch(
        """
        with recursive up as (
            select id, parent_id, 0 as height from category where organisation_id = $1 and id = $2
            union all
            select c.id, c.parent_id, up.height + 1
            from up join category c on c.organisation_id = $1 and c.id = up.parent_id where up.height < 50
        )
        select id from up order by height
        """,
        tx.organisation,
        category_id,
    )
    return [row[0] for row in rows]


# ---- limits ----------------------------------------------------------------------------------------------


async def limits_of(tx: Tx, variant_ids: Sequence[UUID], product_ids: Sequence[UUID]) -> list[Any]:
    """Return (scope, scope_id, connection_id, buffer, cap, least) of what limits these variants."""
    return await tx.fetch(
        """
        select scope, scope_id, connection_id, buffer, cap, least from allocation_limit
        where organisation_id = $1 and scope = 'variant' and scope_id = any($2::uuid[])
        union all
        select scope, scope_id, connection_id, buffer, cap, least from allocation_limit
        where organisation_id = $1 and scope = 'product' and scope_id = any($3::uuid[])
        """,
        tx.organisation,
        variant_ids,
        product_ids,
    )


async def put_limit(
    tx: Tx, scope: str, scope_id: UUID, connection_id: UUID | None, units: tuple[int | None, int | None, int | None]
) -> None:
    """Set buffer, cap and least of a place."""
    await tx.execute(
        """
        insert into allocation_limit (organisation_id, id, scope, scope_id, connection_id, buffer, cap, least)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict (organisation_id, scope, scope_id, connection_id) do update
        set buffer = excluded.buffer, cap = excluded.cap, least = excluded.least, updated_at = now()
        """,
        tx.organisation,
        new_id(),
        scope,
        scope_id,
        connection_id,
        *units,
    )


async def drop_limit(tx: Tx, scope: str, scope_id: UUID, connection_id: UUID | None) -> bool:
    """Delete the limit of a place; return whether there was one."""
    return bool(
        await tx.execute(
            "delete from allocation_limit where organisation_id = $1 and scope = $2 and scope_id = $3"
            " and connection_id is not distinct from $4",
            tx.organisation,
            scope,
            scope_id,
            connection_id,
        )
    )
