"""The Poisson figures that the risk rule is made of, without any library. Pure.

The hub asks for few of them at a time, but for the bound of a whole catalogue at once: so quantiles come from a table of the
means at which they step up, in which a search takes a quarter of a microsecond.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import lru_cache

TABLE_MEAN = 1_000.0
"""Up to this mean quantiles come from a table; above it they are worked out one by one."""


def pmf(k: int, mean: float) -> float:
    """Return P(D = k) for D ~ Poisson(mean)."""
    if k < 0:
        return 0.0
    if mean <= 0:
        return 1.0 if k == 0 else 0.0
    return math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))


def at_least(k: int, mean: float) -> float:
    """Return P(D >= k) for D ~ Poisson(mean), to about 1e-12 of itself even far out in the tail."""
    if k <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    if k > mean:
        term = total = pmf(k, mean)
        n = k
        while term > total * 1e-17:
            n += 1
            term *= mean / n
            total += term
        return total
    # Below the mean the lower tail is the shorter sum.
    term = total = pmf(k - 1, mean)
    n = k - 1
    while n > 0 and term > total * 1e-17:
        term *= n / mean
        n -= 1
        total += term
    return max(0.0, 1.0 - total)


def quantile(risk: float, mean: float) -> int:
    """Return the least k with P(D > k) <= risk: the quantile at 1 - risk. `risk` lies in (0, 1)."""
    if mean <= 0:
        return 0
    if mean <= TABLE_MEAN:
        return table(risk)(mean)
    return _search(risk, mean)


def _search(risk: float, mean: float) -> int:
    k = max(0, int(mean + math.sqrt(mean) * math.sqrt(max(0.0, -2 * math.log(risk)))))
    while at_least(k + 1, mean) > risk:
        k += 1
    while k > 0 and at_least(k, mean) <= risk:
        k -= 1
    return k


class QuantileTable:
    """Quantiles at one level for any mean: `steps[k]` is the largest mean whose quantile is k. It grows as it is asked."""

    __slots__ = ("risk", "steps")

    def __init__(self, risk: float) -> None:
        if not 0 < risk < 1:
            raise ValueError(f"A risk lies between 0 and 1, not {risk}.")
        self.risk = risk
        self.steps: list[float] = [-math.log1p(-risk)]

    def __call__(self, mean: float) -> int:
        """Return the quantile for this mean (at most TABLE_MEAN, or it takes long)."""
        self.reach(mean)
        return bisect_left(self.steps, mean)

    def reach(self, mean: float) -> list[float]:
        """Make the table reach to this mean and return its steps, so that many can be looked up at once."""
        steps = self.steps
        while steps[-1] < mean:
            steps.append(self._next(len(steps), steps[-1]))
        return steps

    def _next(self, k: int, mean: float) -> float:
        """Return the mean at which P(D > k) is the risk, by Newton's method: its slope is P(D = k)."""
        mean += 1.0 if k > 1 else math.sqrt(2 * self.risk)
        for _ in range(50):
            change = (at_least(k + 1, mean) - self.risk) / pmf(k, mean)
            # Far off the tail is flat: no step goes further than half of the way to zero.
            mean -= max(-1.0, min(change, mean / 2))
            if abs(change) < 1e-13 * mean:
                break
        return mean


@lru_cache(maxsize=256)
def table(risk: float) -> QuantileTable:
    """Return the table of quantiles at 1 - risk."""
    return QuantileTable(risk)
