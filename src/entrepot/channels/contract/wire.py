"""Calls and answers, and the connection as a connector sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

Payload = Mapping[str, Any]
"""JSON as the channel sent it."""

Credentials = Mapping[str, str]
"""Decrypted secrets of a connection by field name, and `access_token` where one was fetched."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. `operation` names it for limits, metrics and logs; `cost` in the limit's units.

    `base` picks one of the environment's base URLs. `idempotent` says that sending it twice is harmless
    (a read, or a write that carries an idempotency key): only then does the transport retry a lost answer.
    """

    operation: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    base: str = "api"
    cost: float = 1.0
    idempotent: bool = False
    absolute_url: str | None = None
    """A full URL given by the channel (a feed document): sent without credentials."""
    not_after: datetime | None = None
    """By our clock: not sent later, as what it writes rests on a reading that ages. Then `TooLate` is raised."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class LimitReading:
    """What an answer said about a limit: any field that it did not say is None."""

    name: str
    available: float | None = None
    capacity: float | None = None
    refill_per_s: float | None = None


class Api(Protocol):
    """A connection as a connector sees it. Supplied by the hub: signing, limits, timeouts, retries, traces."""

    @property
    def settings(self) -> Mapping[str, str]:
        """The connection's non-secret settings by field name (defaults filled in)."""

    async def send(self, call: Call) -> Reply:
        """Send the call and return a 2xx answer (or one that `classify` let pass).

        Raises a ConnectorError otherwise; `OutcomeUnknown` if the answer to a call that is not idempotent was lost.
        """
