"""fulfillmentCreate: a parcel for open units of a fulfilment order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entrepot_sandbox.books import Order, Parcel
from entrepot_sandbox.shopify import ids, webhooks
from entrepot_sandbox.shopify.catalog import Node
from entrepot_sandbox.shopify.orders import fulfillment_node, fulfillment_order_status
from entrepot_sandbox.shopify.state import State, fulfillment_order_line_number


class _Refused(Exception):
    """The fulfilment cannot be made."""


def create_fulfillment(state: State, wanted: Mapping[str, Any]) -> Node:
    """Answer fulfillmentCreate. Nothing is booked if any part of it is wrong."""
    try:
        order, units = _units(state, wanted["lineItemsByFulfillmentOrder"])
    except _Refused as refusal:
        return {"fulfillment": None, "userErrors": [{"field": ["fulfillment"], "message": str(refusal)}]}
    state.fulfillment_count += 1
    tracking = wanted.get("trackingInfo") or {}
    parcel = Parcel(
        id=str(ids.FULFILLMENT + state.fulfillment_count * ids.STEP),
        carrier=tracking.get("company") or "",
        tracking_number=tracking.get("number") or next(iter(tracking.get("numbers") or ()), ""),
        tracking_url=tracking.get("url") or next(iter(tracking.get("urls") or ()), ""),
        shipped_at=state.desk.now(),
        lines=units,
    )
    state.shop.ship(order, parcel)
    for line_id, count in units.items():
        line = order.line(line_id)
        assert line is not None
        state.commit(line.listing, -count)
    webhooks.tell_shipped(state, order, parcel)
    return {"fulfillment": fulfillment_node(state, order, parcel), "userErrors": []}


def order_of_fulfillment_order(state: State, global_id: str) -> Order | None:
    """Return the order that a fulfilment order belongs to."""
    number = ids.number_of(global_id, "FulfillmentOrder") or ""
    if not number.isdigit():
        return None
    serial, rest = divmod(int(number) - ids.FULFILLMENT_ORDER, ids.STEP)
    order: Order | None = state.shop.orders.get(str(ids.ORDER + serial * ids.STEP)) if rest == 0 else None
    return order


def _units(state: State, wanted: list[Mapping[str, Any]]) -> tuple[Order, dict[str, int]]:
    """Return the order and the units by line id. Raises _Refused."""
    orders = [order_of_fulfillment_order(state, one["fulfillmentOrderId"]) for one in wanted]
    if not orders or any(order is None for order in orders):
        raise _Refused("Fulfillment order does not exist.")
    order = orders[0]
    assert order is not None
    if any(one is not order for one in orders):
        raise _Refused("All fulfillment orders must belong to the same order.")
    status = fulfillment_order_status(order)
    if status not in ("OPEN", "IN_PROGRESS"):
        number = ids.number_of(wanted[0]["fulfillmentOrderId"], "FulfillmentOrder")
        raise _Refused(f"Fulfillment order {number} has an unfulfillable status= {status.lower()}.")
    asked = [row for one in wanted for row in one.get("fulfillmentOrderLineItems") or ()]
    if not asked:
        return order, {line.id: line.open for line in order.lines if line.open}
    by_number = {str(fulfillment_order_line_number(line)): line for line in order.lines}
    units: dict[str, int] = {}
    for row in asked:
        line = by_number.get(ids.number_of(row["id"], "FulfillmentOrderLineItem") or "")
        if line is None:
            raise _Refused("Fulfillment order line item does not exist.")
        units[line.id] = units.get(line.id, 0) + row["quantity"]
        if row["quantity"] < 1 or units[line.id] > line.open:
            raise _Refused("Invalid fulfillment order line item quantity requested.")
    return order, units
