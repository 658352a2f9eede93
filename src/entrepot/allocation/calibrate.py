"""What the risk rule is told: rates learned from few sales, and lags kept small. Pure.

A SKU that sold twice says little about where its next sale comes from; its rate on a channel is drawn towards what its channel
sells of everything. So a new listing starts with a sensible rate, and one with many sales is believed by its own.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PRIOR_SALES = 8.0
"""So many sales of a SKU weigh as much as the channels' shares of everything."""

LAG_LEAST_S = 0.01
LAG_GROWTH = 1.1
"""Each bucket of a lag sketch is a tenth wider than the one before: a quantile is within a tenth."""


@dataclass(frozen=True, slots=True)
class Sales:
    """Units of a SKU by channel while it was on sale there, and for how long that was in seconds."""

    units: Mapping[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class Prior:
    """What all SKUs together say: each channel's share of units, and a Gamma over a SKU's rate in units/s."""

    shares: Mapping[str, float]
    shape: float
    scale_s: float

    @property
    def rate(self) -> float:
        """The rate of a SKU of which nothing is known, in units/s."""
        return self.shape / self.scale_s


def prior_of(history: Sequence[Sales], channels: Sequence[str]) -> Prior:
    """Return the prior that the history of all SKUs says, by moments (empirical Bayes)."""
    units = {channel: sum([s.units.get(channel, 0.0) for s in history]) for channel in channels}
    total = sum(units.values())
    many = len(channels)
    # One sale spread over all channels, so that a channel without any has a share above nothing.
    shares = {channel: (sold + 1 / many) / (total + 1) for channel, sold in units.items()}
    seen = [(sum(s.units.values()), s.seconds) for s in history if s.seconds > 0]
    time = sum([t for _, t in seen])
    if not seen or total <= 0 or time <= 0:
        return Prior(shares, 0.5, 0.5 * max(1.0, time))
    mean = sum([n for n, _ in seen]) / time
    # Var(n/t) = Var(rate) + mean/t, weighted by the time that each was seen.
    spread = sum([t * (n / t - mean) ** 2 for n, t in seen]) / time - mean * len(seen) / time
    variance = max(spread, mean**2 / 100)
    return Prior(shares, mean**2 / variance, mean / variance)


def rates(prior: Prior, sales: Sales, *, prior_sales: float = PRIOR_SALES) -> dict[str, float]:
    """Return a SKU's rate on each channel of the prior, in units/s.

    Its whole rate is the Gamma's posterior mean; its shares are its own sales evened by `prior_sales` sales at the channels'
    usual shares.
    """
    sold = sum(sales.units.values())
    whole = (prior.shape + sold) / (prior.scale_s + sales.seconds)
    return {
        channel: whole * (sales.units.get(channel, 0.0) + prior_sales * share) / (sold + prior_sales)
        for channel, share in prior.shares.items()
    }


def lot(squares: float, units: float, usual: float, *, prior_sales: float = PRIOR_SALES) -> float:
    """Return how many units of a SKU are bought at once, a large order weighing by its units; at least 1.

    `squares`: the sum of the squares of the units of its order lines, `units` that of the units; few sales are drawn towards what
    is `usual` in the shop by `prior_sales` units.
    """
    return max(1.0, (squares + prior_sales * usual) / (units + prior_sales))


@dataclass(slots=True)
class LagSketch:
    """Quantiles of lags in a few hundred bytes, that two workers can add up. `counts`: by bucket; 0 is up to LAG_LEAST_S."""

    counts: dict[int, float] = field(default_factory=dict)

    def add(self, lag_s: float, weight: float = 1.0) -> None:
        """Count a lag in seconds. Raises ValueError if it is not a number of seconds, 0 or more."""
        if not lag_s >= 0 or math.isinf(lag_s):
            raise ValueError(f"A lag is a number of seconds, 0 or more, not {lag_s}.")
        bucket = 0 if lag_s <= LAG_LEAST_S else math.ceil(math.log(lag_s / LAG_LEAST_S) / math.log(LAG_GROWTH) - 1e-9)
        self.counts[bucket] = self.counts.get(bucket, 0.0) + weight

    def merge(self, other: LagSketch) -> LagSketch:
        """Return the sketch of both."""
        counts = dict(self.counts)
        for bucket, count in other.counts.items():
            counts[bucket] = counts.get(bucket, 0.0) + count
        return LagSketch(counts)

    def faded(self, part: float) -> LagSketch:
        """Return the sketch with every count multiplied, so that what is long past weighs less."""
        return LagSketch({b: c * part for b, c in self.counts.items() if c * part >= 1e-3})

    @property
    def count(self) -> float:
        """How many lags it holds."""
        return sum(self.counts.values())

    def quantile(self, part: float) -> float | None:
        """Return the lag in seconds that `part` (0 to 1) of the lags do not exceed, rounded up by a tenth at most.

        None if nothing was counted: not known.
        """
        if not self.counts:
            return None
        ordered = sorted(self.counts)
        sums, total = [], 0.0
        for bucket in ordered:
            total += self.counts[bucket]
            sums.append(total)
        place = min(len(ordered) - 1, bisect_right(sums, part * total * (1 - 1e-12)))
        return LAG_LEAST_S * LAG_GROWTH ** ordered[place]

    def to_json(self) -> dict[str, float]:
        """Return it as JSON can hold it."""
        return {str(bucket): count for bucket, count in sorted(self.counts.items())}

    @classmethod
    def from_json(cls, stored: Mapping[str, float]) -> LagSketch:
        """Return what `to_json` gave."""
        return cls({int(bucket): float(count) for bucket, count in stored.items()})
