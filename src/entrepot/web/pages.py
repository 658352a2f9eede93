"""All pages and their static files as routes, for the composition to mount."""

from __future__ import annotations

from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from entrepot.web.assets import STATIC, ensure_htmx
from entrepot.web.routes import (
    allocation,
    allocation_policy,
    channel_listings,
    channels,
    conflicts,
    fulfilment,
    importing,
    jobs,
    listings,
    live,
    matching,
    now,
    orders,
    palette,
    product_actions,
    product_bulk,
    product_editor,
    product_groups,
    product_prices,
    products,
    runs,
    settings,
    signin,
    simulations,
    stock,
    stock_buying,
    stock_files,
    stock_holds,
    stock_papers,
    stock_places,
    stock_queues,
    tasks,
    tasks_policies,
)
from entrepot.web.services import PageServices


class _Static(StaticFiles):
    """Static files; their addresses change with what is in them, so they may be kept for a year."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def keep(message: object) -> None:
            if isinstance(message, dict) and message["type"] == "http.response.start" and message["status"] == 200:
                kept = b"public, max-age=31536000, immutable" if scope.get("query_string") else b"no-cache"
                message["headers"] = [*message["headers"], (b"cache-control", kept)]
                message["headers"].append((b"x-content-type-options", b"nosniff"))
            await send(message)  # type: ignore[arg-type]

        await super().__call__(scope, receive, keep)


def build_pages(services: PageServices) -> list[BaseRoute]:
    """Return the routes of all pages, the live data and the static files."""
    ensure_htmx()
    return [
        *signin.routes(services),
        *now.routes(services),
        # Before a connection's other tabs, and before a single product.
        *channel_listings.routes(services),
        *channels.routes(services),
        *orders.routes(services),
        *fulfilment.routes(services),
        # The lists of stock before a single SKU, whose address is /stock/<id>.
        *stock_places.routes(services),
        *stock_papers.routes(services),
        *stock_buying.routes(services),
        *stock_holds.routes(services),
        *stock_queues.routes(services),
        *stock_files.routes(services),
        *simulations.routes(services),
        *stock.routes(services),
        *allocation.routes(services),
        *allocation_policy.routes(services),
        *importing.routes(services),
        # Before a single product, whose address is /products/<id>.
        *product_groups.routes(services),
        *product_prices.routes(services),
        *product_bulk.routes(services),
        *product_editor.routes(services),
        *product_actions.routes(services),
        *products.routes(services),
        *listings.routes(services),
        *matching.routes(services),
        # Before a single task, whose address is /tasks/<id>.
        *tasks_policies.routes(services),
        *tasks.routes(services),
        *conflicts.routes(services),
        *runs.routes(services),
        *jobs.routes(services),
        *settings.routes(services),
        *palette.routes(services),
        *live.routes(services),
        Mount("/static", app=_Static(directory=STATIC), name="static"),
    ]
