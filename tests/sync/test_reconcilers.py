"""Pushing, pulling and checking against channels of all three semantics, with lost answers, deaths and unseen sales."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from tests.sync.channel import Channel, WorkerDied
from tests.sync.hub import Hub

from entrepot.allocation import facade as allocation
from entrepot.channels.contract import CredentialsRejected, PushOutcome, QuantitySemantics, RequestRejected
from entrepot.database.pool import Database
from entrepot.jobs.lanes import Rest
from entrepot.kernel.clock import utc_now
from entrepot.sync import facade as sync
from entrepot.sync.check import listings_step

CAS, DELTA, ABSOLUTE = QuantitySemantics.COMPARE_AND_SET, QuantitySemantics.DELTA, QuantitySemantics.ABSOLUTE
every = pytest.mark.parametrize("semantics", list(QuantitySemantics))
keyed = pytest.mark.parametrize("semantics", [CAS, DELTA])


async def make(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics, patience_s: float = 600.0
) -> tuple[Hub, Channel, str]:
    """A hub in step with one channel that shows 40 of A and 4 of B."""
    channel = Channel(semantics)
    hub = await Hub(database, organisation_id, channel, patience_s=patience_s).set_up({"A": 100, "B": 10})
    assert channel.books == {"A": 40, "B": 4}
    return hub, channel, str(semantics)


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


@keyed
async def test_a_cancellation_that_the_channel_put_back_is_not_counted_twice(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics
) -> None:
    hub, channel, name = await make(database, organisation_id, semantics)
    channel.restocks = True
    sold = channel.sell("A", 10)
    assert sold is not None
    await hub.take(name, sold)
    await hub.settle()
    assert channel.books["A"] == 36
    cancelled = channel.cancel(sold.external_id)
    assert channel.books["A"] == 46
    await hub.check_all(name)
    await hub.push(name)
    assert channel.books["A"] == 36, "whatever explains it, it shows too much"
    assert [(row["expected"], row["gap"]) for row in [await hub.row(name, "A")]] == [(26, 10)]
    await hub.push(name)
    assert channel.books["A"] == 36
    await hub.take(name, cancelled)
    await hub.settle()
    assert channel.books == {"A": 40, "B": 4} == await hub.desired(name)
    row = await hub.row(name, "A")
    assert (row["state"], row["expected"], row["gap"]) == ("in_step", 40, None)


@keyed
async def test_more_than_expected_is_lowered_at_once_and_closed_when_nothing_explains_it(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics
) -> None:
    hub, channel, name = await make(database, organisation_id, semantics)
    channel.books["A"] += 5
    sold = channel.sell("B", 1, hidden=True)
    assert sold is not None
    await hub.check_all(name)
    await hub.push(name)
    assert channel.books["A"] == 40
    for _ in range(3):
        await hub.pull(name)
        await hub.check_all(name)
        await hub.push(name)
    assert [(row["expected"], row["gap"]) for row in [await hub.row(name, "A")]] == [(35, 5)]
    channel.hidden.clear()
    await hub.settle()
    assert channel.books == await hub.desired(name)
    assert {row["state"] for row in await hub.rows(name)} == {"in_step"}


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


@every
async def test_a_difference_is_closed_only_when_no_sale_can_explain_it(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics
) -> None:
    hub, channel, name = await make(database, organisation_id, semantics)
    channel.sell("B", 1, hidden=True)
    channel.books["A"] = 33
    await hub.pull(name)
    for _ in range(3):
        await hub.check_all(name)
        await hub.pull(name)
    row = await hub.row(name, "A")
    assert (row["expected"], row["gap"], channel.books["A"]) == (40, -7, 33)
    channel.hidden.clear()
    await hub.settle()
    await hub.check_all(name)
    await hub.settle()
    assert channel.books["A"] == 40
    assert channel.books == await hub.desired(name)


async def test_a_difference_is_closed_though_the_feed_always_lags(database: Database, organisation_id: UUID) -> None:
    hub, channel, name = await make(database, organisation_id, CAS)
    channel.books["A"] = 33
    await hub.check_all(name)
    channel.sell("B", 1, hidden=True)
    for _ in range(3):
        await hub.check_all(name)
        await hub.pull(name)
    await hub.check_all(name)
    assert (await hub.row(name, "A"))["expected"] == 33


async def test_a_run_over_all_listings_finds_what_differs_and_new_ones(
    database: Database, organisation_id: UUID
) -> None:
    hub, channel, name = await make(database, organisation_id, CAS)
    channel.books |= {"A": 41, "NEW": 3}
    async with database.transaction(organisation_id) as tx:
        [run] = await sync.trigger(tx, None, ["drift"], utc_now())
        assert await sync.trigger(tx, None, ["drift"], utc_now()) == [run]
    await listings_step(hub.context, hub.key("listings", name))
    async with database.transaction(organisation_id) as tx:
        ended = await tx.fetch_row("select state, done, counts from sync_run where id = $1", run)
        matched = await tx.fetch_value(
            "select variant_id from listing where organisation_id = $1 and external_id = 'NEW'", organisation_id
        )
    assert tuple(ended or ()) == ("done", 3, {"listings": 3, "matched": 2, "differing": 1})
    assert matched is None
    await hub.settle()
    assert channel.books == {"A": 40, "B": 4, "NEW": 3}


@every
async def test_a_run_over_all_listings_finds_one_that_shows_what_was_last_written(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics
) -> None:
    hub, channel, name = await make(database, organisation_id, semantics)
    sold = channel.sell("A", 1)
    assert sold is not None
    await hub.take(name, sold)
    await hub.settle()
    shows = channel.books["A"]
    async with database.transaction(
        organisation_id
    ) as tx:  # A cancellation was counted that did not put anything back.
        await tx.execute(
            "update listing_quantity set published = $2, expected = expected + 1, desired = desired + 1"
            " where organisation_id = $1 and variant_id = $3",
            organisation_id,
            shows,
            hub.made["A"],
        )
        await sync.trigger(tx, None, ["drift"], utc_now())
    await listings_step(hub.context, hub.key("listings", name))
    assert (await hub.row(name, "A"))["check_at"] is not None


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
