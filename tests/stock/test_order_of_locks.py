"""Writers that make levels, tie bundles or do several things in one transaction never wait for each other in a circle."""

from __future__ import annotations

import asyncio
import random
from uuid import UUID

from tests.stock.support import make_variants
from tests.stock.writers import Shop, check

from entrepot.database.pool import Database, Tx
from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.stock.contracts import SaleClaim

ROUNDS = 12


async def new_skus(database: Database, organisation_id: UUID, count: int) -> list[UUID]:
    """Variants that nobody has counted or sold: they have no level yet."""
    ids = [new_id() for _ in range(count)]
    async with database.transaction(organisation_id) as tx:
        await tx.execute(
            "insert into variant (organisation_id, id, product_id, sku, price_minor, currency)"
            " select organisation_id, i, product_id, i::text, 100, 'EUR'"
            " from unnest($1::uuid[]) i, (select * from variant limit 1) v",
            ids,
        )
    return ids


async def test_sales_that_make_the_first_levels_of_new_skus_never_deadlock(
    database_url: str, organisation_id: UUID
) -> None:
    """Sales of some of twenty new SKUs at the same moment, on connections of their own, in any order."""
    database = await Database.connect(database_url, max_size=12)
    chance = random.Random(3)
    try:
        old = await make_variants(database, organisation_id, [50] * 2)
        for _ in range(ROUNDS):
            new = await new_skus(database, organisation_id, 20)

            async def sell(number: int, new: list[UUID] = new) -> None:
                some = chance.sample(new, 1 + number % 9) + chance.sample(old, number % 2)
                async with database.transaction(organisation_id) as tx:
                    await stock.claim_sales(tx, [SaleClaim(new_id(), v, 1) for v in some], actor="test")

            outcomes = await asyncio.gather(*(sell(number) for number in range(60)), return_exceptions=True)
            assert [error for error in outcomes if error is not None] == []
        await check(database, organisation_id, Shop(variants=old))
    finally:
        await database.close()


async def test_orders_that_ship_release_and_claim_at_once_never_deadlock(
    database_url: str, organisation_id: UUID
) -> None:
    """What the orders of one message ask for is one transaction: locked at once, whichever comes first in it."""
    database = await Database.connect(database_url, max_size=8)
    chance = random.Random(5)
    try:
        variants = await make_variants(database, organisation_id, [500] * 4)

        async def bring(number: int) -> None:
            first, second = new_id(), new_id()
            some = chance.sample(variants, 3)

            async def claim(tx: Tx) -> None:
                lines = [SaleClaim(first, some[0], 2), SaleClaim(second, some[1], 2)]
                await stock.claim_sales(tx, lines, actor="test")

            async with database.transaction(organisation_id) as tx:
                await claim(tx)
            async with database.transaction(organisation_id) as tx:
                await stock.lock_for_sales(tx, [first, second], [some[2]])
                await stock.ship_sales(tx, {first: 1}, actor="test")
                await stock.release_sales(tx, {second: 1}, actor="test")
                await stock.claim_sales(tx, [SaleClaim(new_id(), some[2], 1)], actor="test")

        outcomes = await asyncio.gather(*(bring(number) for number in range(120)), return_exceptions=True)
        assert [error for error in outcomes if error is not None] == []
        await check(database, organisation_id, Shop(variants=variants))
    finally:
        await database.close()


async def test_tying_a_bundle_never_deadlocks_with_changes_of_its_stock(
    database_url: str, organisation_id: UUID
) -> None:
    """A SKU with empty levels becomes a bundle and none again while its stock and that of its parts are changed."""
    database = await Database.connect(database_url, max_size=12)
    try:
        part, *bundles = await make_variants(database, organisation_id, [100, 0, 0, 0])

        async def act(number: int) -> None:
            bundle = bundles[number % 3]
            try:
                async with database.transaction(organisation_id) as tx:
                    if number % 4 == 0:
                        await stock.set_bundle(tx, bundle, {part: 1})
                    elif number % 4 == 1:
                        await stock.set_bundle(tx, bundle, {})
                    else:
                        changes = [stock.StockChange(v, "x", delta=0) for v in (bundle, part)]
                        await stock.change_on_hand(tx, changes, kind="adjustment", actor="test")
            except EntrepotError:
                return

        outcomes = await asyncio.gather(*(act(number) for number in range(240)), return_exceptions=True)
        assert [error for error in outcomes if error is not None] == []
        await check(database, organisation_id, Shop(variants=[part]))
    finally:
        await database.close()
