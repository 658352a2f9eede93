"""Drift: 100,000 SKUs with 3 listings each; a full comparison, and what 1,000 changed SKUs cost.

CPU seconds of this process and of the whole PostgreSQL server (its background work included), so a server that others
use at the same time would spoil them. The channel takes every write and costs nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from benchmarks.hub import Bench, seed_catalog, sku, variant_id
from benchmarks.report import Figures, Line
from benchmarks.webhooks import connect, shop_values
from entrepot.channels.contract import (
    Api,
    Call,
    ChannelListing,
    ListingRef,
    PushOutcome,
    PushReceipt,
    PushResult,
    QuantityBatch,
    Reply,
)
from entrepot.channels.contracts import Connection
from entrepot.connectors.shopify import ShopifyConnector
from entrepot.jobs.lanes import LaneKey
from entrepot.jobs.reactions import react
from entrepot.kernel.clock import utc_now
from entrepot.stock import facade as stock
from entrepot.sync import facade as sync
from entrepot.sync.check import take_listings
from entrepot.sync.engine import find_due
from entrepot.sync.push import push_step

SKUS = 100_000
CHANGED = 1_000
PAGE = 250
CHANGED_TO = 700
"""Units on hand after a change: every share of it differs from SHOWN."""
SHOWN = 100
"""What every listing shows at first."""

LISTINGS = """
insert into listing (organisation_id, id, connection_id, variant_id, external_id, sku, title, price_minor, currency, seen_at)
select $1, gen_random_uuid(), $2, v.id, v.sku, v.sku, v.sku, 1250, 'EUR', now()
from variant v where v.organisation_id = $1
"""
QUANTITIES = """
insert into listing_quantity (organisation_id, listing_id, connection_id, variant_id, desired, expected, published,
    published_at, reported, reported_at, state)
select $1, l.id, $2, l.variant_id, $3, $3, $3, now(), $3, now(), 'in_step'
from listing l where l.organisation_id = $1 and l.connection_id = $2
"""


class TakesAll(ShopifyConnector):
    """A channel that takes every write at once."""

    async def push_quantities(self, api: Api, batch: QuantityBatch) -> PushReceipt:
        """Apply everything."""
        return PushReceipt(tuple(PushResult(c.ref.external_id, PushOutcome.APPLIED) for c in batch.changes))


CHANNEL = TakesAll()


class NoWire:
    """An API and a transport that lead nowhere."""

    settings: Mapping[str, str] = {}

    def api(self, connection: Connection) -> Api:
        """Return itself."""
        return self

    def clock_offset(self, connection_id: UUID) -> timedelta:
        """Return that the clocks agree."""
        return timedelta(0)

    async def send(self, call: Call) -> Reply:
        """Refuse: nothing here sends."""
        raise AssertionError(call.operation)


class CpuMeter:
    """CPU seconds of this process and of the PostgreSQL server; None where the server's are not to be seen."""

    def __init__(self, backend_pid: int) -> None:
        self._server = _parent(backend_pid)
        self._began = self._now()

    def seconds(self) -> float | None:
        """Return the CPU seconds since it was made."""
        now = self._now()
        return None if now is None or self._began is None else now - self._began

    def _now(self) -> float | None:
        if self._server is None:
            return None
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            found = _stat(stat)
            if found is None:
                continue
            if int(stat.parent.name) == self._server:
                ticks += sum(int(part) for part in found[11:15])  # Its own and those of children that ended.
            elif int(found[1]) == self._server:
                ticks += int(found[11]) + int(found[12])
        return ticks / os.sysconf("SC_CLK_TCK") + time.process_time()


