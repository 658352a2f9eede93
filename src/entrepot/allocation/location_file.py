"""Reads which units of each SKU are at which location: what if one of them were not there? For simulations of files."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from entrepot.kernel.errors import InvalidInput

COLUMNS = ("sku", "location", "units")
LOCATIONS_MOST = 20


class UnreadableLocations(InvalidInput):
    """The file of units by location cannot be read."""


def location_choices(path: Path) -> dict[str, dict[str, float]]:
    """Return the choices to try: all locations, then without each of them, in the order in which the file names them.

    Each tells, by SKU, the part of its units that is left; whole ones are left out. A SKU that the file does not name has all of
    its units under every choice. Raises UnreadableLocations saying what is wrong, and where.
    """
    units = _units(path)
    places = list(dict.fromkeys(place for own in units.values() for place in own))
    if len(places) > LOCATIONS_MOST:
        raise UnreadableLocations(f"{path} names {len(places)} locations: {LOCATIONS_MOST} at most.")
    return {"": {}} | {f"without {place}": _kept_without(place, units) for place in places}


def _kept_without(place: str, units: Mapping[str, Mapping[str, int]]) -> dict[str, float]:
    """Return, by SKU that has units at a place, the part of its units that is elsewhere."""
    return {sku: 1 - own[place] / sum(own.values()) for sku, own in units.items() if own.get(place)}


def _units(path: Path) -> dict[str, dict[str, int]]:
    """Return units by SKU and location."""
    found: dict[str, dict[str, int]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            heads = {head.strip().lower(): head for head in rows.fieldnames or ()}
            missing = [name for name in COLUMNS if name not in heads]
            if missing:
                raise UnreadableLocations(f"{path} lacks columns: {', '.join(missing)}.")
            for number, row in enumerate(rows, start=2):
                sku, place, text = ((row[heads[name]] or "").strip() for name in COLUMNS)
                if not sku or not place:
                    raise UnreadableLocations(f"{path}, line {number}: {'location' if sku else 'sku'} is empty.")
                if not text.isdecimal():
                    raise UnreadableLocations(
                        f"{path}, line {number}: units {text!r} is not a whole number, 0 or more."
                    )
                own = found.setdefault(sku, {})
                own[place] = own.get(place, 0) + int(text)
    except OSError as error:
        raise UnreadableLocations(f"{path} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, csv.Error):
        raise UnreadableLocations(f"{path} is not a CSV file in UTF-8.") from None
    if not found:
        raise UnreadableLocations(f"{path} has no line with units.")
    return found
