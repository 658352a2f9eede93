"""How connections do: outcomes of calls collected in memory, written as history when something changes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import asyncpg

from entrepot.channels.contract import (
    ConnectorError,
    CredentialsRejected,
    QuotaExhausted,
    RateLimited,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)
from entrepot.channels.contracts import ConnectionHealth, HealthStatus
from entrepot.channels.tries import CallOutcome
from entrepot.database.pool import Database, Tx
from entrepot.kernel.clock import Clock, utc_now
from entrepot.kernel.ids import new_id

LOOK_BACK = timedelta(minutes=5)
CALLS_MAX = 200
WRITE_EVERY = timedelta(minutes=5)
DOWN_FAILURES_IN_A_ROW = 3
DEGRADED_ERROR_RATE = 0.1
DEGRADED_LATENCY_S = 5.0
SYNC_LATE_FACTOR = 3
"""A pull that is this many intervals old makes a connection degraded."""

TOKEN_ENDS_SOON = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the health of a connection is judged by. Calls: the newest last, (at, seconds, error)."""

    calls: tuple[tuple[datetime, float, ConnectorError | None], ...]
    sync_age: timedelta | None
    sync_interval: timedelta
    token_expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a connection, with its reason in plain words."""

    status: HealthStatus
    reason: str
    latency_ms: int | None
    error_rate: Decimal | None


def judge(facts: Facts, now: datetime) -> Judgement:
    """Return how a connection does. Pure.

    What the channel refuses for the request's own sake (a wrong SKU) says nothing against the connection. Down: refused
    credentials at last, or several failures in a row. Degraded: many failures, slow, asked to slow down, a late pull.
    """
    recent = [each for each in facts.calls if now - each[0] <= LOOK_BACK]
    failed = [error for _, _, error in recent if _counts(error)]
    rate = Decimal(len(failed)) / len(recent) if recent else None
    seconds = sorted(each[1] for each in recent)
    median_s = seconds[len(seconds) // 2] if seconds else None
    status, reason = _status(recent, rate, median_s, facts, now)
    return Judgement(
        status,
        reason,
        None if median_s is None else round(median_s * 1000),
        None if rate is None else rate.quantize(Decimal("0.0001")),
    )


def _status(
    recent: list[tuple[datetime, float, ConnectorError | None]],
    rate: Decimal | None,
    median_s: float | None,
    facts: Facts,
    now: datetime,
) -> tuple[HealthStatus, str]:
    last = recent[-1][2] if recent else None
    if isinstance(last, CredentialsRejected):
        return HealthStatus.DOWN, "The channel refuses our credentials."
    tail = [error for _, _, error in recent[-DOWN_FAILURES_IN_A_ROW:]]
    if len(tail) == DOWN_FAILURES_IN_A_ROW and all(
        isinstance(each, (TemporarilyUnavailable, UnexpectedAnswer)) and not isinstance(each, RateLimited)
        for each in tail
    ):
        return HealthStatus.DOWN, f"The last {DOWN_FAILURES_IN_A_ROW} calls failed: {last}"[:500]
    if isinstance(last, (RateLimited, QuotaExhausted)):
        return HealthStatus.DEGRADED, "The channel asks us to slow down."
    if rate is not None and rate > Decimal(str(DEGRADED_ERROR_RATE)):
        return HealthStatus.DEGRADED, f"{round(rate * 100)} % of the last {len(recent)} calls failed."
    if median_s is not None and median_s > DEGRADED_LATENCY_S:
        return HealthStatus.DEGRADED, f"Calls take {median_s:.1f} s."
    if facts.sync_age is not None and facts.sync_age > max(SYNC_LATE_FACTOR * facts.sync_interval, LOOK_BACK):
        return HealthStatus.DEGRADED, f"Nothing was pulled for {int(facts.sync_age.total_seconds() // 60)} minutes."
    if facts.token_expires_at is not None and facts.token_expires_at < now - TOKEN_ENDS_SOON and recent:
        return HealthStatus.DEGRADED, "The access token has ended and was not replaced."
    return HealthStatus.HEALTHY, ""


def _counts(error: ConnectorError | None) -> bool:
    return isinstance(error, (TemporarilyUnavailable, CredentialsRejected, QuotaExhausted, UnexpectedAnswer))


@dataclass(slots=True)
class _Seen:
    calls: deque[tuple[datetime, float, ConnectorError | None]] = field(default_factory=lambda: deque(maxlen=CALLS_MAX))
    written: Judgement | None = None
    written_at: datetime | None = None


class HealthRecorder:
    """Collects call outcomes of one process (`observe` is for `ChannelTransport`); `flush` writes what changed."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._seen: dict[UUID, _Seen] = {}

    def observe(self, outcome: CallOutcome) -> None:
        """Remember how a call ended."""
        seen = self._seen.setdefault(outcome.connection_id, _Seen())
        seen.calls.append((self._clock(), outcome.seconds, outcome.error))

    async def flush(self, database: Database, organisation_id: UUID) -> list[ConnectionHealth]:
        """Judge the organisation's connections that this process called; write and return those that changed, and
        each at least every few minutes."""
        written = []
        async with database.transaction(organisation_id) as tx:
            for row in await _select_facts(tx, list(self._seen)):
                health = self._due(row)
                if health is not None:
                    await _insert_health(tx, health)
                    written.append(health)
        return written

    def _due(self, row: asyncpg.Record) -> ConnectionHealth | None:
        seen, now = self._seen[row["id"]], self._clock()
        interval = timedelta(seconds=row["sync_interval_s"])
        age = None if row["pulled_at"] is None else max(timedelta(0), now - row["pulled_at"])
        judged = judge(Facts(tuple(seen.calls), age, interval, row["token_expires_at"]), now)
        before = seen.written
        same = before is not None and (before.status, before.reason) == (judged.status, judged.reason)
        if same and seen.written_at is not None and now - seen.written_at < WRITE_EVERY:
            return None
        seen.written, seen.written_at = judged, now
        return ConnectionHealth(
            connection_id=row["id"],
            at=now,
            status=judged.status,
            reason=judged.reason,
            latency_ms=judged.latency_ms,
            error_rate=judged.error_rate,
            sync_age_s=None if age is None else int(age.total_seconds()),
            token_expires_at=row["token_expires_at"],
        )


