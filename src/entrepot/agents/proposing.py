"""Tasks are proposed: checked, looked at if they carry an action, stored, handed in, approved where a policy lets them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.agents import moving, policies, policy_store, store
from entrepot.agents.actions import Bound, Look, Measure, Registry
from entrepot.agents.contracts import InvalidTask, Proposal, Task
from entrepot.agents.jobs import start
from entrepot.agents.lifecycle import Move, State
from entrepot.agents.rules import check_proposal, searched
from entrepot.agents.words import words_of
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor, ActorKind, Scope, system_actor
from entrepot.kernel.ids import new_id

POLICY = "Approval policy"
"""Who approves what a policy lets run."""


async def propose(tx: Tx, actions: Registry, actor: Actor, given: Proposal, at: datetime) -> Task:
    """Make a task; submit it unless it is a draft; approve it where a policy lets it run by itself.

    An action is looked at first: one that cannot be done, or changes nothing, is refused. A person needs the right to do
    what the action does. Raises InvalidTask, UnknownAction, InvalidActionInput, NothingToDo, MissingScope.
    """
    actor.require(Scope.TASKS_PROPOSE)
    check_proposal(given, at)
    if given.draft and actor.kind is ActorKind.AGENT:
        raise InvalidTask("What an agent proposes is handed in at once: it has no drafts.", field="draft")
    bound = actions.bind(given.action) if given.action else None
    if bound is not None and actor.kind in (ActorKind.PERSON, ActorKind.API_KEY):
        actor.require(bound.action.scope)
    look = await bound.action.look(tx, bound.given) if bound else None
    task_id = new_id()
    values = _values(task_id, actor, given, at) | (action_fields(bound, look, at) if bound and look else {})
    await store.insert(tx, values)
    await store.put_words(
        tx, task_id, words_of(searched(given.title, given.description, given.marketplace, given.tags))
    )
    await store.add_event(tx, task_id, actor, at, "create", after=State.PENDING)
    await identity.record(
        tx, actor, "task.create", "task", task_id, None,
        {"title": given.title, "marketplace": given.marketplace, "action": given.action.name if given.action else None},
    )  # fmt: skip
    task = await moving.locked(tx, task_id)
    return task if given.draft else await submit(tx, actor, task, at)


async def submit(tx: Tx, actor: Actor, task: Task, at: datetime) -> Task:
    """Hand a locked draft in for approval. Raises NotYourMove, WrongMove."""
    # An agent makes no move of its own: what it proposes the hub hands in for it.
    mover = system_actor(tx.organisation, actor.name) if actor.kind is ActorKind.AGENT else actor
    return await by_policy(tx, await moving.make(tx, mover, task, Move.SUBMIT, at), at)


def facts_of(task: Task) -> policies.Facts:
    """Return what of a task policies look at."""
    measure = Measure() if task.measure is None else Measure.of(task.measure)
    return policies.Facts(task.agent, task.action, measure)


async def by_policy(tx: Tx, task: Task, at: datetime) -> Task:
    """Approve a waiting task if a policy lets it run by itself, counting it against the day's budget; note what they said."""
    if task.action is None:
        return task
    facts = facts_of(task)
    known = await policy_store.policies(tx)
    about = [p for p in known if policies.concerns(p, facts)]
    stopped = await policy_store.is_stopped(tx)
    organisation = await identity.organisation_of(tx)
    day = policies.day_of(at, organisation.timezone)
    spent = await policy_store.lock_spending(tx, [p.id for p in about], day)
    verdict = policies.evaluate(known, facts, spent, stopped=stopped)
    words = list(verdict.words)
    if verdict.policy_id is None:
        await store.change(tx, task.id, {"policy_words": words})
        return await moving.locked(tx, task.id)
    used = next(p for p in known if p.id == verdict.policy_id)
    await policy_store.spend(tx, used.id, day, 1, policies.money_of(used, facts.measure))
    mover = system_actor(tx.organisation, f"{POLICY}: {used.name}")
    fields = {"policy_id": used.id, "policy_day": day, "policy_words": words}
    after = await moving.make(tx, mover, task, Move.APPROVE, at, fields, words=verdict.words[-1])
    await start(tx, after, mover.name)
    return after


def action_fields(bound: Bound, look: Look, at: datetime) -> dict[str, Any]:
    """Return what a task keeps of its action and of what was looked at."""
    return {
        "action": bound.action.name, "action_version": bound.action.version, "action_input": bound.input_json,
        "look": look.json(), "fingerprint": look.fingerprint, "looked_at": at, "measure": look.measure.json(),
    }  # fmt: skip


def _values(task_id: UUID, actor: Actor, given: Proposal, at: datetime) -> dict[str, Any]:
    return {
        "id": task_id, "marketplace": given.marketplace, "title": given.title, "description": given.description,
        "category": given.category, "priority": int(given.priority), "state": State.PENDING,
        "estimated_hours": store.hours(given.estimated_hours), "tags": list(given.tags), "metadata": dict(given.metadata),
        "created_by": actor.reference, "created_by_name": actor.name, "created_as": given.created_as,
        "agent": actor.name if actor.kind is ActorKind.AGENT else None, "created_at": at, "due_at": given.due_at,
        "why": given.why, "expected": given.expected, "template_id": given.template_id,
    }  # fmt: skip


async def give_back(tx: Tx, task: Task) -> None:
    """Give back what a task took of a policy's budget, as it is not carried out after all."""
    if task.policy_id is None or task.policy_day is None:
        return
    used = await policy_store.policy(tx, task.policy_id)
    if used is not None:
        await policy_store.lock_spending(tx, [used.id], task.policy_day)
        money = policies.money_of(used, facts_of(task).measure)
        await policy_store.spend(tx, used.id, task.policy_day, -1, -money)
