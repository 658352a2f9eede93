"""What waits for somebody: shortages with their remedies, low stock, what to buy; and the rules of one SKU."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.allocation import facade as allocation
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.kernel.errors import InvalidInput
from entrepot.stock import facade as stock
from entrepot.stock import reading, reading_papers, reading_queues
from entrepot.web.services import PageServices
from entrepot.web.stock_forms import Done, attempt, units_typed
from entrepot.web.visit import Handler, Visit, page, parse_id, whole_number

PAGE_SIZE = 50
REMEDIES = {
    "": "–",
    "location": "From another location",
    "purchase": "Bought",
    "supplier": "The supplier sends it",
    "cancel": "Given up",
    "stock": "Stock came in",
}


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of the queues; they come before those of one SKU."""
    read, write = Scope.STOCK_READ, Scope.STOCK_WRITE
    return [
        Route("/stock/shortages", page(services, shortages, read), methods=["GET"]),
        Route("/stock/shortages/{id}/remedy", page(services, remedy, write), methods=["POST"]),
        Route("/stock/reorder", page(services, reorder, read), methods=["GET"]),
        Route("/stock/reorder/buy", page(services, buy, write), methods=["POST"]),
        Route("/stock/reorder/forecast", page(services, forecast, write), methods=["POST"]),
        Route("/stock/reorder/{id}/dismiss", page(services, dismiss, write), methods=["POST"]),
        Route("/stock/alerts/{id}/seen", page(services, seen, write), methods=["POST"]),
        *(
            Route(f"/stock/{{variant_id}}/{verb}", page(services, _ruling(verb), write), methods=["POST"])
            for verb in ("reorder-rule", "low-at", "damaged", "bundle")
        ),
    ]


# ---- shortages -------------------------------------------------------------------------------------------


async def shortages(visit: Visit) -> Response:
    """The queue, oldest first."""
    return await _shortages(visit)


async def _shortages(visit: Visit, error: str = "") -> Response:
    state, cursor = visit.parameter("state") or "open", visit.parameter("cursor")
    async with visit.transaction() as tx:
        rows = await reading_queues.list_shortages(tx, state, cursor, PAGE_SIZE)
        places = [row for row in await reading_queues.location_rows(tx) if row.active]
        sellers = await reading_papers.list_suppliers(tx, "", None, 250)
    return await visit.page(
        "stock_shortages.html", status=409 if error else 200, tab="shortages", rows=rows, state=state, cursor=cursor,
        places=places, sellers=[row for row in sellers if row.active], error=error, parameters={"state": state},
        remedies=REMEDIES,
        senders=[row for row in places if row.kind in ("supplier", "dropship")],
    )  # fmt: skip


async def remedy(visit: Visit) -> Response:
    """Do something about a shortage. The choice is `kind` or `kind:id`."""
    id = visit.id_of("id")
    form = await visit.form()
    kind, _, about = form.get("remedy", "").partition(":")

    async def work(tx: Tx) -> Done:
        path, said = await _remedy(tx, id, kind, about, form.get("note", "")[:200], visit.actor.name)
        await identity.record(tx, visit.actor, "shortage.remedy", "shortage", id, None, {"remedy": kind})
        return path, said

    return await attempt(visit, work, lambda error: _shortages(visit, error))


async def _remedy(tx: Tx, id: UUID, kind: str, about: str, note: str, actor: str) -> Done:
    back = "/stock/shortages"
    match kind:
        case "location":
            left = await stock.take_from_location(tx, id, parse_id(about), actor=actor)
            return back, f"Reserved there. {left:,} are still short." if left else "Reserved there."
        case "supplier":
            await stock.send_from_supplier(tx, id, parse_id(about), note=note, actor=actor)
            return back, "The supplier sends it: reserved there."
        case "purchase":
            made = await stock.buy_for(tx, id, parse_id(about), None, actor=actor)
            return f"/stock/purchase-orders/{made}", "Drafted. Order it, and what comes in goes to this sale."
        case "cancel":
            await stock.give_up(tx, id, note=note, actor=actor)
            return back, "Given up. Cancel it on the channel too."
        case _:
            raise InvalidInput("Choose what to do.")


# ---- low stock and what to buy ---------------------------------------------------------------------------


async def reorder(visit: Visit) -> Response:
    """What is low and what to buy."""
    return await _reorder(visit)


