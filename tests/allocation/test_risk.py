"""The risk rule: which way it takes, what it gives, and that it keeps overselling rare."""

from __future__ import annotations

import dataclasses
import random
from itertools import product

import pytest
from benchmarks import cycles, exact
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.allocation.bid_price import Case, bids, quantities
from entrepot.allocation.escrow import bound
from entrepot.allocation.poisson import at_least, pmf
from entrepot.allocation.risk import Exposure, Mode, chance_of_oversell, choose, mode_of

SHARES = (0.5, 0.3, 0.2)


def case(pool: int, in_lag: float, **more: object) -> Exposure:
    """A variant that sells `in_lag` units within the lag of a minute on three channels."""
    plain = Exposure(pool, [s * in_lag / 60 for s in SHARES], [1.0] * 3, 60.0, 60.0, 14 * 86_400.0, 10.0, 0.005)
    return dataclasses.replace(plain, **more)  # type: ignore[arg-type]


def shown(found: Exposure) -> list[int]:
    return [p.now for p in choose(found).portions]


def test_the_number_that_decides() -> None:
    assert chance_of_oversell([0.5, 0.3, 0.2], 0.01) == pytest.approx(0.01 * 0.62, rel=0.01)
    assert chance_of_oversell([1.0], 1e6) == 0.0
    assert chance_of_oversell([], 60) == chance_of_oversell([0.0, 0.0], 60) == 0.0
    assert mode_of(SHARES, 0.008, 0.005) is Mode.POOL
    assert mode_of(SHARES, 0.01, 0.005) is Mode.BID_PRICE
    assert mode_of(SHARES, 0.3, 0.005) is Mode.BID_PRICE
    assert mode_of(SHARES, 0.31, 0.005) is Mode.ESCROW


def test_slow_sellers_show_all_and_quick_ones_share() -> None:
    assert shown(case(7, 0.005)) == [7, 7, 7]
    assert shown(case(50, 0.2)) == [50, 50, 50]
    limit = bound([s / 60 for s in SHARES], 120.0, 0.005)
    quick = choose(case(limit, 2.0, shown=((13, 13), (13, 13), (13, 13))))
    assert (quick.mode, quick.bound) == (Mode.ESCROW, limit)
    assert [p.now for p in quick.portions] == [5, 4, 3]
    assert shown(case(limit, 2.0)) == [6, 4, 2]
    assert shown(case(limit + 1, 2.0)) == [limit + 1] * 3


def test_with_few_left_no_unit_is_at_risk_if_all_will_sell_anyway() -> None:
    found = shown(case(3, 0.2))
    assert sum(found) <= 3


def test_the_last_units_are_shown_everywhere_if_they_hardly_sell() -> None:
    slow = case(2, 2.0, replenish_s=30.0, oversell_cost=0.1)
    assert shown(slow) == [2, 2, 2]
    assert sum(shown(dataclasses.replace(slow, oversell_cost=10.0))) <= 2


def test_without_rates_each_has_its_own_part() -> None:
    chosen = choose(dataclasses.replace(case(10, 1.0), rates=[1.0] * 3, rates_known=False))
    assert sum(p.now for p in chosen.portions) == 10
    assert max(p.now for p in chosen.portions) <= 4
    assert "not known" in chosen.steps[0]


def test_it_waits_for_what_is_still_shown() -> None:
    full = dataclasses.replace(case(12, 2.0), shown=((20, 20), (20, 20), (20, 20)))
    assert shown(full) == [5, 4, 3]
    # One listing's lowering is not acknowledged: nobody is raised on its units.
    waiting = dataclasses.replace(case(12, 2.0), shown=((2, 2), (9, 2), (3, 3)))
    chosen = choose(waiting)
    assert [p.now for p in chosen.portions] == [2, 2, 3]
    assert chosen.portions[0].target > 2


def test_caps_hold() -> None:
    assert shown(case(7, 0.005, caps=(None, 3, 0))) == [7, 3, 0]
    assert shown(case(5, 0.2, caps=(1, 1, None)))[:2] == [1, 1]
    assert shown(case(12, 2.0, caps=(1, None, None)))[0] == 1


money = st.floats(0.1, 10)


