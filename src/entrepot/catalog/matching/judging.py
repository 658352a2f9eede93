"""How good scores are, against what people decided: precision, recall, F1, and from which score on they can be trusted.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

WANTED_PRECISION = 0.95
ONE_SIDED_95 = 1.645
"""Standard deviations that a share falls short of by chance once in twenty times."""


def lower_bound(right: int, of: int, deviations: float = ONE_SIDED_95) -> float:
    """Return the least share that `right` of so many still agree with (Wilson 1927)."""
    if not of:
        return 0.0
    share, z2 = right / of, deviations * deviations
    spread = deviations * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return (share + z2 / (2 * of) - spread) / (1 + z2 / of)


def precise_from(
    scores: Sequence[float],
    truth: Sequence[bool],
    precision: float = WANTED_PRECISION,
    deviations: float = ONE_SIDED_95,
) -> float | None:
    """Return the lowest score from which on so many are right, surely (see `lower_bound`); None if there is none."""
    found = None
    right = of = 0
    ordered = sorted(zip(scores, truth, strict=True), key=lambda each: -each[0])
    for score, same in groupby(ordered, key=lambda each: each[0]):
        decided = [yes for _, yes in same]
        right, of = right + sum(decided), of + len(decided)
        if lower_bound(right, of, deviations) >= precision:
            found = score
    return found


def best_f1_from(scores: Sequence[float], truth: Sequence[bool]) -> float:
    """Return the score from which on to say yes, so that F1 is highest: half way to the next one below."""
    ordered = sorted(zip(scores, truth, strict=True), key=lambda each: -each[0])
    every = sum(truth)
    best, found, right = -1.0, 0.5, 0
    for number, (score, yes) in enumerate(ordered, start=1):
        right += yes
        f1 = 2 * right / (number + every)
        below = ordered[number][0] if number < len(ordered) else score - 1
        if f1 > best and below < score:
            best, found = f1, (score + below) / 2
    return found


def precision_recall(scores: Sequence[float], truth: Sequence[bool], least: float) -> tuple[float, float]:
    """Return precision and recall of saying yes from a score on; precision 1 where nobody is told yes."""
    said = [yes for score, yes in zip(scores, truth, strict=True) if score >= least]
    every = sum(truth)
    return (sum(said) / len(said) if said else 1.0), (sum(said) / every if every else 1.0)


def f1(precision: float, recall: float) -> float:
    """Return the harmonic mean of precision and recall."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
