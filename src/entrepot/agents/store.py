"""Statements that write tasks. Locks: a task before its policies' spendings; several tasks by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from asyncpg import Record

from entrepot.agents.contracts import Category, Priority, Task
from entrepot.agents.lifecycle import State
from entrepot.database.pool import Tx
from entrepot.identity.facade import Actor
from entrepot.kernel.ids import new_id

COLUMNS = (
    "id", "marketplace", "title", "description", "category", "priority", "state", "estimated_hours", "actual_hours",
    "tags", "metadata", "created_by", "created_by_name", "created_as", "agent", "created_at", "submitted_at",
    "approved_at", "approved_by", "approved_by_name", "rejected_at", "reason", "started_at", "completed_at",
    "assigned_to", "assigned_as", "assigned_name", "team_id", "notes", "due_at", "why", "expected", "action",
    "action_version", "action_input", "look", "fingerprint", "looked_at", "stale", "measure", "policy_id", "policy_day",
    "policy_words", "round", "outcome", "undone_at", "undone_by", "template_id", "version", "updated_at",
)  # fmt: skip
SELECT = f"select {', '.join(f't.{name}' for name in COLUMNS)} from task t where t.organisation_id = $1"
_CHANGED = frozenset(COLUMNS) - {"id", "created_by", "created_at", "version", "updated_at"}


def task_of(row: Record) -> Task:
    """Return the task of a row."""
    told: dict[str, Any] = dict(row)
    told["category"], told["priority"] = Category(told["category"]), Priority(told["priority"])
    told["state"], told["tags"] = State(told["state"]), tuple(told["tags"])
    told["policy_words"] = tuple(told["policy_words"])
    return Task(**told)


async def lock(tx: Tx, task_ids: Sequence[UUID]) -> dict[UUID, Task]:
    """Lock these tasks in the order of their ids and return those that there are."""
    rows = await tx.fetch(f"{SELECT} and t.id = any($2::uuid[]) order by t.id for update", tx.organisation, task_ids)
    return {row["id"]: task_of(row) for row in rows}


async def insert(tx: Tx, values: Mapping[str, Any]) -> None:
    """Write a new task."""
    names = list(values)
    places = ", ".join(f"${n}" for n in range(2, len(names) + 2))
    await tx.execute(
        f"insert into task (organisation_id, {', '.join(names)}) values ($1, {places})",
        tx.organisation,
        *values.values(),
    )


async def change(tx: Tx, task_id: UUID, fields: Mapping[str, Any]) -> None:
    """Change fields of a locked task; its version goes up."""
    unknown = fields.keys() - _CHANGED
    if unknown:
        raise LookupError(f"a task has no field {sorted(unknown)}")
    sets = "".join(f", {name} = ${n}" for n, name in enumerate(fields, start=3))
    await tx.execute(
        f"update task set version = version + 1, updated_at = clock_timestamp(){sets} where organisation_id = $1 and id = $2",
        tx.organisation,
        task_id,
        *fields.values(),
    )


async def put_words(tx: Tx, task_id: UUID, words: Sequence[str]) -> None:
    """Set the words that a task is found by."""
    await tx.execute("delete from task_word where organisation_id = $1 and task_id = $2", tx.organisation, task_id)
    await tx.execute(
        "insert into task_word (organisation_id, task_id, word) select $1, $2, w from unnest($3::text[]) w order by w",
        tx.organisation,
        task_id,
        list(words),
    )


async def add_event(
    tx: Tx,
    task_id: UUID,
    actor: Actor,
    at: datetime,
    move: str,
    *,
    before: State | None = None,
    after: State | None = None,
    words: str = "",
    changes: Mapping[str, Any] | None = None,
) -> UUID:
    """Add a line to a task's history."""
    id = new_id()
    await tx.execute(
        """insert into task_event
               (organisation_id, id, task_id, at, move, from_state, to_state, actor, actor_name, words, changes)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
        tx.organisation, id, task_id, at, move, before, after, actor.reference, actor.name, words, changes or {},
    )  # fmt: skip
    return id


async def add_approval(tx: Tx, task: Task, actor: Actor, at: datetime) -> tuple[int, bool]:
    """Note that a person approved a task in its present round; return how many people have, and whether this one is new."""
    new = await tx.execute(
        """insert into task_approval (organisation_id, task_id, round, person_id, person_name, at)
           values ($1, $2, $3, $4, $5, $6) on conflict do nothing""",
        tx.organisation, task.id, task.round, actor.id, actor.name, at,
    )  # fmt: skip
    count: int = await tx.fetch_value(
        "select count(*) from task_approval where organisation_id = $1 and task_id = $2 and round = $3",
        tx.organisation, task.id, task.round,
    )  # fmt: skip
    return count, bool(new)


# ---- runs of actions ---------------------------------------------------------------------------------------


async def insert_run(tx: Tx, task: Task, kind: str, receipt: Mapping[str, Any], at: datetime) -> bool:
    """Note that a task's action was done (or undone) in its present round; return False if it was already."""
    done = await tx.execute(
        """insert into task_run (organisation_id, id, task_id, kind, round, receipt, done_at)
           values ($1, $2, $3, $4, $5, $6, $7) on conflict (organisation_id, task_id, kind, round) do nothing""",
        tx.organisation, new_id(), task.id, kind, task.round, receipt, at,
    )  # fmt: skip
    return bool(done)


async def run_of(tx: Tx, task_id: UUID, kind: str, round: int) -> Record | None:
    """Return the run of a task in a round."""
    return await tx.fetch_row(
        "select * from task_run where organisation_id = $1 and task_id = $2 and kind = $3 and round = $4",
        tx.organisation, task_id, kind, round,
    )  # fmt: skip


async def put_check(tx: Tx, run_id: UUID, state: str, words: str, at: datetime) -> int:
    """Note what reading back showed; return how often it was looked."""
    checks: int = await tx.fetch_value(
        """update task_run set state = $3, words = $4, checked_at = $5, checks = checks + 1
           where organisation_id = $1 and id = $2 returning checks""",
        tx.organisation, run_id, state, words, at,
    )  # fmt: skip
    return checks


async def approved_actions(tx: Tx, limit: int = 1000) -> list[Record]:
    """Return tasks with an action that are approved and not carried out."""
    return await tx.fetch(
        """select id, round from task where organisation_id = $1 and state = 'approved' and action is not null
           order by id limit $2""",
        tx.organisation,
        limit,
    )


def hours(value: Decimal) -> Decimal:
    """Return hours as they are kept, to a hundredth."""
    return value.quantize(Decimal("0.01"))
