"""Approval policies are set, switched on, tried on past tasks; what is spent under them; the switch that stops everything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from entrepot.agents import policies, policy_store
from entrepot.agents.actions import Measure, Registry
from entrepot.agents.policies import Facts, InvalidPolicy, Past, Policy, Simulated, Spent
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor, Scope
from entrepot.kernel.errors import NotFound
from entrepot.kernel.ids import first_id_at

POLICIES_MOST = 200
PAST_MOST = 5_000
PAST_DAYS = 90


class PolicyNotFound(NotFound):
    """There is no such policy."""


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A policy and what is spent of it today."""

    policy: Policy
    spent: Spent


@dataclass(frozen=True, slots=True)
class SwitchView:
    """Whether everything is stopped, by whom and since when."""

    stopped: bool
    set_by: str = ""
    set_at: datetime | None = None


async def list_policies(tx: Tx, at: datetime) -> tuple[PolicyView, ...]:
    """Return all policies in their order."""
    day = policies.day_of(at, (await identity.organisation_of(tx)).timezone)
    spent = await policy_store.spent_on(tx, day)
    return tuple(PolicyView(p, spent.get(p.id, Spent())) for p in await policy_store.policies(tx))


async def get_policy(tx: Tx, policy_id: UUID) -> Policy:
    """Return a policy. Raises PolicyNotFound."""
    found = await policy_store.policy(tx, policy_id)
    if found is None:
        raise PolicyNotFound
    return found


async def put_policy(tx: Tx, actions: Registry, actor: Actor, given: Policy, *, new: bool) -> Policy:
    """Make a policy (at the end of the order), or change one.

    Raises MissingScope, InvalidPolicy, UnknownAction, PolicyNotFound.
    """
    actor.require(Scope.TASKS_APPROVE)
    policies.check(given)
    if given.action is not None:
        actions.get(given.action)
    before = None
    if new:
        if len(await policy_store.policies(tx)) >= POLICIES_MOST:
            raise InvalidPolicy(f"At most {POLICIES_MOST} policies.")
        given = replace(given, position=await policy_store.last_position(tx) + 1)
    else:
        before = await policy_store.policy(tx, given.id, lock=True)
        if before is None:
            raise PolicyNotFound
        given = replace(given, position=before.position)
    await policy_store.put(tx, given, actor.name)
    await identity.record(
        tx,
        actor,
        "approval_policy.set",
        "approval_policy",
        given.id,
        None if before is None else told(before),
        told(given),
    )
    return given


async def switch_policy(tx: Tx, actor: Actor, policy_id: UUID, *, on: bool) -> Policy:
    """Switch a policy on or off. Raises MissingScope, PolicyNotFound."""
    actor.require(Scope.TASKS_APPROVE)
    before = await policy_store.policy(tx, policy_id, lock=True)
    if before is None:
        raise PolicyNotFound
    after = replace(before, enabled=on)
    await policy_store.put(tx, after, actor.name)
    await identity.record(tx, actor, "approval_policy.switch", "approval_policy", policy_id, {"enabled": before.enabled},
                          {"enabled": on})  # fmt: skip
    return after


async def delete_policy(tx: Tx, actor: Actor, policy_id: UUID) -> None:
    """Delete a policy. Raises MissingScope, PolicyNotFound."""
    actor.require(Scope.TASKS_APPROVE)
    before = await policy_store.policy(tx, policy_id, lock=True)
    if before is None:
        raise PolicyNotFound
    await policy_store.delete(tx, policy_id)
    await identity.record(tx, actor, "approval_policy.delete", "approval_policy", policy_id, told(before))


def told(policy: Policy) -> dict[str, object]:
    """Return a policy as the audit log keeps it."""
    return {
        "name": policy.name, "enabled": policy.enabled, "decision": policy.decision, "agent": policy.agent,
        "action": policy.action, "channel": policy.channel, "currency": policy.currency,
        "money_most_minor": policy.money_most_minor,
        "percent_most": None if policy.percent_most is None else str(policy.percent_most),
        "units_most": policy.units_most, "day_tasks_most": policy.day_tasks_most,
        "day_money_most_minor": policy.day_money_most_minor,
    }  # fmt: skip


async def simulate(tx: Tx, policy: Policy, at: datetime, days: int = PAST_DAYS) -> Simulated:
    """Return what a policy would have done with the tasks of the last days, and what people did with them.

    Nothing is changed. Raises InvalidPolicy.
    """
    policies.check(policy)
    if not 1 <= days <= PAST_DAYS:
        raise InvalidPolicy(f"A policy is tried on the last 1 to {PAST_DAYS} days.", field="days")
    timezone = (await identity.organisation_of(tx)).timezone
    rows = await tx.fetch(
        """select id, title, agent, action, measure, state, undone_at, created_at from (
               select * from task where organisation_id = $1 and action is not null and id >= $2 order by id desc limit $3) t
           order by id""",
        tx.organisation,
        first_id_at(at - timedelta(days=days)),
        PAST_MOST,
    )
    past = [
        Past(
            row["id"], row["title"], policies.day_of(row["created_at"], timezone),
            Facts(row["agent"], row["action"], Measure.of(row["measure"])), _ended(row["state"], row["undone_at"]),
        )
        for row in rows
    ]  # fmt: skip
    return policies.simulate(policy, await policy_store.policies(tx), past)


def _ended(state: str, undone_at: datetime | None) -> str:
    if undone_at is not None:
        return "undone"
    if state == "rejected":
        return "rejected"
    return "waiting" if state in ("pending", "awaiting_approval") else "approved"


async def switch(tx: Tx) -> SwitchView:
    """Return whether everything is stopped."""
    row = await policy_store.read_switch(tx)
    return SwitchView(False) if row is None else SwitchView(row["stopped"], row["set_by"], row["set_at"])


async def agents_known(tx: Tx, at: datetime, limit: int = 100) -> list[str]:
    """Return the names of agents that proposed something in the last 90 days."""
    since = first_id_at(at - timedelta(days=PAST_DAYS))
    rows = await tx.fetch(
        "select distinct agent from task where organisation_id = $1 and agent is not null and id >= $2 order by 1 limit $3",
        tx.organisation, since, limit,
    )  # fmt: skip
    return [row["agent"] for row in rows]
