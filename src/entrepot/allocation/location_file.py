"""Reads which units of each SKU are at which location, and where those are: for simulations of files."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from entrepot.allocation.replay_locations import ANGLES, Location
from entrepot.kernel.errors import InvalidInput

COLUMNS = ("sku", "location", "units")
WHERE = ("country", *ANGLES)
"""Columns that may be there too; what the first line of a location says counts."""
LOCATIONS_MOST = 20


class UnreadableLocations(InvalidInput):
    """The file of units by location cannot be read."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Locations in the order in which the file names them, which is their priority, and the units of each SKU there."""

    locations: tuple[Location, ...]
    units: Mapping[str, Sequence[int]]


def read_stores(path: Path) -> Stores:
    """Return the locations of a file and what is there. Raises UnreadableLocations saying what is wrong, and where."""
    found: dict[str, dict[str, int]] = {}
    where: dict[str, Location] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            heads = {head.strip().lower(): head for head in rows.fieldnames or ()}
            missing = [name for name in COLUMNS if name not in heads]
            if missing:
                raise UnreadableLocations(f"{path} lacks columns: {', '.join(missing)}.")
            for number, row in enumerate(rows, start=2):
                told = {name: (row[heads[name]] or "").strip() for name in (*COLUMNS, *WHERE) if name in heads}
                sku, place, units = _line(f"{path}, line {number}", told)
                where.setdefault(place, _location(f"{path}, line {number}", place, told))
                own = found.setdefault(sku, {})
                own[place] = own.get(place, 0) + units
    except OSError as error:
        raise UnreadableLocations(f"{path} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, csv.Error):
        raise UnreadableLocations(f"{path} is not a CSV file in UTF-8.") from None
    if not found:
        raise UnreadableLocations(f"{path} has no line with units.")
    if len(where) > LOCATIONS_MOST:
        raise UnreadableLocations(f"{path} names {len(where)} locations: {LOCATIONS_MOST} at most.")
    return Stores(tuple(where.values()), {sku: [own.get(place, 0) for place in where] for sku, own in found.items()})


def _line(at: str, told: Mapping[str, str]) -> tuple[str, str, int]:
    sku, place, text = (told[name] for name in COLUMNS)
    if not sku or not place:
        raise UnreadableLocations(f"{at}: {'location' if sku else 'sku'} is empty.")
    if not text.isdecimal():
        raise UnreadableLocations(f"{at}: units {text!r} is not a whole number, 0 or more.")
    return sku, place, int(text)


def _location(at: str, name: str, told: Mapping[str, str]) -> Location:
    degrees: list[float | None] = []
    for what, most in ANGLES.items():
        text = told.get(what, "")
        try:
            value = float(text) if text else None
        except ValueError:
            value = math.nan
        if value is not None and not -most <= value <= most:
            raise UnreadableLocations(f"{at}: {what} {text!r} is not a number of degrees from -{most:g} to {most:g}.")
        degrees.append(value)
    return Location(name, told.get("country", ""), *degrees)
