"""Queued jobs on a real database: with their transaction, once, again after a failure or a killed worker, held, stopped."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import structlog
from tests.jobs.worker_process import COUNT, QUICK, STEPS, Count, counting

from entrepot.database.pool import Database
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobKind, JobRun, JobState, JobView, Schedule
from entrepot.jobs.performing import LOST, perform
from entrepot.jobs.runner import JobRunner, JobSettings
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.ids import new_id

WAIT_S = 60.0


@pytest.fixture(autouse=True)
def _plain_logs() -> Iterator[None]:
    """Log without rendering tracebacks in colour: that takes seconds each."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
async def _nothing_queued(database: Database) -> None:
    async with database.transaction(None) as tx:
        await tx.execute("delete from pgqueuer")
        await tx.execute("delete from pgqueuer_schedules")


@asynccontextmanager
async def working(
    database: Database,
    handler: Any,
    *,
    kind: JobKind[Any] = COUNT,
    schedules: tuple[Schedule, ...] = (),
    settings: JobSettings = QUICK,
) -> AsyncIterator[JobRunner]:
    """A worker at work in this process."""
    runner = JobRunner(database, {kind: handler}, schedules, settings)
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        runner.stop()
        async with asyncio.timeout(WAIT_S):
            await task


async def start(database: Database, organisation_id: UUID, *, text: str | None = None, steps: int = STEPS) -> UUID:
    async with database.transaction(organisation_id) as tx:
        return await jobs.enqueue(tx, COUNT, Count(steps), actor="Ann", text=text)


async def see(database: Database, organisation_id: UUID, job_id: UUID) -> JobView:
    async with database.transaction(organisation_id) as tx:
        return await jobs.detail(tx, job_id)


