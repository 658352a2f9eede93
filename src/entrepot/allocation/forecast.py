"""What is expected to sell: TSB times the weekdays of the shop, from units sold by day. Pure. METHODS 2.

A day on which there was nothing to sell and nothing was sold tells nothing about demand: it is unknown, not zero. A day on which
it sold out tells that at least so much was wanted; it counts as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import accumulate
from typing import Any

from entrepot.stock.reorder import SHORT_DAYS, SMOOTHING, Daily, Outlook, Pace, Scatter, pace_of, scatter, weight
from entrepot.stock.reorder import weekday_profile as profile_of

__all__ = [
    "HORIZONS",
    "SHORT_DAYS",
    "Learner",
    "daily",
    "outlook_of",
    "pace_of",
    "past_errors",
    "plain",
    "shop_profile",
]

HORIZONS = (1, 3, 7, 14, 21, 28, 42, 56, 84)
"""Periods, in days, over which is learned how far forecasts are off."""
PERIODS = 6
STARTED = 60
"""Days that TSB takes its first guess from: with fewer there is no forecast to hold against what came."""
RATIOS_KEPT = 199
FORECAST_DAYS = 30


def daily(sold: Mapping[date, int], unknown: Set[date], since: date, until: date) -> Daily:
    """Return units sold by day from `since` to `until`, both included; None on unknown days without a sale."""
    found: list[int | None] = []
    for number in range((until - since).days + 1):
        day = since + timedelta(days=number)
        units = max(0, sold.get(day, 0))
        found.append(None if units == 0 and day in unknown else units)
    return found


def shop_profile(sold: Mapping[date, int], since: date, until: date) -> tuple[float, ...]:
    """Return the weekdays of the shop (Monday first) from all units sold by day; all the same below four weeks."""
    first = max(since, min(sold, default=until))
    if (until - first).days + 1 < SHORT_DAYS:
        return (1.0,) * 7
    return profile_of([daily(sold, frozenset(), first, until)], first.weekday())


def in_30_days(pace: Pace, profile: Sequence[float], next_weekday: int) -> float:
    """Return the units expected in the next 30 days."""
    return pace.units_a_day * weight(FORECAST_DAYS, profile, next_weekday)


def paces(days: Daily, *, smoothing: float = SMOOTHING) -> list[float | None]:
    """Return what TSB would have expected before each day, in one go; None while it had too little to begin with.

    The first guess is made from the first STARTED known days, so from there on it is `tsb` of the days before.
    """
    known = [units for units in days if units is not None]
    begin = known[:STARTED]
    if len(begin) < STARTED:
        return [None] * len(days)
    sales = [units for units in begin if units > 0]
    size = sum(sales) / len(sales) if sales else 1.0
    chance = max(0.01, len(sales) / len(begin))
    seen, found = 0, list[float | None]()
    for units in days:
        found.append(size * chance if seen >= STARTED else None)
        if units is None:
            continue
        seen += 1
        if units > 0:
            chance += smoothing * (1 - chance)
            size += smoothing * (units - size)
        else:
            chance -= smoothing * chance
    return found


def past_errors(
    days: Daily, profile: Sequence[float], first_weekday: int, horizons: Sequence[int] = HORIZONS
) -> dict[int, list[tuple[float, int]]]:
    """Return (forecast, sold) by horizon over a variant's last periods that are known whole, each told from what was before."""
    before = paces(days)
    units = [0, *accumulate([u or 0 for u in days])]
    gaps = [0, *accumulate([u is None for u in days])]
    found: dict[int, list[tuple[float, int]]] = {}
    for horizon in horizons:
        pairs = []
        for back in range(1, PERIODS + 1):
            start = len(days) - back * horizon
            if start < 0 or before[start] is None:
                break
            end = start + horizon
            if gaps[end] == gaps[start]:
                told = (before[start] or 0.0) * weight(horizon, profile, (first_weekday + start) % 7)
                pairs.append((told, units[end] - units[start]))
        if pairs:
            found[horizon] = pairs
    return found


@dataclass(slots=True)
class Learner:
    """Gathers how far forecasts were off, over all goods."""

    profile: Sequence[float]
    pairs: dict[int, list[tuple[float, int]]] = field(default_factory=dict)

    def learn(self, days: Daily, first_weekday: int) -> None:
        """Add a variant."""
        for horizon, pairs in past_errors(days, self.profile, first_weekday).items():
            self.pairs.setdefault(horizon, []).extend(pairs)

    def scatters(self) -> dict[int, Scatter]:
        """Return how far forecasts are off, by days; where there is too little to learn from a horizon is left out."""
        made = {horizon: scatter(pairs) for horizon, pairs in self.pairs.items()}
        return {horizon: thinned(off) for horizon, off in sorted(made.items()) if off is not None}


def thinned(off: Scatter) -> Scatter:
    """Return the same with at most RATIOS_KEPT ratios a band, evenly spread over their ranks (never lower than it was)."""

    def fewer(ratios: Sequence[float]) -> tuple[float, ...]:
        if len(ratios) <= RATIOS_KEPT:
            return tuple(ratios)
        # The rank of the n-th of RATIOS_KEPT, rounded up.
        places = [-(-(n + 1) * (len(ratios) + 1) // (RATIOS_KEPT + 1)) - 1 for n in range(RATIOS_KEPT)]
        return tuple(ratios[min(len(ratios) - 1, place)] for place in places)

    return Scatter(off.tops, tuple(fewer(ratios) for ratios in off.ratios))


def plain(scatters: Mapping[int, Scatter]) -> dict[str, Any]:
    """Return the scatters as JSON."""

    def short(values: Iterable[float]) -> list[float]:
        return [float(f"{value:.5g}") for value in values]

    return {str(h): {"tops": short(s.tops), "ratios": [short(r) for r in s.ratios]} for h, s in scatters.items()}


def outlook_of(profile: Sequence[float], scatters: Mapping[str, Any], tomorrow: date) -> Outlook:
    """Return the outlook from what `plain` made of it; `tomorrow`: the first day that is forecast."""
    found = {int(h): Scatter(tuple(s["tops"]), tuple(tuple(r) for r in s["ratios"])) for h, s in scatters.items()}
    return Outlook(tuple(profile), tomorrow.weekday(), found)
