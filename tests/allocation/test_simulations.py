"""Simulations as jobs: asked for, run in a process of their own, kept, compared, stopped, taken up again, deleted."""

from __future__ import annotations

import asyncio
import csv
import io
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tests.allocation.past import add_order, days
from tests.orders.support import make_connection, make_variants

from entrepot.allocation import facade as allocation
from entrepot.allocation import simulating, simulations
from entrepot.allocation.facade import SIMULATION, Choice, SimulationSettings, SimulationView
from entrepot.allocation.location_choices import InvalidLocationChoice, LocationChoice, Moving, Whereabouts
from entrepot.allocation.order_file import UnreadableOrders, read_stream
from entrepot.allocation.simulate import NAMED, Plan, Selling, Stocking, Tally, replay
from entrepot.allocation.simulations import (
    FILES_MAX,
    InvalidSimulation,
    OrderFileNotFound,
    SimulationNotFound,
    StillRunning,
    TooManyFiles,
    choices,
    marked,
)
from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobState
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.ids import new_id
from entrepot.orders import facade as orders
from entrepot.stock import facade as stock

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
HANDLER = allocation.simulator(orders.past_lines)


def settings(*policies: str, **more: object) -> SimulationSettings:
    return SimulationSettings(choices(policies or ("equal", "pool")), [60.0], **more)  # type: ignore[arg-type]


def some_file(skus: int = 20, seed: int = 1) -> bytes:
    chance = random.Random(seed)
    rows = ["time,sku,quantity,channel,price,cost"]
    for number in range(skus):
        for day in range(90):
            for _ in range(chance.randrange(4)):
                at = T0 + timedelta(days=day, seconds=chance.randrange(86_400))
                rows.append(f"{at.isoformat()},S{number},1,{chance.choice('aab')},10.00,{'' if number % 2 else '8.00'}")
    return "\n".join(rows).encode()


async def started(
    database: Database,
    organisation_id: UUID,
    told: SimulationSettings,
    data: bytes | None = None,
    name: str = "past.csv",
) -> SimulationView:
    actor = identity.system_actor(organisation_id)
    async with database.transaction(organisation_id) as tx:
        file_id = await simulations.keep_file(tx, name, data, actor="Ana") if data is not None else None
        id = await simulations.start(tx, actor, told, file_id=file_id)
        return await simulations.detail(tx, id)


async def performed(database: Database, organisation_id: UUID, view: SimulationView) -> SimulationView:
    assert view.job
    await jobs.perform(database, SIMULATION, HANDLER, organisation_id, view.job.id)
    return await seen(database, organisation_id, view.id)


async def seen(database: Database, organisation_id: UUID, id: UUID) -> SimulationView:
    async with database.transaction(organisation_id) as tx:
        return await simulations.detail(tx, id)


async def test_a_file_is_replayed_as_by_hand(database: Database, organisation_id: UUID) -> None:
    data, told = some_file(), SimulationSettings(choices(["equal", "pool", "risk"]), [60.0, 3_600.0])
    view = await performed(database, organisation_id, await started(database, organisation_id, told, data))
    assert (view.state, view.found and view.found["skus"], view.found and view.found["channels"]) == (
        "done",
        20,
        ["a", "b"],
    )
    past = read_stream(io.BytesIO(data), "x", "csv", {})
    expected = [
        (name, lag, round(replay(past.lines, Plan(NAMED[name], lag), past.channels).margin_minor, 2))
        for lag in (60.0, 3_600.0)
        for name in ("equal", "pool", "risk")
    ]
    assert [(each.policy, each.lag_s, each.tally.margin_minor) for each in view.outcomes] == expected
    for lag in (60.0, 3_600.0):
        rows = [each for each in view.outcomes if each.lag_s == lag]
        assert {each.policy for each in rows if each.best} == {
            each.policy for each in rows if each.tally.margin_minor == max(e.tally.margin_minor for e in rows)
        }
    # Half of the SKUs have a cost of 8 of 10: they earn 2, the others three tenths of 10.
    tally = view.outcomes[0].tally
    assert 0.3 < tally.asked_with_cost / tally.asked < 0.7
    assert 200 < tally.margin_minor / tally.sold < 300
    assert tally.revenue_minor == tally.sold * 1_000
    table = list(csv.DictReader(io.StringIO(simulations.as_csv(view))))
    assert [row["policy"] for row in table] == ["equal", "pool", "risk"] * 2
    assert int(table[0]["sold"]) == tally.sold
    assert sum(row["best"] == "yes" for row in table) >= 2


