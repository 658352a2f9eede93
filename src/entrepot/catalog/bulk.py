"""Change many products at once: looked at first, done in steps as a background job, and undone where nobody changed it since."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from entrepot.catalog import bulk_rules, bulk_store, store
from entrepot.catalog.archiving import tell_archived
from entrepot.catalog.bulk_rules import Change, InvalidBulkEdit, Problem
from entrepot.catalog.filters import filter_of
from entrepot.catalog.flats import flats_of, write_flats
from entrepot.catalog.search import count_matching, matching_ids
from entrepot.catalog.snapshot import FieldChange, Flat
from entrepot.database.pool import Database, Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobKind, JobRun
from entrepot.kernel.errors import Conflict
from entrepot.kernel.ids import new_id
from entrepot.kernel.paging import Counted

STEP = 200
LOOKED_MAX = 1_000
"""So many products a look takes in; of more it shows what happens to the first."""
SHOWN_MAX = 50
NAMED_MAX = 2_000
"""So many products may be chosen one by one; more are chosen by a filter."""
COUNT_MAX = 2_000_000
HERE_MAX = 200
"""So many are changed at once by whoever asks for it; more by a worker."""
HERE_FOR = timedelta(seconds=120)


class BulkPayload(msgspec.Struct, frozen=True):
    """The payload of both jobs."""

    bulk_edit_id: UUID


BULK_EDIT = JobKind("bulk-edit", "Bulk edit", BulkPayload)
BULK_UNDO = JobKind("bulk-undo", "Undo of a bulk edit", BulkPayload)


class CannotUndo(Conflict):
    """Only a bulk edit that is done can be undone, and only once."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which products: those named, or all of a filter that were there when it was asked for.

    `parameters`: of the filter (see filters.filter_of), with prices in `currency`.
    """

    products: tuple[UUID, ...] = ()
    parameters: Mapping[str, str] | None = None
    currency: str = "EUR"
    until: UUID | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What would become of a product. `problem`: why it would stay as it is. Amounts in minor units of `currency`."""

    product_id: UUID
    title: str
    changes: tuple[FieldChange, ...]
    problem: str
    currency: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a bulk edit would do. `total`: products meant; the counts are of the `looked` first ones; `rows` a few of them."""

    total: Counted
    looked: int
    changed: int
    unchanged: int
    problems: int
    rows: tuple[Looked, ...]


def selection(
    products: Sequence[UUID] = (), parameters: Mapping[str, str] | None = None, *, currency: str = "EUR"
) -> Selection:
    """Return a selection as of now. Raises InvalidBulkEdit, InvalidInput."""
    if (parameters is None) == (not products):
        raise InvalidBulkEdit("Choose products, or all that a filter finds.")
    if len(products) > NAMED_MAX:
        raise InvalidBulkEdit(f"At most {NAMED_MAX:,} products are chosen one by one: use a filter for more.")
    if parameters is not None:
        filter_of(parameters, currency)
    return Selection(tuple(sorted(set(products))), parameters, currency, new_id())


async def preview(tx: Tx, chosen: Selection, changes: Sequence[Change]) -> Preview:
    """Return what a bulk edit would do; nothing is changed. Raises InvalidBulkEdit."""
    await _check(tx, changes)
    changed = unchanged = looked = 0
    problems: list[Looked] = []
    rows: list[Looked] = []
    async for ids in _steps(tx, chosen, None, LOOKED_MAX):
        for id, fields in (await flats_of(tx, ids)).items():
            looked += 1
            each = _look(id, fields, changes)
            if each.problem:
                problems.append(each)
            elif each.changes:
                changed += 1
                rows.append(each)
            else:
                unchanged += 1
    shown = (*problems[:SHOWN_MAX], *rows)[:SHOWN_MAX]
    return Preview(await count_selected(tx, chosen), looked, changed, unchanged, len(problems), shown)


def _look(id: UUID, fields: Flat, changes: Sequence[Change]) -> Looked:
    currency = next((value for name, value in fields.items() if name.endswith(".currency")), "")
    try:
        before, after = bulk_rules.apply(fields, changes)
    except Problem as problem:
        return Looked(id, fields["title"], (), str(problem), currency)
    skus = {name.split(".")[1]: value for name, value in fields.items() if name.endswith(".sku")}
    told = (FieldChange(bulk_rules.described(name, skus), before[name], after[name]) for name in before)
    return Looked(id, fields["title"], tuple(told), "", currency)


async def _steps(tx: Tx, chosen: Selection, after: UUID | None, most: int) -> AsyncIterator[list[UUID]]:
    """Yield the products meant in the order of their ids, a step at a time, up to `most`."""
    while most > 0:
        ids = await _next(tx, chosen, after, min(STEP, most))
        if not ids:
            return
        yield ids
        after, most = ids[-1], most - len(ids)


async def _next(tx: Tx, chosen: Selection, after: UUID | None, limit: int) -> list[UUID]:
    if chosen.parameters is None:
        return [id for id in chosen.products if after is None or id > after][:limit]
    assert chosen.until is not None
    return await matching_ids(tx, filter_of(chosen.parameters, chosen.currency), after, chosen.until, limit)


async def count_selected(tx: Tx, chosen: Selection) -> Counted:
    """Return how many products are meant."""
    if chosen.parameters is None:
        return Counted(len(chosen.products))
    return await count_matching(tx, filter_of(chosen.parameters, chosen.currency), COUNT_MAX)


async def _check(tx: Tx, changes: Sequence[Change]) -> None:
    bulk_rules.check_changes(changes)
    for change in changes:
        if change.field == "category_id" and change.action == "set":
            await store.require_category(tx, UUID(change.value.strip()))
        if change.field == "collections" and change.action == "add":
            await store.require_collections(tx, [UUID(each) for each in bulk_rules.parts(change.value)])


async def take_on(
    database: Database, actor: Actor, chosen: Selection, changes: Sequence[Change], *, end_listings: bool = True
) -> UUID:
    """Start a bulk edit; a small one is done before this returns. Return its id. Raises InvalidBulkEdit.

    `end_listings`: the listings of products that it archives end as well.
    """
    async with database.transaction(actor.organisation_id) as tx:
        total = await count_selected(tx, chosen)
        here = total.count <= HERE_MAX
        bulk_edit_id, job_id = await start(
            tx, actor, chosen, changes, end_listings=end_listings, after=HERE_FOR if here else timedelta(0)
        )
    if here:
        await jobs.perform(database, BULK_EDIT, apply_bulk_edit, actor.organisation_id, job_id)
    return bulk_edit_id


async def start(
    tx: Tx, actor: Actor, chosen: Selection, changes: Sequence[Change], *, end_listings: bool = True,
    after: timedelta = timedelta(0),
) -> tuple[UUID, UUID]:  # fmt: skip
    """Start a bulk edit with this transaction; return it and its job. Raises InvalidBulkEdit."""
    await _check(tx, changes)
    id = new_id()
    title = f"{BULK_EDIT.title}: {'; '.join(change.words for change in changes)}"[:200]
    job_id = await jobs.enqueue(tx, BULK_EDIT, BulkPayload(id), actor=actor.name, title=title, after=after)
    kept = msgspec.to_builtins(chosen), [msgspec.to_builtins(change) for change in changes]
    await bulk_store.insert(tx, id, actor.name, *kept, job_id, end_listings=end_listings)
    after_words: dict[str, Any] = {
        "changes": [change.words for change in changes],
        "selection": _selection_words(chosen),
    }
    if bulk_rules.archives(changes):
        after_words["end_listings"] = end_listings
    await identity.record(tx, actor, "product.bulk-edit", "bulk_edit", id, None, after_words)
    return id, job_id


def _selection_words(chosen: Selection) -> dict[str, Any]:
    return {"products": len(chosen.products)} if chosen.parameters is None else {"filter": dict(chosen.parameters)}


async def apply_bulk_edit(run: JobRun[BulkPayload]) -> Mapping[str, Any]:
    """Do the job: each step changes some products and keeps what they were, once however often the job is taken up."""
    id = run.payload.bulk_edit_id
    async with run.database.transaction(run.organisation_id) as tx:
        row = await bulk_store.get(tx, id)
        total = await count_selected(tx, _selection(row.selection))
    chosen, changes = _selection(row.selection), [Change(**each) for each in row.changes]
    last = UUID(run.checkpoint["after"]) if run.checkpoint else None
    more = True
    while more:
        async with run.step() as step:
            ids = await _next(step.tx, chosen, last, STEP)
            more = bool(ids)
            if ids:
                await _apply_step(step.tx, row, ids, changes)
                last = ids[-1]
                step.done += len(ids)
                step.total = max(total.count, step.done)
                step.words = f"{step.done:,} of {step.total:,} products"
                step.checkpoint = {"after": str(last)}
            else:
                await bulk_store.finish(step.tx, id, "done")
    async with run.database.transaction(run.organisation_id) as tx:
        row = await bulk_store.get(tx, id)
    return {"changed": row.changed, "unchanged": row.unchanged, "problems": row.problems}


async def _apply_step(tx: Tx, row: bulk_store.BulkEdit, ids: Sequence[UUID], changes: Sequence[Change]) -> None:
    await _check(tx, changes)
    known = await store.lock_products(tx, ids)
    written: dict[UUID, Flat] = {}
    items: list[tuple[UUID, str, Flat, Flat, str]] = []
    for product_id, fields in (await flats_of(tx, known)).items():
        try:
            before, after = bulk_rules.apply(fields, changes)
        except Problem as problem:
            items.append((product_id, "problem", {}, {}, str(problem)))
            continue
        if before:
            written[product_id] = after
            items.append((product_id, "changed", before, after, ""))
    await write_flats(tx, written)
    if row.end_listings:
        archived = [product_id for product_id, after in written.items() if after.get("status") == "archived"]
        await tell_archived(tx, archived, f"{row.actor}, bulk edit")
    problems = len(items) - len(written)
    await bulk_store.add_items(tx, row.id, items)
    await bulk_store.count(tx, row.id, changed=len(written), problems=problems, unchanged=len(known) - len(items))


async def undo(database: Database, actor: Actor, bulk_edit_id: UUID) -> None:
    """Start to undo a bulk edit; a small one is undone before this returns. Raises BulkEditNotFound, CannotUndo.

    Nothing is published by that: listings that have ended, or are about to, stay so until somebody publishes the products.
    """
    async with database.transaction(actor.organisation_id) as tx:
        row = await bulk_store.get(tx, bulk_edit_id, lock=True)
        if row.state != "done" or not row.changed:
            raise CannotUndo
        here = row.changed <= HERE_MAX
        job_id = await jobs.enqueue(
            tx, BULK_UNDO, BulkPayload(bulk_edit_id), actor=actor.name, after=HERE_FOR if here else timedelta(0)
        )
        await bulk_store.begin_undo(tx, bulk_edit_id, job_id)
        await identity.record(tx, actor, "product.bulk-undo", "bulk_edit", bulk_edit_id, None, {"changed": row.changed})
    if here:
        await jobs.perform(database, BULK_UNDO, undo_bulk_edit, actor.organisation_id, job_id)


async def undo_bulk_edit(run: JobRun[BulkPayload]) -> Mapping[str, Any]:
    """Do the job: set back what nobody changed since, and say of the rest that it was left alone."""
    id = run.payload.bulk_edit_id
    more = True
    while more:
        async with run.step() as step:
            items = await bulk_store.changed_items(step.tx, id, STEP)
            more = bool(items)
            if items:
                await _undo_step(step.tx, id, items)
                step.done += len(items)
                step.words = f"{step.done:,} products"
            else:
                await bulk_store.finish(step.tx, id, "undone")
    async with run.database.transaction(run.organisation_id) as tx:
        row = await bulk_store.get(tx, id)
    return {"undone": row.undone, "left": row.left_alone}


async def _undo_step(tx: Tx, id: UUID, items: Sequence[bulk_store.Item]) -> None:
    # Categories are held before products, everywhere.
    gone = await store.missing_categories(tx, {b for item in items if (b := item.before.get("category_id"))})
    await store.lock_products(tx, [item.product_id for item in items])
    flats = await flats_of(tx, [item.product_id for item in items])
    written: dict[UUID, Flat] = {}
    told: list[tuple[UUID, str, str]] = []
    for item in items:
        fields = flats.get(item.product_id, {})
        back, left = bulk_rules.restore(item.before, item.after, fields)
        if back.get("category_id") in gone:
            del back["category_id"]
            left.append("category_id")
        if back:
            written[item.product_id] = back
        skus = {name.split(".")[1]: value for name, value in fields.items() if name.endswith(".sku")}
        names = ", ".join(bulk_rules.described(name, skus) for name in left[:10])
        told.append(
            (item.product_id, "left" if left else "undone", f"Changed since, left as it is: {names}." if left else "")
        )
    await write_flats(tx, written)
    await bulk_store.mark_items(tx, id, told)
    left_alone = sum(state == "left" for _, state, _ in told)
    await bulk_store.count(tx, id, undone=len(told) - left_alone, left_alone=left_alone)


def _selection(kept: Mapping[str, Any]) -> Selection:
    return msgspec.convert(kept, Selection)
