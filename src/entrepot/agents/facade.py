"""What other rooms may ask of tasks. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from entrepot.agents import carrying, deciding, moving, policy_desk, proposing, working
from entrepot.agents.actions import Action, Registry
from entrepot.agents.carrying import Carrier
from entrepot.agents.contracts import ActionCall, Category, Decided, Priority, Proposal, Task
from entrepot.agents.deciding import BATCH_MOST
from entrepot.agents.jobs import CARRY_OUT, VERIFY
from entrepot.agents.lifecycle import Move, State, allowed
from entrepot.agents.policies import Policy
from entrepot.agents.reading import waiting
from entrepot.agents.working import TaskEdit
from entrepot.database.pool import Tx
from entrepot.identity.facade import Actor
from entrepot.kernel.clock import Clock, utc_now

__all__ = [
    "BATCH_MOST", "CARRY_OUT", "VERIFY", "Action", "ActionCall", "Carrier", "Category", "Decided", "Move", "Policy",
    "Priority", "Proposal", "Registry", "State", "Task", "TaskDesk", "TaskEdit", "waiting",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class TaskDesk:
    """Where tasks are proposed, decided and worked on. `actions`: what this hub can do itself.

    A `version` is of the task as it was seen; another one refuses the change (TaskChanged).
    """

    actions: Registry = field(default_factory=Registry)
    clock: Clock = utc_now

    async def propose(self, tx: Tx, actor: Actor, given: Proposal) -> Task:
        """Make a task and hand it in; a policy may approve it at once. See proposing.propose for what is raised."""
        return await proposing.propose(tx, self.actions, actor, given, self.clock())

    async def submit(self, tx: Tx, actor: Actor, task_id: UUID) -> Task:
        """Hand a draft in. Raises TaskNotFound, NotYourMove, WrongMove."""
        return await proposing.submit(tx, actor, await moving.locked(tx, task_id), self.clock())

    async def edit(self, tx: Tx, actor: Actor, task_id: UUID, given: TaskEdit, version: int | None = None) -> Task:
        """Change a task that is not decided yet. Raises what working.edit does."""
        task = await moving.locked(tx, task_id, version)
        return await working.edit(tx, self.actions, actor, task, given, self.clock())

    async def decide(
        self, tx: Tx, actor: Actor, task_ids: Sequence[str], *, approved: bool, reason: str = ""
    ) -> list[Decided]:
        """Approve or reject tasks, each for itself. Raises MissingScope, InvalidTask."""
        return await deciding.decide(tx, actor, task_ids, self.clock(), approved=approved, reason=reason)

    async def approve(self, tx: Tx, actor: Actor, task_id: UUID, version: int | None = None) -> Task:
        """Approve one task as it was seen. Raises TaskNotFound, TaskChanged, NotYourMove, WrongMove."""
        return await deciding.approve(tx, actor, await moving.locked(tx, task_id, version), self.clock())

    async def reject(self, tx: Tx, actor: Actor, task_id: UUID, reason: str) -> Task:
        """Reject one task for good. Raises TaskNotFound, NotYourMove, WrongMove, InvalidTask."""
        return await deciding.reject(tx, actor, await moving.locked(tx, task_id), reason, self.clock())

    async def assign(self, tx: Tx, actor: Actor, task_id: UUID, named: str) -> Task:
        """Give an approved task to a member; the work begins. Raises what working.assign does."""
        return await working.assign(tx, actor, await moving.locked(tx, task_id), named, self.clock())

    async def complete(self, tx: Tx, actor: Actor, task_id: UUID, actual_hours: Decimal, notes: str = "") -> Task:
        """Complete a task with the hours it took. Raises what working.complete does."""
        task = await moving.locked(tx, task_id)
        return await working.complete(tx, actor, task, actual_hours, self.clock(), notes)

    async def comment(self, tx: Tx, actor: Actor, task_id: UUID, text: str) -> UUID:
        """Comment on a task. Raises TaskNotFound, MissingScope, InvalidTask."""
        return await working.comment(tx, actor, await moving.locked(tx, task_id), text, self.clock())

    async def look_anew(self, tx: Tx, task_id: UUID) -> Task:
        """Look at what a waiting task would do now. Raises TaskNotFound, and what its action raises."""
        return await working.look_anew(tx, self.actions, await moving.locked(tx, task_id), self.clock())

    async def peek(self, tx: Tx, task: Task) -> str:
        """Return why a waiting task cannot be approved as it was looked at; empty if it can."""
        return await working.peek(tx, self.actions, task)

    async def undo(self, tx: Tx, actor: Actor, task_id: UUID) -> Task:
        """Put back what a task did. Raises TaskNotFound, NotYourMove, WrongMove, CannotUndo."""
        return await carrying.undo(tx, self.actions, actor, await moving.locked(tx, task_id), self.clock())

    async def set_stopped(self, tx: Tx, actor: Actor, stopped: bool) -> int:
        """Stop everything that runs by itself or for a task, or let it go on. Raises MissingScope."""
        return await carrying.set_stopped(tx, actor, stopped, self.clock())

    async def put_policy(self, tx: Tx, actor: Actor, given: Policy, *, new: bool) -> Policy:
        """Make or change an approval policy. Raises what policy_desk.put_policy does."""
        return await policy_desk.put_policy(tx, self.actions, actor, given, new=new)

    def moves(self, actor: Actor, task: Task) -> frozenset[Move]:
        """Return what somebody may do with a task as it is."""
        moves = allowed(task.state, task.kind, moving.standing_of(actor, task))
        undoable = task.action is not None and task.undone_at is None and self._undoable(task)
        return moves if undoable else moves - {Move.UNDO}

    def _undoable(self, task: Task) -> bool:
        return any(a.name == task.action and a.undoable for a in self.actions.newest)

    def now(self) -> datetime:
        """Return the present time."""
        return self.clock()
