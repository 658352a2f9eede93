"""What is done with one product from its page: put away, with its listings."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.catalog import editing
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.sync.publishing import archiving
from entrepot.sync.publishing.contracts import Ending
from entrepot.web.services import PageServices
from entrepot.web.visit import Visit, page


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of these actions."""
    write = Scope.PRODUCTS_WRITE
    return [Route("/products/{product_id}/archive", page(services, archive, write), methods=["POST"])]


async def archive(visit: Visit) -> Response:
    """Archive a product and, where the person leaves that ticked, end its listings."""
    id, form = visit.id_of("product_id"), await visit.form()
    endings: Sequence[Ending] = ()
    async with visit.transaction() as tx:
        saved = await editing.archive(tx, id)
        if saved.after:
            await identity.record(tx, visit.actor, "product.archive", "product", id, saved.before, saved.after)
        if form.get("end_listings") == "yes":
            endings = await archiving.end_everywhere(tx, visit.actor, visit.services.find_connector, [id])
    return visit.go(f"/products/{id}", f"Archived. {told(endings)}".strip())


def told(endings: Sequence[Ending]) -> str:
    """Return what becomes of a product on each channel, in words."""
    return " ".join(f"{each.connection}: {each.words}." for each in endings)
