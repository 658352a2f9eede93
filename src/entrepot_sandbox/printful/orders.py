"""Orders: drafts, their costs, confirmation, cancelling and deleting, in both versions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrepot_sandbox.printful.answers import (
    Json,
    PrintfulError,
    bad,
    body_of,
    data,
    list_of,
    not_found,
    object_of,
    paged,
    result,
)
from entrepot_sandbox.printful.books import Item, Order
from entrepot_sandbox.printful.catalog import Catalog
from entrepot_sandbox.printful.showing import Shower

COSTS_S = 0.5
"""How long Printful works out the costs of a draft."""
_EXTERNAL_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_RETAIL = ("currency", "discount", "shipping", "tax")
_STATES = frozenset({"US", "CA", "AU", "JP"})
TAKEN = "Order with this External ID already exists"


class Orders:
    """The store's orders. `confirmed`, `changed` and `withdrawn` are told of what happens to them."""

    def __init__(
        self,
        catalog: Catalog,
        shower: Shower,
        new_id: Callable[[], int],
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        costs_s: float,
        confirmed: Callable[[Order], None],
        changed: Callable[[Order, str], None],
        withdrawn: Callable[[Order], None],
    ) -> None:
        self.orders: dict[int, Order] = {}
        self._by_external_id: dict[str, Order] = {}
        self._catalog, self._shower, self._new_id = catalog, shower, new_id
        self._now, self._monotonic, self._costs_s = now, monotonic, costs_s
        self._confirmed, self._changed, self._withdrawn = confirmed, changed, withdrawn

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v2/orders", self.list_orders, methods=["GET"]),
            Route("/v2/orders", self.create, methods=["POST"]),
            Route("/v2/orders/{order_id}", self.get, methods=["GET"]),
            Route("/v2/orders/{order_id}", self.delete, methods=["DELETE"]),
            Route("/v2/orders/{order_id}/confirmation", self.confirm, methods=["POST"]),
            Route("/v2/orders/{order_id}/order-items", self.list_items, methods=["GET"]),
            Route("/v2/orders/{order_id}/shipments", self.list_shipments, methods=["GET"]),
            Route("/orders", self.create_old, methods=["POST"]),
            Route("/orders/estimate-costs", self.estimate_old, methods=["POST"]),
            Route("/orders/{order_id}", self.get_old, methods=["GET"]),
            Route("/orders/{order_id}", self.cancel, methods=["DELETE"]),
        ]

    def find(self, named: str) -> Order:
        """Return an order by its id, or by `@` and its external id. Raises PrintfulError."""
        order = self._by_external_id.get(named[1:]) if named.startswith("@") else None
        if order is None and named.isdigit():
            order = self.orders.get(int(named))
        if order is None:
            raise not_found("Order not found")
        return order

    # -- second version --

    async def list_orders(self, request: Request) -> Response:
        """Return the orders, the latest first."""
        latest = sorted(self.orders.values(), key=lambda each: -each.id)
        return paged(request, [self.show(each, whole=False) for each in latest])

    async def create(self, request: Request) -> Response:
        """Make a draft."""
        body = await body_of(request)
        items = [self.read_item(each) for each in list_of(body, "order_items")]
        customization = object_of(body, "customization")
        return data(self.show(self._add(body, items, customization, "")))

    async def get(self, request: Request) -> Response:
        """Return an order."""
        return data(self.show(self.find(request.path_params["order_id"])))

    async def delete(self, request: Request) -> Response:
        """Delete an order that was not charged; its external id is free again."""
        order = self.find(request.path_params["order_id"])
        if order.status not in ("draft", "failed", "canceled"):
            raise PrintfulError(409, f"An order that is {order.status} cannot be deleted.")
        del self.orders[order.id]
        if order.external_id:
            del self._by_external_id[order.external_id]
        return Response(status_code=204)

    async def confirm(self, request: Request) -> Response:
        """Confirm a draft, or an order that failed and was mended: it is charged and made."""
        order = self.find(request.path_params["order_id"])
        if order.status not in ("draft", "failed"):
            raise PrintfulError(409, f"Only a draft can be confirmed; this order is {order.status}.")
        if not self.costs_ready(order):
            raise PrintfulError(409, "The costs of the order are still being calculated.")
        if not order.items:
            raise bad("An order without items cannot be confirmed.")
        order.status, order.reason = "pending", ""
        self.touch(order, "order_updated")
        self._confirmed(order)
        return data(self.show(order))

    async def list_items(self, request: Request) -> Response:
        """Return an order's items with their designs."""
        order = self.find(request.path_params["order_id"])
        return paged(request, [self._shower.item(each) for each in order.items], counted=False)

    async def list_shipments(self, request: Request) -> Response:
        """Return an order's parcels."""
        order = self.find(request.path_params["order_id"])
        return paged(request, [self._shower.shipment(order, each) for each in order.parcels])

    # -- first version --

    async def create_old(self, request: Request) -> Response:
        """Make a draft, of the store's products too. Confirming at once is not imitated."""
        body = await body_of(request)
        items = [self.read_old_item(each) for each in list_of(body, "items")]
        slip = object_of(body, "packing_slip")
        order = self._add(body, items, {"packing_slip": slip} if slip else {}, "OR-13")
        return result(self._shower.old_order(order))

    async def get_old(self, request: Request) -> Response:
        """Return an order."""
        return result(self._shower.old_order(self.find(request.path_params["order_id"])))

    async def cancel(self, request: Request) -> Response:
        """Cancel a draft or an order that is not being made yet; it stays, and so does its external id."""
        order = self.find(request.path_params["order_id"])
        if order.status not in ("draft", "pending"):
            raise PrintfulError(400, f"An order that is {order.status} cannot be canceled.", "OR-5")
        self.withdraw(order, "")
        return result(self._shower.old_order(order))

    async def estimate_old(self, request: Request) -> Response:
        """Return at once what an order would cost."""
        body = await body_of(request)
        items = [self.read_old_item(each) for each in list_of(body, "items")]
        return result({"costs": self._shower.old_costs(self.imagine(body, items))})

    # -- what happens to them --

    def show(self, order: Order, *, whole: bool = True) -> Json:
        """Return an order as the second version tells it."""
        return self._shower.order(order, costs_ready=self.costs_ready(order), whole=whole)

    def costs_ready(self, order: Order) -> bool:
        """Return whether the costs of an order are worked out."""
        return self._monotonic() >= order.costs_ready_at

    def touch(self, order: Order, topic: str) -> None:
        """Note that an order changed, and tell subscribers of the topic."""
        order.updated_at = self._now()
        self._changed(order, topic)

    def withdraw(self, order: Order, reason: str) -> None:
        """Cancel an order, whoever wants it."""
        was_confirmed = order.status != "draft"
        order.status, order.reason = "canceled", reason
        for parcel in order.parcels:
            if parcel.shipped_at is None:
                parcel.status = "canceled"
        if was_confirmed:
            self._withdrawn(order)
        self.touch(order, "order_canceled" if was_confirmed else "order_updated")

    def _add(self, body: Json, items: list[Item], customization: Json, taken_code: str) -> Order:
        external_id = body.get("external_id")
        if external_id is not None:
            if not isinstance(external_id, str) or not _EXTERNAL_ID.fullmatch(external_id):
                raise bad("The external ID must be up to 32 letters, digits, hyphens and underscores.")
            if external_id in self._by_external_id:
                raise PrintfulError(400, TAKEN, taken_code)
        order = self.imagine(body, items)
        order.customization = customization
        self.orders[order.id] = order
        if external_id:
            self._by_external_id[external_id] = order
        self._changed(order, "order_created")
        return order

    def imagine(self, body: Json, items: list[Item]) -> Order:
        """Return the order that a request describes, without keeping it. Raises PrintfulError."""
        now = self._now()
        retail = {name: value for name, value in object_of(body, "retail_costs").items() if name in _RETAIL}
        for name in _RETAIL[1:]:
            _money(retail, name)
        ready_at = self._monotonic() + self._costs_s
        return Order(
            id=self._new_id(),
            external_id=body.get("external_id"),
            shipping=body.get("shipping") or "STANDARD",
            recipient=_recipient(object_of(body, "recipient")),
            items=items,
            retail=retail,
            customization={},
            created_at=now,
            updated_at=now,
            costs_ready_at=ready_at,
        )

    # -- reading items --

    def read_item(self, told: Mapping[str, Any]) -> Item:
        """Return an item of the second version. Raises PrintfulError."""
        if told.get("source") != "catalog":
            raise bad("Source must be one of: catalog, warehouse, product_template")
        placements = _placements(told)
        item = self._item(told, told.get("catalog_variant_id"), placements)
        item.product_options = list_of(told, "product_options")
        return item

    def read_old_item(self, told: Mapping[str, Any]) -> Item:
        """Return an item of the first version: of the store, or of the catalog with files. Raises PrintfulError."""
        own_id = told.get("sync_variant_id")
        if own_id is not None:
            own = self._catalog.store_variants.get(own_id)
            if own is None:
                raise bad(f"Sync variant {own_id} was not found.")
            item = self._item(told, own.variant.id, [_placement("front", f"https://files.example/{own.id}.png")])
            item.sync_variant_id = own.id
            return item
        files = list_of(told, "files")
        if not files:
            raise bad("An item needs files.")
        placements = [_placement(each.get("type") or "front", each.get("url")) for each in files]
        return self._item(told, told.get("variant_id"), placements)

    def _item(self, told: Mapping[str, Any], variant_id: Any, placements: list[Json]) -> Item:
        variant = self._catalog.variants.get(variant_id) if isinstance(variant_id, int) else None
        if variant is None:
            raise bad(f"Variant {variant_id} was not found.")
        quantity = told.get("quantity", 1)
        if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 1:
            raise bad("The quantity must be a whole number above zero.")
        name = told.get("name") or variant.name
        external_id = told.get("external_id")
        return Item(self._new_id(), external_id, variant, quantity, name, _money(told, "retail_price"), placements, [])


