"""Orders, their lines, fulfilment orders, fulfilments and refunds as GraphQL values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from entrepot_sandbox.books import Line, Listing, Order, Parcel
from entrepot_sandbox.marketplace import tells
from entrepot_sandbox.shopify import ids
from entrepot_sandbox.shopify.catalog import Node, location_node, product_node, variant_node
from entrepot_sandbox.shopify.ids import gid
from entrepot_sandbox.shopify.order_parts import (
    ZERO,
    address_node,
    customer_node,
    financial_status,
    fulfillment_status,
    money,
    order_name,
    original_total,
    shipping_line,
)
from entrepot_sandbox.shopify.paging import connection
from entrepot_sandbox.shopify.products import sheet_of
from entrepot_sandbox.shopify.state import Refund, State, fulfillment_order_line_number, fulfillment_order_number
from entrepot_sandbox.shopify.words import first_and_last, stamp


def order_node(state: State, order: Order) -> Node:
    """An order as it is now."""
    placed, address = stamp(order.placed_at), address_node(order)
    units = sum(line.quantity for line in order.lines)
    current = sum(line.quantity - line.cancelled for line in order.lines)
    cancelled_at = stamp(order.cancelled_at) if order.cancelled_at else None
    still_open = any(line.open for line in order.lines)
    return {
        "__typename": "Order",
        "id": gid("Order", order.id),
        "legacyResourceId": order.id,
        "name": order_name(order),
        "number": 1000 + order.serial,
        "confirmationNumber": f"EN{order.serial:07d}",
        "confirmed": True,
        "email": order.buyer.email,
        "tags": [],
        "test": False,
        "sourceName": "web",
        "currencyCode": order.currency,
        "presentmentCurrencyCode": order.currency,
        "createdAt": placed,
        "updatedAt": stamp(order.updated_at),
        "processedAt": placed,
        "closed": False,
        "cancelledAt": cancelled_at,
        "cancelReason": "CUSTOMER" if cancelled_at else None,
        "cancellation": {"staffNote": None} if cancelled_at else None,
        "displayFinancialStatus": financial_status(order),
        "displayFulfillmentStatus": fulfillment_status(order),
        "fullyPaid": True,
        "unpaid": False,
        "edited": False,
        "fulfillable": still_open,
        "refundable": current > 0,
        "restockable": still_open,
        "requiresShipping": True,
        "taxesIncluded": True,
        "taxExempt": False,
        "dutiesIncluded": False,
        "estimatedTaxes": False,
        **_totals(order),
        "currentSubtotalLineItemsQuantity": current,
        "subtotalLineItemsQuantity": units,
        "taxLines": [],
        "currentTaxLines": [],
        "customer": lambda _info: customer_node(state, order),
        "customerLocale": "en",
        "billingAddress": address,
        "shippingAddress": address,
        "displayAddress": address,
        "billingAddressMatchesShippingAddress": True,
        **_related(state, order),
        "customAttributes": [],
        "discountCodes": [],
        "paymentGatewayNames": ["bogus"],
        "capturable": False,
        "canMarkAsPaid": False,
        "totalWeight": "0",
        "currentTotalWeight": "0",
    }


def _totals(order: Order) -> Node:
    """The order's money: what it was, and what it is without what was cancelled."""
    total, original = order.total, original_total(order)
    nothing, now_worth, paid = money(order, ZERO), money(order, total), money(order, original)
    return {
        "subtotalPriceSet": paid,
        "totalPriceSet": paid,
        "totalTaxSet": nothing,
        "totalDiscountsSet": nothing,
        "totalShippingPriceSet": nothing,
        "totalReceivedSet": paid,
        "totalRefundedSet": money(order, original - total),
        "totalOutstandingSet": nothing,
        "totalCapturableSet": nothing,
        "originalTotalPriceSet": paid,
        "currentTotalPriceSet": now_worth,
        "currentSubtotalPriceSet": now_worth,
        "currentTotalTaxSet": nothing,
        "currentTotalDiscountsSet": nothing,
        "currentShippingPriceSet": nothing,
        "netPaymentSet": now_worth,
    }


