"""Whole stock files as background jobs, in parts of some hundred rows: how far they are, what was wrong with which row.

Each part is one transaction, so a file that is stopped, or whose worker dies, has been taken in up to some row and goes on from
there. A dry run does each part and takes it back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import msgspec

from entrepot.database.pool import Database, Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobKind, JobRun, JobView
from entrepot.kernel.errors import Conflict, InvalidInput
from entrepot.kernel.paging import Slice, bounded, decode_cursor, slice_of
from entrepot.stock import csv_out, reading_papers, store_files
from entrepot.stock.csv_in import Row, RowProblem, read_rows
from entrepot.stock.documents import WrongState
from entrepot.stock.importing import (
    CHUNK,
    COLUMNS,
    Report,
    import_counts,
    import_levels,
    import_purchases,
    import_suppliers,
)

SMALL = 100_000
"""A file of so many characters is taken in at once by whoever is given it."""
CHARACTERS_MAX = 60_000_000
HERE_FOR = timedelta(seconds=120)
"""How long whoever takes a file in at once has for it before a worker takes it over."""
MADE_KEPT = 1_000


class StockFile(msgspec.Struct, frozen=True):
    """The payload. `currency`: of new suppliers (ISO 4217); `by`: whom movements name; `count_id`: the sheet of a count."""

    kind: str
    currency: str
    by: str
    count_id: UUID | None = None
    dry_run: bool = False


STOCK_FILE = JobKind("stock-file", "Stock file", StockFile)


class _Done(msgspec.Struct):
    """The checkpoint: how many rows are through and what that did; `drafts`: purchase orders that rows are added to."""

    rows: int = 0
    done: int = 0
    problems: int = 0
    made: list[UUID] = []
    drafts: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class FileView:
    """What a file did so far, or (dry run) would do. `problems`: how many rows were not taken; `made`: the first thousand."""

    job: JobView
    rows: int
    done: int
    made: tuple[UUID, ...]
    problems: int
    dry_run: bool


def check(kind: str, text: str, count_id: UUID | None) -> None:
    """Raise InvalidInput, UnknownColumns if this is no such file."""
    if kind not in COLUMNS or (kind == "count") != (count_id is not None):
        raise InvalidInput("A file is one of stock, suppliers, purchase-orders, or count with the id of its sheet.")
    if len(text) > CHARACTERS_MAX:
        raise InvalidInput(
            f"The file has more than {CHARACTERS_MAX // 1_000_000} million characters: send it in parts."
        )
    next(read_rows(text, COLUMNS[kind]), None)


async def take_in(
    database: Database,
    actor: Actor,
    kind: str,
    text: str,
    *,
    currency: str,
    count_id: UUID | None = None,
    dry_run: bool = False,
    name: str = "",
) -> FileView:
    """Take a file in: a small one at once, a larger one in a worker; return how far it is.

    It is the same job either way. Raises InvalidInput, UnknownColumns, DocumentNotFound, WrongState.
    """
    check(kind, text, count_id)
    here = len(text) <= SMALL
    title = f"{'Look at' if dry_run else 'Stock file'}: {name[:100] or kind}"
    async with database.transaction(actor.organisation_id) as tx:
        if count_id is not None:
            sheet = await reading_papers.count_sheet(tx, count_id)
            if sheet.state != "open":
                raise WrongState(f"This count is {sheet.state}: nothing is counted on it any more.")
        job_id = await jobs.enqueue(
            tx,
            STOCK_FILE,
            StockFile(kind, currency, actor.reference, count_id, dry_run),
            actor=actor.name,
            title=title,
            # PostgreSQL's text cannot hold it.
            text=text.replace("\x00", ""),
            after=HERE_FOR if here else timedelta(0),
        )
        if not dry_run:
            after = {"characters": len(text), "file": name}
            await identity.record(tx, actor, f"stock-file.{kind}", "job", job_id, None, after)
    if here:
        await jobs.perform(database, STOCK_FILE, take_file_in, actor.organisation_id, job_id)
    async with database.transaction(actor.organisation_id) as tx:
        return await view(tx, job_id)


async def take_file_in(run: JobRun[StockFile]) -> Mapping[str, Any]:
    """Do the job, each part in one step, so that a row counts once however often the job is taken up."""
    text = await run.text()
    done = msgspec.convert(run.checkpoint or {}, _Done)
    total = max(1, text.count("\n"))
    # How far the rows were is told by their count, as reading is quick.
    rows = islice(read_rows(text, COLUMNS[run.payload.kind]), done.rows, None)
    while part := list(islice(rows, CHUNK)):
        async with run.step() as step:
            report = await _part(step.tx, run.payload, part, done)
            await store_files.put_problems(step.tx, run.job_id, report.problems)
            done.rows += len(part)
            done.done += report.done
            done.problems += len({problem.row for problem in report.problems})
            done.made = [*done.made, *(() if run.payload.dry_run else report.made)][:MADE_KEPT]
            step.done, step.total = done.rows, max(total, done.rows)
            step.words = f"{done.rows:,} of {step.total:,} rows"
            step.checkpoint = msgspec.to_builtins(done)
    result: dict[str, Any] = msgspec.to_builtins(done)
    return result


async def _part(tx: Tx, file: StockFile, rows: Sequence[Row], done: _Done) -> Report:
    if not file.dry_run:
        return await _take(tx, file, rows, done.drafts)
    await tx.execute("savepoint dry_run")
    report = await _take(tx, file, rows, {})
    await tx.execute("rollback to savepoint dry_run")
    return report


async def _take(tx: Tx, file: StockFile, rows: Sequence[Row], drafts: dict[str, str]) -> Report:
    try:
        match file.kind:
            case "stock":
                return await import_levels(tx, rows, actor=file.by)
            case "suppliers":
                return await import_suppliers(tx, rows, currency=file.currency)
            case "purchase-orders":
                return await import_purchases(tx, rows, drafts, actor=file.by)
            case _:
                assert file.count_id is not None
                return await import_counts(tx, file.count_id, rows, actor=file.by)
    except Conflict as error:
        # A sheet that was closed meanwhile stays closed: said at once, not tried again.
        raise InvalidInput(error.detail) from None


async def view(tx: Tx, job_id: UUID) -> FileView:
    """Return how far a file is, and what it did. Raises JobNotFound, also for a job that is no stock file."""
    job = await jobs.detail(tx, job_id)
    if job.kind != STOCK_FILE.name:
        raise jobs.JobNotFound
    done = msgspec.convert(job.result or job.checkpoint or {}, _Done)
    dry_run = await store_files.is_dry_run(tx, job_id)
    return FileView(job, done.rows, done.done, tuple(done.made), done.problems, dry_run)


async def problems(tx: Tx, job_id: UUID, cursor: str | None = None, limit: int = 250) -> Slice[RowProblem]:
    """Return the rows of a file that were not taken, in order. Raises InvalidCursor."""
    limit = bounded(limit)
    after = decode_cursor(cursor, int)
    row = after[0] if after else 0
    rows = await store_files.problems(tx, job_id, row if isinstance(row, int) else 0, limit + 1)
    found = [RowProblem(*row) for row in rows]
    return slice_of(found, limit, (found[limit - 1].row,) if len(found) > limit else None)


def problems_file(job_id: UUID) -> csv_out.Export:
    """Return those rows as a file. The caller has made sure that there is such a job."""
    columns: dict[str, Callable[[RowProblem], Any]] = {
        "row": lambda each: each.row,
        "sku": lambda each: each.sku,
        "problem": lambda each: each.problem,
    }
    return csv_out.Export("rows-not-taken", columns, lambda tx, cursor: problems(tx, job_id, cursor))


async def stop(tx: Tx, actor: Actor, job_id: UUID) -> FileView:
    """Stop a file after its present part; what was taken in until then stays. Raises JobNotFound, JobHasEnded."""
    await view(tx, job_id)
    job = await jobs.cancel(tx, job_id)
    await identity.record(tx, actor, "job.cancel", "job", job_id, after={"kind": job.kind})
    return await view(tx, job_id)
