"""Choices of locations that a simulation tries side by side: all, without one, one alone, units moved, the nearest. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from entrepot.allocation.replay_locations import ANGLES, Move
from entrepot.kernel.errors import InvalidInput

CHOICES_MOST = 20
SENDING = ("priority", "nearest")
ALL = "All locations"
NEAREST = ", sent from the nearest"


class InvalidLocationChoice(InvalidInput):
    """The choice of locations makes no sense."""


class Moving(msgspec.Struct, frozen=True):
    """A part of the units of one location is at another before the first order; `once`: deliveries go to where it was."""

    source: str
    target: str
    part: float = 1.0
    once: bool = False


class LocationChoice(msgspec.Struct, frozen=True):
    """One choice, by the name that it is shown under. Moves come first, then what is left out is not there.

    `send`: from the first location by `priority` that has units, or from the `nearest` to the order.
    """

    name: str
    left_out: list[str] = []
    moves: list[Moving] = []
    send: str = "priority"


class Whereabouts(msgspec.Struct, frozen=True):
    """Where a location is: a country as orders write it (two letters), and degrees if they are known."""

    location_id: str
    country: str = ""
    latitude: float | None = None
    longitude: float | None = None


class Placing(msgspec.Struct, frozen=True):
    """A choice by the places of locations in their order, as a replay takes it."""

    left_out: list[int] = []
    moves: list[Move] = []
    nearest: bool = False


def without(id: str, name: str) -> LocationChoice:
    """Return the choice without the stock of one location."""
    return LocationChoice(f"Without {name}", [id])


def only(id: str, name: str, ids: Sequence[str]) -> LocationChoice:
    """Return the choice with the stock of one location and of no other."""
    return LocationChoice(f"Only {name}", [other for other in ids if other != id])


def moved(moving: Moving, names: Mapping[str, str]) -> LocationChoice:
    """Return the choice with units of one location at another; `names`: of locations by id."""
    part = "" if moving.part == 1 else f"{moving.part * 100:g}% of "
    words = f"{part}{names[moving.source]} at {names[moving.target]}{' at first' if moving.once else ''}"
    return LocationChoice(words[:1].upper() + words[1:], [], [moving])


def sent_by(choices: Sequence[LocationChoice], ways: Sequence[str]) -> list[LocationChoice]:
    """Return every choice with every way of sending, the first way first."""
    return [
        LocationChoice(each.name + (NEAREST if way == "nearest" else ""), each.left_out, each.moves, way)
        for way in ways
        for each in choices
    ]


def choice_of(text: str, names: Sequence[str]) -> LocationChoice:
    """Return a choice as it is typed: all, without X, only Y, X at Y, 30% of X at Y; "at first" last: only at the start.

    `names`: of the locations, which are their ids too. Raises InvalidLocationChoice.
    """
    known = {name.casefold(): name for name in names}

    def location(word: str) -> str:
        found = known.get(word.strip().casefold())
        if found is None:
            raise InvalidLocationChoice(
                f"{text.strip()[:80]!r} names no location that is known: write all, without X, only Y, X at Y or 30% of X at Y,"
                f" where X and Y are among {', '.join(names)}."
            )
        return found

    plain = text.strip()
    if plain.casefold() in ("all", ALL.casefold()):
        return LocationChoice(ALL)
    if match := re.fullmatch(r"without\s+(.+)", plain, re.IGNORECASE):
        return without(location(match[1]), location(match[1]))
    if match := re.fullmatch(r"only\s+(.+)", plain, re.IGNORECASE):
        return only(location(match[1]), location(match[1]), names)
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)%\s+of\s+)?(.+?)\s+at\s+(.+?)(\s+at\s+first)?", plain, re.IGNORECASE)
    if not match:
        location(plain)
        raise InvalidLocationChoice(
            f"{plain[:80]!r} says not what is to be tried: write only {plain[:80]}, for instance."
        )
    moving = Moving(location(match[2]), location(match[3]), float(match[1] or 100) / 100, match[4] is not None)
    choice = moved(moving, {name: name for name in names})
    check([choice], [])
    return choice


def check(choices: Sequence[LocationChoice], whereabouts: Sequence[Whereabouts]) -> None:
    """Raises InvalidLocationChoice saying what is wrong."""
    if len(choices) > CHOICES_MOST:
        raise InvalidLocationChoice(f"Choices of locations are at most {CHOICES_MOST}.")
    if len({choice.name for choice in choices}) < len(choices) or not all(choice.name.strip() for choice in choices):
        raise InvalidLocationChoice("Give each choice of locations a name of its own.")
    for choice in choices:
        if choice.send not in SENDING:
            raise InvalidLocationChoice(f"Orders are sent by {' or '.join(SENDING)}, not by {choice.send[:40]!r}.")
        for move in choice.moves:
            if move.source == move.target:
                raise InvalidLocationChoice(f"{choice.name}: units are moved to another location, not to the same.")
            if not 0 < move.part <= 1:
                raise InvalidLocationChoice(
                    f"{choice.name}: the part that is moved is more than 0 and at most all of it."
                )
    for place in whereabouts:
        degrees = (place.latitude, place.longitude)
        if (degrees[0] is None) != (degrees[1] is None):
            raise InvalidLocationChoice("Coordinates are two numbers, the latitude and the longitude.")
        for value, (what, most) in zip(degrees, ANGLES.items(), strict=True):
            if value is not None and not -most <= value <= most:
                raise InvalidLocationChoice(f"A {what} lies between -{most:g} and {most:g} degrees.")


def placed(choice: LocationChoice, ids: Sequence[str], left_out: Sequence[str] = ()) -> Placing:
    """Return a choice by places; `left_out`: of all choices. Raises InvalidLocationChoice for a location that is not there."""
    places = {id: place for place, id in enumerate(ids)}

    def place_of(id: str) -> int:
        if id not in places:
            raise InvalidLocationChoice(f"{choice.name}: a location that it names is not in use (any more).")
        return places[id]

    return Placing(
        sorted({*map(place_of, choice.left_out), *(places[id] for id in left_out if id in places)}),
        [Move(place_of(move.source), place_of(move.target), move.part, move.once) for move in choice.moves],
        choice.send == "nearest",
    )
