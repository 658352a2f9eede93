"""Orders in, on PostgreSQL: doubled, late, concurrent, unknown, edited, cancelled, shipped; the ledger always adds up."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.orders.support import ingest, level, line, lines_of, make_connection, make_variants, order, stored

from entrepot.channels.contract import ChannelOrder, ChannelOrderStatus
from entrepot.database.pool import Database
from entrepot.jobs.reactions import react
from entrepot.kernel.ids import new_id
from entrepot.orders import facade as orders
from entrepot.orders import reading
from entrepot.orders.contracts import ORDERS_SOLD
from entrepot.stock import facade as stock
from entrepot.stock import reading as stock_reading
from entrepot.web.timeline import order_timeline

CANCELLED = ChannelOrderStatus.CANCELLED


class Shop:
    """An organisation with one connection and stock of A and B."""

    def __init__(self, database: Database, organisation_id: UUID, connection_id: UUID, made: dict[str, UUID]) -> None:
        self.database, self.id, self.connection_id, self.made = database, organisation_id, connection_id, made

    async def take(self, *versions: ChannelOrder, via: str = "poll") -> orders.Ingested:
        return await ingest(self.database, self.id, self.connection_id, *versions, via=via)

    async def lines(self, name: str = "1") -> dict[str, tuple[int, int, int, int, int]]:
        return await lines_of(self.database, self.id, name)

    async def head(self, name: str = "1") -> Any:
        return await stored(self.database, self.id, name)

    async def level(self, sku: str) -> tuple[int, int]:
        return await level(self.database, self.id, self.made[sku])

    async def sold(self) -> list[list[Any]]:
        async with self.database.transaction(self.id) as tx:
            rows = await tx.fetch(
                "select payload from outbox where organisation_id = $1 and topic = $2 order by id", self.id, ORDERS_SOLD
            )
        return [sale[:3] for row in rows for sale in row["payload"]["sold"]]

    async def react(self) -> None:
        while await react(self.database, self.id, {"stock.claims_changed": [orders.claims_changed]}):
            pass


@pytest.fixture
async def shop(database: Database, organisation_id: UUID) -> Shop:
    made = await make_variants(database, organisation_id, {"A": 10, "B": 3})
    return Shop(database, organisation_id, await make_connection(database, organisation_id), made)


async def test_an_order_twice_is_one_order(shop: Shop) -> None:
    version = order("1", 1, [line("A", 2)])
    assert await shop.take(version) == orders.Ingested(created=1)
    assert await shop.take(version, version) == orders.Ingested(unchanged=1)
    assert await shop.lines() == {"A": (2, 0, 0, 2, 0)}
    assert await shop.level("A") == (10, 2)
    assert await shop.sold() == [["A", str(shop.made["A"]), 2]]


async def test_an_older_version_after_a_newer_changes_nothing(shop: Shop) -> None:
    await shop.take(order("1", 5, [line("A", 2, cancelled=1)]))
    assert await shop.take(order("1", 4, [line("A", 2)])) == orders.Ingested(unchanged=1)
    assert await shop.lines() == {"A": (2, 1, 0, 1, 0)}
    assert (await shop.head())["version"] == 5
    assert await shop.level("A") == (10, 1)


async def test_webhook_and_poll_at_once_claim_once(shop: Shop) -> None:
    versions = [order(str(n), 1, [line("A", 1)]) for n in range(4)]
    told = await asyncio.gather(
        shop.take(*versions, via="webhook"),
        shop.take(*reversed(versions)),
        *(shop.take(v, via="webhook") for v in versions),
    )
    assert sum(t.created for t in told) == 4
    assert sum(t.updated for t in told) == 0
    assert await shop.level("A") == (10, 4)
    assert len(await shop.sold()) == 4


async def test_two_connections_may_have_the_same_order_id(shop: Shop) -> None:
    other = await make_connection(shop.database, shop.id)
    await shop.take(order("1", 1, [line("A", 1)]))
    assert (await ingest(shop.database, shop.id, other, order("1", 1, [line("A", 1)]))).created == 1
    assert await shop.level("A") == (10, 2)


async def test_an_unknown_sku_waits_on_its_line_and_is_claimed_later(shop: Shop) -> None:
    told = await shop.take(order("1", 1, [line("A", 2), line("NEW", 3, cancelled=1), line(None, 1)]))
    assert told == orders.Ingested(created=1, exceptions=2)
    assert await shop.lines() == {"A": (2, 0, 0, 2, 0), "NEW": (3, 1, 0, 0, 0), "x": (1, 0, 0, 0, 0)}
    assert (await shop.head())["has_exception"]
    await shop.take(order("1", 2, [line("A", 2), line("NEW", 3), line(None, 1, cancelled=1)]))
    shop.made |= await make_variants(shop.database, shop.id, {"NEW": 2})
    async with shop.database.transaction(shop.id) as tx:
        assert await orders.settle_exceptions(tx, {"NEW": shop.made["NEW"]}) == 1
        assert await orders.settle_exceptions(tx, {"NEW": shop.made["NEW"]}) == 0
    assert (await shop.lines())["NEW"] == (3, 0, 0, 2, 1)
    head = await shop.head()
    assert (head["has_exception"], head["has_shortage"]) == (False, True)
    assert await shop.level("NEW") == (2, 2)


async def test_partial_then_whole_cancellation_gives_back(shop: Shop) -> None:
    await shop.take(order("1", 1, [line("A", 3), line("B", 1)]))
    await shop.take(order("1", 2, [line("A", 3, cancelled=1), line("B", 1)]))
    assert await shop.level("A") == (10, 2)
    await shop.take(order("1", 3, [line("A", 3), line("B", 1)], CANCELLED))
    assert await shop.lines() == {"A": (3, 3, 0, 0, 0), "B": (1, 1, 0, 0, 0)}
    assert (await shop.head())["status"] == "cancelled"
    assert (await shop.level("A"), await shop.level("B")) == ((10, 0), (3, 0))


async def test_an_order_cancelled_when_first_seen_claims_nothing(shop: Shop) -> None:
    await shop.take(order("1", 1, [line("A", 3)], CANCELLED))
    assert await shop.lines() == {"A": (3, 3, 0, 0, 0)}
    assert await shop.level("A") == (10, 0)


async def test_lines_may_be_added_and_taken_away(shop: Shop) -> None:
    await shop.take(order("1", 1, [line("A", 3)]))
    await shop.take(order("1", 2, [line("B", 2)]))
    assert await shop.lines() == {"A": (3, 3, 0, 0, 0), "B": (2, 0, 0, 2, 0)}
    await shop.take(order("1", 3, [line("A", 4), line("B", 2)]))
    assert await shop.lines() == {"A": (4, 0, 0, 4, 0), "B": (2, 0, 0, 2, 0)}
    assert (await shop.level("A"), await shop.level("B")) == ((10, 4), (3, 2))


async def test_what_the_channel_says_is_shipped_leaves_the_stock(shop: Shop) -> None:
    await shop.take(order("1", 1, [line("A", 3)]))
    await shop.take(order("1", 2, [line("A", 3, shipped=2)], ChannelOrderStatus.PARTLY_SHIPPED))
    assert await shop.lines() == {"A": (3, 0, 2, 1, 0)}
    assert await shop.level("A") == (8, 1)
    await shop.take(order("1", 3, [line("A", 3, shipped=2)], CANCELLED))
    assert await shop.lines() == {"A": (3, 1, 2, 0, 0)}
    assert await shop.level("A") == (8, 0)


async def test_an_order_shipped_before_it_was_seen_touches_no_stock(shop: Shop) -> None:
    await shop.take(order("1", 1, [line("A", 3, shipped=3)], ChannelOrderStatus.SHIPPED))
    assert await shop.lines() == {"A": (3, 0, 3, 0, 0)}
    assert await shop.level("A") == (10, 0)


async def test_what_the_channel_ships_from_its_own_stock_touches_none_of_ours(shop: Shop) -> None:
    await shop.take(order("1", 1, [line("A", 3), line("?", 1)], fulfilled_by_channel=True))
    await shop.take(order("1", 2, [line("A", 2), line("?", 1)], CANCELLED, fulfilled_by_channel=True))
    head = await shop.head()
    assert (head["status"], head["has_exception"], head["has_shortage"]) == ("cancelled", False, False)
    assert await shop.level("A") == (10, 0)
    assert await shop.sold() == []


async def test_of_two_orders_for_the_last_units_one_is_short_until_there_is_more(shop: Shop) -> None:
    results = await asyncio.gather(*(shop.take(order(n, 1, [line("B", 2)])) for n in "12"))
    assert sorted(r.short for r in results) == [0, 1]
    heads = {n: (await shop.head(n))["has_shortage"] for n in "12"}
    assert sorted(heads.values()) == [False, True]
    assert await shop.level("B") == (3, 3)
    [short] = [n for n, flag in heads.items() if flag]
    [other] = [n for n, flag in heads.items() if not flag]
    assert await shop.lines(short) == {"B": (2, 0, 0, 1, 1)}
    await shop.take(order(other, 2, [line("B", 2)], CANCELLED))
    await shop.react()
    assert await shop.lines(short) == {"B": (2, 0, 0, 2, 0)}
    assert not (await shop.head(short))["has_shortage"]
    assert await shop.level("B") == (3, 2)


async def test_the_timeline_tells_what_was_reserved_for_an_order_and_nothing_of_others(shop: Shop) -> None:
    await shop.take(order("1", 1, [line("B", 2)]))
    await shop.take(order("2", 1, [line("B", 2)]))
    await shop.take(order("1", 2, [line("B", 2)], CANCELLED))
    await shop.react()
    async with shop.database.transaction(shop.id) as tx:
        detail = await reading.order_detail(tx, (await shop.head("2"))["id"])
        movements = await stock_reading.movements_about(
            tx, [shop.made["B"]], [v.id for v in detail.lines], [e.id for e in detail.events]
        )
    assert sorted((entry.text, entry.detail) for entry in order_timeline(detail.events, movements)) == [
        ("Order received by poll", ""),
        ("Reserved: 1 of B", "Main"),
        ("Reserved: 1 of B", "Main, shortage filled"),
        ("What is reserved for it changed with the stock", ""),
    ]


async def test_a_short_order_that_is_cancelled_is_short_no_more(shop: Shop) -> None:
    await shop.take(order("1", 1, [line("B", 5)]))
    assert (await shop.head())["has_shortage"]
    await shop.take(order("1", 2, [line("B", 5)], CANCELLED))
    assert await shop.lines() == {"B": (5, 5, 0, 0, 0)}
    assert not (await shop.head())["has_shortage"]
    async with shop.database.transaction(shop.id) as tx:
        assert await stock.available_to_sell(tx, [shop.made["B"]]) == {shop.made["B"]: 3}


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[ChannelOrder], list[int]]:
    """Versions of one order as a channel makes them, and an order of delivery that ends with all delivered."""
    versions = []
    shipped = 0
    for number in range(1, draw(st.integers(2, 4)) + 1):
        shipped = draw(st.integers(shipped, 3))
        lines = [line("A", draw(st.integers(shipped, 5)), draw(st.integers(0, 2)), shipped)]
        if draw(st.booleans()):
            lines.append(line("B", draw(st.integers(0, 5))))
        versions.append(order("1", number, lines))
    if draw(st.booleans()):
        last = versions[-1]
        versions.append(order("1", len(versions) + 1, last.lines, CANCELLED))
    deliveries = draw(st.lists(st.integers(0, len(versions) - 1), max_size=4))
    return versions, deliveries + draw(st.permutations(range(len(versions))))


@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(histories())
async def test_in_whatever_order_versions_come_the_end_is_the_same(
    database: Database, history: tuple[list[ChannelOrder], list[int]]
) -> None:
    versions, deliveries = history
    organisation_id = new_id()
    async with database.transaction(None) as tx:
        await tx.execute("insert into organisation (id, name) values ($1, 'Test')", organisation_id)
    made = await make_variants(database, organisation_id, {"A": 4, "B": 3})
    shop = Shop(database, organisation_id, await make_connection(database, organisation_id), made)
    for number in deliveries:
        await shop.take(versions[number])
    last = versions[-1]
    lines = await shop.lines()
    for told in last.lines:
        quantity, cancelled, shipped, reserved, short = lines[told.external_id]
        gone = min(told.cancelled, told.quantity - told.shipped)
        if last.status is CANCELLED:
            gone = told.quantity - told.shipped
        assert (quantity, cancelled, shipped) == (told.quantity, gone, told.shipped)
        assert reserved + short == quantity - cancelled - shipped
    present = {v.external_id for v in last.lines}
    assert all(q == c + s and not r and not x for n, (q, c, s, r, x) in lines.items() if n not in present)
    for sku in made:
        _, reserved_units = await shop.level(sku)
        assert reserved_units == (lines[sku][3] if sku in lines else 0)
