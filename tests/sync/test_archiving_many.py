"""Products that a bulk edit or an import archives end on their channels, over real HTTP; so does what is matched too late."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from tests.sync.publish_hub import PublishHub, mug, publish_hub

from entrepot.catalog import bulk, bulk_store, editing, match_queue, reading
from entrepot.catalog.bulk_rules import Change
from entrepot.catalog.editing import ProductEdit, VariantEdit
from entrepot.database.pool import Database
from entrepot.identity.facade import system_actor
from entrepot.sync import importing
from entrepot.sync.importing import ImportOptions
from entrepot.sync.publishing.contracts import Wanted

ARCHIVE = [Change("status", "set", "archived")]
FILE = "handle,title,sku,price,status\na,Mug A,A-0,12.50,archived\nb,Mug B,B-0,12.50,active\n"


@pytest.fixture
async def hub(database: Database, organisation_id: UUID) -> AsyncIterator[PublishHub]:
    async with publish_hub(database, organisation_id, "shopify") as hub:
        await hub.save(mug("A", ("Red",)), mug("B", ("Red",)))
        await hub.ask(Wanted.PUBLISH)
        await hub.settle()
        yield hub


async def states(hub: PublishHub) -> dict[str, tuple[str, str, bool]]:
    """Return what is asked of each product, how far that is, and whether the channel shows it."""
    there = await hub.there("shopify")
    shows = {sku: each.active for sku, each in there.items()}
    return {
        handle: (each.wanted, each.state, shows.get(f"{handle.upper()}-0", False))
        for handle, each in (await hub.intents("shopify")).items()
    }


async def bulk_edit(hub: PublishHub, changes: list[Change], *, end: bool = True) -> bulk_store.BulkEdit:
    chosen = bulk.selection(await hub.products())
    id = await bulk.take_on(hub.database, system_actor(hub.id, "Ada"), chosen, changes, end_listings=end)
    async with hub.database.transaction(hub.id) as tx:
        return await bulk_store.get(tx, id)


ON_SALE, GONE = ("publish", "live", True), ("archive", "ended", False)


async def test_what_a_bulk_edit_archives_ends_and_its_undo_publishes_nothing(hub: PublishHub) -> None:
    edit = await bulk_edit(hub, ARCHIVE)
    assert (edit.changed, edit.end_listings) == (2, True)
    await hub.settle()
    assert await states(hub) == {"a": GONE, "b": GONE}
    assert await hub.on_offer() == {}
    assert {each.asked_by for each in (await hub.intents("shopify")).values()} == {"Ada, bulk edit"}
    await bulk.undo(hub.database, system_actor(hub.id, "Ada"), edit.id)
    await hub.settle()
    assert await states(hub) == {"a": GONE, "b": GONE}, "an undo publishes nothing"
    await hub.ask(Wanted.PUBLISH)
    await hub.settle()
    assert await states(hub) == {"a": ON_SALE, "b": ON_SALE}


async def test_what_a_bulk_edit_archives_stays_listed_where_that_was_asked_for(hub: PublishHub) -> None:
    edit = await bulk_edit(hub, ARCHIVE, end=False)
    assert not edit.end_listings
    await hub.settle()
    assert await states(hub) == {"a": ON_SALE, "b": ON_SALE}


async def test_what_was_archived_before_or_is_only_drafted_ends_nothing(hub: PublishHub) -> None:
    await bulk_edit(hub, ARCHIVE, end=False)
    await bulk_edit(hub, [*ARCHIVE, Change("tags", "add", "old")])
    await bulk_edit(hub, [Change("status", "set", "draft")])
    await hub.settle()
    assert await states(hub) == {"a": ON_SALE, "b": ON_SALE}


async def test_what_was_undone_before_anything_followed_ends_nothing(hub: PublishHub) -> None:
    edit = await bulk_edit(hub, ARCHIVE)
    await bulk.undo(hub.database, system_actor(hub.id, "Ada"), edit.id)
    await hub.settle()
    assert await states(hub) == {"a": ON_SALE, "b": ON_SALE}


@pytest.mark.parametrize("end", [True, False])
async def test_what_an_import_archives_ends_if_that_is_asked_for(hub: PublishHub, end: bool) -> None:
    options = ImportOptions("EUR", end_listings=end)
    looked = await importing.take_in(hub.database, hub.actor, FILE, options, apply=False)
    assert (looked.counts.archived, looked.counts.changed) == (1, 1)
    await hub.settle()
    assert (await states(hub))["a"] == ON_SALE, "a look ends nothing"
    async with hub.database.transaction(hub.id) as tx:
        await importing.go_on(tx, hub.actor, looked.id, apply=True)
    done = await importing.take_in(hub.database, hub.actor, FILE, options)
    assert (done.counts.archived, done.stage) == (1, "applied")
    await hub.settle()
    assert await states(hub) == {"a": GONE if end else ON_SALE, "b": ON_SALE}
    again = await importing.take_in(hub.database, hub.actor, FILE, ImportOptions("EUR"))
    assert again.counts.archived == 0
    await hub.settle()
    assert (await states(hub))["a"] == (GONE if end else ON_SALE), "what was archived before is not asked for again"


async def listing_of(hub: PublishHub, sku: str) -> tuple[UUID, bool, bool]:
    [row] = [
        row
        for row in await hub.rows("select id, sku, active, closing from listing where organisation_id = $1")
        if row["sku"] == sku
    ]
    return row["id"], row["active"], row["closing"]


@pytest.mark.parametrize("channel", ["shopify", "square"])
async def test_a_listing_matched_to_a_variant_out_of_use_closes_and_opens_for_another(
    database: Database, organisation_id: UUID, channel: str
) -> None:
    """Shopify cannot hide a single variant, so it shows nothing there; Square can, so it ends."""
    async with publish_hub(database, organisation_id, channel) as hub:
        made = await hub.save(mug("A"))
        await hub.ask(Wanted.PUBLISH)
        await hub.settle()
        listing, _, _ = await listing_of(hub, "A-1")
        [product] = await hub.products()
        async with database.transaction(hub.id) as tx:
            await match_queue.unmatch(tx, hub.actor, listing)
            [variant] = [v.id for v in (await reading.product_detail(tx, product)).variants if v.sku == "A-1"]
            await editing.save(tx, product, ProductEdit({}, (VariantEdit(variant, {"state": "archived"}),)))
        await hub.settle()
        async with database.transaction(hub.id) as tx:
            await match_queue.assign(tx, hub.actor, listing, made["A-1"])
        await hub.react()
        assert await listing_of(hub, "A-1") == (listing, True, True)
        await hub.settle()
        assert not (await hub.on_offer()).get("A-1", [0])[0]
        assert (await hub.on_offer())["A-0"][0] > 0
        assert (await listing_of(hub, "A-1"))[1] == (channel == "shopify")
        if channel == "shopify":
            [extra] = (await hub.save(mug("B", ("Red",)))).values()
            async with database.transaction(hub.id) as tx:
                await match_queue.unmatch(tx, hub.actor, listing)
            async with database.transaction(hub.id) as tx:
                await match_queue.assign(tx, hub.actor, listing, extra)
            await hub.settle()
            assert await listing_of(hub, "A-1") == (listing, True, False), "another variant, which is in use"
            assert (await hub.on_offer())["A-1"][0] > 0


@pytest.mark.parametrize("end", [True, False])
async def test_a_listing_matched_to_an_archived_product_ends_as_the_product_did_there(
    hub: PublishHub, end: bool
) -> None:
    """Somebody made the same product twice in the shop; the second comes to light when the first has ended."""
    [variant] = [row[0] for row in await hub.rows("select id from variant where organisation_id = $1 and sku = 'A-0'")]
    listing, _, _ = await listing_of(hub, "B-0")
    await bulk_edit(hub, ARCHIVE, end=end)
    async with hub.database.transaction(hub.id) as tx:
        await match_queue.unmatch(tx, hub.actor, listing)
    await hub.settle()
    async with hub.database.transaction(hub.id) as tx:
        await tx.execute("update listing set active = true where organisation_id = $1 and id = $2", hub.id, listing)
        await match_queue.assign(tx, hub.actor, listing, variant)
    await hub.react()
    intent = (await hub.intents("shopify"))["a"]
    assert (intent.wanted, intent.state) == (("archive", "ending") if end else ("publish", "live"))
    if end:
        assert intent.asked_by == "the hub"
        assert (await listing_of(hub, "B-0"))[1:] == (True, False)
        await hub.step("shopify")
        assert (await listing_of(hub, "B-0"))[1:] != (True, False), "it shows nothing any more"
        # It is two products there by now, which only a person can end; they are told.
        await hub.settle()
        found = (await hub.intents("shopify"))["a"]
        assert (found.state, "products there" in found.text) == ("error", True), found.text
