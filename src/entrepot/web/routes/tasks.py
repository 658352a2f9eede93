"""Tasks: the queue with the evidence beside it, decided one by one or many at once; one task with its history; new ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.agents import metrics, reading
from entrepot.agents.contracts import InvalidTask, Task, TaskNotFound
from entrepot.agents.facade import Category, Priority, Proposal, State
from entrepot.agents.reading import TaskFilter
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.kernel.errors import InvalidInput
from entrepot.web.formats import NONE, duration
from entrepot.web.services import PageServices
from entrepot.web.stock_forms import Done, Typed, attempt
from entrepot.web.templating import query
from entrepot.web.visit import Handler, Visit, page, parse_id, whole_number

PAGE_SIZE = 30
STATES = {
    State.AWAITING_APPROVAL: "Waiting", State.APPROVED: "Approved", State.IN_PROGRESS: "In progress",
    State.COMPLETED: "Completed", State.REJECTED: "Rejected", State.PENDING: "Drafts",
}  # fmt: skip
EVERY = "all"
NARROW = ("state", "marketplace", "priority", "category", "q", "mine", "agent")


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of tasks."""
    read, propose, work, approve = Scope.TASKS_READ, Scope.TASKS_PROPOSE, Scope.TASKS_WORK, Scope.TASKS_APPROVE
    return [
        Route("/tasks", page(services, queue, read), methods=["GET"]),
        Route("/tasks/decide", page(services, decide, approve), methods=["POST"]),
        Route("/tasks/figures", page(services, figures, read), methods=["GET"]),
        Route("/tasks/new", page(services, new, propose), methods=["GET"]),
        Route("/tasks/new", page(services, create, propose), methods=["POST"]),
        Route("/tasks/{id}", page(services, one, read), methods=["GET"]),
        Route("/tasks/{id}/approve", page(services, _doing(_approve), approve), methods=["POST"]),
        Route("/tasks/{id}/reject", page(services, _doing(_reject), approve), methods=["POST"]),
        Route("/tasks/{id}/assign", page(services, _doing(_assign), approve), methods=["POST"]),
        Route("/tasks/{id}/undo", page(services, _doing(_undo), approve), methods=["POST"]),
        Route("/tasks/{id}/complete", page(services, _doing(_complete), work), methods=["POST"]),
        Route("/tasks/{id}/comment", page(services, _doing(_comment), work), methods=["POST"]),
        Route("/tasks/{id}/look", page(services, _doing(_look), read), methods=["POST"]),
        Route("/tasks/{id}/submit", page(services, _doing(_submit), propose), methods=["POST"]),
    ]


def _narrow(visit: Visit) -> dict[str, str]:
    return {name: value for name in NARROW if (value := visit.parameter(name))}


def _filter(visit: Visit, chosen: Mapping[str, str]) -> TaskFilter:
    state = chosen.get("state", State.AWAITING_APPROVAL)
    return TaskFilter(
        None if state == EVERY else state, chosen.get("marketplace"), chosen.get("category"), chosen.get("priority"),
        str(visit.actor.id) if chosen.get("mine") else None, chosen.get("q", ""), None, chosen.get("agent"), False,
        "priority" if state == State.AWAITING_APPROVAL else "newest",
    )  # fmt: skip


async def queue(visit: Visit) -> Response:
    """The queue, and the evidence of one of its tasks."""
    return await _queue(visit)


async def _queue(visit: Visit, error: str = "") -> Response:
    narrow, cursor, at = _narrow(visit), visit.parameter("cursor"), visit.parameter("at")
    chosen = _filter(visit, narrow)
    async with visit.transaction() as tx:
        found = await reading.list_tasks(tx, chosen, cursor or None, PAGE_SIZE)
        shown = await _chosen(tx, found.items, at)
        context = await _evidence(visit, tx, shown) if shown else {}
        counts = await reading.state_counts(tx)
        places = await reading.marketplaces(tx)
    asked = {name: narrow.get(name, "") for name in NARROW}
    place = next((n for n, row in enumerate(found.items) if shown and row.id == shown.id), -1)
    around = [found.items[n].id if 0 <= n < len(found.items) else None for n in (place - 1, place + 1)]
    return await visit.page(
        "tasks.html", status=409 if error else 200, rows=found, shown=shown, error=error, counts=counts, places=places,
        states=STATES, state=narrow.get("state", State.AWAITING_APPROVAL), every=EVERY,
        parameters=narrow, asked=asked, cursor=cursor,
        previous=around[0], next=around[1], priorities=[each.code for each in Priority], categories=list(Category),
        back=query("/tasks", at=around[1] or around[0], cursor=cursor, **narrow), tab="queue", **context,
    )  # fmt: skip


