"""Statements of bulk edits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.errors import NotFound
from entrepot.kernel.paging import Slice, bounded, decode_cursor, slice_of

_COLUMNS = """
    id, actor, selection, changes, state, changed, unchanged, problems, undone, left_alone, job_id, undo_job_id, end_listings,
    created_at
"""


class BulkEditNotFound(NotFound):
    """There is no such bulk edit."""


@dataclass(frozen=True, slots=True)
class BulkEdit:
    """A bulk edit: running, done, undoing or undone. Counts of products; `left_alone`: not undone, as changed since.

    `end_listings`: the listings of products that it archives end as well.
    """

    id: UUID
    actor: str
    selection: Mapping[str, Any]
    changes: Sequence[Mapping[str, str]]
    state: str
    changed: int
    unchanged: int
    problems: int
    undone: int
    left_alone: int
    job_id: UUID | None
    undo_job_id: UUID | None
    end_listings: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one product."""

    product_id: UUID
    title: str
    state: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    note: str


async def insert(
    tx: Tx, id: UUID, actor: str, selection: Mapping[str, Any], changes: Sequence[Mapping[str, str]], job_id: UUID,
    *, end_listings: bool,
) -> None:  # fmt: skip
    """Write a bulk edit that starts."""
    await tx.execute(
        "insert into bulk_edit (organisation_id, id, actor, selection, changes, job_id, end_listings)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        tx.organisation,
        id,
        actor,
        selection,
        changes,
        job_id,
        end_listings,
    )


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> BulkEdit:
    """Return a bulk edit; with `lock` nobody else changes it until the end. Raises BulkEditNotFound."""
    row = await tx.fetch_row(
        f"select {_COLUMNS} from bulk_edit where organisation_id = $1 and id = $2{' for update' if lock else ''}",
        tx.organisation,
        id,
    )
    if row is None:
        raise BulkEditNotFound
    return BulkEdit(**dict(row))


async def list_bulk_edits(tx: Tx, cursor: str | None = None, limit: int = 50) -> Slice[BulkEdit]:
    """Return bulk edits, newest first. Raises InvalidCursor."""
    limit = bounded(limit)
    before = decode_cursor(cursor, UUID)
    rows = await tx.fetch(
        f"""select {_COLUMNS} from bulk_edit where organisation_id = $1 and ($2::uuid is null or id < $2)
            order by id desc limit $3""",
        tx.organisation,
        before[0] if before else None,
        limit + 1,
    )
    items = [BulkEdit(**dict(row)) for row in rows]
    return slice_of(items, limit, (items[limit - 1].id,) if len(items) > limit else None)


async def list_items(
    tx: Tx, id: UUID, state: str | None = None, cursor: str | None = None, limit: int = 50
) -> Slice[Item]:
    """Return what became of each product that was changed or could not be. Raises InvalidCursor."""
    limit = bounded(limit)
    after = decode_cursor(cursor, UUID)
    rows = await tx.fetch(
        """select i.product_id, p.title, i.state, i.before, i.after, i.note from bulk_edit_item i
           join product p on p.organisation_id = $1 and p.id = i.product_id
           where i.organisation_id = $1 and i.bulk_edit_id = $2 and ($3::text is null or i.state = $3)
             and ($4::uuid is null or i.product_id > $4) order by i.product_id limit $5""",
        tx.organisation,
        id,
        state,
        after[0] if after else None,
        limit + 1,
    )
    items = [Item(**dict(row)) for row in rows]
    return slice_of(items, limit, (items[limit - 1].product_id,) if len(items) > limit else None)


async def changed_items(tx: Tx, id: UUID, limit: int) -> list[Item]:
    """Return the next items that are to be undone."""
    return list(await list_items(tx, id, "changed", None, limit))


async def add_items(
    tx: Tx, id: UUID, items: Sequence[tuple[UUID, str, Mapping[str, Any], Mapping[str, Any], str]]
) -> None:
    """Keep what was done to products: (product, state, before, after, note)."""
    await tx.execute(
        """insert into bulk_edit_item (organisation_id, bulk_edit_id, product_id, state, before, after, note)
           select $1, $2, i.* from unnest($3::uuid[], $4::text[], $5::jsonb[], $6::jsonb[], $7::text[]) as i""",
        tx.organisation,
        id,
        *([item[place] for item in items] for place in range(5)),
    )


async def mark_items(tx: Tx, id: UUID, told: Sequence[tuple[UUID, str, str]]) -> None:
    """Keep what an undo did: (product, state, note)."""
    await tx.execute(
        """update bulk_edit_item b set state = i.state, note = i.note
           from unnest($3::uuid[], $4::text[], $5::text[]) as i(product_id, state, note)
           where b.organisation_id = $1 and b.bulk_edit_id = $2 and b.product_id = i.product_id""",
        tx.organisation,
        id,
        *([each[place] for each in told] for place in range(3)),
    )


async def count(
    tx: Tx, id: UUID, *, changed: int = 0, unchanged: int = 0, problems: int = 0, undone: int = 0, left_alone: int = 0
) -> None:
    """Add to the counts."""
    await tx.execute(
        """update bulk_edit set changed = changed + $3, unchanged = unchanged + $4, problems = problems + $5,
               undone = undone + $6, left_alone = left_alone + $7
           where organisation_id = $1 and id = $2""",
        tx.organisation,
        id,
        changed,
        unchanged,
        problems,
        undone,
        left_alone,
    )


async def finish(tx: Tx, id: UUID, state: str) -> None:
    """Say that a bulk edit is done or undone."""
    await tx.execute(
        "update bulk_edit set state = $3 where organisation_id = $1 and id = $2", tx.organisation, id, state
    )


async def begin_undo(tx: Tx, id: UUID, job_id: UUID) -> None:
    """Say that a bulk edit is being undone."""
    await tx.execute(
        "update bulk_edit set state = 'undoing', undo_job_id = $3 where organisation_id = $1 and id = $2",
        tx.organisation,
        id,
        job_id,
    )


async def of_job(tx: Tx, job_id: UUID) -> UUID:
    """Return the bulk edit that a job does or undoes. Raises BulkEditNotFound."""
    found: UUID | None = await tx.fetch_value(
        "select id from bulk_edit where organisation_id = $1 and (job_id = $2 or undo_job_id = $2)",
        tx.organisation,
        job_id,
    )
    if found is None:
        raise BulkEditNotFound
    return found
