"""Square's orders: search by time of change, retrieval, and the seller's word that a parcel left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrepot_sandbox.books import Line, Order, Parcel, Shop
from entrepot_sandbox.marketplace import tells
from entrepot_sandbox.square.answers import (
    Ids,
    Json,
    Keys,
    SquareError,
    bad,
    body_of,
    cursor,
    limit_of,
    list_of,
    money,
    not_found,
    object_of,
    ok,
    read_cursor,
    read_time,
    stamp,
)

_STATES = frozenset({"OPEN", "COMPLETED", "CANCELED", "DRAFT"})
_STEPS = frozenset({"PROPOSED", "RESERVED", "PREPARED", "COMPLETED"})
_SORTS: Mapping[str, Callable[[Order], datetime | None]] = {
    "CREATED_AT": lambda order: order.placed_at,
    "UPDATED_AT": lambda order: order.updated_at,
    "CLOSED_AT": lambda order: closed_at(order),
}


def closed_at(order: Order) -> datetime | None:
    """Return when an order was completed or cancelled."""
    if order.cancelled_at is not None:
        return order.cancelled_at
    return order.parcels[-1].shipped_at if order.is_shipped and order.parcels else None


def state_of(order: Order) -> str:
    """Return Square's word for the state of an order."""
    if order.is_cancelled:
        return "CANCELED"
    return "COMPLETED" if order.is_shipped else "OPEN"


