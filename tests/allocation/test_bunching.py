"""How close together sales come: known outcomes, steady sales say nothing, the hub counts as a replay does."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.allocation.past import add_order
from tests.orders.support import make_connection, make_listing, make_variants

from entrepot.allocation import facade as allocation
from entrepot.allocation import reading
from entrepot.allocation.bunching import (
    NO_HABITS,
    SCALES_S,
    STEADY,
    WEEK_S,
    WIDE_S,
    Bunching,
    Counted,
    Course,
    Habits,
    Pairs,
    busy_hours,
    habits_of,
    hours_of,
    measured,
    plain,
    read_plain,
)
from entrepot.allocation.contracts import Demand, Outlet, Shown
from entrepot.allocation.facade import FORECAST, Learning, Policy
from entrepot.allocation.learning import measure
from entrepot.allocation.lots import together, usual_lot, usual_size
from entrepot.allocation.risk import Exposure, choose
from entrepot.allocation.rules import allot
from entrepot.database.pool import Database
from entrepot.jobs import facade as jobs
from entrepot.kernel.clock import utc_now
from entrepot.orders import facade as orders

DAY_S = 86_400.0
quick = settings(deadline=None, max_examples=60)


def steady(seed: int, skus: int = 40, days: int = 180, hours: range = range(24)) -> list[list[tuple[float, int]]]:
    """Sales that come by chance alone, in some hours of each day only."""
    chance = random.Random(seed)
    made = []
    for _ in range(skus):
        rate = 10 ** chance.uniform(-1, 1)
        count = int(rate * days)
        times = sorted(
            chance.randrange(days) * DAY_S + (chance.choice(hours) + chance.random()) * 3_600 for _ in range(count)
        )
        made.append([(at, 1) for at in times])
    return made


def last(skus: list[list[tuple[float, int]]]) -> Bunching:
    return Course.of([at for own in skus for at, _ in own], skus).weeks[-1].bunching


@pytest.mark.parametrize("seed", range(8))
def test_steady_sales_say_exactly_nothing(seed: int) -> None:
    assert last(steady(seed)) == STEADY


def test_hours_alone_are_no_crowds() -> None:
    found = last(steady(1, hours=range(8, 16)))
    # Eight hours of each day: a sale meets three times the mean rate.
    assert found.hours == pytest.approx(3.0, rel=0.03)
    assert max(found.followers) < 0.01


def test_crowds_are_counted_by_sale_whatever_the_rate() -> None:
    chance = random.Random(5)
    skus = []
    for own in steady(5):
        # One sale in five is followed by another ten minutes later.
        crowd = [(at + 600, 1) for at, _ in own if chance.random() < 0.25]
        skus.append(sorted(own + crowd))
    found = last(skus)
    assert found.hours == pytest.approx(1.0, abs=0.01)
    five, fifteen, hour = found.followers[2:]
    assert five < 0.01
    assert fifteen == pytest.approx(0.2, abs=0.02)
    assert hour == pytest.approx(0.2, abs=0.03)


def test_a_season_is_no_crowd() -> None:
    chance = random.Random(9)
    skus = []
    for number in range(30):
        start = (number % 5) * 30 * DAY_S
        times = sorted(start + chance.random() * 45 * DAY_S for _ in range(200))
        skus.append([(at, 1) for at in times])
    # Five sales a day: .1 in a quarter of an hour. Held against the year's mean it would look like .28 more.
    assert last(skus).followers_in(900) < 0.02


def test_pairs_by_hand() -> None:
    hours = [0] * 168
    hours[10] = 100
    assert busy_hours(hours) == pytest.approx(168)
    assert busy_hours([7] * 168) == 1.0
    assert busy_hours([1] + [0] * 167) == 1.0
    # Of 1,000 pairs within four weeks chance puts .4 within a quarter of an hour; 40 were found, after 200 sales.
    counted = Pairs(200, (0, 0, 0, 40, 40), 1_000, 364 * DAY_S)
    found = measured([5] * 168, counted)
    share = (1 - (1 - 900 / (364 * DAY_S)) ** 2) / (1 - (1 - WIDE_S / (364 * DAY_S)) ** 2)
    assert found.followers == pytest.approx((0, 0, 0, (40 - 1_000 * share) / 200, (40 - 1_000 * share) / 200), abs=0.01)
    assert measured([0] * 168, Pairs()) == STEADY


def test_between_the_lags_that_were_counted() -> None:
    found = Bunching(2.0, (0.0, 0.01, 0.03, 0.09, 0.1))
    assert found.followers_in(0) == 0
    assert found.followers_in(60) == pytest.approx(0.01)
    assert found.followers_in(600) == pytest.approx(0.06)
    assert found.followers_in(1e6) == 0.1
    # A unit an hour: a quarter in the lag, twice that by the hours, and 3 x .09 that follow.
    assert found.factor(1 / 3_600, 900, 3.0) == pytest.approx((0.5 + 0.27) / 0.25)
    assert found.factor(0.0, 900) == 1.0
    assert STEADY.factor(0.123, 60) == 1.0


def test_hours_are_the_shops_own() -> None:
    monday_noon = datetime(2026, 7, 6, 12, tzinfo=UTC).timestamp()
    assert hours_of([monday_noon]).index(1) == 12
    assert hours_of([monday_noon], ZoneInfo("Europe/Lisbon")).index(1) == 13
    assert hours_of([monday_noon - 5 * 3600], ZoneInfo("America/New_York")).index(1) == 3
    assert hours_of([monday_noon - 13 * 3600]).index(1) == 6 * 24 + 23


def test_nothing_is_known_before_it_happened() -> None:
    chance = random.Random(2)
    crowd = sorted(5 * WEEK_S + chance.randrange(40) * DAY_S + chance.choice((0.0, 60.0)) for _ in range(300))
    skus = [*steady(3, days=80), [(at, 2) for at in crowd]]
    course = Course.of([at for own in skus for at, _ in own], skus)
    assert course.at(course.start_s) == NO_HABITS
    assert course.at(course.start_s + 5 * WEEK_S - 1).bunching == STEADY
    assert course.at(course.start_s + 1e9).bunching.followers_in(900) > 0.05
    assert Course.of([], []).at(5.0) == NO_HABITS


@quick
@given(st.floats(0.001, 30), st.floats(1, 60), st.floats(0.001, 0.1))
def test_orders_that_meet_seldom_ask_for_more_than_the_bound(orders_met: float, lot: float, risk: float) -> None:
    """Against the sum over how many orders meet, with the tail of the negative binomial."""

    def chance(units: int) -> float:
        p, total, n = 1 / usual_size(lot), 0.0, 1
        while n < orders_met + 12 * math.sqrt(orders_met) + 12:
            weight = math.exp(n * math.log(orders_met) - orders_met - math.lgamma(n + 1))
            # n + 1 orders ask for more than `units` if at most n of so many trials end one.
            tail = sum(math.comb(units, k) * p**k * (1 - p) ** (units - k) for k in range(min(n, units) + 1))
            total += weight * tail
            n += 1
        return total

    bound = together(orders_met, lot, risk)
    assert chance(bound) <= risk * 1.001
    # Rounded up by at most two steps of two percent each.
    lower = int(bound * 0.9) - 2
    assert lower <= 0 or chance(lower) > 0.85 * risk


def test_lots_where_everybody_buys_one() -> None:
    assert together(0.0, 9.0, 0.005) == 0
    # Two orders of one meet: two units are enough unless three do.
    assert together(0.05, 1.0, 0.005) == 2
    assert together(0.004, 1.0, 0.005) == 0
    assert together(5_000.0, 1.0, 0.005) > 5_000
    assert [usual_lot([]), usual_lot([4.0]), usual_lot([1.0, 2.0, 3.0, 5.0, 9.0])] == [1.0, 4.0, 5.0]


def exposed(bunching: Bunching, pool: int, lot: float = 1.0) -> Exposure:
    rate = 0.1 / 900
    return Exposure(
        pool, [rate * s for s in (0.5, 0.3, 0.2)], [1.0] * 3, 900.0, 900.0, 14 * DAY_S, 10.0, 0.005, lot=lot,
        bunching=bunching,
    )  # fmt: skip


@quick
@given(st.integers(0, 60), st.sampled_from((1.0, 3.0, 12.0)))
def test_the_steady_figure_changes_nothing(pool: int, lot: float) -> None:
    same = Bunching(1.0, (0.0,) * len(SCALES_S))
    assert choose(exposed(same, pool, lot)) == choose(exposed(STEADY, pool, lot))


def test_where_sales_come_in_crowds_units_are_parted_sooner() -> None:
    crowds = Bunching(3.0, (0.0, 0.02, 0.1, 0.3, 0.4))
    calm, crowded = choose(exposed(STEADY, 8, 3.0)), choose(exposed(crowds, 8, 3.0))
    assert sum(p.now for p in crowded.portions) <= 8 < sum(p.now for p in calm.portions)
    assert "more as sales come close together" in crowded.steps[0]
    assert (
        choose(exposed(crowds, 4))
        .steps[0]
        .startswith("0.6 units sell in the 900 s until all channels know (p99): 0.1 at the mean")
    )
    assert [p.now for p in choose(exposed(crowds, 50)).portions] == [50] * 3
    told = Demand(0.1 / 900, None, None, 900.0, 900.0, 100.0, bunching=crowds)
    outlets = [Outlet(UUID(int=n), UUID(int=n), f"c{n}", n, shown=Shown(0, 0), demand=told) for n in (1, 2)]
    [first, _] = allot(Policy("risk", {}), 3, outlets)
    assert "more as sales come close together" in first.steps[0]


def test_habits_are_kept_as_json() -> None:
    counted = Counted((3,) * 168, Pairs(5, (1,) * 5, 7, WEEK_S), 4.5)
    for habits in (habits_of(counted), NO_HABITS, allocation_habits()):
        assert read_plain(plain(habits, counted)) == habits
    assert read_plain({}) is NO_HABITS
    assert read_plain(plain(NO_HABITS, counted)).bunching is STEADY


def allocation_habits() -> Habits:
    return habits_of(Counted(tuple(hours_of([n * 60.0 for n in range(500)])), Pairs(50, (9,) * 5, 60, 4 * WEEK_S)))


# ---- in the hub ------------------------------------------------------------------------------------------


def past_times(now: datetime, seed: int) -> Iterator[tuple[datetime, str, str, int]]:
    """When, where, what, how many; in the afternoon of the shop, and often two within minutes."""
    chance = random.Random(seed)
    for day in range(2, 90):
        for _ in range(chance.randrange(1, 4)):
            at = now.replace(hour=13, minute=0, second=0, microsecond=0) - timedelta(days=day)
            at += timedelta(seconds=chance.randrange(3 * 3_600))
            sku = chance.choice("ABC")
            yield at, chance.choice(("shop", "market")), sku, chance.choice((1, 1, 6))
            if chance.random() < 0.3:
                yield at + timedelta(seconds=chance.choice((0, 3, 200))), "market", sku, 1


async def test_the_hub_counts_as_a_replay_does_and_reckons_with_it(database: Database, organisation_id: UUID) -> None:
    skus = await make_variants(database, organisation_id, {"A": 9, "B": 9, "C": 9})
    places = {
        "shop": await make_connection(database, organisation_id, "shopify", name="Shop"),
        "market": await make_connection(database, organisation_id, "amazon", name="Market"),
    }
    zone = ZoneInfo("Asia/Tokyo")
    async with database.transaction(organisation_id) as tx:
        await tx.execute("update organisation set timezone = $2 where id = $1", organisation_id, zone.key)
    now = utc_now()
    sales: dict[str, dict[tuple[float, str], int]] = {sku: {} for sku in skus}
    for at, where, sku, units in past_times(now, 4):
        await add_order(database, organisation_id, places[where], at, [(sku, skus[sku], units)])
        key = at.timestamp(), where
        sales[sku][key] = sales[sku].get(key, 0) + units
    # Cancelled ones did not sell, and what is not over yet is not counted.
    gone = now.replace(hour=14) - timedelta(days=9)
    await add_order(database, organisation_id, places["shop"], gone, [("A", skus["A"], 4)], cancelled=4)
    async with database.transaction(organisation_id) as tx:
        counted = await orders.count_sales(tx, now - timedelta(days=364), now)
        earlier = await orders.count_sales(tx, now - timedelta(days=3_000), now - timedelta(days=2_000))
    assert earlier == Counted()
    by_sku = [sorted(own.items()) for own in sales.values()]
    expected = [
        sum(b - a < scale for own in by_sku for n, ((a, _), _) in enumerate(own) for (b, _), _ in own[n + 1 :])
        for scale in (WIDE_S, *SCALES_S)
    ]
    assert [counted.pairs.wide, *counted.pairs.near] == expected
    assert counted.pairs.sales == sum(map(len, by_sku))
    assert counted.lot == pytest.approx(
        usual_lot(sum(u * u for _, u in own) / sum(u for _, u in own) for own in by_sku)
    )
    assert sum(counted.hours) >= counted.pairs.sales
    # From one to four in the afternoon in London is late evening in Tokyo.
    assert {hour % 24 for hour, count in enumerate(counted.hours) if count} <= {22, 23, 0, 1}
    await _nightly(database, organisation_id)
    listing = await make_listing(database, organisation_id, places["shop"], skus["A"], "a")
    await make_listing(database, organisation_id, places["market"], skus["A"], "b")
    async with database.transaction(organisation_id) as tx:
        await allocation.set_policy(tx, "risk", {})
        row = await reading.habits(tx, now)
        knowledge = await measure(tx, now, Learning())
        [rates] = await reading.list_rates(tx, Learning())
        shares = await allocation.allot_variants(tx, [skus["A"]])
        later = await reading.habits(tx, now + timedelta(days=40))
    assert row is not None
    assert row.hours == knowledge.bunching.hours > 3
    assert row.followers[3][1] == knowledge.bunching.followers_in(900) > 0.1
    assert knowledge.usual.lot == row.lot
    assert rates.in_lag > 3 * rates.in_lag_at_mean
    [share] = [each for each in shares if each.listing_id == listing]
    assert any("more as sales come close together" in step for step in share.steps)
    # Counted too long ago: not used.
    assert later is None


async def _nightly(database: Database, organisation_id: UUID) -> None:
    async with database.transaction(organisation_id) as tx:
        job = await allocation.order_forecast(tx)
    assert job
    handler = partial(allocation.forecast, count_sales=orders.count_sales)
    assert await jobs.perform(database, FORECAST, handler, organisation_id, job) is jobs.Outcome.THROUGH
    async with database.transaction(organisation_id) as tx:
        found = await jobs.detail(tx, job)
    assert found.state.value == "done", found.error
