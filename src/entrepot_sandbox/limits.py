"""Rate limits of a channel: buckets that refill `time_scale` times faster and journal when they were empty."""

from __future__ import annotations

from dataclasses import dataclass

from entrepot_sandbox.clock import Clock
from entrepot_sandbox.journal import Journal, LimitEmpty


@dataclass(frozen=True, slots=True)
class Taken:
    """Whether the call may go on, what is left, and how long to wait otherwise (real seconds)."""

    ok: bool
    available: float
    retry_after_s: float


class Bucket:
    """A token bucket (one token a call) or a cost bucket (points).

    `refill_per_s` is the real channel's; the bucket's own attribute of that name is already scaled and is what headers
    should say. `unit`: what one more call needs (the cost of a quantity write in a cost bucket). `writes`: quantity
    writes use this bucket, so that the judge does not blame the hub while it is empty.
    """

    def __init__(
        self,
        clock: Clock,
        journal: Journal,
        channel: str,
        name: str,
        *,
        capacity: float,
        refill_per_s: float,
        writes: bool = False,
        unit: float = 1.0,
    ) -> None:
        self.channel, self.name = channel, name
        self.capacity = capacity
        self.refill_per_s = refill_per_s * clock.time_scale
        self._clock, self._journal = clock, journal
        self._writes, self._unit = writes, unit
        self._level = capacity
        self._at = clock.monotonic()

    @property
    def available(self) -> float:
        """What is in the bucket now."""
        now = self._clock.monotonic()
        self._level = min(self.capacity, self._level + (now - self._at) * self.refill_per_s)
        self._at = now
        return self._level

    def take(self, cost: float = 1.0) -> Taken:
        """Take `cost` if it is there."""
        left = self.available
        ok = left >= cost
        if ok:
            self._level = left = left - cost
        wanting = max(self._unit, 0 if ok else cost) - left
        if wanting > 0:
            self._journal.write(
                LimitEmpty(
                    at=self._at,
                    channel=self.channel,
                    until=self._at + wanting / self.refill_per_s,
                    limit=self.name,
                    writes=self._writes,
                )
            )
        return Taken(ok, left, 0.0 if ok else (cost - left) / self.refill_per_s)

    def give_back(self, points: float) -> None:
        """Put back what a call was charged but did not use (requested against actual cost)."""
        self._level = min(self.capacity, self.available + points)
