"""Rules that ask for the time: when what they say changes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

from entrepot.allocation.custom import in_time, zone_of

MINUTE = timedelta(minutes=1)
LOOKED_THROUGH_MOST = timedelta(days=1)
"""After a longer pause something has changed, or may have: conditions repeat within a week."""

Phase = tuple[bool | int, ...]


def asks_for_time(strategy: str, parameters: Mapping[str, Any]) -> bool:
    """Return whether what a policy says changes though nothing happens: by the hour, or as sales of past days fall out."""
    return strategy == "rules" and any(
        {"time", "sold"} & set(rule.get("if", {})) for rule in parameters.get("rules", ())
    )


def phase(parameters: Mapping[str, Any], at: datetime) -> Phase:
    """Return which of the rules' times are on, and the day (UTC) if any rule asks for sales of past days."""
    local = at.astimezone(zone_of(parameters))
    conditions = [rule.get("if", {}) for rule in parameters.get("rules", ())]
    times = tuple(in_time(local, found["time"]) for found in conditions if "time" in found)
    days = (at.toordinal(),) if any("sold" in found for found in conditions) else ()
    return (*times, *days)


def turns(parameters: Mapping[str, Any], since: datetime, until: datetime) -> list[datetime]:
    """Return when the phase changes after `since`, up to `until` (both aware, UTC), for looking through months at once.

    Looks at each full hour, at which clocks change and days begin, and at the times that rules name, on each local day.
    """
    zone = zone_of(parameters)
    named = {
        text for rule in parameters.get("rules", ()) for text in _named_times(rule.get("if", {}).get("time"))
    }  # fmt: skip
    hour = since.replace(minute=0, second=0, microsecond=0)
    looked = {hour + timedelta(hours=n) for n in range(int((until - hour) / timedelta(hours=1)) + 1)}
    day = since.astimezone(zone).date() - timedelta(days=1)
    while day <= until.astimezone(zone).date():
        for text in named:
            hours, _, minutes = text.partition(":")
            local = datetime.combine(day, time()) + timedelta(hours=int(hours), minutes=int(minutes))
            looked |= {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
        day += timedelta(days=1)
    found, last = [], phase(parameters, since)
    for at in sorted(looked):
        if since < at <= until and (now := phase(parameters, at)) != last:
            found.append(at)
            last = now
    return found


def _named_times(when: Mapping[str, Any] | None) -> list[str]:
    return [] if when is None else [when.get("from", "00:00"), when.get("to", "24:00")]


def changed_between(parameters: Mapping[str, Any], last: datetime, now: datetime) -> bool:
    """Return whether any condition about time began or ended after `last`, up to `now` (both aware, UTC).

    Looks at every minute, as conditions are in whole minutes: right on days with a change of the clocks too.
    """
    if now - last > LOOKED_THROUGH_MOST:
        return True
    at = last.replace(second=0, microsecond=0)
    first = phase(parameters, at)
    while at <= now:
        if phase(parameters, at) != first:
            return True
        at += MINUTE
    return False
