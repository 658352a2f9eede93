"""Rules that ask for the time: when what they say changes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
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
