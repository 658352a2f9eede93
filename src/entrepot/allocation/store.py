"""Statements of allocation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


async def put_policy(tx: Tx, scope: str, scope_id: UUID | None, strategy: str, parameters: Mapping[str, Any]) -> None:
    """Set the policy of a scope."""
    await tx.execute(
        """
        insert into allocation_policy (organisation_id, id, scope, scope_id, strategy, parameters)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (organisation_id, scope, scope_id) do update
        set strategy = excluded.strategy, parameters = excluded.parameters, updated_at = now()
        """,
        tx.organisation,
        new_id(),
        scope,
        scope_id,
        strategy,
        parameters,
    )


async def outlets(tx: Tx, variant_ids: Sequence[UUID]) -> list[Any]:
    """Return the active listings of these variants on connections that may sell, with the connection's settings.

    `rank` is the connection's place among all selling connections by priority; `siblings` how many listings of the variant
    the connection has.
    """
    return await tx.fetch(
        """
        with selling as (
            select id, channel, share, buffer, row_number() over (order by priority, created_at, id) - 1 as rank
            from connection
            where organisation_id = $1 and not fulfilment_only and state <> 'disconnected'
        )
        select l.id as listing_id, l.variant_id, v.product_id, s.id as connection_id, s.channel, s.share, s.buffer, s.rank,
               count(*) over (partition by l.variant_id, s.id) as siblings
        from listing l
        join selling s on s.id = l.connection_id
        join variant v on v.organisation_id = $1 and v.id = l.variant_id
        where l.organisation_id = $1 and l.variant_id = any($2::uuid[]) and l.active
        order by l.variant_id, s.rank, l.id
        """,
        tx.organisation,
        variant_ids,
    )


async def variants_with_listings(tx: Tx, product_id: UUID | None = None) -> list[UUID]:
    """Return the variants that have a listing (of one product, or all)."""
    rows = await tx.fetch(
        "select distinct l.variant_id from listing l join variant v on v.organisation_id = $1 and v.id = l.variant_id"
        " where l.organisation_id = $1 and ($2::uuid is null or v.product_id = $2)",
        tx.organisation,
        product_id,
    )
    return [row[0] for row in rows]