class Orders:
    """Orders of the one location. `changed` is called when the seller changed one."""

    def __init__(
        self, shop: Shop, ids: Ids, location_id: str, now: Callable[[], datetime], changed: Callable[[Order], None]
    ) -> None:
        self._shop, self._ids, self._location_id = shop, ids, location_id
        self._now, self._changed = now, changed
        self._keys = Keys()
        self._fulfilments: dict[str, Json] = {}

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v2/orders/search", self.search, methods=["POST"]),
            Route("/v2/orders/batch-retrieve", self.batch_retrieve, methods=["POST"]),
            Route("/v2/orders/{order_id}", self.retrieve, methods=["GET"]),
            Route("/v2/orders/{order_id}", self.update, methods=["PUT"]),
        ]

    def opened(self, order: Order) -> None:
        """Give a new order its fulfilment and payment."""
        order.extra.update(tender_id=self._ids.mixed(), payment_id=self._ids.mixed())
        self._fulfilments[order.id] = {"uid": self._ids.mixed(22), "state": "PROPOSED", "details": {}, "metadata": {}}

    # -- reading --

    async def search(self, request: Request) -> Response:
        """SearchOrders. A page goes on after (time, id) of the last order shown, so that changes cannot shift it."""
        body = await body_of(request)
        places = list_of(body, "location_ids", at_most=10, required=True)
        query = object_of(body, "query")
        filters, sort = object_of(query, "filter"), object_of(query, "sort")
        field = str(sort.get("sort_field", "CREATED_AT"))
        newest_first = sort.get("sort_order", "DESC") == "DESC"
        keep = _time_filter(object_of(filters, "date_time_filter"), field)
        states = list_of(object_of(filters, "state_filter"), "states", at_most=4) or sorted(_STATES)
        if field not in _SORTS or not set(states) <= _STATES:
            raise bad("INVALID_ENUM_VALUE", "The sort field or state is not a valid enum value.", "query")
        found = []
        for order in self._shop.orders.values():
            moment = _SORTS[field](order)
            if moment is not None and state_of(order) in states and keep(order) and self._location_id in places:
                found.append((stamp(moment), order.id))
        found.sort(reverse=newest_first)
        if body.get("cursor"):
            last_time, _, last_id = read_cursor(body["cursor"]).partition("|")
            last = (last_time, last_id)
            found = [key for key in found if (key < last if newest_first else key > last)]
        limit = limit_of(body, usual=500, at_most=1000)
        page = found[:limit]
        following = cursor("|".join(page[-1])) if len(found) > limit else None
        return self._answer(request, [order_id for _, order_id in page], following, bool(body.get("return_entries")))

    def _answer(self, request: Request, order_ids: list[str], following: str | None, entries: bool) -> Response:
        orders = [self._shop.orders[order_id] for order_id in order_ids]
        if entries:
            made = [
                {"order_id": order.id, "version": order.version, "location_id": self._location_id} for order in orders
            ]
            return ok({"order_entries": made or None, "cursor": following})
        for order in orders:
            tells(request, order)
        return ok({"orders": [self.order(order) for order in orders] or None, "cursor": following})

    async def batch_retrieve(self, request: Request) -> Response:
        """BatchRetrieveOrders: unknown ids are left out."""
        body = await body_of(request)
        ids = list_of(body, "order_ids", at_most=100, required=True)
        here = body.get("location_id") in (None, self._location_id)
        known = [str(order_id) for order_id in ids if here and str(order_id) in self._shop.orders]
        return self._answer(request, known, None, False)

    async def retrieve(self, request: Request) -> Response:
        """RetrieveOrder."""
        order = self._order(request)
        tells(request, order)
        return ok({"order": self.order(order)})

    def _order(self, request: Request) -> Order:
        order_id = request.path_params["order_id"]
        order = self._shop.orders.get(order_id)
        if order is None:
            raise not_found(f"Order not found for id {order_id}")
        return order

    # -- changing --

    async def update(self, request: Request) -> Response:
        """UpdateOrder, for fulfilments: the sparse order names the version that it changes."""
        order, body = self._order(request), await body_of(request)
        key, wanted = body.get("idempotency_key"), object_of(body, "order")
        if key is not None:
            earlier = self._keys.earlier(key, body, at_most=192)
            if earlier is not None:
                tells(request, order)
                return ok(earlier)
        if wanted.get("version") != order.version:
            detail = f"The order is at version {order.version}, not {wanted.get('version')}."
            raise SquareError(409, "CONFLICT", detail, "order.version")
        if state_of(order) != "OPEN":
            raise bad("BAD_REQUEST", f"An order that is {state_of(order)} cannot be changed.", "order")
        other = sorted(set(wanted) - {"version", "location_id", "fulfillments"})
        if other:
            raise bad("BAD_REQUEST", f"This simulated Square cannot change {other[0]}.", f"order.{other[0]}")
        for told in list_of(wanted, "fulfillments", at_most=10, required=True):
            self._fulfil(order, told)
        answer: Json = {"order": self.order(order)}
        if key is not None:
            self._keys.keep(key, body, answer)
        tells(request, order)
        self._changed(order)
        return ok(answer)

    def _fulfil(self, order: Order, told: Json) -> None:
        """Take the seller's word on the fulfilment. All of it leaves at once: Square cannot divide one."""
        held = self._fulfilments[order.id]
        if told.get("uid") != held["uid"]:
            raise bad("BAD_REQUEST", "The order has no fulfillment with that uid.", "order.fulfillments[0].uid")
        state = told.get("state", held["state"])
        if state not in _STEPS:
            raise bad("INVALID_ENUM_VALUE", f"A fulfillment cannot become {state}.", "order.fulfillments[0].state")
        held["metadata"] |= object_of(told, "metadata")
        held["details"] |= object_of(told, "shipment_details")
        held["state"] = state
        if state != "COMPLETED":
            self._shop.touch(order)
            return
        details, now = held["details"], self._now()
        details.setdefault("shipped_at", stamp(now))
        self._shop.ship(
            order,
            Parcel(
                id=held["uid"],
                carrier=str(details.get("carrier", "")),
                tracking_number=str(details.get("tracking_number", "")),
                tracking_url=str(details.get("tracking_url", "")),
                shipped_at=now,
                lines={line.id: line.open for line in order.lines if line.open},
            ),
        )

    # -- how it looks --

    def order(self, order: Order) -> Json:
        """Return an order as Square shows it."""
        zero = money(Decimal(0), order.currency)
        cancelled = order.is_cancelled
        lines = [line for line in order.lines if cancelled or line.quantity > line.cancelled]
        total = money(
            sum((line.unit_price * _units(line, cancelled) for line in lines), Decimal(0)),
            order.currency,
        )
        amounts = {
            "total_money": total,
            "tax_money": zero,
            "discount_money": zero,
            "tip_money": zero,
            "service_charge_money": zero,
        }
        ended = closed_at(order)
        shown: Json = {
            "id": order.id,
            "location_id": self._location_id,
            "source": {"name": "Square Online"},
            "line_items": [self._line(line, cancelled, order.currency) for line in lines],
            "fulfillments": [self._fulfilment(order)],
            "net_amounts": amounts,
            "tenders": [self._tender(order, total)],
            "created_at": stamp(order.placed_at),
            "updated_at": stamp(order.updated_at),
            "state": state_of(order),
            "version": order.version,
            "total_money": total,
            "total_tax_money": zero,
            "total_discount_money": zero,
            "total_tip_money": zero,
            "total_service_charge_money": zero,
            "net_amount_due_money": zero,
        }
        if ended is not None:
            shown["closed_at"] = stamp(ended)
        return shown

    def _tender(self, order: Order, total: Json) -> Json:
        return {
            "id": order.extra["tender_id"],
            "location_id": self._location_id,
            "created_at": stamp(order.placed_at),
            "amount_money": total,
            "type": "CARD",
            "payment_id": order.extra["payment_id"],
        }

    def _line(self, line: Line, cancelled: bool, currency: str) -> Json:
        units = _units(line, cancelled)
        zero, total = money(Decimal(0), currency), money(line.unit_price * units, currency)
        return {
            "uid": line.id,
            "name": line.listing.product.title,
            "quantity": str(units),
            "catalog_object_id": line.listing.id,
            "catalog_version": int(line.listing.keys["version"]),
            "variation_name": "Regular",
            "item_type": "ITEM",
            "base_price_money": money(line.unit_price, currency),
            "variation_total_price_money": total,
            "gross_sales_money": total,
            "total_tax_money": zero,
            "total_discount_money": zero,
            "total_service_charge_money": zero,
            "total_money": total,
        }

    def _fulfilment(self, order: Order) -> Json:
        held, buyer = self._fulfilments[order.id], order.buyer
        details: Json = {
            "recipient": {
                "display_name": buyer.name,
                "email_address": buyer.email,
                "address": {
                    "address_line_1": buyer.line1,
                    "locality": buyer.city,
                    "postal_code": buyer.postal_code,
                    "country": buyer.country,
                },
            },
            "placed_at": stamp(order.placed_at),
            **held["details"],
        }
        if order.cancelled_at is not None:
            details["canceled_at"] = stamp(order.cancelled_at)
        shown: Json = {
            "uid": held["uid"],
            "type": "SHIPMENT",
            "state": "CANCELED" if order.is_cancelled else held["state"],
            "line_item_application": "ALL",
            "shipment_details": details,
        }
        if held["metadata"]:
            shown["metadata"] = dict(held["metadata"])
        return shown


