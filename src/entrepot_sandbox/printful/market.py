"""The simulated Printful as the sandbox sees it."""

from __future__ import annotations

import hmac
import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot_sandbox import books
from entrepot_sandbox.making import MakingSent, MakingSubmitted, MakingWithdrawn
from entrepot_sandbox.marketplace import Account, Desk, Operation
from entrepot_sandbox.printful.answers import PrintfulError, data, not_found, result
from entrepot_sandbox.printful.books import Order, Parcel, Variant
from entrepot_sandbox.printful.catalog import Catalog
from entrepot_sandbox.printful.estimates import Estimates
from entrepot_sandbox.printful.orders import COSTS_S, Orders
from entrepot_sandbox.printful.production import ENDED, STEP_S, Production
from entrepot_sandbox.printful.showing import Shower
from entrepot_sandbox.printful.webhooks import Webhooks
from entrepot_sandbox.sheets import Edit

_BURST, _WINDOW_S = 120, 60
_SCOPES = (
    ("View and manage orders of the authorized store", "orders"),
    ("View and manage store products", "sync_products"),
    ("View and manage store webhooks", "webhooks/read"),
)
"""Names and values as the specification has them (the last one is written like that there)."""
_OPERATIONS: tuple[tuple[str, str, str], ...] = (
    ("GET", r"/v2/oauth-scopes", "getOAuthScopes"),
    ("GET", r"/stores", "getStores"),
    ("GET", r"/v2/catalog-products", "getProducts"),
    ("GET", r"/v2/catalog-products/[^/]+", "getProductById"),
    ("GET", r"/v2/catalog-products/[^/]+/catalog-variants", "getProductVariantsById"),
    ("GET", r"/v2/catalog-products/[^/]+/availability", "getProductStockAvailabilityById"),
    ("GET", r"/v2/catalog-variants/[^/]+", "getVariantById"),
    ("GET", r"/v2/catalog-variants/[^/]+/availability", "getVariantStockAvailabilityById"),
    ("GET", r"/store/products(/[^/]+)?", "getStoreProducts"),
    ("GET", r"/v2/orders", "getOrders"),
    ("POST", r"/v2/orders", "createOrder"),
    ("GET", r"/v2/orders/[^/]+", "getOrder"),
    ("DELETE", r"/v2/orders/[^/]+", "deleteOrder"),
    ("POST", r"/v2/orders/[^/]+/confirmation", "confirmOrder"),
    ("GET", r"/v2/orders/[^/]+/order-items", "getItemsByOrderId"),
    ("GET", r"/v2/orders/[^/]+/shipments", "getShipments"),
    ("POST", r"/orders", "createOldOrder"),
    ("POST", r"/orders/estimate-costs", "estimateOldOrder"),
    ("GET", r"/orders/[^/]+", "getOldOrder"),
    ("DELETE", r"/orders/[^/]+", "cancelOrder"),
    ("(GET|POST)", r"/v2/order-estimation-tasks", "orderEstimationTask"),
    ("(GET|POST|DELETE)", r"/v2/webhooks", "webhooks"),
)
_FAULTS = {
    429: "You've recently sent too many requests.",
    500: "An error occurred and we have been notified.",
    503: "The service is not available at the moment.",
}

Handler = Callable[[Request], Awaitable[Response]]


