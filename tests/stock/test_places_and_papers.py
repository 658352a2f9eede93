"""Locations, transfers, counts, suppliers and purchase orders on real PostgreSQL."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

import pytest
from tests.stock.support import default_location, hold, level_at, make_variants

from entrepot.database.pool import Database
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.stock.contracts import InvalidQuantity, NotEnoughStock, SaleClaim
from entrepot.stock.documents import Receipt
from entrepot.stock.transfers import SameLocation


async def test_a_location_is_made_renamed_reordered_and_put_out_of_use(
    database: Database, organisation_id: UUID
) -> None:
    [a] = await make_variants(database, organisation_id, [5])
    async with database.transaction(organisation_id) as tx:
        main = await default_location(tx)
        shop = await stock.create_location(tx, "Shop", "store")
        with pytest.raises(stock.LocationNameTaken):
            await stock.create_location(tx, " Shop ")
        with pytest.raises(stock.InvalidLocation):
            await stock.create_location(tx, "Cellar", "cave")
        await stock.change_location(tx, shop, name="Corner shop")
        await stock.change_on_hand(
            tx, [stock.StockChange(a, "x", on_hand=5, location_id=shop)], kind="count", actor="t"
        )
        await stock.order_locations(tx, [shop])
        await stock.place_holds(tx, [hold((a, 6))])
        assert [(await level_at(tx, a, at)).held for at in (shop, main)] == [5, 1]
        with pytest.raises(stock.LocationInUse, match="5 units on hand, 5 held"):
            await stock.deactivate_location(tx, shop)


async def test_a_location_out_of_use_takes_nothing_and_gives_its_safety_stock_away(
    database: Database, organisation_id: UUID
) -> None:
    [a] = await make_variants(database, organisation_id, [5])
    async with database.transaction(organisation_id) as tx:
        main = await default_location(tx)
        with pytest.raises(stock.LocationInUse, match="only location"):
            await stock.deactivate_location(tx, main)
        other = await stock.create_location(tx, "Other")
        await stock.set_safety_stock(tx, a, 2)
        transfer = await stock.draft_transfer(tx, main, other, {a: 5}, actor="t")
        await stock.ship_transfer(tx, transfer, actor="t")
        with pytest.raises(stock.LocationInUse, match="1 open transfers"):
            await stock.deactivate_location(tx, main)
        await stock.receive_transfer(tx, transfer, [Receipt(a, 5)], actor="t")
        await stock.deactivate_location(tx, main)
        assert (await level_at(tx, a, other)).available_to_sell == 3
        with pytest.raises(stock.LocationRests, match="Main is not in use"):
            await stock.change_on_hand(
                tx, [stock.StockChange(a, "x", delta=1, location_id=main)], kind="adjustment", actor="t"
            )
        await stock.change_on_hand(tx, [stock.StockChange(a, "x", delta=1)], kind="adjustment", actor="t")
        assert (await level_at(tx, a, other)).on_hand == 6
        await stock.activate_location(tx, main)
        with pytest.raises(stock.LocationNotFound):
            await stock.activate_location(tx, new_id())


async def test_a_transfer_leaves_is_in_transit_and_arrives_in_parts_with_differences(
    database: Database, organisation_id: UUID
) -> None:
    a, b = await make_variants(database, organisation_id, [10, 4])
    async with database.transaction(organisation_id) as tx:
        main = await default_location(tx)
        shop = await stock.create_location(tx, "Shop", "store")
        id = await stock.draft_transfer(tx, main, shop, {a: 6, b: 5}, actor="t")
        with pytest.raises(NotEnoughStock) as refused:
            await stock.ship_transfer(tx, id, actor="t")
        assert [(s.variant_id, s.asked, s.available) for s in refused.value.shortfalls] == [(b, 5, 4)]
        await stock.change_transfer(tx, id, {a: 6, b: 4})
        await stock.ship_transfer(tx, id, actor="t")
        assert await stock.available_to_sell(tx, [a, b]) == {a: 4, b: 0}
        assert (await level_at(tx, a, shop)).incoming == 6
        assert await stock.receive_transfer(tx, id, [Receipt(a, 4, 1)], actor="t") == "partly_received"
        level = await level_at(tx, a, shop)
        assert (level.on_hand, level.unavailable, level.incoming) == (4, 1, 2)
        assert await stock.receive_transfer(tx, id, [Receipt(b, 5)], close=True, actor="t") == "received"
        assert (await level_at(tx, b, shop)).on_hand == 5
        assert (await level_at(tx, a, shop)).incoming == 0
        with pytest.raises(stock.WrongState, match="is received"):
            await stock.receive_transfer(tx, id, [Receipt(a, 1)], actor="t")
        with pytest.raises(SameLocation):
            await stock.draft_transfer(tx, main, main, {a: 1}, actor="t")
        with pytest.raises(stock.DocumentNotFound):
            await stock.cancel_transfer(tx, new_id(), actor="t")


async def test_a_cancelled_transfer_comes_back(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [10])
    async with database.transaction(organisation_id) as tx:
        main = await default_location(tx)
        shop = await stock.create_location(tx, "Shop", "store")
        draft = await stock.draft_transfer(tx, main, shop, {a: 6}, actor="t")
        assert await stock.cancel_transfer(tx, draft, actor="t") == "cancelled"
        sent = await stock.draft_transfer(tx, main, shop, {a: 6}, actor="t")
        await stock.ship_transfer(tx, sent, actor="t")
        await stock.receive_transfer(tx, sent, [Receipt(a, 1)], actor="t")
        assert await stock.cancel_transfer(tx, sent, actor="t") == "received"
        assert (await level_at(tx, a, main)).on_hand == 9
        assert (await level_at(tx, a, shop)).incoming == 0


async def test_a_count_applies_the_difference_of_then_not_the_number(database: Database, organisation_id: UUID) -> None:
    a, b, c = await make_variants(database, organisation_id, [10, 10, 3])
    line = new_id()
    async with database.transaction(organisation_id) as tx:
        main = await default_location(tx)
        await stock.claim_sales(tx, [SaleClaim(line, a, 4)], actor="t")
        sheet = await stock.open_count(tx, main, None, actor="t")
        await stock.record_counts(tx, sheet, {a: 9, b: 10}, actor="t")
        await stock.ship_sales(tx, {line: 4}, actor="t")
        await stock.change_on_hand(tx, [stock.StockChange(b, "came", delta=5)], kind="purchase", actor="t")
        assert await stock.confirm_count(tx, sheet, actor="t") == 1
        assert [(await level_at(tx, v, main)).on_hand for v in (a, b, c)] == [5, 15, 3]
        with pytest.raises(stock.WrongState):
            await stock.record_counts(tx, sheet, {a: 1}, actor="t")


async def test_a_count_never_goes_below_nothing_and_a_found_sku_joins_the_sheet(
    database: Database, organisation_id: UUID
) -> None:
    a, b = await make_variants(database, organisation_id, [10, 0])
    line = new_id()
    async with database.transaction(organisation_id) as tx:
        main = await default_location(tx)
        sheet = await stock.open_count(tx, main, [a], actor="t")
        await stock.record_counts(tx, sheet, {a: 2, b: 3}, actor="t")
        await stock.claim_sales(tx, [SaleClaim(line, a, 9)], actor="t")
        await stock.ship_sales(tx, {line: 9}, actor="t")
        await stock.confirm_count(tx, sheet, actor="t")
        assert [(await level_at(tx, v, main)).on_hand for v in (a, b)] == [0, 3]
        put_away = await stock.open_count(tx, main, [a], actor="t")
        await stock.record_counts(tx, put_away, {a: 99}, actor="t")
        await stock.cancel_count(tx, put_away)
        assert (await level_at(tx, a, main)).on_hand == 0


async def test_damaged_units_are_not_for_sale_and_reserved_ones_become_short(
    database: Database, organisation_id: UUID
) -> None:
    [a] = await make_variants(database, organisation_id, [5])
    line = new_id()
    async with database.transaction(organisation_id) as tx:
        main = await default_location(tx)
        await stock.claim_sales(tx, [SaleClaim(line, a, 4)], actor="t")
        level = await stock.set_damaged(tx, a, None, 3, reason="wet", actor="t")
        assert (level.unavailable, level.reserved) == (3, 2)
        assert (await stock.claims_of_lines(tx, [line]))[line].shortage == 2
        with pytest.raises(InvalidQuantity):
            await stock.set_damaged(tx, a, None, 6, reason="wet", actor="t")
        await stock.set_damaged(tx, a, None, 1, reason="dried", actor="t")
        assert (await stock.claims_of_lines(tx, [line]))[line].reserved == 4
        await stock.change_on_hand(tx, [stock.StockChange(a, "thrown away", on_hand=0)], kind="count", actor="t")
        assert (await level_at(tx, a, main)).unavailable == 0


async def test_a_purchase_is_ordered_comes_in_with_differences_and_fills_what_was_sold(
    database: Database, organisation_id: UUID
) -> None:
    a, b = await make_variants(database, organisation_id, [0, 0])
    line = new_id()
    async with database.transaction(organisation_id) as tx:
        main = await default_location(tx)
        supplier = await stock.create_supplier(tx, "Acme", "EUR", lead_time_days=3)
        await stock.put_offers(tx, supplier, [stock.Offer(a, "X-1", 250, lead_time_days=9), stock.Offer(b)])
        id = await stock.draft_purchase(tx, supplier, main, {a: 10, b: 5}, costs={b: 99}, actor="t")
        costs = dict(
            await tx.fetch("select variant_id, cost_minor from purchase_order_line where purchase_order_id = $1", id)
        )
        assert costs == {a: 250, b: 99}
        await stock.claim_sales(tx, [SaleClaim(line, a, 2)], actor="t")
        await stock.order_purchase(tx, id, actor="t")
        expected = await tx.fetch_value("select expected_on from purchase_order where id = $1", id)
        assert expected - utc_now().date() in (timedelta(days=9), timedelta(days=10))
        assert (await level_at(tx, a, main)).incoming == 10
        assert await stock.receive_purchase(tx, id, [Receipt(a, 8, 2)], actor="t") == "partly_received"
        level = await level_at(tx, a, main)
        assert (level.on_hand, level.unavailable, level.incoming, level.reserved) == (8, 2, 2, 2)
        with pytest.raises(stock.NotOnDocument):
            await stock.receive_purchase(tx, id, [Receipt(new_id(), 1)], actor="t")
        with pytest.raises(InvalidQuantity):
            await stock.receive_purchase(tx, id, [Receipt(a, 1, 2)], actor="t")
        assert await stock.receive_purchase(tx, id, [Receipt(b, 7), Receipt(a, 1)], close=True, actor="t") == "received"
        assert [(await level_at(tx, v, main)).incoming for v in (a, b)] == [0, 0]
        assert (await level_at(tx, b, main)).on_hand == 7


async def test_a_purchase_is_given_up(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [0])
    async with database.transaction(organisation_id) as tx:
        main = await default_location(tx)
        supplier = await stock.create_supplier(tx, "Acme", "EUR")
        id = await stock.draft_purchase(tx, supplier, main, {a: 10}, actor="t")
        await stock.order_purchase(tx, id, expected_on=date(2030, 1, 1), actor="t")
        assert await stock.cancel_purchase(tx, id, actor="t") == "cancelled"
        assert (await level_at(tx, a, main)).incoming == 0
        with pytest.raises(stock.WrongState):
            await stock.order_purchase(tx, id, actor="t")
        with pytest.raises(stock.SupplierNameTaken):
            await stock.create_supplier(tx, "Acme", "USD")
        await stock.change_supplier(tx, supplier, active=False)
        with pytest.raises(Exception, match="Nothing is bought"):
            await stock.draft_purchase(tx, supplier, main, {a: 1}, actor="t")
