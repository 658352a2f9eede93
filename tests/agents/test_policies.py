"""Approval policies: what they say, budgets that two at once do not overspend, two people, and trying one on the past."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.support import Office, office
from tests.sync.fields_shop import FieldHub, Shop

from entrepot.actions import all_actions
from entrepot.agents import policies, policy_desk
from entrepot.agents.actions import Measure
from entrepot.agents.carrying import Carrier
from entrepot.agents.contracts import Task
from entrepot.agents.deciding import NeedsPeople, OwnProposal
from entrepot.agents.facade import ActionCall, TaskDesk
from entrepot.agents.lifecycle import State
from entrepot.agents.policies import Decision, Facts, InvalidPolicy, Past, Policy, Spent, evaluate, simulate
from entrepot.database.pool import Database
from entrepot.identity.facade import MissingScope
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id

PRICES = Policy(new_id(), "Small prices", 1, True, Decision.RUN, "EUR", action="price.set")
FACTS = Facts("keeper", "price.set", Measure(250, "EUR", Decimal("12.5"), 3, ("shopify",)))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"money_most_minor": 249}, "Small prices: 2.50 EUR is more than 2.49 EUR."),
        ({"percent_most": Decimal(10)}, "Small prices: 12.5% is more than 10%."),
        ({"units_most": 2}, "Small prices: 3 units are more than 2."),
        ({"day_tasks_most": 4}, "Small prices: the day's 4 tasks are used up."),
        (
            {"day_money_most_minor": 1200},
            "Small prices: 2.50 EUR is more than what is left of the day's budget, 2.00 EUR.",
        ),
        ({"money_most_minor": 9999, "currency": "USD"}, "Small prices: its limit is in USD, and this is in EUR."),
        ({"agent": "other"}, "No policy is about it, so a person decides."),
        ({"channel": "amazon"}, "No policy is about it, so a person decides."),
        ({"enabled": False}, "No policy is about it, so a person decides."),
    ],
)
def test_why_a_person_decides(limits: dict[str, Any], words: str) -> None:
    policy = replace(PRICES, **limits)
    verdict = evaluate([policy], FACTS, {policy.id: Spent(4, 1000)})
    assert (verdict.decision, verdict.words) == (Decision.ASK, (words,))


def test_within_every_limit_it_runs() -> None:
    policy = replace(
        PRICES, money_most_minor=250, percent_most=Decimal("12.5"), units_most=3, day_tasks_most=5,
        day_money_most_minor=1250, channel="shopify", agent="keeper",
    )  # fmt: skip
    verdict = evaluate([policy], FACTS, {policy.id: Spent(4, 1000)})
    assert (verdict.decision, verdict.policy_id, verdict.people) == (Decision.RUN, policy.id, 0)
    assert evaluate([policy], FACTS, {}, stopped=True).decision is Decision.ASK
    assert evaluate([policy], replace(FACTS, agent=None), {}).decision is Decision.ASK
    two = replace(FACTS, measure=replace(FACTS.measure, channels=("amazon", "shopify")))
    assert "other channels too (amazon)" in evaluate([policy], two, {}).words[0]


def test_the_strictest_counts_first_and_then_the_order() -> None:
    other = replace(PRICES, id=new_id(), name="Second", position=2)
    ask = replace(PRICES, id=new_id(), name="Ask", position=9, decision=Decision.ASK)
    two = replace(ask, id=new_id(), name="Two", decision=Decision.TWO)
    assert evaluate([other, PRICES], FACTS, {}).policy_id == PRICES.id
    assert evaluate([PRICES, ask], FACTS, {}).words == ("Ask: a person decides.",)
    assert evaluate([PRICES, ask, two], FACTS, {}).people == 2
    narrow = replace(PRICES, percent_most=Decimal(1))
    assert evaluate([narrow, other], FACTS, {}).policy_id == other.id


amounts = st.none() | st.integers(0, 1000)
measures = st.builds(
    Measure, amounts, st.sampled_from(["EUR", "USD", None]), st.none() | st.integers(0, 100).map(Decimal), amounts,
    st.lists(st.sampled_from(["shopify", "amazon"]), unique=True).map(tuple),
)  # fmt: skip
drawn = st.builds(
    Policy, st.uuids(), st.just("P"), st.integers(0, 3), st.booleans(), st.sampled_from(list(Decision)), st.just("EUR"),
    st.sampled_from([None, "keeper"]), st.sampled_from([None, "price.set"]), st.sampled_from([None, "shopify"]), amounts,
    st.none() | st.integers(0, 100).map(Decimal), amounts, amounts, amounts,
)  # fmt: skip


@given(st.lists(drawn, max_size=4), measures, st.integers(0, 1000), st.integers(0, 1000))
def test_what_runs_by_itself_is_under_every_limit(
    given_policies: list[Policy], measure: Measure, tasks: int, money: int
) -> None:
    facts = Facts("keeper", "price.set", measure)
    spent = {policy.id: Spent(tasks, money) for policy in given_policies}
    verdict = evaluate(given_policies, facts, spent)
    assert verdict.words
    if verdict.decision is not Decision.RUN:
        assert verdict.policy_id is None
        return
    (policy,) = [p for p in given_policies if p.id == verdict.policy_id and p.decision is Decision.RUN][:1]
    assert policy.enabled
    assert not [p for p in given_policies if p.decision is not Decision.RUN and policies.concerns(p, facts)]
    assert policy.money_most_minor is None or (measure.money_minor or 0) <= policy.money_most_minor
    assert policy.percent_most is None or (measure.percent is not None and measure.percent <= policy.percent_most)
    assert policy.units_most is None or (measure.units or 0) <= policy.units_most
    assert policy.day_tasks_most is None or tasks < policy.day_tasks_most
    if policy.day_money_most_minor is not None:
        assert money + (measure.money_minor or 0) <= policy.day_money_most_minor
    if policy.channel is not None:
        assert measure.channels == (policy.channel,)


def test_a_simulation_keeps_to_the_day_s_budget_and_shows_what_people_refused() -> None:
    past = [Past(new_id(), f"T{n}", f"2026-11-0{1 + n // 3}", FACTS, ended) for n, ended in enumerate(
        ("approved", "rejected", "approved", "undone", "approved", "waiting"))]  # fmt: skip
    policy = replace(PRICES, enabled=False, day_tasks_most=2)
    found = simulate(policy, [], past)
    assert (found.about, found.run, found.run_money_minor) == (6, 4, 1000)
    assert found.ended == {"approved": 2, "rejected": 1, "undone": 1}
    assert [row[2] for row in found.sample[:2]] == ["undone", "rejected"]
    asking = replace(PRICES, id=new_id(), decision=Decision.ASK)
    assert simulate(policy, [asking], past).run == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "}, {"currency": "euro"}, {"action": None}, {"money_most_minor": -1}, {"percent_most": Decimal(-1)},
        {"decision": Decision.ASK, "units_most": 5}, {"units_most": 10**12},
    ],
)  # fmt: skip
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidPolicy):
        policies.check(replace(PRICES, **wrong))


def test_the_day_is_the_shop_s() -> None:
    late = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
    assert policies.day_of(late, "UTC") == "2026-11-21"
    assert policies.day_of(late, "Europe/Lisbon") == "2026-11-21"
    assert policies.day_of(late, "Asia/Tokyo") == "2026-11-22"
    assert policies.day_of(late, "Nowhere/Land") == "2026-11-21"


# ---- on PostgreSQL -----------------------------------------------------------------------------------------------


@pytest.fixture
async def shop(database: Database, organisation_id: UUID) -> FieldHub:
    skus = tuple(f"S{n}" for n in range(8))
    return await FieldHub(database, organisation_id, Shop("alpha", 80)).set_up(skus)


@pytest.fixture
async def here(shop: FieldHub) -> Office:
    return await office(shop.database, shop.id, TaskDesk(all_actions(shop.shops.__getitem__)))  # type: ignore[arg-type]


async def allow(here: Office, **limits: Any) -> Policy:
    policy = replace(PRICES, id=new_id(), **limits)
    return await here.within(lambda tx: here.desk.put_policy(tx, here.admin, policy, new=True))


async def ask_price(here: Office, sku: str = "S0", amount: str = "11") -> Task:
    action = ActionCall("price.set", {"prices": [{"sku": sku, "price": amount}]})
    return await here.propose(action=action, title=f"Price of {sku}")


async def test_a_policy_approves_and_the_hub_carries_it_out(here: Office, shop: FieldHub) -> None:
    policy = await allow(here, percent_most=Decimal(10))
    small, large = await ask_price(here), await ask_price(here, "S1", "12")
    assert (small.state, small.policy_id) == (State.APPROVED, policy.id)
    assert small.approved_by_name == "Approval policy: Small prices"
    assert (large.state, large.policy_words) == (
        State.AWAITING_APPROVAL, ("Small prices: 20.00% is more than 10%.",)
    )  # fmt: skip
    await here.work(Carrier(here.desk.actions), rounds=1)
    await shop.settle()
    await here.work(Carrier(here.desk.actions))
    assert (await here.task(small)).state is State.COMPLETED
    mine = await here.propose(
        here.member, action=ActionCall("price.set", {"prices": [{"sku": "S2", "price": "10.10"}]})
    )
    assert mine.state is State.AWAITING_APPROVAL


async def test_two_at_once_do_not_overspend_the_day(here: Office) -> None:
    policy = await allow(here, day_tasks_most=3, day_money_most_minor=1000)
    tasks = await asyncio.gather(*(ask_price(here, f"S{n}", "12") for n in range(8)))
    assert sum(task.state is State.APPROVED for task in tasks) == 3
    async with here.database.transaction(here.id) as tx:
        (view,) = await policy_desk.list_policies(tx, utc_now())
    assert (view.policy.id, view.spent) == (policy.id, Spent(3, 600))


async def test_what_comes_back_gives_its_part_of_the_budget_back(here: Office, shop: FieldHub) -> None:
    await allow(here, day_tasks_most=1)
    task = await ask_price(here)
    assert task.state is State.APPROVED
    await shop.price("S0", 1050)
    await here.work(Carrier(here.desk.actions))
    back = await here.task(task)
    assert (back.state, back.policy_id, back.policy_day) == (State.AWAITING_APPROVAL, None, None)
    assert (await ask_price(here, "S1")).state is State.APPROVED


async def test_stopped_nothing_runs_by_itself(here: Office) -> None:
    await allow(here)
    await here.within(lambda tx: here.desk.set_stopped(tx, here.admin, True))
    task = await ask_price(here)
    assert (task.state, task.policy_words) == (
        State.AWAITING_APPROVAL, ("Everything is stopped: nothing runs by itself.",)
    )  # fmt: skip


async def test_two_different_people_approve(here: Office) -> None:
    await allow(here, decision=Decision.TWO, action=None)
    task = await ask_price(here)
    first = await here.within(lambda tx: here.desk.decide(tx, here.admin, [str(task.id)], approved=True))
    assert [(r.done, r.state, r.more_needed) for r in first] == [(True, State.AWAITING_APPROVAL, 1)]
    again = await here.within(lambda tx: here.desk.decide(tx, here.admin, [str(task.id)], approved=True))
    assert [(r.state, r.more_needed) for r in again] == [(State.AWAITING_APPROVAL, 1)]
    key = replace(here.admin, kind=type(here.admin.kind).API_KEY, id=new_id())
    with pytest.raises(NeedsPeople):
        await here.approve(task, key)
    assert (await here.approve(task, here.other_admin)).state is State.APPROVED
    own = await here.propose(here.admin, action=ActionCall("price.set", {"prices": [{"sku": "S3", "price": "9"}]}))
    with pytest.raises(OwnProposal):
        await here.approve(own)


async def test_two_approvals_at_once_are_both_counted(here: Office) -> None:
    await allow(here, decision=Decision.TWO, action=None)
    task = await ask_price(here)
    await asyncio.gather(here.approve(task, here.admin), here.approve(task, here.other_admin))
    assert (await here.task(task)).state is State.APPROVED


async def test_approvals_of_another_input_do_not_count(here: Office, shop: FieldHub) -> None:
    await allow(here, decision=Decision.TWO, action=None)
    task = await ask_price(here)
    await here.approve(task)
    await shop.price("S0", 1050)
    await here.within(lambda tx: here.desk.look_anew(tx, task.id))
    assert (await here.approve(task, here.other_admin)).state is State.AWAITING_APPROVAL
    assert (await here.approve(task)).state is State.APPROVED


async def test_a_policy_is_tried_on_the_past_before_it_is_on(here: Office) -> None:
    good, bad, waiting = [await ask_price(here, f"S{n}") for n in range(3)]
    await here.approve(good)
    await here.within(lambda tx: here.desk.reject(tx, here.admin, bad.id, "No"))
    policy = await allow(here, enabled=False, percent_most=Decimal(10))
    assert (await ask_price(here, "S4")).state is State.AWAITING_APPROVAL
    async with here.database.transaction(here.id) as tx:
        found = await policy_desk.simulate(tx, policy, utc_now())
    assert (found.about, found.run, found.ended) == (4, 4, {"approved": 1, "rejected": 1, "waiting": 2})
    assert found.sample[0][:3] == (bad.id, "Price of S1", "rejected")
    assert (await here.task(waiting)).state is State.AWAITING_APPROVAL


async def test_who_sets_policies(here: Office) -> None:
    with pytest.raises(MissingScope):
        await here.within(lambda tx: here.desk.put_policy(tx, here.member, PRICES, new=True))
    policy = await allow(here, enabled=False)
    with pytest.raises(MissingScope):
        await here.within(lambda tx: policy_desk.switch_policy(tx, here.agent, policy.id, on=True))
    await here.within(lambda tx: policy_desk.switch_policy(tx, here.admin, policy.id, on=True))
    assert (await ask_price(here)).state is State.APPROVED
    await here.within(lambda tx: policy_desk.delete_policy(tx, here.admin, policy.id))
    with pytest.raises(policy_desk.PolicyNotFound):
        await here.within(lambda tx: policy_desk.switch_policy(tx, here.admin, policy.id, on=True))
    with pytest.raises(policies.InvalidInput):
        await allow(here, action="world.rule")
