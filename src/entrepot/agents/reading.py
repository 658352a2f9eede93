"""What pages and the API read of tasks. Select statements only; lists are paged by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.agents.contracts import Priority, Task, TaskEvent, TaskNotFound
from entrepot.agents.lifecycle import State
from entrepot.agents.store import COLUMNS, task_of
from entrepot.agents.words import words_of
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.paging import Slice, bounded, decode_cursor, slice_of

COUNT_MOST = 100_000
WORDS_MOST = 8
SORTS = ("newest", "priority")


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks: every field narrows. `search`: starts of words, all of which must be there.

    `assigned_to`: a member by id or email address. `sort`: newest first, or by priority, the oldest of each first.
    """

    state: str | None = None
    marketplace: str | None = None
    category: str | None = None
    priority: str | None = None
    assigned_to: str | None = None
    search: str = ""
    action: str | None = None
    agent: str | None = None
    overdue: bool = False
    sort: str = "newest"


@dataclass(slots=True)
class _Where:
    parts: list[str]
    args: list[Any]

    def add(self, condition: str, *values: Any) -> None:
        places = [f"${len(self.args) + n}" for n in range(1, len(values) + 1)]
        self.args.extend(values)
        self.parts.append(condition.format(*places))


async def _where(tx: Tx, chosen: TaskFilter) -> _Where | None:
    """Return the conditions, None if nothing can meet them. Raises InvalidInput."""
    where = _Where(["t.organisation_id = $1"], [tx.organisation])
    if chosen.state:
        if chosen.state not in list(State):
            raise InvalidInput(f"{chosen.state!r} is not a status. Known: {', '.join(State)}.")
        where.add("t.state = {}", chosen.state)
    for name in ("marketplace", "category", "action", "agent"):
        if value := getattr(chosen, name):
            where.add(f"t.{name} = {{}}", value)
    if chosen.priority:
        where.add("t.priority = {}", int(Priority.of(chosen.priority)))
    if chosen.assigned_to:
        member = await identity.find_member(tx, chosen.assigned_to)
        if member is None:
            return None
        where.add("t.assigned_to = {}", member.person.id)
    if chosen.overdue:
        where.parts.append("t.due_at < now() and t.state not in ('completed', 'rejected')")
    words = words_of([chosen.search])[:WORDS_MOST]
    if chosen.search.strip() and not words:
        return None
    for word in words:
        where.add(
            # Hashed once: the `or` keeps it from becoming a join, whose order is guessed wrongly where words go together.
            "(t.id in (select w.task_id from task_word w where w.organisation_id = $1 and w.word >= {} and w.word < {})"
            " or false)",
            word,
            word + "\U0010ffff",
        )
    return where


async def list_tasks(tx: Tx, chosen: TaskFilter, cursor: str | None = None, limit: int = 50) -> Slice[Task]:
    """Return tasks in the filter's order. Raises InvalidInput, InvalidCursor."""
    limit = bounded(limit)
    if chosen.sort not in SORTS:
        raise InvalidInput(f"Tasks are sorted by {' or '.join(SORTS)}, not {chosen.sort!r}.")
    where = await _where(tx, chosen)
    if where is None:
        return Slice(())
    by_priority = chosen.sort == "priority"
    after = decode_cursor(cursor, int, UUID) if by_priority else decode_cursor(cursor, UUID)
    if after:
        where.add("(t.priority, t.id) > ({}, {})" if by_priority else "t.id < {}", *after)
    order = "t.priority, t.id" if by_priority else "t.id desc"
    rows = await tx.fetch(
        f"select {', '.join(f't.{name}' for name in COLUMNS)} from task t where {' and '.join(where.parts)}"
        f" order by {order} limit {limit + 1}",
        *where.args,
    )
    items = [task_of(row) for row in rows]
    last = items[limit - 1] if len(items) > limit else None
    key = None if last is None else (int(last.priority), last.id) if by_priority else (last.id,)
    return slice_of(items, limit, key)


