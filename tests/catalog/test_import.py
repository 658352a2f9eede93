"""A product file into the catalog and the stock, once and again, at once and as a job of a worker that is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.orders.support import ingest, line, lines_of, make_connection, order

from entrepot.catalog.csv_format import UnknownFormat
from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobState
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.sync import importing
from entrepot.sync.importing import PRODUCT_IMPORT, import_products, look, report_of, take_in

TEXT = "sku,title,price,stock\nA,Cup,4.50,7\nB,Saucer,2,\nC,Spoon,bad,1\n"


async def everything(database: Database, organisation_id: UUID) -> list[Any]:
    async with database.transaction(organisation_id) as tx:
        assert await stock.verify(tx) == []
        statements = (
            "select id, handle, title, status from product where organisation_id = $1 order by id",
            "select id, sku, price_minor, title from variant where organisation_id = $1 order by id",
            "select variant_id, on_hand, reserved from stock_level where organisation_id = $1 order by variant_id",
            "select count(*) from stock_movement where organisation_id = $1",
        )
        return [[tuple(row) for row in await tx.fetch(sql, organisation_id)] for sql in statements]


async def load(database: Database, organisation_id: UUID, text: str = TEXT, *, dry_run: bool = False) -> Any:
    if dry_run:
        return await look(database, organisation_id, text, currency="EUR")
    job = await take_in(database, identity.system_actor(organisation_id), text, currency="EUR")
    assert job.state is JobState.DONE
    return report_of(job)


async def test_the_same_file_twice_changes_nothing(database: Database, organisation_id: UUID) -> None:
    first = await load(database, organisation_id)
    assert (first.created, first.updated, first.stock_set, len(first.problems)) == (2, 0, 1, 1)
    before = await everything(database, organisation_id)
    assert [row[1] for row in before[2]] == [7]
    again = await load(database, organisation_id)
    assert (again.created, again.updated, again.stock_set) == (0, 2, 0)
    assert await everything(database, organisation_id) == before


async def test_a_dry_run_tells_and_does_nothing(database: Database, organisation_id: UUID) -> None:
    told = await load(database, organisation_id, dry_run=True)
    assert (told.created, told.stock_set, told.dry_run) == (2, 1, True)
    assert await everything(database, organisation_id) == [[], [], [], [(0,)]]


async def test_an_old_file_does_not_overwrite_a_count_but_updates_the_price(
    database: Database, organisation_id: UUID
) -> None:
    await load(database, organisation_id)
    await load(database, organisation_id, TEXT.replace("4.50,7", "5.00,99"))
    _, variants, levels, _ = await everything(database, organisation_id)
    assert {row[1]: row[2] for row in variants} == {"A": 500, "B": 200}
    assert [row[1] for row in levels] == [7]


async def test_an_order_that_waited_for_a_sku_is_claimed_by_the_import(
    database: Database, organisation_id: UUID
) -> None:
    connection = await make_connection(database, organisation_id)
    await ingest(database, organisation_id, connection, order("1", 1, [line("A", 2)]))
    await load(database, organisation_id)
    assert await lines_of(database, organisation_id, "1") == {"A": (2, 0, 0, 2, 0)}


async def test_listings_that_waited_for_a_sku_are_matched_by_the_import(
    database: Database, organisation_id: UUID
) -> None:
    connection = await make_connection(database, organisation_id)
    async with database.transaction(organisation_id) as tx:
        for sku in ("A", "Z"):
            await tx.execute(
                "insert into listing (organisation_id, id, connection_id, external_id, sku, seen_at)"
                " values ($1, gen_random_uuid(), $2, $3, $3, now())",
                organisation_id,
                connection,
                sku,
            )
    await load(database, organisation_id)
    async with database.transaction(organisation_id) as tx:
        matched = await tx.fetch(
            "select sku from listing where organisation_id = $1 and variant_id is not null", organisation_id
        )
    assert [row[0] for row in matched] == ["A"]


def many(count: int) -> str:
    return (
        "sku,title,price,stock\n" + "".join(f"S{n:05},Thing {n},1.50,{n % 9}\n" for n in range(count)) + "X,X,bad,1\n"
    )


async def deliveries(database: Database) -> int:
    async with database.transaction(None) as tx:
        return int(await tx.fetch_value("select count(*) from pgqueuer where entrypoint = $1", PRODUCT_IMPORT.name))


async def test_a_small_file_is_a_job_like_any_other_and_done_at_once(database: Database, organisation_id: UUID) -> None:
    waiting = await deliveries(database)
    actor = identity.system_actor(organisation_id, "Ann")
    job = await take_in(database, actor, TEXT, currency="EUR", name="goods.csv")
    assert (job.state, job.title, job.actor) == (JobState.DONE, "Product import, goods.csv", "Ann")
    assert (job.done, job.total, job.words) == (2, 2, "2 of 2 products")
    report = report_of(job)
    assert (report.rows, report.problem_count, report.problems[0].row) == (3, 1, 4)
    assert await deliveries(database) == waiting
    async with database.transaction(organisation_id) as tx:
        assert await tx.fetch_value("select count(*) from job_input where organisation_id = $1", organisation_id) == 0
        assert (await identity.list_audit(tx, action="product.import"))[0].subject_id == str(job.id)


async def test_a_file_that_is_no_product_file_leaves_nothing(database: Database, organisation_id: UUID) -> None:
    for text, here in (("a,b\n1,2\n", True), ("a,b\n1,2\n", False), (TEXT + "x" * 200_000, True)):
        with pytest.raises(UnknownFormat):
            await take_in(database, identity.system_actor(organisation_id), text, currency="EUR", here=here)
    async with database.transaction(organisation_id) as tx:
        assert (await jobs.list_jobs(tx)).items == ()


async def test_a_sku_that_is_too_long_is_a_problem_of_its_row(database: Database, organisation_id: UUID) -> None:
    report = await load(database, organisation_id, TEXT + "S" * 201 + ",Long,1,1\n")
    assert (report.created, [problem.row for problem in report.problems]) == (2, [4, 5])


async def test_an_import_that_is_stopped_keeps_what_it_did_and_the_same_file_does_the_rest(
    database: Database, organisation_id: UUID
) -> None:
    rest_of_it = 15
    actor, text = identity.system_actor(organisation_id), many(importing.CHUNK + rest_of_it)
    async with database.transaction(organisation_id) as tx:
        job_id = await importing.start_import(tx, actor, text, currency="EUR")

    async def cancel_after_the_first(run: Any) -> Any:
        original = run.text

        async def text_then_cancel() -> str:
            async with database.transaction(organisation_id) as tx:
                await jobs.cancel(tx, job_id)
            found: str = await original()
            return found

        run.text = text_then_cancel
        return await import_products(run)

    await jobs.perform(database, PRODUCT_IMPORT, cancel_after_the_first, organisation_id, job_id)
    async with database.transaction(organisation_id) as tx:
        job = await jobs.detail(tx, job_id)
    assert (job.state, job.done, report_of(job).created) == (JobState.CANCELLED, importing.CHUNK, importing.CHUNK)
    rest = await load(database, organisation_id, text)
    assert (rest.created, rest.updated) == (rest_of_it, importing.CHUNK)


async def start_worker(database_url: str, folder: Path) -> asyncio.subprocess.Process:
    """Start the worker program as it is run in production."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "entrepot", "worker",
        env={**os.environ, "DATABASE_URL": database_url, "ENTREPOT_DATA_DIR": str(folder),
             "ENTREPOT_JOBS_HEARTBEAT_TIMEOUT": "1s"},
    )  # fmt: skip


