"""The replay of one SKU: what is shown, heard and decided, sale by sale. Pure."""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from entrepot.allocation.bunching import Course
from entrepot.allocation.contracts import Demand, Outlet, Shown, Situation
from entrepot.allocation.replay_locations import Parcels, filled
from entrepot.allocation.replay_rates import Rates
from entrepot.allocation.replay_terms import (
    DAY_S,
    NOT_KNOWN,
    UNSET,
    OrderLine,
    Plan,
    Tally,
    asks_of,
    divides_by_risk,
)
from entrepot.allocation.rules import allot

RELEARN_S = DAY_S
"""Rates are learned anew so often."""
NOTHING_KNOWN = Situation()
LISTINGS = tuple(UUID(int=number + 1) for number in range(100))


class OneSku:
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
        parcels: tuple[Parcels, Parcels] | None = None,
    ) -> None:
        """`parcels`: ours and the clairvoyant's, if the plan tells which units are where."""
        total = sum([line.units for line in lines])
        stocking, many = plan.stocking, len(channels)
        self.lines, self.plan, self.channels = lines, plan, channels
        self.course, self.clock, self.turned = course, clock, 0
        self.asks = asks_of(plan.policy)
        self.goods = plan.goods.get(lines[0].sku, NOT_KNOWN)
        self.days: dict[int, int] = {}
        """Units sold by day (since 1970, UTC), as far as the hub has heard."""
        self.tally = Tally()
        self.waiting: list[tuple[float, int, int, int, int]] = []
        self.counter = 0
        usual = max(1, round(total / span * stocking.cover_days * DAY_S))
        self.parcels = parcels
        self.fill = first = min(usual, round(usual * plan.kept.get(lines[0].sku, 1.0)))
        if plan.arrangement is not None:
            self.targets = plan.arrangement.targets(lines[0].sku, usual)
            self.stock = plan.arrangement.start(lines[0].sku, usual)
            self.stock_free = list(self.stock)
            self.fill, first = sum(self.targets), sum(self.stock)
        self.unit = max(1e-9, sum([line.units * plan.margin_of(line) for line in lines]) / total)
        self.learned = Rates([0.0] * many, start, usual / (stocking.cover_days * DAY_S))
        self.selling = [plan.selling.get(channel, UNSET) for channel in channels]
        self.demands = self._learn(start)
        self.stateful = divides_by_risk(plan.policy)
        self.relearn_at = start + RELEARN_S
        self.memo: dict[Hashable, list[int]] = {}
        self.due = start + stocking.every_days * DAY_S
        self.known = self.real = self.free = self.opening = first
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
        if could and self.parcels:
            self.parcels[1].send(line.order, line.to, could, self.stock_free)
        sold = min(line.units, self.shows[place])
        if sold < line.units and self.real > sold:
            self.turned_away += min(line.units - sold, self.real - sold)
        if not sold:
            return
        there = min(sold, max(0, self.real))
        self.shows[place] -= sold
        self.real -= sold
        if there and self.parcels:
            self.parcels[0].send(line.order, line.to, there, self.stock)
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
        if self.parcels:
            filled(self.stock, self.targets)
            self.stock_free = list(self.stock)
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
