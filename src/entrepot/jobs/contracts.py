"""What a background job is, to whoever defines, starts, runs or looks at one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from entrepot.kernel.errors import Conflict, EntrepotError, NotFound

if TYPE_CHECKING:
    from entrepot.jobs.performing import JobRun

P = TypeVar("P")

ATTEMPTS = 5


class JobNotFound(NotFound):
    """There is no such job."""


class JobHasEnded(Conflict):
    """The job has ended."""


class JobNotHeld(Conflict):
    """Only a job that is held can be tried again or dismissed."""


class JobHeld(EntrepotError):
    """The job failed too often and is held until a person decides."""


class JobState(StrEnum):
    """Where a job stands. HELD waits for a person; DONE, CANCELLED and DISMISSED are ends."""

    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"
    DONE = "done"
    CANCELLED = "cancelled"
    DISMISSED = "dismissed"


ENDED = frozenset({JobState.DONE, JobState.CANCELLED, JobState.DISMISSED})


@dataclass(frozen=True, slots=True)
class JobKind(Generic[P]):
    """One kind of job. `payload` is a msgspec struct or dataclass, small: larger input is given apart.

    `name` stays as it is for ever (rows carry it), `title` is what people read, `attempts` how often it may fail or
    lose its worker before it is held.
    """

    name: str
    title: str
    payload: type[P]
    attempts: int = ATTEMPTS


JobHandler = Callable[["JobRun[P]"], Awaitable[Mapping[str, Any]]]
"""Does a job and returns its result (a JSON object). It may be called again for the same job at any time, so what it
writes it writes in `JobRun.step`, and what it did before it learns from `JobRun.checkpoint`."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Work by the clock: `cron` in UTC. One worker does it each time; it must be harmless when repeated."""

    name: str
    cron: str
    action: Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as people see it. `total` None: not known yet. `result` only once it is done."""

    id: UUID
    kind: str
    title: str
    actor: str
    state: JobState
    attempts: int
    done: int
    total: int | None
    words: str
    checkpoint: Mapping[str, Any] | None
    result: Mapping[str, Any] | None
    error: str
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether it is still to be done or being done."""
        return self.state in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class JobCounts:
    """Jobs of one kind."""

    queued: int
    running: int
    held: int


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """When scheduled work ran last and runs next."""

    name: str
    cron: str
    last_run_at: datetime | None
    next_run_at: datetime
