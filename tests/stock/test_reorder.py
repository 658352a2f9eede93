"""When to order and how much: the figures, the limits and the words."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.stock.reorder import (
    InvalidTerms,
    Scatter,
    Terms,
    check_terms,
    expected,
    past_pairs,
    scatter,
    suggest,
    tsb,
    weekday_profile,
)

TERMS = Terms(lead_days=10, review_days=4, under_minor=300, over_minor=100)
quick = settings(deadline=None, max_examples=100)


def year(chance: random.Random, rate: float) -> list[int | None]:
    return [sum(chance.random() < rate / 20 for _ in range(20)) for _ in range(365)]


def learned(seed: int = 1) -> Scatter:
    chance = random.Random(seed)
    pairs = [pair for _ in range(150) for pair in past_pairs(year(chance, chance.choice((0.2, 1.0, 4.0))), 14)]
    found = scatter(pairs)
    assert found is not None
    return found


def test_tsb_finds_the_pace_and_forgets_what_sells_no_more() -> None:
    assert tsb([3] * 100) == pytest.approx(3, rel=0.01)
    assert tsb([0, 0, 0, 8] * 40) == pytest.approx(2, rel=0.3)
    assert tsb([5] * 100 + [0] * 60) < 0.02
    assert tsb([]) == tsb([None]) == 0.0


def test_days_that_nobody_knows_are_not_days_without_sales() -> None:
    assert tsb([4] * 60 + [None] * 40) == pytest.approx(tsb([4] * 60))
    assert past_pairs([1] * 60 + [None] * 7, 7, periods=1) == []


def test_weekdays_are_learned() -> None:
    profile = weekday_profile([[0, 0, 0, 0, 0, 6, 1] * 10, [1] * 70], 0)
    assert sum(profile) == pytest.approx(7)
    assert profile[5] > 3 * profile[0]
    assert expected([1] * 70, 1, profile, 5) > 3 * expected([1] * 70, 1, profile, 0)
    assert weekday_profile([], 0) == (1.0,) * 7


def test_the_quantile_covers_what_it_says() -> None:
    off, chance = learned(), random.Random(9)
    met = tried = 0
    for _ in range(300):
        daily = year(chance, chance.choice((0.2, 1.0, 4.0)))
        need = off.quantile(expected(daily[:-14], 14), 0.9)
        met += sum(units or 0 for units in daily[-14:]) <= need
        tried += 1
    assert 0.85 <= met / tried <= 0.96


def test_too_little_is_not_learned_from() -> None:
    assert scatter([(1.0, 1)] * 9) is None
    assert scatter([]) is None


def test_the_level_that_pays() -> None:
    assert TERMS.service_level == 0.75
    low = suggest(0, [2] * 100, replace(TERMS, under_minor=100.0), learned())
    assert low.order_at < suggest(0, [2] * 100, replace(TERMS, under_minor=5_000.0), learned()).order_at


def test_a_short_history_takes_the_simple_rule() -> None:
    found = suggest(0, [1, 0, 2, 1], TERMS, learned())
    assert found.units == found.up_to == 17
    assert "4 days of sales" in found.steps[0]
    assert suggest(5, [], TERMS).steps == ("nothing is known about its sales yet",)


def test_an_order_that_costs_is_made_seldom_and_large() -> None:
    costly = replace(TERMS, order_cost_minor=2_000.0, holding_minor=100.0)
    off = learned()
    plain, rare = suggest(0, [2] * 200, TERMS, off), suggest(0, [2] * 200, costly, off)
    assert rare.order_at == plain.order_at
    assert rare.up_to == rare.order_at + 171
    assert suggest(rare.order_at + 1, [2] * 200, costly, off).units == 0
    assert suggest(rare.order_at, [2] * 200, costly, off).units == 171
    assert suggest(plain.up_to - 1, [2] * 200, TERMS, off).units == 1


def test_packs_least_orders_and_the_most_in_stock() -> None:
    off = learned()
    need = suggest(0, [2] * 200, TERMS, off).up_to
    assert suggest(need - 1, [2] * 200, replace(TERMS, pack=6), off).units == 6
    assert suggest(need - 1, [2] * 200, replace(TERMS, least_order=10, pack=4), off).units == 12
    assert suggest(0, [2] * 200, replace(TERMS, most_stock=10), off).units == 10
    assert suggest(0, [2] * 200, replace(TERMS, most_stock=10, pack=4), off).units == 8
    full = suggest(8, [2] * 200, replace(TERMS, most_stock=10, pack=4), off)
    assert full.units == 0
    assert "more than may be in stock" in full.steps[-1]


@quick
@given(
    st.integers(-20, 300),
    st.lists(st.one_of(st.none(), st.integers(0, 30)), max_size=120),
    st.integers(1, 12),
    st.integers(0, 40),
    st.one_of(st.none(), st.integers(0, 200)),
    st.floats(0, 5_000),
)
def test_an_order_is_in_packs_and_within_limits(
    position: int, daily: list[int | None], pack: int, least: int, most: int | None, cost: float
) -> None:
    terms = replace(TERMS, pack=pack, least_order=least, most_stock=most, order_cost_minor=cost, holding_minor=50.0)
    found = suggest(position, daily, terms, Scatter((1e9,), ((0.0, 0.5, 1.0, 1.5, 2.0),)))
    assert found.units >= 0
    assert found.units % pack == 0
    assert found.steps
    if found.units:
        assert found.units >= least
        assert most is None or position + found.units <= max(most, position)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lead_days": -1}, "Lead time"),
        ({"lead_days": 0, "review_days": 0}, "at least one day"),
        ({"under_minor": 0}, "above 0"),
        ({"order_cost_minor": -1}, "0 or more"),
        ({"pack": 0}, "1 unit or more"),
        ({"most_stock": -1}, "most to have"),
    ],
)
def test_terms_that_are_wrong_are_refused(change: dict[str, int], words: str) -> None:
    with pytest.raises(InvalidTerms, match=words):
        check_terms(replace(TERMS, **change))  # type: ignore[arg-type]
