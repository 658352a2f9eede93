"""The rules of orders that others make: what may follow what, and which of two readings is believed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from entrepot.channels.contract import (
    CostsState,
    MadeOrder,
    MakingCosts,
    MakingStatus,
    newer_making,
    status_follows,
)

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
ORDER = MadeOrder("order-1", "7", MakingStatus.DRAFT, AT, AT, (), MakingCosts(CostsState.READY))
ENDED = (MakingStatus.SHIPPED, MakingStatus.CANCELLED)
statuses = st.sampled_from(MakingStatus)
readings = st.builds(
    lambda status, minutes: replace(ORDER, status=status, updated_at=AT + timedelta(minutes=minutes)),
    statuses,
    st.integers(0, 5),
)


@given(statuses, statuses)
def test_nothing_goes_back_to_a_draft_and_ends_are_ends(before: MakingStatus, after: MakingStatus) -> None:
    if status_follows(before, after):
        assert before is not after
        assert after is not MakingStatus.DRAFT
        assert before not in ENDED


def test_the_usual_ways_are_open() -> None:
    usual = ["draft", "submitted", "making", "on_hold", "making", "partly_shipped", "shipped"]
    mended = ["submitted", "failed", "submitted", "making", "failed", "cancelled"]
    for way in (usual, mended, ["draft", "cancelled"], ["submitted", "on_hold", "cancelled"], ["draft", "shipped"]):
        steps = [MakingStatus(word) for word in way]
        assert all(status_follows(one, other) for one, other in pairwise(steps))


def test_what_is_being_made_is_not_waiting_again() -> None:
    for before in (MakingStatus.MAKING, MakingStatus.PARTLY_SHIPPED, MakingStatus.SHIPPED):
        assert not status_follows(before, MakingStatus.SUBMITTED)
    assert not status_follows(MakingStatus.PARTLY_SHIPPED, MakingStatus.MAKING)


@given(st.lists(readings, min_size=1, max_size=8))
def test_readings_in_any_order_never_lead_back(told: list[MadeOrder]) -> None:
    known = ORDER
    for reading in told:
        after = newer_making(known, reading)
        assert after.updated_at >= known.updated_at
        assert after.status is known.status or status_follows(known.status, after.status)
        assert after in (known, reading)
        known = after


@given(readings)
def test_the_same_reading_twice_changes_nothing(reading: MadeOrder) -> None:
    once = newer_making(ORDER, reading)
    assert newer_making(once, reading) == once
