"""A listing that came in without a variant: matched later it is kept in step, unmatched it is left alone."""

from __future__ import annotations

from functools import partial
from uuid import UUID

import pytest
from tests.sync.channel import Channel
from tests.sync.hub import Hub

from entrepot.catalog import match_queue
from entrepot.catalog.match_contracts import MATCHING, MatchRound
from entrepot.catalog.match_work import match_listings
from entrepot.channels.contract import QuantitySemantics
from entrepot.database.pool import Database
from entrepot.identity.contracts import system_actor
from entrepot.jobs import facade as jobs
from entrepot.orders import facade as orders
from entrepot.sync import matching
from entrepot.sync.check import listings_step

CAS = QuantitySemantics.COMPARE_AND_SET
ODD = "A mug with a long name, unheard of"


@pytest.fixture
async def hub(database: Database, organisation_id: UUID) -> Hub:
    """A hub with A in step, and a listing on the channel whose SKU nobody knows."""
    hub = Hub(database, organisation_id, Channel(CAS))
    hub.channels[str(CAS)].books = {ODD: 77}
    return await hub.set_up({"A": 10})


async def odd_listing(hub: Hub) -> UUID:
    async with hub.database.transaction(hub.id) as tx:
        found: UUID = await tx.fetch_value("select id from listing where external_id = $1", ODD)
    return found


async def test_what_a_pull_brings_without_a_variant_waits_and_the_job_is_asked_for(hub: Hub) -> None:
    async with hub.database.transaction(hub.id) as tx:
        row = await tx.fetch_row("select * from match_listing where listing_id = $1", await odd_listing(hub))
        assert (await jobs.counts(tx))[MATCHING.name].queued == 1
    assert row is not None
    assert (row["title"], row["sku"], row["due"]) == (ODD, ODD, True)
    async with hub.database.transaction(hub.id) as tx:
        job = await jobs.enqueue(tx, MATCHING, MatchRound(), actor="test")
    handler = partial(match_listings, settle=orders.settle_exceptions)
    await jobs.perform(hub.database, MATCHING, handler, hub.id, job)
    await hub.settle()
    assert hub.channels[str(CAS)].books == {"A": 4, ODD: 77}


async def test_matched_it_is_kept_in_step_and_unmatched_it_is_left_alone(hub: Hub) -> None:
    channel, listing_id, ada = hub.channels[str(CAS)], await odd_listing(hub), system_actor(hub.id, "Ada")
    async with hub.database.transaction(hub.id) as tx:
        await matching.assign(tx, ada, listing_id, hub.made["A"])
    await hub.settle()
    assert channel.books == {"A": 2, ODD: 2}, "the channel's part, divided"
    async with hub.database.transaction(hub.id) as tx:
        await match_queue.unmatch(tx, ada, listing_id)
    await hub.settle()
    assert channel.books == {"A": 4, ODD: 2}
    await hub.set_stock("A", 5)
    await hub.settle()
    await listings_step(hub.context, hub.key("listings", str(CAS)))
    await hub.settle()
    assert channel.books == {"A": 2, ODD: 2}
    assert [row["external_id"] for row in await hub.rows(str(CAS))] == ["A"]
    await hub.verify()
