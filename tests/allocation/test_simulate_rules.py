"""Replaying custom rules: by hand, by the clock, by sales of past days; without conditions as the plain strategies do."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.allocation.test_simulate import lines

from entrepot.allocation.clock import MINUTE, phase, turns
from entrepot.allocation.contracts import Policy
from entrepot.allocation.custom import DAYS
from entrepot.allocation.rules import check_policy
from entrepot.allocation.simulate import NAMED, Goods, OrderLine, Plan, Stocking, Tally, replay
from entrepot.cli import main

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
POOL = {"strategy": "pool_minus_buffer"}
TEN = Stocking(2.5, 100)
"""Ten units of four that sell in a day."""


def at(hours: float, channel: str = "a", units: int = 1, sku: str = "A") -> OrderLine:
    return OrderLine((MONDAY + timedelta(hours=hours)).timestamp(), sku, units, channel, 100.0)


def tried(past: list[OrderLine], rules: list[dict[str, Any]], stocking: Stocking = TEN, **more: Any) -> Tally:
    policy = check_policy("rules", {"rules": rules, "otherwise": POOL, **more.pop("parameters", {})})
    return replay(past, Plan(policy, 60.0, stocking, **more), "ab")


EVENING = [at(17), at(18.5), at(18.6, "b"), at(20.5)]
NOT_IN_THE_EVENING = {"if": {"channel": ["a"], "time": {"from": "18:00", "to": "20:00"}}, "then": {"quantity": 0}}


def test_a_rule_about_the_time_begins_and_ends_though_nothing_is_sold() -> None:
    assert tried(EVENING, []).sold == 4
    found = tried(EVENING, [NOT_IN_THE_EVENING])
    # What is asked for on a at half past six is not shown there; all else sells.
    assert (found.sold, found.lost, found.oversold) == (3, 1, 0)
    # In Lisbon's summer it is an hour later: the shop's evening ends before half past eight there.
    summer = [line._replace(at_s=line.at_s + 120 * 86_400) for line in EVENING]
    assert tried(summer, [NOT_IN_THE_EVENING], parameters={"zone": "Europe/Lisbon"}).sold == 2
    assert tried(summer, [NOT_IN_THE_EVENING]).sold == 3


def test_it_takes_a_lag_until_it_shows() -> None:
    # The rule begins at six; the hub's answer is shown half a lag later.
    soon = [at(17), at(18 + 20 / 3600), at(18 + 40 / 3600), at(23, "b")]
    assert tried(soon, [NOT_IN_THE_EVENING]).sold == 3


def test_a_rule_about_sales_of_past_days() -> None:
    sold = {"if": {"channel": ["a"], "sold": {"days": 1, "at_least": 2}}, "then": {"quantity": 0}}
    past = [at(10), at(11, "b"), at(12), at(23), at(24.5), at(25)]
    found = tried(past, [sold], Stocking(1.75, 100))
    # After two on Monday none more on a that day; on Tuesday it begins anew, and two are sold before it holds.
    assert (found.asked, found.sold, found.lost) == (6, 4, 2)
    week = {"if": {"channel": ["a"], "sold": {"days": 2, "at_least": 2}}, "then": {"quantity": 0}}
    assert tried(past, [week], Stocking(1.75, 100)).sold == 2


def test_rules_about_stock_sku_product_and_tag() -> None:
    past = sorted(
        [at(1), at(2), at(3), at(4, "b"), at(1, sku="B"), at(2, sku="B"), at(3, sku="B"), at(4, "b", sku="B")]
    )
    few = {"if": {"channel": ["a"], "stock": {"below": 9}}, "then": {"quantity": 0}}
    # Ten at first; eight are left after two have sold, so the third is not shown on a.
    assert tried(past, [few]).sold == 6
    assert tried(past, [{"if": {"sku": ["B"], "channel": ["a"]}, "then": {"quantity": 0}}]).sold == 5
    goods = {"B": Goods(UUID(int=7), frozenset({"fragile"}))}
    tag = {"if": {"tag": ["fragile"], "channel": ["a"]}, "then": {"quantity": 0}}
    product = {"if": {"product": [str(UUID(int=7))], "channel": ["a"]}, "then": {"quantity": 0}}
    for rule in (tag, product):
        assert tried(past, [rule], goods=goods).sold == 5
        assert tried(past, [rule]).sold == 8


@pytest.mark.parametrize("name", sorted(NAMED))
def test_without_conditions_they_do_as_their_strategy(name: str) -> None:
    past = lines(7, skus=8)
    plain = NAMED[name]
    rules = Policy(
        "rules", {"rules": [], "otherwise": {"strategy": plain.strategy, "parameters": dict(plain.parameters)}}
    )
    always = {"if": {"time": {}}, "then": {"strategy": plain.strategy}}
    for policy in (rules, Policy("rules", {"rules": [always]})):
        assert replay(past, Plan(policy, 900.0), "ab") == replay(past, Plan(plain, 900.0), "ab")


clocks = st.builds(
    lambda start, end, days: {"from": start, "to": end, "days": sorted(days)},
    st.sampled_from(("00:00", "01:30", "02:30", "09:15", "22:00")),
    st.sampled_from(("00:30", "02:00", "03:10", "18:00", "24:00")),
    st.sets(st.sampled_from(DAYS), min_size=1),
)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(clocks, min_size=1, max_size=3), st.sampled_from(("Europe/Lisbon", "America/New_York", "Asia/Kathmandu")),
    st.integers(0, 240), st.booleans(),
)  # fmt: skip
def test_turns_are_found_to_the_minute(times: list[dict[str, Any]], zone: str, hours: int, sold: bool) -> None:
    """Over the days on which clocks change, against looking at every minute."""
    rules: list[dict[str, Any]] = [{"if": {"time": found}} for found in times]
    if sold:
        rules.append({"if": {"sold": {"days": 3, "below": 1}}})
    told = {"rules": rules, "zone": zone}
    first = datetime(2026, 3, 25, tzinfo=UTC) + timedelta(hours=hours % 24)
    if hours % 2:
        first += timedelta(days=214)  # The last days of October.
    until = first + timedelta(days=6)
    expected, last, moment = [], phase(told, first), first
    while (moment := moment + MINUTE) <= until:
        now = phase(told, moment)
        if now != last:
            expected.append(moment)
        last = now
    assert turns(told, first, until) == expected


def test_the_command_takes_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(3)
    rows = [f"2026-03-{1 + n // 20:02}T{chance.randrange(24):02}:00:00Z,A,1,{chance.choice('ab')}" for n in range(400)]
    file, rules = tmp_path / "o.csv", tmp_path / "rules.json"
    file.write_text("\n".join(["time,sku,quantity,channel", *rows]))
    rules.write_text(json.dumps({"rules": [NOT_IN_THE_EVENING], "otherwise": POOL}))

    argv = ["allocation", "simulate", str(file), "--policies", "pool"]
    assert main([*argv, "--json", "--rules", str(rules)]) == 0
    found = json.loads(capsys.readouterr().out)["policies"]
    assert 0 < found["rules"]["lost"] < 60
    assert found["pool"]["lost"] == 0

    def refused(*more: str) -> str:
        assert main([*argv, *more]) == 1
        return " ".join(capsys.readouterr().err.split())

    rules.write_text(json.dumps({"rules": [{"if": {"tag": ["x"]}, "then": {"cap": 3}}]}))
    assert "asks for the tag" in refused("--rules", str(rules))
    rules.write_text("{")
    assert "is not JSON" in refused("--rules", str(rules))
    assert "is not known" in refused("--zone", "Nowhere")
