"""The first page: what needs a person, how the channels do, what comes in and moves, what runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.catalog import reading as catalog
from entrepot.kernel.clock import utc_now
from entrepot.kernel.paging import earliest_id
from entrepot.orders import reading as orders
from entrepot.stock import reading as stock
from entrepot.sync import reading as sync
from entrepot.web import formats
from entrepot.web.live import patches
from entrepot.web.needs import needs_of
from entrepot.web.services import PageServices
from entrepot.web.visit import Visit, page

NEEDS_ROWS = (
    ("connections", "Channels that refuse us", "/channels"),
    ("orders", "Orders with an exception or a shortage", "/orders?trouble=1"),
    ("shortages", "SKUs sold beyond stock", "/stock?state=short"),
    ("listings", "Listings that differ or are parked", "/channels/trouble"),
    ("tasks", "Tasks that wait for approval", "/tasks"),
    ("conflicts", "Conflicts between hub and channels", "/conflicts"),
    ("matching", "Listings that may be one of your products", "/matching"),
    ("first", "New channels that differ from the catalog", "/channels"),
    ("inbox", "Webhooks put aside", "/channels"),
    ("shipments", "Shipments that a channel refused", "/orders?trouble=1"),
    ("jobs", "Background jobs that failed", "/jobs?state=held"),
)
LIVE_ROWS = 12


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of the first page."""
    return [
        Route("/", page(services, now), methods=["GET"]),
        Route("/now/running", page(services, running), methods=["GET"]),
    ]


async def now(visit: Visit) -> Response:
    """The page."""
    at = utc_now()
    async with visit.transaction() as tx:
        channels = [row for row in await sync.channel_overview(tx) if row.state != "disconnected"]
        day = await orders.placed_counts(tx, at - timedelta(hours=24))
        hour = await orders.placed_counts(tx, at - timedelta(hours=1))
        newest = await orders.orders_since(tx, earliest_id(at - timedelta(days=30)), LIVE_ROWS)
        moves = await stock.recent_movements(tx, None, LIVE_ROWS)
        runs = await sync.running_runs(tx)
        needs = await needs_of(tx)
        has_products = await catalog.has_products(tx)
    return await visit.page(
        "now.html",
        channels=channels,
        orders_24h=day,
        totals=patches.totals_patch(channels, day, sum(hour.values())),
        orders=[_with_ago(patches.order_item(row)) for row in newest],
        movements=[_with_ago(patches.movement_item(row)) for row in moves],
        runs=runs,
        notes=run_notes(runs),
        needs_rows=NEEDS_ROWS,
        needs_of={name: getattr(needs, name) for name, _, _ in NEEDS_ROWS},
        has_products=has_products,
    )


async def running(visit: Visit) -> Response:
    """The part that lists what runs now."""
    async with visit.transaction() as tx:
        runs = await sync.running_runs(tx)
    return visit.part("running.html", runs=runs, notes=run_notes(runs))


def run_notes(runs: Any) -> dict[Any, tuple[str, str]]:
    """Return (how far, at what pace) by run."""
    at = utc_now()
    return {run.id: (patches.run_text(run), patches.run_note(run, at)) for run in runs}


def _with_ago(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "ago": formats.ago(datetime.fromisoformat(item["at"]), utc_now())}
