"""How far each connection is, and the record of runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id


@dataclass(frozen=True, slots=True)
class Progress:
    """When a connection last did what. `drained_at`: every sale before then is known (our clock)."""

    drained_at: datetime | None = None
    pull_wanted_at: datetime | None = None
    pull_started_at: datetime | None = None
    pulled_at: datetime | None = None
    listings_pulled_at: datetime | None = None
    drift_checked_at: datetime | None = None
    listings_wanted_at: datetime | None = None


_COLUMNS = (
    "drained_at, pull_wanted_at, pull_started_at, pulled_at, listings_pulled_at, drift_checked_at, listings_wanted_at"
)


async def get_progress(tx: Tx, connection_id: UUID) -> Progress:
    """Return the progress of a connection."""
    row = await tx.fetch_row(
        f"select {_COLUMNS} from connection_progress where organisation_id = $1 and connection_id = $2",
        tx.organisation,
        connection_id,
    )
    return Progress(*row) if row else Progress()


async def _set(tx: Tx, connection_id: UUID, column: str, value: datetime) -> None:
    await tx.execute(
        f"insert into connection_progress (organisation_id, connection_id, {column}) values ($1, $2, $3)"
        f" on conflict (organisation_id, connection_id) do update set"
        f" {column} = greatest(connection_progress.{column}, excluded.{column})",
        tx.organisation,
        connection_id,
        value,
    )


async def want_pull(tx: Tx, connection_id: UUID, now: datetime) -> None:
    """Have orders pulled soon; every pull that starts after `now` answers the wish."""
    await _set(tx, connection_id, "pull_wanted_at", now)
    tx.hint(f"pull:{connection_id}")


async def pull_started(tx: Tx, connection_id: UUID, at: datetime) -> None:
    """Note that a pull of orders began."""
    await _set(tx, connection_id, "pull_started_at", at)


async def pull_finished(tx: Tx, connection_id: UUID, at: datetime, drained_at: datetime | None) -> None:
    """Note that a pull of orders is done; every order placed up to `drained_at` has been seen (None: it did not say)."""
    await _set(tx, connection_id, "pulled_at", at)
    if drained_at is not None:
        await _set(tx, connection_id, "drained_at", drained_at)


async def note_clock(tx: Tx, connection_id: UUID, ahead: timedelta) -> None:
    """Keep how far the channel's clock is ahead of ours: who works on its orders may never have called it."""
    await tx.execute(
        "update connection_progress set clock_offset_s = $3"
        " where organisation_id = $1 and connection_id = $2 and clock_offset_s <> $3",
        tx.organisation,
        connection_id,
        ahead.total_seconds(),
    )


async def clock_offset(tx: Tx, connection_id: UUID) -> timedelta:
    """Return how far the channel's clock is ahead of ours, as it was last seen; nothing where it was never asked."""
    seconds = await tx.fetch_value(
        "select clock_offset_s from connection_progress where organisation_id = $1 and connection_id = $2",
        tx.organisation,
        connection_id,
    )
    return timedelta(seconds=seconds or 0)


async def want_listings(tx: Tx, connection_id: UUID, now: datetime) -> None:
    """Have all listings read before long: the channel says that some changed, not which."""
    await _set(tx, connection_id, "listings_wanted_at", now)
    tx.hint(f"listings:{connection_id}")


async def listings_answered(tx: Tx, connection_id: UUID, wanted_at: datetime | None) -> None:
    """All listings were read: that answers the wish that was there when it began, none that came since."""
    if wanted_at is not None:
        await tx.execute(
            "update connection_progress set listings_wanted_at = null"
            " where organisation_id = $1 and connection_id = $2 and listings_wanted_at = $3",
            tx.organisation,
            connection_id,
            wanted_at,
        )


async def listings_pulled(tx: Tx, connection_id: UUID, at: datetime) -> None:
    """Note that all listings were read."""
    await _set(tx, connection_id, "listings_pulled_at", at)


async def drift_checked(tx: Tx, connection_id: UUID, at: datetime) -> None:
    """Note that all listings were compared."""
    await _set(tx, connection_id, "drift_checked_at", at)


