"""What ends on channels over real HTTP: archived products and variants, and products that a channel deleted itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.sync.publish_hub import CHANNELS, PublishHub, mug, publish_hub

from entrepot.catalog import editing, reading
from entrepot.catalog.editing import ProductEdit, VariantEdit
from entrepot.channels.contract import EndBatch, EndKind, ListingEnd
from entrepot.connectors.registry import connector_of
from entrepot.database.pool import Database
from entrepot.kernel.clock import utc_now
from entrepot.sync.check import listings_step
from entrepot.sync.publishing import archiving
from entrepot.sync.publishing.contracts import Ending, Wanted


@pytest.fixture
async def hub(database: Database, organisation_id: UUID) -> AsyncIterator[PublishHub]:
    async with publish_hub(database, organisation_id) as hub:
        hub.context.settings = replace(hub.context.settings, gone_after_s=0.0)
        yield hub


async def archive(hub: PublishHub) -> dict[str, Ending]:
    """Archive the only product as the page does; return what becomes of it by channel."""
    [product] = await hub.products()
    async with hub.database.transaction(hub.id) as tx:
        await editing.archive(tx, product)
        endings = await archiving.end_everywhere(tx, hub.actor, connector_of, [product])
    keys = {id: key for key, id in hub.connections.items()}
    return {keys[each.connection_id]: each for each in endings}


async def set_state(hub: PublishHub, sku: str, state: str) -> None:
    [product] = await hub.products()
    async with hub.database.transaction(hub.id) as tx:
        [variant] = [v.id for v in (await reading.product_detail(tx, product)).variants if v.sku == sku]
        await editing.save(tx, product, ProductEdit({}, (VariantEdit(variant, {"state": state}),)))


async def delete_there(hub: PublishHub, channel: str, *skus: str) -> None:
    """Somebody deletes the product, or these variants of it, in the channel's own admin."""
    connector: Any = connector_of(channel)
    there = await hub.there(channel)
    refs = tuple(there[sku].ref for sku in skus or tuple(there))
    parent = next(iter(there.values())).product_external_id
    end = ListingEnd("gone", parent, refs, EndKind.DELETE, whole=not skus)
    receipt = await connector.end_listings(hub.wire(channel), EndBatch("key", (end,), utc_now()))
    assert [str(each.outcome) for each in receipt.results] == ["applied"]


async def listings(hub: PublishHub, channel: str) -> dict[str, bool]:
    rows = await hub.rows(
        "select sku, active, connection_id from listing where organisation_id = $1 and variant_id is not null"
    )
    return {row["sku"]: row["active"] for row in rows if row["connection_id"] == hub.connections[channel]}


async def test_an_archived_product_ends_everywhere_as_gently_as_each_channel_can(hub: PublishHub) -> None:
    await hub.save(mug("A"))
    await hub.ask(Wanted.PUBLISH)
    await hub.settle()
    endings = await archive(hub)
    assert {key: each.wanted for key, each in endings.items()} == {
        "shopify": Wanted.ARCHIVE, "amazon": Wanted.UNPUBLISH, "square": Wanted.ARCHIVE,
    }  # fmt: skip
    assert all("once it shows no stock" in each.words for each in endings.values())
    await hub.settle()
    for channel in CHANNELS:
        [intent] = (await hub.intents(channel)).values()
        assert (intent.state, intent.wanted, intent.text) == ("ended", str(endings[channel].wanted), ""), channel
        assert not any((await listings(hub, channel)).values()), channel
        assert not any(each.active for each in (await hub.there(channel)).values()), channel
    assert await hub.on_offer() == {}
    assert await archive(hub) == {}, "what has ended is not ended again"


async def test_what_was_only_asked_for_is_not_published_after_its_archiving(
    database: Database, organisation_id: UUID
) -> None:
    async with publish_hub(database, organisation_id, "amazon") as hub:
        await hub.save(mug("A", vendor=""))
        await hub.ask(Wanted.PUBLISH)
        await hub.settle()
        assert (await hub.intents("amazon"))["a"].state == "draft"
        assert set(await archive(hub)) == {"amazon"}
        await hub.settle()
        assert (await hub.intents("amazon"))["a"].state == "ended"
        assert await hub.there("amazon") == {}


