"""What stock refuses, in words that say what is wrong, and that nothing of it stays. On real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

import pytest
from tests.orders import support as shop
from tests.stock.support import default_location, make_variants
from tests.stock.test_bundles_and_remedies import make_bundle

from entrepot.catalog.contracts import ProductNotFound, VariantNotFound
from entrepot.database.pool import Database, Tx
from entrepot.identity import facade as identity
from entrepot.kernel.ids import new_id
from entrepot.stock import csv_out, files, reading_papers
from entrepot.stock import facade as stock
from entrepot.stock.contracts import MAX_QUANTITY, InvalidQuantity
from entrepot.stock.counts import SheetTooLong
from entrepot.stock.documents import LINES_MAX
from entrepot.stock.files import FileView
from entrepot.stock.purchases import SupplierRests, add_to_draft
from entrepot.stock.suppliers import OFFERS_MAX, InvalidOffer, InvalidSupplier

Do = Callable[[Tx], Coroutine[Any, Any, object]]


async def counts_of(database: Database, organisation_id: UUID) -> list[int]:
    """Return how many rows there are of all that stock writes."""
    tables = ("supplier", "supplier_variant", "purchase_order", "purchase_order_line", "stock_count", "stock_movement",
              "outbox")  # fmt: skip
    async with database.transaction(organisation_id) as tx:
        return [await tx.fetch_value(f"select count(*) from {name}") for name in tables]


async def refuses(database: Database, organisation_id: UUID, error: type[Exception], said: str | None, do: Do) -> None:
    """Assert that this is refused in these words, and that what its transaction did is gone."""
    before = await counts_of(database, organisation_id)
    with pytest.raises(error, match=said):
        async with database.transaction(organisation_id) as tx:
            await do(tx)
    assert await counts_of(database, organisation_id) == before


async def test_a_purchase_names_a_supplier_in_use_and_what_there_is(database: Database, organisation_id: UUID) -> None:
    a, b = await make_variants(database, organisation_id, [5, 0])
    async with database.transaction(organisation_id) as tx:
        main = await default_location(tx)
        acme = await stock.create_supplier(tx, "Acme", "EUR")
        rests = await stock.create_supplier(tx, "Rests", "EUR")
        await stock.change_supplier(tx, rests, active=False)
        kit = await make_bundle(tx, {a: 1})
        draft = await stock.draft_purchase(tx, acme, main, {a: 1}, actor="t")
    nobody = new_id()

    def buying(supplier: UUID, units: dict[UUID, int], **more: Any) -> Do:
        return lambda tx: stock.draft_purchase(tx, supplier, main, units, actor="t", **more)

    cases: list[tuple[type[Exception], str | None, Do]] = [
        (stock.SupplierNotFound, "no such supplier", buying(nobody, {a: 1})),
        (SupplierRests, "Nothing is bought", buying(rests, {a: 1})),
        (InvalidQuantity, "has 1 to 2,000 lines", buying(acme, {})),
        (InvalidQuantity, "has 1 to 2,000 lines", buying(acme, {new_id(): 1 for _ in range(LINES_MAX + 1)})),
        (InvalidQuantity, "not between 1 and", buying(acme, {a: 0})),
        (InvalidQuantity, "not between 1 and", buying(acme, {a: MAX_QUANTITY + 1})),
        (InvalidQuantity, "price is out of bounds", buying(acme, {a: 1}, costs={a: -1})),
        (stock.BundleHasNoStock, "name its parts", buying(acme, {a: 1, kit: 1})),
        (VariantNotFound, "variant", buying(acme, {a: 1, nobody: 1})),
        (InvalidQuantity, "at most", lambda tx: add_to_draft(tx, draft, {a: MAX_QUANTITY})),
    ]
    for error, said, do in cases:
        await refuses(database, organisation_id, error, said, do)
    # What would make a draft too long is not added: the caller begins another.
    async with database.transaction(organisation_id) as tx:
        assert await add_to_draft(tx, draft, {new_id(): 1 for _ in range(LINES_MAX)}) is False
        assert await add_to_draft(tx, draft, {a: 2, b: 1}) is True
        lines = await tx.fetch("select quantity from purchase_order_line where purchase_order_id = $1", draft)
        assert sorted(line["quantity"] for line in lines) == [1, 3]


async def test_suppliers_and_what_they_sell_are_checked(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [5])
    async with database.transaction(organisation_id) as tx:
        acme = await stock.create_supplier(tx, "Acme", "EUR")
        bolt = await stock.create_supplier(tx, "Bolt", "EUR", email="b@bolt.example")
        await stock.put_offers(tx, acme, [stock.Offer(a, "AC-1", 120, 3, 6, 12, True)])
    nobody = new_id()
    bad_suppliers: list[dict[str, Any]] = [
        {"name": " "}, {"name": "x" * 201}, {"currency": "eur"}, {"lead_time_days": 731}, {"email": "x" * 321},
        {"note": "x" * 2_001},
    ]  # fmt: skip
    for bad in bad_suppliers:
        given: dict[str, Any] = {"name": "New", "currency": "EUR", **bad}
        await refuses(
            database,
            organisation_id,
            InvalidSupplier,
            "A supplier has a name",
            lambda tx, g=given: stock.create_supplier(tx, **g),
        )  # type: ignore[misc]
    bad_offers = [
        stock.Offer(a, cost_minor=-1), stock.Offer(a, lead_time_days=731), stock.Offer(a, pack_units=0),
        stock.Offer(a, minimum_units=0), stock.Offer(a, "x" * 201),
    ]  # fmt: skip
    for offer in bad_offers:
        await refuses(
            database, organisation_id, InvalidOffer, "A price is 0 or more",
            lambda tx, o=offer: stock.put_offers(tx, acme, [o]),  # type: ignore[misc]
        )  # fmt: skip
    cases: list[tuple[type[Exception], str | None, Do]] = [
        (stock.SupplierNameTaken, "'Acme' already", lambda tx: stock.create_supplier(tx, " Acme ", "EUR")),
        (stock.SupplierNameTaken, "'Acme' already", lambda tx: stock.change_supplier(tx, bolt, name="Acme ")),
        (stock.SupplierNotFound, None, lambda tx: stock.change_supplier(tx, nobody, name="New")),
        (stock.SupplierNotFound, None, lambda tx: stock.put_offers(tx, nobody, [stock.Offer(a)])),
        (stock.SupplierNotFound, None, lambda tx: stock.drop_offers(tx, nobody, [a])),
        (InvalidOffer, "up to 5,000", lambda tx: stock.put_offers(tx, acme, [stock.Offer(a)] * (OFFERS_MAX + 1))),
        (VariantNotFound, None, lambda tx: stock.put_offers(tx, acme, [stock.Offer(a), stock.Offer(nobody)])),
    ]
    for error, said, do in cases:
        await refuses(database, organisation_id, error, said, do)
    async with database.transaction(organisation_id) as tx:
        await stock.change_supplier(tx, acme)
        await stock.change_supplier(tx, acme, name=" Acme Ltd ", note="n")
        supplier = await reading_papers.supplier(tx, acme)
    text = "".join([part async for part in csv_out.text_of(database, organisation_id, csv_out.offers(supplier))])
    head, row = text.splitlines()
    assert head.split(",") == [
        "sku", "title", "supplier_sku", "name", "currency", "cost", "pack_units", "minimum_units", "preferred",
        "item_lead_time_days",
    ]  # fmt: skip
    assert row.split(",")[2:] == ["AC-1", "Acme Ltd", "EUR", "1.20", "6", "12", "True", "3"]


async def test_a_sheet_and_a_rule_are_checked(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [5])
    async with database.transaction(organisation_id) as tx:
        main = await default_location(tx)
        sheet = await stock.open_count(tx, main, [a], actor="t")
        kit = await make_bundle(tx, {a: 1})
    nobody = new_id()
    many = [new_id() for _ in range(stock.SHEET_MAX + 1)]

    def rule(variant: UUID, **more: Any) -> Do:
        given = {"point": 5, "quantity": 10, "max_level": None, **more}
        return lambda tx: stock.set_reorder_rule(tx, variant, main, **given)

    cases: list[tuple[type[Exception], str | None, Do]] = [
        (SheetTooLong, "20,000 SKUs", lambda tx: stock.open_count(tx, main, many, actor="t")),
        (SheetTooLong, "20,000 SKUs", lambda tx: stock.record_counts(tx, sheet, dict.fromkeys(many, 1), actor="t")),
        (InvalidQuantity, "-1 is not between 0", lambda tx: stock.record_counts(tx, sheet, {a: -1}, actor="t")),
        (VariantNotFound, "or it is a bundle", lambda tx: stock.record_counts(tx, sheet, {a: 1, kit: 1}, actor="t")),
        (VariantNotFound, None, lambda tx: stock.open_count(tx, main, [a, nobody], actor="t")),
        (InvalidQuantity, "needs a reorder point", rule(a, quantity=None)),
        (InvalidQuantity, "needs a reorder point", rule(a, point=-1)),
        (InvalidQuantity, "reorder quantity is between", rule(a, quantity=0)),
        (InvalidQuantity, "above the reorder point", rule(a, max_level=5)),
        (VariantNotFound, None, rule(nobody)),
        (InvalidQuantity, "threshold is between", lambda tx: stock.set_threshold(tx, "variant", a, -1)),
        (VariantNotFound, None, lambda tx: stock.set_threshold(tx, "variant", nobody, 1)),
        (ProductNotFound, None, lambda tx: stock.set_threshold(tx, "product", nobody, 1)),
    ]
    for error, said, do in cases:
        await refuses(database, organisation_id, error, said, do)


async def sent(database: Database, organisation_id: UUID, kind: str, text: str, **more: Any) -> list[tuple[int, str]]:
    """Take a file in; return (row, problem) of what was not taken."""
    actor = identity.system_actor(organisation_id)
    found: FileView = await files.take_in(database, actor, kind, text, currency="EUR", **more)
    async with database.transaction(organisation_id) as tx:
        assert await stock.verify(tx) == []
        return [(each.row, each.problem) for each in await files.problems(tx, found.job.id)]


async def test_each_row_of_a_file_that_is_wrong_says_why_and_the_others_are_taken(
    database: Database, organisation_id: UUID
) -> None:
    made = await shop.make_variants(database, organisation_id, {"A": 10, "B": 3, "KIT": 0})
    async with database.transaction(organisation_id) as tx:
        main = await default_location(tx)
        await tx.execute("delete from stock_level where variant_id = $1", made["KIT"])
        await stock.set_bundle(tx, made["KIT"], {made["A"]: 2})
        sheet = await stock.open_count(tx, main, [made["A"]], actor="t")
    found = await sent(
        database, organisation_id, "stock",
        "sku,on_hand,delta,location\nA,,-11,\nKIT,3,,\nB,,-3,\nA,1,1,\nA,,,Nowhere\n,1,,\nGONE,1,,\nA,-1,,\nB,,4,Nowhere\n",
    )  # fmt: skip
    assert [row for row, _ in found] == [2, 3, 5, 6, 7, 8, 9, 10]
    assert [said.split(" ")[0:3] for _, said in found][1] == ["The", "stock", "of"]
    async with database.transaction(organisation_id) as tx:
        levels = {level.variant_id: level.on_hand for level in await stock.levels(tx, list(made.values()))}
    assert (levels[made["A"]], levels[made["B"]]) == (10, 0)
    found = await sent(
        database, organisation_id, "suppliers",
        "name,currency,lead_time_days,sku,cost,pack_units,preferred\n"
        "Acme,EUR,5,A,1.20,6,yes\nAcme,,,B,1.205,,\nAcme,,,GONE,1,,\n,EUR,,A,1,,\nAcme,,soon,A,1,,\nAcme,,,A,dear,,\n"
        "Acme,,,A,-1,,\nAcme,,,A,1,0,\nAcme,,,A,1,1,maybe\nBad,EURO,,A,1,,\n",
    )  # fmt: skip
    assert dict(found) == {
        3: "cost 1.205 has more decimal places than EUR has.",
        4: "There is no variant with this SKU.",
        5: "name must have 1 to 200 characters.",
        6: "lead_time_days 'soon' is not a whole number.",
        7: "cost 'dear' is not an amount such as 12.50.",
        8: "cost is out of bounds.",
        9: f"pack_units must be 1 to {MAX_QUANTITY:,}.",
        10: "preferred 'maybe' is neither yes nor no.",
        11: InvalidSupplier.__doc__,
    }
    found = await sent(
        database, organisation_id, "purchase-orders",
        "supplier,sku,quantity,cost,location\nAcme,A,2,1.20,\nAcme,B,1,1.205,\nAcme,KIT,1,,\nNone,A,1,,\nAcme,A,,,\n"
        "Acme,A,1,,Nowhere\n",
    )  # fmt: skip
    assert dict(found) == {
        3: "cost 1.205 has more decimal places than EUR has.",
        4: "A bundle has no stock of its own: buy its parts.",
        5: "There is no supplier called 'None'.",
        6: "quantity is missing.",
        7: "There is no location in use called 'Nowhere'.",
    }
    async with database.transaction(organisation_id) as tx:
        [acme] = await reading_papers.list_suppliers(tx, "Acme")
        await stock.change_supplier(tx, acme.id, active=False)
    found = await sent(database, organisation_id, "purchase-orders", "supplier,sku,quantity\nAcme,A,2\nAcme,B,2\n")
    assert found == [(2, SupplierRests.__doc__), (3, SupplierRests.__doc__)]
    found = await sent(database, organisation_id, "count", "sku,counted\nA,9\nB,\nKIT,1\nGONE,1\nA,x\n", count_id=sheet)
    assert {row for row, _ in found} == {4, 5, 6}
