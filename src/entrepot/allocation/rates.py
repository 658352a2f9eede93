"""How fast each listing sells, from few sales: what is known of the variant is evened by what is usual. Pure.

A variant's rate is a Gamma-Poisson estimate that starts from the usual variant; how it divides over the channels is a
Dirichlet estimate that starts from how all sales divide (empirical Bayes; METHODS 1: shares learned with shrinkage).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

PRIOR_SALES = 0.5
"""How many sales the usual rate weighs as much as."""
PRIOR_SHARES = 5.0
"""How many sales the usual division over the channels weighs as much as."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual in a shop: units sold a second by a variant, and the channels' parts of all sales."""

    rate_s: float
    shares: Mapping[UUID, float]


def weighed_seconds(watched_s: float, half_life_s: float) -> float:
    """Return for how many seconds' worth of sales a decayed count stands that was kept for so long."""
    return half_life_s / math.log(2) * -math.expm1(-math.log(2) * max(0.0, watched_s) / half_life_s)


def rates_of(units: Mapping[UUID, float], weighed_s: float, usual: Usual | None) -> dict[UUID, float] | None:
    """Return units a second by connection of one variant: its decayed sales by connection, over so many weighed seconds.

    None if nothing is known: no sale of it, and nothing usual.
    """
    total = sum(units.values())
    if usual is None or usual.rate_s <= 0:
        if total <= 0 or weighed_s <= 0:
            return None
        rate = total / weighed_s
        parts = {key: 1 / len(units) for key in units}
    else:
        rate = (total + PRIOR_SALES) / (weighed_s + PRIOR_SALES / usual.rate_s)
        known = {key: usual.shares.get(key, 0.0) for key in units}
        whole = sum(known.values())
        parts = {key: share / whole if whole > 0 else 1 / len(units) for key, share in known.items()}
    return {key: rate * (sold + PRIOR_SHARES * parts[key]) / (total + PRIOR_SHARES) for key, sold in units.items()}
