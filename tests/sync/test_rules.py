"""When to write to a listing and what: a table by semantics, and properties."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.allocation.facade import Shown
from entrepot.channels.contract import QuantitySemantics
from entrepot.sync.check import judge
from entrepot.sync.context import SIDE_BY_SIDE_MAX, Pace
from entrepot.sync.progress import Progress
from entrepot.sync.pull import drained, next_pull_s
from entrepot.sync.reactions import shown_of
from entrepot.sync.rules import (
    BatchLimits,
    Decision,
    Do,
    Quantity,
    Surroundings,
    backoff_s,
    decide,
    gap_is_drift,
    next_batch,
)

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
EARLIER, LATER = NOW - timedelta(minutes=1), NOW + timedelta(minutes=1)
PATIENCE = timedelta(minutes=10)
ABSOLUTE = QuantitySemantics.ABSOLUTE
RELATIVE = [QuantitySemantics.COMPARE_AND_SET, QuantitySemantics.DELTA]
quick = settings(deadline=None, max_examples=150)


def around(pool: int = 0, others: int = 0, drained_at: datetime | None = NOW) -> Surroundings:
    return Surroundings(pool, others, drained_at, NOW, PATIENCE)


def figures(
    desired: int | None, expected: int | None, *, uncertain: bool = False, since: datetime | None = None
) -> Quantity:
    return Quantity(desired, expected, EARLIER, uncertain, since)


@pytest.mark.parametrize("semantics", list(QuantitySemantics))
def test_nothing_is_written_without_knowing_what_is_wanted_and_what_is_shown(semantics: QuantitySemantics) -> None:
    assert decide(semantics, figures(None, 3), around()).do is Do.NOTHING
    assert decide(semantics, figures(3, None), around()).do is Do.CHECK
    assert decide(semantics, figures(3, 3), around()).do is Do.NOTHING


@pytest.mark.parametrize("semantics", RELATIVE)
@pytest.mark.parametrize(("desired", "expected"), [(5, 3), (3, 5), (0, 1), (1, -2)])
def test_where_no_sale_can_be_lost_it_is_written_at_once(
    semantics: QuantitySemantics, desired: int, expected: int
) -> None:
    unknown = around(pool=0, others=99, drained_at=None)
    assert decide(semantics, figures(desired, expected), unknown) == Decision(Do.SEND, desired, start=expected)


@pytest.mark.parametrize("semantics", RELATIVE)
@pytest.mark.parametrize(
    ("desired", "expected", "gap", "believed", "wanted"),
    [
        (10, 8, -3, False, Decision(Do.SEND, 7, start=5)),
        (8, 10, -3, False, Decision(Do.SEND, 5, start=7)),
        (2, 10, -4, False, Decision(Do.SEND, 0, start=6)),
        (10, 10, -3, False, Decision(Do.NOTHING)),
        (7, 4, -9, False, Decision(Do.WAIT, 0, "it shows less than nothing; looked into")),
        (10, 10, 3, False, Decision(Do.SEND, 10, start=13)),
        (10, 5, 3, False, Decision(Do.SEND, 10, start=8)),
        (10, 7, 3, False, Decision(Do.WAIT, 10, "it shows what it shall; looked into")),
        (10, 8, None, True, Decision(Do.WAIT, 10, "a raise waits until what it shows is explained")),
        (6, 8, None, True, Decision(Do.SEND, 6, start=8)),
    ],
)
def test_what_is_not_explained_yet_stays_in_the_books(
    semantics: QuantitySemantics, desired: int, expected: int, gap: int | None, believed: bool, wanted: Decision
) -> None:
    given = replace(figures(desired, expected), gap=gap, believed=believed)
    assert decide(semantics, given, around(drained_at=None)) == wanted


def test_a_listing_expected_below_zero_shows_nothing_to_raise() -> None:
    below = Quantity(0, -3, EARLIER, uncertain=False, gap=1)
    assert decide(ABSOLUTE, below, around()).do is Do.NOTHING
    assert decide(ABSOLUTE, replace(below, uncertain=True), around()) == Decision(Do.SEND, 0)
    assert decide(ABSOLUTE, replace(below, desired=1), around()).do is Do.WAIT


@pytest.mark.parametrize(
    ("given_figures", "surroundings", "do", "to"),
    [
        (figures(3, 5), around(drained_at=None), Do.SEND, 3),
        (figures(5, 3, uncertain=True), around(drained_at=None), Do.SEND, 3),
        (figures(3, 5, uncertain=True), around(drained_at=None), Do.SEND, 3),
        (figures(3, 3, uncertain=True), around(drained_at=None), Do.SEND, 3),
        (figures(5, 0), around(), Do.SEND, 5),
        (figures(5, -2), around(), Do.SEND, 5),
        (figures(5, 0), around(drained_at=None), Do.WAIT, 5),
        (figures(5, 0), around(drained_at=EARLIER - timedelta(seconds=1)), Do.WAIT, 5),
        (figures(5, 3), around(pool=10, others=2), Do.SEND, 5),
        (figures(5, 3), around(pool=9, others=2), Do.WAIT, 5),
        (figures(5, 3), around(pool=10, others=2, drained_at=None), Do.WAIT, 5),
        (figures(5, 3, since=NOW - PATIENCE), around(), Do.SEND, 0),
        (figures(5, 3, since=NOW - PATIENCE + timedelta(seconds=1)), around(), Do.WAIT, 5),
        (figures(5, 0, since=NOW - PATIENCE), around(drained_at=None), Do.WAIT, 5),
    ],
)
def test_a_channel_that_overwrites(given_figures: Quantity, surroundings: Surroundings, do: Do, to: int) -> None:
    decision = decide(ABSOLUTE, given_figures, surroundings)
    assert (decision.do, decision.to) == (do, to)


def test_the_first_write_needs_no_feed() -> None:
    assert decide(ABSOLUTE, Quantity(5, 0, None), around(drained_at=None)).to == 5


moments = st.one_of(st.none(), st.sampled_from([EARLIER - timedelta(hours=1), EARLIER, NOW]))


@quick
@given(
    st.integers(0, 20), st.integers(-3, 20), moments, st.booleans(), moments,
    st.integers(0, 60), st.integers(0, 40), moments,
)  # fmt: skip
def test_an_overwriting_raise_is_always_proved_safe(
    desired: int, expected: int, published: datetime | None, uncertain: bool, since: datetime | None,
    pool: int, others: int, drained_at: datetime | None,
) -> None:  # fmt: skip
    decision = decide(
        ABSOLUTE, Quantity(desired, expected, published, uncertain, since), around(pool, others, drained_at)
    )
    shows = max(0, expected)
    if decision.do is not Do.SEND:
        assert desired >= shows
        return
    assert 0 <= decision.to <= desired
    if decision.to > shows:
        assert not uncertain
        assert published is None or (drained_at is not None and drained_at >= published)
        assert shows == 0 or others + shows + desired <= pool


@quick
@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_waits_stay_in_bounds(failures: int, chance: float) -> None:
    assert 0.05 <= backoff_s(failures, chance) <= 5.0
    assert backoff_s(failures, chance) <= backoff_s(failures + 1, chance)


def test_waits_double() -> None:
    assert [backoff_s(n, 0.0, most_s=100) for n in (1, 2, 3)] == pytest.approx([0.05, 0.1, 0.2])


@pytest.mark.parametrize(
    ("gap", "before", "before_at", "drained_at", "drift"),
    [
        (2, 2, NOW, NOW, True),
        (2, 2, NOW, LATER, True),
        (2, 2, NOW, EARLIER, False),
        (2, 2, NOW, None, False),
        (2, 1, NOW, LATER, False),
        (2, None, None, LATER, False),
    ],
)
def test_a_gap_is_drift_only_if_no_sale_explains_it(
    gap: int, before: int | None, before_at: datetime | None, drained_at: datetime | None, drift: bool
) -> None:
    assert gap_is_drift(gap, before, before_at, drained_at) is drift


def seconds(n: float) -> datetime:
    return NOW + timedelta(seconds=n)


@pytest.mark.parametrize(
    ("state", "wait"),
    [
        (Progress(), 0.0),
        # Begun and not finished: the worker died, or the channel did not answer.
        (Progress(pull_started_at=seconds(-10)), 0.0),
        (Progress(pull_started_at=seconds(-0.5), pulled_at=seconds(-30)), 1.5),
        (Progress(pull_started_at=seconds(-10), pulled_at=seconds(-5)), 55.0),
        (Progress(pull_started_at=seconds(-100), pulled_at=seconds(-90)), 0.0),
        (Progress(pull_started_at=seconds(-10), pull_wanted_at=seconds(-1)), 0.0),
        (Progress(pull_started_at=seconds(-0.5), pull_wanted_at=seconds(0)), 1.5),
        (Progress(pull_started_at=seconds(-1), pulled_at=seconds(-1), pull_wanted_at=seconds(-2)), 59.0),
    ],
)
def test_when_orders_are_pulled_next(state: Progress, wait: float) -> None:
    assert next_pull_s(state, interval_s=60.0, spacing_s=2.0, now=NOW) == pytest.approx(wait)


def test_until_when_every_sale_is_known() -> None:
    none = timedelta(0)
    assert drained(None, none, NOW) is None
    assert drained(EARLIER, none, NOW) == EARLIER
    assert drained(LATER, none, NOW) == NOW
    assert drained(NOW, timedelta(seconds=30), NOW) == NOW - timedelta(seconds=30)
    assert drained(EARLIER, timedelta(seconds=-30), NOW) == EARLIER + timedelta(seconds=30)


counts = st.integers(0, 500)


@quick
@given(counts, counts, st.integers(1, 40), st.integers(41, 60), st.integers(1, 400))
def test_the_next_batch_takes_the_quick_way_for_lowering(
    lowering: int, raising: int, quickly: int, bulk_from: int, lower_from: int
) -> None:
    total, limits = lowering + raising, BatchLimits(200, quickly, bulk_from, lower_from)
    chosen = range(total)[next_batch(lowering, raising, limits)]
    assert bool(chosen) == bool(total)
    assert len(chosen) <= max(limits.most, quickly)
    if len(chosen) > quickly and lowering:
        assert lowering >= lower_from
        assert chosen[0] == bulk_from
        assert chosen[-1] < lowering
    elif lowering:
        assert chosen[0] == 0


def test_without_a_slow_way_all_go_together() -> None:
    assert next_batch(7, 50, BatchLimits(100, 10, None, 300)) == slice(0, 57)


def test_batches_side_by_side_grow_slowly_and_end_at_once() -> None:
    pace = Pace()
    for _ in range(30):
        pace.learn(late=False, full=True)
    assert pace.side_by_side == SIDE_BY_SIDE_MAX
    pace.learn(late=True, full=True)
    assert pace.side_by_side == 1
    for _ in range(30):
        pace.learn(late=False, full=False)
    assert pace.side_by_side == 1


@pytest.mark.parametrize(
    ("gap", "reported", "reads", "drained_at", "closed"),
    [
        (-1, 9, 9, NOW, True),
        (-1, 9, 9, EARLIER - timedelta(seconds=1), False),
        (-1, 9, 9, None, False),
        (-2, 9, 9, NOW, False),
        # A listing that goes on selling: one unknown sale has taken the place of another.
        (-1, 10, 9, NOW, False),
        # No sale can explain more than expected.
        (3, 14, 13, NOW, True),
    ],
)
def test_a_difference_is_taken_up_when_nothing_can_explain_it(
    gap: int, reported: int, reads: int, drained_at: datetime | None, closed: bool
) -> None:
    row = {
        "listing_id": None, "expected": 10, "desired": 10, "believed_at": None, "gap": gap, "gap_at": EARLIER,
        "reported": reported, "reported_at": EARLIER,
    }  # fmt: skip
    after = judge(row, reads, drained_at, NOW, LATER)
    assert (after.expected, after.gap, after.check_at) == ((reads, None, None) if closed else (10, reads - 10, LATER))


def test_what_was_believed_is_sure_once_every_sale_before_is_known() -> None:
    row = {"listing_id": None, "expected": None, "believed_at": None, "gap": None, "gap_at": None, "reported": 5,
           "reported_at": EARLIER}  # fmt: skip
    after = judge(row, 5, NOW, EARLIER, LATER)
    assert (after.expected, after.believed_at, after.check_at) == (5, EARLIER, LATER)
    row |= {"expected": 5, "believed_at": EARLIER}
    for drained_at, sure in ((EARLIER - timedelta(seconds=1), False), (EARLIER, True)):
        after = judge(row, 5, drained_at, NOW, LATER)
        assert (after.believed_at, after.check_at) == ((None, None) if sure else (EARLIER, LATER))


@pytest.mark.parametrize(
    ("figures", "shown"),
    [
        ({"shows": 7}, Shown(7, 7)),
        ({"shows": 5, "lacking": 3}, Shown(8, 8)),
        ({"shows": -2, "lacking": 6}, Shown(6, 6)),
        ({"shows": -3, "rising": 6, "under_way": 6}, Shown(6, 3)),
        ({"shows": 9, "under_way": -4}, Shown(9, 5)),
        ({"shows": 2, "perhaps": 12}, Shown(12, 2)),
        ({"shows": 14, "shows_at_least": 8}, Shown(14, 8)),
    ],
)
def test_what_a_listing_holds_of_the_pool(figures: dict[str, int], shown: Shown) -> None:
    rest = {"rising": 0, "under_way": 0, "lacking": 0, "perhaps": None, "shows_at_least": figures["shows"]}
    assert shown_of(rest | figures) == shown