async def count_tasks(tx: Tx, chosen: TaskFilter) -> int:
    """Return how many tasks a filter finds, counting no further than 100,000. Raises InvalidInput."""
    where = await _where(tx, chosen)
    if where is None:
        return 0
    found: int = await tx.fetch_value(
        f"select count(*) from (select 1 from task t where {' and '.join(where.parts)} limit {COUNT_MOST}) s",
        *where.args,
    )
    return found


async def task(tx: Tx, task_id: UUID) -> Task:
    """Return a task. Raises TaskNotFound."""
    row = await tx.fetch_row(
        f"select {', '.join(COLUMNS)} from task where organisation_id = $1 and id = $2", tx.organisation, task_id
    )
    if row is None:
        raise TaskNotFound
    return task_of(row)


async def history(tx: Tx, task_id: UUID, limit: int = 500) -> tuple[TaskEvent, ...]:
    """Return what happened to a task, comments among it, the oldest first."""
    rows = await tx.fetch(
        """select id, at, move, from_state, to_state, actor, actor_name, words, changes from task_event
           where organisation_id = $1 and task_id = $2 order by id limit $3""",
        tx.organisation,
        task_id,
        limit,
    )
    return tuple(TaskEvent(**dict(row)) for row in rows)


async def approvals(tx: Tx, shown: Task) -> tuple[tuple[UUID, str], ...]:
    """Return who approved a task that needs two, in its present round."""
    rows = await tx.fetch(
        """select person_id, person_name from task_approval
           where organisation_id = $1 and task_id = $2 and round = $3 order by at""",
        tx.organisation,
        shown.id,
        shown.round,
    )
    return tuple((row["person_id"], row["person_name"]) for row in rows)


@dataclass(frozen=True, slots=True)
class RunView:
    """What carrying a task out (or undoing it) did, and what reading it back showed."""

    kind: str
    round: int
    state: str
    words: str
    checks: int
    done_at: datetime
    checked_at: datetime | None


async def runs(tx: Tx, task_id: UUID) -> tuple[RunView, ...]:
    """Return how a task was carried out and undone, the oldest first."""
    rows = await tx.fetch(
        """select kind, round, state, words, checks, done_at, checked_at from task_run
           where organisation_id = $1 and task_id = $2 order by done_at, id""",
        tx.organisation,
        task_id,
    )
    return tuple(RunView(**dict(row)) for row in rows)


async def waiting(tx: Tx, limit: int = 999) -> int:
    """Return how many tasks wait for approval, counting no further than `limit`."""
    found: int = await tx.fetch_value(
        """select count(*) from (select 1 from task where organisation_id = $1 and state = 'awaiting_approval' limit $2) s""",
        tx.organisation,
        limit,
    )
    return found


async def state_counts(tx: Tx, limit: int = 9999) -> Mapping[str, int]:
    """Return how many tasks are in each state, counting no further than `limit`."""
    rows = await tx.fetch(
        """select s.state, (select count(*) from (select 1 from task t where t.organisation_id = $1 and t.state = s.state
               limit $3) n) as count from unnest($2::text[]) as s(state)""",
        tx.organisation,
        [str(each) for each in State],
        limit,
    )
    return {row["state"]: row["count"] for row in rows}


async def marketplaces(tx: Tx, limit: int = 100) -> Sequence[str]:
    """Return the marketplaces that have tasks, by name."""
    rows = await tx.fetch(
        """with recursive each as (
               (select marketplace from task where organisation_id = $1 order by marketplace limit 1)
               union all
               select (select t.marketplace from task t where t.organisation_id = $1 and t.marketplace > e.marketplace
                       order by t.marketplace limit 1)
               from each e where e.marketplace is not null)
           select marketplace from each where marketplace is not null limit $2""",
        tx.organisation,
        limit,
    )
    return [row["marketplace"] for row in rows]
