"""A product is edited by several people: nobody's change is lost, and everybody is told."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from tests.catalog.support import make

from entrepot.catalog import editing, reading
from entrepot.catalog import facade as catalog
from entrepot.catalog.contracts import CategoryNotFound, Image, ProductNotFound, SkuTaken, VariantNotFound
from entrepot.catalog.editing import HandleTaken, ProductChanged, ProductEdit, VariantEdit
from entrepot.catalog.product_rules import InvalidFields
from entrepot.catalog.snapshot import Flat, flat, version_of
from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id

pytestmark = pytest.mark.asyncio


async def see(database: Database, organisation_id: UUID, id: UUID) -> Flat:
    async with database.transaction(organisation_id) as tx:
        return flat(await reading.product_detail(tx, id))


async def save(database: Database, organisation_id: UUID, id: UUID, edit: ProductEdit, **how: object) -> editing.Saved:
    async with database.transaction(organisation_id) as tx:
        return await editing.save(tx, id, edit, **how)  # type: ignore[arg-type]


async def test_every_field_is_written_and_told_before_and_after(database: Database, organisation_id: UUID) -> None:
    id = await make(database, organisation_id, "Cup", "CUP-S", "CUP-L")
    async with database.transaction(organisation_id) as tx:
        category = (await catalog.ensure_categories(tx, [("Home", "Cups")]))["Home", "Cups"]
        small, _ = (await reading.product_detail(tx, id)).variants
    wanted = {
        "handle": "cup-1", "title": "Cup 1", "description": "<p>x</p>", "vendor": "Acme", "product_type": "Cups",
        "status": "draft", "tags": ["a", "b"], "option_names": ["Size", "Colour"], "category_id": str(category),
        "images": [{"url": "https://img.test/1.png", "alt": "One"}], "seo_title": "T", "seo_description": "D",
        "attributes": {"material": "Clay"}, "collections": [],
    }  # fmt: skip
    variants = (
        VariantEdit(small.id, {
            "sku": "CUP-XS", "option_values": ["XS", "Red"], "price_minor": 900, "compare_at_minor": 1200, "cost_minor": 300,
            "barcode": "1", "weight_g": 5, "length_mm": 1, "width_mm": 2, "height_mm": 3, "position": 7,
            "image_url": "https://img.test/s.png",
        }),
        VariantEdit(small.id, {}),
        VariantEdit(None, {"sku": "CUP-M", "price_minor": 950, "option_values": ["M", "Red"]}),
    )  # fmt: skip
    with pytest.raises(InvalidFields, match="CUP-L needs a value for each option"):
        await save(database, organisation_id, id, ProductEdit(wanted, variants))
    large = next(v for v in (await _variants(database, organisation_id, id)) if v.sku == "CUP-L")
    both = (*variants, VariantEdit(large.id, {"option_values": ["L", "Red"]}))
    saved = await save(database, organisation_id, id, ProductEdit(wanted, both))
    now = await see(database, organisation_id, id)
    assert {name: now[name] for name in wanted} == wanted
    assert [v.sku for v in saved.product.variants] == ["CUP-L", "CUP-M", "CUP-XS"]
    assert saved.made.keys() == {"CUP-M"}
    assert now[f"variants.{small.id}.title"] == "XS / Red"
    assert (saved.before["title"], saved.after["title"]) == ("Cup", "Cup 1")
    assert saved.before[f"variants.{small.id}.price_minor"] == 1000
    again = await save(database, organisation_id, id, ProductEdit(wanted, ()))
    assert again.after == {}


async def _variants(database: Database, organisation_id: UUID, id: UUID) -> tuple[reading.VariantView, ...]:
    async with database.transaction(organisation_id) as tx:
        return await reading.variants_of(tx, [id])


async def test_a_change_of_another_field_does_not_stand_in_the_way(database: Database, organisation_id: UUID) -> None:
    id = await make(database, organisation_id, "Cup")
    base = await see(database, organisation_id, id)
    await save(database, organisation_id, id, ProductEdit({"vendor": "Acme"}), base=base)
    await save(database, organisation_id, id, ProductEdit({"title": "Mug"}), base=base)
    now = await see(database, organisation_id, id)
    assert (now["vendor"], now["title"]) == ("Acme", "Mug")


async def test_the_second_who_changes_a_field_is_told_and_nothing_is_written(
    database: Database, organisation_id: UUID
) -> None:
    id = await make(database, organisation_id, "Cup")
    base = await see(database, organisation_id, id)
    price = next(name for name in base if name.endswith(".price_minor"))
    variant_id = UUID(price.split(".")[1])
    first = ProductEdit({"title": "Mug"}, (VariantEdit(variant_id, {"price_minor": 1100}),))
    await save(database, organisation_id, id, first, base=base)
    second = ProductEdit({"title": "Bowl"}, (VariantEdit(variant_id, {"price_minor": 1200}),))
    with pytest.raises(ProductChanged) as told:
        await save(database, organisation_id, id, second, base=base)
    assert [(c.field, c.before, c.after) for c in told.value.changes] == [("title", "Cup", "Mug"), (price, 1000, 1100)]
    now = await see(database, organisation_id, id)
    assert (now["title"], now[price]) == ("Mug", 1100)
    with pytest.raises(ProductChanged):
        await save(database, organisation_id, id, ProductEdit({"vendor": "X"}), version=version_of(base))
    await save(database, organisation_id, id, ProductEdit({"vendor": "X"}), version=version_of(now))


async def test_of_many_who_save_at_once_one_has_its_way(database: Database, organisation_id: UUID) -> None:
    id = await make(database, organisation_id, "Cup")
    version = version_of(await see(database, organisation_id, id))

    async def change(number: int) -> bool:
        try:
            await save(database, organisation_id, id, ProductEdit({"title": f"Cup {number}"}), version=version)
        except ProductChanged:
            return False
        return True

    assert sum(await asyncio.gather(*(change(n) for n in range(8)))) == 1


async def test_two_who_add_the_same_sku_to_two_products(database: Database, organisation_id: UUID) -> None:
    ids = [await make(database, organisation_id, f"Cup {n}") for n in range(4)]

    async def add(id: UUID) -> str:
        new = VariantEdit(None, {"sku": "SAME", "price_minor": 1, "option_values": ["B"]})
        variant = (await _variants(database, organisation_id, id))[0]
        edit = ProductEdit({"option_names": ["Size"]}, (VariantEdit(variant.id, {"option_values": ["A"]}), new))
        try:
            await save(database, organisation_id, id, edit)
        except SkuTaken:
            return "taken"
        return "added"

    assert sorted(await asyncio.gather(*(add(id) for id in ids))) == ["added", "taken", "taken", "taken"]


async def test_variants_are_archived_not_deleted_and_come_back(database: Database, organisation_id: UUID) -> None:
    id = await make(database, organisation_id, "Cup", "A", "B")
    first, second = await _variants(database, organisation_id, id)
    saved = await save(database, organisation_id, id, ProductEdit({}, (VariantEdit(first.id, {"state": "archived"}),)))
    assert [v.sku for v in saved.product.active] == ["B"]
    assert saved.product.row.variants == 1
    with pytest.raises(InvalidFields, match="at least one variant in use"):
        await save(database, organisation_id, id, ProductEdit({}, (VariantEdit(second.id, {"state": "archived"}),)))
    saved = await save(database, organisation_id, id, ProductEdit({}, (VariantEdit(first.id, {"state": "active"}),)))
    assert len(saved.product.active) == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"title": " "}, "needs a title"),
        ({"title": "x" * 256}, "more than 255"),
        ({"status": "gone"}, "A status is one of"),
        ({"handle": "a b"}, "no spaces"),
        ({"tags": ["a", "a"]}, "each once"),
        ({"option_names": ["a", "b", "c", "d"]}, "Up to 3 options"),
        ({"images": [Image("javascript:x")]}, "starts with https"),
        ({"attributes": {"": "x"}}, "Up to 100 attributes"),
    ],
)
async def test_faults_name_their_field(
    database: Database, organisation_id: UUID, fields: dict[str, object], words: str
) -> None:
    id = await make(database, organisation_id, "Cup")
    with pytest.raises(InvalidFields, match=words) as told:
        await save(database, organisation_id, id, ProductEdit(fields))
    assert told.value.faults.keys() & {*fields, "option_values"}


async def test_what_is_not_there_is_told(database: Database, organisation_id: UUID) -> None:
    id = await make(database, organisation_id, "Cup")
    await make(database, organisation_id, "Mug")
    with pytest.raises(ProductNotFound):
        await save(database, organisation_id, new_id(), ProductEdit({"title": "x"}))
    with pytest.raises(VariantNotFound):
        await save(database, organisation_id, id, ProductEdit({}, (VariantEdit(new_id(), {"sku": "x"}),)))
    with pytest.raises(HandleTaken):
        await save(database, organisation_id, id, ProductEdit({"handle": "mug"}))
    with pytest.raises(CategoryNotFound):
        await save(database, organisation_id, id, ProductEdit({"category_id": str(new_id())}))
    variant = (await _variants(database, organisation_id, id))[0]
    with pytest.raises(SkuTaken):
        await save(database, organisation_id, id, ProductEdit({}, (VariantEdit(variant.id, {"sku": "MUG"}),)))


async def test_what_a_file_brought_in_and_nobody_touches_is_no_fault(database: Database, organisation_id: UUID) -> None:
    id = await make(database, organisation_id, "Cup", "A", "B")
    async with database.transaction(organisation_id) as tx:
        await tx.execute("update product set option_names = '{}', handle = 'odd handle' where id = $1", id)
    saved = await save(database, organisation_id, id, ProductEdit({"vendor": "Acme"}))
    assert saved.after == {"vendor": "Acme"}