class Printful:
    """One customer with one store. Nobody shops here: it makes what others sold."""

    key = "printful"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        chance = desk.random("ids")
        self._token = "".join(chance.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789", k=40))
        self._store_id = chance.randint(1_000_000, 9_999_999)
        self._last_id = chance.randint(90_000_000, 99_999_999)
        self.catalog = Catalog(desk.world.products.values(), 400_000_000, self._stock_changed)
        shower = Shower(self._store_id, self.catalog.currency)
        self._webhooks = Webhooks(desk, self._store_id)
        clock = desk.world.clock
        self.orders = Orders(
            self.catalog, shower, self._new_id, desk.now, clock.monotonic, clock.scaled(COSTS_S),
            self._confirmed, self._webhooks.order, self._withdrawn,
        )  # fmt: skip
        self.production = Production(
            self.orders, desk.random("production"), self._new_id, desk.now,
            self._webhooks.parcel, self._sent, self._withdrawn,
        )  # fmt: skip
        self._estimates = Estimates(
            self.orders, shower, desk.random("estimates"), clock.monotonic, clock.scaled(COSTS_S)
        )
        self.limit = desk.bucket("calls", capacity=_BURST, refill_per_s=_BURST / _WINDOW_S)

    def _new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    # -- what the sandbox asks --

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes, each behind the token and the rate limit."""
        own = [
            Route("/v2/oauth-scopes", self._list_scopes, methods=["GET"]),
            Route("/stores", self._list_stores, methods=["GET"]),
        ]
        rooms = (self.catalog, self.orders, self._estimates, self._webhooks)
        routes = own + [route for room in rooms for route in room.routes()]
        guarded: list[BaseRoute] = [
            Route(route.path, self._guard(route.endpoint), methods=sorted(route.methods or ())) for route in routes
        ]
        return [*guarded, Route("/{path:path}", self._guard(_nowhere), methods=["GET", "POST", "PUT", "DELETE"])]

    def accounts(self) -> Sequence[Account]:
        """Return the customer."""
        products = ", ".join(str(each) for each in self.catalog.blanks)
        settings = {"store_id": str(self._store_id), "catalog_products": products}
        return (Account(self.key, "Simulated Printful", settings, {"access_token": self._token}),)

    def operation(self, method: str, path: str) -> Operation:
        """Return Printful's name of the operation."""
        for verb, pattern, name in _OPERATIONS:
            if re.fullmatch(verb, method) and re.fullmatch(pattern, path):
                return Operation(name)
        return Operation("Unknown")

    def fault_answer(self, status: int, retry_after_s: float) -> Response:
        """Return an error in Printful's words."""
        answer = PrintfulError(status, _FAULTS[status]).answer
        if status == 429:
            answer.headers["retry-after"] = str(max(1, math.ceil(retry_after_s)))
        return answer

    def place_order(self, sale: books.Sale) -> books.Order | None:
        """Nobody shops here."""
        return None

    def cancel_order(self, order_id: str, units: Mapping[str, int] | None = None) -> int:
        """Nobody shops here."""
        return 0

    def edit_listing(self, edit: Edit) -> bool:
        """The store's products are not edited."""
        return False

    # -- what the control room asks --

    def act(self, order: str, do: str, reason: str) -> None:
        """Hold, release, fail, cancel, return or step an order; have a SKU run out of stock or come back."""
        if do in ("out_of_stock", "back_in_stock"):
            variant = self.catalog.by_sku(order)
            if variant is None:
                raise ValueError(f"Printful has no product with the SKU {order!r}.")
            self.catalog.set_stock(variant, out_of_stock=do == "out_of_stock")
            return
        try:
            found = self.orders.find(order if order.isdigit() and int(order) in self.orders.orders else f"@{order}")
        except PrintfulError as error:
            raise ValueError(f"Printful has no order {order!r}.") from error
        actions: dict[str, tuple[frozenset[str], Callable[[], None]]] = {
            "hold": (
                frozenset({"pending", "inprocess", "partial"}),
                lambda: self.production.hold(found, reason or "Printful has a question."),
            ),
            "release": (frozenset({"onhold"}), lambda: self.production.release(found)),
            "fail": (
                frozenset({"pending", "inprocess"}),
                lambda: self.production.fail(found, reason or "The payment failed."),
            ),
            "cancel": (frozenset({"pending", "inprocess", "onhold"}), lambda: self.orders.withdraw(found, reason)),
            "return": (frozenset({"partial", "fulfilled"}), lambda: self.production.give_back(found, reason)),
            "step": (frozenset({"pending", "inprocess", "partial", "onhold"}), lambda: self.production.step(found)),
        }
        if do not in actions:
            raise ValueError(f"An order can be told to: {', '.join(actions)}; not {do!r}.")
        fitting, action = actions[do]
        if found.status not in fitting:
            raise ValueError(f"The order {found.id} is {found.status}: {do} does not fit.")
        action()

    def expect(self, accidents: dict[str, float]) -> None:
        """Have shares of orders meet accidents."""
        self.production.expect(accidents)

    # -- what happens --

    def _confirmed(self, order: Order) -> None:
        self._desk.world.journal.write(
            MakingSubmitted(
                at=self._desk.world.clock.monotonic(),
                channel=self.key,
                order_id=str(order.id),
                external_id=order.external_id or "",
                keys=tuple(each.external_id for each in order.items if each.external_id),
                units=order.units,
            )
        )
        self._desk.spawn(self._produce(order))

    async def _produce(self, order: Order) -> None:
        while order.status not in ENDED:
            await self._desk.sleep(STEP_S)
            self.production.step(order)

    def _withdrawn(self, order: Order) -> None:
        at = self._desk.world.clock.monotonic()
        self._desk.world.journal.write(MakingWithdrawn(at=at, channel=self.key, order_id=str(order.id)))

    def _sent(self, order: Order, parcel: Parcel) -> None:
        at, units = self._desk.world.clock.monotonic(), sum(parcel.units.values())
        self._desk.world.journal.write(
            MakingSent(at=at, channel=self.key, order_id=str(order.id), parcel_id=str(parcel.id), units=units)
        )

    def _stock_changed(self, variant: Variant) -> None:
        self._webhooks.stock(variant, self.catalog.blanks[variant.product_id].techniques)

    # -- the account --

    async def _list_scopes(self, request: Request) -> Response:
        return data([{"name": name, "value": value} for name, value in _SCOPES])

    async def _list_stores(self, request: Request) -> Response:
        return result([{"id": self._store_id, "type": "native", "name": "Simulated Printful"}])

    # -- the door --

    def _guard(self, handler: Handler) -> Handler:
        async def inner(request: Request) -> Response:
            taken = self.limit.take()
            try:
                if not taken.ok:
                    raise PrintfulError(429, _FAULTS[429])
                self._admit(request)
                answer = await handler(request)
            except PrintfulError as error:
                answer = error.answer
            self._tell_limit(answer, taken.available, taken.retry_after_s)
            return answer

        return inner

    def _admit(self, request: Request) -> None:
        """Check the token and the store. Raises PrintfulError."""
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            raise PrintfulError(401, "The access token provided is invalid.")
        if request.headers.get("x-pf-store-id", str(self._store_id)) != str(self._store_id):
            raise PrintfulError(403, "This token has no access to the store.")

    def _tell_limit(self, answer: Response, available: float, retry_after_s: float) -> None:
        refill = self.limit.refill_per_s
        answer.headers["x-ratelimit-policy"] = f"{_BURST};w={max(1, round(_BURST / refill))};"
        answer.headers["x-ratelimit-limit"] = str(_BURST)
        answer.headers["x-ratelimit-remaining"] = str(int(available))
        answer.headers["x-ratelimit-reset"] = f"{(_BURST - available) / refill:.1f}"
        if answer.status_code == 429:
            answer.headers["retry-after"] = str(max(1, math.ceil(retry_after_s)))


async def _nowhere(request: Request) -> Response:
    raise not_found("There is no such endpoint.")