async def until(database: Database, organisation_id: UUID, job_id: UUID, is_so: Callable[[JobView], bool]) -> JobView:
    async with asyncio.timeout(WAIT_S):
        while not is_so(view := await see(database, organisation_id, job_id)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return view


async def counted(database: Database, organisation_id: UUID) -> list[int]:
    async with database.transaction(organisation_id) as tx:
        rows = await tx.fetch("select payload from outbox where organisation_id = $1 order by id", organisation_id)
    return [row["payload"] for row in rows]


async def deliveries(database: Database) -> list[tuple[int, str]]:
    async with database.transaction(None) as tx:
        rows = await tx.fetch("select id, status::text as status from pgqueuer order by id")
    return [(row["id"], row["status"]) for row in rows]


async def gone(database: Database) -> None:
    """Wait until no delivery is left."""
    async with asyncio.timeout(WAIT_S):
        while await deliveries(database):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_job_is_there_with_its_transaction_or_not_at_all(database: Database, organisation_id: UUID) -> None:
    with suppress(ZeroDivisionError):
        async with database.transaction(organisation_id) as tx:
            await jobs.enqueue(tx, COUNT, Count(), actor="Ann", text="input")
            raise ZeroDivisionError
    assert await deliveries(database) == []
    async with database.transaction(organisation_id) as tx:
        assert (await jobs.list_jobs(tx)).items == ()
    job_id = await start(database, organisation_id)
    assert [status for _, status in await deliveries(database)] == ["queued"]
    assert (await see(database, organisation_id, job_id)).state is JobState.QUEUED


async def test_a_job_runs_as_its_organisation_tells_how_far_it_is_and_ends_with_a_result(
    database: Database, organisation_id: UUID
) -> None:
    job_id = await start(database, organisation_id)
    other = new_id()
    async with working(database, counting()):
        view = await until(database, organisation_id, job_id, lambda job: job.state is JobState.DONE)
        await gone(database)
    assert (view.done, view.total, view.words, view.result) == (STEPS, STEPS, "6 counted", {"counted": STEPS})
    assert (view.actor, view.title, view.attempts) == ("Ann", "Counting", 0)
    assert view.finished_at is not None
    assert await counted(database, organisation_id) == list(range(STEPS))
    async with database.transaction(other) as tx:
        assert (await jobs.list_jobs(tx)).items == ()
        with pytest.raises(jobs.JobNotFound):
            await jobs.cancel(tx, job_id)


async def test_two_workers_do_a_job_once(database: Database, organisation_id: UUID) -> None:
    ids = [await start(database, organisation_id, steps=3) for _ in range(4)]
    begun: list[UUID] = []

    async def handler(run: JobRun[Count]) -> Mapping[str, Any]:
        begun.append(run.job_id)
        return dict(await counting()(run))

    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(working(database, handler))
        for job_id in ids:
            await until(database, organisation_id, job_id, lambda job: job.state is JobState.DONE)
    assert sorted(begun) == sorted(ids)
    assert sorted(await counted(database, organisation_id)) == sorted([0, 1, 2] * 4)


async def test_a_failing_job_is_tried_again_then_held_then_retried_by_a_person(
    database: Database, organisation_id: UUID
) -> None:
    broken = True
    runs = 0

    async def handler(run: JobRun[Count]) -> Mapping[str, Any]:
        nonlocal runs
        runs += 1
        if broken:
            raise ValueError("no good")
        assert await run.text() == "a file"
        return {}

    job_id = await start(database, organisation_id, text="a file")
    async with working(database, handler):
        view = await until(database, organisation_id, job_id, lambda job: job.state is JobState.HELD)
        assert (view.attempts, view.error, runs) == (COUNT.attempts, "ValueError: no good", COUNT.attempts)
        async with asyncio.timeout(WAIT_S):
            while [status for _, status in await deliveries(database)] != ["failed"]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        async with database.transaction(organisation_id) as tx:
            assert (await jobs.counts(tx))[COUNT.name] == jobs.JobCounts(queued=0, running=0, held=1)
        broken = False
        async with database.transaction(organisation_id) as tx:
            assert (await jobs.retry(tx, job_id)).attempts == 0
            with pytest.raises(jobs.JobNotHeld):
                await jobs.retry(tx, job_id)
        view = await until(database, organisation_id, job_id, lambda job: job.state is JobState.DONE)
        assert view.error == ""
        await gone(database)


async def test_what_is_wrong_with_the_input_is_held_at_once_and_can_be_dismissed(
    database: Database, organisation_id: UUID
) -> None:
    async def handler(run: JobRun[Count]) -> Mapping[str, Any]:
        raise InvalidInput("Row 7 is not a row.")

    job_id = await start(database, organisation_id, text="bad")
    async with working(database, handler):
        view = await until(database, organisation_id, job_id, lambda job: job.state is JobState.HELD)
    assert (view.attempts, view.error) == (1, "Row 7 is not a row.")
    async with database.transaction(organisation_id) as tx:
        assert (await jobs.dismiss(tx, job_id)).state is JobState.DISMISSED
        assert await tx.fetch_value("select count(*) from job_input where organisation_id = $1", organisation_id) == 0
    assert await deliveries(database) == []


async def test_a_job_that_waits_is_cancelled_at_once(database: Database, organisation_id: UUID) -> None:
    job_id = await start(database, organisation_id)
    async with database.transaction(organisation_id) as tx:
        assert (await jobs.cancel(tx, job_id)).state is JobState.CANCELLED
        with pytest.raises(jobs.JobHasEnded):
            await jobs.cancel(tx, job_id)
    assert await deliveries(database) == []


async def test_a_job_that_runs_stops_after_its_step_when_cancelled(database: Database, organisation_id: UUID) -> None:
    async def handler(run: JobRun[Count]) -> Mapping[str, Any]:
        while True:
            async with run.step() as step:
                step.done += 1
            await asyncio.sleep(0)

    job_id = await start(database, organisation_id)
    async with working(database, handler):
        await until(database, organisation_id, job_id, lambda job: job.done > 0)
        async with database.transaction(organisation_id) as tx:
            assert (await jobs.cancel(tx, job_id)).cancel_requested
        await until(database, organisation_id, job_id, lambda job: job.state is JobState.CANCELLED)
        await gone(database)


async def test_a_worker_that_ends_leaves_its_job_to_another(
    database: Database, organisation_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The job itself stops between two steps: it is not cut off.
    monkeypatch.setattr("entrepot.jobs.runner.STOP_WITHIN_S", 2 * WAIT_S)

    async def endless(run: JobRun[Count]) -> Mapping[str, Any]:
        while True:
            async with run.step() as step:
                step.done, step.checkpoint = 2, {"next": 2}
            await asyncio.sleep(0)

    job_id = await start(database, organisation_id)
    async with working(database, endless):
        await until(database, organisation_id, job_id, lambda job: job.done > 0)
    left = await see(database, organisation_id, job_id)
    assert (left.state, left.attempts, left.error) == (JobState.QUEUED, 0, "")
    async with working(database, counting()):
        await until(database, organisation_id, job_id, lambda job: job.state is JobState.DONE)
    assert await counted(database, organisation_id) == [2, 3, 4, 5]


async def test_a_killed_worker_s_job_goes_on_in_another_and_no_step_is_done_twice(
    database: Database, database_url: str, organisation_id: UUID
) -> None:
    job_id = await start(database, organisation_id)
    victim = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.jobs.worker_process", database_url, "3")
    try:
        view = await until(database, organisation_id, job_id, lambda job: job.done == 3)
    finally:
        victim.send_signal(signal.SIGKILL)
        await victim.wait()
    assert view.state is JobState.RUNNING
    async with working(database, counting()):
        view = await until(database, organisation_id, job_id, lambda job: job.state is JobState.DONE)
        await gone(database)
    assert await counted(database, organisation_id) == list(range(STEPS))
    assert view.attempts == 1


async def test_a_worker_that_only_seemed_dead_writes_nothing_more(database: Database, organisation_id: UUID) -> None:
    job_id = await start(database, organisation_id)
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow(run: JobRun[Count]) -> Mapping[str, Any]:
        inside.set()
        await go_on.wait()
        return dict(await counting()(run))

    first = asyncio.create_task(perform(database, COUNT, slow, organisation_id, job_id))
    await inside.wait()
    await perform(database, COUNT, counting(), organisation_id, job_id)
    go_on.set()
    await first
    assert await counted(database, organisation_id) == list(range(STEPS))
    assert (await see(database, organisation_id, job_id)).state is JobState.DONE


async def test_a_job_that_takes_its_workers_with_it_is_held(database: Database, organisation_id: UUID) -> None:
    job_id = await start(database, organisation_id)
    async with database.transaction(organisation_id) as tx:
        await tx.execute(
            "update job set state = 'running', turn = $2, attempts = $3 where organisation_id = $1",
            organisation_id,
            new_id(),
            COUNT.attempts - 1,
        )
    async with working(database, counting()):
        view = await until(database, organisation_id, job_id, lambda job: job.state is JobState.HELD)
    assert view.error == LOST
    assert await counted(database, organisation_id) == []


async def test_a_job_whose_delivery_was_lost_is_delivered_again(database: Database, organisation_id: UUID) -> None:
    job_id = await start(database, organisation_id)
    waiting = await start(database, organisation_id)
    for sql in ("update pgqueuer set status = 'failed' where id = $1", "delete from pgqueuer where id = $1"):
        async with database.transaction(organisation_id) as tx:
            queue_id = await tx.fetch_value(
                "select queue_id from job where organisation_id = $1 and id = $2", organisation_id, job_id
            )
            await tx.execute(sql, queue_id)
            assert await jobs.mend(tx) == 1
            assert await jobs.mend(tx) == 0
    async with working(database, counting()):
        for each in (job_id, waiting):
            await until(database, organisation_id, each, lambda job: job.state is JobState.DONE)
    assert len(await counted(database, organisation_id)) == 2 * STEPS


async def test_a_worker_reconnects_after_its_connection_was_lost(database: Database, organisation_id: UUID) -> None:
    async with working(database, counting()):
        first = await start(database, organisation_id)
        await until(database, organisation_id, first, lambda job: job.state is JobState.DONE)
        killer = await asyncpg.connect(database.url)
        ended = await killer.fetch(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'entrepot jobs' and datname = current_database()"
        )
        await killer.close()
        assert len(ended) == 1
        second = await start(database, organisation_id)
        await until(database, organisation_id, second, lambda job: job.state is JobState.DONE)


async def test_an_organisation_with_many_jobs_does_not_keep_others_waiting(
    database: Database, organisation_id: UUID
) -> None:
    other = new_id()
    async with database.transaction(None) as tx:
        await tx.execute("insert into organisation (id, name) values ($1, 'Other')", other)
    many = [await start(database, organisation_id) for _ in range(3)]
    late = await start(database, other)
    async with database.transaction(None) as tx:
        rows = await tx.fetch("select convert_from(payload, 'utf8') as p from pgqueuer order by priority desc, id")
    order = [next(str(each) for each in (*many, late) if str(each) in row["p"]) for row in rows]
    assert order == [str(many[0]), str(late), str(many[1]), str(many[2])]


async def test_scheduled_work_is_done_by_one_of_two_workers(database: Database, organisation_id: UUID) -> None:
    acted: list[str] = []

    def schedule(worker: str) -> tuple[Schedule, ...]:
        async def act() -> None:
            acted.append(worker)

        async def bad() -> None:
            raise ValueError("broken")

        return (Schedule("every-year", "0 0 1 1 *", act), Schedule("broken", "0 0 1 1 *", bad))

    # As if the last run were missed: all were down over new year.
    async with database.transaction(None) as tx:
        for name in ("every-year", "broken"):
            await tx.execute(
                "insert into pgqueuer_schedules (expression, entrypoint, next_run)"
                " values ('0 0 1 1 *', $1, now() - interval '1 hour')",
                name,
            )
    async with AsyncExitStack() as stack:
        for worker in "ab":
            await stack.enter_async_context(working(database, counting(), schedules=schedule(worker)))
        job_id = await start(database, organisation_id)
        await until(database, organisation_id, job_id, lambda job: job.state is JobState.DONE)
        async with asyncio.timeout(WAIT_S):
            while True:
                async with database.transaction(organisation_id) as tx:
                    views = await jobs.schedule_views(tx)
                if all(view.last_run_at for view in views):
                    break
                await asyncio.sleep(0.02)
    assert len(acted) == 1
    assert [(view.name, view.cron) for view in views] == [("broken", "0 0 1 1 *"), ("every-year", "0 0 1 1 *")]
    assert all(view.next_run_at > utc_now() for view in views)


async def test_ended_jobs_are_forgotten_after_a_month_and_held_ones_are_not(
    database: Database, organisation_id: UUID
) -> None:
    ended, held = await start(database, organisation_id), await start(database, organisation_id)
    async with database.transaction(organisation_id) as tx:
        await jobs.cancel(tx, ended)
        await tx.execute("update job set state = 'held' where organisation_id = $1 and id = $2", organisation_id, held)
        assert await jobs.forget_ended(tx, utc_now() + timedelta(days=29)) == 0
        assert await jobs.forget_ended(tx, utc_now() + timedelta(days=31)) == 1
        assert [job.id for job in await jobs.list_jobs(tx)] == [held]
        assert [job.id for job in await jobs.unfinished(tx)] == [held]
