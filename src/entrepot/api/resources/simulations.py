"""Simulations: past orders under other policies, lags and locations; kept, compared, run again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field
from starlette.responses import Response

from entrepot.allocation import facade as allocation
from entrepot.allocation import simulations
from entrepot.allocation.location_choices import LocationChoice, Moving, Whereabouts
from entrepot.api.answers import Answer, Input, Resource, answer, empty, once, respond
from entrepot.api.dependencies import CallDep
from entrepot.api.paging import PagingDep
from entrepot.api.resources.jobs import JobResource
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.kernel.paging import Slice

Share = Annotated[float, Field(gt=0, le=1_000_000)]
Days = Annotated[float, Field(gt=0, le=3650)]


class PolicyTried(Input):
    """A policy with its parameters, under a name of your own."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    strategy: Annotated[str, Field(min_length=1, max_length=80)]
    parameters: dict[str, Any] = Field(default_factory=dict)


Degrees = Annotated[float, Field(ge=-180, le=180)]


class UnitsMoved(Input):
    """Before the first order a part of the units of a location is moved to another; `once`: deliveries go to where they were."""

    source: UUID
    target: UUID
    part: Annotated[float, Field(gt=0, le=1)] = 1.0
    once: bool = False


class LocationsTried(Input):
    """A choice of locations under a name of your own: units are moved, then the stock of those left out is not there.

    `send`: from the first location by priority that has units, or from the nearest to the order.
    """

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
    left_out: Annotated[list[UUID], Field(max_length=200)] = Field(default_factory=list)
    moves: Annotated[list[UnitsMoved], Field(max_length=200)] = Field(default_factory=list)
    send: Literal["priority", "nearest"] = "priority"


class LocationIs(Input):
    """Where a location is: a country as orders write it (the hub's own: two letters), coordinates in degrees."""

    location_id: UUID
    country: Annotated[str, Field(max_length=80, pattern=r"^[^\x00]*$")] = ""
    latitude: Degrees | None = None
    longitude: Degrees | None = None


class SimulationInput(Input):
    """What to try. `policies`: names (`fixed_shares`, `equal`, `pool`, `priority`, `performance`, `demand`, `risk`, or `now`
    for the shop's present policy) or policies with parameters; each is tried at each of `lagsS` (seconds).

    `source`: `own` takes the hub's orders from `since` to `until` (days, the last included), `file` the one of `fileId`.
    `leftOut`: locations whose stock is not there. `margin`: part of the price where no cost is known; `oversellCost`: in margins.
    `locations`: choices to try side by side, with each policy at each lag; `whereabouts`: where locations are, for parcels that
    go abroad and for the nearest. `channels`, `seed`: which order goes to which channel where a file names none.
    """

    source: Literal["own", "file"] = "own"
    file_id: UUID | None = None
    title: Annotated[str, Field(max_length=200)] = ""
    policies: Annotated[list[Annotated[str, Field(max_length=80)] | PolicyTried], Field(min_length=1, max_length=24)]
    lags_s: Annotated[list[Annotated[float, Field(ge=0, le=604_800)]], Field(min_length=1, max_length=24)]
    since: Annotated[str, Field(max_length=10)] = ""
    until: Annotated[str, Field(max_length=10)] = ""
    cover_days: Days = 28.0
    every_days: Days = 42.0
    margin: Annotated[float, Field(gt=0, le=1)] = 0.3
    oversell_cost: Annotated[float, Field(ge=0, le=1000)] = 10.0
    left_out: Annotated[list[UUID], Field(max_length=200)] = Field(default_factory=list)
    channels: Annotated[dict[str, Share], Field(min_length=1, max_length=50)] = Field(
        default_factory=lambda: {"first": 0.5, "second": 0.3, "third": 0.2}
    )
    seed: Annotated[int, Field(ge=0, le=2**31)] = 1
    locations: Annotated[list[LocationsTried], Field(max_length=20)] = Field(default_factory=list)
    whereabouts: Annotated[list[LocationIs], Field(max_length=200)] = Field(default_factory=list)


