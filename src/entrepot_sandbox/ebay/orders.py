"""Orders: search with its little lag, parcels, refunds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.books import Line, Order, Parcel
from entrepot_sandbox.ebay.answers import Refused, body_of, json_answer, number
from entrepot_sandbox.ebay.finances import Ledger
from entrepot_sandbox.ebay.state import SELLER, Json, State, money, stamp
from entrepot_sandbox.marketplace import tells

PAGE_MAX, IDS_MAX = 200, 50
SEARCH_LAG_S = 4.0
"""How long an order may take to be found by a search; by its id it is there at once."""
PAYING = "paying"
"""In `Order.extra` while the payment is outstanding."""
_FILTER = re.compile(r"(creationdate|lastmodifieddate):\[([^\].]*(?:\.\d+)?Z?)\.\.([^\]]*)\]")


async def search(state: State, ledger: Ledger, request: Request) -> Response:
    """GET /order, by ids or by date; the newest change last."""
    ids = [each for each in request.query_params.get("orderIds", "").split(",") if each]
    if len(ids) > IDS_MAX:
        raise Refused(400, 30850, f"At most {IDS_MAX} orderIds.", "API_FULFILLMENT")
    if ids:
        found = [state.shop.orders[each] for each in ids if each in state.shop.orders]
        return _answer(state, ledger, request, found, len(found), 0, IDS_MAX)
    size, offset = number(request, "limit", 50, PAGE_MAX), number(request, "offset", 0, 1_000_000)
    matching = _matching(state, request.query_params.get("filter", ""))
    return _answer(state, ledger, request, matching[offset : offset + size], len(matching), offset, size)


def _matching(state: State, filter_: str) -> list[Order]:
    found = _FILTER.search(filter_)
    if filter_ and found is None:
        raise Refused(400, 30700, "Invalid filter value.", "API_FULFILLMENT")
    horizon = state.desk.now() - timedelta(seconds=state.desk.world.clock.scaled(SEARCH_LAG_S))
    by_change = found is not None and found[1] == "lastmodifieddate"
    after = _moment(found[2]) if found is not None else None
    before = _moment(found[3]) if found is not None and found[3] else None

    def key(order: Order) -> datetime:
        moment = order.updated_at if by_change else order.placed_at
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    matching = [
        order
        for order in state.shop.orders.values()
        if key(order) <= horizon and (after is None or key(order) >= after) and (before is None or key(order) <= before)
    ]
    return sorted(matching, key=lambda order: (key(order), order.id))


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Refused(400, 30700, f"Invalid date {text!r}.", "API_FULFILLMENT") from None


def _answer(
    state: State, ledger: Ledger, request: Request, orders: Iterable[Order], total: int, offset: int, limit: int
) -> Response:
    bodies = []
    for order in orders:
        tells(request, order)
        bodies.append(order_body(state, ledger, order))
    body: Json = {
        "href": str(request.url.path),
        "total": total,
        "limit": limit,
        "offset": offset,
        "orders": bodies,
    }
    if offset + len(bodies) < total and bodies:
        body["next"] = f"{request.url.path}?limit={limit}&offset={offset + len(bodies)}"
    return json_answer(body)


# ---- what an order looks like ----------------------------------------------------------------------------


def order_body(state: State, ledger: Ledger, order: Order) -> Json:
    """Return an order as it is answered."""
    shipped = [line.shipped == line.quantity for line in order.lines]
    status = (
        "FULFILLED" if all(shipped) else "IN_PROGRESS" if any(line.shipped for line in order.lines) else "NOT_STARTED"
    )
    total = sum((line.unit_price * line.quantity for line in order.lines), Decimal(0))
    refunds = ledger.refunds_of(order.id)
    refunded = sum((each.amount for each in refunds), Decimal(0))
    paid = "PENDING" if PAYING in order.extra else "PAID"
    if refunded:
        paid = "FULLY_REFUNDED" if refunded >= total else "PARTIALLY_REFUNDED"
    cancel: Json = {"cancelState": "CANCELED" if order.cancelled_at else "NONE_REQUESTED", "cancelRequests": []}
    if order.cancelled_at is not None:
        cancel["cancelledDate"] = stamp(order.cancelled_at)
    fee = sum((amount for _, _, amount in ledger.fees_of(order)), Decimal(0))
    return {
        "orderId": order.id,
        "creationDate": stamp(order.placed_at),
        "lastModifiedDate": stamp(order.updated_at),
        "orderFulfillmentStatus": status,
        "orderPaymentStatus": paid,
        "sellerId": SELLER,
        "buyer": _buyer(order),
        "pricingSummary": {
            "priceSubtotal": money(total, order.currency),
            "deliveryCost": money(Decimal(0), order.currency),
            "total": money(total, order.currency),
        },
        "cancelStatus": cancel,
        "paymentSummary": {
            "totalDueSeller": money(total - fee - refunded, order.currency),
            "refunds": [each.body for each in refunds],
            "payments": [_payment(order, total, paid)],
        },
        "fulfillmentStartInstructions": [_instruction(order)],
        "fulfillmentHrefs": [
            f"/sell/fulfillment/v1/order/{order.id}/shipping_fulfillment/{p.id}" for p in order.parcels
        ],
        "lineItems": [_line(state, order, line) for line in order.lines],
        "salesRecordReference": str(order.serial),
        "totalFeeBasisAmount": money(total, order.currency),
        "totalMarketplaceFee": money(fee, order.currency),
    }


def _line(state: State, order: Order, line: Line) -> Json:
    cost = money(line.unit_price * line.quantity, order.currency)
    status = "FULFILLED" if line.shipped == line.quantity else "IN_PROGRESS" if line.shipped else "NOT_STARTED"
    return {
        "lineItemId": line.id,
        "legacyItemId": order.extra.get(f"listing {line.id}", "110000000000"),
        "sku": line.listing.sku,
        "title": line.listing.product.title,
        "lineItemCost": cost,
        "quantity": line.quantity,
        "soldFormat": "FIXED_PRICE",
        "listingMarketplaceId": state.place.id,
        "purchaseMarketplaceId": state.place.id,
        "lineItemFulfillmentStatus": status,
        "total": cost,
        "deliveryCost": {"shippingCost": money(Decimal(0), order.currency)},
        "appliedPromotions": [],
        "taxes": [],
        "refunds": [],
        "properties": {"buyerProtection": True},
    }


def _buyer(order: Order) -> Json:
    username = order.buyer.email.partition("@")[0].replace(".", "_")
    at = {"postalCode": order.buyer.postal_code, "countryCode": order.buyer.country}
    return {"username": username, "taxAddress": at, "buyerRegistrationAddress": _contact(order)}


def _contact(order: Order) -> Json:
    buyer = order.buyer
    address = {
        "addressLine1": buyer.line1,
        "city": buyer.city,
        "postalCode": buyer.postal_code,
        "countryCode": buyer.country,
    }
    return {"fullName": buyer.name, "contactAddress": address, "email": buyer.email}


def _instruction(order: Order) -> Json:
    return {
        "fulfillmentInstructionsType": "SHIP_TO",
        "ebaySupportedFulfillment": False,
        "minEstimatedDeliveryDate": stamp(order.placed_at + timedelta(days=2)),
        "maxEstimatedDeliveryDate": stamp(order.placed_at + timedelta(days=5)),
        "shippingStep": {"shipTo": _contact(order), "shippingCarrierCode": "DHL", "shippingServiceCode": "DE_DHLPaket"},
    }


def _payment(order: Order, total: Decimal, status: str) -> Json:
    told: Json = {
        "paymentMethod": "EBAY",
        "paymentReferenceId": f"P{order.serial:012d}",
        "amount": money(total, order.currency),
        "paymentStatus": "PENDING" if status == "PENDING" else "PAID",
    }
    if status != "PENDING":
        told["paymentDate"] = stamp(order.placed_at)
    return told


# ---- parcels ---------------------------------------------------------------------------------------------


async def get_parcels(state: State, request: Request) -> Response:
    """GET /order/{orderId}/shipping_fulfillment."""
    parcels = [_parcel(each) for each in _order(state, request).parcels]
    return json_answer({"fulfillments": parcels, "total": len(parcels)})


def create_parcel(state: State, order: Order, body: Json) -> Parcel:
    """Book a parcel. The same tracking number is another parcel each time: eBay does not look."""
    number_, carrier = str(body.get("trackingNumber", "")), str(body.get("shippingCarrierCode", ""))
    if bool(number_) != bool(carrier) or (number_ and not number_.isalnum()):
        raise Refused(400, 32300, "Invalid shipment tracking number or carrier", "API_FULFILLMENT")
    lines: dict[str, int] = {}
    for each in body.get("lineItems") or [{"lineItemId": line.id, "quantity": line.open} for line in order.lines]:
        line_id, units = str(each.get("lineItemId", "")), each.get("quantity", 1)
        if order.line(line_id) is None or not isinstance(units, int) or units < 1:
            raise Refused(400, 32200, f"Invalid line item id: {line_id}", "API_FULFILLMENT")
        lines[line_id] = lines.get(line_id, 0) + units
    if PAYING in order.extra or order.is_cancelled:
        raise Refused(400, 32600, "Invalid input data: the order cannot be shipped.", "API_FULFILLMENT")
    id = number_ or f"9{state.next_id('parcel'):09d}"
    shipped_at = _moment(str(body["shippedDate"])) if body.get("shippedDate") else state.desk.now()
    parcel = Parcel(id, carrier, number_, "", shipped_at, lines)
    try:
        state.shop.ship(order, parcel)
    except ValueError as error:
        raise Refused(
            400, 32200, f"Line item {error} does not have so many units to ship.", "API_FULFILLMENT"
        ) from None
    return parcel


def _parcel(parcel: Parcel) -> Json:
    told: Json = {
        "fulfillmentId": parcel.id,
        "lineItems": [{"lineItemId": line_id, "quantity": units} for line_id, units in parcel.lines.items()],
        "shippedDate": stamp(parcel.shipped_at),
    }
    if parcel.tracking_number:
        told |= {"shipmentTrackingNumber": parcel.tracking_number, "shippingCarrierCode": parcel.carrier}
    return told


# ---- refunds ---------------------------------------------------------------------------------------------


async def issue_refund(state: State, ledger: Ledger, request: Request) -> Response:
    """POST /order/{orderId}/issue_refund. Asked twice it is given twice, as far as the order's amount goes."""
    order, body = _order(state, request), await body_of(request)
    if not body.get("reasonForRefund"):
        raise Refused(400, 34903, "The refund reason must be specified.", "API_FULFILLMENT")
    parts: list[tuple[str, Any]] = [
        (str(e.get("lineItemId")), e.get("refundAmount")) for e in body.get("refundItems") or []
    ]
    if body.get("orderLevelRefundAmount"):
        parts = [("", body["orderLevelRefundAmount"])]
    if not parts:
        raise Refused(400, 34905, "Either orderLevelRefundAmount or refundItems must be specified.", "API_FULFILLMENT")
    total = sum((_amount(order, held) for _, held in parts), Decimal(0))
    if any(line_id and order.line(line_id) is None for line_id, _ in parts):
        raise Refused(400, 34914, "Can't find the item in the order.", "API_FULFILLMENT")
    paid = sum((line.unit_price * line.quantity for line in order.lines), Decimal(0))
    if ledger.refunded(order.id) + total > paid:
        raise Refused(400, 34915, "The refund amount exceeds order amount.", "API_FULFILLMENT")
    refund = ledger.refund(order, total)
    state.shop.touch(order)
    return json_answer({"refundId": refund.id, "refundStatus": "PENDING"})


def _amount(order: Order, held: Any) -> Decimal:
    try:
        value = Decimal(str(held["value"]))
    except (TypeError, KeyError, InvalidOperation):
        raise Refused(400, 34906, "The amount value must be specified.", "API_FULFILLMENT") from None
    if value <= 0 or value != round(value, 2):
        raise Refused(400, 34907, "The amount value must be positive and within two decimals.", "API_FULFILLMENT")
    if held.get("currency") != order.currency:
        raise Refused(400, 34909, "The amount currency isn't correct.", "API_FULFILLMENT")
    return value


def _order(state: State, request: Request) -> Order:
    order = state.shop.orders.get(request.path_params["order_id"])
    if order is None:
        raise Refused(404, 32100, f"Invalid Order Id: {request.path_params['order_id']}", "API_FULFILLMENT")
    return order


def order_of(state: State, request: Request) -> Order:
    """Return the order that the path names. Raises Refused."""
    return _order(state, request)
