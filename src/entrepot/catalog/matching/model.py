"""How likely a pair is one product: a scorecard that anyone can read, corrected by trees learned from decisions. Pure.

Before anything was decided the scorecard stands alone. What is learned starts from it, so that little knowledge changes
little. See decision record 0023.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from entrepot.catalog.matching.boosting import Growing, Row, Tree, grow
from entrepot.catalog.matching.features import NAMES

_AT = {name: place for place, name in enumerate(NAMES)}

SCORECARD: Mapping[str, float] = {
    "listing_soft": 5.0, "variant_soft": 2.0, "code_in_more": 2.0, "code_shared_more": 0.5, "code_conflict": -2.5,
    "measures_differ": -1.0, "listing_lead": 1.0, "variant_lead": 1.5, "listing_rank": -0.5, "variant_rank": -0.5,
    "brand": 1.0, "price_apart": -2.0, "listing_left_most": -0.5, "variant_left_most": -0.5,
    "listing_codes_left": -0.5, "variant_codes_left": -0.5,
}  # fmt: skip
"""Log odds for each unit of a feature, set by hand to halves."""
START = -4.5
MOST: Mapping[str, float] = {
    "code_in_more": 8.0, "listing_rank": 3.0, "variant_rank": 3.0, "price_apart": 1.5, "listing_codes_left": 2.0,
    "variant_codes_left": 2.0,
}  # fmt: skip
"""Where a feature stops counting."""
IF_UNKNOWN: Mapping[str, float] = {"price_apart": 0.3}
"""What counts where a feature is not known; else nothing does."""
PARTS: Mapping[str, float] = {"code_in_more": 1 / 8}
CERTAIN = 0.999
"""No likeness of words is more certain than this."""


def scorecard(row: Row) -> float:
    """Return the log odds that a pair is one product, by the scorecard."""
    total = START
    for name, weight in SCORECARD.items():
        value = row[_AT[name]]
        if value < 0 and not name.endswith("_lead"):
            value = IF_UNKNOWN.get(name, 0.0)
        total += weight * min(value, MOST.get(name, value)) * PARTS.get(name, 1.0)
    return total


class Model(msgspec.Struct, frozen=True):
    """Tells how likely a pair is one product. `slope` and `shift` calibrate the log odds."""

    trees: tuple[Tree, ...] = ()
    slope: float = 1.0
    shift: float = 0.0

    def odds(self, row: Row) -> float:
        """Return the log odds of a pair before they are calibrated."""
        total = scorecard(row)
        for tree in self.trees:
            total += tree.value(row)
        return total

    def score(self, row: Row) -> float:
        """Return the probability that a pair is one product, 0 to CERTAIN."""
        return min(CERTAIN, _chance(self.slope * self.odds(row) + self.shift))


PLAIN = Model()
"""What a shop starts with."""


def learn(
    rows: Sequence[Row], truth: Sequence[bool], held: Sequence[Row], held_truth: Sequence[bool], growing: Growing
) -> Model:
    """Return a model learned from pairs, calibrated on others that were held back."""
    trees = tuple(grow(rows, truth, [scorecard(row) for row in rows], growing))
    raw = Model(trees)
    slope, shift = calibrate([raw.odds(row) for row in held], held_truth)
    return Model(trees, slope, shift)


def calibrate(odds: Sequence[float], truth: Sequence[bool], steps: int = 50) -> tuple[float, float]:
    """Return slope and shift that make log odds true probabilities (Platt 1999, with his smoothed targets).

    Leans to (1, 0), so that few or one-sided pairs do not lead astray. The slope stays positive: the order is kept.
    """
    yes = sum(truth)
    target = {True: (yes + 1) / (yes + 2), False: 1 / (len(truth) - yes + 2)}
    goals = [target[bool(t)] for t in truth]
    slope, shift = 1.0, 0.0
    for _ in range(steps):
        # Newton's step on the log likelihood, with a ridge towards (1, 0).
        g0, g1, h00, h01, h11 = slope - 1.0, shift * 0.1, 1.0, 0.0, 0.1
        for value, goal in zip(odds, goals, strict=True):
            p = _chance(slope * value + shift)
            bend = max(1e-9, p * (1 - p))
            g0, g1 = g0 + (p - goal) * value, g1 + (p - goal)
            h00, h01, h11 = h00 + bend * value * value, h01 + bend * value, h11 + bend
        whole = h00 * h11 - h01 * h01
        by_slope, by_shift = (g0 * h11 - g1 * h01) / whole, (g1 * h00 - g0 * h01) / whole
        slope, shift = max(0.05, slope - max(-1.0, min(1.0, by_slope))), shift - max(-3.0, min(3.0, by_shift))
        if abs(by_slope) + abs(by_shift) < 1e-9:
            break
    return slope, shift


def _chance(odds: float) -> float:
    return 1 / (1 + math.exp(-odds)) if odds > -700 else 0.0
