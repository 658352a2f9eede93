"""The read models: paging meets every row once, filters narrow, counts stop at their limit."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from tests.web.fill import Filled, change_stock, fill

from entrepot.catalog import reading as catalog
from entrepot.catalog import search
from entrepot.catalog.filters import ProductFilter
from entrepot.database.pool import Database
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import NotFound
from entrepot.kernel.ids import new_id
from entrepot.kernel.paging import InvalidCursor, earliest_id
from entrepot.orders import reading as orders
from entrepot.stock import reading as stock
from entrepot.sync import reading as sync


@pytest.fixture(scope="module")
def world(database_url: str) -> tuple[UUID, Filled]:
    async def make() -> tuple[UUID, Filled]:
        database = await Database.connect(database_url)
        organisation_id = new_id()
        async with database.transaction(None) as tx:
            await tx.execute("insert into organisation (id, name) values ($1, 'Test')", organisation_id)
        filled = await fill(database, organisation_id, products=20, orders=45)
        await database.close()
        return organisation_id, filled

    return asyncio.run(make())


@pytest.fixture
def organisation_id(world: tuple[UUID, Filled]) -> UUID:
    return world[0]


@pytest.fixture
def filled(world: tuple[UUID, Filled]) -> Filled:
    return world[1]


async def test_orders_page_by_key_without_gap_or_double(
    database: Database, organisation_id: UUID, filled: Filled
) -> None:
    seen: list[UUID] = []
    cursor = None
    async with database.transaction(organisation_id) as tx:
        while True:
            page = await orders.list_orders(tx, orders.OrderFilter(), cursor, limit=20)
            seen += [row.id for row in page]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert seen == list(reversed(filled.orders))


async def test_order_filters_narrow(database: Database, organisation_id: UUID, filled: Filled) -> None:
    async with database.transaction(organisation_id) as tx:
        shipped = await orders.list_orders(tx, orders.OrderFilter(status="shipped"), limit=250)
        trouble = await orders.list_orders(tx, orders.OrderFilter(trouble=True), limit=250)
        shop = filled.connections["Shopify EU"]
        of_shop = await orders.list_orders(tx, orders.OrderFilter(connection_id=shop), limit=250)
        some = await orders.count_orders(tx, orders.OrderFilter(), limit=10)
        everything = await orders.count_orders(tx, orders.OrderFilter(), limit=45)
    assert shipped.items
    assert {row.status for row in shipped} == {"shipped"}
    assert [row.number for row in trouble] == ["#1036", "#1008"]
    assert {row.connection_id for row in of_shop} == {shop}
    assert (some.count, some.exact, str(some)) == (10, False, "10+")
    assert (everything.count, everything.exact) == (45, True)


@pytest.mark.parametrize("text", ["#1007", "1007", "ext-1007"])
async def test_order_search_by_number_and_id(
    database: Database, organisation_id: UUID, filled: Filled, text: str
) -> None:
    async with database.transaction(organisation_id) as tx:
        found = await orders.list_orders(tx, orders.OrderFilter(search=text))
    assert [row.number for row in found] == ["#1007"]


async def test_order_search_by_buyer_and_sku(database: Database, organisation_id: UUID, filled: Filled) -> None:
    async with database.transaction(organisation_id) as tx:
        by_name = await orders.list_orders(tx, orders.OrderFilter(search="tanaka"), limit=250)
        by_mail = await orders.list_orders(tx, orders.OrderFilter(search="Mei@example.com"), limit=250)
        first = await orders.order_detail(tx, filled.orders[0])
        by_sku = await orders.list_orders(tx, orders.OrderFilter(search=str(first.lines[0].sku).lower()), limit=250)
    assert by_name.items
    assert [row.id for row in by_name] == [row.id for row in by_mail]
    assert filled.orders[0] in [row.id for row in by_sku]
    assert [event.kind for event in first.events] == ["received", "reserved"]


async def test_another_organisations_order_is_not_found(
    database: Database, organisation_id: UUID, filled: Filled
) -> None:
    async with database.transaction(new_id()) as tx:
        with pytest.raises(NotFound):
            await orders.order_detail(tx, filled.orders[0])


async def test_a_foreign_cursor_is_refused(database: Database, organisation_id: UUID) -> None:
    async with database.transaction(organisation_id) as tx:
        for cursor in ("x", "W10", "bm90IGpzb24"):
            with pytest.raises(InvalidCursor):
                await orders.list_orders(tx, orders.OrderFilter(), cursor)


async def test_stock_pages_by_sku_and_filters(database: Database, organisation_id: UUID, filled: Filled) -> None:
    async with database.transaction(organisation_id) as tx:
        first = await stock.list_stock(tx, stock.StockFilter(), limit=12)
        second = await stock.list_stock(tx, stock.StockFilter(), first.next_cursor, limit=12)
        out = await stock.list_stock(tx, stock.StockFilter(state="out"))
        everything = await stock.list_stock(tx, stock.StockFilter(), limit=250)
        low = await stock.list_stock(tx, stock.StockFilter(state="low", low_at=30), limit=250)
        lower = await stock.list_stock(tx, stock.StockFilter(state="low", low_at=3), limit=250)
        found = await stock.list_stock(tx, stock.StockFilter(search="sku-00003"))
        titled = await stock.list_stock(tx, stock.StockFilter(search="Mug"))
    assert [row.sku for row in (*first, *second)] == [sku for _, sku, _ in filled.variants]
    assert [row.sku for row in out] == ["SKU-00004", "SKU-00013"]
    free = {row.sku: row.ats + row.shortage for row in everything}
    assert [row.sku for row in low] == [sku for sku, units in free.items() if units <= 30]
    assert [row.sku for row in lower] == [sku for sku, units in free.items() if units <= 3]
    assert len(out) <= len(lower) < len(low) < len(free)
    assert [row.sku for row in found] == ["SKU-00003"]
    assert [row.title for row in titled] == ["Enamel mug, blue"]


async def test_a_movement_shows_which_variant_changed(
    database: Database, organisation_id: UUID, filled: Filled
) -> None:
    variant_id = filled.variants[3][0]
    since = new_id()
    async with database.transaction(organisation_id) as tx:
        await change_stock(tx, filled, variant_id, 77)
        moved = await stock.moved_variants(tx, since)
        row = await stock.stock_row(tx, variant_id)
        ledger = await stock.movements_of(tx, variant_id, limit=1)
    assert list(moved) == [variant_id]
    assert row.on_hand == 77
    assert (ledger.items[0].on_hand_after, ledger.next_cursor is not None) == (77, True)


async def test_overview_attention_and_cells(database: Database, organisation_id: UUID, filled: Filled) -> None:
    async with database.transaction(organisation_id) as tx:
        overview = {row.name: row for row in await sync.channel_overview(tx)}
        needs = await sync.attention(tx)
        cells = await sync.listing_cells(tx, [variant for variant, _, _ in filled.variants])
        listing = filled.listings[(filled.variants[0][0], filled.connections["Shopify EU"])]
        why = await sync.explain(tx, listing)
        counts = await orders.placed_counts(tx, utc_now().replace(year=2020))
    assert overview["Amazon DE"].condition == "degraded"
    assert overview["Shopify EU"].listings == sum(1 for _, c in filled.listings if c == overview["Shopify EU"].id)
    assert needs.orders == 2
    assert needs.listings == sum(cell.badge in ("differs", "error") for cell in cells) > 0
    assert why.reason["strategy"] == "fixed"
    assert sum(counts.values()) == 45


async def test_runs_and_products(database: Database, organisation_id: UUID, filled: Filled) -> None:
    async with database.transaction(organisation_id) as tx:
        running = await sync.running_runs(tx)
        first = await sync.list_runs(tx, limit=3)
        rest = await sync.list_runs(tx, cursor=first.next_cursor, limit=3)
        products = await search.list_products(tx, ProductFilter(search="SKU-00001"))
        detail = await catalog.product_detail(tx, filled.products[1])
        hits = await catalog.find_variants(tx, "sku-0000", 3)
        newest = await orders.orders_since(tx, earliest_id(utc_now().replace(year=2020)), 2)
    assert [run.state for run in running] == ["running", "running"]
    assert [run.state for run in (*first, *rest)] == ["running", "running", "done", "failed"]
    assert [row.title for row in products] == ["Enamel mug, blue"]
    assert detail.variants[0].sku == "SKU-00001"
    assert len(detail.listings) == detail.row.listings
    assert [hit.sku for hit in hits] == ["SKU-00000", "SKU-00001", "SKU-00002"]
    assert [row.id for row in newest] == filled.orders[:-3:-1]
