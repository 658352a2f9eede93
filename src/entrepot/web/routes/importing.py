"""Products in and out as files: choose a file, see what it would change, let it be done, see how far it is; export."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal, cast
from uuid import UUID

from starlette.datastructures import UploadFile
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from entrepot.catalog.filters import filter_of
from entrepot.channels import facade as channels
from entrepot.channels.contract import Capability
from entrepot.channels.contracts import ConnectionState
from entrepot.identity.facade import Scope
from entrepot.kernel.errors import EntrepotError, InvalidInput, NotFound
from entrepot.stock import reading_papers
from entrepot.sync import importing
from entrepot.sync.importing import FORMATS, ImportDetail, ImportOptions, Source
from entrepot.web.services import PageServices
from entrepot.web.visit import HEADERS, Visit, page, upload_of

SHOWN = 50
PROBLEMS_SHOWN = 100
STOCKS = {
    "new": "For new variants only",
    "set": "Set it as the file says, as a count",
    "leave": "Leave it as it is",
}
"""What an import does with the stock that a file tells."""
DECIMALS = {".": "12.50", ",": "12,50"}


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of import and export; they come before those of one product."""
    write, read = Scope.PRODUCTS_WRITE, Scope.PRODUCTS_READ
    return [
        Route("/products/export", page(services, export, read), methods=["GET"]),
        Route("/products/import", page(services, form, write), methods=["GET"]),
        Route("/products/import", page(services, submit, write), methods=["POST"]),
        Route("/products/import/{import_id}", page(services, progress, read), methods=["GET"]),
        Route("/products/import/{import_id}/files/{name}", page(services, download, read), methods=["GET"]),
        Route("/products/import/{import_id}/apply", page(services, apply, write), methods=["POST"]),
        Route("/products/import/{import_id}/cancel", page(services, cancel, write), methods=["POST"]),
    ]


async def form(visit: Visit) -> Response:
    """The page."""
    return await _form(visit)


async def _form(visit: Visit, error: str = "", chosen: str = "file") -> Response:
    cursor = visit.parameter("cursor")
    async with visit.transaction() as tx:
        imports = await importing.list_imports(tx, cursor or None, 20)
        suppliers = await reading_papers.list_suppliers(tx, limit=250)
        connections = [c for c in await channels.list_all(tx) if c.state is ConnectionState.ACTIVE]
    listing = [c for c in connections if _lists(visit, c.channel)]
    return await visit.page(
        "import.html", status=422 if error else 200, error=error, chosen=chosen, imports=imports, suppliers=suppliers,
        connections=listing, stocks=STOCKS, decimals=DECIMALS, cursor=cursor,
    )  # fmt: skip


def _lists(visit: Visit, channel: str) -> bool:
    return Capability.PULL_LISTINGS in visit.services.find_connector(channel).manifest.capabilities


async def submit(visit: Visit) -> Response:
    """Take a file, pasted rows or a channel; look at it first, or with the button Import take it over."""
    fields = await visit.form()
    source, apply_now = fields.get("source") or "file", fields.get("do") == "import"
    if apply_now:
        visit.actor.require(Scope.STOCK_WRITE)
    try:
        if source == "channel":
            options = ImportOptions(
                visit.organisation.currency, stock=_stock(fields.get("stock")), connection_id=_id(fields, "connection"),
                end_listings=fields.get("end_listings") == "yes",
            )  # fmt: skip
            async with visit.transaction() as tx:
                import_id = await importing.take_from_channel(tx, visit.actor, options, apply=apply_now)
            return visit.go(f"/products/import/{import_id}")
        found = await _taken(visit, fields, source, apply_now=apply_now)
    except EntrepotError as error:
        return await _form(visit, error.detail, source)
    return visit.go(f"/products/import/{found.id}")


