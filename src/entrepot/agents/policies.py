"""Whether a task may be approved by itself, and how many people it needs: from policies as data, explained. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from entrepot.agents.actions import Measure
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.money import Money


class InvalidPolicy(InvalidInput):
    """The policy is not valid."""


class Decision(StrEnum):
    """What a policy says."""

    RUN = "run"
    """Approved by itself, within the limits."""
    ASK = "ask"
    """A person decides."""
    TWO = "two"
    """Two different people approve."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy. `agent`, `action`, `channel`: which tasks it is about, None for any; limits: None for none.

    `money_most_minor`, `percent_most`, `units_most` of one task; `day_*` of all tasks of a day together. Money in minor
    units of `currency`.
    """

    id: UUID
    name: str
    position: int
    enabled: bool
    decision: Decision
    currency: str
    agent: str | None = None
    action: str | None = None
    channel: str | None = None
    money_most_minor: int | None = None
    percent_most: Decimal | None = None
    units_most: int | None = None
    day_tasks_most: int | None = None
    day_money_most_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a task policies look at. `agent` None: no agent proposed it."""

    agent: str | None
    action: str | None
    measure: Measure = field(default_factory=Measure)


@dataclass(frozen=True, slots=True)
class Spent:
    """What tasks approved under a policy have used of a day's budget."""

    tasks: int = 0
    money_minor: int = 0


NOTHING_SPENT = Spent()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policies together say. `policy_id`: under which it runs by itself. `words`: why, a line each."""

    decision: Decision
    policy_id: UUID | None
    words: tuple[str, ...]

    @property
    def people(self) -> int:
        """How many people must approve it."""
        return {Decision.RUN: 0, Decision.ASK: 1, Decision.TWO: 2}[self.decision]


def concerns(policy: Policy, facts: Facts) -> bool:
    """Return whether a policy is about such a task. A task that reaches several channels is about each of them."""
    return (
        policy.enabled
        and facts.action is not None
        and policy.action in (None, facts.action)
        and (policy.agent is None or policy.agent == facts.agent)
        and (policy.channel is None or policy.channel in facts.measure.channels)
    )


def evaluate(
    policies: Sequence[Policy], facts: Facts, spent: Mapping[UUID, Spent], *, stopped: bool = False
) -> Verdict:
    """Return what is to happen to a task.

    The strictest of those that ask counts first: two people, then one. Else the first policy by position under whose
    limits it is lets it run. What no agent proposed, and what no policy is about, a person decides.
    """
    words: list[str] = []
    about = sorted((p for p in policies if concerns(p, facts)), key=lambda p: (p.position, p.id))
    for decision, said in ((Decision.TWO, "two people must approve it"), (Decision.ASK, "a person decides")):
        for policy in about:
            if policy.decision is decision:
                return Verdict(decision, None, (f"{policy.name}: {said}.",))
    if stopped:
        return Verdict(Decision.ASK, None, ("Everything is stopped: nothing runs by itself.",))
    if facts.agent is None:
        return Verdict(Decision.ASK, None, ("A person proposed it: another decision than theirs is needed.",))
    for policy in about:
        over = _over(policy, facts.measure, spent.get(policy.id, NOTHING_SPENT))
        if over is None:
            within = f"{policy.name}: within its limits, so it runs by itself."
            return Verdict(Decision.RUN, policy.id, (*words, within))
        words.append(f"{policy.name}: {over}.")
    if not words:
        words.append("No policy is about it, so a person decides.")
    return Verdict(Decision.ASK, None, tuple(words))


def _over(policy: Policy, size: Measure, spent: Spent) -> str | None:
    """Return what keeps a task from running under a policy, or None."""
    if policy.channel is not None and set(size.channels) != {policy.channel}:
        others = ", ".join(sorted(set(size.channels) - {policy.channel}))
        return f"it reaches other channels too ({others})"
    if policy.money_most_minor is not None or policy.day_money_most_minor is not None:
        if size.money_minor is None or size.currency is None:
            return "it has a limit of money, and this action has no amount"
        if size.currency != policy.currency:
            return f"its limit is in {policy.currency}, and this is in {size.currency}"
    if policy.percent_most is not None and size.percent is None:
        return "it has a limit in percent, and this action has none that can be told"
    if policy.units_most is not None and size.units is None:
        return "it has a limit of units, and this action has none"
    money = size.money_minor or 0
    if policy.money_most_minor is not None and money > policy.money_most_minor:
        return f"{Money(money, policy.currency)} is more than {Money(policy.money_most_minor, policy.currency)}"
    if policy.percent_most is not None and size.percent is not None and size.percent > policy.percent_most:
        return f"{size.percent:f}% is more than {policy.percent_most:f}%"
    if policy.units_most is not None and (size.units or 0) > policy.units_most:
        return f"{size.units:,} units are more than {policy.units_most:,}"
    if policy.day_tasks_most is not None and spent.tasks + 1 > policy.day_tasks_most:
        return f"the day's {policy.day_tasks_most:,} tasks are used up"
    if policy.day_money_most_minor is not None and spent.money_minor + money > policy.day_money_most_minor:
        left = Money(max(0, policy.day_money_most_minor - spent.money_minor), policy.currency)
        return f"{Money(money, policy.currency)} is more than what is left of the day's budget, {left}"
    return None


def money_of(policy: Policy, measure: Measure) -> int:
    """Return what a task takes of a policy's budget of money."""
    return measure.money_minor or 0 if measure.currency == policy.currency else 0


