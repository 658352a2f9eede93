"""Statements of conflicts that change rows; lists for people are in queue.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id
from entrepot.sync.merge.values import Value


@dataclass(frozen=True, slots=True)
class Found:
    """A conflict as it stands now. `subject_id`: the listing whose field it is, else the order or shortage."""

    kind: str
    subject_id: UUID
    field: str
    connection_id: UUID | None
    variant_id: UUID | None
    why: str
    base: Value
    ours: Value
    theirs: Value
    ours_by: str
    ours_at: datetime | None
    theirs_at: datetime | None
    sources: Mapping[str, Any]
    suggestion: Mapping[str, Any] | None
    risk: int


PUT = """
insert into conflict as c (organisation_id, id, kind, subject_id, field, connection_id, variant_id, why, base, ours, theirs,
    ours_by, ours_at, theirs_at, sources, suggestion, risk, history)
select $1, i.id, i.kind, i.subject_id, i.field, i.connection_id, i.variant_id, i.why, i.base, i.ours, i.theirs, i.ours_by,
    i.ours_at, i.theirs_at, i.sources, i.suggestion, i.risk,
    jsonb_build_array(jsonb_build_object('at', now(), 'what', 'found', 'ours', i.ours, 'theirs', i.theirs))
from jsonb_to_recordset($2::jsonb) as i(id uuid, kind text, subject_id uuid, field text, connection_id uuid,
    variant_id uuid, why text, base jsonb, ours jsonb, theirs jsonb, ours_by text, ours_at timestamptz,
    theirs_at timestamptz, sources jsonb, suggestion jsonb, risk smallint)
order by i.subject_id, i.field
on conflict (organisation_id, subject_id, field) where state = 'open' do update set
    why = excluded.why, base = excluded.base, ours = excluded.ours, theirs = excluded.theirs, ours_by = excluded.ours_by,
    ours_at = excluded.ours_at, theirs_at = excluded.theirs_at, sources = excluded.sources,
    suggestion = excluded.suggestion, risk = excluded.risk, updated_at = now(),
    history = c.history || case when (c.ours, c.theirs) is distinct from (excluded.ours, excluded.theirs)
        then jsonb_build_array(jsonb_build_object('at', now(), 'what', 'changed', 'ours', excluded.ours, 'theirs',
             excluded.theirs)) else '[]' end
where (c.why, c.base, c.ours, c.theirs, c.suggestion, c.risk) is distinct from
      (excluded.why, excluded.base, excluded.ours, excluded.theirs, excluded.suggestion, excluded.risk)