async def test_own_orders_are_replayed(database: Database, organisation_id: UUID) -> None:
    skus = await make_variants(database, organisation_id, {"A": 30, "B": 10})
    shop = await make_connection(database, organisation_id, "shopify", name="Shop", priority=2, share=0.9)
    market = await make_connection(database, organisation_id, "amazon", name="Market", priority=1)
    async with database.transaction(organisation_id) as tx:
        await tx.execute("update variant set cost_minor = 400 where id = $1", skus["A"])
    for number, at in enumerate(days(T0, 60)):
        where = shop if number % 3 else market
        await add_order(database, organisation_id, where, at, [("A", skus["A"], 2), ("B", skus["B"], 1)])
    await add_order(database, organisation_id, shop, T0, [("A", skus["A"], 5)], cancelled=5)
    await add_order(database, organisation_id, shop, T0, [("C", None, 1)], currency="USD")
    view = await performed(
        database, organisation_id, await started(database, organisation_id, settings("fixed_shares"))
    )
    assert view.found is not None
    assert (view.found["lines"], view.found["skus"], view.found["channels"]) == (121, 3, ["amazon", "shopify"])
    tally = view.outcomes[0].tally
    assert (tally.asked, tally.asked_with_cost) == (181, 120)
    # A line in another currency, of no variant, has no price that could be added up.
    assert tally.clairvoyant_revenue_minor == (tally.clairvoyant_sold - 1) * 1_000
    few = settings("fixed_shares", since="2026-03-03", until="2026-03-04")
    view = await performed(database, organisation_id, await started(database, organisation_id, few))
    assert view.found is not None
    assert view.found["lines"] == 4
    nothing = settings("equal", since="2020-01-01", until="2020-01-02")
    view = await performed(database, organisation_id, await started(database, organisation_id, nothing))
    assert (view.state, view.job and "No order was placed" in view.job.error) == ("held", True)


