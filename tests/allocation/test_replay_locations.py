"""Locations inside a replay: by hand, and what must hold whatever is tried."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.allocation.replay_locations import (
    Arrangement,
    Destination,
    Location,
    Move,
    apportioned,
    by_nearness,
    distance_km,
    filled,
)
from entrepot.allocation.simulate import DAY_S, NAMED, OrderLine, Plan, Stocking, Tally, replay

NORTH, SOUTH, WEST = Location("North", "DE"), Location("South", "PT"), Location("West")
PT, DE, FR, UNKNOWN = Destination("pt"), Destination("DE"), Destination("FR"), Destination()
LISBON, PORTO = Location("Lisbon", "PT", 38.72, -9.14), Location("Porto", "PT", 41.15, -8.61)


def lines(*told: tuple[int, str, int, Destination], day: float = 1.0) -> list[OrderLine]:
    """Lines of (order, SKU, units, to), one a day."""
    return [
        OrderLine(day * number * DAY_S, sku, units, "shop", 100.0, None, order, to)
        for number, (order, sku, units, to) in enumerate(told)
    ]


def run(past: list[OrderLine], arrangement: Arrangement, cover: float, every: float = 1_000.0) -> Tally:
    return replay(past, Plan(NAMED["pool"], 0.0, Stocking(cover, every), arrangement=arrangement), ["shop"])


def sent(tally: Tally) -> tuple[int, int, int, int, int]:
    return tally.orders_sent, tally.orders_split, tally.parcels, tally.parcels_told, tally.parcels_abroad


# Ten units of A in ten days: so many are there with cover for nine days (the span), six of them in the north.
TEN = lines(*((number, "A", 1, PT if number % 2 else DE) for number in range(10)))
UNITS = {"A": (6, 4)}


def test_by_priority_the_first_location_is_emptied_first() -> None:
    # Orders 0 to 5 come from the north, of which 1, 3 and 5 go to Portugal; 6 to 9 from the south, 6 and 8 to Germany.
    tally = run(TEN, Arrangement((NORTH, SOUTH), UNITS), 9)
    assert (tally.sold, sent(tally)) == (10, (10, 0, 10, 10, 5))
    assert tally.clairvoyant_parcels_abroad == 5


def test_the_nearest_is_in_the_same_country_as_long_as_it_has_units() -> None:
    # Five go to Portugal, where four units are: the last one comes from the north.
    tally = run(TEN, Arrangement((NORTH, SOUTH), UNITS, nearest=True), 9)
    assert (tally.sold, sent(tally)) == (10, (10, 0, 10, 10, 1))


def test_without_and_only() -> None:
    without = run(TEN, Arrangement((NORTH, SOUTH), UNITS, frozenset({0})), 9)
    assert (without.sold, without.clairvoyant_sold, without.lost) == (4, 4, 0)
    assert sent(without) == (4, 0, 4, 4, 2)
    none = run(TEN, Arrangement((NORTH, SOUTH), UNITS, frozenset({0, 1})), 9)
    assert (none.sold, sent(none)) == (0, (0, 0, 0, 0, 0))


def test_units_of_one_location_at_another() -> None:
    moved = run(TEN, Arrangement((NORTH, SOUTH), UNITS, moves=[Move(0, 1)], nearest=True), 9)
    assert (moved.sold, sent(moved)) == (10, (10, 0, 10, 10, 5))
    # A sixth of six is one: five and five, so everybody is served at home.
    one = run(TEN, Arrangement((NORTH, SOUTH), UNITS, moves=[Move(0, 1, 1 / 6)], nearest=True), 9)
    assert (one.sold, sent(one)) == (10, (10, 0, 10, 10, 0))
    # Moved before the north is left out: nothing is gone.
    closed = run(TEN, Arrangement((NORTH, SOUTH), UNITS, frozenset({0}), [Move(0, 1)]), 9)
    assert (closed.sold, sent(closed)) == (10, (10, 0, 10, 10, 5))


def test_moved_once_deliveries_go_to_where_it_was() -> None:
    # Four units for four days and a delivery after four: all to Portugal; half of them there at first.
    past = lines(*((number, "A", 1, PT) for number in range(8)))
    once = Arrangement((NORTH, SOUTH), {"A": (1, 0)}, moves=[Move(0, 1, 1.0, True)])
    stays = Arrangement((NORTH, SOUTH), {"A": (1, 0)}, moves=[Move(0, 1)])
    cover, every = 3.5, 3.5
    assert (once.start("A", 4), once.targets("A", 4), stays.targets("A", 4)) == ([0, 4], [4, 0], [0, 4])
    first, second = run(past, once, cover, every), run(past, stays, cover, every)
    assert (first.sold, second.sold) == (8, 8)
    # Four from the south, then what deliveries bring comes from the north.
    assert (sent(first), sent(second)) == ((8, 0, 8, 8, 4), (8, 0, 8, 8, 0))


def test_an_order_is_split_by_its_lines_and_by_what_is_left() -> None:
    # One order of A and B, which are apart; one of three A, of which two are left in the north.
    past = lines((0, "A", 1, DE), (0, "B", 1, DE), (1, "A", 3, UNKNOWN))
    tally = run(past, Arrangement((NORTH, SOUTH), {"A": (3, 1), "B": (0, 1)}), 2)
    assert (tally.sold, sent(tally)) == (5, (2, 2, 4, 2, 1))


def test_lines_without_an_order_are_alone_and_unknown_countries_are_not_abroad() -> None:
    past = lines((-1, "A", 1, FR), (-1, "A", 1, FR), (-1, "B", 1, UNKNOWN))
    tally = run(past, Arrangement((WEST, SOUTH), {"A": (1, 1), "B": (1, 0)}), 2)
    assert (tally.sold, sent(tally)) == (3, (3, 0, 3, 1, 1))


def test_what_is_not_known_is_at_the_first_location_that_is_there() -> None:
    three = (NORTH, SOUTH, WEST)
    assert Arrangement(three, {}).start("A", 5) == [5, 0, 0]
    assert Arrangement(three, {"A": (0, 0, 0)}, frozenset({0})).start("A", 5) == [0, 5, 0]
    assert Arrangement(three, {}, frozenset({0, 1, 2})).start("A", 5) == [0, 0, 0]


def test_the_nearest_by_distance_or_by_country() -> None:
    coimbra, faro = Destination("PT", 40.21, -8.43), Destination("ES", 37.02, -7.93)
    assert distance_km(LISBON, Destination("PT", 41.15, -8.61)) == pytest.approx(274, abs=2)
    assert distance_km(NORTH, coimbra) is None
    assert by_nearness((LISBON, PORTO), coimbra) == (1, 0)
    assert by_nearness((PORTO, LISBON), faro) == (1, 0)
    # One has no coordinates: the country decides, then priority.
    assert by_nearness((NORTH, LISBON, PORTO), coimbra) == (1, 2, 0)
    assert by_nearness((WEST, NORTH), UNKNOWN) == (0, 1)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 500), min_size=1, max_size=6).filter(any))
def test_all_is_divided_and_nobody_is_off_by_one(units: int, parts: list[int]) -> None:
    found = apportioned(units, parts)
    assert sum(found) == units
    assert all(abs(n - units * part / sum(parts)) < 1 for n, part in zip(found, parts, strict=True))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6))
def test_a_delivery_brings_what_is_missing_in_all(pairs: list[tuple[int, int]]) -> None:
    stock, targets = [a for a, _ in pairs], [b for _, b in pairs]
    before = list(stock)
    filled(stock, targets)
    assert sum(stock) == max(sum(before), sum(targets))
    assert all(a <= now <= max(a, b) for a, now, b in zip(before, stock, targets, strict=True))


@pytest.mark.parametrize("name", ["pool", "equal", "fixed_shares", "risk"])
def test_where_units_are_changes_nothing_of_what_is_sold(name: str) -> None:
    chance = random.Random(4)
    past = sorted(
        OrderLine(chance.random() * 60 * DAY_S, f"S{chance.randrange(8)}", chance.randrange(1, 4), chance.choice("ab"),
                  100.0, None, number // 2, chance.choice((PT, DE, FR)))
        for number in range(900)
    )  # fmt: skip
    units = {f"S{number}": (number, 3, 2) for number in range(6)}
    plain = replay(past, Plan(NAMED[name], 3_600.0, Stocking(7, 9)), "ab")
    for nearest in (False, True):
        where = Arrangement((NORTH, SOUTH, WEST), units, frozenset(), [Move(0, 1, 0.5)], nearest)
        found = replay(past, Plan(NAMED[name], 3_600.0, Stocking(7, 9), arrangement=where), "ab")
        assert all(getattr(found, each) == getattr(plain, each) for each in ("sold", "oversold", "lost", "stranded"))
        assert found.margin_minor == plain.margin_minor
        assert found.orders_sent <= found.parcels <= found.sold
        assert found.parcels_abroad <= found.parcels_told <= found.parcels
        assert found.orders_split <= found.parcels - found.orders_sent


@given(st.integers(0, 300), st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)))
def test_only_one_and_without_it_make_all(usual: int, units: tuple[int, int, int]) -> None:
    three = (NORTH, SOUTH, WEST)
    whole = Arrangement(three, {"A": units}).targets("A", usual)
    only = Arrangement(three, {"A": units}, frozenset({1, 2})).targets("A", usual)
    without = Arrangement(three, {"A": units}, frozenset({0})).targets("A", usual)
    assert sum(whole) == usual
    if any(units):
        assert [a + b for a, b in zip(only, without, strict=True)] == whole
