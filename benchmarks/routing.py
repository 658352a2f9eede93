"""Routing of orders. `route_orders_s`: how many go through the rules in a second on one core; without a database.

Eight places in Europe that have half of what is asked, twelve rules of which most do not hold for an order, one to four lines.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from benchmarks.report import Figures, Line
from entrepot.fulfilment.contracts import Place, RouteLine, RouteOrder
from entrepot.fulfilment.rule_data import RuleSet, read
from entrepot.fulfilment.rules import route

KEYS = ("route_orders_s",)
ORDERS = 2_000
VARIANTS = tuple(UUID(int=1_000 + n) for n in range(200))
SEED = 20_261_121
NOW = datetime(2026, 11, 21, tzinfo=UTC)
CITIES = (
    ("Lisbon", "PT", 38.72, -9.14), ("Madrid", "ES", 40.42, -3.70), ("Paris", "FR", 48.86, 2.35),
    ("Berlin", "DE", 52.52, 13.40), ("Milan", "IT", 45.46, 9.19), ("Vienna", "AT", 48.21, 16.37),
    ("Warsaw", "PL", 52.23, 21.01), ("Dublin", "IE", 53.35, -6.26),
)  # fmt: skip


def measure(seconds: float) -> tuple[Figures, list[Line]]:
    """Measure for about so many seconds."""
    rate, placed = route_orders_s(seconds)
    return {"route_orders_s": rate}, [
        Line("Orders routed, one core", f"{rate:,.0f}/s", "at least 1,000/s"),
        Line("Orders of which every unit found a place", f"{placed:.0%}", f"{len(CITIES)} places, 12 rules"),
    ]


def route_orders_s(seconds: float) -> tuple[float, float]:
    """Return how many orders a second are routed, and the part of them that was placed whole."""
    chance = random.Random(SEED)  # noqa: S311
    places = [
        Place(UUID(int=n + 1), name, "store" if n % 3 == 2 else "warehouse", country, "", latitude, longitude,
              priority=n, cost_minor=300 + 40 * n, groups=frozenset({"west" if longitude < 5 else "east"}))
        for n, (name, country, latitude, longitude) in enumerate(CITIES)
    ]  # fmt: skip
    stock = {
        (variant, place.id): chance.randint(1, 20) for variant in VARIANTS for place in places if chance.random() < 0.5
    }
    orders = [_order(chance, n) for n in range(ORDERS)]
    rules = _rules()
    done = placed = 0
    began = time.process_time()
    while (spent := time.process_time() - began) < seconds:
        for order in orders:
            placed += not route(order, rules, places, stock, NOW).parked
        done += len(orders)
    return done / spent, placed / done


def _order(chance: random.Random, number: int) -> RouteOrder:
    _, country, latitude, longitude = chance.choice(CITIES)
    chosen = chance.sample(VARIANTS, chance.choice((1, 1, 1, 2, 2, 3, 4)))
    lines = tuple(
        RouteLine(UUID(int=number * 10 + n), f"SKU-{n}", chance.choice((1, 1, 1, 2, 3)), {variant: 1})
        for n, variant in enumerate(chosen)
    )
    return RouteOrder(
        UUID(int=number), chance.choice(("shopify", "amazon", "square")), UUID(int=7), NOW - timedelta(hours=number % 72),
        lines, country, "", latitude + chance.uniform(-2, 2), longitude + chance.uniform(-2, 2),
        method=chance.choice(("Standard", "Express")), total_minor=chance.randint(500, 30_000), currency="EUR",
    )  # fmt: skip


def _rules() -> RuleSet:
    own: list[Mapping[str, Any]] = [
        {"name": f"{name} sends at home", "if": {"country": [country]}, "then": {"from": {"places": [str(UUID(int=n + 1))]}}}
        for n, (name, country, _, _) in enumerate(CITIES)
    ]  # fmt: skip
    more: list[Mapping[str, Any]] = [
        {"name": "in a hurry", "if": {"method": ["express"]}, "then": {"from": {"within_km": 1500}, "split": "never"}},
        {
            "name": "dear",
            "if": {"total": {"at_least": 20_000}},
            "then": {"from": {"kinds": ["warehouse"]}, "safety": 1},
        },
        {"name": "old", "if": {"older_than_hours": 48}, "then": {"sort": ["stock", "distance"], "split": "units"}},
        {"name": "west", "if": {"channel": ["amazon"]}, "then": {"from": {"groups": ["west"]}, "sort": ["cost"]}},
    ]
    return read({"rules": [*more, *own]})
