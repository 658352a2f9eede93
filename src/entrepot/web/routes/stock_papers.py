"""Transfers between locations, and counts."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.jobs.facade import JobState
from entrepot.kernel.errors import EntrepotError, InvalidInput
from entrepot.stock import csv_out, files, reading, reading_papers
from entrepot.stock import facade as stock
from entrepot.web.routes.stock_files import uploaded_text
from entrepot.web.routes.stock_places import send_file
from entrepot.web.services import PageServices
from entrepot.web.stock_forms import Done, Typed, attempt, known_variants, receipts_typed, units_typed
from entrepot.web.visit import Handler, Visit, page, parse_id, whole_number

PAGE_SIZE = 50


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of transfers and counts; they come before those of one SKU."""
    read, write = Scope.STOCK_READ, Scope.STOCK_WRITE
    return [
        Route("/stock/transfers", page(services, transfers, read), methods=["GET"]),
        Route("/stock/transfers", page(services, create_transfer, write), methods=["POST"]),
        Route("/stock/transfers/{id}", page(services, transfer, read), methods=["GET"]),
        *(
            Route(f"/stock/transfers/{{id}}/{verb}", page(services, _moving(verb), write), methods=["POST"])
            for verb in ("ship", "receive", "cancel")
        ),
        Route("/stock/transfers/{id}/lines.csv", page(services, transfer_file, read), methods=["GET"]),
        Route("/stock/counts", page(services, counts, read), methods=["GET"]),
        Route("/stock/counts", page(services, create_count, write), methods=["POST"]),
        Route("/stock/counts/{id}", page(services, count, read), methods=["GET"]),
        Route("/stock/counts/{id}/lines.csv", page(services, count_file, read), methods=["GET"]),
        *(
            Route(f"/stock/counts/{{id}}/{verb}", page(services, _counting(verb), write), methods=["POST"])
            for verb in ("record", "confirm", "cancel")
        ),
        Route("/stock/counts/{id}/file", page(services, count_from_file, write), methods=["POST"]),
    ]


# ---- transfers -------------------------------------------------------------------------------------------


async def transfers(visit: Visit) -> Response:
    """The list, with a form for a new one."""
    return await _transfers(visit)


async def _transfers(visit: Visit, error: str = "", typed: Typed | None = None) -> Response:
    state, cursor = visit.parameter("state"), visit.parameter("cursor")
    async with visit.transaction() as tx:
        rows = await reading_papers.list_transfers(tx, state, cursor, PAGE_SIZE)
        places = await reading.locations(tx)
    return await visit.page(
        "stock_transfers.html", status=422 if error else 200, tab="transfers", rows=rows, places=places, error=error,
        typed=typed or Typed(), cursor=cursor, states=reading_papers.TRANSFER_STATES, parameters={"state": state},
    )  # fmt: skip


async def create_transfer(visit: Visit) -> Response:
    """Draft a transfer."""
    form = Typed(await visit.form())

    async def work(tx: Tx) -> Done:
        units = await units_typed(tx, form.get("lines", ""))
        source, target = parse_id(form.get("from", "")), parse_id(form.get("to", ""))
        note = form.get("note", "")[:200]
        id = await stock.draft_transfer(tx, source, target, units, note=note, actor=visit.actor.name)
        await identity.record(tx, visit.actor, "transfer.create", "transfer", id, None, {"lines": len(units)})
        return f"/stock/transfers/{id}", "Drafted. Nothing has moved yet."

    return await attempt(visit, work, lambda error: _transfers(visit, error, form))


async def transfer(visit: Visit) -> Response:
    """One transfer."""
    return await _transfer(visit)


async def _transfer(visit: Visit, error: str = "") -> Response:
    async with visit.transaction() as tx:
        row, lines = await reading_papers.transfer(tx, visit.id_of("id"))
    status = 409 if error else 200
    return await visit.page("stock_transfer.html", status=status, tab="transfers", row=row, lines=lines, error=error)


async def transfer_file(visit: Visit) -> Response:
    """The lines of a transfer as CSV: what to pack, or what to expect."""
    async with visit.transaction() as tx:
        found = await csv_out.transfer_lines(tx, visit.id_of("id"))
    return await send_file(visit, found)


def _moving(verb: str) -> Handler:
    async def do(visit: Visit) -> Response:
        id = visit.id_of("id")
        form = await visit.form()

        async def work(tx: Tx) -> Done:
            said = await _move(tx, verb, id, form, visit.actor.name)
            row, _ = await reading_papers.transfer(tx, id)
            after = {"state": row.state, "received": row.received}
            await identity.record(tx, visit.actor, f"transfer.{verb}", "transfer", id, None, after)
            return f"/stock/transfers/{id}", said

        return await attempt(visit, work, lambda error: _transfer(visit, error))

    return do


