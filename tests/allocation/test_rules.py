"""Strategies: properties that hold for any pool, outlets and shares."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.allocation.rules import STRATEGIES, InvalidPolicy, Outlet, Policy, allot, check_policy

quick = settings(deadline=None, max_examples=60)
shares = st.one_of(st.none(), st.decimals(0, 1, places=4))


@st.composite
def outlet_sets(draw: st.DrawFn) -> list[Outlet]:
    """Up to five connections with one to three listings each."""
    made = []
    for rank in range(draw(st.integers(0, 5))):
        share, buffer, siblings = draw(shares), draw(st.integers(0, 4)), draw(st.integers(1, 3))
        for number in range(siblings):
            listing = UUID(int=rank * 10 + number)
            made.append(Outlet(listing, UUID(int=rank), f"c{rank}", rank, share, buffer, siblings))
    return made


@quick
@given(st.integers(-5, 10_000), outlet_sets(), st.sampled_from(["fixed_shares", "equal"]))
def test_dividing_strategies_never_promise_more_than_the_pool(pool: int, outlets: list[Outlet], name: str) -> None:
    result = allot(Policy(name, {}), pool, outlets)
    assert {a.listing_id for a in result} == {o.listing_id for o in outlets}
    assert all(a.quantity >= 0 for a in result)
    assert sum(a.quantity for a in result) <= max(0, pool)


@quick
@given(st.integers(-5, 1000), outlet_sets(), st.sampled_from(sorted(STRATEGIES)), st.randoms(use_true_random=False))
def test_the_order_of_the_listings_does_not_matter(
    pool: int, outlets: list[Outlet], name: str, chance: random.Random
) -> None:
    policy = Policy(name, {"buffer": 2} if name == "pool_minus_buffer" else {})
    shuffled = list(outlets)
    chance.shuffle(shuffled)
    assert allot(policy, pool, outlets) == allot(policy, pool, shuffled)


@quick
@given(st.integers(-5, 1000), outlet_sets(), st.integers(0, 20))
def test_the_whole_pool_less_buffers_is_shown_on_each(pool: int, outlets: list[Outlet], buffer: int) -> None:
    by_id = {o.listing_id: o for o in outlets}
    for allotment in allot(Policy("pool_minus_buffer", {"buffer": buffer}), pool, outlets):
        own = by_id[allotment.listing_id].buffer
        assert allotment.quantity == max(0, max(0, pool - buffer) - own)


def outlet(rank: int, share: str | None = None, buffer: int = 0, siblings: int = 1, number: int = 0) -> Outlet:
    own = Decimal(share) if share else None
    return Outlet(UUID(int=rank * 10 + number), UUID(int=rank), f"c{rank}", rank, own, buffer, siblings)


def quantities(policy: Policy, pool: int, *outlets: Outlet) -> list[int]:
    return [a.quantity for a in allot(policy, pool, outlets)]


def test_defaults_go_by_rank_and_the_fourth_gets_nothing() -> None:
    assert quantities(Policy("fixed_shares", {}), 100, *map(outlet, range(4))) == [40, 30, 20, 0]


def test_own_share_goes_before_the_policy_s_and_the_default() -> None:
    policy = Policy("fixed_shares", {"shares": {"c0": 0.1, "c1": "0.25"}})
    assert quantities(policy, 100, outlet(0, "0.5"), outlet(1), outlet(2)) == [50, 25, 20]


def test_shares_above_one_are_scaled_down() -> None:
    assert quantities(Policy("fixed_shares", {}), 100, outlet(0, "1"), outlet(1, "1")) == [50, 50]


def test_siblings_divide_their_connection_s_share_and_buffers_are_kept_back() -> None:
    pair = [outlet(0, "0.5", 3, 2, number) for number in (0, 1)]
    assert quantities(Policy("fixed_shares", {}), 100, *pair, outlet(1, "0.5", 60)) == [22, 22, 0]


def test_a_share_of_a_third_is_not_rounded_up() -> None:
    assert quantities(Policy("equal", {}), 10, *map(outlet, range(3))) == [3, 3, 3]


def test_the_steps_say_why() -> None:
    [allotment] = allot(Policy("pool_minus_buffer", {"buffer": 2}), 10, [outlet(0, buffer=1)])
    assert allotment.steps == ("the pool of 10 less a buffer of 2", "less the channel's buffer of 1")


@pytest.mark.parametrize(
    ("strategy", "parameters"),
    [
        ("guess", {}),
        ("pool_minus_buffer", {"buffer": -1}),
        ("pool_minus_buffer", {"buffer": "2"}),
        ("pool_minus_buffer", {"buffer": True}),
        ("fixed_shares", {"shares": {"shopify": "much"}}),
        ("fixed_shares", {"shares": {"shopify": 1.5}}),
        ("fixed_shares", {"shares": {"shopify": -0.1}}),
        ("fixed_shares", {"shares": {"shopify": "NaN"}}),
        ("fixed_shares", {"shares": 3}),
        ("fixed_shares", {"shares": None}),
    ],
)
def test_a_bad_policy_is_refused(strategy: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidPolicy):
        check_policy(strategy, parameters)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_needs_no_parameters(strategy: str) -> None:
    assert check_policy(strategy, {}) == Policy(strategy, {})
    assert allot(check_policy(strategy, {}), 5, []) == []
