"""Fulfilment: what each location is to send, what waits, and the rules that decide from where."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.database.pool import Tx
from entrepot.fulfilment import facade as fulfilment
from entrepot.fulfilment import reading
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import EntrepotError, InvalidInput
from entrepot.kernel.money import to_decimal
from entrepot.stock import reading as stock
from entrepot.web.services import PageServices
from entrepot.web.stock_forms import Done, amount_typed, attempt
from entrepot.web.visit import Handler, Visit, page, parse_id, whole_number

PAGE_SIZE = 50
STATES = ("open", "in_progress", "ready", "shipped", "cancelled")
RULES_TEXT_MOST = 200_000


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of fulfilment."""
    read, write = Scope.ORDERS_READ, Scope.ORDERS_WRITE
    return [
        Route("/fulfilment", page(services, board, read), methods=["GET"]),
        Route("/fulfilment/parked", page(services, parked, read), methods=["GET"]),
        Route("/fulfilment/rules", page(services, rules, read), methods=["GET"]),
        Route("/fulfilment/rules", page(services, change_rules, write), methods=["POST"]),
        Route("/fulfilment/rules/{number}/force", page(services, force_rules, write), methods=["POST"]),
        Route("/fulfilment/places/{location_id}", page(services, change_place, write), methods=["POST"]),
        Route("/fulfilment/orders/{order_id}/again", page(services, again, write), methods=["POST"]),
        Route("/fulfilment/{id}", page(services, detail, read), methods=["GET"]),
        *(
            Route(f"/fulfilment/{{id}}/{verb}", page(services, _doing(verb), write), methods=["POST"])
            for verb in ("begin", "pick", "pack", "reopen", "send", "move")
        ),
    ]


# ---- board ---------------------------------------------------------------------------------------------------------


async def board(visit: Visit) -> Response:
    """Fulfilment orders in a status, of a location or all."""
    state, cursor = visit.parameter("state") or "open", visit.parameter("cursor")
    location = visit.parameter("location")
    async with visit.transaction() as tx:
        rows = await reading.list_work(tx, state, parse_id(location) if location else None, cursor, PAGE_SIZE)
        counts = await reading.work_counts(tx)
        places = await stock.locations(tx)
    return await visit.page(
        "fulfilment.html", tab="", rows=rows, counts=counts, places=places, states=STATES, state=state, cursor=cursor,
        error="", parameters={"state": state, "location": location},
    )  # fmt: skip


async def parked(visit: Visit) -> Response:
    """Order lines of which units wait."""
    cursor = visit.parameter("cursor")
    async with visit.transaction() as tx:
        rows = await reading.list_parked(tx, None, cursor, PAGE_SIZE)
        counts = await reading.work_counts(tx)
    return await visit.page("fulfilment_parked.html", tab="parked", rows=rows, counts=counts, cursor=cursor, error="")


async def detail(visit: Visit) -> Response:
    """One fulfilment order."""
    return await _detail(visit)


async def _detail(visit: Visit, error: str = "") -> Response:
    async with visit.transaction() as tx:
        row, lines = await reading.work(tx, visit.id_of("id"))
        places = [each for each in await reading.list_places(tx) if each.location_id != row.location_id]
    return await visit.page(
        "fulfilment_order.html", status=409 if error else 200, tab="", row=row, lines=lines, places=places, error=error
    )


def _doing(verb: str) -> Handler:
    async def do(visit: Visit) -> Response:
        id = visit.id_of("id")
        form = await visit.form()

        async def work(tx: Tx) -> Done:
            there, said = await _do(tx, verb, id, form, visit.actor.name)
            await identity.record(tx, visit.actor, f"fulfilment.{verb}", "fulfilment_order", id, None, _told(form))
            return f"/fulfilment/{there}", said

        return await attempt(visit, work, lambda error: _detail(visit, error))

    return do


def _told(form: Mapping[str, str]) -> dict[str, str]:
    return {name: text[:200] for name, text in form.items() if name != "csrf_token" and text}


async def _do(tx: Tx, verb: str, id: UUID, form: Mapping[str, str], actor: str) -> tuple[UUID, str]:
    now = utc_now()
    match verb:
        case "begin":
            await fulfilment.begin(tx, id)
            return id, "You have begun. Rules leave it where it is."
        case "pick":
            await fulfilment.pick(tx, id, _units(form, least=0) or {})
            return id, "Saved what is picked."
        case "pack":
            await fulfilment.pack(tx, id)
            return id, "Packed. It waits for the carrier."
        case "reopen":
            await fulfilment.open_again(tx, id)
            return id, "It is to be picked again."
        case "send":
            label = fulfilment.Label(
                form.get("carrier", "").strip()[:100], form.get("tracking_number", "").strip()[:100],
                form.get("tracking_url", "").strip()[:500],
            )  # fmt: skip
            await fulfilment.send(tx, id, label, _units(form), actor=actor, now=now)
            return id, "The parcel is recorded, and the channel will be told."
        case _:
            place = parse_id(form.get("location", ""))
            there = await fulfilment.send_from(tx, id, place, _units(form), actor=actor, now=now)
            return there, "It is sent from here instead, and reserved here."


