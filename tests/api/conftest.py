"""The HTTP interface on a free port of this machine, with keys to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import fields
from functools import cache
from uuid import UUID

import httpx
import pytest
import structlog
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.api.support import channel_desk, serve

from entrepot.api.build import build_api
from entrepot.api.dependencies import Services
from entrepot.connectors import registry
from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.stock.facade import HoldGate
from entrepot.sync.desk import ChannelDesk


@pytest.fixture(autouse=True)
def _plain_logs() -> Iterator[None]:
    """Log without rendering tracebacks in colour: that takes seconds each."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])
    yield
    structlog.reset_defaults()


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[ChannelDesk]:
    async with channel_desk(database) as made:
        yield made


@pytest.fixture
def services(database: Database, desk: ChannelDesk) -> Services:
    return Services(
        database=database,
        authenticator=identity.Authenticator(database, b"k" * 32),
        gate=HoldGate(database),
        channels=desk,
        find_connector=registry.connector_of,
        manifests=registry.manifests,
    )


@cache
def _application() -> tuple[Services, Starlette]:
    """The interface as in the hub, built once (it takes seconds), and what it works with, which each test sets."""
    means = Services.__new__(Services)
    object.__setattr__(means, "secure", False)
    return means, Starlette(routes=[Mount("/api", build_api(means))])


@pytest.fixture
async def address(services: Services) -> AsyncIterator[str]:
    """Where the interface answers."""
    means, app = _application()
    for field in fields(Services):
        object.__setattr__(means, field.name, getattr(services, field.name))
    async with serve(app) as url:
        yield url


@pytest.fixture
async def open_client(address: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with httpx.AsyncClient(base_url=f"{address}/api") as client:
        yield client


KeyMaker = Callable[..., Awaitable[str]]


@pytest.fixture
def make_key(database: Database, organisation_id: UUID) -> KeyMaker:
    """Makes keys with the named scopes."""

    async def make(*scopes: str) -> str:
        actor = identity.system_actor(organisation_id)
        return (await identity.create_api_key(database, actor, "Test", scopes)).secret

    return make


@pytest.fixture
async def client(open_client: httpx.AsyncClient, make_key: KeyMaker) -> httpx.AsyncClient:
    """A client with a key to everything."""
    open_client.headers["Authorization"] = f"Bearer {await make_key('all')}"
    return open_client
