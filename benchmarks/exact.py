"""The best that can be done, by exact dynamic programming on small cases, and what the bid price rule gets of it.

Time goes in windows. In each a quantity is shown on every listing; each listing sells what is asked for there (Poisson), up to
what it shows; then everybody knows everything. A unit sold brings its margin, a unit sold and not there costs the oversell
cost and brings nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from entrepot.allocation.bid_price import Case, quantities
from entrepot.allocation.poisson import at_least, pmf


@dataclass(frozen=True, slots=True)
class Small:
    """A case: units in stock, means per window and margins by listing, windows until more is there, oversell cost."""

    units: int
    means: tuple[float, ...]
    margins: tuple[float, ...]
    windows: int
    cost: float


@dataclass(frozen=True, slots=True)
class Act:
    """What comes of showing these quantities: the expected margin and the chances of 0, 1, ... units sold in all."""

    shown: tuple[int, ...]
    margin: float
    sold: tuple[float, ...]


def value(case: Small, *, best: bool) -> float:
    """Return the expected profit of the best policy, or of the bid price rule, from the opening stock on."""
    total = sum(case.means)
    lost_margin = sum(m * mean for m, mean in zip(case.margins, case.means, strict=True)) / total
    acts = [
        [_act(case, shown) for shown in product(range(x + 1), repeat=len(case.means))] for x in range(case.units + 1)
    ]
    ahead = [0.0] * (case.units + 1)
    for left in range(1, case.windows + 1):
        now = [0.0]
        for x in range(1, case.units + 1):
            if best:
                now.append(max(_worth(act, x, ahead, case.cost + lost_margin) for act in acts[x]))
            else:
                found = quantities(Case(x, case.means, case.margins, 1.0, float(left), case.cost))
                now.append(_worth(_act(case, tuple(found)), x, ahead, case.cost + lost_margin))
        ahead = now
    return ahead[case.units]


def _act(case: Small, shown: tuple[int, ...]) -> Act:
    sold, margin = [1.0], 0.0
    for most, mean, each in zip(shown, case.means, case.margins, strict=True):
        chances = [pmf(k, mean) for k in range(most)] + [at_least(most, mean)]
        margin += each * sum(k * p for k, p in enumerate(chances))
        mixed = [0.0] * (len(sold) + most)
        for i, p in enumerate(sold):
            for j, chance in enumerate(chances):
                mixed[i + j] += p * chance
        sold = mixed
    return Act(shown, margin, tuple(sold))


def _worth(act: Act, units: int, ahead: Sequence[float], cost: float) -> float:
    later = sum([p * ahead[units - k] for k, p in enumerate(act.sold[: units + 1])])
    if len(act.sold) <= units + 1:
        return act.margin + later
    return act.margin + later - cost * sum([p * (k - units) for k, p in enumerate(act.sold) if k > units])


def cases() -> Iterator[Small]:
    """Yield the cases that are compared."""
    listings = (
        ((0.5, 0.5), (1.0, 1.0)),
        ((0.7, 0.3), (1.0, 0.8)),
        ((0.5, 0.3, 0.2), (1.0, 1.0, 1.0)),
        ((0.5, 0.3, 0.2), (1.0, 0.7, 0.9)),
    )
    for (shares, margins), in_lag, units, asked, cost in product(
        listings, (0.05, 0.15, 0.3), (1, 2, 3, 5), (0.5, 1.0, 1.5), (2.0, 10.0, 50.0)
    ):
        window = 2 * in_lag
        windows = max(1, round(asked * units / window))
        yield Small(units, tuple(s * window for s in shares), margins, windows, cost)


def gap(case: Small) -> float:
    """Return the part of the best profit that the bid price rule leaves."""
    best = value(case, best=True)
    return (best - value(case, best=False)) / best
