"""Fixtures that every test may use: a real PostgreSQL with a database per worker, copied from a template."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
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
def template_database(server_url: str, worker_id: str) -> Iterator[str]:
    """The name of a migrated, empty database to copy from."""
    name = f"entrepot_template_{worker_id}_{os.getpid()}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'create database "{name}" template template0')
    migrate.upgrade(_with_database(server_url, name))
    yield name
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'drop database if exists "{name}" with (force)')


@pytest.fixture
def database_url(server_url: str, template_database: str) -> Iterator[str]:
    """The URL of a fresh, migrated database of this test."""
    name = f"entrepot_test_{uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'create database "{name}" template "{template_database}"')
    yield _with_database(server_url, name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'drop database if exists "{name}" with (force)')


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on a fresh, migrated database, as the application role."""
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
