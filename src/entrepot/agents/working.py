"""Work on approved tasks: assigned, completed with hours; tasks edited, commented on and looked at anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from entrepot.agents import moving, store
from entrepot.agents.actions import Registry
from entrepot.agents.contracts import (
    ActionCall,
    Category,
    InvalidTask,
    NoSuchMember,
    Priority,
    Proposal,
    Task,
)
from entrepot.agents.lifecycle import Move, State, judge
from entrepot.agents.proposing import action_fields, by_policy
from entrepot.agents.rules import check_hours, check_proposal, searched
from entrepot.agents.words import words_of
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor, Scope
from entrepot.kernel.errors import EntrepotError

NOTES_MAX = 10_000
COMMENT_MAX = 10_000


async def assign(tx: Tx, actor: Actor, task: Task, named: str, at: datetime) -> Task:
    """Give a locked task to a member, by id or email address; the work begins. Raises NoSuchMember, NotYourMove, WrongMove."""
    judge(Move.ASSIGN, task.state, task.kind, moving.standing_of(actor, task))
    member = await identity.find_member(tx, named)
    if member is None:
        raise NoSuchMember(f"{named[:100]!r} is no member of this organisation: name a person by id or email address.")
    person = member.person
    if Scope.TASKS_WORK not in identity.ROLE_SCOPES[member.role]:
        raise NoSuchMember(f"{person.name} may only look: make them a member first, or name somebody else.")
    fields = {"assigned_to": person.id, "assigned_as": named.strip(), "assigned_name": person.name}
    changes = {"assigned_to": [task.assigned_name, person.name]}
    return await moving.make(tx, actor, task, Move.ASSIGN, at, fields, words=f"to {person.name}", changes=changes)


async def complete(tx: Tx, actor: Actor, task: Task, actual_hours: Decimal, at: datetime, notes: str = "") -> Task:
    """Complete a locked task with the hours it took. Raises NotYourMove, WrongMove, InvalidTask."""
    check_hours(actual_hours, "actualHours")
    if len(notes) > NOTES_MAX or "\x00" in notes:
        raise InvalidTask(f"Notes have at most {NOTES_MAX:,} characters.", field="notes")
    fields = {"actual_hours": store.hours(actual_hours), "notes": notes.strip()}
    return await moving.make(
        tx, actor, task, Move.COMPLETE, at, fields, words=f"in {actual_hours:f} hours", changes={"notes": notes.strip()}
    )


@dataclass(frozen=True, slots=True)
class TaskEdit:
    """What to change of a task; None leaves it. `clear_due`: it has no date any more."""

    title: str | None = None
    description: str | None = None
    category: Category | None = None
    priority: Priority | None = None
    estimated_hours: Decimal | None = None
    tags: tuple[str, ...] | None = None
    metadata: Mapping[str, Any] | None = None
    due_at: datetime | None = None
    clear_due: bool = False
    why: str | None = None
    expected: str | None = None
    action_input: Mapping[str, Any] | None = None


async def edit(tx: Tx, actions: Registry, actor: Actor, task: Task, given: TaskEdit, at: datetime) -> Task:
    """Change a locked task that is not decided yet; approvals given so far are void, and policies are asked again.

    Raises NotYourMove, WrongMove, InvalidTask, and what an action's input or dry run raises.
    """
    judge(Move.EDIT, task.state, task.kind, moving.standing_of(actor, task))
    wanted: dict[str, Any] = {}
    for name in (
        "title",
        "description",
        "category",
        "priority",
        "estimated_hours",
        "tags",
        "metadata",
        "why",
        "expected",
    ):
        value = getattr(given, name)
        if value is not None and value != getattr(task, name):
            wanted[name] = value
    if given.clear_due or given.due_at is not None:
        wanted["due_at"] = given.due_at
    merged = {name: wanted.get(name, getattr(task, name)) for name in _PROPOSED}
    check_proposal(Proposal(marketplace=task.marketplace, created_as=task.created_as, **merged), at)
    changes = {name: [_plain(getattr(task, name)), _plain(value)] for name, value in wanted.items()}
    fields = {**wanted}
    if "priority" in fields:
        fields["priority"] = int(fields["priority"])
    if "estimated_hours" in fields:
        fields["estimated_hours"] = store.hours(fields["estimated_hours"])
    if "tags" in fields:
        fields["tags"] = list(fields["tags"])
    if given.action_input is not None:
        if task.action is None:
            raise InvalidTask("This task has no action whose input could be changed.", field="action")
        bound = actions.bind(ActionCall(task.action, given.action_input, task.action_version))
        actor.require(bound.action.scope)
        fields |= action_fields(bound, await bound.action.look(tx, bound.given), at)
        changes["action_input"] = [task.action_input, bound.input_json]
    if not fields:
        return task
    await moving.make(tx, actor, task, Move.EDIT, at, fields, changes=changes)
    after = await moving.locked(tx, task.id)
    await store.put_words(
        tx, task.id, words_of(searched(after.title, after.description, after.marketplace, after.tags))
    )
    return await by_policy(tx, after, at) if after.state is State.AWAITING_APPROVAL else after


_PROPOSED = (
    "title", "description", "category", "priority", "estimated_hours", "tags", "metadata", "due_at", "why", "expected",
)  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, Priority):
        return value.code
    return msgspec.to_builtins(value, enc_hook=str)


async def comment(tx: Tx, actor: Actor, task: Task, text: str, at: datetime) -> UUID:
    """Add a comment to a task; return its id. Raises MissingScope, InvalidTask."""
    actor.require(Scope.TASKS_WORK)
    words = text.strip()
    if not 0 < len(words) <= COMMENT_MAX or "\x00" in words:
        raise InvalidTask(f"A comment has 1 to {COMMENT_MAX:,} characters.", field="text")
    return await store.add_event(tx, task.id, actor, at, "comment", words=words)


async def peek(tx: Tx, actions: Registry, task: Task) -> str:
    """Return why a waiting task cannot be approved as it was looked at; empty if it can. Nothing is changed."""
    if task.action is None or task.action_input is None or task.state is not State.AWAITING_APPROVAL:
        return ""
    try:
        bound = actions.bind(ActionCall(task.action, task.action_input, task.action_version))
        look = await bound.action.look(tx, bound.given)
    except EntrepotError as error:
        return error.detail
    return "" if look.fingerprint == task.fingerprint else "What it rests on has changed since it was looked at."


async def look_anew(tx: Tx, actions: Registry, task: Task, at: datetime) -> Task:
    """Look at what the action of a locked, waiting task would do now, so that people decide on the present state.

    What keeps it from being done is noted in its place.
    """
    if task.action is None or task.action_input is None or task.state is not State.AWAITING_APPROVAL:
        return task
    bound = actions.bind(ActionCall(task.action, task.action_input, task.action_version))
    look = await bound.action.look(tx, bound.given)
    if look.fingerprint == task.fingerprint and look.json() == task.look:
        await store.change(tx, task.id, {"looked_at": at, "stale": ""})
    else:
        # Approvals of another state of things do not count for this one.
        await store.change(tx, task.id, {**action_fields(bound, look, at), "stale": "", "round": task.round + 1})
    return await moving.locked(tx, task.id)
