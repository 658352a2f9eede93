"""The hub on simulated marketplaces: connected by `entrepot up --demo`, and run headless and judged by `entrepot demo`."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from entrepot.allocation import facade as allocation
from entrepot.app import connection_defaults, open_core
from entrepot.channels import facade as channels
from entrepot.channels.contracts import ConnectionChanges, NewConnection
from entrepot.connectors import registry
from entrepot.database import migrate
from entrepot.database.embedded import EmbeddedServer
from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor
from entrepot.kernel.errors import EntrepotError, InvalidInput
from entrepot.processes import Command, Supervisor, free_port, http_ready
from entrepot.secret_key import secret_keys
from entrepot.settings import Settings, load
from entrepot.stock import facade as stock
from entrepot.sync.desk import ChannelDesk
from entrepot.sync.importing import ImportOptions, Stage, take_in

Report = Callable[[str], None]

TITLES = {"shopify": "Shopify", "square": "Square", "amazon": "Amazon", "ebay": "eBay"}
CHANNELS = ("shopify", "square", "amazon")
"""The marketplaces that a run has if nothing else is said."""
WEIGHTS = {"shopify": 4, "amazon": 3, "square": 2, "ebay": 2}
SHARES = {"shopify": 0.4, "amazon": 0.3, "square": 0.2}
POLICIES: Mapping[str, Mapping[str, Any]] = {
    "fixed_shares": {"shares": SHARES, "reserve": 0.1},
    "equal": {},
    "pool_minus_buffer": {"buffer": 1},
    "risk": {"risk": 0.005, "replenish_days": 0.001, "lag_s": 10.0},
}
"""The strategies that a run may have, with their parameters; the judge is told the same."""


class NoSuchMarketplace(InvalidInput):
    """There is no simulated marketplace of that name."""


def policy_of(strategy: str, channels_: Sequence[str]) -> Mapping[str, Any]:
    """Return the parameters of a strategy for these channels: fixed shares of nine tenths by their weights."""
    if strategy != "fixed_shares" or set(channels_) <= SHARES.keys():
        return POLICIES[strategy]
    total = sum(WEIGHTS[key] for key in channels_)
    return {**POLICIES[strategy], "shares": {key: round(0.9 * WEIGHTS[key] / total, 3) for key in channels_}}


def read_channels(text: str) -> tuple[str, ...]:
    """Return the marketplaces that a text names, with commas, always in the same order, as a seed counts on it.

    Raises NoSuchMarketplace.
    """
    named = {part.strip() for part in text.split(",") if part.strip()}
    unknown = sorted(named - TITLES.keys())
    if unknown or not named:
        what = f"no simulated marketplace {', '.join(unknown)}" if unknown else "no marketplace named"
        raise NoSuchMarketplace(f"There is {what}: choose some of {', '.join(TITLES)}, with commas.")
    return tuple(key for key in TITLES if key in named)


ALWAYS = 10_000_000
"""More orders than shoppers of `entrepot up --demo` ever place."""


async def connect(settings: Settings, url: str, simulator: str) -> None:
    """Connect a fresh hub to the simulated marketplaces and let the shoppers in; at a later start only the latter."""
    async with _opened(settings, url, simulator) as hub:
        await hub.set_up(channels_=read_channels(",".join(settings.demo.channels)))
        await hub.tell("POST", "/shoppers", {"orders": ALWAYS, "orders_per_s": settings.demo.orders_per_s})


@asynccontextmanager
async def _opened(settings: Settings, url: str, simulator: str) -> AsyncIterator[_Hub]:
    os.environ["DATABASE_URL"] = url
    settings = replace(settings, database_url=url)
    async with open_core(settings, connections=4) as core:
        desk = ChannelDesk(
            core.database,
            core.vault,
            core.transport,
            registry.connector_of,
            public_url=settings.address,
            defaults=partial(connection_defaults, settings),
        )
        organisation, _ = await identity.ensure_first_organisation(core.database)
        actor = identity.system_actor(organisation.id, "Demo")
        async with httpx.AsyncClient(base_url=simulator, trust_env=False, timeout=30) as client:
            yield _Hub(
                core.database, core.vault, desk, actor, organisation.id, organisation.currency, client, simulator
            )


@dataclass(slots=True)
class _Hub:
    """A hub and the simulator it works with."""

    database: Database
    vault: channels.Vault
    desk: ChannelDesk
    actor: Actor
    organisation_id: UUID
    currency: str
    client: httpx.AsyncClient
    simulator: str

    async def tell(self, method: str, path: str, body: Any = None) -> Any:
        """Call the simulator's control interface."""
        answer = await self.client.request(method, f"/_sandbox{path}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def set_up(
        self, *, strategy: str = "fixed_shares", sync_interval_s: int = 5, channels_: Sequence[str] = CHANNELS
    ) -> None:
        """Import the seller's list and connect every account that is not connected yet."""
        policy = policy_of(strategy, channels_)
        text = (await self.client.get("/_sandbox/catalog.csv")).text
        taken = await take_in(
            self.database, self.actor, text, ImportOptions(self.currency), name="catalog.csv", here=True
        )
        if taken.stage is not Stage.APPLIED:
            raise EntrepotError(f"The seller's list was not imported: {taken.error or taken.stage}.")
        async with self.database.transaction(self.organisation_id) as tx:
            await allocation.set_policy(tx, strategy, policy)
            known = {c.channel: c for c in await channels.list_all(tx)}
        await self.tell("POST", "/strategy", {"strategy": strategy, "parameters": policy})
        for account in await self.tell("GET", "/accounts"):
            await self._connect(account, known.get(account["channel"]), sync_interval_s)

    async def _connect(self, account: Mapping[str, Any], known: Any, sync_interval_s: int) -> None:
        key = account["channel"]
        manifest = registry.connector_of(key).manifest
        names = {field.name for field in manifest.fields}
        told = {**account["settings"], **account["credentials"], "simulator_url": self.simulator}
        values = {name: str(value) for name, value in told.items() if name in names}
        if known is not None:  # The simulator started anew, at another port.
            await self.desk.replace_credentials(self.actor, known.id, values)
            return
        new = NewConnection(key, f"{TITLES.get(key, key)} demo", "simulated", values)
        connection_id = await self.desk.connect(self.actor, new)
        async with self.database.transaction(self.organisation_id) as tx:
            await channels.update(
                tx, registry.connector_of(key), connection_id, ConnectionChanges(sync_interval_s=sync_interval_s)
            )

    async def is_idle(self) -> bool:
        """Return whether nothing is left to be done: nothing stored, waiting, sent or differing."""
        async with self.database.transaction(self.organisation_id) as tx:
            return not await tx.fetch_value(
                """
                select exists (select 1 from outbox where organisation_id = $1)
                    or exists (select 1 from webhook_inbox where organisation_id = $1 and state = 'pending')
                    or exists (select 1 from listing_quantity where organisation_id = $1
                               and (state in ('pending', 'sending', 'waiting') or gap is not null or check_at is not null))
                    or exists (select 1 from connection c left join connection_progress p
                               on p.organisation_id = $1 and p.connection_id = c.id
                               where c.organisation_id = $1 and not c.fulfilment_only
                                     and (p.listings_pulled_at is null or p.drained_at is null))
                """,
                self.organisation_id,
            )

    async def drained_since(self, moment: float) -> bool:
        """Return whether every connection has seen all orders up to a time (epoch seconds) and compared its listings since."""
        async with self.database.transaction(self.organisation_id) as tx:
            return bool(
                await tx.fetch_value(
                    "select coalesce(bool_and(least(p.drained_at, p.drift_checked_at) >= to_timestamp($2)), false)"
                    " from connection_progress p join connection c on c.organisation_id = $1 and c.id = p.connection_id"
                    " where p.organisation_id = $1 and not c.fulfilment_only",
                    self.organisation_id,
                    moment,
                )
            )


