"""Orders come in, are routed by the lane, change, and are routed again; the ledger covers every fulfilment order."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from tests.fulfilment.support import MAIN, SECOND, THIRD, Shop

from entrepot.channels.contract import ChannelOrderStatus
from entrepot.database.pool import Database
from entrepot.fulfilment import store
from entrepot.fulfilment.routing import route_orders
from entrepot.kernel.clock import utc_now
from entrepot.orders import facade as orders
from entrepot.orders.reading import order_detail
from entrepot.stock import facade as stock


@pytest.fixture
async def shop(database: Database, organisation_id: UUID) -> Shop:
    return await Shop(database, organisation_id).open({"A": (5, 3, 0), "B": (0, 4, 1), "C": (0, 0, 2)})


async def count(shop: Shop, sku: str, place: str, units: int) -> None:
    change = stock.StockChange(shop.variants[sku], "count", on_hand=units, location_id=shop.places[place])
    async with shop.database.transaction(shop.id) as tx:
        await stock.change_on_hand(tx, [change], kind="count", actor="test")


async def test_an_order_goes_from_the_fewest_places_and_is_reserved_there(shop: Shop) -> None:
    one, two = await shop.sell("1", A=2), await shop.sell("2", A=2, B=1)
    three = await shop.sell("3", A=1, B=1, C=1)
    await shop.settle()
    assert await shop.sent_from(one) == {(MAIN, "A"): 2}
    assert await shop.sent_from(two) == {(SECOND, "A"): 2, (SECOND, "B"): 1}
    assert await shop.sent_from(three) == {(MAIN, "A"): 1, (THIRD, "B"): 1, (THIRD, "C"): 1}
    await shop.check()
    async with shop.database.transaction(shop.id) as tx:
        said = [event.summary for event in (await order_detail(tx, two)).events if event.kind == "routed"]
        assert said == ["To be sent from Second"]
        row = await tx.fetch_row("select rules_number, steps from order_routing where order_id = $1", two)
        assert (row["rules_number"], row["steps"]) == (0, ["Otherwise: from Second"])
        assert await route_orders(tx, [one, two, three], utc_now()) == 0, "looked at again, nothing changes"


async def test_a_pending_order_waits_and_one_cancelled_or_shipped_there_ends_its_work(shop: Shop) -> None:
    pending = await shop.sell("1", ChannelOrderStatus.PENDING, A=2)
    part, gone = await shop.sell("2", A=3), await shop.sell("3", B=2)
    await shop.settle()
    assert await shop.sent_from(pending) == {}
    await shop.sell("1", A=2)
    await shop.sell("2", A=3, cancelled=2)
    await shop.sell("3", ChannelOrderStatus.CANCELLED, B=2, cancelled=2)
    await shop.settle()
    assert await shop.sent_from(pending) == {(MAIN, "A"): 2}
    assert await shop.sent_from(part) == {(MAIN, "A"): 1}
    assert await shop.sent_from(gone) == {}
    assert await shop.sent_from(gone, "cancelled") == {}
    await shop.check()


async def test_what_is_sold_beyond_stock_waits_and_goes_when_it_comes(shop: Shop) -> None:
    order_id = await shop.sell("1", C=3)
    await shop.settle()
    assert await shop.sent_from(order_id) == {(THIRD, "C"): 2}
    assert await shop.waiting(order_id) == {"C": (1, "Sold beyond stock.")}
    await count(shop, "C", SECOND, 4)
    await shop.settle()
    assert sum((await shop.sent_from(order_id)).values()) == 3
    assert await shop.waiting(order_id) == {}
    await shop.check()


async def test_a_recount_that_takes_what_was_to_be_sent_has_it_sent_from_elsewhere(shop: Shop) -> None:
    order_id = await shop.sell("1", B=3)
    await shop.settle()
    assert await shop.sent_from(order_id) == {(SECOND, "B"): 3}
    await count(shop, "B", SECOND, 1)
    await shop.settle()
    assert await shop.sent_from(order_id) == {(SECOND, "B"): 1, (THIRD, "B"): 1}
    assert await shop.waiting(order_id) == {"B": (1, "Sold beyond stock.")}
    await shop.check()


async def test_what_a_recount_had_reserved_elsewhere_is_reserved_again_where_the_work_is(shop: Shop) -> None:
    order_id = await shop.sell("1", A=3)
    await shop.settle()
    await count(shop, "A", MAIN, 0)
    await count(shop, "A", MAIN, 5)
    async with shop.database.transaction(shop.id) as tx:
        line: UUID = await tx.fetch_value("select id from order_line where order_id = $1", order_id)
        assert {row.location_id for row in await stock.reserved_places(tx, [line])} == {shop.places[SECOND]}
    await shop.settle()
    assert await shop.sent_from(order_id) == {(MAIN, "A"): 3}
    await shop.check()


async def test_an_edit_routes_the_order_as_a_whole_again(shop: Shop) -> None:
    order_id = await shop.sell("1", A=2)
    await shop.settle()
    assert await shop.sent_from(order_id) == {(MAIN, "A"): 2}
    await shop.sell("1", A=2, B=1)
    await shop.settle()
    assert await shop.sent_from(order_id) == {(SECOND, "A"): 2, (SECOND, "B"): 1}
    await shop.check()


async def test_a_parcel_recorded_on_the_order_ends_the_work(shop: Shop) -> None:
    order_id = await shop.sell("1", A=2)
    await shop.settle()
    async with shop.database.transaction(shop.id) as tx:
        await orders.ship(tx, order_id, orders.Parcel("DHL", "T1"), actor="test", now=utc_now())
    await shop.settle()
    assert await shop.sent_from(order_id) == {}
    await shop.check()


async def test_one_order_that_fails_is_put_off_and_does_not_hold_up_others(shop: Shop) -> None:
    bad, good = await shop.sell("1", A=1), await shop.sell("2", A=1)
    async with shop.database.transaction(shop.id) as tx:
        await tx.execute("update sales_order set ship_to = '[\"x\"]' where id = $1", bad)
    await shop.settle()
    assert await shop.sent_from(good) == {(MAIN, "A"): 1}
    assert await shop.sent_from(bad) == {}
    async with shop.database.transaction(shop.id) as tx:
        assert await tx.fetch_value("select order_id from routing_request where due_at > now()") == bad
        await tx.execute("update sales_order set ship_to = null where id = $1", bad)
    await shop.settle(hours=1)
    assert await shop.sent_from(bad) == {(MAIN, "A"): 1}, "once it is mended, it goes"


async def test_a_step_that_is_killed_leaves_nothing_and_is_done_again(shop: Shop) -> None:
    order_id = await shop.sell("1", A=2, B=1)
    async with shop.database.transaction(shop.id) as tx:
        await store.ask(tx, [order_id], "order", utc_now())

    async def killed() -> None:
        async with shop.database.transaction(shop.id) as tx:
            assert await route_orders(tx, [order_id], utc_now()) == 1
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await killed()
    assert await shop.sent_from(order_id) == {}
    async with shop.database.transaction(shop.id) as tx:
        assert await store.due_orders(tx, utc_now(), 9) == [order_id]
    await shop.settle()
    assert await shop.sent_from(order_id) == {(SECOND, "A"): 2, (SECOND, "B"): 1}
    await shop.check()