def day_of(at: datetime, timezone: str) -> str:
    """Return the organisation's day of a time, such as `2026-11-21`."""
    try:
        where = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        where = ZoneInfo("UTC")
    return at.astimezone(where).date().isoformat()


@dataclass(frozen=True, slots=True)
class Past:
    """A past task with an action. `ended`: what people did with it: approved, rejected, undone or waiting."""

    id: UUID
    title: str
    day: str
    facts: Facts
    ended: str


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a policy would have done with past tasks: how many it is about, would have run, and what people did with these."""

    about: int
    run: int
    run_money_minor: int
    ended: Mapping[str, int]
    sample: tuple[tuple[UUID, str, str, str], ...]
    """(task, title, what people did, why) of the most telling ones: what would have run and people did not want first."""


SAMPLE_MOST = 50


def simulate(policy: Policy, others: Sequence[Policy], past: Sequence[Past]) -> Simulated:
    """Return what would have become of past tasks (the oldest first) had the policy been on, with its budget by day.

    `others`: the policies that are on now; those that are stricter count as they do now.
    """
    tried = [*(p for p in others if p.id != policy.id and p.decision is not Decision.RUN), _switched_on(policy)]
    spent: dict[str, Spent] = {}
    about = money = 0
    ran: list[tuple[UUID, str, str, str]] = []
    kept: list[tuple[UUID, str, str, str]] = []
    counts: dict[str, int] = {}
    for task in past:
        if not concerns(tried[-1], task.facts):
            continue
        about += 1
        used = spent.get(task.day, NOTHING_SPENT)
        verdict = evaluate(tried, task.facts, {policy.id: used})
        row = (task.id, task.title, task.ended, " ".join(verdict.words))
        if verdict.decision is not Decision.RUN:
            kept.append(row)
            continue
        amount = money_of(policy, task.facts.measure)
        spent[task.day] = Spent(used.tasks + 1, used.money_minor + amount)
        money += amount
        counts[task.ended] = counts.get(task.ended, 0) + 1
        ran.append(row)
    ran.sort(key=lambda row: ("undone", "rejected", "waiting", "approved").index(row[2]))
    return Simulated(about, len(ran), money, counts, tuple([*ran, *kept][:SAMPLE_MOST]))


def _switched_on(policy: Policy) -> Policy:
    return Policy(
        policy.id, policy.name, policy.position, True, policy.decision, policy.currency, policy.agent, policy.action,
        policy.channel, policy.money_most_minor, policy.percent_most, policy.units_most, policy.day_tasks_most,
        policy.day_money_most_minor,
    )  # fmt: skip


AMOUNT_MOST = 10**15


def check(policy: Policy) -> None:
    """Raise InvalidPolicy, saying what is wrong, if the policy makes no sense."""
    if not 0 < len(policy.name.strip()) <= 200 or "\x00" in policy.name:
        raise InvalidPolicy("A policy has a name of 1 to 200 characters.", field="name")
    if len(policy.currency) != 3 or not policy.currency.isascii() or not policy.currency.isupper():
        raise InvalidPolicy(f"{policy.currency!r} is not a currency code such as EUR.", field="currency")
    limits = {
        "money": policy.money_most_minor, "percent": policy.percent_most, "units": policy.units_most,
        "tasks a day": policy.day_tasks_most, "money a day": policy.day_money_most_minor,
    }  # fmt: skip
    for name, value in limits.items():
        most = 1_000_000_000 if name in ("tasks a day", "units", "percent") else AMOUNT_MOST
        if value is not None and not 0 <= value <= most:
            raise InvalidPolicy(f"The limit of {name} is 0 to {most:,}.", field=name)
    if policy.decision is not Decision.RUN and any(value is not None for value in limits.values()):
        raise InvalidPolicy("Limits are of what runs by itself: what asks people has none.", field="decision")
    if policy.decision is Decision.RUN and policy.action is None:
        raise InvalidPolicy("Name the action that may run by itself.", field="action")
