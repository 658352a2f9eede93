"""Waiting until others wait: real locks of PostgreSQL hold a piece of work at a place, so that a test can come between."""

from __future__ import annotations

import asyncio

from entrepot.database.pool import Tx

WAIT_S = 60.0


async def waiting_for(tx: Tx, count: int = 1) -> list[int]:
    """Return the server processes that wait for a lock, once there are `count` in this test's database."""
    async with asyncio.timeout(WAIT_S):
        while len(pids := await waiting(tx)) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return pids


async def waiting(tx: Tx) -> list[int]:
    """Return the server processes that wait for a lock now."""
    rows = await tx.fetch(
        "select distinct w.pid from pg_locks w join pg_locks h on h.pid = w.pid where not w.granted"
        " and h.database = (select oid from pg_database where datname = current_database())"
    )
    return [row["pid"] for row in rows]
