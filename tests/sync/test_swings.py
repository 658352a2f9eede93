"""Stock that changes on a channel by more than the limit: a fall is held, a rise set back at once; a person says what it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sync.channel import Channel
from tests.sync.hub import Hub
from tests.sync.kinds import every, make

from entrepot.channels.contract import QuantitySemantics
from entrepot.database.pool import Database
from entrepot.identity.facade import Actor, ActorKind, Scope, system_actor
from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.ids import new_id
from entrepot.sync import conflicts
from entrepot.sync.conflicts import Choice, ConflictMoved, Side
from entrepot.sync.fields import troubles
from entrepot.sync.rules import SwingLimit


@given(st.integers(-50, 20_000), st.integers(-50, 20_000))
def test_a_swing_is_the_same_both_ways_and_never_small(before: int, after: int) -> None:
    limit = SwingLimit(20, 0.5)
    assert limit.is_met(before, after) == limit.is_met(after, before)
    if abs(after - before) < 20 or (before > 0 and after > 0 and max(before, after) <= 2 * min(before, after)):
        assert not limit.is_met(before, after)
    assert not SwingLimit(1, 1.0).is_met(abs(before), abs(after)), "nothing changes by more than all"


def test_the_examples_of_swings() -> None:
    limit = SwingLimit()
    assert limit.is_met(500, 0)
    assert limit.is_met(10, 10_000)
    assert not limit.is_met(500, 300)
    assert not limit.is_met(15, 0)


async def look(hub: Hub, name: str) -> None:
    """Compare until nothing is left to find out, as time would."""
    for _ in range(4):
        await hub.pull(name)
        await hub.check_all(name)
        await hub.push(name)
        await hub.react()


async def swings(hub: Hub) -> list[Any]:
    async with hub.database.transaction(hub.id) as tx:
        await troubles.refresh(tx, datetime.now(UTC) + timedelta(minutes=2))
        return await tx.fetch(
            "select * from conflict where organisation_id = $1 and state = 'open' and why = 'stock_swing'", hub.id
        )


async def decide(hub: Hub, side: Side, actor: Actor | None = None) -> None:
    [conflict] = await swings(hub)
    async with hub.database.transaction(hub.id) as tx:
        who = actor or system_actor(hub.id, "Ada")
        await conflicts.resolve(tx, who, conflict["id"], Choice(side), datetime.now(UTC))


async def on_hand(hub: Hub, sku: str) -> int:
    async with hub.database.transaction(hub.id) as tx:
        found: int = await tx.fetch_value(
            "select sum(l.on_hand) from stock_level l join variant v on v.organisation_id = $1 and v.id = l.variant_id"
            " where l.organisation_id = $1 and v.sku = $2", hub.id, sku,
        )  # fmt: skip
    return found


async def fallen(database: Database, organisation_id: UUID, semantics: QuantitySemantics) -> tuple[Hub, Channel, str]:
    hub, channel, name = await make(database, organisation_id, semantics)
    channel.books["A"] = 0
    await look(hub, name)
    return hub, channel, name


@every
async def test_a_fall_is_held_and_takes_nothing_with_it(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics
) -> None:
    hub, channel, name = await fallen(database, organisation_id, semantics)
    await look(hub, name)
    assert channel.books == {"A": 0, "B": 4}, "it is not offered again before somebody says why"
    assert await on_hand(hub, "A") == 100
    row = await hub.row(name, "A")
    assert (row["swing_from"], row["swing_to"], row["desired"]) == (40, 0, 40)
    [conflict] = await swings(hub)
    assert [conflict[side] for side in ("base", "ours", "theirs")] == ["40", "40", "0"]
    async with database.transaction(organisation_id) as tx:
        assert await tx.fetch_value("select count(*) from conflict where organisation_id = $1", organisation_id) == 1


@every
async def test_ours_shows_the_hubs_figure_again(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics
) -> None:
    hub, channel, name = await fallen(database, organisation_id, semantics)
    await decide(hub, Side.OURS)
    await look(hub, name)
    await hub.settle()
    assert channel.books == {"A": 40, "B": 4} == await hub.desired(name)
    assert await on_hand(hub, "A") == 100
    assert await swings(hub) == []
    assert (await hub.row(name, "A"))["state"] == "in_step"


@every
async def test_theirs_changes_the_hubs_stock_by_as_much(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics
) -> None:
    hub, channel, name = await fallen(database, organisation_id, semantics)
    few = Actor(ActorKind.PERSON, new_id(), "Bo", hub.id, None, frozenset({Scope.PRODUCTS_WRITE}))
    with pytest.raises(EntrepotError, match="stock:write"):
        await decide(hub, Side.THEIRS, few)
    await decide(hub, Side.THEIRS)
    await look(hub, name)
    await hub.settle()
    assert await on_hand(hub, "A") == 60
    assert channel.books == await hub.desired(name)
    assert await swings(hub) == []
    await hub.verify()


@every
async def test_a_fall_that_goes_away_asks_nobody(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics
) -> None:
    hub, channel, name = await fallen(database, organisation_id, semantics)
    [conflict] = await swings(hub)
    channel.books["A"] = 40
    await look(hub, name)
    assert await swings(hub) == []
    async with database.transaction(organisation_id) as tx:
        with pytest.raises(EntrepotError):
            await conflicts.resolve(
                tx, system_actor(hub.id, "Ada"), conflict["id"], Choice(Side.THEIRS), datetime.now(UTC)
            )
    assert await on_hand(hub, "A") == 100


@every
async def test_a_rise_is_set_back_at_once_and_still_asked_about(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics
) -> None:
    hub, channel, name = await make(database, organisation_id, semantics)
    channel.books["B"] = 4000
    await look(hub, name)
    assert channel.books["B"] == 4, "nobody may buy what is not there"
    assert await on_hand(hub, "B") == 10
    [conflict] = await swings(hub)
    assert [conflict[side] for side in ("base", "ours", "theirs")] == ["4", "4", "4000"]
    await decide(hub, Side.THEIRS)
    await look(hub, name)
    await hub.settle()
    assert await on_hand(hub, "B") == 4006
    assert channel.books == await hub.desired(name)
    await hub.verify()


@every
async def test_sales_go_on_while_it_waits_and_small_differences_close_by_themselves(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics
) -> None:
    hub, channel, name = await make(database, organisation_id, semantics)
    channel.books["A"] = 5
    await look(hub, name)
    assert len(await swings(hub)) == 1
    sold = channel.sell("A", 2)
    assert sold is not None
    await hub.take(name, sold)
    await look(hub, name)
    assert channel.books["A"] < 5, "what follows from the sale goes on"
    await decide(hub, Side.OURS)
    await look(hub, name)
    await hub.settle()
    assert channel.books == await hub.desired(name)
    assert await on_hand(hub, "A") == 100
    channel.books["A"] -= 3
    await look(hub, name)
    await hub.settle()
    assert channel.books == await hub.desired(name)
    assert await swings(hub) == []


async def test_a_decision_about_another_figure_is_refused(database: Database, organisation_id: UUID) -> None:
    hub, channel, name = await fallen(database, organisation_id, QuantitySemantics.DELTA)
    [conflict] = await swings(hub)
    channel.books["A"] = 2
    await look(hub, name)
    async with database.transaction(organisation_id) as tx:
        with pytest.raises(ConflictMoved):
            await conflicts.resolve(
                tx, system_actor(hub.id, "Ada"), conflict["id"], Choice(Side.THEIRS), datetime.now(UTC)
            )


@every
async def test_a_rise_that_a_cancellation_explains_asks_nobody(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics
) -> None:
    hub, channel, name = await make(database, organisation_id, semantics)
    channel.restocks = True
    sold = channel.sell("A", 35)
    assert sold is not None
    await hub.take(name, sold)
    await hub.settle()
    cancelled = channel.cancel(sold.external_id)
    await hub.check_all(name)
    await hub.push(name)
    assert (await hub.row(name, "A"))["swing_at"] is not None
    await hub.take(name, cancelled)
    await hub.settle()
    assert await swings(hub) == []
    assert channel.books == {"A": 40, "B": 4} == await hub.desired(name)
