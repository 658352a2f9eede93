"""The job of an import: read the file, compare it with what there is, and (if wanted) change that. Each step counts once.

Where it is stands in the import's own row, written with the work of each step: so a job that was killed or stopped, or another
one later, goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol
from uuid import UUID

import msgspec

from entrepot.catalog.files.contracts import FileProduct, RowCounts, RowProblem, UnknownFormat
from entrepot.catalog.files.reading import merge
from entrepot.catalog.intake import TakenMeanwhile
from entrepot.channels.contract import ChannelListing, Page
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor, ActorKind
from entrepot.jobs.facade import JobRun
from entrepot.kernel.errors import InvalidInput
from entrepot.sync.importing import store
from entrepot.sync.importing.channel import products_of
from entrepot.sync.importing.comparing import archives, compare_part
from entrepot.sync.importing.contracts import OVER, Compared, Counts, ImportDetail, ImportNotFound, ProductImport, Stage
from entrepot.sync.importing.files import open_file, stored_file
from entrepot.sync.importing.reading import import_detail

READ_PART = 1_000
"""So many products are read in one step."""
PART = 500
"""So many products are compared, and changed, in one step."""
TRIES = 5


class ListingPages(Protocol):
    """Reads what connections list."""

    async def page(self, organisation_id: UUID, connection_id: UUID, cursor: str | None) -> Page[ChannelListing]:
        """Return a page."""


async def import_products(run: JobRun[ProductImport], pages: ListingPages | None = None) -> Mapping[str, Any]:
    """Do the job. `pages`: where it can be read what a connection lists. Returns the counts."""
    found = await _seen(run)
    if found.stage is Stage.NEW:
        await (_read_channel(run, found, pages) if found.source == "channel" else _read(run, found))
        found = await _seen(run)
    if found.stage not in OVER and (run.payload.apply or found.stage is not Stage.LOOKED):
        await _compare(run, found)
    found = await _seen(run)
    result: dict[str, Any] = msgspec.to_builtins(found.counts)
    return result | {"stage": found.stage.value}


async def _seen(run: JobRun[ProductImport]) -> ImportDetail:
    async with run.database.transaction(run.organisation_id) as tx:
        try:
            return await import_detail(tx, run.payload.import_id)
        except ImportNotFound:
            raise ImportNotFound("The import is deleted already: send the file again.") from None


# ---- reading ---------------------------------------------------------------------------------------------


async def _read(run: JobRun[ProductImport], found: ImportDetail) -> None:
    """Keep what the file tells, product by product. A file that cannot be read to its end is refused as a whole."""
    counts = found.counts
    async with AsyncExitStack() as stack:
        stream = stack.enter_context(await stored_file(run.database, run.organisation_id, found.id))
        try:
            file = await asyncio.to_thread(open_file, stream, found.options, found.source)
            number, problems = 0, 0
            while True:
                part = await asyncio.to_thread(file.part, READ_PART)
                numbered = list(enumerate(part.products, start=number + 1))
                number += len(numbered)
                fresh = [(n, product) for n, product in numbered if n > found.position]
                if fresh or not numbered:
                    async with run.step() as step:
                        await store.insert_problems(
                            step.tx, found.id, part.problems, while_reading=True, before=problems
                        )
                        await _keep(step.tx, found.id, [(n, p.handle, p) for n, p in fresh])
                        _count(counts, file.counts, number, problems + len(part.problems))
                        stage = Stage.NEW if numbered else Stage.READ
                        await store.advance(step.tx, found.id, stage, number if numbered else 0, counts)
                        step.done, step.total = number, None
                        step.words = f"{number:,} products read"
                problems += len(part.problems)
                if not numbered:
                    return
        except UnknownFormat as error:
            await _refuse(run, found.id, counts, error.detail)


async def _read_channel(run: JobRun[ProductImport], found: ImportDetail, pages: ListingPages | None) -> None:
    """Keep what a connection lists. Calls go out between the steps."""
    if pages is None or found.options.connection_id is None:
        raise InvalidInput("What a channel lists is read by a worker.")
    counts, number = found.counts, found.position
    async with run.database.transaction(run.organisation_id) as tx:
        cursor = (await store.read(tx, found.id))["page"]
    while True:
        page = await pages.page(run.organisation_id, found.options.connection_id, cursor)
        products, problems = products_of(page.items, counts.rows + 1)
        async with run.step() as step:
            numbered = [(number + n, key, product) for n, (key, product) in enumerate(products, start=1)]
            await store.insert_problems(step.tx, found.id, problems, while_reading=True, before=counts.problems_read)
            await _keep(step.tx, found.id, numbered)
            number += len(products)
            counts.rows += len(page.items)
            counts.variants += sum(len(product.variants) for _, product in products)
            counts.products = number
            counts.problems_read += len(problems)
            done = not page.more
            await store.advance(
                step.tx, found.id, Stage.READ if done else Stage.NEW, 0 if done else number, counts, page=page.cursor
            )
            step.done, step.words = number, f"{counts.rows:,} listings read"
        cursor = page.cursor
        if done:
            return


async def _keep(tx: Tx, import_id: UUID, products: Sequence[tuple[int, str, FileProduct]]) -> None:
    """Keep products; what stands further down in a file goes to what it said first of the same product."""
    first: dict[str, FileProduct] = {}
    await store.plan_anew(tx)
    # A reader marks what stood in the file before; of a channel's pages nobody knows.
    asked = [key for _, key, p in products if key and (p.again or not p.handle)]
    there = await store.products_by_key(tx, import_id, asked) if asked else {}
    new: list[tuple[int, str, FileProduct]] = []
    for number, key, product in products:
        known = first.get(key) if key else None
        if known is None and key in there:
            known = there[key][1]
        if known is None:
            new.append((number, key, product))
            first[key] = product
        else:
            merge(known, product)
    await store.insert_products(tx, import_id, new)
    if there:
        await store.replace_products(tx, import_id, list(there.values()))


def _count(counts: Counts, rows: RowCounts, products: int, problems: int) -> None:
    counts.rows, counts.variants, counts.images, counts.blank = rows.rows, rows.variants, rows.images, rows.blank
    counts.products, counts.problems_read = products, problems


async def _refuse(run: JobRun[ProductImport], import_id: UUID, counts: Counts, why: str) -> None:
    async with run.step() as step:
        await store.advance(step.tx, import_id, Stage.REFUSED, 0, counts, error=why)
        step.words = why


# ---- comparing and changing ------------------------------------------------------------------------------


async def _compare(run: JobRun[ProductImport], found: ImportDetail) -> None:
    """Go through the products of an import: say what they change, or change it."""
    apply = run.payload.apply or found.stage is Stage.APPLYING
    at_work = Stage.APPLYING if apply else Stage.LOOKING
    counts, position = found.counts, found.position
    if found.stage is not at_work:
        async with run.step() as step:
            counts.begin_comparing()
            position = 0
            await store.begin_comparing(step.tx, found.id)
            await store.advance(step.tx, found.id, at_work, 0, counts)
            step.done, step.total, step.words = 0, counts.products, "compares"
    done, tries = False, 0
    while not done:
        before = msgspec.structs.replace(counts)
        try:
            async with run.step() as step:
                await store.plan_anew(step.tx)
                part = await store.products_after(step.tx, found.id, position, PART)
                done = not part
                if part:
                    compared = await compare_part(step.tx, found, [p for _, p in part], apply=apply)
                    await _note(step.tx, found.id, [n for n, _ in part], compared, counts)
                    last = part[-1][0]
                    await store.advance(step.tx, found.id, at_work, last, counts)
                    step.done, step.total = min(last, counts.products), counts.products
                    step.words = f"{last:,} of {counts.products:,} products"
                else:
                    await _finish(step.tx, found, counts, applied=apply)
        except TakenMeanwhile:
            # Rolled back: what the others made is there now.
            tries, counts, done = tries + 1, before, False
            if tries == TRIES:
                raise
            continue
        if part:
            position, tries = part[-1][0], 0


async def _note(tx: Tx, import_id: UUID, numbers: Sequence[int], compared: Compared, counts: Counts) -> None:
    problems: list[RowProblem] = [p for f in compared.findings for p in f.problems]
    await store.insert_problems(tx, import_id, problems, while_reading=False, before=counts.problems)
    await store.insert_changes(tx, import_id, list(zip(numbers, compared.findings, strict=True)))
    for finding in compared.findings:
        name = finding.outcome.value
        setattr(counts, name, getattr(counts, name) + 1)
        counts.variants_new += len(finding.variants_new)
        counts.variants_changed += finding.variants_changed
        counts.archived += archives(finding)
    counts.problems_compared += len(problems)
    counts.stock_set += compared.stock_set
    counts.listings_matched += compared.listings_matched


async def _finish(tx: Tx, found: ImportDetail, counts: Counts, *, applied: bool) -> None:
    await store.advance(tx, found.id, Stage.APPLIED if applied else Stage.LOOKED, counts.products, counts)
    if applied:
        row = await store.read(tx, found.id)
        who = row["actor"]
        actor = Actor(ActorKind(who["kind"]), UUID(who["id"]), who["name"], tx.organisation, None, frozenset())
        after = {"file": found.name, "source": found.source, **msgspec.to_builtins(counts)}
        await identity.record(tx, actor, "product.import", "import", found.id, after=after)


__all__ = ["PART", "READ_PART", "ListingPages", "import_products"]
