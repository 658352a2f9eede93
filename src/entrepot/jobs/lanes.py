"""Lanes: level-triggered work, one runner at a time for each lane over all workers.

A lane is named by (kind, organisation, connection). Its step looks at rows, does what they ask for in short
transactions and says when it wants to be called again. Nothing is queued, so nothing is lost when a
worker is killed: the lane's lock is a session lock of PostgreSQL, which falls with the process, and the next hint
or sweep finds the same rows. Decision record 0003.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from entrepot.database.pool import Database
from entrepot.jobs import hints

log = structlog.get_logger(__name__)

SWEEP_S = 1.0
"""How long a lost hint may delay work."""
TAKE_OVER_S = 0.25
"""When to look again at a lane that another process held: should that process have died, its work waits no longer."""


@dataclass(frozen=True, slots=True, order=True)
class LaneKey:
    """One lane. `subject` is the connection for lanes of a connection, else the organisation."""

    kind: str
    organisation_id: UUID
    subject: UUID

    @property
    def lock_id(self) -> int:
        """The advisory lock of this lane (63 bits)."""
        digest = blake2b(f"{self.kind} {self.organisation_id} {self.subject}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) >> 1


class Rest(float):
    """Seconds in which a lane is not to be called, whatever hints come: what it needs does not answer."""


Step = Callable[[LaneKey], Awaitable[float | None]]
"""Does a piece of work. Returns seconds until it wants to be called again (0: at once), or None: at the next hint.

A hint calls it before the time, unless it asked for `Rest`.
"""

FindDue = Callable[[UUID], Awaitable[set[LaneKey]]]
"""Returns the lanes of an organisation that have something to do now. Cheap: called every SWEEP_S."""


@dataclass(slots=True)
class _State:
    task: asyncio.Task[None] | None = None
    again: bool = False
    failures: int = 0
    not_before: float = 0.0
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)


class LaneRunner:
    """Runs the lanes of all organisations in this process."""

    def __init__(
        self,
        database: Database,
        steps: Mapping[str, Step],
        find_due: FindDue,
        *,
        gates: Mapping[str, asyncio.Semaphore] | None = None,
    ) -> None:
        """`gates`: kinds of lanes of which only so many go at the same time in this process."""
        self._database = database
        self._steps = steps
        self._find_due = find_due
        self._gates = gates or {}
        self._states: dict[LaneKey, _State] = {}
        self._lock_connection: asyncpg.Connection[Any] | None = None
        self._lock_turn = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._by_name: dict[str, LaneKey] = {}

    async def run(self) -> None:
        """Run until `stop()`; reconnects to the database as often as needed."""
        while not self._stopping.is_set():
            try:
                await self._run_connected()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                log.warning("lanes_disconnected", error=str(error))
                await self._pause(0.5)
        await self._end_tasks()

    def stop(self) -> None:
        """Ask `run` to end after the steps that are under way."""
        self._stopping.set()

    async def _run_connected(self) -> None:
        connection: asyncpg.Connection[Any] = await asyncpg.connect(
            self._database.url, server_settings={"application_name": "entrepot lanes"}
        )
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            await hints.listen(connection, self._on_hint)
            self._lock_connection = connection
            while not self._stopping.is_set() and not connection.is_closed():
                await self._sweep()
                await self._pause(SWEEP_S, lost)
        finally:
            # The session locks fall with this connection, so nothing may go on under them.
            self._lock_connection = None
            if not self._stopping.is_set():
                await self._end_tasks(cancel=True)
            else:
                await self._end_tasks()
            with suppress(Exception):
                await connection.close(timeout=2)

    async def _pause(self, seconds: float, *ends: asyncio.Event) -> None:
        """Wait so long, or until the runner stops or one of these events."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._stopping, *ends)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _end_tasks(self, *, cancel: bool = False) -> None:
        for state in self._states.values():
            if state.timer is not None:
                state.timer.cancel()
        tasks = [state.task for state in self._states.values() if state.task is not None]
        if cancel:
            for task in tasks:
                task.cancel()
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=10)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _sweep(self) -> None:
        organisations = await self._database.pool.fetch("select id from organisation")
        for row in organisations:
            try:
                due = await self._find_due(row["id"])
            except Exception as error:
                # Of one organisation; if the database is gone, the connection that holds the locks says so.
                log.warning("lanes_not_looked_at", organisation=str(row["id"]), error=str(error))
                continue
            for key in due:
                self.wake(key)

    def _on_hint(self, organisation_id: UUID, name: str) -> None:
        kind, _, subject = name.partition(":")
        if kind in self._steps:
            self.wake(LaneKey(kind, organisation_id, UUID(subject) if subject else organisation_id))

    def wake(self, key: LaneKey) -> None:
        """Run the lane soon, unless it is running (then once more after it) or backing off."""
        state = self._states.setdefault(key, _State())
        if state.task is not None:
            state.again = True
            return
        wait = state.not_before - time.monotonic()
        if wait > 0:
            self._later(key, state, wait)
            return
        if self._lock_connection is not None and not self._stopping.is_set():
            state.task = asyncio.create_task(self._drive(key, state), name=f"lane {key.kind}")

    def _later(self, key: LaneKey, state: _State, seconds: float) -> None:
        if state.timer is not None:
            state.timer.cancel()
        state.timer = asyncio.get_running_loop().call_later(seconds, self.wake, key)

    async def _drive(self, key: LaneKey, state: _State) -> None:
        wanted: float | None = None
        try:
            # Waited for without the lane's lock, so that another worker may take the lane meanwhile.
            async with self._gates.get(key.kind) or nullcontext():
                if not await self._lock(key):
                    wanted = TAKE_OVER_S
                    return
                try:
                    wanted = await self._run_steps(key, state)
                finally:
                    await self._unlock(key)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            log.warning("lane_interrupted", lane=key.kind, error=str(error))
        finally:
            state.task = None
            if state.again:
                state.again = False
                asyncio.get_running_loop().call_soon(self.wake, key)
            elif wanted is not None:
                self._later(key, state, wanted)

    async def _run_steps(self, key: LaneKey, state: _State) -> float | None:
        step = self._steps[key.kind]
        while not self._stopping.is_set():
            state.again = False
            wanted: float | None
            try:
                wanted = await step(key)
            except Exception as error:
                state.failures += 1
                delay = min(30.0, 0.1 * 2.0**state.failures)
                state.not_before = time.monotonic() + delay
                log.exception("lane_step_failed", lane=key.kind, subject=str(key.subject), error=str(error))
                return delay
            state.failures = 0
            if isinstance(wanted, Rest):
                state.not_before = time.monotonic() + wanted
                return wanted
            if wanted is None and not state.again:
                return None
            if wanted is not None and wanted > 0 and not state.again:
                return wanted
            await asyncio.sleep(0)
        return None

    async def _lock(self, key: LaneKey) -> bool:
        async with self._lock_turn:
            connection = self._lock_connection
            if connection is None:
                return False
            return bool(await connection.fetchval("select pg_try_advisory_lock($1)", key.lock_id))

    async def _unlock(self, key: LaneKey) -> None:
        async with self._lock_turn:
            if self._lock_connection is not None:
                await self._lock_connection.execute("select pg_advisory_unlock($1)", key.lock_id)
