"""Time in the sandbox: real, with waits divided by the time scale, and a clock of each channel that may be wrong."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """The sandbox's time. `monotonic()` is for the journal and the judge, `now(channel)` for what a channel says.

    `time_scale` K makes waiting shorter: a delay that lasts t seconds on the real channel lasts t / K here.
    """

    def __init__(self, time_scale: float = 1.0) -> None:
        if time_scale <= 0:
            raise ValueError("The time scale must be greater than zero.")
        self.time_scale = time_scale
        self._start = time.monotonic()
        self._skew: dict[str, timedelta] = {}
        self._last: dict[str, datetime] = {}

    def monotonic(self) -> float:
        """Return the real seconds since this clock was made."""
        return time.monotonic() - self._start

    def scaled(self, seconds: float) -> float:
        """Return how many real seconds a wait of `seconds` on the real channel takes here."""
        return seconds / self.time_scale

    def now(self, channel: str = "") -> datetime:
        """Return the time by the clock of `channel` (aware, UTC). It may be skewed; it never goes backwards."""
        moment = datetime.now(UTC) + self._skew.get(channel, timedelta(0))
        moment = max(moment, self._last.get(channel, moment))
        self._last[channel] = moment
        return moment

    def skew(self, channel: str, seconds: float) -> None:
        """Make the clock of `channel` wrong by `seconds` from now on (it stands still rather than go back)."""
        self._skew[channel] = timedelta(seconds=seconds)
