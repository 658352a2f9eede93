"""eBay's orders, mapped. Pure.

A line tells whether all of it has shipped, not how much; of one that is under way the parcels tell it. An order is cancelled
whole or not at all. What eBay collects as tax goes from the buyer to the state: it is no part of what the seller gets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from entrepot.channels.contract import (
    Address,
    ChannelOrder,
    ChannelOrderLine,
    ChannelOrderStatus,
    Payload,
    UnexpectedAnswer,
)
from entrepot.channels.replies import parse_time
from entrepot.connectors.ebay.order_money import money_of
from entrepot.connectors.ebay.reading import amount_before_conversion, inner, objects, optional_text, text, whole

IN_PROGRESS = "IN_PROGRESS"
_PAYING = frozenset({"PENDING", "FAILED"})


def order_of(payload: Payload, marketplace_id: str, shipped: Mapping[str, int] | None = None) -> ChannelOrder | None:
    """Return the order with its lines of this marketplace, None if it has none of them.

    `shipped`: units by line id in the parcels that were told, needed where `parcels_needed`.
    """
    ours = [each for each in objects(payload, "lineItems") if _is_ours(each, marketplace_id)]
    if not ours:
        return None
    is_cancelled = inner(payload, "cancelStatus").get("cancelState") == "CANCELED"
    lines = tuple(_line(each, is_cancelled, shipped or {}) for each in ours)
    pricing = inner(payload, "pricingSummary")
    updated_at = parse_time(optional_text(payload, "lastModifiedDate") or text(payload, "creationDate"))
    buyer = inner(payload, "buyer")
    registered = inner(buyer, "buyerRegistrationAddress")
    to = _ship_to(payload)
    address = _address(to)
    return ChannelOrder(
        external_id=text(payload, "orderId"),
        number=optional_text(payload, "salesRecordReference") or text(payload, "orderId"),
        version=int(updated_at.timestamp()) * 1_000 + updated_at.microsecond // 1_000,
        status=_status(payload, lines, is_cancelled=is_cancelled),
        placed_at=parse_time(text(payload, "creationDate")),
        updated_at=updated_at,
        currency=_currency(payload, ours),
        lines=lines,
        total=amount_before_conversion(pricing, "total") or _sum(ours, "total"),
        tax=_tax(pricing, ours),
        shipping=(amount_before_conversion(pricing, "deliveryCost") or Decimal(0))
        - abs(amount_before_conversion(pricing, "deliveryDiscount") or Decimal(0)),
        discount=abs(amount_before_conversion(pricing, "priceDiscount") or Decimal(0)),
        buyer_name=optional_text(to, "fullName")
        or optional_text(registered, "fullName")
        or optional_text(buyer, "username"),
        buyer_email=optional_text(to, "email") or optional_text(registered, "email"),
        ship_to=address,
        channel_status=_words(payload),
        money=money_of(payload, ours),
    )


def parcels_needed(payload: Payload) -> bool:
    """Return whether only the parcels tell how much of the order has shipped."""
    return any(
        each.get("lineItemFulfillmentStatus") == IN_PROGRESS and (whole(each, "quantity") or 1) > 1
        for each in objects(payload, "lineItems")
    )


def shipped_of(parcels: Iterable[Payload]) -> dict[str, int]:
    """Return the units by line id that are in these parcels. Pure."""
    found: dict[str, int] = {}
    for parcel in parcels:
        for each in objects(parcel, "lineItems"):
            line_id = text(each, "lineItemId")
            found[line_id] = found.get(line_id, 0) + (whole(each, "quantity") or 1)
    return found


def _is_ours(line: Payload, marketplace_id: str) -> bool:
    return (optional_text(line, "listingMarketplaceId") or marketplace_id) == marketplace_id


def _line(payload: Payload, is_cancelled: bool, shipped: Mapping[str, int]) -> ChannelOrderLine:
    line_id = text(payload, "lineItemId")
    quantity = whole(payload, "quantity")
    if quantity is None or quantity < 1:
        raise UnexpectedAnswer("eBay's order line has no quantity")
    gone = 0
    if payload.get("lineItemFulfillmentStatus") == "FULFILLED":
        gone = quantity
    elif payload.get("lineItemFulfillmentStatus") == IN_PROGRESS:
        gone = min(shipped.get(line_id, 0), quantity)
    sku = optional_text(payload, "sku") or None
    cost = amount_before_conversion(payload, "lineItemCost") or Decimal(0)
    return ChannelOrderLine(
        external_id=line_id,
        sku=sku,
        external_variant_id=sku,
        title=_title(payload),
        quantity=quantity,
        cancelled=quantity - gone if is_cancelled else 0,
        shipped=gone,
        unit_price=_each(cost, quantity),
    )


def _each(cost: Decimal, quantity: int) -> Decimal:
    """Return the price of one unit: eBay tells that of all, which divides without a rest."""
    return (cost / quantity).quantize(Decimal("0.0001")).normalize() + Decimal("0.00")


def _title(payload: Payload) -> str:
    title = optional_text(payload, "title") or optional_text(payload, "legacyItemId")
    aspects = [optional_text(each, "value") for each in objects(payload, "variationAspects")]
    return " / ".join([title, *filter(None, aspects)])


def _status(payload: Payload, lines: tuple[ChannelOrderLine, ...], *, is_cancelled: bool) -> ChannelOrderStatus:
    if all(line.shipped == line.quantity for line in lines):
        return ChannelOrderStatus.SHIPPED
    if is_cancelled:
        return ChannelOrderStatus.CANCELLED
    if any(line.shipped for line in lines) or payload.get("orderFulfillmentStatus") == IN_PROGRESS:
        return ChannelOrderStatus.PARTLY_SHIPPED
    return ChannelOrderStatus.PENDING if payload.get("orderPaymentStatus") in _PAYING else ChannelOrderStatus.OPEN


def _words(payload: Payload) -> str:
    said = [optional_text(payload, "orderFulfillmentStatus"), optional_text(payload, "orderPaymentStatus")]
    cancel = optional_text(inner(payload, "cancelStatus"), "cancelState")
    if cancel not in ("", "NONE_REQUESTED"):
        said.append(f"cancellation {cancel}")
    refunds = objects(inner(payload, "paymentSummary"), "refunds")
    said += [f"refund {optional_text(each, 'refundStatus') or 'made'}" for each in refunds]
    return ", ".join(each.replace("_", " ").lower() for each in said if each)


def _currency(payload: Payload, lines: Iterable[Payload]) -> str:
    total = inner(inner(payload, "pricingSummary"), "total")
    for held in (total, *(inner(each, "lineItemCost") for each in lines)):
        found = optional_text(held, "convertedFromCurrency") or optional_text(held, "currency")
        if found:
            return found
    raise UnexpectedAnswer("eBay's order has no currency")


def _tax(pricing: Payload, lines: Iterable[Payload]) -> Decimal:
    """Return what the order's total holds of tax; eBay's own collecting comes on top of the total in some countries."""
    told = amount_before_conversion(pricing, "tax")
    if told is not None:
        return told
    taxes = (amount_before_conversion(tax, "amount") for each in lines for tax in objects(each, "taxes"))
    return sum((each for each in taxes if each is not None), Decimal(0))


def _sum(lines: Iterable[Payload], name: str) -> Decimal:
    amounts = (amount_before_conversion(each, name) or amount_before_conversion(each, "lineItemCost") for each in lines)
    return sum((each for each in amounts if each is not None), Decimal(0))


def _ship_to(payload: Payload) -> Payload:
    """Return where the parcel goes: to the buyer, or to eBay's own forwarding address where it ships abroad."""
    for each in objects(payload, "fulfillmentStartInstructions"):
        if each.get("fulfillmentInstructionsType") == "PREPARE_FOR_PICKUP":
            continue
        found = inner(inner(each, "shippingStep"), "shipTo")
        if found:
            return found
    return {}


def _address(to: Payload) -> Address | None:
    at = inner(to, "contactAddress")
    if not at and not to:
        return None
    return Address(
        name=optional_text(to, "fullName"),
        company=optional_text(to, "companyName"),
        line1=optional_text(at, "addressLine1"),
        line2=optional_text(at, "addressLine2"),
        city=optional_text(at, "city"),
        region=optional_text(at, "stateOrProvince") or optional_text(at, "county"),
        postal_code=optional_text(at, "postalCode"),
        country=optional_text(at, "countryCode"),
        phone=optional_text(inner(to, "primaryPhone"), "phoneNumber"),
    )
