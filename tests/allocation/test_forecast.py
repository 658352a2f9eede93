"""The forecast: its figures, the nightly job on a real database, and what the strategy `demand` makes of it."""

from __future__ import annotations

import random
import re
from datetime import date, timedelta
from functools import partial
from statistics import mean
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.orders.support import make_connection, make_listing, make_variants

from entrepot import upkeep
from entrepot.allocation import facade as allocation
from entrepot.allocation.contracts import Demand, Outlet, Situation
from entrepot.allocation.facade import FORECAST
from entrepot.allocation.forecast import (
    HORIZONS,
    Learner,
    daily,
    in_30_days,
    outlook_of,
    pace_of,
    paces,
    past_errors,
    plain,
    shop_profile,
    thinned,
)
from entrepot.allocation.strategies import demand
from entrepot.catalog import facade as catalog
from entrepot.channels.facade import Vault, new_vault_key
from entrepot.database.pool import Database
from entrepot.jobs import facade as jobs
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import first_id_at, new_id
from entrepot.orders import facade as orders
from entrepot.stock import facade as stock
from entrepot.stock.availability import without_stock
from entrepot.stock.reorder import Scatter, expected, tsb

FORECASTER = partial(allocation.forecast, count_sales=orders.count_sales)
quick = settings(deadline=None, max_examples=100)
MONDAY = date(2026, 3, 2)
units = st.lists(st.one_of(st.none(), st.integers(0, 40)), max_size=140)


def test_days_without_stock_are_unknown_unless_something_sold() -> None:
    sold = {MONDAY: 3, MONDAY + timedelta(days=2): -1, MONDAY + timedelta(days=3): 2}
    unknown = {MONDAY + timedelta(days=n) for n in (1, 3)}
    assert daily(sold, unknown, MONDAY, MONDAY + timedelta(days=4)) == [3, None, 0, 2, 0]
    assert daily(sold, unknown, MONDAY, MONDAY - timedelta(days=1)) == []


@quick
@given(units)
def test_the_paces_of_the_past_are_what_tsb_said_then(days: list[int | None]) -> None:
    found = paces(days)
    assert len(found) == len(days)
    for place, told in enumerate(found):
        known = sum(each is not None for each in days[:place])
        assert (told is None) == (known < 60)
        if told is not None:
            assert told == pytest.approx(tsb(days[:place]))


@quick
@given(units, st.integers(0, 6))
def test_forecasts_are_within_what_was_ever_sold(days: list[int | None], weekday: int) -> None:
    pace = pace_of(days)
    most = max([each for each in days if each is not None], default=0)
    assert 0 <= pace.units_a_day <= max(1, most)
    assert 0 <= pace.mean_a_day <= most
    assert pace.days == sum(each is not None for each in days)
    assert pace_of([*days, None]) == pace
    assert in_30_days(pace, (1.0,) * 7, weekday) == pytest.approx(expected(days, 30))


@quick
@given(units, st.integers(0, 6))
def test_what_is_held_against_the_past_was_known_whole(days: list[int | None], weekday: int) -> None:
    for horizon, pairs in past_errors(days, (1.0,) * 7, weekday).items():
        assert horizon in HORIZONS
        assert 0 < len(pairs) <= 6
        whole = [
            sum(each or 0 for each in days[at : at + horizon])
            for at in range(len(days) - horizon, -1, -horizon)
            if None not in days[at : at + horizon]
        ]
        assert [sold for _, sold in pairs] == whole[: len(pairs)]


@quick
@given(st.lists(st.floats(0, 50), min_size=1, max_size=900), st.floats(0.5, 0.999))
def test_thinning_never_promises_more(values: list[float], level: float) -> None:
    off = Scatter((1e9,), (tuple(sorted(values)),))
    fewer = thinned(off)
    assert len(fewer.ratios[0]) <= 199
    assert list(fewer.ratios[0]) == sorted(fewer.ratios[0])
    # Above the last rank that is kept there is the highest that is kept.
    if level <= 199 / 200:
        assert fewer.quantile(1.0, level) >= off.quantile(1.0, level)


