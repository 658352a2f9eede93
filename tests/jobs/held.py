"""A job held in the midst of a step by a real lock of another transaction: to be stopped, cancelled or cut off there."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import psycopg

WAIT_S = 60.0
THE_JOB = "select from job where id = %s for update"
"""Held at the end of its step: all its work is done and nothing is committed."""


class HeldStep:
    """Given to a run as `stopping`: as the run begins its n-th step, another transaction takes a lock that the step needs."""

    def __init__(self, database_url: str, organisation_id: UUID, step: int, lock: str, *values: Any) -> None:
        self._url, self._organisation_id, self._lock, self._values = database_url, organisation_id, lock, values
        self._step, self._begun = step, 0
        self._holder: psycopg.Connection | None = None

    def __call__(self) -> bool:
        """The run asks at the beginning of each step whether its worker is to stop: it is not."""
        self._begun += 1
        if self._begun == self._step:
            self._holder = psycopg.connect(self._url)
            self._holder.execute("select set_config('app.organisation_id', %s, true)", [str(self._organisation_id)])
            self._holder.execute(self._lock, self._values)
        return False

    async def waits(self) -> int:
        """Return the server process of the run, once it waits for the lock."""
        async with asyncio.timeout(WAIT_S):
            while self._holder is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            with psycopg.connect(self._url, autocommit=True) as looks:
                blocked = "select pid from pg_locks where not granted and %s = any(pg_blocking_pids(pid))"
                while (row := looks.execute(blocked, [self._holder.info.backend_pid]).fetchone()) is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        return int(row[0])

    async def cut_off(self) -> None:
        """End the run's connection to the database while it waits."""
        pid = await self.waits()
        with psycopg.connect(self._url, autocommit=True) as kills:
            kills.execute("select pg_terminate_backend(%s, 10000)", [pid])

    def release(self) -> None:
        """Give the lock back."""
        assert self._holder is not None
        self._holder.rollback()
        self._holder.close()
