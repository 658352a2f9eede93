"""Waiting for a channel's rate limits: each connection has one pace, whoever calls and on whatever machine."""

from __future__ import annotations

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from entrepot.channels import limits
from entrepot.channels.contract import LimitReading, RateLimit, RateLimited
from entrepot.channels.limits import Bucket
from entrepot.database.pool import Database, Tx

R = TypeVar("R")
Change = Callable[[Bucket, float], tuple[Bucket, R]]

RATE_REFUSED = "entrepot_rate"
"""PostgreSQL notification channel: the payload is the id of a connection whose channel answered 429."""

PENALTY_MAX_S = 60.0


@dataclass(slots=True)
class _Share:
    """What this process knows of one bucket; times are of `time.monotonic`."""

    limit: RateLimit
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    leased: float = 0.0
    lease_until: float = 0.0
    blocked_until: float = 0.0
    refusals: int = 0
    waiting: float = 0.0
    """What the calls that wait for `lock` will take."""
    known: Bucket | None = None
    """The shared bucket as last seen, with `at` of our clock."""


class Pacer(ABC):
    """Lets calls of one connection through as its limits allow."""

    def __init__(self, rate_limits: Sequence[RateLimit]) -> None:
        # The slowest first, so that what a call took is not lost in waiting for the next.
        self._shares = [_Share(each) for each in sorted(rate_limits, key=lambda each: each.refill_per_s)]

    @abstractmethod
    async def _change(self, share: _Share, change: Change[R]) -> R:
        """Replace the shared bucket by what `change` makes of it, alone, and return its result."""

    async def wait(self, operation: str, cost: float, max_wait_s: float) -> float:
        """Wait until the call may be sent; return how long it took in seconds.

        Raises RateLimited with `retry_after_s` at once where the wait would be longer than `max_wait_s`.
        """
        began = time.monotonic()
        for share in self._of(operation):
            share.waiting += cost
            try:
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + max_wait_s):
                    await share.lock.acquire()
            except TimeoutError:
                raise RateLimited("Too many calls wait for the rate limit", retry_after_s=max_wait_s) from None
            finally:
                share.waiting -= cost
            try:
                await self._take(share, cost, began + max_wait_s)
            finally:
                share.lock.release()
        return time.monotonic() - began

    async def _take(self, share: _Share, cost: float, deadline: float) -> None:
        while True:
            now = time.monotonic()
            wait_s = share.blocked_until - now
            if wait_s <= 0:
                if share.leased >= cost and now < share.lease_until:
                    share.leased -= cost
                    return
                wait_s = await self._lease(share, cost, now)
                if wait_s <= 0:
                    return
            if time.monotonic() + wait_s > deadline:
                detail = f"The rate limit {share.limit.name!r} allows the next call in {wait_s:.1f} s"
                raise RateLimited(detail, retry_after_s=wait_s)
            await asyncio.sleep(wait_s * random.uniform(1.0, 1.05))  # noqa: S311 - spreads processes, no secret

    async def _lease(self, share: _Share, cost: float, now: float) -> float:
        """Take a block (or just the cost) from the shared bucket; return the seconds to wait if it is not there."""

        def change(bucket: Bucket, at: float) -> tuple[Bucket, tuple[float, float]]:
            keep = limits.kept_back(bucket)
            block = limits.block_size(bucket, cost, share.waiting)
            after, wait_s = limits.take(bucket, block, at, keep=keep)
            if wait_s > 0 and block > cost:
                block = cost
                after, wait_s = limits.take(bucket, cost, at, keep=keep)
            return after, (wait_s, block)

        wait_s, block = await self._change(share, change)
        if wait_s <= 0:
            share.leased, share.lease_until = max(0.0, block - cost), now + limits.LEASE_S
        return wait_s

    async def answered(self, operation: str, readings: Sequence[LimitReading]) -> None:
        """The channel took a call and told this of its limits: correct ours where they differ."""
        for share in self._of(operation):
            share.refusals = 0
        for reading in readings:
            for share in self._shares:
                if share.limit.name == reading.name and self._differs(share, reading):
                    if reading.available is not None:
                        share.leased = min(share.leased, max(0.0, reading.available))
                    await self._change(share, _correction(reading))

    @staticmethod
    def _differs(share: _Share, reading: LimitReading) -> bool:
        known = share.known
        if known is None:
            return True
        known = limits.refilled(known, time.monotonic())
        return (
            (reading.capacity is not None and abs(reading.capacity - known.capacity) > 0.01 * known.capacity)
            or (
                reading.refill_per_s is not None
                and abs(reading.refill_per_s - known.refill_per_s) > 0.01 * known.refill_per_s
            )
            or (reading.available is not None and reading.available < known.available - 0.02 * known.capacity)
        )

    async def refused(self, operation: str, retry_after_s: float | None) -> float:
        """The channel answered 429: nobody of this connection calls before then. Returns the seconds to wait.

        Where the channel does not say how long: 1, 2, 4 ... 60 seconds.
        """
        longest = 0.0
        for share in self._of(operation):
            wait_s = retry_after_s if retry_after_s is not None else min(PENALTY_MAX_S, 2.0**share.refusals)
            share.refusals = min(share.refusals + 1, 10)
            share.leased = 0.0
            share.blocked_until = max(share.blocked_until, time.monotonic() + wait_s)
            await self._change(share, _penalty(wait_s))
            longest = max(longest, wait_s)
        return longest

    def forget_leases(self) -> None:
        """Another process was refused: ask the shared bucket again before the next call."""
        for share in self._shares:
            share.leased = 0.0

    def _of(self, operation: str) -> list[_Share]:
        return [each for each in self._shares if "*" in each.limit.operations or operation in each.limit.operations]


