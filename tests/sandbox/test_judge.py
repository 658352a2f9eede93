"""The judge on journals written by hand, clause by clause."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot_sandbox.account import free_time, merged
from entrepot_sandbox.journal import (
    Cancelled,
    Event,
    LimitEmpty,
    NotAnswering,
    OrderTold,
    Placed,
    QuantityWritten,
    SaleLost,
    Sold,
    ToldBy,
    WriteKind,
)
from entrepot_sandbox.judge import verdict
from entrepot_sandbox.lags import ListedNow, percentile
from entrepot_sandbox.strategy import read_strategy

EQUAL = read_strategy({"strategy": "equal"})


def sold(at: float, channel: str, order: str, units: int = 1, shown: int = 0, sku: str = "A") -> list[Event]:
    return [
        Sold(
            at=at, channel=channel, order_id=order, listing_id=f"{channel}-{sku}", sku=sku, quantity=units, shown=shown
        ),
        Placed(at=at, channel=channel, order_id=order),
    ]


def told(at: float, channel: str, order: str, by: ToldBy = ToldBy.WEBHOOK, version: int = 1) -> Event:
    return OrderTold(at=at, channel=channel, order_id=order, version=version, by=by)


def cancelled(at: float, channel: str, order: str, units: int = 1, shown: int = 0, version: int = 2) -> Event:
    return Cancelled(
        at=at,
        channel=channel,
        order_id=order,
        listing_id=f"{channel}-A",
        sku="A",
        quantity=units,
        version=version,
        shown=shown,
    )


def wrote(
    at: float,
    channel: str,
    before: int,
    after: int,
    kind: WriteKind = WriteKind.ABSOLUTE,
    requested_at: float | None = None,
) -> Event:
    return QuantityWritten(
        at=at,
        channel=channel,
        listing_id=f"{channel}-A",
        sku="A",
        before=before,
        after=after,
        kind=kind,
        request_id="r",
        requested_at=at if requested_at is None else requested_at,
    )


def judged(events: list[Event], stock: int = 1, listings: tuple[ListedNow, ...] = (), **more: Any) -> dict[str, Any]:
    return verdict(events, {"A": stock}, listings, more.pop("strategy", None), **more)


def counts(events: list[Event], stock: int = 1) -> tuple[object, object]:
    figures = judged(events, stock)
    return figures["oversold_units"], figures["avoidable_oversold_units"]


# -- oversold --


def test_what_was_there_may_be_sold() -> None:
    assert counts([*sold(1, "x", "1", 2), *sold(2, "y", "2", 1)], stock=3) == (0, 0)


def test_only_the_units_beyond_truth_are_oversold() -> None:
    assert counts([*sold(1, "x", "1", 2), *sold(2, "y", "2", 3)], stock=3) == (2, 0)


def test_units_cancelled_before_shipping_are_back_in_truth() -> None:
    assert counts([*sold(1, "x", "1"), cancelled(2, "x", "1"), *sold(3, "y", "2")]) == (0, 0)


def test_a_later_cancellation_does_not_excuse_an_earlier_sale() -> None:
    assert counts([*sold(1, "x", "1"), *sold(2, "y", "2"), cancelled(3, "x", "1")]) == (1, 0)


# -- avoidable: known to be gone --


def test_known_for_two_seconds_is_not_yet_avoidable() -> None:
    assert counts([*sold(1, "x", "1"), told(2, "x", "1"), *sold(4, "y", "2")]) == (1, 0)


def test_known_for_more_than_two_seconds_is_avoidable() -> None:
    assert counts([*sold(1, "x", "1"), told(2, "x", "1"), *sold(4.1, "y", "2", 2)]) == (2, 2)


@pytest.mark.parametrize(("by", "avoidable"), [(ToldBy.ANSWER, 1), (ToldBy.NOTICE, 0)])
def test_an_answer_tells_what_was_sold_and_a_bare_notice_does_not(by: ToldBy, avoidable: int) -> None:
    assert counts([*sold(1, "x", "1"), told(2, "x", "1", by), *sold(9, "y", "2")]) == (1, avoidable)


def test_never_told_is_never_known() -> None:
    assert counts([*sold(1, "x", "1"), *sold(99, "y", "2")]) == (1, 0)


def test_one_unit_still_there_by_what_the_hub_knew() -> None:
    events = [*sold(1, "x", "1"), *sold(2, "z", "2"), told(2, "x", "1"), *sold(9, "y", "3")]
    assert counts(events, stock=2) == (1, 0)


def test_the_clock_starts_again_after_a_known_cancellation() -> None:
    events = [
        *sold(1, "x", "1"),
        told(1, "x", "1"),
        cancelled(5, "x", "1"),
        told(5, "x", "1", version=2),
        *sold(8, "z", "2"),
        told(8, "z", "2"),
    ]
    assert counts([*events, *sold(9, "y", "3")]) == (1, 0)
    assert counts([*events, *sold(10.5, "y", "3")]) == (1, 1)


def test_a_cancellation_that_the_hub_did_not_hear_of_leaves_it_gone() -> None:
    events = [*sold(1, "x", "1"), told(1, "x", "1"), cancelled(2, "x", "1"), *sold(3, "z", "2"), *sold(9, "y", "3")]
    assert counts(events) == (1, 1)


@pytest.mark.parametrize(
    ("excuse", "avoidable"),
    [
        (NotAnswering(at=2, channel="y", until=5, fault="outage"), 0),
        (NotAnswering(at=2, channel="x", until=5, fault="outage"), 1),
        (LimitEmpty(at=2, channel="y", until=5, limit="patch", writes=True), 0),
        (LimitEmpty(at=2, channel="y", until=5, limit="reads", writes=False), 1),
        (NotAnswering(at=2, channel="y", until=2.5, fault="latency"), 1),
    ],
)
def test_only_answering_time_of_the_selling_channel_counts(excuse: Event, avoidable: int) -> None:
    assert counts([*sold(1, "x", "1"), told(2, "x", "1"), excuse, *sold(5, "y", "2")]) == (1, avoidable)


def test_overlapping_excuses_count_once() -> None:
    excuses: list[Event] = [NotAnswering(at=3, channel="y", until=4, fault="latency") for _ in range(5)]
    assert counts([*sold(1, "x", "1"), told(2, "x", "1"), *excuses, *sold(5.5, "y", "2")]) == (1, 1)


def test_a_lowering_that_the_channel_was_still_processing_is_its_own_time() -> None:
    events = [*sold(1, "x", "1"), told(2, "x", "1"), *sold(9, "y", "2")]
    assert counts([*events, wrote(10, "y", 1, 0, requested_at=3)]) == (1, 0)
    assert counts([*events, wrote(10, "y", 1, 0, requested_at=8)]) == (1, 1)
    assert counts([*events, wrote(10, "y", 1, 2, requested_at=3)]) == (1, 1)


# -- avoidable: lost update --


def lost_update(
    kind: WriteKind, *, known_at: float | None = None, requested_at: float = 3, after: int = 2
) -> list[Event]:
    """Two units. y sells one that the hub does not hear of; the hub sets y to 2 again; x sells one; y sells two."""
    events = [wrote(0, "y", 0, 2), *sold(1, "y", "1", shown=1)]
    if known_at is not None:
        events.append(told(known_at, "y", "1"))
    return [*events, wrote(3, "y", 1, after, kind, requested_at), *sold(4, "y", "2", after)]


@pytest.mark.parametrize("kind", [WriteKind.ABSOLUTE, WriteKind.COMPARE_AND_SET])
def test_a_raise_over_an_unknown_sale_is_a_lost_update(kind: WriteKind) -> None:
    assert counts(lost_update(kind), stock=2) == (1, 1)


@pytest.mark.parametrize("kind", [WriteKind.ABSOLUTE, WriteKind.COMPARE_AND_SET])
@pytest.mark.parametrize(("after", "avoidable"), [(2, 0), (3, 1)])
def test_what_a_raise_left_out_for_sales_that_are_not_known_is_not_offered_twice(
    kind: WriteKind, after: int, avoidable: int
) -> None:
    # Three units; y sold one that the hub does not know. Setting it to two leaves that one out, to three does not.
    events = [*lost_update(kind, after=after)[:-2], *sold(3.5, "x", "3", 1), *sold(4, "y", "2", after)]
    assert counts(events, stock=3) == (after - 1, avoidable)


def test_a_delta_loses_nothing() -> None:
    assert counts(lost_update(WriteKind.DELTA), stock=2) == (1, 0)


def test_a_raise_over_a_known_sale_is_no_lost_update() -> None:
    assert counts(lost_update(WriteKind.ABSOLUTE, known_at=2.5), stock=2) == (1, 0)


def test_a_sale_heard_of_after_the_raise_was_unknown() -> None:
    assert counts(lost_update(WriteKind.ABSOLUTE, known_at=3.5), stock=2) == (1, 1)


def test_a_sale_made_after_the_hub_asked_was_not_yet_in_the_books() -> None:
    assert counts(lost_update(WriteKind.ABSOLUTE, requested_at=0.5), stock=2) == (1, 0)


def test_a_lowering_is_no_lost_update() -> None:
    events = [wrote(0, "y", 0, 3), *sold(1, "y", "1", shown=2), wrote(3, "y", 2, 1), *sold(4, "y", "2")]
    assert counts(events, stock=1) == (1, 0)


def test_only_the_units_offered_twice_are_its_fruit() -> None:
    # One unit is offered twice (2 shown, 1 of them sold already); x takes the last true ones.
    events = [
        *lost_update(WriteKind.ABSOLUTE)[:-2],
        *sold(3.5, "x", "3", 1),
        *sold(4, "y", "2", 1),
        *sold(5, "y", "4", 1),
    ]
    figures = judged(events, stock=2)
    assert (figures["oversold_units"], figures["avoidable_oversold_units"]) == (2, 1)
    assert [item["order_id"] for item in figures["oversold_detail"] if item["avoidable"]] == ["4"]


# -- publish lag --


def test_publish_lag_runs_from_the_telling_to_the_next_write_elsewhere() -> None:
    listings = (ListedNow("x", "x-A", "A", 4), ListedNow("y", "y-A", "A", 4))
    events = [
        wrote(0, "x", 0, 5),
        wrote(0, "y", 0, 5),
        *sold(1, "x", "1", 2, shown=3),
        told(1.2, "x", "1", ToldBy.NOTICE),
        told(1.3, "x", "1", ToldBy.ANSWER),
        wrote(1.7, "y", 5, 4),
    ]
    figures = judged(events, 10, listings, strategy=EQUAL)
    assert figures["publish_lag_ms"] == {"p50": 500.0, "p99": 500.0}


def test_no_lag_where_the_listing_is_right_already() -> None:
    listings = (ListedNow("x", "x-A", "A", 4), ListedNow("y", "y-A", "A", 4))
    events = [wrote(0, "y", 0, 4), *sold(1, "x", "1", 2), told(1, "x", "1"), wrote(9, "y", 4, 3)]
    assert judged(events, 10, listings, strategy=EQUAL)["publish_lag_ms"] == {"p50": None, "p99": None}


# -- stale --


@pytest.mark.parametrize(
    ("told_strategy", "expected"),
    [
        (
            {"strategy": "fixed_shares", "parameters": {"shares": {"x": 0.29, "y": "0.3"}, "reserve": 0.1}},
            {"x": 29, "y": 30},
        ),
        ({"strategy": "equal", "parameters": {}}, {"x": 50, "y": 50}),
        ({"strategy": "pool_minus_buffer", "parameters": {"buffer": 7}}, {"x": 93, "y": 93}),
    ],
)
def test_what_each_strategy_gives(told_strategy: dict[str, Any], expected: dict[str, int]) -> None:
    assert read_strategy(told_strategy).quantities(100, ["x", "y"]) == expected
    assert set(read_strategy(told_strategy).quantities(-3, ["x", "y"]).values()) == {0}


@pytest.mark.parametrize("told_strategy", [{}, {"strategy": "magic"}, {"strategy": "fixed_shares"}])
def test_a_strategy_that_says_nothing_is_refused(told_strategy: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="shares"):
        read_strategy(told_strategy)


def test_stale_listings_are_those_that_do_not_show_the_share_of_true_stock() -> None:
    listings = (ListedNow("x", "x-A", "A", 4), ListedNow("y", "y-A", "A", 5))
    events = [*sold(1, "x", "1", 3), cancelled(2, "x", "1", 1)]
    figures = judged(events, 10, listings, strategy=EQUAL)
    assert figures["stale_listings_at_end"] == 1
    assert figures["stale_detail"] == [{"channel": "y", "sku": "A", "shown": 5, "expected": 4, "remaining": 8}]


def test_without_a_strategy_nothing_is_called_stale_or_in_step() -> None:
    assert judged([])["stale_listings_at_end"] is None


# -- against the hub --


def test_lost_and_duplicated_orders() -> None:
    events = [*sold(1, "x", "gid://shop/Order/1"), *sold(2, "x", "2"), *sold(3, "y", "2"), *sold(4, "y", "3")]
    hub = [("x", "1"), ("x", "2"), ("x", "2"), ("y", "3"), ("z", "9")]
    figures = judged(events, 9, hub_orders=hub)
    assert (figures["orders_placed"], figures["orders_in_hub"]) == (4, 5)
    assert (figures["lost"], figures["duplicated"], figures["unknown_in_hub"]) == (1, 1, 1)
    assert figures["lost_detail"] == [("y", "2")]


def test_lost_sales_are_counted_in_units() -> None:
    assert judged([SaleLost(at=1, channel="x", sku="A", wanted=3, shown=2)])["lost_sales_units"] == 3


# -- arithmetic --


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda span: (min(span), max(span)))),
    st.integers(0, 50),
    st.integers(0, 50),
)
def test_free_time_counts_the_moments_outside_of_all_spans(spans: list[tuple[int, int]], a: int, b: int) -> None:
    since, until = min(a, b), max(a, b)
    outside = sum(1 for moment in range(since, until) if not any(s <= moment < e for s, e in spans))
    assert free_time(since, until, merged([(float(s), float(e)) for s, e in spans])) == outside


def test_percentile_by_nearest_rank() -> None:
    assert percentile([5, 1, 3, 2, 4], 0.5) == 3
    assert percentile(list(range(1, 101)), 0.99) == 99
    assert percentile([], 0.5) is None
