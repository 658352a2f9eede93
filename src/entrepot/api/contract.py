"""Every path of the HTTP interface in one table.

The hub's own resources are under `/v1`. The others are the paths that clients were written against before there was a
version: each names in `alias_of` the resource that it is the same as. All are below `/api`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from entrepot.api.resources import access, health, reservations
from entrepot.identity.facade import Scope


@dataclass(frozen=True, slots=True)
class Path:
    """One method on one path. `scope`: what the actor must have; None: signed in is enough."""

    method: str
    path: str
    handler: Callable[..., Any]
    scope: Scope | None
    answer: Any
    status: int = 200
    public: bool = False
    """Needs no key."""
    lean: bool = False
    """`handler(request, services)` does everything itself, `scope` included."""
    alias_of: str | None = None


_ADMIN = Scope.ADMIN

RESOURCES: tuple[Path, ...] = (
    Path("GET", "/v1/health", health.health, None, health.Health, public=True),
    Path("GET", "/v1/status", health.status, Scope.CHANNELS_READ, health.Status),
    Path("POST", "/v1/sign-in", access.sign_in, None, access.Token, 201, public=True),
    Path("POST", "/v1/sign-out", access.sign_out, None, None, 204),
    Path("GET", "/v1/me", access.me, None, access.Me),
    Path("GET", "/v1/people", access.list_people, _ADMIN, access.People),
    Path("POST", "/v1/people", access.add_person, _ADMIN, access.PersonAnswer, 201),
    Path("PATCH", "/v1/people/{person_id}", access.change_role, _ADMIN, access.PersonAnswer),
    Path("DELETE", "/v1/people/{person_id}", access.remove_person, _ADMIN, None, 204),
    Path("POST", "/v1/people/{person_id}/sign-in-link", access.make_sign_in_link, _ADMIN, access.SignInLink, 201),
    Path("GET", "/v1/keys", access.list_keys, _ADMIN, access.Keys),
    Path("POST", "/v1/keys", access.make_key, _ADMIN, access.MadeKey, 201),
    Path("POST", "/v1/agent-tokens", access.make_agent_token, _ADMIN, access.MadeKey, 201),
    Path("DELETE", "/v1/keys/{key_id}", access.revoke_key, _ADMIN, None, 204),
    Path("GET", "/v1/audit", access.audit, _ADMIN, access.Audit),
    Path("POST", "/v1/reservations", reservations.reserve, Scope.STOCK_WRITE, reservations.Reserved, 201, lean=True),
    Path("DELETE", "/v1/reservations/{reservation_id}", reservations.delete, Scope.STOCK_WRITE, None, 204),
)

ALIASES: tuple[Path, ...] = (
    Path("GET", "/health", health.health, None, health.Health, public=True, alias_of="/v1/health"),
    Path("GET", "/status", health.status, Scope.CHANNELS_READ, health.Status, alias_of="/v1/status"),
    Path("GET", "/multi-channel/health", health.health, None, health.Health, public=True, alias_of="/v1/health"),
    Path(
        "POST", "/multi-channel/inventory/reserve", reservations.reserve, Scope.STOCK_WRITE, reservations.Reserved,
        201, lean=True, alias_of="/v1/reservations",
    ),
    Path(
        "POST", "/multi-channel/inventory/release", reservations.release, Scope.STOCK_WRITE, reservations.Released,
        alias_of="/v1/reservations/{reservation_id}",
    ),
)  # fmt: skip

PATHS = RESOURCES + ALIASES
LARGER_BODIES = frozenset({"/products/bulk-import", "/v1/products/import"})
"""Paths that accept whole files."""
