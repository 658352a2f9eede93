"""Many products at once: a file, a list, a channel's listings, a supplier's price list; and products as a file."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import Path, Query
from pydantic import Field, model_validator
from starlette.responses import Response, StreamingResponse

from entrepot.api.amounts import Amount, Currency, SkuText, Text10k, Text255
from entrepot.api.answers import Answer, Input, Resource, answer, once, respond
from entrepot.api.dependencies import Call, CallDep
from entrepot.api.paging import PagingDep
from entrepot.api.resources.jobs import JobResource
from entrepot.catalog.filters import STATUSES, ProductFilter
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.jobs.facade import JobState
from entrepot.kernel.errors import InvalidInput
from entrepot.sync import importing
from entrepot.sync.importing import FORMATS, ImportDetail, ImportOptions, Stage

ROWS_MAX = 100_000
PROBLEMS_SHOWN = 1_000
Stock = Annotated[
    Literal["new", "set", "leave"],
    Field(description="Take stock for new variants only, set it for all that are told, or leave it"),
]
EndListings = Annotated[
    bool, Field(description="Products that the import archives end on their channels as well, as gently as each can")
]
DecimalMark = Annotated[Literal[".", ","], Field(description="What separates the fraction of amounts")]


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
    """`data`: for `csv` the text of a file (CSV or JSON), for `excel` an .xlsx file in base64, for `api` a list,
    for `supplier` the text of a price list; whose it is says `supplierId`, or a column `supplier` with names."""

    source: Literal["csv", "excel", "api", "supplier"]
    data: str | Annotated[list[Row], Field(max_length=ROWS_MAX)]
    dry_run: Annotated[bool, Field(description="Only say what would be done")] = False
    decimal: DecimalMark = "."
    stock: Stock = "new"
    end_listings: EndListings = True
    supplier_id: UUID | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if isinstance(self.data, str) == (self.source == "api"):
            raise ValueError("`data` is a list for `api` and text for the others.")
        if self.supplier_id is not None and self.source != "supplier":
            raise ValueError("`supplierId` belongs to the source `supplier`.")
        return self


class ChannelImportInput(Input):
    """What a connection lists is read and compared; with `dryRun` false it is taken over at once."""

    connection_id: UUID
    dry_run: bool = True
    stock: Stock = "new"
    end_listings: EndListings = True


class RowProblemView(Resource):
    """What is wrong with a row. `row` counts from 1, the header of a file being row 1."""

    row: int
    sku: str
    problem: str
    column: str = ""
    value: str = ""
    remedy: str = ""


class ColumnView(Resource):
    """A column of the file; `meaning` is empty where it is left out."""

    head: str
    meaning: str


class ImportView(Resource):
    """What the import did so far, or would do.

    `created`, `updated`: variants made and changed; `new`, `changed`, `unchanged`, `refused`, `archived`: products. `problems`
    holds the first 1,000, `problemCount` counts all. `stage`: new, read, looking, looked (a dry run is through), applying,
    applied, refused.
    """

    id: UUID
    name: str
    source: str
    stage: str
    format: str
    columns: list[ColumnView]
    rows: int
    products: int
    new: int
    changed: int
    unchanged: int
    refused: int
    archived: int
    created: int
    updated: int
    stock_set: int
    problems: list[RowProblemView]
    problem_count: int
    dry_run: bool
    error: str
    actor: str
    created_at: datetime
    finished_at: datetime | None


class Imported(Resource):
    """An import, and the job that is or was at it. Sending the same file again changes nothing."""

    # The name in JSON is `import`, which Python keeps for itself.
    report: Annotated[ImportView, Field(alias="import")]
    job: JobResource | None = None


class Imports(Resource):
    """Imports, the newest first, without their problems."""

    imports: list[ImportView]
    next_cursor: str | None = None


class ChangeView(Resource):
    """A field that is changed, as text. `sku` is empty where it is the product's own."""

    sku: str
    field: str
    before: str
    after: str


