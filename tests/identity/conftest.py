"""Cheap password hashes: the real parameters take 64 MB and tens of milliseconds each, on purpose."""

from collections.abc import Iterator

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from entrepot.identity import passwords


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(passwords, "_hasher", PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),)))
    passwords._hash_of_nothing.cache_clear()
    yield
    passwords._hash_of_nothing.cache_clear()