async def test_pages_of_own_orders_lose_and_double_nothing(
    database: Database, organisation_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    skus = await make_variants(database, organisation_id, {"A": 30})
    shop = await make_connection(database, organisation_id)
    for at in days(T0, 9):
        await add_order(database, organisation_id, shop, at, [("A", skus["A"], 1)] * 3)
    monkeypatch.setattr(simulating, "PAGE", 3)
    view = await performed(database, organisation_id, await started(database, organisation_id, settings("pool")))
    assert (view.found and view.found["lines"], view.outcomes[0].tally.asked) == (27, 27)


async def test_a_location_is_left_out(database: Database, organisation_id: UUID) -> None:
    skus = await make_variants(database, organisation_id, {"S0": 30, "S1": 10})
    async with database.transaction(organisation_id) as tx:
        corner = await stock.create_location(tx, "Corner", "store")
        main = await tx.fetch_value(
            "select id from location where organisation_id = $1 and name <> 'Corner'", organisation_id
        )
        there = [stock.StockChange(skus["S0"], "x", 10, None, corner)]
        await stock.change_on_hand(tx, there, kind="count", actor="t")
        assert await stock.parts_without(tx, [corner]) == {"S0": 0.75}
        assert await stock.parts_without(tx, [main]) == {"S0": 0.25, "S1": 0.0}
        assert await stock.parts_without(tx, []) == {}
    data = some_file(2)
    whole, less, none = [
        (await performed(database, organisation_id, await started(database, organisation_id, told, data)))
        .outcomes[0]
        .tally
        for told in (
            settings("pool"),
            settings("pool", left_out=[str(corner)]),
            settings("pool", left_out=[str(main), str(corner)]),
        )
    ]
    assert whole.sold > less.sold > none.sold == 0
    assert whole.asked == less.asked == none.asked


async def test_locations_are_tried_side_by_side(database: Database, organisation_id: UUID) -> None:
    skus = await make_variants(database, organisation_id, {"A": 6})
    shop = await make_connection(database, organisation_id, "shopify", name="Shop")
    async with database.transaction(organisation_id) as tx:
        south = await stock.create_location(tx, "South", "store")
        main = await tx.fetch_value(
            "select id from location where organisation_id = $1 and id <> $2", organisation_id, south
        )
        await stock.change_on_hand(
            tx, [stock.StockChange(skus["A"], "x", 4, None, south)], kind="count", actor="t"
        )  # fmt: skip
    # Ten orders of a unit, by turns to Portugal and Germany; ten units, four of them in Portugal.
    for number, at in enumerate(days(T0, 10)):
        await add_order(
            database, organisation_id, shop, at, [("A", skus["A"], 1)], country="DE" if number % 2 else "PT"
        )
    where = [
        LocationChoice("All"),
        LocationChoice("Near", send="nearest"),
        LocationChoice("Without main", [str(main)]),
        LocationChoice("One moved", [], [Moving(str(main), str(south), 1 / 6)], "nearest"),
    ]
    at = [Whereabouts(str(main), "DE"), Whereabouts(str(south), "PT")]
    told = settings("pool", "equal", cover_days=9.0, every_days=100.0, locations=where, whereabouts=at)
    view = await performed(database, organisation_id, await started(database, organisation_id, told))
    assert view.state == "done"
    found = {(each.policy, each.locations): each.tally for each in view.outcomes}
    assert list(found) == [(policy, each.name) for each in where for policy in ("pool", "equal")]
    assert [(found["pool", each.name].sold, found["pool", each.name].parcels_abroad) for each in where] == [
        (10, 5), (10, 1), (4, 2), (10, 0),
    ]  # fmt: skip
    assert found["pool", "Without main"].clairvoyant_sold == 4
    said = " ".join(simulations.conclusions(view.outcomes))
    # Three sell all: the best of them has the fewest parcels abroad.
    assert "At 60s pool with “One moved” earns most, 100.00% of what the clairvoyant earns with the same stock." in said
    assert "“Without main” beside it: -60.00% margin, -6 units sold, +2 parcels abroad, +0 orders split." in said
    assert "Abroad most rarely: “One moved” (0.00% of its parcels)" in said
    table = list(csv.DictReader(io.StringIO(simulations.as_csv(view))))
    assert [(row["locations"], row["parcels_abroad"]) for row in table if row["policy"] == "pool"][1] == ("Near", "1")
    gone = settings("pool", locations=[LocationChoice("x", [str(new_id())])])
    with pytest.raises(InvalidLocationChoice, match="not in use"):
        await started(database, organisation_id, gone)


async def test_a_wrong_file_holds_the_job_with_the_line(database: Database, organisation_id: UUID) -> None:
    bad = b"time,sku,quantity\n2026-01-01,A,two\n"
    view = await performed(database, organisation_id, await started(database, organisation_id, settings(), bad))
    assert view.job
    assert (view.state, view.is_open) == ("held", False)
    assert "past.csv, line 2: quantity 'two' is not a whole number" in view.job.error
    async with database.transaction(organisation_id) as tx:
        with pytest.raises(UnreadableOrders, match="lacks columns"):
            await simulations.keep_file(tx, "x.csv", b"a,b\n", actor="Ana")
        await simulations.delete(tx, identity.system_actor(organisation_id), view.id)
        assert (await jobs.detail(tx, view.job.id)).state is JobState.DISMISSED
        assert await simulations.files(tx) == []


async def test_a_file_of_windows_is_read(database: Database, organisation_id: UUID) -> None:
    data = "time;sku;quantity;price\n2026-01-01;Möbel;2;1.50\n".encode("cp1252")
    view = await performed(database, organisation_id, await started(database, organisation_id, settings("pool"), data))
    assert view.found is not None
    assert (view.state, view.found["assigned"], view.outcomes[0].tally.asked) == ("done", True, 2)


async def test_it_is_stopped_and_kept_and_a_second_worker_goes_on(
    database: Database, organisation_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = SimulationSettings(choices(["equal", "fixed_shares", "pool", "risk"]), [60.0, 900.0])
    view = await started(database, organisation_id, told, some_file(60))
    assert view.job
    note, noted = simulating._Simulation._note, 0

    async def dies(self: simulating._Simulation, message: simulating.Told) -> None:
        nonlocal noted
        await note(self, message)
        noted += message.tally is not None
        if noted == 3:
            raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(simulating._Simulation, "_note", dies)
        assert await jobs.perform(database, SIMULATION, HANDLER, organisation_id, view.job.id) == 0.0
    half = await seen(database, organisation_id, view.id)
    assert (half.state, half.is_open, len(half.outcomes), half.job and half.job.done > 0) == ("queued", True, 3, True)
    tried: list[int] = []

    async def watched(self: simulating._Simulation, message: simulating.Told) -> None:
        if message.tally is not None:
            tried.append(message.trial)
        await note(self, message)

    with monkeypatch.context() as patch:
        patch.setattr(simulating._Simulation, "_note", watched)
        whole = await performed(database, organisation_id, half)
    assert (whole.state, len(whole.outcomes), tried) == ("done", 8, [3, 4, 5, 6, 7])
    # Asked to stop while it runs: what is done stays.
    again = await started(database, organisation_id, told, some_file(60))
    actor = identity.system_actor(organisation_id)

    async def stopped(self: simulating._Simulation, message: simulating.Told) -> None:
        if message.tally is not None and message.trial == 1:
            async with database.transaction(organisation_id) as tx:
                with pytest.raises(StillRunning):
                    await simulations.delete(tx, actor, again.id)
                await simulations.stop(tx, actor, again.id)
        await note(self, message)

    with monkeypatch.context() as patch:
        patch.setattr(simulating._Simulation, "_note", stopped)
        ended = await performed(database, organisation_id, again)
    assert (ended.state, len(ended.outcomes)) == ("cancelled", 2)
    async with database.transaction(organisation_id) as tx:
        listed = await simulations.listing(tx, None, 1)
        assert ([each.id for each in listed], listed.next_cursor is None) == ([again.id], False)
        assert [each.id for each in await simulations.listing(tx, listed.next_cursor, 1)] == [view.id]
        for id in (again.id, view.id):
            await simulations.delete(tx, actor, id)
        with pytest.raises(SimulationNotFound):
            await simulations.detail(tx, view.id)
        assert await simulations.files(tx) == []


async def test_a_file_stays_as_long_as_a_simulation_is_about_it(database: Database, organisation_id: UUID) -> None:
    actor = identity.system_actor(organisation_id)
    view = await started(database, organisation_id, settings("pool"), some_file(1))
    assert view.file_id
    async with database.transaction(organisation_id) as tx:
        second = await simulations.start(tx, actor, settings("equal"), file_id=view.file_id)
        await simulations.stop(tx, actor, view.id)
        await simulations.delete(tx, actor, view.id)
        assert (await simulations.detail(tx, second)).file_name == "past.csv"
        with pytest.raises(OrderFileNotFound):
            await simulations.start(tx, actor, settings("equal"), file_id=new_id())
        for _ in range(FILES_MAX - 1):
            await simulations.keep_file(tx, "x.csv", b"time,sku,quantity\n", actor="Ana")
        with pytest.raises(TooManyFiles):
            await simulations.keep_file(tx, "x.csv", b"time,sku,quantity\n", actor="Ana")
        with pytest.raises(InvalidSimulation, match="larger than 64 MB"):
            await simulations.keep_file(tx, "x.csv", b"x" * (simulations.FILE_BYTES_MAX + 1), actor="Ana")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"policies": []}, "at least one policy"),
        ({"lags_s": []}, "at least one policy"),
        ({"lags_s": [-1.0]}, "A lag lies"),
        ({"lags_s": [float(n) for n in range(61)]}, "at most 60"),
        ({"policies": [Choice("a", "equal"), Choice("a", "risk")]}, "a name of its own"),
        ({"cover_days": 0.0}, "Days of stock"),
        ({"margin": 0.0}, "The margin lies"),
        ({"since": "soon"}, "is not a date"),
        ({"since": "2026-02-01", "until": "2026-01-01"}, "after the last"),
        ({"left_out": ["x"]}, "is not the id"),
        ({"shares": {}}, "Name channels"),
        ({"locations": [LocationChoice("a", ["x"])]}, "is not the id"),
        ({"locations": [LocationChoice("a"), LocationChoice("a")]}, "a name of its own"),
        ({"locations": [LocationChoice("a", send="air")]}, "not by 'air'"),
        ({"locations": [LocationChoice("a", [], [Moving("x", "y", 1.5)])]}, "at most all of it"),
        ({"whereabouts": [Whereabouts("x", "PT", 1.0)]}, "two numbers"),
        ({"whereabouts": [Whereabouts("x", "PT", 91.0, 0.0)]}, "latitude lies between"),
    ],
)
async def test_what_makes_no_sense_is_refused(change: dict[str, object], words: str) -> None:
    told = {"policies": [Choice("equal", "equal")], "lags_s": [60.0], **change}
    with pytest.raises(InvalidInput, match=words):
        simulations.check_settings(SimulationSettings(**told))  # type: ignore[arg-type]
    with pytest.raises(InvalidSimulation, match="no policy 'guess'"):
        choices(["guess"])


