"""Fields going out on real PostgreSQL: faults, refusals, asynchronous ends, deaths, and what nobody told of."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.orders.support import make_connection
from tests.sync.fields_shop import FieldHub, Shop, WorkerDied

from entrepot.channels.contract import Capability, ListingField, WebhookEvent
from entrepot.channels.contracts import InboxEvent
from entrepot.database.pool import Database
from entrepot.kernel.errors import EntrepotError, InvalidInput, NotFound
from entrepot.sync import conflict_reading, conflicts, pull
from entrepot.sync.conflict_reading import ConflictFilter
from entrepot.sync.conflicts import CannotUndo, Choice, ConflictMoved, ConflictOver, NewPolicy, Policy, Side
from entrepot.sync.fields import conflict_store, policy_store, troubles
from entrepot.sync.fields.merging import merge_step
from entrepot.sync.fields.reads import read_step
from entrepot.sync.fields.writing import write_step


@pytest.fixture
async def hub(database: Database, organisation_id: UUID) -> FieldHub:
    return await FieldHub(database, organisation_id, Shop("alpha", 80), Shop("beta", 70)).set_up(("A", "B"))


@pytest.mark.parametrize("fault", ["busy", "dropped", "lost", "later", "stale", "failed"])
@pytest.mark.parametrize("what", ["price", "title"])
async def test_a_fault_heals_and_writes_once_more_at_most(hub: FieldHub, fault: str, what: str) -> None:
    if what == "title" and fault in ("stale", "failed"):
        pytest.skip("the shop answers so for prices only")
    hub.shops["alpha"].faults = [fault]
    await (hub.price("A", 1100) if what == "price" else hub.change(title="Blue mug"))
    await hub.settle()
    shown = hub.shops["alpha"].listings["A"]
    assert (shown.price if what == "price" else shown.product_title) == (
        Decimal("11.00") if what == "price" else "Blue mug"
    )
    # What came through though the answer was lost is not written again; what did not, is.
    assert hub.shops["alpha"].writes == (1 if fault in ("lost", "later") else 2)
    assert set(await hub.states()) == {"agreed"}
    assert await hub.open() == []


async def test_a_worker_that_died_in_a_write_leaves_nothing_open(hub: FieldHub) -> None:
    hub.shops["alpha"].faults = ["died"]
    await hub.change(title="Blue mug")
    await hub.react()
    await merge_step(hub.context, hub.lane("merge", "alpha"))
    with pytest.raises(WorkerDied):
        await write_step(hub.context, hub.lane("fields", "alpha"))
    # Edited here meanwhile: what the channel shows is our own lost write, no conflict.
    await hub.change(title="Green mug")
    await hub.settle()
    assert await hub.open() == []
    assert hub.shops["alpha"].listings["B"].product_title == "Green mug"
    assert set(await hub.states()) == {"agreed"}


@pytest.mark.parametrize("fault", ["", "refused"])
async def test_what_is_refused_is_parked_with_the_channels_words(hub: FieldHub, fault: str) -> None:
    shop = hub.shops["alpha"]
    shop.faults = [fault]
    shop.refuses = {"A": "Too cheap."}
    await hub.price("A", 900)
    await hub.settle()
    row = await hub.row("alpha", "price")
    assert (row["state"], row["detail"]) == ("parked", "not so" if fault else "Too cheap.")
    assert hub.shops["beta"].listings["A"].price == Decimal("9.00")
    # Another value is tried again.
    shop.refuses = {}
    await hub.price("A", 950)
    await hub.settle()
    assert shop.listings["A"].price == Decimal("9.50")


async def test_one_variant_refused_spares_the_others(hub: FieldHub) -> None:
    hub.shops["alpha"].refuses = {"A": "Not a barcode."}
    await hub.change_variants({s: {"barcode": f"new{s}"} for s in ("A", "B")})
    await hub.settle()
    assert (await hub.row("alpha", "barcode", "A"))["detail"] == "Not a barcode."
    assert (await hub.row("alpha", "barcode", "B"))["state"] == "agreed"


async def test_a_change_there_that_nobody_told_is_not_written_over(hub: FieldHub) -> None:
    shop = hub.shops["alpha"]
    shop.edit("A", price=Decimal("12.00"))
    shop.told.clear()
    await hub.price("A", 1300)
    for _ in range(3):
        await hub.step("alpha")
    assert shop.listings["A"].price == Decimal("12.00")
    assert [c["why"] for c in await hub.open()] == ["both_changed"]


async def test_what_is_contested_is_not_decided_by_writing_something_else(hub: FieldHub) -> None:
    shop = hub.shops["alpha"]
    shop.edit("A", product_title="Theirs")
    await hub.change(title="Ours", vendor="New vendor")
    await hub.settle()
    assert (shop.listings["A"].product_title, shop.listings["A"].vendor) == ("Theirs", "New vendor")


async def test_pictures_that_a_channel_copies_agree(database: Database, organisation_id: UUID) -> None:
    from entrepot.catalog.contracts import Image

    shop = Shop("alpha", keeps_images=True)
    hub = await FieldHub(database, organisation_id, shop).set_up()
    await hub.change(images=(Image("https://hub/2.jpg", "two"), Image("https://hub/1.jpg")))
    await hub.settle()
    assert shop.writes == 1
    assert set(await hub.states()) == {"agreed"}
    shop.edit("A", images=tuple(reversed(shop.listings["A"].images or ())))
    await hub.settle()
    async with database.transaction(organisation_id) as tx:
        images = await tx.fetch_value("select images from product where organisation_id = $1", organisation_id)
    assert [i["url"] for i in images] == ["https://hub/1.jpg", "https://hub/2.jpg"]
    assert images[1]["alt"] == "two"


async def test_options_come_in_by_our_names_only(hub: FieldHub) -> None:
    await hub.policy(field="options")
    hub.shops["alpha"].edit("A", options=(("Size", "L"),))
    await hub.settle()
    row = await hub.row("alpha", "options")
    assert (row["state"], row["detail"]) == ("parked", "The catalog cannot hold this value.")


@pytest.mark.parametrize(
    ("able", "title", "price"),
    [
        (frozenset({Capability.PULL_LISTINGS, Capability.READ_LISTINGS, Capability.PUSH_PRICES}), "parked", "agreed"),
        (frozenset({Capability.PULL_LISTINGS, Capability.PUSH_LISTINGS}), "agreed", "agreed"),
        (frozenset({Capability.PULL_LISTINGS}), "parked", "parked"),
    ],
)
async def test_only_what_a_channel_takes_goes_out(
    database: Database, organisation_id: UUID, able: frozenset[Capability], title: str, price: str
) -> None:
    hub = await FieldHub(database, organisation_id, Shop("alpha", able=able)).set_up()
    await hub.change_variants({"A": {"price_minor": 1100}}, title="Blue mug")
    await hub.settle()
    assert ((await hub.row("alpha", "title"))["state"], (await hub.row("alpha", "price"))["state"]) == (title, price)


async def test_a_channel_that_tells_nothing_is_not_compared(database: Database, organisation_id: UUID) -> None:
    hub = await FieldHub(database, organisation_id, Shop("alpha", fields=frozenset({ListingField.SKU}))).set_up()
    assert await hub.rows() == []


# ---- deciding ------------------------------------------------------------------------------------------------


async def contested(hub: FieldHub) -> Any:
    hub.shops["alpha"].edit("A", price=Decimal("12.00"))
    await hub.price("A", 1300)
    await hub.settle()
    [conflict] = await hub.open()
    return conflict


async def undo(hub: FieldHub, id: UUID) -> None:
    async with hub.database.transaction(hub.id) as tx:
        await conflicts.undo(tx, hub.actor, id, datetime.now(UTC))


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("merged", [False, True])
async def test_a_decision_can_be_undone_while_nothing_has_gone_out(hub: FieldHub, side: Side, merged: bool) -> None:
    conflict = await contested(hub)
    await hub.resolve(conflict["id"], side, "12.70 EUR")
    if merged:
        await merge_step(hub.context, hub.lane("merge", "alpha"))
        # It waits, so that it can be undone.
        await write_step(hub.context, hub.lane("fields", "alpha"))
    assert hub.shops["alpha"].listings["A"].price == Decimal("12.00")
    await undo(hub, conflict["id"])
    await hub.settle()
    [again] = await hub.open()
    assert (again["base"], again["ours"], again["theirs"]) == (conflict["base"], conflict["ours"], conflict["theirs"])
    assert (await hub.detail()).variants[0].price_minor == 1300


async def test_what_has_gone_out_cannot_be_undone(hub: FieldHub) -> None:
    conflict = await contested(hub)
    await hub.resolve(conflict["id"], Side.OURS)
    await hub.settle()
    with pytest.raises(CannotUndo):
        await undo(hub, conflict["id"])
    with pytest.raises(conflicts.ConflictNotFound):
        await undo(hub, hub.product)


async def test_what_moved_or_is_over_is_not_decided(hub: FieldHub) -> None:
    conflict = await contested(hub)
    hub.shops["alpha"].edit("A", price=Decimal("12.50"))
    await hub.notify("alpha")
    await read_step(hub.context, hub.lane("read", "alpha"))
    with pytest.raises(ConflictMoved):
        await hub.resolve(conflict["id"], Side.OURS)
    await hub.settle()
    with pytest.raises(InvalidInput, match="cannot be empty"):
        await hub.resolve(conflict["id"], Side.VALUE, "")
    await hub.resolve(conflict["id"], Side.OURS)
    with pytest.raises(ConflictOver):
        await hub.resolve(conflict["id"], Side.OURS)
    with pytest.raises(conflicts.ConflictNotFound):
        await hub.resolve(hub.product, Side.OURS)
    async with hub.database.transaction(hub.id) as tx:
        [settled] = await conflicts.resolve_many(tx, hub.actor, [hub.product], Choice(Side.OURS), datetime.now(UTC))
        with pytest.raises(conflicts.ConflictNotFound):
            await conflicts.resolve_similar(tx, hub.actor, hub.product, Choice(Side.OURS), datetime.now(UTC))
    assert settled.problem


async def test_sides_that_come_together_by_themselves_end_the_conflict(hub: FieldHub) -> None:
    conflict = await contested(hub)
    hub.shops["alpha"].edit("A", price=Decimal("13.00"))
    await hub.settle()
    assert await hub.open() == []
    async with hub.database.transaction(hub.id) as tx:
        view = await conflict_reading.conflict_detail(tx, conflict["id"])
    assert (view.state, [h["what"] for h in view.history]) == ("gone", ["found", "gone"])


async def test_similar_ones_take_what_each_is_advised(hub: FieldHub) -> None:
    for sku, price in (("A", "12.00"), ("B", "11.00")):
        hub.shops["alpha"].edit(sku, price=Decimal(price))
    await hub.change_variants({s: {"price_minor": 1300} for s in ("A", "B")})
    await hub.settle()
    first, _ = await hub.open()
    async with hub.database.transaction(hub.id) as tx:
        settled = await conflicts.resolve_similar(tx, hub.actor, first["id"], Choice(Side.VALUE), datetime.now(UTC))
    assert [s.problem for s in settled] == ["", ""]
    await hub.settle()
    assert await hub.open() == []
    assert {v.price for v in hub.shops["alpha"].listings.values()} == {Decimal("13.00")}


async def test_two_people_deciding_at_once_decide_once(hub: FieldHub) -> None:
    conflict = await contested(hub)

    async def one(side: Side) -> str:
        try:
            await hub.resolve(conflict["id"], side)
        except EntrepotError as error:
            return type(error).__name__
        return "done"

    ends = await asyncio.gather(one(Side.OURS), one(Side.THEIRS), one(Side.APART))
    assert sorted(ends) == ["ConflictOver", "ConflictOver", "done"]


async def test_a_person_who_edits_while_a_change_comes_in_is_not_written_over(hub: FieldHub) -> None:
    """Many rounds of an edit here against a change there: nothing is lost, all that collides is a conflict."""
    for n in range(8):
        hub.shops["alpha"].edit("A", product_title=f"Theirs {n}")
        await hub.notify("alpha")
        await read_step(hub.context, hub.lane("read", "alpha"))
        await asyncio.gather(hub.change(title=f"Ours {n}"), merge_step(hub.context, hub.lane("merge", "alpha")))
        await hub.settle()
        found = await hub.open()
        if found:
            await hub.resolve(found[0]["id"], Side.OURS)
            await hub.settle()
        assert hub.shops["alpha"].listings["A"].product_title == (await hub.detail()).row.title == f"Ours {n}"


async def test_an_override_goes_to_its_channel_only_and_takes_what_comes_in(hub: FieldHub) -> None:
    listing = (await hub.row("alpha", "price"))["listing_id"]

    async def override(value: Any, name: str = "price", of: UUID = listing) -> None:
        async with hub.database.transaction(hub.id) as tx:
            await conflicts.set_override(tx, hub.actor, of, name, value, datetime.now(UTC))

    await override("9.00 EUR")
    await hub.settle()
    assert [s.listings["A"].price for s in hub.shops.values()] == [Decimal("9.00"), Decimal("10.00")]
    hub.shops["alpha"].edit("A", price=Decimal("9.50"))
    await hub.settle()
    assert (await hub.detail()).variants[0].price_minor == 1000
    await hub.price("A", 1100)
    await hub.settle()
    assert [s.listings["A"].price for s in hub.shops.values()] == [Decimal("9.50"), Decimal("11.00")]
    # A decision about a listing with a value of its own is about that value.
    hub.shops["alpha"].edit("A", price=Decimal("9.70"))
    await override("9.90 EUR")
    await hub.settle()
    [conflict] = await hub.open()
    await hub.resolve(conflict["id"], Side.VALUE, "9.80")
    await undo(hub, conflict["id"])
    await hub.settle()
    [conflict] = await hub.open()
    await hub.resolve(conflict["id"], Side.THEIRS)
    await hub.settle()
    assert (await hub.detail()).variants[0].price_minor == 1100
    await override(None)
    await hub.settle()
    assert hub.shops["alpha"].listings["A"].price == Decimal("11.00")
    for value, name in (("", "title"), ("x", "price")):
        with pytest.raises(InvalidInput):
            await override(value, name)
    with pytest.raises(NotFound):
        await override("x", "title", hub.product)


async def test_policies_are_narrowed_removed_and_previewed(hub: FieldHub) -> None:
    alpha = hub.connections["alpha"]
    await hub.policy(policy=Policy.LAST_WRITE)
    await hub.policy(connection_id=alpha, policy=Policy.MANUAL)
    for n in range(10):
        hub.shops["alpha"].edit("A", price=Decimal(1200 + n) / 100)
        await hub.price("A", 1300 + n)
        await hub.settle()
        [conflict] = await hub.open()
        await hub.resolve(conflict["id"], Side.THEIRS if n else Side.OURS)
        await hub.settle()
    async with hub.database.transaction(hub.id) as tx:
        found = await conflicts.preview_policy(tx, alpha, "price", Policy.LOWEST)
        assert (found.past.decided, found.past.same_as_people, found.decisions) == (10, 9, 10)
        assert found.weight_of_ours is not None
        assert found.weight_of_ours < 0.5
        assert await conflicts.remove_policy(tx, hub.actor, alpha, "")
        assert not await conflicts.remove_policy(tx, hub.actor, alpha, "")
        assert len(await conflicts.list_policies(tx)) == 1
        rows = await conflict_reading.list_conflicts(tx, ConflictFilter("resolved"), limit=4)
        more = await conflict_reading.list_conflicts(tx, ConflictFilter("resolved"), rows.next_cursor, 200)
        assert (len(rows), len(more)) == (4, 6)
        assert "12.09 EUR" in await conflict_reading.csv_text(tx, ConflictFilter("resolved"))
        with pytest.raises(InvalidInput):
            await conflicts.set_policy(
                tx, hub.actor, NewPolicy(None, "price", swing_percent=Decimal(-1)), datetime.now(UTC)
            )
    # The general one holds again: it decides at once.
    hub.shops["alpha"].edit("A", price=Decimal("14.00"))
    await hub.price("A", 1500)
    await hub.settle()
    assert await hub.open() == []


# ---- what else is in the queue, and how it is told -----------------------------------------------------------


async def test_webhooks_have_products_read_and_unknown_ones_all_listings(hub: FieldHub) -> None:
    shop = hub.shops["alpha"]
    connection = await hub.context.connection(hub.lane("inbox", "alpha"))
    assert connection is not None

    async def tell(**event: Any) -> None:
        async with hub.database.transaction(hub.id) as tx:
            told = [(_delivery(connection.id), WebhookEvent("1", "products/update", **event))]
            await pull._ingest(hub.context, tx, connection, told, [])

    shop.edit("A", product_title="Green mug")
    shop.told.clear()
    await tell(product_ids=("P",))
    await tell(product_ids=("P",))
    await read_step(hub.context, hub.lane("read", "alpha"))
    await merge_step(hub.context, hub.lane("merge", "alpha"))
    assert (await hub.detail()).row.title == "Green mug"
    shop.listings["C"] = replace(hub.as_listed("C", "Q"), sku=None)
    await tell(product_ids=("Q",))
    await tell(listings_changed=True)
    await hub.pull("alpha")
    async with hub.database.transaction(hub.id) as tx:
        assert await tx.fetch_value("select count(*) from listing_reading where organisation_id = $1", hub.id) == 5
        wanted = await tx.fetch_value(
            "select count(listings_wanted_at) from connection_progress where organisation_id = $1", hub.id
        )
    assert wanted == 0


def _delivery(connection_id: UUID) -> InboxEvent:
    from entrepot.kernel.ids import new_id

    return InboxEvent(new_id(), connection_id, "1", "products/update", {}, b"", datetime.now(UTC), 0)


async def test_the_products_fields_move_to_a_listing_that_is_matched(database: Database, organisation_id: UUID) -> None:
    shop = Shop("alpha")
    hub = FieldHub(database, organisation_id, shop)
    hub.new = (await FieldHub(database, organisation_id).set_up(("A", "B"))).new
    shop.listings = {"0": replace(hub.as_listed("0"), sku="unknown"), "A": hub.as_listed("A")}
    hub.connections["alpha"] = await make_connection(database, organisation_id, "alpha", name="alpha")
    hub.shops["alpha"] = shop
    await hub.settle()
    [row] = [r for r in await hub.rows() if r["field"] == "title"]
    assert (row["sku"], row["state"]) == ("A", "agreed")
    # Ended there: the next one takes them over, with what was agreed.
    shop.listings["A"] = replace(shop.listings["A"], active=False)
    shop.listings["B"] = hub.as_listed("B")
    await hub.settle()
    assert [r["sku"] for r in await hub.rows() if r["field"] == "title"] == ["B"]


async def test_stock_that_differs_missing_units_and_double_sales_are_in_the_queue(hub: FieldHub) -> None:
    from tests.orders.support import ingest, line, order

    now = datetime.now(UTC)
    listing = (await hub.row("alpha", "price"))["listing_id"]
    for n, name in enumerate(hub.shops):
        sale = replace(order(name, 1, [line("A", 2)], placed_at=now), buyer_email="a@b.c", number=f"#{n}")
        await ingest(hub.database, hub.id, hub.connections[name], sale)
    async with hub.database.transaction(hub.id) as tx:
        await tx.execute(
            "update listing_quantity set desired = 5, expected = 5, reported = 3, gap = -2, gap_at = now() - interval '5 minutes'"
            " where organisation_id = $1 and listing_id = $2",
            hub.id,
            listing,
        )
        await troubles.refresh(tx, now)
        await troubles.refresh(tx, now)
    found = {c["kind"]: c for c in await hub.open()}
    assert sorted(found) == ["duplicate_sale", "oversell", "stock"]
    async with hub.database.transaction(hub.id) as tx:
        view = await conflict_reading.conflict_detail(tx, found["stock"]["id"])
        assert view.result == "3"
        groups = await conflict_reading.groups(tx)
        assert groups[0].kind == "oversell"
        for kind, side in (("oversell", Side.OURS), ("stock", Side.THEIRS)):
            with pytest.raises(conflicts.NotDecidedHere):
                await conflicts.resolve(tx, hub.actor, found[kind]["id"], Choice(side), now)
        for kind in ("stock", "duplicate_sale"):
            await conflicts.resolve(tx, hub.actor, found[kind]["id"], Choice(Side.OURS), now)
        with pytest.raises(CannotUndo):
            await conflicts.undo(tx, hub.actor, found["stock"]["id"], now)
        assert await tx.fetch_value(
            "select check_at is not null from listing_quantity where organisation_id = $1", hub.id
        )
        await tx.execute("update shortage set state = 'closed' where organisation_id = $1", hub.id)
        await troubles.refresh(tx, now)
    # Said once, it stays said; what is no more so is gone.
    assert await hub.open() == []


async def test_conflicts_of_another_organisation_are_not_seen(hub: FieldHub, database: Database) -> None:
    from entrepot.kernel.ids import new_id

    conflict = await contested(hub)
    async with database.transaction(new_id()) as tx:
        assert await conflict_store.by_ids(tx, [conflict["id"]]) == []
        assert await policy_store.list_policies(tx) == []
