"""A stock change until three channels show it: 50 changes a second, one worker, simulated Shopify, Square and Amazon.

The marketplaces run as one process with their limits and delays shortened so far that they do not count. Half of the
changes lower the stock of a variant, half raise it; each variant changes once. The time runs from the commit of the
change to `published_at` of the last of the variant's three listings.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import httpx

from benchmarks.hub import Bench, processes
from benchmarks.report import Figures, Line, percentile
from entrepot import demo
from entrepot.jobs.hints import HintSender
from entrepot.processes import Command, free_port, http_ready
from entrepot.stock import facade as stock

PER_S = 50
STEP = 10
"""Units of a change: the shares of every channel move by it."""
ON_HAND = 1_000
TIME_SCALE = 10_000
SETTLE_S = 120.0

IDLE = """
select not exists (select 1 from outbox where organisation_id = $1)
   and not exists (select 1 from listing_quantity where organisation_id = $1
                   and (state in ('pending', 'sending', 'waiting') or gap is not null))
   and (select count(*) from connection_progress where organisation_id = $1 and listings_pulled_at is not null) = 3
"""
COMPLETE = """
select variant_id from listing_quantity where organisation_id = $1 group by variant_id having count(*) = 3
order by variant_id limit $2
"""
COUNTS = """
select connection_id::text, count(*), count(distinct variant_id) from listing_quantity where organisation_id = $1 group by 1
"""
PUBLISHED = """
select variant_id, extract(epoch from max(published_at))::float8 from listing_quantity
where organisation_id = $1 and variant_id = any($2) group by variant_id
"""


async def measure(hub: Bench) -> tuple[Figures, list[Line]]:
    """Measure the time from commit to publication on three channels."""
    wanted = int(PER_S * hub.seconds)
    async with processes(hub.folder) as supervisor:
        port = free_port()
        simulator = f"http://127.0.0.1:{port}"
        program = [
            sys.executable, "-m", "entrepot_sandbox", "--port", str(port), "--seed", "1", "--time-scale",
            str(TIME_SCALE), "--products", str(wanted + 50),
        ]  # fmt: skip
        await supervisor.start(Command("sandbox", program, {}, http_ready(f"{simulator}/_sandbox/progress")))
        hub.say("Connecting three simulated channels")
        await _connect(hub, simulator)
        await hub.start_worker(supervisor)
        await _until_idle(hub)
        async with hub.database.transaction(hub.organisation) as tx:
            variants = [row[0] for row in await tx.fetch(COMPLETE, tx.organisation, wanted)]
            if not variants:
                counts = await tx.fetch(COUNTS, tx.organisation)
                raise RuntimeError(f"no variant is listed on all three channels: {[tuple(row) for row in counts]}")
            changes = [stock.StockChange(v, "benchmark", on_hand=ON_HAND) for v in variants]
            await stock.change_on_hand(tx, changes, kind="count", actor="benchmark")
        await _until_idle(hub)
        hub.say("Stock changes")
        committed = await _change(hub, variants)
        await _until_idle(hub)
        async with hub.database.transaction(hub.organisation) as tx:
            rows = await tx.fetch(PUBLISHED, tx.organisation, variants)
    return _figures(variants, committed, {row[0]: row[1] for row in rows})


async def _connect(hub: Bench, simulator: str) -> None:
    """Connect the channels as the demo does, and send its shoppers away."""
    before = os.environ.get("DATABASE_URL")
    quiet = replace(hub.settings, demo=replace(hub.settings.demo, orders_per_s=0.01))
    try:
        await demo.connect(quiet, hub.url, simulator)
    finally:
        if before is None:
            os.environ.pop("DATABASE_URL", None)
        else:
            os.environ["DATABASE_URL"] = before
    async with httpx.AsyncClient(base_url=simulator, trust_env=False) as client:
        (await client.delete("/_sandbox/shoppers")).raise_for_status()


async def _until_idle(hub: Bench) -> None:
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        async with hub.database.transaction(hub.organisation) as tx:
            if await tx.fetch_value(IDLE, tx.organisation):
                return
        await asyncio.sleep(0.2)
    raise TimeoutError(f"the listings were not all published within {SETTLE_S:g} s")


async def _change(hub: Bench, variants: Sequence[UUID]) -> dict[UUID, float]:
    """Change each variant once, at an even pace; return when each was committed (epoch seconds)."""
    committed: dict[UUID, float] = {}

    async def change(number: int, variant: UUID) -> None:
        await asyncio.sleep(began + number / PER_S - time.monotonic())
        delta = STEP if number % 2 else -STEP
        async with hub.database.transaction(hub.organisation) as tx:
            await stock.change_on_hand(
                tx, [stock.StockChange(variant, "benchmark", delta=delta)], kind="adjustment", actor="benchmark"
            )
        committed[variant] = time.time()

    async with HintSender(hub.database):
        began = time.monotonic()
        await asyncio.gather(*(change(number, variant) for number, variant in enumerate(variants)))
    return committed


def _figures(
    variants: Sequence[UUID], committed: dict[UUID, float], published: dict[UUID, float]
) -> tuple[Figures, list[Line]]:
    lags = [(published[v] - committed[v]) * 1000 for v in variants]
    if min(lags) < -1000:
        raise RuntimeError("a change was not published")
    lowered, raised = lags[0::2], lags[1::2]
    figures = {
        "publish_p99_ms": percentile(lags, 0.99), "publish_p50_ms": percentile(lags, 0.5),
        "publish_lowered_p99_ms": percentile(lowered, 0.99), "publish_raised_p99_ms": percentile(raised, 0.99),
    }  # fmt: skip
    told = (
        f"p50 {figures['publish_p50_ms']:,.0f} ms; lowered p99 {figures['publish_lowered_p99_ms']:,.0f} ms, "
        f"raised p99 {figures['publish_raised_p99_ms']:,.0f} ms; wanted p99 under 1,000 ms"
    )
    name = f"Change to publication on 3 channels, {PER_S} changes/s, p99"
    return figures, [Line(name, f"{figures['publish_p99_ms']:,.0f} ms", told)]
