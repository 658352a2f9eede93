"""Bulk edits: what the look says is what is done, a step is done once, an undo takes nobody's later change away."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.catalog.support import actor, make, titles

from entrepot.catalog import bulk, bulk_rules, bulk_store, category_tree, collections, editing
from entrepot.catalog.bulk import BULK_EDIT, CannotUndo, apply_bulk_edit
from entrepot.catalog.bulk_rules import Change, InvalidBulkEdit, Problem, apply, check_changes, restore
from entrepot.catalog.contracts import CategoryNotFound
from entrepot.catalog.editing import ProductEdit
from entrepot.catalog.flats import flats_of
from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.jobs import facade as jobs


def product(*prices: int | None, tags: tuple[str, ...] = (), state: str = "active") -> dict[str, Any]:
    fields: dict[str, Any] = {
        "title": "Cup", "status": "active", "vendor": "", "product_type": "", "category_id": None, "tags": list(tags),
        "collections": [],
    }  # fmt: skip
    for number, price in enumerate(prices):
        fields |= {
            f"variants.{number}.{name}": value
            for name, value in {
                "sku": f"S{number}", "price_minor": price, "compare_at_minor": None, "cost_minor": None, "weight_g": None,
                "currency": "EUR", "state": state,
            }.items()
        }  # fmt: skip
    return fields


tags = st.lists(st.sampled_from("abcdef"), unique=True, max_size=4)
changes = st.lists(
    st.one_of(
        st.builds(Change, st.just("price"), st.just("percent"), st.integers(-99, 200).map(str)),
        st.builds(Change, st.just("price"), st.just("amount"), st.decimals(-5, 5, places=2).map(str)),
        st.builds(Change, st.just("tags"), st.just("add"), tags.filter(bool).map(",".join)),
        st.builds(Change, st.just("tags"), st.just("remove"), tags.filter(bool).map(",".join)),
        st.builds(Change, st.just("status"), st.just("set"), st.sampled_from(("draft", "active"))),
        st.builds(Change, st.just("vendor"), st.just("set"), st.text("xyz", max_size=3)),
    ),
    min_size=1, max_size=4, unique_by=lambda change: (change.field, change.action),
)  # fmt: skip


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=3), tags, changes)
def test_undo_of_what_nobody_touched_gives_back_what_was(
    prices: list[int], given_tags: list[str], asked: list[Change]
) -> None:
    fields = product(*prices, tags=tuple(given_tags))
    check_changes(asked)
    try:
        before, after = apply(fields, asked)
    except Problem:
        return
    now = fields | after
    back, left = restore(before, after, now)
    assert left == []
    assert now | back == fields
    assert all(value is None or value >= 0 for name, value in after.items() if name.endswith("price_minor"))


@given(tags, changes, st.sampled_from(("tags", "vendor", "status")))
def test_undo_leaves_what_somebody_changed_since(given_tags: list[str], asked: list[Change], field: str) -> None:
    fields = product(1000, tags=tuple(given_tags))
    try:
        before, after = apply(fields, asked)
    except Problem:
        return
    now = fields | after | {field: "mine"}
    back, left = restore(before, after, now)
    assert field not in back
    assert (field in left) == (field in before)


@pytest.mark.parametrize(
    ("fields", "change", "after"),
    [
        (product(1000, 1999), Change("price", "percent", "-10"), {"price_minor": [900, 1799]}),
        (product(5), Change("price", "percent", "10"), {"price_minor": [6]}),
        (product(1000), Change("price", "amount", "-2.50"), {"price_minor": [750]}),
        (product(1000), Change("cost", "set", "3"), {"cost_minor": [300]}),
        (product(1000), Change("weight_g", "set", "250"), {"weight_g": [250]}),
        (product(1000, state="archived"), Change("price", "set", "1"), {}),
    ],
)
def test_amounts(fields: dict[str, Any], change: Change, after: dict[str, list[int]]) -> None:
    _, found = apply(fields, [change])
    for column, values in after.items():
        assert [found[f"variants.{n}.{column}"] for n in range(len(values))] == values
    assert len(found) == sum(map(len, after.values()))


@pytest.mark.parametrize(
    ("fields", "change", "words"),
    [
        (product(100), Change("price", "amount", "-2"), "S0: the price would be less than nothing"),
        (product(100), Change("cost", "percent", "5"), "S0 has no cost"),
        (product(100), Change("price", "set", "1.005"), "more decimal places than EUR has"),
    ],
)
def test_what_cannot_be_says_why(fields: dict[str, Any], change: Change, words: str) -> None:
    with pytest.raises(Problem, match=words):
        apply(fields, [change])


@pytest.mark.parametrize(
    "change",
    [
        Change("sku", "set", "x"), Change("price", "add", "1"), Change("price", "percent", "-100"), Change("price", "set", "-1"),
        Change("price", "set", "dear"), Change("status", "set", "gone"), Change("tags", "add", " , "),
        Change("category_id", "set", "x"), Change("collections", "add", "x"), Change("weight_g", "set", "1.5"),
        Change("vendor", "set", "x" * 256), Change("tags", "add", "x" * 201), Change("vendor", "set", "\x00"),
    ],
)  # fmt: skip
def test_changes_that_are_none_are_refused(change: Change) -> None:
    with pytest.raises(InvalidBulkEdit):
        check_changes([change])


def test_a_change_is_named_once_and_there_is_one() -> None:
    for asked in ([], [Change("vendor", "set", "a"), Change("vendor", "set", "b")]):
        with pytest.raises(InvalidBulkEdit):
            check_changes(asked)
    assert Decimal("1") == 1


async def flat_of(database: Database, organisation_id: UUID, id: UUID) -> dict[str, Any]:
    async with database.transaction(organisation_id) as tx:
        return (await flats_of(tx, [id]))[id]


async def edit(database: Database, organisation_id: UUID, id: UUID) -> bulk_store.BulkEdit:
    async with database.transaction(organisation_id) as tx:
        return await bulk_store.get(tx, id)


async def test_all_that_match_are_changed_as_the_look_said(
    database: Database, organisation_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "STEP", 3)
    for number in range(10):
        await make(database, organisation_id, f"Cup {number}", tags=("old",))
    other = await make(database, organisation_id, "Tray")
    async with database.transaction(organisation_id) as tx:
        home = await category_tree.create_category(tx, "Home")
        new = await collections.create_collection(tx, "New", "new")
    # The first change takes every product out of the filter: none may be missed for that.
    asked = [
        Change("tags", "remove", "old"), Change("tags", "add", "fresh, clean"), Change("category_id", "set", str(home)),
        Change("collections", "add", str(new)), Change("price", "percent", "10"), Change("vendor", "set", "Acme"),
    ]  # fmt: skip
    chosen = bulk.selection(parameters={"tag": "old"})
    async with database.transaction(organisation_id) as tx:
        seen = await bulk.preview(tx, chosen, asked)
    assert (seen.total.count, seen.looked, seen.changed, seen.unchanged, seen.problems) == (10, 10, 10, 0, 0)
    assert {c.field for c in seen.rows[0].changes} >= {"Tags", "Category", "Collections", "Vendor"}
    assert await titles(database, organisation_id, tag="fresh") == []
    id = await bulk.take_on(database, actor(organisation_id), chosen, asked)
    done = await edit(database, organisation_id, id)
    assert (done.state, done.changed, done.unchanged, done.problems) == ("done", 10, 0, 0)
    assert len(await titles(database, organisation_id, tag="fresh", category=home, collection=new, vendor="Acme")) == 10
    assert (await flat_of(database, organisation_id, other))["vendor"] == ""
    await bulk.undo(database, actor(organisation_id), id)
    undone = await edit(database, organisation_id, id)
    assert (undone.state, undone.undone, undone.left_alone) == ("undone", 10, 0)
    assert len(await titles(database, organisation_id, tag="old")) == 10
    assert await titles(database, organisation_id, collection=new) == []
    with pytest.raises(CannotUndo):
        await bulk.undo(database, actor(organisation_id), id)
    async with database.transaction(organisation_id) as tx:
        lines = await identity.list_audit(tx, subject_kind="bulk_edit")
    assert [line.action for line in lines] == ["product.bulk-undo", "product.bulk-edit"]


async def test_an_undo_says_what_it_left(database: Database, organisation_id: UUID) -> None:
    first, second = [await make(database, organisation_id, f"Cup {n}") for n in range(2)]
    asked = [Change("vendor", "set", "Acme"), Change("tags", "add", "x")]
    id = await bulk.take_on(database, actor(organisation_id), bulk.selection([first, second]), asked)
    async with database.transaction(organisation_id) as tx:
        await editing.save(tx, first, ProductEdit({"vendor": "Mine"}))
    await bulk.undo(database, actor(organisation_id), id)
    now = await flat_of(database, organisation_id, first)
    assert (now["vendor"], now["tags"]) == ("Mine", [])
    assert (await flat_of(database, organisation_id, second))["vendor"] == ""
    async with database.transaction(organisation_id) as tx:
        left = list(await bulk_store.list_items(tx, id, "left"))
    assert [(item.product_id, item.note) for item in left] == [(first, "Changed since, left as it is: Vendor.")]


async def test_one_that_cannot_be_changed_does_not_hinder_the_others(database: Database, organisation_id: UUID) -> None:
    good, bad = [await make(database, organisation_id, f"Cup {n}") for n in range(2)]
    async with database.transaction(organisation_id) as tx:
        await tx.execute("update variant set price_minor = 100 where product_id = $1", bad)
    asked = [Change("price", "amount", "-5")]
    id = await bulk.take_on(database, actor(organisation_id), bulk.selection([good, bad]), asked)
    done = await edit(database, organisation_id, id)
    assert (done.changed, done.problems) == (1, 1)
    async with database.transaction(organisation_id) as tx:
        problems = list(await bulk_store.list_items(tx, id, "problem"))
    assert [item.product_id for item in problems] == [bad]
    assert "less than nothing" in problems[0].note


async def test_a_job_taken_up_twice_changes_each_product_once(
    database: Database, organisation_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "STEP", 2)
    ids = [await make(database, organisation_id, f"Cup {n}") for n in range(7)]
    async with database.transaction(organisation_id) as tx:
        asked = [Change("price", "percent", "100")]
        id, job_id = await bulk.start(tx, actor(organisation_id), bulk.selection(ids), asked)

    async def dies_after_two_steps(run: jobs.JobRun[bulk.BulkPayload]) -> Any:
        step, seen = run.step, 0

        def counted() -> Any:
            nonlocal seen
            seen += 1
            if seen == 3:
                raise RuntimeError("The worker is gone.")
            return step()

        run.step = counted  # type: ignore[method-assign]
        return await apply_bulk_edit(run)

    await jobs.perform(database, BULK_EDIT, dies_after_two_steps, organisation_id, job_id)
    assert (await edit(database, organisation_id, id)).changed == 4
    both = (jobs.perform(database, BULK_EDIT, apply_bulk_edit, organisation_id, job_id) for _ in range(2))
    await asyncio.gather(*both)
    assert (await edit(database, organisation_id, id)).changed == 7
    async with database.transaction(organisation_id) as tx:
        prices = await tx.fetch("select distinct price_minor from variant")
    assert [row[0] for row in prices] == [2000]


async def test_edits_of_people_and_in_bulk_at_once_both_count(database: Database, organisation_id: UUID) -> None:
    ids = [await make(database, organisation_id, f"Cup {n}") for n in range(5)]

    async def person(id: UUID) -> None:
        async with database.transaction(organisation_id) as tx:
            await editing.save(tx, id, ProductEdit({"title": "By hand"}))

    asked = [Change("vendor", "set", "Acme")]
    work = [bulk.take_on(database, actor(organisation_id), bulk.selection(ids[::-1]), asked), *map(person, ids)]
    await asyncio.gather(*work)
    for id in ids:
        now = await flat_of(database, organisation_id, id)
        assert (now["title"], now["vendor"]) == ("By hand", "Acme")


async def test_selections_that_are_none_are_refused(database: Database, organisation_id: UUID) -> None:
    id = await make(database, organisation_id, "Cup")
    with pytest.raises(InvalidBulkEdit):
        bulk.selection()
    with pytest.raises(InvalidBulkEdit):
        bulk.selection([id], {})
    with pytest.raises(CategoryNotFound):
        await bulk.take_on(
            database, actor(organisation_id), bulk.selection([id]), [Change("category_id", "set", str(id))]
        )
    async with database.transaction(organisation_id) as tx:
        assert len(await bulk_store.list_bulk_edits(tx)) == 0
    assert bulk_rules.described("variants.x.price_minor", {"x": "CUP"}) == "Price of CUP"


async def test_a_category_that_goes_while_products_are_put_into_it(database: Database, organisation_id: UUID) -> None:
    """Merges, edits of people and bulk edits at once: all end, nothing hangs, nobody's product is in a category that is gone."""
    ids = [await make(database, organisation_id, f"Cup {n}") for n in range(6)]
    async with database.transaction(organisation_id) as tx:
        stays, goes = [await category_tree.create_category(tx, name) for name in ("Stays", "Goes")]

    async def person(id: UUID) -> None:
        with suppress(CategoryNotFound):
            async with database.transaction(organisation_id) as tx:
                await editing.save(tx, id, ProductEdit({"category_id": str(goes)}))

    async def merge() -> None:
        async with database.transaction(organisation_id) as tx:
            await category_tree.merge_category(tx, goes, stays)

    async def in_bulk() -> None:
        with suppress(CategoryNotFound):
            asked = [Change("category_id", "set", str(goes))]
            await bulk.take_on(database, actor(organisation_id), bulk.selection(ids), asked)

    await asyncio.gather(
        in_bulk(), *(person(id) for id in ids[:3]), merge(), *(person(id) for id in ids[3:]), in_bulk()
    )
    async with database.transaction(organisation_id) as tx:
        found = await tx.fetch("select distinct category_id from product where category_id is not null")
    assert {row[0] for row in found} <= {stays}
