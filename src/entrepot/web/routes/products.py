"""Products: the grid with its filters, saved views and bulk edits, and one product."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.catalog import category_tree, collections, filters, search, views
from entrepot.catalog import reading as catalog
from entrepot.catalog.filters import filter_of, parameters_of
from entrepot.catalog.snapshot import Flat, flat
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import ActorKind, AuditEntry, Scope
from entrepot.kernel.errors import EntrepotError, NotAllowed
from entrepot.stock import reading as stock
from entrepot.sync import own_prices
from entrepot.sync import reading as sync
from entrepot.sync.importing import FORMATS
from entrepot.sync.publishing import reading as publishing
from entrepot.web.live import patches
from entrepot.web.product_forms import label
from entrepot.web.routes.listings import WANTED
from entrepot.web.services import PageServices
from entrepot.web.templating import query
from entrepot.web.visit import Visit, page, parse_id

PAGE_SIZE = 50


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of products."""
    read = Scope.PRODUCTS_READ
    return [
        Route("/products", page(services, listing, read), methods=["GET"]),
        Route("/products/views", page(services, save_view, read), methods=["POST"]),
        Route("/products/views/{id}/delete", page(services, delete_view, read), methods=["POST"]),
        Route("/products/{product_id}", page(services, detail, read), methods=["GET"]),
    ]


async def listing(visit: Visit) -> Response:
    """The grid."""
    return await _listing(visit)


async def _listing(visit: Visit, error: str = "") -> Response:
    told = parameters_of(visit.request.query_params)
    chosen = filter_of(told, visit.organisation.currency)
    cursor = visit.parameter("cursor")
    async with visit.transaction() as tx:
        products = await search.list_products(tx, chosen, cursor, PAGE_SIZE)
        options = await _options(tx)
        saved = await views.list_views(tx, visit.actor)
        has_products = bool(len(products)) or await catalog.has_products(tx)
    return await visit.page(
        "products.html", status=422 if error else 200, products=products, chosen=chosen, cursor=cursor, error=error,
        parameters=told, views=saved, has_products=has_products, sorts=filters.SORTS, options=options, formats=FORMATS,
    )  # fmt: skip


async def _options(tx: Tx) -> dict[str, list[tuple[str, str]]]:
    """Return what each filter offers: (value, words)."""
    found = await search.facets(tx)
    return {
        "vendor": [(each, each) for each in found.vendors],
        "type": [(each, each) for each in found.types],
        "tag": [(each, each) for each in found.tags],
        "category": [(str(each.id), each.label) for each in await category_tree.list_categories(tx)],
        "collection": [(str(each.id), each.title) for each in await collections.list_collections(tx)],
        "channel": [(str(id), name) for id, name in (await sync.connection_names(tx)).items()],
    }


async def save_view(visit: Visit) -> Response:
    """Save the filter that is shown under a name."""
    form = await visit.form()
    told = parameters_of(form)
    shared = form.get("shared") == "1"
    # A view of one's own is no change for anybody else.
    if visit.actor.kind is not ActorKind.PERSON or (shared and not visit.actor.may(Scope.PRODUCTS_WRITE)):
        raise NotAllowed("You may save views for yourself only.")
    try:
        async with visit.transaction() as tx:
            await views.save_view(tx, visit.actor, form.get("name", ""), told, shared=shared)
    except EntrepotError as error:
        return await _listing(visit, error.detail)
    return visit.go(query("/products", **told), "Saved.")


async def delete_view(visit: Visit) -> Response:
    """Delete a saved view."""
    async with visit.transaction() as tx:
        await views.delete_view(tx, visit.actor, parse_id(visit.request.path_params["id"]))
    return visit.go("/products", "Deleted.")


async def detail(visit: Visit) -> Response:
    """One product."""
    async with visit.transaction() as tx:
        product = await catalog.product_detail(tx, visit.id_of("product_id"))
        variants = [variant.id for variant in product.variants]
        levels = {row.variant_id: row for row in await stock.stock_rows(tx, variants)}
        cells = {cell.listing_id: cell for cell in await sync.listing_cells(tx, variants)}
        category = next((c for c in await category_tree.list_categories(tx) if c.id == product.category_id), None)
        groups = [each for each in await collections.list_collections(tx) if each.id in product.collections]
        intents = await publishing.of_product(tx, product.row.id)
        own = sum(each.count for each in await own_prices.count_own(tx, product.row.id))
        history = []
        if visit.actor.may(Scope.ADMIN):
            history = await identity.list_audit(tx, limit=10, subject_kind="product", subject_id=str(product.row.id))
    return await visit.page(
        "product.html", intents=intents, own=own, wanted=WANTED,
        product=product, levels=levels, cells=cells, cell_text=patches.cell_text, category=category,
        groups=groups, history=history, told=lambda entry: _told(entry, flat(product)),
    )  # fmt: skip


def _told(entry: AuditEntry, now: Flat) -> list[str]:
    """Return which fields a line of the audit log names."""
    names = entry.after if isinstance(entry.after, dict) else {}
    return [label(name, now) for name in names][:6]
