"""How much closer together sales come than their mean rate says, from the times of past orders. Pure.

Shops sell by day and customers come in crowds: a newsletter goes out, somebody tells a friend. What matters to the risk of an
oversell is how much sells within the lag *around a sale*, more than the mean rate says: by the hours in which the shop
sells (a part of the rate), and by the sales that follow a sale whatever the rate is (so many a sale). For sales that come
steadily both say nothing: 1 and 0.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from entrepot.allocation.lots import SALES_LEAST, usual_lot

WEEK_HOURS = 168

SCALES_S = (5.0, 60.0, 300.0, 900.0, 3_600.0)
"""Lags, in seconds, at which pairs of sales are counted; between them the figure is drawn straight, beyond the last it stays."""

WIDE_S = 28 * 86_400.0
"""What pairs of a SKU within so many seconds say is its mean rate: whole weeks, and short enough that seasons are no crowds."""

SURE = 3.0
"""So many standard deviations above what chance says is more than chance."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """What was counted of sales of single SKUs, over any number of SKUs.

    `sales`: of one SKU in one order each. `near`: by SCALES_S, pairs of one SKU's sales less than that apart. `wide`: less than
    WIDE_S apart. `span_s`: from the first sale of the shop until now.
    """

    sales: int = 0
    near: tuple[int, ...] = (0,) * len(SCALES_S)
    wide: int = 0
    span_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Bunching:
    """How sales come.

    `hours`: how many times the mean rate a sale meets by the hour of the week. `followers`: by SCALES_S, sales of the same SKU
    that follow a sale within that time beyond what rate and hours say.
    """

    hours: float = 1.0
    followers: tuple[float, ...] = (0.0,) * len(SCALES_S)

    def followers_in(self, lag_s: float) -> float:
        """Return the sales that follow a sale within a lag in seconds, beyond what rate and hours say."""
        place = bisect_left(SCALES_S, lag_s)
        if place == len(SCALES_S):
            return self.followers[-1]
        start, before = (SCALES_S[place - 1], self.followers[place - 1]) if place else (0.0, 0.0)
        return before + (self.followers[place] - before) * (max(0.0, lag_s) - start) / (SCALES_S[place] - start)

    def factor(self, rate_s: float, lag_s: float, lot: float = 1.0) -> float:
        """Return how many times as much sells in a lag after a sale as the rate in units/s says; `lot`: units a sale."""
        mean = rate_s * lag_s
        return self.hours + lot * self.followers_in(lag_s) / mean if mean > 0 else 1.0


STEADY = Bunching()


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted of a shop's past orders.

    `hours`: orders by hour of the week, Monday first, in the shop's time zone. `lot`: what is taken for the lot of a SKU that
    is not known (`lots.usual_lot`), None if no SKU sold often enough.
    """

    hours: tuple[int, ...] = (0,) * WEEK_HOURS
    pairs: Pairs = Pairs()
    lot: float | None = None


@dataclass(frozen=True, slots=True)
class Habits:
    """How a shop's customers buy: how close together, and (None: not known) how many at once."""

    bunching: Bunching = STEADY
    lot: float | None = None


NO_HABITS = Habits()


def habits_of(counted: Counted) -> Habits:
    """Return what was counted as the figures that the risk rule reckons with; the hub and a replay use this one."""
    return Habits(measured(counted.hours, counted.pairs), counted.lot)


def plain(habits: Habits, counted: Counted) -> dict[str, Any]:
    """Return habits, and the counts that people want to see, as JSON."""
    return {
        "hours": habits.bunching.hours,
        "followers": list(habits.bunching.followers),
        "lot": habits.lot,
        "by_hour": list(counted.hours),
        "sales": counted.pairs.sales,
    }


def read_plain(stored: Mapping[str, Any]) -> Habits:
    """Return the habits that `plain` made JSON of; of nothing none."""
    if len(stored.get("followers", ())) != len(SCALES_S):
        return NO_HABITS
    bunching = Bunching(float(stored["hours"]), tuple(map(float, stored["followers"])))
    return Habits(STEADY if bunching == STEADY else bunching, stored["lot"])


def measured(hours: Sequence[int], pairs: Pairs) -> Bunching:
    """Return the figures of a shop. `hours`: orders by hour of the week, in the shop's time zone.

    What chance alone would often say counts as nothing, so steady sales give exactly 1 and 0.
    """
    busy = busy_hours(hours)
    return Bunching(busy, _followers(pairs, busy))


def busy_hours(hours: Sequence[int]) -> float:
    """Return how many times the mean rate an order meets, from counts by hour of the week."""
    total = sum(hours)
    # Pairs of different orders in the same hour, and as many as even spreading would give.
    found = sum([n * (n - 1) for n in hours]) / 2
    even = total * (total - 1) / 2 / WEEK_HOURS
    return found / even if _beyond_chance(found, even) else 1.0


