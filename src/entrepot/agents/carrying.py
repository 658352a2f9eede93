"""Approved actions are carried out by a job: looked at once more, done, read back; and undone when a person asks.

Doing it, the note that it was done (`task_run`, one for each task and round) and the job that reads it back are one
transaction. So whenever a worker dies, an action was either not done, and the job does it, or done, and nobody does it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from entrepot.agents import moving, policy_store, reading, store
from entrepot.agents.actions import Bound, CannotUndo, NothingToDo, Outcome, Registry, Verdict, idempotency_key
from entrepot.agents.contracts import ActionCall, Task
from entrepot.agents.jobs import TaskPayload, look_again, start
from entrepot.agents.lifecycle import Move, State, judge
from entrepot.agents.proposing import action_fields, give_back
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor, Scope, system_actor
from entrepot.jobs.facade import JobRun
from entrepot.kernel.clock import Clock, utc_now
from entrepot.kernel.errors import EntrepotError

log = structlog.get_logger(__name__)

FIRST_CHECK = timedelta(seconds=2)
CHECK_GROWS = 2
CHECK_MOST = timedelta(minutes=2)
CHECKS_MOST = 15
"""Reading back is tried so often, over about twenty minutes; then a person is told that it is not confirmed."""

Json = Mapping[str, Any]


class Carrier:
    """Carries out and verifies tasks in a worker."""

    def __init__(self, actions: Registry, clock: Clock = utc_now) -> None:
        self._actions = actions
        self._clock = clock

    async def carry_out(self, run: JobRun[TaskPayload]) -> Json:
        """Do what a task's action says, if it is still approved and what it rests on is still so."""
        try:
            async with run.step() as step:
                return {"said": await carry_out(step.tx, self._actions, run.payload, self._clock())}
        except EntrepotError as error:
            if error.status >= 500:
                raise
            problem = error
        # What it did is rolled back; that it could not be done is told in a transaction of its own.
        async with run.step() as step:
            return {"said": await refused(step.tx, run.payload, problem, self._clock())}

    async def verify(self, run: JobRun[TaskPayload]) -> Json:
        """Read back what a task did; again after a while where a channel has not answered yet."""
        async with run.step() as step:
            return {"said": await verify(step.tx, self._actions, run.payload, self._clock())}


def _hub(tx: Tx) -> Actor:
    return system_actor(tx.organisation)


def _bind(actions: Registry, task: Task) -> Bound:
    assert task.action is not None
    assert task.action_input is not None
    return actions.bind(ActionCall(task.action, task.action_input, task.action_version))


async def carry_out(tx: Tx, actions: Registry, payload: TaskPayload, at: datetime) -> str:
    """Do a task's action in this transaction; return what became of it.

    Done before, sent back meanwhile or stopped: nothing is done. Another state of things than people decided on: it goes
    back to them. Raises what the action raises.
    """
    task = await moving.locked(tx, payload.task_id)
    if task.state is not State.APPROVED or task.round != payload.round:
        return "It was done, sent back or rejected meanwhile."
    if await policy_store.is_stopped(tx):
        return "Everything is stopped; it goes on when that ends."
    bound = _bind(actions, task)
    look = await bound.action.look(tx, bound.given)
    if look.fingerprint != task.fingerprint:
        words = "What it rests on has changed since it was looked at, so it is to be decided anew."
        await send_back(tx, task, words, at, action_fields(bound, look, at))
        return words
    actor = system_actor(tx.organisation, f"Task, approved by {task.approved_by_name}")
    receipt = await bound.action.perform(tx, actor, bound.given, idempotency_key(task.id, task.round, "do"))
    if not await store.insert_run(tx, task, "do", receipt, at):
        raise LookupError("an approved task was carried out in this round already")
    after = await moving.make(tx, _hub(tx), task, Move.CARRY_OUT, at, words=look.summary)
    await look_again(tx, after, "do", actor.name, FIRST_CHECK)
    return look.summary


async def refused(tx: Tx, payload: TaskPayload, problem: EntrepotError, at: datetime) -> str:
    """Send a task back whose action could not be done, with the reason; return it."""
    task = await moving.locked(tx, payload.task_id)
    words = f"It could not be carried out: {problem.detail}"
    if task.state is State.APPROVED and task.round == payload.round:
        if isinstance(problem, NothingToDo):
            words = "All is as it would make it, so there is nothing to do."
        await send_back(tx, task, words, at)
    return words


