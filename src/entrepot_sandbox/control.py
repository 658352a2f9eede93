"""The control room: `/_sandbox/...`, for the demo and for tests, open to this machine only."""

from __future__ import annotations

import csv
import io
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot_sandbox.faults import Level
from entrepot_sandbox.journal import about
from entrepot_sandbox.judge import verdict
from entrepot_sandbox.lags import ListedNow
from entrepot_sandbox.making import Maker, figures
from entrepot_sandbox.sheets import Edit
from entrepot_sandbox.strategy import read_strategy

if TYPE_CHECKING:
    from entrepot_sandbox.server import Sandbox

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Run(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /shoppers` takes."""

    orders: int
    orders_per_s: float
    cancel_share: float = 0.04


class HubOrders(msgspec.Struct):
    """What `POST /judge` takes: (channel, external id) of every order in the hub."""

    orders: list[tuple[str, str]]


class MakerAction(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /making` takes: what happens at a maker to an order (or a SKU), or which shares meet accidents."""

    channel: str
    order: str = ""
    do: str = ""
    reason: str = ""
    accidents: dict[str, float] = {}


def answer(content: Any, status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


Handler = Callable[[Request], Awaitable[Response]]


def guarded(handler: Handler) -> Handler:
    """Let in this machine only, by its address and by the name it calls us; say plainly what was wrong."""

    async def inner(request: Request) -> Response:
        host = request.client.host if request.client else ""
        if host not in LOOPBACK or request.url.hostname not in LOOPBACK:
            return answer({"error": "Only this machine may use the sandbox's control."}, 403)
        try:
            return await handler(request)
        except (msgspec.DecodeError, ValueError) as error:
            return answer({"error": str(error)}, 422)

    return inner


def control_routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Return the control routes of a sandbox."""
    room = _Room(sandbox)
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/accounts", room.accounts),
        ("GET", "/catalog.csv", room.catalog),
        ("GET", "/progress", room.progress),
        ("POST", "/shoppers", room.start_shoppers),
        ("DELETE", "/shoppers", room.stop_shoppers),
        ("POST", "/faults", room.faults),
        ("POST", "/strategy", room.strategy),
        ("POST", "/edit", room.edit),
        ("POST", "/making", room.making),
        ("GET", "/judge", room.judge),
        ("POST", "/judge", room.judge),
        ("GET", "/journal", room.journal),
    ]
    return [Route(path, guarded(handler), methods=[method]) for method, path, handler in table]


def guarded_routes(routes: Sequence[Route]) -> list[BaseRoute]:
    """Return the routes of a marketplace's own control, open to this machine only."""
    return [Route(route.path, guarded(route.endpoint), methods=sorted(route.methods or ())) for route in routes]


class _Room:
    """The handlers."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def accounts(self, request: Request) -> Response:
        """Return what a seller needs to connect to each channel."""
        return answer([account for market in self._sandbox.markets.values() for account in market.accounts()])

    async def catalog(self, request: Request) -> Response:
        """Return the seller's own list with the true opening stock, as CSV."""
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerow(("sku", "title", "price", "currency", "barcode", "stock"))
        for product in self._sandbox.world.products.values():
            rows.writerow((product.sku, product.title, product.price, product.currency, product.barcode, product.stock))
        return Response(text.getvalue(), media_type="text/csv; charset=utf-8")

    async def progress(self, request: Request) -> Response:
        """Return how far the shoppers are."""
        shoppers = self._sandbox.shoppers
        return answer(
            {
                "orders_placed": shoppers.placed,
                "orders_target": shoppers.target,
                "shoppers_running": shoppers.running,
                "attempts": shoppers.attempts,
                "webhooks_pending": self._sandbox.deliverer.pending,
                "faults": self._sandbox.faults.level,
                "elapsed_s": round(shoppers.elapsed_s, 3),
            }
        )

    async def start_shoppers(self, request: Request) -> Response:
        """Start shoppers."""
        run = msgspec.json.decode(await request.body(), type=Run)
        self._sandbox.shoppers.start(run.orders, run.orders_per_s, run.cancel_share)
        return answer({"started": True}, 202)

    async def stop_shoppers(self, request: Request) -> Response:
        """Stop shoppers; what they had in mind to cancel stays as it is."""
        await self._sandbox.shoppers.stop()
        return answer({"stopped": True})

    async def faults(self, request: Request) -> Response:
        """Switch faults: none, mild or harsh."""
        told = msgspec.json.decode(await request.body(), type=dict[str, Any])
        self._sandbox.faults.use(Level(str(told.get("level"))))
        return answer({"level": self._sandbox.faults.level})

    async def strategy(self, request: Request) -> Response:
        """Take the policy in force, for the judge."""
        told = msgspec.json.decode(await request.body(), type=dict[str, Any])
        self._sandbox.strategy = read_strategy(told)
        return answer({"strategy": self._sandbox.strategy.policy})

    async def edit(self, request: Request) -> Response:
        """Change a product on a channel, as somebody would in that channel's own admin."""
        edit = msgspec.json.decode(await request.body(), type=Edit)
        market = self._sandbox.markets.get(edit.channel)
        if market is None:
            raise ValueError(f"There is no channel {edit.channel!r}; there are: {', '.join(self._sandbox.markets)}.")
        if not market.edit_listing(edit):
            raise ValueError(f"{edit.channel} has no listing with the SKU {edit.sku!r}.")
        return answer({"edited": True})

    async def making(self, request: Request) -> Response:
        """Have something happen to an order at a maker: held, failed, out of stock, returned."""
        wish = msgspec.json.decode(await request.body(), type=MakerAction)
        market = self._sandbox.markets.get(wish.channel)
        if not isinstance(market, Maker):
            raise ValueError(f"{wish.channel!r} is no maker that is served here.")
        market.expect(wish.accidents)
        if wish.do:
            market.act(wish.order, wish.do, wish.reason)
        return answer({"done": True})

    async def judge(self, request: Request) -> Response:
        """Return the judge's figures; with the hub's orders (POST) also what it lost or has twice."""
        hub_orders = None
        if request.method == "POST":
            hub_orders = msgspec.json.decode(await request.body(), type=HubOrders).orders
        world = self._sandbox.world
        listings = [
            ListedNow(shop.channel, listing.id, listing.sku, listing.quantity)
            for shop in world.shops.values()
            for listing in shop.listings.values()
        ]
        opening = {product.sku: product.stock for product in world.products.values()}
        makers = [key for key, market in self._sandbox.markets.items() if isinstance(market, Maker)]
        judged = verdict(world.journal, opening, listings, self._sandbox.strategy, hub_orders)
        return answer(judged | figures(world.journal, makers))

    async def journal(self, request: Request) -> Response:
        """Return all that happened to a SKU, oldest first: to see how a unit came to be oversold."""
        sku = request.query_params.get("sku", "")
        if sku not in self._sandbox.world.products:
            raise ValueError(f"There is no product {sku!r}: ask with ?sku=...")
        return answer(list(about(self._sandbox.world.journal, sku)))
