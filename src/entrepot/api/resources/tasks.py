"""Tasks: proposed, decided, worked on, looked at anew and undone; with the older paths under /orchestration."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from starlette.responses import Response

from entrepot.agents import reading
from entrepot.agents.facade import ActionCall, Category, Priority, Proposal, Task, TaskEdit
from entrepot.agents.reading import TaskFilter
from entrepot.api.answers import Answer, answer, once, respond
from entrepot.api.dependencies import Call, CallDep
from entrepot.api.paging import PagingDep
from entrepot.api.resources.task_shapes import (
    Actions,
    ActionView,
    AgentTask,
    Assignee,
    Assignment,
    Comment,
    Commented,
    Completion,
    Decision,
    Done,
    EventView,
    History,
    NewTask,
    OlderTasks,
    OneOlderTask,
    OneTask,
    PriorityName,
    StateName,
    TaskChanges,
    Tasks,
    older_view,
    results_view,
    task_view,
)
from entrepot.database.pool import Tx
from entrepot.identity.facade import ActorKind
from entrepot.kernel.errors import NotAllowed


class AgentsOnly(NotAllowed):
    """Tasks are created here by agents, with their own token; people use /api/v1/tasks."""


# ---- the older paths ---------------------------------------------------------------------------------------------


async def agent_create(body: AgentTask, call: CallDep) -> Response:
    """Create a task as an agent; it waits for approval."""
    if call.actor.kind is not ActorKind.AGENT:
        raise AgentsOnly

    async def work(tx: Tx) -> Answer:
        given = Proposal(
            body.marketplace, body.title, body.description, body.category, Priority.of(body.priority),
            body.estimated_hours, body.created_by, tuple(body.tags), body.metadata,
        )  # fmt: skip
        return answer(OneOlderTask(task=older_view(await call.services.tasks.propose(tx, call.actor, given))), 201)

    return await once(call, work)


async def older_list(
    call: CallDep,
    paging: PagingDep,
    status: StateName | None = None,
    marketplace: Annotated[str | None, Query(max_length=63)] = None,
    category: Category | None = None,
    priority: PriorityName | None = None,
    assigned_to: Annotated[str | None, Query(alias="assignedTo", max_length=200)] = None,
    search: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Return tasks, the newest first."""
    chosen = TaskFilter(status, _clean(marketplace), category, priority, _clean(assigned_to), _clean(search) or "")
    async with call.transaction() as tx:
        count = await reading.count_tasks(tx, chosen)
        found = await paging.read(lambda cursor, limit: reading.list_tasks(tx, chosen, cursor, limit))
    return respond(OlderTasks(tasks=[older_view(task) for task in found], count=count, next_cursor=found.next_cursor))


def _clean(text: str | None) -> str | None:
    return None if text is None else text.replace("\x00", "").strip()


async def decide(body: Decision, call: CallDep) -> Response:
    """Approve or reject tasks; each is decided for itself."""
    async with call.transaction() as tx:
        decided = await call.services.tasks.decide(
            tx, call.actor, body.task_ids, approved=body.approved, reason=body.reason
        )
    return respond(results_view(decided))


async def older_assign(body: Assignment, call: CallDep) -> Response:
    """Give an approved task to a member; the work begins."""
    async with call.transaction() as tx:
        task = await call.services.tasks.assign(tx, call.actor, body.task_id, body.assigned_to)
    return respond(OneOlderTask(task=older_view(task)))


async def older_complete(body: Completion, call: CallDep) -> Response:
    """Complete a task with the hours it took; the answer tells its time accuracy."""
    async with call.transaction() as tx:
        task = await call.services.tasks.complete(tx, call.actor, body.task_id, body.actual_hours, body.notes)
    return respond(OneOlderTask(task=older_view(task)))


# ---- /v1/tasks ---------------------------------------------------------------------------------------------------


async def list_tasks(
    call: CallDep,
    paging: PagingDep,
    status: StateName | None = None,
    marketplace: Annotated[str | None, Query(max_length=63)] = None,
    category: Category | None = None,
    priority: PriorityName | None = None,
    assigned_to: Annotated[str | None, Query(alias="assignedTo", max_length=200)] = None,
    search: Annotated[str, Query(max_length=200)] = "",
    action: Annotated[str | None, Query(max_length=100)] = None,
    agent: Annotated[str | None, Query(max_length=63)] = None,
    overdue: bool = False,
    sort: Literal["newest", "priority"] = "newest",
) -> Response:
    """Return tasks, the newest first or by priority."""
    chosen = TaskFilter(
        status, _clean(marketplace), category, priority, _clean(assigned_to), _clean(search) or "", _clean(action),
        _clean(agent), overdue, sort,
    )  # fmt: skip
    async with call.transaction() as tx:
        count = await reading.count_tasks(tx, chosen)
        found = await paging.read(lambda cursor, limit: reading.list_tasks(tx, chosen, cursor, limit))
    return respond(Tasks(tasks=[task_view(call, task) for task in found], count=count, next_cursor=found.next_cursor))


