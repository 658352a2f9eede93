"""Many products at once: a CSV file, or a list."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from starlette.responses import Response

from entrepot.api.amounts import Amount, Currency, SkuText, Text10k, Text255
from entrepot.api.answers import Answer, Input, Resource, answer, once_outside
from entrepot.api.dependencies import CallDep
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.sync.importing import import_products

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
    """What the import did, or would do. `created` and `updated` count variants."""

    rows: int
    products: int
    created: int
    updated: int
    stock_set: int
    problems: list[RowProblemView]
    dry_run: bool


class Imported(Resource):
    """The report of an import. Sending the same again creates nothing twice."""

    # The name in JSON is `import`, which Python keeps for itself.
    report: Annotated[ImportView, Field(alias="import")]


async def bulk_import(body: ImportInput, call: CallDep) -> Response:
    """Import products: rows with an error are reported and left out, the others are taken over."""
    call.actor.require(Scope.STOCK_WRITE)

    async def work() -> Answer:
        async with call.transaction() as tx:
            currency = (await identity.organisation_of(tx)).currency
        text = body.data if isinstance(body.data, str) else _as_csv(body.data)
        report = await import_products(
            call.services.database, call.actor.organisation_id, text.replace("\x00", ""),
            currency=currency, actor=call.actor.reference, dry_run=body.dry_run,
        )  # fmt: skip
        if not body.dry_run:
            after = {"rows": report.rows, "created": report.created, "updated": report.updated}
            async with call.transaction() as tx:
                await identity.record(tx, call.actor, "product.import", "product", "", after=after)
        return answer(Imported(report=ImportView.model_validate(report)))

    return await once_outside(call, work)


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
