"""Stock as files: every list as CSV, and CSV files taken in."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Path, Query
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from entrepot.allocation import csv_out as allocation_csv
from entrepot.api.answers import Answer, Input, Resource, answer, once, respond
from entrepot.api.dependencies import CallDep
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.stock import csv_out, importing


class StockFile(Input):
    """A CSV file. `countId`: the sheet that a count belongs to; `dryRun`: say what it would do, and do nothing."""

    kind: Literal["stock", "count", "suppliers", "purchase-orders"]
    data: Annotated[str, Field(min_length=1, max_length=20_000_000)]
    count_id: UUID | None = None
    dry_run: bool = False


class FileProblem(Resource):
    """A row that was not taken. `row` counts from 1, the header being row 1."""

    row: int
    sku: str
    problem: str


class FileReport(Resource):
    """What a file did: rows taken, documents made, rows that were not taken."""

    rows: int
    done: int
    made: list[UUID]
    problems: list[FileProblem]
    dry_run: bool


async def export(
    name: Annotated[str, Path(json_schema_extra={"enum": [*csv_out.LISTS, *allocation_csv.LISTS]})],
    call: CallDep,
    state: Annotated[str, Query(max_length=50, description="As the list itself has it")] = "",
    q: Annotated[
        str, Query(max_length=200, description="Narrows lists of allocation, such as to SKUs that begin so")
    ] = "",
) -> Response:
    """Return a list as CSV."""
    listed = allocation_csv.LISTS.get(name)
    found = listed(call.services.learning, q) if listed else csv_out.named(name, state)
    async with call.transaction() as tx:
        # So that a wrong state is an error, not half a file.
        await found.fetch(tx, None)
    text = csv_out.text_of(call.services.database, call.actor.organisation_id, found)
    headers = {"Content-Disposition": f'attachment; filename="{found.name}.csv"'}
    return StreamingResponse(text, media_type="text/csv; charset=utf-8", headers=headers)


async def take_in(body: StockFile, call: CallDep) -> Response:
    """Take a CSV file in; rows with errors are reported, the others are taken."""
    organisation = await identity.get_organisation(call.services.database, call.actor.organisation_id)
    work = importing.importer(
        body.kind, body.data, currency=organisation.currency, count_id=body.count_id, actor=call.actor.reference
    )
    if body.dry_run:
        report = await importing.try_out(call.services.database, call.actor.organisation_id, work)
        return respond(_report(report, dry_run=True))

    async def inside(tx: Tx) -> Answer:
        done = await work(tx)
        after = {"rows": done.rows, "done": done.done, "problems": len(done.problems)}
        await identity.record(tx, call.actor, f"stock-file.{body.kind}", "file", body.count_id or "", None, after)
        return answer(_report(done, dry_run=False))

    return await once(call, inside)


def _report(report: importing.Report, *, dry_run: bool) -> FileReport:
    problems = [FileProblem.model_validate(problem) for problem in report.problems[:1000]]
    made = [] if dry_run else report.made
    return FileReport(rows=report.rows, done=report.done, made=made, problems=problems, dry_run=dry_run)
