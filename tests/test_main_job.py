"""The whole hub in one process: its own web server and worker, and simulated marketplaces over HTTP, judged by their books."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from entrepot import app, demo
from entrepot.channels import facade as channels
from entrepot.channels.contracts import Connection, ConnectionState, NewConnection
from entrepot.connectors.registry import connector_of
from entrepot.database import migrate
from entrepot.kernel.clock import utc_now
from entrepot.orders import facade as orders
from entrepot.orders import reading
from entrepot.orders.reading import OrderFilter
from entrepot.processes import free_port
from entrepot.settings import Settings, load
from entrepot.stock import facade as stock
from entrepot.sync.desk import ConnectionTestFailed, RunNotFound
from entrepot_sandbox.server import Config, running

SKUS = 45
WAIT_S = 60.0


@contextmanager
def web(settings: Settings) -> Iterator[None]:
    """Serve the hub's web application from a thread."""
    config = uvicorn.Config(
        app.create_web_app(), host="127.0.0.1", port=settings.port, log_level="error", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="web")
    thread.start()
    try:
        deadline = time.monotonic() + WAIT_S
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        yield
    finally:
        server.should_exit = True
        thread.join(WAIT_S)


@asynccontextmanager
async def worker(settings: Settings) -> AsyncIterator[None]:
    """Run one worker beside."""
    stopping = asyncio.Event()
    task = asyncio.create_task(app.work(settings, stopping))
    try:
        yield
    finally:
        stopping.set()
        await task


@dataclass
class Run:
    """A hub at work on its simulated marketplaces."""

    hub: Any
    settings: Settings

    async def until(self, condition: Callable[[], Awaitable[Any]], what: str) -> None:
        """Wait until it holds twice in a row, and fail where it does not come to that."""
        deadline, held = time.monotonic() + WAIT_S, 0
        while time.monotonic() < deadline:
            held = held + 1 if await condition() else 0
            if held == 2:
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"not in {WAIT_S:g} s: {what}")

    async def settled(self) -> None:
        """Wait until all orders up to now are known and every listing shows what it shall."""
        now = time.time()

        async def quiet() -> bool:
            return await self.hub.drained_since(now) and await self.hub.is_idle()

        await self.until(quiet, "every listing in step")

    async def connection(self, channel: str) -> Connection:
        async with self.hub.database.transaction(self.hub.organisation_id) as tx:
            [found] = [c for c in await channels.list_all(tx) if c.channel == channel]
            return found

    async def verdict(self) -> dict[str, Any]:
        return await demo._verdict(self.hub)


@pytest.fixture
async def run(empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Run]:
    await asyncio.to_thread(migrate.upgrade, empty_database_url)
    for name, value in {
        "DATABASE_URL": empty_database_url,
        "ENTREPOT_DATA_DIR": str(tmp_path / "hub"),
        "ENTREPOT_PORT": str(free_port()),
        "ENTREPOT_SYNC_DRIFT_INTERVAL": "1s",
        "ENTREPOT_SYNC_RAISE_PATIENCE": "1s",
        "ENTREPOT_SYNC_WRITE_SETTLING": "200ms",
        "ENTREPOT_LOG_LEVEL": "error",
    }.items():
        monkeypatch.setenv(name, value)
    settings = load()
    async with running(Config(seed=5, products=SKUS, time_scale=200.0)) as sandbox:
        with web(settings):
            async with worker(settings), demo._opened(settings, empty_database_url, sandbox.url) as hub:
                await hub.set_up(sync_interval_s=1)
                run = Run(hub, settings)
                await run.settled()
                yield run


async def shop(run: Run, orders_placed: int) -> None:
    await run.hub.tell("POST", "/shoppers", {"orders": orders_placed, "orders_per_s": 60, "cancel_share": 0.2})

    async def over() -> bool:
        return not (await run.hub.tell("GET", "/progress"))["shoppers_running"]

    await run.until(over, "the shoppers are done")
    await run.settled()