def test_the_best_earns_most_and_without_prices_sells_most() -> None:
    def outcome(name: str, lag_s: float, **tally: float) -> allocation.Outcome:
        return allocation.Outcome(name, lag_s, Tally(**tally))  # type: ignore[arg-type]

    priced = [
        outcome("a", 60, sold=9, margin_minor=90.0, clairvoyant_margin_minor=100.0),
        outcome("b", 60, sold=10, margin_minor=80.0, clairvoyant_margin_minor=100.0),
        outcome("b", 900, sold=5, margin_minor=10.0, clairvoyant_margin_minor=100.0),
    ]
    assert [each.best for each in marked(priced, 10)] == [True, False, True]
    plain = [outcome("a", 60, sold=20, oversold=2), outcome("b", 60, sold=10)]
    assert [each.best for each in marked(plain, 10)] == [False, True]
    assert [each.best for each in marked(plain, 1)] == [True, False]


def test_channels_have_their_shares_and_buffers() -> None:
    past = read_stream(io.BytesIO(some_file(5)), "x", "csv", {})
    plain = Plan(NAMED["fixed_shares"], 60.0, Stocking(14, 21))
    all_b = {"b": Selling(None, 0), "a": Selling(None, 1_000)}
    few = replay(past.lines, Plan(NAMED["fixed_shares"], 60.0, Stocking(14, 21), selling=all_b), past.channels)
    assert 0 < few.sold < replay(past.lines, plain, past.channels).sold