async def test_an_import_goes_on_where_a_killed_worker_left_it(
    database: Database, database_url: str, organisation_id: UUID, tmp_path: Path
) -> None:
    count = 3000
    actor = identity.system_actor(organisation_id)
    job = await take_in(database, actor, many(count), currency="EUR", here=False)
    assert (job.state, job.done) == (JobState.QUEUED, 0)

    async def see() -> Any:
        async with database.transaction(organisation_id) as tx:
            return await jobs.detail(tx, job.id)

    worker = await start_worker(database_url, tmp_path)
    try:
        with suppress(ZeroDivisionError):
            async with database.transaction(organisation_id) as tx:
                # The worker comes to wait in the middle of its third step, behind a product that is never there.
                await tx.execute(
                    "insert into product (organisation_id, id, handle, title) values ($1, $2, 's01200', 'T')",
                    organisation_id,
                    new_id(),
                )
                async with asyncio.timeout(120):
                    while (seen := await see()).done < 1000:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                worker.send_signal(signal.SIGKILL)
                await worker.wait()
                raise ZeroDivisionError
        assert ((await see()).state, seen.done) == (JobState.RUNNING, 1000)
        worker = await start_worker(database_url, tmp_path)
        async with asyncio.timeout(120):
            while (seen := await see()).is_open:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    finally:
        if worker.returncode is None:
            worker.send_signal(signal.SIGTERM)
            await worker.wait()
    report = report_of(seen)
    assert (seen.state, seen.attempts, seen.done) == (JobState.DONE, 1, count)
    assert (report.created, report.updated, report.stock_set, report.problem_count) == (count, 0, count, 1)
    products, variants, levels, movements = await everything(database, organisation_id)
    assert (len(products), len(variants)) == (count, count)
    assert sum(row[1] for row in levels) == sum(n % 9 for n in range(count))
    assert movements == [(sum(n % 9 > 0 for n in range(count)),)]
