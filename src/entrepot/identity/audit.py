"""The audit log: who changed what, when, before and after. Rows are only ever added."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from asyncpg import Record

from entrepot.database.pool import Tx
from entrepot.identity.contracts import Actor, ActorKind, AuditEntry
from entrepot.kernel.ids import new_id

_INSERT = """
    insert into audit_log
        (organisation_id, id, at, actor_kind, actor_id, actor_name, action, subject_kind, subject_id, before, after)
    values ($1, $2, clock_timestamp(), $3, $4, $5, $6, $7, $8, $9, $10)
"""


async def record(
    tx: Tx, actor: Actor, action: str, subject_kind: str, subject_id: object, before: Any = None, after: Any = None
) -> None:
    """Write one line in the transaction of the change itself, so that both are there or neither.

    `action` is a verb phrase such as `key.revoke`; `before` and `after` are JSON values without secrets.
    """
    await tx.execute(
        _INSERT, tx.organisation, new_id(), actor.kind.value, str(actor.id), actor.name,
        action, subject_kind, str(subject_id), before, after,
    )  # fmt: skip


async def list_audit(
    tx: Tx,
    *,
    limit: int = 50,
    before_id: UUID | None = None,
    action: str | None = None,
    actor_id: str | None = None,
    subject_kind: str | None = None,
    subject_id: str | None = None,
) -> list[AuditEntry]:
    """Return the newest lines first, from just before `before_id` on, filtered by what is given."""
    sql = """
        select id, at, actor_kind, actor_id, actor_name, action, subject_kind, subject_id, before, after
        from audit_log
        where organisation_id = $1
          and ($2::uuid is null or id < $2)
          and ($3::text is null or action = $3)
          and ($4::text is null or actor_id = $4)
          and ($5::text is null or subject_kind = $5)
          and ($6::text is null or subject_id = $6)
        order by id desc limit $7
    """
    rows = await tx.fetch(sql, tx.organisation, before_id, action, actor_id, subject_kind, subject_id, limit)
    return [_entry(row) for row in rows]


def _entry(row: Record) -> AuditEntry:
    values = dict(row)
    values["actor_kind"] = ActorKind(row["actor_kind"])
    return AuditEntry(**values)
