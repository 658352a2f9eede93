"""Simulations: what past orders would have come to under other policies, lags and locations; kept and compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.allocation import facade as allocation
from entrepot.allocation import simulations
from entrepot.allocation.facade import SimulationSettings, SimulationView
from entrepot.allocation.simulations import FILE_BYTES_MAX, SHARES, lag_of, lag_words, shares_of
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.kernel.errors import InvalidInput
from entrepot.stock import reading
from entrepot.web import simulation_forms
from entrepot.web.services import PageServices
from entrepot.web.stock_forms import Done, attempt
from entrepot.web.visit import HEADERS, Visit, page, parse_id, upload_of

PAGE_SIZE = 50
POLICIES = {
    "fixed_shares": "Fixed shares, 40/30/20 percent by priority",
    "equal": "Equal parts",
    "pool": "Everything everywhere",
    "priority": "One channel after another",
    "performance": "By what sold in 30 days",
    "demand": "By what is expected to sell",
    "risk": "As much as possible at little risk",
    "now": "What the shop does now",
}


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of simulations; they come before those of one SKU."""
    read, write = Scope.STOCK_READ, Scope.STOCK_WRITE
    return [
        Route("/stock/simulations", page(services, listing, read), methods=["GET"]),
        Route("/stock/simulations", page(services, start, write), methods=["POST"]),
        Route("/stock/simulations/job/{job_id}", page(services, of_job, read), methods=["GET"]),
        Route("/stock/simulations/{id}", page(services, one, read), methods=["GET"]),
        Route("/stock/simulations/{id}/results.csv", page(services, results, read), methods=["GET"]),
        Route("/stock/simulations/{id}/stop", page(services, stop, write), methods=["POST"]),
        Route("/stock/simulations/{id}/delete", page(services, delete, write), methods=["POST"]),
    ]


async def listing(visit: Visit) -> Response:
    """The list, with a form for a new one; `again` fills it in with the settings of another."""
    again = visit.parameter("again")
    typed = _first()
    if again:
        async with visit.transaction() as tx:
            typed = _typed(await simulations.detail(tx, parse_id(again)), await reading.locations(tx))
    return await _listing(visit, typed)


async def _listing(visit: Visit, typed: Mapping[str, Any], error: str = "") -> Response:
    cursor = visit.parameter("cursor")
    async with visit.transaction() as tx:
        rows = await simulations.listing(tx, cursor, PAGE_SIZE)
        files = await simulations.files(tx)
        places = await reading.locations(tx)
    return await visit.page(
        "simulations.html", status=422 if error else 200, tab="simulations", rows=rows, cursor=cursor, files=files,
        places=places, policies=POLICIES,
        typed=typed, error=error,
    )  # fmt: skip


async def start(visit: Visit) -> Response:
    """Start a simulation."""
    form = await visit.files()
    fields = {name: value.strip() for name, value in form.multi_items() if isinstance(value, str)}
    typed: dict[str, Any] = {
        **_first(), **fields, **simulation_forms.read(form.multi_items()),
        "policies": [str(value) for name, value in form.multi_items() if name == "policy"],
        "left_out": [str(value) for name, value in form.multi_items() if name == "left_out"],
    }  # fmt: skip
    name, data = "", b""
    if typed["source"] == "new":
        try:
            upload = upload_of(form, "file")
        except InvalidInput as wrong:
            return await _listing(visit, typed, wrong.detail)
        name, data = upload.filename or "orders.csv", await upload.read(FILE_BYTES_MAX + 1)

    async def work(tx: Tx) -> Done:
        settings = _settings(typed, await allocation.get_policy(tx), await reading.locations(tx))
        file_id: UUID | None = None
        if typed["source"] == "new":
            file_id = await simulations.keep_file(tx, name, data, actor=visit.actor.name)
            await identity.record(tx, visit.actor, "order-file.keep", "order_file", file_id, None, {"name": name})
        elif typed["source"] != "own":
            file_id = parse_id(typed["source"])
        id = await simulations.start(tx, visit.actor, settings, file_id=file_id, title=typed["title"])
        return f"/stock/simulations/{id}", "Started."

    return await attempt(visit, work, lambda error: _listing(visit, typed, error))


