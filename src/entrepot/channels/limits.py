"""Rate limit arithmetic. Pure: time is an argument, in seconds of any one clock."""

from __future__ import annotations

from dataclasses import dataclass, replace

from entrepot.channels.contract import LimitKind, LimitReading, RateLimit

LEASE_S = 1.0
"""How long a process may use tokens that it took in advance."""

FAST_REFILL_PER_S = 20.0
"""From this rate on tokens are taken in blocks instead of one by one."""

BLOCK_SHARE = 0.1
"""The most of the capacity that one block takes."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The state of a rate limit: `available` calls or points at time `at`, nothing before `blocked_until`.

    A bucket refills evenly; with `window_s` it is whole again at the end of the window that began at `at`.
    """

    capacity: float
    refill_per_s: float
    available: float
    at: float
    blocked_until: float = 0.0
    window_s: float | None = None


def full(limit: RateLimit, at: float) -> Bucket:
    """Return a bucket of which nothing has been used."""
    window_s = limit.window_s if limit.kind is LimitKind.WINDOW else None
    return Bucket(limit.capacity, limit.refill_per_s, limit.capacity, at, window_s=window_s)


def refilled(bucket: Bucket, at: float) -> Bucket:
    """Return the bucket as it is at a later time; a clock that steps back gives nothing."""
    elapsed = at - bucket.at
    if elapsed <= 0:
        return bucket
    if bucket.window_s is not None:
        if elapsed < bucket.window_s:
            return bucket
        return replace(bucket, available=bucket.capacity, at=at)
    available = min(bucket.capacity, bucket.available + elapsed * bucket.refill_per_s)
    return replace(bucket, available=available, at=at)


def take(bucket: Bucket, cost: float, at: float, *, keep: float = 0.0) -> tuple[Bucket, float]:
    """Take `cost` and return (bucket, 0), or (bucket, seconds to wait) if it is not there yet.

    `keep` of the capacity is not used. A cost beyond the capacity is granted when the bucket is full.
    """
    bucket = refilled(bucket, at)
    ceiling = max(bucket.capacity - keep, min(bucket.capacity, 1.0))
    cost = min(cost, ceiling)
    level = min(bucket.available, ceiling)
    if at < bucket.blocked_until:
        return bucket, max(bucket.blocked_until - at, _until(bucket, cost, level, at))
    if level + 1e-9 >= cost:
        return replace(bucket, available=max(0.0, level - cost)), 0.0
    return bucket, max(0.001, _until(bucket, cost, level, at))


def _until(bucket: Bucket, cost: float, level: float, at: float) -> float:
    if level >= cost:
        return 0.0
    if bucket.window_s is not None:
        return max(0.0, bucket.at + bucket.window_s - at)
    return (cost - level) / bucket.refill_per_s if bucket.refill_per_s > 0 else float("inf")


def block_size(bucket: Bucket, cost: float, waiting: float = 0.0) -> float:
    """Return how much to take at once: a part of a fast bucket; of a slow one what this and the waiting calls take."""
    if not is_fast(bucket):
        return min(cost + waiting, max(cost, bucket.capacity))
    return max(cost, min(BLOCK_SHARE * bucket.capacity, LEASE_S * bucket.refill_per_s))


def kept_back(bucket: Bucket) -> float:
    """Return what of the capacity must stay unused so that blocks used up to LEASE_S late cannot exceed the limit."""
    return LEASE_S * bucket.refill_per_s if is_fast(bucket) else 0.0


def is_fast(bucket: Bucket) -> bool:
    """Return whether tokens of this bucket are taken in blocks."""
    return (
        bucket.window_s is None
        and bucket.refill_per_s >= FAST_REFILL_PER_S
        and bucket.capacity >= 2 * LEASE_S * bucket.refill_per_s
    )


def corrected(bucket: Bucket, reading: LimitReading, at: float) -> Bucket:
    """Return the bucket after the channel told of it. What is available is only corrected down: calls under way
    may not be counted in the channel's figure yet."""
    bucket = refilled(bucket, at)
    capacity = reading.capacity if reading.capacity is not None and reading.capacity > 0 else bucket.capacity
    refill = reading.refill_per_s if reading.refill_per_s is not None else bucket.refill_per_s
    available = min(bucket.available, capacity)
    if reading.available is not None:
        available = min(available, max(0.0, reading.available))
    return replace(bucket, capacity=capacity, refill_per_s=max(0.0, refill), available=available)


def penalised(bucket: Bucket, wait_s: float, at: float) -> Bucket:
    """Return the bucket after the channel refused a call: nothing before `wait_s`, and half of what we thought.

    A window's budget is not halved: it does not come back before its end, so that some refusals, which may be about
    another limit, would stop us for a day. What is left of it the channel tells, or refuses.
    """
    bucket = refilled(bucket, at)
    until = max(bucket.blocked_until, at + max(0.0, wait_s))
    available = bucket.available / 2 if bucket.window_s is None else bucket.available
    return replace(bucket, available=available, blocked_until=until)
