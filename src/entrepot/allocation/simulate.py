"""What past orders would have come to under another policy: oversold, lost and stranded units, and margin. Pure.

Each SKU is replayed by itself. A sale takes units off its own listing at once; the hub hears of it after half of the lag,
decides anew by the same rules as it does in earnest, and its answer takes effect after the other half. A listing that shows
fewer than are asked for sells what it shows; the rest is lost there. Lost and oversold are held against a clairvoyant, who
sells every unit that is there to whoever asks.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from entrepot.allocation.bunching import Course
from entrepot.allocation.calibrate import lot
from entrepot.allocation.clock import asks_for_time, turns
from entrepot.allocation.contracts import Demand, Outlet, Policy, Shown, Situation
from entrepot.allocation.rules import allot

DAY_S = 86_400.0
NO_COURSE = Course()
RELEARN_S = DAY_S
"""Rates are learned anew so often."""
NOTHING_KNOWN = Situation()
LISTINGS = tuple(UUID(int=number + 1) for number in range(100))
LEARNED_DAYS = 30.0
"""Sales weigh less the older they are: by 1/e in so many days."""


class OrderLine(NamedTuple):
    """Units of a SKU asked for on a channel: `at_s` in seconds from any start, `price_minor` of one unit.

    `margin_minor` of one unit: its price less its cost; None where no cost is known.
    """

    at_s: float
    sku: str
    units: int
    channel: str
    price_minor: float = 0.0
    margin_minor: float | None = None


@dataclass(frozen=True, slots=True)
class Stocking:
    """What a SKU starts with and what it is filled up to: its usual sales of `cover_days`, every `every_days`."""

    cover_days: float = 28.0
    every_days: float = 42.0


@dataclass(frozen=True, slots=True)
class Selling:
    """What is set for a channel: its share of the stock, if one is set, and the units kept back from it."""

    share: Decimal | None = None
    buffer: int = 0


UNSET = Selling()


@dataclass(frozen=True, slots=True)
class Goods:
    """What a SKU is: its product, and the product's tags."""

    product_id: UUID | None = None
    tags: frozenset[str] = frozenset()


NOT_KNOWN = Goods()


@dataclass(frozen=True, slots=True)
class Plan:
    """Under what a replay runs. `margin`: part of the price, where no cost is known; `oversell_cost`: of a unit, in margins.

    `kept`: the part of its stock that a SKU has, where that is not all of it (a location is left out).
    """

    policy: Policy
    lag_s: float = 60.0
    stocking: Stocking = Stocking()
    margin: float = 0.3
    oversell_cost: float = 10.0
    selling: Mapping[str, Selling] = field(default_factory=dict)
    kept: Mapping[str, float] = field(default_factory=dict)
    goods: Mapping[str, Goods] = field(default_factory=dict)
    """What rules about products and tags may ask, by SKU."""

    def margin_of(self, line: OrderLine) -> float:
        """Return what a unit of the line earns, in minor units."""
        return line.price_minor * self.margin if line.margin_minor is None else line.margin_minor