def _units(line: Line, cancelled: bool) -> int:
    """Return the units that a line shows: what is left of it, or all of it where the whole order was cancelled."""
    return line.quantity if cancelled else line.quantity - line.cancelled


def _time_filter(told: Json, sort_field: str) -> Callable[[Order], bool]:
    """Return whether an order's time is in the range (both ends included). Raises SquareError."""
    if not told:
        return lambda order: True
    if len(told) != 1:
        raise bad("BAD_REQUEST", "Use exactly one time range.", "query.filter.date_time_filter")
    name, span = next(iter(told.items()))
    field = str(name).upper()
    if field not in _SORTS:
        raise bad("BAD_REQUEST", f"There is no time range {name}.", "query.filter.date_time_filter")
    if field != sort_field:
        detail = f"To filter by {name}, sort by {field}."
        raise bad("BAD_REQUEST", detail, "query.sort.sort_field")
    where = f"query.filter.date_time_filter.{name}"
    start = read_time(span["start_at"], f"{where}.start_at") if span.get("start_at") else None
    end = read_time(span["end_at"], f"{where}.end_at") if span.get("end_at") else None

    def keep(order: Order) -> bool:
        moment = _SORTS[field](order)
        if moment is None:
            return False
        shown = datetime.fromisoformat(stamp(moment))
        return (start is None or shown >= start) and (end is None or shown <= end)

    return keep
