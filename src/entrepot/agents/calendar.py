"""When a template's task is due to be proposed next. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


class Rhythm(StrEnum):
    """How often."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


def next_time(rhythm: Rhythm, day: int, hour: int, after: datetime, timezone: str) -> datetime:
    """Return the first time after `after`, at that hour of the shop's day.

    `day`: of the week from 1 (Monday) to 7, or of the month from 1 to 28; of no meaning for daily. What was missed is not
    made up for: there is one time ahead, not several.
    """
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    local = after.astimezone(zone)
    at = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    if rhythm is Rhythm.DAILY:
        return at if at > local else at + timedelta(days=1)
    if rhythm is Rhythm.WEEKLY:
        at += timedelta(days=(day - at.isoweekday()) % 7)
        return at if at > local else at + timedelta(days=7)
    at = at.replace(day=day)
    if at > local:
        return at
    return at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)
