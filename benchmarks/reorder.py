"""Reordering: the stock that 90% of the demand (by value) needs, against two rules of thumb, on a year of a real shop.

METHODS 3 on UCI Online Retail: the last three times 28 days; before each, every SKU with half a year of history is stocked for
28 days (lead and review) from what was known then. Each rule has one number (days of cover, or the service level), the
same for all; it is set so that the rule meets 90% of the demand, and its stock is compared.
"""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.report import Figures, Line
from entrepot.stock.reorder import Scatter, expected, scatter, weekday_profile

KEYS = ("stock_value_ratio_to_7day", "stock_value_ratio_to_28day", "fill_rate")
FILE = Path(os.environ.get("ENTREPOT_DATA", "../shared/data")) / "uci_online_retail" / "online_retail.parquet"
HORIZON = 28
ORIGINS = 3
HISTORY = 182
PERIODS = 6
FILL = 0.9
DAY_US = 86_400_000_000
MONDAY_OF_EPOCH = 3
"""1 January 1970 was a Thursday."""

Levels = Callable[[float, int], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Shop:
    """Units sold by day and usual price, by SKU; the weekday of the first day (0: Monday)."""

    daily: Mapping[str, list[int]]
    price: Mapping[str, float]
    days: int
    first_weekday: int


def measure(_seconds: float) -> tuple[Figures, list[Line]]:
    """Measure, or say that the data are not there."""
    if not FILE.is_file():
        return dict.fromkeys(KEYS), [Line("Reordering", "not measured", "the data set uci_online_retail is not there")]
    shop = _read()
    seven = _value_at_fill(shop, _cover(shop, 7), 0.01, 200.0)
    month = _value_at_fill(shop, _cover(shop, HORIZON), 0.01, 200.0)
    ours = _value_at_fill(shop, _quantiles(shop), 0.5, 0.999)
    figures = {
        "stock_value_ratio_to_7day": ours.value / seven.value,
        "stock_value_ratio_to_28day": ours.value / month.value,
        "fill_rate": ours.fill,
    }
    return figures, [
        Line(f"Stock for {FILL:.0%} fill, {len(shop.daily):,} SKUs: cover from 7 days", f"{seven.value:,.0f}", "GBP"),
        Line("... cover from 28 days", f"{month.value:,.0f}", "GBP"),
        Line(f"... quantile over lead and review (at {ours.number:.1%})", f"{ours.value:,.0f}", "GBP"),
        Line("Stock value against the 7-day rule", f"{ours.value / seven.value:.3f}", "at most .65"),
        Line("Stock value against the 28-day rule", f"{ours.value / month.value:.3f}", "at most .90"),
        Line("Fill rate by value", f"{ours.fill:.3f}", f"{FILL:.2f} for all three"),
    ]


def _read() -> Shop:
    """Return the shop: products only (five digits), sales that the same customer cancelled whole left out."""
    import pyarrow.parquet as parquet

    names = ("StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")
    table = parquet.read_table(FILE, columns=list(names))
    table = table.set_column(2, "InvoiceDate", table.column("InvoiceDate").cast("int64"))
    columns = [table.column(name).to_pylist() for name in names]
    rows = [(sku.upper(), units, at // DAY_US, price, who) for sku, units, at, price, who in zip(*columns, strict=True)]
    cancelled = Counter((sku, -units, who) for sku, units, _, _, who in rows if units < 0 and who is not None)
    first = min(day for _, _, day, _, _ in rows)
    days = max(day for _, _, day, _, _ in rows) - first + 1
    sold: defaultdict[str, list[int]] = defaultdict(lambda: [0] * days)
    prices: defaultdict[str, list[float]] = defaultdict(list)
    for sku, units, day, price, who in rows:
        if units <= 0 or price <= 0 or not sku[:5].isdigit():
            continue
        if cancelled[sku, units, who] > 0:
            cancelled[sku, units, who] -= 1
            continue
        sold[sku][day - first] += units
        prices[sku].append(price)
    start = days - ORIGINS * HORIZON
    kept = {
        sku: daily
        for sku, daily in sold.items()
        if any(daily[: start - HISTORY]) and sum(units > 0 for units in daily[:start]) >= 10
    }
    return Shop(kept, {sku: median(prices[sku]) for sku in kept}, days, (first + MONDAY_OF_EPOCH) % 7)


def _cover(shop: Shop, over: int) -> Levels:
    return lambda number, at: {
        sku: math.ceil(number * sum(daily[at - over : at]) / over * HORIZON) for sku, daily in shop.daily.items()
    }


def _quantiles(shop: Shop) -> Levels:
    known: dict[int, tuple[Scatter, dict[str, float]]] = {}

    def learn(at: int) -> tuple[Scatter, dict[str, float]]:
        profile = weekday_profile([daily[:at] for daily in shop.daily.values()], shop.first_weekday)

        def told(sku: str, upto: int) -> float:
            return expected(shop.daily[sku][:upto], HORIZON, profile, (shop.first_weekday + upto) % 7)

        pairs = []
        for back in range(1, PERIODS + 1):
            start = at - back * HORIZON
            pairs += [
                (told(sku, start), sum(daily[start : start + HORIZON]))
                for sku, daily in shop.daily.items()
                if any(daily[: start - 2 * HORIZON])
            ]
        off = scatter(pairs)
        if off is None:
            raise RuntimeError("Too few SKUs to learn from.")
        return off, {sku: told(sku, at) for sku in shop.daily}

    def levels(number: float, at: int) -> Mapping[str, float]:
        if at not in known:
            known[at] = learn(at)
        off, forecasts = known[at]
        return {sku: math.ceil(off.quantile(forecast, number)) for sku, forecast in forecasts.items()}

    return levels


@dataclass(frozen=True, slots=True)
class Held:
    """Stock value (mean of the origins), fill rate by value, and the rule's number that led there."""

    value: float
    fill: float
    number: float


def _value_at_fill(shop: Shop, levels: Levels, low: float, high: float) -> Held:
    """Set the rule's number so that it just meets the fill rate."""
    best = _held(shop, levels, high)
    for _ in range(30):
        middle = (low + high) / 2
        found = _held(shop, levels, middle)
        if found.fill < FILL:
            low = middle
        else:
            high, best = middle, found
    return best


def _held(shop: Shop, levels: Levels, number: float) -> Held:
    met = asked = value = 0.0
    for back in range(ORIGINS, 0, -1):
        at = shop.days - back * HORIZON
        for sku, level in levels(number, at).items():
            price, demand = shop.price[sku], sum(shop.daily[sku][at : at + HORIZON])
            met += min(level, demand) * price
            asked += demand * price
            value += level * price
    return Held(value / ORIGINS, met / asked, number)
