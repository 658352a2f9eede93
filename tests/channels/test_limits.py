"""A bucket never grants more than its capacity and what came back, whatever is asked and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.channels import limits
from entrepot.channels.contract import LimitKind, LimitReading, RateLimit

STEPS = st.lists(st.tuples(st.floats(0, 5), st.floats(0.1, 30)), min_size=1, max_size=60)


def _granted(limit: RateLimit, steps: list[tuple[float, float]], keep: float = 0.0) -> list[tuple[float, float]]:
    bucket, at, granted = limits.full(limit, 0.0), 0.0, []
    for elapsed, cost in steps:
        at += elapsed
        bucket, wait_s = limits.take(bucket, cost, at, keep=keep)
        if wait_s == 0:
            granted.append((at, min(cost, max(limit.capacity - keep, 1.0))))
        assert 0 <= bucket.available <= bucket.capacity
    return granted


@given(st.floats(1, 50), st.floats(0.01, 40), STEPS)
def test_no_window_sees_more_than_capacity_and_refill(
    capacity: float, refill: float, steps: list[tuple[float, float]]
) -> None:
    granted = _granted(RateLimit("b", LimitKind.COST_BUCKET, capacity, refill), steps)
    for i, (start, _) in enumerate(granted):
        total = 0.0
        for at, cost in granted[i:]:
            total += cost
            assert total <= capacity + refill * (at - start) + 1e-6


def test_a_slow_bucket_gives_waiting_calls_theirs_too_but_no_more_than_it_holds() -> None:
    slow = limits.full(RateLimit("b", LimitKind.TOKEN_BUCKET, 5, 2), 0.0)
    assert [limits.block_size(slow, 1, waiting) for waiting in (0, 2, 9)] == [1, 3, 5]


@given(st.floats(100, 2000), st.floats(20, 1000), STEPS)
def test_blocks_used_late_do_not_exceed_it_either(
    capacity: float, refill: float, steps: list[tuple[float, float]]
) -> None:
    bucket = limits.full(RateLimit("b", LimitKind.TOKEN_BUCKET, capacity, refill), 0.0)
    if not limits.is_fast(bucket):
        return
    taken, at = [], 0.0
    for elapsed, cost in steps:
        at += elapsed / 10
        size = limits.block_size(bucket, cost)
        bucket, wait_s = limits.take(bucket, size, at, keep=limits.kept_back(bucket))
        if wait_s == 0:
            taken.append((at, size))
    for i, (start, _) in enumerate(taken):
        for j in range(i, len(taken)):
            # The worst case: the first block used at its very end, the last one at once.
            window = max(0.0, taken[j][0] - start - limits.LEASE_S)
            assert sum(size for _, size in taken[i : j + 1]) <= capacity + refill * window + 1e-6


@given(st.floats(1, 50), st.floats(0.5, 20), STEPS)
def test_a_window_grants_its_capacity_once(capacity: float, window_s: float, steps: list[tuple[float, float]]) -> None:
    limit = RateLimit("w", LimitKind.WINDOW, capacity, capacity / window_s, window_s=window_s)
    granted = _granted(limit, steps)
    for i, (start, _) in enumerate(granted):
        windows = 0.0
        total = 0.0
        for at, cost in granted[i:]:
            total += cost
            windows = (at - start) // window_s + 2
            assert total <= capacity * windows + 1e-6


@given(st.floats(1, 50), st.floats(0.01, 40), STEPS)
def test_after_the_wait_that_it_names_the_call_is_granted(
    capacity: float, refill: float, steps: list[tuple[float, float]]
) -> None:
    bucket, at = limits.full(RateLimit("b", LimitKind.COST_BUCKET, capacity, refill), 0.0), 0.0
    for elapsed, cost in steps:
        at += elapsed
        bucket, wait_s = limits.take(bucket, cost, at)
        if wait_s > 0:
            at += wait_s
            bucket, again_s = limits.take(bucket, cost, at)
            assert again_s <= 0.0011


def test_a_penalty_blocks_and_halves() -> None:
    bucket = limits.full(RateLimit("b", LimitKind.TOKEN_BUCKET, 10, 1), 0.0)
    bucket = limits.penalised(bucket, 5.0, 0.0)
    assert limits.take(bucket, 1, 4.0)[1] == pytest.approx(1.0)
    assert limits.take(bucket, 1, 5.0)[1] == 0
    shorter = limits.penalised(bucket, 1.0, 1.0)
    assert shorter.blocked_until == 5.0
    assert shorter.available == pytest.approx(3.0)


def test_refusals_do_not_use_up_a_day() -> None:
    bucket = limits.full(RateLimit("d", LimitKind.WINDOW, 5000, 0, window_s=86_400), 0.0)
    for second in range(50):
        bucket = limits.penalised(bucket, 1.0, float(second))
    assert limits.take(bucket, 1, 49.5)[1] == pytest.approx(0.5)
    assert limits.take(bucket, 100, 50.0)[1] == 0


def test_readings_correct_down_only_and_teach_the_rate() -> None:
    bucket = limits.full(RateLimit("b", LimitKind.COST_BUCKET, 1000, 50), 0.0)
    lower = limits.corrected(bucket, LimitReading("b", available=200), 0.0)
    assert lower.available == 200
    assert limits.corrected(lower, LimitReading("b", available=900), 0.0).available == 200
    richer = limits.corrected(lower, LimitReading("b", capacity=2000, refill_per_s=100), 0.0)
    assert (richer.capacity, richer.refill_per_s, richer.available) == (2000, 100, 200)
    assert limits.corrected(bucket, LimitReading("b", capacity=100), 0.0).available == 100


def test_a_clock_that_steps_back_gives_nothing() -> None:
    bucket = limits.full(RateLimit("b", LimitKind.TOKEN_BUCKET, 1, 1), 100.0)
    bucket, _ = limits.take(bucket, 1, 100.0)
    assert limits.take(bucket, 1, 50.0)[1] > 0
    assert limits.take(bucket, 1, 101.0)[1] == 0


def test_a_call_dearer_than_the_bucket_goes_when_it_is_full() -> None:
    bucket = limits.full(RateLimit("b", LimitKind.COST_BUCKET, 10, 1), 0.0)
    bucket, wait_s = limits.take(bucket, 50, 0.0)
    assert (wait_s, bucket.available) == (0, 0)
    assert limits.take(bucket, 50, 5.0)[1] == pytest.approx(5.0)