async def note_error(tx: Tx, connection_id: UUID, error: str, at: datetime) -> None:
    """Note the last thing that went wrong; an empty text clears it."""
    await tx.execute(
        "insert into connection_progress (organisation_id, connection_id, error, error_at) values ($1, $2, $3, $4)"
        " on conflict (organisation_id, connection_id) do update set error = excluded.error, error_at = excluded.error_at"
        " where connection_progress.error <> '' or excluded.error <> ''",
        tx.organisation,
        connection_id,
        error[:500],
        at,
    )


# ---- runs ------------------------------------------------------------------------------------------------


async def begin_run(
    tx: Tx, connection_id: UUID | None, kind: str, trigger: str, now: datetime, *, state: str = "running"
) -> UUID:
    """Record that a run begins (or waits, with state `queued`); return its id."""
    run_id = new_id()
    await tx.execute(
        "insert into sync_run (organisation_id, id, connection_id, kind, trigger, state, started_at, seen_at)"
        " values ($1, $2, $3, $4, $5, $6, $7, $7)",
        tx.organisation,
        run_id,
        connection_id,
        kind,
        trigger,
        state,
        now,
    )
    return run_id


async def step_run(tx: Tx, run_id: UUID, done: int, counts: Mapping[str, Any], now: datetime) -> bool:
    """Record progress; return False if somebody asked to cancel the run."""
    row = await tx.fetch_row(
        "update sync_run set state = 'running', done = $3, counts = $4, seen_at = $5"
        " where organisation_id = $1 and id = $2 returning cancel_requested",
        tx.organisation,
        run_id,
        done,
        counts,
        now,
    )
    return not (row and row["cancel_requested"])


async def end_run(
    tx: Tx, run_id: UUID, state: str, now: datetime, *, done: int | None = None,
    counts: Mapping[str, Any] | None = None, error: str = "",
) -> None:  # fmt: skip
    """Record the end of a run: done, failed or cancelled."""
    await tx.execute(
        "update sync_run set state = $3, finished_at = $4, seen_at = $4, done = coalesce($5, done),"
        " counts = coalesce($6, counts), error = $7 where organisation_id = $1 and id = $2",
        tx.organisation,
        run_id,
        state,
        now,
        done,
        counts,
        error[:500],
    )


async def record_run(
    tx: Tx, connection_id: UUID, kind: str, started_at: datetime, now: datetime, done: int, counts: Mapping[str, Any]
) -> None:
    """Record a scheduled run that is over already."""
    await end_run(
        tx, await begin_run(tx, connection_id, kind, "schedule", started_at), "done", now, done=done, counts=counts
    )


async def waiting_run(tx: Tx, connection_id: UUID, kind: str) -> UUID | None:
    """Return the oldest run of this kind that a person asked for and that has not ended (queued, or its worker died)."""
    found: UUID | None = await tx.fetch_value(
        "select id from sync_run where organisation_id = $1 and connection_id = $2 and kind = $3"
        " and state in ('queued', 'running') order by id limit 1",
        tx.organisation,
        connection_id,
        kind,
    )
    return found


async def waiting_runs(tx: Tx) -> list[tuple[UUID, str]]:
    """Return (connection, kind) of the runs that have not ended."""
    rows = await tx.fetch(
        "select distinct connection_id, kind from sync_run where organisation_id = $1 and state in ('queued', 'running')"
        " and connection_id is not null",
        tx.organisation,
    )
    return [(row[0], row[1]) for row in rows]


async def ask_cancel(tx: Tx, run_id: UUID, now: datetime) -> bool:
    """Ask a run to stop; a queued one ends at once. Return whether there was one."""
    return bool(
        await tx.execute(
            "update sync_run set cancel_requested = true, state = case when state = 'queued' then 'cancelled' else state"
            " end, finished_at = case when state = 'queued' then $3 else finished_at end"
            " where organisation_id = $1 and id = $2 and state in ('queued', 'running')",
            tx.organisation,
            run_id,
            now,
        )
    )
