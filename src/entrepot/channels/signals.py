"""Hints between processes by PostgreSQL LISTEN and NOTIFY: what one remembers is out of date."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import asyncpg
import structlog

from entrepot.database.pool import APP_ROLE, Database

OnSignal = Callable[[str], None]
"""Called with a payload; with empty text after a gap, when anything may have been missed."""

RECONNECT_WAIT_S = 1.0
_log = structlog.get_logger(__name__)


class Signals:
    """Listens on one connection of its own and calls back. Nobody may rely on a signal: caches also age."""

    def __init__(self, database: Database) -> None:
        self._url = database.url
        self._callbacks: dict[str, list[OnSignal]] = {}
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    def on(self, channel: str, callback: OnSignal) -> None:
        """Call back for every notification on `channel`; one that is new after `start` is heard after a reconnect."""
        self._callbacks.setdefault(channel, []).append(callback)

    async def start(self) -> None:
        """Begin to listen; returns when it does."""
        self._task = asyncio.create_task(self._run())
        await self._listening.wait()

    async def stop(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                _log.warning("signals_lost", error=type(error).__name__)
            await asyncio.sleep(RECONNECT_WAIT_S)

    async def _listen(self) -> None:
        lost = asyncio.Event()
        connection = await asyncpg.connect(self._url, server_settings={"role": APP_ROLE}, timeout=10)
        try:
            connection.add_termination_listener(lambda _: lost.set())
            for channel in self._callbacks:
                await connection.add_listener(channel, self._notified)
            for channel in self._callbacks:
                self._call(channel, "")
            self._listening.set()
            await lost.wait()
        finally:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await connection.close(timeout=2)

    def _notified(self, connection: Any, pid: int, channel: str, payload: object) -> None:
        self._call(channel, str(payload))

    def _call(self, channel: str, payload: str) -> None:
        for callback in self._callbacks.get(channel, ()):
            callback(payload)
