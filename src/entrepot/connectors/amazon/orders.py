"""Amazon's orders (version 2026-01-01), mapped. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from entrepot.channels.contract import Address, ChannelOrder, ChannelOrderLine, ChannelOrderStatus, Payload
from entrepot.channels.replies import parse_time
from entrepot.connectors.amazon.manifest import CURRENCY_OF
from entrepot.connectors.amazon.reading import amount, inner, objects, optional_text, text, whole

_STATUS: Mapping[str, ChannelOrderStatus] = {
    "PENDING_AVAILABILITY": ChannelOrderStatus.PENDING,
    "PENDING": ChannelOrderStatus.PENDING,
    "UNSHIPPED": ChannelOrderStatus.OPEN,
    "PARTIALLY_SHIPPED": ChannelOrderStatus.PARTLY_SHIPPED,
    "SHIPPED": ChannelOrderStatus.SHIPPED,
    "CANCELLED": ChannelOrderStatus.CANCELLED,
    # Only of orders that Amazon was to ship from its own stock.
    "UNFULFILLABLE": ChannelOrderStatus.CANCELLED,
}
_NO_CURRENCY = "XXX"
"""ISO 4217 for 'no currency'."""


def order_of(payload: Payload) -> ChannelOrder:
    """Return the order. A status that we do not know claims its units like a pending one."""
    fulfilment = inner(payload, "fulfillment")
    word = optional_text(fulfilment, "fulfillmentStatus")
    status = _STATUS.get(word, ChannelOrderStatus.PENDING)
    updated_at = parse_time(text(payload, "lastUpdatedTime"))
    proceeds, buyer = inner(payload, "proceeds"), inner(payload, "buyer")
    items = [each for each in objects(payload, "orderItems") if (whole(each, "quantityOrdered") or 0) > 0]
    address = inner(inner(payload, "recipient"), "deliveryAddress")
    return ChannelOrder(
        external_id=text(payload, "orderId"),
        number=text(payload, "orderId"),
        version=int(updated_at.timestamp()) * 1_000_000 + updated_at.microsecond,
        status=status,
        placed_at=parse_time(text(payload, "createdTime")),
        updated_at=updated_at,
        currency=_currency(payload, proceeds, items),
        lines=tuple(_line(each, status) for each in items),
        total=amount(proceeds, "grandTotal") or Decimal(0),
        tax=_part(proceeds, items, "TAX"),
        shipping=_part(proceeds, items, "SHIPPING"),
        discount=abs(_part(proceeds, items, "DISCOUNT")),
        buyer_name=optional_text(buyer, "buyerName"),
        buyer_email=optional_text(buyer, "buyerEmail"),
        ship_to=_address(address) if address else None,
        channel_status=word,
        fulfilled_by_channel=fulfilment.get("fulfilledBy") == "AMAZON",
        source_id=_source_id(payload),
    )


def marketplace_of(payload: Payload) -> str:
    """Return the marketplace that the order was placed in, or empty text."""
    return optional_text(inner(payload, "salesChannel"), "marketplaceId")


def _line(payload: Payload, status: ChannelOrderStatus) -> ChannelOrderLine:
    product, fulfilment = inner(payload, "product"), inner(payload, "fulfillment")
    quantity = whole(payload, "quantityOrdered") or 0
    shipped = min(max(whole(fulfilment, "quantityFulfilled") or 0, 0), quantity)
    sku = optional_text(product, "sellerSku") or None
    return ChannelOrderLine(
        external_id=text(payload, "orderItemId"),
        sku=sku,
        external_variant_id=sku,
        title=optional_text(product, "title"),
        quantity=quantity,
        cancelled=_cancelled(payload, status, quantity - shipped),
        shipped=shipped,
        unit_price=_unit_price(payload, quantity),
    )


def _cancelled(payload: Payload, status: ChannelOrderStatus, unshipped: int) -> int:
    """Return how many of the units that did not ship never will.

    A pending order tells nothing sure of what remains, so only its own end or an executed cancellation counts.
    """
    if status is ChannelOrderStatus.CANCELLED:
        return unshipped
    executed = bool(inner(inner(payload, "cancellation"), "cancellationExecution"))
    remaining = whole(inner(payload, "fulfillment"), "quantityUnfulfilled")
    if status is ChannelOrderStatus.PENDING and not executed:
        return 0
    if remaining is None:
        return unshipped if executed or status is ChannelOrderStatus.SHIPPED else 0
    return max(0, unshipped - max(0, remaining))


def _unit_price(payload: Payload, quantity: int) -> Decimal:
    price = amount(inner(inner(payload, "product"), "price"), "unitPrice")
    if price is not None:
        return price
    goods = _sum(inner(payload, "proceeds"), "ITEM")
    return goods / quantity if quantity and goods else Decimal(0)


def _part(proceeds: Payload, items: list[Mapping[str, Any]], kind: str) -> Decimal:
    """Return a part of the order's money, from the order or else from its items."""
    if objects(proceeds, "breakdowns"):
        return _sum(proceeds, kind)
    return sum((_sum(inner(each, "proceeds"), kind) for each in items), Decimal(0))


def _sum(proceeds: Payload, kind: str) -> Decimal:
    parts = [amount(each, "subtotal") for each in objects(proceeds, "breakdowns") if each.get("type") == kind]
    return sum((each for each in parts if each is not None), Decimal(0))


def _currency(payload: Payload, proceeds: Payload, items: list[Mapping[str, Any]]) -> str:
    amounts = [inner(inner(inner(each, "product"), "price"), "unitPrice") for each in items]
    told = (optional_text(each, "currencyCode") for each in (inner(proceeds, "grandTotal"), *amounts))
    return next(filter(None, told), "") or CURRENCY_OF.get(marketplace_of(payload), _NO_CURRENCY)


def _source_id(payload: Payload) -> str:
    """Return the seller's own number of an order that was placed elsewhere and is shipped by Amazon."""
    if inner(payload, "salesChannel").get("channelName") != "NON_AMAZON":
        return ""
    aliases = objects(payload, "orderAliases")
    return next((optional_text(each, "aliasId") for each in aliases if each.get("aliasType") == "SELLER_ORDER_ID"), "")


def _address(where: Payload) -> Address:
    further = (optional_text(where, "addressLine2"), optional_text(where, "addressLine3"))
    return Address(
        name=optional_text(where, "name"),
        company=optional_text(where, "companyName"),
        line1=optional_text(where, "addressLine1"),
        line2=", ".join(filter(None, further)),
        city=optional_text(where, "city") or optional_text(where, "municipality"),
        region=optional_text(where, "stateOrRegion") or optional_text(where, "districtOrCounty"),
        postal_code=optional_text(where, "postalCode"),
        country=optional_text(where, "countryCode"),
        phone=optional_text(where, "phone"),
    )