async def one(visit: Visit) -> Response:
    """One simulation: its comparison as far as it is; the page asks for it again while it goes on."""
    async with visit.transaction() as tx:
        view = await simulations.detail(tx, visit.id_of("id"))
        places = dict(await reading.locations(tx))
    shown: dict[str, Any] = {
        "view": view, "conclusions": simulations.conclusions(view.outcomes), "lag_words": lag_words, "policies": POLICIES,
        "left_out": [places.get(UUID(id), "a location that is gone") for id in view.settings.left_out],
        "currency": visit.organisation.currency if view.file_id is None else None,
    }  # fmt: skip
    if visit.is_partial:
        return visit.part("simulation_part.html", **shown)
    return await visit.page("simulation.html", tab="simulations", error="", **shown)


async def of_job(visit: Visit) -> Response:
    """From a job to its simulation."""
    async with visit.transaction() as tx:
        id = await simulations.of_job(tx, visit.id_of("job_id"))
    return visit.go(f"/stock/simulations/{id}")


async def results(visit: Visit) -> Response:
    """The comparison as CSV."""
    async with visit.transaction() as tx:
        view = await simulations.detail(tx, visit.id_of("id"))
    headers = {**HEADERS, "Content-Disposition": 'attachment; filename="simulation.csv"'}
    return Response(simulations.as_csv(view), media_type="text/csv; charset=utf-8", headers=headers)


async def stop(visit: Visit) -> Response:
    """Stop it; the policies that are through stay."""
    id = visit.id_of("id")
    async with visit.transaction() as tx:
        await simulations.stop(tx, visit.actor, id)
    return visit.go(f"/stock/simulations/{id}", "It stops in a moment.")


async def delete(visit: Visit) -> Response:
    """Delete it."""
    async with visit.transaction() as tx:
        await simulations.delete(tx, visit.actor, visit.id_of("id"))
    return visit.go("/stock/simulations", "Deleted.")


# ---- what is typed ---------------------------------------------------------------------------------------


def _first() -> dict[str, Any]:
    """Return what the form has to begin with."""
    return {
        "source": "own", "title": "", "policies": ["fixed_shares", "equal", "pool", "risk"], "lags": "60s, 15min",
        "since": "", "until": "", "cover": "28", "every": "42", "margin": "30", "oversell_cost": "10", "left_out": [],
        "channels": _shares(SHARES), **simulation_forms.FIRST,
    }  # fmt: skip


def _shares(shares: Mapping[str, float]) -> str:
    return ",".join(f"{name}={share:g}" for name, share in shares.items())


def _typed(view: SimulationView, places: simulation_forms.Places) -> dict[str, Any]:
    told = view.settings
    return {
        "source": "own" if view.file_id is None else str(view.file_id), "title": "",
        "policies": [choice.name for choice in told.policies if choice.name in POLICIES],
        "lags": ", ".join(lag_words(lag) for lag in told.lags_s), "since": told.since, "until": told.until,
        "cover": f"{told.cover_days:g}", "every": f"{told.every_days:g}", "margin": f"{told.margin * 100:g}",
        "oversell_cost": f"{told.oversell_cost:g}", "left_out": told.left_out, "channels": _shares(told.shares),
        **simulation_forms.typed_of(told, places),
    }  # fmt: skip


def _settings(
    typed: Mapping[str, Any], present: allocation.Policy, places: simulation_forms.Places
) -> SimulationSettings:
    """Return the settings that a person typed. Raises InvalidSimulation, InvalidInput."""
    return SimulationSettings(
        simulations.choices(typed["policies"], present),
        [lag_of(part) for part in typed["lags"].split(",") if part.strip()],
        typed["since"] if typed["source"] == "own" else "",
        typed["until"] if typed["source"] == "own" else "",
        _figure(typed["cover"], "Days of stock"),
        _figure(typed["every"], "Days between deliveries"),
        _figure(typed["margin"], "The margin") / 100,
        _figure(typed["oversell_cost"], "What an oversell costs"),
        list(typed["left_out"]),
        shares_of(typed["channels"]),
        locations=simulation_forms.choices(typed, places),
        whereabouts=simulation_forms.whereabouts(typed),
    )


def _figure(text: str, what: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise InvalidInput(f"{what} must be a number.") from None
