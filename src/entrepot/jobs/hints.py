"""Hints between processes: `NOTIFY`, sent after the commit and gathered for a moment.

A NOTIFY inside a transaction makes all such commits queue behind one lock of the whole server. So truth is in
rows, the hint goes out on a connection of its own a few milliseconds later, and whoever misses one finds
the rows by its sweep (see jobs.lanes). Decision record 0003.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from entrepot.database.pool import Database

CHANNEL = "entrepot_hints"
GATHER_S = 0.005
SEND = "select pg_notify($1, n) from unnest($2::text[]) n"

log = structlog.get_logger(__name__)


class HintSender:
    """Gathers the hints of one process and sends each at most once every few milliseconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: set[str] = set()
        self._wakeup = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> HintSender:
        self._database.hint_sink = self.add
        self._task = asyncio.create_task(self._run(), name="hint-sender")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._database.hint_sink = None
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def add(self, organisation_id: UUID | None, names: set[str]) -> None:
        """Take hints of a committed transaction."""
        for name in names:
            self._waiting.add(f"{organisation_id} {name}")
        self._wakeup.set()

    async def _run(self) -> None:
        while True:
            await self._wakeup.wait()
            await asyncio.sleep(GATHER_S)
            self._wakeup.clear()
            names, self._waiting = self._waiting, set()
            try:
                await self._database.pool.execute(
                    "select pg_notify($1, n) from unnest($2::text[]) n", CHANNEL, list(names)
                )
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                log.warning("hints_not_sent", error=str(error))


async def listen(connection: asyncpg.Connection[Any], on_hint: Callable[[UUID, str], None]) -> None:
    """Call `on_hint(organisation_id, name)` for every hint that arrives on this connection."""

    def received(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        organisation, _, name = str(payload).partition(" ")
        on_hint(UUID(organisation), name)

    await connection.add_listener(CHANNEL, received)
