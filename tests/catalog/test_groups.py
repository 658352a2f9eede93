"""Categories stay a tree whatever people do at once; collections have an order."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.catalog.support import make

from entrepot.catalog import category_tree as tree
from entrepot.catalog import collections
from entrepot.catalog.category_tree import CategoryExists, CategoryInItself, CategoryNotEmpty, InvalidCategory
from entrepot.catalog.collections import CollectionExists, InvalidCollection
from entrepot.catalog.contracts import CategoryNotFound, CollectionNotFound, ProductNotFound
from entrepot.database.pool import Database
from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.ids import new_id


async def labels(database: Database, organisation_id: UUID) -> list[str]:
    async with database.transaction(organisation_id) as tx:
        return [each.label for each in await tree.list_categories(tx)]


async def test_a_branch_is_moved_and_merged_into_its_twin(database: Database, organisation_id: UUID) -> None:
    product = await make(database, organisation_id, "Cup")
    async with database.transaction(organisation_id) as tx:
        home = await tree.create_category(tx, "Home")
        kitchen = await tree.create_category(tx, "Kitchen", home)
        old = await tree.create_category(tx, "Old")
        twin = await tree.create_category(tx, "Kitchen", old)
        cups = await tree.create_category(tx, "Cups", twin)
        same = await tree.create_category(tx, "Old", old)
        await tx.execute("update product set category_id = $1 where id = $2", cups, product)
        with pytest.raises(CategoryInItself):
            await tree.change_category(tx, old, name="Old", parent_id=cups)
        with pytest.raises(CategoryInItself):
            await tree.merge_category(tx, old, cups)
        with pytest.raises(CategoryNotEmpty):
            await tree.delete_category(tx, cups)
        with pytest.raises(CategoryExists):
            await tree.change_category(tx, twin, name="Kitchen", parent_id=home)
        await tree.merge_category(tx, old, home)
        assert await tx.fetch_value("select category_id from product where id = $1", product) == cups
        assert (await tree.get_category(tx, cups)).parent_id == kitchen
        assert (await tree.get_category(tx, same)).label == "Home > Old"
        with pytest.raises(CategoryNotFound):
            await tree.get_category(tx, old)
    assert await labels(database, organisation_id) == ["Home", "Home > Kitchen", "Home > Kitchen > Cups", "Home > Old"]


async def test_a_merge_moves_products_and_counts_them(database: Database, organisation_id: UUID) -> None:
    product = await make(database, organisation_id, "Cup")
    async with database.transaction(organisation_id) as tx:
        a, b = await tree.create_category(tx, "A"), await tree.create_category(tx, "B")
        await tx.execute("update product set category_id = $1 where id = $2", a, product)
        assert await tree.merge_category(tx, a, b) == 1
        assert [(each.name, each.products) for each in await tree.list_categories(tx)] == [("B", 1)]


async def test_it_is_no_deeper_than_ten(database: Database, organisation_id: UUID) -> None:
    async with database.transaction(organisation_id) as tx:
        parent, ids = None, []
        for n in range(10):
            parent = await tree.create_category(tx, f"C{n}", parent)
            ids.append(parent)
        with pytest.raises(InvalidCategory):
            await tree.create_category(tx, "Too deep", parent)
        other = await tree.create_category(tx, "Other")
        with pytest.raises(InvalidCategory):
            await tree.change_category(tx, ids[0], name="C0", parent_id=other)
        with pytest.raises(InvalidCategory):
            await tree.create_category(tx, "  ")


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(moves=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), min_size=4, max_size=12))
async def test_people_who_move_at_once_never_make_a_circle(
    database: Database, moves: list[tuple[int, int, bool]]
) -> None:
    organisation_id = new_id()
    async with database.transaction(None) as tx:
        await tx.execute("insert into organisation (id, name) values ($1, 'Test')", organisation_id)
    async with database.transaction(organisation_id) as tx:
        ids = [await tree.create_category(tx, f"C{n}") for n in range(6)]

    async def move(one: int, other: int, merge: bool) -> None:
        with suppress(EntrepotError):
            async with database.transaction(organisation_id) as tx:
                if merge and one % 3 == 0:
                    await tree.merge_category(tx, ids[one], ids[other])
                else:
                    await tree.change_category(tx, ids[one], name=f"C{one}", parent_id=ids[other])

    await asyncio.gather(*(move(*each) for each in moves))
    async with database.transaction(organisation_id) as tx:
        stored = await tx.fetch_value("select count(*) from category")
        # A circle hangs from no root, so the tree read from the roots down would lack it.
        assert len(await tree.list_categories(tx)) == stored


async def test_a_collection_has_its_products_in_an_order(database: Database, organisation_id: UUID) -> None:
    ids = [await make(database, organisation_id, f"P{n}") for n in range(4)]
    async with database.transaction(organisation_id) as tx:
        id = await collections.create_collection(tx, "New", "new")
        await collections.set_members(tx, id, [ids[2], ids[0], ids[2]])
        assert [m.id for m in await collections.members(tx, id)] == [ids[2], ids[0]]
        await collections.set_members(tx, id, ids[::-1])
        assert [m.id for m in await collections.members(tx, id)] == ids[::-1]
        with pytest.raises(ProductNotFound):
            await collections.set_members(tx, id, [new_id()])
        with pytest.raises(InvalidCollection):
            await collections.create_collection(tx, "", "x")
        with pytest.raises(InvalidCollection):
            await collections.create_collection(tx, "x", "a b")
        other = await collections.create_collection(tx, "Other", "other")
        with pytest.raises(CollectionExists):
            await collections.change_collection(tx, other, "Other", "new")
        with pytest.raises(CollectionExists):
            await collections.create_collection(tx, "New", "new")
        await collections.delete_collection(tx, id)
        with pytest.raises(CollectionNotFound):
            await collections.get_collection(tx, id)
        assert await tx.fetch_value("select count(*) from product") == 4