async def _chosen(tx: Tx, rows: tuple[Task, ...], at: str) -> Task | None:
    """Return the task that is asked for, even if it is not on this page of the list; else the first one."""
    first = rows[0] if rows else None
    if not at:
        return first
    try:
        return await reading.task(tx, parse_id(at))
    except TaskNotFound:
        return first


async def _evidence(visit: Visit, tx: Tx, shown: Task) -> dict[str, Any]:
    """Return what is told of a task beside itself."""
    desk = visit.services.tasks
    moves = desk.moves(visit.actor, shown)
    return {
        "moves": {str(move) for move in moves},
        "problem": await desk.peek(tx, shown),
        "approved_by": await reading.approvals(tx, shown),
        "runs": await reading.runs(tx, shown.id),
        "learned": await metrics.learned_hours(tx, shown.marketplace, shown.category) if shown.action is None else None,
        "action": next((each for each in desk.actions.newest if each.name == shown.action), None),
        "members": await _members(visit) if "assign" in {str(move) for move in moves} else [],
    }


async def _members(visit: Visit) -> list[tuple[UUID, str]]:
    found = await identity.list_members(visit.services.database, visit.organisation.id)
    return [
        (each.person.id, each.person.name) for each in found if Scope.TASKS_WORK in identity.ROLE_SCOPES[each.role]
    ]  # fmt: skip


async def one(visit: Visit) -> Response:
    """One task with its history."""
    return await _one(visit, visit.id_of("id"))


async def _one(visit: Visit, task_id: UUID, error: str = "") -> Response:
    async with visit.transaction() as tx:
        shown = await reading.task(tx, task_id)
        context = await _evidence(visit, tx, shown)
        history = await reading.history(tx, task_id)
    return await visit.page(
        "task.html", status=409 if error else 200, shown=shown, history=history, error=error, back=f"/tasks/{task_id}",
        parameters={}, previous=None, next=None, tab="queue", **context,
    )  # fmt: skip


# ---- many at once ------------------------------------------------------------------------------------------------


async def decide(visit: Visit) -> Response:
    """Approve or reject the chosen tasks; each for itself."""
    form = await visit.files()
    ids = [str(value) for value in form.getlist("task")]
    approved = form.get("do") == "approve"
    reason = str(form.get("reason", "")).strip()

    async def work(tx: Tx) -> Done:
        if not ids:
            raise InvalidInput("Choose at least one task first.")
        if not approved and not reason:
            raise InvalidInput("Say why: the reason is kept with the tasks.")
        results = await visit.services.tasks.decide(tx, visit.actor, ids, approved=approved, reason=reason)
        done = sum(each.done for each in results)
        verb = "approved" if approved else "rejected"
        said = f"{done:,} {verb}."
        refused = [each for each in results if not each.done]
        if refused:
            said += f" {len(refused):,} not: {refused[0].problem}"
        return _back(str(form.get("back", ""))), said

    return await attempt(visit, work, lambda error: _queue(visit, error))


def _back(path: str) -> str:
    return path if path.startswith("/tasks") else "/tasks"


# ---- one by one --------------------------------------------------------------------------------------------------

Work = Callable[[Visit, Tx, UUID, Mapping[str, str]], Awaitable[str]]
"""Does it and returns what to say."""


def _doing(work: Work) -> Handler:
    async def do(visit: Visit) -> Response:
        form, task_id = await visit.form(), visit.id_of("id")

        async def done(tx: Tx) -> Done:
            said = await work(visit, tx, task_id, form)
            return _back(form.get("back", "")), said

        return await attempt(visit, done, lambda error: _one(visit, task_id, error))

    return do


async def _approve(visit: Visit, tx: Tx, task_id: UUID, form: Mapping[str, str]) -> str:
    version = int(form["version"]) if form.get("version", "").isdecimal() else None
    task = await visit.services.tasks.approve(tx, visit.actor, task_id, version)
    if task.state is State.AWAITING_APPROVAL:
        return "Approved by you; another person must approve it too."
    return "Approved. The hub carries it out." if task.action else "Approved."


