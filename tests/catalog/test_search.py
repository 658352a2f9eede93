"""Products are found by words, SKUs, barcodes and filters, whichever way the search takes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.catalog.support import actor, make, titles

from entrepot.catalog import category_tree, collections, search, views
from entrepot.catalog import facade as catalog
from entrepot.catalog.contracts import Image, NewProduct, NewVariant
from entrepot.catalog.filters import NAMES, filter_of, parameters_of
from entrepot.catalog.search import count_matching, facets, list_products, matching_ids
from entrepot.database.pool import Database
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.ids import new_id
from entrepot.kernel.paging import InvalidCursor

MUGS = ("Blue enamel mug", "Café mug", "Red mug", "Tray")


@pytest.fixture
async def mugs(database: Database, organisation_id: UUID) -> dict[str, UUID]:
    blue = await make(database, organisation_id, MUGS[0], "MUG-B", vendor="Acme", tags=("sale", "kitchen"))
    cafe = await make(database, organisation_id, MUGS[1], "cafe-1", vendor="Bolt", product_type="Mugs")
    red = await make(
        database, organisation_id, MUGS[2], "MUG-R1", "MUG-R2", vendor="Acme", status="draft",
        images=(Image("https://img.test/x.png"),),
    )  # fmt: skip
    async with database.transaction(organisation_id) as tx:
        tray = NewProduct("tray", "Tray", (NewVariant("TRAY", 2500, "EUR", barcode="4006381333931"),), vendor="Acme")
        await catalog.save_products(tx, [tray])
        found = await tx.fetch_value("select id from product where handle = 'tray'")
    return {"blue": blue, "cafe": cafe, "red": red, "tray": found}


@pytest.fixture(params=["few", "hashed", "looked up"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the three ways a search may take, by its limits."""
    few, many = {"few": (5_000, 100_000), "hashed": (-1, 100_000), "looked up": (-1, -1)}[request.param]
    monkeypatch.setattr(search, "FEW", few)
    monkeypatch.setattr(search, "MANY", many)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"q": "mug"}, MUGS[:3]),
        ({"q": "MUG bl"}, MUGS[:1]),
        ({"q": "cafe"}, ["Café mug"]),
        ({"q": "CAFÉ"}, ["Café mug"]),
        ({"q": "mug-r"}, ["Red mug"]),
        ({"q": "4006381333931"}, ["Tray"]),
        ({"q": "acme mug"}, ["Blue enamel mug", "Red mug"]),
        ({"q": "kitchen"}, []),
        ({"tag": "kitchen", "q": "blue"}, ["Blue enamel mug"]),
        ({"q": "nothing"}, []),
        ({"q": "%"}, []),
        ({"tag": "sale"}, ["Blue enamel mug"]),
        ({"tag": "sal"}, []),
        ({"vendor": "Acme", "status": "draft"}, ["Red mug"]),
        ({"type": "Mugs"}, ["Café mug"]),
        ({"image": "yes"}, ["Red mug"]),
        ({"image": "no", "vendor": "Acme"}, ["Blue enamel mug", "Tray"]),
        ({"price_min": "20"}, ["Tray"]),
        ({"price_max": "10.00", "q": "mug"}, MUGS[:3]),
        ({"listed": "no", "sort": "-title"}, MUGS[::-1]),
        ({"listed": "yes"}, []),
        ({"sort": "created"}, MUGS[::-1]),
        ({"sort": "updated"}, MUGS[::-1]),
    ],
)
@pytest.mark.usefixtures("mugs", "way")
async def test_what_is_found(database: Database, organisation_id: UUID, asked: dict[str, str], found: Any) -> None:
    assert await titles(database, organisation_id, **asked) == list(found)


@pytest.mark.usefixtures("way")
async def test_categories_with_those_below_and_collections(
    database: Database, organisation_id: UUID, mugs: dict[str, UUID]
) -> None:
    async with database.transaction(organisation_id) as tx:
        top = await category_tree.create_category(tx, "Home")
        below = await category_tree.create_category(tx, "Kitchen", top)
        await tx.execute("update product set category_id = $1 where id = $2", below, mugs["blue"])
        await tx.execute("update product set category_id = $1 where id = $2", top, mugs["red"])
        picked = await collections.create_collection(tx, "Picked", "picked")
        await collections.set_members(tx, picked, [mugs["tray"], mugs["blue"]])
    assert await titles(database, organisation_id, category=top) == ["Blue enamel mug", "Red mug"]
    assert await titles(database, organisation_id, category=below) == ["Blue enamel mug"]
    assert await titles(database, organisation_id, collection=picked) == ["Blue enamel mug", "Tray"]
    assert await titles(database, organisation_id, collection=picked, category=top, q="mug") == ["Blue enamel mug"]


