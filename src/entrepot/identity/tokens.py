"""The shapes of secrets: made here, taken apart here, kept only as SHA-256.

A secret carries 256 random bits, so a plain SHA-256 is enough: there is nothing to guess. Secrets are written in
letters and digits only, so that `-` and `_` can part the pieces and a double click marks the whole.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field

from entrepot.kernel.errors import InvalidInput

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX_LENGTH = 10
_SECRET_LENGTH = 43
"""62^43 is just above 2^256."""

_API_KEY = re.compile(rf"entrepot_([0-9A-Za-z]{{{_PREFIX_LENGTH}}})_([0-9A-Za-z]{{{_SECRET_LENGTH}}})")
_AGENT_TOKEN = re.compile(
    rf"marketplace-([a-z0-9][a-z0-9_-]{{0,62}})-([0-9A-Za-z]{{{_PREFIX_LENGTH}}})([0-9A-Za-z]{{{_SECRET_LENGTH}}})"
)
_AGENT_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")


class InvalidAgentName(InvalidInput):
    """An agent's name is 1 to 63 lower-case letters, digits, - and _, beginning and ending with a letter or digit."""


@dataclass(frozen=True, slots=True)
class KeyToken:
    """A key or agent token in its parts. `prefix` finds the row, `text` (the whole) proves it."""

    prefix: str
    text: str = field(repr=False)


def random_text(length: int = _SECRET_LENGTH) -> str:
    """Return random letters and digits; 43 of them hold 256 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def digest(token: str) -> bytes:
    """Return what the hub keeps of a token."""
    return hashlib.sha256(token.encode()).digest()


def new_api_key() -> KeyToken:
    """Return a new `entrepot_<prefix>_<secret>`."""
    prefix = random_text(_PREFIX_LENGTH)
    return KeyToken(f"entrepot_{prefix}", f"entrepot_{prefix}_{random_text()}")


def new_agent_token(agent: str) -> KeyToken:
    """Return a new `marketplace-<agent>-<secret>`. Raises InvalidAgentName."""
    if not _AGENT_NAME.fullmatch(agent):
        raise InvalidAgentName
    prefix = f"marketplace-{agent}-{random_text(_PREFIX_LENGTH)}"
    return KeyToken(prefix, prefix + random_text())


def parse_key(text: str) -> KeyToken | None:
    """Return the parts of an API key or agent token, or None if it has the shape of neither."""
    if match := _API_KEY.fullmatch(text):
        return KeyToken(f"entrepot_{match[1]}", text)
    if match := _AGENT_TOKEN.fullmatch(text):
        return KeyToken(f"marketplace-{match[1]}-{match[2]}", text)
    return None
