"""Stock as files: every list as CSV, and CSV files taken in."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Path, Query
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from entrepot.allocation import csv_out as allocation_csv
from entrepot.api.answers import Input, Resource, respond
from entrepot.api.dependencies import Call, CallDep
from entrepot.api.resources.jobs import JobResource
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.jobs.facade import JobState
from entrepot.stock import csv_out, files

PROBLEMS_SHOWN = 1_000


class StockFile(Input):
    """A CSV file. `countId`: the sheet that a count belongs to; `dryRun`: say what it would do, and do nothing."""

    kind: Literal["stock", "count", "suppliers", "purchase-orders"]
    data: Annotated[str, Field(min_length=1, max_length=files.CHARACTERS_MAX)]
    count_id: UUID | None = None
    dry_run: bool = False
    name: Annotated[str, Field(max_length=200, description="What the file is called, for the list of jobs")] = ""


class FileProblem(Resource):
    """A row that was not taken. `row` counts from 1, the header being row 1."""

    row: int
    sku: str
    problem: str


class FileReport(Resource):
    """What a file did so far: rows read, rows taken, documents made, rows that were not taken, and its job.

    `problems` are the first 1,000 of `problemCount`; the others are in the file at `/v1/stock-files/{job id}/problems`.
    """

    rows: int
    done: int
    made: list[UUID]
    problems: list[FileProblem]
    problem_count: int
    dry_run: bool
    job: JobResource


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
    return _sent(call, found)


def _sent(call: Call, found: csv_out.Export) -> Response:
    text = csv_out.text_of(call.services.database, call.actor.organisation_id, found)
    headers = {"Content-Disposition": f'attachment; filename="{found.name}.csv"'}
    return StreamingResponse(text, media_type="text/csv; charset=utf-8", headers=headers)


async def take_in(body: StockFile, call: CallDep) -> Response:
    """Take a CSV file in; rows with errors are reported, the others are taken.

    Up to some thousand rows are taken in at once and the answer is the report (200). A larger file becomes a background job:
    the answer is 202, and `GET /v1/stock-files/{job id}` tells how far it is.
    """

    organisation = await identity.get_organisation(call.services.database, call.actor.organisation_id)
    found = await files.take_in(
        call.services.database, call.actor, body.kind, body.data, currency=organisation.currency,
        count_id=body.count_id, dry_run=body.dry_run, name=body.name.replace("\x00", ""),
    )  # fmt: skip
    async with call.transaction() as tx:
        return respond(await _report(tx, found), 200 if found.job.state is JobState.DONE else 202)


async def get_file(job_id: UUID, call: CallDep) -> Response:
    """Return how far a stock file is, and its report."""
    async with call.transaction() as tx:
        return respond(await _report(tx, await files.view(tx, job_id)))


async def cancel_file(job_id: UUID, call: CallDep) -> Response:
    """Stop a stock file after its present part. What was taken in until then stays."""
    async with call.transaction() as tx:
        return respond(await _report(tx, await files.stop(tx, call.actor, job_id)))


async def problems(job_id: UUID, call: CallDep) -> Response:
    """Return all rows of a stock file that were not taken, as CSV."""
    async with call.transaction() as tx:
        await files.view(tx, job_id)
    return _sent(call, files.problems_file(job_id))


async def _report(tx: Tx, found: files.FileView) -> FileReport:
    shown: list[FileProblem] = []
    cursor: str | None = None
    while len(shown) < PROBLEMS_SHOWN:
        part = await files.problems(tx, found.job.id, cursor)
        shown += [FileProblem.model_validate(each) for each in part]
        cursor = part.next_cursor
        if cursor is None:
            break
    return FileReport(
        rows=found.rows, done=found.done, made=list(found.made), problems=shown[:PROBLEMS_SHOWN],
        problem_count=found.problems, dry_run=found.dry_run, job=JobResource.model_validate(found.job),
    )  # fmt: skip
