"""What people do with fulfilment orders: begin, pick, pack, send parcels, and say from where instead.

Each has the order locked first, as routing has, so neither undoes the other's work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.fulfilment import store
from entrepot.fulfilment.contracts import Sending, WorkMoved, WorkNotFound
from entrepot.fulfilment.working import ROUTE
from entrepot.kernel.ids import new_id
from entrepot.orders import facade as orders
from entrepot.stock import facade as stock


@dataclass(frozen=True, slots=True)
class Label:
    """How a parcel can be followed."""

    carrier: str
    tracking_number: str = ""
    tracking_url: str = ""


async def _locked(tx: Tx, id: UUID) -> tuple[Sending, list[Sending]]:
    """Lock the order of a fulfilment order; return this one and all of the order that have something to send."""
    order_id = await store.order_of(tx, id)
    if order_id is None:
        raise WorkNotFound()
    await orders.lock_orders_named(tx, [order_id])
    found = (await store.sendings(tx, [order_id])).get(order_id, [])
    mine = next((each for each in found if each.id == id), None)
    if mine is None:
        raise WorkMoved("It was sent or cancelled already: nothing of it is left to do.")
    return mine, found


def _checked(mine: Sending, units: Mapping[UUID, int] | None, least: int = 1) -> dict[UUID, int]:
    """Return the units meant, all that are left where none are named. Raises WorkMoved where more are named."""
    if units is None:
        return dict(mine.lines)
    for line, count in units.items():
        left = mine.lines.get(line, 0)
        if not least <= count <= left:
            raise WorkMoved(f"Of this line {left} units are left to send, not {count}.", order_line_id=str(line))
    if not units:
        raise WorkMoved("Say of which line how many units are meant.")
    return dict(units)


async def begin(tx: Tx, id: UUID) -> None:
    """Somebody begins to pick: rules leave it where it is from now on. Raises WorkNotFound, WorkMoved."""
    mine, _ = await _locked(tx, id)
    if mine.status != "open":
        raise WorkMoved("Somebody has begun with it already.")
    await store.set_sending(tx, id, status="in_progress")


async def pick(tx: Tx, id: UUID, units: Mapping[UUID, int]) -> None:
    """Say how many units of lines have been picked so far. Raises WorkNotFound, WorkMoved."""
    mine, _ = await _locked(tx, id)
    if mine.status == "ready":
        raise WorkMoved("It is packed already: open it again to pick.")
    await store.set_picked(tx, id, _checked(mine, units, least=0))
    await store.set_sending(tx, id, status="in_progress")


async def pack(tx: Tx, id: UUID) -> None:
    """All of it is picked and packed: it waits for the carrier. Raises WorkNotFound, WorkMoved."""
    mine, _ = await _locked(tx, id)
    if mine.status == "ready":
        raise WorkMoved("It is packed already.")
    await store.set_picked(tx, id, mine.lines)
    await store.set_sending(tx, id, status="ready")


async def open_again(tx: Tx, id: UUID) -> None:
    """Put it back among what is to be picked; nothing counts as picked. Raises WorkNotFound, WorkMoved."""
    mine, _ = await _locked(tx, id)
    if mine.status == "open":
        raise WorkMoved("Nobody has begun with it.")
    await store.set_picked(tx, id, dict.fromkeys(mine.lines, 0))
    await store.set_sending(tx, id, status="open")


async def send(tx: Tx, id: UUID, label: Label, units: Mapping[UUID, int] | None, *, actor: str, now: datetime) -> UUID:
    """A parcel left with these units (None: all that are left); stock goes down there. Return the shipment's id.

    The channel is told of it soon after. Raises WorkNotFound, WorkMoved, NothingToShip.
    """
    mine, _ = await _locked(tx, id)
    leaving = _checked(mine, units)
    if not leaving:
        raise WorkMoved("Nothing of it is left to send.")
    parcel = orders.Parcel(label.carrier, label.tracking_number, label.tracking_url, leaving, mine.location_id)
    shipment_id = await orders.ship(tx, mine.order_id, parcel, actor=actor, now=now)
    await store.count_shipped(tx, id, leaving)
    await store.end_if_empty(tx, [id])
    return shipment_id


async def send_from(
    tx: Tx, id: UUID, location_id: UUID, units: Mapping[UUID, int] | None = None, *, actor: str, now: datetime
) -> UUID:
    """Have these units (None: all) sent from another location; return the fulfilment order that has them now.

    They are reserved there, or nothing changes; rules leave them there from now on. Units join what the order has open at
    that location already. Raises WorkNotFound, WorkMoved, LocationNotFound, LocationRests, NotEnoughStock.
    """
    mine, found = await _locked(tx, id)
    place = next((each for each in await stock.locations(tx) if each.id == location_id), None)
    if place is None:
        raise stock.LocationNotFound(location_id=str(location_id))
    if not place.active:
        raise stock.LocationRests(location_id=str(location_id))
    if location_id == mine.location_id:
        raise WorkMoved("It is sent from there already.")
    moving = _checked(mine, units)
    if not moving:
        raise WorkMoved("Nothing of it is left to send.")
    after = {each.id: dict(each.lines) for each in found}
    for line, count in moving.items():
        after[id][line] -= count
    joined = next((each for each in found if each.location_id == location_id and each.status == "open"), None)
    joining = {} if joined is None else after[joined.id]
    for line, count in moving.items():
        joining[line] = joining.get(line, 0) + count
    wanted: dict[UUID, dict[UUID, int]] = {line: {location_id: 0} for line in moving}
    for each in found:
        for line in moving:
            at = wanted[line]
            at[each.location_id] = at.get(each.location_id, 0) + after[each.id].get(line, 0)
    if joined is None:
        for line, count in moving.items():
            wanted[line][location_id] += count
    await stock.place_sales(tx, wanted, actor=actor)
    await store.put_units(tx, id, {line: n for line, n in after[id].items() if n})
    if joined is None:
        there = new_id()
        await store.insert_sendings(tx, [store.NewSending(there, mine.order_id, location_id, moving, pinned=True)])
    else:
        there = joined.id
        await store.put_units(tx, there, joining)
        await store.set_sending(tx, there, pinned=True)
    await store.end_if_empty(tx, [id])
    units_moved = sum(moving.values())
    await orders.note_routed(
        tx, [(mine.order_id, f"{units_moved} units to be sent from {place.name} instead")], now, actor=actor
    )
    return there


async def route_again(tx: Tx, order_id: UUID, now: datetime) -> None:
    """Let rules decide anew about what is open of an order, also where a person had chosen the place.

    Raises OrderNotFound.
    """
    await orders.lock_orders_named(tx, [order_id])
    if not await orders.orders_to_route(tx, [order_id]):
        raise orders.OrderNotFound()
    for each in (await store.sendings(tx, [order_id])).get(order_id, []):
        if each.pinned and each.status == "open":
            await store.set_sending(tx, each.id, pinned=False)
    await store.ask(tx, [order_id], "person", now)
    tx.hint(ROUTE)
