"""Locations, and the movements of stock at all of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, Field
from starlette.responses import Response

from entrepot.api.amounts import SkuText
from entrepot.api.answers import Answer, Input, Resource, answer, once, respond
from entrepot.api.dependencies import Call, CallDep
from entrepot.api.items import Item, variants_of
from entrepot.api.paging import PagingDep
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.stock import facade as stock
from entrepot.stock import reading_queues as reading

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
Kind = Literal["warehouse", "store", "supplier", "dropship"]


class LocationView(Resource):
    """Where stock sits. Stock is taken from the lowest priority number first. `reserved`: with what is held.

    `buffer`: units of each SKU that it keeps back from what channels may show.
    """

    id: UUID
    name: str
    kind: str
    priority: int
    active: bool
    buffer: int
    skus: int
    on_hand: int
    reserved: int
    incoming: int


class Locations(Resource):
    """The locations, those in use first, in the order in which stock is taken from them."""

    locations: list[LocationView]


class OneLocation(Resource):
    """A location."""

    location: LocationView


class NewLocation(Input):
    """A location to be made; it is taken from after all others."""

    name: Name
    kind: Kind = "warehouse"


class LocationChanges(Input):
    """What to change."""

    name: Name | None = None
    kind: Kind | None = None
    buffer: Annotated[int | None, Field(ge=0, le=1_000_000_000)] = None


class LocationOrder(Input):
    """The order in which stock is taken; locations that are not named come after."""

    location_ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)]


class LedgerLine(Resource):
    """A movement: what changed, before and after, why and by whom."""

    id: UUID
    at: datetime
    kind: str
    variant_id: UUID
    sku: str
    location_id: UUID
    location: str
    on_hand_delta: int
    reserved_delta: int
    held_delta: int
    unavailable_delta: int
    incoming_delta: int
    on_hand_before: int
    on_hand_after: int
    reserved_before: int
    reserved_after: int
    reference_kind: str
    reference_id: UUID | None
    reason: str
    actor: str


class LedgerLines(Resource):
    """Movements, newest first."""

    movements: list[LedgerLine]
    next_cursor: str | None


async def list_locations(call: CallDep) -> Response:
    """Return the locations."""
    async with call.transaction() as tx:
        return respond(await _all(tx))


async def create_location(body: NewLocation, call: CallDep) -> Response:
    """Make a location."""

    async def work(tx: Tx) -> Answer:
        id = await stock.create_location(tx, body.name, body.kind)
        made = await _one(tx, id)
        await identity.record(
            tx, call.actor, "location.create", "location", id, None, made.location.model_dump(mode="json")
        )
        return answer(made, 201)

    return await once(call, work)


async def update_location(location_id: UUID, body: LocationChanges, call: CallDep) -> Response:
    """Rename a location, say what it is, or how many units of each SKU it keeps back from channels."""
    async with call.transaction() as tx:
        before = await _one(tx, location_id)
        await stock.change_location(tx, location_id, name=body.name, kind=body.kind, buffer=body.buffer)
        return respond(await _recorded(tx, call, "location.update", before))


async def order_locations(body: LocationOrder, call: CallDep) -> Response:
    """Set the order in which stock is taken from the locations."""
    async with call.transaction() as tx:
        await stock.order_locations(tx, body.location_ids)
        ids = [str(id) for id in body.location_ids]
        await identity.record(tx, call.actor, "location.order", "location", "", None, {"locationIds": ids})
        return respond(await _all(tx))


async def deactivate_location(location_id: UUID, call: CallDep) -> Response:
    """Put a location out of use; refused while stock, claims or open documents are there."""
    async with call.transaction() as tx:
        before = await _one(tx, location_id)
        await stock.deactivate_location(tx, location_id)
        return respond(await _recorded(tx, call, "location.deactivate", before))


async def activate_location(location_id: UUID, call: CallDep) -> Response:
    """Put a location back into use."""
    async with call.transaction() as tx:
        before = await _one(tx, location_id)
        await stock.activate_location(tx, location_id)
        return respond(await _recorded(tx, call, "location.activate", before))


async def list_ledger(
    call: CallDep,
    paging: PagingDep,
    kind: Annotated[Literal[reading.MOVEMENT_FILTERS], Query(description="One kind, or all, goods, claims")] = "all",  # type: ignore[valid-type]
    sku: Annotated[SkuText | None, Query()] = None,
    location_id: Annotated[UUID | None, Query(alias="locationId")] = None,
    since: Annotated[AwareDatetime | None, Query()] = None,
    until: Annotated[AwareDatetime | None, Query()] = None,
) -> Response:
    """Return movements of stock, newest first."""
    async with call.transaction() as tx:
        variant_id = (await variants_of(tx, [Item(sku=sku)]))[0] if sku else None
        chosen = reading.MovementFilter(kind, variant_id, location_id, since, until)
        found = await paging.read(lambda cursor, limit: reading.list_movements(tx, chosen, cursor, limit))
    lines = [LedgerLine.model_validate(row) for row in found]
    return respond(LedgerLines(movements=lines, next_cursor=found.next_cursor))


async def _all(tx: Tx) -> Locations:
    return Locations(locations=[LocationView.model_validate(row) for row in await reading.location_rows(tx)])


async def _one(tx: Tx, id: UUID) -> OneLocation:
    return OneLocation(location=LocationView.model_validate(await reading.location_row(tx, id)))


async def _recorded(tx: Tx, call: Call, action: str, before: OneLocation) -> OneLocation:
    after = await _one(tx, before.location.id)
    await identity.record(
        tx, call.actor, action, "location", before.location.id, before.location.model_dump(mode="json"),
        after.location.model_dump(mode="json"),
    )  # fmt: skip
    return after
