"""What people see of imports: one, a list, and what they changed as files."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import msgspec

from entrepot.catalog.files.cells import guarded
from entrepot.catalog.files.contracts import Look, RowProblem
from entrepot.catalog.files.reading import open_table
from entrepot.database.pool import Database, Tx
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobNotFound, JobView
from entrepot.kernel.paging import Slice, bounded, decode_cursor, slice_of
from entrepot.sync.importing import store
from entrepot.sync.importing.contracts import (
    ChangedProduct,
    Counts,
    FileIsGone,
    ImportDetail,
    ImportNotFound,
    ImportOptions,
    NotATable,
    Stage,
)
from entrepot.sync.importing.files import stored_file

PAGE = 1_000


async def import_detail(tx: Tx, import_id: UUID) -> ImportDetail:
    """Return an import, by its id or that of one of its jobs. Raises ImportNotFound."""
    row = await store.read(tx, import_id)
    if row is None:
        raise ImportNotFound
    return await detail_of(tx, row)


async def detail_of(tx: Tx, row: Any) -> ImportDetail:
    """Return the import of a row."""
    job: JobView | None = None
    if row["job_ids"]:
        try:
            job = await jobs.detail(tx, row["job_ids"][-1])
        except JobNotFound:
            job = None  # Ended jobs are deleted sooner than imports.
    return ImportDetail(
        row["id"], row["name"], row["source"], msgspec.convert(row["options"], ImportOptions),
        msgspec.convert(row["look"], Look), row["size_bytes"], Stage(row["stage"]), row["position"],
        msgspec.convert(row["counts"], Counts), row["error"], row["actor"]["name"],
        f"{row['actor']['kind']}:{row['actor']['id']}", row["created_at"],
        row["finished_at"], row["has_file"], job,
    )  # fmt: skip


async def list_imports(tx: Tx, cursor: str | None = None, limit: int = 20) -> Slice[ImportDetail]:
    """Return imports, the newest first. Raises InvalidCursor."""
    limit = bounded(limit)
    after = decode_cursor(cursor, UUID)
    rows = await store.latest(tx, UUID(str(after[0])) if after else None, limit + 1)
    items = [await detail_of(tx, row) for row in rows[: limit + 1]]
    return slice_of(items, limit, (items[limit - 1].id,) if len(items) > limit else None)


def check_rows(found: ImportDetail) -> None:
    """See that the rows to mend can be given. Raises FileIsGone, NotATable."""
    if "json" in found.look.format or found.source == "channel":
        raise NotATable
    if not found.has_file:
        raise FileIsGone


async def changed_products(
    tx: Tx, import_id: UUID, after: int = 0, limit: int = 50, outcome: str | None = None
) -> list[ChangedProduct]:
    """Return what an import does with products, in the order of the file, from just after that number on."""
    rows = await store.changes(tx, import_id, after, limit, outcome)
    return [
        ChangedProduct(**{**dict(row), "changes": tuple(tuple(change) for change in row["changes"])}) for row in rows
    ]


async def problems_of(tx: Tx, import_id: UUID, limit: int = 100) -> list[RowProblem]:
    """Return the first problems of an import by row."""
    return await store.problems(tx, import_id, -1, limit)


async def changes_csv(database: Database, organisation_id: UUID, import_id: UUID) -> AsyncIterator[str]:
    """Yield all that an import changes as CSV, a line for each field."""
    yield _lines([("product", "title", "outcome", "sku", "field", "before", "after")])
    after = 0
    while True:
        async with database.transaction(organisation_id) as tx:
            found = await changed_products(tx, import_id, after, PAGE)
        yield _lines(
            [
                (each.handle, each.title, each.outcome, *change)
                for each in found
                for change in (each.changes or (("", "", "", ""),))
            ]
        )
        if len(found) < PAGE:
            return
        after = found[-1].number


async def problems_csv(database: Database, organisation_id: UUID, import_id: UUID) -> AsyncIterator[str]:
    """Yield all problems of an import as CSV."""
    yield _lines([("row", "sku", "column", "value", "problem", "how to mend it")])
    async for found in _problems(database, organisation_id, import_id):
        yield _lines([(str(p.row), p.sku, p.column, p.value, p.problem, p.remedy) for p in found])


async def rows_csv(database: Database, organisation_id: UUID, import_id: UUID) -> AsyncIterator[str]:
    """Yield the rows of the file that have a problem, as a file that can be mended and sent again by itself.

    Two columns say what is wrong; they are left out when it is read. Raises FileIsGone, UnknownFormat.
    """
    wrong: dict[int, str] = {}
    async for found in _problems(database, organisation_id, import_id):
        for p in found:
            wrong[p.row] = " ".join(filter(None, (wrong.get(p.row), p.problem, p.remedy)))
    with await stored_file(database, organisation_id, import_id) as stream:
        table = await asyncio.to_thread(open_table, stream)
        width = len(table.heads)
        yield _lines([(*table.heads, "Row in the file sent", "What to mend")])

        def some() -> list[Sequence[str]]:
            chosen: list[Sequence[str]] = []
            for number, row in table.rows:
                if number in wrong:
                    chosen.append((*(row + [""] * width)[:width], str(number), wrong[number]))
                    if len(chosen) == PAGE:
                        break
            return chosen

        while chosen := await asyncio.to_thread(some):
            # As they came: what is guarded in the file is guarded already.
            yield _lines(chosen, guard=False)


async def _problems(database: Database, organisation_id: UUID, import_id: UUID) -> AsyncIterator[list[RowProblem]]:
    after = -1
    while True:
        async with database.transaction(organisation_id) as tx:
            found = await store.problems(tx, import_id, after, PAGE)
        whole = len(found) < PAGE
        if not whole:
            # The last row may have more problems than this page holds.
            found = [p for p in found if p.row < found[-1].row] or found
        yield found
        if whole:
            return
        after = found[-1].row


def _lines(rows: Sequence[Sequence[str]], *, guard: bool = True) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows([[guarded(c) for c in row] if guard else row for row in rows])
    return out.getvalue()
