"""What is written first, how much at once, and by which way, where there is much to write."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from tests.sync.channel import Channel
from tests.sync.hub import Hub
from tests.sync.kinds import ABSOLUTE

from entrepot.database.pool import Database


async def many(database: Database, organisation_id: UUID, skus: int) -> tuple[Hub, Channel]:
    """A hub in step with a channel that overwrites, shows 40 of each and has a slow way for 5 and more; two go quickly."""
    channel = Channel(ABSOLUTE, bulk_from=5)
    hub = Hub(database, organisation_id, channel)
    await hub.set_up({f"S{number}": 100 for number in range(skus)})
    hub.context.settings = replace(hub.context.settings, patch_batch_max=2, lower_by_bulk_from=12)
    hub.context.paces.clear()
    channel.pushes.clear()
    return hub, channel


def sent(channel: Channel) -> list[list[str]]:
    return [sorted(change.ref.external_id for change in batch.changes) for batch in channel.pushes]


async def test_of_what_must_be_lowered_the_fewest_left_go_first_and_quickly(
    database: Database, organisation_id: UUID
) -> None:
    hub, channel = await many(database, organisation_id, 8)
    for number, left in enumerate((80, 70, 3, 60, 0, 20, 50, 8)):
        await hub.set_stock(f"S{number}", left)
    await hub.push("absolute")
    await hub.push("absolute")
    assert sent(channel) == [["S2", "S4"], ["S5", "S7"]]


async def test_only_raising_goes_the_slow_way_until_lowering_would_take_as_long(
    database: Database, organisation_id: UUID
) -> None:
    hub, channel = await many(database, organisation_id, 16)
    for number in range(8):
        await hub.set_stock(f"S{number}", 0)
    await hub.settle()
    assert {len(batch) for batch in sent(channel)} == {2}
    channel.pushes.clear()
    for number in range(8):
        await hub.set_stock(f"S{number}", 100)
    await hub.settle()
    assert sent(channel) == [[f"S{number}" for number in range(8)]]
    channel.pushes.clear()
    for number in range(16):
        await hub.set_stock(f"S{number}", number + 1)
    await hub.push("absolute")
    assert len(channel.pushes[0].changes) == 11
    assert min(change.to_quantity for change in channel.pushes[0].changes) >= 2


async def test_batches_go_side_by_side_until_one_comes_too_late(database: Database, organisation_id: UUID) -> None:
    hub, channel = await many(database, organisation_id, 16)
    key = hub.key("push", "absolute")
    for left in (90, 80):
        for number in range(10):
            await hub.set_stock(f"S{number}", left)
        while await hub.push("absolute") == 0.0:
            pass
    assert hub.context.paces[key].side_by_side > 1
    channel.faults = ["late"]
    for number in range(10):
        await hub.set_stock(f"S{number}", 10)
    await hub.push("absolute")
    assert hub.context.paces[key].side_by_side == 1
    assert not hub.context.failing
    await hub.settle()
    assert channel.books == await hub.desired("absolute")
