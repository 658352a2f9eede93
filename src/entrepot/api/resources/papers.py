"""Transfers and counts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from entrepot.api.amounts import Text255
from entrepot.api.answers import Answer, Input, Resource, answer, once, respond
from entrepot.api.dependencies import Call, CallDep
from entrepot.api.items import Item, ItemUnits, Units, units_of, variants_of
from entrepot.api.paging import PagingDep
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.stock import facade as stock
from entrepot.stock import reading_papers as reading


class DocumentLine(Resource):
    """Units of a variant on a document. `received` counts the damaged ones too."""

    variant_id: UUID
    sku: str
    title: str
    quantity: int
    received: int
    damaged: int
    outstanding: int


class TransferView(Resource):
    """A transfer: draft, in_transit, partly_received, received or cancelled."""

    id: UUID
    number: int
    state: str
    from_location_id: UUID
    from_location: str
    to_location_id: UUID
    to_location: str
    note: str
    actor: str
    created_at: datetime
    shipped_at: datetime | None
    closed_at: datetime | None
    lines: int
    units: int
    received: int
    outstanding: int


class Transfers(Resource):
    """Transfers, newest first."""

    transfers: list[TransferView]
    next_cursor: str | None


class OneTransfer(Resource):
    """A transfer with its lines."""

    transfer: TransferView
    lines: list[DocumentLine]


class NewTransfer(Input):
    """Goods to go from one location to another."""

    from_location_id: UUID
    to_location_id: UUID
    lines: Annotated[list[ItemUnits], Field(min_length=1, max_length=2000)]
    note: Text255 = ""


class NewLines(Input):
    """The lines that a draft shall have."""

    lines: Annotated[list[ItemUnits], Field(min_length=1, max_length=2000)]


class ReceivedItem(Item):
    """Units of a variant that came in, `damaged` of them."""

    received: Units
    damaged: Units = 0


class Received(Input):
    """What came in. `close`: the rest will not come."""

    lines: Annotated[list[ReceivedItem], Field(max_length=2000)]
    close: bool = False


class CountView(Resource):
    """A count sheet: open, confirmed or cancelled."""

    id: UUID
    number: int
    state: str
    location_id: UUID
    location: str
    whole: bool
    note: str
    actor: str
    created_at: datetime
    closed_at: datetime | None
    lines: int
    counted: int
    differences: int


class CountLineView(Resource):
    """A SKU on a sheet. `expected`: what the books said when it was counted; `applied`: by how much they changed."""

    variant_id: UUID
    sku: str
    title: str
    counted: int | None
    expected: int | None
    difference: int | None
    counted_by: str
    counted_at: datetime | None
    applied: int | None


class Counts(Resource):
    """Count sheets, newest first."""

    counts: list[CountView]
    next_cursor: str | None


class OneCount(Resource):
    """A count sheet."""

    count: CountView


class CountLines(Resource):
    """Lines of a sheet, in its order."""

    lines: list[CountLineView]
    next_cursor: str | None


class NewCount(Input):
    """A sheet for a location: for these SKUs, or without `items` for all that it has."""

    location_id: UUID
    items: Annotated[list[Item] | None, Field(min_length=1, max_length=20_000)] = None
    note: Text255 = ""


class CountedItem(Item):
    """Units that were counted of a variant."""

    counted: Units


class Counted(Input):
    """What was counted; again for the same SKU replaces it."""

    lines: Annotated[list[CountedItem], Field(min_length=1, max_length=5000)]


# ---- transfers -------------------------------------------------------------------------------------------


async def list_transfers(
    call: CallDep,
    paging: PagingDep,
    state: Annotated[Literal["", *reading.TRANSFER_STATES], Query()] = "",  # type: ignore[valid-type]
) -> Response:
    """Return transfers, newest first."""
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: reading.list_transfers(tx, state, cursor, limit))
    return respond(Transfers(transfers=[TransferView.model_validate(r) for r in found], next_cursor=found.next_cursor))


async def get_transfer(transfer_id: UUID, call: CallDep) -> Response:
    """Return a transfer with its lines."""
    async with call.transaction() as tx:
        return respond(await _transfer(tx, transfer_id))


async def create_transfer(body: NewTransfer, call: CallDep) -> Response:
    """Draft a transfer."""

    async def work(tx: Tx) -> Answer:
        units = await units_of(tx, body.lines)
        id = await stock.draft_transfer(
            tx, body.from_location_id, body.to_location_id, units, note=body.note, actor=call.actor.reference
        )
        return answer(await _told(tx, call, "transfer.create", id), 201)

    return await once(call, work)


async def change_transfer(transfer_id: UUID, body: NewLines, call: CallDep) -> Response:
    """Set the lines of a draft."""
    async with call.transaction() as tx:
        await stock.change_transfer(tx, transfer_id, await units_of(tx, body.lines))
        return respond(await _told(tx, call, "transfer.update", transfer_id))


async def ship_transfer(transfer_id: UUID, call: CallDep) -> Response:
    """Send a draft: its units leave, and are in transit."""

    async def work(tx: Tx) -> Answer:
        await stock.ship_transfer(tx, transfer_id, actor=call.actor.reference)
        return answer(await _told(tx, call, "transfer.ship", transfer_id))

    return await once(call, work)


async def receive_transfer(transfer_id: UUID, body: Received, call: CallDep) -> Response:
    """Take in what arrived of a transfer."""

    async def work(tx: Tx) -> Answer:
        receipts = await receipts_of(tx, body)
        await stock.receive_transfer(tx, transfer_id, receipts, close=body.close, actor=call.actor.reference)
        return answer(await _told(tx, call, "transfer.receive", transfer_id))

    return await once(call, work)


async def cancel_transfer(transfer_id: UUID, call: CallDep) -> Response:
    """Give a transfer up: what is in transit goes back."""

    async def work(tx: Tx) -> Answer:
        await stock.cancel_transfer(tx, transfer_id, actor=call.actor.reference)
        return answer(await _told(tx, call, "transfer.cancel", transfer_id))

    return await once(call, work)


async def receipts_of(tx: Tx, body: Received) -> list[stock.Receipt]:
    """Return what came in by variant. Raises VariantNotFound."""
    ids = await variants_of(tx, body.lines)
    return [stock.Receipt(id, each.received, each.damaged) for id, each in zip(ids, body.lines, strict=True)]


async def _transfer(tx: Tx, id: UUID) -> OneTransfer:
    row, lines = await reading.transfer(tx, id)
    return OneTransfer(
        transfer=TransferView.model_validate(row), lines=[DocumentLine.model_validate(line) for line in lines]
    )


async def _told(tx: Tx, call: Call, action: str, id: UUID) -> OneTransfer:
    made = await _transfer(tx, id)
    after = {"number": made.transfer.number, "state": made.transfer.state, "units": made.transfer.units,
             "received": made.transfer.received}  # fmt: skip
    await identity.record(tx, call.actor, action, "transfer", id, None, after)
    return made


# ---- counts ----------------------------------------------------------------------------------------------


async def list_counts(
    call: CallDep,
    paging: PagingDep,
    state: Annotated[Literal["", *reading.COUNT_STATES], Query()] = "",  # type: ignore[valid-type]
) -> Response:
    """Return count sheets, newest first."""
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: reading.list_counts(tx, state, cursor, limit))
    return respond(Counts(counts=[CountView.model_validate(row) for row in found], next_cursor=found.next_cursor))


async def get_count(count_id: UUID, call: CallDep) -> Response:
    """Return a count sheet."""
    async with call.transaction() as tx:
        return respond(await _count(tx, count_id))


async def list_count_lines(
    count_id: UUID,
    call: CallDep,
    paging: PagingDep,
    only: Annotated[Literal["all", "uncounted", "differences"], Query()] = "all",
) -> Response:
    """Return the lines of a sheet: all, those still to count, or the differences."""
    async with call.transaction() as tx:
        await reading.count_sheet(tx, count_id)
        found = await paging.read(lambda cursor, limit: reading.count_lines(tx, count_id, only, cursor, limit))
    return respond(CountLines(lines=[CountLineView.model_validate(r) for r in found], next_cursor=found.next_cursor))


async def create_count(body: NewCount, call: CallDep) -> Response:
    """Open a count sheet."""

    async def work(tx: Tx) -> Answer:
        chosen = None if body.items is None else list(dict.fromkeys(await variants_of(tx, body.items)))
        id = await stock.open_count(tx, body.location_id, chosen, note=body.note, actor=call.actor.reference)
        return answer(await _counted(tx, call, "count.create", id), 201)

    return await once(call, work)


async def record_counts(count_id: UUID, body: Counted, call: CallDep) -> Response:
    """Write down what was counted; the books stay as they are until the sheet is confirmed."""
    async with call.transaction() as tx:
        ids = await variants_of(tx, body.lines)
        counted = {id: each.counted for id, each in zip(ids, body.lines, strict=True)}
        await stock.record_counts(tx, count_id, counted, actor=call.actor.reference)
        return respond(await _count(tx, count_id))


async def confirm_count(count_id: UUID, call: CallDep) -> Response:
    """Take the differences of a sheet into the books."""

    async def work(tx: Tx) -> Answer:
        await stock.confirm_count(tx, count_id, actor=call.actor.reference)
        return answer(await _counted(tx, call, "count.confirm", count_id))

    return await once(call, work)


async def cancel_count(count_id: UUID, call: CallDep) -> Response:
    """Put a sheet away without taking anything into the books."""

    async def work(tx: Tx) -> Answer:
        await stock.cancel_count(tx, count_id)
        return answer(await _counted(tx, call, "count.cancel", count_id))

    return await once(call, work)


async def _count(tx: Tx, id: UUID) -> OneCount:
    return OneCount(count=CountView.model_validate(await reading.count_sheet(tx, id)))


async def _counted(tx: Tx, call: Call, action: str, id: UUID) -> OneCount:
    made = await _count(tx, id)
    after = {"number": made.count.number, "state": made.count.state, "differences": made.count.differences}
    await identity.record(tx, call.actor, action, "count", id, None, after)
    return made
