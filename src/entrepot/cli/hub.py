"""The running whole behind `entrepot up`: database, web server, workers, demo marketplaces; nothing left when it ends."""

from __future__ import annotations

import asyncio
import importlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.markup import escape
from rich.status import Status

from entrepot.cli.output import out
from entrepot.cli.people import sign_in_address
from entrepot.database import migrate
from entrepot.database.embedded import EmbeddedServer
from entrepot.database.embedded_lock import DataDirectoryLock, announce_url
from entrepot.database.embedded_program import is_elsewhere, prepare_data_dir
from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.processes import Command, Supervisor, free_port, http_ready
from entrepot.secret_key import secret_keys
from entrepot.settings import Settings

STOP_GRACE_S = 5.0


@dataclass(slots=True)
class _Line:
    """The line that shows what goes on."""

    status: Status

    def say(self, sentence: str) -> None:
        """Print a sentence above the line."""
        out.print(escape(sentence))

    def show(self, text: str) -> None:
        """Change the line."""
        self.status.update(escape(text))

    @contextmanager
    def step(self, doing: str, done: str) -> Iterator[None]:
        """Show what is being done, then how long it took."""
        self.show(f"{doing} ...")
        began_s = time.monotonic()
        yield
        out.print(f"[green]✓[/] {done} [dim]({time.monotonic() - began_s:.1f} s)[/]")


