"""Tasks that come again by the calendar, how tasks go, and the hours that such tasks take."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from entrepot.agents import metrics, templates
from entrepot.agents.calendar import Rhythm
from entrepot.agents.contracts import Category
from entrepot.agents.templates import Template
from entrepot.api.answers import Answer, Input, Resource, answer, empty, once, respond
from entrepot.api.dependencies import Call, CallDep
from entrepot.api.resources.task_shapes import ActionInput, Hours, Marketplace, PriorityName, Tags, Text, Title
from entrepot.database.pool import Tx

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class TemplateTask(Input):
    """The task that is proposed each time."""

    marketplace: Marketplace
    title: Title
    description: Text = ""
    category: Category = Category.ANALYSIS
    priority: PriorityName = "medium"
    estimated_hours: Hours = Decimal(1)
    tags: Tags = Field(default_factory=list)
    why: Text = ""
    expected: Text = ""
    action: ActionInput | None = None


class TemplateInput(Input):
    """A task that comes again. `day`: of the week (1 is Monday) or of the month, `hour`: of the shop's day."""

    name: Name
    task: TemplateTask
    rhythm: Rhythm
    day: Annotated[int, Field(ge=1, le=28)] = 1
    hour: Annotated[int, Field(ge=0, le=23)] = 8
    due_days: Annotated[int | None, Field(ge=0, le=templates.DUE_MOST)] = None
    active: bool = True


class TemplateView(Resource):
    """A task that comes again, and when it comes next."""

    id: UUID
    name: str
    task: dict[str, Any]
    rhythm: Rhythm
    day: int
    hour: int
    due_days: int | None
    active: bool
    next_at: datetime
    last_at: datetime | None
    set_by: str


class Templates(Resource):
    """Templates by name."""

    task_templates: list[TemplateView]


class OneTemplate(Resource):
    """One template."""

    task_template: TemplateView


class DayView(Resource):
    """Tasks created on a day for a marketplace."""

    day: str
    marketplace: str
    created: int


class ReasonView(Resource):
    """A reason for which tasks were rejected, and how often."""

    reason: str
    count: int


class AgentView(Resource):
    """What an agent proposed. Rates 0 to 1; `quality`: approved and not undone of decided; `complexity`: median hours."""

    agent: str
    created: int
    per_day: float
    approval_rate: float | None
    quality: float | None
    complexity: float


class TaskMetrics(Resource):
    """How tasks went. Times are medians in seconds, `timeAccuracy` in percent, `approvalRate` 0 to 1; null: not known."""

    days: int
    created: int
    approved: int
    rejected: int
    completed: int
    undone: int
    approval_s: int | None
    execution_s: int | None
    time_accuracy: float | None
    approval_rate: float | None
    created_by_day: list[DayView]
    rejection_reasons: list[ReasonView]
    agents: list[AgentView]


class Estimate(Resource):
    """Hours that such tasks took: the median, and what 8 of 10 stay under; null while fewer than five are known."""

    median_hours: float | None
    most_hours: float | None
    tasks: int
    like: str


def _view(found: Template) -> TemplateView:
    return TemplateView(
        id=found.id, name=found.name, task=dict(found.proposal), rhythm=found.rhythm, day=found.day, hour=found.hour,
        due_days=found.due_days, active=found.active, next_at=found.next_at, last_at=found.last_at, set_by=found.set_by,
    )  # fmt: skip


async def list_templates(call: CallDep) -> Response:
    """Return the tasks that come again."""
    async with call.transaction() as tx:
        return respond(Templates(task_templates=[_view(each) for each in await templates.templates(tx)]))


async def _put(call: Call, tx: Tx, id: UUID | None, body: TemplateInput) -> OneTemplate:
    desk = call.services.tasks
    task = body.task.model_dump(mode="json", exclude_none=True)
    made = await templates.put_template(
        tx, desk.actions, call.actor, id, body.name, task, body.rhythm, body.day, body.hour, body.due_days, body.active,
        desk.now(),
    )  # fmt: skip
    return OneTemplate(task_template=_view(await templates.get_template(tx, made)))


async def create_template(body: TemplateInput, call: CallDep) -> Response:
    """Make a task that comes again."""

    async def work(tx: Tx) -> Answer:
        return answer(await _put(call, tx, None, body), 201)

    return await once(call, work)


async def update_template(template_id: UUID, body: TemplateInput, call: CallDep) -> Response:
    """Change a task that comes again."""
    async with call.transaction() as tx:
        return respond(await _put(call, tx, template_id, body))


async def delete_template(template_id: UUID, call: CallDep) -> Response:
    """Delete a template; tasks made of it stay."""
    async with call.transaction() as tx:
        await templates.delete_template(tx, call.actor, template_id)
    return empty()


async def get_metrics(call: CallDep, days: Annotated[int, Query(ge=1, le=metrics.DAYS_MOST)] = 30) -> Response:
    """Return how the tasks of the last days went, in all and by agent."""
    async with call.transaction() as tx:
        found = await metrics.metrics(tx, call.services.tasks.now(), days)
    flow = {name: getattr(found.flow, name) for name in found.flow.__slots__}
    return respond(
        TaskMetrics(
            days=days, **flow, created_by_day=[DayView.model_validate(each) for each in found.days],
            rejection_reasons=[ReasonView(reason=reason, count=count) for reason, count in found.reasons],
            agents=[AgentView.model_validate(each) for each in found.agents],
        )
    )  # fmt: skip


async def get_estimate(
    call: CallDep,
    marketplace: Annotated[str, Query(max_length=63, pattern="^[a-z0-9][a-z0-9_-]*$")],
    category: Category,
) -> Response:
    """Return the hours that completed tasks like it took."""
    async with call.transaction() as tx:
        found = await metrics.learned_hours(tx, marketplace, category)
    if found is None:
        return respond(Estimate(median_hours=None, most_hours=None, tasks=0, like=""))
    return respond(
        Estimate(
            median_hours=float(found.median), most_hours=float(found.most_of_them), tasks=found.tasks, like=found.like
        )
    )
