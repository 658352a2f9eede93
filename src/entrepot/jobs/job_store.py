"""Statements on jobs. A job's row decides; every one that changes it while it runs names the turn that it was given."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from entrepot.database.pool import Tx
from entrepot.jobs.contracts import JobCounts, JobState, JobView
from entrepot.kernel.paging import Slice, bounded, decode_cursor, slice_of

_VIEW = """id, kind, title, actor, state, attempts, done, total, words, checkpoint, result, error, cancel_requested,
    created_at, started_at, finished_at"""


async def insert(
    tx: Tx, job_id: UUID, kind: str, title: str, actor: str, payload: Any, queue_id: int, text: str | None
) -> None:
    """Insert a job that waits, with its input."""
    await tx.execute(
        "insert into job (organisation_id, id, kind, title, actor, payload, queue_id) values ($1, $2, $3, $4, $5, $6, $7)",
        tx.organisation, job_id, kind, title, actor, payload, queue_id,
    )  # fmt: skip
    if text is not None:
        await tx.execute(
            "insert into job_input (organisation_id, job_id, text) values ($1, $2, $3)", tx.organisation, job_id, text
        )


async def open_count(tx: Tx) -> int:
    """Return how many jobs of the organisation wait or run, counting no further than 1,000."""
    found: int = await tx.fetch_value(
        "select count(*) from (select 1 from job where organisation_id = $1 and state in ('queued', 'running')"
        " limit 1000) s",
        tx.organisation,
    )
    return found


async def lock(tx: Tx, job_id: UUID) -> asyncpg.Record | None:
    """Return a job's row, locked."""
    return await tx.fetch_row(
        "select * from job where organisation_id = $1 and id = $2 for update",
        tx.organisation,
        job_id,
    )


async def read_input(tx: Tx, job_id: UUID) -> str | None:
    """Return the input of a job."""
    found: str | None = await tx.fetch_value(
        "select text from job_input where organisation_id = $1 and job_id = $2", tx.organisation, job_id
    )
    return found


async def begin(tx: Tx, job_id: UUID, turn: UUID, attempts: int) -> None:
    """Give a job to whoever has this turn."""
    await tx.execute(
        "update job set state = 'running', turn = $3, attempts = $4, started_at = coalesce(started_at, now())"
        " where organisation_id = $1 and id = $2",
        tx.organisation, job_id, turn, attempts,
    )  # fmt: skip


async def advance(
    tx: Tx, job_id: UUID, turn: UUID, done: int, total: int | None, words: str, checkpoint: Mapping[str, Any] | None
) -> bool | None:
    """Store how far a job is; return whether it is asked to stop, or None if it is no longer this turn's."""
    found: bool | None = await tx.fetch_value(
        "update job set done = $4, total = $5, words = $6, checkpoint = $7"
        " where organisation_id = $1 and id = $2 and turn = $3 returning cancel_requested",
        tx.organisation, job_id, turn, done, total, words, checkpoint,
    )  # fmt: skip
    return found


async def put_back(tx: Tx, job_id: UUID, turn: UUID, attempts: int, error: str) -> bool:
    """Let a job wait again; return whether it was this turn's."""
    return bool(
        await tx.execute(
            "update job set state = 'queued', turn = null, attempts = $4, error = $5"
            " where organisation_id = $1 and id = $2 and turn = $3",
            tx.organisation,
            job_id,
            turn,
            attempts,
            error,
        )
    )


async def hold(tx: Tx, job_id: UUID, attempts: int, error: str) -> None:
    """Put a job aside for a person."""
    await tx.execute(
        "update job set state = 'held', turn = null, attempts = $3, error = $4 where organisation_id = $1 and id = $2",
        tx.organisation, job_id, attempts, error,
    )  # fmt: skip


async def end(tx: Tx, job_id: UUID, state: JobState, result: Mapping[str, Any] | None = None) -> None:
    """End a job and drop its input."""
    await tx.execute(
        "update job set state = $3, turn = null, finished_at = now(), result = coalesce($4, result),"
        " error = case when $3 = 'done' then '' else error end"
        " where organisation_id = $1 and id = $2",
        tx.organisation, job_id, state.value, result,
    )  # fmt: skip
    await tx.execute("delete from job_input where organisation_id = $1 and job_id = $2", tx.organisation, job_id)


