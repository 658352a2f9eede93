"""Tasks as JSON: what requests send and what answers tell."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from entrepot.agents.contracts import HOURS_MAX, Decided
from entrepot.agents.facade import BATCH_MOST, Category, State, Task
from entrepot.api.answers import Input, Resource
from entrepot.api.dependencies import Call
from entrepot.identity.facade import ActorKind

PriorityName = Literal["high", "medium", "low"]
StateName = Literal["pending", "awaiting_approval", "approved", "in_progress", "completed", "rejected"]
Marketplace = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,62}$", description="Such as amazon or shopee")]
Hours = Annotated[Decimal, Field(ge=Decimal("0.01"), le=HOURS_MAX, allow_inf_nan=False)]
Title = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00]*$")]
Text = Annotated[str, Field(max_length=20_000, pattern=r"^[^\x00]*$")]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Tags = Annotated[list[Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]], Field(max_length=50)]
TaskId = Annotated[str, Field(max_length=100)]


class ActionInput(Input):
    """What the hub is to do once the task is approved: an action of `GET /api/v1/actions` with its input."""

    name: Annotated[str, Field(max_length=100)]
    input: dict[str, Any]
    version: Annotated[int | None, Field(ge=1, le=32_000)] = None


class AgentTask(Input):
    """A task as an agent creates it. `createdBy`: the name that it goes by; who it was is told by its token."""

    marketplace: Marketplace
    title: Title
    description: Text
    category: Category
    priority: PriorityName
    estimated_hours: Hours
    created_by: Name
    tags: Tags = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict)


class NewTask(Input):
    """A task to be proposed. `draft`: not handed in yet. `why`, `expected`: what speaks for it, what it should bring."""

    marketplace: Marketplace
    title: Title
    description: Text = ""
    category: Category = Category.OPTIMIZATION
    priority: PriorityName = "medium"
    estimated_hours: Hours = Decimal(1)
    tags: Tags = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict)
    due_at: datetime | None = None
    why: Text = ""
    expected: Text = ""
    action: ActionInput | None = None
    draft: bool = False


class TaskChanges(Input):
    """What to change of a task; what is left out stays. `dueAt` null: no date. `version`: of the task as you saw it."""

    title: Title | None = None
    description: Text | None = None
    category: Category | None = None
    priority: PriorityName | None = None
    estimated_hours: Hours | None = None
    tags: Tags | None = None
    metadata: dict[str, Any] | None = None
    due_at: datetime | None = None
    why: Text | None = None
    expected: Text | None = None
    action_input: dict[str, Any] | None = None
    version: int | None = None


class Decision(Input):
    """Which tasks to approve or, with the reason, to reject."""

    task_ids: Annotated[list[TaskId], Field(min_length=1, max_length=BATCH_MOST)]
    approved: bool
    reason: Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")] = ""


class Assignment(Input):
    """Who is to do a task: a member by id or email address."""

    task_id: UUID
    assigned_to: Name


class Completion(Input):
    """The hours that a task took."""

    task_id: UUID
    actual_hours: Hours
    notes: Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00]*$")] = ""


class Assignee(Input):
    """A member, by id or email address."""

    assigned_to: Name


class Done(Input):
    """The hours that it took."""

    actual_hours: Hours
    notes: Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00]*$")] = ""


class Comment(Input):
    """What you have to say about it."""

    text: Annotated[str, Field(min_length=1, max_length=10_000, pattern=r"^[^\x00]*$")]


class OlderTask(Resource):
    """A task as the older clients know it. `timeAccuracy`: in percent, once it is completed."""

    id: UUID
    marketplace: str
    created_by: str
    title: str
    description: str
    category: str
    status: State
    priority: PriorityName
    estimated_hours: float
    actual_hours: float | None
    created_at: datetime
    submitted_at: datetime | None
    approved_at: datetime | None
    approved_by: str | None
    started_at: datetime | None
    completed_at: datetime | None
    assigned_to: str | None
    tags: list[str]
    metadata: dict[str, Any]
    time_accuracy: float | None
    reason: str
    due_at: datetime | None


class Changed(Resource):
    """One thing that the action changes."""

    what: str
    before: str
    after: str


class TaskAction(Resource):
    """What the hub does: what it looked like when it was looked at, what policies said of it, what came of it.

    `stale`: why it came back for review. `outcome.verified`: verified, unconfirmed (a channel has not answered) or failed.
    """

    name: str
    version: int
    input: dict[str, Any]
    summary: str
    changes: list[Changed]
    facts: list[tuple[str, str]]
    looked_at: datetime
    stale: str
    policy_words: list[str]
    outcome: dict[str, Any] | None
    undone_at: datetime | None
    undone_by: str | None


class TaskView(OlderTask):
    """A task. `moves`: what you may do with it now. `version` goes up with every change."""

    agent: str | None
    approved_by_name: str | None
    rejected_at: datetime | None
    assigned_name: str | None
    notes: str
    why: str
    expected: str
    action: TaskAction | None
    moves: list[str]
    version: int
    updated_at: datetime


class OneOlderTask(Resource):
    """One task."""

    task: OlderTask


class OlderTasks(Resource):
    """Tasks, and how many the filter finds in all."""

    tasks: list[OlderTask]
    count: int
    next_cursor: str | None


class OneTask(Resource):
    """One task."""

    task: TaskView


class Tasks(Resource):
    """Tasks, and how many the filter finds in all."""

    tasks: list[TaskView]
    count: int
    next_cursor: str | None


class DecisionResult(Resource):
    """What became of one task. `error` and `code`: why it was not done. `moreNeeded`: approvals that it still needs."""

    task_id: str
    success: bool
    status: State | None
    error: str | None
    code: str | None
    more_needed: int


class DecisionResults(Resource):
    """What became of each task."""

    results: list[DecisionResult]
    succeeded: int
    failed: int


class EventView(Resource):
    """A line of a task's history."""

    id: UUID
    at: datetime
    move: str
    from_state: str | None
    to_state: str | None
    actor: str
    actor_name: str
    words: str
    changes: dict[str, Any]


