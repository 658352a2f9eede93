"""Reservations move to the locations that will send them: all or none, and the ledger proves it."""

from __future__ import annotations

from uuid import UUID

import pytest
from tests.stock.support import level_at, make_variants
from tests.stock.test_bundles_and_remedies import make_bundle

from entrepot.database.pool import Database, Tx
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.stock.contracts import NotEnoughStock, SaleClaim


async def a_second_place(tx: Tx, units: dict[UUID, int]) -> tuple[UUID, UUID]:
    main: UUID = await tx.fetch_value("select id from location")
    second = await stock.create_location(tx, "Second", "store")
    there = [stock.StockChange(v, "x", on_hand=n, location_id=second) for v, n in units.items()]
    await stock.change_on_hand(tx, there, kind="count", actor="test")
    return main, second


async def reserved(tx: Tx, variant: UUID, *places: UUID) -> list[int]:
    return [(await level_at(tx, variant, place)).reserved for place in places]


async def test_units_move_and_those_not_asked_for_stay(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [10])
    line, other = new_id(), new_id()
    async with database.transaction(organisation_id) as tx:
        main, second = await a_second_place(tx, {a: 4})
        await stock.claim_sales(tx, [SaleClaim(line, a, 5), SaleClaim(other, a, 2)], actor="test")
        assert await reserved(tx, a, main, second) == [7, 0]
        await stock.place_sales(tx, {line: {second: 3}}, actor="test")
        assert await reserved(tx, a, main, second) == [4, 3]
        await stock.place_sales(tx, {line: {second: 3}}, actor="test")
        assert await reserved(tx, a, main, second) == [4, 3], "asked again, nothing moves"
        await stock.place_sales(tx, {line: {main: 5}, other: {second: 2}}, actor="test")
        assert await reserved(tx, a, main, second) == [5, 2], "places may change hands at once"
        await stock.ship_sales(tx, {other: 2}, actor="test")
        level = await level_at(tx, a, second)
        assert (level.on_hand, level.reserved) == (2, 0), "it leaves from where it was placed"


async def test_nothing_moves_where_not_all_can(database: Database, organisation_id: UUID) -> None:
    a, b = await make_variants(database, organisation_id, [10, 10])
    lines = [new_id(), new_id()]
    async with database.transaction(organisation_id) as tx:
        main, second = await a_second_place(tx, {a: 4, b: 1})
        claims = [SaleClaim(lines[0], a, 2), SaleClaim(lines[1], b, 2)]
        await stock.claim_sales(tx, claims, actor="test")
    with pytest.raises(NotEnoughStock) as short:
        async with database.transaction(organisation_id) as tx:
            await stock.place_sales(tx, {lines[0]: {second: 2}, lines[1]: {second: 2}}, actor="test")
    assert [(s.variant_id, s.asked, s.available) for s in short.value.shortfalls] == [(b, 2, 1)]
    async with database.transaction(organisation_id) as tx:
        assert await reserved(tx, a, main, second) == [2, 0]
    for wanted in ({lines[0]: {main: 3}}, {new_id(): {main: 1}}):
        with pytest.raises(stock.NotReserved):
            async with database.transaction(organisation_id) as tx:
                await stock.place_sales(tx, wanted, actor="test")


async def test_a_bundle_moves_with_all_its_parts(database: Database, organisation_id: UUID) -> None:
    a, b = await make_variants(database, organisation_id, [10, 10])
    line = new_id()
    async with database.transaction(organisation_id) as tx:
        main, second = await a_second_place(tx, {a: 6, b: 2})
        kit = await make_bundle(tx, {a: 3, b: 1})
        await stock.claim_sales(tx, [SaleClaim(line, kit, 3)], actor="test")
        await stock.place_sales(tx, {line: {second: 2}}, actor="test")
        assert await reserved(tx, a, main, second) == [3, 6]
        assert await reserved(tx, b, main, second) == [1, 2]
