"""Priority, performance, demand and risk as strategies; buffers, caps and least quantities on top of any."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.allocation.contracts import Demand, InvalidPolicy, Outlet, Policy, Shown, Situation
from entrepot.allocation.rules import STRATEGIES, allot, check_policy

quick = settings(deadline=None, max_examples=120)
DIVIDING = ("fixed_shares", "equal", "priority", "performance", "demand", "rules")
maybe = st.none


@st.composite
def outlet_sets(draw: st.DrawFn) -> list[Outlet]:
    """Up to five listings, with anything known or not."""
    made = []
    for rank in range(draw(st.integers(0, 5))):
        told = Demand(
            draw(st.one_of(maybe(), st.floats(0, 1))),
            draw(st.one_of(maybe(), st.integers(0, 500))),
            draw(st.one_of(maybe(), st.floats(0, 500))),
            draw(st.one_of(maybe(), st.floats(0, 1_000))),
            draw(st.one_of(maybe(), st.floats(0, 1_000))),
            draw(st.one_of(maybe(), st.floats(1, 1_000))),
        )
        most = draw(st.integers(0, 50))
        made.append(
            Outlet(
                UUID(int=rank + 1), UUID(int=rank + 1), f"c{rank}", rank, buffer=draw(st.integers(0, 4)),
                cap=draw(st.one_of(maybe(), st.integers(0, 60))), least=draw(st.integers(0, 4)),
                fulfilment_only=draw(st.booleans()), absolute=draw(st.booleans()),
                shown=draw(st.one_of(maybe(), st.just(Shown(most, draw(st.integers(0, most)))))), demand=told,
            )
        )  # fmt: skip
    return made


@quick
@given(st.integers(-5, 1_000), outlet_sets(), st.sampled_from(sorted(STRATEGIES)), st.integers(0, 5), st.randoms())
def test_whatever_is_known_quantities_are_within_all_limits(
    pool: int, outlets: list[Outlet], name: str, kept: int, chance: random.Random
) -> None:
    policy, situation = Policy(name, {}), Situation(buffer=kept)
    found = {a.listing_id: a for a in allot(policy, pool, outlets, situation)}
    assert set(found) == {o.listing_id for o in outlets}
    for outlet in outlets:
        quantity = found[outlet.listing_id].quantity
        assert 0 <= quantity <= max(0, pool - kept)
        assert quantity == 0 or quantity >= outlet.least
        assert outlet.cap is None or quantity <= outlet.cap
        assert not outlet.fulfilment_only or quantity == 0
        assert found[outlet.listing_id].steps
    if name in DIVIDING:
        assert sum(a.quantity for a in found.values()) <= max(0, pool - kept)
    shuffled = list(outlets)
    chance.shuffle(shuffled)
    assert {a.listing_id: a for a in allot(policy, pool, shuffled, situation)} == found


def outlet(rank: int, **more: Any) -> Outlet:
    return Outlet(UUID(int=rank + 1), UUID(int=rank + 1), f"c{rank}", rank, **more)


def quantities(name: str, pool: int, *outlets: Outlet, **parameters: Any) -> list[int]:
    return [a.quantity for a in allot(check_policy(name, parameters), pool, outlets)]


def test_priority_fills_one_after_another() -> None:
    assert quantities("priority", 10, outlet(0), outlet(1)) == [10, 0]
    assert quantities("priority", 10, outlet(0), outlet(1), outlet(2), target=4) == [4, 4, 2]
    assert quantities("priority", 10, outlet(0), outlet(1), targets={"c0": 3}) == [3, 7]
    assert quantities("priority", 10, outlet(0, cap=2), outlet(1, buffer=1, cap=3), outlet(2)) == [2, 3, 4]
    assert quantities("priority", 10, outlet(0, least=11), outlet(1)) == [0, 10]


def test_siblings_share_their_connection_s_target() -> None:
    pair = [Outlet(UUID(int=n), UUID(int=9), "c0", 0, siblings=2) for n in (1, 2)]
    assert quantities("priority", 10, *pair, outlet(1), targets={"c0": 4}) == [4, 0, 6]


def sold(units: int | None) -> Demand:
    return Demand(sold_30d=units)


def test_performance_goes_by_sales_and_towards_equal_where_there_are_few() -> None:
    assert quantities("performance", 100, outlet(0, demand=sold(900)), outlet(1, demand=sold(90))) == [90, 9]
    assert quantities("performance", 100, outlet(0, demand=sold(0)), outlet(1, demand=sold(0))) == [50, 50]
    assert quantities("performance", 100, outlet(0, demand=sold(1)), outlet(1, demand=sold(0))) == [54, 45]
    assert quantities("performance", 100, outlet(0, demand=sold(50)), outlet(1)) == [50, 50]
    assert quantities("performance", 100, outlet(0), outlet(1), reserve=0.2) == [40, 40]


def test_demand_goes_by_the_forecast_then_the_rate_then_sales() -> None:
    told = [Demand(forecast=60.0, rate_s=1.0), Demand(rate_s=29.9 / (30 * 86_400)), Demand(sold_30d=10)]
    found = [outlet(n, demand=d) for n, d in enumerate(told)]
    assert quantities("demand", 100, *found, prior_units=0) == [60, 29, 10]


def test_risk_takes_what_is_not_known_badly() -> None:
    known = Demand(rate_s=1e-7, lag_p50_s=10.0, lag_p99_s=60.0)
    assert quantities("risk", 8, outlet(0, demand=known), outlet(1, demand=known)) == [8, 8]
    assert sum(quantities("risk", 8, outlet(0), outlet(1))) == 8
    quick_one = replace(known, rate_s=0.01)
    assert quantities("risk", 8, outlet(0, demand=quick_one), outlet(1, demand=replace(quick_one, rate_s=None))) == [
        4,
        4,
    ]
    slow = [outlet(n, demand=replace(known, rate_s=1e-6, lag_p50_s=None, lag_p99_s=None)) for n in range(2)]
    assert quantities("risk", 1, *slow) == [1, 1]
    assert sum(quantities("risk", 1, *slow, lag_s=1e5)) == 1


def test_risk_says_what_it_waits_for() -> None:
    told = Demand(rate_s=0.1, lag_p50_s=10.0, lag_p99_s=60.0)
    listings = [outlet(0, demand=told, shown=Shown(1, 1)), outlet(1, demand=told, shown=Shown(8, 4))]
    first, second = allot(Policy("risk", {}), 8, listings)
    assert (first.quantity, first.target, second.quantity) == (1, 4, 4)
    assert "1 for now: the rest waits until other listings show less" in first.steps
    assert "4 of 8 here, for 50% of its sales" in second.steps


def test_a_buffer_does_not_make_escrow_drift() -> None:
    told = Demand(rate_s=0.1, lag_p50_s=10.0, lag_p99_s=60.0)
    shows = [0, 0]
    for _ in range(3):
        listings = [outlet(n, demand=told, buffer=2 * n, shown=Shown(v, v)) for n, v in enumerate(shows)]
        shows = [a.quantity for a in allot(Policy("risk", {}), 10, listings)]
    assert shows == [5, 3]


def test_buffers_of_product_and_channel() -> None:
    [found] = allot(Policy("pool_minus_buffer", {}), 8, [outlet(0, buffer=1)], Situation(buffer=3))
    assert found.quantity == 4
    assert found.steps[0] == "3 of 8 kept back for the product"


def test_what_a_listing_never_shows_it_does_not_wait_for() -> None:
    told = Demand(rate_s=0.1, lag_p50_s=10.0, lag_p99_s=60.0)
    shown = Shown(10, 10)
    listings = [outlet(0, demand=told, shown=shown), outlet(1, demand=told, shown=Shown(0, 0), least=8)]
    [first, second] = allot(Policy("risk", {}), 10, listings)
    assert first.target == 10, "what the second would not show is the first one's"
    assert (second.quantity, second.target) == (0, 0)
    assert "others have it" in second.steps[-1]
    # Of two that would both show none the smaller part goes; the other has enough then.
    small = Demand(rate_s=0.04, lag_p50_s=10.0, lag_p99_s=60.0)
    both = [outlet(0, demand=told, least=8), outlet(1, demand=small, least=8)]
    assert quantities("risk", 10, *both) == [10, 0]
    # If nobody can show enough, nobody does, and nobody is told that others have it.
    none = allot(Policy("risk", {}), 5, [outlet(0, demand=told, least=8), outlet(1, demand=told, least=9)])
    assert [(a.quantity, "others" in a.steps[-1]) for a in none] == [(0, False), (0, False)]
    capped = [outlet(0, demand=told, shown=shown), outlet(1, demand=told, shown=Shown(0, 0), cap=2)]
    assert [a.target for a in allot(Policy("risk", {}), 10, capped)][1] == 2


@pytest.mark.parametrize(
    ("strategy", "parameters", "words"),
    [
        ("priority", {"targets": {"c0": -1}}, "target of c0"),
        ("priority", {"targets": [1]}, "by channel"),
        ("priority", {"target": 1.5}, "whole number"),
        ("priority", {"aim": 1}, "no 'aim'"),
        ("performance", {"reserve": 2}, "between 0 and 1"),
        ("performance", {"prior_units": "many"}, "must be a number"),
        ("demand", {"reserve": "NaN"}, "between 0 and 1"),
        ("risk", {"risk": 0}, "The accepted risk .risk. must be"),
        ("risk", {"oversell_cost": True}, "must be a number"),
        ("risk", {"epsilon": 0.1}, "no 'epsilon'"),
    ],
)
def test_bad_parameters_are_refused_in_words(strategy: str, parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidPolicy, match=words):
        check_policy(strategy, parameters)