async def _taken(visit: Visit, fields: Any, source: str, *, apply_now: bool) -> ImportDetail:
    if source not in ("file", "paste", "supplier"):
        raise InvalidInput(f"{source[:40]!r} is nothing to import from.")
    decimal = cast(Literal[".", ","], fields.get("decimal") or ".")
    if decimal not in DECIMALS:
        raise InvalidInput("The decimal separator is a point or a comma.")
    supplier = _id(fields, "supplier") if source == "supplier" else None
    options = ImportOptions(
        visit.organisation.currency, decimal, _stock(fields.get("stock")), supplier_id=supplier,
        end_listings=fields.get("end_listings") == "yes",
    )  # fmt: skip
    name, data = "Pasted rows", cast(Any, fields.get("rows", ""))
    if source != "paste":
        upload: UploadFile = upload_of(await visit.files(), "file")
        name, data = upload.filename or "", upload.file
    elif not data:
        raise InvalidInput("Paste some rows first, with the names of the columns above them.")
    return await importing.take_in(
        visit.services.database, visit.actor, data, options, name=name, source=cast(Source, source), apply=apply_now
    )


def _stock(value: str | None) -> Literal["new", "set", "leave"]:
    if (value or "new") not in STOCKS:
        raise InvalidInput("Stock is taken for new variants, set, or left.")
    return cast(Literal["new", "set", "leave"], value or "new")


def _id(fields: Any, name: str) -> UUID:
    try:
        return UUID(fields.get(name, ""))
    except ValueError:
        raise InvalidInput(f"Choose a {name} first.") from None


async def progress(visit: Visit) -> Response:
    """How far an import is, what it changes, what is wrong; the page asks for it again while a job is at it."""
    after = visit.parameter("after")
    start = int(after) if after.isdecimal() and len(after) < 9 else 0
    async with visit.transaction() as tx:
        found = await importing.import_detail(tx, visit.id_of("import_id"))
        changes = await importing.changed_products(tx, found.id, start, SHOWN)
        problems = await importing.problems_of(tx, found.id, PROBLEMS_SHOWN)
    shown: dict[str, Any] = {
        "found": found, "counts": found.counts, "changes": changes, "problems": problems, "shown": SHOWN,
        "start": start, "stocks": STOCKS,
    }  # fmt: skip
    if visit.is_partial:
        return visit.part("import_report.html", **shown)
    return await visit.page("import_one.html", **shown)


async def apply(visit: Visit) -> Response:
    """Make the changes of an import that was looked at, or go on with one that was stopped."""
    visit.actor.require(Scope.STOCK_WRITE)
    async with visit.transaction() as tx:
        found = await importing.go_on(tx, visit.actor, visit.id_of("import_id"), apply=True)
    return visit.go(f"/products/import/{found.id}")


async def cancel(visit: Visit) -> Response:
    """Stop an import; what it did until then stays."""
    async with visit.transaction() as tx:
        found = await importing.stop(tx, visit.actor, visit.id_of("import_id"))
    return visit.go(f"/products/import/{found.id}", "It stops after the step it is at.")


FILES = {"changes": importing.changes_csv, "problems": importing.problems_csv, "rows": importing.rows_csv}


async def download(visit: Visit) -> Response:
    """All changes, all problems, or the rows to mend, as CSV."""
    name = visit.request.path_params["name"].removesuffix(".csv")
    if name not in FILES:
        raise NotFound
    async with visit.transaction() as tx:
        found = await importing.import_detail(tx, visit.id_of("import_id"))
    if name == "rows":
        importing.check_rows(found)
    text = FILES[name](visit.services.database, visit.organisation.id, found.id)
    return _file(text, f"import-{name}.csv", "text/csv; charset=utf-8")


async def export(visit: Visit) -> Response:
    """Products as a file."""
    format = visit.parameter("format") or "shopify"
    name = importing.file_name(format)
    chosen = filter_of(visit.request.query_params, visit.organisation.currency)
    body = importing.export_products(visit.services.database, visit.organisation.id, format, chosen)
    return _file(body, name, FORMATS[format][2])


def _file(body: AsyncIterator[str] | AsyncIterator[bytes], name: str, media_type: str) -> Response:
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(body, media_type=media_type, headers=headers)
