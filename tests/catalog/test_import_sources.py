"""Products from a channel's listings and costs from a supplier's price list, through the same import."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from tests.orders.support import make_connection
from tests.sync.channel import Channel, Wire

from entrepot.catalog.files.contracts import UnknownFormat
from entrepot.channels.contract import ChannelListing, ListingRef, Page, QuantitySemantics
from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.jobs import facade as jobs
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.stock.facade import Offer, SupplierNotFound
from entrepot.sync import importing
from entrepot.sync.importing import (
    PRODUCT_IMPORT,
    ChannelListings,
    ImportDetail,
    ImportOptions,
    Stage,
    import_products,
    reading,
)

EUR = ImportOptions("EUR")


def listed(id: str, sku: str | None, product: str, price: str, *options: str) -> ChannelListing:
    return ChannelListing(
        ListingRef(id), sku, " / ".join(options), product, f"Product {product}", price=Decimal(price), currency="EUR",
        quantity=4, options=tuple((f"Option {n}", value) for n, value in enumerate(options, start=1)), vendor="Us",
    )  # fmt: skip


class Shop(Channel):
    """A channel with these listings, two to a page; it may fail once in the middle."""

    def __init__(self, *listings: ChannelListing, fails_at: str | None = None) -> None:
        super().__init__(QuantitySemantics.ABSOLUTE)
        self.listings, self.fails_at = listings, fails_at

    async def pull_listings(self, api: Any, cursor: str | None) -> Page[ChannelListing]:
        if cursor is not None and cursor == self.fails_at:
            self.fails_at = None
            raise OSError("gone")
        at = int(cursor or 0)
        more = at + 2 < len(self.listings)
        return Page(self.listings[at : at + 2], str(at + 2) if more else None, more)


SHOP = (
    listed("1", "C-S", "10", "4.50", "S"), listed("2", None, "20", "1"), listed("3", "C-M", "10", "5", "M"),
    listed("4", "M", "30", "7"), listed("5", "KNOWN", "40", "9"),
)  # fmt: skip


async def from_channel(database: Database, organisation_id: UUID, shop: Shop, *, apply: bool) -> ImportDetail:
    connection = await make_connection(database, organisation_id)
    actor = identity.system_actor(organisation_id)
    async with database.transaction(organisation_id) as tx:
        options = replace_options(connection)
        import_id = await importing.take_from_channel(tx, actor, options, apply=apply)
        job = (await importing.import_detail(tx, import_id)).job
    assert job is not None
    pages = ChannelListings(database, Wire(), lambda name: shop)
    for _ in range(2):
        await jobs.perform(database, PRODUCT_IMPORT, partial(import_products, pages=pages), organisation_id, job.id)
    async with database.transaction(organisation_id) as tx:
        return await importing.import_detail(tx, import_id)


def replace_options(connection: UUID) -> ImportOptions:
    return ImportOptions("EUR", connection_id=connection)


async def changes(database: Database, organisation_id: UUID, found: ImportDetail) -> list[Any]:
    async with database.transaction(organisation_id) as tx:
        listing = await importing.changed_products(tx, found.id, 0, 1_000)
    return [(each.outcome, each.handle, each.changes) for each in listing]


@pytest.mark.parametrize("fails_at", [None, "2"])
async def test_listings_of_a_channel_become_products_with_a_preview(
    database: Database, organisation_id: UUID, fails_at: str | None
) -> None:
    actor = identity.system_actor(organisation_id)
    await importing.take_in(database, actor, "sku,title,price,handle\nKNOWN,Old,8,old\n", EUR)
    looked = await from_channel(database, organisation_id, Shop(*SHOP, fails_at=fails_at), apply=False)
    assert (looked.stage, looked.counts.rows, looked.counts.new, looked.counts.changed) == (Stage.LOOKED, 5, 2, 1)
    done = await from_channel(database, organisation_id, Shop(*SHOP, fails_at=fails_at), apply=True)
    assert (done.stage, done.counts.variants_new, done.counts.stock_set, done.counts.problems) == (
        Stage.APPLIED,
        3,
        3,
        1,
    )
    assert await changes(database, organisation_id, done) == [
        ("new", "product-10-10", ()),
        ("new", "product-30-30", ()),
        ("changed", "old", (
            ("", "title", "Old", "Product 40"), ("", "vendor", "", "Us"), ("KNOWN", "price", "8.00 EUR", "9.00 EUR"),
        )),
    ]  # fmt: skip
    async with database.transaction(organisation_id) as tx:
        rows = await tx.fetch(
            """select p.option_names, v.sku, v.title, v.option_values from variant v
               join product p on p.organisation_id = v.organisation_id and p.id = v.product_id
               where v.organisation_id = $1 and p.handle = 'product-10-10' order by v.position""",
            organisation_id,
        )
        [problem] = await importing.problems_of(tx, done.id)
    assert [tuple(row) for row in rows] == [
        (["Option 1"], "C-S", "S", ["S"]),
        (["Option 1"], "C-M", "M", ["M"]),
    ]
    assert (problem.row, problem.problem) == (2, "Product 20: the listing has no SKU.")
    again = await from_channel(database, organisation_id, Shop(*SHOP), apply=True)
    assert (again.counts.new, again.counts.changed, again.counts.unchanged) == (0, 0, 3)


async def test_what_is_no_import_is_refused(database: Database, organisation_id: UUID) -> None:
    actor = identity.system_actor(organisation_id)
    async with database.transaction(organisation_id) as tx:
        with pytest.raises(InvalidInput, match="connection"):
            await importing.take_from_channel(tx, actor, EUR)
    with pytest.raises(InvalidInput, match="price list"):
        await importing.take_in(database, actor, "sku\nA\n", ImportOptions("EUR", supplier_id=new_id()))
    with pytest.raises(SupplierNotFound):
        await importing.take_in(
            database, actor, "sku,cost\nA,1\n", ImportOptions("EUR", supplier_id=new_id()), source="supplier"
        )


async def price_list(
    database: Database, organisation_id: UUID, text: str, supplier: UUID | None, *, apply: bool = True
) -> ImportDetail:
    actor = identity.system_actor(organisation_id)
    options = ImportOptions("EUR", supplier_id=supplier)
    return await importing.take_in(database, actor, text, options, source="supplier", apply=apply)


async def test_a_supplier_s_price_list_changes_costs(database: Database, organisation_id: UUID) -> None:
    actor = identity.system_actor(organisation_id)
    text = "sku,title,price,cost,currency\nA,Cup,4,1,EUR\nB,Mug,5,2,EUR\nC,Jug,6,3,USD\nD,Pot,7,4,EUR\n"
    await importing.take_in(database, actor, text, EUR)
    async with database.transaction(organisation_id) as tx:
        mill = await stock.create_supplier(tx, "Mill", "EUR")
        other = await stock.create_supplier(tx, "Other", "EUR")
        ids = {row["sku"]: row["id"] for row in await tx.fetch("select sku, id from variant where organisation_id = $1",
                                                             organisation_id)}  # fmt: skip
        await stock.put_offers(tx, mill, [Offer(ids["B"], "M-2", 150, pack_units=6)])
        await stock.put_offers(tx, other, [Offer(ids["D"], "", 300, preferred=True)])
    text = "SKU;Supplier SKU;Cost;MOQ\nA;M-1;1.25;10\n;M-2;1.75;\nC;;2.50;\nD;;2.00;\nNONE;;1;\n;M-9;1;\nA;;2;\n;;3;\nB;;x;\n"
    looked = await price_list(database, organisation_id, text, mill, apply=False)
    found = await price_list(database, organisation_id, text, mill)
    for each in (looked, found):
        assert await changes(database, organisation_id, each) == [
            ("changed", "a", (("A", "cost", "1.00 EUR", "1.25 EUR"), ("A", "supplier's cost", "", "1.25 EUR"),
                              ("A", "supplier's SKU", "", "M-1"), ("A", "supplier's pack", "", "1"),
                              ("A", "supplier's least order", "", "10"))),
            ("changed", "b", (("B", "cost", "2.00 EUR", "1.75 EUR"),
                              ("B", "supplier's cost", "1.50 EUR", "1.75 EUR"))),
            ("changed", "c", (("C", "supplier's cost", "", "2.50 EUR"),
                              ("C", "supplier's pack", "", "1"), ("C", "supplier's least order", "", "1"))),
            ("changed", "d", (("D", "supplier's cost", "", "2.00 EUR"),
                              ("D", "supplier's pack", "", "1"), ("D", "supplier's least order", "", "1"))),
        ]  # fmt: skip
    async with database.transaction(organisation_id) as tx:
        told = [(p.row, p.column) for p in await importing.problems_of(tx, found.id)]
        offers = await stock.offers_for(tx, mill, list(ids.values()))
        costs = {row["sku"]: row["cost_minor"] for row in await tx.fetch(
            "select sku, cost_minor from variant where organisation_id = $1", organisation_id)}  # fmt: skip
    assert told == [(6, "sku"), (7, "supplier_sku"), (8, "SKU"), (9, "sku"), (10, "cost")]
    assert costs == {"A": 125, "B": 175, "C": 300, "D": 400}
    assert (offers[ids["B"]].cost_minor, offers[ids["B"]].pack_units, offers[ids["A"]].minimum_units) == (175, 6, 10)
    again = await price_list(database, organisation_id, text, mill)
    assert (again.counts.changed, again.counts.unchanged, again.counts.refused) == (0, 4, 2)


async def test_a_price_list_may_name_its_suppliers(database: Database, organisation_id: UUID) -> None:
    actor = identity.system_actor(organisation_id)
    await importing.take_in(database, actor, "sku,title,price\nA,Cup,4\nB,Mug,5\n", EUR)
    async with database.transaction(organisation_id) as tx:
        for name in ("Mill", "Other"):
            await stock.create_supplier(tx, name, "EUR")
    text = "supplier,sku,cost\nMill,A,1\nOther,B,2\nNobody,B2,3\n"
    found = await price_list(database, organisation_id, text, None)
    assert (found.counts.changed, found.counts.refused) == (2, 1)
    async with database.transaction(organisation_id) as tx:
        [problem] = await importing.problems_of(tx, found.id)
    assert problem.problem == "There is no supplier called 'Nobody'."
    for wrong in ("sku,cost\nA,1\n", "sku,title\nA,Cup\n", '[{"sku": "A"}]'):
        with pytest.raises(UnknownFormat):
            await price_list(database, organisation_id, wrong, None)


async def test_each_wrong_row_of_a_price_list_says_why(database: Database, organisation_id: UUID) -> None:
    actor = identity.system_actor(organisation_id)
    await importing.take_in(database, actor, "sku,title,price\nA,Cup,4\nB,Mug,5\n", EUR)
    async with database.transaction(organisation_id) as tx:
        mill = await stock.create_supplier(tx, "Mill", "EUR")
    text = (
        "sku,cost,lead time days,pack units\nA,1,5,6\n\nA,2,,\n,1,,\nB,,,\nB,1,900,\nB,1,,0\nB,1,soon,\n,,,\n"
        "B,1,1,1,one cell too many\n"
    )
    found = await price_list(database, organisation_id, text, mill)
    async with database.transaction(organisation_id) as tx:
        told = {p.row: p.problem for p in await importing.problems_of(tx, found.id)}
    assert found.counts.changed == 1
    wrong = ["stands in row 2 already", "SKU is missing", "cost is missing", "'900' is not a number of days",
             "'0' is not a number of units", "'soon' is not a number of days"]  # fmt: skip
    assert list(told) == [4, 5, 6, 7, 8, 9, 11]
    assert all(part in said for part, said in zip(wrong, told.values(), strict=False))


async def test_a_connection_that_cannot_list_is_no_source(database: Database, organisation_id: UUID) -> None:
    class Mute:
        """A connector without listings."""

    connection = await make_connection(database, organisation_id)
    pages = ChannelListings(database, Wire(), lambda name: Mute())  # type: ignore[arg-type, return-value]
    with pytest.raises(InvalidInput, match="cannot tell what it lists"):
        await pages.page(organisation_id, connection, None)


async def test_a_report_longer_than_a_page_is_whole_and_files_that_are_gone_are_said(
    database: Database, organisation_id: UUID
) -> None:
    actor = identity.system_actor(organisation_id)
    count = reading.PAGE + 50
    rows = "".join(f"S{n:05},Thing {n},{'dear' if n % 2 else '1.50'}\n" for n in range(2 * count))
    found = await importing.take_in(database, actor, f"sku,title,price\n{rows}", EUR, apply=False, here=True)
    assert (found.counts.new, found.counts.problems) == (count, count)

    async def lines(text: Any) -> list[str]:
        return "".join([part async for part in text]).splitlines()

    changed = await lines(importing.changes_csv(database, organisation_id, found.id))
    wrong = await lines(importing.problems_csv(database, organisation_id, found.id))
    again = await lines(importing.rows_csv(database, organisation_id, found.id))
    assert [len(each) - 1 for each in (changed, wrong, again)] == [count, count, count]
    assert len(set(again)) == count + 1
    async with database.transaction(organisation_id) as tx:
        await importing.forget(tx, utc_now() + timedelta(days=8))
        await tx.execute("delete from job where id = $1", found.job.id if found.job else None)
        seen = await importing.import_detail(tx, found.id)
    assert (seen.job, seen.has_file, seen.counts.new) == (None, False, count), "jobs are deleted sooner than imports"
    with pytest.raises(importing.FileIsGone):
        await lines(importing.rows_csv(database, organisation_id, found.id))
