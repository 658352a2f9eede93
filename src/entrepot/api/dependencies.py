"""What the HTTP interface is given by the composition (app.py), and what every handler is given of its request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, cast

from fastapi import Depends, Request

from entrepot.agents.facade import TaskDesk
from entrepot.allocation.facade import Learning
from entrepot.api.limits import RateLimiter
from entrepot.channels.contract import Connector, Manifest
from entrepot.channels.contracts import ChannelWork
from entrepot.database.pool import Database, Tx
from entrepot.identity.facade import CSRF_HEADER, Actor, Authenticator, Scope, check_csrf, cookie_name
from entrepot.kernel.clock import Clock, utc_now
from entrepot.kernel.errors import NotSignedIn
from entrepot.stock.facade import HoldGate

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the HTTP interface needs. `secure`: the hub is reached over HTTPS."""

    database: Database
    authenticator: Authenticator
    gate: HoldGate
    channels: ChannelWork
    find_connector: Callable[[str], Connector]
    manifests: Callable[[], tuple[Manifest, ...]]
    clock: Clock = utc_now
    secure: bool = False
    reservation_timeout: timedelta = timedelta(minutes=15)
    """How long a reservation lasts if the caller does not say."""
    low_stock_threshold: int = 10
    """At how many units a variant counts as low."""
    learning: Learning = field(default_factory=Learning)
    """How fast allocation forgets."""
    tasks: TaskDesk = field(default_factory=TaskDesk)
    """Where tasks are proposed and decided; with the actions that the hub has."""
    limiter: RateLimiter = field(default_factory=RateLimiter)


@dataclass(frozen=True, slots=True)
class Call:
    """An authorised request: who asks, and the way to the organisation's rows."""

    request: Request
    services: Services
    actor: Actor

    def transaction(self) -> AbstractAsyncContextManager[Tx]:
        """Open a transaction of the actor's organisation."""
        return self.services.database.transaction(self.actor.organisation_id)


async def authorise(services: Services, request: Request, scope: Scope | None) -> Actor:
    """Return who asks, having checked the rate limit, the CSRF token of browsers, and the scope.

    Raises NotSignedIn, TooManyRequests, WrongCsrfToken, MissingScope.
    """
    headers = request.headers
    authorization = headers.get("authorization")
    if authorization is not None:
        actor = await services.authenticator.authenticate(authorization)
    else:
        token = request.cookies.get(cookie_name(services.secure))
        if not token:
            raise NotSignedIn
        session = await services.authenticator.session(token)
        actor = session.actor
        if request.method not in SAFE_METHODS:
            check_csrf(session, headers.get(CSRF_HEADER))
    cast("dict[str, Any]", request.scope["state"])["limit_headers"] = services.limiter.take(actor.id)
    if scope is not None:
        actor.require(scope)
    return actor


def allow(services: Services, scope: Scope | None) -> Callable[[Request], Any]:
    """Return the dependency of a route that only actors with this scope may use (None: anybody signed in)."""

    async def check(request: Request) -> None:
        actor = await authorise(services, request, scope)
        request.state.call = Call(request, services, actor)

    return check


def let_in(services: Services) -> Callable[[Request], Any]:
    """Return the dependency of a route that needs no key."""

    async def check(request: Request) -> None:
        request.state.services = services

    return check


def _call(request: Request) -> Call:
    return cast(Call, request.state.call)


def _services(request: Request) -> Services:
    return cast(Services, request.state.services)


CallDep = Annotated[Call, Depends(_call)]
OpenDep = Annotated[Services, Depends(_services)]
"""For the few handlers that need no key."""

Json = Mapping[str, Any]