# ---- the judged run ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a run goes."""

    orders_per_s: float
    time_scale: float


PACES = {"fast": Pace(25.0, 60.0), "real": Pace(2.0, 1.0)}
IDLE_S = 60.0
SETUP_S = 120.0


@dataclass(frozen=True, slots=True)
class Course:
    """What is run: how many orders, how fast, with which faults, seed, strategy of allocation (a key of POLICIES), channels."""

    orders: int
    pace: Pace
    faults: str
    seed: int
    strategy: str
    channels: tuple[str, ...] = CHANNELS


def run(
    *,
    orders: int,
    speed: str,
    faults: str,
    seed: int,
    strategy: str,
    report: Report,
    channels: str = ",".join(CHANNELS),
) -> dict[str, Any]:
    """Run the whole job headless on a fresh hub in a temporary directory; return the judge's figures.

    Raises NoSuchMarketplace.
    """
    return asyncio.run(_run(Course(orders, PACES[speed], faults, seed, strategy, read_channels(channels)), report))


async def _run(course: Course, report: Report) -> dict[str, Any]:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="entrepot-demo-") as folder:
        settings = _temporary(Path(folder))
        server = EmbeddedServer(settings.data_dir)
        url = await asyncio.to_thread(server.start)
        supervisor = Supervisor(Path(folder) / "logs", report=report)
        try:
            await asyncio.to_thread(migrate.upgrade, url)
            secret_keys(settings)
            simulator_port = free_port()
            simulator = f"http://127.0.0.1:{simulator_port}"
            await _start(supervisor, settings, url, simulator, simulator_port, course)
            async with _opened(settings, url, simulator) as hub:
                watching = asyncio.create_task(supervisor.watch())
                try:
                    figures = await _judged(hub, supervisor, course, report)
                finally:
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)
        finally:
            await supervisor.stop()
            await asyncio.to_thread(server.stop)
    return {**figures, "seconds": round(time.monotonic() - began, 1)}


