"""The jobs of this room, and how they are started with the transaction that calls for them."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec

from entrepot.agents.contracts import Task
from entrepot.database.pool import Tx
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobKind


class TaskPayload(msgspec.Struct, frozen=True):
    """Which task, and in which of its rounds: one that came back meanwhile is not carried out."""

    task_id: UUID
    round: int
    kind: str = "do"


CARRY_OUT = JobKind("task-carry-out", "Carry out a task", TaskPayload)
VERIFY = JobKind("task-verify", "Verify what a task did", TaskPayload)


async def start(tx: Tx, task: Task, actor: str) -> None:
    """Have an approved action carried out soon after this transaction."""
    await jobs.enqueue(tx, CARRY_OUT, TaskPayload(task.id, task.round), actor=actor, title=f"Task: {task.title}"[:200])


async def look_again(tx: Tx, task: Task, kind: str, actor: str, after: timedelta) -> None:
    """Have what a task did read back after a while."""
    await jobs.enqueue(
        tx,
        VERIFY,
        TaskPayload(task.id, task.round, kind),
        actor=actor,
        title=f"Verify: {task.title}"[:200],
        after=after,
    )
