"""One move of one locked task: judged by the lifecycle, written with its effects, told in its history and the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.agents import lifecycle, store
from entrepot.agents.contracts import Task, TaskChanged, TaskNotFound
from entrepot.agents.lifecycle import Effect, Move, Who
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor, ActorKind, Scope

AUDITED = frozenset({Move.APPROVE, Move.REJECT, Move.ASSIGN, Move.COMPLETE, Move.EDIT, Move.CARRY_OUT, Move.UNDO})


def standing_of(actor: Actor, task: Task) -> frozenset[Who]:
    """Return what somebody is to a task."""
    found: set[Who] = set()
    if actor.kind is ActorKind.SYSTEM:
        return frozenset({Who.HUB})
    # An agent only proposes, whatever it was given.
    if actor.kind is ActorKind.AGENT:
        return frozenset()
    if actor.may(Scope.TASKS_APPROVE):
        found.add(Who.ADMIN)
    if actor.reference == task.created_by and actor.may(Scope.TASKS_PROPOSE):
        found.add(Who.CREATOR)
    if actor.kind is ActorKind.PERSON and actor.id == task.assigned_to and actor.may(Scope.TASKS_WORK):
        found.add(Who.ASSIGNEE)
    return frozenset(found)


async def locked(tx: Tx, task_id: UUID, version: int | None = None) -> Task:
    """Lock a task, which must be of this version if one is given. Raises TaskNotFound, TaskChanged."""
    found = await store.lock(tx, [task_id])
    if task_id not in found:
        raise TaskNotFound
    task = found[task_id]
    if version is not None and task.version != version:
        raise TaskChanged(version=task.version)
    return task


async def make(
    tx: Tx,
    actor: Actor,
    task: Task,
    move: Move,
    at: datetime,
    fields: Mapping[str, Any] | None = None,
    *,
    words: str = "",
    changes: Mapping[str, Any] | None = None,
) -> Task:
    """Make a move of a locked task; return it as it is now. `fields`: what the move writes beside its effects.

    Raises NotYourMove, WrongMove.
    """
    rule = lifecycle.judge(move, task.state, task.kind, standing_of(actor, task))
    written = {**effects(rule.effects, actor, task, at), **(fields or {})}
    if rule.to is not None:
        written["state"] = rule.to
    await store.change(tx, task.id, written)
    after = replace(task, **written, version=task.version + 1, updated_at=at)
    await store.add_event(
        tx, task.id, actor, at, move, before=task.state, after=after.state, words=words, changes=changes
    )
    if move in AUDITED:
        told = {"state": after.state, **({"words": words} if words else {}), **(changes or {})}
        await identity.record(tx, actor, f"task.{move}", "task", task.id, {"state": task.state}, told)
    return after


def effects(wanted: frozenset[Effect], actor: Actor, task: Task, at: datetime) -> dict[str, Any]:
    """Return what the effects of a move write that follow from who, when and what was. Pure."""
    fields: dict[str, Any] = {}
    if Effect.SUBMITTED in wanted:
        fields["submitted_at"] = at
    if Effect.APPROVED in wanted:
        fields |= {"approved_at": at, "approved_by": actor.reference, "approved_by_name": actor.name}
    if Effect.NOT_APPROVED in wanted:
        fields |= {
            "approved_at": None, "approved_by": None, "approved_by_name": None, "policy_id": None, "policy_day": None,
            "round": task.round + 1,
        }  # fmt: skip
    if Effect.REASON in wanted:
        fields["rejected_at"] = at
    if Effect.STARTED in wanted:
        fields["started_at"] = task.started_at or at
    if Effect.COMPLETED in wanted:
        fields["completed_at"] = task.completed_at or at
    if Effect.UNDONE in wanted:
        fields |= {"undone_at": at, "undone_by": actor.name}
    return fields
