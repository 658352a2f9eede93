"""A product file into the catalog and the stock, once and again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.orders.support import ingest, line, lines_of, make_connection, order

from entrepot.database.pool import Database
from entrepot.stock import facade as stock
from entrepot.sync.importing import import_products

TEXT = "sku,title,price,stock\nA,Cup,4.50,7\nB,Saucer,2,\nC,Spoon,bad,1\n"


async def everything(database: Database, organisation_id: UUID) -> list[Any]:
    async with database.transaction(organisation_id) as tx:
        assert await stock.verify(tx) == []
        statements = (
            "select id, handle, title, status from product where organisation_id = $1 order by id",
            "select id, sku, price_minor, title from variant where organisation_id = $1 order by id",
            "select variant_id, on_hand, reserved from stock_level where organisation_id = $1 order by variant_id",
            "select count(*) from stock_movement where organisation_id = $1",
        )
        return [[tuple(row) for row in await tx.fetch(sql, organisation_id)] for sql in statements]


async def load(database: Database, organisation_id: UUID, text: str = TEXT, *, dry_run: bool = False) -> Any:
    return await import_products(database, organisation_id, text, currency="EUR", actor="test", dry_run=dry_run)


async def test_the_same_file_twice_changes_nothing(database: Database, organisation_id: UUID) -> None:
    first = await load(database, organisation_id)
    assert (first.created, first.updated, first.stock_set, len(first.problems)) == (2, 0, 1, 1)
    before = await everything(database, organisation_id)
    assert [row[1] for row in before[2]] == [7]
    again = await load(database, organisation_id)
    assert (again.created, again.updated, again.stock_set) == (0, 2, 0)
    assert await everything(database, organisation_id) == before


async def test_a_dry_run_tells_and_does_nothing(database: Database, organisation_id: UUID) -> None:
    told = await load(database, organisation_id, dry_run=True)
    assert (told.created, told.stock_set, told.dry_run) == (2, 1, True)
    assert await everything(database, organisation_id) == [[], [], [], [(0,)]]


async def test_an_old_file_does_not_overwrite_a_count_but_updates_the_price(
    database: Database, organisation_id: UUID
) -> None:
    await load(database, organisation_id)
    await load(database, organisation_id, TEXT.replace("4.50,7", "5.00,99"))
    _, variants, levels, _ = await everything(database, organisation_id)
    assert {row[1]: row[2] for row in variants} == {"A": 500, "B": 200}
    assert [row[1] for row in levels] == [7]


async def test_an_order_that_waited_for_a_sku_is_claimed_by_the_import(
    database: Database, organisation_id: UUID
) -> None:
    connection = await make_connection(database, organisation_id)
    await ingest(database, organisation_id, connection, order("1", 1, [line("A", 2)]))
    await load(database, organisation_id)
    assert await lines_of(database, organisation_id, "1") == {"A": (2, 0, 0, 2, 0)}


async def test_listings_that_waited_for_a_sku_are_matched_by_the_import(
    database: Database, organisation_id: UUID
) -> None:
    connection = await make_connection(database, organisation_id)
    async with database.transaction(organisation_id) as tx:
        for sku in ("A", "Z"):
            await tx.execute(
                "insert into listing (organisation_id, id, connection_id, external_id, sku, seen_at)"
                " values ($1, gen_random_uuid(), $2, $3, $3, now())",
                organisation_id,
                connection,
                sku,
            )
    await load(database, organisation_id)
    async with database.transaction(organisation_id) as tx:
        matched = await tx.fetch(
            "select sku from listing where organisation_id = $1 and variant_id is not null", organisation_id
        )
    assert [row[0] for row in matched] == ["A"]
