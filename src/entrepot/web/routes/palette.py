"""What the palette (Ctrl K) finds."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from entrepot.catalog import reading as catalog
from entrepot.identity.facade import Scope
from entrepot.orders import reading as orders
from entrepot.orders.reading import OrderFilter
from entrepot.web import formats
from entrepot.web.services import PageServices
from entrepot.web.visit import HEADERS, Visit, page

MOST = 6


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the route of the palette."""
    return [Route("/palette", page(services, find), methods=["GET"])]


async def find(visit: Visit) -> Response:
    """Orders and SKUs that the text may mean."""
    text = visit.parameter("q")
    hits: list[dict[str, str]] = []
    if len(text) >= 2:
        async with visit.transaction() as tx:
            if visit.actor.may(Scope.ORDERS_READ):
                for row in await orders.list_orders(tx, OrderFilter(search=text), limit=MOST):
                    note = f"Order · {row.connection_name} · {formats.money(row.total_minor, row.currency)}"
                    hits.append({"label": row.number, "note": note, "href": f"/orders/{row.id}"})
            if visit.actor.may(Scope.STOCK_READ):
                skus = await catalog.find_variants(tx, text, MOST)
                hits += [{"label": hit.sku, "note": hit.title, "href": f"/stock/{hit.variant_id}"} for hit in skus]
    return JSONResponse({"hits": hits}, headers=HEADERS)