def _correction(reading: LimitReading) -> Change[None]:
    return lambda bucket, at: (limits.corrected(bucket, reading, at), None)


def _penalty(wait_s: float) -> Change[None]:
    return lambda bucket, at: (limits.penalised(bucket, wait_s, at), None)


class LocalPacer(Pacer):
    """The pace of a connection that is not stored yet: known to this object only."""

    async def _change(self, share: _Share, change: Change[R]) -> R:
        now = time.monotonic()
        share.known, result = change(share.known or limits.full(share.limit, now), now)
        return result


class SharedPacer(Pacer):
    """The pace of a stored connection: one row per bucket, by the database's clock, for all processes.

    What a process has taken and not used when it is killed is lost, which errs on the safe side.
    """

    def __init__(
        self, database: Database, organisation_id: UUID, connection_id: UUID, rate_limits: Sequence[RateLimit]
    ) -> None:
        super().__init__(rate_limits)
        self._database = database
        self._organisation_id = organisation_id
        self._connection_id = connection_id

    async def _change(self, share: _Share, change: Change[R]) -> R:
        now = time.monotonic()
        async with self._database.transaction(self._organisation_id) as tx:
            before, at = await self._read(tx, share.limit)
            after, result = change(before, at)
            if after != before:
                await self._write(tx, share.limit.name, after)
            if after.blocked_until > before.blocked_until:
                await tx.fetch_value("select pg_notify($1, $2)", RATE_REFUSED, str(self._connection_id))
        blocked_s = after.blocked_until - at
        share.known = Bucket(
            after.capacity, after.refill_per_s, after.available, now, now + max(0.0, blocked_s), after.window_s
        )
        return result

    async def _read(self, tx: Tx, limit: RateLimit) -> tuple[Bucket, float]:
        # Losing the last moments of this table in a crash of the server is harmless: no wait for the disk.
        sql = """
            select capacity, refill_per_s, available, extract(epoch from at)::float8 as at,
                coalesce(extract(epoch from blocked_until)::float8, 0) as blocked_until,
                extract(epoch from clock_timestamp())::float8 as now, set_config('synchronous_commit', 'off', true)
            from rate_bucket where organisation_id = $1 and connection_id = $2 and name = $3
            for update
            """
        key = (self._organisation_id, self._connection_id, limit.name)
        row = await tx.fetch_row(sql, *key)
        if row is None:
            await tx.execute(
                """
                insert into rate_bucket (organisation_id, connection_id, name, capacity, refill_per_s, available, at)
                values ($1, $2, $3, $4, $5, $4, clock_timestamp())
                on conflict (organisation_id, connection_id, name) do nothing
                """,
                *key,
                limit.capacity,
                limit.refill_per_s,
            )
            row = await tx.fetch_row(sql, *key)
        if row is None:
            raise LookupError("a rate limit row went away")
        window_s = limits.full(limit, 0.0).window_s
        bucket = Bucket(
            row["capacity"], row["refill_per_s"], row["available"], row["at"], row["blocked_until"], window_s
        )
        return bucket, row["now"]

    async def _write(self, tx: Tx, name: str, bucket: Bucket) -> None:
        await tx.execute(
            """
            update rate_bucket set capacity = $4, refill_per_s = $5, available = $6, at = to_timestamp($7),
                blocked_until = case when $8::float8 > 0 then to_timestamp($8) end
            where organisation_id = $1 and connection_id = $2 and name = $3
            """,
            self._organisation_id,
            self._connection_id,
            name,
            bucket.capacity,
            bucket.refill_per_s,
            bucket.available,
            bucket.at,
            bucket.blocked_until,
        )
