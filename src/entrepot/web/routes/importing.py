"""Bringing in a product file: first a look at what it would do, then the import itself, and how far it is."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import UploadFile
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.jobs import facade as jobs
from entrepot.kernel.errors import EntrepotError, InvalidInput
from entrepot.sync.importing import import_detail, look, report_of, take_in
from entrepot.web.services import PageServices
from entrepot.web.visit import Visit, page, upload_of

FILE_BYTES_MAX = 64 * 1024 * 1024
PROBLEMS_SHOWN = 100


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of the import; they come before those of one product."""
    return [
        Route("/products/import", page(services, form, Scope.PRODUCTS_WRITE), methods=["GET"]),
        Route("/products/import", page(services, submit, Scope.PRODUCTS_WRITE), methods=["POST"]),
        Route("/products/import/{job_id}", page(services, progress, Scope.PRODUCTS_READ), methods=["GET"]),
        Route("/products/import/{job_id}/cancel", page(services, cancel, Scope.PRODUCTS_WRITE), methods=["POST"]),
    ]


async def form(visit: Visit) -> Response:
    """The page."""
    return await _shown(visit)


async def submit(visit: Visit) -> Response:
    """Read the file: a dry run, or with the button Import for real; a large one goes on in the background."""
    fields = await visit.form()
    currency = visit.organisation.currency
    try:
        upload = upload_of(await visit.files(), "file")
        text = await _text(upload)
        if fields.get("do") != "import":
            seen = await look(visit.services.database, visit.organisation.id, text, currency=currency)
            return await _shown(visit, report=seen)
        visit.actor.require(Scope.STOCK_WRITE)
        job = await take_in(visit.services.database, visit.actor, text, currency=currency, name=upload.filename or "")
    except EntrepotError as error:
        return await _shown(visit, error=error.detail)
    if job.is_open and not visit.is_partial:
        return visit.go(f"/products/import/{job.id}")
    return await _shown(visit, job=job, report=report_of(job))


async def progress(visit: Visit) -> Response:
    """How far an import is, or its report; the page asks for it again while it goes on."""
    async with visit.transaction() as tx:
        job = await import_detail(tx, visit.id_of("job_id"))
    return await _shown(visit, job=job, report=report_of(job))


async def cancel(visit: Visit) -> Response:
    """Stop an import; what it did until then stays."""
    async with visit.transaction() as tx:
        job_id = (await import_detail(tx, visit.id_of("job_id"))).id
        job = await jobs.cancel(tx, job_id)
        await identity.record(tx, visit.actor, "job.cancel", "job", job_id, after={"kind": job.kind})
    return visit.done("It stops after the step it is at.", refresh=not visit.is_partial)


async def _shown(visit: Visit, **context: Any) -> Response:
    shown = {"report": None, "job": None, "error": "", "problems_shown": PROBLEMS_SHOWN, **context}
    if visit.is_partial:
        return visit.part("import_report.html", **shown)
    return await visit.page("import.html", **shown)


async def _text(upload: UploadFile) -> str:
    """Return the text of the file. Raises InvalidInput."""
    data = await upload.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise InvalidInput(f"The file is larger than {FILE_BYTES_MAX // 1024 // 1024} MB: import it in parts.")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InvalidInput("The file is not text in UTF-8. Save it as CSV UTF-8.")
