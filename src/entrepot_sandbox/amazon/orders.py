"""Orders 2026-01-01: search by change with its two minutes of lag, and single orders; shipment confirmation."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.amazon.answers import Refused, body_of, invalid, json_answer, list_of
from entrepot_sandbox.amazon.state import FEED_LAG_S, STORE_NAME, State, money, stamp
from entrepot_sandbox.books import Line, Order, Parcel
from entrepot_sandbox.marketplace import tells

PAGE_MAX = 100
DATASETS = frozenset(
    (
        "BUYER",
        "RECIPIENT",
        "PROCEEDS",
        "EXPENSE",
        "PROMOTION",
        "CANCELLATION",
        "FULFILLMENT",
        "PACKAGES",
        "TAX",
        "PAYMENT",
        "FULFILLMENT_ORDERS",
    )
)
STATUSES = frozenset(
    "PENDING_AVAILABILITY PENDING UNSHIPPED PARTIALLY_SHIPPED SHIPPED CANCELLED UNFULFILLABLE".split()  # noqa: SIM905
)
PENDING = "pending"
"""In `Order.extra` while the payment is outstanding."""


class _Search(msgspec.Struct, frozen=True):
    """What is searched for, carried from page to page."""

    field: str
    after: datetime
    before: datetime
    size: int
    statuses: tuple[str, ...]
    fulfilled_by: tuple[str, ...]
    datasets: tuple[str, ...]
    mark: tuple[datetime, str] | None = None


async def search_orders(state: State, request: Request) -> Response:
    """GET /orders/2026-01-01/orders."""
    token = request.query_params.get("paginationToken")
    search = _resume(token) if token else _begin(state, request)
    datasets = list_of(request, "includedData")
    if datasets:
        search = msgspec.structs.replace(search, datasets=_datasets(datasets))
    found = sorted(_matching(state, search), key=lambda order: _key(order, search.field))
    page = found[: search.size]
    body: dict[str, Any] = {"orders": [order_body(state, order, search.datasets) for order in page]}
    for order in page:
        tells(request, order)
    body["lastUpdatedBefore" if search.field == "updated" else "createdBefore"] = stamp(search.before)
    if len(found) > search.size:
        body["pagination"] = {"nextToken": _token(msgspec.structs.replace(search, mark=_key(page[-1], search.field)))}
    return json_answer(body)


def _begin(state: State, request: Request) -> _Search:
    given = request.query_params
    by_change, by_age = given.get("lastUpdatedAfter"), given.get("createdAfter")
    if (by_change is None) == (by_age is None):
        raise invalid("Exactly one of createdAfter and lastUpdatedAfter must be provided.")
    field = "updated" if by_change is not None else "created"
    if given.get("createdBefore" if field == "updated" else "lastUpdatedBefore") is not None:
        raise invalid("createdAfter/createdBefore and lastUpdatedAfter/lastUpdatedBefore cannot be combined.")
    after = _moment(by_change if by_change is not None else by_age or "")
    horizon = state.desk.now() - timedelta(seconds=state.desk.world.clock.scaled(FEED_LAG_S))
    before = given.get("lastUpdatedBefore" if field == "updated" else "createdBefore")
    until = _moment(before) if before is not None else max(horizon, after)
    if before is not None and until > horizon:
        raise invalid("The time before must be at least two minutes before the time of the request.")
    if until < after:
        raise invalid("The time before must not be earlier than the time after.")
    places = list_of(request, "marketplaceIds")
    if places and state.place.id not in places:
        raise invalid(f"None of the marketplaceIds {places} belongs to this seller.")
    statuses = tuple(list_of(request, "fulfillmentStatuses"))
    if not STATUSES.issuperset(statuses):
        raise invalid("fulfillmentStatuses has a value that is not known.")
    size = given.get("maxResultsPerPage", str(PAGE_MAX))
    if not size.isdigit() or not 1 <= int(size) <= PAGE_MAX:
        raise invalid("maxResultsPerPage must be between 1 and 100.")
    return _Search(field, after, until, int(size), statuses, tuple(list_of(request, "fulfilledBy")), ())


def _matching(state: State, search: _Search) -> Iterable[Order]:
    if search.fulfilled_by and "MERCHANT" not in search.fulfilled_by:
        return
    for order in state.shop.orders.values():
        key = _key(order, search.field)
        if not search.after <= key[0] <= search.before or (search.mark is not None and key <= search.mark):
            continue
        if not search.statuses or status_of(order) in search.statuses:
            yield order


def _key(order: Order, field: str) -> tuple[datetime, str]:
    moment = order.updated_at if field == "updated" else order.placed_at
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000), order.id


def _token(search: _Search) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(search)).decode()


def _resume(token: str) -> _Search:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(token.encode()), type=_Search)
    except (ValueError, msgspec.DecodeError):
        raise invalid("The paginationToken is not valid.") from None


def _datasets(names: list[str]) -> tuple[str, ...]:
    if not DATASETS.issuperset(names):
        raise invalid("includedData has a value that is not known.")
    return tuple(names)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(f"{text!r} is not a time in ISO 8601.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def get_order(state: State, request: Request) -> Response:
    """GET /orders/2026-01-01/orders/{orderId}."""
    order = _order(state, request)
    tells(request, order)
    return json_answer({"order": order_body(state, order, _datasets(list_of(request, "includedData")))})


def _order(state: State, request: Request) -> Order:
    order = state.shop.orders.get(request.path_params["order_id"])
    if order is None:
        raise Refused(404, "NotFound", "The requested order was not found.")
    return order


# -- what an order looks like -------------------------------------------------------------------------------


def status_of(order: Order) -> str:
    """Return the order's fulfilment status."""
    if order.is_cancelled:
        return "CANCELLED"
    if order.is_shipped:
        return "SHIPPED"
    if any(line.shipped for line in order.lines):
        return "PARTIALLY_SHIPPED"
    return "PENDING" if PENDING in order.extra else "UNSHIPPED"


