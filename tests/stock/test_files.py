"""Stock files as jobs: large ones, taken up again, stopped, looked at only; what was wrong with which row."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
from collections import Counter
from itertools import count
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.jobs.held import THE_JOB, HeldStep
from tests.orders.support import make_variants
from tests.stock.support import default_location

from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobState
from entrepot.kernel.errors import InvalidInput
from entrepot.stock import facade as stock
from entrepot.stock import files, reading_papers
from entrepot.stock.csv_in import UnknownColumns, lines_of, read_rows
from entrepot.stock.documents import WrongState
from entrepot.stock.files import CHUNK, STOCK_FILE, FileView, take_file_in
from entrepot.stock.importing import COLUMNS


async def sent(database: Database, organisation_id: UUID, kind: str, text: str, **more: object) -> FileView:
    actor = identity.system_actor(organisation_id)
    return await files.take_in(database, actor, kind, text, currency="EUR", **more)  # type: ignore[arg-type]


async def performed(database: Database, organisation_id: UUID, found: FileView) -> FileView:
    await jobs.perform(database, STOCK_FILE, take_file_in, organisation_id, found.job.id)
    async with database.transaction(organisation_id) as tx:
        assert await stock.verify(tx) == []
        return await files.view(tx, found.job.id)


async def on_hand(database: Database, organisation_id: UUID, variants: dict[str, UUID]) -> dict[str, int]:
    names = {id: sku for sku, id in variants.items()}
    async with database.transaction(organisation_id) as tx:
        return {names[level.variant_id]: level.on_hand for level in await stock.levels(tx, list(names))}


def adjustments(skus: list[str], rows: int) -> tuple[str, Counter[str]]:
    """Return a file that adds a unit in each row but some that are wrong, and what it adds."""
    chance, added = random.Random(4), Counter[str]()
    lines = ["sku,delta"]
    for number in range(rows):
        sku = chance.choice(skus)
        if number % 100 == 7:
            lines.append(f"{sku},x")
        else:
            added[sku] += 1
            lines.append(f"{sku},1")
    return "\n".join(lines), added


async def test_a_large_file_is_a_job_that_counts_each_row_once_however_often_it_dies(
    database: Database, database_url: str, organisation_id: UUID
) -> None:
    variants = await make_variants(database, organisation_id, {f"S{n}": 10 for n in range(40)})
    text, added = adjustments(list(variants), 22_000)
    found = await sent(database, organisation_id, "stock", text, name="all.csv")
    assert (found.job.state, found.job.title, found.rows) == (JobState.QUEUED, "Stock file: all.csv", 0)
    rows = 0
    for at_step, cut_off in ((3, False), (7, True), (21, False)):
        held = HeldStep(database_url, organisation_id, at_step, THE_JOB, found.job.id)
        going = asyncio.create_task(
            jobs.perform(database, STOCK_FILE, take_file_in, organisation_id, found.job.id, stopping=held)
        )
        await (held.cut_off() if cut_off else held.waits())
        if not cut_off:
            going.cancel()
        held.release()
        assert await going == (2.0 if cut_off else 0.0)
        async with database.transaction(organisation_id) as tx:
            half = await files.view(tx, found.job.id)
        rows += (at_step - 1) * CHUNK
        assert half.rows == rows < 22_000
        assert half.job.words == f"{rows:,} of 22,000 rows"
    done = await performed(database, organisation_id, found)
    assert (done.job.state, done.rows, done.done, done.problems) == (JobState.DONE, 22_000, 21_780, 220)
    assert await on_hand(database, organisation_id, variants) == {sku: 10 + added[sku] for sku in variants}
    async with database.transaction(organisation_id) as tx:
        first = await files.problems(tx, found.job.id)
        second = await files.problems(tx, found.job.id, first.next_cursor)
        assert (len(first), len(second)) == (220, 220) if first.next_cursor is None else (250, 0)
    text_of = "".join(
        [part async for part in files.csv_out.text_of(database, organisation_id, files.problems_file(found.job.id))]
    )
    rows = text_of.splitlines()
    assert rows[0] == "row,sku,problem"
    assert len(rows) == 221
    assert rows[1].startswith("9,S")
    assert rows[1].endswith("delta 'x' is not a whole number.")


async def test_a_file_is_stopped_and_what_was_taken_stays(
    database: Database, database_url: str, organisation_id: UUID
) -> None:
    variants = await make_variants(database, organisation_id, {f"S{n}": 10 for n in range(40)})
    text, _ = adjustments(list(variants), 22_000)
    found = await sent(database, organisation_id, "stock", text)
    of_all = "select from stock_level where variant_id = any(%s) order by variant_id for update"
    held = HeldStep(database_url, organisation_id, 2, of_all, list(variants.values()))
    going = asyncio.create_task(
        jobs.perform(database, STOCK_FILE, take_file_in, organisation_id, found.job.id, stopping=held)
    )
    await held.waits()
    async with database.transaction(organisation_id) as tx:
        asked = await files.stop(tx, identity.system_actor(organisation_id), found.job.id)
        assert (asked.job.state, asked.rows) == (JobState.RUNNING, 500)
    held.release()
    await going
    async with database.transaction(organisation_id) as tx:
        done = await files.view(tx, found.job.id)
    assert (done.job.state, done.rows, done.done) == (JobState.CANCELLED, 1_000, 990)
    assert sum((await on_hand(database, organisation_id, variants)).values()) == 400 + 990
    with pytest.raises(jobs.JobHasEnded):
        async with database.transaction(organisation_id) as tx:
            await files.stop(tx, identity.system_actor(organisation_id), found.job.id)


async def test_a_dry_run_changes_nothing(database: Database, organisation_id: UUID) -> None:
    variants = await make_variants(database, organisation_id, {f"S{n}": 10 for n in range(5)})
    text, _ = adjustments(list(variants), 1_500)
    tried = await sent(database, organisation_id, "stock", text, dry_run=True)
    assert (tried.job.state, tried.dry_run, tried.rows, tried.done, tried.problems) == (
        JobState.DONE,
        True,
        1_500,
        1_485,
        15,
    )
    assert set((await on_hand(database, organisation_id, variants)).values()) == {10}
    tried = await sent(database, organisation_id, "suppliers", "name,sku,cost\nAcme,S0,1.50\n", dry_run=True)
    assert (tried.done, tried.made) == (1, ())
    async with database.transaction(organisation_id) as tx:
        assert await tx.fetch_value("select count(*) from supplier where organisation_id = $1", organisation_id) == 0
        assert await tx.fetch_value("select count(*) from audit_log where action like 'stock-file%'") == 0


async def test_orders_that_span_parts_are_one_draft_until_it_is_sent(database: Database, organisation_id: UUID) -> None:
    variants = await make_variants(database, organisation_id, {f"S{n:04}": 10 for n in range(1_300)})
    await sent(database, organisation_id, "suppliers", "name\nAcme\nBolt\n")
    text = "supplier,sku,quantity,cost\n" + "".join(
        f"{'Bolt' if n % 10 == 0 else 'Acme'},S{n:04},2,1.50\n" for n in range(1_300)
    ) + "Acme,S0001,3,\n"  # fmt: skip
    done = await sent(database, organisation_id, "purchase-orders", text)
    assert (done.job.state, done.done, len(done.made)) == (JobState.DONE, 1_301, 2)
    async with database.transaction(organisation_id) as tx:
        lines = await tx.fetch(
            "select purchase_order_id, count(*) as lines, sum(quantity) as units, min(cost_minor) as cost"
            " from purchase_order_line group by 1 order by 2"
        )
    assert [(row["lines"], row["units"], row["cost"]) for row in lines] == [(130, 260, 150), (1_170, 2_343, 150)]
    # A person sends the draft while the file goes on: the rest is a draft of its own.
    going = await sent(database, organisation_id, "purchase-orders", text + "\n" * files.SMALL)
    steps = count(1)
    left = await jobs.perform(
        database, STOCK_FILE, take_file_in, organisation_id, going.job.id, stopping=lambda: next(steps) == 2
    )
    assert left == 0.0
    async with database.transaction(organisation_id) as tx:
        for row in await tx.fetch("select id from purchase_order where state = 'draft'"):
            await stock.order_purchase(tx, row["id"], actor="Ana")
    again = await performed(database, organisation_id, going)
    assert (again.done, len(again.made)) == (1_301, 4)
    assert len(set(again.made) | set(done.made)) == 6
    assert variants


async def test_a_count_from_a_file(database: Database, organisation_id: UUID) -> None:
    variants = await make_variants(database, organisation_id, {f"S{n:03}": 10 for n in range(700)})
    async with database.transaction(organisation_id) as tx:
        sheet = await stock.open_count(tx, await default_location(tx), None, actor="Ana")
    text = "sku,counted\n" + "".join(f"{sku},9\n" for sku in variants)
    done = await sent(database, organisation_id, "count", text, count_id=sheet)
    assert (done.rows, done.done) == (700, 700)
    late = await sent(database, organisation_id, "count", text + "\n" * files.SMALL, count_id=sheet)
    assert late.job.state is JobState.QUEUED
    async with database.transaction(organisation_id) as tx:
        assert (await reading_papers.count_sheet(tx, sheet)).counted == 700
        await stock.confirm_count(tx, sheet, actor="Ana")
    with pytest.raises(WrongState, match="nothing is counted on it"):
        await sent(database, organisation_id, "count", text, count_id=sheet)
    # Closed while its file waited: said, not tried again.
    held = await performed(database, organisation_id, late)
    assert (held.job.state, held.job.attempts) == (JobState.HELD, 1)
    assert "confirmed" in held.job.error


async def test_what_is_no_such_file_is_refused_and_leaves_nothing(database: Database, organisation_id: UUID) -> None:
    for kind, text, words in (
        ("stock", "a,b\n1,2\n", "needs the columns sku, and one of on_hand, delta"),
        ("odd", "sku\n", "A file is one of"),
        ("count", "sku,counted\n", "A file is one of"),
    ):
        with pytest.raises(InvalidInput, match=words):
            await sent(database, organisation_id, kind, text)
    async with database.transaction(organisation_id) as tx:
        assert len(await jobs.list_jobs(tx)) == 0
        other = await jobs.enqueue(tx, jobs.JobKind("other", "Other", dict), {}, actor="x")
        with pytest.raises(jobs.JobNotFound):
            await files.view(tx, other)


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="ab\n\r,\ufeff", max_size=60))
def test_lines_are_all_of_the_text(text: str) -> None:
    assert "".join(lines_of(text)) == text.removeprefix("\ufeff")


def test_files_of_all_systems_are_read() -> None:
    for end in ("\n", "\r\n", "\r"):
        text = f'\ufeffSKU;On Hand{end}A;1{end}{end}B;"2{end if end == chr(10) else ""}"{end}'
        rows = list(read_rows(text, COLUMNS["stock"]))
        assert [(row.sku, row.units("on_hand")) for row in rows] == [("A", 1), ("B", 2)]
    with pytest.raises(UnknownColumns, match="after row 2"):
        list(read_rows("sku,delta\nA,1\n" + "x" * 140_000 + ",1\n", COLUMNS["stock"]))


def test_reading_holds_a_row_at_a_time() -> None:
    text = "sku,delta\n" + "A,1\n" * 60_000
    tracemalloc.start()
    rows = sum(1 for _ in read_rows(text, COLUMNS["stock"]))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == 60_000
    assert most < 200_000
