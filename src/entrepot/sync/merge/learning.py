"""What people's decisions tell of how far each side is to be trusted. Pure.

Numbers: each side's error is how far (as a share) it was from what a person chose; its weight is its precision, the inverse
of the mean squared error. Other values: how often our side was chosen, with a prior of one decision for each side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from entrepot.sync.merge.values import NUMERIC, FieldKind, Value, amount, same

ENOUGH = 10
"""Decisions before weights are used."""
ERROR_LEAST = 0.01
"""An error is taken for at least this much, so that a few exact hits do not rule the other side out."""
SURE_Z = 1.28
"""Other values: our side's share must be this many standard errors from one half (about 90%)."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned for a field on a connection. `weight_of_ours` 0 to 1, None until there is enough history."""

    decisions: int = 0
    weight_of_ours: float | None = None
    is_sure: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """One conflict that a person decided: both values and the one that they chose."""

    ours: Value
    theirs: Value
    chosen: Value


def learn(kind: FieldKind, history: Sequence[Decision], enough: int = ENOUGH) -> Learned:
    """Return the weights that follow from what people decided."""
    found = _precision(kind, history) if kind in NUMERIC else _choices(kind, history)
    if found.decisions < enough:
        return Learned(found.decisions)
    return found


def _precision(kind: FieldKind, history: Sequence[Decision]) -> Learned:
    squares_ours, squares_theirs, count = 0.0, 0.0, 0
    for decision in history:
        ours, theirs, chosen = (amount(kind, v) for v in (decision.ours, decision.theirs, decision.chosen))
        if ours is None or theirs is None or chosen is None or chosen == 0:
            continue
        count += 1
        squares_ours += max(float((ours - chosen) / chosen) ** 2, ERROR_LEAST**2)
        squares_theirs += max(float((theirs - chosen) / chosen) ** 2, ERROR_LEAST**2)
    if not count:
        return Learned()
    weight = squares_theirs / (squares_ours + squares_theirs)
    return Learned(count, weight, True)


def _choices(kind: FieldKind, history: Sequence[Decision]) -> Learned:
    ours = sum(same(kind, d.chosen, d.ours) for d in history)
    theirs = sum(same(kind, d.chosen, d.theirs) and not same(kind, d.chosen, d.ours) for d in history)
    count = ours + theirs
    weight = (ours + 1) / (count + 2)
    error = math.sqrt(weight * (1 - weight) / (count + 3))
    return Learned(count, weight, abs(weight - 0.5) > SURE_Z * error)
