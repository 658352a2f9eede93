"""How many units to show where a sale is known everywhere soon, but not at once. Pure. METHODS 1, "bid price".

A unit shown in several places may be sold twice before the channels hear of it. A unit more on a listing brings its margin,
less what the unit is worth later on (the bid), if it is asked for there; and it costs an oversell if all listings together
then sell more than there is. Units are given while that is worth it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from entrepot.allocation.poisson import at_least, pmf, quantile

NEVER = 1e-9
"""If more than the pool is asked for within the window so rarely, all of it is shown everywhere."""

LEAST_GAIN = 1e-6
"""A sale is worth at least this part of its margin, so that units without a risk are shown even if they could be sold later."""


@dataclass(frozen=True, slots=True)
class Case:
    """A variant: rates in units/s and margins by listing, the window and the time to replenishment in s, the oversell cost.

    Margins and `oversell_cost` are in one unit of money. `caps`: the most for each listing, None without.
    """

    pool: int
    rates: Sequence[float]
    margins: Sequence[float]
    window_s: float
    replenish_s: float
    oversell_cost: float
    caps: Sequence[int | None] = ()

    @property
    def lost(self) -> float:
        """What a unit sold and not there costs in all: the oversell, and the usual margin, which is paid back."""
        total = sum(self.rates)
        if total <= 0:
            return self.oversell_cost
        return self.oversell_cost + sum([r * m for r, m in zip(self.rates, self.margins, strict=True)]) / total


def bids(case: Case) -> list[float]:
    """Return what the first, second, ... unit of the pool is worth if it is kept over the window.

    The n-th last unit is sold before more is there with the chance that n are asked for (Littlewood). If there are fewer
    units than listings, only so many listings can show one without risk, so less is asked for; but the very last one may
    be shown on more of them where that brings more than the oversells cost.
    """
    left = max(0.0, case.replenish_s - case.window_s)
    order = sorted(range(len(case.rates)), key=lambda c: (-case.rates[c] * case.margins[c], c))
    values: list[float] = []
    rate = earned = askers = last = 0.0
    for place, c in enumerate(order, start=1):
        rate += case.rates[c]
        earned += case.rates[c] * case.margins[c]
        askers += -math.expm1(-case.rates[c] * case.window_s)
        if rate <= 0:
            return [0.0] * case.pool
        # Of the windows in which it is asked for: in how many by a second listing too.
        twice = askers / -math.expm1(-rate * case.window_s) - 1
        last = max(last, at_least(1, rate * left) * (earned / rate - twice * case.oversell_cost))
        values.append(earned / rate * at_least(place, rate * left))
    values[0] = last
    values += [earned / rate * at_least(k, rate * left) for k in range(len(values) + 1, case.pool + 1)]
    # No unit is worth more than one that is sold before it.
    return list(accumulate(values[: case.pool], min))


def quantities(case: Case) -> list[int]:
    """Return the units to show on each listing. If demand within the window cannot exceed the pool: all of it on each."""
    limits = [
        case.pool if cap is None else max(0, min(cap, case.pool)) for cap in (case.caps or [None] * len(case.rates))
    ]
    if case.pool <= 0:
        return [0] * len(case.rates)
    if case.pool > quantile(NEVER, sum(case.rates) * case.window_s):
        return limits
    return _Greedy(case, limits).fill()


class _Greedy:
    """Gives units one at a time to where the next one gains most.

    A unit on c beyond q matters only if it is asked for: P(D_c > q). Then it brings the margin of c and costs what is lost by
    one sale more: the bid of that unit, or an oversell if the others sell so much that none is left.
    """

    def __init__(self, case: Case, limits: list[int]) -> None:
        self.case, self.limits = case, limits
        self.means = [rate * case.window_s for rate in case.rates]
        self.bids = bids(case)[::-1]
        """By units sold before: what the next one was worth. The last is the bid of the last unit."""
        self.given = [0] * len(limits)
        self.sales = [[1.0] for _ in limits]
        """By listing: the chances that it sells 0, 1, ... `given` units within the window."""

    def fill(self) -> list[int]:
        """Return how many units each listing gets."""
        everywhere = sum(self.means)
        for c, mean in enumerate(self.means):
            # What is worth it even if the others sold all that is asked for there is given in any order.
            others = [pmf(k, everywhere - mean) for k in range(self.case.pool)]
            sure = 0
            while sure < self.limits[c] and self._net(c, sure, others) > 0:
                sure += 1
            self._give(c, sure)
        rest = [self._gain(c) for c in range(len(self.means))]
        while True:
            # A gain only shrinks while others get units, so the best one is right once it has been looked at again.
            best = max(range(len(rest)), key=rest.__getitem__, default=-1)
            if best < 0 or rest[best] <= 0:
                return self.given
            fresh = self._gain(best)
            if fresh < rest[best]:
                rest[best] = fresh
                continue
            self._give(best, 1)
            rest[best] = self._gain(best)

    def _give(self, c: int, units: int) -> None:
        if units:
            self.given[c] += units
            mean, most = self.means[c], self.given[c]
            self.sales[c] = [pmf(k, mean) for k in range(most)] + [at_least(most, mean)]

    def _gain(self, c: int) -> float:
        given = self.given[c]
        if given >= self.limits[c]:
            return 0.0
        return at_least(given + 1, self.means[c]) * self._net(c, given, self._others(c, self.case.pool - given))

    def _net(self, c: int, given: int, others: list[float]) -> float:
        """Return what a sale of the next unit on c brings, if `others` are the chances of 0, 1, ... sold elsewhere."""
        there = others[: self.case.pool - given]
        worth = self.bids[given : given + len(there)]
        kept = sum([p * w for p, w in zip(there, worth, strict=True)])
        short = max(0.0, 1.0 - sum(there))
        margin = self.case.margins[c]
        return max(margin - kept, LEAST_GAIN * margin) - (self.case.lost * short if short > 1e-15 else 0.0)

    def _others(self, c: int, units: int) -> list[float]:
        """Return the chances that all other listings together sell 0, 1, ... fewer than `units` within the window."""
        below = [1.0]
        for d, chances in enumerate(self.sales):
            if d == c or len(chances) == 1:
                continue
            size = min(units, len(below) + len(chances) - 1)
            mixed = [0.0] * size
            for i, p in enumerate(below):
                for j, chance in enumerate(chances[: size - i]):
                    mixed[i + j] += p * chance
            below = mixed
        return below
