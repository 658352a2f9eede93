"""Lanes over two workers on one database: one at a time, taken over after a loss, woken by hints, backing off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from uuid import UUID

import asyncpg
import pytest

from entrepot.database.pool import Database
from entrepot.jobs.hints import HintSender
from entrepot.jobs.lanes import LaneKey, LaneRunner, Rest, Step
from entrepot.kernel.ids import new_id

WAIT_S = 30.0


async def nothing_due(organisation_id: UUID) -> set[LaneKey]:
    return set()


@asynccontextmanager
async def running(
    database: Database, steps: Mapping[str, Step], due: Callable[[UUID], Awaitable[set[LaneKey]]] = nothing_due
) -> AsyncIterator[LaneRunner]:
    """A runner at work; connected when this begins."""
    runner = LaneRunner(database, steps, due)
    task = asyncio.create_task(runner.run())
    try:
        await until(lambda: runner._lock_connection is not None)
        yield runner
    finally:
        runner.stop()
        await task


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Lane:
    """A step that notes who is in it; a worker with a gate stays inside until it opens."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.most = 0
        self.entered: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}

    def step(self, worker: str) -> Step:
        async def step(key: LaneKey) -> float | None:
            self.inside.append(worker)
            self.entered.append(worker)
            self.most = max(self.most, len(self.inside))
            try:
                await asyncio.sleep(0)
                if worker in self.gates:
                    await self.gates[worker].wait()
            finally:
                self.inside.remove(worker)
            return None

        return step


async def test_two_workers_never_run_one_lane_at_once(database: Database, organisation_id: UUID) -> None:
    lane, key = Lane(), LaneKey("work", organisation_id, organisation_id)
    async with AsyncExitStack() as stack:
        runners = [await stack.enter_async_context(running(database, {"work": lane.step(n)})) for n in "ab"]
        for _ in range(60):
            for runner in runners:
                runner.wake(key)
            await asyncio.sleep(0.002)
        await until(lambda: len(lane.entered) >= 5)
    assert lane.most == 1


async def test_another_worker_takes_over_when_the_locks_are_lost(
    database: Database, database_url: str, organisation_id: UUID
) -> None:
    lane, key = Lane(), LaneKey("work", organisation_id, organisation_id)
    lane.gates["a"] = asyncio.Event()
    async with (
        running(database, {"work": lane.step("a")}) as first,
        running(database, {"work": lane.step("b")}) as second,
    ):
        first.wake(key)
        await until(lambda: lane.inside == ["a"])
        second.wake(key)
        await until(lambda: second._states[key].task is None)
        assert lane.entered == ["a"]
        assert first._lock_connection is not None
        killer = await asyncpg.connect(database_url)
        await killer.execute("select pg_terminate_backend($1)", first._lock_connection.get_server_pid())
        await killer.close()
        await until(lambda: "a" not in lane.inside)
        second.wake(key)
        await until(lambda: "b" in lane.entered and not lane.inside)
        lane.gates.clear()
        await until(lambda: first._lock_connection is not None)
        first.wake(key)
        await until(lambda: lane.entered[-1] == "a" and not lane.inside)
    assert lane.most == 1