class OutcomeView(Resource):
    """What a policy came to at a lag, in units; `best`: it earns most at this lag.

    `lost`, `clairvoyantSold`: against whoever knows all orders beforehand. `stranded`: there, but not where they were asked for.
    `marginMinor`: less what oversells cost. `askedWithCost`: units whose cost is known. `marginShare` null: no prices.
    With a choice of `locations`: orders sent, those sent from several (`ordersSplit`), parcels, those where both countries are
    known (`parcelsTold`) and those of them to another one (`parcelsAbroad`).
    """

    policy: str
    locations: str
    lag_s: float
    best: bool
    asked: int
    sold: int
    oversold: int
    lost: int
    stranded: int
    stock_outs: int
    stock_outs_oversold: int
    clairvoyant_sold: int
    revenue_minor: int
    margin_minor: int
    clairvoyant_margin_minor: int
    asked_with_cost: int
    orders_sent: int
    orders_split: int
    parcels: int
    parcels_told: int
    parcels_abroad: int
    clairvoyant_orders_split: int
    clairvoyant_parcels: int
    clairvoyant_parcels_told: int
    clairvoyant_parcels_abroad: int
    oversold_share: float
    lost_share: float
    margin_share: float | None


class Simulation(Resource):
    """A simulation. `state`: as its job's. `found`: what was read (lines, SKUs, channels), once it is read.

    `conclusions`: in words which choice is best at each lag, and what the others come to beside it.
    """

    id: UUID
    title: str
    actor: str
    state: str
    job: JobResource | None
    file_id: UUID | None
    file_name: str | None
    settings: dict[str, Any]
    found: dict[str, Any] | None
    created_at: datetime
    finished_at: datetime | None
    outcomes: list[OutcomeView]
    conclusions: list[str]


class OneSimulation(Resource):
    """A simulation."""

    simulation: Simulation


class Simulations(Resource):
    """Simulations, newest first."""

    simulations: list[Simulation]
    next_cursor: str | None