class History(Resource):
    """What happened to a task, the oldest first; comments are among it."""

    history: list[EventView]


class Commented(Resource):
    """The comment that was added."""

    id: UUID


class ActionView(Resource):
    """An action: its name, whether it can be undone, what it `takes` (a JSON schema)."""

    name: str
    version: int
    title: str
    undoable: bool
    scope: str
    takes: dict[str, Any]


class Actions(Resource):
    """What the hub can do itself."""

    actions: list[ActionView]


# ---- from a task to JSON -----------------------------------------------------------------------------------------


def _fields(task: Task) -> dict[str, Any]:
    told = {name: getattr(task, name) for name in OlderTask.model_fields if hasattr(task, name)}
    return {
        **told, "created_by": task.creator, "approved_by": _approver(task), "status": task.state, "priority": task.priority.code,
        "assigned_to": task.assigned_as, "tags": list(task.tags), "metadata": dict(task.metadata),
        "estimated_hours": float(task.estimated_hours),
        "actual_hours": None if task.actual_hours is None else float(task.actual_hours),
        "time_accuracy": None if task.time_accuracy is None else float(task.time_accuracy),
    }  # fmt: skip


def _approver(task: Task) -> str | None:
    """Return the id of the person or key that approved it; of a policy its name."""
    kind, _, id = (task.approved_by or "").partition(":")
    return task.approved_by_name if kind == ActorKind.SYSTEM else id or None


def older_view(task: Task) -> OlderTask:
    """Return a task as the older clients know it."""
    return OlderTask(**_fields(task))


def _action(task: Task) -> TaskAction | None:
    if task.action is None or task.look is None:
        return None
    return TaskAction(
        name=task.action, version=task.action_version or 1, input=dict(task.action_input or {}),
        summary=task.look["summary"], changes=[Changed(**each) for each in task.look["changes"]],
        facts=[(name, words) for name, words in task.look["facts"]], looked_at=task.looked_at or task.created_at,
        stale=task.stale, policy_words=list(task.policy_words),
        outcome=None if task.outcome is None else dict(task.outcome), undone_at=task.undone_at, undone_by=task.undone_by,
    )  # fmt: skip


def task_view(call: Call, task: Task) -> TaskView:
    """Return a task, with what the caller may do with it."""
    own = {
        name: getattr(task, name)
        for name in ("agent", "approved_by_name", "rejected_at", "assigned_name", "notes", "why", "expected", "version",
                     "updated_at")
    }  # fmt: skip
    moves = sorted(call.services.tasks.moves(call.actor, task))
    return TaskView(**_fields(task), **own, action=_action(task), moves=[str(move) for move in moves])


def _result(decided: Decided) -> DecisionResult:
    return DecisionResult(
        task_id=decided.task_id, success=decided.done, status=decided.state, error=decided.problem or None,
        code=decided.code or None, more_needed=decided.more_needed,
    )  # fmt: skip


def results_view(decided: list[Decided]) -> DecisionResults:
    """Return what became of each task of a batch."""
    done = sum(each.done for each in decided)
    return DecisionResults(
        results=[_result(each) for each in decided], succeeded=done, failed=len(decided) - done
    )  # fmt: skip