async def send_back(tx: Tx, task: Task, words: str, at: datetime, fields: Json | None = None) -> Task:
    """Send a locked, approved task back for review: its approval is void, its part of the budget given back."""
    await give_back(tx, task)
    written = {**(fields or {}), "stale": words, "policy_words": []}
    return await moving.make(tx, _hub(tx), task, Move.SEND_BACK, at, written, words=words)


async def verify(tx: Tx, actions: Registry, payload: TaskPayload, at: datetime) -> str:
    """Read back what a task did (or undid); finish it once that is known, else look again later."""
    task = await moving.locked(tx, payload.task_id)
    run = await store.run_of(tx, task.id, payload.kind, payload.round)
    if run is None or run["state"] != "done":
        return "It was looked at already."
    if payload.kind == "do" and task.undone_at is not None:
        await store.put_check(tx, run["id"], "unconfirmed", "It was undone before it was confirmed.", at)
        return "It was undone meanwhile."
    bound = _bind(actions, task)
    try:
        verdict = await _read_back(tx, bound, task, payload, run["receipt"])
    except EntrepotError as error:
        verdict = Verdict(Outcome.DIFFERENT, f"It could not be read back: {error.detail}")
    tried = run["checks"] + 1
    if verdict.outcome is Outcome.WAITING and tried < CHECKS_MOST:
        await store.put_check(tx, run["id"], "done", verdict.words, at)
        await look_again(tx, task, payload.kind, "Entrepot", min(CHECK_MOST, FIRST_CHECK * CHECK_GROWS**tried))
        return verdict.words
    state = {Outcome.AS_WANTED: "verified", Outcome.WAITING: "unconfirmed", Outcome.DIFFERENT: "failed"}[
        verdict.outcome
    ]
    await store.put_check(tx, run["id"], state, verdict.words, at)
    outcome = {
        "verified": state, "words": verdict.words, "lines": [list(each) for each in verdict.lines], "kind": payload.kind,
        "at": at.isoformat(),
    }  # fmt: skip
    if payload.kind == "do" and task.state is State.IN_PROGRESS:
        await moving.make(tx, _hub(tx), task, Move.FINISH, at, {"outcome": outcome}, words=verdict.words)
    else:
        await store.change(tx, task.id, {"outcome": outcome})
        await store.add_event(tx, task.id, _hub(tx), at, "verify", words=verdict.words)
    return verdict.words


async def _read_back(tx: Tx, bound: Bound, task: Task, payload: TaskPayload, receipt: Json) -> Verdict:
    if payload.kind == "do":
        return await bound.action.verify(tx, bound.given, receipt)
    done = await store.run_of(tx, task.id, "do", payload.round)
    assert done is not None
    return await bound.action.verify_undone(tx, bound.given, done["receipt"], receipt)


async def undo(tx: Tx, actions: Registry, actor: Actor, task: Task, at: datetime) -> Task:
    """Put back what a locked task did, and have it read back. Raises NotYourMove, WrongMove, CannotUndo."""
    judge(Move.UNDO, task.state, task.kind, moving.standing_of(actor, task))
    if task.undone_at is not None:
        raise CannotUndo(f"{task.undone_by} has undone it already.")
    bound = _bind(actions, task)
    run = await store.run_of(tx, task.id, "do", task.round)
    if run is None or not bound.action.undoable:
        raise CannotUndo(f"{bound.action.title} cannot be undone.")
    receipt = await bound.action.undo(tx, actor, bound.given, run["receipt"])
    await store.insert_run(tx, task, "undo", receipt, at)
    after = await moving.make(tx, actor, task, Move.UNDO, at)
    await look_again(tx, after, "undo", actor.name, FIRST_CHECK)
    return after


async def set_stopped(tx: Tx, actor: Actor, stopped: bool, at: datetime) -> int:
    """Stop everything that runs by itself or for a task, or let it go on; return how many tasks go on now.

    What is stopped stays approved. Raises MissingScope.
    """
    actor.require(Scope.TASKS_APPROVE)
    before = await policy_store.read_switch(tx)
    await policy_store.put_switch(tx, stopped, actor.name, at)
    told = {"stopped": bool(before and before["stopped"])}
    await identity.record(tx, actor, "agents.stop" if stopped else "agents.go_on", "organisation", tx.organisation, told,
                          {"stopped": stopped})  # fmt: skip
    if stopped or before is None or not before["stopped"]:
        return 0
    waiting = await store.approved_actions(tx)
    for row in waiting:
        # Not locked: the job looks what became of it.
        await start(tx, await reading.task(tx, row["id"]), actor.name)
    return len(waiting)
