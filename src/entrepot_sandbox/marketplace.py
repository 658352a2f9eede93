"""How a simulated marketplace plugs into the sandbox.

A marketplace is a package `entrepot_sandbox.<key>` with a function `create(desk: Desk) -> Marketplace`. It is served
under `/<key>`, with exactly the real channel's paths after that prefix. In `create` it opens its books and lists every
product (with quantity 0: the seller publishes):

    shop = desk.world.open_shop("square")
    for product in desk.world.products.values():
        shop.add_listing(product, listing_id, keys={...})

What it must do, beyond answering as the real channel does:

- Selling: `place_order` calls `shop.sell(sale, order_id, line_ids)` (which applies the selling rule) and, if it sold,
  publishes its webhooks with `desk.publish(...)`. `cancel_order` likewise with `shop.cancel`. Both are plain functions.
- Stock: every quantity write by the seller goes through `shop.write_quantity(listing, after, kind=..., request_id=...)`
  at the moment it takes effect (`requested_at=desk.world.clock.monotonic()` remembered from the request, where later).
- Telling: an answer that contains orders calls `tells(request, order)` for each, so that the judge knows that the hub
  has been told once the answer was delivered whole. A webhook says the same with `Hook.tells`.
- Limits: `desk.bucket(name, capacity=..., refill_per_s=..., writes=...)` with the real channel's figures; the handler
  takes from it and answers 429 with the real headers; `bucket.refill_per_s` is scaled already.
- Time: what the channel says goes by `desk.now()` (which may be skewed); delays by `desk.world.clock.scaled(...)`
  and `await desk.sleep(seconds)`. Work of its own in the background: `desk.spawn(coroutine)`.
- Chance: `desk.random("what for")` is seeded. Ids must be the same for the same seed and order of events.

Faults (latency, 429, 5xx, dropped connections, lost answers) come from the middleware around all routes, before or
after the handler; the marketplace only says how its channel words them (`fault_answer`). A handler needs not know.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot_sandbox.books import Order, Sale, World
from entrepot_sandbox.limits import Bucket
from entrepot_sandbox.sheets import Edit


@dataclass(frozen=True, slots=True)
class Account:
    """What a seller types to connect: fields by the names that the channel's own documentation uses."""

    channel: str
    name: str
    settings: Mapping[str, str]
    credentials: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Operation:
    """What a request is: its name for the record, and whether it writes quantities."""

    name: str
    writes_quantity: bool = False


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook event for one subscription.

    `headers(attempt)` makes the headers of a delivery (signature and all); attempts count from 1. The event id and the
    body are the same for every attempt. `tells`: orders (id, version) that an acknowledgement proves to be known;
    `whole` False where the body only names them, so that the hub still has to fetch what was sold.
    `retry_after_s`: the real channel's waits before each further attempt; the hook is given up after the last.
    """

    subscription_id: str
    url: str
    topic: str
    event_id: str
    body: bytes
    headers: Callable[[int], Mapping[str, str]]
    tells: tuple[tuple[str, int], ...] = ()
    whole: bool = True
    retry_after_s: Sequence[float] = (1, 5, 30, 120, 600)
    timeout_s: float = 10.0


class Marketplace(Protocol):
    """What the sandbox asks of a simulated marketplace."""

    @property
    def key(self) -> str:
        """The channel's name and path prefix, such as `square`."""

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes, with the real channel's paths."""

    def accounts(self) -> Sequence[Account]:
        """Return the seller's accounts here."""

    def operation(self, method: str, path: str) -> Operation:
        """Return what a request (path without the prefix) is."""

    def fault_answer(self, status: int, retry_after_s: float) -> Response:
        """Return the answer that the channel gives with status 429, 500 or 503 in its own words."""

    def place_order(self, sale: Sale) -> Order | None:
        """Sell if every listing shows enough and tell subscribers; None if not."""

    def cancel_order(self, order_id: str, units: Mapping[str, int] | None = None) -> int:
        """Cancel units by line id (None: the whole order), tell subscribers, return how many were cancelled."""

    def edit_listing(self, edit: Edit) -> bool:
        """Change a product as a person would in the channel's own admin, tell subscribers; False: no such SKU."""


@runtime_checkable
class Controlled(Protocol):
    """A marketplace with a control interface of its own, at `/_sandbox/<key>`."""

    def control_routes(self) -> Sequence[Route]:
        """Return its routes; they are guarded as those of the sandbox are."""


@dataclass(slots=True)
class CallNotes:
    """What a handler noted about its answer, for the journal."""

    tells: list[tuple[str, int]] = field(default_factory=list)


def tells(request: Request, order: Order) -> None:
    """Note that the answer to this request contains the order as it is now."""
    notes: CallNotes | None = request.scope.get("sandbox.notes")
    if notes is not None:
        notes.tells.append((order.id, order.version))


class Publisher(Protocol):
    """Where webhooks go."""

    def publish(self, channel: str, hook: Hook) -> None:
        """Deliver the hook in the background, with the real channel's retries."""


class Desk:
    """What the sandbox gives to one marketplace."""

    def __init__(self, channel: str, world: World, publisher: Publisher, base_url: str) -> None:
        self.channel, self.world = channel, world
        self.base_url = base_url
        """Where this marketplace is served, such as `http://127.0.0.1:8100/square` (no slash at the end)."""
        self._publisher = publisher
        self._tasks: set[asyncio.Task[Any]] = set()

    def now(self) -> datetime:
        """Return the time by this channel's clock."""
        return self.world.clock.now(self.channel)

    def random(self, name: str) -> random.Random:
        """Return a seeded source of chance of its own."""
        return self.world.random(f"{self.channel}/{name}")

    def bucket(
        self, name: str, *, capacity: float, refill_per_s: float, writes: bool = False, unit: float = 1.0
    ) -> Bucket:
        """Return a new rate limit, with the real channel's figures."""
        return Bucket(
            self.world.clock,
            self.world.journal,
            self.channel,
            name,
            capacity=capacity,
            refill_per_s=refill_per_s,
            writes=writes,
            unit=unit,
        )

    def publish(self, hook: Hook) -> None:
        """Deliver a webhook in the background."""
        self._publisher.publish(self.channel, hook)

    async def sleep(self, seconds: float) -> None:
        """Wait as long as `seconds` on the real channel (divided by the time scale)."""
        await asyncio.sleep(self.world.clock.scaled(seconds))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the background until it ends or the sandbox stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop what is running in the background."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
