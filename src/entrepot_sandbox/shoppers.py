"""Shoppers: they arrive, buy what a channel shows, and now and then change their mind."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol

from entrepot_sandbox.books import Buyer, Order, Sale, World
from entrepot_sandbox.marketplace import Marketplace
from entrepot_sandbox.people import buyer

_SHARES = {"shopify": 0.5, "amazon": 0.3, "square": 0.2, "ebay": 0.25}
SERVICES = frozenset({"printful", "stripe"})
"""What serves sellers: nobody shops there."""


def default_shares(channels: Sequence[str]) -> dict[str, float]:
    """Return how the orders spread over these channels (they add up to 1)."""
    weights = {channel: _SHARES.get(channel, 0.2) for channel in channels if channel not in SERVICES}
    total = sum(weights.values())
    return {channel: weight / total for channel, weight in weights.items()}


@dataclass(frozen=True, slots=True)
class Visit:
    """A shopper who comes to a channel wanting `sale`, after a pause of `gap` (1.0 is the mean pause).

    `takes_what_is_there`: lines that the channel cannot serve are left out; else the shopper goes away. `customer`
    tells later changes whose order it was.
    """

    channel: str
    sale: Sale
    gap: float
    takes_what_is_there: bool = False
    customer: str = ""


@dataclass(frozen=True, slots=True)
class Regret:
    """A customer gives back units of a SKU bought earlier, after a pause of `gap`."""

    customer: str
    sku: str
    units: int
    gap: float


class Demand(Protocol):
    """Who comes, in order."""

    invents_cancellations: bool
    """Whether shoppers cancel by chance (the model) rather than by record (a replay)."""

    def __next__(self) -> Visit | Regret:
        """Return the next thing to happen. Raises StopIteration when nobody comes any more."""


class ModelDemand:
    """A seeded model: few SKUs are wanted much (Zipf), most orders are one unit of one thing, arrivals are Poisson."""

    invents_cancellations = True

    def __init__(self, world: World, shares: Mapping[str, float], *, exponent: float = 0.9) -> None:
        self._chance = world.random("demand")
        self._skus = list(world.products)
        self._chance.shuffle(self._skus)
        self._weights = list(accumulate(1 / (rank + 2) ** exponent for rank in range(len(self._skus))))
        self._channels, self._shares = list(shares), list(shares.values())

    def __next__(self) -> Visit:
        """Return the next shopper; there is always one."""
        chance = self._chance
        lines: dict[str, int] = {}
        for _ in range(chance.choices((1, 2, 3), (70, 20, 10))[0]):
            sku = chance.choices(self._skus, cum_weights=self._weights)[0]
            lines.setdefault(sku, chance.choices((1, 2, 3), (85, 11, 4))[0])
        channel = chance.choices(self._channels, self._shares)[0]
        return Visit(channel, Sale(tuple(lines.items()), buyer(chance)), chance.expovariate(1.0))


class Shoppers:
    """Runs a demand against the marketplaces until as many orders are placed as asked, or nobody finds anything.

    `placed` counts orders that were sold, over all runs; `attempts` counts visits.
    """

    def __init__(self, world: World, markets: Mapping[str, Marketplace], demand: Demand) -> None:
        self._world, self._markets, self._demand = world, markets, demand
        self._chance = world.random("minds")
        self._run: asyncio.Task[None] | None = None
        self._later: set[asyncio.Task[None]] = set()
        self._bought: dict[str, list[tuple[str, Order]]] = {}
        self.placed = 0
        self.target = 0
        self.attempts = 0
        self._started: float | None = None
        self._ended: float | None = None

    @property
    def running(self) -> bool:
        """Whether anyone is still shopping or about to change their mind."""
        return (self._run is not None and not self._run.done()) or bool(self._later)

    @property
    def elapsed_s(self) -> float:
        """The seconds of the present or last run."""
        if self._started is None:
            return 0.0
        end = self._world.clock.monotonic() if self.running or self._ended is None else self._ended
        return end - self._started

    def start(self, orders: int, orders_per_s: float, cancel_share: float = 0.04) -> None:
        """Start a run in the background. Raises ValueError if one is going on or a number makes no sense."""
        if self._run is not None and not self._run.done():
            raise ValueError("Shoppers are running already.")
        if SERVICES.issuperset(self._markets):
            raise ValueError("There is no channel here that shoppers could visit.")
        if orders < 1 or not orders_per_s > 0 or not math.isfinite(orders_per_s) or not 0 <= cancel_share <= 1:
            raise ValueError("Tell orders >= 1, orders_per_s > 0 and cancel_share from 0 to 1.")
        self.target = self.placed + orders
        self._started, self._ended = self._world.clock.monotonic(), None
        self._run = asyncio.get_running_loop().create_task(self._shop(orders_per_s, cancel_share))

    async def stop(self) -> None:
        """Send everybody home, at once."""
        tasks = [task for task in (self._run, *self._later) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._run = None
        self._later.clear()

    async def wait(self) -> None:
        """Wait until nobody is shopping any more."""
        while tasks := [task for task in (self._run, *self._later) if task is not None and not task.done()]:
            await asyncio.wait(tasks)

    async def _shop(self, orders_per_s: float, cancel_share: float) -> None:
        clock = self._world.clock
        due = clock.monotonic()
        in_vain, patience = 0, max(1000, self.target - self.placed)
        while self.placed < self.target and in_vain < patience:
            try:
                happening = next(self._demand)
            except StopIteration:
                break
            due = max(due, clock.monotonic() - 1.0) + happening.gap / orders_per_s
            await asyncio.sleep(max(0.0, due - clock.monotonic()))
            if isinstance(happening, Regret):
                self._regret(happening)
                continue
            order = self._visit(happening)
            in_vain = in_vain + 1 if order is None else 0
            if order is not None and self._demand.invents_cancellations and self._chance.random() < cancel_share:
                self._after(self._change_mind(order, self._chance.uniform(1, 8), self._chance.random() < 0.3))
        self._ended = clock.monotonic()

    def _visit(self, visit: Visit) -> Order | None:
        self.attempts += 1
        sale = visit.sale
        if visit.takes_what_is_there:
            shop = self._world.shops[visit.channel]
            there = tuple((sku, units) for sku, units in sale.lines if shop.shown(sku) >= units)
            for sku, units in set(sale.lines) - set(there):
                shop.turn_away(sku, units)
            if not there:
                return None
            sale = Sale(there, sale.buyer)
        order = self._markets[visit.channel].place_order(sale)
        if order is not None:
            self.placed += 1
            if visit.customer:
                self._bought.setdefault(visit.customer, []).append((visit.channel, order))
        return order

    def _after(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _change_mind(self, order: Order, after_s: float, partly: bool) -> None:
        """Cancel the order after a while, or only one unit of a bigger one."""
        await asyncio.sleep(after_s)
        units = {order.lines[-1].id: 1} if partly and sum(line.quantity for line in order.lines) > 1 else None
        if any(line.shipped for line in order.lines):
            return
        self._markets[order.channel].cancel_order(order.id, units)
        self._ended = self._world.clock.monotonic()

    def _regret(self, regret: Regret) -> None:
        """Cancel the units on the customer's latest order that has them, or bring them back where they have shipped."""
        left = regret.units
        for channel, order in reversed(self._bought.get(regret.customer, ())):
            for line in order.lines:
                units = min(left, line.quantity - line.cancelled)
                if line.listing.sku == regret.sku and units > 0:
                    self._markets[channel].cancel_order(order.id, {line.id: units})
                    left -= units
            if left <= 0:
                return


def spread(seed: int, name: str, shares: Mapping[str, float]) -> str:
    """Return the channel of a customer or invoice, always the same for the same seed."""
    chance = random.Random(f"{seed}/spread/{name}")  # noqa: S311
    return chance.choices(list(shares), list(shares.values()))[0]


def customer_of(seed: int, name: str, country: str) -> Buyer:
    """Return the person behind a customer number, always the same for the same seed."""
    return buyer(random.Random(f"{seed}/customer/{name}"), country=country)  # noqa: S311
