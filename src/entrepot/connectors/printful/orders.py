"""Printful's orders and parcels, mapped. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from entrepot.channels.contract import (
    CostsState,
    MadeLine,
    MadeOrder,
    MadeShipment,
    MakingCosts,
    MakingDraft,
    MakingStatus,
    Payload,
    ShipmentLine,
    ShipmentStatus,
    TrackingEvent,
    UnexpectedAnswer,
)
from entrepot.connectors.printful.reading import (
    inner,
    money,
    number_text,
    objects,
    optional_date,
    optional_number_text,
    optional_text,
    optional_time,
    text,
    time,
    whole,
)

STATUSES: Mapping[str, MakingStatus] = {
    "draft": MakingStatus.DRAFT,
    "pending": MakingStatus.SUBMITTED,
    "failed": MakingStatus.FAILED,
    "canceled": MakingStatus.CANCELLED,
    "inprocess": MakingStatus.MAKING,
    "onhold": MakingStatus.ON_HOLD,
    "partial": MakingStatus.PARTLY_SHIPPED,
    "fulfilled": MakingStatus.SHIPPED,
}
_REASONS: Mapping[MakingStatus, str] = {
    MakingStatus.FAILED: "Printful did not accept the order: look at it in Printful's dashboard (address, files, payment).",
    MakingStatus.ON_HOLD: "Printful has put the order on hold: it has to be settled with Printful before it goes on.",
    MakingStatus.CANCELLED: "The order was cancelled at Printful.",
}
_COSTS: Mapping[str, CostsState] = {
    "done": CostsState.READY,
    "calculating": CostsState.CALCULATING,
    "failed": CostsState.FAILED,
}
_FEES = ("digitization", "additional_fee", "fulfillment_fee", "retail_delivery_fee")
_TAXES = ("tax", "vat")
_SHIPMENTS: Mapping[str, ShipmentStatus] = {
    "pending": ShipmentStatus.WAITING,
    "onhold": ShipmentStatus.ON_HOLD,
    "canceled": ShipmentStatus.CANCELLED,
    "packaged": ShipmentStatus.PACKED,
    "shipped": ShipmentStatus.SENT,
    "returned": ShipmentStatus.RETURNED,
    "outstock": ShipmentStatus.OUT_OF_STOCK,
}

_LEFT = frozenset({ShipmentStatus.SENT, ShipmentStatus.DELIVERED, ShipmentStatus.RETURNED})


def status_of(word: str) -> MakingStatus:
    """Return what Printful's word for a status means. Raises UnexpectedAnswer: a new word must not be guessed."""
    if word not in STATUSES:
        raise UnexpectedAnswer(f"Printful has an order status that is not known here: {word[:40]!r}")
    return STATUSES[word]


def reason_of(status: MakingStatus) -> str:
    """Return in words why an order in this status stands still, empty where it does not."""
    return _REASONS.get(status, "")


def order_of(payload: Payload) -> MadeOrder:
    """Return an order."""
    word = text(payload, "status")
    status = status_of(word)
    return MadeOrder(
        external_id=optional_text(payload, "external_id"),
        maker_id=number_text(payload, "id"),
        status=status,
        created_at=time(payload, "created_at"),
        updated_at=time(payload, "updated_at"),
        lines=tuple(_line(each) for each in objects(payload, "order_items") if _is_of_order(each)),
        costs=costs_of(inner(payload, "costs")),
        shipping_method=optional_text(payload, "shipping"),
        channel_status=word,
        reason=reason_of(status),
    )


def _is_of_order(item: Payload) -> bool:
    """Return whether it is an item that was ordered, rather than one that Printful puts in (a branded insert)."""
    return item.get("type") != "branding_item"


def _line(item: Payload) -> MadeLine:
    quantity = whole(item, "quantity")
    if quantity is None:
        raise UnexpectedAnswer("Printful's order item has no quantity")
    variant = optional_number_text(item, "catalog_variant_id") or optional_number_text(
        item, "warehouse_product_variant_id"
    )
    return MadeLine(
        key=optional_text(item, "external_id"),
        maker_id=number_text(item, "id"),
        variant_id=variant,
        quantity=quantity,
        unit_cost=money(item, "price"),
    )


