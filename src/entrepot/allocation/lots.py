"""Where customers buy many units at once: how much orders that meet ask for together. Pure.

Sizes of orders are taken for geometric: the plainest that has one parameter, is all ones where everybody buys one, and has large
orders now and then. Known of them is the lot, the mean size in which each order weighs by its units.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

MANY_ORDERS = 100.0
"""Beyond so many orders their sum is taken for normal."""
STEP = math.log(1.02)
"""What is asked for is rounded up to steps of two percent, so that the answers are kept."""


USUAL_PART = 0.75
"""Of SKUs, so many sell in lots no larger than what is taken for one that is not known: it is taken badly, not for the worst."""
SALES_LEAST = 5
"""A SKU that sold less often says nothing about lots."""


def usual_lot(lots: Iterable[float]) -> float:
    """Return the lot that is taken for a SKU of which nothing is known, from those of SKUs that sold often enough."""
    ordered = sorted(lots)
    if not ordered:
        return 1.0
    place = USUAL_PART * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return max(1.0, ordered[low] + (ordered[high] - ordered[low]) * (place - low))


def usual_size(lot: float) -> float:
    """Return the mean units of an order whose size weighed by units is `lot`."""
    return (max(1.0, lot) + 1) / 2


def together(orders: float, lot: float, risk: float) -> int:
    """Return the least units so that an order and those that come with it seldom ask for more: only with the chance `risk`.

    `orders`: how many others are expected. An order by itself counts as no risk, however large: it takes what is shown.
    """
    if orders <= 0:
        return 0
    return _together(math.ceil(math.log(orders) / STEP), math.ceil(math.log(max(1.0, lot)) / STEP), risk)


@lru_cache(65_536)
def _together(orders_step: int, lot_step: int, risk: float) -> int:
    orders, lot = math.exp(orders_step * STEP), math.exp(lot_step * STEP)
    size = usual_size(lot)
    if orders > MANY_ORDERS:
        far = math.sqrt(-2 * math.log(risk))
        return math.ceil(size * (orders + 1) + far * math.sqrt((orders + 1) * lot * size))
    # Units of the others (Polya-Aeppli), of all (with the first order), and of the first alone, one unit after the other.
    one = 1 / size
    more = 1 - one
    alone = math.exp(-orders)
    others, before = alone, 0.0
    whole, first, units = 0.0, 0.0, 0
    above = 1.0 - alone
    while above > risk:
        units += 1
        whole, first = more * whole + one * others, (more * first if units > 1 else one)
        above -= whole - first * alone
        others, before = (
            ((orders * one + 2 * more * (units - 1)) * others - more**2 * (units - 2) * before) / units,
            others,
        )
    return units
