"""Tasks that come again by the calendar: when, once, and without making up for what was missed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.support import Office, office

from entrepot.agents import reading, templates
from entrepot.agents.calendar import Rhythm, next_time
from entrepot.agents.contracts import InvalidTask
from entrepot.agents.facade import Registry
from entrepot.agents.lifecycle import State
from entrepot.agents.reading import TaskFilter
from entrepot.database.pool import Database
from entrepot.identity.facade import MissingScope
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id

ZONES = ("UTC", "Europe/Lisbon", "Asia/Tokyo", "America/Sao_Paulo")
moments = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("rhythm", "day", "after", "expected"),
    [
        (Rhythm.DAILY, 1, "2026-11-21T07:59", "2026-11-21T08:00"), (Rhythm.DAILY, 1, "2026-11-21T08:00", "2026-11-22T08:00"),
        (Rhythm.WEEKLY, 1, "2026-11-21T09:00", "2026-11-23T08:00"), (Rhythm.WEEKLY, 6, "2026-11-21T07:00", "2026-11-21T08:00"),
        (Rhythm.MONTHLY, 5, "2026-11-21T09:00", "2026-12-05T08:00"), (Rhythm.MONTHLY, 1, "2026-12-21T09:00", "2027-01-01T08:00"),
    ],
)  # fmt: skip
def test_when_it_comes_next(rhythm: Rhythm, day: int, after: str, expected: str) -> None:
    at = datetime.fromisoformat(f"{after}:00+00:00")
    assert next_time(rhythm, day, 8, at, "UTC").isoformat() == f"{expected}:00+00:00"


@given(st.sampled_from(list(Rhythm)), st.integers(1, 7), st.integers(0, 23), moments, st.sampled_from(ZONES))
def test_it_always_comes_again_in_time(rhythm: Rhythm, day: int, hour: int, after: datetime, zone: str) -> None:
    found = next_time(rhythm, day, hour, after, zone)
    most = {Rhythm.DAILY: 1, Rhythm.WEEKLY: 7, Rhythm.MONTHLY: 31}[rhythm]
    assert after < found <= after + timedelta(days=most, hours=2)
    assert found.hour == hour


@pytest.fixture
async def here(database: Database, organisation_id: UUID) -> Office:
    return await office(database, organisation_id)


TASK = {"marketplace": "amazon", "title": "Look at the listings", "category": "analysis"}


async def put(here: Office, **given: Any) -> UUID:
    told: dict[str, Any] = {
        "name": "Daily", "proposal": TASK, "rhythm": Rhythm.DAILY, "day": 1, "hour": 8, "due_days": 2, "active": True,
        "at": utc_now(), **given,
    }  # fmt: skip
    actor = told.pop("actor", here.admin)
    return await here.within(lambda tx: templates.put_template(tx, Registry(), actor, told.pop("id", None), **told))


async def test_it_is_proposed_once_however_many_look(here: Office) -> None:
    await put(here)
    await put(here, name="Resting", active=False)
    later = utc_now() + timedelta(days=3)

    async def look() -> int:
        return len(await here.within(lambda tx: templates.make_due(tx, Registry(), later)))

    assert sum(await asyncio.gather(*(look() for _ in range(4)))) == 1
    assert await look() == 0
    async with here.database.transaction(here.id) as tx:
        (task,) = (await reading.list_tasks(tx, TaskFilter())).items
        (daily, _) = await templates.templates(tx)
    assert (task.state, task.title, task.created_by_name) == (
        State.AWAITING_APPROVAL, "Look at the listings", "Template: Daily"
    )  # fmt: skip
    assert task.due_at == later + timedelta(days=2)
    assert task.template_id == daily.id
    assert later < daily.next_at <= later + timedelta(days=1)


async def test_one_that_cannot_be_proposed_keeps_no_other_from_it(here: Office) -> None:
    broken = await put(here, name="A broken one")
    await put(here)
    async with here.database.transaction(here.id) as tx:
        action = {**TASK, "action": {"name": "world.rule", "input": {}}}
        await tx.execute("update task_template set proposal = $2 where id = $1", broken, action)
    later = utc_now() + timedelta(days=3)
    made = await here.within(lambda tx: templates.make_due(tx, Registry(), later))
    assert [task.created_by_name for task in made] == ["Template: Daily"]
    assert (await here.within(lambda tx: templates.get_template(tx, broken))).last_at == later


async def test_what_is_refused(here: Office) -> None:
    with pytest.raises(MissingScope):
        await put(here, actor=here.member)
    for wrong in ({"name": ""}, {"rhythm": Rhythm.WEEKLY, "day": 8}, {"hour": 24}, {"due_days": -1},
                  {"proposal": {**TASK, "title": ""}}):  # fmt: skip
        with pytest.raises(InvalidTask):
            await put(here, **wrong)
    with pytest.raises(templates.TemplateNotFound):
        await put(here, id=new_id())
    with pytest.raises(templates.TemplateNotFound):
        await here.within(lambda tx: templates.delete_template(tx, here.admin, new_id()))
