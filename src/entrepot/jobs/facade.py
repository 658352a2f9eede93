"""What other rooms use of background work: events in the outbox, queued jobs, who works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.jobs.contracts import (
    JobCounts,
    JobHandler,
    JobHasEnded,
    JobHeld,
    JobKind,
    JobNotFound,
    JobNotHeld,
    JobState,
    JobView,
    Schedule,
    ScheduleView,
)
from entrepot.jobs.performing import JobRun, Outcome, perform
from entrepot.jobs.queue import (
    cancel,
    counts,
    detail,
    dismiss,
    enqueue,
    forget_deliveries,
    forget_ended,
    list_jobs,
    mend,
    retry,
    schedule_views,
    unfinished,
)

__all__ = [
    "JobCounts", "JobHandler", "JobHasEnded", "JobHeld", "JobKind", "JobNotFound", "JobNotHeld", "JobRun", "JobState",
    "JobView", "Outcome", "Schedule", "ScheduleView", "Workers", "beat", "cancel", "counts", "detail", "dismiss",
    "emit", "emit_many", "enqueue", "forget_deliveries", "forget_ended", "list_jobs", "mend", "perform", "retry",
    "schedule_views", "unfinished", "waiting", "workers",
]  # fmt: skip

WORKER_SILENCE_MAX = timedelta(seconds=60)
"""A worker not heard of for so long counts as gone."""
REACT = "react"
"""Hint: the outbox of this organisation has events."""


async def emit(tx: Tx, topic: str, payload: Mapping[str, Any]) -> None:
    """Write an event in this transaction; its reactions run soon after the commit, each exactly once."""
    await tx.execute(
        "insert into outbox (organisation_id, topic, payload) values ($1, $2, $3)", tx.organisation, topic, payload
    )
    tx.hint(REACT)


async def emit_many(tx: Tx, topic: str, payloads: Sequence[Mapping[str, Any]]) -> None:
    """Write several events of one topic in this transaction."""
    if not payloads:
        return
    await tx.execute(
        "insert into outbox (organisation_id, topic, payload) select $1, $2, unnest($3::jsonb[])",
        tx.organisation,
        topic,
        list(payloads),
    )
    tx.hint(REACT)


async def waiting(tx: Tx, limit: int = 999) -> int:
    """Return how many events of this organisation wait for their reactions, counting no further than `limit`."""
    found: int = await tx.fetch_value(
        "select count(*) from (select 1 from outbox where organisation_id = $1 limit $2) s", tx.organisation, limit
    )
    return found


@dataclass(frozen=True, slots=True)
class Workers:
    """Workers heard of in the last minute, and whether there ever was one."""

    alive: int
    known: int


async def workers(tx: Tx, now: datetime) -> Workers:
    """Return how many workers are alive, of how many that were ever heard of."""
    row = await tx.fetch_row(
        "select count(*) filter (where seen_at > $1) as alive, count(*) as known from worker", now - WORKER_SILENCE_MAX
    )
    assert row is not None
    return Workers(row["alive"], row["known"])


async def beat(tx: Tx, worker_id: UUID, host: str, pid: int, now: datetime) -> None:
    """Say that this worker is alive; forget those silent for a day. Call it every few seconds."""
    await tx.execute(
        "insert into worker (id, host, pid, started_at, seen_at) values ($1, $2, $3, $4, $4)"
        " on conflict (id) do update set seen_at = excluded.seen_at",
        worker_id,
        host,
        pid,
        now,
    )
    await tx.execute("delete from worker where seen_at < $1", now - timedelta(days=1))
