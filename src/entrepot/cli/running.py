"""How a command reaches the database: one of your own, that of the running hub, or the embedded one for the moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

from entrepot.database.embedded import EmbeddedServer, answers
from entrepot.database.embedded_lock import announced_url
from entrepot.database.pool import Database, Tx
from entrepot.database.revisions import revisions
from entrepot.identity import facade as identity
from entrepot.kernel.errors import Conflict, NotFound, Unavailable
from entrepot.settings import Settings

Answer = TypeVar("Answer")
Item = TypeVar("Item")


class NoHubHere(NotFound):
    """There is no hub in that data directory."""


class SchemaNotCurrent(Conflict):
    """The database is not at the schema of this version: run `entrepot db migrate`."""


@contextmanager
def server_for(settings: Settings, *, create: bool = False) -> Iterator[str]:
    """Yield the URL of the hub's database, starting the embedded server if nobody else runs it.

    With `create`, a data directory that does not exist is made; else that raises NoHubHere.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    url = announced_url(settings.data_dir)
    if url is not None:
        if not answers(url):
            raise Unavailable(f"The hub in {settings.data_dir} is running, but its database does not answer yet.")
        yield url
        return
    if not create and not settings.data_dir.exists():
        raise NoHubHere(
            f"There is no hub in {settings.data_dir}: start one with `entrepot up`, or name its folder with --data-dir."
        )
    server = EmbeddedServer(settings.data_dir)
    try:
        yield server.start()
    finally:
        server.stop()


def run_with_database(
    settings: Settings, work: Callable[[Database], Awaitable[Answer]], *, create: bool = False
) -> Answer:
    """Run `work` on the hub's database, at the schema of this version, and return its answer.

    A database of your own is never migrated by the way: SchemaNotCurrent says which command does.
    """
    with server_for(settings, create=create) as url:
        current, newest = revisions(url)
        if current != newest:
            if settings.database_url is not None:
                raise SchemaNotCurrent
            from entrepot.database import migrate

            migrate.upgrade(url)
        return asyncio.run(_run(url, work))


async def of_each_organisation(database: Database, work: Callable[[Tx, UUID], Awaitable[Sequence[Item]]]) -> list[Item]:
    """Run `work` in a transaction of every organisation and return what all of them gave."""
    found: list[Item] = []
    for organisation in await identity.list_organisations(database):
        async with database.transaction(organisation.id) as tx:
            found += await work(tx, organisation.id)
    return found


async def _run(url: str, work: Callable[[Database], Awaitable[Answer]]) -> Answer:
    database = await Database.connect(url, max_size=4)
    try:
        return await work(database)
    finally:
        await database.close()
