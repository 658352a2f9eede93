"""What an order is made of: its name, money, statuses, and people, as GraphQL values."""

from __future__ import annotations

from decimal import Decimal

from entrepot_sandbox.books import Order
from entrepot_sandbox.shopify.catalog import Node
from entrepot_sandbox.shopify.ids import gid
from entrepot_sandbox.shopify.state import State
from entrepot_sandbox.shopify.words import amount, country_name, first_and_last, stamp

ZERO = Decimal(0)


def order_name(order: Order) -> str:
    """Return the number that people see, such as #1001."""
    return f"#{1000 + order.serial}"


def money(order: Order, value: Decimal) -> Node:
    """Return an amount in the shop's and the buyer's currency (the same here)."""
    one = {"amount": amount(value), "currencyCode": order.currency}
    return {"shopMoney": one, "presentmentMoney": one}


def original_total(order: Order) -> Decimal:
    """Return the price of all units ordered, cancelled ones too."""
    return sum((line.unit_price * line.quantity for line in order.lines), ZERO)


def financial_status(order: Order) -> str:
    """Return PAID, or how much was refunded because it was cancelled."""
    if order.is_cancelled:
        return "REFUNDED"
    return "PARTIALLY_REFUNDED" if any(line.cancelled for line in order.lines) else "PAID"


def fulfillment_status(order: Order) -> str:
    """Return UNFULFILLED, PARTIALLY_FULFILLED or FULFILLED."""
    if order.is_shipped:
        return "FULFILLED"
    return "PARTIALLY_FULFILLED" if any(line.shipped for line in order.lines) else "UNFULFILLED"


def address_node(order: Order) -> Node:
    """Where the order goes."""
    buyer = order.buyer
    first, last = first_and_last(buyer.name)
    return {
        "__typename": "MailingAddress",
        "id": gid("MailingAddress", int(order.id)) + "?model_name=Address",
        "name": buyer.name,
        "firstName": first,
        "lastName": last,
        "address1": buyer.line1,
        "city": buyer.city,
        "zip": buyer.postal_code,
        "country": country_name(buyer.country),
        "countryCodeV2": buyer.country or None,
        "formattedArea": f"{buyer.city}, {country_name(buyer.country)}",
        "coordinatesValidated": False,
    }


def customer_node(state: State, order: Order) -> Node:
    """Who bought."""
    buyer = order.buyer
    first, last = first_and_last(buyer.name)
    number = state.customer_number(buyer.email)
    since = stamp(order.placed_at)
    return {
        "__typename": "Customer",
        "id": gid("Customer", number),
        "legacyResourceId": str(number),
        "firstName": first,
        "lastName": last,
        "displayName": buyer.name,
        "defaultEmailAddress": {"emailAddress": buyer.email},
        "email": buyer.email,
        "createdAt": since,
        "updatedAt": since,
        "state": "DISABLED",
        "locale": "en",
        "tags": [],
        "taxExempt": False,
        "verifiedEmail": True,
        "numberOfOrders": "1",
        "defaultAddress": address_node(order),
    }


def shipping_line(order: Order) -> Node:
    """How it is sent: one free way."""
    nothing = money(order, ZERO)
    return {
        "id": gid("ShippingLine", int(order.id)),
        "title": "Standard",
        "code": "Standard",
        "source": "shopify",
        "custom": False,
        "isRemoved": False,
        "originalPriceSet": nothing,
        "discountedPriceSet": nothing,
        "currentDiscountedPriceSet": nothing,
        "taxLines": [],
    }
