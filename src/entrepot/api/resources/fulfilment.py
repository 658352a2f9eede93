"""Fulfilment orders, what waits, and the rules that decide from where orders are sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Path as PathParameter
from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from entrepot.api.amounts import Text255
from entrepot.api.answers import Answer, Input, Resource, answer, once, respond
from entrepot.api.dependencies import Call, CallDep
from entrepot.api.paging import PagingDep
from entrepot.database.pool import Tx
from entrepot.fulfilment import facade as fulfilment
from entrepot.fulfilment import reading
from entrepot.identity import facade as identity
from entrepot.kernel.errors import InvalidInput

Status = Literal["open", "in_progress", "ready", "shipped", "cancelled"]
PlainText = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
Number = Annotated[int, PathParameter(ge=1, le=2_000_000_000)]
PlaceText = Annotated[str, Field(max_length=100, pattern=r"^[^\x00]*$")]


class FulfilmentOrderView(Resource):
    """What one location is to send of an order. `pinned`: a person chose the location, so rules leave it alone."""

    id: UUID
    order_id: UUID
    number: str
    connection: str
    location_id: UUID
    location: str
    status: str
    pinned: bool
    units: int
    picked: int
    shipped: int
    placed_at: datetime
    created_at: datetime


class FulfilmentLine(Resource):
    """Units of an order line."""

    order_line_id: UUID
    sku: str
    title: str
    quantity: int
    picked: int
    shipped: int


class FulfilmentOrderWhole(FulfilmentOrderView):
    """The same with its lines."""

    lines: list[FulfilmentLine]


class FulfilmentOrders(Resource):
    """Fulfilment orders, those made first before others."""

    fulfilment_orders: list[FulfilmentOrderView]
    next_cursor: str | None


class OneFulfilmentOrder(Resource):
    """A fulfilment order."""

    fulfilment_order: FulfilmentOrderWhole


class Sent(Resource):
    """The shipment that was recorded, and the fulfilment order after it."""

    shipment_id: UUID
    fulfilment_order: FulfilmentOrderWhole


class ParkedView(Resource):
    """Units of an order line that wait. `lookAt`: when they are looked at again at the latest; null: when stock changes."""

    order_line_id: UUID
    order_id: UUID
    number: str
    sku: str
    title: str
    quantity: int
    reason: str
    look_at: datetime | None
    cancel_at: datetime | None


class ParkedLines(Resource):
    """Order lines of which units wait."""

    parked: list[ParkedView]
    next_cursor: str | None


class RoutingRules(Resource):
    """A version of the routing rules."""

    number: int
    rules: dict[str, Any]
    note: str
    actor: str
    in_force: bool
    created_at: datetime


class RulesVersions(Resource):
    """The version in force first, then the newest."""

    routing_rules: list[RoutingRules]


class OneRules(Resource):
    """A version of the routing rules."""

    routing_rules: RoutingRules


class TrialView(Resource):
    """What rules would do with orders. `costMinor`: what the parcels cost, in the organisation's currency."""

    orders: int
    parcels: int
    split: int
    waiting_orders: int
    waiting_units: int
    cost_minor: int
    by_place: dict[str, int]
    by_rule: dict[str, int]


class ComparedView(Resource):
    """Rules tried out beside those in force. `differ`: the orders that would go otherwise."""

    in_force: TrialView
    tried: TrialView
    differ: list[UUID]


class UnitsOfLine(Input):
    """So many units of an order line."""

    order_line_id: UUID
    quantity: Annotated[int, Field(ge=0, le=1_000_000_000)]


Lines = Annotated[list[UnitsOfLine], Field(min_length=1, max_length=500)]


class Picked(Input):
    """How many units of lines have been picked so far."""

    lines: Lines


class ParcelSent(Input):
    """A parcel that left. Without `lines` it holds all that was left to send."""

    carrier: Text255 = ""
    tracking_number: Text255 = ""
    tracking_url: Text255 = ""
    lines: Lines | None = None


class SentFrom(Input):
    """Another location that is to send units; without `lines` all of them."""

    location_id: UUID
    lines: Lines | None = None


