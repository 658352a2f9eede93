"""Which policy and limits count: the nearest; when rules about time say something else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.allocation.clock import asks_for_time, changed_between, phase
from entrepot.allocation.contracts import InvalidPolicy, Policy
from entrepot.allocation.rules import check_policy
from entrepot.allocation.scopes import (
    CATEGORY,
    DEFAULT,
    PRODUCT,
    VARIANT,
    WHOLE_SHOP,
    InvalidLimit,
    Limit,
    Limits,
    Policies,
    Scope,
    check_limit,
)


def ident(number: int) -> UUID:
    return UUID(int=number)


PRODUCT_1, VARIANT_1, HERE, ELSEWHERE = ident(1), ident(2), ident(3), ident(4)
PLACES = (Scope(PRODUCT, PRODUCT_1), Scope(CATEGORY, ident(10)), Scope(CATEGORY, ident(11)), WHOLE_SHOP)


@given(st.sets(st.sampled_from(PLACES)))
def test_the_nearest_policy_counts(given_for: set[Scope]) -> None:
    policies = Policies({scope: Policy("equal", {"of": str(scope)}) for scope in given_for})
    found = policies.of(PRODUCT_1, [ident(10), ident(11)])
    nearest = next((scope for scope in PLACES if scope in given_for), None)
    if nearest is None:
        assert (found.policy, found.stored) == (DEFAULT, False)
    else:
        assert (found.scope, found.stored) == (nearest, True)
        assert found.policy.parameters["of"] == str(nearest)
    # Where nothing is nearer, a draft anywhere counts exactly where it is set.
    for scope in PLACES:
        drafted = policies.with_policy(scope, Policy("risk")).of(PRODUCT_1, [ident(10), ident(11)])
        is_nearest = nearest is None or PLACES.index(scope) <= PLACES.index(nearest)
        assert (drafted.policy.strategy == "risk") == is_nearest


def test_another_product_s_policy_does_not_count() -> None:
    policies = Policies({Scope(PRODUCT, ident(9)): Policy("equal"), Scope(CATEGORY, ident(12)): Policy("equal")})
    assert policies.of(PRODUCT_1, [ident(10)]).policy == DEFAULT
    assert policies.has_categories
    assert not Policies({WHOLE_SHOP: Policy("equal")}).has_categories


def test_each_number_of_a_limit_comes_from_the_nearest_place_that_says_it() -> None:
    variant, product = Scope(VARIANT, VARIANT_1), Scope(PRODUCT, PRODUCT_1)
    limits = Limits(
        {
            (variant, HERE): Limit(cap=5),
            (variant, None): Limit(least=2, buffer=1),
            (product, HERE): Limit(buffer=7, cap=9),
            (product, None): Limit(buffer=4, cap=50, least=3),
        }
    )
    assert limits.on(PRODUCT_1, VARIANT_1, HERE) == Limit(buffer=7, cap=5, least=2)
    assert limits.on(PRODUCT_1, VARIANT_1, ELSEWHERE) == Limit(buffer=None, cap=50, least=2)
    assert limits.on(PRODUCT_1, ident(8), HERE) == Limit(buffer=7, cap=9, least=3)
    assert limits.on(ident(7), ident(8), HERE).says_nothing
    assert [limits.kept_of(PRODUCT_1, v) for v in (VARIANT_1, ident(8))] == [1, 4]
    assert limits.kept_of(ident(7), ident(8)) == 0


@pytest.mark.parametrize(
    ("limit", "words"),
    [(Limit(cap=-1), "cap must be 0"), (Limit(buffer=2_000_000_000), "buffer"), (Limit(cap=1, least=2), "is above")],
)
def test_limits_that_cannot_be_are_refused(limit: Limit, words: str) -> None:
    with pytest.raises(InvalidLimit, match=words):
        check_limit(limit)


# ---- the clock -------------------------------------------------------------------------------------------

EVENING = {"rules": [{"if": {"time": {"days": ["sat"], "from": "18:00", "to": "02:00"}}, "then": {"cap": 1}}]}
SUNDAY_2 = datetime(2026, 11, 22, 2, tzinfo=UTC)


def test_a_rule_over_midnight_begins_and_ends_when_it_says() -> None:
    start = SUNDAY_2 - timedelta(hours=8)
    minute = timedelta(minutes=1)
    assert changed_between(EVENING, start - minute, start)
    assert not changed_between(EVENING, start, SUNDAY_2 - minute)
    assert changed_between(EVENING, SUNDAY_2 - minute, SUNDAY_2)
    assert not changed_between(EVENING, SUNDAY_2, SUNDAY_2 + timedelta(hours=20))


def test_a_pause_over_a_whole_evening_is_not_missed() -> None:
    before, after = SUNDAY_2 - timedelta(hours=10), SUNDAY_2 + timedelta(hours=2)
    assert phase(EVENING, before) == phase(EVENING, after)
    assert changed_between(EVENING, before, after)
    assert changed_between(EVENING, before, before + timedelta(days=3))


def test_the_hour_that_summer_time_leaves_out_begins_an_hour_of_rules_too() -> None:
    # On 28 March 2027 clocks in Lisbon go from 01:00 to 02:00: 01:30 never comes.
    rules = {"zone": "Europe/Lisbon", "rules": [{"if": {"time": {"from": "01:30", "to": "03:00"}}, "then": {"cap": 1}}]}
    one = datetime(2027, 3, 28, 1, tzinfo=UTC)
    assert changed_between(rules, one - timedelta(minutes=1), one)


@given(
    st.integers(0, 40_000), st.integers(0, 1_439), st.integers(0, 23), st.integers(0, 24),
    st.sets(st.sampled_from(["mon", "wed", "sun"]), min_size=1),
    st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"]),
)  # fmt: skip
def test_following_every_minute_sees_what_one_look_sees(
    start: int, span: int, begin: int, end: int, days: set[str], zone: str
) -> None:
    when = {"days": sorted(days), "from": f"{begin}:00", "to": f"{end}:00"}
    parameters: dict[str, Any] = {"zone": zone, "rules": [{"if": {"time": when}, "then": {"cap": 1}}]}
    check_policy("rules", parameters)
    first = SUNDAY_2 + timedelta(minutes=start)
    steps = [first + timedelta(minutes=n) for n in range(span + 1)]
    seen = {phase(parameters, at) for at in steps}
    assert changed_between(parameters, first, steps[-1]) == (len(seen) > 1)


def test_only_rules_about_time_or_past_sales_are_followed() -> None:
    assert asks_for_time("rules", EVENING)
    sold = {"rules": [{"if": {"sold": {"days": 7, "below": 2}}, "then": {"cap": 1}}]}
    assert asks_for_time("rules", sold)
    assert changed_between(sold, SUNDAY_2 - timedelta(hours=3), SUNDAY_2)
    assert not asks_for_time("rules", {"rules": [{"if": {"stock": {"below": 2}}, "then": {"cap": 1}}]})
    assert not asks_for_time("risk", {})


@pytest.mark.parametrize(
    ("strategy", "parameters", "path"),
    [
        ("fixed_shares", {"shares": {"shopify": 2}}, ("shares", "shopify")),
        ("fixed_shares", {"share": {}}, ("share",)),
        ("equal", {"x": 1}, ("x",)),
        ("pool_minus_buffer", {"buffer": -1}, ("buffer",)),
        ("priority", {"targets": {"a": "x"}}, ("targets", "a")),
        ("risk", {"risk": 3}, ("risk",)),
        ("rules", {"rules": [{"then": {"cap": 1}}, {"then": {"share": 2}}]}, ("rules", 1, "then", "share")),
        ("rules", {"rules": [{"if": {"stock": {"below": -1}}, "then": {"cap": 1}}]},
         ("rules", 0, "if", "stock", "below")),
        ("rules", {"otherwise": {"strategy": "risk", "parameters": {"lag_s": -1}}},
         ("otherwise", "parameters", "lag_s")),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(strategy: str, parameters: dict[str, Any], path: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidPolicy) as wrong:
        check_policy(strategy, parameters)
    assert wrong.value.path == path
    assert wrong.value.context["errors"][0]["pointer"] == "#/parameters/" + "/".join(map(str, path))
