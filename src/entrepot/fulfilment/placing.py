"""Units of lines onto as few places as will do. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from uuid import UUID

from entrepot.fulfilment.contracts import RouteLine, Stock

LOOKED_AT = 12
"""Of the places, so many of the best are tried in combinations: 12 places by 5 are 792."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Units of a line, and the variants that one unit takes."""

    line_id: UUID
    quantity: int
    parts: Mapping[UUID, int]

    @classmethod
    def of(cls, line: RouteLine) -> Wanted:
        """Return what a line asks for."""
        return cls(line.id, line.quantity, line.parts)

    def whole_at(self, place: UUID, stock: Stock) -> int:
        """Return how many whole units a place has."""
        return min((stock.get((variant, place), 0) // units for variant, units in self.parts.items()), default=0)


@dataclass(frozen=True, slots=True)
class Placed:
    """What was found: (line, place, units), and by line the units for which nothing was."""

    taken: tuple[tuple[UUID, UUID, int], ...]
    missing: dict[UUID, int]


def place_lines(
    wanted: Sequence[Wanted], places: Sequence[UUID], stock: Stock, *, most: int = 1, units: bool = False,
    partly: bool = False,
) -> Placed:  # fmt: skip
    """Put lines on at most `most` places, the fewest that hold all, and of as few the first by the order of `places`.

    `units`: a line may come from several. `partly`: where nothing holds all, as many units as can be are put; else none.
    """
    having = [place for place in places if any(line.whole_at(place, stock) for line in wanted)]
    looked_at = having[:LOOKED_AT]
    best = Placed((), {line.line_id: line.quantity for line in wanted})
    for count in range(1, min(most, len(looked_at)) + 1):
        for group in combinations(looked_at, count):
            found = _fill(wanted, group, stock, units)
            if not found.missing:
                return found
            if partly and _units(found) > _units(best):
                best = found
    return best


def _units(placed: Placed) -> int:
    return sum(units for _, _, units in placed.taken)


def _fill(wanted: Sequence[Wanted], group: Sequence[UUID], stock: Stock, units: bool) -> Placed:
    """Take each line from the first places of the group that have it."""
    used: dict[tuple[UUID, UUID], int] = {}
    taken: list[tuple[UUID, UUID, int]] = []
    missing: dict[UUID, int] = {}
    for line in wanted:
        left = line.quantity
        rooms = [(place, _left_at(line, place, stock, used)) for place in group]
        whole = next((place for place, room in rooms if room >= left), None)
        for place, room in [(whole, left)] if whole is not None else rooms if units else ():
            part = min(room, left)
            if part:
                taken.append((line.line_id, place, part))
                left -= part
                for variant, each in line.parts.items():
                    used[variant, place] = used.get((variant, place), 0) + part * each
        if left:
            missing[line.line_id] = left
    return Placed(tuple(taken), missing)


def _left_at(line: Wanted, place: UUID, stock: Stock, used: Mapping[tuple[UUID, UUID], int]) -> int:
    return min(
        (
            (stock.get((variant, place), 0) - used.get((variant, place), 0)) // units
            for variant, units in line.parts.items()
        ),
        default=0,
    )