def _recipient(told: Json) -> Json:
    for name in ("name", "address1", "city", "country_code"):
        if not isinstance(told.get(name), str) or not told[name]:
            raise bad(f"Recipient: {name} is missing.")
    if told["country_code"] in _STATES and not (told.get("state_code") or told.get("state_name")):
        raise bad("Recipient: state code is missing.")
    if told.get("state_code") == "":
        raise bad("Recipient: state code is invalid.")
    return dict(told)


def _placements(told: Mapping[str, Any]) -> list[Json]:
    found = list_of(told, "placements")
    if not found:
        raise bad("An item of the catalog needs placements.")
    for each in found:
        layers = list_of(each, "layers")
        if not layers or not each.get("placement") or not each.get("technique"):
            raise bad("A placement needs a name, a technique and layers.")
        if not all(str(layer.get("url", "")).startswith(("http://", "https://")) for layer in layers):
            raise bad("A layer needs the address of a file.")
    return [{**each, "status": "ok"} for each in found]


def _placement(name: str, url: Any) -> Json:
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise bad("A file needs an address.")
    return {"placement": name, "technique": "dtg", "layers": [{"type": "file", "url": url}], "status": "ok"}


def _money(told: Mapping[str, Any], name: str) -> Decimal | None:
    value = told.get(name)
    if value is None:
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation as error:
        raise bad(f"{name} is not an amount.") from error
