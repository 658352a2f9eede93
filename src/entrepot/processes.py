"""Several programs run as one: started in order, restarted when they die, stopped together, none left behind."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from entrepot.database.kept import KeptProcess
from entrepot.kernel.errors import EntrepotError, InvalidInput, Unavailable

LOG_LIMIT_BYTES = 10_000_000
RESTART_BACKOFF_S = 0.5
RESTART_BACKOFF_LIMIT_S = 30.0
HEALTHY_AFTER_S = 60.0
POLL_S = 0.1

Report = Callable[[str], None]
Ready = Callable[[], Awaitable[bool]]


class PortInUse(InvalidInput):
    """The port is in use by another program: stop that one, or choose another with --port."""


class NotReady(Unavailable):
    """A part of the hub did not start."""


def check_port(host: str, port: int) -> None:
    """Raise a sentence if the hub cannot listen there (port 0 means any)."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise InvalidInput(
            f"{host} is not an address of this machine ({error.strerror}): choose another --host."
        ) from None
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(
                    f"Port {port} on {host} is in use by another program: stop that one, or choose another with --port."
                ) from None
            if error.errno == errno.EACCES:
                raise InvalidInput(
                    f"This user may not listen on port {port}: choose one above 1023 with --port."
                ) from None
            raise InvalidInput(
                f"Cannot listen on {host}, port {port} ({error.strerror}): choose another --host."
            ) from None


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Command:
    """One program to keep running."""

    name: str
    program: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    """What it gets besides our own environment."""
    ready: Ready | None = None
    """Tells whether it does its work; without it, a program that has started counts as ready."""


@dataclass(slots=True)
class _Child:
    command: Command
    process: KeptProcess
    started_s: float
    backoff_s: float = RESTART_BACKOFF_S
    restart_at_s: float | None = None
    restarts: int = 0


class Supervisor:
    """Keeps commands running until it is stopped or this process ends, however it ends."""

    def __init__(self, log_folder: Path, *, grace_s: float = 5.0, report: Report = lambda sentence: None) -> None:
        """Prepare. Each command writes to `<name>.log` in `log_folder`; stopping takes at most `grace_s` or so."""
        self._log_folder = log_folder
        self._grace_s = grace_s
        self._report = report
        self._children: dict[str, _Child] = {}

    def log_of(self, name: str) -> Path:
        """Return the log file of a command."""
        return self._log_folder / f"{name}.log"

    def pids(self) -> dict[str, int]:
        """Return the process id of each command that runs."""
        return {name: c.process.pid for name, c in self._children.items() if c.process.poll() is None}

    def restarts(self) -> dict[str, int]:
        """Return how often each command was restarted."""
        return {name: child.restarts for name, child in self._children.items()}

    async def start(self, command: Command, *, timeout_s: float = 60.0) -> None:
        """Start one command and wait until it is ready. Raises NotReady with the last line that it wrote."""
        child = _Child(command, self._spawn(command), time.monotonic())
        self._children[command.name] = child
        while True:
            if child.process.poll() is not None:
                raise NotReady(f"{command.name} ended at once ({self._last_line(command.name)}).")
            if command.ready is None or await command.ready():
                return
            if time.monotonic() - child.started_s > timeout_s:
                raise NotReady(
                    f"{command.name} was not ready within {timeout_s:.0f} s: see {self.log_of(command.name)}."
                )
            await asyncio.sleep(POLL_S)

    async def watch(self) -> None:
        """Restart commands that end, waiting longer each time, until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            for child in list(self._children.values()):
                self._look_after(child)

    async def stop(self) -> None:
        """Stop all commands, the last started first, at the same time."""
        children, self._children = list(self._children.values()), {}
        for child in reversed(children):
            child.process.ask_to_stop()
        timeout_s = self._grace_s * 2 + 5
        await asyncio.gather(*(asyncio.to_thread(child.process.stop, timeout_s) for child in children))

    def _look_after(self, child: _Child) -> None:
        now_s = time.monotonic()
        if child.restart_at_s is not None:
            if now_s >= child.restart_at_s:
                child.process, child.started_s, child.restart_at_s = self._spawn(child.command), now_s, None
                child.restarts += 1
            return
        if child.process.poll() is None:
            return
        if now_s - child.started_s > HEALTHY_AFTER_S:
            child.backoff_s = RESTART_BACKOFF_S
        name = child.command.name
        self._report(f"{name} stopped ({self._last_line(name)}); starting it again in {child.backoff_s:g} s.")
        child.restart_at_s = now_s + child.backoff_s
        child.backoff_s = min(child.backoff_s * 2, RESTART_BACKOFF_LIMIT_S)

    def _spawn(self, command: Command) -> KeptProcess:
        path = self.log_of(command.name)
        try:
            self._log_folder.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
                path.replace(path.with_suffix(".log.1"))
            with path.open("ab") as log:
                return KeptProcess.start(
                    command.program, log=log, env={**os.environ, **command.env}, grace_s=self._grace_s
                )
        except OSError as error:
            raise EntrepotError(f"{command.name} cannot be started ({error.strerror}).") from error

    def _last_line(self, name: str) -> str:
        try:
            with self.log_of(name).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
                lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
        except OSError:
            lines = []
        return lines[-1][:300] if lines else "it wrote nothing"


def http_ready(url: str, *, timeout_s: float = 2.0) -> Ready:
    """Return a check that is true once `url` answers with success."""

    async def ready() -> bool:
        import httpx

        try:
            async with httpx.AsyncClient(timeout=timeout_s, trust_env=False) as client:
                return (await client.get(url)).is_success
        except httpx.HTTPError:
            return False

    return ready
