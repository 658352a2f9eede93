"""Why two records may be one product or not, in words for people, from what they say themselves. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from entrepot.catalog.matching.features import Weights
from entrepot.catalog.matching.words import Prepared, parts_of, plain, squash

WORDS_MOST = 6
_PIECE = re.compile(r"[^\W_]+(?:[-./][^\W_]+)*|[\W_]+")


def reasons(listing: Prepared, variant: Prepared, weights: Weights) -> list[str]:
    """Return what speaks for and against, the weightiest first."""
    said = []
    codes = sorted(listing.more_codes & variant.more_codes, key=weights.of, reverse=True)
    if codes:
        said.append(f"Both name {', '.join(codes[:3])}.")
    elif listing.codes and variant.codes:
        said.append(f"Other model numbers: {_few(listing.codes, weights)} there, {_few(variant.codes, weights)} here.")
    both = listing.words & variant.words
    said.append(f"{len(both)} of {len(listing.words)} words of the listing are in ours.")
    for unit in sorted(listing.measures.keys() & variant.measures.keys()):
        there, here = listing.measures[unit], variant.measures[unit]
        if not there & here:
            said.append(f"{', '.join(sorted(there))} {unit} there, {', '.join(sorted(here))} {unit} here.")
    if listing.colours and variant.colours and not listing.colours & variant.colours:
        said.append(f"{', '.join(sorted(listing.colours))} there, {', '.join(sorted(variant.colours))} here.")
    if listing.price and variant.price and listing.price[1] == variant.price[1]:
        apart = (listing.price[0] - variant.price[0]) / variant.price[0]
        said.append(
            "The same price." if not apart else f"{abs(apart):.0%} {'dearer' if apart > 0 else 'cheaper'} there."
        )
    if listing.brand and variant.brand:
        same = listing.brand == variant.brand
        said.append("The same brand." if same else f"Brand {listing.brand} there, {variant.brand} here.")
    return said


def _few(words: frozenset[str], weights: Weights) -> str:
    return ", ".join(sorted(words, key=lambda word: (-weights.of(word), word))[:WORDS_MOST])


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text; `differs`: the other text has no such word."""

    text: str
    differs: bool


def marked(text: str, other: str) -> Sequence[Piece]:
    """Return a text in pieces that together are the text, those words marked that the other one does not have."""
    known = {part for piece in _PIECE.findall(plain(other)) for part in parts_of(piece)}
    run_together = squash(plain(other))

    def differs(piece: str) -> bool:
        if not piece[0].isalnum():
            return False
        word = plain(piece)
        # "18 V" and "18V" are one thing; a letter alone says nothing.
        if len(word) == 1 or (any(c.isdigit() for c in word) and squash(word) in run_together):
            return False
        return any(part not in known for part in parts_of(word))

    return [Piece(piece, differs(piece)) for piece in _PIECE.findall(text)]


def never(listing: Prepared, variant: Prepared) -> bool:
    """Return whether the records cannot be one product: both have a barcode, and not the same."""
    return bool(listing.gtin and variant.gtin and listing.gtin != variant.gtin)
