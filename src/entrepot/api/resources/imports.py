"""Many products at once: a CSV file, or a list; small ones at once, larger ones as a background job."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator
from starlette.responses import Response

from entrepot.api.amounts import Amount, Currency, SkuText, Text10k, Text255
from entrepot.api.answers import Input, Resource, respond
from entrepot.api.dependencies import CallDep
from entrepot.api.resources.jobs import JobResource
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobState, JobView
from entrepot.sync.importing import ImportReport, import_detail, look, report_of, take_in

ROWS_MAX = 100_000


class Row(Input):
    """A product with one variant."""

    sku: SkuText
    title: Annotated[Text255, Field(min_length=1)]
    price: Amount
    currency: Currency | None = None
    barcode: Text255 = ""
    description: Text10k = ""
    vendor: Text255 = ""
    stock: Annotated[int | None, Field(ge=0, le=1_000_000_000)] = None


class ImportInput(Input):
    """`data`: for `csv` the text of the file (Shopify's product CSV, or columns sku, title, price), for `api` a list."""

    source: Literal["csv", "api"]
    data: str | Annotated[list[Row], Field(max_length=ROWS_MAX)]
    dry_run: Annotated[bool, Field(description="Only say what would be done")] = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if isinstance(self.data, str) != (self.source == "csv"):
            raise ValueError("`data` is text for `csv` and a list for `api`.")
        return self


class RowProblemView(Resource):
    """A row that was left out. `row` counts from 1, the header of a file being row 1."""

    row: int
    sku: str
    problem: str


class ImportView(Resource):
    """What the import did so far, or would do. `created` and `updated` count variants.

    `rows` and `problems` are known once it is through; `problemCount` counts those beyond the first 1,000 too.
    """

    rows: int
    products: int
    created: int
    updated: int
    stock_set: int
    problems: list[RowProblemView]
    problem_count: int
    dry_run: bool


class Imported(Resource):
    """The report of an import, and its job (null for a dry run). Sending the same again creates nothing twice."""

    # The name in JSON is `import`, which Python keeps for itself.
    report: Annotated[ImportView, Field(alias="import")]
    job: JobResource | None = None


async def bulk_import(body: ImportInput, call: CallDep) -> Response:
    """Import products: rows with an error are reported and left out, the others are taken over.

    Up to about a thousand products are imported at once and the answer is the report (200). A larger file becomes a
    background job: the answer is 202, and `GET /v1/imports/{job id}` tells how far it is.
    """
    call.actor.require(Scope.STOCK_WRITE)
    async with call.transaction() as tx:
        currency = (await identity.organisation_of(tx)).currency
    text = body.data if isinstance(body.data, str) else _as_csv(body.data)
    if body.dry_run:
        seen = await look(call.services.database, call.actor.organisation_id, text, currency=currency)
        return respond(Imported(report=ImportView.model_validate(seen)))
    job = await take_in(call.services.database, call.actor, text, currency=currency)
    return respond(_imported(job, report_of(job)), 200 if job.state is JobState.DONE else 202)


async def get_import(import_id: UUID, call: CallDep) -> Response:
    """Return how far an import is, and its report once it is done."""
    async with call.transaction() as tx:
        job = await import_detail(tx, import_id)
    return respond(_imported(job, report_of(job)))


async def cancel_import(import_id: UUID, call: CallDep) -> Response:
    """Stop an import after its present step. What it did until then stays; the same file again does the rest."""
    async with call.transaction() as tx:
        await import_detail(tx, import_id)
        job = await jobs.cancel(tx, import_id)
        await identity.record(tx, call.actor, "job.cancel", "job", job.id, after={"kind": job.kind})
    return respond(_imported(job, report_of(job)))


def _imported(job: JobView, report: ImportReport) -> Imported:
    return Imported(report=ImportView.model_validate(report), job=JobResource.model_validate(job))


def _as_csv(rows: list[Row]) -> str:
    """Return the rows as a file of the simple format, so that there is one way in."""
    names = ("sku", "title", "price", "currency", "barcode", "description", "vendor", "stock")
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in names])
    return text.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
