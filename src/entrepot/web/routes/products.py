"""Products: the list and one product. Files in and out are in importing.py."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.catalog import reading as catalog
from entrepot.catalog.reading import ProductFilter
from entrepot.identity.facade import Scope
from entrepot.kernel.errors import InvalidInput
from entrepot.stock import reading as stock
from entrepot.sync import reading as sync
from entrepot.sync.importing import FORMATS
from entrepot.web.live import patches
from entrepot.web.services import PageServices
from entrepot.web.visit import Visit, page

PAGE_SIZE = 50


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of products."""
    return [
        Route("/products", page(services, listing, Scope.PRODUCTS_READ), methods=["GET"]),
        Route("/products/{product_id}", page(services, detail, Scope.PRODUCTS_READ), methods=["GET"]),
    ]


async def listing(visit: Visit) -> Response:
    """The list."""
    status = visit.parameter("status") or None
    if status is not None and status not in catalog.STATUSES:
        raise InvalidInput(f"{status!r} is not a status of a product.")
    chosen = ProductFilter(visit.parameter("q"), status)
    cursor = visit.parameter("cursor")
    async with visit.transaction() as tx:
        products = await catalog.list_products(tx, chosen, cursor, PAGE_SIZE)
    return await visit.page(
        "products.html",
        products=products,
        chosen=chosen,
        statuses=catalog.STATUSES,
        formats=FORMATS,
        cursor=cursor,
        parameters={"q": chosen.search, "status": status or ""},
    )


async def detail(visit: Visit) -> Response:
    """One product."""
    async with visit.transaction() as tx:
        product = await catalog.product_detail(tx, visit.id_of("product_id"))
        variants = [variant.id for variant in product.variants]
        levels = {row.variant_id: row for row in await stock.stock_rows(tx, variants)}
        cells = {cell.listing_id: cell for cell in await sync.listing_cells(tx, variants)}
    return await visit.page("product.html", product=product, levels=levels, cells=cells, cell_text=patches.cell_text)
