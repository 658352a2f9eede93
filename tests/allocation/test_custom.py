"""Custom rules: what holds, what follows, what is refused, and what a preview says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from entrepot.allocation.contracts import Allotment, InvalidPolicy, Outlet, Policy, Situation
from entrepot.allocation.custom import preview
from entrepot.allocation.rules import allot, check_policy

SATURDAY = datetime(2026, 1, 3, 19, 30, tzinfo=UTC)


def outlets(*channels: str) -> list[Outlet]:
    return [Outlet(UUID(int=n + 1), UUID(int=n + 1), channel, n) for n, channel in enumerate(channels)]


def found(pool: int, rules: list[dict[str, Any]], situation: Situation | None = None, **more: Any) -> list[Allotment]:
    policy = check_policy("rules", {"rules": rules, "otherwise": {"strategy": "equal"}, **more})
    return allot(policy, pool, outlets("amazon", "shopify"), situation or Situation())


def numbers(pool: int, rules: list[dict[str, Any]], situation: Situation | None = None, **more: Any) -> list[int]:
    return [a.quantity for a in found(pool, rules, situation, **more)]


def test_the_first_that_names_a_part_decides_and_all_limits_count() -> None:
    rules: list[dict[str, Any]] = [
        {"if": {"channel": ["amazon"]}, "then": {"cap": 5}},
        {"if": {"channel": ["amazon"]}, "then": {"share": "0.8", "buffer": 1}},
        {"then": {"quantity": 1}},
        {"if": {"stock": {"at_least": 1}}, "then": {"cap": 3}},
    ]
    assert numbers(10, rules) == [3, 1]
    assert numbers(0, rules) == [0, 0]


def test_what_is_left_is_divided_by_the_first_strategy_that_holds() -> None:
    rules: list[dict[str, Any]] = [
        {"if": {"stock": {"below": 5}}, "then": {"strategy": "priority"}},
        {"then": {"strategy": "pool_minus_buffer", "parameters": {"buffer": 2}}},
    ]
    assert numbers(4, rules) == [4, 0]
    assert numbers(9, rules) == [7, 7]
    assert numbers(9, []) == [4, 4]
    own = [{"if": {"channel": ["shopify"]}, "then": {"quantity": 6}}]
    assert numbers(9, own) == [3, 6]


def test_sums_never_exceed_the_pool() -> None:
    rules = [{"then": {"quantity": 8}}]
    assert numbers(10, rules) == [8, 2]
    assert "but only 2 are left" in found(10, rules)[1].steps[0]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"tag": ["sale", "new"]}, True),
        ({"tag": ["old"]}, False),
        ({"sku": ["A"]}, True),
        ({"sku": ["B"]}, False),
        ({"product": [str(UUID(int=7))]}, True),
        ({"product": [str(UUID(int=8))]}, False),
        ({"stock": {"at_least": 10, "below": 11}}, True),
        ({"stock": {"below": 10}}, False),
        ({"sold": {"days": 2, "at_least": 7}}, True),
        ({"sold": {"days": 2, "below": 7}}, False),
        ({"sold": {"days": 9, "at_least": 0}}, False),
        ({"time": {"days": ["sat"], "from": "19:00", "to": "20:00"}}, True),
        ({"time": {"days": ["sun"]}}, False),
        ({"time": {"from": "20:00", "to": "19:45"}}, True),
        ({"time": {"from": "20:00", "to": "19:00"}}, False),
        ({"tag": ["sale"], "sku": ["B"]}, False),
        ({}, True),
    ],
)
def test_conditions(condition: dict[str, Any], holds: bool) -> None:
    situation = Situation(SATURDAY, UUID(int=7), "A", frozenset({"sale"}), sold=(9, 3, 4))
    rules = [{"name": "one", "if": condition, "then": {"quantity": 1}}]
    assert numbers(10, rules, situation) == ([1, 1] if holds else [5, 5])
    seen = preview(10, outlets("amazon"), {"rules": rules}, situation)
    assert [(m.rule, m.holds) for m in seen] == [("one", holds)]


def test_hours_past_midnight_belong_to_the_day_before() -> None:
    rules = [{"if": {"time": {"days": ["sat"], "from": "22:00", "to": "02:00"}}, "then": {"quantity": 1}}]
    night = SATURDAY.replace(hour=1, minute=0)
    assert numbers(10, rules, Situation(night + timedelta(days=1))) == [1, 1]
    assert numbers(10, rules, Situation(night)) == [5, 5]
    assert numbers(10, rules, Situation(SATURDAY.replace(hour=23))) == [1, 1]


def test_times_are_those_of_the_zone() -> None:
    rules = [{"if": {"time": {"from": "20:00", "to": "21:00"}}, "then": {"quantity": 1}}]
    assert numbers(10, rules, Situation(SATURDAY)) == [5, 5]
    assert numbers(10, rules, Situation(SATURDAY), zone="Europe/Berlin") == [1, 1]
    assert numbers(10, rules) == [5, 5]


def test_a_preview_says_what_does_not_hold() -> None:
    rules: list[dict[str, Any]] = [
        {"name": "few", "if": {"channel": ["amazon"], "stock": {"below": 5}}, "then": {"cap": 1}},
        {"if": {"sold": {"days": 30, "at_least": 1}}, "then": {"buffer": 1}},
    ]
    seen = preview(10, outlets("amazon", "shopify"), {"rules": rules}, Situation(sold=(1,)))
    assert [(m.rule, m.holds, m.why) for m in seen] == [
        ("few", False, "there are 10 units"),
        ("few", False, "the channel is shopify"),
        ("number 2", False, "sales are known for 1 days only"),
        ("number 2", False, "sales are known for 1 days only"),
    ]


def test_rules_may_choose_the_risk_rule() -> None:
    [one, two] = found(8, [{"name": "careful", "then": {"strategy": "risk"}}])
    assert one.quantity + two.quantity == 8
    assert one.steps[0] == "rule 'careful': risk"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"rules": {}}, "a list of objects"),
        ({"rules": ["x"]}, "a list of objects"),
        ({"rule": []}, "no 'rule'"),
        ({"rules": [{"then": {}}]}, "Rule 1 does nothing"),
        ({"rules": [{"name": "n", "if": [], "then": {"cap": 1}}]}, "Rule 'n', if: must be an object"),
        ({"rules": [{"name": "n", "when": {}, "then": {"cap": 1}}]}, "Rule 'n' has no 'when'"),
        ({"rules": [{"if": {"colour": ["x"]}, "then": {"cap": 1}}]}, "has no 'colour'"),
        ({"rules": [{"if": {"tag": "x"}, "then": {"cap": 1}}]}, "Rule 1, tag: must be a list"),
        ({"rules": [{"if": {"tag": []}, "then": {"cap": 1}}]}, "Rule 1, tag: must be a list"),
        ({"rules": [{"if": {"stock": {}}, "then": {"cap": 1}}]}, "stock: must have at_least"),
        ({"rules": [{"if": {"stock": {"below": 1.5}}, "then": {"cap": 1}}]}, "stock, below: must be a whole number"),
        ({"rules": [{"if": {"sold": {"at_least": 1}}, "then": {"cap": 1}}]}, "days: must be 1 or more"),
        ({"rules": [{"if": {"time": {"days": ["tomorrow"]}}, "then": {"cap": 1}}]}, "days: must be some of"),
        ({"rules": [{"if": {"time": {"from": "25:00"}}, "then": {"cap": 1}}]}, "from: must be a time"),
        ({"rules": [{"if": {"time": {"to": 7}}, "then": {"cap": 1}}]}, "to: must be a time"),
        ({"rules": [{"if": {"time": "noon"}, "then": {"cap": 1}}]}, "time: must be an object"),
        ({"rules": [{"then": {"cap": -1}}]}, "cap: must be a whole number"),
        ({"rules": [{"then": {"share": "much"}}]}, "share: must lie between"),
        ({"rules": [{"then": {"share": 2}}]}, "share: must lie between"),
        ({"rules": [{"then": {"share": 0.1, "quantity": 1}}]}, "keep one"),
        ({"rules": [{"then": {"strategy": "rules"}}]}, "there is no 'rules'"),
        (
            {"rules": [{"then": {"strategy": "risk", "parameters": {"risk": 9}}}]},
            "parameters: The accepted risk .risk. must be",
        ),
        ({"rules": [{"then": {"parameters": {}}}]}, "which is missing"),
        ({"rules": [{"if": {"channel": ["a"]}, "then": {"strategy": "equal"}}]}, "cannot be about one channel"),
        ({"otherwise": {"strategy": 3}}, "Otherwise, strategy: there is no 3"),
        ({"otherwise": []}, "Otherwise: must be an object"),
        ({"zone": "Moon/Base"}, "zone 'Moon/Base' is not known"),
    ],
)
def test_what_is_wrong_is_said_with_rule_and_field(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidPolicy, match=words):
        check_policy("rules", parameters)


def test_no_rules_divide_by_default_shares() -> None:
    shares = allot(Policy("rules", {}), 100, outlets("a", "b", "c"))
    assert [a.quantity for a in shares] == [40, 30, 20]
