"""Which variants are worth comparing with a listing: those that share its telling words. Pure, of bounded memory.

The catalog is read once, a page at a time (`Index.add`); of each variant only the words are kept that some listing of
this round has. So a round of a thousand listings needs the words of those listings, not the catalog.
"""

from __future__ import annotations

import heapq
import math
from array import array
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from typing import Generic, TypeVar

from entrepot.catalog.matching.features import Standing, Weights

K = TypeVar("K", bound=Hashable)
KEPT = 10
"""Variants that are compared with a listing."""
COMMON_SHARE = 0.05
"""A word that more of the catalog has than this finds nothing by itself; it counts for what other words have found."""
COMMON_MIN = 50
"""So many variants a word may have in any catalog."""


class Index(Generic[K]):
    """The words of a round's listings, and which variants have them."""

    def __init__(self, wanted: Iterable[Set[str]], weights: Weights) -> None:
        """`wanted`: the words of every listing of the round."""
        self.weights = weights
        self._variants_of: dict[str, array[int]] = {word: array("I") for words in wanted for word in words}
        self._keys: list[K] = []
        self._length: array[float] = array("d")

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: K, words: Set[str]) -> None:
        """Take a variant in."""
        number = len(self._keys)
        self._keys.append(key)
        self._length.append(math.sqrt(self.weights.total(words)))
        for word in words:
            found = self._variants_of.get(word)
            if found is not None:
                found.append(number)

    def nearest(self, words: Set[str], most: int = KEPT) -> list[tuple[K, float]]:
        """Return the variants nearest to a listing's words and their nearness, nearest first."""
        common = max(COMMON_MIN, int(len(self._keys) * COMMON_SHARE))
        length = math.sqrt(self.weights.total(words))
        points: defaultdict[int, float] = defaultdict(float)
        frequent: list[tuple[float, array[int]]] = []
        for word in sorted(words):
            found = self._variants_of.get(word)
            if not found:
                continue
            weight = self.weights.of(word)
            if len(found) > common:
                frequent.append((weight, found))
                continue
            for number in found:
                points[number] += weight
        for weight, found in frequent:
            if len(found) > 20 * len(points):
                found_here = set(found)
                for number in points.keys() & found_here:
                    points[number] += weight
                continue
            for number in found:
                if number in points:
                    points[number] += weight
        scored = ((value / (length * self._length[number]), number) for number, value in points.items())
        top = heapq.nsmallest(most, ((-near, number) for near, number in scored))
        return [(self._keys[number], -near) for near, number in top]


def stand(
    found: Mapping[K, Sequence[tuple[K, float]]], rivals: Mapping[K, Sequence[float]] | None = None
) -> dict[tuple[K, K], Standing]:
    """Return the standing of every pair (listing, variant) that was found.

    `rivals`: variant -> nearness of listings that are not of this round.
    """
    of_variant: defaultdict[K, list[float]] = defaultdict(list)
    for variant, others in (rivals or {}).items():
        of_variant[variant] += others
    for pairs in found.values():
        for variant, near in pairs:
            of_variant[variant].append(near)
    top = {variant: heapq.nlargest(2, values) for variant, values in of_variant.items()}
    standings = {}
    for listing, pairs in found.items():
        mine = [near for _, near in pairs]
        best = heapq.nlargest(2, mine)
        for variant, near in pairs:
            standings[listing, variant] = Standing(
                near,
                sum(1 for other in mine if other > near),
                near - _other(best, near),
                sum(1 for other in of_variant[variant] if other > near),
                near - _other(top[variant], near),
            )
    return standings


def _other(best: Sequence[float], own: float) -> float:
    """Return the best value that is not the own one; 0 if there is no other."""
    return best[0] if best[0] > own else best[1] if len(best) > 1 else 0.0
