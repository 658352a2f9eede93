"""What people do with fulfilment orders, and that rules keep off it; races of all who write."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.fulfilment.support import MAIN, SECOND, THIRD, Shop

from entrepot.database.pool import Database
from entrepot.fulfilment import work
from entrepot.fulfilment.contracts import WorkMoved, WorkNotFound
from entrepot.fulfilment.routing import route_orders
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.ids import new_id
from entrepot.orders import facade as orders
from entrepot.stock import facade as stock
from entrepot.stock.contracts import NotEnoughStock

DHL = work.Label("DHL", "T1")


@pytest.fixture
async def shop(database: Database, organisation_id: UUID) -> Shop:
    return await Shop(database, organisation_id).open({"A": (5, 3, 0), "B": (0, 4, 1), "C": (0, 0, 2)})


async def sending_of(shop: Shop, order_id: UUID, place: str = "") -> UUID:
    async with shop.database.transaction(shop.id) as tx:
        rows = await tx.fetch(
            "select id, location_id from fulfilment_order where organisation_id = $1 and order_id = $2"
            " and status not in ('cancelled') order by id",
            shop.id,
            order_id,
        )
    return next(row[0] for row in rows if not place or row[1] == shop.places[place])  # type: ignore[no-any-return]


async def do(shop: Shop, verb: Any, *args: Any, **more: Any) -> Any:
    async with shop.database.transaction(shop.id) as tx:
        return await verb(tx, *args, **more)


async def status(shop: Shop, id: UUID) -> str:
    async with shop.database.transaction(shop.id) as tx:
        return str(await tx.fetch_value("select status from fulfilment_order where id = $1", id))


async def line_of(shop: Shop, order_id: UUID, sku: str) -> UUID:
    async with shop.database.transaction(shop.id) as tx:
        found: UUID = await tx.fetch_value("select id from order_line where order_id = $1 and sku = $2", order_id, sku)
    return found


async def test_picked_packed_and_sent_in_two_parcels(shop: Shop) -> None:
    order_id = await shop.sell("1", A=3)
    await shop.settle()
    id, line = await sending_of(shop, order_id), await line_of(shop, order_id, "A")
    await do(shop, work.begin, id)
    with pytest.raises(WorkMoved):
        await do(shop, work.begin, id)
    await do(shop, work.pick, id, {line: 2})
    with pytest.raises(WorkMoved, match="3 units are left to send, not 4"):
        await do(shop, work.pick, id, {line: 4})
    await do(shop, work.pack, id)
    assert await status(shop, id) == "ready"
    await do(shop, work.send, id, DHL, {line: 2}, actor="test", now=utc_now())
    assert await status(shop, id) == "ready"
    await shop.settle()
    assert await shop.sent_from(order_id) == {(MAIN, "A"): 3}
    await do(shop, work.send, id, DHL, None, actor="test", now=utc_now())
    await shop.settle()
    assert await status(shop, id) == "shipped"
    with pytest.raises(WorkMoved):
        await do(shop, work.send, id, DHL, None, actor="test", now=utc_now())
    async with shop.database.transaction(shop.id) as tx:
        assert await tx.fetch_value("select status from sales_order where id = $1", order_id) == "shipped"
        pushes = await tx.fetch("select push_state from shipment where order_id = $1", order_id)
        assert [row[0] for row in pushes] == ["pending", "pending"], "the channel is told of each"
        levels = await stock.levels(tx, [shop.variants["A"]])
    assert sorted((v.on_hand, v.reserved) for v in levels) == [(2, 0), (3, 0)]
    await shop.check()


async def test_a_parcel_leaves_the_place_of_its_fulfilment_order(shop: Shop) -> None:
    order_id = await shop.sell("1", A=7)
    await shop.settle()
    assert await shop.sent_from(order_id) == {(MAIN, "A"): 5, (SECOND, "A"): 2}
    id = await sending_of(shop, order_id, SECOND)
    await do(shop, work.send, id, DHL, None, actor="test", now=utc_now())
    async with shop.database.transaction(shop.id) as tx:
        levels = {v.location_id: (v.on_hand, v.reserved) for v in await stock.levels(tx, [shop.variants["A"]])}
    assert levels[shop.places[MAIN]] == (5, 5)
    assert levels[shop.places[SECOND]] == (1, 0)
    await shop.settle()
    assert await shop.sent_from(order_id, "open") == {(MAIN, "A"): 5}
    await shop.check()


async def test_a_person_has_it_sent_from_elsewhere_whole_or_in_part_and_rules_keep_off(shop: Shop) -> None:
    order_id = await shop.sell("1", A=3)
    await shop.settle()
    id, line = await sending_of(shop, order_id), await line_of(shop, order_id, "A")
    there = await do(shop, work.send_from, id, shop.places[SECOND], {line: 1}, actor="test", now=utc_now())
    assert await shop.sent_from(order_id) == {(MAIN, "A"): 2, (SECOND, "A"): 1}
    await shop.check()
    with pytest.raises(NotEnoughStock):
        await do(shop, work.send_from, id, shop.places[THIRD], actor="test", now=utc_now())
    again = await do(shop, work.send_from, id, shop.places[SECOND], actor="test", now=utc_now())
    assert again == there, "units join what is open there"
    assert await shop.sent_from(order_id) == {(SECOND, "A"): 3}
    await shop.sell("1", A=3, B=1)
    await shop.settle()
    assert (await shop.sent_from(order_id))[SECOND, "A"] == 3, "a person chose"
    await do(shop, work.route_again, order_id, utc_now() - timedelta(minutes=1))
    await shop.settle()
    assert await shop.sent_from(order_id) == {(SECOND, "A"): 3, (SECOND, "B"): 1}
    await shop.check()


async def test_what_somebody_has_begun_stays_where_it_is(shop: Shop) -> None:
    order_id = await shop.sell("1", A=2)
    await shop.settle()
    await do(shop, work.begin, await sending_of(shop, order_id))
    await shop.sell("1", A=2, B=1)
    await shop.settle()
    assert await shop.sent_from(order_id) == {(MAIN, "A"): 2, (SECOND, "B"): 1}
    await shop.sell("1", A=2, B=1, cancelled=1)
    await shop.settle()
    assert await shop.sent_from(order_id) == {(MAIN, "A"): 1}
    await shop.check()


async def test_what_is_not_there_is_said(shop: Shop) -> None:
    with pytest.raises(WorkNotFound):
        await do(shop, work.begin, new_id())
    with pytest.raises(orders.OrderNotFound):
        await do(shop, work.route_again, new_id(), utc_now())
    order_id = await shop.sell("1", A=1)
    await shop.settle()
    id = await sending_of(shop, order_id)
    with pytest.raises(stock.LocationNotFound):
        await do(shop, work.send_from, id, new_id(), actor="test", now=utc_now())
    with pytest.raises(WorkMoved):
        await do(shop, work.send_from, id, shop.places[MAIN], actor="test", now=utc_now())


@pytest.mark.parametrize("seed", range(3))
async def test_all_who_write_at_once_leave_work_that_stock_covers(shop: Shop, seed: int) -> None:
    """Routing against sales, cancellations, parcels, recounts, transfers and people who choose: no deadlock, nothing lost."""
    chance = random.Random(seed)
    names = [str(n) for n in range(8)]
    ids = [await shop.sell(name, A=1, B=1) if n % 2 else await shop.sell(name, A=1) for n, name in enumerate(names)]
    await shop.settle()
    now = utc_now() + timedelta(minutes=2)

    async def quietly(verb: Any) -> None:
        await asyncio.sleep(chance.random() * 0.05)
        try:
            async with shop.database.transaction(shop.id) as tx:
                await verb(tx)
        except EntrepotError:
            pass

    async def ship(tx: Any, n: int) -> None:
        id = await tx.fetch_value(
            "select id from fulfilment_order where organisation_id = $1 and order_id = $2 and status = 'open' limit 1",
            shop.id, ids[n],
        )  # fmt: skip
        if id is not None:
            await work.send(tx, id, DHL, None, actor="test", now=now)

    async def move(tx: Any, n: int) -> None:
        id = await tx.fetch_value(
            "select id from fulfilment_order where organisation_id = $1 and order_id = $2 and status = 'open' limit 1",
            shop.id, ids[n],
        )  # fmt: skip
        if id is not None:
            await work.send_from(tx, id, shop.places[chance.choice((MAIN, SECOND, THIRD))], actor="test", now=now)

    async def recount(tx: Any, sku: str, place: str, units: int) -> None:
        change = stock.StockChange(shop.variants[sku], "count", on_hand=units, location_id=shop.places[place])
        await stock.change_on_hand(tx, [change], kind="count", actor="test")

    async def transfer(tx: Any) -> None:
        paper = await stock.draft_transfer(
            tx, shop.places[SECOND], shop.places[THIRD], {shop.variants["A"]: 1}, actor="t"
        )
        await stock.ship_transfer(tx, paper, actor="t")

    async def cancel(tx: Any, n: int) -> None:
        told = shop.told(names[n], A=1, **({"B": 1} if n % 2 else {}), cancelled=1)
        await orders.ingest(tx, shop.connection_id, [told], via="poll", now=now)

    async def lane() -> None:
        for _ in range(6):
            await shop.settle()
            await asyncio.sleep(0.01)

    async def route(some: list[UUID]) -> None:
        async with shop.database.transaction(shop.id) as tx:
            await route_orders(tx, some, now)

    writers = [quietly(lambda tx, n=n: ship(tx, n)) for n in (0, 1, 2)]
    writers += [quietly(lambda tx, n=n: move(tx, n)) for n in (1, 2, 3, 4, 5)]
    writers += [quietly(lambda tx, n=n: cancel(tx, n)) for n in (3, 4, 6)]
    writers += [quietly(lambda tx, s=s, p=p, u=u: recount(tx, s, p, u)) for s, p, u in (
        ("A", MAIN, chance.randint(0, 5)), ("B", SECOND, chance.randint(0, 4)), ("A", SECOND, 2), ("B", THIRD, 3),
    )]  # fmt: skip
    writers += [quietly(transfer), quietly(transfer), lane(), route(ids), route(list(reversed(ids)))]
    await asyncio.gather(*writers)
    await shop.settle()
    await shop.check()
    async with shop.database.transaction(shop.id) as tx:
        told = await tx.fetch(
            "select l.id, l.reserved, coalesce((select sum(w.quantity - w.shipped) from fulfilment_order_line w"
            " join fulfilment_order f on f.id = w.fulfilment_order_id and f.status in ('open', 'in_progress', 'ready')"
            " where w.order_line_id = l.id), 0)::bigint as planned from order_line l where l.organisation_id = $1",
            shop.id,
        )
    assert [dict(row) for row in told if row["reserved"] != row["planned"]] == [], "all that is reserved has a place"