@settings(deadline=None, max_examples=200)
@given(
    st.integers(-2, 60),
    st.lists(st.tuples(st.floats(0, 1), money), min_size=1, max_size=5),
    st.floats(0, 60),
    money,
    st.randoms(use_true_random=False),
)
def test_never_negative_never_above_the_pool_whatever_the_order(
    pool: int, listings: list[tuple[float, float]], lag: float, cost: float, chance: random.Random
) -> None:
    def found(order: list[tuple[float, float]]) -> tuple[Mode, list[int]]:
        made = Exposure(pool, [r for r, _ in order], [m for _, m in order], lag / 2, lag, 1e4, cost, 0.005)
        chosen = choose(made)
        return chosen.mode, [p.now for p in chosen.portions]

    mode, quantities_ = found(listings)
    assert all(0 <= q <= max(0, pool) for q in quantities_)
    place = list(range(len(listings)))
    chance.shuffle(place)
    if len({r for r, _ in listings}) == len({m for _, m in listings}) == len(listings):
        assert found([listings[p] for p in place]) == (mode, [quantities_[p] for p in place])


def plain_greedy(found: Case) -> list[int]:
    """One unit at a time to the largest gain, by brute force over all joint sales."""
    means = [r * found.window_s for r in found.rates]
    left = bids(found)

    def worth(given: list[int]) -> float:
        total = 0.0
        for sold in product(*(range(q + 1) for q in given)):
            p = 1.0
            for s, q, mean in zip(sold, given, means, strict=True):
                p *= at_least(q, mean) if s == q else pmf(s, mean)
            spent = sum(left[found.pool - k - 1] if k < found.pool else found.lost for k in range(sum(sold)))
            total += p * (sum(s * m for s, m in zip(sold, found.margins, strict=True)) - spent)
        return total

    given = [0] * len(means)
    while True:
        best, gain = -1, 1e-13
        for c in range(len(given)):
            if given[c] < found.pool:
                more = worth([q + (d == c) for d, q in enumerate(given)]) - worth(given)
                if more > gain:
                    best, gain = c, more
        if best < 0:
            return given
        given[best] += 1


@pytest.mark.parametrize("units", [1, 2, 4])
@pytest.mark.parametrize("cost", [1.0, 10.0])
@pytest.mark.parametrize("rates", [(0.25, 0.15, 0.1), (0.04, 0.02)])
def test_gains_are_what_the_joint_sales_say(units: int, cost: float, rates: tuple[float, ...]) -> None:
    found = Case(units, rates, (1.0,) * len(rates), 1.0, 30.0, cost)
    assert quantities(found) == plain_greedy(found)


def test_a_bid_is_worth_more_the_fewer_are_left() -> None:
    values = bids(Case(6, SHARES, (1.0, 0.8, 0.9), 0.2, 5.0, 10.0))
    assert values == sorted(values, reverse=True)
    assert all(0 < v <= 1 for v in values)


@pytest.mark.parametrize("number", range(0, 432, 36))
def test_close_to_the_exact_optimum(number: int) -> None:
    found = list(exact.cases())[number]
    assert -1e-9 <= exact.gap(found) <= 0.003


@pytest.mark.parametrize(("lag", "lost"), [(0.14, 0.01), (2.0, 0.02), (20.0, 0.05)])
def test_stock_outs_hardly_oversell(lag: float, lost: float) -> None:
    outcome = cycles.measure(20, lag, cycles.risk, 400, 4)
    assert outcome.oversold <= 0.0125
    assert outcome.lost <= lost
    assert cycles.measure(20, lag, cycles.pool, 100, 4).oversold > 3 * outcome.oversold


def test_the_last_unit_s_bid_knows_what_oversells_cost() -> None:
    cheap, dear = (bids(Case(1, SHARES, (1.0,) * 3, 0.2, 1.0, cost))[0] for cost in (0.0, 50.0))
    assert cheap > dear
    # Where oversells are dear it is shown on one listing only.
    assert dear == pytest.approx(at_least(1, SHARES[0] * 0.8))


def test_where_orders_take_many_units_nothing_is_risked_on_the_last() -> None:
    assert shown(case(20, 0.2)) == [20, 20, 20]
    lots = choose(case(20, 0.2, lot=12.0))
    assert sum(p.now for p in lots.portions) == 20
    assert "an order takes 12 units" in lots.steps[-1]
    assert shown(case(200, 0.2, lot=12.0)) == [200] * 3
    single, by_the_dozen = choose(case(1_000, 2.0)), choose(case(1_000, 2.0, lot=12.0))
    assert single.bound is not None
    assert by_the_dozen.bound is not None
    assert by_the_dozen.bound > 3 * single.bound


def test_bid_price_waits_for_the_listing_that_gives() -> None:
    wanted = shown(case(3, 0.2))
    assert sum(wanted) == 3
    waiting = choose(case(3, 0.2, shown=((0, 0), (3, 0), (0, 0))))
    assert [p.target for p in waiting.portions] == wanted
    assert [p.now for p in waiting.portions] == [0, 0, 0]
