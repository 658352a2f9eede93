"""Start, stop and look at background jobs. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec

from entrepot.database.pool import Tx
from entrepot.jobs import delivery, job_store
from entrepot.jobs.contracts import (
    ENDED,
    JobCounts,
    JobHasEnded,
    JobKind,
    JobNotFound,
    JobNotHeld,
    JobState,
    JobView,
    P,
    ScheduleView,
)
from entrepot.kernel.ids import new_id
from entrepot.kernel.paging import Slice

KEEP_ENDED = timedelta(days=30)
KEEP_LOG = timedelta(days=7)
MEND_MOST = 100


async def enqueue(
    tx: Tx,
    kind: JobKind[P],
    payload: P,
    *,
    actor: str,
    title: str = "",
    text: str | None = None,
    after: timedelta = timedelta(0),
) -> UUID:
    """Start a job with this transaction (rolled back with it), run by a worker `after` so long; return its id.

    `actor`: who wanted it, for people to read. `text`: larger input, kept until the job ends.
    """
    job_id = new_id()
    queue_id = await _send(tx, kind.name, job_id, after)
    plain = msgspec.to_builtins(payload)
    await job_store.insert(tx, job_id, kind.name, title or kind.title, actor, plain, queue_id, text)
    return job_id


async def _send(tx: Tx, kind: str, job_id: UUID, after: timedelta = timedelta(0)) -> int:
    # The second job of an organisation comes after the first of every other: none has the workers for itself.
    return await delivery.send(tx, kind, job_id, after=after, priority=-await job_store.open_count(tx))


async def cancel(tx: Tx, job_id: UUID) -> JobView:
    """Stop a job: at once if it waits, after its present step if it runs. Raises JobNotFound, JobHasEnded."""
    row = await _locked(tx, job_id)
    if row["state"] in ENDED:
        raise JobHasEnded
    if row["state"] == JobState.RUNNING:
        await job_store.ask_to_stop(tx, job_id)
    else:
        await job_store.end(tx, job_id, JobState.CANCELLED)
        await delivery.withdraw(tx, row["queue_id"])
    return await detail(tx, job_id)


async def retry(tx: Tx, job_id: UUID) -> JobView:
    """Let a held job go on from where it was. Raises JobNotFound, JobNotHeld."""
    row = await _held(tx, job_id)
    await delivery.withdraw(tx, row["queue_id"])
    # A new delivery, never the old one: its worker may be about to put that aside.
    await job_store.requeue(tx, job_id, await _send(tx, row["kind"], job_id))
    return await detail(tx, job_id)


async def dismiss(tx: Tx, job_id: UUID) -> JobView:
    """Give up a held job. Raises JobNotFound, JobNotHeld."""
    row = await _held(tx, job_id)
    await delivery.withdraw(tx, row["queue_id"])
    await job_store.end(tx, job_id, JobState.DISMISSED)
    return await detail(tx, job_id)


async def detail(tx: Tx, job_id: UUID) -> JobView:
    """Return a job. Raises JobNotFound."""
    found = await job_store.detail(tx, job_id)
    if found is None:
        raise JobNotFound
    return found


async def list_jobs(
    tx: Tx, state: JobState | None = None, kind: str | None = None, cursor: str | None = None, limit: int = 50
) -> Slice[JobView]:
    """Return jobs, newest first, without results. Raises InvalidCursor."""
    return await job_store.listing(tx, state, kind, cursor, limit)


async def unfinished(tx: Tx, limit: int = 100) -> tuple[JobView, ...]:
    """Return the jobs that are held, run or wait."""
    return await job_store.unfinished(tx, limit)


async def counts(tx: Tx) -> dict[str, JobCounts]:
    """Return how many jobs of each kind wait, run and are held."""
    return await job_store.counts(tx)


async def schedule_views(tx: Tx) -> Sequence[ScheduleView]:
    """Return the scheduled work of the hub as the workers last agreed on it."""
    return [
        ScheduleView(row["entrypoint"], row["expression"], row["last_run"], row["next_run"])
        for row in await job_store.schedules(tx)
    ]


async def mend(tx: Tx) -> int:
    """Deliver again what no delivery reaches any more (its worker was cut off at a bad moment); return how many."""
    lost = await job_store.undelivered(tx, MEND_MOST)
    for row in lost:
        await job_store.redeliver(tx, row["id"], await _send(tx, row["kind"], row["id"]))
    return len(lost)


async def forget_ended(tx: Tx, now: datetime) -> int:
    """Delete this organisation's jobs that ended long ago; return how many."""
    return await job_store.delete_ended(tx, now - KEEP_ENDED)


async def forget_deliveries(tx: Tx, now: datetime) -> int:
    """Delete old lines of pgqueuer's log; return how many."""
    return await job_store.delete_log(tx, now - KEEP_LOG)


async def _locked(tx: Tx, job_id: UUID) -> asyncpg.Record:
    row = await job_store.lock(tx, job_id)
    if row is None:
        raise JobNotFound
    return row


async def _held(tx: Tx, job_id: UUID) -> asyncpg.Record:
    row = await _locked(tx, job_id)
    if row["state"] != JobState.HELD:
        raise JobNotHeld
    return row
