"""Pushing, pulling and checking against channels of all three semantics, with lost answers, deaths and unseen sales."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from tests.sync.channel import WorkerDied
from tests.sync.kinds import ABSOLUTE, CAS, DELTA, every, keyed, make

from entrepot.allocation import facade as allocation
from entrepot.channels.contract import CredentialsRejected, PushOutcome, QuantitySemantics, RequestRejected
from entrepot.database.pool import Database
from entrepot.jobs.lanes import Rest
from entrepot.kernel.clock import utc_now
from entrepot.sync import facade as sync


@every
async def test_listings_are_brought_to_what_is_wanted(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics
) -> None:
    hub, channel, name = await make(database, organisation_id, semantics)
    sold = channel.sell("A", 10)
    assert sold is not None
    await hub.take(name, sold)
    await hub.settle()
    assert channel.books == {"A": 36, "B": 4} == await hub.desired(name)
    assert {row["state"] for row in await hub.rows(name)} == {"in_step"}
    await hub.settle()
    assert channel.books == {"A": 36, "B": 4}


@keyed
@pytest.mark.parametrize("fault", ["lost", "dropped", "died", "killed"])
async def test_a_lost_answer_is_asked_for_again_under_the_same_key(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics, fault: str
) -> None:
    hub, channel, name = await make(database, organisation_id, semantics)
    await hub.set_stock("A", 50)
    channel.pushes, channel.faults = [], [fault]
    try:
        await hub.push(name)
    except WorkerDied:
        assert fault in ("died", "killed")
    assert (await hub.row(name, "A"))["state"] == "sending"
    await hub.push(name)
    first, second = channel.pushes
    assert first == second
    assert channel.books["A"] == 20
    assert (await hub.row(name, "A"))["state"] == "in_step"


@keyed
@pytest.mark.parametrize("refusal", ["busy", "refused"])
async def test_a_refusal_of_the_repetition_does_not_prove_that_nothing_was_written(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics, refusal: str
) -> None:
    hub, channel, name = await make(database, organisation_id, semantics)
    await hub.set_stock("A", 50)
    channel.faults, channel.trail = ["lost", refusal], []
    await hub.push(name)
    await hub.push(name)
    assert (await hub.row(name, "A"))["state"] != "parked", "a person need not look at it"
    await hub.settle()
    assert channel.trail == [("A", 20)]
    assert (await hub.row(name, "A"))["expected"] == 20


@pytest.mark.parametrize("fault", ["lost", "dropped", "died", "killed"])
async def test_a_channel_that_overwrites_is_written_again(
    database: Database, organisation_id: UUID, fault: str
) -> None:
    hub, channel, name = await make(database, organisation_id, ABSOLUTE)
    await hub.set_stock("A", 50)
    channel.faults = [fault]
    try:
        await hub.push(name)
    except WorkerDied:
        await hub.push(name)
    await hub.settle()
    assert channel.books["A"] == 20
    row = await hub.row(name, "A")
    assert (row["state"], row["uncertain"]) == ("in_step", False)


@every
async def test_a_refused_listing_is_put_aside_and_its_neighbours_go_on(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics
) -> None:
    hub, channel, name = await make(database, organisation_id, semantics)
    channel.item_faults = {"A": PushOutcome.REFUSED}
    await hub.set_stock("A", 50)
    await hub.set_stock("B", 5)
    await hub.settle()
    assert channel.books == {"A": 40, "B": 2}
    row = await hub.row(name, "A")
    assert (row["state"], row["detail"]) == ("parked", "refused by the channel")
    async with database.transaction(organisation_id) as tx:
        assert await sync.retry_parked(tx) == 1
    await hub.settle()
    assert channel.books == {"A": 20, "B": 2}


@every
@pytest.mark.parametrize("outcome", [PushOutcome.FAILED, PushOutcome.UNKNOWN])
async def test_a_failed_or_unknown_item_is_tried_again(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics, outcome: PushOutcome
) -> None:
    hub, channel, name = await make(database, organisation_id, semantics)
    channel.item_faults = {"A": outcome}
    await hub.set_stock("A", 50)
    await hub.set_stock("B", 5)
    await hub.settle()
    assert channel.books == {"A": 20, "B": 2}
    assert {row["state"] for row in await hub.rows(name)} == {"in_step"}


@keyed
async def test_a_sale_that_is_not_known_yet_is_never_written_over(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics
) -> None:
    hub, channel, name = await make(database, organisation_id, semantics)
    sold = channel.sell("A", 10, hidden=True)
    assert sold is not None
    await hub.set_stock("A", 200)
    await hub.push(name)
    assert channel.books["A"] == 70, "the raise by the difference keeps the sale in the books"
    channel.hidden.clear()
    await hub.take(name, sold)
    await hub.settle()
    assert channel.books["A"] == (200 - 10) * 4 // 10 == (await hub.desired(name))["A"]


@keyed
async def test_an_unknown_outcome_and_an_unseen_sale_together_end_in_step(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics
) -> None:
    hub, channel, name = await make(database, organisation_id, semantics)
    async with database.transaction(organisation_id) as tx:
        await allocation.set_policy(tx, "pool_minus_buffer", {})
    await hub.settle()
    sold = channel.sell("A", 10, hidden=True)
    assert sold is not None
    channel.item_faults = {"A": PushOutcome.UNKNOWN}
    await hub.set_stock("A", 110)
    for _ in range(2):
        await hub.push(name)
        await hub.check(name)
    assert channel.books["A"] == 90  # The sale may be in what it shows: not raised before that is known.
    channel.hidden.clear()
    await hub.take(name, sold)
    assert (await hub.row(name, "A"))["expected"] == 90, "the sale is in what was read, and not taken off again"
    await hub.settle()
    assert channel.books["A"] == (await hub.desired(name))["A"] == 100


async def test_a_sale_that_explains_a_difference_makes_it_smaller(database: Database, organisation_id: UUID) -> None:
    hub, channel, name = await make(database, organisation_id, DELTA)
    sold = [channel.sell("A", units) for units in (4, 2)]
    assert sold[0] is not None
    await hub.check_all(name)
    assert (await hub.row(name, "A"))["gap"] == -6
    await hub.take(name, sold[0])
    row = await hub.row(name, "A")
    assert (row["expected"], row["gap"]) == (36, -2), "it shows 34, as was read"
    later = channel.sell("A", 3)
    assert later is not None
    await hub.take(name, later)
    row = await hub.row(name, "A")
    assert (row["expected"], row["gap"]) == (33, -2), "it shows 31: this sale was not in what was read"


async def test_what_a_lowering_finds_missing_is_known_at_once(database: Database, organisation_id: UUID) -> None:
    hub, channel, name = await make(database, organisation_id, DELTA)
    channel.sell("A", 5, hidden=True)
    await hub.set_stock("A", 50)
    await hub.push(name)
    row = await hub.row(name, "A")
    assert (channel.books["A"], row["expected"], row["gap"]) == (15, 20, -5)
    await hub.set_stock("A", 100)
    await hub.push(name)
    row = await hub.row(name, "A")
    assert (channel.books["A"], row["expected"], row["gap"]) == (35, 40, -5)


@pytest.mark.parametrize("fault", ["lost", "dropped"])
async def test_what_an_overwritten_listing_perhaps_showed_counts_until_its_orders_are_in(
    database: Database, organisation_id: UUID, fault: str
) -> None:
    hub, channel, name = await make(database, organisation_id, ABSOLUTE)
    await hub.set_stock("A", 0)
    await hub.settle()
    channel.faults = [fault]
    await hub.pull(name)
    await hub.set_stock("A", 50)
    await hub.push(name)
    assert not channel.faults
    channel.sell("A", 20, hidden=True)
    await hub.pull(name)
    assert (await hub.row(name, "A"))["shown_before"] == 20
    await hub.pass_time()
    await hub.push(name)
    assert (await hub.row(name, "A"))["shown_before"] == 20, "it was looked at, and may have sold before"
    channel.hidden.clear()
    await hub.settle()
    assert not (await hub.row(name, "A"))["shown_before"]
    assert channel.books["A"] == (await hub.desired(name))["A"]


async def test_a_channel_that_overwrites_is_not_raised_while_its_feed_is_behind(
    database: Database, organisation_id: UUID
) -> None:
    hub, channel, name = await make(database, organisation_id, ABSOLUTE)
    await hub.set_stock("A", 60)
    await hub.settle()
    sold = channel.sell("A", 4, hidden=True)
    assert sold is not None
    assert channel.books["A"] == 20
    await hub.set_stock("A", 70)
    channel.pushes = []
    await hub.settle()
    assert channel.pushes == []
    assert channel.books["A"] == 20
    channel.hidden.clear()
    await hub.settle()
    assert channel.books["A"] == 26 == (await hub.desired(name))["A"]


async def test_a_known_sale_makes_an_overwritten_listing_uncertain_and_it_is_written_again(
    database: Database, organisation_id: UUID
) -> None:
    hub, channel, name = await make(database, organisation_id, ABSOLUTE)
    sold = channel.sell("A", 10)
    assert sold is not None
    await hub.take(name, sold)
    row = await hub.row(name, "A")
    assert (row["expected"], row["desired"], row["uncertain"]) == (30, 36, True)
    await hub.push(name)
    assert channel.books["A"] == 30
    await hub.settle()
    assert channel.books["A"] == 36


async def test_lowering_an_overwriting_channel_never_brings_back_what_sold_unseen(
    database: Database, organisation_id: UUID
) -> None:
    hub, channel, _ = await make(database, organisation_id, ABSOLUTE)
    channel.sell("A", 35, hidden=True)
    await hub.set_stock("A", 50)
    await hub.settle(2)
    assert channel.books["A"] == 5


async def test_what_was_decided_before_a_reading_is_not_written_if_something_changed_meanwhile(
    database: Database, organisation_id: UUID
) -> None:
    hub, channel, name = await make(database, organisation_id, ABSOLUTE)

    async def more_is_gone() -> None:
        await hub.set_stock("A", 25)

    channel.after_reading = more_is_gone
    channel.pushes = []
    await hub.set_stock("A", 60)
    await hub.push(name)
    assert [change.to_quantity for batch in channel.pushes for change in batch.changes] == []
    await hub.push(name)
    assert channel.books["A"] == 10
    written = channel.pushes[-1]
    assert written.not_after is not None
    assert written.not_after - written.at <= timedelta(seconds=2)


async def test_more_than_wanted_is_lowered_at_once_though_it_is_not_explained(
    database: Database, organisation_id: UUID
) -> None:
    hub, channel, name = await make(database, organisation_id, ABSOLUTE)
    sold = channel.sell("A", 40)
    assert sold is not None
    await hub.set_stock("A", 40)
    await hub.take(name, sold)
    await hub.settle(2)
    channel.books["A"] = 3  # A buyer's cancellation that the feed does not show yet.
    await hub.check_all(name)
    await hub.push(name)
    assert channel.books["A"] == 0 == (await hub.desired(name))["A"]


async def test_refused_credentials_stop_the_connection_until_a_person_acts(
    database: Database, organisation_id: UUID
) -> None:
    hub, channel, name = await make(database, organisation_id, CAS)
    channel.pull_error = CredentialsRejected("token revoked")
    assert await hub.pull(name) is None
    async with database.transaction(organisation_id) as tx:
        state = await tx.fetch_row("select state, state_reason from connection where id = $1", hub.connections[name])
    assert tuple(state or ()) == ("needs_attention", "token revoked")
    await hub.set_stock("A", 50)
    channel.pushes = []
    assert await hub.push(name) is None
    assert channel.pushes == []


async def test_errors_are_noted_and_waits_grow(database: Database, organisation_id: UUID) -> None:
    hub, channel, name = await make(database, organisation_id, CAS)
    channel.pull_error = RequestRejected("no")
    began = utc_now()
    waits = []
    for seconds in (0.0, 8.0, 3600.0):
        hub.context.clock = lambda at=began + timedelta(seconds=seconds): at  # type: ignore[misc]
        waits.append(await hub.pull(name))
    assert all(isinstance(wait, Rest) for wait in waits)
    assert waits[0] < 0.2 < 1.4 < waits[1] < 2.6 < 3.7 < waits[2] <= 6.25  # type: ignore[operator]
    async with database.transaction(organisation_id) as tx:
        said = "select error from connection_progress where organisation_id = $1"
        assert await tx.fetch_value(said, organisation_id) == "no"
    channel.pull_error = None
    await hub.pull(name)
    async with database.transaction(organisation_id) as tx:
        assert await tx.fetch_value(said, organisation_id) == ""


async def test_a_worker_that_never_called_a_channel_knows_how_its_clock_goes(
    database: Database, organisation_id: UUID
) -> None:
    """A sale from before a reading that was believed is in it; the channel's clock alone puts it after."""
    hub, channel, name = await make(database, organisation_id, DELTA)
    hub.context.transport.ahead = timedelta(seconds=10)  # type: ignore[attr-defined]
    await hub.pull(name)
    expected = (await hub.row(name, "A"))["expected"]
    async with database.transaction(organisation_id) as tx:
        await tx.execute(
            "update listing_quantity set believed_at = $2 where organisation_id = $1", organisation_id, utc_now()
        )
    sold = channel.sell("A", 1)
    assert sold is not None
    # The reactions know the channel by what was stored only: they may run in any worker.
    await hub.take(name, replace(sold, placed_at=utc_now() + timedelta(seconds=5)))
    assert (await hub.row(name, "A"))["expected"] == expected
    await hub.take(name, replace(sold, external_id="later", placed_at=utc_now() + timedelta(seconds=15)))
    assert (await hub.row(name, "A"))["expected"] == expected - 1
