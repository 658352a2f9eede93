"""How many units to show where a sale is known everywhere soon, but not at once. Pure. METHODS 1, "bid price".

A unit shown in several places may be sold twice before the channels hear of it. A unit more on a listing brings its margin,
less what the unit is worth later on (the bid), if it is asked for there; and it costs an oversell if all listings together
then sell more than there is. Units are given while that is worth it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def bid(case: Case) -> float:
    """Return what a unit is worth if it is kept: the mean margin, if all will be asked for before more is there."""
    total = sum(case.rates)
    if total <= 0 or case.pool <= 0:
        return 0.0
    mean = sum([r * m for r, m in zip(case.rates, case.margins, strict=True)]) / total
    return mean * at_least(case.pool, total * case.replenish_s)


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

    The gain of a unit on c beyond q is P(D_c > q) · (m_c - bid, less (o + bid) · P(the others sell X - q or more)): only if
    the unit is asked for does anything happen, and only then if the others have taken the rest is it one too many.
    """

    def __init__(self, case: Case, limits: list[int]) -> None:
        self.case, self.limits = case, limits
        self.means = [rate * case.window_s for rate in case.rates]
        value = bid(case)
        self.worth = [max(m - value, LEAST_GAIN * m) for m in case.margins]
        self.cost = case.oversell_cost + value
        self.given = [0] * len(limits)
        self.sales = [[1.0] for _ in limits]
        """By listing: the chances that it sells 0, 1, ... `given` units within the window."""

    def fill(self) -> list[int]:
        """Return how many units each listing gets."""
        everywhere = sum(self.means)
        for c, mean in enumerate(self.means):
            # What is worth it even if the others sold all that is asked for there is given in any order.
            sure = 0
            while (
                sure < self.limits[c] and self.cost * at_least(self.case.pool - sure, everywhere - mean) < self.worth[c]
            ):
                sure += 1
            self._give(c, sure)
        rest = [self._gain(c) for c in range(len(self.means))]
        while True:
            # A gain only shrinks while others get units, so the best one is right once it has been looked at again.
            best = max(range(len(rest)), key=lambda c: rest[c], default=-1)
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
        net = self.worth[c] - self.cost * self._others_sell(c, self.case.pool - given)
        return at_least(given + 1, self.means[c]) * net

    def _others_sell(self, c: int, units: int) -> float:
        """Return the chance that all other listings together sell so many units (1 or more) within the window."""
        if sum(self.given) - self.given[c] < units:
            return 0.0
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
        return max(0.0, 1.0 - sum(below))
