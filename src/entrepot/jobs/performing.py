"""One run of one job: taken, done step by step, ended, put back or held."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic
from uuid import UUID

import msgspec
import structlog

from entrepot.database.pool import Database, Tx
from entrepot.jobs import delivery, job_store
from entrepot.jobs.contracts import JobHandler, JobKind, JobState, P
from entrepot.kernel.errors import InvalidInput, NotFound
from entrepot.kernel.ids import new_id

log = structlog.get_logger(__name__)

BACKOFF_S = 2.0
BACKOFF_MAX_S = 300.0
ERROR_MAX = 1000
LOST = "The worker that was at it ended without a word."


class _Superseded(Exception):
    """Another worker has the job."""


class _Cancelled(Exception):
    """A person wants the job to stop."""


class _WorkerStops(Exception):
    """The process is asked to end."""


class Outcome(Enum):
    """What became of a delivery."""

    THROUGH = "through"
    HELD = "held"


@dataclass(slots=True)
class JobStep:
    """A step: its transaction, and how far the job is once that is committed."""

    tx: Tx
    done: int
    total: int | None
    words: str
    checkpoint: Mapping[str, Any] | None


class JobRun(Generic[P]):
    """What a handler is given."""

    def __init__(
        self,
        database: Database,
        organisation_id: UUID,
        job_id: UUID,
        turn: UUID,
        payload: P,
        stopping: Callable[[], bool],
    ) -> None:
        self.database = database
        self.organisation_id = organisation_id
        self.job_id = job_id
        self.payload = payload
        self.checkpoint: Mapping[str, Any] | None = None
        """What the last committed step left, of this run or one before."""
        self._turn = turn
        self._stopping = stopping
        self._cancel = False
        self._at: tuple[int, int | None, str] = (0, None, "")

    async def text(self) -> str:
        """Return the job's larger input. Raises NotFound if it was given none."""
        async with self.database.transaction(self.organisation_id) as tx:
            found = await job_store.read_input(tx, self.job_id)
        if found is None:
            raise NotFound("The job has no input.")
        return found

    @asynccontextmanager
    async def step(self) -> AsyncIterator[JobStep]:
        """Open the transaction of one step, of a second or so. Its work and its checkpoint are committed together.

        So each step is there once, however often the job is run: one that another worker took over meanwhile is rolled
        back. Between steps the job stops if it was cancelled or the process is to end.
        """
        if self._cancel:
            raise _Cancelled
        if self._stopping():
            raise _WorkerStops
        async with self.database.transaction(self.organisation_id) as tx:
            step = JobStep(tx, *self._at, self.checkpoint)
            yield step
            asked = await job_store.advance(
                tx, self.job_id, self._turn, step.done, step.total, step.words, step.checkpoint
            )
            if asked is None:
                raise _Superseded
        self._cancel = asked
        self._at = (step.done, step.total, step.words)
        self.checkpoint = step.checkpoint


async def perform(
    database: Database,
    kind: JobKind[P],
    handler: JobHandler[P],
    organisation_id: UUID,
    job_id: UUID,
    *,
    queue_id: int | None = None,
    stopping: Callable[[], bool] = lambda: False,
    backoff_s: float = BACKOFF_S,
) -> Outcome | float:
    """Run a job if it is to be run; return what became of it, or after how many seconds it wants to be run again.

    `queue_id`: the delivery that asks for it; one that is not the job's present one is through at once.
    """
    taken = await _take(database, kind, organisation_id, job_id, queue_id, stopping)
    if isinstance(taken, Outcome):
        return taken
    run, attempts = taken
    try:
        result = await handler(run)
        async with database.transaction(organisation_id) as tx:
            await _end(tx, run, JobState.DONE, result)
    except _Superseded:
        log.warning("job_superseded", kind=kind.name, job=str(job_id))
    except _Cancelled:
        async with database.transaction(organisation_id) as tx:
            await _end(tx, run, JobState.CANCELLED)
    except (_WorkerStops, asyncio.CancelledError):
        async with database.transaction(organisation_id) as tx:
            await job_store.put_back(tx, job_id, run._turn, attempts, "")
        return 0.0
    except Exception as error:
        log.exception("job_failed", kind=kind.name, job=str(job_id), attempt=attempts + 1)
        return await _failed(run, kind, attempts + 1, error, backoff_s)
    return Outcome.THROUGH


async def _take(
    database: Database,
    kind: JobKind[P],
    organisation_id: UUID,
    job_id: UUID,
    queue_id: int | None,
    stopping: Callable[[], bool],
) -> tuple[JobRun[P], int] | Outcome:
    async with database.transaction(organisation_id) as tx:
        row = await job_store.lock(tx, job_id)
        if row is None or (queue_id is not None and row["queue_id"] != queue_id):
            return Outcome.THROUGH
        state, attempts = JobState(row["state"]), row["attempts"]
        if state is JobState.HELD:
            return Outcome.HELD
        if state not in (JobState.QUEUED, JobState.RUNNING):
            return Outcome.THROUGH
        if row["cancel_requested"]:
            await job_store.end(tx, job_id, JobState.CANCELLED)
            return Outcome.THROUGH
        if state is JobState.RUNNING:
            # Counted, so that a job which kills its workers does not do so for ever.
            attempts += 1
            if attempts >= kind.attempts:
                await job_store.hold(tx, job_id, attempts, LOST)
                return Outcome.HELD
        turn = new_id()
        await job_store.begin(tx, job_id, turn, attempts)
    payload = msgspec.convert(row["payload"], kind.payload)
    run = JobRun(database, organisation_id, job_id, turn, payload, stopping)
    run.checkpoint, run._at = row["checkpoint"], (row["done"], row["total"], row["words"])
    return run, attempts


async def _end(tx: Tx, run: JobRun[P], state: JobState, result: Mapping[str, Any] | None = None) -> None:
    row = await job_store.lock(tx, run.job_id)
    if row is None or row["turn"] != run._turn:
        raise _Superseded
    await job_store.end(tx, run.job_id, state, result)
    await delivery.withdraw_waiting(tx, row["queue_id"])


async def _failed(
    run: JobRun[P], kind: JobKind[P], attempts: int, error: Exception, backoff_s: float
) -> Outcome | float:
    known = isinstance(error, InvalidInput | NotFound)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    async with run.database.transaction(run.organisation_id) as tx:
        row = await job_store.lock(tx, run.job_id)
        if row is None or row["turn"] != run._turn:
            return Outcome.THROUGH
        # What is wrong with the input stays wrong: trying again would only take longer to say so.
        if known or attempts >= kind.attempts:
            await job_store.hold(tx, run.job_id, attempts, text[:ERROR_MAX])
            return Outcome.HELD
        await job_store.put_back(tx, run.job_id, run._turn, attempts, text[:ERROR_MAX])
    return float(min(BACKOFF_MAX_S, backoff_s * 2.0 ** (attempts - 1)))
