"""The stock kernel on real PostgreSQL: claims, releases, shortages, races; the ledger always proves the balances."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from tests.stock.support import hold, make_variants, state

from entrepot.database.pool import Database
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.stock.contracts import InvalidQuantity, NotEnoughStock, SaleClaim


async def test_hold_is_all_or_nothing_and_says_what_was_missing(database: Database, organisation_id: UUID) -> None:
    a, b = await make_variants(database, organisation_id, [5, 1])
    async with database.transaction(organisation_id) as tx:
        [refusal] = await stock.place_holds(tx, [hold((a, 2), (b, 2))])
    assert isinstance(refusal, NotEnoughStock)
    assert [(s.variant_id, s.asked, s.available) for s in refusal.shortfalls] == [(b, 2, 1)]
    assert await state(database, organisation_id, a) == (5, 0, 0)


async def test_lines_of_one_variant_are_judged_by_their_sum(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [5])
    async with database.transaction(organisation_id) as tx:
        refused, placed = await stock.place_holds(tx, [hold((a, 3), (a, 3)), hold((a, 3), (a, 2))])
    assert refused is not None
    assert placed is None
    assert await state(database, organisation_id, a) == (5, 0, 5)


async def test_release_gives_back_once(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [5])
    wanted = hold((a, 3))
    async with database.transaction(organisation_id) as tx:
        await stock.place_holds(tx, [wanted])
    async with database.transaction(organisation_id) as tx:
        await stock.release_hold(tx, wanted.id, actor="test")
    with pytest.raises(stock.HoldNotFound):
        async with database.transaction(organisation_id) as tx:
            await stock.release_hold(tx, wanted.id, actor="test")
    assert await state(database, organisation_id, a) == (5, 0, 0)


async def test_holds_expire_by_their_time(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [5])
    async with database.transaction(organisation_id) as tx:
        await stock.place_holds(tx, [hold((a, 1), minutes=1), hold((a, 2), minutes=10)])
    async with database.transaction(organisation_id) as tx:
        assert await stock.expire_holds(tx, utc_now() + timedelta(minutes=5)) == 1
    assert await state(database, organisation_id, a) == (5, 0, 2)


async def test_safety_stock_is_not_for_sale(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [5])
    async with database.transaction(organisation_id) as tx:
        await stock.set_safety_stock(tx, a, 3)
        assert await stock.available_to_sell(tx, [a]) == {a: 2}
        [refusal] = await stock.place_holds(tx, [hold((a, 3))])
    assert refusal is not None


async def test_without_protection_holds_take_the_safety_stock_and_never_more_than_is_there(
    database: Database, organisation_id: UUID
) -> None:
    [a] = await make_variants(database, organisation_id, [5])
    async with database.transaction(organisation_id) as tx:
        await stock.set_safety_stock(tx, a, 3)
    strict, open_handed = stock.HoldGate(database), stock.HoldGate(database, safety_too=True)
    with pytest.raises(NotEnoughStock):
        await strict.place(organisation_id, hold((a, 3)))
    await open_handed.place(organisation_id, hold((a, 4)))
    with pytest.raises(NotEnoughStock) as refused:
        await open_handed.place(organisation_id, hold((a, 2)))
    assert [(s.asked, s.available) for s in refused.value.shortfalls] == [(2, 1)]
    assert await state(database, organisation_id, a) == (5, 0, 4)
    async with database.transaction(organisation_id) as tx:
        assert await stock.available_to_sell(tx, [a]) == {a: -2}
        assert await stock.verify(tx) == []


async def test_a_sale_is_always_recorded_and_short_for_what_is_not_there(
    database: Database, organisation_id: UUID
) -> None:
    [a] = await make_variants(database, organisation_id, [2])
    line, other = new_id(), new_id()
    async with database.transaction(organisation_id) as tx:
        results = await stock.claim_sales(tx, [SaleClaim(line, a, 3), SaleClaim(other, a, 1)], actor="test")
        assert (results[line].reserved, results[line].shortage) == (2, 1)
        assert (results[other].reserved, results[other].shortage) == (0, 1)
        assert await stock.available_to_sell(tx, [a]) == {a: -2}
    assert await state(database, organisation_id, a) == (2, 2, 0)


async def test_freed_units_go_to_the_oldest_shortage(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [2])
    first, second = new_id(), new_id()
    async with database.transaction(organisation_id) as tx:
        await stock.claim_sales(tx, [SaleClaim(first, a, 2)], actor="test")
        await stock.claim_sales(tx, [SaleClaim(second, a, 1)], actor="test")
        after = await stock.release_sales(tx, {first: 1}, actor="test")
        assert list(after) == [first]
        after = await stock.claims_of_lines(tx, [first, second])
        told = await tx.fetch_value(
            "select payload from outbox where organisation_id = $1 and topic = 'stock.claims_changed'", organisation_id
        )
    assert (after[first].reserved, after[first].shortage) == (1, 0)
    assert (after[second].reserved, after[second].shortage) == (1, 0)
    assert told == {"order_lines": [str(second)]}
    assert await state(database, organisation_id, a) == (2, 2, 0)


async def test_shipping_takes_units_out(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [5])
    line = new_id()
    async with database.transaction(organisation_id) as tx:
        await stock.claim_sales(tx, [SaleClaim(line, a, 3)], actor="test")
        after = await stock.ship_sales(tx, {line: 2}, actor="test")
    assert (after[line].reserved, after[line].shortage) == (1, 0)
    assert await state(database, organisation_id, a) == (3, 1, 0)


async def test_a_count_below_what_is_reserved_makes_a_shortage(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [5])
    line = new_id()
    async with database.transaction(organisation_id) as tx:
        await stock.claim_sales(tx, [SaleClaim(line, a, 4)], actor="test")
        await stock.change_on_hand(tx, [stock.StockChange(a, "count", on_hand=1)], kind="count", actor="test")
        assert await stock.available_to_sell(tx, [a]) == {a: -3}
    assert await state(database, organisation_id, a) == (1, 1, 0)
    async with database.transaction(organisation_id) as tx:
        await stock.change_on_hand(tx, [stock.StockChange(a, "found", delta=9)], kind="adjustment", actor="test")
        assert await stock.available_to_sell(tx, [a]) == {a: 6}
    assert await state(database, organisation_id, a) == (10, 4, 0)


async def test_on_hand_cannot_become_negative(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [1])
    with pytest.raises(InvalidQuantity):
        async with database.transaction(organisation_id) as tx:
            await stock.change_on_hand(tx, [stock.StockChange(a, "x", delta=-2)], kind="adjustment", actor="test")


async def test_many_buyers_never_get_more_than_there_is(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [50])
    gate = stock.HoldGate(database)

    async def buy() -> bool:
        try:
            await gate.place(organisation_id, hold((a, 1)))
        except NotEnoughStock:
            return False
        return True

    bought = await asyncio.gather(*(buy() for _ in range(200)))
    assert sum(bought) == 50
    assert await state(database, organisation_id, a) == (50, 0, 50)


async def test_verify_finds_what_is_reserved_of_nothing(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [5])
    async with database.transaction(organisation_id) as tx:
        await stock.claim_sales(tx, [SaleClaim(new_id(), a, 5)], actor="test")
        await tx.execute("update stock_level set on_hand = 3 where organisation_id = $1", organisation_id)
        await tx.execute(
            "insert into stock_movement (organisation_id, id, variant_id, location_id, kind, on_hand_delta, on_hand_after,"
            " reserved_after, actor, at) select $1, $2, variant_id, location_id, 'count', -2, 3, 5, 'test', now()"
            " from stock_level where organisation_id = $1",
            organisation_id,
            new_id(),
        )
        [found] = await stock.verify(tx)
        assert (found.column, found.balance, found.ledger) == ("uncovered", 5, 3)
        await tx.execute("update stock_level set on_hand = 5 where organisation_id = $1", organisation_id)
        assert [(m.column, m.balance, m.ledger) for m in await stock.verify(tx)] == [("on_hand", 5, 3)]
