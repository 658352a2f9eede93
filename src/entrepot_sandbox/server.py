"""Puts the sandbox together and serves it: all marketplaces under one port, and the control room beside them."""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from entrepot_sandbox.books import World
from entrepot_sandbox.control import control_routes
from entrepot_sandbox.faults import Counter, Faults, Level
from entrepot_sandbox.goods import default_products
from entrepot_sandbox.hooks import Deliverer
from entrepot_sandbox.marketplace import Desk, Marketplace
from entrepot_sandbox.replay import ReplayDemand, read_invoices, replay_products
from entrepot_sandbox.shoppers import Demand, ModelDemand, Shoppers, default_shares
from entrepot_sandbox.strategy import Strategy

CHANNELS = ("shopify", "square", "amazon")


@dataclass(frozen=True, slots=True)
class Config:
    """What kind of sandbox. `replay`: the folder of the order file, None for the demand model.

    `replay_lines`: how much of the file is read (0: all of it, which takes many seconds).
    """

    seed: int = 0
    products: int = 120
    channels: tuple[str, ...] = CHANNELS
    time_scale: float = 1.0
    faults: Level = Level.NONE
    replay: Path | None = None
    replay_lines: int = 100_000


class Sandbox:
    """A running world: books, marketplaces, shoppers, faults, judge. `app` is what to serve at `base_url`."""

    def __init__(self, config: Config, base_url: str) -> None:
        self.config = config
        if config.replay is None:
            self.world = World(
                default_products(config.products, config.seed), seed=config.seed, time_scale=config.time_scale
            )
            demand: Demand = ModelDemand(self.world, default_shares(config.channels))
        else:
            invoices = read_invoices(config.replay, config.replay_lines)
            products = replay_products(invoices, config.products, config.seed)
            self.world = World(products, seed=config.seed, time_scale=config.time_scale)
            demand = ReplayDemand(self.world, invoices, default_shares(config.channels))
        self.faults = Faults(self.world, config.channels)
        self.faults.use(config.faults)
        self.deliverer = Deliverer(self.world, self.faults)
        self.desks = {key: Desk(key, self.world, self.deliverer, f"{base_url}/{key}") for key in config.channels}
        self.markets: dict[str, Marketplace] = {key: _create(key, desk) for key, desk in self.desks.items()}
        self.shoppers = Shoppers(self.world, self.markets, demand)
        self.strategy: Strategy | None = None
        self.app = self._app()

    def _app(self) -> ASGIApp:
        rooms = [Mount(f"/{key}", routes=list(market.routes())) for key, market in self.markets.items()]
        inner = Starlette(routes=[Mount("/_sandbox", routes=control_routes(self)), *rooms])
        return Counter(inner, self.world, self.faults, self.markets)

    async def close(self) -> None:
        """Stop shoppers, deliveries and what the marketplaces do in the background."""
        await self.shoppers.stop()
        for desk in self.desks.values():
            await desk.close()
        await self.deliverer.close()


def _create(key: str, desk: Desk) -> Marketplace:
    """Make the marketplace of the package named after it. Raises ValueError where there is none."""
    if not key.isidentifier():
        raise ValueError(f"There is no simulated marketplace named {key!r}.")
    try:
        module = importlib.import_module(f"entrepot_sandbox.{key}")
    except ModuleNotFoundError as error:
        if error.name != f"entrepot_sandbox.{key}":
            raise
        raise ValueError(f"There is no simulated marketplace named {key!r}.") from error
    market: Marketplace = module.create(desk)
    return market


class _Protocol(HttpToolsProtocol):
    """uvicorn's HTTP, which also tells the application its socket, so that a fault can close it."""

    def connection_made(self, transport: Any) -> None:
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)


class _Server(uvicorn.Server):
    """uvicorn that leaves the signals of the process alone and says when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server_of(app: ASGIApp) -> _Server:
    """Return a server for the application that says nothing of its own and adds no headers."""
    return _Server(
        uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_level="critical",
            access_log=False,
            date_header=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )


def bind(port: int, host: str = "127.0.0.1") -> socket.socket:
    """Return a socket bound to the port (0: any free one). Raises OSError if it is taken."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox that answers at `url`."""

    sandbox: Sandbox
    url: str


@asynccontextmanager
async def running(config: Config, port: int = 0) -> AsyncIterator[Running]:
    """Serve a sandbox on 127.0.0.1 in this event loop while the block runs."""
    with bind(port) as bound:
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        sandbox = Sandbox(config, url)
        server = server_of(sandbox.app)
        task = asyncio.get_running_loop().create_task(server.serve([bound]))
        await server.ready.wait()
        try:
            yield Running(sandbox, url)
        finally:
            await sandbox.close()
            server.should_exit = True
            await task