@dataclass(slots=True)
class Tally:
    """What came of a replay, in units; revenue, and the margin less what oversells cost, in minor units.

    `lost`: sales that the clairvoyant makes and the policy does not. `stranded`: units that were there, on another listing or in
    reserve, when a customer was turned away and that were left at the next delivery. `oversold_lines`: lines with one.
    `stock_outs`: deliveries of a SKU before which more was asked for than was there; `stock_outs_oversold`: with an oversell.
    `asked_with_cost`: units asked for whose cost is known.
    """

    asked: int = 0
    sold: int = 0
    oversold: int = 0
    oversold_lines: int = 0
    lost: int = 0
    stranded: int = 0
    margin_minor: float = 0.0
    stock_outs: int = 0
    stock_outs_oversold: int = 0
    clairvoyant_sold: int = 0
    clairvoyant_margin_minor: float = 0.0
    revenue_minor: float = 0.0
    clairvoyant_revenue_minor: float = 0.0
    asked_with_cost: int = 0

    def add(self, other: Tally) -> None:
        """Add what came of another SKU."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Replay:
    """Past lines, in order of time, ready to be replayed under any number of plans."""

    def __init__(self, lines: Iterable[OrderLine], zone: tzinfo = UTC) -> None:
        """`zone`: where the shop's hours are meant."""
        self._by_sku: dict[str, list[OrderLine]] = {}
        first = last = None
        for line in lines:
            first = line.at_s if first is None else first
            last = line.at_s
            self._by_sku.setdefault(line.sku, []).append(line)
        self.first_s, self.last_s = first or 0.0, last or 0.0
        """When the first and the last line were."""
        self._span = max(DAY_S, self.last_s - self.first_s)
        self._zone = zone
        self._course: Course | None = None

    @property
    def skus(self) -> int:
        """How many SKUs were asked for."""
        return len(self._by_sku)

    def steps(self, plan: Plan, channels: Sequence[str]) -> Iterator[Tally]:
        """Replay SKU by SKU; after each the sum so far (always the same object). Channels are in order of priority."""
        whole = Tally()
        course = self._bunching() if divides_by_risk(plan.policy) else NO_COURSE
        clock = self._clock(plan.policy)
        for own in self._by_sku.values():
            whole.add(_Sku(own, plan, channels, self.first_s, self._span, course, clock).run())
            yield whole

    def _clock(self, policy: Policy) -> Sequence[float]:
        """Return when a policy's rules say something else though nothing happens."""
        if not asks_for_time(policy.strategy, policy.parameters):
            return ()
        first, last = (datetime.fromtimestamp(at, UTC) for at in (self.first_s, self.last_s))
        return [at.timestamp() for at in turns(policy.parameters, first, last)]

    def _bunching(self) -> Course:
        """Return how sales came, as the shop would have known it week by week."""
        if self._course is None:
            # An order has no number here: lines of one SKU at one time on one channel are one sale.
            sales: list[Sequence[tuple[float, int]]] = []
            orders: set[tuple[float, str]] = set()
            for own in self._by_sku.values():
                sizes: dict[tuple[float, str], int] = {}
                for line in own:
                    order = line.at_s, line.channel
                    sizes[order] = sizes.get(order, 0) + line.units
                orders |= sizes.keys()
                sales.append([(at, size) for (at, _), size in sizes.items()])
            self._course = Course.of([at for at, _ in orders], sales, self._zone)
        return self._course

    def run(self, plan: Plan, channels: Sequence[str]) -> Tally:
        """Return what the lines would have come to."""
        whole = Tally()
        for whole in self.steps(plan, channels):  # noqa: B007 (the last one is the sum)
            pass
        return whole


def replay(lines: Iterable[OrderLine], plan: Plan, channels: Sequence[str]) -> Tally:
    """Return what these lines, in order of time, would have come to. Channels are in order of priority."""
    return Replay(lines).run(plan, channels)


@dataclass(slots=True)
class _Rates:
    """Sales by channel, older ones weighing less."""

    weights: list[float]
    since: float
    usual: float
    """Units a second that are assumed until its own sales say better."""
    squares: float = 0.0
    """Of units by sale."""

    def learn(self, place: int, units: int, at: float) -> None:
        self.fade(at)
        self.weights[place] += units
        self.squares += units * units

    def lot(self, usual: float | None) -> float:
        """Return the units that are bought at once; `usual`: in the shop, if that is known."""
        return lot(self.squares, sum(self.weights), usual or 1.0)

    def fade(self, at: float) -> None:
        keep = math.exp(-(at - self.since) / (LEARNED_DAYS * DAY_S))
        self.weights = [w * keep for w in self.weights]
        self.squares *= keep
        self.since = at

    def rates(self) -> list[float]:
        # Two sales at the usual rate are assumed, evenly over the channels.
        many, span = len(self.weights), LEARNED_DAYS * DAY_S
        assumed = 2.0
        whole = (sum(self.weights) + assumed) / (span + assumed / max(self.usual, 1e-12))
        return [whole * (w + assumed / many) / (sum(self.weights) + assumed) for w in self.weights]


class _Asks(NamedTuple):
    """What the rules of a policy ask for: anything at all, and sales of so many past days."""

    anything: bool
    sold: int


def _asks(policy: Policy) -> _Asks:
    if policy.strategy != "rules":
        return _Asks(False, 0)
    days = [rule["if"]["sold"]["days"] for rule in policy.parameters.get("rules", ()) if "sold" in rule.get("if", {})]
    return _Asks(True, max(days, default=0))


def divides_by_risk(policy: Policy) -> bool:
    """Return whether a policy divides by risk, always or (custom rules) at times."""
    if policy.strategy != "rules":
        return policy.strategy == "risk"
    said = [policy.parameters.get("otherwise", {}), *(rule["then"] for rule in policy.parameters.get("rules", ()))]
    return any(each.get("strategy") == "risk" for each in said)