def _temporary(folder: Path) -> Settings:
    """Return the settings of a hub that lives in `folder`, which the database's own user must be able to enter."""
    folder.chmod(0o755)
    return load(data_dir=folder / "data", port=free_port(), demo=True)


async def _start(
    supervisor: Supervisor, settings: Settings, url: str, simulator: str, simulator_port: int, course: Course
) -> None:
    env = {
        "DATABASE_URL": url,
        "ENTREPOT_DATA_DIR": str(settings.data_dir),
        "ENTREPOT_HOST": settings.host,
        "ENTREPOT_PORT": str(settings.port),
        "ENTREPOT_SYNC_DRIFT_INTERVAL": "20s",
        "ENTREPOT_SYNC_RAISE_PATIENCE": "3s",
        "ENTREPOT_SYNC_WRITE_SETTLING": "2s",
        "ENTREPOT_SYNC_CALL_TIMEOUT": "3s",
        "ENTREPOT_ALLOCATION_RATE_HALF_LIFE": "60s",
        "ENTREPOT_LOG_LEVEL": "warning",
        "PYTHONUNBUFFERED": "1",
    }
    sandbox = [
        sys.executable, "-m", "entrepot_sandbox", "--port", str(simulator_port),
        "--seed", str(course.seed), "--time-scale", f"{course.pace.time_scale:g}", "--channels", ",".join(course.channels),
    ]  # fmt: skip
    await supervisor.start(Command("sandbox", sandbox, {}, http_ready(f"{simulator}/_sandbox/progress")))
    health = http_ready(f"http://{settings.host}:{settings.port}/api/health")
    await supervisor.start(Command("web", [sys.executable, "-m", "entrepot", "web"], env, health))
    for number in (1, 2):
        await supervisor.start(Command(f"worker-{number}", [sys.executable, "-m", "entrepot", "worker"], env))


