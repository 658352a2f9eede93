"""Webhook bodies: shaped as the REST API's resources, which is what the channel sends."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from entrepot_sandbox.books import Line, Listing, Order, Parcel
from entrepot_sandbox.shopify import ids
from entrepot_sandbox.shopify.catalog import level_id
from entrepot_sandbox.shopify.ids import gid
from entrepot_sandbox.shopify.order_parts import ZERO, financial_status, fulfillment_status, order_name, original_total
from entrepot_sandbox.shopify.state import Refund, State
from entrepot_sandbox.shopify.words import amount, country_name, first_and_last, stamp

Body = dict[str, Any]
_FULFILLED = {"UNFULFILLED": None, "PARTIALLY_FULFILLED": "partial", "FULFILLED": "fulfilled"}


def money_set(order: Order, value: Decimal) -> Body:
    """Return an amount in the shop's and the buyer's currency."""
    one = {"amount": amount(value), "currency_code": order.currency}
    return {"shop_money": one, "presentment_money": one}


def order_body(state: State, order: Order) -> Body:
    """The whole order as it is now."""
    buyer = order.buyer
    placed, address = stamp(order.placed_at), address_body(order)
    cancelled_at = stamp(order.cancelled_at) if order.cancelled_at else None
    number = 1000 + order.serial
    token = f"{int(order.id):032x}"
    body: Body = {
        "id": int(order.id),
        "admin_graphql_api_id": gid("Order", order.id),
        "app_id": 580111,
        "browser_ip": None,
        "buyer_accepts_marketing": False,
        "cancel_reason": "customer" if cancelled_at else None,
        "cancelled_at": cancelled_at,
        "cart_token": None,
        "checkout_id": int(order.id) + 1,
        "checkout_token": token,
        "closed_at": None,
        "confirmation_number": f"EN{order.serial:07d}",
        "confirmed": True,
        "contact_email": buyer.email,
        "created_at": placed,
        "currency": order.currency,
        "customer_locale": "en",
        "discount_codes": [],
        "email": buyer.email,
        "estimated_taxes": False,
        "financial_status": financial_status(order).lower(),
        "fulfillment_status": _FULFILLED[fulfillment_status(order)],
        "location_id": None,
        "merchant_of_record_app_id": None,
        "name": order_name(order),
        "note": None,
        "note_attributes": [],
        "number": order.serial,
        "order_number": number,
        "order_status_url": f"https://entrepot-demo.myshopify.com/orders/{token}",
        "payment_gateway_names": ["bogus"],
        "phone": None,
        "po_number": None,
        "presentment_currency": order.currency,
        "processed_at": placed,
        "reference": None,
        "source_identifier": None,
        "source_name": "web",
        "tags": "",
        "tax_exempt": False,
        "tax_lines": [],
        "taxes_included": True,
        "test": False,
        "token": token,
        "total_outstanding": "0.00",
        "total_tip_received": "0.00",
        "total_weight": 0,
        "updated_at": stamp(order.updated_at),
        "user_id": None,
    }
    body |= _totals(order)
    body["billing_address"] = body["shipping_address"] = address
    body["customer"] = customer_body(state, order)
    body["discount_applications"] = []
    body["fulfillments"] = [fulfillment_body(order, parcel) for parcel in order.parcels]
    body["line_items"] = [line_body(order, line) for line in order.lines]
    body["payment_terms"] = None
    body["refunds"] = [refund_body(order, refund) for refund in state.refunds.get(order.id, [])]
    body["shipping_lines"] = [_shipping_line(order)]
    return body


def _totals(order: Order) -> Body:
    """The order's money: what it was, and (`current_`) what it is without what was cancelled."""
    total, original = order.total, original_total(order)
    body: Body = {}
    for name, value in (
        ("subtotal_price", original),
        ("total_price", original),
        ("total_line_items_price", original),
        ("total_discounts", ZERO),
        ("total_tax", ZERO),
        ("current_subtotal_price", total),
        ("current_total_price", total),
        ("current_total_discounts", ZERO),
        ("current_total_tax", ZERO),
    ):
        body[name] = amount(value)
        body[f"{name}_set"] = money_set(order, value)
    body["total_shipping_price_set"] = money_set(order, ZERO)
    return body


def line_body(order: Order, line: Line) -> Body:
    """A line of an order."""
    product = line.listing.product
    status = None if not line.shipped else "fulfilled" if line.open == 0 else "partial"
    return {
        "id": int(line.id),
        "admin_graphql_api_id": gid("LineItem", line.id),
        "current_quantity": line.quantity - line.cancelled,
        "fulfillable_quantity": line.open,
        "fulfillment_service": "manual",
        "fulfillment_status": status,
        "gift_card": False,
        "grams": 0,
        "name": product.title,
        "price": amount(line.unit_price),
        "price_set": money_set(order, line.unit_price),
        "product_exists": True,
        "product_id": int(line.listing.keys["product"]),
        "properties": [],
        "quantity": line.quantity,
        "requires_shipping": True,
        "sku": product.sku,
        "taxable": True,
        "title": product.title,
        "total_discount": "0.00",
        "total_discount_set": money_set(order, ZERO),
        "variant_id": int(line.listing.id),
        "variant_inventory_management": "shopify",
        "variant_title": None,
        "vendor": "Entrepot Demo",
        "tax_lines": [],
        "duties": [],
        "discount_allocations": [],
    }


