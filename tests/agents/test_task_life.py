"""Tasks from proposal to completion, who may do what, batches, and writers that meet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise, product
from uuid import UUID

import pytest
from tests.agents.support import Office, office

from entrepot.agents import reading, routing
from entrepot.agents.contracts import Category, InvalidTask, NoSuchMember, Priority, Proposal, Task, TaskChanged
from entrepot.agents.facade import TaskEdit
from entrepot.agents.lifecycle import NotYourMove, State, WrongMove
from entrepot.agents.reading import TaskFilter
from entrepot.database.pool import Database, Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import MissingScope
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.ids import new_id


@pytest.fixture
async def here(database: Database, organisation_id: UUID) -> Office:
    return await office(database, organisation_id)


async def test_from_proposal_to_completion(here: Office) -> None:
    task = await here.propose(estimated_hours=Decimal(4), created_as="amazon-advisor", tags=("seo",))
    assert (task.state, task.agent, task.creator) == (State.AWAITING_APPROVAL, "price-keeper", "amazon-advisor")
    assert task.submitted_at
    task = await here.approve(task)
    assert (task.state, task.approved_by_name) == (State.APPROVED, "Ana")
    task = await here.within(lambda tx: here.desk.assign(tx, here.admin, task.id, str(here.member.id)))
    assert (task.state, task.assigned_to, task.assigned_name) == (State.IN_PROGRESS, here.member.id, "Max")
    began = task.started_at
    again = await here.within(lambda tx: here.desk.assign(tx, here.admin, task.id, str(here.other_admin.id)))
    assert (again.assigned_name, again.started_at) == ("Bea", began)
    with pytest.raises(NotYourMove):
        await here.within(lambda tx: here.desk.complete(tx, here.member, task.id, Decimal(5)))
    done = await here.within(lambda tx: here.desk.complete(tx, here.other_admin, task.id, Decimal(5), "Long titles"))
    stored = await here.task(done)
    assert (stored.state, stored.time_accuracy, stored.notes) == (State.COMPLETED, Decimal("80.0"), "Long titles")
    assert await here.moves(task) == ["create", "submit", "approve", "assign", "assign", "complete"]
    async with here.database.transaction(here.id) as tx:
        audited = await identity.list_audit(tx, subject_kind="task", subject_id=str(task.id))
    assert [entry.action for entry in reversed(audited)] == [
        "task.create", "task.approve", "task.assign", "task.assign", "task.complete",
    ]  # fmt: skip


async def test_who_may_not(here: Office) -> None:
    task = await here.propose()
    for actor in (here.member, here.viewer, here.agent):
        with pytest.raises(MissingScope):
            await here.within(lambda tx, a=actor: here.desk.decide(tx, a, [str(task.id)], approved=True))  # type: ignore[misc]
        for refused in (
            lambda tx, a=actor: here.desk.approve(tx, a, task.id),
            lambda tx, a=actor: here.desk.reject(tx, a, task.id, "no"),
            lambda tx, a=actor: here.desk.edit(tx, a, task.id, TaskEdit(title="Mine")),
            lambda tx, a=actor: here.desk.assign(tx, a, task.id, str(here.member.id)),
            lambda tx, a=actor: here.desk.complete(tx, a, task.id, Decimal(1)),
        ):
            with pytest.raises(NotYourMove):
                await here.within(refused)  # type: ignore[arg-type]
    with pytest.raises(MissingScope):
        await here.propose(here.viewer)
    with pytest.raises(MissingScope):
        await here.within(lambda tx: here.desk.comment(tx, here.viewer, task.id, "Hm"))
    assert (await here.task(task)).version == task.version


async def test_an_agent_with_every_right_still_only_proposes(here: Office) -> None:
    task = await here.propose()
    mighty = replace(here.agent, scopes=here.admin.scopes)
    with pytest.raises(NotYourMove):
        await here.approve(task, mighty)
    with pytest.raises(InvalidTask, match="no drafts"):
        await here.propose(draft=True)


async def test_a_batch_decides_each_for_itself(here: Office) -> None:
    first, second = await here.propose(), await here.propose()
    await here.approve(second)
    unknown = str(new_id())
    ids = [str(first.id), "rubbish", str(second.id), unknown, str(first.id)]
    results = await here.within(lambda tx: here.desk.decide(tx, here.admin, ids, approved=False, reason="Too dear"))
    assert [(r.task_id, r.done, r.code) for r in results] == [
        (str(first.id), True, ""),
        ("rubbish", False, "task-not-found"),
        (str(second.id), False, "wrong-move"),
        (unknown, False, "task-not-found"),
    ]
    assert (await here.task(first)).reason == "Too dear"
    assert (await here.task(second)).state is State.APPROVED
    with pytest.raises(WrongMove):
        await here.approve(first)
    with pytest.raises(InvalidTask):
        await here.within(lambda tx: here.desk.decide(tx, here.admin, [unknown] * 501, approved=True))


async def test_a_draft_is_edited_and_handed_in(here: Office) -> None:
    task = await here.propose(here.member, draft=True, due_at=utc_now() + timedelta(days=3))
    assert task.state is State.PENDING
    with pytest.raises(WrongMove):
        await here.approve(task)
    edit = TaskEdit(title="Bullet points", priority=Priority.HIGH, estimated_hours=Decimal("2.5"), clear_due=True)
    edited = await here.within(lambda tx: here.desk.edit(tx, here.member, task.id, edit, version=task.version))
    assert (edited.title, edited.priority, edited.due_at) == ("Bullet points", Priority.HIGH, None)
    with pytest.raises(TaskChanged):
        await here.within(lambda tx: here.desk.edit(tx, here.member, task.id, edit, version=task.version))
    submitted = await here.within(lambda tx: here.desk.submit(tx, here.member, task.id))
    assert submitted.state is State.AWAITING_APPROVAL
    (event,) = [e for e in await here.within(lambda tx: reading.history(tx, task.id)) if e.move == "edit"]
    assert event.changes["title"] == ["Better titles for mugs", "Bullet points"]
    assert event.changes["priority"] == ["medium", "high"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("marketplace", "Amazon DE"), ("title", " "), ("title", "x" * 301), ("estimated_hours", Decimal(0)),
        ("estimated_hours", Decimal("NaN")), ("tags", ("",)), ("metadata", {"a": float("nan")}), ("title", "a\x00b"),
        ("metadata", {"a": "x" * 30_000}),
    ],
)  # fmt: skip
async def test_rubbish_is_refused(here: Office, field: str, value: object) -> None:
    with pytest.raises(InvalidTask):
        await here.propose(**{field: value})


async def test_only_members_are_assigned(here: Office) -> None:
    task = await here.approve(await here.propose())
    for named in (str(new_id()), "nobody@example.com", ""):
        with pytest.raises(NoSuchMember):
            await here.within(lambda tx, n=named: here.desk.assign(tx, here.admin, task.id, n))  # type: ignore[misc]


async def test_lists_are_filtered_found_and_paged(here: Office) -> None:
    made = [await here.propose(title=f"Idea {n} for Café tables", tags=(f"t{n}",)) for n in range(5)]
    other = await here.propose(
        marketplace="shopee", title="Flash sale", category=Category.SCALING, priority=Priority.HIGH
    )

    async def ids(**fields: object) -> list[UUID]:
        chosen = TaskFilter(**fields)  # type: ignore[arg-type]
        found: list[UUID] = []
        cursor = None
        async with here.database.transaction(here.id) as tx:
            while True:
                part = await reading.list_tasks(tx, chosen, cursor, 2)
                found += [task.id for task in part]
                cursor = part.next_cursor
                if cursor is None:
                    break
            assert await reading.count_tasks(tx, chosen) == len(found)
        return found

    newest = [task.id for task in reversed(made)]
    assert await ids() == [other.id, *newest]
    assert await ids(sort="priority") == [other.id, *(task.id for task in made)]
    assert await ids(marketplace="shopee") == await ids(category="scaling") == await ids(priority="high") == [other.id]
    assert await ids(search="cafe TAB") == newest
    assert await ids(search="cafe t3") == [made[3].id]
    assert await ids(search="nothing like it") == await ids(search="!!") == []
    await here.approve(made[0])
    await here.within(lambda tx: here.desk.assign(tx, here.admin, made[0].id, str(here.member.id)))
    assert await ids(assigned_to=str(here.member.id)) == await ids(state="in_progress") == [made[0].id]
    assert await ids(assigned_to="nobody@example.com") == []
    async with here.database.transaction(here.id) as tx:
        assert await reading.marketplaces(tx) == ["amazon", "shopee"]
        assert (await reading.state_counts(tx))["awaiting_approval"] == 5
        assert await reading.waiting(tx) == 5


async def test_another_organisation_sees_nothing(here: Office, database: Database) -> None:
    task = await here.propose()
    other = (await identity.create_organisation(database, "Other")).id
    async with database.transaction(other) as tx:
        assert not (await reading.list_tasks(tx, TaskFilter())).items
    stranger = await office(database, other)
    results = await stranger.within(lambda tx: stranger.desk.decide(tx, stranger.admin, [str(task.id)], approved=True))
    assert [r.code for r in results] == ["task-not-found"]


async def test_an_approved_task_goes_to_the_least_busy_of_the_team(here: Office) -> None:
    async def set_up(tx: Tx) -> None:
        members = [str(here.member.id), str(here.other_admin.id)]
        team = await routing.put_team(tx, here.admin, None, "Listings", members)
        rule = routing.Route(marketplace="amazon", priority=Priority.HIGH, team_id=team)
        await routing.set_routes(tx, here.admin, [rule, routing.Route(tag="me", person_id=here.admin.id)])

    await here.within(set_up)
    first = await here.approve(await here.propose(priority=Priority.HIGH))
    second = await here.approve(await here.propose(priority=Priority.HIGH))
    assert {first.assigned_to, second.assigned_to} == {here.member.id, here.other_admin.id}
    assert (await here.approve(await here.propose(tags=("me",)))).assigned_name == "Ana"
    assert (await here.approve(await here.propose())).state is State.APPROVED
    async with here.database.transaction(here.id) as tx:
        await identity.names_of(tx, [])
    await identity.remove_membership(here.database, here.admin, here.member.id)
    third = await here.approve(await here.propose(priority=Priority.HIGH))
    assert third.state in (State.APPROVED, State.IN_PROGRESS)
    assert third.assigned_to != here.member.id


# ---- writers that meet -------------------------------------------------------------------------------------------

Writer = Callable[[Office, Tx, Task], Awaitable[object]]
WRITERS: dict[str, Writer] = {
    "approve": lambda here, tx, task: here.desk.approve(tx, here.admin, task.id),
    "reject": lambda here, tx, task: here.desk.reject(tx, here.other_admin, task.id, "No"),
    "assign": lambda here, tx, task: here.desk.assign(tx, here.admin, task.id, str(here.member.id)),
    "reassign": lambda here, tx, task: here.desk.assign(tx, here.other_admin, task.id, str(here.other_admin.id)),
    "complete": lambda here, tx, task: here.desk.complete(tx, here.admin, task.id, Decimal(2)),
    "edit": lambda here, tx, task: here.desk.edit(tx, here.admin, task.id, TaskEdit(title=f"New {new_id()}")),
    "comment": lambda here, tx, task: here.desk.comment(tx, here.member, task.id, "Look at this"),
}
STARTS = {"approve": 0, "reject": 0, "edit": 0, "comment": 0, "assign": 1, "reassign": 2, "complete": 2}
PAIRS = list(product(WRITERS, repeat=2))


@pytest.mark.parametrize(("one", "two"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
async def test_two_writers_at_once_leave_a_task_that_its_history_explains(here: Office, one: str, two: str) -> None:
    # Two connections are open already: the second writer is not held up by making one.
    await asyncio.gather(*(here.within(lambda tx: tx.execute("select pg_sleep(0.02)")) for _ in range(3)))
    for start in {STARTS[one], STARTS[two]}:
        task = await here.propose()
        if start:
            task = await here.approve(task)
        if start > 1:
            task = await here.within(lambda tx, t=task: here.desk.assign(tx, here.admin, t.id, str(here.member.id)))  # type: ignore[misc]

        async def write(name: str, task: Task = task) -> object:
            try:
                return await here.within(lambda tx: WRITERS[name](here, tx, task))
            except EntrepotError as error:
                return error

        # The second begins while the first has written and is not committed: it must wait, and see what the first did.
        async with here.database.transaction(here.id) as tx:
            try:
                first: object = await WRITERS[one](here, tx, task)
            except EntrepotError as error:
                first = error
            second = asyncio.create_task(write(two))
            await asyncio.wait({second}, timeout=0.15)
        results = [first, await second]
        history = await here.within(lambda tx, t=task: reading.history(tx, t.id))  # type: ignore[misc]
        # Told in the order in which it happened: each line begins where the one before ended.
        moves = [event for event in history if event.from_state or event.to_state]
        for before, after in pairwise(moves):
            assert after.from_state == before.to_state, [(e.move, e.from_state, e.to_state) for e in moves]
        stored = await here.task(task)
        assert moves[-1].to_state == stored.state
        assert not any(isinstance(r, EntrepotError) and r.status >= 500 for r in results)
        if one == two and one in ("approve", "reject", "complete"):
            assert sum(isinstance(r, WrongMove) for r in results) in (1, 2)
        if stored.state is State.REJECTED:
            assert stored.approved_at is None
        assert (stored.actual_hours is not None) == (stored.state is State.COMPLETED)


def test_a_proposal_needs_little() -> None:
    assert Proposal("amazon", "Title").priority is Priority.MEDIUM
