"""What a person types about locations for a simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from entrepot.allocation.facade import SimulationSettings
from entrepot.allocation.location_choices import (
    ALL,
    SENDING,
    LocationChoice,
    Moving,
    Whereabouts,
    moved,
    only,
    sent_by,
    without,
)
from entrepot.kernel.errors import InvalidInput

Places = Sequence[tuple[UUID, str]]
"""(id, name) of the locations in use."""

FIRST: Mapping[str, Any] = {
    "choice": ["all"], "send": ["priority"], "move_from": "", "move_to": "", "move_part": "100", "move_once": "", "where": {},
}  # fmt: skip


def read(form: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return what a form tells about locations, as it was typed."""
    plain = {name: str(value).strip() for name, value in form if isinstance(value, str)}
    where: dict[str, dict[str, str]] = {}
    for name, value in plain.items():
        what, _, id = name.partition(":")
        if what in ("country", "coordinates") and id:
            where.setdefault(id, {})[what] = value
    typed: dict[str, Any] = {name: plain.get(name, "") for name in ("move_from", "move_to", "move_part", "move_once")}
    for name in ("choice", "send"):
        typed[name] = [value for key, value in form if key == name]
    return {**typed, "where": where}


def choices(typed: Mapping[str, Any], places: Places) -> list[LocationChoice]:
    """Return the choices that were typed; none if nothing was chosen. Raises InvalidInput."""
    names = {str(id): name for id, name in places}
    found = []
    for told in typed["choice"]:
        kind, _, id = told.partition(":")
        if kind == "all":
            found.append(LocationChoice(ALL))
        elif kind == "move":
            found.append(moved(_moving(typed, names), names))
        elif id not in names or kind not in ("without", "only"):
            raise InvalidInput("A location that was chosen is not in use any more: choose again.")
        else:
            found.append(without(id, names[id]) if kind == "without" else only(id, names[id], list(names)))
    ways = [way for way in SENDING if way in typed["send"]]
    return sent_by(found, ways or ["priority"])


def _moving(typed: Mapping[str, Any], names: Mapping[str, str]) -> Moving:
    source, target = typed["move_from"], typed["move_to"]
    if source not in names or target not in names:
        raise InvalidInput("Choose from which location to which the units are to be.")
    try:
        part = float(typed["move_part"].replace(",", ".")) / 100
    except ValueError:
        raise InvalidInput("The part of the units that are moved must be a number, such as 100.") from None
    return Moving(source, target, part, bool(typed["move_once"]))


def whereabouts(typed: Mapping[str, Any]) -> list[Whereabouts]:
    """Return where locations were said to be. Raises InvalidInput."""
    found = []
    for id, told in typed["where"].items():
        country, text = told.get("country", ""), told.get("coordinates", "")
        degrees: list[float] = []
        with suppress(ValueError):
            degrees = [float(part) for part in text.split(",")] if text else []
        if len(degrees) not in (0, 2) or (text and not degrees):
            raise InvalidInput(
                f"{text[:40]!r} are no coordinates: write a latitude and a longitude such as 38.72, -9.14."
            )
        if country or degrees:
            found.append(Whereabouts(id, country[:80], *degrees))
    return found


def typed_of(told: SimulationSettings, places: Places) -> dict[str, Any]:
    """Return what would be typed for these settings; of several moves the first."""
    typed: dict[str, Any] = {**FIRST, "where": {}}
    ids = {str(id) for id, _ in places}
    chosen: dict[str, None] = {}
    for each in told.locations:
        if each.moves:
            chosen["move"] = None
            move = each.moves[0]
            typed |= {
                "move_from": move.source, "move_to": move.target, "move_part": f"{move.part * 100:g}",
                "move_once": "1" if move.once else "",
            }  # fmt: skip
        elif not each.left_out:
            chosen["all"] = None
        elif each.name.startswith("Without ") and len(each.left_out) == 1:
            chosen[f"without:{each.left_out[0]}"] = None
        else:
            chosen |= {f"only:{id}": None for id in ids - set(each.left_out)}
    typed["choice"] = list(chosen)
    typed["send"] = list(dict.fromkeys(each.send for each in told.locations)) or ["priority"]
    for place in told.whereabouts:
        coordinates = "" if place.latitude is None else f"{place.latitude:g}, {place.longitude:g}"
        typed["where"][place.location_id] = {"country": place.country, "coordinates": coordinates}
    return typed
