"""Locations inside a replay: which units are where, where a parcel is sent from, and what became of orders. Pure.

How much a channel shows depends on the pool, not on where its units are; so locations only say from where what is sold is sent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from typing import NamedTuple

EARTH_KM = 6_371.0
ANGLES = {"latitude": 90.0, "longitude": 180.0}
"""The most degrees that each has, either way."""


class Destination(NamedTuple):
    """Where an order goes, as far as it is known: a country as orders write it; degrees."""

    country: str = ""
    latitude: float | None = None
    longitude: float | None = None


NOWHERE = Destination()


@dataclass(frozen=True, slots=True)
class Location:
    """Where stock sits. `country`: as orders write it; degrees."""

    name: str
    country: str = ""
    latitude: float | None = None
    longitude: float | None = None


class Move(NamedTuple):
    """Before the first order a part of the units of a location (its place in the order) is moved to another.

    `once`: deliveries go to where the units were before; else to where they are now.
    """

    source: int
    target: int
    part: float = 1.0
    once: bool = False


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Which units are where. `locations`: in order of priority; `units`: of each SKU at each of them, now.

    Moves come first, then the stock of what is left out is not there. A SKU without units now, or that is not known, has all of
    its stock at the first location that is not left out.
    """

    locations: Sequence[Location]
    units: Mapping[str, Sequence[int]]
    left_out: frozenset[int] = frozenset()
    moves: Sequence[Move] = ()
    nearest: bool = False
    """Whether an order is sent from the nearest location, not from the first by priority."""

    def start(self, sku: str, usual: int) -> list[int]:
        """Return what each location starts with; `usual`: units of the SKU at all of them."""
        return self._moved(sku, usual, self.moves)

    def targets(self, sku: str, usual: int) -> list[int]:
        """Return what each location is filled up to."""
        return self._moved(sku, usual, [move for move in self.moves if not move.once])

    def _moved(self, sku: str, usual: int, moves: Sequence[Move]) -> list[int]:
        found = self._at_first(sku, usual)
        for move in moves:
            taken = math.floor(found[move.source] * move.part + 0.5)
            found[move.source] -= taken
            found[move.target] += taken
        return [0 if place in self.left_out else units for place, units in enumerate(found)]

    def _at_first(self, sku: str, usual: int) -> list[int]:
        parts = self.units.get(sku, ())
        if sum(parts):
            return apportioned(usual, parts)
        found = [0] * len(self.locations)
        here = [place for place in range(len(found)) if place not in self.left_out]
        if here:
            found[here[0]] = usual
        return found


def apportioned(units: int, parts: Sequence[int]) -> list[int]:
    """Return whole units divided by parts; the largest remainders get one more, the first ones where they are equal."""
    whole = sum(parts)
    found = [units * part // whole for part in parts]
    rest = sorted(range(len(parts)), key=lambda place: (-(units * parts[place] % whole), place))
    for place in rest[: units - sum(found)]:
        found[place] += 1
    return found


def filled(stock: MutableSequence[int], targets: Sequence[int]) -> None:
    """Bring in what is missing in all, where it is missing, the first location first."""
    more = max(0, sum(targets) - sum(stock))
    for place, target in enumerate(targets):
        brought = min(more, max(0, target - stock[place]))
        stock[place] += brought
        more -= brought


def same_country(one: str, other: str) -> bool:
    """Return whether two countries are written alike, whatever the case."""
    return one.strip().casefold() == other.strip().casefold()


def distance_km(location: Location, to: Destination) -> float | None:
    """Return how far a destination is on the globe; None where coordinates are missing."""
    if location.latitude is None or location.longitude is None or to.latitude is None or to.longitude is None:
        return None
    north, south = math.radians(location.latitude), math.radians(to.latitude)
    east = math.radians(to.longitude - location.longitude)
    part = math.sin((south - north) / 2) ** 2 + math.cos(north) * math.cos(south) * math.sin(east / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, part)))


def by_nearness(locations: Sequence[Location], to: Destination) -> tuple[int, ...]:
    """Return the places of locations, the nearest first.

    By distance where all of them and the destination have coordinates; else those in the same country first; then by priority.
    """
    far = [distance_km(location, to) for location in locations]
    if None not in far:
        return tuple(sorted(range(len(far)), key=lambda place: (far[place], place)))
    home = [bool(to.country) and same_country(location.country, to.country) for location in locations]
    return tuple(sorted(range(len(home)), key=lambda place: (not home[place], place)))


class Sent(NamedTuple):
    """What became of orders. `told`: parcels where both countries are known, `abroad`: those of them to another country."""

    orders: int = 0
    split: int = 0
    parcels: int = 0
    told: int = 0
    abroad: int = 0


class Parcels:
    """Parcels over all SKUs of a replay: one for each order and location that something of it is sent from."""

    def __init__(self, arrangement: Arrangement) -> None:
        self._locations, self._nearest = arrangement.locations, arrangement.nearest
        self._ranks: dict[Destination, Sequence[int]] = {}
        self._by_priority = range(len(self._locations))
        self._from: dict[int, int] = {}
        """By order the locations that it is sent from, as bits."""
        self._to: dict[int, Destination] = {}
        self._alone = 0

    def send(self, order: int, to: Destination, units: int, stock: MutableSequence[int]) -> None:
        """Take units off the stock by location and note the parcels. An order below 0 has no number: it is alone."""
        bits = 0
        for place in self._rank(to):
            here = stock[place]
            if here:
                taken = min(here, units)
                stock[place] -= taken
                units -= taken
                bits |= 1 << place
                if not units:
                    break
        if order < 0:
            self._alone -= 1
            order = self._alone
        self._from[order] = self._from.get(order, 0) | bits
        self._to[order] = to

    def _rank(self, to: Destination) -> Sequence[int]:
        if not self._nearest:
            return self._by_priority
        found = self._ranks.get(to)
        if found is None:
            found = self._ranks[to] = by_nearness(self._locations, to)
        return found

    def sent(self) -> Sent:
        """Return what became of all orders."""
        known = sum(1 << place for place, location in enumerate(self._locations) if location.country.strip())
        abroad: dict[str, int] = {}
        split = parcels = told = away = 0
        for order, bits in self._from.items():
            many = bits.bit_count()
            parcels += many
            split += many > 1
            country = self._to[order].country
            if country:
                if country not in abroad:
                    home = [same_country(location.country, country) for location in self._locations]
                    abroad[country] = known & ~sum(1 << place for place, here in enumerate(home) if here)
                told += (bits & known).bit_count()
                away += (bits & abroad[country]).bit_count()
        return Sent(len(self._from), split, parcels, told, away)