async def _reject(visit: Visit, tx: Tx, task_id: UUID, form: Mapping[str, str]) -> str:
    if not form.get("reason"):
        raise InvalidInput("Say why: the reason is kept with the task.")
    await visit.services.tasks.reject(tx, visit.actor, task_id, form["reason"])
    return "Rejected."


async def _assign(visit: Visit, tx: Tx, task_id: UUID, form: Mapping[str, str]) -> str:
    task = await visit.services.tasks.assign(tx, visit.actor, task_id, form.get("person", ""))
    return f"{task.assigned_name} does it."


async def _undo(visit: Visit, tx: Tx, task_id: UUID, form: Mapping[str, str]) -> str:
    await visit.services.tasks.undo(tx, visit.actor, task_id)
    return "Undone. Channels follow."


async def _complete(visit: Visit, tx: Tx, task_id: UUID, form: Mapping[str, str]) -> str:
    hours = hours_typed(form.get("hours", ""))
    task = await visit.services.tasks.complete(tx, visit.actor, task_id, hours, form.get("notes", ""))
    return f"Completed. The estimate was {task.time_accuracy:f}% right."


async def _comment(visit: Visit, tx: Tx, task_id: UUID, form: Mapping[str, str]) -> str:
    await visit.services.tasks.comment(tx, visit.actor, task_id, form.get("text", ""))
    return "Said."


async def _look(visit: Visit, tx: Tx, task_id: UUID, form: Mapping[str, str]) -> str:
    await visit.services.tasks.look_anew(tx, task_id)
    return "Looked at anew: decide on what it would do now."


async def _submit(visit: Visit, tx: Tx, task_id: UUID, form: Mapping[str, str]) -> str:
    await visit.services.tasks.submit(tx, visit.actor, task_id)
    return "Handed in."


def hours_typed(text: str) -> Decimal:
    """Return hours that a person typed. Raises InvalidInput."""
    try:
        return Decimal(text.replace(",", "."))
    except InvalidOperation:
        raise InvalidInput("Hours are a number such as 1.5.") from None


async def figures(visit: Visit) -> Response:
    """How tasks go: turnaround, accuracy, approval, reasons, and what each agent is worth."""
    text = visit.parameter("days") or "30"
    days = whole_number(text, "Days", minimum=1, maximum=metrics.DAYS_MOST)
    async with visit.transaction() as tx:
        found = await metrics.metrics(tx, visit.services.tasks.now(), days)
    return await visit.page("tasks_figures.html", found=found, days=days, spans=SPANS, span=span, tab="figures")


SPANS = (7, 30, 90, 365)


def span(seconds: int | None) -> str:
    """Return a number of seconds in words: `3 h 10 min`; a dash for what is unknown."""
    if seconds is None:
        return NONE
    return duration(datetime.fromtimestamp(0, UTC), datetime.fromtimestamp(seconds, UTC))


# ---- new ones ----------------------------------------------------------------------------------------------------


async def new(visit: Visit) -> Response:
    """The form of a new task."""
    return await _new(visit, Typed())


async def _new(visit: Visit, typed: Typed, error: str = "") -> Response:
    return await visit.page(
        "task_new.html", status=422 if error else 200, typed=typed, error=error, tab="new",
        priorities=[each.code for each in Priority], categories=list(Category),
    )  # fmt: skip


async def create(visit: Visit) -> Response:
    """Propose a task."""
    form = Typed(await visit.form())

    async def work(tx: Tx) -> Done:
        given = Proposal(
            form["marketplace"].lower(), form["title"], form["description"], _category(form["category"]),
            Priority.of(form["priority"] or "medium"), hours_typed(form["hours"] or "1"),
            tags=tuple(each.strip() for each in form["tags"].split(",") if each.strip()),
            due_at=_due(form["due"]), draft=form["do"] == "draft",
        )  # fmt: skip
        task = await visit.services.tasks.propose(tx, visit.actor, given)
        return f"/tasks/{task.id}", "Kept as a draft." if given.draft else "Handed in for approval."

    return await attempt(visit, work, lambda error: _new(visit, form, error))


def _category(code: str) -> Category:
    try:
        return Category(code or Category.OPTIMIZATION)
    except ValueError:
        raise InvalidTask(f"{code!r} is not a category.") from None


def _due(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.combine(datetime.fromisoformat(text).date(), time(23, 59), UTC)
    except ValueError:
        raise InvalidTask("A date is written as 2026-12-31.") from None
