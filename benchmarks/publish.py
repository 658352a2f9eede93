"""A stock change until the channels show it: 50 changes a second, one worker, simulated Shopify, Square and Amazon.

The marketplaces run as one process with their limits and delays shortened a hundredfold. Half of the
changes take stock away, half add some; each variant changes once. The time runs from the commit of the change to
`published_at` of the last of the variant's listings. Stock taken away counts on all three channels, and that is
`publish_p99_ms`. On Amazon, where a write overwrites sales that we do not know yet, the hub holds a raise back on purpose
until that cannot be: stock added counts only in the figure for Shopify and Square alone, where both directions do.
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
TIME_SCALE = 100
SETTLE_S = 120.0

IDLE = """
select not exists (select 1 from outbox where organisation_id = $1)
   and not exists (select 1 from listing_quantity where organisation_id = $1 and state in ('pending', 'sending'))
   and (select count(distinct connection_id) from listing_quantity where organisation_id = $1) = 3
"""
COMPLETE = """
select variant_id from listing_quantity where organisation_id = $1 group by variant_id
having count(*) = 3 and min(expected) >= $3 and bool_and(state = 'in_step') order by variant_id limit $2
"""
COUNTS = """
select connection_id::text, count(*), count(distinct variant_id) from listing_quantity where organisation_id = $1 group by 1
"""
PUBLISHED = """
select q.variant_id, extract(epoch from max(q.published_at))::float8,
       extract(epoch from max(q.published_at) filter (where c.channel <> 'amazon'))::float8
from listing_quantity q join connection c on c.organisation_id = $1 and c.id = q.connection_id
where q.organisation_id = $1 and q.variant_id = any($2) group by 1
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
            variants = [row[0] for row in await tx.fetch(COMPLETE, tx.organisation, wanted, STEP)]
            if not variants:
                counts = await tx.fetch(COUNTS, tx.organisation)
                raise RuntimeError(f"no variant is published on all three channels: {[tuple(row) for row in counts]}")
        hub.say("Stock changes")
        committed = await _change(hub, variants)
        await _until_idle(hub)
        async with hub.database.transaction(hub.organisation) as tx:
            rows = await tx.fetch(PUBLISHED, tx.organisation, variants)
    return _figures(variants, committed, {row[0]: (row[1], row[2]) for row in rows})


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
    variants: Sequence[UUID], committed: dict[UUID, float], published: dict[UUID, tuple[float, float]]
) -> tuple[Figures, list[Line]]:
    lowered = [(published[v][0] - committed[v]) * 1000 for v in variants[0::2]]
    two = [(published[v][1] - committed[v]) * 1000 for v in variants]
    if min(*lowered, *two) < -500:
        raise RuntimeError("a change was not published")
    figures = {
        "publish_p99_ms": percentile(lowered, 0.99), "publish_p50_ms": percentile(lowered, 0.5),
        "publish_two_channels_p99_ms": percentile(two, 0.99), "publish_two_channels_p50_ms": percentile(two, 0.5),
    }  # fmt: skip
    pace = f"{len(variants)} changes at {PER_S}/s"
    return figures, [
        Line(
            f"Stock taken away to publication on 3 channels, {pace}, p99",
            f"{figures['publish_p99_ms']:,.0f} ms",
            f"p50 {figures['publish_p50_ms']:,.0f} ms; wanted p99 under 1,000 ms",
        ),
        Line(
            "Any change on Shopify and Square alone, p99",
            f"{figures['publish_two_channels_p99_ms']:,.0f} ms",
            f"p50 {figures['publish_two_channels_p50_ms']:,.0f} ms",
        ),
    ]
