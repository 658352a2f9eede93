"""Telling Square that a parcel left.

A fulfilment at Square cannot be divided through the API: it is open until all of it went. So each parcel leaves a note
in the fulfilment's metadata (which also makes a repetition harmless), and the parcel that covers the rest completes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from entrepot.channels.contract import Api, Fulfilment, RequestRejected, TemporarilyUnavailable
from entrepot.connectors.square import calls
from entrepot.connectors.square.orders import units_of
from entrepot.connectors.square.reading import body_of, inner, objects, optional_text, text

_NOTE = "entrepot-parcel-"
_CONFLICTS = frozenset({"CONFLICT", "VERSION_MISMATCH", "409"})
_ATTEMPTS = 4
_CLOSED = frozenset({"COMPLETED", "CANCELED", "FAILED"})


async def push(api: Api, parcel: Fulfilment) -> str:
    """Tell Square of the parcel; return the uid of the fulfilment that it belongs to."""
    for _ in range(_ATTEMPTS):
        order = await _order(api, parcel.external_order_id)
        told = _already_told(order, parcel)
        if told:
            return told
        change = sparse_order(order, parcel)
        key = f"{parcel.idempotency_key[:150]}-{order['version']}"
        try:
            await api.send(calls.update_order(parcel.external_order_id, change, key))
        except RequestRejected as error:
            if error.code not in _CONFLICTS:
                raise
            continue
        return text(change["fulfillments"][0], "uid")
    raise TemporarilyUnavailable("Square's order keeps changing; the parcel is told again later.", code="CONFLICT")


def sparse_order(order: Mapping[str, Any], parcel: Fulfilment) -> dict[str, Any]:
    """Return the change of the order that tells of the parcel. Pure. Raises RequestRejected in plain words."""
    if order.get("state") == "CANCELED":
        raise RequestRejected("The order is cancelled at Square: the parcel cannot be told.", code="order_cancelled")
    if not isinstance(order.get("version"), int):
        raise RequestRejected("Square does not let this order be changed through its API.", code="order_fixed")
    target = _open_fulfilment(order, parcel)
    notes = _notes(target)
    units = sum(line.quantity for line in parcel.lines)
    covered = sum(units_of(target, objects(order, "line_items")).values())
    complete = units + sum(notes.values()) >= covered
    change: dict[str, Any] = {"uid": text(target, "uid"), "metadata": {**_metadata(target), _note(parcel): str(units)}}
    if complete:
        change["state"] = "COMPLETED"
    if target.get("type") == "SHIPMENT":
        details = {
            "carrier": parcel.carrier[:50],
            "tracking_number": parcel.tracking_number[:100],
            "tracking_url": parcel.tracking_url[:2000],
        }
        change["shipment_details"] = {name: value for name, value in details.items() if value}
    return {"location_id": text(order, "location_id"), "version": order["version"], "fulfillments": [change]}


def _already_told(order: Mapping[str, Any], parcel: Fulfilment) -> str:
    """Return the uid of the fulfilment that knows the parcel, or of one that was completed by hand."""
    fulfilments = objects(order, "fulfillments")
    for each in fulfilments:
        if _note(parcel) in _metadata(each):
            return text(each, "uid")
    if order.get("state") == "COMPLETED":
        # The seller was faster, or it was sold over the counter: nothing is left to tell.
        return text(fulfilments[0], "uid") if fulfilments else text(order, "id")
    return ""


def _open_fulfilment(order: Mapping[str, Any], parcel: Fulfilment) -> Mapping[str, Any]:
    still_open = [each for each in objects(order, "fulfillments") if each.get("state") not in _CLOSED]
    if not still_open:
        raise RequestRejected("The order has no open shipment at Square.", code="no_open_fulfilment")
    uids = {line.external_line_id for line in parcel.lines}
    lines = objects(order, "line_items")

    def fit(each: Mapping[str, Any]) -> tuple[int, bool]:
        return len(uids & units_of(each, lines).keys()), each.get("type") == "SHIPMENT"

    return max(still_open, key=fit)


def _note(parcel: Fulfilment) -> str:
    return _NOTE + hashlib.sha256(parcel.idempotency_key.encode()).hexdigest()[:16]


def _notes(fulfilment: Mapping[str, Any]) -> dict[str, int]:
    found = {}
    for name, units in _metadata(fulfilment).items():
        if name.startswith(_NOTE) and isinstance(units, str) and units.isdecimal():
            found[name] = int(units)
    return found


def _metadata(fulfilment: Mapping[str, Any]) -> Mapping[str, Any]:
    return inner(fulfilment, "metadata")


async def _order(api: Api, order_id: str) -> Mapping[str, Any]:
    found = objects(body_of(await api.send(calls.retrieve_orders(api.settings["location_id"], [order_id]))), "orders")
    order = next((each for each in found if optional_text(each, "id") == order_id), None)
    if order is None:
        raise RequestRejected(f"Square does not know the order {order_id} at this location.", code="NOT_FOUND")
    return order
