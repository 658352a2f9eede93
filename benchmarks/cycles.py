"""A stock-out, over and over: customers come to channels, the hub hears of each sale late and answers late."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from entrepot.allocation.risk import Exposure, choose

SHARES = (0.5, 0.3, 0.2)
DEMAND = 1.5
"""Units asked for in a cycle, in parts of the stock."""

Publish = Callable[["Hub"], Sequence[int]]


@dataclass(slots=True)
class Hub:
    """What the hub knows: units left, and by channel what may be sold at most and where it is heading."""

    pool: int
    rates: Sequence[float]
    lag: float
    risk: float
    oversell_cost: float
    replenish: float
    most: list[int]
    heading: list[int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Over many cycles: parts of cycles with an oversell, of sales lost against a clairvoyant, units oversold a cycle."""

    oversold: float
    lost: float
    units: float


def pool(hub: Hub) -> Sequence[int]:
    """Show everything everywhere."""
    return [max(0, hub.pool)] * len(hub.rates)


def fixed(hub: Hub) -> Sequence[int]:
    """Show 40, 30 and 20 percent, the rest in reserve."""
    return [int(max(0, hub.pool) * share) for share in (0.4, 0.3, 0.2)]


def equal(hub: Hub) -> Sequence[int]:
    """Show an equal part."""
    return [max(0, hub.pool) // len(hub.rates)] * len(hub.rates)


def risk(hub: Hub) -> Sequence[int]:
    """Show what the rule says."""
    chosen = choose(
        Exposure(
            hub.pool, hub.rates, (1.0,) * len(hub.rates), hub.lag, hub.lag, hub.replenish, hub.oversell_cost, hub.risk,
            tuple(zip(hub.most, hub.heading, strict=True)),
        )
    )  # fmt: skip
    return [portion.now for portion in chosen.portions]


class Cycle:
    """One cycle with `units` in stock. Half of the lag is hearing of a sale, half is answering it."""

    def __init__(
        self, units: int, lag: float, publish: Publish, chance: random.Random, risk: float, cost: float
    ) -> None:
        rates = SHARES
        span = DEMAND * units
        self.publish, self.lag, self.units = publish, lag, units
        many = len(rates)
        self.hub = Hub(units, rates, lag, risk, cost, span, [0] * many, [0] * many)
        self.hub.heading = list(publish(self.hub))
        self.hub.most = list(self.hub.heading)
        self.shows = list(self.hub.heading)
        self.sold = self.asked = 0
        self.number = count()
        self.events: list[tuple[float, int, str, int, int]] = []
        at = chance.expovariate(1.0)
        while at < span:
            where = chance.choices(range(many), rates)[0]
            self.events.append((at, next(self.number), "buy", where, 1))
            at += chance.expovariate(1.0)
        self.asked = len(self.events)
        self.short = [False] * many

    def run(self) -> tuple[int, int]:
        """Return units oversold, and sales that a clairvoyant would have made beyond these."""
        while self.events:
            at, _, what, where, units = heapq.heappop(self.events)
            if what == "buy":
                if self.shows[where] > 0:
                    self.shows[where] -= 1
                    self.sold += 1
                    self._later(at, "hear", where, 1)
            elif what == "hear":
                self.hub.pool -= 1
                self.hub.most[where] -= 1
                self.hub.heading[where] -= 1
                self.short[where] = False
                self._answer(at)
            else:
                self._effect(at, where, units)
        return max(0, self.sold - self.units), min(self.asked, self.units) - min(self.sold, self.units)

    def _later(self, at: float, what: str, where: int, units: int) -> None:
        heapq.heappush(self.events, (at + self.lag / 2, next(self.number), what, where, units))

    def _answer(self, at: float) -> None:
        hub = self.hub
        for where, quantity in enumerate(self.publish(hub)):
            # Below zero: sold before a lowering under way came there; that corrects itself when it is acknowledged.
            change = quantity - max(0, hub.heading[where])
            if change == 0 or (self.short[where] and change < 0):
                continue
            hub.heading[where] += change
            hub.most[where] += max(0, change)
            self._later(at, "effect", where, change)

    def _effect(self, at: float, where: int, change: int) -> None:
        done = max(-self.shows[where], change)
        self.shows[where] += done
        if change < 0:
            hub = self.hub
            hub.most[where] += done
            hub.heading[where] += done - change
            self.short[where] = done != change
            self._answer(at)


def measure(
    units: int, lag: float, publish: Publish, cycles: int, seed: int, *, risk: float = 0.005, cost: float = 10.0
) -> Outcome:
    """Return what came of so many cycles with so many units, at this ΛL."""
    chance = random.Random(seed)  # noqa: S311
    over = lost = sold = times = 0
    for _ in range(cycles):
        cycle = Cycle(units, lag, publish, chance, risk, cost)
        too_many, missed = cycle.run()
        over += too_many
        times += too_many > 0
        lost += missed
        sold += min(cycle.asked, units)
    return Outcome(times / cycles, lost / sold, over / cycles)
