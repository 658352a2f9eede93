"""What a simulation is asked for: policies, lags, locations and the rest, checked. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import msgspec

from entrepot.allocation import location_choices
from entrepot.allocation.contracts import Policy
from entrepot.allocation.location_choices import LocationChoice, Whereabouts
from entrepot.allocation.rules import check_policy
from entrepot.allocation.simulate import NAMED
from entrepot.kernel.errors import InvalidInput

TRIALS_MAX = 60
"""Policies times lags times choices of locations."""
LAG_MOST_S = 7 * 86_400.0
DAYS_MOST = 3_650.0
SHARES: Mapping[str, float] = {"first": 0.5, "second": 0.3, "third": 0.2}
"""Channels of a file that names none, with their parts of the orders."""


class InvalidSimulation(InvalidInput):
    """The simulation cannot be run like that."""


class Choice(msgspec.Struct, frozen=True):
    """A policy to try, by the name that it is shown under."""

    name: str
    strategy: str
    parameters: dict[str, Any] = {}


class SimulationSettings(msgspec.Struct, frozen=True):
    """What to try. Lags in seconds; `margin`: part of the price where no cost is known; `oversell_cost`: in margins.

    `since` and `until` (dates, the last one included) choose among the hub's own orders; `left_out`: locations whose stock is
    not there under any choice; `shares`, `seed`: which order goes to which channel, where a file names no channels. `locations`:
    choices to try side by side (none: it is not asked which units are where), `whereabouts`: where locations are.
    """

    policies: list[Choice]
    lags_s: list[float]
    since: str = ""
    until: str = ""
    cover_days: float = 28.0
    every_days: float = 42.0
    margin: float = 0.3
    oversell_cost: float = 10.0
    left_out: list[str] = []
    shares: dict[str, float] = msgspec.field(default_factory=lambda: dict(SHARES))
    seed: int = 1
    locations: list[LocationChoice] = []
    whereabouts: list[Whereabouts] = []

    def trials(self) -> list[tuple[float, LocationChoice | None, Choice]]:
        """Return what is tried, in order: lag, choice of locations, policy."""
        locations: list[LocationChoice | None] = [*self.locations] or [None]
        return [(lag, where, policy) for lag in self.lags_s for where in locations for policy in self.policies]


def choices(names: Sequence[str], present: Policy | None = None) -> list[Choice]:
    """Return the policies of these names; `present`: the shop's own, as `now`. Raises InvalidSimulation."""
    found = []
    for name in names:
        if name == "now" and present is not None:
            found.append(Choice("now", present.strategy, dict(present.parameters)))
        elif name in NAMED:
            found.append(Choice(name, NAMED[name].strategy, dict(NAMED[name].parameters)))
        else:
            raise InvalidSimulation(f"There is no policy {name!r} to simulate: choose among {', '.join(NAMED)}, now.")
    return found


def check_settings(settings: SimulationSettings) -> SimulationSettings:
    """Return the settings. Raises InvalidSimulation, InvalidPolicy saying what is wrong."""
    if not settings.policies or not settings.lags_s:
        raise InvalidSimulation("Choose at least one policy and one lag.")
    if len(settings.trials()) > TRIALS_MAX:
        raise InvalidSimulation(f"Policies times lags times choices of locations are at most {TRIALS_MAX}.")
    for choice in settings.policies:
        check_policy(choice.strategy, choice.parameters)
    if len({choice.name for choice in settings.policies}) < len(settings.policies):
        raise InvalidSimulation("Give each policy a name of its own.")
    if not all(0 <= lag <= LAG_MOST_S for lag in settings.lags_s):
        raise InvalidSimulation("A lag lies between 0 seconds and 7 days.")
    if not (0 < settings.cover_days <= DAYS_MOST and 0 < settings.every_days <= DAYS_MOST):
        raise InvalidSimulation(f"Days of stock and days between deliveries are more than 0, up to {DAYS_MOST:,.0f}.")
    if not (0 < settings.margin <= 1 and 0 <= settings.oversell_cost <= 1_000):
        raise InvalidSimulation("The margin lies between 0 and 1, what an oversell costs between 0 and 1,000 margins.")
    _check_texts(settings)
    if not settings.shares or not all(share > 0 for share in settings.shares.values()) or len(settings.shares) > 50:
        raise InvalidSimulation("Name channels with shares above 0.")
    return settings


def _check_texts(settings: SimulationSettings) -> None:
    for text in (settings.since, settings.until):
        try:
            date.fromisoformat(text or "2026-01-01")
        except ValueError:
            raise InvalidSimulation(f"{text[:40]!r} is not a date such as 2026-05-31.") from None
    if settings.since and settings.until and settings.since > settings.until:
        raise InvalidSimulation("The first day lies after the last.")
    location_choices.check(settings.locations, settings.whereabouts)
    told = [*settings.left_out, *(place.location_id for place in settings.whereabouts)]
    for choice in settings.locations:
        told += [*choice.left_out, *(id for move in choice.moves for id in (move.source, move.target))]
    for text in told:
        try:
            UUID(text)
        except ValueError:
            raise InvalidSimulation(f"{text[:40]!r} is not the id of a location.") from None


_UNITS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def lag_of(text: str) -> float:
    """Return the seconds of a lag such as 5s, 60s, 15min or 1h. Raises InvalidSimulation."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip())
    if not match or match[2] not in _UNITS:
        raise InvalidSimulation(f"{text.strip()[:40]!r} is not a time: write 5s, 60s, 15min or 1h.")
    return float(match[1]) * _UNITS[match[2]]


def lag_words(seconds: float) -> str:
    """Return a lag as it is typed."""
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def shares_of(text: str) -> dict[str, float]:
    """Return the parts of channels, such as shop=0.6,market=0.4. Raises InvalidSimulation."""
    shares = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        if not name.strip() or not re.fullmatch(r"\d*\.?\d+", share.strip()) or float(share) <= 0:
            raise InvalidSimulation(f"{part[:40]!r} is not a channel and its part: write shop=0.6,market=0.4.")
        shares[name.strip()] = float(share)
    return shares
