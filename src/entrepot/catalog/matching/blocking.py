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
OPENED_MOST = 3_000
"""Variants that a listing's words may bring up: its rarest words first, as many as together have so many."""
COMMON_MOST = 20_000
"""Not even a listing's rarest word brings up more: it says nothing."""
WEIGHED = 60
"""Variants, of those brought up, whose every word is weighed."""


class Index(Generic[K]):
    """The words of a round's listings, and which variants have them."""

    def __init__(self, wanted: Iterable[Set[str]], weights: Weights) -> None:
        """`wanted`: the words of every listing of the round."""
        self._weights = weights
        self._numbers = {word: number for number, word in enumerate({w: None for words in wanted for w in words})}
        self._weight = [weights.of(word) for word in self._numbers]
        self._having: list[array[int]] = [array("I") for _ in self._numbers]
        self._keys: list[K] = []
        self._length: array[float] = array("d")
        # The words of variant n are those from its start up to the next one's.
        self._words: array[int] = array("I")
        self._start: array[int] = array("Q", [0])

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: K, words: Set[str]) -> None:
        """Take a variant in."""
        number = len(self._keys)
        self._keys.append(key)
        self._length.append(math.sqrt(self._weights.total(words)))
        for word in words:
            known = self._numbers.get(word)
            if known is not None:
                self._having[known].append(number)
                self._words.append(known)
        self._start.append(len(self._words))

    def nearest(self, words: Set[str], most: int = KEPT) -> list[tuple[K, float]]:
        """Return the variants nearest to a listing's words and their nearness, nearest first."""
        mine = {self._numbers[word] for word in words if word in self._numbers}
        points: defaultdict[int, float] = defaultdict(float)
        opened = 0
        for word in sorted(mine, key=lambda word: (len(self._having[word]), word)):
            having = self._having[word]
            if opened + len(having) > (OPENED_MOST if opened else COMMON_MOST):
                break
            opened += len(having)
            weight = self._weight[word]
            for number in having:
                points[number] += weight
        likely = heapq.nsmallest(WEIGHED, ((-value / self._length[number], number) for number, value in points.items()))
        length = math.sqrt(self._weights.total(words))
        exact = [(-self._shared(number, mine) / (length * self._length[number]), number) for _, number in likely]
        return [(self._keys[number], -near) for near, number in heapq.nsmallest(most, exact)]

    def _shared(self, number: int, mine: Set[int]) -> float:
        """Return the weight of a variant's words that the listing has too."""
        weight = self._weight
        return sum(weight[word] for word in self._words[self._start[number] : self._start[number + 1]] if word in mine)


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
