"""Poisson figures against their definition."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.allocation.poisson import TABLE_MEAN, QuantileTable, at_least, pmf, quantile

quick = settings(deadline=None, max_examples=150)
means = st.floats(1e-6, 300)


@quick
@given(st.integers(0, 400), means)
def test_the_tail_is_the_sum_of_what_is_in_it(k: int, mean: float) -> None:
    summed = math.fsum(pmf(n, mean) for n in range(k, k + 1_000))
    assert at_least(k, mean) == pytest.approx(summed, rel=1e-9, abs=1e-12)


@quick
@given(st.floats(1e-9, 0.9), st.floats(1e-6, 3_000))
def test_a_quantile_is_the_least_that_is_rare_enough(risk: float, mean: float) -> None:
    k = quantile(risk, mean)
    assert at_least(k + 1, mean) <= risk * (1 + 1e-9)
    assert k == 0 or at_least(k, mean) > risk * (1 - 1e-9)


def test_known_values() -> None:
    assert quantile(1e-9, 0.6) == 9
    assert quantile(0.005, 20.0) == 32
    assert quantile(0.5, 0.0) == 0
    assert at_least(1, 1e-12) == pytest.approx(1e-12)
    assert at_least(3, 0.0) == 0.0


def test_a_table_s_steps_rise_and_reach() -> None:
    table = QuantileTable(0.001)
    steps = table.reach(TABLE_MEAN)
    assert steps == sorted(steps)
    assert steps[-1] >= TABLE_MEAN
    assert at_least(6, steps[5]) == pytest.approx(0.001, rel=1e-9)
    with pytest.raises(ValueError, match="between 0 and 1"):
        QuantileTable(0.0)


def test_the_tail_of_draws_agrees() -> None:
    chance, mean = random.Random(3), 2.5
    draws = 0
    for _ in range(20_000):
        left, count = math.exp(-mean), 0
        product = chance.random()
        while product > left:
            product *= chance.random()
            count += 1
        draws += count >= 5
    assert draws / 20_000 == pytest.approx(at_least(5, mean), abs=0.01)
