"""A webhook and a poll of one connection bring the same orders, each in an order of its own: nobody waits in a circle."""

from __future__ import annotations

import asyncio
import random
from uuid import UUID

import pytest
from tests.database.waiting import waiting, waiting_for
from tests.orders.support import ingest, level, line, lines_of, make_connection, make_variants, order

from entrepot.channels.contract import ChannelOrder
from entrepot.database.pool import Database

NEW = (
    "insert into sales_order (organisation_id, connection_id, received_at, id, external_id, number, version, status,"
    " currency, total_minor, placed_at, channel_updated_at)"
    " values ($1, $2, now(), gen_random_uuid(), $3, $3, 1, 'open', 'EUR', 0, now(), now())"
)


@pytest.mark.parametrize("known", [False, True], ids=["the one between is new", "the one between is known"])
async def test_the_same_orders_the_other_way_round_at_the_same_moment(
    database: Database, organisation_id: UUID, known: bool
) -> None:
    await make_variants(database, organisation_id, {"A": 10})
    connection_id = await make_connection(database, organisation_id)
    first, between, last = (order(name, 1, [line("A", 1)]) for name in ("1", "2", "3"))
    if known:
        await ingest(database, organisation_id, connection_id, between)
    # A third has the order between, so that both are in the midst of their batches before either is through.
    async with database.transaction(organisation_id) as third:
        if known:
            await third.execute("select from sales_order where organisation_id = $1 for update", organisation_id)
        else:
            await third.execute(NEW, organisation_id, connection_id, "2")
        webhook = asyncio.create_task(
            ingest(database, organisation_id, connection_id, first, between, last, via="webhook")
        )
        await waiting_for(third, 1)
        poll = asyncio.create_task(ingest(database, organisation_id, connection_id, last, between, first))
        await waiting_for(third, 2)
        if not known:
            await third.execute("delete from sales_order where organisation_id = $1", organisation_id)
    outcomes = await asyncio.gather(webhook, poll, return_exceptions=True)
    assert [each for each in outcomes if isinstance(each, BaseException)] == []
    assert sum(each.created for each in outcomes if not isinstance(each, BaseException)) == (2 if known else 3)
    for each in (first, between, last):
        assert await lines_of(database, organisation_id, each.external_id) == {"A": (1, 0, 0, 1, 0)}


async def test_an_order_that_one_knows_and_the_other_takes_for_new(database: Database, organisation_id: UUID) -> None:
    await make_variants(database, organisation_id, {"A": 10})
    connection_id = await make_connection(database, organisation_id)
    shared, changing = order("5", 1, [line("A", 1)]), order("9", 2, [line("A", 1)])
    async with database.transaction(organisation_id) as holds_2:
        async with database.transaction(organisation_id) as holds_1:
            await holds_1.execute(NEW, organisation_id, connection_id, "1")
            await holds_2.execute(NEW, organisation_id, connection_id, "2")
            # The poll is at its first order when a webhook brings 9; the second webhook knows 9, the poll does not.
            poll = asyncio.create_task(
                ingest(database, organisation_id, connection_id, order("1", 2, []), shared, changing)
            )
            await waiting_for(holds_1, 1)
            await ingest(database, organisation_id, connection_id, order("9", 1, [line("A", 1)]), via="webhook")
            webhook = asyncio.create_task(
                ingest(database, organisation_id, connection_id, order("2", 2, []), shared, changing, via="webhook")
            )
            await waiting_for(holds_1, 2)
        # Now the poll goes on: to its end, or to where it waits for the webhook.
        while not poll.done() and len(await waiting(holds_2)) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    outcomes = await asyncio.gather(webhook, poll, return_exceptions=True)
    assert [each for each in outcomes if isinstance(each, BaseException)] == []
    for each in (shared, changing):
        assert await lines_of(database, organisation_id, each.external_id) == {"A": (1, 0, 0, 1, 0)}


async def test_new_and_later_versions_in_any_order_are_taken_once(database_url: str, organisation_id: UUID) -> None:
    database = await Database.connect(database_url, max_size=8)
    try:
        made = await make_variants(database, organisation_id, {"A": 10_000, "B": 10_000})
        connection_id = await make_connection(database, organisation_id)
        newest: dict[int, int] = {}

        async def bring(source: int) -> None:
            chance = random.Random(source)
            for number in range(20):
                versions: list[ChannelOrder] = []
                for name in range(number * 10, number * 10 + 30):
                    version = chance.choice((1, 2))
                    newest[name] = max(version, newest.get(name, 0))
                    versions.append(order(str(name), version, [line("AB"[name % 2], 2, cancelled=version - 1)]))
                chance.shuffle(versions)
                await ingest(database, organisation_id, connection_id, *versions)

        outcomes = await asyncio.gather(*(bring(source) for source in range(4)), return_exceptions=True)
        assert [error for error in outcomes if error is not None] == []
        for sku, odd in (("A", 0), ("B", 1)):
            due = sum(3 - version for name, version in newest.items() if name % 2 == odd)
            assert await level(database, organisation_id, made[sku]) == (10_000, due)
    finally:
        await database.close()