def test_weekdays_of_the_shop() -> None:
    sold = {MONDAY + timedelta(days=n): 10 if n % 7 == 5 else 1 for n in range(70)}
    until = MONDAY + timedelta(days=69)
    profile = shop_profile(sold, MONDAY - timedelta(days=300), until)
    assert profile[5] == pytest.approx(10 * profile[0])
    assert shop_profile(sold, until - timedelta(days=20), until) == (1.0,) * 7
    assert shop_profile({}, MONDAY, until) == (1.0,) * 7


def test_what_is_learned_is_kept_as_json() -> None:
    chance, learner = random.Random(3), Learner((1.0,) * 7)
    for _ in range(60):
        learner.learn([chance.randrange(3) for _ in range(200)], 0)
    scatters = learner.scatters()
    assert set(scatters) == set(HORIZONS) - {84} or set(scatters) == set(HORIZONS)
    back = outlook_of((1.0,) * 7, plain(scatters), MONDAY)
    assert back.next_weekday == 0
    assert back.scatter_of(2) == back.scatters[1]
    assert back.scatter_of(10) == back.scatters[7]
    assert back.scatter_of(0) is None
    told = [scatters[14].quantile(14.0, level) for level in (0.5, 0.9, 0.95)]
    assert [back.scatters[14].quantile(14.0, level) for level in (0.5, 0.9, 0.95)] == pytest.approx(told, rel=1e-3)


def test_better_than_the_last_week_on_goods_that_sell_now_and_then() -> None:
    """Mean squared error of 28 days ahead, over 200 goods: TSB against the mean of the last 7 days."""
    chance = random.Random(5)
    ours, weekly = [], []
    for _ in range(200):
        rate = chance.choice((0.1, 0.3, 1.0))
        days: list[int | None] = [int(chance.random() < rate) * chance.choice((1, 1, 3)) for _ in range(228)]
        came = sum(each or 0 for each in days[200:])
        ours.append((expected(days[:200], 28) - came) ** 2)
        weekly.append((mean([each or 0 for each in days[193:200]]) * 28 - came) ** 2)
    assert mean(ours) < 0.75 * mean(weekly)


def test_days_that_began_and_ended_with_nothing() -> None:
    day = [MONDAY + timedelta(days=n) for n in range(6)]
    # 2 units to begin with; sold on day 1; none on day 2; 5 come and go on day 3; none on day 4; 4 come on day 5.
    changes = {day[1]: (-2, False), day[3]: (0, True), day[5]: (4, True)}
    assert without_stock(4, changes, day[0], day[5]) == {day[2], day[4]}
    assert without_stock(4, changes, day[0], day[4]) == {day[2], day[4]}
    assert without_stock(-3, {}, day[0], day[1]) == {day[0], day[1]}
    assert without_stock(1, {}, day[0], day[1]) == frozenset()


def test_the_strategy_says_where_its_figure_comes_from() -> None:
    told = [
        Demand(forecast=60.0, history_days=90, rate_s=1.0),
        Demand(rate_s=30 / 30 / 86_400, history_days=12),
        Demand(sold_30d=10),
        Demand(),
    ]
    outlets = [Outlet(new_id(), new_id(), "x", rank, demand=each) for rank, each in enumerate(told)]
    steps = [each.steps[0] for each in demand(100, outlets, {"prior_units": 0}, Situation())]
    assert "forecast: 60 units in 30 days, from 90 days of history" in steps[0]
    assert "12 days of history are too few for a forecast: 30 units in 30 days at the measured rate" in steps[1]
    assert "no forecast yet: 10 units sold in the last 30 days" in steps[2]
    assert "no forecast yet, no sales known: as the others" in steps[3]


# ---- on a database ---------------------------------------------------------------------------------------