class OrderFileInput(Input):
    """A CSV file of past orders: columns time, sku, quantity, and channel, price, cost, order if there are."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    data: Annotated[str, Field(min_length=1, max_length=60_000_000)]


class OrderFileView(Resource):
    """A file of past orders that is kept for as long as a simulation is about it."""

    id: UUID
    name: str
    bytes: int
    created_at: datetime


class OrderFiles(Resource):
    """The files of past orders that are kept."""

    order_files: list[OrderFileView]


async def list_files(call: CallDep) -> Response:
    """Return the files of past orders that are kept."""
    async with call.transaction() as tx:
        rows = await simulations.files(tx)
    return respond(OrderFiles(order_files=[OrderFileView.model_validate(dict(row)) for row in rows]))


async def keep_file(body: OrderFileInput, call: CallDep) -> Response:
    """Keep a file of past orders, for simulations; up to 20 are kept."""

    async def work(tx: Tx) -> Answer:
        data = body.data.replace("\x00", "").encode(errors="replace")
        id = await simulations.keep_file(tx, body.name.replace("\x00", ""), data, actor=call.actor.name)
        await identity.record(tx, call.actor, "order-file.keep", "order_file", id, None, {"name": body.name})
        rows = [row for row in await simulations.files(tx) if row["id"] == id]
        return answer(OrderFiles(order_files=[OrderFileView.model_validate(dict(row)) for row in rows]), 201)

    return await once(call, work)


async def start(body: SimulationInput, call: CallDep) -> Response:
    """Start a simulation as a background job; `GET /v1/simulations/{id}` tells how far it is."""

    async def work(tx: Tx) -> Answer:
        if (body.source == "file") != (body.file_id is not None):
            raise allocation.InvalidSimulation("Send `fileId` with the source `file`, and only then.")
        present = await allocation.get_policy(tx)
        chosen = []
        for each in body.policies:
            if isinstance(each, str):
                chosen += simulations.choices([each], present)
            else:
                chosen.append(allocation.Choice(each.name, each.strategy, each.parameters))
        settings = allocation.SimulationSettings(
            chosen, body.lags_s, body.since, body.until, body.cover_days, body.every_days, body.margin,
            body.oversell_cost, [str(id) for id in body.left_out], dict(body.channels), body.seed,
            [_locations(each) for each in body.locations],
            [Whereabouts(str(at.location_id), at.country, at.latitude, at.longitude) for at in body.whereabouts],
        )  # fmt: skip
        title = body.title.replace("\x00", "")
        id = await simulations.start(tx, call.actor, settings, file_id=body.file_id, title=title)
        return answer(_one(await simulations.detail(tx, id)), 202)

    return await once(call, work)


async def list_simulations(call: CallDep, paging: PagingDep) -> Response:
    """Return simulations, newest first."""

    async def fetch(cursor: str | None, limit: int) -> Slice[allocation.SimulationView]:
        async with call.transaction() as tx:
            return await simulations.listing(tx, cursor, limit)

    found = await paging.read(fetch)
    return respond(Simulations(simulations=[_view(each) for each in found.items], next_cursor=found.next_cursor))


async def get_simulation(simulation_id: UUID, call: CallDep) -> Response:
    """Return a simulation with what came of it so far."""
    async with call.transaction() as tx:
        return respond(_one(await simulations.detail(tx, simulation_id)))


async def results(simulation_id: UUID, call: CallDep) -> Response:
    """Return the comparison of a simulation as CSV."""
    async with call.transaction() as tx:
        view = await simulations.detail(tx, simulation_id)
    headers = {"Content-Disposition": 'attachment; filename="simulation.csv"'}
    return Response(simulations.as_csv(view), media_type="text/csv; charset=utf-8", headers=headers)


async def cancel(simulation_id: UUID, call: CallDep) -> Response:
    """Stop a simulation; the trials that are done stay."""
    async with call.transaction() as tx:
        return respond(_one(await simulations.stop(tx, call.actor, simulation_id)))


async def delete(simulation_id: UUID, call: CallDep) -> Response:
    """Delete a simulation that has ended; its file goes with the last one about it."""
    async with call.transaction() as tx:
        await simulations.delete(tx, call.actor, simulation_id)
    return empty()


def _locations(told: LocationsTried) -> LocationChoice:
    moves = [Moving(str(move.source), str(move.target), move.part, move.once) for move in told.moves]
    return LocationChoice(told.name, [str(id) for id in told.left_out], moves, told.send)


def _one(view: allocation.SimulationView) -> OneSimulation:
    return OneSimulation(simulation=_view(view))


def _view(view: allocation.SimulationView) -> Simulation:
    return Simulation(
        id=view.id, title=view.title, actor=view.actor, state=view.state,
        job=JobResource.model_validate(view.job) if view.job else None,
        file_id=view.file_id, file_name=view.file_name, settings=simulations.plain(view.settings),
        found=dict(view.found) if view.found else None, created_at=view.created_at, finished_at=view.finished_at,
        outcomes=[_outcome(each) for each in view.outcomes],
        conclusions=simulations.conclusions(view.outcomes),
    )  # fmt: skip


def _outcome(each: allocation.Outcome) -> OutcomeView:
    tally = each.tally
    counts = {name: round(getattr(tally, name)) for name in OutcomeView.model_fields if hasattr(tally, name)}
    return OutcomeView(
        policy=each.policy, locations=each.locations, lag_s=each.lag_s, best=each.best, oversold_share=each.oversold_share,
        lost_share=each.lost_share, margin_share=each.margin_share, **counts,
    )  # fmt: skip
