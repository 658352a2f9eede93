"""A part of a transaction that is undone alone if it fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from entrepot.database.pool import Tx
from entrepot.kernel.errors import EntrepotError


@asynccontextmanager
async def part(tx: Tx) -> AsyncIterator[None]:
    """Do what is inside; where it raises an error of the hub's own, only that is undone, and the error goes on."""
    await tx.execute("savepoint part")
    try:
        yield
    except EntrepotError:
        await tx.execute("rollback to savepoint part")
        raise
    await tx.execute("release savepoint part")
