"""Channels bring orders of the same SKUs at the same moment: nobody waits in a circle, and lines say what stock says."""

from __future__ import annotations

import asyncio
import random
from uuid import UUID

from tests.orders.support import ingest, level, line, make_connection, make_variants, order

from entrepot.channels.contract import ChannelOrder
from entrepot.database.pool import Database
from entrepot.jobs.reactions import react
from entrepot.orders import facade as orders
from entrepot.stock import facade as stock

SKUS = ("A", "B", "C", "D")
BATCHES = 30


def batch(chance: random.Random, channel: int, number: int) -> list[ChannelOrder]:
    """New orders of two SKUs each."""
    return [order(f"{channel}-{number}-{n}", 1, [line(sku, 2) for sku in chance.sample(SKUS, 2)]) for n in range(3)]


def later(chance: random.Random, earlier: list[ChannelOrder]) -> list[ChannelOrder]:
    """Earlier orders, cancelled or shipped in part: with new ones, a transaction that gives, sends and takes."""
    changed = []
    for each in earlier:
        what = chance.choice(({"cancelled": 1}, {"shipped": 1}))
        changed.append(order(each.external_id, 2, [line(v.sku, v.quantity, **what) for v in each.lines]))
    return changed


async def test_channels_that_bring_orders_at_once_never_deadlock(database_url: str, organisation_id: UUID) -> None:
    database = await Database.connect(database_url, max_size=8)
    try:
        # Few units, so that what one order gives back fills the shortage of another channel's.
        made = await make_variants(database, organisation_id, dict.fromkeys(SKUS, 60))
        connections = [await make_connection(database, organisation_id) for _ in range(5)]
        finished = asyncio.Event()

        async def bring(channel: int) -> None:
            chance = random.Random(channel)
            earlier: list[ChannelOrder] = []
            for number in range(BATCHES):
                new = batch(chance, channel, number)
                versions = [*later(chance, earlier), *new]
                await ingest(database, organisation_id, connections[channel], *versions)
                earlier = new

        async def follow() -> None:
            while True:
                last = finished.is_set()
                if (
                    not await react(database, organisation_id, {"stock.claims_changed": [orders.claims_changed]})
                    and last
                ):
                    return
                await asyncio.sleep(0)

        following = asyncio.create_task(follow())
        outcomes = await asyncio.gather(*(bring(channel) for channel in range(5)), return_exceptions=True)
        finished.set()
        await following
        assert [error for error in outcomes if error is not None] == []
        for variant_id in made.values():
            await level(database, organisation_id, variant_id)
        async with database.transaction(organisation_id) as tx:
            lines = {
                row[0]: (row[1], row[2])
                for row in await tx.fetch(
                    "select id, reserved, shortage from order_line where organisation_id = $1", organisation_id
                )
            }
            claims = await stock.claims_of_lines(tx, list(lines))
        assert lines == {id: (claim.reserved, claim.shortage) for id, claim in claims.items()}
        assert any(short for _, short in lines.values())
    finally:
        await database.close()
