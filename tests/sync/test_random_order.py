"""Sales, faults, pushes and checks in random order: when all is delivered, every listing shows what it shall."""

from __future__ import annotations

import random
from contextlib import suppress
from uuid import UUID

import pytest
from tests.sync.channel import Channel, WorkerDied
from tests.sync.hub import Hub
from tests.sync.kinds import every

from entrepot.allocation import facade as allocation
from entrepot.channels.contract import PushOutcome, QuantitySemantics
from entrepot.database.pool import Database


async def simulate(hub: Hub, chance: random.Random, steps: int) -> None:
    """Sales, orders doubled and late, stock changes, pushes with faults, checks, in random order."""
    for _ in range(steps):
        name = chance.choice(list(hub.channels))
        channel = hub.channels[name]
        match chance.choice(
            ["sell", "sell", "sell", "tell", "tell", "show", "stock", "push", "push", "pull", "check", "time"]
        ):
            case "sell":
                channel.sell(chance.choice(list(channel.books)), chance.randint(1, 3), hidden=chance.random() < 0.5)
            case "tell" if channel.feed:
                known = list(channel.feed.values())
                await hub.take(name, *chance.choices(known, k=2))
            case "show":
                channel.hidden -= set(list(channel.hidden)[:1])
            case "stock":
                await hub.set_stock(chance.choice(list(hub.made)), chance.randint(5, 60))
            case "push":
                if chance.random() < 0.5:
                    channel.faults = [chance.choice(["lost", "dropped", "busy", "died", "killed"])]
                elif chance.random() < 0.3:
                    fault = chance.choice([PushOutcome.FAILED, PushOutcome.UNKNOWN])
                    channel.item_faults = {chance.choice(list(channel.books)): fault}
                with suppress(WorkerDied):
                    await hub.push(name)
            case "pull":
                await hub.pull(name)
            case "check":
                await hub.check(name)
            case "time":
                await hub.pass_time()


SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 30))]


async def end_in_step(hub: Hub) -> None:
    """With everything delivered and no faults, every listing comes to show what it shall; the ledger adds up."""
    for channel in hub.channels.values():
        channel.hidden.clear()
        channel.faults.clear()
        channel.item_faults.clear()
    await hub.settle(20)
    for name, channel in hub.channels.items():
        assert channel.books == await hub.desired(name)
        assert {row["state"] for row in await hub.rows(name)} == {"in_step"}
    await hub.verify()


@every
@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_happens_the_end_is_in_step(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics, seed: int
) -> None:
    hub = await Hub(database, organisation_id, Channel(semantics), patience_s=0.0).set_up({"A": 40, "B": 15})
    await simulate(hub, random.Random(seed), 60)
    await end_in_step(hub)


@pytest.mark.parametrize("seed", SEEDS[2:12])
async def test_channels_of_all_kinds_together_end_in_step(database: Database, organisation_id: UUID, seed: int) -> None:
    channels = [Channel(semantics) for semantics in QuantitySemantics]
    hub = await Hub(database, organisation_id, *channels, patience_s=0.0).set_up({"A": 40, "B": 15})
    async with database.transaction(organisation_id) as tx:
        await allocation.set_policy(tx, "pool_minus_buffer", {"buffer": 1})
    await simulate(hub, random.Random(seed), 90)
    await end_in_step(hub)
