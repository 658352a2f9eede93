"""Publishing and ending as actions, on simulated channels over real HTTP: carried out, followed to the end, read back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from tests.agents.support import Office, office
from tests.sync.publish_hub import PublishHub, mug, publish_hub

from entrepot.actions import all_actions
from entrepot.agents.actions import NothingToDo
from entrepot.agents.carrying import Carrier
from entrepot.agents.facade import ActionCall, Task, TaskDesk
from entrepot.agents.lifecycle import State
from entrepot.connectors.registry import connector_of
from entrepot.database.pool import Database


@pytest.fixture
async def hub(database: Database, organisation_id: UUID) -> AsyncIterator[PublishHub]:
    async with publish_hub(database, organisation_id, "shopify", "square") as hub:
        yield hub


@pytest.fixture
async def here(hub: PublishHub) -> Office:
    return await office(hub.database, hub.id, TaskDesk(all_actions(connector_of)))


async def carried_out(here: Office, hub: PublishHub, name: str, **given: Any) -> Task:
    task = await here.approve(await here.propose(action=ActionCall(name, given)))
    carrier = Carrier(here.desk.actions)
    await here.work(carrier, rounds=2)
    assert (await here.task(task)).state is State.IN_PROGRESS
    await hub.settle()
    await here.work(carrier)
    return await here.task(task)


async def test_products_are_published_and_ended_by_tasks(here: Office, hub: PublishHub) -> None:
    await hub.save(mug("A"), mug("B", ("Red",)))
    products = [str(id) for id in await hub.products()]
    shops = [str(id) for id in hub.connections.values()]
    done = await carried_out(here, hub, "listing.publish", productIds=products, connectionIds=shops)
    assert done.state is State.COMPLETED
    assert done.outcome
    assert (done.outcome["verified"], done.outcome["words"]) == ("verified", "Done for 4 listings.")
    assert set(await hub.there("shopify")) == {"A-0", "A-1", "B-0"}
    assert "undo" not in {str(move) for move in here.desk.moves(here.admin, done)}
    with pytest.raises(NothingToDo):
        await here.propose(action=ActionCall("listing.publish", {"productIds": products, "connectionIds": shops}))
    square = [str(hub.connections["square"])]
    ended = await carried_out(here, hub, "listing.end", productIds=products[:1], connectionIds=square, how="delete")
    assert ended.outcome
    assert ended.outcome["verified"] == "verified", ended.outcome
    assert set(await hub.there("square")) == {"B-0"}


async def test_a_product_that_the_channel_cannot_take_is_told(here: Office, hub: PublishHub) -> None:
    await hub.save(mug("A", title="x" * 255, images=(), description=""))
    async with here.database.transaction(here.id) as tx:
        await tx.execute("update product set title = repeat('y', 600) where organisation_id = $1", here.id)
    given = {"productIds": [str(id) for id in await hub.products()], "connectionIds": [str(hub.connections["square"])]}
    task = await here.propose(action=ActionCall("listing.publish", given))
    assert task.look
    assert task.look["facts"], "what the channel would refuse is shown before anybody decides"
    await here.approve(task)
    await here.work(Carrier(here.desk.actions), rounds=1)
    await hub.settle()
    await here.work(Carrier(here.desk.actions))
    done = await here.task(task)
    assert done.outcome
    assert done.outcome["verified"] == "failed"
