"""What the tests of the HTTP interface share."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn

from entrepot.channels.client import TransportSettings
from entrepot.channels.facade import ChannelTransport, Vault, new_vault_key
from entrepot.connectors import registry
from entrepot.database.pool import Database
from entrepot.sync.desk import ChannelDesk

PASSWORD = "correct horse battery"
PROBLEM_MEMBERS = {"type", "title", "status", "detail", "code", "requestId"}


def check_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Assert that the answer is this problem; return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body.keys() >= PROBLEM_MEMBERS
    assert (body["status"], body["code"]) == (status, code)
    assert body["requestId"] == response.headers["x-request-id"]
    return body


@asynccontextmanager
async def channel_desk(database: Database, settings: TransportSettings | None = None) -> AsyncIterator[ChannelDesk]:
    """The channel work as the composition makes it."""
    vault = Vault({"k": new_vault_key()}, "k")
    transport = ChannelTransport(database, vault, registry.connector_of, settings=settings)
    try:
        yield ChannelDesk(database, vault, transport, registry.connector_of, public_url="http://127.0.0.1:1")
    finally:
        await transport.close()


@asynccontextmanager
async def serve(app: Any) -> AsyncIterator[str]:
    """Run an application on a free port; yield its address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=2))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 (the server has no event for it)
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await task
