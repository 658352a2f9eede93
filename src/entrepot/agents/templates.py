"""Templates: tasks that come again by the calendar, such as a weekly look at the listings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from asyncpg import Record

from entrepot.agents.actions import Registry
from entrepot.agents.calendar import Rhythm, next_time
from entrepot.agents.contracts import ActionCall, Category, InvalidTask, Priority, Proposal, Task
from entrepot.agents.parts import part
from entrepot.agents.proposing import propose
from entrepot.agents.rules import check_proposal
from entrepot.database.pool import Database, Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor, Scope, system_actor
from entrepot.kernel.clock import Clock, utc_now
from entrepot.kernel.errors import EntrepotError, NotFound
from entrepot.kernel.ids import new_id

log = structlog.get_logger(__name__)

TEMPLATES_MOST = 200
DUE_MOST = 365
ONCE = 50
"""So many are proposed in one go."""


class TemplateNotFound(NotFound):
    """There is no such template."""


@dataclass(frozen=True, slots=True)
class Template:
    """A task that comes again. `proposal`: the task as JSON; `due_days`: it is due so many days after it came."""

    id: UUID
    name: str
    proposal: Mapping[str, Any]
    rhythm: Rhythm
    day: int
    hour: int
    due_days: int | None
    active: bool
    next_at: datetime
    last_at: datetime | None
    set_by: str


_SELECT = """select id, name, proposal, rhythm, day, hour, due_days, active, next_at, last_at, set_by
             from task_template where organisation_id = $1"""


def _template(row: Record) -> Template:
    return Template(**{**dict(row), "rhythm": Rhythm(row["rhythm"])})


async def templates(tx: Tx) -> tuple[Template, ...]:
    """Return all templates by name."""
    return tuple(_template(row) for row in await tx.fetch(f"{_SELECT} order by lower(name), id", tx.organisation))


async def get_template(tx: Tx, template_id: UUID) -> Template:
    """Return a template. Raises TemplateNotFound."""
    row = await tx.fetch_row(f"{_SELECT} and id = $2", tx.organisation, template_id)
    if row is None:
        raise TemplateNotFound
    return _template(row)


def proposal_of(kept: Mapping[str, Any]) -> Proposal:
    """Return the task that a template keeps. Raises InvalidTask."""
    action = kept.get("action")
    return Proposal(
        kept["marketplace"], kept["title"], kept.get("description", ""), Category(kept.get("category", "analysis")),
        Priority.of(kept.get("priority", "medium")), Decimal(str(kept.get("estimated_hours", "1"))),
        tags=tuple(kept.get("tags", ())), metadata=kept.get("metadata", {}), why=kept.get("why", ""),
        expected=kept.get("expected", ""),
        action=None if action is None else ActionCall(action["name"], action["input"], action.get("version")),
    )  # fmt: skip


async def put_template(
    tx: Tx, actions: Registry, actor: Actor, template_id: UUID | None, name: str, proposal: Mapping[str, Any],
    rhythm: Rhythm, day: int, hour: int, due_days: int | None, active: bool, at: datetime,
) -> UUID:  # fmt: skip
    """Make or change a template; return its id. Raises MissingScope, InvalidTask, UnknownAction, TemplateNotFound."""
    actor.require(Scope.TASKS_APPROVE)
    if not 0 < len(name.strip()) <= 200 or "\x00" in name:
        raise InvalidTask("A template has a name of 1 to 200 characters.", field="name")
    most = 7 if rhythm is Rhythm.WEEKLY else 28
    if not 1 <= day <= most or not 0 <= hour <= 23:
        raise InvalidTask(f"The day is 1 to {most}, the hour 0 to 23.", field="day")
    if due_days is not None and not 0 <= due_days <= DUE_MOST:
        raise InvalidTask(f"It is due 0 to {DUE_MOST} days after it came.", field="dueDays")
    given = proposal_of(proposal)
    check_proposal(given, at)
    if given.action is not None:
        actor.require(actions.bind(given.action).action.scope)
    if template_id is None and len(await templates(tx)) >= TEMPLATES_MOST:
        raise InvalidTask(f"At most {TEMPLATES_MOST} templates.")
    next_at = next_time(rhythm, day, hour, at, (await identity.organisation_of(tx)).timezone)
    id = template_id or new_id()
    if template_id is not None:
        await get_template(tx, template_id)
    await tx.execute(
        """insert into task_template
               (organisation_id, id, name, proposal, rhythm, day, hour, due_days, active, next_at, set_by)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
           on conflict (organisation_id, id) do update set name = excluded.name, proposal = excluded.proposal,
               rhythm = excluded.rhythm, day = excluded.day, hour = excluded.hour, due_days = excluded.due_days,
               active = excluded.active, next_at = excluded.next_at, set_by = excluded.set_by""",
        tx.organisation, id, name.strip(), dict(proposal), rhythm, day, hour, due_days, active, next_at, actor.name,
    )  # fmt: skip
    await identity.record(tx, actor, "task_template.set", "task_template", id, None, {"name": name, "rhythm": rhythm})
    return id


async def delete_template(tx: Tx, actor: Actor, template_id: UUID) -> None:
    """Delete a template; tasks made of it stay. Raises MissingScope, TemplateNotFound."""
    actor.require(Scope.TASKS_APPROVE)
    if not await tx.execute(
        "delete from task_template where organisation_id = $1 and id = $2", tx.organisation, template_id
    ):
        raise TemplateNotFound
    await identity.record(tx, actor, "task_template.delete", "task_template", template_id)


async def make_due(tx: Tx, actions: Registry, at: datetime) -> tuple[Task, ...]:
    """Propose the tasks whose time has come, each once, however many workers look at the same time.

    A template whose action cannot be proposed now (there is nothing to do, say) waits for its next time.
    """
    rows = await tx.fetch(
        f"{_SELECT} and active and next_at <= $2 order by next_at, id limit $3 for update skip locked",
        tx.organisation,
        at,
        ONCE,
    )
    made: list[Task] = []
    timezone = (await identity.organisation_of(tx)).timezone
    for template in map(_template, rows):
        given = proposal_of(template.proposal)
        due_at = None if template.due_days is None else at + timedelta(days=template.due_days)
        again = next_time(template.rhythm, template.day, template.hour, at, timezone)
        await tx.execute(
            "update task_template set next_at = $3, last_at = $4 where organisation_id = $1 and id = $2",
            tx.organisation, template.id, again, at,
        )  # fmt: skip
        hub = system_actor(tx.organisation, f"Template: {template.name}")
        try:
            async with part(tx):
                made.append(await propose(tx, actions, hub, _with(given, template.id, due_at), at))
        except EntrepotError as error:
            log.info("template_left_out", template=str(template.id), detail=error.detail)
    return tuple(made)


def _with(given: Proposal, template_id: UUID, due_at: datetime | None) -> Proposal:
    return Proposal(
        given.marketplace, given.title, given.description, given.category, given.priority, given.estimated_hours,
        given.created_as, given.tags, given.metadata, due_at, given.why, given.expected, given.action,
        template_id=template_id,
    )  # fmt: skip


async def make_all_due(database: Database, actions: Registry, *, clock: Clock = utc_now) -> int:
    """Propose the due tasks of every organisation; return how many. For a schedule."""
    made = 0
    for organisation in await identity.list_organisations(database):
        async with database.transaction(organisation.id) as tx:
            made += len(await make_due(tx, actions, clock()))
    return made