def order_body(state: State, order: Order, datasets: Iterable[str]) -> dict[str, Any]:
    """Return an order with the datasets asked for. Nothing of money or people is told while it is pending."""
    wanted = frozenset(datasets)
    status, place = status_of(order), state.place
    is_pending = status == "PENDING"
    body: dict[str, Any] = {
        "orderId": order.id,
        "createdTime": stamp(order.placed_at),
        "lastUpdatedTime": stamp(order.updated_at),
        "salesChannel": {"channelName": "AMAZON", "marketplaceId": place.id, "marketplaceName": place.name},
        "orderItems": [_item(order, line, wanted, is_pending=is_pending) for line in order.lines],
    }
    if "FULFILLMENT" in wanted:
        body["fulfillment"] = _fulfillment(order, status)
    if "PACKAGES" in wanted:
        body["packages"] = [_package(parcel) for parcel in order.parcels]
    if not is_pending:
        body |= _private(order, wanted)
    return body


def _private(order: Order, wanted: frozenset[str]) -> dict[str, Any]:
    buyer = order.buyer
    body: dict[str, Any] = {}
    if "BUYER" in wanted:
        body["buyer"] = {"buyerName": buyer.name, "buyerEmail": buyer.email}
    if "RECIPIENT" in wanted:
        address = {
            "name": buyer.name,
            "addressLine1": buyer.line1,
            "city": buyer.city,
            "postalCode": buyer.postal_code,
            "countryCode": buyer.country,
            "addressType": "RESIDENTIAL",
        }
        body["recipient"] = {"deliveryAddress": address}
    if "PROCEEDS" in wanted:
        total = money(order.total, order.currency)
        body["proceeds"] = {
            "grandTotal": total,
            "breakdowns": [
                {"type": "ITEM", "subtotal": total},
                {"type": "SHIPPING", "subtotal": money(Decimal(0), order.currency)},
                {"type": "TAX", "subtotal": money(Decimal(0), order.currency)},
            ],
        }
    if "PAYMENT" in wanted:
        body["payment"] = {"paymentExecutions": [{"paymentMethod": "CreditCard"}]}
    return body


