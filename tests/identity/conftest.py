"""A hub without anybody in it, and cheap password hashes."""

from collections.abc import Iterator

import psycopg
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from entrepot.identity import passwords


@pytest.fixture(autouse=True)
def _empty_directory(database_url: str) -> None:
    """Forget the organisations and people of earlier tests: those tables have no organisation to keep them apart."""
    tables = "sign_in_attempt sign_in_link browser_session access_key membership person audit_log organisation"
    with psycopg.connect(database_url) as connection:
        for table in tables.split():
            connection.execute(f"delete from {table}".encode())


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hash cheaply: the real parameters take 64 MB and tens of milliseconds each, on purpose."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),)))
    passwords._hash_of_nothing.cache_clear()
    yield
    passwords._hash_of_nothing.cache_clear()
