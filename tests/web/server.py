"""The pages on a real port, over a real database. Also a way to look at them: `python -m tests.web.server [empty]`."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import uvicorn
from starlette.applications import Starlette
from tests.web.fill import Filled, fill

from entrepot.actions import all_actions
from entrepot.agents.facade import TaskDesk
from entrepot.channels.client import TransportSettings
from entrepot.channels.facade import ChannelTransport, Vault, new_vault_key
from entrepot.connectors.registry import connector_of, manifests
from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.sync.desk import ChannelDesk
from entrepot.web.live.hub import LiveHub
from entrepot.web.pages import build_pages
from entrepot.web.services import PageServices

T = TypeVar("T")


@dataclass
class Site:
    """A running server and what is in its database."""

    database_url: str
    url: str = ""
    organisation_id: UUID | None = None
    person_id: UUID | None = None
    filled: Filled | None = None
    hub: LiveHub | None = None
    port: int = 0
    _loop: asyncio.AbstractEventLoop | None = None
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None
    database: Database | None = None

    def start(self, *, empty: bool = False, port: int = 0) -> Site:
        """Start in a thread with a loop of its own and wait until it answers."""
        ready = threading.Event()
        self.port = port or self.port
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready, empty)), daemon=True)
        self._thread.start()
        assert ready.wait(60), "the server did not start"
        return self

    async def _run(self, ready: threading.Event, empty: bool) -> None:
        self._loop = asyncio.get_running_loop()
        database = self.database = await Database.connect(self.database_url)
        if self.organisation_id is None:
            self.organisation_id, self.person_id = await self.new_organisation()
        if self.filled is None and not empty:
            self.filled = await fill(database, self.organisation_id)
        self.hub = LiveHub(database, tick_s=0.2)
        vault = Vault({"k": new_vault_key()}, "k")
        transport = ChannelTransport(database, vault, connector_of, settings=TransportSettings(tries=1))
        desk = ChannelDesk(database, vault, transport, connector_of, public_url="http://127.0.0.1:1")
        services = PageServices(
            database=database,
            authenticator=identity.Authenticator(database, identity.derive_token_key(b"k" * 32)),
            hub=self.hub,
            channels=desk,
            find_connector=connector_of,
            manifests=manifests,
            tasks=TaskDesk(all_actions(connector_of)),
        )
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            Starlette(routes=build_pages(services)),
            log_level="warning",
            lifespan="off",
            ws="websockets-sansio",
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        task = asyncio.create_task(self._server.serve(sockets=[listening]))
        while not self._server.started and not task.done():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        ready.set()
        await task
        await transport.close()
        await database.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's loop and return its result."""
        assert self._loop
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def new_organisation(self) -> tuple[UUID, UUID]:
        """Make an organisation with an admin; return both ids."""
        assert self.database
        organisation = await identity.create_organisation(self.database, "Casa Verde")
        person = await identity.create_person(self.database, f"{organisation.id}@example.com", "Ana Costa")
        await identity.add_membership(self.database, organisation.id, person.id, identity.Role.ADMIN)
        return organisation.id, person.id

    def link(self, ids: tuple[UUID, UUID] | None = None) -> str:
        """Return a fresh one-time sign-in link."""
        assert self.database
        assert self.organisation_id
        assert self.person_id
        organisation_id, person_id = ids or (self.organisation_id, self.person_id)
        token = self.run(identity.create_sign_in_link(self.database, organisation_id, person_id))
        return f"{self.url}/sign-in/{token}"

    def stop(self) -> None:
        """Stop as a signal would: streams first."""
        assert self._server
        assert self._thread
        assert self.hub
        assert self._loop
        self._loop.call_soon_threadsafe(self.hub.close)
        self._server.should_exit = True
        self._thread.join(10)


def main() -> None:
    """Serve a scratch database until interrupted, and print a sign-in link."""
    site = Site(sys.argv[1]).start(empty="empty" in sys.argv, port=8123)
    print(site.link(), flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        site.stop()


if __name__ == "__main__":
    main()