class NewRules(Input):
    """Routing rules to be kept as a new version; `putInForce`: and to route by from now on."""

    rules: dict[str, Any]
    note: PlainText = ""
    put_in_force: bool = False


class RulesToTry(Input):
    """Routing rules to try out on the newest open orders, or on past ones."""

    rules: dict[str, Any]
    on: Literal["open", "past"] = "open"


class PlaceInput(Input):
    """What routing is to know of a location. `dailyCapacity`: orders a day (UTC); null: no limit."""

    country: PlaceText = ""
    region: PlaceText = ""
    cost_minor: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    daily_capacity: Annotated[int | None, Field(ge=0, le=1_000_000)] = None
    groups: Annotated[list[PlaceText], Field(max_length=20, default_factory=list)]


class PlaceView(Resource):
    """What routing knows of a location in use."""

    location_id: UUID
    name: str
    country: str
    region: str
    cost_minor: int
    daily_capacity: int | None
    groups: list[str]


class RoutingPlaces(Resource):
    """The locations in use, in the order in which stock is taken."""

    places: list[PlaceView]


# ---- fulfilment orders ---------------------------------------------------------------------------------------------


async def list_fulfilment_orders(
    call: CallDep,
    paging: PagingDep,
    status: Annotated[Status, Query()] = "open",
    location_id: Annotated[UUID | None, Query(alias="locationId")] = None,
) -> Response:
    """Return fulfilment orders in a status."""
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: reading.list_work(tx, status, location_id, cursor, limit))
    rows = [FulfilmentOrderView.model_validate(row) for row in found]
    return respond(FulfilmentOrders(fulfilment_orders=rows, next_cursor=found.next_cursor))


async def get_fulfilment_order(fulfilment_order_id: UUID, call: CallDep) -> Response:
    """Return a fulfilment order with its lines."""
    async with call.transaction() as tx:
        return respond(OneFulfilmentOrder(fulfilment_order=await _whole(tx, fulfilment_order_id)))


async def begin(fulfilment_order_id: UUID, call: CallDep) -> Response:
    """Somebody begins to pick."""
    return await _changed(call, "begin", fulfilment_order_id, fulfilment.begin)


async def pack(fulfilment_order_id: UUID, call: CallDep) -> Response:
    """All of it is picked and packed."""
    return await _changed(call, "pack", fulfilment_order_id, fulfilment.pack)


async def reopen(fulfilment_order_id: UUID, call: CallDep) -> Response:
    """Put it back among what is to be picked."""
    return await _changed(call, "reopen", fulfilment_order_id, fulfilment.open_again)


async def _changed(call: Call, verb: str, id: UUID, do: Any) -> Response:
    async with call.transaction() as tx:
        await do(tx, id)
        await identity.record(tx, call.actor, f"fulfilment.{verb}", "fulfilment_order", id)
        return respond(OneFulfilmentOrder(fulfilment_order=await _whole(tx, id)))


async def pick(fulfilment_order_id: UUID, body: Picked, call: CallDep) -> Response:
    """Say how many units of lines have been picked so far."""
    async with call.transaction() as tx:
        await fulfilment.pick(tx, fulfilment_order_id, _units(body.lines) or {})
        await _record(tx, call, "fulfilment.pick", fulfilment_order_id, body)
        return respond(OneFulfilmentOrder(fulfilment_order=await _whole(tx, fulfilment_order_id)))


async def send(fulfilment_order_id: UUID, body: ParcelSent, call: CallDep) -> Response:
    """Record a parcel: stock goes down at the location, and the channel is told of it soon after."""

    async def work(tx: Tx) -> Answer:
        label = fulfilment.Label(body.carrier, body.tracking_number, body.tracking_url)
        shipment_id = await fulfilment.send(
            tx, fulfilment_order_id, label, _units(body.lines), actor=call.actor.reference, now=call.services.clock()
        )
        await _record(tx, call, "fulfilment.send", fulfilment_order_id, body)
        return answer(Sent(shipment_id=shipment_id, fulfilment_order=await _whole(tx, fulfilment_order_id)), 201)

    return await once(call, work)


