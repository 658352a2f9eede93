"""Publishing to the simulated marketplaces over real HTTP: made once whatever happens, followed to the end, ended again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from tests.sync.publish_hub import CHANNELS, PublishHub, WorkerDied, mug, publish_hub

from entrepot.catalog.price_lists import PriceListInput, create_price_list
from entrepot.catalog.pricing import PriceRule
from entrepot.connectors.amazon.manifest import EXEMPTION as EXEMPT
from entrepot.database.pool import Database
from entrepot.stock import facade as stock
from entrepot.stock.facade import StockChange
from entrepot.sync.fields.merging import merge_step
from entrepot.sync.publishing.contracts import Wanted
from entrepot.sync.push import push_step


@pytest.fixture
async def hub(database: Database, organisation_id: UUID) -> AsyncIterator[PublishHub]:
    async with publish_hub(database, organisation_id) as hub:
        yield hub


async def test_products_go_to_every_channel_and_sell_there(hub: PublishHub) -> None:
    await hub.save(mug("A"), mug("B", ("Red",)), mug("C", ("Red", "Blue", "Green")))
    assert await hub.ask(Wanted.PUBLISH) == 3
    await hub.settle()
    for channel in CHANNELS:
        intents = await hub.intents(channel)
        assert {h: (i.state, i.text) for h, i in intents.items()} == dict.fromkeys(("a", "b", "c"), ("live", "")), (
            channel
        )
        assert all(i.external_id and i.completeness for i in intents.values())
        there = await hub.there(channel)
        assert set(there) == {"A-0", "A-1", "B-0", "C-0", "C-1", "C-2"}
        assert str(there["A-1"].price) == "12.51"
    shows = await hub.rows(
        "select c.channel, l.sku, q.detail, q.expected, q.desired, q.state, l.active, l.variant_id is not null as matched"
        " from listing_quantity q join listing l on l.organisation_id = $1 and l.id = q.listing_id"
        " join connection c on c.organisation_id = $1 and c.id = q.connection_id where q.organisation_id = $1"
    )
    assert len(shows) == 18
    assert {row["state"] for row in shows} == {"in_step"}, "\n".join(str(tuple(r)[:9]) for r in shows)
    assert all(row["expected"] == row["desired"] and row["active"] and row["matched"] for row in shows)
    assert sum(row["expected"] for row in shows) > 0
    fields = await hub.rows("select field, state from listing_field where organisation_id = $1")
    assert {row["state"] for row in fields} == {"agreed"}, [tuple(r) for r in fields if r["state"] != "agreed"]
    assert await hub.rows("select 1 from conflict where organisation_id = $1") == []


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("fault", ["lost", "died"])
async def test_a_lost_answer_or_a_dead_worker_makes_nothing_twice(
    database: Database, organisation_id: UUID, channel: str, fault: str
) -> None:
    async with publish_hub(database, organisation_id, channel) as hub:
        await hub.save(mug("A"), mug("B", ("Red",)))
        await hub.ask(Wanted.PUBLISH)
        hub.wire(channel).faults = [fault]
        if fault == "died":
            with pytest.raises(WorkerDied):
                await hub.step(channel)
        else:
            await hub.step(channel)
        assert not hub.wire(channel).faults, "the fault was met"
        # What the catalog says meanwhile does not change what is sent again.
        await hub.save(replace(mug("A"), title="Another title"))
        await hub.settle()
        assert set(await hub.there(channel)) == {"A-0", "A-1", "B-0"}
        assert {i.state for i in (await hub.intents(channel)).values()} == {"live"}


async def test_publishing_twice_makes_one_product(hub: PublishHub) -> None:
    await hub.save(mug("A"))
    await hub.ask(Wanted.PUBLISH)
    await hub.settle()
    await hub.ask(Wanted.PUBLISH)
    await hub.settle()
    for channel in CHANNELS:
        assert set(await hub.there(channel)) == {"A-0", "A-1"}
        assert (await hub.intents(channel))["a"].state == "live"


async def test_what_lacks_something_waits_and_goes_out_once_it_is_there(hub: PublishHub) -> None:
    await hub.save(mug("A", vendor=""), mug("B", title="Mug " + "very " * 60 + "long"), mug("C"))
    await hub.ask(Wanted.PUBLISH, "amazon")
    await hub.settle()
    found = await hub.intents("amazon")
    assert {h: i.state for h, i in found.items()} == {"a": "draft", "b": "draft", "c": "live"}
    assert "vendor" in found["a"].missing
    assert [p.field for p in found["a"].problems] == ["vendor"]
    assert "title" in {p.field for p in found["b"].problems}
    assert set(await hub.there("amazon")) == {"C-0", "C-1"}
    await hub.save(mug("A"))
    await hub.settle()
    assert (await hub.intents("amazon"))["a"].state == "live"
    assert set(await hub.there("amazon")) == {"A-0", "A-1", "C-0", "C-1"}


async def test_what_a_channel_refuses_says_why_and_is_tried_again(hub: PublishHub) -> None:
    await hub.save(mug("A", option_names=("Glaze",)), mug("B", ("Red",)))
    await hub.ask(Wanted.PUBLISH, "amazon", attributes={})
    await hub.ask(Wanted.PUBLISH, "square")
    await hub.settle()
    found = await hub.intents("amazon")
    assert {h: i.state for h, i in found.items()} == {"a": "error", "b": "live"}
    assert "variation_theme" in found["a"].text
    assert {i.state for i in (await hub.intents("square")).values()} == {"live"}
    await hub.ask(Wanted.PUBLISH, "amazon", attributes={"variation_theme": "COLOR"})
    await hub.settle()
    assert {i.state for i in (await hub.intents("amazon")).values()} == {"live"}


async def test_what_a_channel_does_not_take_is_left_out_there_and_stays_here(hub: PublishHub) -> None:
    body = '<meta charset="utf-8"><p>Holds <span style="color: red">tea</span></p><table><tr><td>1</td></tr></table>'
    await hub.save(mug("A", description=body), barcode="'30235")
    await hub.ask(Wanted.PUBLISH, "square", "shopify")
    await hub.ask(Wanted.PUBLISH, "amazon")
    await hub.settle()
    found = (await hub.intents("amazon"))["a"]
    assert (found.state, {p.field for p in found.problems}) == ("draft", {"barcode"})
    assert "exempted you from barcodes" in found.text
    await hub.ask(Wanted.PUBLISH, "amazon", attributes={EXEMPT: "yes"})
    await hub.settle()
    assert {(await hub.intents(channel))["a"].state for channel in CHANNELS} == {"live"}
    there = {channel: (await hub.there(channel))["A-0"] for channel in CHANNELS}
    assert {channel: each.barcode for channel, each in there.items()} == {
        "shopify": "'30235", "square": "'30235", "amazon": "",
    }  # fmt: skip
    assert there["square"].description_html.startswith("<p>Holds tea</p>")
    rows = await hub.rows(
        "select p.description, v.barcode from product p join variant v on v.product_id = p.id"
        " where p.organisation_id = $1"
    )
    assert {tuple(row) for row in rows} == {(body, "'30235")}, "nothing of that comes back into the catalog"
    assert await hub.parked() == []
    assert await hub.rows("select 1 from conflict where organisation_id = $1") == []
    # A real number takes the place of the shop's own.
    async with hub.database.transaction(hub.id) as tx:
        await tx.execute(
            "update variant set barcode = '4006381333931', updated_at = clock_timestamp() where organisation_id = $1",
            hub.id,
        )
        await hub.tell_changed(tx, (await hub.products())[0])
    await hub.settle()
    assert {(await hub.there(channel))["A-0"].barcode for channel in CHANNELS} == {"4006381333931"}


async def test_an_unknown_category_is_named_before_anything_is_sent(hub: PublishHub) -> None:
    await hub.save(mug("A"))
    await hub.ask(Wanted.PUBLISH, "amazon", category="NO_SUCH_TYPE")
    await hub.settle()
    found = (await hub.intents("amazon"))["a"]
    assert (found.state, [p.field for p in found.problems]) == ("draft", ["category"])
    assert await hub.there("amazon") == {}


@pytest.mark.parametrize("wanted", [Wanted.UNPUBLISH, Wanted.DELETE])
async def test_ending_shows_nothing_first_and_frees_the_stock(hub: PublishHub, wanted: Wanted) -> None:
    await hub.save(mug("A"), mug("B"))
    await hub.ask(Wanted.PUBLISH)
    await hub.settle()
    (a, _) = await hub.products()
    before = await hub.on_offer()
    await hub.ask(wanted, products=[a])
    for channel in CHANNELS:
        await hub.step(channel)
        assert (await hub.intents(channel))["a"].state == "ending", "stock is lowered before it ends"
    await hub.settle()
    for channel in CHANNELS:
        assert {h: i.state for h, i in (await hub.intents(channel)).items()} == {"a": "ended", "b": "live"}
        there = await hub.there(channel)
        if wanted is Wanted.DELETE:
            assert set(there) == {"B-0", "B-1"}
        else:
            assert {sku: each.active for sku, each in there.items() if sku.startswith("B")} == {
                "B-0": True,
                "B-1": True,
            }
            assert not any(each.active for sku, each in there.items() if sku.startswith("A"))
    now = await hub.on_offer()
    assert {sku: shown for sku, shown in now.items() if sku.startswith("B")} == {
        sku: shown for sku, shown in before.items() if sku.startswith("B")
    }
    assert not any(sku.startswith("A") for sku in now)
    if wanted is Wanted.UNPUBLISH:
        await hub.ask(Wanted.PUBLISH, products=[a])
        await hub.settle()
        for channel in CHANNELS:
            assert {i.state for i in (await hub.intents(channel)).values()} == {"live"}
            assert {sku: each.active for sku, each in (await hub.there(channel)).items()} == dict.fromkeys(
                ("A-0", "A-1", "B-0", "B-1"), True
            )


async def test_a_new_variant_is_added_when_it_is_published_again(hub: PublishHub) -> None:
    await hub.save(mug("A"))
    await hub.ask(Wanted.PUBLISH)
    await hub.settle()
    await hub.edit("shopify", "A-0", title="Named there")
    await hub.save(mug("A", ("Red", "Blue", "Green")))
    await hub.ask(Wanted.PUBLISH)
    await hub.settle()
    for channel in CHANNELS:
        assert set(await hub.there(channel)) == {"A-0", "A-1", "A-2"}, channel
        assert (await hub.intents(channel))["a"].state == "live", (await hub.intents(channel))["a"].text


async def test_the_price_of_a_channels_list_is_what_it_shows(hub: PublishHub) -> None:
    async with hub.database.transaction(hub.id) as tx:
        rule = PriceRule("EUR", Decimal(10), 100, 99, "up")
        await create_price_list(tx, PriceListInput("Square", rule, connection_id=hub.connections["square"]))
    await hub.save(mug("A", ("Red",)))
    await hub.ask(Wanted.PUBLISH, "shopify", "square")
    await hub.settle()
    shown = {channel: str((await hub.there(channel))["A-0"].price) for channel in ("shopify", "square")}
    assert shown == {"shopify": "12.50", "square": "13.99"}
    assert await hub.rows("select 1 from conflict where organisation_id = $1") == []
    assert await hub.parked() == []
    kept = await hub.rows("select price_minor from variant where organisation_id = $1")
    assert [row[0] for row in kept] == [1250], "what a list says does not come into the catalog"


@pytest.mark.parametrize("channel", CHANNELS)
async def test_a_wish_during_a_sending_is_not_ended_by_the_answer_to_the_older_one(
    database: Database, organisation_id: UUID, channel: str
) -> None:
    async with publish_hub(database, organisation_id, channel) as hub:
        await hub.save(mug("A", ("Red",)))
        await hub.ask(Wanted.PUBLISH)
        hub.wire(channel).faults = ["died"]
        with pytest.raises(WorkerDied):
            await hub.step(channel)
        await hub.ask(Wanted.DELETE)
        await hub.settle()
        assert (await hub.intents(channel))["a"].state == "ended"
        assert await hub.there(channel) == {}


async def test_a_listing_shows_more_only_at_its_new_price(database: Database, organisation_id: UUID) -> None:
    async with publish_hub(database, organisation_id, "shopify") as hub:
        made = await hub.save(mug("A", ("Red",)))
        await hub.ask(Wanted.PUBLISH)
        await hub.settle()
        await hub.save(mug("A", ("Red",)), on_hand=9)
        async with database.transaction(organisation_id) as tx:
            rule = PriceRule("EUR", Decimal(10))
            await create_price_list(tx, PriceListInput("Shop", rule, connection_id=hub.connections["shopify"]))
            [change] = [StockChange(v, "came in", on_hand=20) for v in made.values()]
            await stock.change_on_hand(tx, [change], kind="count", actor="test")
        await hub.react()
        await merge_step(hub.context, hub.key("merge", "shopify"))
        shown = (await hub.there("shopify"))["A-0"]
        await hub.pass_time()
        await push_step(hub.context, hub.key("push", "shopify"))
        [row] = await hub.rows("select state, detail from listing_quantity where organisation_id = $1")
        assert (row["state"], row["detail"]) == ("waiting", "its new price goes first")
        assert (await hub.there("shopify"))["A-0"].quantity == shown.quantity
        async with database.transaction(organisation_id) as tx:
            # Lowering never waits.
            await stock.change_on_hand(
                tx, [StockChange(change.variant_id, "gone", on_hand=4)], kind="count", actor="test"
            )
        await hub.react()
        await hub.pass_time()
        await push_step(hub.context, hub.key("push", "shopify"))
        assert (await hub.there("shopify"))["A-0"].quantity < shown.quantity
        async with database.transaction(organisation_id) as tx:
            await stock.change_on_hand(tx, [change], kind="count", actor="test")
        await hub.settle()
        after = (await hub.there("shopify"))["A-0"]
        assert str(after.price) == "13.75"
        assert after.quantity > shown.quantity
