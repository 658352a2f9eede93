"""Values that cross the wall of this room."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from entrepot.identity.scopes import Role as Role
from entrepot.identity.scopes import Scope
from entrepot.kernel.errors import NotAllowed

NIL_ID = UUID(int=0)


class ActorKind(StrEnum):
    """Who did something."""

    PERSON = "person"
    API_KEY = "api_key"
    AGENT = "agent"
    SYSTEM = "system"


class MissingScope(NotAllowed):
    """Your role or key does not allow that."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is asking, for which organisation, and what they may do. `role` is None unless it is a person."""

    kind: ActorKind
    id: UUID
    name: str
    organisation_id: UUID
    role: Role | None
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Return whether this actor has the scope."""
        return scope in self.scopes

    def require(self, scope: Scope) -> None:
        """Raise MissingScope, naming the scope, unless this actor has it."""
        if scope not in self.scopes:
            raise MissingScope(f"That needs the scope {scope.value}.", scope=scope.value)

    @property
    def reference(self) -> str:
        """Return `kind:id`, the short form that stock movements and runs keep."""
        return f"{self.kind.value}:{self.id}"


def system_actor(organisation_id: UUID, name: str = "Entrepot") -> Actor:
    """Return the hub itself as an actor with every scope: schedules, workers, the command line."""
    return Actor(ActorKind.SYSTEM, NIL_ID, name, organisation_id, None, frozenset(Scope))


@dataclass(frozen=True, slots=True)
class Organisation:
    """A tenant."""

    id: UUID
    name: str
    currency: str
    timezone: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in."""

    id: UUID
    email: str
    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """A person in an organisation."""

    person: Person
    role: Role
    since: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in person. `csrf_token` must come back with every change that a browser asks for."""

    id: UUID
    actor: Actor
    csrf_token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session just begun; `token` goes into the browser's cookie and is not kept by the hub."""

    token: str = field(repr=False)
    session: Session


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An API key or agent token as it may be shown: never its secret."""

    id: UUID
    kind: ActorKind
    name: str
    prefix: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewAccessKey:
    """A key just made; `secret` is the whole token, shown once."""

    secret: str = field(repr=False)
    key: AccessKey


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit log."""

    id: UUID
    at: datetime
    actor_kind: ActorKind
    actor_id: str
    actor_name: str
    action: str
    subject_kind: str
    subject_id: str
    before: Any
    after: Any
