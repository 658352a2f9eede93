"""What a new version of an order means: properties of the plan, and the order of states."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.orders.support import line, order

from entrepot.channels.contract import ChannelOrderLine, ChannelOrderStatus
from entrepot.orders.rules import LinePlan, StoredLine, newest, next_status, plan_line, plan_order

quick = settings(deadline=None, max_examples=150)
VARIANT = UUID(int=7)
units = st.integers(0, 6)


@st.composite
def incoming_lines(draw: st.DrawFn) -> ChannelOrderLine:
    """A line as a channel may tell it, also where its figures do not add up."""
    return line("A", draw(units), draw(units), draw(units))


@st.composite
def stored_lines(draw: st.DrawFn) -> StoredLine:
    """A line as the hub may have it: its open units are reserved or short."""
    quantity = draw(units)
    shipped = draw(st.integers(0, quantity))
    cancelled = draw(st.integers(0, quantity - shipped))
    variant = draw(st.sampled_from([VARIANT, None]))
    open_units = quantity - shipped - cancelled if variant else 0
    short = draw(st.integers(0, open_units))
    return StoredLine(UUID(int=1), "A", variant, quantity, cancelled, shipped, open_units - short, short)


def check(plan: LinePlan, stored: StoredLine | None, variant: UUID | None) -> None:
    figures = (plan.quantity, plan.cancelled, plan.shipped, plan.claim, plan.release, plan.ship)
    assert min(figures) >= 0
    left = plan.quantity - plan.cancelled - plan.shipped
    assert left >= 0
    assert not (plan.claim and plan.release)
    before = stored.reserved + stored.shortage if stored else 0
    after = before + plan.claim - plan.release - plan.ship
    assert after == (left if variant else 0)


@quick
@given(st.one_of(st.none(), stored_lines()), incoming_lines(), st.booleans())
def test_afterwards_what_is_claimed_is_what_is_open(
    stored: StoredLine | None, incoming: ChannelOrderLine, cancelled: bool
) -> None:
    variant = stored.variant_id if stored else VARIANT
    plan = plan_line(stored, incoming, cancelled=cancelled, variant_id=variant)
    check(plan, stored, variant)
    assert not cancelled or plan.quantity == plan.cancelled + plan.shipped
    assert stored is None or plan.shipped >= min(stored.shipped, plan.quantity)


@quick
@given(stored_lines(), st.booleans())
def test_a_line_that_is_gone_gives_back_what_was_not_shipped(stored: StoredLine, cancelled: bool) -> None:
    plan = plan_line(stored, None, cancelled=cancelled, variant_id=stored.variant_id)
    check(plan, stored, stored.variant_id)
    assert (plan.shipped, plan.claim) == (stored.shipped, 0)
    assert plan.quantity == plan.cancelled + plan.shipped


@quick
@given(st.one_of(st.none(), stored_lines()), incoming_lines(), st.booleans())
def test_the_same_version_again_asks_for_nothing(
    stored: StoredLine | None, incoming: ChannelOrderLine, cancelled: bool
) -> None:
    variant = stored.variant_id if stored else VARIANT
    plan = plan_line(stored, incoming, cancelled=cancelled, variant_id=variant)
    open_units = plan.quantity - plan.cancelled - plan.shipped if variant else 0
    then = StoredLine(UUID(int=1), "A", variant, plan.quantity, plan.cancelled, plan.shipped, open_units, 0)
    again = plan_line(then, incoming, cancelled=cancelled, variant_id=variant)
    assert (again.claim, again.release, again.ship) == (0, 0, 0)
    assert (again.quantity, again.cancelled, again.shipped) == (plan.quantity, plan.cancelled, plan.shipped)


def test_a_line_that_is_neither_stored_nor_told_is_an_error() -> None:
    with pytest.raises(ValueError, match="stored or incoming"):
        plan_line(None, None, cancelled=False, variant_id=None)


def test_what_the_hub_shipped_is_not_taken_back_by_a_channel_that_does_not_know_yet() -> None:
    stored = StoredLine(UUID(int=1), "A", VARIANT, 3, 0, 2, 1, 0)
    plan = plan_line(stored, line("A", 3), cancelled=False, variant_id=VARIANT)
    assert (plan.shipped, plan.claim, plan.release, plan.ship) == (2, 0, 0, 0)


def test_an_order_s_lines_come_go_and_change() -> None:
    stored = [
        StoredLine(UUID(int=1), "A", VARIANT, 2, 0, 0, 2, 0),
        StoredLine(UUID(int=2), "B", VARIANT, 1, 0, 0, 0, 1),
    ]
    plans = plan_order(stored, order("1", 2, [line("A", 1), line("C", 4)]), {"C": VARIANT})
    assert [(p.line.external_id if p.line else "new", p.claim, p.release) for p in plans] == [
        ("A", 0, 1),
        ("new", 4, 0),
        ("B", 0, 1),
    ]


def test_what_the_channel_ships_itself_asks_for_no_stock() -> None:
    plans = plan_order([], order("1", 1, [line("A", 2)], fulfilled_by_channel=True), {"A": VARIANT})
    assert [(p.quantity, p.claim, p.ship, p.release) for p in plans] == [(2, 0, 0, 0)]


STATUSES = list(ChannelOrderStatus)


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("after", STATUSES)
def test_a_status_moves_forward_unless_a_cancelled_order_lives_on(
    before: ChannelOrderStatus, after: ChannelOrderStatus
) -> None:
    result = next_status(before, after)
    assert result in (before, after)
    if before is ChannelOrderStatus.CANCELLED:
        assert result is after
        return
    assert STATUSES.index(result) >= STATUSES.index(before)
    if before is ChannelOrderStatus.SHIPPED:
        assert result is before
    elif STATUSES.index(after) > STATUSES.index(before):
        assert result is after


def test_the_newest_version_of_each_order_counts_wherever_it_stands() -> None:
    versions = [order("b", 1, []), order("a", 3, []), order("b", 5, []), order("a", 2, [])]
    assert [(o.external_id, o.version) for o in newest(versions)] == [("a", 3), ("b", 5)]