async def send_from(fulfilment_order_id: UUID, body: SentFrom, call: CallDep) -> Response:
    """Have units sent from another location; return the fulfilment order that has them now."""

    async def work(tx: Tx) -> Answer:
        there = await fulfilment.send_from(
            tx, fulfilment_order_id, body.location_id, _units(body.lines), actor=call.actor.reference,
            now=call.services.clock(),
        )  # fmt: skip
        await _record(tx, call, "fulfilment.move", fulfilment_order_id, body)
        return answer(OneFulfilmentOrder(fulfilment_order=await _whole(tx, there)))

    return await once(call, work)


async def list_parked(call: CallDep, paging: PagingDep) -> Response:
    """Return order lines of which units wait."""
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: reading.list_parked(tx, None, cursor, limit))
    return respond(ParkedLines(parked=[ParkedView.model_validate(row) for row in found], next_cursor=found.next_cursor))


# ---- rules ---------------------------------------------------------------------------------------------------------


async def list_rules(call: CallDep) -> Response:
    """Return the newest versions of the routing rules."""
    async with call.transaction() as tx:
        rows = await reading.rules_versions(tx)
    return respond(RulesVersions(routing_rules=[RoutingRules.model_validate(row) for row in rows]))


async def create_rules(body: NewRules, call: CallDep) -> Response:
    """Keep routing rules as a new version."""

    async def work(tx: Tx) -> Answer:
        number = await fulfilment.save_rules(tx, body.rules, body.note, actor=call.actor.reference)
        if body.put_in_force:
            await fulfilment.put_in_force(tx, number, call.services.clock())
        await _record(tx, call, "routing_rules.save", number, body)
        return answer(await _rules(tx, number), 201)

    return await once(call, work)


async def put_in_force(number: Number, call: CallDep) -> Response:
    """Route by this version from now on."""
    async with call.transaction() as tx:
        await fulfilment.put_in_force(tx, number, call.services.clock())
        await identity.record(tx, call.actor, "routing_rules.force", "routing_rules", number)
        return respond(await _rules(tx, number))


async def try_rules(body: RulesToTry, call: CallDep) -> Response:
    """Try rules out beside those in force; nothing is written."""
    async with call.transaction() as tx:
        told = await fulfilment.compare(tx, body.rules, call.services.clock(), past=body.on == "past")
    return respond(
        ComparedView(
            in_force=TrialView.model_validate(told.force), tried=TrialView.model_validate(told.tried),
            differ=list(told.differ),
        )
    )  # fmt: skip


async def list_places(call: CallDep) -> Response:
    """Return what routing knows of the locations in use."""
    async with call.transaction() as tx:
        return respond(await _places(tx))


async def describe_place(location_id: UUID, body: PlaceInput, call: CallDep) -> Response:
    """Say what routing is to know of a location."""
    async with call.transaction() as tx:
        facts = fulfilment.PlaceFacts(
            body.country, body.region, body.cost_minor, body.daily_capacity, tuple(body.groups)
        )
        await fulfilment.describe_place(tx, location_id, facts)
        await _record(tx, call, "routing_place.change", location_id, body)
        return respond(await _places(tx))


def _units(lines: Sequence[UnitsOfLine] | None) -> dict[UUID, int] | None:
    if lines is None:
        return None
    units = {line.order_line_id: line.quantity for line in lines}
    if len(units) < len(lines):
        raise InvalidInput("A line is named twice.")
    return units


async def _record(tx: Tx, call: Call, action: str, id: UUID | int, body: Input) -> None:
    kind = action.split(".")[0].replace("fulfilment", "fulfilment_order")
    await identity.record(tx, call.actor, action, kind, id, None, body.model_dump(mode="json", by_alias=True))


async def _whole(tx: Tx, id: UUID) -> FulfilmentOrderWhole:
    row, lines = await reading.work(tx, id)
    head = FulfilmentOrderView.model_validate(row).model_dump()
    return FulfilmentOrderWhole(**head, lines=[FulfilmentLine.model_validate(line) for line in lines])


async def _rules(tx: Tx, number: int) -> OneRules:
    return OneRules(routing_rules=RoutingRules.model_validate(await reading.rules_version(tx, number)))


async def _places(tx: Tx) -> RoutingPlaces:
    return RoutingPlaces(places=[PlaceView.model_validate(row) for row in await reading.list_places(tx)])
