"""What is measured about a listing and a variant. Pure. Every feature is a number; -1: it cannot be said."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from rapidfuzz import fuzz
from rapidfuzz.distance import JaroWinkler, LCSseq

from entrepot.catalog.matching.words import Prepared

UNKNOWN = -1.0
CODE_MIN = 4
"""Characters of a model number that is looked for inside running text."""
NEAR_WORD = 0.85
"""Words as alike as this (Jaro-Winkler) count in part: misspelt, cut off, another form."""

NAMES = (
    "alike", "listing_in_variant", "variant_in_listing", "alike_more", "listing_in_variant_more",
    "variant_in_listing_more", "listing_left", "variant_left", "listing_left_most", "variant_left_most", "shared_most",
    "shared", "token_set", "token_sort", "partial", "ratio", "squashed_partial", "listing_soft", "variant_soft",
    "code_shared", "code_shared_more", "code_in_variant", "code_in_listing", "code_in_more", "code_near", "code_start",
    "code_sequence", "listing_codes_left", "variant_codes_left", "code_conflict", "numbers_shared",
    "listing_numbers_left", "variant_numbers_left", "measures_equal", "measures_differ", "more_measures_equal",
    "more_measures_differ", "colours_shared", "listing_colours_left", "variant_colours_left", "brand",
    "listing_brand_in_title", "variant_brand_in_title", "price_apart", "price_higher", "descriptions",
    "near", "listing_rank", "listing_lead", "variant_rank", "variant_lead",
)  # fmt: skip
"""The features in their order. The last five are how the pair stands among the others, see `Standing`."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How much a word tells, 0 to 1: the fewer records have it, the more. From counts over a sample of records."""

    records: int
    counts: Mapping[str, int]

    def of(self, word: str) -> float:
        """Return the weight of a word."""
        return math.log((self.records + 1) / (self.counts.get(word, 0) + 0.5)) / math.log(2 * (self.records + 1))

    def total(self, words: Iterable[str]) -> float:
        """Return the weight of words together."""
        return sum(map(self.of, words))


def weigh(records: Iterable[Set[str]]) -> Weights:
    """Count words over records."""
    counts: Counter[str] = Counter()
    number = 0
    for words in records:
        counts.update(words)
        number += 1
    return Weights(number, counts)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a pair stands: its nearness, how many variants are nearer to the listing and listings to the variant, and by
    how much it leads the best other (negative: it trails)."""

    near: float
    listing_rank: int = 0
    listing_lead: float = 0.0
    variant_rank: int = 0
    variant_lead: float = 0.0


def nearness(weights: Weights, one: Set[str], other: Set[str]) -> float:
    """Return the share of weight that two sets of words have in common, 0 to 1."""
    own, theirs = weights.total(one), weights.total(other)
    return weights.total(one & other) / math.sqrt(own * theirs) if own and theirs else 0.0


def compare(listing: Prepared, variant: Prepared, weights: Weights, standing: Standing) -> list[float]:
    """Return the features of a pair, in the order of NAMES."""
    a, b = listing, variant
    # A word that the other one writes together with its neighbours is not missing there.
    left_a = [x for x in a.words - b.more_words if len(x) < 3 or x not in b.more_squashed]
    left_b = [x for x in b.words - a.more_words if len(x) < 3 or x not in a.more_squashed]
    shared = [weights.of(x) for x in a.words & b.words]
    weighed_a, weighed_b = [weights.of(x) for x in left_a], [weights.of(x) for x in left_b]
    return [
        nearness(weights, a.words, b.words),
        _inside(weights, a.words, b.words),
        _inside(weights, b.words, a.words),
        nearness(weights, a.more_words, b.more_words),
        _inside(weights, a.words, b.more_words),
        _inside(weights, b.words, a.more_words),
        sum(weighed_a),
        sum(weighed_b),
        max(weighed_a, default=0.0),
        max(weighed_b, default=0.0),
        max(shared, default=0.0),
        sum(shared),
        fuzz.token_set_ratio(a.title, b.title) / 100,
        fuzz.token_sort_ratio(a.title, b.title) / 100,
        fuzz.partial_ratio(a.title, b.title) / 100,
        fuzz.ratio(a.title, b.title) / 100,
        fuzz.partial_ratio(a.squashed, b.squashed) / 100,
        _soft(weights, a.words, b.words),
        _soft(weights, b.words, a.words),
        *_codes(a, b, weights),
        float(len(a.numbers & b.numbers)),
        float(len(a.numbers - b.numbers)),
        float(len(b.numbers - a.numbers)),
        *_measured(a.measures, b.measures),
        *_measured(a.more_measures, b.more_measures),
        float(len(a.colours & b.colours)),
        float(len(a.colours - b.colours)),
        float(len(b.colours - a.colours)),
        *_brand(a, b),
        *_price(a, b),
        _described(a, b, weights),
        standing.near,
        float(standing.listing_rank),
        standing.listing_lead,
        float(standing.variant_rank),
        standing.variant_lead,
    ]


def _inside(weights: Weights, one: Set[str], other: Set[str]) -> float:
    """Return the share of the first one's weight that the other has too."""
    whole = weights.total(one)
    return weights.total(one & other) / whole if whole else UNKNOWN


