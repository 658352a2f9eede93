"""The hub as it runs for people, on a real port: web server and worker as processes of their own, on simulated marketplaces."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
from tests.connectors.http_api import HttpApi

from entrepot.app import Core, connection_defaults, open_core
from entrepot.channels.contract import Capability, ChannelListing
from entrepot.channels.contracts import NewConnection
from entrepot.connectors.registry import connector_of
from entrepot.identity import facade as identity
from entrepot.processes import Command, Supervisor, free_port, http_ready
from entrepot.secret_key import secret_keys
from entrepot.settings import load
from entrepot.sync.desk import ChannelDesk

T = TypeVar("T")
NAMES = {"shopify": "Shopify", "amazon": "Amazon", "square": "Square"}


@dataclass
class WholeHub:
    """A hub on a database of its own, connected to the three simulated marketplaces."""

    database_url: str
    url: str = ""
    sandbox_url: str = ""
    organisation_id: UUID | None = None
    core: Core | None = None
    accounts: list[Mapping[str, Any]] = field(default_factory=list)
    _sign_in: str = ""
    _loop: asyncio.AbstractEventLoop | None = None
    _ended: asyncio.Event | None = None
    _thread: threading.Thread | None = None
    _problem: BaseException | None = None

    def start(self, time_scale: float) -> WholeHub:
        """Start everything, connect the channels, and wait until all of that is done."""
        ready = threading.Event()

        def run() -> None:
            try:
                asyncio.run(self._run(ready, time_scale))
            except BaseException as error:
                self._problem = error
                raise
            finally:
                ready.set()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert ready.wait(180), "the hub did not start"
        assert self._problem is None, self._problem
        return self

    async def _run(self, ready: threading.Event, time_scale: float) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="entrepot-whole-")))
            settings = replace(load(data_dir=folder / "data", port=free_port()), database_url=self.database_url)
            settings.data_dir.mkdir()
            secret_keys(settings)
            self.url = settings.address
            supervisor = Supervisor(folder / "logs")
            stack.push_async_callback(supervisor.stop)
            port = free_port()
            self.sandbox_url = f"http://127.0.0.1:{port}"
            env = {
                "DATABASE_URL": self.database_url, "ENTREPOT_DATA_DIR": str(settings.data_dir),
                "ENTREPOT_HOST": settings.host, "ENTREPOT_PORT": str(settings.port), "ENTREPOT_LOG_LEVEL": "warning",
                "PYTHONPATH": ":".join(sys.path),
            }  # fmt: skip
            program = [sys.executable, "-m"]
            sandbox = [
                *program, "entrepot_sandbox", "--port", str(port), "--products", "2", "--time-scale", f"{time_scale:g}",
            ]  # fmt: skip
            await asyncio.gather(
                supervisor.start(Command("sandbox", sandbox, env, http_ready(f"{self.sandbox_url}/_sandbox/progress"))),
                supervisor.start(
                    Command("web", [*program, "entrepot", "web"], env, http_ready(f"{self.url}/api/health"))
                ),
                supervisor.start(Command("worker", [*program, "entrepot", "worker"], env)),
            )
            self.core = await stack.enter_async_context(open_core(settings, connections=3))
            await self._connect()
            ready.set()
            await self._ended.wait()

    async def _connect(self) -> None:
        assert self.core
        core = self.core
        organisation = await identity.create_organisation(core.database, "Casa Verde")
        person = await identity.create_person(core.database, "ana@example.com", "Ana Costa")
        await identity.add_membership(core.database, organisation.id, person.id, identity.Role.ADMIN)
        self.organisation_id = organisation.id
        self._sign_in = await identity.create_sign_in_link(core.database, organisation.id, person.id)
        desk = ChannelDesk(
            core.database, core.vault, core.transport, connector_of, public_url=self.url,
            defaults=partial(connection_defaults, core.settings),
        )  # fmt: skip
        async with httpx.AsyncClient(base_url=self.sandbox_url, trust_env=False, timeout=30) as client:
            self.accounts = (await client.get("/_sandbox/accounts")).json()
        for account in self.accounts:
            key = account["channel"]
            names = {each.name for each in connector_of(key).manifest.fields}
            told = {**account["settings"], **account["credentials"], "simulator_url": self.sandbox_url}
            values = {name: str(value) for name, value in told.items() if name in names}
            actor = identity.system_actor(organisation.id, "Ana Costa")
            await desk.connect(actor, NewConnection(key, NAMES[key], "simulated", values))

    @property
    def link(self) -> str:
        """A link that signs in once."""
        return f"{self.url}/sign-in/{self._sign_in}"

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine beside the hub and return its result."""
        assert self._loop
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def rows(self, statement: str) -> list[Any]:
        """Return what the hub's database has."""

        async def work() -> list[Any]:
            assert self.core
            async with self.core.database.transaction(self.organisation_id) as tx:
                return await tx.fetch(statement, self.organisation_id)

        return self.run(work())

    def edit(self, channel: str, sku: str, **changes: Any) -> None:
        """Somebody edits a product in the channel's own admin."""
        told = {"channel": channel, "sku": sku, **changes}
        answer = httpx.post(f"{self.sandbox_url}/_sandbox/edit", json=told, trust_env=False, timeout=30)
        assert answer.status_code == 200, answer.text

    def there(self, channel: str) -> dict[str, ChannelListing]:
        """Return what the channel itself lists, by SKU, asked without the hub."""
        return self.run(self._there(channel))

    async def _there(self, channel: str) -> dict[str, ChannelListing]:
        connector: Any = connector_of(channel)
        account = next(each for each in self.accounts if each["channel"] == channel)
        settings = {**account["settings"], "simulator_url": self.sandbox_url}
        async with HttpApi(connector, settings=settings, credentials=account["credentials"]) as api:
            if Capability.REFRESH_TOKEN in connector.manifest.capabilities:
                token = await connector.refresh_token(api, api.credentials)
                api.credentials["access_token"] = token.access_token
            page = await connector.pull_listings(api, None)
            return {each.sku or "": each for each in page.items}

    def stop(self) -> None:
        """Stop the processes and wait until they are gone."""
        assert self._loop
        assert self._ended
        assert self._thread
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(60)
