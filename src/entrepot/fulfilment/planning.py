"""What becomes of an order's fulfilment orders when it is looked at again: what they keep, what is routed anew. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from entrepot.fulfilment.contracts import Assignment, Sending, Stock

Units = dict[UUID, dict[UUID, int]]
"""Units by line, by fulfilment order or by place."""
Parts = Mapping[UUID, Mapping[UUID, int]]
"""Units of each variant in one unit of a line, by line."""


@dataclass(frozen=True, slots=True)
class Kept:
    """`units`: what each fulfilment order keeps; `left`: by line, what is to be routed; `stock`: what is there for that."""

    units: Units
    left: dict[UUID, int]
    stock: dict[tuple[UUID, UUID], int]


def is_complete(sendings: Sequence[Sending], reserved: Mapping[UUID, int]) -> bool:
    """Return whether fulfilment orders have together exactly what is reserved."""
    told: dict[UUID, int] = defaultdict(int)
    for sending in sendings:
        for line, units in sending.lines.items():
            told[line] += units
    return all(told.get(line, 0) == reserved.get(line, 0) for line in {*told, *reserved})


def keep(sendings: Sequence[Sending], reserved: Mapping[UUID, int], parts: Parts, stock: Stock, *, anew: bool) -> Kept:
    """Return what fulfilment orders keep of `reserved` units by line: no more than is open, nor than their place has.

    Those that rules leave alone come first. `anew`: the others keep nothing.
    """
    left, free, units_of = dict(reserved), dict(stock), Units()
    for sending in sorted(sendings, key=lambda each: (not each.is_fixed, each.id)):
        kept = units_of.setdefault(sending.id, {})
        if anew and not sending.is_fixed:
            continue
        for line, units in sending.lines.items():
            there = _room(parts.get(line, {}), sending.location_id, free)
            if part := min(units, left.get(line, 0), there):
                kept[line] = part
                left[line] -= part
                take(free, parts[line], sending.location_id, part)
    return Kept(units_of, {line: units for line, units in left.items() if units}, free)


def _room(parts: Mapping[UUID, int], place: UUID, free: Mapping[tuple[UUID, UUID], int]) -> int:
    return max(0, min((free.get((variant, place), 0) // each for variant, each in parts.items()), default=0))


def take(free: dict[tuple[UUID, UUID], int], parts: Mapping[UUID, int], place: UUID, units: int) -> None:
    """Take units of a line from what is free at a place."""
    for variant, each in parts.items():
        free[variant, place] = free.get((variant, place), 0) - each * units


@dataclass(frozen=True, slots=True)
class Outcome:
    """`units`: what fulfilment orders that are there have to send now; `new`: by place, what new ones have."""

    units: Units
    new: Units = field(default_factory=dict)


def outcome(sendings: Sequence[Sending], kept: Units, assignments: Sequence[Assignment]) -> Outcome:
    """Add what was routed to what is kept: to the open fulfilment order of the same place if there is one."""
    units = {id: dict(lines) for id, lines in kept.items()}
    new: Units = {}
    open_at = {each.location_id: each.id for each in sorted(sendings, key=lambda s: s.id) if not each.is_fixed}
    for assignment in assignments:
        if assignment.place_id is None:
            continue
        here = open_at.get(assignment.place_id)
        lines = units[here] if here is not None else new.setdefault(assignment.place_id, {})
        lines[assignment.line_id] = lines.get(assignment.line_id, 0) + assignment.quantity
    return Outcome(units, new)


def by_place(sendings: Sequence[Sending], found: Outcome) -> Units:
    """Return, by line, how many units go from which place."""
    places: Units = {}
    where = {each.id: each.location_id for each in sendings}
    told = [(where[id], lines) for id, lines in found.units.items()] + list(found.new.items())
    for place, lines in told:
        for line, units in lines.items():
            of = places.setdefault(line, {})
            of[place] = of.get(place, 0) + units
    return places
