"""Generated requests against every path of the OpenAPI document: whatever is sent, no answer is a 5xx."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.api.support import channel_desk, serve

from entrepot.api.build import build_api
from entrepot.api.contract import PATHS, Path
from entrepot.api.dependencies import Services
from entrepot.channels.client import TransportSettings
from entrepot.connectors import registry
from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.kernel.ids import new_id
from entrepot.stock.facade import HoldGate


async def _prepare(database: Database) -> str:
    organisation = await identity.create_organisation(database, f"Fuzzed {new_id()}")
    actor = identity.system_actor(organisation.id)
    return (await identity.create_api_key(database, actor, "Fuzz", ["all"])).secret


async def _serve(url: str, started: threading.Event, found: dict[str, Any], stop: asyncio.Event) -> None:
    database = await Database.connect(url)
    # Whatever address is generated, no call leaves this machine: the way to channels ends at a port that nobody listens on.
    nowhere = TransportSettings(proxy="http://127.0.0.1:9", tries=1, call_total_max_s=1.0, rate_wait_max_s=0.1)
    async with channel_desk(database, nowhere) as desk:
        services = Services(
            database=database, authenticator=identity.Authenticator(database, b"k" * 32), gate=HoldGate(database),
            channels=desk, find_connector=registry.connector_of, manifests=registry.manifests,
        )  # fmt: skip
        found["key"] = await _prepare(database)
        async with serve(Starlette(routes=[Mount("/api", build_api(services))])) as address:
            found["address"] = f"{address}/api"
            started.set()
            await stop.wait()
    await database.close()


@pytest.fixture(scope="module")
def served(database_url: str) -> Iterator[dict[str, Any]]:
    """Address and key of the interface, running on a thread of its own (schemathesis calls it synchronously)."""
    found: dict[str, Any] = {}
    started, stop, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(_serve(database_url, started, found, stop)))
    thread.start()
    assert started.wait(60)
    yield found
    loop.call_soon_threadsafe(stop.set)
    thread.join(30)
    loop.close()


@pytest.fixture(scope="module")
def schema(served: dict[str, Any]) -> Any:
    document = httpx.get(f"{served['address']}/openapi.json", timeout=120).json()
    loaded = schemathesis.openapi.from_dict(document)
    loaded.config.update(base_url=served["address"])
    return loaded


def test_the_document_names_every_path(schema: Any) -> None:
    documented = {(method.upper(), path) for path, item in schema.raw_schema["paths"].items() for method in item}
    assert documented == {(path.method, path.path) for path in PATHS}


HANDLED = list({path.handler: path for path in reversed(PATHS)}.values())
"""One path for each handler: an alias of the same handler would only repeat it."""


@pytest.mark.parametrize("path", HANDLED, ids=[f"{path.method} {path.path}" for path in HANDLED])
def test_no_request_breaks_it(served: dict[str, Any], schema: Any, path: Path) -> None:
    operation = schema[path.path][path.method]
    headers = {"Authorization": f"Bearer {served['key']}"}
    # A path without a key, parameters or body leaves nothing to get wrong.
    bare = path.public and path.method == "GET"
    modes = [schemathesis.GenerationMode.POSITIVE] if bare else list(schemathesis.GenerationMode)

    @settings(
        max_examples=3, deadline=None, database=None, phases=[Phase.generate], derandomize=True,
        suppress_health_check=list(HealthCheck), verbosity=Verbosity.quiet,
    )  # fmt: skip
    @given(st.data())
    def send(data: st.DataObject) -> None:
        for mode in modes:
            case = data.draw(operation.as_strategy(generation_mode=mode))
            response = case.call(headers=headers)
            assert response.status_code < 500, (response.status_code, response.text)
            # Without an id it never got here: the server or the mount refused a malformed address.
            if response.status_code >= 400 and "x-request-id" in response.headers:
                assert "application/problem+json" in response.headers["content-type"]

    send()
