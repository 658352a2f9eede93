"""What the tests of tasks share: people of each role, an agent, and ways to propose and decide."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from entrepot.agents import reading
from entrepot.agents.carrying import Carrier
from entrepot.agents.facade import CARRY_OUT, VERIFY, Proposal, Task, TaskDesk
from entrepot.database.pool import Database, Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import ROLE_SCOPES, Actor, ActorKind, Role, Scope
from entrepot.identity.scopes import AGENT_SCOPES
from entrepot.jobs import facade as jobs
from entrepot.kernel.ids import new_id

T = TypeVar("T")


@dataclass
class Office:
    """An organisation with people, an agent, and the desk."""

    database: Database
    id: UUID
    desk: TaskDesk = field(default_factory=TaskDesk)
    admin: Actor = field(init=False)
    other_admin: Actor = field(init=False)
    member: Actor = field(init=False)
    viewer: Actor = field(init=False)
    agent: Actor = field(init=False)

    async def open(self) -> Office:
        self.admin = await self.person("Ana", Role.ADMIN)
        self.other_admin = await self.person("Bea", Role.ADMIN)
        self.member = await self.person("Max", Role.MEMBER)
        self.viewer = await self.person("Vic", Role.VIEWER)
        self.agent = Actor(ActorKind.AGENT, new_id(), "price-keeper", self.id, None, AGENT_SCOPES)
        return self

    async def person(self, name: str, role: Role) -> Actor:
        person = await identity.create_person(self.database, f"{new_id()}@example.com", name)
        await identity.add_membership(self.database, self.id, person.id, role)
        return Actor(ActorKind.PERSON, person.id, name, self.id, role, ROLE_SCOPES[role])

    async def within(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        async with self.database.transaction(self.id) as tx:
            return await work(tx)

    async def propose(self, actor: Actor | None = None, **fields: Any) -> Task:
        told = {"marketplace": "amazon", "title": "Better titles for mugs", **fields}
        return await self.within(lambda tx: self.desk.propose(tx, actor or self.agent, Proposal(**told)))

    async def approve(self, task: Task | UUID, actor: Actor | None = None) -> Task:
        id = task if isinstance(task, UUID) else task.id
        return await self.within(lambda tx: self.desk.approve(tx, actor or self.admin, id))

    async def task(self, task: Task | UUID) -> Task:
        id = task if isinstance(task, UUID) else task.id
        return await self.within(lambda tx: reading.task(tx, id))

    async def moves(self, task: Task) -> list[str]:
        return [event.move for event in await self.within(lambda tx: reading.history(tx, task.id))]

    async def open_jobs(self) -> list[tuple[str, UUID]]:
        found = await self.within(lambda tx: jobs.list_jobs(tx))
        return [(job.kind, job.id) for job in reversed(found.items) if job.is_open]

    async def work(self, carrier: Carrier | None = None, rounds: int = 20) -> None:
        """Do the open jobs of tasks until there is none, however long they would wait."""
        carrier = carrier or Carrier(self.desk.actions)
        for _ in range(rounds):
            waiting = await self.open_jobs()
            if not waiting:
                return
            for kind, id in waiting:
                if kind == CARRY_OUT.name:
                    await jobs.perform(self.database, CARRY_OUT, carrier.carry_out, self.id, id)
                else:
                    await jobs.perform(self.database, VERIFY, carrier.verify, self.id, id)


async def office(database: Database, organisation_id: UUID, desk: TaskDesk | None = None) -> Office:
    return await Office(database, organisation_id, desk or TaskDesk()).open()


def with_scopes(actor: Actor, *scopes: Scope) -> Actor:
    return Actor(actor.kind, actor.id, actor.name, actor.organisation_id, actor.role, frozenset(scopes))
