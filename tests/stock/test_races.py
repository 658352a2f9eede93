"""Writers of stock that meet: every pair of kinds, then all of them at once for some seconds. No deadlock, books right."""

from __future__ import annotations

import asyncio
import random
import time
from uuid import UUID

import pytest
from tests.stock.writers import WRITERS, act, check, open_shop

from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.stock.contracts import ClaimLine, Hold, NotEnoughStock

KINDS = tuple(WRITERS)


@pytest.mark.parametrize(
    ("first", "second"), [(x, y) for i, x in enumerate(KINDS) for y in KINDS[i:]], ids=lambda kind: kind
)
async def test_every_pair_of_writers_keeps_the_books_right(
    database: Database, organisation_id: UUID, first: str, second: str
) -> None:
    shop = await open_shop(database, organisation_id, papers=3)
    done = await asyncio.gather(
        *(
            act(database, organisation_id, shop, kind, n, random.Random(f"{kind} {n}"))
            for n in range(3)
            for kind in (first, second)
        )
    )
    assert any(done)
    await check(database, organisation_id, shop)


async def test_many_writers_of_all_kinds_never_deadlock(database_url: str, organisation_id: UUID) -> None:
    """Workers do random work of many lines for some seconds, on connections of their own."""
    database = await Database.connect(database_url, max_size=16)
    shop = await open_shop(database, organisation_id, papers=18, units=10_000)
    done: dict[str, int] = dict.fromkeys(KINDS, 0)
    begun = time.monotonic()

    def enough() -> bool:
        """Some seconds; on a busy machine as many as it takes for each kind to have done something."""
        return time.monotonic() - begun > (5 if all(done.values()) and sum(done.values()) > 100 else 90)

    async def work(number: int) -> None:
        chance = random.Random(number)
        while not enough():
            kind = chance.choice(KINDS)
            if await act(database, organisation_id, shop, kind, chance.randrange(18), chance):
                done[kind] += 1

    try:
        outcomes = await asyncio.gather(*(work(number) for number in range(16)), return_exceptions=True)
        assert [error for error in outcomes if error is not None] == []
        assert all(done.values()), done
        assert sum(done.values()) > 100
        await check(database, organisation_id, shop)
    finally:
        await database.close()


async def test_locations_out_of_use_stay_empty_whoever_writes(database: Database, organisation_id: UUID) -> None:
    shop = await open_shop(database, organisation_id, papers=0)
    async with database.transaction(organisation_id) as tx:
        corner = await stock.create_location(tx, "Corner")

    async def put() -> bool:
        change = stock.StockChange(shop.variants[0], "x", delta=1, location_id=corner)
        try:
            async with database.transaction(organisation_id) as tx:
                await stock.change_on_hand(tx, [change], kind="adjustment", actor="test")
        except stock.LocationRests:
            return False
        return True

    async def close() -> bool:
        try:
            async with database.transaction(organisation_id) as tx:
                await stock.deactivate_location(tx, corner)
        except stock.LocationInUse:
            return False
        return True

    for _ in range(10):
        closed, filled = await asyncio.gather(close(), put())
        assert closed != filled
        async with database.transaction(organisation_id) as tx:
            await stock.activate_location(tx, corner)
            back = stock.StockChange(shop.variants[0], "x", on_hand=0, location_id=corner)
            await stock.change_on_hand(tx, [back], kind="adjustment", actor="test")


async def test_a_bundle_gets_no_stock_while_it_becomes_one(database: Database, organisation_id: UUID) -> None:
    shop = await open_shop(database, organisation_id, papers=0)

    async def fill(variant: UUID) -> bool:
        try:
            async with database.transaction(organisation_id) as tx:
                await stock.change_on_hand(tx, [stock.StockChange(variant, "x", on_hand=1)], kind="count", actor="t")
        except stock.BundleHasNoStock:
            return False
        return True

    async def tie(variant: UUID) -> bool:
        try:
            async with database.transaction(organisation_id) as tx:
                await stock.set_bundle(tx, variant, {shop.variants[0]: 1})
        except stock.HasStockOfItsOwn:
            return False
        return True

    for _ in range(10):
        variant = new_id()
        async with database.transaction(organisation_id) as tx:
            await tx.execute(
                "insert into variant (organisation_id, id, product_id, sku, price_minor, currency)"
                " select organisation_id, $1, product_id, $2, 100, 'EUR' from variant limit 1",
                variant,
                str(variant),
            )
        filled, tied = await asyncio.gather(fill(variant), tie(variant))
        assert filled != tied
    async with database.transaction(organisation_id) as tx:
        assert await stock.verify(tx) == []


async def test_sold_out_bundles_and_parts_are_never_oversold(database: Database, organisation_id: UUID) -> None:
    shop = await open_shop(database, organisation_id, papers=0, units=40)
    gate = stock.HoldGate(database)

    async def buy(variant: UUID) -> bool:
        try:
            await gate.place(organisation_id, Hold(new_id(), (ClaimLine(variant, 1),), None, "test"))
        except NotEnoughStock:
            return False
        return True

    await asyncio.gather(*(buy(v) for _ in range(60) for v in (shop.bundle, *shop.variants)))
    async with database.transaction(organisation_id) as tx:
        assert await stock.verify(tx) == []
        assert all(level.available_to_sell == 0 for level in await stock.levels(tx, shop.variants))
