"""Reservations: the stock room's service path against pgbench running the same statements.

Single holds go as web requests do: 16 tasks of one process call HoldGate.place, which lets holds that wait at the same
time share a transaction. pgbench has 16 connections with one hold per transaction. Batches go through place_holds, 100
holds on 100 different SKUs to a transaction, from 4 tasks of one process, against 4 connections of pgbench.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from benchmarks import pgbench
from benchmarks.hub import SKUS, Bench, seed_catalog, variant_id
from benchmarks.report import Figures, Line
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.stock.contracts import ClaimLine, Hold

CLIENTS = 16
BATCH = 100
BATCH_CLIENTS = 4


def _hold(number: int) -> Hold:
    return Hold(new_id(), (ClaimLine(variant_id(number), 1),), utc_now() + timedelta(minutes=15), "benchmark")


async def _per_s(seconds: float, tasks: int, work: Callable[[], Awaitable[int]]) -> float:
    """Return how many units a second the tasks get done, each repeating `work` until the time is over."""
    began = time.perf_counter()

    async def repeat() -> int:
        done = 0
        while time.perf_counter() - began < seconds:
            done += await work()
        return done

    total = sum(await asyncio.gather(*(repeat() for _ in range(tasks))))
    return total / (time.perf_counter() - began)


async def measure(hub: Bench) -> tuple[Figures, list[Line]]:
    """Measure single holds, holds on one hot SKU, and batches."""
    await seed_catalog(hub, SKUS)
    with hub.admin() as connection:
        version = connection.info.server_version // 10_000
    if pgbench.program() is None:
        hub.say("pgbench is not installed: the ratios are left out.")
    single = hub.folder / "hold.sql"
    single.write_text(pgbench.hold_script(hub.organisation, version))
    gate = stock.HoldGate(hub.database)
    rng = random.Random(1)  # noqa: S311

    async def one() -> int:
        await gate.place(hub.organisation, _hold(rng.randint(1, SKUS)))
        return 1

    async def hot() -> int:
        await gate.place(hub.organisation, _hold(1))
        return 1

    async def batch() -> int:
        holds = [_hold(number) for number in rng.sample(range(1, SKUS + 1), BATCH)]
        async with hub.database.transaction(hub.organisation) as tx:
            refused = await stock.place_holds(tx, holds)
        return sum(refusal is None for refusal in refused)

    async def limit_single() -> float | None:
        return await _limit(hub, single, SKUS)

    async def limit_hot() -> float | None:
        return await _limit(hub, single, 1)

    async def limit_batch() -> float | None:
        return await _batches(hub, version, rng)

    figures: dict[str, float | None] = {}
    lines: list[Line] = []
    for key, name, work, tasks, beside, size in (
        ("single", "Holds/s, 16 clients, 1,000 SKUs", one, CLIENTS, limit_single, 1),
        ("hot", "Holds/s, 16 clients, one SKU", hot, CLIENTS, limit_hot, 1),
        ("batch", "Holds/s, batches of 100", batch, BATCH_CLIENTS, limit_batch, BATCH),
    ):
        hub.say(name)
        await _per_s(hub.seconds / 5, tasks, work)
        ours = await _per_s(hub.seconds, tasks, work)
        theirs = await beside()
        ratio = None if theirs is None else ours / (theirs * size)
        figures[f"reserve_{key}_vs_pgbench"] = ratio
        told = "pgbench is not installed" if theirs is None else f"pgbench {theirs * size:,.0f}/s: ratio {ratio:.2f}"
        lines.append(Line(name, f"{ours:,.0f}/s", told))
    return figures, lines


async def _limit(hub: Bench, script: Path, last: int) -> float | None:
    """Return how many holds a second pgbench places on the SKUs 1 to `last`."""
    defines = ["first=1", f"last={last}"]
    return await pgbench.transactions_per_s(hub.url, [script], clients=CLIENTS, seconds=hub.seconds, defines=defines)


async def _batches(hub: Bench, version: int, rng: random.Random) -> float | None:
    scripts: list[Path] = []
    for number in range(10):
        scripts.append(hub.folder / f"batch{number}.sql")
        chosen = rng.sample(range(1, SKUS + 1), BATCH)
        scripts[-1].write_text(pgbench.batch_script(hub.organisation, version, chosen))
    return await pgbench.transactions_per_s(hub.url, scripts, clients=BATCH_CLIENTS, seconds=hub.seconds)
