"""Runs queued jobs and scheduled work in a worker, over pgqueuer.

pgqueuer says who runs what: a delivery belongs to a worker while that worker's heartbeat is fresh, and goes to another
when it is not. What a run may still write decides the job's row (see performing). Decision record 0006.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import structlog
from pgqueuer import PgQueuer
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.models import Job
from pgqueuer.models import Schedule as DueSchedule

from entrepot.database.pool import APP_ROLE, Database
from entrepot.jobs.contracts import JobHandler, JobHeld, JobKind, Schedule
from entrepot.jobs.delivery import address_of
from entrepot.jobs.performing import BACKOFF_S, Outcome, perform

log = structlog.get_logger(__name__)

RECONNECT_S = 1.0
STOP_WITHIN_S = 10.0
UNRECORDED_RETRY_S = 5.0


@dataclass(frozen=True, slots=True)
class JobSettings:
    """`parallel`: how many jobs one worker does at once, at least 2. A worker counts as gone when it was silent for
    `heartbeat_timeout_s`; its jobs are looked for twice in that time."""

    parallel: int = 2
    heartbeat_timeout_s: float = 10.0
    backoff_s: float = BACKOFF_S


class JobRunner:
    """Runs the jobs of all organisations in this process."""

    def __init__(
        self,
        database: Database,
        handlers: Mapping[JobKind[Any], JobHandler[Any]],
        schedules: Sequence[Schedule] = (),
        settings: JobSettings | None = None,
    ) -> None:
        self._database = database
        self._handlers = handlers
        self._schedules = schedules
        self._settings = settings or JobSettings()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Run until `stop()`; reconnects to the database as often as needed."""
        while not self._stopping.is_set():
            try:
                await self._run_connected()
            except Exception as error:
                # Mostly the connection. Whatever else it is must not end the worker, which has its lanes to run.
                log.warning("jobs_disconnected", error=f"{type(error).__name__}: {error}")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), RECONNECT_S)

    def stop(self) -> None:
        """Ask `run` to end; jobs under way stop after their present step and are taken up by another worker."""
        self._stopping.set()

    async def _run_connected(self) -> None:
        # A connection of its own, without our codecs: pgqueuer reads and writes its jsonb as text.
        connection: asyncpg.Connection[Any] = await asyncpg.connect(
            self._database.url,
            server_settings={"role": APP_ROLE, "application_name": "entrepot jobs", "timezone": "UTC"},
            command_timeout=60,
        )
        try:
            queuer = self._queuer(connection)
            work = asyncio.create_task(self._work(queuer), name="pgqueuer")
            stopping = asyncio.create_task(self._stopping.wait())
            try:
                await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
                queuer.shutdown.set()
                await asyncio.wait({work}, timeout=STOP_WITHIN_S)
            finally:
                stopping.cancel()
                if not work.done():
                    work.cancel()
            with suppress(asyncio.CancelledError):
                await work
        finally:
            with suppress(Exception):
                await connection.close(timeout=2)

    def _queuer(self, connection: asyncpg.Connection[Any]) -> PgQueuer:
        queuer = PgQueuer.from_asyncpg_connection(connection)
        for kind, handler in self._handlers.items():
            queuer.entrypoint(kind.name, on_failure="hold")(self._deliver(kind, handler))
        for schedule in self._schedules:
            queuer.schedule(schedule.name, schedule.cron)(_act(schedule))
        return queuer

    async def _work(self, queuer: PgQueuer) -> None:
        heartbeat = timedelta(seconds=self._settings.heartbeat_timeout_s)
        await queuer.run(
            dequeue_timeout=heartbeat / 2,
            batch_size=1,
            max_concurrent_tasks=max(2, self._settings.parallel),
            shutdown_on_listener_failure=True,
            heartbeat_timeout=heartbeat,
            log_aggregation_interval=timedelta(0),
        )

    def _deliver(self, kind: JobKind[Any], handler: JobHandler[Any]) -> Callable[[Job], Awaitable[None]]:
        async def deliver(job: Job) -> None:
            address = address_of(job.payload)
            try:
                outcome = await perform(
                    self._database, kind, handler, address.organisation, address.job,
                    queue_id=job.id, stopping=self._stopping.is_set, backoff_s=self._settings.backoff_s,
                )  # fmt: skip
            except Exception as error:
                # Not the job failed but the record of it. The delivery must stay, or nobody would come back to it.
                log.exception("job_not_recorded", kind=kind.name, job=str(address.job))
                raise RetryRequested(timedelta(seconds=UNRECORDED_RETRY_S), "not recorded") from error
            if outcome is Outcome.HELD:
                raise JobHeld
            if isinstance(outcome, float):
                raise RetryRequested(timedelta(seconds=outcome), "put back")

        return deliver


def _act(schedule: Schedule) -> Callable[[DueSchedule], Awaitable[None]]:
    async def act(due: DueSchedule) -> None:
        try:
            await schedule.action()
        except Exception:  # The next time does it.
            log.exception("schedule_failed", name=schedule.name)

    return act
