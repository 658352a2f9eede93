"""Connections and transactions. One request, job or command is one transaction, committed at the edge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from entrepot.kernel.errors import Unavailable

APP_ROLE = "entrepot_app"
"""The role the hub works as: owns nothing, bypasses nothing, so that row level security holds."""


HintSink = Callable[["UUID | None", set[str]], None]


class DatabaseUnavailable(Unavailable):
    """The database does not answer."""


class Tx:
    """An open transaction of one organisation (or of none, for directory tables).

    Thin over asyncpg: positional `$1` parameters, rows as `asyncpg.Record`, jsonb as Python values.
    """

    __slots__ = ("connection", "hints", "organisation_id")

    def __init__(
        self, connection: asyncpg.Connection[Any] | PoolConnectionProxy[Any], organisation_id: UUID | None
    ) -> None:
        self.connection = connection
        self.organisation_id = organisation_id
        self.hints: set[str] = set()

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Run a statement and return its rows."""
        return await self.connection.fetch(sql, *args)

    async def fetch_row(self, sql: str, *args: Any) -> asyncpg.Record | None:
        """Run a statement and return its first row, or None."""
        return await self.connection.fetchrow(sql, *args)

    async def fetch_value(self, sql: str, *args: Any) -> Any:
        """Run a statement and return the first column of its first row, or None."""
        return await self.connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> int:
        """Run a statement and return how many rows it touched (0 if it does not say)."""
        status = await self.connection.execute(sql, *args)
        tail = status.rsplit(" ", 1)[-1]
        return int(tail) if tail.isdigit() else 0

    async def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement once per row, pipelined."""
        await self.connection.executemany(sql, rows)

    @property
    def organisation(self) -> UUID:
        """The organisation of this transaction; an error if there is none."""
        if self.organisation_id is None:
            raise LookupError("this transaction has no organisation")
        return self.organisation_id

    def hint(self, name: str) -> None:
        """Tell the workers, once this is committed, that there may be work under `name`. It may be lost."""
        self.hints.add(name)


async def _prepare(connection: asyncpg.Connection[Any]) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
        format="binary",
    )


async def _nothing(connection: asyncpg.Connection[Any]) -> None:
    """Leave the session as it is: nothing here sets anything beyond its transaction, and a round trip each is saved.

    The pool itself rolls back what was left open.
    """


class Database:
    """A pool of connections to one PostgreSQL database, as the application role."""

    def __init__(self, url: str, pool: asyncpg.Pool[Any]) -> None:
        self.url = url
        self.pool = pool
        self.hint_sink: HintSink | None = None
        """Where hints of committed transactions go; set by the process that wants them (see jobs.hints)."""

    @classmethod
    async def connect(cls, url: str, *, min_size: int = 1, max_size: int = 10, role: str = APP_ROLE) -> Database:
        """Open a pool. Raises DatabaseUnavailable with what to do."""
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=min_size,
                max_size=max_size,
                init=_prepare,
                reset=_nothing,
                server_settings={"role": role, "application_name": "entrepot", "timezone": "UTC"},
                command_timeout=60,
            )
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            raise DatabaseUnavailable(f"The database does not answer ({error}). Check DATABASE_URL.") from error
        return cls(url, pool)

    async def close(self) -> None:
        """Close all connections; those in use get a moment to finish."""
        try:
            await asyncio.wait_for(self.pool.close(), timeout=5)
        except TimeoutError:
            self.pool.terminate()

    @asynccontextmanager
    async def transaction(self, organisation_id: UUID | None, *, one_snapshot: bool = False) -> AsyncIterator[Tx]:
        """Open a transaction that sees the rows of `organisation_id` only; commit at the end, roll back on an error.

        With None it sees directory tables and no tenant row at all. With `one_snapshot` (repeatable read) all its
        statements see the same moment; a concurrent change of a row that it changes raises SerializationError.
        """
        async with self.pool.acquire() as connection:
            tx = Tx(connection, organisation_id)
            # One round trip. The id is a UUID object, so its text cannot carry SQL.
            name = "" if organisation_id is None else str(UUID(str(organisation_id)))
            begin = "begin isolation level repeatable read" if one_snapshot else "begin"
            await connection.execute(f"{begin}; set local app.organisation_id = '{name}'")
            try:
                yield tx
            except BaseException:
                if not connection.is_closed():
                    await connection.execute("rollback")
                raise
            await connection.execute("commit")
        if tx.hints and self.hint_sink is not None:
            self.hint_sink(organisation_id, tx.hints)