async def requeue(tx: Tx, job_id: UUID, queue_id: int) -> None:
    """Let a job wait for a new delivery, its attempts forgotten."""
    await tx.execute(
        "update job set state = 'queued', turn = null, attempts = 0, queue_id = $3, cancel_requested = false"
        " where organisation_id = $1 and id = $2",
        tx.organisation, job_id, queue_id,
    )  # fmt: skip


async def redeliver(tx: Tx, job_id: UUID, queue_id: int) -> None:
    """Give an open job another delivery."""
    await tx.execute(
        "update job set queue_id = $3 where organisation_id = $1 and id = $2", tx.organisation, job_id, queue_id
    )


async def ask_to_stop(tx: Tx, job_id: UUID) -> None:
    """Note that a running job is to stop."""
    await tx.execute(
        "update job set cancel_requested = true where organisation_id = $1 and id = $2", tx.organisation, job_id
    )


async def undelivered(tx: Tx, limit: int) -> list[asyncpg.Record]:
    """Return open jobs that no delivery will ever reach, locked."""
    return await tx.fetch(
        "select id, kind from job j where organisation_id = $1 and state in ('queued', 'running') and not exists"
        " (select 1 from pgqueuer q where q.id = j.queue_id and q.status in ('queued', 'picked'))"
        " order by id limit $2 for update skip locked",
        tx.organisation,
        limit,
    )


async def delete_ended(tx: Tx, before: datetime) -> int:
    """Delete jobs that ended before then; return how many."""
    return await tx.execute("delete from job where organisation_id = $1 and finished_at < $2", tx.organisation, before)


async def delete_log(tx: Tx, before: datetime) -> int:
    """Delete pgqueuer's log lines from before then; return how many."""
    return await tx.execute("delete from pgqueuer_log where created < $1", before)


async def detail(tx: Tx, job_id: UUID) -> JobView | None:
    """Return a job."""
    row = await tx.fetch_row(f"select {_VIEW} from job where organisation_id = $1 and id = $2", tx.organisation, job_id)
    return _view(row) if row is not None else None


async def listing(tx: Tx, state: JobState | None, kind: str | None, cursor: str | None, limit: int) -> Slice[JobView]:
    """Return jobs without their results, newest first. Raises InvalidCursor."""
    limit = bounded(limit)
    after = decode_cursor(cursor, UUID)
    rows = await tx.fetch(
        f"select {_VIEW.replace(' result,', ' null::jsonb as result,')} from job where organisation_id = $1"
        " and ($2::text is null or state = $2) and ($3::text is null or kind = $3)"
        " and ($4::uuid is null or id < $4) order by id desc limit $5",
        tx.organisation,
        state.value if state else None,
        kind,
        after[0] if after else None,
        limit + 1,
    )
    items = [_view(row) for row in rows]
    return slice_of(items, limit, (items[limit - 1].id,) if len(items) > limit else None)


async def unfinished(tx: Tx, limit: int) -> tuple[JobView, ...]:
    """Return jobs that are held, run or wait, in that order, the oldest first."""
    rows = await tx.fetch(
        f"select {_VIEW} from job where organisation_id = $1 and state in ('held', 'running', 'queued')"
        " order by array_position(array['held', 'running', 'queued'], state), id limit $2",
        tx.organisation,
        limit,
    )
    return tuple(_view(row) for row in rows)


async def counts(tx: Tx) -> dict[str, JobCounts]:
    """Return how many jobs of each kind wait, run and are held, for kinds that have any."""
    rows = await tx.fetch(
        "select kind, count(*) filter (where state = 'queued') as queued,"
        " count(*) filter (where state = 'running') as running, count(*) filter (where state = 'held') as held"
        " from job where organisation_id = $1 and state in ('queued', 'running', 'held') group by kind",
        tx.organisation,
    )
    return {row["kind"]: JobCounts(row["queued"], row["running"], row["held"]) for row in rows}


async def schedules(tx: Tx) -> list[asyncpg.Record]:
    """Return pgqueuer's schedules."""
    return await tx.fetch("select entrypoint, expression, last_run, next_run from pgqueuer_schedules order by 1")


def _view(row: asyncpg.Record) -> JobView:
    return JobView(**{**dict(row), "state": JobState(row["state"])})
