"""Bundles, extended holds, shortages and their remedies, alerts and suggestions on real PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from tests.stock.support import default_location, hold, level_at, make_variants

from entrepot.catalog.facade import InvalidBundle
from entrepot.database.pool import Database, Tx
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.stock.contracts import NotEnoughStock, SaleClaim
from entrepot.stock.documents import Receipt
from entrepot.stock.remedies import BeingBought, NotASupplier


async def make_bundle(tx: Tx, parts: dict[UUID, int]) -> UUID:
    bundle = new_id()
    await tx.execute(
        "insert into variant (organisation_id, id, product_id, sku, price_minor, currency)"
        " select organisation_id, $1, product_id, $2, 100, 'EUR' from variant limit 1",
        bundle,
        str(bundle),
    )
    await stock.set_bundle(tx, bundle, parts)
    return bundle


async def test_a_bundle_reserves_its_parts_and_shared_parts_are_summed(
    database: Database, organisation_id: UUID
) -> None:
    a, b = await make_variants(database, organisation_id, [10, 4])
    async with database.transaction(organisation_id) as tx:
        main = await default_location(tx)
        kit = await make_bundle(tx, {a: 3, b: 1})
        other = await make_bundle(tx, {a: 2})
        assert await stock.available_to_sell(tx, [kit, other, a]) == {kit: 3, other: 5, a: 10}
        [refusal] = await stock.place_holds(tx, [hold((kit, 2), (other, 2), (a, 1))])
        assert isinstance(refusal, NotEnoughStock)
        assert {(s.variant_id, s.asked, s.available) for s in refusal.shortfalls} == {
            (kit, 2, 3),
            (other, 2, 5),
            (a, 11, 10),
        }
        [placed] = await stock.place_holds(tx, [hold((kit, 2), (other, 2))])
        assert placed is None
        assert [(await level_at(tx, v, main)).held for v in (a, b)] == [10, 2]
        assert await stock.available_to_sell(tx, [kit]) == {kit: 0}


async def test_an_order_for_bundles_is_reserved_shipped_and_cancelled_in_bundles(
    database: Database, organisation_id: UUID
) -> None:
    a, b = await make_variants(database, organisation_id, [10, 2])
    line = new_id()
    async with database.transaction(organisation_id) as tx:
        main = await default_location(tx)
        kit = await make_bundle(tx, {a: 2, b: 1})
        result = (await stock.claim_sales(tx, [SaleClaim(line, kit, 3)], actor="t"))[line]
        assert (result.reserved, result.shortage) == (2, 1)
        assert (await stock.claims_of_lines(tx, [line]))[line] == result
        after = (await stock.ship_sales(tx, {line: 1}, actor="t"))[line]
        assert (after.reserved, after.shortage) == (1, 1)
        assert [(await level_at(tx, v, main)).on_hand for v in (a, b)] == [8, 1]
        after = (await stock.release_sales(tx, {line: 1}, actor="t"))[line]
        assert (after.reserved, after.shortage) == (1, 0)
        assert [(await level_at(tx, v, main)).reserved for v in (a, b)] == [2, 1]


async def test_what_makes_no_sense_as_a_bundle_is_refused(database: Database, organisation_id: UUID) -> None:
    a, b = await make_variants(database, organisation_id, [10, 0])
    async with database.transaction(organisation_id) as tx:
        kit = await make_bundle(tx, {a: 1})
        with pytest.raises(stock.HasStockOfItsOwn):
            await stock.set_bundle(tx, a, {b: 1})
        with pytest.raises(InvalidBundle, match="part cannot be a bundle"):
            await stock.set_bundle(tx, b, {kit: 1})
        with pytest.raises(InvalidBundle):
            await stock.set_bundle(tx, kit, {kit: 1})
        with pytest.raises(stock.BundleHasNoStock):
            await stock.change_on_hand(tx, [stock.StockChange(kit, "x", on_hand=1)], kind="count", actor="t")
        await stock.set_bundle(tx, b, {a: 2})
        await stock.set_bundle(tx, b, {})
        await stock.change_on_hand(tx, [stock.StockChange(b, "x", on_hand=1)], kind="count", actor="t")
        assert await stock.verify(tx) == []


async def test_a_hold_is_extended_and_then_does_not_expire(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [5])
    kept, gone = hold((a, 1), minutes=1), hold((a, 2), minutes=1)
    now = utc_now()
    async with database.transaction(organisation_id) as tx:
        await stock.place_holds(tx, [kept, gone])
        await stock.extend_hold(tx, kept.id, now + timedelta(hours=1), now)
        assert await stock.expire_holds(tx, now + timedelta(minutes=5)) == 1
        with pytest.raises(stock.HoldNotFound):
            await stock.extend_hold(tx, gone.id, now + timedelta(hours=1), now)
        with pytest.raises(stock.HoldNotFound):
            await stock.extend_hold(tx, kept.id, now + timedelta(hours=9), now + timedelta(hours=2))
        assert (await level_at(tx, a, await default_location(tx))).held == 1


async def test_a_hold_extended_while_it_is_being_expired_stays(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [5])
    wanted = hold((a, 1), minutes=1)
    now = utc_now()
    async with database.transaction(organisation_id) as tx:
        await stock.place_holds(tx, [wanted])
    async with database.transaction(organisation_id) as blocker:
        await blocker.execute("select from stock_level where variant_id = $1 for update", a)
        async with database.transaction(organisation_id) as sweeping:
            task = asyncio.create_task(stock.expire_holds(sweeping, now + timedelta(minutes=5)))
            await asyncio.sleep(0.3)
            async with database.transaction(organisation_id) as tx:
                await stock.extend_hold(tx, wanted.id, now + timedelta(hours=1), now)
            await blocker.execute("savepoint s")
            await blocker.execute("rollback to s")
            assert not task.done()
            await blocker.connection.execute("commit")
            assert await task == 0
            await blocker.connection.execute("begin")
    async with database.transaction(organisation_id) as tx:
        assert (await level_at(tx, a, await default_location(tx))).held == 1


async def short_line(tx: Tx, variant: UUID, units: int) -> tuple[UUID, UUID]:
    line = new_id()
    await stock.claim_sales(tx, [SaleClaim(line, variant, units)], actor="t")
    found: UUID = await tx.fetch_value("select id from shortage where reference_id = $1 and state = 'open'", line)
    return line, found


async def test_a_shortage_is_remedied_by_purchase(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [0])
    async with database.transaction(organisation_id) as tx:
        supplier = await stock.create_supplier(tx, "Acme", "EUR")
        line, shortage = await short_line(tx, a, 3)
        purchase = await stock.buy_for(tx, shortage, supplier, None, actor="t")
        with pytest.raises(BeingBought):
            await stock.buy_for(tx, shortage, supplier, None, actor="t")
    async with database.transaction(organisation_id) as tx:
        await stock.order_purchase(tx, purchase, actor="t")
        await stock.receive_purchase(tx, purchase, [Receipt(a, 3)], actor="t")
        assert (await stock.claims_of_lines(tx, [line]))[line].reserved == 3
        row = await tx.fetch_row("select state, remedy from shortage where id = $1", shortage)
        assert row is not None
        assert tuple(row) == ("closed", "purchase")


async def test_a_shortage_is_sent_by_the_supplier_or_given_up(database: Database, organisation_id: UUID) -> None:
    a, b = await make_variants(database, organisation_id, [0, 5])
    async with database.transaction(organisation_id) as tx:
        drop = await stock.create_location(tx, "Acme direct", "dropship")
        main = await default_location(tx)
        line, shortage = await short_line(tx, a, 3)
        with pytest.raises(NotASupplier):
            await stock.send_from_supplier(tx, shortage, main, actor="t")
        await stock.send_from_supplier(tx, shortage, drop, actor="t")
        assert (await stock.claims_of_lines(tx, [line]))[line].reserved == 3
        assert (await level_at(tx, a, drop)).reserved == 3
        kit = await make_bundle(tx, {a: 1, b: 1})
        bundled, lacking = await short_line(tx, kit, 2)
        assert (await stock.claims_of_lines(tx, [bundled]))[bundled].shortage == 2
        await stock.give_up(tx, lacking, note="buyer agreed", actor="t")
        claims = (await stock.claims_of_lines(tx, [bundled]))[bundled]
        assert (claims.reserved, claims.shortage) == (0, 0)
        assert (await level_at(tx, b, main)).reserved == 0
        with pytest.raises(stock.ShortageNotFound):
            await stock.give_up(tx, lacking, actor="t")


async def test_a_shortage_takes_what_another_location_has(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [0])
    async with database.transaction(organisation_id) as tx:
        shop = await stock.create_location(tx, "Shop", "store")
        line, shortage = await short_line(tx, a, 3)
        with pytest.raises(NotEnoughStock):
            await stock.take_from_location(tx, shortage, shop, actor="t")
        # Goods that came in while nothing looked at the shortage, as after a restore.
        await tx.execute("update shortage set state = 'closed' where id = $1", shortage)
        await stock.change_on_hand(
            tx, [stock.StockChange(a, "x", on_hand=2, location_id=shop)], kind="count", actor="t"
        )
        await tx.execute("update shortage set state = 'open' where id = $1", shortage)
        assert await stock.take_from_location(tx, shortage, shop, actor="t") == 1
        assert (await stock.claims_of_lines(tx, [line]))[line].reserved == 2
        assert await stock.verify(tx) == []


async def alerts(tx: Tx) -> list[tuple[UUID, int, str]]:
    rows = await tx.fetch("select variant_id, available, state from stock_alert order by id")
    return [tuple(row) for row in rows]


async def test_what_is_low_alerts_once_until_it_is_back(database: Database, organisation_id: UUID) -> None:
    a, b = await make_variants(database, organisation_id, [12, 12])
    watch = stock.StockWatch(low_at=10)
    async with database.transaction(organisation_id) as tx:
        assert await watch.look(tx, [a, b]) == []
        await stock.claim_sales(tx, [SaleClaim(new_id(), a, 2)], actor="t")
        assert await watch.look(tx, [a, b]) == [a]
        await stock.claim_sales(tx, [SaleClaim(new_id(), a, 11)], actor="t")
        assert await watch.look(tx, [a, b]) == []
        assert await alerts(tx) == [(a, -1, "open")]
        await stock.change_on_hand(tx, [stock.StockChange(a, "x", on_hand=40)], kind="count", actor="t")
        await watch.look(tx, [a])
        assert await alerts(tx) == [(a, 27, "closed")]
        await stock.set_threshold(tx, "variant", a, 30)
        product = await tx.fetch_value("select product_id from variant where id = $1", a)
        await stock.set_threshold(tx, "product", product, 5)
        assert await watch.look(tx, [a, b]) == [a]


async def suggestions(tx: Tx) -> list[tuple[UUID, int, str]]:
    rows = await tx.fetch("select variant_id, quantity, state from reorder_suggestion order by id")
    return [tuple(row) for row in rows]


async def test_a_need_is_suggested_explained_bought_and_met(database: Database, organisation_id: UUID) -> None:
    a, b = await make_variants(database, organisation_id, [4, 50])
    watch = stock.StockWatch()
    async with database.transaction(organisation_id) as tx:
        main = await default_location(tx)
        await stock.set_reorder_rule(tx, a, main, point=5, quantity=10, max_level=None)
        await stock.set_reorder_rule(tx, b, main, point=5, quantity=None, max_level=20)
        await watch.look(tx, [a, b])
        with pytest.raises(stock.NoSupplier):
            await stock.buy_suggested(tx, [await tx.fetch_value("select id from reorder_suggestion")], actor="t")
        supplier = await stock.create_supplier(tx, "Acme", "EUR", lead_time_days=4)
        await stock.put_offers(tx, supplier, [stock.Offer(a, pack_units=6), stock.Offer(b)])
        await watch.look(tx, [a, b])
        assert await suggestions(tx) == [(a, 12, "open")]
        steps = await tx.fetch_value("select steps from reorder_suggestion")
        assert steps == [
            "4 on hand: 4 to come by.", "That is at or below the reorder point of 5.", "The reorder quantity is 10.",
            "Acme sells packs of 6: 12.", "Acme takes 4 days.",
        ]  # fmt: skip
        [purchase] = await stock.buy_suggested(
            tx, [await tx.fetch_value("select id from reorder_suggestion")], actor="t"
        )
        await watch.look(tx, [a])
        assert await suggestions(tx) == [(a, 12, "drafted")]
        assert await stock.buy_automatically(tx) == []
        await stock.cancel_purchase(tx, purchase, actor="t")
        assert await suggestions(tx) == [(a, 12, "open")]
        [again] = await stock.buy_automatically(tx)
        await stock.order_purchase(tx, again, actor="t")
        await watch.look(tx, [a])
        assert await suggestions(tx) == [(a, 12, "ordered")]
        await stock.change_on_hand(tx, [stock.StockChange(b, "x", on_hand=3)], kind="count", actor="t")
        await watch.look(tx, [b])
        dismissed = await tx.fetch_value("select id from reorder_suggestion where state = 'open'")
        await stock.dismiss(tx, dismissed, actor="t")
        await watch.look(tx, [b])
        assert (await suggestions(tx))[1:] == [(b, 17, "dismissed")]
        await stock.change_on_hand(tx, [stock.StockChange(b, "x", on_hand=30)], kind="count", actor="t")
        await watch.look(tx, [b])
        assert (await suggestions(tx))[1:] == [(b, 17, "met")]


async def test_automatic_orders_gather_in_one_draft(database: Database, organisation_id: UUID) -> None:
    a, b = await make_variants(database, organisation_id, [0, 0])
    async with database.transaction(organisation_id) as tx:
        main = await default_location(tx)
        supplier = await stock.create_supplier(tx, "Acme", "EUR")
        await stock.put_offers(tx, supplier, [stock.Offer(a, cost_minor=7), stock.Offer(b, cost_minor=9)])
        drafts = set()
        for variant in (a, b):
            await stock.set_reorder_rule(tx, variant, main, point=1, quantity=5, max_level=None)
            await stock.StockWatch().look(tx, [variant])
            drafts |= set(await stock.buy_automatically(tx))
        assert len(drafts) == 1
        lines = await tx.fetch("select quantity, cost_minor from purchase_order_line order by cost_minor")
        assert [tuple(line) for line in lines] == [(5, 7), (5, 9)]


async def test_the_same_need_is_never_bought_twice(database: Database, organisation_id: UUID) -> None:
    variants = await make_variants(database, organisation_id, [0] * 6)
    watch = stock.StockWatch()
    async with database.transaction(organisation_id) as tx:
        main = await default_location(tx)
        supplier = await stock.create_supplier(tx, "Acme", "EUR")
        await stock.put_offers(tx, supplier, [stock.Offer(v) for v in variants])
        for variant in variants:
            await stock.set_reorder_rule(tx, variant, main, point=1, quantity=5, max_level=None)

    async def look() -> None:
        async with database.transaction(organisation_id) as tx:
            await watch.look(tx, variants)

    async def buy() -> None:
        async with database.transaction(organisation_id) as tx:
            await stock.buy_automatically(tx)

    async def ask() -> None:
        async with database.transaction(organisation_id) as tx:
            ids = [row[0] for row in await tx.fetch("select id from reorder_suggestion where state = 'open'")]
            if ids:
                try:
                    await stock.buy_suggested(tx, ids, actor="person")
                except stock.SuggestionNotOpen:
                    return

    for _ in range(4):
        await asyncio.gather(*(work() for work in (look, buy, ask) * 3))
    async with database.transaction(organisation_id) as tx:
        await stock.buy_automatically(tx)
        bought = await tx.fetch("select variant_id, sum(quantity)::int from purchase_order_line group by 1")
        assert {row[0]: row[1] for row in bought} == dict.fromkeys(variants, 5)
        assert {state for _, _, state in await suggestions(tx)} == {"drafted"}
