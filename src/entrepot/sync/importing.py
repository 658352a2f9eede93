"""Import a product file: catalog and opening stock together, as a background job in steps of some hundred products.

The same file twice changes nothing, and an old file never overwrites a count: stock is set only for variants that had
none before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from entrepot.catalog import facade as catalog
from entrepot.catalog.contracts import NewProduct
from entrepot.catalog.csv_format import ProductFile, RowProblem, check_columns, read_products
from entrepot.database.pool import Database, Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobKind, JobRun, JobView
from entrepot.orders import facade as orders
from entrepot.stock import facade as stock

CHUNK = 500
PROBLEMS_KEPT = 1_000
"""So many problems are kept with the report; all are counted."""
SMALL = 100_000
"""A file of so many characters (about a thousand products) is imported at once by whoever takes it."""
HERE_FOR = timedelta(seconds=120)
"""How long whoever imports a file at once has for it before a worker takes it over."""


class ProductImport(msgspec.Struct, frozen=True):
    """The payload. `currency`: for files that name none (ISO 4217). `by`: whom stock movements name."""

    currency: str
    by: str


PRODUCT_IMPORT = JobKind("product-import", "Product import", ProductImport)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did so far, or (dry run) would do. `created` and `updated` count variants.

    `rows` and `problems` are known once the import is through; `problem_count` counts those beyond PROBLEMS_KEPT too.
    """

    rows: int = 0
    products: int = 0
    created: int = 0
    updated: int = 0
    stock_set: int = 0
    problems: tuple[RowProblem, ...] = ()
    problem_count: int = 0
    dry_run: bool = False


class _Done(msgspec.Struct):
    """The checkpoint: how many products are through, and what that did."""

    next: int = 0
    created: int = 0
    updated: int = 0
    stock_set: int = 0


async def look(database: Database, organisation_id: UUID, text: str, *, currency: str) -> ImportReport:
    """Return what the import of a file would do. Raises UnknownFormat."""
    file = await asyncio.to_thread(read_products, text, currency=currency)
    done = _Done()
    for start in range(0, len(file.products), CHUNK):
        async with database.transaction(organisation_id) as tx:
            await _plan(tx, file, file.products[start : start + CHUNK], done)
    return _report(file, done, dry_run=True)


async def start_import(
    tx: Tx, actor: Actor, text: str, *, currency: str, name: str = "", after: timedelta = timedelta(0)
) -> UUID:
    """Start the import of a file (called `name`) with this transaction; return its job. Raises UnknownFormat."""
    text = text.replace("\x00", "")  # PostgreSQL's text cannot hold it
    check_columns(text)
    title = f"{PRODUCT_IMPORT.title}, {name[:100]}" if name else ""
    job_id = await jobs.enqueue(
        tx,
        PRODUCT_IMPORT,
        ProductImport(currency, actor.reference),
        actor=actor.name,
        title=title,
        text=text,
        after=after,
    )
    await identity.record(tx, actor, "product.import", "job", job_id, after={"characters": len(text), "file": name})
    return job_id


async def take_in(
    database: Database, actor: Actor, text: str, *, currency: str, name: str = "", here: bool | None = None
) -> JobView:
    """Import a file: a small one at once, a larger one in a worker; return the job as it then stands.

    `here`: at once whatever its size. It is the same job either way: should this process end in the middle, or it
    take longer than HERE_FOR, a worker goes on with it. Raises UnknownFormat.
    """
    if here is None:
        here = len(text) <= SMALL
    if here:
        # Read before anything is stored, so that a file that is no file is refused and leaves nothing.
        await asyncio.to_thread(read_products, text, currency=currency)
    async with database.transaction(actor.organisation_id) as tx:
        job_id = await start_import(
            tx, actor, text, currency=currency, name=name, after=HERE_FOR if here else timedelta(0)
        )
    if here:
        await jobs.perform(database, PRODUCT_IMPORT, import_products, actor.organisation_id, job_id)
    async with database.transaction(actor.organisation_id) as tx:
        return await jobs.detail(tx, job_id)


async def import_products(run: JobRun[ProductImport]) -> Mapping[str, Any]:
    """Do the job: each chunk is one step, so that it counts once however often the job is taken up."""
    file = await asyncio.to_thread(read_products, await run.text(), currency=run.payload.currency)
    done = msgspec.convert(run.checkpoint or {}, _Done)
    while done.next < len(file.products):
        chunk = file.products[done.next : done.next + CHUNK]
        async with run.step() as step:
            new = await _plan(step.tx, file, chunk, done)
            variants = await catalog.save_products(step.tx, chunk)
            await _open_stock(step.tx, variants, {s: file.stock[s] for s in new if s in file.stock}, run.payload.by)
            await orders.settle_exceptions(step.tx, {sku: variants[sku] for sku in new})
            step.done, step.total = done.next, len(file.products)
            step.words = f"{done.next:,} of {len(file.products):,} products"
            step.checkpoint = msgspec.to_builtins(done)
    result: dict[str, Any] = msgspec.to_builtins(_report(file, done))
    return result


def report_of(job: JobView) -> ImportReport:
    """Return what an import did so far."""
    if job.result is not None:
        return msgspec.convert(job.result, ImportReport)
    done = msgspec.convert(job.checkpoint or {}, _Done)
    return ImportReport(products=done.next, created=done.created, updated=done.updated, stock_set=done.stock_set)


async def import_detail(tx: Tx, job_id: UUID) -> JobView:
    """Return the job of an import. Raises JobNotFound, also for a job that is none."""
    job = await jobs.detail(tx, job_id)
    if job.kind != PRODUCT_IMPORT.name:
        raise jobs.JobNotFound
    return job


async def _plan(tx: Tx, file: ProductFile, chunk: Sequence[NewProduct], done: _Done) -> list[str]:
    """Count what a chunk will do; return its SKUs that are new."""
    skus = [v.sku for p in chunk for v in p.variants]
    known = await catalog.known_skus(tx, skus)
    new = [sku for sku in skus if sku not in known]
    done.next += len(chunk)
    done.created += len(new)
    done.updated += len(known)
    done.stock_set += sum(sku in file.stock for sku in new)
    return new


async def _open_stock(tx: Tx, variants: dict[str, UUID], opening: dict[str, int], actor: str) -> None:
    changes = [stock.StockChange(variants[sku], "opening stock", on_hand=units) for sku, units in opening.items()]
    if changes:
        await stock.change_on_hand(tx, changes, kind="count", actor=actor)


def _report(file: ProductFile, done: _Done, *, dry_run: bool = False) -> ImportReport:
    return ImportReport(
        file.rows, len(file.products), done.created, done.updated, done.stock_set,
        tuple(file.problems[:PROBLEMS_KEPT]), len(file.problems), dry_run,
    )  # fmt: skip