def _shipping_line(order: Order) -> Body:
    return {
        "id": int(order.id),
        "carrier_identifier": None,
        "code": "Standard",
        "discounted_price": "0.00",
        "discounted_price_set": money_set(order, ZERO),
        "is_removed": False,
        "phone": None,
        "price": "0.00",
        "price_set": money_set(order, ZERO),
        "source": "shopify",
        "title": "Standard",
        "tax_lines": [],
        "discount_allocations": [],
    }


def address_body(order: Order) -> Body:
    """Where the order goes."""
    buyer = order.buyer
    first, last = first_and_last(buyer.name)
    return {
        "first_name": first,
        "last_name": last,
        "name": buyer.name,
        "company": None,
        "address1": buyer.line1,
        "address2": None,
        "city": buyer.city,
        "zip": buyer.postal_code,
        "province": None,
        "province_code": None,
        "country": country_name(buyer.country),
        "country_code": buyer.country,
        "phone": None,
        "latitude": None,
        "longitude": None,
    }


def customer_body(state: State, order: Order) -> Body:
    """Who bought."""
    buyer = order.buyer
    first, last = first_and_last(buyer.name)
    number = state.customer_number(buyer.email)
    since = stamp(order.placed_at)
    return {
        "id": number,
        "admin_graphql_api_id": gid("Customer", number),
        "created_at": since,
        "updated_at": since,
        "first_name": first,
        "last_name": last,
        "email": buyer.email,
        "phone": None,
        "state": "disabled",
        "note": None,
        "verified_email": True,
        "multipass_identifier": None,
        "tax_exempt": False,
        "currency": order.currency,
        "tags": "",
        "tax_exemptions": [],
        "default_address": {"id": number, "customer_id": number, "default": True, **address_body(order)},
    }


def fulfillment_body(order: Order, parcel: Parcel) -> Body:
    """A parcel."""
    at = stamp(parcel.shipped_at)
    lines = [(order.line(line_id), units) for line_id, units in parcel.lines.items()]
    numbers = [parcel.tracking_number] if parcel.tracking_number else []
    urls = [parcel.tracking_url] if parcel.tracking_url else []
    return {
        "id": int(parcel.id),
        "admin_graphql_api_id": gid("Fulfillment", parcel.id),
        "order_id": int(order.id),
        "name": f"{order_name(order)}.{order.parcels.index(parcel) + 1}",
        "status": "success",
        "service": "manual",
        "shipment_status": None,
        "location_id": ids.LOCATION,
        "tracking_company": parcel.carrier or None,
        "tracking_number": parcel.tracking_number or None,
        "tracking_numbers": numbers,
        "tracking_url": parcel.tracking_url or None,
        "tracking_urls": urls,
        "created_at": at,
        "updated_at": at,
        "line_items": [{**line_body(order, line), "quantity": units} for line, units in lines if line],
    }


def refund_body(order: Order, refund: Refund) -> Body:
    """A refund of cancelled units."""
    at = stamp(refund.at)
    items = []
    for line_id, units in refund.units.items():
        line = order.line(line_id)
        if line is None:
            continue
        worth = line.unit_price * units
        items.append(
            {
                "id": ids.REFUND_LINE + int(line.id) % ids.REFUND_LINE,
                "line_item_id": int(line.id),
                "line_item": line_body(order, line),
                "location_id": ids.LOCATION,
                "quantity": units,
                "restock_type": "cancel",
                "subtotal": amount(worth),
                "subtotal_set": money_set(order, worth),
                "total_tax": "0.00",
                "total_tax_set": money_set(order, ZERO),
            }
        )
    return {
        "id": refund.number,
        "admin_graphql_api_id": gid("Refund", refund.number),
        "order_id": int(order.id),
        "created_at": at,
        "processed_at": at,
        "note": None,
        "restock": True,
        "user_id": None,
        "duties": [],
        "order_adjustments": [],
        "refund_line_items": items,
        "transactions": [],
    }


def level_body(listing: Listing) -> Body:
    """What is available of an inventory item at the location."""
    return {
        "inventory_item_id": int(listing.keys["item"]),
        "location_id": ids.LOCATION,
        "available": listing.quantity,
        "updated_at": stamp(listing.updated_at),
        "admin_graphql_api_id": level_id(listing),
    }
