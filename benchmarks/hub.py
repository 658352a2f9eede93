"""The hub that a benchmark measures: a migrated database of its own, a catalog, and the hub's own processes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg

from entrepot.database import migrate
from entrepot.database.embedded import EmbeddedServer
from entrepot.database.embedded_program import temporary_data_dir
from entrepot.database.pool import Database, Tx
from entrepot.identity import facade as identity
from entrepot.processes import Command, Supervisor, free_port, http_ready
from entrepot.settings import Settings, load

Say = Callable[[str], None]

SKUS = 1_000
ON_HAND = 1_000_000
LOCATION = UUID(int=(0x7000 << 64) | (0x8000 << 48))


def variant_id(number: int) -> UUID:
    """Return the id of the variant with the SKU of that number (1 and up)."""
    return UUID(int=LOCATION.int + number)


def sku(number: int) -> str:
    """Return a SKU by its number."""
    return f"SKU-{number:06d}"


@contextmanager
def server() -> Iterator[str]:
    """Yield the URL of the PostgreSQL to measure on: DATABASE_URL, else a fresh and durable embedded one."""
    if given := os.environ.get("DATABASE_URL"):
        yield given
        return
    with temporary_data_dir("entrepot-bench-") as folder:
        embedded = EmbeddedServer(folder, durable=True)
        url = embedded.start()
        try:
            yield url
        finally:
            embedded.stop()


@dataclass(slots=True)
class Bench:
    """What one benchmark works with. `seconds`: how long each figure is measured."""

    url: str
    database: Database
    organisation: UUID
    settings: Settings
    folder: Path
    seconds: float
    say: Say

    @property
    def env(self) -> dict[str, str]:
        """The environment of the hub's processes."""
        return {
            "DATABASE_URL": self.url,
            "ENTREPOT_DATA_DIR": str(self.settings.data_dir),
            "ENTREPOT_HOST": self.settings.host,
            "ENTREPOT_PORT": str(self.settings.port),
            "ENTREPOT_LOG_LEVEL": "error",
        }

    async def start_web(self, supervisor: Supervisor) -> None:
        """Start the web process and wait until it answers."""
        ready = http_ready(f"{self.settings.address}/api/health")
        await supervisor.start(Command("web", [sys.executable, "-m", "entrepot", "web"], self.env, ready))

    async def start_worker(self, supervisor: Supervisor) -> None:
        """Start a worker process."""
        await supervisor.start(Command("worker", [sys.executable, "-m", "entrepot", "worker"], self.env))

    def admin(self) -> psycopg.Connection[Any]:
        """Return a connection as the database's owner."""
        return psycopg.connect(self.url, autocommit=True)


@asynccontextmanager
async def bench(server_url: str, seconds: float, say: Say) -> AsyncIterator[Bench]:
    """Make a database, yield a hub on it, drop it."""
    name = f"entrepot_bench_{uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'create database "{name}" template template0')
    url = f"{server_url.rpartition('/')[0]}/{name}"
    try:
        await asyncio.to_thread(migrate.upgrade, url)
        database = await Database.connect(url, max_size=20)
        try:
            organisation, _ = await identity.ensure_first_organisation(database)
            with temporary_data_dir("entrepot-bench-") as folder:
                settings = load({"DATABASE_URL": url}, data_dir=folder / "data", port=free_port())
                yield Bench(url, database, organisation.id, settings, folder, seconds, say)
        finally:
            await database.close()
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f'drop database if exists "{name}" with (force)')


@asynccontextmanager
async def processes(folder: Path) -> AsyncIterator[Supervisor]:
    """Yield a supervisor and stop what it started."""
    supervisor = Supervisor(folder / "logs")
    try:
        yield supervisor
    finally:
        await supervisor.stop()


CATALOG = """
with numbers as (
    select n, ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid as id, 'SKU-' || lpad(n::text, 6, '0') as sku
    from generate_series(1, $2::int) n
), products as (
    insert into product (organisation_id, id, handle, title) select $1, id, lower(sku), sku from numbers
), variants as (
    insert into variant (organisation_id, id, product_id, sku, price_minor, currency)
    select $1, id, id, sku, 1250, 'EUR' from numbers
), levels as (
    insert into stock_level (organisation_id, variant_id, location_id, on_hand) select $1, id, $3, $4 from numbers
)
insert into stock_movement (organisation_id, id, variant_id, location_id, kind, on_hand_delta, on_hand_after,
    reserved_after, actor, at)
select $1, id, id, $3, 'count', $4, $4, 0, 'benchmark', now() from numbers
"""


async def seed_catalog(hub: Bench, skus: int, on_hand: int = ON_HAND) -> None:
    """Make variants with the numbers 1 to `skus`, all at one location."""
    async with hub.database.transaction(hub.organisation) as tx:
        await seed_catalog_in(tx, skus, on_hand)
    with hub.admin() as connection:
        connection.execute("analyze")


async def seed_catalog_in(tx: Tx, skus: int, on_hand: int) -> None:
    """Insert products, variants, levels and their opening movements: set-based."""
    await tx.execute(
        "insert into location (organisation_id, id, name) values ($1, $2, 'Main')", tx.organisation, LOCATION
    )
    await tx.connection.execute(CATALOG, tx.organisation, skus, LOCATION, on_hand, timeout=600)


async def load_http(hub: Bench, requests: Path, *, clients: int, seconds: float, once: bool) -> Mapping[str, Any]:
    """Send requests from a process of its own (see load.py) and return its figures."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.load", str(hub.settings.port), str(requests), str(clients), str(seconds),
        "once" if once else "cycle",
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), seconds + 60)
    if process.returncode:
        raise RuntimeError("the load generator failed")
    figures: Mapping[str, Any] = json.loads(output)
    return figures
