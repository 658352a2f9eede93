"""The embedded PostgreSQL: the server that comes with the installation, under our own supervision.

What is relied on: one hub per data directory (a file lock, which the system frees when the hub ends however it ends);
a server counts as alive when it answers a connection and names our data directory, never because a file holds a
process id; the server is a child of a keeper (`keeper.py`) and so ends with the hub, even after kill -9.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg

from entrepot.database import embedded_failures as failures
from entrepot.database.embedded_lock import (
    DataDirectoryLock,
    announce_url,
    write_private,
)
from entrepot.database.embedded_orphans import clear_orphans
from entrepot.database.embedded_program import (
    MAJOR,
    DiskFull,
    EmbeddedServerError,
    Place,
    Program,
    find_place,
    prepare_data_dir,
    sentence_for,
    usable_program,
)
from entrepot.database.kept import KeptProcess

USER = "entrepot"
DATABASE = "entrepot"
START_TIMEOUT_S = 120.0
"""How long a server may take until it answers; recovery after a crash is part of it."""
STOP_GRACE_S = 15.0
FREE_SPACE_MINIMUM_MB = 200
MAX_CONNECTIONS = 200
_LOG_LIMIT_BYTES = 10_000_000

Report = Callable[[str], None]


class EmbeddedServer:
    """One PostgreSQL server of our own on a data directory."""

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        """Prepare, touching nothing. `durable=False` is for tests only: a power cut may lose everything."""
        self._given = data_dir
        self._durable = durable
        self._lock: DataDirectoryLock | None = None
        self._process: KeptProcess | None = None
        self._place: Place | None = None
        self._program: Program | None = None
        self._stopping = False
        self.data_dir = data_dir
        self.port = 0
        self.password = ""

    @property
    def url(self) -> str:
        """The URL of the hub's database on this server."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def place(self) -> Place:
        """Where it lives, once started."""
        assert self._place is not None, "not started"
        return self._place

    @property
    def pid(self) -> int | None:
        """The process id of the server, while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> str:
        """Start the server, creating its files at the first time, and return the URL of the hub's database.

        Raises DataDirectoryInUse, DiskFull, WrongOwner, DamagedData or another EmbeddedServerError, each with one
        sentence that says what to do.
        """
        self._stopping = False
        self.data_dir = prepare_data_dir(self._given)
        lock = DataDirectoryLock(self.data_dir)
        lock.acquire()
        self._lock = lock
        try:
            self._place = find_place(self.data_dir)
            self._check_space(self._place)
            self._program = usable_program(self._place)
            clear_orphans(self._place.cluster)
            self._create_cluster()
            self._launch()
            self._ensure_database()
            announce_url(self.data_dir, self.url)
        except OSError as error:
            self.stop()
            raise sentence_for(error, self.data_dir) from error
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """Stop the server (a fast shutdown, everything on disk) and free the data directory."""
        self._stopping = True
        if self._process is not None:
            self._process.stop(STOP_GRACE_S * 2)
            self._process = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def watch(self, report: Report = lambda sentence: None) -> None:
        """Restart the server whenever it dies, on the same port, until cancelled or stopped; report each time."""
        backoff_s, restarted_at = 0.1, time.monotonic()
        while not self._stopping:
            await asyncio.sleep(0.2)
            process = self._process
            if self._stopping or process is None or process.poll() is None:
                continue
            if time.monotonic() - restarted_at > 60:
                backoff_s = 0.1
            report(f"The database stopped ({failures.last_words(self.place.log)}); starting it again.")
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, 10.0)
            restarted_at = time.monotonic()
            try:
                await asyncio.to_thread(self._relaunch)
            except EmbeddedServerError as error:
                report(error.detail)
            else:
                report("The database answers again.")

    def _relaunch(self) -> None:
        if not self._stopping:
            clear_orphans(self.place.cluster)
            self._launch()
            announce_url(self.data_dir, self.url)

    def _check_space(self, place: Place) -> None:
        for folder in {self.data_dir, place.home if place.home.exists() else self.data_dir}:
            free_mb = shutil.disk_usage(folder).free // 1_000_000
            if free_mb < FREE_SPACE_MINIMUM_MB:
                raise DiskFull(
                    f"Only {free_mb} MB are free on the disk that holds {folder}: "
                    f"free at least {FREE_SPACE_MINIMUM_MB} MB, then start again."
                )

    def _create_cluster(self) -> None:
        """Make the server's files if there are none, in a folder that gets its name only when complete."""
        place, password_file = self.place, self.data_dir / "database.password"
        version = place.cluster / "PG_VERSION"
        if place.cluster.exists():
            failures.check_cluster(place.cluster, version, MAJOR)
            if not password_file.exists():
                raise failures.DamagedData(
                    f"The file {password_file} is missing: put it back from a backup of the folder, or restore a "
                    "backup into a new data directory."
                )
            self.password = password_file.read_text().strip()
            return
        self.password = secrets.token_urlsafe(24)
        write_private(password_file, self.password + "\n")
        place.home.mkdir(parents=True, exist_ok=True)
        if place.owner is not None:
            place.home.chmod(0o711)
        unfinished = place.home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        handover = place.home / ".password"
        write_private(handover, self.password)
        if place.owner is not None:
            os.chown(unfinished, *place.owner)
            os.chown(handover, *place.owner)
        try:
            self._run_initdb(unfinished, handover)
        finally:
            handover.unlink(missing_ok=True)
        unfinished.rename(place.cluster)

    def _run_initdb(self, folder: Path, password_file: Path) -> None:
        assert self._program is not None
        with self.place.log.open("wb") as log:
            process = KeptProcess.start(
                [
                    self._program.binary("initdb"), f"--pgdata={folder}", f"--username={USER}",
                    "--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
                    "--auth=scram-sha-256", f"--pwfile={password_file}", "--data-checksums", "--no-instructions",
                    *([] if self._durable else ["--no-sync"]),
                ],
                log=log, extra_env=self._program.env, owner=self.place.owner, cwd=self.place.home,
            )  # fmt: skip
            try:
                status = process.wait(START_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.stop()
                status = 1
        if status != 0:
            raise failures.explain(self.place.log, self.data_dir)

    def _launch(self) -> None:
        """Start the server process and wait until it answers, on the port of last time if that is free."""
        port_file = self.data_dir / "database.port"
        with suppress(OSError, ValueError):
            self.port = self.port or int(port_file.read_text())
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while True:
            self.port = _free_port(self.port)
            try:
                self._launch_once(deadline_s)
            except failures.TryAgain as error:
                if time.monotonic() > deadline_s:
                    raise EmbeddedServerError(error.detail) from error
                if isinstance(error, failures.PortTaken):
                    self.port = 0
                time.sleep(0.2)
                continue
            break
        write_private(port_file, f"{self.port}\n")

    def _launch_once(self, deadline_s: float) -> None:
        assert self._program is not None
        with suppress(OSError):
            if self.place.log.stat().st_size > _LOG_LIMIT_BYTES:
                self.place.log.replace(self.place.log.with_suffix(".log.1"))
        with self.place.log.open("ab") as log:
            offset = log.tell()
            process = KeptProcess.start(
                [self._program.binary("postgres"), "-D", str(self.place.cluster), *self._settings()],
                log=log, extra_env=self._program.env, owner=self.place.owner, cwd=self.place.home,
                stop_signal="SIGINT", grace_s=STOP_GRACE_S,
            )  # fmt: skip
        self._process = process
        while not answers(self.admin_url, self.place.cluster):
            if process.poll() is not None:
                raise failures.explain(self.place.log, self.data_dir, offset)
            if time.monotonic() > deadline_s:
                process.stop()
                raise EmbeddedServerError(
                    f"The database did not answer within {START_TIMEOUT_S:.0f} s: see {self.place.log}."
                )
            time.sleep(0.03)

    @property
    def admin_url(self) -> str:
        """The URL of the database that always exists."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/postgres"

    def _settings(self) -> list[str]:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": MAX_CONNECTIONS,
            "shared_buffers": f"{_shared_buffers_mb()}MB",
            "wal_compression": "on",
            "max_wal_size": "2GB",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "lc_messages": "C",
            "log_line_prefix": "%m [%p] ",
            "fsync": "on" if self._durable else "off",
            "synchronous_commit": "on",
            "full_page_writes": "on" if self._durable else "off",
        }
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _ensure_database(self) -> None:
        with psycopg.connect(self.admin_url, autocommit=True, connect_timeout=10) as connection:
            found = connection.execute("select 1 from pg_database where datname = %s", (DATABASE,)).fetchone()
            if found is None:
                connection.execute(f'create database "{DATABASE}" template template0')


def answers(url: str, cluster: Path | None = None) -> bool:
    """Return whether a server answers at `url` (and, if `cluster` is given, runs on that folder)."""
    try:
        with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
            row = connection.execute("show data_directory").fetchone()
    except psycopg.OperationalError:
        return False
    return cluster is None or (row is not None and Path(row[0]) == cluster)


def _free_port(wanted: int) -> int:
    """Return `wanted` if it can be bound, else a free port."""
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise EmbeddedServerError("No port is free on 127.0.0.1.")


def _shared_buffers_mb() -> int:
    """Return a fair share of the memory for the server's cache, in MB."""
    try:
        memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000
    except (OSError, ValueError):
        return 128
    return max(32, min(256, memory_mb // 8))