async def test_an_archived_variant_shows_nothing_and_ends_where_single_ones_can(hub: PublishHub) -> None:
    await hub.save(mug("A", ("Red", "Blue")))
    await hub.ask(Wanted.PUBLISH)
    await hub.settle()
    await set_state(hub, "A-1", "archived")
    await hub.settle()
    for channel in CHANNELS:
        there = await hub.there(channel)
        ended = channel != "shopify"
        assert await listings(hub, channel) == {"A-0": True, "A-1": not ended}, channel
        assert (there["A-0"].active, there["A-1"].active if "A-1" in there else False) == (True, not ended), channel
        assert not (there["A-1"].quantity if "A-1" in there and not ended else 0), channel
        assert (await hub.intents(channel))["a"].state == "live"
    offered = await hub.on_offer()
    assert sum(offered["A-0"]) > 0
    assert offered["A-1"] == [0]
    # Back in use: what only showed nothing shows stock again by itself, the rest once it is published.
    await set_state(hub, "A-1", "active")
    await hub.settle()
    assert (await hub.there("shopify"))["A-1"].quantity
    await hub.ask(Wanted.PUBLISH)
    await hub.settle()
    for channel in CHANNELS:
        assert (await hub.there(channel))["A-1"].active, channel
        assert (await listings(hub, channel))["A-1"], channel


@pytest.mark.parametrize("channel", CHANNELS)
async def test_a_product_that_the_channel_deleted_ends_here_and_can_be_published_again(
    hub: PublishHub, channel: str
) -> None:
    await hub.save(mug("A"))
    await hub.ask(Wanted.PUBLISH)
    await hub.settle()
    await delete_there(hub, channel)
    await hub.want_read(channel, "A-0")
    await hub.settle()
    intent = (await hub.intents(channel))["a"]
    assert intent.state == "ended"
    assert intent.text.startswith("It was deleted on")
    assert not any((await listings(hub, channel)).values())
    assert await hub.rows("select 1 from conflict where organisation_id = $1 and state = 'open'") == []
    for other in set(CHANNELS) - {channel}:
        assert all((await listings(hub, other)).values()), other
    await hub.ask(Wanted.PUBLISH, channel)
    await hub.settle()
    again = await hub.there(channel)
    assert set(again) == {"A-0", "A-1"}
    assert {each.active for each in again.values()} == {True}
    assert (await hub.intents(channel))["a"].state == "live", (await hub.intents(channel))["a"].text
    assert set((await hub.on_offer())["A-0"]) - {0}


async def test_a_variant_that_the_channel_deleted_ends_alone(database: Database, organisation_id: UUID) -> None:
    async with publish_hub(database, organisation_id, "shopify") as hub:
        hub.context.settings = replace(hub.context.settings, gone_after_s=0.0)
        await hub.save(mug("A"))
        await hub.ask(Wanted.PUBLISH)
        await hub.settle()
        await delete_there(hub, "shopify", "A-1")
        await hub.want_read("shopify", "A-0")
        await hub.settle()
        assert await listings(hub, "shopify") == {"A-0": True, "A-1": False}
        assert (await hub.intents("shopify"))["a"].state == "live"


async def test_one_reading_without_it_ends_nothing_and_a_reading_with_it_forgets(
    database: Database, organisation_id: UUID
) -> None:
    async with publish_hub(database, organisation_id, "square") as hub:
        now = utc_now()
        hub.context.clock = lambda: now
        await hub.save(mug("A"))
        await hub.ask(Wanted.PUBLISH)
        await hub.settle()
        now = utc_now() + timedelta(seconds=5)
        await delete_there(hub, "square")
        await hub.want_read("square", "A-0")
        await hub.settle(4)
        [row] = {tuple(r) for r in await hub.rows("select missing_since, read_wanted_at is not null from listing_reading"
                                                  " where organisation_id = $1")}  # fmt: skip
        assert row[0] is not None
        assert (await hub.intents("square"))["a"].state == "live"
        assert all((await listings(hub, "square")).values()), "once is not enough"
        now += timedelta(minutes=11)
        await hub.settle(4)
        assert (await hub.intents("square"))["a"].state == "ended"


async def test_a_reading_of_all_looks_at_the_source_for_what_is_missing(
    database: Database, organisation_id: UUID
) -> None:
    async with publish_hub(database, organisation_id, "amazon") as hub:
        hub.context.settings = replace(hub.context.settings, gone_after_s=0.0)
        await hub.save(mug("A"), mug("B", ("Red",)))
        await hub.ask(Wanted.PUBLISH)
        await hub.settle()
        there = await hub.there("amazon")
        connector: Any = connector_of("amazon")
        end = ListingEnd("b", "B-0", (there["B-0"].ref,), EndKind.DELETE)
        await connector.end_listings(hub.wire("amazon"), EndBatch("key", (end,), utc_now()))
        await listings_step(hub.context, hub.key("listings", "amazon"))
        await hub.settle()
        assert await listings(hub, "amazon") == {"A-0": True, "A-1": True, "B-0": False}
        assert {h: i.state for h, i in (await hub.intents("amazon")).items()} == {"a": "live", "b": "ended"}
