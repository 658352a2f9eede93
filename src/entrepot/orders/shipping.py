"""Shipments: units that leave, and what the channel is told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id
from entrepot.orders import store
from entrepot.orders.contracts import NothingToShip, OrderNotFound
from entrepot.orders.routing import tell_orders
from entrepot.stock import facade as stock


@dataclass(frozen=True, slots=True)
class Parcel:
    """What leaves: units by order line (empty: all that is open), how to follow it, and the location that it leaves."""

    carrier: str
    tracking_number: str
    tracking_url: str = ""
    units: Mapping[UUID, int] | None = None
    location_id: UUID | None = None


async def ship(tx: Tx, order_id: UUID, parcel: Parcel, *, actor: str, now: datetime) -> UUID:
    """Record that a parcel left: stock goes down, the channel will be told. Return the shipment's id.

    Raises OrderNotFound, or NothingToShip where units are asked for that are not open or not in stock.
    """
    order = await tx.fetch_row(
        "select connection_id, status from sales_order where organisation_id = $1 and id = $2 for update",
        tx.organisation,
        order_id,
    )
    if order is None:
        raise OrderNotFound()
    if order["status"] in ("pending", "cancelled", "shipped"):
        raise NothingToShip(f"The order is {order['status']}: there is nothing to ship.")
    lines = {line.id: line for line in (await store.stored_lines(tx, [order_id])).get(order_id, [])}
    wanted = dict(parcel.units) if parcel.units else {i: v.reserved for i, v in lines.items() if v.reserved}
    if not wanted:
        raise NothingToShip("No unit of this order is in stock.")
    for line_id, quantity in wanted.items():
        line = lines.get(line_id)
        if line is None or not 1 <= quantity <= line.reserved:
            raise NothingToShip(f"Of this line {line.reserved if line else 0} units can be shipped, not {quantity}.")
    await stock.ship_sales(tx, wanted, actor=actor, location_id=parcel.location_id)
    whole = await stock.claims_of_lines(tx, list(wanted))
    await store.update_line_counts(
        tx,
        [(i, lines[i].quantity, lines[i].cancelled, lines[i].shipped + units) for i, units in wanted.items()],
    )
    await store.update_line_claims(tx, list(whole.values()))
    left = sum(v.quantity - v.cancelled - v.shipped - wanted.get(i, 0) for i, v in lines.items())
    status = "partly_shipped" if left > 0 else "shipped"
    shipment_id = new_id()
    await store.insert_shipment(
        tx, shipment_id, order_id, parcel.carrier, parcel.tracking_number, parcel.tracking_url,
        [{"line_id": str(i), "external_id": lines[i].external_id, "quantity": units} for i, units in wanted.items()],
        now,
    )  # fmt: skip
    await store.set_status(tx, order_id, status)
    units = sum(wanted.values())
    summary = f"{units} units shipped with {parcel.carrier or 'no carrier named'} {parcel.tracking_number}".strip()
    await store.insert_events(tx, [(order_id, now, "shipped", summary, {"actor": actor})])
    await store.refresh_flags(tx, [order_id])
    await tell_orders(tx, [order_id])
    tx.hint(f"ship:{order['connection_id']}")
    return shipment_id


async def shipments_to_tell(tx: Tx, connection_id: UUID, now: datetime, limit: int) -> Sequence[Any]:
    """Return shipments that the channel has not been told of, with the order's external id."""
    return await store.shipments_to_tell(tx, connection_id, now, limit)


async def shipment_told(tx: Tx, shipment_id: UUID, external_id: str, now: datetime) -> None:
    """The channel took the shipment."""
    order_id = await store.set_shipment(tx, shipment_id, "done", external_id=external_id)
    await store.insert_events(tx, [(order_id, now, "tracking", "The channel has the tracking number", {})])


async def shipment_refused(tx: Tx, shipment_id: UUID, detail: str, next_attempt_at: datetime | None) -> None:
    """The channel did not take the shipment: try again at a time, or (None) put it aside."""
    state = "pending" if next_attempt_at else "parked"
    await store.set_shipment(tx, shipment_id, state, detail=detail, next_attempt_at=next_attempt_at)
