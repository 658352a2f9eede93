"""The three-way merge, what readings and writes make of a state, and decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.sync.merge import rules, values
from entrepot.sync.merge.rules import FieldRule, FieldState, Flow, Outcome, Reading, Side, Why, merge
from entrepot.sync.merge.values import EMPTY, FieldKind

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TEXT = FieldRule(FieldKind.TEXT)
PRICE = FieldRule(FieldKind.MONEY, required=True, swing_percent=Decimal(50))
VALUES = st.sampled_from([None, EMPTY, "a", "b", "c"])


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def euros(minor: int) -> Any:
    return values.minor(minor, "EUR")


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "outcome"),
    [
        ("a", "a", "a", Outcome.AGREED),
        ("a", "b", "b", Outcome.AGREED),
        ("a", "b", "a", Outcome.OUT),
        ("a", "a", "b", Outcome.IN),
        ("a", "b", "c", Outcome.CONFLICT),
        (None, "a", "a", Outcome.AGREED),
        (None, "a", "b", Outcome.CONFLICT),
        (None, EMPTY, "b", Outcome.IN),
        (None, "a", EMPTY, Outcome.OUT),
        ("a", EMPTY, "a", Outcome.OUT),
        ("a", "a", EMPTY, Outcome.IN),
        (None, "a", None, Outcome.UNKNOWN),
        ("a", "a", None, Outcome.UNKNOWN),
        ("a", "b", None, Outcome.OUT),
        ("a", None, "b", Outcome.IN),
        (None, None, None, Outcome.UNKNOWN),
    ],
)
def test_three_ways(base: Any, ours: Any, theirs: Any, outcome: Outcome) -> None:
    assert merge(TEXT, FieldState(base=base, theirs=theirs), ours).outcome is outcome


@given(VALUES, VALUES, VALUES, st.sampled_from(list(Flow)))
def test_whatever_the_values_the_answer_holds_together(base: Any, ours: Any, theirs: Any, flow: Flow) -> None:
    merged = merge(FieldRule(FieldKind.TEXT, flow), FieldState(base=base, theirs=theirs), ours)
    if ours is not None and ours == theirs and flow is not Flow.NONE:
        assert merged.outcome is Outcome.AGREED
    if merged.outcome is Outcome.CONFLICT:
        assert flow is Flow.BOTH
        assert None not in (ours, theirs)
    if merged.outcome is Outcome.OUT:
        assert ours is not None
        assert flow is not Flow.THEIRS
    if merged.outcome is Outcome.IN:
        assert theirs is not None
        assert flow is not Flow.OURS


@given(VALUES.filter(bool), VALUES.filter(bool), VALUES.filter(bool), st.sampled_from(list(Side)))
def test_a_decision_ends_a_conflict_and_says_who_gets_what(base: Any, ours: Any, theirs: Any, side: Side) -> None:
    state = FieldState(base=base, theirs=theirs)
    decided = rules.resolve(FieldKind.TEXT, state, ours, side, "d")
    after = merge(TEXT, decided.state, decided.ours)
    if ours != theirs or side is Side.VALUE:
        assert after.outcome is {
            Side.OURS: Outcome.OUT, Side.THEIRS: Outcome.IN, Side.VALUE: Outcome.OUT, Side.APART: Outcome.AGREED
        }[side]  # fmt: skip


def test_a_value_that_is_one_sides_is_that_side() -> None:
    state = FieldState(base="a", theirs="c")
    assert rules.resolve(FieldKind.TEXT, state, "b", Side.VALUE, "b") == rules.resolve(
        FieldKind.TEXT, state, "b", Side.OURS
    )
    assert rules.resolve(FieldKind.TEXT, state, "b", Side.VALUE, "c") == rules.resolve(
        FieldKind.TEXT, state, "b", Side.THEIRS
    )


@pytest.mark.parametrize(
    ("flow", "base", "ours", "theirs", "outcome"),
    [
        (Flow.OURS, "a", "a", "b", Outcome.OUT),
        (Flow.OURS, "a", "b", "c", Outcome.OUT),
        (Flow.OURS, "a", None, "c", Outcome.UNKNOWN),
        (Flow.THEIRS, "a", "b", "a", Outcome.IGNORED),
        (Flow.THEIRS, "a", "b", "c", Outcome.IN),
        (Flow.THEIRS, "a", "b", None, Outcome.UNKNOWN),
        (Flow.NONE, "a", "b", "c", Outcome.IGNORED),
    ],
)
def test_who_may_change_it(flow: Flow, base: Any, ours: Any, theirs: Any, outcome: Outcome) -> None:
    assert merge(FieldRule(FieldKind.TEXT, flow), FieldState(base=base, theirs=theirs), ours).outcome is outcome


def test_swings_are_held_in_both_directions_until_somebody_lets_them_pass() -> None:
    state = FieldState(base=euros(1000), theirs=euros(1000))
    assert merge(PRICE, state, euros(1500)).outcome is Outcome.OUT
    assert merge(PRICE, state, euros(1501)).why is Why.SWING_OUT
    assert merge(PRICE, replace(state, approved=euros(1501)), euros(1501)).outcome is Outcome.OUT
    low = replace(state, theirs=euros(600))
    assert merge(PRICE, low, euros(1000)).why is Why.SWING_IN
    assert merge(replace(PRICE, swing_percent=None), low, euros(1000)).outcome is Outcome.IN
    assert merge(PRICE, replace(state, theirs=euros(0)), euros(1000)).why is Why.SWING_IN
    assert not rules.swings(PRICE, EMPTY, euros(5))


def test_no_empty_price_and_no_other_currency() -> None:
    assert merge(PRICE, FieldState(base=euros(5), theirs=EMPTY), euros(5)).outcome is Outcome.UNKNOWN
    assert merge(PRICE, FieldState(base=euros(5), theirs=euros(5)), EMPTY).outcome is Outcome.UNKNOWN
    assert merge(PRICE, FieldState(theirs=values.minor(5, "USD")), euros(5)).outcome is Outcome.UNKNOWN


def read(
    state: FieldState, value: Any, seconds: float, changed: float | None = None, settling: float = 0
) -> FieldState:
    reading = Reading(value, at(seconds), None if changed is None else at(changed))
    return rules.take_reading(FieldKind.TEXT, state, reading, timedelta(seconds=settling))


def test_old_readings_are_left_out() -> None:
    state = read(FieldState(), "b", 10, 9)
    assert read(state, "a", 11, 8) is state
    assert read(state, None, 20) is state
    assert read(read(FieldState(), "b", 10), "a", 9).theirs == "b"
    assert read(state, "c", 12, 11).theirs == "c"


def test_a_write_and_its_echo() -> None:
    state = rules.sending(FieldState(base="a", theirs="a", read_at=at(0)), "b", at(1))
    assert read(state, "x", 2) is state
    state = rules.acknowledged(state, at(3))
    assert (state.base, state.theirs, state.before, state.sending) == ("b", "b", "a", False)
    # Read before the answer, and shown late: neither undoes what was written.
    assert read(state, "a", 2) is state
    assert read(state, "a", 4, settling=10) is state
    assert read(state, "a", 14, settling=10).theirs == "a"
    assert not read(state, "b", 4).awaits_echo


def test_a_lost_answer_is_told_by_what_is_read() -> None:
    state = rules.lost(rules.sending(FieldState(base="a", theirs="a"), "b", at(1)))
    assert not state.sending
    came = read(state, "b", 5)
    assert (came.base, came.theirs, came.sent) == ("b", "b", None)
    assert merge(TEXT, came, "c").outcome is Outcome.OUT
    assert merge(TEXT, read(state, "a", 5), "c").outcome is Outcome.OUT
    assert rules.not_written(state).sent is None


def test_a_lost_answer_is_told_by_what_is_read_in_the_channels_own_way() -> None:
    sent, shows = "<p>Holds <span>tea</span></p>", "<p>Holds tea</p>"
    state = rules.lost(rules.sending(FieldState(base="<p>a</p>", theirs="<p>a</p>"), sent, at(1)))
    came = rules.take_reading(FieldKind.HTML, state, Reading(shows, at(5)), timedelta())
    assert (came.base, came.shown, came.sent) == (sent, shows, None)
    rule = FieldRule(FieldKind.HTML)
    assert merge(rule, came, sent).outcome is Outcome.AGREED
    assert merge(rule, came, "<p>Holds coffee</p>").outcome is Outcome.OUT
    # Nothing came: what it shows is what it showed.
    still = rules.take_reading(FieldKind.HTML, state, Reading("<p>a</p>", at(5)), timedelta())
    assert merge(rule, still, sent).outcome is Outcome.OUT
    # As many pictures as were sent may be others.
    pictures = rules.lost(rules.sending(FieldState(base=["a"], theirs=["a"]), ["b"], at(1)))
    assert rules.take_reading(FieldKind.IMAGES, pictures, Reading(["x"], at(5)), timedelta()).base == ["a"]


def test_a_channel_that_shows_it_in_its_own_way_agrees() -> None:
    long, cut = "A very long name of a thing that goes on", "A very long name of a thing"
    state = rules.acknowledged(rules.sending(FieldState(base="a", theirs="a"), long, at(1)), at(2))
    state = read(state, cut, 5)
    assert state.shown == cut
    assert merge(TEXT, state, long).outcome is Outcome.AGREED
    assert merge(TEXT, state, "New").outcome is Outcome.OUT
    assert merge(TEXT, read(state, "Other", 6), long).outcome is Outcome.IN


def test_agreeing_again_changes_nothing() -> None:
    state = FieldState(base="a", theirs="a")
    assert rules.agreed(state, "a") is state
    assert rules.agreed(state, "b").base == "b"
