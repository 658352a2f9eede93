"""Telling Shopify of parcels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from entrepot.channels.contract import Api, Fulfilment, RequestRejected, UnexpectedAnswer
from entrepot.connectors.shopify import mapping, queries, shapes
from entrepot.connectors.shopify.calls import ask

_SHIPPABLE = frozenset({"OPEN", "IN_PROGRESS"})
_DEAD = frozenset({"CANCELLED", "ERROR", "FAILURE"})


@dataclass(frozen=True, slots=True)
class Open:
    """Units of an order line that a fulfilment order still waits for."""

    order_id: str
    location: str
    line_id: str
    order_line: str
    units: int


async def push(api: Api, fulfilment: Fulfilment) -> str:
    """Tell of a parcel; return the plain number of Shopify's fulfilment.

    Shopify has no idempotency key here, so what is already there is looked at first: a live fulfilment with this
    tracking number, or (for a parcel without one) one without a number that holds exactly these lines.
    """
    gid = mapping.gid_of("Order", fulfilment.external_order_id)
    data, _ = await ask(api, queries.PARCELS, shapes.Parcels, {"id": gid})
    if data.order is None:
        raise RequestRejected(f"Shopify has no order {fulfilment.external_order_id}.", code="ORDER_UNKNOWN")
    told = await _already_told(api, gid, fulfilment, data.order.fulfillments)
    if told is not None:
        return told
    wanted = Counter[str]()
    for line in fulfilment.lines:
        wanted[line.external_line_id] += line.quantity
    chosen = choose(wanted, await _open_lines(api, data.order))
    if chosen is None:
        raise RequestRejected(
            "Shopify has not that many units left to ship at any one location: they were fulfilled, cancelled, put on "
            "hold or are split over locations.",
            code="NOTHING_LEFT_TO_FULFIL",
        )
    created, _ = await ask(api, queries.FULFIL, shapes.FulfillmentCreate, {"fulfillment": _input(fulfilment, chosen)})
    outcome = created.fulfillment_create
    if outcome.user_errors:
        words = "; ".join(error.message for error in outcome.user_errors[:3])
        raise RequestRejected(f"Shopify refuses the fulfilment: {words}", code="FULFILMENT_REFUSED")
    if outcome.fulfillment is None:
        raise UnexpectedAnswer("Shopify neither made nor refused the fulfilment")
    return mapping.number_of(outcome.fulfillment.id)


def choose(wanted: Mapping[str, int], lines: Sequence[Open]) -> list[Open] | None:
    """Return what to fulfil so that every wanted unit leaves from one location (Shopify demands that), or None."""
    if not wanted:
        return None
    for location in dict.fromkeys(line.location for line in lines):
        left, chosen = dict(wanted), list[Open]()
        for line in lines:
            units = min(line.units, left.get(line.order_line, 0)) if line.location == location else 0
            if units > 0:
                left[line.order_line] -= units
                chosen.append(Open(line.order_id, location, line.line_id, line.order_line, units))
        if not any(left.values()):
            return chosen
    return None


async def _already_told(api: Api, gid: str, fulfilment: Fulfilment, parcels: Sequence[shapes.Parcel]) -> str | None:
    live = [parcel for parcel in parcels if parcel.status not in _DEAD]
    if fulfilment.tracking_number:
        for parcel in live:
            if any(tracking.number == fulfilment.tracking_number for tracking in parcel.tracking_info):
                return mapping.number_of(parcel.id)
        return None
    if not any(not _numbers(parcel) for parcel in live):
        return None
    data, _ = await ask(api, queries.ORDER_MOVES, shapes.OrderMoves, {"id": gid})
    lines = Counter({line.external_line_id: line.quantity for line in fulfilment.lines})
    for parcel in data.order.fulfillments if data.order else ():
        held = Counter[str]()
        for line in parcel.fulfillment_line_items.nodes if parcel.fulfillment_line_items else ():
            held[mapping.number_of(line.line_item.id)] += line.quantity or 0
        if parcel.status not in _DEAD and not _numbers(parcel) and held == lines:
            return mapping.number_of(parcel.id)
    return None


def _numbers(parcel: shapes.Parcel) -> list[str]:
    return [tracking.number for tracking in parcel.tracking_info if tracking.number]


async def _open_lines(api: Api, order: shapes.ParcelsNode) -> list[Open]:
    lines: list[Open] = []
    for work in order.fulfillment_orders.nodes:
        if work.status not in _SHIPPABLE:
            continue
        location = work.assigned_location.location.id if work.assigned_location.location else ""
        nodes, info = list(work.line_items.nodes), work.line_items.page_info
        while info.has_next_page and info.end_cursor is not None:
            variables = {"id": work.id, "after": info.end_cursor}
            data, _ = await ask(api, queries.PARCEL_LINES, shapes.ParcelLines, variables)
            if (
                data.fulfillment_order is None
                or data.fulfillment_order.line_items.page_info.end_cursor == info.end_cursor
            ):
                break
            nodes += data.fulfillment_order.line_items.nodes
            info = data.fulfillment_order.line_items.page_info
        lines += [
            Open(work.id, location, node.id, mapping.number_of(node.line_item.id), node.remaining_quantity)
            for node in nodes
        ]
    return lines


def _input(fulfilment: Fulfilment, chosen: Sequence[Open]) -> dict[str, Any]:
    by_work: dict[str, list[dict[str, Any]]] = {}
    for line in chosen:
        by_work.setdefault(line.order_id, []).append({"id": line.line_id, "quantity": line.units})
    tracking = {
        "company": fulfilment.carrier,
        "number": fulfilment.tracking_number,
        "url": fulfilment.tracking_url if fulfilment.tracking_number else "",
    }
    written: dict[str, Any] = {
        "lineItemsByFulfillmentOrder": [
            {"fulfillmentOrderId": work, "fulfillmentOrderLineItems": lines} for work, lines in by_work.items()
        ],
        "notifyCustomer": True,
    }
    told = {name: value for name, value in tracking.items() if value}
    if told:
        written["trackingInfo"] = told
    return written