def _item(order: Order, line: Line, wanted: frozenset[str], *, is_pending: bool) -> dict[str, Any]:
    listing = line.listing
    product: dict[str, Any] = {
        "asin": listing.keys["asin"],
        "title": listing.product.title,
        "sellerSku": listing.sku,
        "condition": {"conditionType": "NEW", "conditionSubtype": "NEW"},
    }
    item: dict[str, Any] = {"orderItemId": line.id, "quantityOrdered": line.quantity, "product": product}
    if not is_pending:
        product["price"] = {"unitPrice": money(line.unit_price, order.currency)}
        if "PROCEEDS" in wanted:
            worth = money(line.unit_price * (line.quantity - line.cancelled), order.currency)
            item["proceeds"] = {"proceedsTotal": worth, "breakdowns": [{"type": "ITEM", "subtotal": worth}]}
    if "FULFILLMENT" in wanted:
        item["fulfillment"] = {"quantityFulfilled": line.shipped, "quantityUnfulfilled": line.open}
    if "CANCELLATION" in wanted and line.cancelled:
        item["cancellation"] = {
            "cancellationExecution": {"cancelledBy": "BUYER", "cancelReason": "BUYER_REQUESTED_CANCELLATION"}
        }
    return item


def _fulfillment(order: Order, status: str) -> dict[str, Any]:
    def window(first_days: int, last_days: int) -> dict[str, str]:
        return {
            "earliestDateTime": stamp(order.placed_at + timedelta(days=first_days)),
            "latestDateTime": stamp(order.placed_at + timedelta(days=last_days)),
        }

    return {
        "fulfillmentStatus": status,
        "fulfilledBy": "MERCHANT",
        "fulfillmentServiceLevel": "STANDARD",
        "shipByWindow": window(0, 2),
        "deliverByWindow": window(2, 5),
    }


def _package(parcel: Parcel) -> dict[str, Any]:
    return {
        "packageReferenceId": parcel.id,
        "createdTime": stamp(parcel.shipped_at),
        "packageStatus": {"status": "SHIPPED"},
        "carrier": parcel.carrier,
        "shipTime": stamp(parcel.shipped_at),
        "trackingNumber": parcel.tracking_number,
        "shipFromAddress": {"name": STORE_NAME, "city": "Berlin", "postalCode": "10115", "countryCode": "DE"},
        "packageItems": [{"orderItemId": line_id, "quantity": units} for line_id, units in parcel.lines.items()],
    }


# -- shipment confirmation ----------------------------------------------------------------------------------


async def confirm_shipment(state: State, request: Request) -> Response:
    """POST /orders/v0/orders/{orderId}/shipmentConfirmation. The same package again changes its tracking."""
    order, body = _order(state, request), await body_of(request)
    if body.get("marketplaceId") != state.place.id:
        raise invalid("The marketplaceId is not the order's.")
    parcel = _parcel(body.get("packageDetail"))
    known = next((index for index, one in enumerate(order.parcels) if one.id == parcel.id), None)
    if known is not None:
        if order.parcels[known].lines != parcel.lines:
            raise invalid(f"Package {parcel.id} was confirmed with other items.")
        if order.parcels[known] != dataclasses.replace(parcel, shipped_at=order.parcels[known].shipped_at):
            order.parcels[known] = parcel
            state.shop.touch(order)
        return Response(status_code=204)
    if status_of(order) not in ("UNSHIPPED", "PARTIALLY_SHIPPED"):
        raise invalid(f"The order is {status_of(order)}: nothing can be shipped.")
    try:
        state.shop.ship(order, parcel)
    except ValueError as error:
        raise invalid(f"Order item {error} does not have so many units to ship.") from None
    return Response(status_code=204)


def _parcel(detail: Any) -> Parcel:
    if not isinstance(detail, Mapping):
        raise invalid("packageDetail is required.")
    needed = ("packageReferenceId", "carrierCode", "trackingNumber", "shipDate", "orderItems")
    missing = [name for name in needed if not detail.get(name)]
    if missing:
        raise invalid(f"packageDetail lacks {', '.join(missing)}.")
    lines: dict[str, int] = {}
    for item in detail["orderItems"]:
        quantity = item.get("quantity") if isinstance(item, Mapping) else None
        if not isinstance(quantity, int) or quantity < 1 or not isinstance(item.get("orderItemId"), str):
            raise invalid("Each of orderItems needs an orderItemId and a quantity of at least 1.")
        lines[item["orderItemId"]] = lines.get(item["orderItemId"], 0) + quantity
    return Parcel(
        id=str(detail["packageReferenceId"]),
        carrier=str(detail.get("carrierName") or detail["carrierCode"]),
        tracking_number=str(detail["trackingNumber"]),
        tracking_url="",
        shipped_at=_moment(str(detail["shipDate"])),
        lines=lines,
    )