async def _judged(hub: _Hub, supervisor: Supervisor, course: Course, report: Report) -> dict[str, Any]:
    await hub.set_up(strategy=course.strategy, sync_interval_s=2, channels_=course.channels)
    report("Connected; waiting until every listing is published")
    await _until(hub.is_idle, SETUP_S, "the first publication")
    await hub.tell("POST", "/faults", {"level": course.faults})
    await hub.tell("POST", "/shoppers", {"orders": course.orders, "orders_per_s": course.pace.orders_per_s})
    kills = course.faults == "harsh"
    kill_at = course.orders * random.Random(course.seed).uniform(0.3, 0.7) if kills else None  # noqa: S311
    while True:
        progress = await hub.tell("GET", "/progress")
        if kill_at is not None and progress["orders_placed"] >= kill_at:
            kill_at = None
            _kill_a_worker(supervisor, report)
        if not progress["shoppers_running"]:
            break
        await asyncio.sleep(0.5)
    report(f"{progress['orders_placed']} orders placed; waiting until the hub is idle")
    await hub.tell("POST", "/faults", {"level": "none"})
    stopped_at = time.time()

    async def settled() -> bool:
        return await hub.drained_since(stopped_at) and await hub.is_idle()

    idle = await _until(settled, IDLE_S, None)
    if not idle:
        report(f"The hub is not idle after {IDLE_S:g} s")
    await _report_trouble(hub, report)
    return await _verdict(hub)


async def _report_trouble(hub: _Hub, report: Report) -> None:
    """Say which listings are not in step and why: the hub's own word, for people; the judge does not use it."""
    async with hub.database.transaction(hub.organisation_id) as tx:
        rows = await tx.fetch(
            "select c.name, q.state, q.detail, count(*) as listings, min(l.sku) as sku from listing_quantity q"
            " join connection c on c.organisation_id = $1 and c.id = q.connection_id"
            " join listing l on l.organisation_id = $1 and l.id = q.listing_id"
            " where q.organisation_id = $1 and q.state <> 'in_step' group by 1, 2, 3 order by 4 desc limit 10",
            hub.organisation_id,
        )
    for row in rows:
        report(f"{row['name']}: {row['listings']} {row['state']}, such as {row['sku']}: {row['detail'] or 'no reason'}")


def _kill_a_worker(supervisor: Supervisor, report: Report) -> None:
    """Kill a worker as the kernel would: no goodbye. The supervisor starts another."""
    pid = supervisor.pids().get("worker-1")
    if pid is not None:
        report(f"Killing worker {pid} with SIGKILL")
        os.kill(pid, signal.SIGKILL)


async def _until(condition: Callable[[], Any], timeout_s: float, what: str | None) -> bool:
    """Wait until it holds twice in a row; return whether it did in time (raise where `what` names it)."""
    deadline, held = time.monotonic() + timeout_s, 0
    while time.monotonic() < deadline:
        held = held + 1 if await condition() else 0
        if held >= 2:
            return True
        await asyncio.sleep(0.3)
    if what is not None:
        raise TimeoutError(f"{what} did not happen within {timeout_s:g} s")
    return False


async def _verdict(hub: _Hub) -> dict[str, Any]:
    async with hub.database.transaction(hub.organisation_id) as tx:
        rows = await tx.fetch(
            "select c.channel, o.external_id from sales_order o join connection c on c.organisation_id = $1"
            " and c.id = o.connection_id where o.organisation_id = $1",
            hub.organisation_id,
        )
        mismatches = await stock.verify(tx)
    judged = await hub.tell("POST", "/judge", {"orders": [[row[0], row[1]] for row in rows]})
    names = (
        "orders_placed", "orders_in_hub", "lost", "duplicated", "oversold_units", "avoidable_oversold_units", "listings",
        "stale_listings_at_end", "publish_lag_ms", "lost_sales_units", "stranded_units",
    )  # fmt: skip
    more = {name: value for name, value in judged.items() if name not in names}
    return {**{name: judged[name] for name in names}, "ledger_ok": not mismatches, **more}
