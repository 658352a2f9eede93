"""What the tests of the HTTP interface share."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import uvicorn

from entrepot.channels.contract import CheckReport
from entrepot.channels.contracts import NewConnection
from entrepot.identity import facade as identity
from entrepot.kernel.ids import new_id

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


@dataclass
class RecordedWork:
    """Stands where the composition puts the work that needs a channel's network; remembers what it was asked."""

    asked: list[tuple[str, Any]] = field(default_factory=list)

    async def connect(self, actor: identity.Actor, new: NewConnection) -> UUID:
        self.asked.append(("connect", new))
        return new_id()

    async def check(self, actor: identity.Actor, connection_id: UUID) -> CheckReport:
        self.asked.append(("check", connection_id))
        return CheckReport(ok=True, summary="All is well.", account="demo")

    async def replace_credentials(self, actor: identity.Actor, connection_id: UUID, values: dict[str, str]) -> None:
        self.asked.append(("replace_credentials", connection_id))

    async def disconnect(self, actor: identity.Actor, connection_id: UUID) -> None:
        self.asked.append(("disconnect", connection_id))

    async def start_sync(self, actor: identity.Actor, connection_id: UUID, kind: str) -> Any:
        self.asked.append(("start_sync", (connection_id, kind)))
        return new_id()

    async def cancel_run(self, actor: identity.Actor, run_id: UUID) -> None:
        self.asked.append(("cancel_run", run_id))


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
