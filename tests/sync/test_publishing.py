"""Publishing to the simulated marketplaces over real HTTP: made once whatever happens, followed to the end, ended again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import pytest
from tests.sync.publish_hub import CHANNELS, PublishHub, WorkerDied, mug, publish_hub

from entrepot.database.pool import Database
from entrepot.sync.publishing.contracts import Wanted


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
        "select q.expected, q.desired, q.state, l.active, l.variant_id is not null as matched from listing_quantity q"
        " join listing l on l.organisation_id = $1 and l.id = q.listing_id where q.organisation_id = $1"
    )
    assert len(shows) == 18
    assert {row["state"] for row in shows} == {"in_step"}
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
