"""Who does what: teams, and rules by which an approved task is given to a person or to the least busy of a team."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import UniqueViolationError

from entrepot.agents import moving
from entrepot.agents.contracts import Category, InvalidTask, NoSuchMember, Priority, Task
from entrepot.agents.lifecycle import Move
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor, Scope, system_actor
from entrepot.kernel.errors import Conflict, NotFound
from entrepot.kernel.ids import new_id

ROUTES_MOST = 200
MEMBERS_MOST = 200
TEAMS_MOST = 200


class TeamNotFound(NotFound):
    """There is no such team."""


class TeamNameTaken(Conflict):
    """Another team has this name."""


@dataclass(frozen=True, slots=True)
class Route:
    """A rule: tasks that meet it go to `person_id`, or to the least busy of `team_id`. None of the others: any."""

    marketplace: str | None = None
    category: Category | None = None
    priority: Priority | None = None
    tag: str | None = None
    team_id: UUID | None = None
    person_id: UUID | None = None

    def meets(self, task: Task) -> bool:
        """Return whether a task meets it."""
        return (
            self.marketplace in (None, task.marketplace)
            and self.category in (None, task.category)
            and self.priority in (None, task.priority)
            and (self.tag is None or self.tag in task.tags)
        )


@dataclass(frozen=True, slots=True)
class Team:
    """A team with its members."""

    id: UUID
    name: str
    members: tuple[UUID, ...]


async def teams(tx: Tx) -> tuple[Team, ...]:
    """Return all teams by name."""
    rows = await tx.fetch(
        """select t.id, t.name, array(select m.person_id from team_member m where m.organisation_id = $1
               and m.team_id = t.id order by m.person_id) as members
           from team t where t.organisation_id = $1 order by lower(t.name), t.id""",
        tx.organisation,
    )
    return tuple(Team(row["id"], row["name"], tuple(row["members"])) for row in rows)


async def put_team(tx: Tx, actor: Actor, team_id: UUID | None, name: str, members: Sequence[str]) -> UUID:
    """Make a team, or give it another name and members (by id or email address).

    Raises MissingScope, InvalidTask, TeamNameTaken, TeamNotFound, NoSuchMember.
    """
    actor.require(Scope.TASKS_APPROVE)
    name = name.strip()
    if not 0 < len(name) <= 100 or "\x00" in name:
        raise InvalidTask("A team has a name of 1 to 100 characters.", field="name")
    if len(members) > MEMBERS_MOST:
        raise InvalidTask(f"A team has at most {MEMBERS_MOST} members.", field="members")
    people = [await _member(tx, each) for each in members]
    id = team_id or new_id()
    try:
        if team_id is None:
            await tx.execute(
                "insert into team (organisation_id, id, name) values ($1, $2, $3)", tx.organisation, id, name
            )
        elif not await tx.execute(
            "update team set name = $3 where organisation_id = $1 and id = $2", tx.organisation, id, name
        ):
            raise TeamNotFound
    except UniqueViolationError:
        raise TeamNameTaken from None
    await tx.execute("delete from team_member where organisation_id = $1 and team_id = $2", tx.organisation, id)
    await tx.execute(
        "insert into team_member (organisation_id, team_id, person_id) select $1, $2, p from unnest($3::uuid[]) p",
        tx.organisation, id, sorted(set(people)),
    )  # fmt: skip
    after = {"name": name, "members": [str(each) for each in people]}
    await identity.record(tx, actor, "team.set", "team", id, None, after)
    return id


async def _member(tx: Tx, named: str) -> UUID:
    member = await identity.find_member(tx, named)
    if member is None:
        raise NoSuchMember(f"{named[:100]!r} is no member of this organisation.")
    return member.person.id


async def delete_team(tx: Tx, actor: Actor, team_id: UUID) -> None:
    """Delete a team with the rules that name it. Raises MissingScope, TeamNotFound."""
    actor.require(Scope.TASKS_APPROVE)
    if not await tx.execute("delete from team where organisation_id = $1 and id = $2", tx.organisation, team_id):
        raise TeamNotFound
    await identity.record(tx, actor, "team.delete", "team", team_id)


async def routes(tx: Tx) -> tuple[Route, ...]:
    """Return the rules in their order."""
    rows = await tx.fetch(
        """select marketplace, category, priority, tag, team_id, person_id from task_route
           where organisation_id = $1 order by position, id""",
        tx.organisation,
    )
    return tuple(
        Route(
            r["marketplace"], Category(r["category"]) if r["category"] else None,
            Priority(r["priority"]) if r["priority"] else None, r["tag"], r["team_id"], r["person_id"],
        )
        for r in rows
    )  # fmt: skip


async def set_routes(tx: Tx, actor: Actor, given: Sequence[Route]) -> None:
    """Set all rules in their order. Raises MissingScope, InvalidTask, TeamNotFound, NoSuchMember."""
    actor.require(Scope.TASKS_APPROVE)
    if len(given) > ROUTES_MOST:
        raise InvalidTask(f"At most {ROUTES_MOST} rules.", field="routes")
    known = {team.id for team in await teams(tx)}
    for route in given:
        if (route.team_id is None) == (route.person_id is None):
            raise InvalidTask("A rule names a team or a person.", field="routes")
        if route.team_id is not None and route.team_id not in known:
            raise TeamNotFound
        if route.person_id is not None:
            await _member(tx, str(route.person_id))
    await tx.execute("delete from task_route where organisation_id = $1", tx.organisation)
    for position, r in enumerate(given, start=1):
        await tx.execute(
            """insert into task_route (organisation_id, id, position, marketplace, category, priority, tag, team_id, person_id)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
            tx.organisation, new_id(), position, r.marketplace, r.category,
            None if r.priority is None else int(r.priority), r.tag, r.team_id, r.person_id,
        )  # fmt: skip
    await identity.record(tx, actor, "task_routes.set", "organisation", tx.organisation, None, {"rules": len(given)})


async def assign_by_route(tx: Tx, task: Task, at: datetime) -> Task:
    """Give a locked, approved task of a person's work to whom the first rule that it meets names; none: it waits."""
    for route in await routes(tx):
        if not route.meets(task):
            continue
        person = route.person_id or await _least_busy(tx, route.team_id)
        member = None if person is None else await identity.find_member(tx, str(person))
        if member is None:
            continue  # Nobody of the team is a member any more.
        fields = {
            "assigned_to": member.person.id, "assigned_as": member.person.email, "assigned_name": member.person.name,
            "team_id": route.team_id,
        }  # fmt: skip
        hub = system_actor(tx.organisation, "Routing rule")
        return await moving.make(
            tx, hub, task, Move.ASSIGN, at, fields, words=f"to {member.person.name}, by a routing rule"
        )  # fmt: skip
    return task


async def _least_busy(tx: Tx, team_id: UUID | None) -> UUID | None:
    found: UUID | None = await tx.fetch_value(
        """select m.person_id from team_member m
           join lateral (select count(*) as open from task t where t.organisation_id = $1 and t.assigned_to = m.person_id
                         and t.state = 'in_progress') n on true
           where m.organisation_id = $1 and m.team_id = $2 order by n.open, m.person_id limit 1""",
        tx.organisation,
        team_id,
    )
    return found