async def _reorder(visit: Visit, error: str = "") -> Response:
    show, cursor = visit.parameter("show") or "buy", visit.parameter("cursor")
    if show not in ("buy", "low"):
        raise InvalidInput(f"{show!r} is not a list of this page.")
    async with visit.transaction() as tx:
        alerts = await reading_queues.list_alerts(tx, cursor if show == "low" else None, PAGE_SIZE)
        rows = await reading_queues.list_suggestions(tx, "open", cursor if show == "buy" else None, PAGE_SIZE)
        told = await allocation.last_forecast(tx)
    return await visit.page(
        "stock_reorder.html", status=409 if error else 200, tab="reorder", rows=rows, alerts=alerts, show=show,
        cursor=cursor, error=error, low_at=visit.services.low_stock_threshold, told=told,
    )  # fmt: skip


async def buy(visit: Visit) -> Response:
    """Draft purchase orders for the ticked suggestions."""
    form = await visit.files()
    chosen = [parse_id(str(value)) for name, value in form.multi_items() if name == "suggestion"]

    async def work(tx: Tx) -> Done:
        if not chosen:
            raise InvalidInput("Tick what to buy.")
        made = await stock.buy_suggested(tx, chosen, actor=visit.actor.name)
        for id in made:
            await identity.record(tx, visit.actor, "purchase.create", "purchase_order", id)
        if len(made) == 1:
            return f"/stock/purchase-orders/{made[0]}", "Drafted. Nothing is ordered yet."
        return "/stock/purchase-orders?state=draft", f"{len(made):,} purchase orders drafted."

    return await attempt(visit, work, lambda error: _reorder(visit, error))


async def forecast(visit: Visit) -> Response:
    """Forecast now what will sell; suggestions follow from it."""
    async with visit.transaction() as tx:
        job_id = await allocation.order_forecast(tx, visit.actor.name)
        if job_id is not None:
            await identity.record(tx, visit.actor, "forecast.start", "job", job_id)
    return visit.go("/stock/reorder", "It goes on in the background." if job_id else "That goes on already.")


async def dismiss(visit: Visit) -> Response:
    """Do not suggest this again until there was enough once."""
    id = visit.id_of("id")

    async def work(tx: Tx) -> Done:
        await stock.dismiss(tx, id, actor=visit.actor.name)
        await identity.record(tx, visit.actor, "suggestion.dismiss", "suggestion", id)
        return "/stock/reorder", "Dismissed until there has been enough of it."

    return await attempt(visit, work, lambda error: _reorder(visit, error))


async def seen(visit: Visit) -> Response:
    """Note that a person has seen an alert."""
    id = visit.id_of("id")

    async def work(tx: Tx) -> Done:
        await stock.see_alert(tx, id, actor=visit.actor.name)
        return "/stock/reorder?show=low", "Noted."

    return await attempt(visit, work, lambda error: _reorder(visit, error))


# ---- one SKU ---------------------------------------------------------------------------------------------


def _ruling(verb: str) -> Handler:
    async def do(visit: Visit) -> Response:
        variant_id = visit.id_of("variant_id")
        form = dict(await visit.form())
        async with visit.transaction() as tx:
            row = await reading.stock_row(tx, variant_id)
            kind, id = "variant", variant_id
            if verb == "low-at":
                kind, id = ("product", row.product_id) if form.get("for") == "product" else (kind, id)
                after: dict[str, Any] = {"lowAt": _number(form, "low_at", "The threshold")}
                await stock.set_threshold(tx, kind, id, after["lowAt"])
            else:
                after = await _rule(tx, verb, variant_id, form, visit.actor.name)
            await identity.record(tx, visit.actor, f"stock.{verb}", kind, id, None, after)
        return visit.go(f"/stock/{variant_id}", "Saved.")

    return do


async def _rule(tx: Tx, verb: str, variant_id: UUID, form: dict[str, str], actor: str) -> dict[str, Any]:
    if verb == "bundle":
        text = form.get("lines", "")
        parts = await units_typed(tx, text) if text.strip() else {}
        await stock.set_bundle(tx, variant_id, parts)
        return {str(part): units for part, units in parts.items()}
    place = parse_id(form.get("location_id", ""))
    if verb == "damaged":
        damaged = whole_number(form.get("damaged", ""), "Damaged")
        await stock.set_damaged(tx, variant_id, place, damaged, reason=form.get("note", "")[:200], actor=actor)
        return {"damaged": damaged, "locationId": str(place)}
    point, quantity = _number(form, "point", "The reorder point"), _number(form, "quantity", "The reorder quantity")
    highest = _number(form, "max_level", "The highest level")
    await stock.set_reorder_rule(tx, variant_id, place, point=point, quantity=quantity, max_level=highest)
    return {"reorderPoint": point, "reorderQuantity": quantity, "maxLevel": highest, "locationId": str(place)}


def _number(form: dict[str, str], name: str, what: str) -> int | None:
    return whole_number(form[name], what) if form.get(name) else None