def _soft(weights: Weights, one: Set[str], other: Set[str]) -> float:
    """Return the share of the first one's weight that the other has too, nearly equal words in part."""
    whole = found = 0.0
    for word in one:
        weight = weights.of(word)
        whole += weight
        if word in other:
            found += weight
        else:
            found += weight * max((JaroWinkler.similarity(word, x, score_cutoff=NEAR_WORD) for x in other), default=0.0)
    return found / whole if whole else UNKNOWN


def _codes(a: Prepared, b: Prepared, weights: Weights) -> list[float]:
    in_b = max((len(c) for c in a.codes if len(c) >= CODE_MIN and c in b.squashed), default=0)
    in_a = max((len(c) for c in b.codes if len(c) >= CODE_MIN and c in a.squashed), default=0)
    in_more = max(
        max((len(c) for c in a.codes if len(c) >= CODE_MIN and c in b.more_squashed), default=0),
        max((len(c) for c in b.codes if len(c) >= CODE_MIN and c in a.more_squashed), default=0),
    )
    near = start = sequence = UNKNOWN
    for x in a.codes:
        for y in b.codes:
            near = max(near, JaroWinkler.similarity(x, y))
            start = max(start, _common_start(x, y) / min(len(x), len(y)))
            sequence = max(sequence, LCSseq.similarity(x, y) / max(len(x), len(y)))
    left_a = [c for c in a.codes if c not in b.more_codes and c not in b.more_squashed]
    left_b = [c for c in b.codes if c not in a.more_codes and c not in a.more_squashed]
    # Built alike and yet different: neighbours of one series, not one product written in two ways.
    conflict = max(
        (LCSseq.normalized_similarity(x, y) for x in left_a for y in left_b if _shape(x)[:3] == _shape(y)[:3]),
        default=UNKNOWN,
    )
    return [
        max((weights.of(c) for c in a.codes & b.codes), default=0.0),
        max((weights.of(c) for c in a.more_codes & b.more_codes), default=0.0),
        float(in_b), float(in_a), float(in_more), near, start, sequence, float(len(left_a)), float(len(left_b)), conflict,
    ]  # fmt: skip


def _common_start(x: str, y: str) -> int:
    for place, (one, other) in enumerate(zip(x, y, strict=False)):
        if one != other:
            return place
    return min(len(x), len(y))


def _shape(code: str) -> str:
    return "".join("9" if c.isdigit() else "a" for c in code)


def _measured(a: Mapping[str, frozenset[str]], b: Mapping[str, frozenset[str]]) -> tuple[float, float]:
    """Return of how many units both name an equal number, and of how many only different ones."""
    both = a.keys() & b.keys()
    equal = sum(1 for unit in both if a[unit] & b[unit])
    return float(equal), float(len(both) - equal)


def _brand(a: Prepared, b: Prepared) -> tuple[float, float, float]:
    own, theirs = a.brand or a.title.partition(" ")[0], b.brand or b.title.partition(" ")[0]
    return (
        JaroWinkler.similarity(own, theirs),
        fuzz.token_set_ratio(own, b.title) / 100,
        fuzz.token_set_ratio(theirs, a.title) / 100,
    )


def _price(a: Prepared, b: Prepared) -> tuple[float, float]:
    """Return how far the prices are apart (logarithm of their ratio) and the same with its sign (-9: not known)."""
    if a.price is None or b.price is None or a.price[1] != b.price[1]:
        return UNKNOWN, -9.0
    ratio = math.log(a.price[0] / b.price[0])
    return abs(ratio), ratio


def _described(a: Prepared, b: Prepared, weights: Weights) -> float:
    own, theirs = a.more_words - a.words, b.more_words - b.words
    return nearness(weights, own, theirs) if own and theirs else UNKNOWN
