"""Rates from few sales, and lags in a sketch."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.allocation.calibrate import LagSketch, Prior, Sales, lot, prior_of, rates

DAY = 86_400.0
lags = st.lists(st.floats(0, 1e5), min_size=1, max_size=60)


def test_without_sales_the_channels_usual_shares_count_and_with_many_its_own() -> None:
    prior = prior_of([Sales({"a": 9 * n, "b": n}, 30 * DAY) for n in (1, 3, 10, 80)], ["a", "b"])
    new = rates(prior, Sales({}, 0.0))
    assert new["a"] / new["b"] == pytest.approx(9, rel=0.02)
    own = rates(prior, Sales({"b": 3_000}, 30 * DAY))
    assert own["b"] == pytest.approx(3_000 / (30 * DAY), rel=0.1)
    assert own["b"] > 100 * own["a"] > 0


def test_a_shop_without_sales_has_a_rate_above_nothing() -> None:
    prior = prior_of([], ["a", "b"])
    assert prior.shares == {"a": 0.5, "b": 0.5}
    assert all(rate > 0 for rate in rates(prior, Sales({}, 0.0)).values())


def test_rates_sum_to_the_sku_s_and_lie_between_prior_and_own() -> None:
    prior = Prior({"a": 0.7, "b": 0.3}, 2.0, 20 * DAY)
    found = sum(rates(prior, Sales({"a": 1, "b": 1}, 5 * DAY)).values())
    assert found == pytest.approx(4 / (25 * DAY))
    assert prior.rate < found < 2 / (5 * DAY)


def test_shrinkage_comes_closer_to_the_truth_than_counting() -> None:
    chance = random.Random(4)
    truth, seen = [], []
    for _ in range(400):
        rate = chance.gammavariate(1.5, 0.2)
        share = chance.betavariate(6, 4)
        both = [rate * share, rate * (1 - share)]
        truth.append(both)
        sold = [sum(chance.random() < r / 50 for _ in range(30 * 50)) for r in both]
        seen.append(Sales({"a": sold[0], "b": sold[1]}, 30 * DAY))
    prior = prior_of(seen, ["a", "b"])
    learned = [rates(prior, s) for s in seen]
    wrong = sum((f[c] * DAY - t[n]) ** 2 for f, t in zip(learned, truth, strict=True) for n, c in enumerate("ab"))
    plain = sum((s.units[c] / 30 - t[n]) ** 2 for s, t in zip(seen, truth, strict=True) for n, c in enumerate("ab"))
    assert wrong < 0.9 * plain


@settings(deadline=None, max_examples=150)
@given(lags, st.floats(0, 1))
def test_a_quantile_is_a_tenth_too_high_at_most(values: list[float], part: float) -> None:
    sketch = LagSketch()
    for value in values:
        sketch.add(value)
    ordered = sorted(values)
    exact = ordered[min(len(ordered) - 1, int(part * len(ordered) * (1 - 1e-12)))]
    found = sketch.quantile(part)
    assert found is not None
    assert exact * (1 - 1e-6) <= found <= max(0.0100001, exact * 1.1000001)


@settings(deadline=None, max_examples=60)
@given(lags, lags)
def test_two_sketches_are_one(one: list[float], two: list[float]) -> None:
    parts, whole = [LagSketch(), LagSketch()], LagSketch()
    for sketch, values in zip(parts, (one, two), strict=True):
        for value in values:
            sketch.add(value)
            whole.add(value)
    merged = parts[0].merge(parts[1])
    assert merged == parts[1].merge(parts[0]) == whole
    assert LagSketch.from_json(merged.to_json()) == merged
    assert merged.count == len(one) + len(two)


def test_nothing_known_is_not_zero_and_what_is_no_lag_is_refused() -> None:
    assert LagSketch().quantile(0.99) is None
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="number of seconds"):
            LagSketch().add(wrong)


def test_what_is_past_fades() -> None:
    old = LagSketch()
    for _ in range(100):
        old.add(100.0)
    new = old.faded(0.01)
    for _ in range(10):
        new.add(1.0)
    found = new.quantile(0.5)
    assert found is not None
    assert found < 1.2
    assert old.faded(1e-6).counts == {}


@given(st.lists(st.integers(1, 50), max_size=30), st.floats(1, 20))
def test_units_bought_at_once_lie_between_what_is_usual_and_what_was_bought(lines: list[int], usual: float) -> None:
    found = lot(sum(n * n for n in lines), sum(lines), usual)
    own = sum(n * n for n in lines) / sum(lines) if lines else usual
    assert min(own, usual) - 1e-9 <= found <= max(own, usual) + 1e-9
    assert found >= 1


def test_many_sales_say_more_than_what_is_usual() -> None:
    assert lot(0, 0, 3.0) == 3.0
    assert lot(1000, 1000, 3.0) == pytest.approx(1.0, abs=0.05)
    assert lot(12_000, 1000, 1.0) == pytest.approx(12.0, rel=0.01)