def _stat(path: Path) -> Sequence[str] | None:
    """Return the fields of /proc/PID/stat after the name: state, parent, ..."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _parent(pid: int) -> int | None:
    found = _stat(Path(f"/proc/{pid}/stat"))
    return int(found[1]) if found else None


async def measure(hub: Bench) -> tuple[Figures, list[Line]]:
    """Measure the full check, then the changes."""
    return await measure_catalog(hub, SKUS, CHANGED)


async def measure_catalog(hub: Bench, skus: int, changed: int) -> tuple[Figures, list[Line]]:
    """Measure with a catalog of this size."""
    hub.say(f"Making {skus:,} SKUs with 3 listings each")
    connections = await _seed(hub, skus)
    async with hub.database.transaction(hub.organisation) as tx:
        backend = await tx.fetch_value("select pg_backend_pid()")
    hub.say("A full drift check")
    full = await _full_check(hub, connections, skus, backend)
    hub.say(f"{changed:,} changes")
    some = await _changes(hub, connections, changed, backend)
    if full is None or some is None:
        return {"drift_100k_cpu_s": None, "drift_1000_changes_cpu_s": None}, [
            Line("Drift", "-", "the server's CPU time is not to be seen from here")
        ]
    figures = {"drift_100k_cpu_s": full, "drift_1000_changes_cpu_s": some}
    return figures, [
        Line(f"Full drift check, {skus:,} SKUs x 3, CPU", f"{full:.2f} s", f"{full / skus / 3 * 1e6:.0f} us a listing"),
        Line(f"{changed:,} changed SKUs of them: divide, send, record, CPU", f"{some:.2f} s",
             f"{some / full:.3f} of the full check, for {changed / skus:.3f} of the catalog"),
    ]  # fmt: skip


async def _seed(hub: Bench, skus: int) -> list[UUID]:
    connections = [await connect(hub, "shopify", f"Shop {n}", shop_values(f"shop{n}.example")) for n in (1, 2, 3)]
    async with hub.database.transaction(hub.organisation) as tx:
        await tx.execute("delete from outbox where organisation_id = $1", tx.organisation)
    await seed_catalog(hub, skus)
    for connection in connections:
        async with hub.database.transaction(hub.organisation) as tx:
            await tx.connection.execute(LISTINGS, tx.organisation, connection, timeout=600)
            await tx.connection.execute(QUANTITIES, tx.organisation, connection, SHOWN, timeout=600)
    with hub.admin() as owner:
        owner.execute("vacuum analyze")
        owner.execute("checkpoint")
    return connections


async def _full_check(hub: Bench, connections: Sequence[UUID], skus: int, backend: int) -> float | None:
    """Compare every listing, page by page, as the listings lane does; nothing differs."""
    listings = [
        ChannelListing(
            ListingRef(sku(n)), sku(n), sku(n), sku(n), sku(n), price=Decimal("12.50"), currency="EUR", quantity=SHOWN
        )
        for n in range(1, skus + 1)
    ]
    meter = CpuMeter(backend)
    found = {"listings": 0, "matched": 0, "differing": 0}
    for connection in connections:
        for start in range(0, skus, PAGE):
            async with hub.database.transaction(hub.organisation) as tx:
                await take_listings(tx, connection, listings[start : start + PAGE], utc_now(), found)
    if found != {"listings": 3 * skus, "matched": 3 * skus, "differing": 0}:
        raise RuntimeError(f"the check found {found}")
    return meter.seconds()


async def _changes(hub: Bench, connections: Sequence[UUID], changed: int, backend: int) -> float | None:
    """Change the stock of some SKUs; measure everything that follows until all is published."""
    wire = NoWire()
    context = sync.SyncContext(hub.database, wire, lambda key: CHANNEL)
    for start in range(1, changed + 1, 100):
        async with hub.database.transaction(hub.organisation) as tx:
            wanted = [
                stock.StockChange(variant_id(n), "benchmark", on_hand=CHANGED_TO) for n in range(start, start + 100)
            ]
            await stock.change_on_hand(tx, wanted, kind="count", actor="benchmark")
    meter = CpuMeter(backend)
    table = sync.reaction_table(lambda key: CHANNEL)
    while await react(hub.database, hub.organisation, table):
        pass
    due = await find_due(context, hub.organisation)
    for connection in connections:
        key = LaneKey("push", hub.organisation, connection)
        if key not in due:
            raise RuntimeError("the changes are not due on every channel")
        while await push_step(context, key) is not None:
            pass
    await find_due(context, hub.organisation)
    spent = meter.seconds()
    async with hub.database.transaction(hub.organisation) as tx:
        done = await tx.fetch_value(
            "select count(*) from listing_quantity where organisation_id = $1 and published <> $2 and state = 'in_step'",
            tx.organisation, SHOWN,
        )  # fmt: skip
    if done != 3 * changed:
        raise RuntimeError(f"{done} of {3 * changed} listings were published")
    return spent
