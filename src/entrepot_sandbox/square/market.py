"""The simulated Square as the sandbox sees it."""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot_sandbox.books import Listing, Order, Sale
from entrepot_sandbox.marketplace import Account, Desk, Operation
from entrepot_sandbox.sheets import Edit
from entrepot_sandbox.square.answers import Ids, Json, SquareError, not_found, ok, stamp
from entrepot_sandbox.square.catalog import Catalog, listing_keys
from entrepot_sandbox.square.inventory import Inventory
from entrepot_sandbox.square.orders import Orders, state_of
from entrepot_sandbox.square.webhooks import Webhooks
from entrepot_sandbox.square.writing import Writing

_BURST, _PER_S = 40, 20
_OPERATIONS: tuple[tuple[str, str, Operation], ...] = tuple(
    (method, pattern, Operation(name, name == "BatchChangeInventory"))
    for method, pattern, name in (
        ("GET", r"/v2/locations", "ListLocations"),
        ("GET", r"/v2/locations/[^/]+", "RetrieveLocation"),
        ("GET", r"/v2/catalog/list", "ListCatalog"),
        ("POST", r"/v2/catalog/search", "SearchCatalogObjects"),
        ("POST", r"/v2/catalog/batch-retrieve", "BatchRetrieveCatalogObjects"),
        ("GET", r"/v2/catalog/object/[^/]+", "RetrieveCatalogObject"),
        ("POST", r"/v2/catalog/batch-upsert", "BatchUpsertCatalogObjects"),
        ("POST", r"/v2/catalog/batch-delete", "BatchDeleteCatalogObjects"),
        ("POST", r"/v2/inventory/changes/batch-create", "BatchChangeInventory"),
        ("POST", r"/v2/inventory/counts/batch-retrieve", "BatchRetrieveInventoryCounts"),
        ("POST", r"/v2/orders/search", "SearchOrders"),
        ("POST", r"/v2/orders/batch-retrieve", "BatchRetrieveOrders"),
        ("GET", r"/v2/orders/[^/]+", "RetrieveOrder"),
        ("PUT", r"/v2/orders/[^/]+", "UpdateOrder"),
        ("[A-Z]+", r"/v2/webhooks/.*", "WebhookSubscriptions"),
    )
)
_FAULTS = {
    429: ("RATE_LIMITED", "Your request rate has been exceeded; retry later."),
    500: ("INTERNAL_SERVER_ERROR", "Something went wrong on our side."),
    503: ("SERVICE_UNAVAILABLE", "The service is not available at the moment."),
}

Handler = Callable[[Request], Awaitable[Response]]


