"""The errors that the hub shows to people and programs. A class's docstring is its message."""

from __future__ import annotations

from typing import Any, ClassVar


class EntrepotError(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500
    """The HTTP status that this error answers with."""

    def __init__(self, detail: str | None = None, **context: Any) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip().splitlines()[0]
        self.context = context
        super().__init__(self.detail)

    @classmethod
    def code(cls) -> str:
        """Return the stable kebab-case name that problem+json carries, such as `not-found`."""
        name = cls.__name__
        return "".join(f"-{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


class InvalidInput(EntrepotError):
    """The input is not valid."""

    status = 422


class NotFound(EntrepotError):
    """There is nothing with that id here."""

    status = 404


class Conflict(EntrepotError):
    """That contradicts the present state."""

    status = 409


class NotSignedIn(EntrepotError):
    """Sign in, or send a valid key."""

    status = 401


class NotAllowed(EntrepotError):
    """You are not allowed to do that."""

    status = 403


class TooManyRequests(EntrepotError):
    """Too many requests: wait a little."""

    status = 429


class Unavailable(EntrepotError):
    """That part of the hub is not available at the moment."""

    status = 503
