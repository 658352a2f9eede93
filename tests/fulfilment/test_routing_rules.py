"""Routing: by hand-made cases, and by properties over many."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.fulfilment.contracts import InvalidRouting, Place, RouteLine, RouteOrder, Routing
from entrepot.fulfilment.rule_data import read, write
from entrepot.fulfilment.rules import distance_km, route

NOW = datetime(2030, 3, 4, 12, tzinfo=UTC)
SHOP, MUG, TEE, SPOON = (UUID(int=n) for n in (1, 11, 12, 13))
LISBON = Place(UUID(int=101), "Lisbon", country="PT", latitude=38.72, longitude=-9.14, priority=1)
PORTO = Place(UUID(int=102), "Porto", country="PT", latitude=41.15, longitude=-8.61, priority=2, kind="store")
BERLIN = Place(UUID(int=103), "Berlin", country="DE", latitude=52.52, longitude=13.40, priority=3)
PLACES = (LISBON, PORTO, BERLIN)


def line(number: int, variant: UUID, quantity: int, **more: Any) -> RouteLine:
    parts = more.pop("parts", {variant: 1})
    return RouteLine(UUID(int=number), f"SKU-{number}", quantity, parts, **more)


def order(*lines: RouteLine, **more: Any) -> RouteOrder:
    return RouteOrder(UUID(int=900), "shopify", SHOP, NOW - timedelta(hours=2), lines, **{"country": "PT", **more})


def went(found: Routing) -> dict[tuple[int, str], int]:
    names = {place.id: place.name for place in PLACES}
    return {(a.line_id.int, names[a.place_id] if a.place_id else "elsewhere"): a.quantity for a in found.assignments}


def rules(*told: dict[str, Any], otherwise: dict[str, Any] | None = None) -> Any:
    return read({"rules": list(told), "otherwise": otherwise})


def test_one_parcel_goes_before_a_nearer_place_that_has_only_a_part() -> None:
    stock = {(MUG, LISBON.id): 1, (MUG, BERLIN.id): 5, (TEE, BERLIN.id): 5}
    found = route(order(line(1, MUG, 1), line(2, TEE, 1)), read({}), PLACES, stock, NOW)
    assert went(found) == {(1, "Berlin"): 1, (2, "Berlin"): 1}
    assert found.steps[-1] == "Otherwise: from Berlin"


def test_lines_part_only_where_the_rule_lets_them() -> None:
    stock = {(MUG, LISBON.id): 1, (TEE, BERLIN.id): 5}
    both = order(line(1, MUG, 1), line(2, TEE, 1))
    kept = route(both, rules({"name": "together", "then": {"split": "never"}}), PLACES, stock, NOW)
    assert kept.assignments == ()
    assert {p.line_id.int for p in kept.parked} == {1, 2}
    assert kept.parked[0].reason == "Lisbon, Porto, Berlin: not enough in stock."
    parted = route(both, rules({"name": "apart", "then": {"split": "lines"}}), PLACES, stock, NOW)
    assert went(parted) == {(1, "Lisbon"): 1, (2, "Berlin"): 1}
    assert parted.rule == "apart"


def test_units_of_a_line_part_and_what_is_missing_waits() -> None:
    stock = {(MUG, LISBON.id): 2, (MUG, PORTO.id): 1}
    told = {
        "name": "all that is there",
        "then": {"split": "units", "partly": True, "park_hours": 6, "cancel_after_hours": 48},
    }
    found = route(order(line(1, MUG, 5)), rules(told), PLACES, stock, NOW)
    assert went(found) == {(1, "Lisbon"): 2, (1, "Porto"): 1}
    (waits,) = found.parked
    assert (waits.quantity, waits.until, waits.cancel_at) == (2, NOW + timedelta(hours=6), NOW + timedelta(hours=46))


def test_rules_are_tried_in_order_and_each_says_why() -> None:
    stock = {(MUG, BERLIN.id): 5, (MUG, LISBON.id): 1}
    told = rules(
        {"name": "Germany", "if": {"country": ["de"]}, "then": {"from": {"places": [str(BERLIN.id)]}}},
        {"name": "stores", "then": {"from": {"kinds": ["store"]}}},
        {"name": "Iberia", "then": {"from": {"within_km": 600}, "safety": 1}},
        {"name": "all", "then": {"sort": ["stock"]}},
    )
    found = route(order(line(1, MUG, 2), latitude=38.7, longitude=-9.1), told, PLACES, stock, NOW)
    assert found.steps == (
        "Rule 'Germany' does not hold: country PT is not in DE",
        "Rule 'stores': Porto: not enough in stock",
        "Rule 'Iberia': Lisbon, Porto: not enough in stock, of which 1 of each stay",
        "Rule 'all': from Berlin",
    )


def test_a_rule_may_park_instead_of_going_on() -> None:
    told = rules({"name": "first", "then": {"else": "park"}}, {"name": "never asked"})
    found = route(order(line(1, MUG, 1)), told, PLACES, {}, NOW)
    assert (found.rule, len(found.parked), len(found.steps)) == ("first", 1, 1)


def test_made_to_order_sent_by_the_channel_and_by_a_supplier_are_set_apart() -> None:
    maker = UUID(int=77)
    lines = (
        line(1, MUG, 1, maker=maker), line(2, MUG, 1, by_channel=True), line(3, MUG, 2, sent_by=PORTO.id), line(4, MUG, 1),
    )  # fmt: skip
    found = route(order(*lines), read({}), PLACES, {(MUG, PORTO.id): 2}, NOW)
    assert {(a.line_id.int, a.place_id, a.maker) for a in found.assignments} == {
        (1, None, maker), (2, None, None), (3, PORTO.id, None),
    }  # fmt: skip
    assert [p.line_id.int for p in found.parked] == [4], "what the supplier sends is not there for another line"


def test_a_bundle_goes_whole_and_shares_parts_with_other_lines() -> None:
    stock = {(MUG, LISBON.id): 3, (SPOON, LISBON.id): 9}
    lines = (line(1, MUG, 1, parts={MUG: 2, SPOON: 1}), line(2, MUG, 1))
    assert went(route(order(*lines), read({}), PLACES, stock, NOW)) == {(1, "Lisbon"): 1, (2, "Lisbon"): 1}
    assert route(order(*lines), read({}), PLACES, {**stock, (MUG, LISBON.id): 2}, NOW).assignments == ()


def test_a_place_that_has_sent_all_it_can_is_left_out() -> None:
    stock = {(MUG, place.id): 9 for place in PLACES}
    full = [replace(LISBON, capacity_left=0), PORTO, BERLIN]
    assert went(
        route(order(line(1, MUG, 1)), rules({"name": "a", "then": {"sort": ["priority"]}}), full, stock, NOW)
    ) == {(1, "Porto"): 1}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"rules": [{"name": "x", "if": {"country": ["Portugal"]}}]}, "Rule 'x' at if.country: 'Portugal' is not a country's"),
        ({"rules": [{"name": "x", "then": {"parcels": 9}}]}, "Rule 'x' at then.parcels: "),
        ({"rules": [{"name": "x", "then": {"colour": 1}}]}, "Rule 'x' at then.colour: "),
        ({"rules": [{"if": {}}]}, "Rule 1 at name: "),
        ({"rules": [{"name": "x"}, {"name": "x"}]}, "The rules: two rules are named 'x'"),
        ({"rules": [{"name": "x", "if": {"total": {}}}]}, "Rule 'x' at if.total: name at_least, below or both"),
    ],
)  # fmt: skip
def test_a_fault_is_named_where_it_is(told: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRouting) as wrong:
        read(told)
    assert wrong.value.detail.startswith(words)


def test_rules_are_read_as_they_were_written() -> None:
    told = {"rules": [{"name": "a", "if": {"country": ["PT"]}, "then": {"from": {"groups": ["x"]}, "else": "park"}}]}
    assert write(read(told)) == told


def test_a_distance_is_known_where_both_ends_are() -> None:
    assert distance_km(LISBON, order(latitude=52.52, longitude=13.40)) == pytest.approx(2313, abs=5)
    assert distance_km(LISBON, order()) is None


@given(st.data())
def test_no_more_is_taken_than_there_is_and_each_unit_goes_or_waits_once(data: st.DataObject) -> None:
    variants = (MUG, TEE, SPOON)
    few = st.integers(0, 4)
    stock = {(variant, place.id): data.draw(few) for variant in variants for place in PLACES}
    lines = tuple(
        line(
            number, MUG, data.draw(st.integers(1, 4)),
            parts=data.draw(st.dictionaries(st.sampled_from(variants), st.integers(1, 2), min_size=1, max_size=2)),
            sent_by=data.draw(st.sampled_from([None, None, None, PORTO.id])),
        )
        for number in range(1, data.draw(st.integers(1, 4)) + 1)
    )  # fmt: skip
    then: dict[str, Any] = {
        "split": data.draw(st.sampled_from(["never", "lines", "units"])), "parcels": data.draw(st.integers(1, 3)),
        "safety": data.draw(st.integers(0, 2)), "partly": data.draw(st.booleans()),
        "sort": data.draw(st.lists(st.sampled_from(["distance", "stock", "cost", "priority"]), max_size=3)),
    }  # fmt: skip
    asked = order(*lines)
    found = route(asked, rules({"name": "r", "then": then}), PLACES, stock, NOW)
    assert found == route(asked, rules({"name": "r", "then": then}), tuple(reversed(PLACES)), stock, NOW)
    units = Counter[UUID]()
    for line_id, count in [(a.line_id, a.quantity) for a in found.assignments] + [
        (p.line_id, p.quantity) for p in found.parked
    ]:
        assert count > 0
        units[line_id] += count
    assert units == {each.id: each.quantity for each in lines}
    used = Counter[tuple[UUID, UUID]]()
    by_line = {each.id: each.parts for each in lines}
    for assignment in found.assignments:
        assert assignment.place_id is not None
        for variant, each_takes in by_line[assignment.line_id].items():
            used[variant, assignment.place_id] += each_takes * assignment.quantity
    assert all(stock[key] >= count for key, count in used.items())
    own = [a for a in found.assignments if next(each for each in lines if each.id == a.line_id).sent_by is None]
    assert len({a.place_id for a in own}) <= (1 if then["split"] == "never" else then["parcels"])
    if then["split"] != "units":
        assert len({a.line_id for a in own}) == len(own)
    if not then["partly"] and own:
        assert {a.line_id for a in own} == {each.id for each in lines if each.sent_by is None}
