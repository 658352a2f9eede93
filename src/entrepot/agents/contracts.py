"""Values of tasks that cross the wall of this room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

from entrepot.agents.lifecycle import Kind, State
from entrepot.kernel.errors import Conflict, InvalidInput, NotFound


class TaskNotFound(NotFound):
    """There is no such task."""


class TaskChanged(Conflict):
    """The task changed since you looked: look again."""


class InvalidTask(InvalidInput):
    """The task is not valid."""


class NoSuchMember(InvalidInput):
    """Tasks are assigned to people of this organisation, by their id or email address."""


class Category(StrEnum):
    """What a task is for."""

    OPTIMIZATION = "optimization"
    BEST_PRACTICE = "best-practice"
    SCALING = "scaling"
    ANALYSIS = "analysis"


class Priority(IntEnum):
    """How much it presses; the lower comes first."""

    HIGH = 1
    MEDIUM = 2
    LOW = 3

    @property
    def code(self) -> str:
        """Return its name as people and programs write it."""
        return self.name.lower()

    @classmethod
    def of(cls, code: str) -> Priority:
        """Return the priority of a name. Raises InvalidTask."""
        try:
            return cls[code.upper()]
        except KeyError:
            raise InvalidTask(f"{code!r} is not a priority. Known: high, medium, low.", field="priority") from None


HOURS_MAX = Decimal(10_000)
TAGS_MAX = 50


@dataclass(frozen=True, slots=True)
class ActionCall:
    """An action by name and version with its input as JSON."""

    name: str
    input: Mapping[str, Any]
    version: int | None = None
    """None: the newest."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A task to be made. `created_as`: the name that the proposer goes by, shown beside who it was.

    `draft`: not submitted yet. `why`: what speaks for it; `expected`: what it should bring.
    """

    marketplace: str
    title: str
    description: str = ""
    category: Category = Category.OPTIMIZATION
    priority: Priority = Priority.MEDIUM
    estimated_hours: Decimal = Decimal(1)
    created_as: str = ""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    due_at: datetime | None = None
    why: str = ""
    expected: str = ""
    action: ActionCall | None = None
    draft: bool = False
    template_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A task as it is stored. Hours as decimals; `version` goes up with every change."""

    id: UUID
    marketplace: str
    title: str
    description: str
    category: Category
    priority: Priority
    state: State
    estimated_hours: Decimal
    actual_hours: Decimal | None
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]
    created_by: str
    created_by_name: str
    created_as: str
    agent: str | None
    created_at: datetime
    submitted_at: datetime | None
    approved_at: datetime | None
    approved_by: str | None
    approved_by_name: str | None
    rejected_at: datetime | None
    reason: str
    started_at: datetime | None
    completed_at: datetime | None
    assigned_to: UUID | None
    assigned_as: str | None
    assigned_name: str | None
    team_id: UUID | None
    notes: str
    due_at: datetime | None
    why: str
    expected: str
    action: str | None
    action_version: int | None
    action_input: Mapping[str, Any] | None
    look: Mapping[str, Any] | None
    fingerprint: str | None
    looked_at: datetime | None
    stale: str
    measure: Mapping[str, Any] | None
    policy_id: UUID | None
    policy_day: str | None
    policy_words: tuple[str, ...]
    round: int
    outcome: Mapping[str, Any] | None
    undone_at: datetime | None
    undone_by: str | None
    template_id: UUID | None
    version: int
    updated_at: datetime

    @property
    def kind(self) -> Kind:
        """Who does the work."""
        return Kind.WORK if self.action is None else Kind.ACTION

    @property
    def creator(self) -> str:
        """The name that the proposer goes by."""
        return self.created_as or self.created_by_name

    @property
    def time_accuracy(self) -> Decimal | None:
        """How near the estimate was, in percent; None while it is not completed with hours."""
        return None if self.actual_hours is None else time_accuracy(self.estimated_hours, self.actual_hours)


def time_accuracy(estimated: Decimal, actual: Decimal) -> Decimal:
    """Return how near an estimate was to the hours it took, 0 to 100: the smaller of both over the larger."""
    larger = max(estimated, actual)
    if larger <= 0:
        return Decimal(100)
    return (min(estimated, actual) / larger * 100).quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of one task of a batch. `problem` empty: it was done; `code`: the problem's name for programs."""

    task_id: str
    state: State | None
    problem: str = ""
    code: str = ""
    more_needed: int = 0
    """Approvals of other people that it still needs."""

    @property
    def done(self) -> bool:
        """Whether it was done."""
        return not self.problem


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """A line of a task's history; comments are among them (`move` comment)."""

    id: UUID
    at: datetime
    move: str
    from_state: str | None
    to_state: str | None
    actor: str
    actor_name: str
    words: str
    changes: Mapping[str, Any]