async def create_task(body: NewTask, call: CallDep) -> Response:
    """Propose a task; with an action it is looked at first, and a policy may let it run at once."""

    async def work(tx: Tx) -> Answer:
        action = None if body.action is None else ActionCall(body.action.name, body.action.input, body.action.version)
        given = Proposal(
            body.marketplace, body.title, body.description, body.category, Priority.of(body.priority),
            body.estimated_hours, "", tuple(body.tags), body.metadata, body.due_at, body.why, body.expected, action,
            body.draft,
        )  # fmt: skip
        return answer(OneTask(task=task_view(call, await call.services.tasks.propose(tx, call.actor, given))), 201)

    return await once(call, work)


async def get_task(task_id: UUID, call: CallDep) -> Response:
    """Return one task."""
    async with call.transaction() as tx:
        return respond(OneTask(task=task_view(call, await reading.task(tx, task_id))))


async def update_task(task_id: UUID, body: TaskChanges, call: CallDep) -> Response:
    """Change a task that is not decided yet; approvals given so far are void."""
    edit = TaskEdit(
        body.title, body.description, body.category, None if body.priority is None else Priority.of(body.priority),
        body.estimated_hours, None if body.tags is None else tuple(body.tags), body.metadata, body.due_at,
        "due_at" in body.model_fields_set and body.due_at is None, body.why, body.expected, body.action_input,
    )  # fmt: skip
    async with call.transaction() as tx:
        task = await call.services.tasks.edit(tx, call.actor, task_id, edit, body.version)
    return respond(OneTask(task=task_view(call, task)))


async def decide_tasks(body: Decision, call: CallDep) -> Response:
    """Approve or reject tasks; each is decided for itself."""

    async def work(tx: Tx) -> Answer:
        decided = await call.services.tasks.decide(
            tx, call.actor, body.task_ids, approved=body.approved, reason=body.reason
        )
        return answer(results_view(decided))

    return await once(call, work)


async def _moved(call: Call, work: Callable[[Tx], Awaitable[Task]]) -> Response:
    async def done(tx: Tx) -> Answer:
        return answer(OneTask(task=task_view(call, await work(tx))))

    return await once(call, done)


async def submit_task(task_id: UUID, call: CallDep) -> Response:
    """Hand a draft in for approval."""
    return await _moved(call, lambda tx: call.services.tasks.submit(tx, call.actor, task_id))


async def assign_task(task_id: UUID, body: Assignee, call: CallDep) -> Response:
    """Give an approved task to a member; the work begins."""
    return await _moved(call, lambda tx: call.services.tasks.assign(tx, call.actor, task_id, body.assigned_to))


async def complete_task(task_id: UUID, body: Done, call: CallDep) -> Response:
    """Complete a task with the hours it took."""
    return await _moved(
        call, lambda tx: call.services.tasks.complete(tx, call.actor, task_id, body.actual_hours, body.notes)
    )


async def look_task(task_id: UUID, call: CallDep) -> Response:
    """Look at what a waiting task's action would do now."""
    return await _moved(call, lambda tx: call.services.tasks.look_anew(tx, task_id))


async def undo_task(task_id: UUID, call: CallDep) -> Response:
    """Put back what a task's action did, where nothing has changed since."""
    return await _moved(call, lambda tx: call.services.tasks.undo(tx, call.actor, task_id))


async def comment_task(task_id: UUID, body: Comment, call: CallDep) -> Response:
    """Comment on a task."""

    async def work(tx: Tx) -> Answer:
        return answer(Commented(id=await call.services.tasks.comment(tx, call.actor, task_id, body.text)), 201)

    return await once(call, work)


async def task_history(task_id: UUID, call: CallDep) -> Response:
    """Return what happened to a task, comments among it."""
    async with call.transaction() as tx:
        await reading.task(tx, task_id)
        found = await reading.history(tx, task_id)
    return respond(History(history=[EventView.model_validate(event) for event in found]))


async def list_actions(call: CallDep) -> Response:
    """Return what the hub can do itself when a task is approved."""
    actions = [
        ActionView(
            name=each.name, version=each.version, title=each.title, undoable=each.undoable, scope=each.scope.value,
            takes=each.input.model_json_schema(),
        )
        for each in call.services.tasks.actions.newest
    ]  # fmt: skip
    return respond(Actions(actions=actions))
