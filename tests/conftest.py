"""Fixtures that every test may use: a real PostgreSQL with a database per test process."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import settings

from entrepot.database import migrate
from entrepot.database.embedded import EmbeddedServer
from entrepot.database.embedded_program import temporary_data_dir
from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("hub", deadline=None)
settings.load_profile("hub")


def _with_database(url: str, name: str) -> str:
    head, _, _ = url.rpartition("/")
    return f"{head}/{name}"


_servers: list[tuple[ExitStack, str]] = []


def _embedded_url() -> str:
    """Return the URL of this test run's own embedded server, started at the first call."""
    if not _servers:
        stack = ExitStack()
        server = EmbeddedServer(stack.enter_context(temporary_data_dir("entrepot-tests-")), durable=False)
        stack.callback(server.stop)
        _servers.append((stack, server.start()))
    return _servers[0][1]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """With several test workers, the process that leads them runs one server for all."""
    if not os.environ.get("DATABASE_URL"):
        node.workerinput["server_url"] = _embedded_url()


def pytest_collection_finish() -> None:
    """Let the collector leave alone what is loaded: else it walks through it during every other test."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def pytest_unconfigure() -> None:
    """Stop the server that this process started, if it did."""
    while _servers:
        _servers.pop()[0].close()


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    """The URL of a PostgreSQL that tests may create databases on: DATABASE_URL, else an embedded one."""
    given = os.environ.get("DATABASE_URL") or getattr(request.config, "workerinput", {}).get("server_url")
    return given or _embedded_url()


@pytest.fixture(scope="session")
def database_url(server_url: str) -> Iterator[str]:
    """The URL of a migrated database of this test process. Tests keep apart by using an organisation each."""
    with _new_database(server_url) as url:
        migrate.upgrade(url)
        yield url


@pytest.fixture
def empty_database_url(server_url: str) -> Iterator[str]:
    """The URL of an empty database, not migrated. Costs a second or more: only for tests that need it."""
    with _new_database(server_url) as url:
        yield url


@pytest.fixture
def fresh_database_url(server_url: str) -> Iterator[str]:
    """The URL of a migrated database that no other test writes to. Costs seconds: only for what looks at all of it."""
    with _new_database(server_url) as url:
        migrate.upgrade(url)
        yield url


@contextmanager
def _new_database(server_url: str) -> Iterator[str]:
    name = f"entrepot_test_{uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'create database "{name}" template template0')
    yield _with_database(server_url, name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'drop database if exists "{name}" with (force)')


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on the migrated database of this test process, as the application role."""
    database = await Database.connect(database_url)
    yield database
    await database.close()


@pytest.fixture
async def organisation_id(database: Database) -> UUID:
    """A new organisation."""
    identifier = new_id()
    async with database.transaction(None) as tx:
        await tx.execute("insert into organisation (id, name) values ($1, 'Test')", identifier)
    return identifier
