"""Statements of the policies by which conflicts are decided."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id


async def policies_for(tx: Tx, connection_id: UUID) -> list[Any]:
    """Return the policies that may hold for a connection."""
    return await tx.fetch(
        "select connection_id, field, flow, policy, swing_percent from resolution_policy"
        " where organisation_id = $1 and (connection_id is null or connection_id = $2)",
        tx.organisation,
        connection_id,
    )


async def list_policies(tx: Tx) -> list[Any]:
    """Return all policies with the names of their connections, the general ones first."""
    return await tx.fetch(
        "select p.id, p.connection_id, c.name as connection_name, p.field, p.flow, p.policy, p.swing_percent, p.set_by,"
        " p.set_at from resolution_policy p"
        " left join connection c on c.organisation_id = $1 and c.id = p.connection_id"
        " where p.organisation_id = $1 order by c.name nulls first, p.field",
        tx.organisation,
    )


async def put_policy(
    tx: Tx,
    connection_id: UUID | None,
    field_name: str,
    flow: str,
    policy: str,
    swing_percent: Any,
    by: str,
    now: datetime,
) -> None:
    """Set the policy of a field (empty: every one) on a connection (None: every one)."""
    await tx.execute(
        """
        insert into resolution_policy (organisation_id, id, connection_id, field, flow, policy, swing_percent, set_by, set_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (organisation_id, connection_id, field) do update set flow = excluded.flow, policy = excluded.policy,
            swing_percent = excluded.swing_percent, set_by = excluded.set_by, set_at = excluded.set_at
        """,
        tx.organisation,
        new_id(),
        connection_id,
        field_name,
        flow,
        policy,
        swing_percent,
        by,
        now,
    )


async def remove_policy(tx: Tx, connection_id: UUID | None, field_name: str) -> bool:
    """Remove a policy, so that the more general one holds again; return whether there was one."""
    return bool(
        await tx.execute(
            "delete from resolution_policy where organisation_id = $1 and connection_id is not distinct from $2"
            " and field = $3",
            tx.organisation,
            connection_id,
            field_name,
        )
    )