class _Sku:
    """One SKU's replay. `waiting`: (at, number, kind, channel, units), kind 0: a sale becomes known, 1: a change takes effect."""

    def __init__(
        self,
        lines: Sequence[OrderLine],
        plan: Plan,
        channels: Sequence[str],
        start: float,
        span: float,
        course: Course,
        clock: Sequence[float],
    ) -> None:
        total = sum([line.units for line in lines])
        stocking, many = plan.stocking, len(channels)
        self.lines, self.plan, self.channels = lines, plan, channels
        self.course, self.clock, self.turned = course, clock, 0
        self.asks = _asks(plan.policy)
        self.goods = plan.goods.get(lines[0].sku, NOT_KNOWN)
        self.days: dict[int, int] = {}
        """Units sold by day (since 1970, UTC), as far as the hub has heard."""
        self.tally = Tally()
        self.waiting: list[tuple[float, int, int, int, int]] = []
        self.counter = 0
        usual = max(1, round(total / span * stocking.cover_days * DAY_S))
        self.fill = min(usual, round(usual * plan.kept.get(lines[0].sku, 1.0)))
        self.unit = max(1e-9, sum([line.units * plan.margin_of(line) for line in lines]) / total)
        self.learned = _Rates([0.0] * many, start, usual / (stocking.cover_days * DAY_S))
        self.selling = [plan.selling.get(channel, UNSET) for channel in channels]
        self.demands = self._learn(start)
        self.stateful = divides_by_risk(plan.policy)
        self.relearn_at = start + RELEARN_S
        self.memo: dict[Hashable, list[int]] = {}
        self.due = start + stocking.every_days * DAY_S
        self.known = self.real = self.free = self.fill
        self.opening = self.fill
        self.turned_away = self.sold = self.could = self.all_asked = 0
        """Since the last delivery: units asked for in vain where there were some, sold, sold by the clairvoyant, asked for."""
        self.shows, self.most, self.heading = [0] * many, [0] * many, [0] * many
        self.short = [False] * many
        self._decide(start, at_once=True)

    def run(self) -> Tally:
        """Return what came of it."""
        places = {channel: place for place, channel in enumerate(self.channels)}
        for line in self.lines:
            while self.due <= line.at_s:
                self._turn(self.due)
                self._deliver()
            self._turn(line.at_s)
            self._until(line.at_s)
            self._ask(line, places[line.channel])
        self._close()
        return self.tally

    def _ask(self, line: OrderLine, place: int) -> None:
        tally, unit = self.tally, self.plan.margin_of(line)
        tally.asked += line.units
        tally.asked_with_cost += line.units if line.margin_minor is not None else 0
        could = min(line.units, self.free)
        self.free -= could
        self.could += could
        self.all_asked += line.units
        tally.clairvoyant_sold += could
        tally.clairvoyant_margin_minor += could * unit
        tally.clairvoyant_revenue_minor += could * line.price_minor
        sold = min(line.units, self.shows[place])
        if sold < line.units and self.real > sold:
            self.turned_away += min(line.units - sold, self.real - sold)
        if not sold:
            return
        there = min(sold, max(0, self.real))
        self.shows[place] -= sold
        self.real -= sold
        self.sold += there
        tally.sold += there
        tally.oversold += sold - there
        tally.oversold_lines += sold > there
        tally.revenue_minor += there * line.price_minor
        # What sells below its cost loses that too when it is oversold, never earns by it.
        tally.margin_minor += there * unit - (sold - there) * abs(unit) * self.plan.oversell_cost
        self.counter += 1
        heapq.heappush(self.waiting, (line.at_s + self.plan.lag_s / 2, self.counter, 0, place, sold))

    def _turn(self, until: float) -> None:
        """Follow the clock: decide anew when rules begin or end to hold. What long ago did both leaves no trace."""
        clock = self.clock
        if self.turned == len(clock) or clock[self.turned] > until:
            return
        end = bisect_right(clock, until)
        start = bisect_left(clock, until - 2 * self.plan.lag_s)
        for at in clock[max(self.turned, min(start, end) - 1) : end]:
            self._until(at)
            self._decide(at)
        self.turned = end

    def _until(self, at: float) -> None:
        waiting = self.waiting
        while waiting and waiting[0][0] <= at:
            when, _, kind, place, units = heapq.heappop(waiting)
            if kind:
                self._effect(when, place, units)
                continue
            self._hear(when, place, units)
            while waiting and waiting[0][0] == when and waiting[0][2] == 0:
                _, _, _, place, units = heapq.heappop(waiting)
                self._hear(when, place, units)
            self._decide(when)

    def _hear(self, when: float, place: int, units: int) -> None:
        self.known -= units
        self.most[place] -= units
        self.heading[place] -= units
        self.short[place] = False
        self.learned.learn(place, units, when)
        if self.asks.sold:
            day = int(when // DAY_S)
            self.days[day] = self.days.get(day, 0) + units

    def _effect(self, when: float, place: int, change: int) -> None:
        done = max(-self.shows[place], change)
        self.shows[place] += done
        if change < 0:
            self.most[place] += done
            self.heading[place] += done - change
            self.short[place] = done != change
            if self.stateful and self._key(max(0, self.known), when) not in self.memo:
                self._decide(when)

    def _deliver(self) -> None:
        self._until(self.due)
        self._close()
        more = max(0, self.fill - self.real)
        self.real += more
        self.known += more
        self.free = self.opening = self.real
        self._decide(self.due)
        self.due += self.plan.stocking.every_days * DAY_S

    def _close(self) -> None:
        """Count what is lost and left at the end of a delivery period."""
        self.tally.stranded += min(self.turned_away, max(0, self.real))
        self.tally.lost += max(0, self.could - self.sold)
        self.tally.stock_outs += self.all_asked > self.opening
        self.tally.stock_outs_oversold += self.real < 0
        self.turned_away = self.could = self.sold = self.all_asked = 0

    def _decide(self, at: float, *, at_once: bool = False) -> None:
        for place, quantity in enumerate(self._quantities(at)):
            change = quantity - max(0, self.heading[place])
            if change == 0 or (self.short[place] and change < 0):
                continue
            self.heading[place] += change
            self.most[place] += max(0, change)
            if at_once:
                self.shows[place] += change
                continue
            self.counter += 1
            heapq.heappush(self.waiting, (at + self.plan.lag_s / 2, self.counter, 1, place, change))

    def _quantities(self, at: float) -> list[int]:
        pool = max(0, self.known)
        if at >= self.relearn_at:
            self.learned.fade(at)
            self.demands = self._learn(at)
            self.relearn_at = at + RELEARN_S
            self.memo.clear()
        key = self._key(pool, at)
        if key in self.memo:
            return self.memo[key]
        outlets = [
            Outlet(
                where, where, channel, place, told_of.share, told_of.buffer,
                shown=Shown(max(0, most), max(0, heading)), demand=told,
            )
            for place, (where, channel, told_of, told, most, heading) in enumerate(
                zip(LISTINGS, self.channels, self.selling, self.demands, self.most, self.heading, strict=False)
            )
        ]  # fmt: skip
        found = [a.quantity for a in allot(self.plan.policy, pool, outlets, self._situation(at))]
        # Where the risk rule does not show all, its answer depends on what is shown.
        if not self.stateful or min(found) == pool:
            self.memo[key] = found
        return found

    def _key(self, pool: int, at: float) -> Hashable:
        """Return what a decision depends on, besides what was learned and what is shown."""
        if not self.clock and not self.asks.sold:
            return pool
        return pool, bisect_right(self.clock, at), self._sold(at)

    def _sold(self, at: float) -> tuple[int, ...]:
        """Return the units sold on each of the last days that rules ask about, latest last."""
        if not self.asks.sold:
            return ()
        today = int(at // DAY_S)
        return tuple([self.days.get(today - back, 0) for back in range(self.asks.sold - 1, -1, -1)])

    def _situation(self, at: float) -> Situation:
        if not self.asks.anything:
            return NOTHING_KNOWN
        now = datetime.fromtimestamp(at, UTC)
        return Situation(now, self.goods.product_id, self.lines[0].sku, self.goods.tags, self._sold(at))

    def _learn(self, at: float) -> list[Demand]:
        """Return what is known about the sales of each listing by now."""
        lag, habits = self.plan.lag_s, self.course.at(at)
        rates, lot = self.learned.rates(), self.learned.lot(habits.lot)
        month = [rate * 30 * DAY_S for rate in rates]
        return [
            Demand(rate, round(units), units, lag, lag, self.unit, lot, bunching=habits.bunching)
            for rate, units in zip(rates, month, strict=True)
        ]


NAMED: Mapping[str, Policy] = {
    "fixed_shares": Policy("fixed_shares"),
    "equal": Policy("equal"),
    "pool": Policy("pool_minus_buffer"),
    "priority": Policy("priority"),
    "performance": Policy("performance"),
    "demand": Policy("demand"),
    "risk": Policy("risk"),
}
"""Policies by the names that a replay is asked for."""