async def _move(tx: Tx, verb: str, id: UUID, form: Any, actor: str) -> str:
    if verb == "ship":
        await stock.ship_transfer(tx, id, actor=actor)
        return "Sent: the units are in transit."
    if verb == "cancel":
        state = await stock.cancel_transfer(tx, id, actor=actor)
        return "Cancelled." if state == "cancelled" else "What had arrived stays; the rest went back."
    _, lines = await reading_papers.transfer(tx, id)
    receipts = receipts_typed(form, {line.variant_id: line.outstanding for line in lines})
    state = await stock.receive_transfer(tx, id, receipts, close=form.get("do") == "close", actor=actor)
    return "All of it is in." if state == "received" else "Taken in. The rest is still in transit."


# ---- counts ----------------------------------------------------------------------------------------------


async def counts(visit: Visit) -> Response:
    """The list, with a form for a new one."""
    return await _counts(visit)


async def _counts(visit: Visit, error: str = "", typed: Typed | None = None) -> Response:
    state, cursor = visit.parameter("state"), visit.parameter("cursor")
    async with visit.transaction() as tx:
        rows = await reading_papers.list_counts(tx, state, cursor, PAGE_SIZE)
        places = await reading.locations(tx)
    return await visit.page(
        "stock_counts.html", status=422 if error else 200, tab="counts", rows=rows, places=places, error=error,
        typed=typed or Typed(), cursor=cursor, states=reading_papers.COUNT_STATES, parameters={"state": state},
    )  # fmt: skip


async def create_count(visit: Visit) -> Response:
    """Open a sheet for chosen SKUs, or for all that the location has."""
    form = Typed(await visit.form())

    async def work(tx: Tx) -> Done:
        skus = form.get("skus", "").split()
        chosen = list((await known_variants(tx, skus)).values()) if skus else None
        place, note = parse_id(form.get("location", "")), form.get("note", "")[:200]
        id = await stock.open_count(tx, place, chosen, note=note, actor=visit.actor.name)
        await identity.record(tx, visit.actor, "count.create", "count", id)
        return f"/stock/counts/{id}", "The sheet is open."

    return await attempt(visit, work, lambda error: _counts(visit, error, form))


async def count(visit: Visit) -> Response:
    """One sheet: blind while it is counted; its differences on their own tab."""
    return await _count(visit)


async def _count(visit: Visit, error: str = "") -> Response:
    cursor = visit.parameter("cursor")
    async with visit.transaction() as tx:
        row = await reading_papers.count_sheet(tx, visit.id_of("id"))
        only = visit.parameter("only") or ("uncounted" if row.state == "open" else "differences")
        lines = await reading_papers.count_lines(tx, row.id, only, cursor, PAGE_SIZE)
    return await visit.page(
        "stock_count.html", status=422 if error else 200, tab="counts", row=row, lines=lines, only=only, cursor=cursor,
        error=error,
    )  # fmt: skip


async def count_file(visit: Visit) -> Response:
    """The sheet as CSV: without what the books say, unless the differences are asked for."""
    async with visit.transaction() as tx:
        row = await reading_papers.count_sheet(tx, visit.id_of("id"))
    only = visit.parameter("only") or ("blind" if row.state == "open" else "all")
    return await send_file(visit, csv_out.count_lines(row.id, only))


def _counting(verb: str) -> Handler:
    async def do(visit: Visit) -> Response:
        id = visit.id_of("id")
        form = await visit.form()
        return await attempt(visit, lambda tx: _record(tx, verb, id, form, visit), lambda error: _count(visit, error))

    return do


async def count_from_file(visit: Visit) -> Response:
    """Write what was counted from a file; rows with a fault are named."""
    id = visit.id_of("id")
    try:
        name, text = await uploaded_text(visit)
        found = await files.take_in(
            visit.services.database,
            visit.actor,
            "count",
            text,
            currency=visit.organisation.currency,
            count_id=id,
            name=name,
        )
    except EntrepotError as error:
        return await _count(visit, error.detail)
    if found.job.state is not JobState.DONE or found.problems:
        return visit.go(f"/stock/files/{found.job.id}")
    return visit.go(f"/stock/counts/{id}", f"{found.done:,} SKUs were counted.")


async def _record(tx: Tx, verb: str, id: UUID, form: Any, visit: Visit) -> Done:
    back = f"/stock/counts/{id}"
    if verb == "cancel":
        await stock.cancel_count(tx, id)
        said = "Put away. The stock stays as it was."
    elif verb == "confirm":
        changed = await stock.confirm_count(tx, id, actor=visit.actor.name)
        said = f"Taken over: {changed:,} levels changed."
    else:
        counted = await _counted(tx, form)
        await stock.record_counts(tx, id, counted, actor=visit.actor.name)
        return back, f"{len(counted):,} SKUs noted."
    await identity.record(tx, visit.actor, f"count.{verb}", "count", id)
    return back, said


async def _counted(tx: Tx, form: Any) -> dict[UUID, int]:
    """Return what was counted, from the fields of the sheet and from typed lines. Raises InvalidInput."""
    counted = {}
    for name, text in form.items():
        match = re.fullmatch(r"counted_([0-9a-f-]{36})", name)
        if match and text:
            counted[UUID(match[1])] = whole_number(text, "Counted")
    if form.get("lines", "").strip():
        counted |= await units_typed(tx, form["lines"], minimum=0)
    if not counted:
        raise InvalidInput("Write at least one count.")
    return counted