def costs_of(payload: Payload) -> MakingCosts:
    """Return the costs; until they are worked out the amounts are 0 and count for nothing."""
    state = _COSTS.get(optional_text(payload, "calculation_status") or "done", CostsState.CALCULATING)
    total = money(payload, "total")
    if state is not CostsState.READY or total is None:
        return MakingCosts(CostsState.CALCULATING if state is CostsState.READY else state)

    def of(*names: str) -> Decimal:
        return sum((money(payload, name) or Decimal(0) for name in names), Decimal(0))

    return MakingCosts(
        state=state,
        currency=optional_text(payload, "currency"),
        items=of("subtotal"),
        shipping=of("shipping"),
        discount=of("discount"),
        fees=of(*_FEES),
        tax=of(*_TAXES),
        total=total,
    )


def with_problems(order: MadeOrder, items: Sequence[Payload]) -> MadeOrder:
    """Return the order with what is wrong with the designs of its items, which says why it failed."""
    problems = {number_text(item, "id"): _problem(item) for item in items}
    lines = tuple(replace(line, problem=problems.get(line.maker_id, "")) for line in order.lines)
    told = "; ".join(dict.fromkeys(line.problem for line in lines if line.problem))
    return replace(order, lines=lines, reason=told or order.reason)


def _problem(item: Payload) -> str:
    wrong = [each for each in objects(item, "placements") if each.get("status") == "failed"]
    return "; ".join(
        f"{optional_text(each, 'placement')}: {optional_text(each, 'status_explanation') or 'its design was refused'}"
        for each in wrong
    )


def same_order(order: MadeOrder, draft: MakingDraft) -> bool:
    """Return whether an order holds what the draft asks for: the same keys with the same quantities.

    Where Printful tells no keys, the quantities have to do.
    """
    if not any(line.key for line in order.lines):
        return sorted(line.quantity for line in order.lines) == sorted(line.quantity for line in draft.lines)
    return sorted((line.key, line.quantity) for line in order.lines) == sorted(
        (line.key, line.quantity) for line in draft.lines
    )


# ---- parcels -----------------------------------------------------------------------------------------------------


def shipment_of(payload: Payload) -> MadeShipment:
    """Return a parcel."""
    delivery = optional_text(payload, "delivery_status")
    word = text(payload, "shipment_status")
    if word not in _SHIPMENTS:
        raise UnexpectedAnswer(f"Printful has a shipment status that is not known here: {word[:40]!r}")
    status = _SHIPMENTS[word]
    if status is ShipmentStatus.SENT and delivery == "delivered":
        status = ShipmentStatus.DELIVERED
    expected = inner(payload, "estimated_delivery")
    return MadeShipment(
        maker_id=number_text(payload, "id"),
        order_maker_id=optional_number_text(payload, "order_id"),
        external_id=optional_text(payload, "order_external_id"),
        status=status,
        carrier=optional_text(payload, "carrier"),
        service=optional_text(payload, "service"),
        tracking_number=optional_text(payload, "tracking_number"),
        tracking_url=optional_text(payload, "tracking_url"),
        shipped_at=optional_time(payload, "shipped_at"),
        delivered_at=optional_time(payload, "delivered_at"),
        expected_from=optional_date(expected, "from_date"),
        expected_to=optional_date(expected, "to_date"),
        departs_from=optional_text(inner(payload, "departure_address"), "country_code"),
        replaces=payload.get("is_reshipment") is True,
        delivery=delivery,
        lines=tuple(_shipment_line(each) for each in objects(payload, "shipment_items")),
        events=tuple(
            TrackingEvent(time(each, "triggered_at"), optional_text(each, "description"))
            for each in objects(payload, "tracking_events")
        ),
    )


def _shipment_line(payload: Payload) -> ShipmentLine:
    quantity = whole(payload, "quantity")
    if quantity is None:
        raise UnexpectedAnswer("Printful's shipment item has no quantity")
    return ShipmentLine(
        optional_text(payload, "order_item_external_id"), optional_number_text(payload, "order_item_id"), quantity
    )


def lacks_tracking(shipment: MadeShipment) -> bool:
    """Return whether a parcel left and its number is not told."""
    return shipment.status in _LEFT and not shipment.tracking_number


def with_tracking(shipment: MadeShipment, old_shipments: Sequence[Mapping[str, Any]]) -> MadeShipment:
    """Return the parcel with the number that the first version tells."""
    found = next((each for each in old_shipments if optional_number_text(each, "id") == shipment.maker_id), None)
    if found is None:
        return shipment
    number = found.get("tracking_number")
    return replace(
        shipment,
        tracking_number=str(number) if isinstance(number, str | int) and not isinstance(number, bool) else "",
        tracking_url=shipment.tracking_url or optional_text(found, "tracking_url"),
        carrier=shipment.carrier or optional_text(found, "carrier"),
    )
