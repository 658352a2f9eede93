"""What a product carries besides its variants: a category in the tree, images, search texts, attributes, dimensions."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from entrepot.catalog import facade as catalog
from entrepot.catalog.contracts import Image, InvalidProduct, NewProduct, NewVariant
from entrepot.database.pool import Database

CUP = NewProduct(
    "cup", "Cup", (NewVariant("CUP", 500, "EUR", length_mm=80, image_url="https://img.test/cup-side.png"),),
    images=(Image("https://img.test/cup.png", "A cup"),), category=("Home", "Kitchen"), seo_title="Cups",
    attributes={"material": "Steel"},
)  # fmt: skip


async def _row(database: Database, organisation_id: UUID) -> dict[str, object]:
    async with database.transaction(organisation_id) as tx:
        row = await tx.fetch_row(
            """select p.images, p.seo_title, p.attributes, c.name as category, v.length_mm, v.image_url
               from product p join category c on c.organisation_id = p.organisation_id and c.id = p.category_id
               join variant v on v.organisation_id = p.organisation_id and v.product_id = p.id
               where p.organisation_id = $1""",
            organisation_id,
        )
    assert row is not None
    return dict(row)


async def test_what_is_not_told_stays(database: Database, organisation_id: UUID) -> None:
    async with database.transaction(organisation_id) as tx:
        await catalog.save_products(tx, [CUP])
    first = await _row(database, organisation_id)
    assert first == {
        "images": [{"url": "https://img.test/cup.png", "alt": "A cup"}], "seo_title": "Cups",
        "attributes": {"material": "Steel"}, "category": "Kitchen", "length_mm": 80,
        "image_url": "https://img.test/cup-side.png",
    }  # fmt: skip
    async with database.transaction(organisation_id) as tx:
        await catalog.save_products(tx, [NewProduct("cup", "Cup", (NewVariant("CUP", 600, "EUR"),))])
    assert await _row(database, organisation_id) == first


async def test_what_is_told_as_empty_is_emptied(database: Database, organisation_id: UUID) -> None:
    async with database.transaction(organisation_id) as tx:
        await catalog.save_products(tx, [CUP])
        await catalog.save_products(
            tx,
            [NewProduct("cup", "Cup", (NewVariant("CUP", 600, "EUR"),), images=(), seo_title="", attributes={})],
        )
    row = await _row(database, organisation_id)
    assert (row["images"], row["seo_title"], row["attributes"]) == ([], "", {})


async def test_two_that_make_one_branch_make_it_once(database: Database, organisation_id: UUID) -> None:
    async def make(name: str) -> None:
        async with database.transaction(organisation_id) as tx:
            await catalog.save_products(
                tx, [NewProduct(name, name, (NewVariant(name, 1, "EUR"),), category=("Home", "Kitchen", "Cups"))]
            )

    await asyncio.gather(*(make(f"P{n}") for n in range(8)))
    async with database.transaction(organisation_id) as tx:
        names = await tx.fetch("select name from category where organisation_id = $1 order by name", organisation_id)
        products = await tx.fetch("select id from product where organisation_id = $1", organisation_id)
        above = await catalog.ancestors_of(tx, [row["id"] for row in products])
    assert [row["name"] for row in names] == ["Cups", "Home", "Kitchen"]
    assert {len(ids) for ids in above.values()} == {3}
    assert len(above) == 8


@pytest.mark.parametrize("path", [("",), ("a" * 201,), tuple("abcdefghijk")])
async def test_a_path_that_is_none_is_refused(database: Database, organisation_id: UUID, path: tuple[str, ...]) -> None:
    async with database.transaction(organisation_id) as tx:
        with pytest.raises(InvalidProduct, match="category"):
            await catalog.save_products(tx, [NewProduct("x", "X", (NewVariant("X", 1, "EUR"),), category=path)])
