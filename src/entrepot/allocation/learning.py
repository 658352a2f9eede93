"""What allocation learns and what it then knows: sales by listing, and how long channels take to hear and to show."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from entrepot.allocation import store, store_forecast
from entrepot.allocation.bunching import NO_HABITS, STEADY, Bunching, read_plain
from entrepot.allocation.calibrate import LagSketch, Prior, Sales, lot, rates
from entrepot.allocation.contracts import Demand
from entrepot.allocation.forecast import SHORT_DAYS
from entrepot.allocation.forecasting import FRESH_DAYS
from entrepot.database.pool import Tx

HEARD, SHOWN = "heard", "shown"
LAGS_LEAST = 20
"""A channel's lag is known once it was measured so often."""
LAG_MOST_S = 1e6
LAGS_KEPT, SALES_KEPT = timedelta(days=30), timedelta(days=400)
HABITS_KEPT = timedelta(days=30)
"""How long what the nightly job counted of customers' habits is used, should it not run again."""
REMEMBERED_S = 15.0
"""How long what concerns the whole shop is remembered in this process."""


@dataclass(frozen=True, slots=True)
class Learning:
    """How fast the hub forgets: a sale counts half after `half_life_s`; lags count for `lag_window_s`. Seconds."""

    half_life_s: float = 14 * 86_400.0
    lag_window_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Lag:
    """Seconds that 50 and 99 of 100 do not exceed."""

    p50_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class ShopKnowledge:
    """What concerns the whole shop: lags by connection and kind, and what is usual."""

    lag: Mapping[tuple[UUID, str], Lag]
    usual: Usual
    bunching: Bunching = STEADY


@dataclass(frozen=True, slots=True)
class Usual:
    """All decayed sales by connection, how many variants are on sale, and the sum of the squares of their sales.

    `lot`: units that are bought at once, taken for a variant that sold little: by the nightly count, until then of everything.
    """

    units: Mapping[UUID, float]
    variants: int
    squares: float
    lot: float = 1.0

    def prior(self, seconds: float, connections: Iterable[UUID]) -> Prior:
        """Return what is usual of a variant that these connections sell: a Gamma by moments, as in `calibrate.prior_of`.

        `seconds`: how long a time the decayed sales stand for.
        """
        wanted = list(connections)
        total = sum(self.units.get(c, 0.0) for c in wanted)
        shares = {str(c): (self.units.get(c, 0.0) + 1 / len(wanted)) / (total + 1) for c in wanted}
        everything = sum(self.units.values())
        if everything <= 0 or seconds <= 0 or not self.variants:
            return Prior(shares, 0.5, 0.5 * max(1.0, seconds))
        mean = everything / self.variants / seconds
        spread = self.squares / self.variants / seconds**2 - mean**2 - mean / seconds
        variance = max(spread, mean**2 / 100)
        return Prior(shares, mean**2 / variance, mean / variance)


def weighed_seconds(watched_s: float, half_life_s: float) -> float:
    """Return for how many seconds' worth of sales a decayed count stands that was kept for so long."""
    return half_life_s / math.log(2) * -math.expm1(-math.log(2) * max(0.0, watched_s) / half_life_s)


async def count_sales(
    tx: Tx, connection_id: UUID, lines: Iterable[tuple[UUID, int]], now: datetime, learning: Learning
) -> None:
    """Count order lines that a connection sold: variant and units (negative: cancelled)."""
    units: Counter[UUID] = Counter()
    squares: Counter[UUID] = Counter()
    for variant, sold in lines:
        units[variant] += sold
        squares[variant] += sold * abs(sold)
    counted = {variant: (units[variant], squares[variant]) for variant in units if units[variant] or squares[variant]}
    if counted:
        await store.count_sales(tx, connection_id, counted, now, learning.half_life_s)


async def count_lags(tx: Tx, connection_id: UUID, kind: str, seconds: Iterable[float], now: datetime) -> None:
    """Count how long it took until the hub heard of sales (HEARD), or until a channel showed lowerings (SHOWN)."""
    sketch = LagSketch()
    for lag in seconds:
        sketch.add(min(max(0.0, lag), LAG_MOST_S))  # Clocks differ: none is below nothing.
    if sketch.counts:
        counts = {bucket: round(count) for bucket, count in sketch.counts.items()}
        await store.count_lags(tx, connection_id, kind, now.replace(minute=0, second=0, microsecond=0), counts)


async def forget(tx: Tx, now: datetime) -> int:
    """Delete what is too old to be asked for; return how many rows."""
    return await store.forget(tx, now - LAGS_KEPT, (now - SALES_KEPT).date())


@dataclass(slots=True)
class _Remembered:
    until: float = 0.0
    knowledge: ShopKnowledge | None = None


_REMEMBERED: dict[UUID, _Remembered] = defaultdict(_Remembered)


async def shop_knowledge(tx: Tx, now: datetime, learning: Learning) -> ShopKnowledge:
    """Return what concerns the whole shop, at most REMEMBERED_S old."""
    remembered = _REMEMBERED[tx.organisation]
    if remembered.knowledge is None or remembered.until <= time.monotonic():
        remembered.knowledge = await measure(tx, now, learning)
        remembered.until = time.monotonic() + min(REMEMBERED_S, learning.half_life_s / 20)
    return remembered.knowledge


