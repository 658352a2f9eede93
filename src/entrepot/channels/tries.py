"""How the tries of one call go: what failed, what was perhaps done all the same, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from entrepot.channels.contract import (
    Call,
    ConnectorError,
    OutcomeUnknown,
    RateLimited,
    Reply,
    TemporarilyUnavailable,
)


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How a call ended, for the health of its connection. `error` None: it went well."""

    connection_id: UUID
    channel: str
    operation: str
    seconds: float
    error: ConnectorError | None


Observe = Callable[[CallOutcome], None]


class NotSent(TemporarilyUnavailable):
    """The channel could not be reached: nothing was sent."""


class Lost(TemporarilyUnavailable):
    """The call was sent, its answer never came."""


@dataclass(slots=True)
class Tries:
    """How the sending of one call goes. `perhaps_done`: a try was sent whose effect is not known."""

    deadline: float
    attempts: int = 0
    renewed: bool = False
    perhaps_done: bool = False
    status: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """A try that did not work, and the answer that said so, if one came."""

    error: ConnectorError
    reply: Reply | None


def perhaps_done(error: ConnectorError, reply: Reply | None) -> bool:
    """A 5xx or 408 may come after the work was done; a 429 and a refusal do not."""
    if reply is None or not isinstance(error, TemporarilyUnavailable) or isinstance(error, RateLimited):
        return False
    return isinstance(error, OutcomeUnknown) or reply.status >= 500 or reply.status == 408


def harmless(call: Call) -> bool:
    """Nobody needs to know whether a read was answered."""
    return call.idempotent and call.method.upper() in ("GET", "HEAD")
