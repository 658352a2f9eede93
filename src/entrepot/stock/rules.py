"""How claims are met from locked levels. Pure: no clock, no database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID


class Stocked(Protocol):
    """A level that units can be taken from."""

    @property
    def variant_id(self) -> UUID: ...
    @property
    def location_id(self) -> UUID: ...
    @property
    def free(self) -> int: ...
    @property
    def available_to_sell(self) -> int: ...


L = TypeVar("L", bound=Stocked)


@dataclass(frozen=True, slots=True)
class Take:
    """So many units of a line from one level; `line` counts from 0."""

    line: int
    variant_id: UUID
    location_id: UUID
    quantity: int


def in_order(levels: Iterable[L], rank: Mapping[UUID, int]) -> list[L]:
    """Return levels in the order in which stock is taken: by the location's priority."""
    return sorted(levels, key=lambda level: rank.get(level.location_id, len(rank)))


def take_all_or_nothing(
    lines: Sequence[tuple[UUID, int]], levels: Mapping[UUID, Sequence[Stocked]], *, safety_too: bool = False
) -> tuple[list[Take], list[tuple[UUID, int, int]]]:
    """Meet all lines from what is available to sell, or none. `safety_too`: from the safety stock as well.

    `levels` are in the order in which stock is taken. Returns (takes, []) or ([], [(variant, asked, available)]), where
    a variant that several lines ask for is judged by their sum.
    """
    asked: dict[UUID, int] = {}
    for variant_id, quantity in lines:
        asked[variant_id] = asked.get(variant_id, 0) + quantity
    short = []
    for variant_id, quantity in asked.items():
        available = sellable(levels.get(variant_id, ()), safety_too=safety_too)
        if available < quantity:
            short.append((variant_id, quantity, max(0, available)))
    if short:
        return [], short
    takes: list[Take] = []
    left = {id(level): _units(level, safety_too) for variant_id in asked for level in levels.get(variant_id, ())}
    for number, (variant_id, quantity) in enumerate(lines):
        wanted = quantity
        for level in levels[variant_id]:
            part = min(wanted, left[id(level)])
            if part > 0:
                takes.append(Take(number, variant_id, level.location_id, part))
                left[id(level)] -= part
                wanted -= part
            if not wanted:
                break
    return takes, []


class Part(Protocol):
    """So many units of a variant in one bundle."""

    @property
    def variant_id(self) -> UUID: ...
    @property
    def quantity(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Piece:
    """What one line asks of one variant: the line's own, or a part of its bundle (`per_bundle` units in each)."""

    line: int
    variant_id: UUID
    quantity: int
    per_bundle: int = 1


def pieces(lines: Sequence[tuple[UUID, int]], parts: Mapping[UUID, Sequence[Part]]) -> list[Piece]:
    """Return what these lines ask of stock: a line of a bundle asks for each of its parts."""
    asked = []
    for number, (variant_id, quantity) in enumerate(lines):
        if variant_id in parts:
            asked += [Piece(number, p.variant_id, quantity * p.quantity, p.quantity) for p in parts[variant_id]]
        else:
            asked.append(Piece(number, variant_id, quantity))
    return asked


def refused_lines(
    lines: Sequence[tuple[UUID, int]], parts: Mapping[UUID, Sequence[Part]], short: Sequence[tuple[UUID, int, int]]
) -> list[tuple[UUID, int, int]]:
    """Say what is short in the words of who asked: (variant asked for, asked, available), a bundle as a bundle.

    `short` is (variant, asked, available) of single variants. Of a bundle as many are available as its scarcest part
    makes if nothing else were taken of it.
    """
    left = {variant_id: (asked, available) for variant_id, asked, available in short}
    told: dict[UUID, tuple[int, int]] = {}
    for variant_id, quantity in lines:
        if variant_id in left:
            told[variant_id] = left[variant_id]
            continue
        lacking = [left[p.variant_id][1] // p.quantity for p in parts.get(variant_id, ()) if p.variant_id in left]
        if lacking:
            told[variant_id] = (told.get(variant_id, (0, 0))[0] + quantity, min(lacking))
    return [(variant_id, asked, available) for variant_id, (asked, available) in told.items()]


def sellable(levels: Iterable[Stocked], *, safety_too: bool = False) -> int:
    """Return the units that all levels together can sell; a level in deficit takes nothing from the others."""
    return sum(max(0, _units(level, safety_too)) for level in levels)


def _units(level: Stocked, safety_too: bool) -> int:
    return level.free if safety_too else level.available_to_sell


def take_what_is_there(quantity: int, levels: Iterable[L]) -> tuple[list[tuple[L, int]], int]:
    """Meet a sale that has been made already, down to the last free unit; return (parts by level, units short)."""
    parts: list[tuple[L, int]] = []
    for level in levels:
        part = min(quantity, level.free)
        if part > 0:
            parts.append((level, part))
            quantity -= part
        if not quantity:
            break
    return parts, quantity
