"""A product file into the catalog and the stock, once and again, at once and as a job of a worker that is killed."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.jobs.held import THE_JOB, HeldStep
from tests.orders.support import ingest, line, lines_of, make_connection, order

from entrepot.catalog.files.contracts import UnknownFormat
from entrepot.catalog.filters import ProductFilter
from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobState
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.sync import importing
from entrepot.sync.importing import (
    PRODUCT_IMPORT,
    ImportDetail,
    ImportIsBusy,
    ImportIsOver,
    ImportNotFound,
    ImportOptions,
    Stage,
    import_products,
    take_in,
)
from entrepot.sync.importing.working import PART, READ_PART

TEXT = "sku,title,price,stock\nA,Cup,4.50,7\nB,Saucer,2,\nC,Spoon,bad,1\n"
DATA = Path(os.environ.get("ENTREPOT_DATA", "../shared/data")) / "shopify_product_csv"
EUR = ImportOptions("EUR")


async def everything(database: Database, organisation_id: UUID) -> list[Any]:
    """Return all that an import may touch, with the times of change."""
    async with database.transaction(organisation_id) as tx:
        assert await stock.verify(tx) == []
        statements = (
            "select to_jsonb(p) from product p where organisation_id = $1 order by id",
            "select to_jsonb(v) from variant v where organisation_id = $1 order by id",
            "select variant_id, on_hand, reserved from stock_level where organisation_id = $1 order by variant_id",
            "select count(*) from stock_movement where organisation_id = $1",
            "select count(*) from outbox where organisation_id = $1",
            "select to_jsonb(c) from collection_product c where organisation_id = $1 order by product_id, collection_id",
            "select to_jsonb(c) from category c where organisation_id = $1 order by id",
        )
        return [[tuple(row) for row in await tx.fetch(sql, organisation_id)] for sql in statements]


async def load(
    database: Database,
    organisation_id: UUID,
    text: str | bytes = TEXT,
    *,
    apply: bool = True,
    options: ImportOptions = EUR,
) -> ImportDetail:
    actor = identity.system_actor(organisation_id)
    found = await take_in(database, actor, text, options, apply=apply, here=True)
    assert found.job is not None
    assert found.job.state is JobState.DONE
    assert found.stage is (Stage.APPLIED if apply else Stage.LOOKED)
    return found


async def problems(database: Database, organisation_id: UUID, found: ImportDetail) -> list[Any]:
    async with database.transaction(organisation_id) as tx:
        return await importing.problems_of(tx, found.id, 10_000)


async def changes(database: Database, organisation_id: UUID, found: ImportDetail) -> list[Any]:
    async with database.transaction(organisation_id) as tx:
        listed = await importing.changed_products(tx, found.id, 0, 1_000)
    return [(each.outcome, each.handle, each.changes) for each in listed]


async def test_the_same_file_twice_changes_nothing(database: Database, organisation_id: UUID) -> None:
    first = (await load(database, organisation_id)).counts
    assert (first.variants_new, first.variants_changed, first.stock_set, first.problems) == (2, 0, 1, 1)
    before = await everything(database, organisation_id)
    assert [row[1] for row in before[2]] == [7]
    again = (await load(database, organisation_id)).counts
    assert (again.new, again.changed, again.unchanged, again.stock_set) == (0, 0, 2, 0)
    assert await everything(database, organisation_id) == before


async def test_a_dry_run_tells_and_does_nothing_and_may_then_be_done(database: Database, organisation_id: UUID) -> None:
    told = await load(database, organisation_id, apply=False)
    assert (told.counts.new, told.counts.variants_new, told.counts.stock_set) == (2, 2, 1)
    assert [len(rows) for rows in await everything(database, organisation_id)] == [0, 0, 0, 1, 1, 0, 0]
    actor = identity.system_actor(organisation_id)
    async with database.transaction(organisation_id) as tx:
        going = await importing.go_on(tx, actor, told.id, apply=True)
        with pytest.raises(ImportIsBusy):
            await importing.go_on(tx, actor, told.id, apply=True)
    assert going.job is not None
    await jobs.perform(database, PRODUCT_IMPORT, import_products, organisation_id, going.job.id)
    async with database.transaction(organisation_id) as tx:
        done = await importing.import_detail(tx, told.id)
        with pytest.raises(ImportIsOver):
            await importing.go_on(tx, actor, told.id, apply=True)
        with pytest.raises(ImportNotFound):
            await importing.go_on(tx, actor, new_id(), apply=True)
        entries = await identity.list_audit(tx, action="product.import")
    assert (done.stage, done.counts.variants_new) == (Stage.APPLIED, 2)
    assert [(e.subject_id, e.after["new"], e.after["problems_read"]) for e in entries] == [(str(told.id), 2, 1)]


async def test_what_is_changed_is_told_field_by_field(database: Database, organisation_id: UUID) -> None:
    head = "sku,title,price,compare_at_price,tags,images,attribute:Material,category,collections\n"
    await load(database, organisation_id, head + 'A,Cup,4.50,,"old, good",https://x/1.png,Steel,Home > Cups,Sale\n')
    found = await load(
        database, organisation_id,
        head + 'A,Big cup,5,6.5,good,https://x/1.png One,,Home > Mugs,New\nB,Mug,1,,,,,,\n', apply=False,
    )  # fmt: skip
    assert await changes(database, organisation_id, found) == [
        (
            "changed", "a", (
                ("", "title", "Cup", "Big cup"),
                ("", "tags", "old, good", "good"),
                ("", "images", "https://x/1.png", "https://x/1.png (One)"),
                ("", "attributes", "Material: Steel", ""),
                ("", "category", "Home, Cups", "Home, Mugs"),
                ("", "collections", "Sale", "Sale, New"),
                ("A", "price", "4.50 EUR", "5.00 EUR"),
                ("A", "compare-at", "", "6.50 EUR"),
            ),
        ),
        ("new", "b", ()),
    ]  # fmt: skip


async def test_a_column_that_is_missing_leaves_its_field_and_an_empty_one_empties_it(
    database: Database, organisation_id: UUID
) -> None:
    await load(database, organisation_id, "sku,title,price,cost,barcode,vendor\nA,Cup,4.50,2,123,Us\n")
    found = await load(database, organisation_id, "sku,price\nA,5\n")
    assert [c for _, _, c in await changes(database, organisation_id, found)] == [
        (("A", "price", "4.50 EUR", "5.00 EUR"),)
    ]
    found = await load(database, organisation_id, "sku,cost,vendor\nA,,\n")
    assert [c for _, _, c in await changes(database, organisation_id, found)] == [
        (("", "vendor", "Us", ""), ("A", "cost", "2.00 EUR", ""))
    ]
    new = await load(database, organisation_id, "sku,cost\nA,1\nN,1\n")
    assert [(p.row, p.column) for p in await problems(database, organisation_id, new)] == [(3, "price")]
    assert (new.counts.refused, new.counts.changed) == (1, 1)


async def test_an_old_file_does_not_overwrite_a_count_unless_that_is_asked_for(
    database: Database, organisation_id: UUID
) -> None:
    await load(database, organisation_id)
    text = TEXT.replace("4.50,7", "5.00,99")
    await load(database, organisation_id, text)
    _, variants, levels, *_ = await everything(database, organisation_id)
    assert {row[0]["sku"]: row[0]["price_minor"] for row in variants} == {"A": 500, "B": 200}
    assert [row[1] for row in levels] == [7]
    looked = await load(database, organisation_id, text, apply=False, options=ImportOptions("EUR", stock="set"))
    assert [c for _, _, c in await changes(database, organisation_id, looked)] == [(("A", "stock", "7", "99"),)]
    counted = await load(database, organisation_id, text, options=ImportOptions("EUR", stock="set"))
    assert (counted.counts.stock_set, counted.counts.changed) == (1, 1)
    before = await everything(database, organisation_id)
    assert [row[1] for row in before[2]] == [99]
    async with database.transaction(organisation_id) as tx:
        last = await tx.fetch_row(
            "select kind, reason, actor from stock_movement where organisation_id = $1 order by id desc limit 1",
            organisation_id,
        )
    assert last is not None
    assert tuple(last)[:2] == ("count", "product file")
    await load(database, organisation_id, text, options=ImportOptions("EUR", stock="set"))
    assert await everything(database, organisation_id) == before
    left = await load(
        database, organisation_id, "sku,title,price,stock\nZ,Z,1,5\n", options=ImportOptions("EUR", stock="leave")
    )
    assert left.counts.stock_set == 0


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
    found = await load(database, organisation_id)
    async with database.transaction(organisation_id) as tx:
        matched = await tx.fetch(
            "select sku from listing where organisation_id = $1 and variant_id is not null", organisation_id
        )
        told = await tx.fetch(
            "select 1 from outbox where organisation_id = $1 and topic = 'catalog.listings_matched'", organisation_id
        )
    assert ([row[0] for row in matched], found.counts.listings_matched, len(told)) == (["A"], 1, 1)


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
    found = await take_in(database, actor, TEXT, EUR, name="goods.csv")
    job = found.job
    assert job is not None
    assert (job.state, job.title, job.actor) == (JobState.DONE, "Product import, goods.csv", "Ann")
    assert (job.done, job.total, job.words) == (2, 2, "2 of 2 products")
    assert (found.counts.rows, found.counts.problems, found.look.format) == (3, 1, "simple")
    assert await deliveries(database) == waiting
    async with database.transaction(organisation_id) as tx:
        by_job = await importing.import_detail(tx, job.id)
        [listed] = (await importing.list_imports(tx)).items
    assert (by_job.id, listed.id, listed.state) == (found.id, found.id, "done")


async def test_a_file_that_is_no_product_file_leaves_nothing(database: Database, organisation_id: UUID) -> None:
    for text, here in (("a,b\n1,2\n", True), ("a,b\n1,2\n", False), (TEXT + "x" * 200_000, True), ("", True)):
        with pytest.raises(UnknownFormat):
            await take_in(database, identity.system_actor(organisation_id), text, EUR, here=here)
    async with database.transaction(organisation_id) as tx:
        assert (await jobs.list_jobs(tx)).items == ()
        assert len(await importing.list_imports(tx)) == 0


async def test_a_file_that_breaks_off_is_refused_as_a_whole(database: Database, organisation_id: UUID) -> None:
    actor = identity.system_actor(organisation_id)
    found = await take_in(database, actor, TEXT + "x" * 200_000, EUR, here=False)
    assert found.job is not None
    await jobs.perform(database, PRODUCT_IMPORT, import_products, organisation_id, found.job.id)
    async with database.transaction(organisation_id) as tx:
        seen = await importing.import_detail(tx, found.id)
    assert (seen.stage, seen.state) == (Stage.REFUSED, "refused")
    assert "after row" in seen.error
    assert [len(rows) for rows in (await everything(database, organisation_id))[:3]] == [0, 0, 0]


async def texts(parts: Any) -> str:
    return "".join([part async for part in parts])


async def test_problems_and_changes_are_files_and_bad_rows_are_mended_and_sent_alone(
    database: Database, organisation_id: UUID
) -> None:
    text = (
        "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src\n"
        "cup,Cup,Size,S,C-S,1,https://x/1.png\ncup,,,M,C-M,what,\nmug,Mug,Title,Default Title,M,2,\n"
    )
    found = await load(database, organisation_id, text)
    arguments = (database, organisation_id, found.id)
    assert await texts(importing.problems_csv(*arguments)) == (
        "row,sku,column,value,problem,how to mend it\r\n"
        "3,C-M,price,what,The price 'what' is not an amount.,\"Write a number such as 12.50, 0 or more.\"\r\n"
    )
    assert await texts(importing.changes_csv(*arguments)) == (
        "product,title,outcome,sku,field,before,after\r\ncup,Cup,new,,,,\r\nmug,Mug,new,,,,\r\n"
    )
    rows = await texts(importing.rows_csv(*arguments))
    assert rows.splitlines()[1].startswith("cup,,,M,C-M,what,,3,")
    mended = await load(database, organisation_id, rows.replace("what,", "3,", 1))
    assert (mended.counts.problems, mended.counts.variants_new) == (0, 1)
    assert await changes(database, organisation_id, mended) == [
        ("changed", "cup", (("C-M", "variant", "", "3.00 EUR"),))
    ]
    assert (await load(database, organisation_id, text.replace("what", "3"))).counts.changed == 0


async def test_two_imports_of_the_same_file_at_the_same_time_make_it_once(
    database: Database, organisation_id: UUID
) -> None:
    count = 2 * PART + 60
    found = await asyncio.gather(*(load(database, organisation_id, many(count)) for _ in range(3)))
    assert sum(each.counts.new for each in found) == count
    assert sum(each.counts.variants_new for each in found) == count
    products, variants, levels, *_ = await everything(database, organisation_id)
    assert (len(products), len(variants)) == (count, count)
    assert sum(row[1] for row in levels) == sum(n % 9 for n in range(count))


async def test_an_edit_during_an_import_is_not_lost(database: Database, organisation_id: UUID) -> None:
    await load(database, organisation_id, "sku,title,price,vendor\nA,Cup,1,Us\n")
    async with database.transaction(organisation_id) as tx:
        await tx.execute("update product set vendor = 'Them' where organisation_id = $1", organisation_id)
        going = asyncio.create_task(load(database, organisation_id, "sku,title,price\nA,Mug,1\n"))
        await asyncio.sleep(0.5)
        assert not going.done()
    await going
    [row] = (await everything(database, organisation_id))[0]
    assert (row[0]["title"], row[0]["vendor"]) == ("Mug", "Them")


THE_PRODUCT = "insert into product (organisation_id, id, handle, title) values (%s, %s, %s, 'T')"
"""Not committed: an import that comes to a product of that handle waits for what becomes of this one."""


async def test_an_import_that_is_stopped_keeps_what_it_did_and_goes_on(
    database: Database, database_url: str, organisation_id: UUID
) -> None:
    actor, count = identity.system_actor(organisation_id), PART + 25
    found = await take_in(database, actor, many(count), EUR, here=False)
    assert found.job is not None
    # Its first step reads the file, its second finds the end, its third begins to compare, its fourth changes a part.
    held = HeldStep(database_url, organisation_id, 4, THE_PRODUCT, organisation_id, new_id(), "s00005")
    going = asyncio.create_task(
        jobs.perform(database, PRODUCT_IMPORT, import_products, organisation_id, found.job.id, stopping=held)
    )
    await held.waits()
    async with database.transaction(organisation_id) as tx:
        await importing.stop(tx, actor, found.id)
    held.release()
    await going
    async with database.transaction(organisation_id) as tx:
        seen = await importing.import_detail(tx, found.id)
        assert (seen.state, seen.stage, seen.counts.new, seen.position) == ("stopped", Stage.APPLYING, PART, PART)
        again = await importing.go_on(tx, actor, found.id, apply=True)
    assert again.job is not None
    await jobs.perform(database, PRODUCT_IMPORT, import_products, organisation_id, again.job.id)
    async with database.transaction(organisation_id) as tx:
        done = await importing.import_detail(tx, found.id)
    assert (done.stage, done.counts.new, done.counts.unchanged) == (Stage.APPLIED, count, 0)
    assert done.counts.stock_set == count


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
    begun = await take_in(database, actor, many(count), EUR, here=False)
    assert begun.job is not None
    assert (begun.job.state, begun.job.done) == (JobState.QUEUED, 0)

    async def see() -> ImportDetail:
        async with database.transaction(organisation_id) as tx:
            return await importing.import_detail(tx, begun.id)

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
                    while (seen := await see()).stage is not Stage.APPLYING or seen.position < 1000:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                worker.send_signal(signal.SIGKILL)
                await worker.wait()
                raise ZeroDivisionError
        seen = await see()
        assert seen.job is not None
        assert (seen.job.state, seen.position) == (JobState.RUNNING, 1000)
        worker = await start_worker(database_url, tmp_path)
        async with asyncio.timeout(120):
            while (seen := await see()).is_open:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    finally:
        if worker.returncode is None:
            worker.send_signal(signal.SIGTERM)
            await worker.wait()
    assert seen.job is not None
    assert (seen.job.state, seen.job.attempts, seen.job.done) == (JobState.DONE, 1, count)
    counts = seen.counts
    assert (counts.new, counts.changed, counts.unchanged, counts.stock_set, counts.problems) == (count, 0, 0, count, 1)
    products, variants, levels, movements, *_ = await everything(database, organisation_id)
    assert (len(products), len(variants)) == (count, count)
    assert sum(row[1] for row in levels) == sum(n % 9 for n in range(count))
    assert movements == [(sum(n % 9 > 0 for n in range(count)),)]


async def test_reading_goes_on_where_it_was_broken_off(
    database: Database, database_url: str, organisation_id: UUID
) -> None:
    actor, products = identity.system_actor(organisation_id), READ_PART * 3 // 2
    # Handles that come again further down, in parts that are read by another run.
    rows = "".join(f"p{n % products},S{n},Thing,1\n" for n in range(2 * products))
    text = f"handle,sku,title,price\n{rows}q,,No SKU,1\n"
    found = await take_in(database, actor, text, EUR, apply=False, here=False)
    assert found.job is not None
    held = HeldStep(database_url, organisation_id, 3, THE_JOB, found.job.id)
    going = asyncio.create_task(
        jobs.perform(database, PRODUCT_IMPORT, import_products, organisation_id, found.job.id, stopping=held)
    )
    await held.cut_off()
    held.release()
    assert await going == 2.0
    async with database.transaction(organisation_id) as tx:
        half = await importing.import_detail(tx, found.id)
    assert (half.stage, half.position) == (Stage.NEW, 2 * READ_PART)
    assert half.job is not None
    assert half.job.attempts == 1
    await jobs.perform(database, PRODUCT_IMPORT, import_products, organisation_id, found.job.id)
    async with database.transaction(organisation_id) as tx:
        done = await importing.import_detail(tx, found.id)
    assert (done.stage, done.counts.new, done.counts.variants_new) == (Stage.LOOKED, products, 2 * products)
    assert (done.counts.problems, done.counts.rows, done.counts.variants) == (1, 2 * products + 1, 2 * products)


async def test_files_and_imports_are_deleted_when_they_are_old(database: Database, organisation_id: UUID) -> None:
    found = await load(database, organisation_id)
    async with database.transaction(organisation_id) as tx:
        assert await importing.forget(tx, utc_now()) == 0
        await importing.forget(tx, utc_now() + timedelta(days=8))
        seen = await importing.import_detail(tx, found.id)
        assert (seen.has_file, seen.counts.new) == (False, 2)
        with pytest.raises(importing.FileIsGone):
            importing.check_rows(seen)
        await importing.forget(tx, utc_now() + timedelta(days=91))
        with pytest.raises(ImportNotFound):
            await importing.import_detail(tx, found.id)


async def exported(database: Database, organisation_id: UUID, format: str, **chosen: Any) -> bytes:
    parts = importing.export_products(database, organisation_id, format, ProductFilter(**chosen))
    return b"".join([part async for part in parts])


@pytest.mark.parametrize("name", ["2017_fashion.csv", "apparel.csv", "2017_bicycles.csv", "jewelery.csv"])
async def test_a_real_shop_s_file_loses_no_row_and_comes_back_the_same(
    database: Database, organisation_id: UUID, name: str
) -> None:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no files in {DATA}: set ENTREPOT_DATA")
    first = await load(database, organisation_id, path.read_bytes())
    found = await problems(database, organisation_id, first)
    refused = {p.row for p in found if "stock is left" not in p.problem}
    counts = first.counts
    assert counts.rows == counts.variants + counts.images + counts.blank + len(refused)
    assert (counts.variants_new, counts.new) == (counts.variants, counts.products - counts.refused)
    before = await everything(database, organisation_id)
    assert (len(before[0]), len(before[1])) == (counts.new, counts.variants)
    images = {i["url"] for row in before[0] for i in row[0]["images"]}
    assert images
    again = await load(database, organisation_id, path.read_bytes())
    assert (again.counts.new, again.counts.changed, again.counts.unchanged) == (0, 0, counts.new)
    for format in ("shopify", "simple", "excel", "json", "jsonl"):
        back = await load(database, organisation_id, await exported(database, organisation_id, format))
        assert await changes(database, organisation_id, back) == [], format
        assert (back.counts.unchanged, back.counts.problems) == (counts.new, 0), format
    assert await everything(database, organisation_id) == before


async def test_an_export_is_of_what_was_chosen(database: Database, organisation_id: UUID) -> None:
    await load(database, organisation_id, "sku,title,price,status\nA,Cup,1,active\nB,Mug,2,draft\n")
    text = (await exported(database, organisation_id, "simple", status="draft")).decode("utf-8-sig")
    assert [row.split(",")[0] for row in text.splitlines()] == ["sku", "B"]
    assert b'"A"' in await exported(database, organisation_id, "jsonl", search="Cup")
    with pytest.raises(importing.UnknownExport):
        await exported(database, organisation_id, "pdf")


async def test_a_stream_is_taken_as_well_as_text(database: Database, organisation_id: UUID) -> None:
    actor = identity.system_actor(organisation_id)
    found = await take_in(database, actor, io.BytesIO(TEXT.encode()), EUR, here=True)
    assert (found.size_bytes, found.counts.new) == (len(TEXT), 2)