async def lag_sketches(tx: Tx, now: datetime, learning: Learning) -> dict[tuple[UUID, str], LagSketch]:
    """Return what was measured of lags in the window, by connection and kind (HEARD or SHOWN)."""
    sketches: defaultdict[tuple[UUID, str], LagSketch] = defaultdict(LagSketch)
    for row in await store.lag_counts(tx, now - timedelta(seconds=learning.lag_window_s)):
        sketches[row["connection_id"], row["kind"]].counts[row["bucket"]] = row["count"]
    return dict(sketches)


async def measure(tx: Tx, now: datetime, learning: Learning) -> ShopKnowledge:
    """Return what concerns the whole shop, as it is now."""
    lag = {}
    for key, sketch in (await lag_sketches(tx, now, learning)).items():
        p50, p99 = sketch.quantile(0.5), sketch.quantile(0.99)
        if p50 is not None and p99 is not None and sketch.count >= LAGS_LEAST:
            lag[key] = Lag(p50, p99)
    rows = await store.usual_sales(tx, now, learning.half_life_s)
    variants, squares = await store.usual_spread(tx, now, learning.half_life_s)
    sold = sum(row["units"] for row in rows)
    usual_lot = lot(0.0, 0.0, sum(row["line_squares"] for row in rows) / sold) if sold > 0 else 1.0
    units = {row["connection_id"]: row["units"] for row in rows}
    stored = await store_forecast.habits(tx, (now - HABITS_KEPT).date())
    habits = read_plain(stored[0]) if stored else NO_HABITS
    return ShopKnowledge(lag, Usual(units, variants, squares, habits.lot or usual_lot), habits.bunching)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of some variants' sales and of all lags."""

    shop: ShopKnowledge
    learning: Learning
    now: datetime
    rate_units: Mapping[UUID, Mapping[UUID, float]] = field(default_factory=dict)
    days: Mapping[UUID, Mapping[UUID, Mapping[Any, int]]] = field(default_factory=dict)
    line_squares: Mapping[UUID, float] = field(default_factory=dict)
    forecasts: Mapping[tuple[UUID, UUID], tuple[float, int]] = field(default_factory=dict)
    """By variant and connection: units expected in 30 days, and from how many days of history."""

    def demand(self, variant_id: UUID, rows: Sequence[Any]) -> dict[UUID, Demand]:
        """Return what is known of a variant by connection; `rows`: its listings (store.outlets)."""
        connections = {row["connection_id"]: row for row in rows}
        sold = self.rate_units.get(variant_id, {})
        watched_s = max((self.now - row["watched_since"]).total_seconds() for row in rows)
        weighed_s = weighed_seconds(watched_s, self.learning.half_life_s)
        units = {str(c): sold.get(c, 0.0) for c in connections}
        found_rates = rates(self.shop.usual.prior(weighed_s, connections), Sales(units, weighed_s))
        shown = [self.shop.lag.get((c, SHOWN)) for c in connections]
        known = [lag for lag in shown if lag is not None] if all(lag is not None for lag in shown) else []
        at_once = lot(self.line_squares.get(variant_id, 0.0), sum(units.values()), self.shop.usual.lot)
        found = {}
        for connection, row in connections.items():
            heard = self.shop.lag.get((connection, HEARD))
            whole = heard is not None and bool(known)
            days = self.days.get(variant_id, {}).get(connection)
            told, history = self.forecasts.get((variant_id, connection), (0.0, None))
            found[connection] = Demand(
                rate_s=found_rates[str(connection)] / row["siblings"],
                sold_30d=None if days is None else max(0, sum(days.values())) // row["siblings"],
                lag_p50_s=heard.p50_s + max(lag.p50_s for lag in known) if whole and heard else None,
                lag_p99_s=heard.p99_s + max(lag.p99_s for lag in known) if whole and heard else None,
                margin_minor=max(0, row["margin_minor"]),
                lot=at_once,
                counted_units=units[str(connection)],
                counted_s=weighed_s,
                forecast=None if history is None or history < SHORT_DAYS else told / row["siblings"],
                history_days=history,
                bunching=self.shop.bunching,
            )
        return found

    def sold_a_day(self, variant_id: UUID) -> tuple[int, ...]:
        """Return the units sold on each day of the last 30, latest last."""
        total: Counter[Any] = Counter()
        for days in self.days.get(variant_id, {}).values():
            total.update(days)
        return tuple(total[self.now.date() - timedelta(days=back)] for back in range(29, -1, -1))


async def knowledge_of(
    tx: Tx, variant_ids: Sequence[UUID], now: datetime, learning: Learning, forecast: Sequence[UUID] = ()
) -> Knowledge:
    """Return what is known of these variants; of those in `forecast` also what is expected of them."""
    units: defaultdict[UUID, dict[UUID, float]] = defaultdict(dict)
    squares: Counter[UUID] = Counter()
    for row in await store.sales_rates(tx, variant_ids, now, learning.half_life_s):
        units[row["variant_id"]][row["connection_id"]] = row["units"]
        squares[row["variant_id"]] += row["squares"]
    days: defaultdict[UUID, defaultdict[UUID, dict[Any, int]]] = defaultdict(lambda: defaultdict(dict))
    for row in await store.sold_lately(tx, variant_ids, (now - timedelta(days=29)).date()):
        days[row["variant_id"]][row["connection_id"]][row["day"]] = row["units"]
    told: dict[tuple[UUID, UUID], tuple[float, int]] = {}
    fresh = (now - timedelta(days=FRESH_DAYS)).date()
    for row in await store_forecast.listing_forecasts(tx, forecast, fresh) if forecast else ():
        told[row["variant_id"], row["connection_id"]] = row["units_30d"], row["days"]
    return Knowledge(await shop_knowledge(tx, now, learning), learning, now, units, days, squares, told)
