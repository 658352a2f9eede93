"""Differences between what a channel shows and what is expected: kept, explained by a sale, or closed."""

from __future__ import annotations

from uuid import UUID

from tests.sync.kinds import CAS, every, keyed, make

from entrepot.channels.contract import QuantitySemantics
from entrepot.database.pool import Database
from entrepot.kernel.clock import utc_now
from entrepot.sync import facade as sync
from entrepot.sync.check import listings_step


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
