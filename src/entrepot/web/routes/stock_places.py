"""Locations, and the movements of stock at all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from entrepot.catalog import facade as catalog
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.paging import Slice
from entrepot.orders.reading import LineOrder, orders_of_lines
from entrepot.stock import csv_out, reading_queues
from entrepot.stock import facade as stock
from entrepot.stock.reading_queues import MOVEMENT_FILTERS, MovementFilter, MovementRow
from entrepot.web import formats
from entrepot.web.services import PageServices
from entrepot.web.stock_forms import Done, attempt
from entrepot.web.visit import HEADERS, Handler, Visit, page, parse_id, whole_number

PAGE_SIZE = 50


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of locations and movements; they come before those of one SKU."""
    read, write = Scope.STOCK_READ, Scope.STOCK_WRITE
    return [
        Route("/stock/locations", page(services, locations, read), methods=["GET"]),
        Route("/stock/locations", page(services, create, write), methods=["POST"]),
        *(
            Route(f"/stock/locations/{{location_id}}/{verb}", page(services, _changing(verb), write), methods=["POST"])
            for verb in ("change", "up", "deactivate", "activate")
        ),
        Route("/stock/movements", page(services, movements, read), methods=["GET"]),
        Route("/stock/movements.csv", page(services, movements_file, read), methods=["GET"]),
        Route("/stock/export/{name}.csv", page(services, export, read), methods=["GET"]),
    ]


# ---- files -----------------------------------------------------------------------------------------------


async def export(visit: Visit) -> Response:
    """A list as CSV."""
    return await send_file(visit, csv_out.named(visit.request.path_params["name"], visit.parameter("state")))


async def send_file(visit: Visit, found: csv_out.Export) -> Response:
    """Send a list as a file, read on while it is sent."""
    async with visit.transaction() as tx:
        await found.fetch(tx, None)
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{found.name}.csv"'}
    text = csv_out.text_of(visit.services.database, visit.organisation.id, found)
    return StreamingResponse(text, media_type="text/csv; charset=utf-8", headers=headers)


# ---- locations -------------------------------------------------------------------------------------------


async def locations(visit: Visit) -> Response:
    """The list, with a form for a new one."""
    return await _locations(visit)


async def _locations(visit: Visit, error: str = "") -> Response:
    async with visit.transaction() as tx:
        rows = await reading_queues.location_rows(tx)
    status = 409 if error else 200
    return await visit.page(
        "stock_locations.html", status=status, tab="locations", rows=rows, kinds=stock.KINDS, error=error
    )


async def create(visit: Visit) -> Response:
    """Make a location."""
    form = await visit.form()

    async def work(tx: Tx) -> Done:
        id = await stock.create_location(tx, form.get("name", ""), form.get("kind", ""))
        await identity.record(tx, visit.actor, "location.create", "location", id, None, {"name": form["name"]})
        return "/stock/locations", f"{form['name']} is there."

    return await attempt(visit, work, lambda error: _locations(visit, error))


def _changing(verb: str) -> Handler:
    async def do(visit: Visit) -> Response:
        id = visit.id_of("location_id")
        form = await visit.form()

        async def work(tx: Tx) -> Done:
            row = await reading_queues.location_row(tx, id)
            said = await _change(tx, verb, row, form)
            after = await reading_queues.location_row(tx, id)
            await identity.record(tx, visit.actor, f"location.{verb}", "location", id, _short(row), _short(after))
            return "/stock/locations", said

        return await attempt(visit, work, lambda error: _locations(visit, error))

    return do


async def _change(tx: Tx, verb: str, row: reading_queues.LocationRow, form: Any) -> str:
    match verb:
        case "change":
            await stock.change_location(
                tx, row.id, name=form.get("name", ""), kind=form.get("kind", ""),
                buffer=whole_number(form["buffer"], "What it keeps back") if form.get("buffer") else None,
            )  # fmt: skip
            return "Saved."
        case "up":
            ids = [each.id for each in await reading_queues.location_rows(tx) if each.active]
            place = ids.index(row.id) if row.id in ids else 0
            if place > 0:
                ids[place - 1], ids[place] = ids[place], ids[place - 1]
                await stock.order_locations(tx, ids)
            return f"Stock is taken from {row.name} earlier."
        case "deactivate":
            await stock.deactivate_location(tx, row.id)
            return f"{row.name} is out of use."
        case _:
            await stock.activate_location(tx, row.id)
            return f"{row.name} is in use again."


def _short(row: reading_queues.LocationRow) -> dict[str, Any]:
    return {"name": row.name, "kind": row.kind, "priority": row.priority, "active": row.active, "buffer": row.buffer}


# ---- movements -------------------------------------------------------------------------------------------


async def movements(visit: Visit) -> Response:
    """The ledger of all SKUs, filtered."""
    cursor = visit.parameter("cursor")
    error = ""
    rows: Slice[MovementRow] = Slice(())
    sold: dict[UUID, LineOrder] = {}
    async with visit.transaction() as tx:
        places = await reading_queues.location_rows(tx)
        try:
            chosen = await _filter(visit, tx)
            rows = await reading_queues.list_movements(tx, chosen, cursor, PAGE_SIZE)
            sold = await orders_of_lines(tx, [row.reference_id for row in rows if row.reference_id])
        except InvalidInput as wrong:
            error = wrong.detail
    return await visit.page(
        "stock_movements.html", status=422 if error else 200, tab="movements", rows=rows, places=places, cursor=cursor,
        kinds=MOVEMENT_FILTERS, error=error, parameters=_parameters(visit), links=LINKS, sold=sold,
    )  # fmt: skip


LINKS = {
    "transfer": "/stock/transfers/",
    "count": "/stock/counts/",
    "purchase_order": "/stock/purchase-orders/",
}
"""Where what a movement refers to is shown."""


async def movements_file(visit: Visit) -> Response:
    """The same as CSV."""
    async with visit.transaction() as tx:
        chosen = await _filter(visit, tx)
    return await send_file(visit, csv_out.movements(chosen))


def _parameters(visit: Visit) -> dict[str, str]:
    return {name: visit.parameter(name) for name in ("kind", "sku", "location", "from", "to")}


async def _filter(visit: Visit, tx: Tx) -> MovementFilter:
    """Return what the parameters say. Raises InvalidInput."""
    given = _parameters(visit)
    variant_id: UUID | None = None
    if given["sku"]:
        found = await catalog.known_skus(tx, [given["sku"]])
        if given["sku"] not in found:
            raise InvalidInput(f"There is no SKU {given['sku']!r}.")
        variant_id = found[given["sku"]]
    location_id = parse_id(given["location"]) if given["location"] else None
    zone = formats.zone(visit.organisation.timezone)
    since, until = (_day(given[name], zone) for name in ("from", "to"))
    return MovementFilter(
        given["kind"] or "all", variant_id, location_id, since, until + timedelta(days=1) if until else None
    )


def _day(text: str, zone: Any) -> datetime | None:
    """Return the beginning of a day. Raises InvalidInput."""
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{text!r} is not a date such as 2026-05-31.") from None