def _units(form: Mapping[str, str], *, least: int = 1) -> dict[UUID, int] | None:
    """Return units by line as typed; None: nothing was, so all is meant. Raises InvalidInput."""
    found = {}
    for name, text in form.items():
        match = re.fullmatch(r"units_([0-9a-f-]{36})", name)
        if match and text.strip():
            units = whole_number(text, "Units")
            if units >= least:
                found[UUID(match[1])] = units
    return found or None


async def again(visit: Visit) -> Response:
    """Let rules decide anew about an order."""
    order_id = visit.id_of("order_id")
    async with visit.transaction() as tx:
        await fulfilment.route_again(tx, order_id, utc_now())
        await identity.record(tx, visit.actor, "order.route", "order", order_id)
    return visit.go(f"/orders/{order_id}", "It is being routed again.")


# ---- rules ---------------------------------------------------------------------------------------------------------


async def rules(visit: Visit) -> Response:
    """The rules, an editor with a dry run, and what locations are like."""
    return await _rules(visit)


async def _rules(visit: Visit, error: str = "", text: str | None = None, trial: Any = None) -> Response:
    asked = visit.parameter("version")
    async with visit.transaction() as tx:
        versions = await reading.rules_versions(tx)
        places = await reading.list_places(tx)
        chosen = await reading.rules_version(tx, whole_number(asked, "The version")) if asked else None
    shown = chosen or next((each for each in versions if each.in_force), None)
    if text is None:
        text = json.dumps(shown.rules if shown else fulfilment.START, indent=2, ensure_ascii=False)
    return await visit.page(
        "fulfilment_rules.html", status=422 if error else 200, tab="rules", versions=versions, places=places, error=error,
        text=text, trial=trial, shown=shown,
        costs={each.location_id: to_decimal(each.cost_minor, visit.organisation.currency) for each in places},
    )  # fmt: skip


async def change_rules(visit: Visit) -> Response:
    """Try rules out, or keep them as a new version, in force or not."""
    form = await visit.form()
    text = form.get("rules", "")
    try:
        told = _json(text)
        if form.get("do") == "try":
            async with visit.transaction() as tx:
                trial = await fulfilment.compare(tx, told, utc_now(), past=form.get("on") == "past")
            return await _rules(visit, text=text, trial=trial)
        async with visit.transaction() as tx:
            number = await fulfilment.save_rules(tx, told, form.get("note", "").strip(), actor=visit.actor.name)
            if form.get("do") == "force":
                await fulfilment.put_in_force(tx, number, utc_now())
            await identity.record(
                tx, visit.actor, "routing_rules.save", "routing_rules", None, None, {"number": number}
            )
    except EntrepotError as error:
        if error.status in (401, 403) or error.status >= 500:
            raise
        return await _rules(visit, error.detail, text)
    said = f"Version {number} is in force." if form.get("do") == "force" else f"Kept as version {number}, not in force."
    return visit.go("/fulfilment/rules", said)


def _json(text: str) -> dict[str, Any]:
    if len(text) > RULES_TEXT_MOST:
        raise InvalidInput(f"Rules have at most {RULES_TEXT_MOST:,} characters.")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"This is not JSON: {error}.") from None
    if not isinstance(told, dict):
        raise InvalidInput('Rules are written as {"rules": [...]}.')
    return told


async def force_rules(visit: Visit) -> Response:
    """Put a version in force."""
    number = whole_number(visit.request.path_params["number"], "The version")

    async def work(tx: Tx) -> Done:
        await fulfilment.put_in_force(tx, number, utc_now())
        await identity.record(tx, visit.actor, "routing_rules.force", "routing_rules", number)
        return "/fulfilment/rules", f"Version {number} is in force."

    return await attempt(visit, work, lambda error: _rules(visit, error))


async def change_place(visit: Visit) -> Response:
    """Say what routing is to know of a location."""
    id = visit.id_of("location_id")
    form = await visit.form()

    async def work(tx: Tx) -> Done:
        capacity, cost = form.get("daily_capacity", "").strip(), form.get("cost", "").strip()
        facts = fulfilment.PlaceFacts(
            form.get("country", ""), form.get("region", ""),
            amount_typed(cost, visit.organisation.currency, "What a parcel costs") if cost else 0,
            whole_number(capacity, "Orders a day") if capacity else None, tuple(form.get("groups", "").split(",")),
        )  # fmt: skip
        await fulfilment.describe_place(tx, id, facts)
        await identity.record(tx, visit.actor, "routing_place.change", "location", id, None, _told(form))
        return "/fulfilment/rules", "Saved."

    return await attempt(visit, work, lambda error: _rules(visit, error))
