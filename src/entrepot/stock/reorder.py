"""When to order, and how much. Pure. METHODS 3.

What is there and on its way shall last over the lead time and one review with the chance that pays: Cu / (Cu + Co). How much
that is comes from a forecast (TSB, made for goods that sell now and then, times a weekday profile) and from how far such
forecasts were off for goods of the same pace (pooled conformal). No library is needed.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

from entrepot.kernel.errors import InvalidInput

SMOOTHING = 0.1
"""How much the last sale counts in TSB, for its size and for whether there is one at all."""
SHORT_DAYS = 28
"""With fewer days known the simple rule answers."""
BANDS = 12
LEAST = 0.01
"""A forecast below this many units counts as this many."""

Daily = Sequence[int | None]
"""Units sold by day, latest last; None: not on sale or out of stock that day, so nobody knows what would have sold."""


class InvalidTerms(InvalidInput):
    """The terms of ordering are not valid."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a variant is ordered. Money in minor units.

    `under_minor`: what a unit too few costs (its margin, and the customer's patience); `over_minor`: what a unit too many costs.
    `order_cost_minor`: of one order whatever is in it; `holding_minor`: of one unit for a year. `pack`: it comes in so many.
    """

    lead_days: int
    review_days: int = 7
    under_minor: float = 1.0
    over_minor: float = 0.1
    order_cost_minor: float = 0.0
    holding_minor: float = 0.0
    pack: int = 1
    least_order: int = 0
    most_stock: int | None = None

    @property
    def service_level(self) -> float:
        """The chance of not running out that pays: Cu / (Cu + Co)."""
        return self.under_minor / (self.under_minor + self.over_minor)


def check_terms(terms: Terms) -> Terms:
    """Return the terms. Raises InvalidTerms saying which is wrong."""
    if terms.lead_days < 0 or terms.review_days < 0 or terms.lead_days + terms.review_days < 1:
        raise InvalidTerms("Lead time and review time are days, 0 or more, and at least one day together.")
    if not (terms.under_minor > 0 and terms.over_minor > 0):
        raise InvalidTerms("What a unit too few and a unit too many cost must both be above 0.")
    if terms.order_cost_minor < 0 or terms.holding_minor < 0 or terms.least_order < 0:
        raise InvalidTerms("The costs of an order and of holding, and the least order, must be 0 or more.")
    if terms.pack < 1:
        raise InvalidTerms("A pack has 1 unit or more.")
    if terms.most_stock is not None and terms.most_stock < 0:
        raise InvalidTerms("The most to have in stock must be 0 or more.")
    return terms


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`units` to order now (0: none), at which stock to order and up to where, and why in words."""

    units: int
    order_at: int
    up_to: int
    steps: tuple[str, ...]


def tsb(daily: Daily, *, smoothing: float = SMOOTHING) -> float:
    """Return the units a day that are expected (Teunter, Syntetos, Babai 2011); days that nobody knows are skipped."""
    known = [units for units in daily if units is not None]
    start = known[:60]
    sales = [units for units in start if units > 0]
    if not known:
        return 0.0
    size = sum(sales) / len(sales) if sales else 1.0
    chance = max(LEAST, len(sales) / len(start))
    for units in known:
        if units > 0:
            chance += smoothing * (1 - chance)
            size += smoothing * (units - size)
        else:
            chance -= smoothing * chance
    return size * chance


@dataclass(frozen=True, slots=True)
class Pace:
    """How a variant sells: `units_a_day` as TSB expects it, `mean_a_day` over the `days` that are known."""

    units_a_day: float
    mean_a_day: float
    days: int

    @property
    def is_short(self) -> bool:
        """Whether its history is too short for a forecast."""
        return self.days < SHORT_DAYS


def pace_of(daily: Daily) -> Pace:
    """Return how a variant sells by its days; those that nobody knows do not count."""
    known = [units for units in daily if units is not None]
    return Pace(tsb(daily), sum(known) / len(known) if known else 0.0, len(known))


def weight(days: int, profile: Sequence[float] = (1.0,) * 7, next_weekday: int = 0) -> float:
    """Return how many usual days' worth of sales the next days have."""
    weeks, rest = divmod(days, 7)
    return weeks * sum(profile) + sum([profile[(next_weekday + day) % 7] for day in range(rest)])


def weekday_profile(histories: Iterable[Daily], first_weekday: int) -> tuple[float, ...]:
    """Return how many times the usual day each weekday (Monday first) sells, over all goods. Histories begin on one day."""
    sums, days = [0.0] * 7, [0] * 7
    for daily in histories:
        for day, units in enumerate(daily):
            if units is not None:
                sums[(first_weekday + day) % 7] += units
                days[(first_weekday + day) % 7] += 1
    means = [s / d if d else 0.0 for s, d in zip(sums, days, strict=True)]
    usual = sum(means) / 7
    return tuple(m / usual for m in means) if usual > 0 else (1.0,) * 7


def expected(daily: Daily, days: int, profile: Sequence[float] = (1.0,) * 7, next_weekday: int = 0) -> float:
    """Return the units expected over the next days."""
    return tsb(daily) * weight(days, profile, next_weekday)


@dataclass(frozen=True, slots=True)
class Scatter:
    """How far forecasts over a period were off: by bands of the forecast, sold over forecast, in order."""

    tops: tuple[float, ...]
    ratios: tuple[tuple[float, ...], ...]

    def quantile(self, forecast: float, level: float) -> float:
        """Return the units that are not exceeded with this chance where so many are expected."""
        band = min(len(self.tops) - 1, bisect_left(self.tops, forecast))
        ratios = self.ratios[band]
        # One more than there are: the next one may be above all (the conformal correction).
        place = min(len(ratios) - 1, math.ceil(level * (len(ratios) + 1)) - 1)
        return max(forecast, LEAST) * ratios[max(0, place)]


def scatter(pairs: Iterable[tuple[float, int]], *, bands: int = BANDS) -> Scatter | None:
    """Learn from (forecast, sold) over past periods of one length, all goods together. None with fewer than 10 a band."""
    ordered = sorted([(max(f, LEAST), sold / max(f, LEAST)) for f, sold in pairs])
    bands = min(bands, len(ordered) // 10)
    if bands < 1:
        return None
    tops, ratios = [], []
    for band in range(bands):
        part = ordered[band * len(ordered) // bands : (band + 1) * len(ordered) // bands]
        tops.append(part[-1][0])
        ratios.append(tuple(sorted([ratio for _, ratio in part])))
    return Scatter(tuple(tops), tuple(ratios))


def past_pairs(
    daily: Daily, days: int, profile: Sequence[float] = (1.0,) * 7, first_weekday: int = 0, *, periods: int = 6
) -> list[tuple[float, int]]:
    """Return (forecast, sold) of a variant's last periods, each forecast from what was known before it."""
    pairs = []
    for back in range(1, periods + 1):
        start = len(daily) - back * days
        if start < 2 * SHORT_DAYS:
            break
        after = daily[start : start + days]
        if all(units is not None for units in after):
            told = expected(daily[:start], days, profile, (first_weekday + start) % 7)
            pairs.append((told, sum([units or 0 for units in after])))
    return pairs


def suggest(
    position: int,
    daily: Daily,
    terms: Terms,
    off: Scatter | None = None,
    *,
    profile: Sequence[float] = (1.0,) * 7,
    next_weekday: int = 0,
) -> Suggestion:
    """Return what to order. `position`: units to sell, plus what is on its way, less what is promised.

    `off` must have been learned over periods of lead and review time. Raises InvalidTerms.
    """
    check_terms(terms)
    days = terms.lead_days + terms.review_days
    known = [units for units in daily if units is not None]
    if not known:
        return Suggestion(0, 0, 0, ("nothing is known about its sales yet",))
    level = terms.service_level
    if len(known) < SHORT_DAYS or off is None:
        told = sum(known) / len(known) * days
        need = told + NormalDist().inv_cdf(level) * math.sqrt(told)
        words = f"{told:.3g} units expected in {days} days from {len(known)} days of sales, which scatter like chance"
    else:
        told = expected(daily, days, profile, next_weekday)
        need = off.quantile(told, level)
        words = f"{told:.3g} units expected in {days} days (lead {terms.lead_days}, review {terms.review_days})"
    order_at = max(0, math.ceil(need))
    steps = [
        words,
        f"{order_at} are enough with a chance of {level:.0%}: what one too few costs over what one too many costs",
    ]
    lot = _lot(told / days * 365, terms)
    up_to = order_at + lot
    if lot:
        steps.append(f"each order costs {terms.order_cost_minor / 100:.2f}, so it pays to order {lot} more at a time")
    if terms.most_stock is not None and up_to > terms.most_stock:
        up_to = terms.most_stock
        steps.append(f"at most {up_to} in stock")
    # With no cost of an order anything below the level is ordered; else only once it falls to the point of ordering.
    due = position <= order_at if lot else position < up_to
    units = up_to - position if due and position < up_to else 0
    if not units:
        steps.append(f"{position} are there or on their way: no order")
        return Suggestion(0, order_at, up_to, tuple(steps))
    whole = math.ceil(max(units, terms.least_order) / terms.pack) * terms.pack
    if terms.most_stock is not None and whole > units and position + whole > terms.most_stock:
        whole = (terms.most_stock - position) // terms.pack * terms.pack
        if whole < max(1, terms.least_order):
            steps.append("a pack or the least order would be more than may be in stock: no order")
            return Suggestion(0, order_at, up_to, tuple(steps))
    rounded = "" if whole == units else f", {whole} in packs of {terms.pack} and at least {terms.least_order}"
    steps.append(f"{position} are there or on their way: {units} are missing{rounded}")
    return Suggestion(whole, order_at, up_to, tuple(steps))


@dataclass(frozen=True, slots=True)
class Outlook:
    """What all goods have in common: the weekdays (Monday first), tomorrow's weekday, and how far forecasts were off, by days."""

    profile: Sequence[float] = (1.0,) * 7
    next_weekday: int = 0
    scatters: Mapping[int, Scatter] = field(default_factory=dict)

    def scatter_of(self, days: int) -> Scatter | None:
        """Return how far forecasts over so many days were off: learned over the longest period that is not longer.

        Longer periods scatter less, so this errs towards more stock.
        """
        known = [period for period in self.scatters if period <= days]
        return self.scatters[max(known)] if known else None


def need(pace: Pace, days: int, level: float, outlook: Outlook) -> tuple[float, int]:
    """Return (units expected, units that are enough with this chance) over the next days.

    With a short history, or nothing to learn from, sales count as scattering like chance around their mean.
    """
    off = outlook.scatter_of(days)
    if pace.is_short or off is None:
        told = pace.mean_a_day * days
        enough = told + NormalDist().inv_cdf(level) * math.sqrt(told)
    else:
        told = pace.units_a_day * weight(days, outlook.profile, outlook.next_weekday)
        enough = off.quantile(told, level)
    return told, max(0, math.ceil(enough))


def restock(position: int, pace: Pace, terms: Terms, outlook: Outlook) -> Suggestion:
    """Return what to order where stock is watched all the time: (s, S).

    It is due once no more is there than the lead time needs, and fills up to what lead and review time need, so that each
    variant is ordered about once in a review time and not with every sale. Raises InvalidTerms.
    """
    check_terms(terms)
    level, lead = terms.service_level, max(1, terms.lead_days)
    told, order_at = need(pace, lead, level, outlook)
    _, up_to = need(pace, lead + terms.review_days, level, outlook)
    up_to = max(order_at, up_to)
    if pace.is_short or outlook.scatter_of(lead) is None:
        why = "too few for a forecast" if pace.is_short else "but too few goods to learn from how far forecasts are off"
        first = (
            f"{pace.days} days of history, {why}: {pace.mean_a_day:.2g} units a day on average, scattering like chance."
        )
    else:
        first = f"Forecast: {pace.units_a_day:.2g} units a day, from {pace.days} days of history."
    steps = (
        first,
        f"{told:.3g} are expected in the {lead} days of delivery; {order_at:,} are enough with a chance of {level * 100:.4g}%.",
        f"At {order_at:,} or fewer it is bought, up to {up_to:,}: enough for delivery and the {terms.review_days} days until"
        " the next order.",
    )
    units = up_to - position if position <= order_at and position < up_to else 0
    return Suggestion(units, order_at, up_to, steps)


def _lot(units_a_year: float, terms: Terms) -> int:
    """Return what to order at a time above the point of ordering: the economic quantity, sqrt(2·D·K / h)."""
    if terms.order_cost_minor <= 0 or terms.holding_minor <= 0 or units_a_year <= 0:
        return 0
    return round(math.sqrt(2 * units_a_year * terms.order_cost_minor / terms.holding_minor))
