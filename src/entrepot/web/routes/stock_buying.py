"""Suppliers and purchase orders."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.kernel.errors import InvalidInput
from entrepot.stock import csv_out, reading, reading_papers
from entrepot.stock import facade as stock
from entrepot.web.routes.stock_places import send_file
from entrepot.web.services import PageServices
from entrepot.web.stock_forms import Done, Typed, amount_typed, attempt, bought_typed, known_variants, receipts_typed
from entrepot.web.visit import Handler, Visit, page, parse_id, whole_number

PAGE_SIZE = 50


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of buying; they come before those of one SKU."""
    read, write = Scope.STOCK_READ, Scope.STOCK_WRITE
    return [
        Route("/stock/suppliers", page(services, suppliers, read), methods=["GET"]),
        Route("/stock/suppliers", page(services, create_supplier, write), methods=["POST"]),
        Route("/stock/suppliers/{id}", page(services, supplier, read), methods=["GET"]),
        Route("/stock/suppliers/{id}/items.csv", page(services, supplier_file, read), methods=["GET"]),
        *(
            Route(f"/stock/suppliers/{{id}}/{verb}", page(services, _supplying(verb), write), methods=["POST"])
            for verb in ("change", "item", "drop")
        ),
        Route("/stock/purchase-orders", page(services, purchases, read), methods=["GET"]),
        Route("/stock/purchase-orders", page(services, create_purchase, write), methods=["POST"]),
        Route("/stock/purchase-orders/{id}", page(services, purchase, read), methods=["GET"]),
        Route("/stock/purchase-orders/{id}/lines.csv", page(services, purchase_file, read), methods=["GET"]),
        *(
            Route(f"/stock/purchase-orders/{{id}}/{verb}", page(services, _buying(verb), write), methods=["POST"])
            for verb in ("lines", "order", "receive", "cancel")
        ),
    ]


# ---- suppliers -------------------------------------------------------------------------------------------


async def suppliers(visit: Visit) -> Response:
    """The list, with a form for a new one."""
    return await _suppliers(visit)


async def _suppliers(visit: Visit, error: str = "", typed: Typed | None = None) -> Response:
    search, cursor = visit.parameter("q"), visit.parameter("cursor")
    async with visit.transaction() as tx:
        rows = await reading_papers.list_suppliers(tx, search, cursor, PAGE_SIZE)
    return await visit.page(
        "stock_suppliers.html", status=422 if error else 200, tab="suppliers", rows=rows, error=error,
        typed=typed or Typed(), cursor=cursor, parameters={"q": search},
    )  # fmt: skip


async def create_supplier(visit: Visit) -> Response:
    """Make a supplier."""
    form = Typed(await visit.form())

    async def work(tx: Tx) -> Done:
        days = whole_number(form.get("lead_time_days") or "7", "Days", maximum=730)
        currency = (form.get("currency") or visit.organisation.currency).upper()
        id = await stock.create_supplier(
            tx, form.get("name", ""), currency, email=form.get("email", ""), lead_time_days=days
        )
        await identity.record(tx, visit.actor, "supplier.create", "supplier", id, None, {"name": form["name"]})
        return f"/stock/suppliers/{id}", "Saved. Say what it sells."

    return await attempt(visit, work, lambda error: _suppliers(visit, error, form))


async def supplier(visit: Visit) -> Response:
    """One supplier and what it sells."""
    return await _supplier(visit)


async def _supplier(visit: Visit, error: str = "", typed: Typed | None = None) -> Response:
    cursor = visit.parameter("cursor")
    async with visit.transaction() as tx:
        row = await reading_papers.supplier(tx, visit.id_of("id"))
        offers = await reading_papers.offers(tx, row.id, cursor, PAGE_SIZE)
        orders = await reading_papers.list_purchases(tx, "", row.id, None, 5)
    return await visit.page(
        "stock_supplier.html", status=422 if error else 200, tab="suppliers", row=row, offers=offers, orders=orders,
        error=error, typed=typed or Typed(), cursor=cursor,
    )  # fmt: skip


async def supplier_file(visit: Visit) -> Response:
    """What a supplier sells as CSV."""
    async with visit.transaction() as tx:
        row = await reading_papers.supplier(tx, visit.id_of("id"))
    return await send_file(visit, csv_out.offers(row))


def _supplying(verb: str) -> Handler:
    async def do(visit: Visit) -> Response:
        id = visit.id_of("id")
        form = Typed(await visit.form())

        async def work(tx: Tx) -> Done:
            said = await _supply(tx, verb, id, form)
            await identity.record(tx, visit.actor, f"supplier.{verb}", "supplier", id)
            return f"/stock/suppliers/{id}", said

        return await attempt(visit, work, lambda error: _supplier(visit, error, form))

    return do


