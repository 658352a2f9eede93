"""Passwords as argon2id, hashed on two threads of their own: one hash takes 64 MB and tens of milliseconds."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from pwdlib import PasswordHash

from entrepot.kernel.errors import InvalidInput

MIN_LENGTH = 10
MAX_LENGTH = 256

_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")
_hasher = PasswordHash.recommended()


class WeakPassword(InvalidInput):
    """A password has 10 to 256 characters."""


def check_strength(password: str) -> None:
    """Raise WeakPassword if the password is too short or absurdly long. Length is what counts (NIST SP 800-63B)."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise WeakPassword


async def hash_password(password: str) -> str:
    """Return the argon2id hash, parameters included. Raises WeakPassword."""
    check_strength(password)
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, password)


async def verify_password(password: str, password_hash: str | None) -> tuple[bool, str | None]:
    """Return (whether it fits, a new hash if the parameters have grown since).

    With no hash (an unknown email, a person without a password) it works just as long against a hash that
    nothing fits, so that the time tells nothing.
    """
    if len(password) > MAX_LENGTH:
        password, password_hash = "", None
    return await asyncio.get_running_loop().run_in_executor(_threads, _verify, password, password_hash)


def _verify(password: str, password_hash: str | None) -> tuple[bool, str | None]:
    if password_hash is None:
        _hasher.verify(password, _hash_of_nothing())
        return False, None
    return _hasher.verify_and_update(password, password_hash)


@cache
def _hash_of_nothing() -> str:
    return _hasher.hash("a password that nobody has")
