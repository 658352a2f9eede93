"""Rules are kept by version, one in force; what places are like counts; rules are tried out before."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.fulfilment.support import MAIN, SECOND, THIRD, Shop

from entrepot.database.pool import Database
from entrepot.fulfilment import rule_sets
from entrepot.fulfilment.contracts import InvalidRouting, RulesNotFound
from entrepot.fulfilment.rule_data import RuleSet, Then, When, read
from entrepot.fulfilment.rule_sets import PlaceFacts
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id
from entrepot.stock.facade import LocationNotFound


@pytest.fixture
async def shop(database: Database, organisation_id: UUID) -> Shop:
    return await Shop(database, organisation_id).open({"A": (5, 3, 2), "B": (0, 4, 1)})


async def put(shop: Shop, told: dict[str, Any]) -> int:
    async with shop.database.transaction(shop.id) as tx:
        number = await rule_sets.save_rules(tx, told, "", actor="test")
        await rule_sets.put_in_force(tx, number, utc_now())
    return number


async def describe(shop: Shop, place: str, **facts: Any) -> None:
    async with shop.database.transaction(shop.id) as tx:
        await rule_sets.describe_place(tx, shop.places[place], PlaceFacts(**facts))


async def test_the_version_in_force_routes_and_what_waits_is_looked_at_again(shop: Shop) -> None:
    await describe(shop, SECOND, groups=("south",), cost_minor=400)
    assert await put(shop, {"rules": [{"name": "none", "if": {"country": ["PT"]}}], "otherwise": None}) == 1
    order_id = await shop.sell("1", A=1)
    await shop.settle()
    assert await shop.sent_from(order_id) == {}
    assert await shop.waiting(order_id) == {"A": (1, "No rule says from where.")}
    assert await put(shop, {"rules": [{"name": "south", "then": {"from": {"groups": ["south"]}}}]}) == 2
    await shop.settle()
    assert await shop.sent_from(order_id) == {(SECOND, "A"): 1}
    assert await shop.waiting(order_id) == {}
    async with shop.database.transaction(shop.id) as tx:
        row = await tx.fetch_row("select rules_number, rule, steps from order_routing where order_id = $1", order_id)
    assert tuple(row) == (2, "south", ["Rule 'south': from Second"])
    await shop.check()


async def test_a_place_takes_no_more_orders_in_a_day_than_it_can(shop: Shop) -> None:
    await describe(shop, MAIN, daily_capacity=2)
    sold = [await shop.sell(str(n), A=1) for n in range(4)]
    await shop.settle()
    went = [next(iter(await shop.sent_from(order_id)))[0] for order_id in sold]
    assert sorted(went) == [MAIN, MAIN, SECOND, SECOND]
    await shop.check()


async def test_what_is_parked_for_a_time_is_looked_at_then(shop: Shop) -> None:
    await put(
        shop, {"rules": [{"name": "far", "then": {"from": {"kinds": ["store"]}, "else": "park", "park_hours": 2}}]}
    )
    order_id = await shop.sell("1", A=1)
    await shop.settle()
    assert (await shop.waiting(order_id))["A"][0] == 1
    async with shop.database.transaction(shop.id) as tx:
        due = await tx.fetch_value("select due_at from routing_request where organisation_id = $1", shop.id)
    assert 1.9 < (due - utc_now()).total_seconds() / 3600 < 2.1


async def test_rules_are_tried_out_on_open_and_past_orders_and_nothing_changes(shop: Shop) -> None:
    await describe(shop, MAIN, cost_minor=500)
    await describe(shop, SECOND, cost_minor=300, country="pt")
    sold = [await shop.sell("1", A=2), await shop.sell("2", A=1, B=1), await shop.sell("3", A=4)]
    await shop.settle()
    then = read({"rules": [{"name": "cheap", "then": {"sort": ["cost"], "split": "never", "else": "park"}}]})
    async with shop.database.transaction(shop.id) as tx:
        before = await tx.fetch(
            "select id, status, location_id from fulfilment_order where organisation_id = $1", shop.id
        )
        now = await rule_sets.try_rules(tx, RuleSet(), sold, utc_now(), past=False)
        other = await rule_sets.try_rules(tx, then, sold, utc_now(), past=False)
        past = await rule_sets.try_rules(tx, then, sold, utc_now(), past=True)
        after = await tx.fetch(
            "select id, status, location_id from fulfilment_order where organisation_id = $1", shop.id
        )
    assert before == after
    assert (now.orders, now.waiting_units) == (3, 0)
    assert sum(now.by_place.values()) == now.parcels
    assert other.by_place == {THIRD: 1, SECOND: 1, MAIN: 1}
    assert (other.cost_minor, other.split, dict(other.by_rule)) == (800, 0, {"cheap": 3})
    assert sold[0] in rule_sets.differences(now, other)
    assert rule_sets.differences(other, other) == []
    assert past.orders == 3
    assert past.waiting_orders > 0, "from what is free today, as these orders have theirs"


async def test_faults_are_named(shop: Shop) -> None:
    async with shop.database.transaction(shop.id) as tx:
        with pytest.raises(InvalidRouting, match=r"Rule 'x' at then.from.places: there is no location"):
            await rule_sets.save_rules(
                tx, {"rules": [{"name": "x", "then": {"from": {"places": [str(new_id())]}}}]}, "", actor="test"
            )
        with pytest.raises(RulesNotFound):
            await rule_sets.put_in_force(tx, 9, utc_now())
        for facts in (PlaceFacts(country="Portugal"), PlaceFacts(cost_minor=-1), PlaceFacts(daily_capacity=-1)):
            with pytest.raises(InvalidRouting):
                await rule_sets.describe_place(tx, shop.places[MAIN], facts)
        with pytest.raises(LocationNotFound):
            await rule_sets.describe_place(tx, new_id(), PlaceFacts())


def test_the_rules_in_the_documents_can_be_used() -> None:
    page = (Path(__file__).parents[2] / "docs/fulfil-orders.md").read_text()
    [told] = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert len(read(json.loads(told)).rules) == 2
    words = {word for cell in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for word in re.findall(r"`(\w+)`", cell)}
    known = {*When.model_fields, *(field.validation_alias or name for name, field in Then.model_fields.items())}
    assert words <= known, "every word of the tables is one of the rules"


def test_the_rules_that_an_editor_starts_with_are_those_without_any() -> None:
    assert read(rule_sets.START) == RuleSet()