async def _supply(tx: Tx, verb: str, id: UUID, form: dict[str, str]) -> str:
    row = await reading_papers.supplier(tx, id)
    if verb == "change":
        days = whole_number(form.get("lead_time_days", ""), "Days", maximum=730)
        await stock.change_supplier(
            tx, id, name=form.get("name", ""), email=form.get("email", ""), note=form.get("note", ""),
            lead_time_days=days, active=form.get("active") == "1",
        )  # fmt: skip
        return "Saved."
    if verb == "drop":
        await stock.drop_offers(tx, id, [parse_id(form.get("variant_id", ""))])
        return "Taken off."
    sku = form.get("sku", "")
    variant_id = (await known_variants(tx, [sku]))[sku]
    cost = amount_typed(form["cost"], row.currency, "The price") if form.get("cost") else None
    days_here = whole_number(form["days"], "Days", maximum=730) if form.get("days") else None
    pack = whole_number(form.get("pack_units") or "1", "Units in a pack", minimum=1)
    least = whole_number(form.get("minimum_units") or "1", "The least order", minimum=1)
    offer = stock.Offer(
        variant_id, form.get("supplier_sku", "")[:200], cost, days_here, pack, least, form.get("preferred") == "1"
    )
    await stock.put_offers(tx, id, [offer])
    return f"{sku} is bought here."


# ---- purchase orders -------------------------------------------------------------------------------------


async def purchases(visit: Visit) -> Response:
    """The list, with a form for a new one."""
    return await _purchases(visit)


async def _purchases(visit: Visit, error: str = "", typed: Typed | None = None) -> Response:
    state, cursor = visit.parameter("state"), visit.parameter("cursor")
    async with visit.transaction() as tx:
        rows = await reading_papers.list_purchases(tx, state, None, cursor, PAGE_SIZE)
        places = await reading.locations(tx)
        sellers = await reading_papers.list_suppliers(tx, "", None, 250)
    return await visit.page(
        "stock_purchases.html", status=422 if error else 200, tab="purchase-orders", rows=rows, places=places,
        sellers=[row for row in sellers if row.active], error=error, typed=typed or Typed(), cursor=cursor,
        states=reading_papers.PURCHASE_STATES, parameters={"state": state},
    )  # fmt: skip


async def create_purchase(visit: Visit) -> Response:
    """Draft a purchase order."""
    form = Typed(await visit.form())

    async def work(tx: Tx) -> Done:
        seller = await reading_papers.supplier(tx, parse_id(form.get("supplier", "")))
        units, costs = await bought_typed(tx, form.get("lines", ""), seller.currency)
        place, note = parse_id(form.get("location", "")), form.get("note", "")[:200]
        id = await stock.draft_purchase(tx, seller.id, place, units, costs=costs, note=note, actor=visit.actor.name)
        await identity.record(tx, visit.actor, "purchase.create", "purchase_order", id, None, {"lines": len(units)})
        return f"/stock/purchase-orders/{id}", "Drafted. Nothing is ordered yet."

    return await attempt(visit, work, lambda error: _purchases(visit, error, form))


async def purchase(visit: Visit) -> Response:
    """One purchase order."""
    return await _purchase(visit)


async def _purchase(visit: Visit, error: str = "") -> Response:
    async with visit.transaction() as tx:
        row, lines = await reading_papers.purchase(tx, visit.id_of("id"))
    return await visit.page(
        "stock_purchase.html", status=409 if error else 200, tab="purchase-orders", row=row, lines=lines, error=error
    )


async def purchase_file(visit: Visit) -> Response:
    """The lines of a purchase order as CSV, to send to the supplier."""
    async with visit.transaction() as tx:
        found = await csv_out.purchase_lines(tx, visit.id_of("id"))
    return await send_file(visit, found)


def _buying(verb: str) -> Handler:
    async def do(visit: Visit) -> Response:
        id = visit.id_of("id")
        form = await visit.form()

        async def work(tx: Tx) -> Done:
            said = await _buy(tx, verb, id, form, visit.actor.name)
            row, _ = await reading_papers.purchase(tx, id)
            after = {"state": row.state, "units": row.units, "received": row.received}
            await identity.record(tx, visit.actor, f"purchase.{verb}", "purchase_order", id, None, after)
            return f"/stock/purchase-orders/{id}", said

        return await attempt(visit, work, lambda error: _purchase(visit, error))

    return do


async def _buy(tx: Tx, verb: str, id: UUID, form: Any, actor: str) -> str:
    row, lines = await reading_papers.purchase(tx, id)
    if verb == "lines":
        units, costs = await bought_typed(tx, form.get("lines", ""), row.currency)
        await stock.change_purchase(tx, id, units, costs=costs)
        return "Saved."
    if verb == "order":
        await stock.order_purchase(tx, id, expected_on=_date(form.get("expected_on", "")), actor=actor)
        return "Ordered: the units are expected."
    if verb == "cancel":
        state = await stock.cancel_purchase(tx, id, actor=actor)
        return "Cancelled." if state == "cancelled" else "What had come in stays; the rest is not expected any more."
    receipts = receipts_typed(form, {line.variant_id: line.outstanding for line in lines})
    state = await stock.receive_purchase(tx, id, receipts, close=form.get("do") == "close", actor=actor)
    return "All of it is in." if state == "received" else "Taken in. The rest is still expected."


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidInput(f"{text!r} is not a date such as 2026-05-31.") from None