async def latest_health(tx: Tx) -> list[ConnectionHealth]:
    """Return the newest entry of each connection that has one."""
    rows = await tx.fetch(
        """
        select h.connection_id, h.at, h.status, h.reason, h.latency_ms, h.error_rate, h.sync_age_s, h.token_expires_at
        from connection c
        cross join lateral (
            select * from connection_health h
            where h.organisation_id = $1 and h.connection_id = c.id order by h.at desc limit 1
        ) h
        where c.organisation_id = $1 order by h.connection_id
        """,
        tx.organisation,
    )
    return [ConnectionHealth(**{**dict(row), "status": HealthStatus(row["status"])}) for row in rows]


async def health_history(tx: Tx, connection_id: UUID, since: datetime, limit: int = 500) -> list[ConnectionHealth]:
    """Return the entries of a connection since a time, newest first."""
    rows = await tx.fetch(
        """
        select connection_id, at, status, reason, latency_ms, error_rate, sync_age_s, token_expires_at
        from connection_health
        where organisation_id = $1 and connection_id = $2 and at >= $3 order by at desc limit $4
        """,
        tx.organisation,
        connection_id,
        since,
        limit,
    )
    return [ConnectionHealth(**{**dict(row), "status": HealthStatus(row["status"])}) for row in rows]


async def _select_facts(tx: Tx, ids: list[UUID]) -> list[asyncpg.Record]:
    return await tx.fetch(
        """
        select c.id, c.sync_interval_s, k.token_expires_at,
            (select max(p.pulled_at) from pull_cursor p
             where p.organisation_id = c.organisation_id and p.connection_id = c.id) as pulled_at
        from connection c
        left join credential k on k.organisation_id = c.organisation_id and k.connection_id = c.id
        where c.organisation_id = $1 and c.id = any($2) and c.state in ('active', 'needs_attention')
        order by c.id
        """,
        tx.organisation,
        ids,
    )


async def _insert_health(tx: Tx, health: ConnectionHealth) -> None:
    await tx.execute(
        """
        insert into connection_health (organisation_id, id, connection_id, at, status, reason, latency_ms, error_rate,
            sync_age_s, token_expires_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        tx.organisation,
        new_id(),
        health.connection_id,
        health.at,
        health.status.value,
        health.reason,
        health.latency_ms,
        health.error_rate,
        health.sync_age_s,
        health.token_expires_at,
    )