class ChangedProductView(Resource):
    """What an import does with a product: `new` or `changed`."""

    number: int
    outcome: str
    product_id: UUID | None
    handle: str
    title: str
    changes: list[ChangeView]


class ChangedProducts(Resource):
    """What an import changes, in the order of the file. `nextAfter`: ask for the next ones with it."""

    changes: list[ChangedProductView]
    next_after: int | None = None


async def bulk_import(body: ImportInput, call: CallDep) -> Response:
    """Import products: rows with an error are reported and left out, the others are taken over.

    A small file (about a thousand products) is imported at once and the answer is the report (200). A larger file becomes
    a background job: the answer is 202, and `GET /v1/imports/{id}` tells how far it is.
    """
    call.actor.require(Scope.STOCK_WRITE)

    options = await _options(call, body)
    source: Any = {"csv": "file", "excel": "file", "api": "api", "supplier": "supplier"}[body.source]
    found = await importing.take_in(
        call.services.database, call.actor, _data(body), options, source=source, apply=not body.dry_run
    )
    return (await _answer(call, found)).response()


async def import_channel(body: ChannelImportInput, call: CallDep) -> Response:
    """Read what a connection lists and say what it would change here, or take it over; a worker does it."""
    call.actor.require(Scope.STOCK_WRITE)

    async def inside(tx: Tx) -> Answer:
        currency = (await identity.organisation_of(tx)).currency
        options = ImportOptions(
            currency, stock=body.stock, connection_id=body.connection_id, end_listings=body.end_listings
        )
        import_id = await importing.take_from_channel(tx, call.actor, options, apply=not body.dry_run)
        return answer(await _imported(tx, await importing.import_detail(tx, import_id)), 202)

    return await once(call, inside)


async def list_imports(call: CallDep, paging: PagingDep) -> Response:
    """Return imports, the newest first."""
    async with call.transaction() as tx:
        found = await importing.list_imports(tx, paging.cursor, paging.limit)
    return respond(Imports(imports=[_view(each, ()) for each in found], next_cursor=found.next_cursor))


async def get_import(import_id: UUID, call: CallDep) -> Response:
    """Return how far an import is, and its report once it is done."""
    async with call.transaction() as tx:
        return respond(await _imported(tx, await importing.import_detail(tx, import_id)))


async def apply_import(import_id: UUID, call: CallDep) -> Response:
    """Make the changes of an import that was only looked at, or go on with one that was stopped."""

    async def inside(tx: Tx) -> Answer:
        await importing.import_detail(tx, import_id)
        call.actor.require(Scope.STOCK_WRITE)
        return answer(await _imported(tx, await importing.go_on(tx, call.actor, import_id, apply=True)), 202)

    return await once(call, inside)


async def cancel_import(import_id: UUID, call: CallDep) -> Response:
    """Stop an import after its present step. What it did until then stays; it can be gone on with."""
    async with call.transaction() as tx:
        return respond(await _imported(tx, await importing.stop(tx, call.actor, import_id)))


async def list_changes(
    import_id: UUID,
    call: CallDep,
    after: Annotated[int, Query(ge=0, description="The number of the last product seen")] = 0,
    limit: Annotated[int, Query(ge=1, le=250)] = 50,
) -> Response:
    """Return what an import changes, product by product."""
    async with call.transaction() as tx:
        detail = await importing.import_detail(tx, import_id)
        found = await importing.changed_products(tx, detail.id, after, limit)
    changes = [
        ChangedProductView(
            number=each.number, outcome=each.outcome, product_id=each.product_id, handle=each.handle, title=each.title,
            changes=[ChangeView(sku=s, field=f, before=b, after=a) for s, f, b, a in each.changes],
        )
        for each in found
    ]  # fmt: skip
    return respond(ChangedProducts(changes=changes, next_after=found[-1].number if len(found) == limit else None))


FILES = {
    "changes": importing.changes_csv,
    "problems": importing.problems_csv,
    "rows": importing.rows_csv,
}
"""What there is of an import as CSV: all changes, all problems, the rows to mend."""