"""


async def put(tx: Tx, found: Sequence[Found]) -> None:
    """Open these conflicts, or note how those that are open stand now."""
    if found:
        rows = [{"id": new_id(), **{name: getattr(f, name) for name in Found.__slots__}} for f in found]
        await tx.execute(PUT, tx.organisation, rows)


async def end(tx: Tx, keys: Sequence[tuple[UUID, str]]) -> None:
    """These are conflicts no more: the sides came together by themselves."""
    if keys:
        await tx.execute(
            """
            update conflict c set state = 'gone', resolved_at = now(), updated_at = now(),
                history = c.history || jsonb_build_array(jsonb_build_object('at', now(), 'what', 'gone'))
            from unnest($2::uuid[], $3::text[]) as i(subject_id, field)
            where c.organisation_id = $1 and c.subject_id = i.subject_id and c.field = i.field and c.state = 'open'
            """,
            tx.organisation,
            *map(list, zip(*keys, strict=True)),
        )


Decided = tuple[UUID, str, Mapping[str, Any], Mapping[str, Any] | None]
"""(listing, field, {"side", "value", "policy", "reason"}, what to put back where it is undone)"""


async def decided(tx: Tx, rows: Sequence[Decided], by: str, now: datetime) -> None:
    """Note what was decided in open conflicts."""
    if rows:
        await tx.execute(
            """
            update conflict c set state = 'resolved', resolved_at = $3, resolved_by = $2, updated_at = now(),
                resolution = i.resolution, undo = i.undo, history = c.history || jsonb_build_array(
                    i.resolution || jsonb_build_object('at', now(), 'what', 'decided', 'by', $2::text))
            from jsonb_to_recordset($4::jsonb) as i(subject_id uuid, field text, resolution jsonb, undo jsonb)
            where c.organisation_id = $1 and c.subject_id = i.subject_id and c.field = i.field and c.state = 'open'
            """,
            tx.organisation,
            by,
            now,
            [dict(zip(("subject_id", "field", "resolution", "undo"), row, strict=True)) for row in rows],
        )


async def reopen(tx: Tx, conflict_id: UUID, by: str) -> None:
    """A decision was undone: what it left is looked at anew."""
    await tx.execute(
        """
        update conflict set state = 'gone', undo = null, updated_at = now(),
            history = history || jsonb_build_array(jsonb_build_object('at', now(), 'what', 'undone', 'by', $3::text))
        where organisation_id = $1 and id = $2
        """,
        tx.organisation,
        conflict_id,
        by,
    )


_COLUMNS = """id, kind, state, subject_id, field, connection_id, variant_id, why, base, ours, theirs, ours_by, ours_at,
    theirs_at, sources, suggestion, risk, history, created_at, updated_at, resolved_at, resolved_by, resolution, undo"""


async def by_ids(tx: Tx, ids: Sequence[UUID], *, lock: bool = False) -> list[Any]:
    """Return these conflicts, by id."""
    return await tx.fetch(
        f"select {_COLUMNS} from conflict where organisation_id = $1 and id = any($2::uuid[]) order by id"
        f"{' for no key update' if lock else ''}",
        tx.organisation,
        ids,
    )


async def similar_to(tx: Tx, like: Any, limit: int) -> list[UUID]:
    """Return the open conflicts of the same kind, field, connection and cause, the riskiest first."""
    rows = await tx.fetch(
        "select id from conflict where organisation_id = $1 and state = 'open' and kind = $2 and field = $3"
        " and connection_id is not distinct from $4 and why = $5 order by risk desc, id desc limit $6",
        tx.organisation,
        like["kind"],
        like["field"],
        like["connection_id"],
        like["why"],
        limit,
    )
    return [row[0] for row in rows]


async def past(tx: Tx, connection_id: UUID | None, fields: Sequence[str], limit: int = 200) -> list[Any]:
    """Return what people decided last for each of these fields on a connection (None: on every one)."""
    return await tx.fetch(
        f"""
        select {_COLUMNS} from (
            select *, row_number() over (partition by field order by resolved_at desc) as n from conflict
            where organisation_id = $1 and state = 'resolved' and ($2::uuid is null or connection_id = $2)
              and field = any($3::text[]) and resolution->>'by' = 'person') c
        where n <= $4 order by resolved_at desc
        """,
        tx.organisation,
        connection_id,
        fields,
        limit,
    )


async def contested_elsewhere(tx: Tx, connection_id: UUID, variant_ids: Sequence[UUID]) -> list[Any]:
    """Return (variant, field, theirs, source) of the open conflicts of these variants on other connections."""
    return await tx.fetch(
        "select variant_id, field, theirs, sources->'theirs'->>'name' as source from conflict"
        " where organisation_id = $1 and state = 'open' and variant_id = any($2::uuid[]) and connection_id <> $3"
        " order by connection_id",
        tx.organisation,
        variant_ids,
        connection_id,
    )


async def open_of(tx: Tx, connection_id: UUID | None, field: str, limit: int = 1000) -> list[Any]:
    """Return the open conflicts of a field on a connection (None: on every one), not those that swing."""
    return await tx.fetch(
        f"select {_COLUMNS} from conflict where organisation_id = $1 and state = 'open' and field = $3"
        " and ($2::uuid is null or connection_id = $2) and why in ('both_changed', 'never_agreed')"
        " order by risk desc, id desc limit $4",
        tx.organisation,
        connection_id,
        field,
        limit,
    )