def _related(state: State, order: Order) -> Node:
    """What belongs to the order, made when it is asked for."""
    return {
        "lineItems": _lines_of(state, order),
        "fulfillmentOrders": _one_page(lambda: [fulfillment_order_node(state, order)]),
        "fulfillments": lambda _info, first=None: [
            fulfillment_node(state, order, parcel) for parcel in order.parcels[:first]
        ],
        "fulfillmentsCount": {"count": len(order.parcels), "precision": "EXACT"},
        "refunds": lambda _info, first=None: [
            refund_node(state, order, refund) for refund in state.refunds.get(order.id, [])[:first]
        ],
        "shippingLine": shipping_line(order),
        "shippingLines": _one_page(lambda: [shipping_line(order)]),
    }


def _lines_of(state: State, order: Order) -> Callable[..., Node]:
    def lines(info: Any, first: int | None = None, after: str | None = None, reverse: bool = False) -> Node:
        tells(info.context, order)
        return connection(
            order.lines,
            key=lambda line: [int(line.id)],
            node=lambda line: line_node(state, order, line),
            first=first,
            after=after,
            reverse=reverse,
        )

    return lines


def _one_page(make: Callable[[], Sequence[Node]]) -> Callable[..., Node]:
    """A connection over few things, in their own order."""

    def page(_info: Any, first: int | None = None, after: str | None = None, reverse: bool = False) -> Node:
        return connection(
            tuple(enumerate(make())),
            key=lambda pair: [pair[0]],
            node=lambda pair: pair[1],
            first=first,
            after=after,
            reverse=reverse,
        )

    return page


def line_node(state: State, order: Order, line: Line) -> Node:
    """A line: `quantity` as ordered, `currentQuantity` without what was cancelled, `unfulfilledQuantity` to ship."""
    product, price = line.listing.product, line.unit_price
    current = line.quantity - line.cancelled
    nothing = money(order, ZERO)
    return {
        "__typename": "LineItem",
        "id": gid("LineItem", line.id),
        "sku": product.sku,
        "title": product.title,
        "name": product.title,
        "variantTitle": None,
        "vendor": "Entrepot Demo",
        "quantity": line.quantity,
        "currentQuantity": current,
        "unfulfilledQuantity": line.open,
        "nonFulfillableQuantity": line.cancelled,
        "refundableQuantity": current,
        "requiresShipping": True,
        "taxable": True,
        "isGiftCard": False,
        "restockable": line.open > 0,
        "merchantEditable": line.open > 0,
        "originalUnitPriceSet": money(order, price),
        "discountedUnitPriceSet": money(order, price),
        "discountedUnitPriceAfterAllDiscountsSet": money(order, price),
        "originalTotalSet": money(order, price * line.quantity),
        "discountedTotalSet": money(order, price * line.quantity),
        "totalDiscountSet": nothing,
        "unfulfilledOriginalTotalSet": money(order, price * line.open),
        "unfulfilledDiscountedTotalSet": money(order, price * line.open),
        "taxLines": lambda _info, first=None: [],
        "variant": lambda _info: _variant(state, line.listing),
        "product": lambda _info: _product(state, line.listing),
        "customAttributes": [],
    }


def _variant(state: State, listing: Listing) -> Node | None:
    """Return the variant of a line, None if it was deleted since."""
    return variant_node(state, listing) if listing.id in state.by_variant else None


def _product(state: State, listing: Listing) -> Node | None:
    sheet = sheet_of(listing)
    return product_node(state, sheet) if sheet.id in state.sheets else None


def refund_node(state: State, order: Order, refund: Refund) -> Node:
    """A refund of cancelled units."""
    at = stamp(refund.at)
    lines = [(order.line(line_id), units) for line_id, units in refund.units.items()]
    worth = sum((line.unit_price * units for line, units in lines if line), ZERO)
    nodes: list[Node] = [
        {
            "id": gid("RefundLineItem", ids.REFUND_LINE + int(line.id) % ids.REFUND_LINE),
            "lineItem": line_node(state, order, line),
            "quantity": units,
            "restockType": "CANCEL",
            "restocked": True,
            "priceSet": money(order, line.unit_price),
            "subtotalSet": money(order, line.unit_price * units),
            "totalTaxSet": money(order, ZERO),
        }
        for line, units in lines
        if line
    ]
    return {
        "__typename": "Refund",
        "id": gid("Refund", refund.number),
        "legacyResourceId": str(refund.number),
        "createdAt": at,
        "updatedAt": at,
        "note": None,
        "order": lambda _info: order_node(state, order),
        "refundLineItems": _one_page(lambda: nodes),
        "totalRefundedSet": money(order, worth),
    }


# -- fulfilment ---------------------------------------------------------------------------------------------