@pytest.mark.usefixtures("way")
async def test_listed_or_not(database: Database, organisation_id: UUID, mugs: dict[str, UUID]) -> None:
    shop = new_id()
    async with database.transaction(organisation_id) as tx:
        await tx.execute(
            "insert into connection (organisation_id, id, channel, name, environment) values ($1, $2, 'x', 'Shop', 'live')",
            organisation_id,
            shop,
        )
        await tx.execute(
            "insert into listing (organisation_id, id, connection_id, variant_id, external_id, seen_at)"
            " select $1, id, $2, id, sku, now() from variant where product_id = $3",
            organisation_id,
            shop,
            mugs["red"],
        )
    assert await titles(database, organisation_id, channel=shop) == ["Red mug"]
    assert await titles(database, organisation_id, channel=shop, listed="no") == ["Blue enamel mug", "Café mug", "Tray"]
    assert await titles(database, organisation_id, listed="yes") == ["Red mug"]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("sort", ["title", "-title", "updated", "created"])
async def test_pages_in_each_order_lose_and_repeat_nothing(
    database: Database, organisation_id: UUID, sort: str
) -> None:
    for number in range(9):
        await make(database, organisation_id, f"Mug {number % 3}", f"M{number}")
    chosen, cursor, seen = filter_of({"q": "mug", "sort": sort}, "EUR"), None, []
    async with database.transaction(organisation_id) as tx:
        whole = [row.id for row in await list_products(tx, chosen)]
        while True:
            page = await list_products(tx, chosen, cursor, 2)
            seen += [row.id for row in page]
            cursor = page.next_cursor
            if cursor is None:
                break
        with pytest.raises(InvalidCursor):
            await list_products(tx, chosen, "bm90IGEgY3Vyc29y")
        until = new_id()
        assert await matching_ids(tx, chosen, None, until, 4) == sorted(whole)[:4]
        assert await matching_ids(tx, chosen, sorted(whole)[3], until, 100) == sorted(whole)[4:]
        assert (await count_matching(tx, chosen, 5)).exact is False
        assert (await count_matching(tx, chosen, 50)).count == 9
    assert len(whole) == 9
    assert seen == whole


async def test_what_is_changed_is_found_anew_and_other_organisations_find_nothing(
    database: Database, organisation_id: UUID, mugs: dict[str, UUID]
) -> None:
    async with database.transaction(organisation_id) as tx:
        await tx.execute("update product set title = 'Green bowl', tags = '{new}' where id = $1", mugs["blue"])
    assert await titles(database, organisation_id, q="bowl") == ["Green bowl"]
    assert await titles(database, organisation_id, q="enamel") == []
    assert await titles(database, organisation_id, tag="sale") == []
    async with database.transaction(organisation_id) as tx:
        before = await tx.fetch_value("select count(*) from product_term")
        await tx.execute("update product set description = 'x'")
        assert await tx.fetch_value("select count(*) from product_term") == before
        await tx.execute("delete from variant where product_id = $1", mugs["tray"])
        await tx.execute("delete from product where id = $1", mugs["tray"])
        left = await tx.fetch_value("select count(*) from product_term where product_id = $1", mugs["tray"])
        assert left == 0
    stranger = new_id()
    async with database.transaction(None) as tx:
        await tx.execute("insert into organisation (id, name) values ($1, 'Other')", stranger)
    assert await titles(database, stranger, q="mug") == []


@pytest.mark.usefixtures("mugs")
async def test_filters_offer_what_occurs(database: Database, organisation_id: UUID) -> None:
    async with database.transaction(organisation_id) as tx:
        found = await facets(tx)
    assert (found.vendors, found.types, found.tags) == (("Acme", "Bolt"), ("Mugs",), ("kitchen", "sale"))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"status": "gone"}, "'gone' is not a status"),
        ({"sort": "price"}, "'price' is not a sort"),
        ({"category": "x"}, "'x' is no id of a category"),
        ({"listed": "maybe"}, "listed is yes or no"),
        ({"price_min": "1e99999"}, "price_min must be an amount"),
        ({"q": "x" * 201}, "q has more than 200"),
    ],
)
def test_a_filter_that_is_none_says_what_is_wrong(parameters: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        filter_of(parameters, "EUR")


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=30)))
def test_any_parameters_are_a_filter_or_refused(parameters: dict[str, str]) -> None:
    try:
        chosen = filter_of(parameters, "EUR")
    except InvalidInput:
        return
    assert filter_of(parameters_of(parameters), "EUR") == chosen


async def test_views_are_of_a_person_or_shared(database: Database, organisation_id: UUID) -> None:
    ana = actor(organisation_id)
    bea = type(ana)(ana.kind, new_id(), "Bea", organisation_id, None, frozenset())
    async with database.transaction(organisation_id) as tx:
        await views.save_view(tx, ana, "Mine", {"status": "draft", "cursor": "x"}, shared=False)
        shared = await views.save_view(tx, ana, "Ours", {"q": "mug"}, shared=True)
        assert [view.name for view in await views.list_views(tx, bea)] == ["Ours"]
        with pytest.raises(views.NotYourView):
            await views.delete_view(tx, bea, shared)
        again = await views.save_view(tx, ana, "Ours", {"q": "cup"}, shared=True)
        assert again == shared
        assert [dict(view.parameters) for view in await views.list_views(tx, ana)] == [
            {"status": "draft"},
            {"q": "cup"},
        ]
        await views.delete_view(tx, ana, shared)
        with pytest.raises(views.ViewNotFound):
            await views.delete_view(tx, ana, shared)
        with pytest.raises(InvalidInput):
            await views.save_view(tx, ana, "Bad", {"status": "gone"}, shared=False)