async def download(
    import_id: UUID, name: Annotated[str, Path(json_schema_extra={"enum": list(FILES)})], call: CallDep
) -> Response:
    """Return what an import changes (`changes`), its problems (`problems`), or the rows to mend (`rows`) as CSV."""
    if name not in FILES:
        raise InvalidInput(f"There is of an import: {', '.join(FILES)}.")
    async with call.transaction() as tx:
        detail = await importing.import_detail(tx, import_id)
    if name == "rows":
        importing.check_rows(detail)
    text = FILES[name](call.services.database, call.actor.organisation_id, detail.id)
    headers = {"Content-Disposition": f'attachment; filename="import-{name}.csv"'}
    return StreamingResponse(text, media_type="text/csv; charset=utf-8", headers=headers)


async def export_products(
    call: CallDep,
    format: Annotated[str, Query(json_schema_extra={"enum": list(FORMATS)})] = "shopify",
    status: Annotated[str, Query(json_schema_extra={"enum": list(STATUSES)})] = "",
    search: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Return products as a file: Shopify's CSV, a simple CSV, Excel, JSON, or JSON with one product a line."""
    if status and status not in STATUSES:
        raise InvalidInput(f"{status!r} is not a status of a product.")
    name = importing.file_name(format)
    body = importing.export_products(
        call.services.database, call.actor.organisation_id, format, ProductFilter(search, status or None)
    )
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(body, media_type=FORMATS[format][2], headers=headers)


async def _options(call: Call, body: ImportInput) -> ImportOptions:
    async with call.transaction() as tx:
        currency = (await identity.organisation_of(tx)).currency
    return ImportOptions(
        currency, body.decimal, body.stock, supplier_id=body.supplier_id, end_listings=body.end_listings
    )


def _data(body: ImportInput) -> bytes | str:
    if not isinstance(body.data, str):
        return _as_json(body.data)
    if body.source != "excel":
        return body.data
    try:
        return base64.b64decode(body.data, validate=True)
    except ValueError:
        raise InvalidInput("`data` is not base64: send the .xlsx file encoded so.") from None


async def _answer(call: Call, found: ImportDetail) -> Answer:
    async with call.transaction() as tx:
        through = found.stage is Stage.REFUSED or (found.job is not None and found.job.state is JobState.DONE)
        return answer(await _imported(tx, found), 200 if through else 202)


async def _imported(tx: Tx, found: ImportDetail) -> Imported:
    problems = await importing.problems_of(tx, found.id, PROBLEMS_SHOWN)
    job = JobResource.model_validate(found.job) if found.job is not None else None
    return Imported(report=_view(found, problems), job=job)


def _view(found: ImportDetail, problems: Any) -> ImportView:
    c = found.counts
    return ImportView(
        id=found.id, name=found.name, source=found.source, stage=found.stage.value, format=found.look.format,
        columns=[ColumnView(head=head, meaning=meaning) for head, meaning in found.look.columns],
        rows=c.rows, products=c.products, new=c.new, changed=c.changed, unchanged=c.unchanged, refused=c.refused,
        archived=c.archived, created=c.variants_new, updated=c.variants_changed, stock_set=c.stock_set,
        problems=[RowProblemView.model_validate(p) for p in problems], problem_count=c.problems,
        dry_run=found.stage in (Stage.LOOKING, Stage.LOOKED), error=found.error, actor=found.actor,
        created_at=found.created_at, finished_at=found.finished_at,
    )  # fmt: skip


def _as_json(rows: list[Row]) -> str:
    """Return the rows as a JSON file, so that there is one way in."""
    names = ("sku", "title", "price", "currency", "barcode", "description", "vendor", "stock")
    return json.dumps(
        [
            {name: _plain(getattr(row, name)) for name in names if name in row.model_fields_set or name == "title"}
            for row in rows
        ]
    )


def _plain(value: object) -> object:
    return f"{value:f}" if isinstance(value, Decimal) else value
