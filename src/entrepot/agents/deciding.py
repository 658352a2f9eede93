"""Waiting tasks are approved or rejected, one by one and in batches; what came back is decided anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from entrepot.agents import moving, policies, policy_store, store
from entrepot.agents.contracts import Decided, InvalidTask, Task, TaskNotFound
from entrepot.agents.jobs import start
from entrepot.agents.lifecycle import Move, NotYourMove, judge
from entrepot.agents.parts import part
from entrepot.agents.proposing import facts_of
from entrepot.agents.routing import assign_by_route
from entrepot.database.pool import Tx
from entrepot.identity.facade import Actor, ActorKind, Scope
from entrepot.kernel.errors import EntrepotError

BATCH_MOST = 500
REASON_MOST = 2000
NO_REASON = "No reason was given."


class NeedsPeople(NotYourMove):
    """Two different people must approve this task; a key cannot be one of them."""


class OwnProposal(NotYourMove):
    """Two different people must approve this task, and who proposed it is none of them."""


async def decide(
    tx: Tx, actor: Actor, task_ids: Sequence[str], at: datetime, *, approved: bool, reason: str = ""
) -> list[Decided]:
    """Approve or reject tasks; one that cannot be decided keeps no other from it. The order is that of the ids given.

    Raises InvalidTask if there are too many, MissingScope.
    """
    actor.require(Scope.TASKS_APPROVE)
    if not 1 <= len(task_ids) <= BATCH_MOST:
        raise InvalidTask(f"Decide 1 to {BATCH_MOST:,} tasks at once.", field="taskIds")
    known: dict[str, UUID] = {}
    for named in task_ids:
        try:
            known[named] = UUID(named)
        except ValueError:
            continue
    tasks = await store.lock(tx, sorted(set(known.values())))
    results: dict[str, Decided] = {}
    # One after the other in the order of the locks.
    for named in sorted(dict.fromkeys(task_ids), key=lambda each: str(known.get(each, ""))):
        task = tasks.get(known[named]) if named in known else None
        try:
            if task is None:
                raise TaskNotFound
            async with part(tx):
                results[named] = await _one(tx, actor, task, at, approved=approved, reason=reason)
        except EntrepotError as error:
            state = task.state if task else None
            results[named] = Decided(named, state, error.detail, error.code())
    return [results[named] for named in dict.fromkeys(task_ids)]


async def _one(tx: Tx, actor: Actor, task: Task, at: datetime, *, approved: bool, reason: str) -> Decided:
    after = await approve(tx, actor, task, at) if approved else await reject(tx, actor, task, reason, at)
    more = 0
    if approved and after.state is task.state:
        more = 1
    return Decided(str(task.id), after.state, more_needed=more)


async def approve(tx: Tx, actor: Actor, task: Task, at: datetime) -> Task:
    """Approve a locked task; one that two people must approve waits for the second. Raises NotYourMove, WrongMove."""
    judge(Move.APPROVE, task.state, task.kind, moving.standing_of(actor, task))
    needed = policies.evaluate(await policy_store.policies(tx), facts_of(task), {}, stopped=True)
    if needed.people > 1:
        if actor.kind is not ActorKind.PERSON:
            raise NeedsPeople
        if actor.reference == task.created_by:
            raise OwnProposal
        count, new = await store.add_approval(tx, task, actor, at)
        if count < needed.people:
            if new:
                words = f"{needed.words[0]} One of two."
                await store.change(tx, task.id, {"policy_words": list(needed.words)})
                await store.add_event(tx, task.id, actor, at, "first_approval", words=words)
            return await moving.locked(tx, task.id)
    after = await moving.make(tx, actor, task, Move.APPROVE, at, {"stale": ""})
    if after.action is not None:
        await start(tx, after, actor.name)
        return after
    return await assign_by_route(tx, after, at)


async def reject(tx: Tx, actor: Actor, task: Task, reason: str, at: datetime) -> Task:
    """Reject a locked task for good. Raises NotYourMove, WrongMove, InvalidTask."""
    words = reason.strip() or NO_REASON
    if len(words) > REASON_MOST or "\x00" in words:
        raise InvalidTask(f"A reason has at most {REASON_MOST:,} characters.", field="reason")
    return await moving.make(tx, actor, task, Move.REJECT, at, {"reason": words}, words=words)
