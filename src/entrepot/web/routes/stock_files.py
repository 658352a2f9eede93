"""Stock files: looked at or taken in as background jobs, how far they are, which rows were not taken."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.identity.facade import Scope
from entrepot.jobs.facade import JobHasEnded
from entrepot.kernel.errors import EntrepotError, InvalidInput
from entrepot.stock import files
from entrepot.web.routes.stock_places import send_file
from entrepot.web.services import PageServices
from entrepot.web.visit import Visit, page, upload_of

FILE_BYTES_MAX = 64 * 1024 * 1024
PROBLEMS_SHOWN = 100
FILES = {
    "stock": "Stock levels: sku, location, and on_hand or delta",
    "suppliers": "Suppliers: name, email, lead_time_days, sku, supplier_sku, cost, pack_units, preferred",
    "purchase-orders": "Purchase orders: supplier, location, sku, quantity, cost",
}


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of stock files; they come before those of one SKU."""
    read, write = Scope.STOCK_READ, Scope.STOCK_WRITE
    return [
        Route("/stock/files", page(services, form, write), methods=["GET"]),
        Route("/stock/files", page(services, take_in, write), methods=["POST"]),
        Route("/stock/files/{job_id}", page(services, progress, read), methods=["GET"]),
        Route("/stock/files/{job_id}/problems.csv", page(services, problems_file, read), methods=["GET"]),
        Route("/stock/files/{job_id}/cancel", page(services, cancel, write), methods=["POST"]),
    ]


async def form(visit: Visit) -> Response:
    """The form."""
    return await _form(visit)


async def _form(visit: Visit, error: str = "", chosen: str = "") -> Response:
    chosen = chosen or visit.parameter("kind") or "stock"
    status = 422 if error else 200
    return await visit.page("stock_files.html", status=status, tab="files", kinds=FILES, error=error, chosen=chosen)


async def take_in(visit: Visit) -> Response:
    """Look at a file, or take it in; a large one goes on in the background."""
    fields = await visit.form()
    kind = fields.get("kind", "")
    try:
        name, text = await uploaded_text(visit)
        found = await files.take_in(
            visit.services.database, visit.actor, kind, text, currency=visit.organisation.currency,
            dry_run=fields.get("do") != "import", name=name,
        )  # fmt: skip
    except EntrepotError as error:
        return await _form(visit, error.detail, kind)
    return visit.go(f"/stock/files/{found.job.id}")


async def progress(visit: Visit) -> Response:
    """How far a file is, or what it did; the page asks for it again while it goes on."""
    async with visit.transaction() as tx:
        found = await files.view(tx, visit.id_of("job_id"))
        problems = await files.problems(tx, found.job.id, None, PROBLEMS_SHOWN)
    shown: dict[str, Any] = {"file": found, "problems": problems}
    if visit.is_partial:
        return visit.part("stock_file_part.html", **shown)
    return await visit.page("stock_file.html", tab="files", error="", **shown)


async def problems_file(visit: Visit) -> Response:
    """All rows that were not taken."""
    async with visit.transaction() as tx:
        found = await files.view(tx, visit.id_of("job_id"))
    return await send_file(visit, files.problems_file(found.job.id))


async def cancel(visit: Visit) -> Response:
    """Stop a file; what was taken in until then stays."""
    job_id = visit.id_of("job_id")
    async with visit.transaction() as tx:
        try:
            await files.stop(tx, visit.actor, job_id)
            said = "It stops after the part it is at."
        except JobHasEnded:
            said = "It was through already."
    return visit.go(f"/stock/files/{job_id}", said)


async def uploaded_text(visit: Visit) -> tuple[str, str]:
    """Return name and text of the uploaded file. Raises InvalidInput."""
    upload = upload_of(await visit.files(), "file")
    data = await upload.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise InvalidInput(f"The file is larger than {FILE_BYTES_MAX // 1024 // 1024} MB: send it in parts.")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return upload.filename or "", data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InvalidInput("The file is not text in UTF-8. Save it as CSV UTF-8.")
