"""Fixtures that every test may use: a real PostgreSQL with a database per test process."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import psycopg
import pytest

from entrepot.database import migrate
from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id


def _with_database(url: str, name: str) -> str:
    head, _, _ = url.rpartition("/")
    return f"{head}/{name}"


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of a PostgreSQL that tests may create databases on: DATABASE_URL, else an embedded one."""
    yield os.environ["DATABASE_URL"]


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