async def test_a_lost_connection_ends_what_ran_under_its_locks_at_once(
    database: Database, organisation_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entrepot.jobs.lanes.SWEEP_S", 2 * WAIT_S)
    lane, key = Lane(), LaneKey("work", organisation_id, organisation_id)
    lane.gates["a"] = asyncio.Event()
    async with running(database, {"work": lane.step("a")}) as runner:
        runner.wake(key)
        await until(lambda: lane.inside == ["a"])
        assert runner._lock_connection is not None
        runner._lock_connection.terminate()
        await until(lambda: not lane.inside)


async def test_a_hint_after_a_commit_wakes_the_lane_and_a_rolled_back_one_does_not(
    database: Database, organisation_id: UUID
) -> None:
    seen: list[LaneKey] = []

    async def step(key: LaneKey) -> float | None:
        seen.append(key)
        return None

    subject = UUID(int=9)
    async with HintSender(database), running(database, {"work": step}):
        with suppress(ZeroDivisionError):
            async with database.transaction(organisation_id) as tx:
                tx.hint("work")
                raise ZeroDivisionError
        async with database.transaction(organisation_id) as tx:
            tx.hint("unknown")
            tx.hint(f"work:{subject}")
        await until(lambda: bool(seen))
    assert seen == [LaneKey("work", organisation_id, subject)]


async def test_what_is_due_is_found_without_a_hint(database: Database, organisation_id: UUID) -> None:
    key = LaneKey("work", organisation_id, organisation_id)
    seen: list[LaneKey] = []

    async def step(key: LaneKey) -> float | None:
        seen.append(key)
        return None

    async def due(organisation: UUID) -> set[LaneKey]:
        return {key} if organisation == organisation_id and not seen else set()

    async with running(database, {"work": step}, due):
        await until(lambda: seen == [key])


async def test_a_failing_step_backs_off_and_does_not_stop_others(database: Database, organisation_id: UUID) -> None:
    calls = {"bad": 0, "good": 0}

    async def bad(key: LaneKey) -> float | None:
        calls["bad"] += 1
        if calls["bad"] < 3:
            raise ValueError("broken")
        return None

    async def good(key: LaneKey) -> float | None:
        calls["good"] += 1
        return 0.0 if calls["good"] < 200 else None

    async with running(database, {"bad": bad, "good": good}) as runner:
        key = LaneKey("bad", organisation_id, organisation_id)
        runner.wake(key)
        await until(lambda: calls["bad"] == 1)
        assert runner._states[key].not_before > 0
        for _ in range(50):
            runner.wake(key)
        runner.wake(LaneKey("good", organisation_id, organisation_id))
        await until(lambda: calls["good"] == 200)
        await until(lambda: calls["bad"] == 3 and runner._states[key].task is None)
        assert runner._states[key].failures == 0


async def test_a_wait_that_a_step_asks_for_is_kept_and_a_wake_cuts_it_short(
    database: Database, organisation_id: UUID
) -> None:
    calls = 0
    answers = [0.01, 2 * WAIT_S, None]

    async def step(key: LaneKey) -> float | None:
        nonlocal calls
        calls += 1
        return answers[calls - 1]

    key = LaneKey("work", organisation_id, organisation_id)
    async with running(database, {"work": step}) as runner:
        runner.wake(key)
        await until(lambda: calls == 2 and runner._states[key].task is None)
        runner.wake(key)
        await until(lambda: calls == 3)


async def test_no_wake_cuts_a_rest_short(database: Database, organisation_id: UUID) -> None:
    calls: list[float] = []

    async def step(key: LaneKey) -> float | None:
        calls.append(time.monotonic())
        runner.wake(key)
        return Rest(0.4) if len(calls) == 1 else None

    key = LaneKey("work", organisation_id, organisation_id)
    async with running(database, {"work": step}) as runner:
        runner.wake(key)
        await until(lambda: len(calls) == 1 and runner._states[key].task is None)
        runner.wake(key)
        await until(lambda: len(calls) >= 2)
    assert calls[1] - calls[0] >= 0.4


async def test_a_wake_during_a_step_is_not_lost(database: Database, organisation_id: UUID) -> None:
    calls, gate = 0, asyncio.Event()

    async def step(key: LaneKey) -> float | None:
        nonlocal calls
        calls += 1
        await gate.wait()
        return None

    key = LaneKey("work", organisation_id, organisation_id)
    async with running(database, {"work": step}) as runner:
        runner.wake(key)
        await until(lambda: calls == 1)
        runner.wake(key)
        gate.set()
        await until(lambda: calls == 2)


def test_lanes_have_locks_of_their_own() -> None:
    a, b = UUID(int=1), UUID(int=2)
    keys = [LaneKey(kind, o, s) for kind in ("pull", "push") for o in (a, b) for s in (a, b)]
    locks = {key.lock_id for key in keys}
    assert len(locks) == len(keys)
    assert all(0 <= lock < 2**63 for lock in locks)


async def test_kinds_of_lanes_behind_a_gate_go_one_at_a_time_and_others_do_not_wait(
    database: Database, organisation_id: UUID
) -> None:
    slow, quick, opened = Lane(), Lane(), asyncio.Event()
    slow.gates["one"] = opened
    gate = asyncio.Semaphore(1)
    keys = [LaneKey("pull", organisation_id, UUID(int=number)) for number in range(3)]
    runner = LaneRunner(
        database, {"pull": slow.step("one"), "push": quick.step("one")}, nothing_due, gates={"pull": gate}
    )
    task = asyncio.create_task(runner.run())
    try:
        await until(lambda: runner._lock_connection is not None)
        for key in keys:
            runner.wake(key)
        await until(lambda: len(slow.inside) == 1)
        runner.wake(LaneKey("push", organisation_id, keys[0].subject))
        await until(lambda: quick.entered != [])
        held = await database.pool.fetchval(
            "select count(*) from pg_locks where locktype = 'advisory' and (classid::bigint << 32 | objid::bigint) = any($1)",
            [key.lock_id for key in keys],
        )
        assert held == 1, "those that wait hold no lane, so that another worker may take it"
        opened.set()
        await until(lambda: len(slow.entered) == 3)
        assert slow.most == 1
    finally:
        opened.set()
        runner.stop()
        await task


async def test_an_organisation_that_cannot_be_looked_at_does_not_stop_the_others(
    database: Database, organisation_id: UUID
) -> None:
    """Nor does it take its lanes from a worker: what was under way goes on."""
    lane, key = Lane(), LaneKey("work", organisation_id, organisation_id)
    looked: list[UUID] = []

    async def due(organisation: UUID) -> set[LaneKey]:
        looked.append(organisation)
        if organisation != organisation_id:
            raise asyncpg.QueryCanceledError("canceling statement due to statement timeout")
        return {key}

    other = new_id()
    await database.pool.execute("insert into organisation (id, name) values ($1, 'Other')", other)
    try:
        async with running(database, {"work": lane.step("a")}, due) as runner:
            held = runner._lock_connection
            await until(lambda: looked.count(organisation_id) >= 2 and looked.count(other) >= 2)
            assert runner._lock_connection is held
        assert lane.entered
    finally:
        await database.pool.execute("delete from organisation where id = $1", other)