class Hub:
    """The running whole."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.data_dir = settings.data_dir
        self.stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Run until Ctrl C, SIGTERM or the end of the terminal."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
                loop.add_signal_handler(number, self.stopping.set)
        with out.status("Starting") as status:
            line = _Line(status)
            hub = asyncio.create_task(self._until_stopped(line))
            stopped = asyncio.create_task(self.stopping.wait())
            await asyncio.wait({hub, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not hub.done():
                line.show("Stopping ...")
                hub.cancel()
            stopped.cancel()
            with suppress(asyncio.CancelledError):
                await hub
        out.print("Stopped. Nothing is left running.")

    async def _until_stopped(self, line: _Line) -> None:
        async with self._database_server(line) as url:
            with line.step("Bringing the database to this version", "Database schema"):
                await asyncio.to_thread(migrate.upgrade, url)
                secret_keys(self.settings)
            link = await self._sign_in_link(url)
            supervisor = Supervisor(self.data_dir / "logs", grace_s=STOP_GRACE_S, report=line.say)
            try:
                simulator = await self._start_programs(supervisor, url, line)
                self._greet(link, simulator)
                await asyncio.gather(supervisor.watch(), self._show_progress(simulator, line))
            finally:
                await asyncio.shield(supervisor.stop())

    @asynccontextmanager
    async def _database_server(self, line: _Line) -> AsyncIterator[str]:
        """Yield the URL of the database; its server is ours and supervised unless DATABASE_URL is set."""
        self.data_dir = prepare_data_dir(self.settings.data_dir)
        if self.settings.database_url is not None:
            lock = DataDirectoryLock(self.data_dir)
            lock.acquire()
            try:
                announce_url(self.data_dir, self.settings.database_url)
                yield self.settings.database_url
            finally:
                lock.release()
            return
        server = EmbeddedServer(self.data_dir)
        starting = asyncio.create_task(asyncio.to_thread(server.start))
        try:
            with line.step("Starting the database", "Database"):
                url = await asyncio.shield(starting)
            elsewhere = is_elsewhere(self.data_dir)
            if elsewhere is not None:
                line.say(f"  kept in {elsewhere}: its server does not run as root and cannot reach {self.data_dir}")
            watching = asyncio.create_task(server.watch(line.say))
            try:
                yield url
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
        finally:
            await asyncio.gather(starting, return_exceptions=True)
            await asyncio.shield(asyncio.to_thread(server.stop))

    async def _sign_in_link(self, url: str) -> str:
        database = await Database.connect(url, max_size=2)
        try:
            organisation, person = await identity.ensure_first_organisation(database)
            return await identity.create_sign_in_link(database, organisation.id, person.id)
        finally:
            await database.close()

    async def _start_programs(self, supervisor: Supervisor, url: str, line: _Line) -> str | None:
        settings = self.settings
        simulator = None
        if settings.demo.enabled:
            simulator_port = settings.demo.port or free_port()
            simulator = f"http://127.0.0.1:{simulator_port}"
            with line.step("Opening the demo marketplaces", f"Demo marketplaces at {simulator}"):
                await supervisor.start(_sandbox_command(settings, simulator_port, simulator))
        env = _environment(settings, self.data_dir, url)
        local = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
        health = http_ready(f"http://{f'[{local}]' if ':' in local else local}:{settings.port}/api/health")
        with line.step("Starting the web server", "Web server"):
            await supervisor.start(Command("web", [sys.executable, "-m", "entrepot", "web"], env, health))
        with line.step("Starting the workers", f"{settings.workers} worker{'s' if settings.workers > 1 else ''}"):
            for number in range(1, settings.workers + 1):
                await supervisor.start(Command(f"worker-{number}", [sys.executable, "-m", "entrepot", "worker"], env))
        if simulator is not None:
            with line.step("Connecting to the demo marketplaces", "Connected, shoppers are buying"):
                await _connect_demo(settings, url, simulator)
        return simulator

    def _greet(self, token: str, simulator: str | None) -> None:
        out.print()
        out.print(f"[bold]Entrepot[/] runs at [bold]{self.settings.address}[/]")
        out.print(f"Sign in, once, within an hour: {sign_in_address(self.settings.address, token)}")
        if simulator is None:
            out.print("The hub is empty: connect a channel under Channels.")
        if self.settings.without_effect:
            out.print(f"Without effect: {', '.join(self.settings.without_effect)}")
        out.print(
            f"[dim]Logs: {self.data_dir / 'logs'}. Another link: entrepot user create. Ctrl C stops everything.[/]"
        )
        out.print()

    async def _show_progress(self, simulator: str | None, line: _Line) -> None:
        """Keep the last line true until cancelled."""
        if simulator is None:
            line.show("Running; Ctrl C stops")
            await asyncio.Event().wait()
        async with httpx.AsyncClient(base_url=simulator or "", trust_env=False, timeout=2) as client:
            while True:
                with suppress(httpx.HTTPError, ValueError):
                    told: dict[str, Any] = (await client.get("/_sandbox/progress")).json()
                    line.show(f"{told.get('orders_placed', 0)} orders placed in the demo shops; Ctrl C stops")
                await asyncio.sleep(1)


def _sandbox_command(settings: Settings, port: int, address: str) -> Command:
    program = [
        sys.executable, "-m", "entrepot_sandbox", "--port", str(port), "--seed", str(settings.demo.seed),
        "--time-scale", f"{settings.demo.time_scale:g}", "--channels", ",".join(settings.demo.channels),
    ]  # fmt: skip
    return Command("sandbox", program, {}, http_ready(f"{address}/_sandbox/progress"))


def _environment(settings: Settings, data_dir: Path, url: str) -> dict[str, str]:
    """Return what tells a child the settings that may have come from the command line."""
    return {
        "DATABASE_URL": url,
        "ENTREPOT_DATA_DIR": str(data_dir),
        "ENTREPOT_HOST": settings.host,
        "ENTREPOT_PORT": str(settings.port),
        "ENTREPOT_WORKERS": str(settings.workers),
        "ENTREPOT_DEMO_ENABLED": "yes" if settings.demo.enabled else "no",
        "PYTHONUNBUFFERED": "1",
    }


async def _connect_demo(settings: Settings, url: str, simulator: str) -> None:
    """Connect the hub to the demo marketplaces and let their shoppers in; at a later start only the latter."""
    await importlib.import_module("entrepot.demo").connect(settings, url, simulator)
