"""Boosted decision trees for yes or no, in plain Python: small data, no library. Pure; chance is a seed.

Friedman, Greedy function approximation: a gradient boosting machine (2001), with the second-order gain and shrinkage of
Chen and Guestrin, XGBoost (2016), over binned features. 6,000 pairs of 51 features take about a quarter of a minute.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

Row = Sequence[float]
BINS = 24
LEAST_WEIGHT = 1e-6


class Tree(msgspec.Struct, frozen=True, array_like=True):
    """A tree as lists: node i asks whether `feature[i]` is at most `limit[i]`, then goes to `below[i]` or `above[i]`.

    `feature` -1: a leaf, whose value is `limit`.
    """

    feature: tuple[int, ...]
    limit: tuple[float, ...]
    below: tuple[int, ...]
    above: tuple[int, ...]

    def value(self, row: Row) -> float:
        """Return what the tree adds for a row."""
        feature, limit, below, above = self.feature, self.limit, self.below, self.above
        node = 0
        while (asked := feature[node]) >= 0:
            node = below[node] if row[asked] <= limit[node] else above[node]
        return limit[node]


@dataclass(frozen=True, slots=True)
class Growing:
    """How trees are grown. `part_rows`, `part_features`: the share that each tree is shown."""

    trees: int = 200
    depth: int = 4
    rate: float = 0.08
    part_rows: float = 0.8
    part_features: float = 0.4
    shrink: float = 5.0
    least_rows: int = 12
    seed: int = 1


def grow(rows: Sequence[Row], truth: Sequence[bool], start: Sequence[float], growing: Growing) -> list[Tree]:
    """Return trees whose sum, added to `start` (log odds for each row), tells true rows from false ones."""
    chance = random.Random(growing.seed)  # noqa: S311
    limits = [_limits([row[f] for row in rows]) for f in range(len(rows[0]))]
    columns = [bytes(bisect_left(limits[f], row[f]) for row in rows) for f in range(len(limits))]
    useful = [f for f in range(len(limits)) if limits[f]]
    odds = list(start)
    trees = []
    for _ in range(growing.trees):
        expected = [_probability(value) for value in odds]
        slope = [p - t for p, t in zip(expected, truth, strict=True)]
        bend = [max(LEAST_WEIGHT, p * (1 - p)) for p in expected]
        shown = chance.sample(range(len(rows)), max(1, int(len(rows) * growing.part_rows)))
        asked = sorted(chance.sample(useful, max(1, int(len(useful) * growing.part_features)))) if useful else []
        tree = _Grower(columns, limits, slope, bend, asked, growing).tree(shown)
        trees.append(tree)
        odds = [value + tree.value(row) for value, row in zip(odds, rows, strict=True)]
    return trees


def _probability(odds: float) -> float:
    return 1 / (1 + math.exp(-odds)) if odds > -700 else 0.0


def _limits(values: Sequence[float]) -> list[float]:
    """Return up to BINS - 1 values between which a feature is told apart, by how often values come."""
    ordered = sorted(set(values))
    if len(ordered) > BINS:
        every = sorted(values)
        ordered = sorted({every[len(every) * n // BINS] for n in range(BINS)} | {every[-1]})
    return [(low + high) / 2 for low, high in pairwise(ordered)]


class _Grower:
    """Grows one tree, node by node."""

    def __init__(
        self,
        columns: Sequence[bytes],
        limits: Sequence[Sequence[float]],
        slope: Sequence[float],
        bend: Sequence[float],
        asked: Sequence[int],
        growing: Growing,
    ) -> None:
        self._columns, self._limits, self._slope, self._bend = columns, limits, slope, bend
        self._asked, self._growing = asked, growing
        self._nodes: list[list[float]] = []

    def tree(self, rows: Sequence[int]) -> Tree:
        self._node(rows, self._growing.depth)
        feature, limit, below, above = zip(*self._nodes, strict=True)
        return Tree(tuple(map(int, feature)), tuple(limit), tuple(map(int, below)), tuple(map(int, above)))

    def _node(self, rows: Sequence[int], depth: int) -> int:
        slope, bend = sum(self._slope[i] for i in rows), sum(self._bend[i] for i in rows)
        number = len(self._nodes)
        self._nodes.append([-1, -self._growing.rate * slope / (bend + self._growing.shrink), 0, 0])
        found = self._best(rows, slope, bend) if depth and len(rows) >= 2 * self._growing.least_rows else None
        if found is not None:
            feature, at = found
            column = self._columns[feature]
            below = self._node([i for i in rows if column[i] <= at], depth - 1)
            above = self._node([i for i in rows if column[i] > at], depth - 1)
            self._nodes[number] = [feature, self._limits[feature][at], below, above]
        return number

    def _best(self, rows: Sequence[int], slope: float, bend: float) -> tuple[int, int] | None:
        """Return the feature and the bin after which to divide; None if nothing is gained."""
        shrink, least = self._growing.shrink, self._growing.least_rows
        whole, best, found = slope * slope / (bend + shrink), 1e-3, None
        slopes, bends = [self._slope[i] for i in rows], [self._bend[i] for i in rows]
        for feature in self._asked:
            size = len(self._limits[feature]) + 1
            s, b, n = [0.0] * size, [0.0] * size, [0] * size
            column = self._columns[feature]
            for i, one, other in zip(rows, slopes, bends, strict=True):
                at = column[i]
                s[at] += one
                b[at] += other
                n[at] += 1
            sum_s = sum_b = 0.0
            count = 0
            for at in range(size - 1):
                sum_s, sum_b, count = sum_s + s[at], sum_b + b[at], count + n[at]
                if count < least or len(rows) - count < least:
                    continue
                rest = slope - sum_s
                gain = sum_s * sum_s / (sum_b + shrink) + rest * rest / (bend - sum_b + shrink) - whole
                if gain > best:
                    best, found = gain, (feature, at)
        return found