def fulfillment_order_status(order: Order) -> str:
    """Return OPEN, IN_PROGRESS (some left), CLOSED or CANCELLED."""
    if order.is_cancelled:
        return "CANCELLED"
    if not any(line.open for line in order.lines):
        return "CLOSED"
    return "IN_PROGRESS" if any(line.shipped for line in order.lines) else "OPEN"


def fulfillment_order_node(state: State, order: Order) -> Node:
    """The work of shipping an order: one fulfilment order at the one location."""
    status, buyer = fulfillment_order_status(order), order.buyer
    first, last = first_and_last(buyer.name)
    number = fulfillment_order_number(order)
    location = location_node(state)
    return {
        "__typename": "FulfillmentOrder",
        "id": gid("FulfillmentOrder", number),
        "status": status,
        "requestStatus": "UNSUBMITTED",
        "createdAt": stamp(order.placed_at),
        "updatedAt": stamp(order.updated_at),
        "fulfillAt": stamp(order.placed_at),
        "order": lambda _info: order_node(state, order),
        "orderId": gid("Order", order.id),
        "orderName": order_name(order),
        "orderProcessedAt": stamp(order.placed_at),
        "assignedLocation": {
            "name": location["name"],
            "location": location,
            **{key: location["address"].get(key) for key in ("address1", "city", "countryCode", "zip")},
        },
        "destination": {
            "id": gid("FulfillmentOrderDestination", number),
            "firstName": first,
            "lastName": last,
            "email": buyer.email,
            "address1": buyer.line1,
            "city": buyer.city,
            "zip": buyer.postal_code,
            "countryCode": buyer.country or None,
        },
        "lineItems": _one_page(lambda: [_fulfillment_order_line(state, order, line) for line in order.lines]),
        "fulfillments": _one_page(lambda: [fulfillment_node(state, order, parcel) for parcel in order.parcels]),
        "supportedActions": [{"action": "CREATE_FULFILLMENT"}] if status in ("OPEN", "IN_PROGRESS") else [],
    }


def _fulfillment_order_line(state: State, order: Order, line: Line) -> Node:
    product = line.listing.product
    return {
        "__typename": "FulfillmentOrderLineItem",
        "id": gid("FulfillmentOrderLineItem", fulfillment_order_line_number(line)),
        "lineItem": lambda _info: line_node(state, order, line),
        "totalQuantity": line.quantity - line.cancelled,
        "remainingQuantity": line.open,
        "inventoryItemId": gid("InventoryItem", line.listing.keys["item"]),
        "sku": product.sku,
        "productTitle": product.title,
        "vendor": "Entrepot Demo",
        "requiresShipping": True,
        "variant": lambda _info: _variant(state, line.listing),
    }


def fulfillment_node(state: State, order: Order, parcel: Parcel) -> Node:
    """A parcel."""
    at = stamp(parcel.shipped_at)
    tracking = {"company": parcel.carrier or None, "number": parcel.tracking_number or None}
    return {
        "__typename": "Fulfillment",
        "id": gid("Fulfillment", parcel.id),
        "legacyResourceId": parcel.id,
        "name": f"{order_name(order)}-F{order.parcels.index(parcel) + 1}",
        "status": "SUCCESS",
        "displayStatus": "FULFILLED",
        "createdAt": at,
        "updatedAt": at,
        "totalQuantity": sum(parcel.lines.values()),
        "requiresShipping": True,
        "trackingInfo": lambda _info, first=None: [{**tracking, "url": parcel.tracking_url or None}][:first],
        "fulfillmentLineItems": _one_page(lambda: _fulfillment_lines(state, order, parcel.id, parcel.lines)),
        "fulfillmentOrders": _one_page(lambda: [fulfillment_order_node(state, order)]),
        "location": lambda _info: location_node(state),
        "order": lambda _info: order_node(state, order),
    }


def _fulfillment_lines(state: State, order: Order, number: str, units: Mapping[str, int]) -> list[Node]:
    nodes = []
    for index, (line_id, quantity) in enumerate(units.items()):
        line = order.line(line_id)
        assert line is not None
        worth = money(order, line.unit_price * quantity)
        nodes.append(
            {
                "id": gid("FulfillmentLineItem", int(number) * 100 + index),
                "lineItem": line_node(state, order, line),
                "quantity": quantity,
                "originalTotalSet": worth,
                "discountedTotalSet": worth,
            }
        )
    return nodes