def _followers(pairs: Pairs, busy: float) -> tuple[float, ...]:
    if not pairs.sales or pairs.span_s <= 0:
        return STEADY.followers
    whole = _part_within(WIDE_S, pairs.span_s)
    found, most = [], 0.0
    for near, scale in zip(pairs.near, SCALES_S, strict=True):
        expected = busy * pairs.wide * _part_within(scale, pairs.span_s) / whole
        more = (near - expected) / pairs.sales if _beyond_chance(near, expected) else 0.0
        most = max(most, more)  # Within a longer time no fewer follow.
        found.append(most)
    return tuple(found)


def _part_within(seconds: float, span_s: float) -> float:
    """Return the part of pairs that lie so close together, of times that are spread evenly over a span."""
    return 1 - (1 - min(1.0, seconds / span_s)) ** 2


def _beyond_chance(found: float, expected: float) -> bool:
    return found - expected > SURE * math.sqrt(max(1.0, expected))


def hours_of(times_s: Iterable[float], zone: tzinfo = UTC) -> list[int]:
    """Return how many times (seconds since 1970) lie in each hour of the week of a time zone, Monday first."""
    counts = Counter(int(at // 3600) for at in times_s)
    hours = [0] * WEEK_HOURS
    for hour, count in counts.items():
        hours[_hour_of_week(hour, zone)] += count
    return hours


def _hour_of_week(hour: int, zone: tzinfo) -> int:
    local = datetime.fromtimestamp(hour * 3600, zone)
    return local.weekday() * 24 + local.hour


WEEK_S = WEEK_HOURS * 3_600.0


Sale = tuple[float, int]
"""When (seconds since 1970), and how many units of one SKU in one order."""


@dataclass(frozen=True, slots=True)
class Course:
    """What a shop would have known week by week: the habits from `start_s` on, each from all sales before its week."""

    start_s: float = 0.0
    weeks: tuple[Habits, ...] = (NO_HABITS,)

    def at(self, at_s: float) -> Habits:
        """Return what was known at a time."""
        return self.weeks[max(0, min(len(self.weeks) - 1, int((at_s - self.start_s) // WEEK_S)))]

    @classmethod
    def of(cls, orders_s: Sequence[float], skus: Sequence[Sequence[Sale]], zone: tzinfo = UTC) -> Course:
        """Return the course of a shop: times of its orders (since 1970), and the sales of each SKU in order of time."""
        if not orders_s:
            return cls()
        start, until = min(orders_s), max(orders_s)
        many = int((until - start) // WEEK_S) + 1
        placed: list[list[float]] = [[] for _ in range(many)]
        for at in orders_s:
            placed[int((at - start) // WEEK_S)].append(at)
        counts = _pairs_by_week([[at for at, _ in own] for own in skus], start, many)
        lots = _lots_by_week(skus, start, many)
        hours, total, weeks = [0] * WEEK_HOURS, [0] * (len(SCALES_S) + 2), [NO_HABITS]
        for week in range(many - 1):
            hours = [a + b for a, b in zip(hours, hours_of(placed[week], zone), strict=True)]
            total = [a + b for a, b in zip(total, counts[week], strict=True)]
            sales, wide, *near = total
            pairs = Pairs(sales, tuple(near), wide, (week + 1) * WEEK_S)
            weeks.append(habits_of(Counted(tuple(hours), pairs, lots[week])))
        return cls(start, tuple(weeks))


def _pairs_by_week(skus_s: Iterable[Sequence[float]], start: float, many: int) -> list[list[int]]:
    """Return by week of the later sale: sales, pairs within WIDE_S, pairs within each of SCALES_S."""
    found = [[0] * (len(SCALES_S) + 2) for _ in range(many)]
    for times in skus_s:
        weeks = [int((at - start) // WEEK_S) for at in times]
        for week in weeks:
            found[week][0] += 1
        for place, scale in enumerate((WIDE_S, *SCALES_S), start=1):
            first = 0
            for number, at in enumerate(times):
                while at - times[first] >= scale:
                    first += 1
                if number > first:
                    found[weeks[number]][place] += number - first
    return found


def _lots_by_week(skus: Iterable[Sequence[Sale]], start: float, many: int) -> list[float | None]:
    """Return the usual lot after each week, None as long as no SKU sold often enough."""
    known: list[dict[int, float]] = [{} for _ in range(many)]
    for number, own in enumerate(skus):
        units = squares = 0
        for count, (at, size) in enumerate(own, start=1):
            units, squares = units + size, squares + size * size
            if count >= SALES_LEAST:
                known[int((at - start) // WEEK_S)][number] = squares / units
    found: list[float | None] = []
    now: dict[int, float] = {}
    for week in known:
        now |= week
        found.append(usual_lot(now.values()) if now else None)
    return found