async def sell(
    database: Database, organisation_id: UUID, variant: UUID, connection: UUID, days: int, each: int, *, back: int = 1
) -> None:
    """Write units sold on each of so many days, the last one `back` days ago."""
    today = utc_now().date()
    async with database.transaction(organisation_id) as tx:
        await tx.execute_many(
            "insert into sales_day (organisation_id, variant_id, connection_id, day, units) values ($1, $2, $3, $4, $5)",
            [(organisation_id, variant, connection, today - timedelta(days=back + n), each) for n in range(days)],
        )
        await tx.execute(
            "update listing set created_at = least(created_at, now() - $3::int * interval '1 day')"
            " where variant_id = $1 and connection_id = $2",
            variant, connection, days + back - 1,
        )  # fmt: skip


async def run_forecast(database: Database, organisation_id: UUID) -> None:
    async with database.transaction(organisation_id) as tx:
        job = await allocation.order_forecast(tx)
        assert job
        assert await allocation.order_forecast(tx) is None
    assert await jobs.perform(database, FORECAST, FORECASTER, organisation_id, job) is jobs.Outcome.THROUGH
    async with database.transaction(organisation_id) as tx:
        found = await jobs.detail(tx, job)
        assert found.state.value == "done", found.error


async def test_the_job_forecasts_listings_and_variants(database: Database, organisation_id: UUID) -> None:
    skus = await make_variants(database, organisation_id, {"A": 50, "B": 50, "KIT": 0, "OUT": 0})
    shop = await make_connection(database, organisation_id, "shopify", created_at=utc_now() - timedelta(days=400))
    market = await make_connection(database, organisation_id, "amazon", created_at=utc_now() - timedelta(days=400))
    for sku in ("A", "B", "KIT"):
        for connection in (shop, market):
            await make_listing(database, organisation_id, connection, skus[sku], f"{sku}-{connection}")
    await sell(database, organisation_id, skus["A"], shop, 100, 4)
    await sell(database, organisation_id, skus["A"], market, 10, 1)
    await sell(database, organisation_id, skus["B"], shop, 12, 2)
    async with database.transaction(organisation_id) as tx:
        await catalog.put_parts(tx, skus["KIT"], {skus["OUT"]: 3})
    await sell(database, organisation_id, skus["KIT"], market, 60, 1)
    await run_forecast(database, organisation_id)
    async with database.transaction(organisation_id) as tx:
        rows = await tx.fetch("select * from listing_forecast")
        listings = {(row["variant_id"], row["connection_id"]): row for row in rows}
        variants = {row["variant_id"]: row for row in await tx.fetch("select * from variant_forecast")}
        model = await tx.fetch_row("select * from forecast_model")
        told = await tx.fetch("select payload from outbox where organisation_id = $1 and topic = $2", organisation_id,
                              stock.STOCK_CHANGED)  # fmt: skip
    assert listings[skus["A"], shop]["units_30d"] == pytest.approx(120, rel=0.02)
    assert listings[skus["A"], shop]["days"] == 100
    # Known on the market for ten days, all with sales.
    assert listings[skus["A"], market]["days"] == 10
    assert variants[skus["A"]]["units_a_day"] == pytest.approx(4.5, rel=0.2)
    assert variants[skus["A"]]["days"] == 100
    assert (variants[skus["B"]]["days"], variants[skus["B"]]["mean_a_day"]) == (12, 2.0)
    # A part sells with its bundle, three at a time.
    assert variants[skus["OUT"]]["units_a_day"] == pytest.approx(3, rel=0.02)
    assert model
    assert (model["variants"], len(model["profile"])) == (4, 7)
    changed = {UUID(id) for row in told for id in row["payload"]["variant_ids"]}
    assert set(skus.values()) <= changed
    # Made anew the next day, and what sells no more is forgotten.
    async with database.transaction(organisation_id) as tx:
        await tx.execute("delete from sales_day where variant_id = $1", skus["B"])
        await tx.execute("update variant_forecast set made_on = made_on - 9")
    await run_forecast(database, organisation_id)
    async with database.transaction(organisation_id) as tx:
        assert await tx.fetch_value("select count(*) from variant_forecast where variant_id = $1", skus["B"]) == 0


