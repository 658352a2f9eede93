"""Square's orders, mapped. Pure.

Square sells in shops and online. A sale at the till arrives COMPLETED with no fulfilment: its goods are gone.
An order to ship is OPEN and carries fulfilments, each for all lines or for listed ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from entrepot.channels.contract import (
    Address,
    ChannelOrder,
    ChannelOrderLine,
    ChannelOrderStatus,
    Payload,
)
from entrepot.channels.replies import parse_time
from entrepot.connectors.square.reading import (
    decimal,
    inner,
    listing_id,
    money,
    objects,
    optional_text,
    text,
    title_of,
    variation_name,
)

_NOT_GOODS = frozenset({"CUSTOM_AMOUNT", "GIFT_CARD"})
_DETAILS = ("shipment_details", "delivery_details", "pickup_details")


def order_of(payload: Payload, location_id: str) -> ChannelOrder | None:
    """Return the order, or None if it claims no stock of this location.

    None for a draft, for another location, and for what holds no goods (a return, a bare amount of money).
    A state that we do not know claims its units as OPEN does.
    """
    if payload.get("state") == "DRAFT" or payload.get("location_id") != location_id:
        return None
    goods = [each for each in objects(payload, "line_items") if each.get("item_type") not in _NOT_GOODS]
    if not goods:
        return None
    shipped, dropped = _fulfilled(payload, goods)
    state = optional_text(payload, "state")
    lines = tuple(_line(each, state, location_id, shipped, dropped) for each in goods)
    updated_at = parse_time(text(payload, "updated_at"))
    recipient = _recipient(payload)
    return ChannelOrder(
        external_id=text(payload, "id"),
        number=optional_text(payload, "reference_id") or text(payload, "id"),
        version=_version(payload, updated_at),
        status=_status(payload, lines),
        placed_at=parse_time(optional_text(payload, "created_at") or text(payload, "updated_at")),
        updated_at=updated_at,
        currency=text(inner(payload, "total_money"), "currency"),
        lines=lines,
        total=money(payload, "total_money"),
        tax=money(payload, "total_tax_money"),
        shipping=money(payload, "total_service_charge_money"),
        discount=money(payload, "total_discount_money"),
        buyer_name=optional_text(recipient, "display_name"),
        buyer_email=optional_text(recipient, "email_address"),
        ship_to=_address(recipient),
        channel_status=_channel_status(payload),
    )


def _version(payload: Payload, updated_at: datetime) -> int:
    """Return Square's counter; orders made outside the API have none, there the time of change counts (in µs)."""
    version = payload.get("version")
    if isinstance(version, int):
        return version
    return int(updated_at.timestamp()) * 1_000_000 + updated_at.microsecond


def _line(
    payload: Payload, state: str, location_id: str, shipped: Mapping[str, int], dropped: Mapping[str, int]
) -> ChannelOrderLine:
    ordered = decimal(payload.get("quantity"))
    whole = ordered == ordered.to_integral_value()
    quantity = max(0, math.ceil(ordered))
    uid = text(payload, "uid")
    gone = min(shipped.get(uid, 0), quantity)
    left = min(dropped.get(uid, 0), quantity - gone)
    if state == "CANCELED":
        left = quantity - gone
    elif state == "COMPLETED":
        gone = quantity - left
    variation_id = optional_text(payload, "catalog_object_id")
    title = title_of(optional_text(payload, "name"), variation_name(payload, "variation_name"))
    if not whole:
        # Sold by weight or length: the hub counts whole units, so a person decides; the line stays visible.
        title = f"{title} ({ordered.normalize():f} ordered: fractions are not counted here, see Square)"
    return ChannelOrderLine(
        external_id=uid,
        sku=None,
        external_variant_id=listing_id(variation_id, location_id) if variation_id and whole else None,
        title=title,
        quantity=quantity,
        cancelled=left,
        shipped=gone,
        unit_price=money(payload, "base_price_money"),
    )


def _fulfilled(payload: Payload, goods: list[Mapping[str, Any]]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the units by line uid that went out, and those that a completed order never sent."""
    shipped: dict[str, int] = {}
    dropped: dict[str, int] = {}
    ended = payload.get("state") == "COMPLETED"
    for fulfilment in objects(payload, "fulfillments"):
        state = fulfilment.get("state")
        if state == "COMPLETED":
            into = shipped
        elif ended and state in ("CANCELED", "FAILED"):
            into = dropped
        else:
            continue
        for uid, units in units_of(fulfilment, goods).items():
            into[uid] = into.get(uid, 0) + units
    return shipped, dropped


def units_of(fulfilment: Payload, lines: list[Mapping[str, Any]]) -> dict[str, int]:
    """Return what a fulfilment covers: units by line uid. Fractions count as the whole unit that they begin."""
    if fulfilment.get("line_item_application") == "ENTRY_LIST" or fulfilment.get("entries"):
        covered: dict[str, int] = {}
        for each in objects(fulfilment, "entries"):
            uid = text(each, "line_item_uid")
            covered[uid] = covered.get(uid, 0) + math.ceil(decimal(each.get("quantity")))
        return covered
    return {text(each, "uid"): math.ceil(decimal(each.get("quantity"))) for each in lines}


def _status(payload: Payload, lines: tuple[ChannelOrderLine, ...]) -> ChannelOrderStatus:
    state = payload.get("state")
    if state == "CANCELED":
        return ChannelOrderStatus.CANCELLED
    if state == "COMPLETED":
        all_dropped = all(each.cancelled == each.quantity for each in lines)
        return ChannelOrderStatus.CANCELLED if all_dropped else ChannelOrderStatus.SHIPPED
    shipped = sum(each.shipped for each in lines)
    if shipped and shipped >= sum(each.quantity for each in lines):
        return ChannelOrderStatus.SHIPPED
    if shipped:
        return ChannelOrderStatus.PARTLY_SHIPPED
    return ChannelOrderStatus.OPEN if _amount_due(payload) <= 0 else ChannelOrderStatus.PENDING


def _amount_due(payload: Payload) -> Decimal:
    if payload.get("net_amount_due_money") is not None:
        return money(payload, "net_amount_due_money")
    paid = sum((money(each, "amount_money") for each in objects(payload, "tenders")), Decimal(0))
    return money(payload, "total_money") - paid


def _channel_status(payload: Payload) -> str:
    states = [optional_text(each, "state") for each in objects(payload, "fulfillments")]
    return " / ".join(filter(None, (optional_text(payload, "state"), *states)))


def _recipient(payload: Payload) -> Mapping[str, Any]:
    for fulfilment in objects(payload, "fulfillments"):
        for details in _DETAILS:
            recipient = inner(inner(fulfilment, details), "recipient")
            if recipient:
                return recipient
    return {}


def _address(recipient: Payload) -> Address | None:
    where = inner(recipient, "address")
    if not where:
        return None
    further = (optional_text(where, "address_line_2"), optional_text(where, "address_line_3"))
    return Address(
        name=optional_text(recipient, "display_name"),
        line1=optional_text(where, "address_line_1"),
        line2=", ".join(filter(None, further)),
        city=optional_text(where, "locality"),
        region=optional_text(where, "administrative_district_level_1"),
        postal_code=optional_text(where, "postal_code"),
        country=optional_text(where, "country"),
        phone=optional_text(recipient, "phone_number"),
    )
