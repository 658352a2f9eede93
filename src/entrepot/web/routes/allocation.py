"""Allocation: the list of policies, limits, and what was learned of lags and sales."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.allocation import csv_out, reading
from entrepot.allocation import facade as allocation
from entrepot.catalog import facade as catalog
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import EntrepotError, InvalidInput
from entrepot.stock import reading_queues
from entrepot.web import policy_forms
from entrepot.web.routes.stock_places import send_file
from entrepot.web.services import PageServices
from entrepot.web.stock_forms import Typed
from entrepot.web.visit import Visit, page, parse_id, whole_number

PAGE_SIZE = 50
BUSIEST = 3
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MODES = {"pool": "All everywhere", "bid price": "Weighed unit by unit", "escrow": "Own units each"}


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of allocation but those of one policy."""
    read, write = Scope.STOCK_READ, Scope.STOCK_WRITE
    return [
        Route("/allocation", page(services, policies, read), methods=["GET"]),
        Route("/allocation/limits", page(services, limits, read), methods=["GET"]),
        Route("/allocation/limits", page(services, set_limit, write), methods=["POST"]),
        Route("/allocation/learned", page(services, learned, read), methods=["GET"]),
        Route("/allocation/export/{name}.csv", page(services, export, read), methods=["GET"]),
    ]


async def export(visit: Visit) -> Response:
    """A list as CSV."""
    name = visit.request.path_params["name"]
    make = csv_out.LISTS.get(name)
    if make is None:
        raise InvalidInput(f"There is no list called {name!r}: there are {', '.join(csv_out.LISTS)}.")
    return await send_file(visit, make(visit.services.learning, visit.parameter("q")))


async def policies(visit: Visit) -> Response:
    """Whose policy is what, and where to set one."""
    cursor = visit.parameter("cursor")
    async with visit.transaction() as tx:
        rows = await reading.list_policies(tx, cursor, PAGE_SIZE)
        shop = await allocation.in_force(tx, allocation.WHOLE_SHOP)
        categories = await reading.category_paths(tx)
    return await visit.page(
        "allocation.html", tab="", rows=rows, cursor=cursor, shop=shop, categories=categories,
        texts=policy_forms.STRATEGIES, in_words=policy_forms.in_words,
    )  # fmt: skip


# ---- limits ----------------------------------------------------------------------------------------------


async def limits(visit: Visit) -> Response:
    """Buffers, caps and least quantities."""
    return await _limits(visit)


async def _limits(visit: Visit, errors: dict[str, str] | None = None, typed: dict[str, str] | None = None) -> Response:
    cursor, search = visit.parameter("cursor"), visit.parameter("q")
    async with visit.transaction() as tx:
        rows = await reading.list_limits(tx, cursor, PAGE_SIZE, search)
        connections = await reading.connection_names(tx)
        places = [row for row in await reading_queues.location_rows(tx) if row.active]
        kept = await reading.connection_limits(tx)
    return await visit.page(
        "allocation_limits.html", status=422 if errors else 200, tab="limits", rows=rows, cursor=cursor, search=search,
        connections=connections, places=places, kept=kept, errors=errors or {}, typed=Typed(typed or {}),
    )  # fmt: skip


async def set_limit(visit: Visit) -> Response:
    """Set, change or (with nothing typed) remove a limit."""
    form = dict(await visit.form())
    errors: dict[str, str] = {}
    units: dict[str, int | None] = {}
    for name, what in (("buffer", "The buffer"), ("cap", "At most"), ("least", "At least")):
        try:
            units[name] = whole_number(form[name], what) if form.get(name) and form.get("do") != "remove" else None
        except InvalidInput as wrong:
            errors[name] = wrong.detail
    if not errors and form.get("do") != "remove" and all(value is None for value in units.values()):
        errors["buffer"] = "Type a buffer, the most or the least."
    if errors:
        return await _limits(visit, errors, form)
    try:
        async with visit.transaction() as tx:
            scope = await _scope_typed(tx, form)
            connection_id = parse_id(form["connection_id"]) if form.get("connection_id") else None
            await allocation.set_limit(tx, scope, connection_id, allocation.Limit(**units))
            after = {"connectionId": str(connection_id) if connection_id else None, **units}
            await identity.record(tx, visit.actor, "allocation.set_limit", scope.kind, str(scope.id), None, after)
    except EntrepotError as error:
        if error.status in (401, 403) or error.status >= 500:
            raise
        return await _limits(visit, {str(error.context.get("field", "")): error.detail}, form)
    return visit.go("/allocation/limits", "Removed." if form.get("do") == "remove" else "Saved; stock is divided anew.")


async def _scope_typed(tx: Tx, form: dict[str, str]) -> allocation.Scope:
    """Return what the limit is about: an id that a row of the list names, or a SKU or handle that a person typed."""
    if form.get("scope_id"):
        return allocation.Scope(form.get("scope", ""), parse_id(form["scope_id"]))
    sku = form.get("sku", "")
    whole = form.get("of") == "product"
    id: UUID | None
    if whole:
        id = await reading.product_by_sku(tx, sku)
    else:
        id = (await catalog.known_skus(tx, [sku])).get(sku)
    if id is None:
        raise allocation.InvalidLimit(f"There is no SKU {'or handle ' if whole else ''}{sku[:60]!r}.", field="sku")
    return allocation.Scope(allocation.PRODUCT if whole else allocation.VARIANT, id)


# ---- what was learned ------------------------------------------------------------------------------------


async def learned(visit: Visit) -> Response:
    """How long channels take and how fast SKUs sell, with what is behind each number."""
    cursor, search = visit.parameter("cursor"), visit.parameter("q")
    learning = visit.services.learning
    async with visit.transaction() as tx:
        lags = await reading.list_lags(tx, utc_now(), learning)
        rates = await reading.list_rates(tx, learning, cursor, PAGE_SIZE // 2, search)
        habits = await reading.habits(tx, utc_now())
        names = await reading.connection_names(tx)
    by_connection: dict[UUID, dict[str, Any]] = {}
    for lag in lags:
        by_connection.setdefault(lag.connection_id, {"name": lag.connection})[lag.kind] = lag
    return await visit.page(
        "allocation_learned.html", tab="learned", lags=by_connection, rates=rates, names=names, cursor=cursor,
        search=search, modes=MODES, texts=policy_forms.STRATEGIES, half_life_days=learning.half_life_s / 86_400,
        window_h=learning.lag_window_s / 3_600, habits=habits, busiest=_busiest(habits),
    )  # fmt: skip


def _busiest(habits: reading.HabitRow | None) -> list[tuple[str, float]]:
    """Return the three busiest hours of the week in words, each with how many times the mean rate orders come then."""
    if habits is None or not sum(habits.by_hour):
        return []
    mean = sum(habits.by_hour) / len(habits.by_hour)
    hours = sorted(range(len(habits.by_hour)), key=lambda hour: (-habits.by_hour[hour], hour))[:BUSIEST]
    return [
        (f"{WEEKDAYS[hour // 24]} {hour % 24:02}:00 to {hour % 24 + 1:02}:00", habits.by_hour[hour] / mean)
        for hour in hours
    ]