async def test_orders_come_in_once_stock_goes_out_and_parcels_are_told(run: Run) -> None:
    await shop(run, 90)
    judged = await run.verdict()
    assert judged["orders_placed"] == judged["orders_in_hub"] == 90
    assert (judged["lost"], judged["duplicated"], judged["stale_listings_at_end"]) == (0, 0, 0)
    assert (judged["avoidable_oversold_units"], judged["ledger_ok"], judged["listings"]) == (0, True, 3 * SKUS)
    told = await ship_one_of_each(run)

    async def done() -> bool:
        async with run.hub.database.transaction(run.hub.organisation_id) as tx:
            states = [(await reading.order_detail(tx, order)).shipments[0].push_state for order in told]
        return states == ["done"] * 3

    await run.until(done, "every channel told of its parcel")
    await run.settled()
    async with run.hub.database.transaction(run.hub.organisation_id) as tx:
        assert await stock.verify(tx) == []
        for order in told:
            detail = await reading.order_detail(tx, order)
            assert all(line.shipped == line.quantity - line.cancelled for line in detail.lines)


async def ship_one_of_each(run: Run) -> list[Any]:
    """Ship an open order of each channel whole; return their ids."""
    shipped = []
    async with run.hub.database.transaction(run.hub.organisation_id) as tx:
        for channel in ("shopify", "amazon", "square"):
            found = await reading.list_orders(tx, OrderFilter(status="open", channel=channel), limit=1)
            [row] = found
            parcel = orders.Parcel("DHL", f"JD{channel}", "https://example.com/track")
            await orders.ship(tx, row.id, parcel, actor="test", now=utc_now())
            shipped.append(row.id)
    return shipped


async def test_credentials_are_tried_before_they_are_kept_and_a_channel_can_be_left(run: Run) -> None:
    desk, actor = run.hub.desk, run.hub.actor
    [account] = [a for a in await run.hub.tell("GET", "/accounts") if a["channel"] == "shopify"]
    names = {field.name for field in connector_of("shopify").manifest.fields}
    told = {**account["settings"], **account["credentials"], "simulator_url": run.hub.simulator}
    right = {name: str(value) for name, value in told.items() if name in names}
    report = await desk.check_new(
        actor, NewConnection("shopify", "Second", "simulated", right | {"access_token": "no"})
    )
    assert not report.ok
    with pytest.raises(ConnectionTestFailed):
        await desk.connect(actor, NewConnection("shopify", "Second", "simulated", right | {"access_token": "no"}))
    connection = await run.connection("shopify")
    assert (await desk.check(actor, connection.id)).ok
    secrets = {f.name: right[f.name] for f in connector_of("shopify").manifest.fields if f.secret}
    with pytest.raises(ConnectionTestFailed):
        await desk.replace_credentials(actor, connection.id, secrets | {"access_token": "no"})
    assert (await desk.check(actor, connection.id)).ok, "what was there is kept"
    async with run.hub.database.transaction(run.hub.organisation_id) as tx:  # As if the shop had revoked them.
        await channels.replace_credentials(
            tx, run.hub.vault, connector_of("shopify"), connection.id, secrets | {"access_token": "no"}
        )

    async def attention() -> bool:
        return (await run.connection("shopify")).state is ConnectionState.NEEDS_ATTENTION

    await run.until(attention, "refused credentials are told to a person")
    assert not (await desk.check(actor, connection.id)).ok
    await desk.replace_credentials(actor, connection.id, secrets)
    await run.settled()
    assert (await run.connection("shopify")).state is ConnectionState.ACTIVE
    run_id = await desk.start_sync(actor, connection.id, "drift")
    with suppress(RunNotFound):  # It may have ended already.
        await desk.cancel_run(actor, run_id)
    await run.settled()
    await desk.disconnect(actor, connection.id)
    async with run.hub.database.transaction(run.hub.organisation_id) as tx:
        assert sorted(c.channel for c in await channels.list_all(tx)) == ["amazon", "square"]
