"""The gate of holds when things go wrong: a lost connection, a caller who leaves, a process that ends."""

from __future__ import annotations

import asyncio
from uuid import UUID

import psycopg
import pytest
from tests.database.waiting import waiting, waiting_for
from tests.stock.support import hold, make_variants, state

from entrepot.database.pool import Database
from entrepot.stock import facade as stock
from entrepot.stock.contracts import NotEnoughStock


async def test_a_lost_connection_refuses_the_batch_and_the_gate_goes_on(
    database: Database, database_url: str, organisation_id: UUID
) -> None:
    [a] = await make_variants(database, organisation_id, [5])
    gate = stock.HoldGate(database, lanes=1)
    async with database.transaction(organisation_id) as tx:
        await tx.execute("select from stock_level where variant_id = $1 for update", a)
        placing = [asyncio.create_task(gate.place(organisation_id, hold((a, 1)))) for _ in range(3)]
        [pid] = await waiting_for(tx)
        with psycopg.connect(database_url, autocommit=True) as kills:
            kills.execute("select pg_terminate_backend(%s, 10000)", [pid])
    outcomes = await asyncio.gather(*placing, return_exceptions=True)
    # The three came together, or the last ones made a batch of their own, which went through.
    lost = [each for each in outcomes if each is not None]
    assert lost
    assert all(isinstance(each, Exception) and not isinstance(each, NotEnoughStock) for each in lost)
    assert (await state(database, organisation_id, a))[2] == 3 - len(lost)
    await gate.place(organisation_id, hold((a, 1)))
    assert (await state(database, organisation_id, a))[2] == 4 - len(lost)


async def test_a_caller_who_leaves_hinders_nobody(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [2])
    gate = stock.HoldGate(database, lanes=1)
    async with database.transaction(organisation_id) as tx:
        await tx.execute("select from stock_level where variant_id = $1 for update", a)
        leaves = asyncio.create_task(gate.place(organisation_id, hold((a, 1))))
        stays = asyncio.create_task(gate.place(organisation_id, hold((a, 1))))
        await waiting_for(tx)
        leaves.cancel()
        late = asyncio.create_task(gate.place(organisation_id, hold((a, 1))))
        await asyncio.sleep(0)
    await stays
    with pytest.raises(asyncio.CancelledError):
        await leaves
    # What the one who left asked for was on its way: it is held, and expires as any hold does.
    with pytest.raises(NotEnoughStock):
        await late
    assert (await state(database, organisation_id, a))[2] == 2


async def test_when_the_process_ends_all_who_wait_are_told(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [5])
    gate = stock.HoldGate(database, lanes=1)
    async with database.transaction(organisation_id) as tx:
        await tx.execute("select from stock_level where variant_id = $1 for update", a)
        waits = asyncio.create_task(gate.place(organisation_id, hold((a, 1))))
        await waiting_for(tx)
        # As asyncio.run does with what still runs at the end.
        [serving] = [task for task in asyncio.all_tasks() if task.get_name() == "hold-gate"]
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        await asyncio.wait({serving})
        assert await waiting(tx) == []
    assert (await state(database, organisation_id, a))[2] == 0
    await gate.place(organisation_id, hold((a, 1)))
