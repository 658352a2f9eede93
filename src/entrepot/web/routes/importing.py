"""Bringing in a product file: first a look at what it would do, then the import itself."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import UploadFile
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.identity.facade import Scope
from entrepot.kernel.errors import EntrepotError, InvalidInput
from entrepot.sync.importing import import_products
from entrepot.web.services import PageServices
from entrepot.web.visit import Visit, page, upload_of

FILE_BYTES_MAX = 64 * 1024 * 1024
PROBLEMS_SHOWN = 100


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of the import; they come before those of one product."""
    return [
        Route("/products/import", page(services, form, Scope.PRODUCTS_WRITE), methods=["GET"]),
        Route("/products/import", page(services, submit, Scope.PRODUCTS_WRITE), methods=["POST"]),
    ]


async def form(visit: Visit) -> Response:
    """The page."""
    return await visit.page("import.html", report=None, error="", problems_shown=PROBLEMS_SHOWN)


async def submit(visit: Visit) -> Response:
    """Read the file: a dry run, or with the button Import for real."""
    fields = await visit.form()
    context: dict[str, Any] = {"report": None, "error": "", "problems_shown": PROBLEMS_SHOWN}
    try:
        text = await _text(upload_of(await visit.files(), "file"))
        context["report"] = await import_products(
            visit.services.database,
            visit.organisation.id,
            text,
            currency=visit.organisation.currency,
            actor=visit.actor.name,
            dry_run=fields.get("do") != "import",
        )
    except EntrepotError as error:
        context["error"] = error.detail
    if visit.is_partial:
        return visit.part("import_report.html", **context)
    return await visit.page("import.html", **context)


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
