"""One database for all tests of this folder: each makes its own organisation, and row security keeps them apart."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("channels", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("channels")


@pytest.fixture(scope="session")
def shared_database_url(server_url: str, template_database: str) -> Iterator[str]:
    """The URL of a migrated database that this session's tests share."""
    name = f"entrepot_test_{uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'create database "{name}" template "{template_database}"')
    head, _, _ = server_url.rpartition("/")
    yield f"{head}/{name}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'drop database if exists "{name}" with (force)')


@pytest.fixture
def database_url(shared_database_url: str) -> str:
    """The shared database."""
    return shared_database_url
