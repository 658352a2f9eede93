"""How much to show where, so that overselling stays rare and little is lost. Pure. METHODS 1.

One number decides: the units sold anywhere in the time until all channels have heard of a sale. If an oversell is nearly
impossible, every listing shows the whole pool; if it is small, units are weighed one by one (bid price); else, once few are
left, each listing has units of its own (escrow).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from entrepot.allocation import bid_price
from entrepot.allocation.bid_price import Case
from entrepot.allocation.bunching import STEADY, Bunching
from entrepot.allocation.escrow import Holding, Portion, needs, partition, told_now
from entrepot.allocation.lots import together, usual_size
from entrepot.allocation.poisson import at_least

SMALL = 0.3
"""Up to so many units sold within the lag, units are weighed; above it listings get units of their own."""

WINDOWS = 2.0
"""Bid price looks so many usual lags ahead: one until the hub hears of a sale everywhere, one until it is answered."""


class Mode(StrEnum):
    """How the units of a variant are shown."""

    POOL = "pool"
    BID_PRICE = "bid price"
    ESCROW = "escrow"


@dataclass(frozen=True, slots=True)
class Exposure:
    """A variant for the rule: units to sell, and by listing rates in units/s, margins and what is shown now.

    `lag_s`, `lag_p99_s`: seconds from a sale until every channel shows it, usually and at the 99th percentile. `risk`: the
    chance of an oversell per stock-out that is accepted. `oversell_cost`: in the unit of the margins.
    """

    pool: int
    rates: Sequence[float]
    margins: Sequence[float]
    lag_s: float
    lag_p99_s: float
    replenish_s: float
    oversell_cost: float
    risk: float
    shown: Sequence[tuple[int, int] | None] = ()
    """By listing (most, heading) as in `contracts.Shown`."""
    caps: Sequence[int | None] = ()
    absolute: Sequence[bool] = ()
    rates_known: bool = True
    lot: float = 1.0
    """Units bought at once, as in `contracts.Demand`: chance comes in lots, so few sales may be many units."""
    bunching: Bunching = STEADY
    """How much closer together sales come than the rates say. Steady: not at all."""

    def rates_near(self, lag_s: float) -> Sequence[float]:
        """Return the rates that hold for so many seconds after a sale."""
        if self.bunching is STEADY:
            return self.rates
        more = self.bunching.factor(sum(self.rates), lag_s, self.lot)
        return [rate * more for rate in self.rates]


@dataclass(frozen=True, slots=True)
class Choice:
    """What the rule says. `bound`: at or below so many units escrow divides them; None in the other modes."""

    mode: Mode
    portions: tuple[Portion, ...]
    steps: tuple[str, ...]
    bound: int | None = None


def chance_of_oversell(rates: Sequence[float], lag_s: float) -> float:
    """Return about how often a stock-out oversells if every listing shows the whole pool: 1 - exp(-ΛL(1 - Σs²))."""
    total = sum(rates)
    if total <= 0:
        return 0.0
    return -math.expm1(-total * lag_s * (1 - sum([(r / total) ** 2 for r in rates])))


def mode_of(rates: Sequence[float], lag_p99_s: float, risk: float) -> Mode:
    """Return how a variant with these rates (units/s) is shown at this lag."""
    if chance_of_oversell(rates, lag_p99_s) <= risk:
        return Mode.POOL
    return Mode.BID_PRICE if sum(rates) * lag_p99_s <= SMALL else Mode.ESCROW


def choose(case: Exposure) -> Choice:
    """Return how many units each listing shows, and the steps in words."""
    count = len(case.rates)
    pool = max(0, case.pool)
    if not count:
        return Choice(Mode.POOL, (), ())
    if case.rates_known:
        mode = mode_of(case.rates_near(case.lag_p99_s), case.lag_p99_s, case.risk)
        said = (_lag_in_words(case),)
    else:
        mode = Mode.ESCROW
        said = (f"how fast it sells is not known yet, so each listing has its own part of {pool}",)
    if mode is Mode.POOL:
        steps = (*said, f"an oversell is less likely than {case.risk:.2%}, so all of {pool} is shown")
        return Choice(mode, _all(case, pool), steps)
    if mode is Mode.BID_PRICE:
        return _weigh(case, pool, said)
    return _escrow(case, pool, said)


def _lag_in_words(case: Exposure) -> str:
    usual, near = sum(case.rates) * case.lag_p99_s, sum(case.rates_near(case.lag_p99_s)) * case.lag_p99_s
    said = f"{near:.2g} units sell in the {case.lag_p99_s:.3g} s until all channels know (p99)"
    return said if near == usual else f"{said}: {usual:.2g} at the mean rate, more as sales come close together"


def _all(case: Exposure, pool: int) -> tuple[Portion, ...]:
    if not case.caps:
        return (Portion(pool, pool),) * len(case.rates)
    shown = [pool if cap is None else min(cap, pool) for cap in case.caps]
    return tuple([Portion(q, q) for q in shown])


def _weigh(case: Exposure, pool: int, said: tuple[str, ...]) -> Choice:
    if case.lot > 1:
        # Bid price weighs units one by one; where they sell in lots, nothing is risked.
        limit = _bound_of_lots(case)
        if pool <= limit:
            return _own_units(case, pool, [1] * len(case.rates), None, said)
        why = f"all of {pool} is shown: orders that meet within the lag hardly ask for more than {limit}"
        return Choice(Mode.BID_PRICE, _all(case, pool), (*said, why))
    weighed = _window(case, pool)
    found = bid_price.quantities(weighed)
    if min(found) >= pool:
        why = f"all of {pool} is shown: that much never sells within {weighed.window_s:.3g} s"
        return Choice(Mode.BID_PRICE, tuple([Portion(q, q) for q in found]), (*said, why))
    why = f"each unit of {pool} shown where its sale is worth more than an oversell costs times its chance"
    now = found
    if case.shown:
        # Units that move are shown twice no more than was weighed: those who show less come first.
        now = told_now(max(pool, sum(found)), found, _holdings(case, [0] * len(found)))
    return Choice(Mode.BID_PRICE, tuple(map(Portion, found, now)), (*said, why))


def _bound_of_lots(case: Exposure) -> int:
    """Return the units that orders which meet within the lag hardly ask for together, but for one time in 1/risk."""
    at_random = sum(case.rates) * case.lag_p99_s * case.bunching.hours / usual_size(case.lot)
    return together(at_random + case.bunching.followers_in(case.lag_p99_s), case.lot, case.risk)


def _window(case: Exposure, pool: int) -> Case:
    window_s = WINDOWS * case.lag_s
    rates, replenish_s = case.rates_near(window_s), case.replenish_s
    if rates is not case.rates and sum(rates) > 0:
        # Until there is more the mean rate holds; the case knows one rate, so the time is made shorter instead.
        replenish_s = window_s + max(0.0, replenish_s - window_s) * sum(case.rates) / sum(rates)
    return Case(pool, rates, case.margins, window_s, replenish_s, case.oversell_cost, case.caps)


def _holdings(case: Exposure, needed: Sequence[int]) -> list[Holding]:
    many = len(case.rates)
    shown = case.shown or [None] * many
    caps = case.caps or [None] * many
    absolute = case.absolute or [False] * many
    return [
        Holding(rate, now[0] if now else 0, now[1] if now else 0, cap, need, fixed)
        for rate, now, cap, need, fixed in zip(case.rates, shown, caps, needed, absolute, strict=True)
    ]


def _escrow(case: Exposure, pool: int, said: tuple[str, ...]) -> Choice:
    needed = [1] * len(case.rates)
    if case.rates_known:
        near = case.rates_near(case.lag_p99_s)
        lots = needs([rate / case.lot for rate in near], case.lag_p99_s, case.risk)
        needed = lots if case.lot <= 1 else [math.ceil(case.lot * n) for n in lots]
    limit = _bound_of_lots(case) if case.rates_known and case.lot > 1 else sum(needed)
    if case.rates_known and pool > limit:
        steps = (*said, f"all of {pool} is shown as long as it is more than {limit}")
        return Choice(Mode.ESCROW, _all(case, pool), steps, limit)
    if case.rates_known and 0 < pool < len(case.rates) and _last_units_pooled(case, pool):
        why = f"the last {pool} shown everywhere: they likely stay unsold otherwise, which costs more than an oversell"
        return Choice(Mode.ESCROW, _all(case, pool), (*said, why), limit)
    return _own_units(case, pool, needed, limit, said)


def _own_units(case: Exposure, pool: int, needed: list[int], limit: int | None, said: tuple[str, ...]) -> Choice:
    portions = tuple(partition(pool, _holdings(case, needed)))
    if not case.rates_known:
        why = "so none is sold twice"
    elif limit is None:
        why = f"an order takes {case.lot:.3g} units, so each listing has its own of {pool}"
    else:
        why = f"at or below {limit} units each listing has its own"
    return Choice(Mode.ESCROW, portions, (*said, why), limit)


def _last_units_pooled(case: Exposure, pool: int) -> bool:
    """Return whether fewer units than listings had better be shown everywhere: they hardly sell, and oversells are cheap."""
    total = sum(case.rates)
    margin = sum([r * m for r, m in zip(case.rates, case.margins, strict=True)]) / total
    unsold = 1 - at_least(pool, total * case.replenish_s)
    spread = 1 - sum([(r / total) ** 2 for r in case.rates])
    near = sum(case.rates_near(case.lag_p99_s))
    return margin * unsold > case.oversell_cost * near * case.lag_p99_s * spread