class Square:
    """One seller with one location."""

    key = "square"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._ids = Ids(desk.random("ids"))
        self._token = f"EAAA{self._ids.mixed(60)}"
        self._merchant_id, self._location_id = self._ids.letters(13), f"L{self._ids.letters(12)}"
        self._opened_at = stamp(desk.now())
        self._shop = desk.world.open_shop(self.key)
        self._catalog = Catalog(self._shop)
        self._inventory = Inventory(self._shop, self._ids, self._location_id, desk.now, self._counts_changed)
        self._orders = Orders(self._shop, self._ids, self._location_id, desk.now, self._order_changed)
        self._webhooks = Webhooks(desk, self._ids, self._merchant_id)
        self._limit = desk.bucket("calls", capacity=_BURST, refill_per_s=_PER_S, writes=True)
        version = int(desk.now().timestamp() * 1000)
        for product in desk.world.products.values():
            keys = listing_keys(self._ids, self._opened_at, version)
            self._catalog.list_product(self._shop.add_listing(product, self._ids.letters(), keys), desk.now())
        self._writing = Writing(
            self._shop,
            self._catalog,
            self._ids,
            self._location_id,
            desk.world.products,
            self._currency,
            desk.now,
            self._catalog_changed,
        )

    # -- what the sandbox asks --

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes, each behind the token and the rate limit."""
        own = [
            Route("/v2/locations", self._list_locations, methods=["GET"]),
            Route("/v2/locations/{location_id}", self._retrieve_location, methods=["GET"]),
        ]
        rooms = (self._catalog, self._writing, self._inventory, self._orders, self._webhooks)
        routes = own + [route for room in rooms for route in room.routes()]
        guarded: list[BaseRoute] = [
            Route(route.path, self._guard(route.endpoint), methods=sorted(route.methods or ())) for route in routes
        ]
        return [*guarded, Route("/{path:path}", self._guard(_nowhere), methods=["GET", "POST", "PUT", "DELETE"])]

    def accounts(self) -> Sequence[Account]:
        """Return the seller."""
        settings = {"location_id": self._location_id}
        return (Account(self.key, "Simulated Square", settings, {"access_token": self._token}),)

    def operation(self, method: str, path: str) -> Operation:
        """Return Square's name of the operation."""
        for verb, pattern, operation in _OPERATIONS:
            if re.fullmatch(verb, method) and re.fullmatch(pattern, path):
                return operation
        return Operation("Unknown")

    def fault_answer(self, status: int, retry_after_s: float) -> Response:
        """Return an error in Square's words; it names no time to wait."""
        return SquareError(status, *_FAULTS[status]).answer

    def place_order(self, sale: Sale) -> Order | None:
        """Sell and send order.created and inventory.count.updated."""
        order = self._shop.sell(sale, self._ids.mixed(), [self._ids.mixed(22) for _ in sale.lines])
        if order is None:
            return None
        self._orders.opened(order)
        for line in order.lines:
            self._inventory.moved(line.listing, -line.quantity)
        content = self._notice(order)
        self._webhooks.publish(
            "order.created", "order_created", order.id, {"order_created": content}, ((order.id, order.version),)
        )
        self._counts_changed([line.listing for line in order.lines])
        return order

    def cancel_order(self, order_id: str, units: Mapping[str, int] | None = None) -> int:
        """Cancel (Square does not put the units back into stock) and send order.updated."""
        order = self._shop.orders[order_id]
        before = order.version
        cancelled = self._shop.cancel(order, units, restock=False)
        if order.version != before:
            self._order_changed(order)
        return cancelled

    def edit_listing(self, edit: Edit) -> bool:
        """Change, archive or delete an item in Square's dashboard and send catalog.version.updated."""
        listing = self._shop.by_sku.get(edit.sku)
        if listing is None:
            return False
        self._writing.edit(edit, listing)
        return True

    # -- events --

    def _catalog_changed(self, now: datetime) -> None:
        content = {"catalog_version": {"updated_at": stamp(now)}}
        self._webhooks.publish("catalog.version.updated", "catalog_version", self._ids.uuid(), content, ())

    def _order_changed(self, order: Order) -> None:
        content = self._notice(order) | {"updated_at": stamp(order.updated_at)}
        self._webhooks.publish(
            "order.updated", "order_updated", order.id, {"order_updated": content}, ((order.id, order.version),)
        )

    def _notice(self, order: Order) -> Json:
        return {
            "created_at": stamp(order.placed_at),
            "location_id": self._location_id,
            "order_id": order.id,
            "state": state_of(order),
            "version": order.version,
        }

    def _counts_changed(self, listings: list[Listing]) -> None:
        counts = [self._inventory.count(listing) for listing in listings]
        self._webhooks.publish(
            "inventory.count.updated", "inventory_counts", self._ids.uuid(), {"inventory_counts": counts}, ()
        )

    # -- locations --

    async def _list_locations(self, request: Request) -> Response:
        return ok({"locations": [self._location()]})

    async def _retrieve_location(self, request: Request) -> Response:
        if request.path_params["location_id"] not in (self._location_id, "main"):
            raise not_found("Location not found.")
        return ok({"location": self._location()})

    def _location(self) -> Json:
        return {
            "id": self._location_id,
            "name": "Simulated Square",
            "status": "ACTIVE",
            "type": "PHYSICAL",
            "merchant_id": self._merchant_id,
            "currency": self._currency,
            "country": "IE",
            "language_code": "en-IE",
            "timezone": "Europe/Dublin",
            "created_at": self._opened_at,
            "capabilities": ["CREDIT_CARD_PROCESSING"],
        }

    @property
    def _currency(self) -> str:
        return min((product.currency for product in self._desk.world.products.values()), default="EUR")

    # -- the door --

    def _guard(self, handler: Handler) -> Handler:
        async def inner(request: Request) -> Response:
            try:
                self._admit(request)
                return await handler(request)
            except SquareError as error:
                return error.answer

        return inner

    def _admit(self, request: Request) -> None:
        """Check the token and the rate limit. Raises SquareError."""
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            raise SquareError(401, "UNAUTHORIZED", "This request could not be authorized.")
        if not self._limit.take().ok:
            raise SquareError(429, *_FAULTS[429])


async def _nowhere(request: Request) -> Response:
    raise not_found("API endpoint for URL path not found.")