async def test_rules_ask_for_tags_as_they_are_now(database: Database, organisation_id: UUID) -> None:
    skus = await make_variants(database, organisation_id, {"A": 30, "B": 30})
    shop = await make_connection(database, organisation_id, "shopify", name="Shop")
    async with database.transaction(organisation_id) as tx:
        await tx.execute(
            "update product set tags = '{fragile}' where id = (select product_id from variant where id = $1)", skus["A"]
        )
        own = await tx.fetch_value("select product_id from variant where id = $1", skus["A"])
        shared = own == await tx.fetch_value("select product_id from variant where id = $1", skus["B"])
    for at in days(T0, 30):
        await add_order(database, organisation_id, shop, at, [("A", skus["A"], 1), ("B", skus["B"], 1)])
    none = {"rules": [{"if": {"tag": ["fragile"]}, "then": {"quantity": 0}}], "otherwise": {"strategy": "equal"}}
    other = {"rules": [{"if": {"tag": ["soft"]}, "then": {"quantity": 0}}], "otherwise": {"strategy": "equal"}}
    told = SimulationSettings([Choice("fragile", "rules", none), Choice("soft", "rules", other)], [60.0])
    view = await performed(database, organisation_id, await started(database, organisation_id, told))
    fragile, soft = (each.tally for each in view.outcomes)
    assert soft.sold > 0
    assert fragile.sold == (0 if shared else soft.sold / 2)