async def test_days_without_stock_are_told_by_the_ledger(database: Database, organisation_id: UUID) -> None:
    skus = await make_variants(database, organisation_id, {"A": 5, "B": 5})
    today = utc_now().date()
    async with database.transaction(organisation_id) as tx:
        place = await tx.fetch_value("select id from location where organisation_id = $1", organisation_id)
        for variant, back, delta in ((skus["A"], 40, 7), (skus["A"], 20, -7), (skus["A"], 10, 7)):
            at = utc_now() - timedelta(days=back)
            await tx.execute(
                """insert into stock_movement (organisation_id, id, variant_id, location_id, kind, on_hand_delta, on_hand_after,
                       reserved_after, actor, at) values ($1, $2, $3, $4, 'adjustment', $5, 0, 0, 't', $6)""",
                organisation_id, first_id_at(at), variant, place, delta, at,
            )  # fmt: skip
        # The level says 5 and its opening was today; what was before adds up to 7 and then to none.
        await tx.execute("update stock_level set on_hand = 12 where variant_id = $1", skus["A"])
        found = await stock.days_without_stock(
            tx, [skus["A"], skus["B"], new_id()], today - timedelta(days=30), today - timedelta(days=1)
        )
    assert found[skus["A"]] == {today - timedelta(days=n) for n in range(11, 20)}
    # B came today: before there was none.
    assert len(found[skus["B"]]) == 30
    assert len(found) == 2


async def test_listings_get_what_is_expected_of_them(database: Database, organisation_id: UUID) -> None:
    skus = await make_variants(database, organisation_id, {"A": 100, "B": 100})
    long_ago = utc_now() - timedelta(days=400)
    shop = await make_connection(database, organisation_id, "shopify", priority=1, created_at=long_ago)
    market = await make_connection(database, organisation_id, "amazon", priority=2, created_at=long_ago)
    for sku in skus:
        for connection in (shop, market):
            await make_listing(database, organisation_id, connection, skus[sku], f"{sku}-{connection}")
    for connection, each in ((shop, 3), (market, 1)):
        await sell(database, organisation_id, skus["A"], connection, 60, each)
        await sell(database, organisation_id, skus["B"], connection, 10, each)
    async with database.transaction(organisation_id) as tx:
        await allocation.set_policy(tx, "demand", {"prior_units": 0})
        before = await allocation.allot_variants(tx, [skus["A"]])
    assert all("no forecast yet" in share.steps[0] for share in before)
    await run_forecast(database, organisation_id)
    async with database.transaction(organisation_id) as tx:
        shares = {(s.variant_id, s.connection_id): s for s in await allocation.allot_variants(tx, list(skus.values()))}
        await tx.execute("update listing_forecast set made_on = made_on - 30")
        late = await allocation.allot_variants(tx, [skus["A"]])
    assert [shares[skus["A"], c].quantity for c in (shop, market)] == [75, 25]
    assert re.search(
        r"forecast: (89\.\d|90) units in 30 days, from 60 days of history", shares[skus["A"], shop].steps[0]
    )
    assert "10 days of history are too few for a forecast" in shares[skus["B"], shop].steps[0]
    assert all("no forecast yet" in share.steps[0] for share in late)


async def test_every_organisation_is_forecast_each_night(database: Database, organisation_id: UUID) -> None:
    assert "forecast" in {schedule.name for schedule in upkeep.schedules(database, Vault({"k": new_vault_key()}, "k"))}
    assert await upkeep.order_forecasts(database) >= 1
    async with database.transaction(organisation_id) as tx:
        counts = (await jobs.counts(tx))[FORECAST.name]
    assert counts.queued == 1
    await upkeep.order_forecasts(database)
    async with database.transaction(organisation_id) as tx:
        assert (await jobs.counts(tx))[FORECAST.name].queued == 1
