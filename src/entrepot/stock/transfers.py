"""Transfers: goods that go from one location to another, and are in transit meanwhile.

draft -> in transit -> partly received -> received; a draft or what is in transit can be cancelled. In transit the units
are in no location's stock: the one they go to expects them (`incoming`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.ids import new_id
from entrepot.stock import store, store_documents
from entrepot.stock.booking import close_books, free_at, open_books, use_locations
from entrepot.stock.contracts import NotEnoughStock, Shortfall
from entrepot.stock.documents import Receipt, locked, put_lines, state_after, take_in
from entrepot.stock.store_documents import TRANSFERS, Line


class SameLocation(InvalidInput):
    """A transfer goes from one location to another."""


async def draft_transfer(
    tx: Tx, from_location_id: UUID, to_location_id: UUID, units: Mapping[UUID, int], *, note: str = "", actor: str
) -> UUID:
    """Write a transfer that has not left yet (variant -> units); return its id.

    Raises SameLocation, LocationNotFound, LocationRests, InvalidQuantity, VariantNotFound, BundleHasNoStock.
    """
    if from_location_id == to_location_id:
        raise SameLocation
    number = await store_documents.next_number(tx, TRANSFERS)
    await use_locations(tx, [from_location_id, to_location_id])
    id = new_id()
    await store_documents.insert_document(
        tx,
        TRANSFERS,
        {"id": id, "number": number, "from_location_id": from_location_id, "to_location_id": to_location_id,
         "note": note, "actor": actor},
    )  # fmt: skip
    await put_lines(tx, TRANSFERS, id, units)
    return id


async def change_transfer(tx: Tx, id: UUID, units: Mapping[UUID, int]) -> None:
    """Set the lines of a draft. Raises DocumentNotFound, WrongState, and what `draft_transfer` does."""
    await locked(tx, TRANSFERS, id, "draft")
    await put_lines(tx, TRANSFERS, id, units)


async def ship_transfer(tx: Tx, id: UUID, *, actor: str) -> None:
    """Send a draft: its units leave the first location and are in transit to the second.

    Raises DocumentNotFound, WrongState, and NotEnoughStock where units are asked for that are not there or claimed.
    """
    transfer = await locked(tx, TRANSFERS, id, "draft")
    lines = await store_documents.lines_of(tx, TRANSFERS, id)
    source, target = transfer["from_location_id"], transfer["to_location_id"]
    ledger = await open_books(tx, [(n.variant_id, at) for n in lines for at in (source, target)], actor=actor)
    short = free_at(ledger, [(line.variant_id, source, line.quantity) for line in lines])
    if short:
        raise NotEnoughStock(tuple(Shortfall(*line) for line in short))
    for line in lines:
        ledger.apply(ledger.at(line.variant_id, source), _movement(id, on_hand=-line.quantity, reason="sent"))
        ledger.apply(ledger.at(line.variant_id, target), _movement(id, incoming=line.quantity, reason="on its way"))
    await store_documents.send_lines(tx, TRANSFERS, id)
    await store_documents.set_document(tx, TRANSFERS, id, {"state": "in_transit", "shipped_at": utc_now()})
    await close_books(tx, ledger)


async def receive_transfer(tx: Tx, id: UUID, receipts: Sequence[Receipt], *, close: bool = False, actor: str) -> str:
    """Take in what arrived; return the state afterwards. `close`: the rest will not come.

    Raises DocumentNotFound, WrongState, NotOnDocument, InvalidQuantity.
    """
    transfer = await locked(tx, TRANSFERS, id, "in_transit", "partly_received")
    lines = await store_documents.lines_of(tx, TRANSFERS, id)
    target = transfer["to_location_id"]
    ledger = await open_books(tx, [(line.variant_id, target) for line in lines], actor=actor)
    changed = take_in(ledger, target, lines, receipts, _movement(id, reason="arrived"), close=close)
    state = state_after(lines, changed)
    await _finish(tx, id, changed, state)
    await close_books(tx, ledger)
    return state


async def cancel_transfer(tx: Tx, id: UUID, *, actor: str) -> str:
    """Give a transfer up: what is still in transit goes back to where it came from; return the state afterwards.

    What has arrived stays: then the transfer is received. Raises DocumentNotFound, WrongState.
    """
    transfer = await locked(tx, TRANSFERS, id, "draft", "in_transit", "partly_received")
    if transfer["state"] == "draft":
        await _finish(tx, id, [], "cancelled")
        return "cancelled"
    lines = await store_documents.lines_of(tx, TRANSFERS, id)
    source, target = transfer["from_location_id"], transfer["to_location_id"]
    ledger = await open_books(tx, [(n.variant_id, at) for n in lines for at in (source, target)], actor=actor)
    changed = []
    for line in lines:
        if line.outstanding:
            back = line.outstanding
            ledger.apply(ledger.at(line.variant_id, target), _movement(id, incoming=-back, reason="cancelled"))
            ledger.apply(ledger.at(line.variant_id, source), _movement(id, on_hand=back, reason="came back"))
            changed.append(Line(line.variant_id, line.quantity, line.received, line.damaged, 0))
    state = "received" if any(line.received for line in lines) else "cancelled"
    await _finish(tx, id, changed, state)
    await close_books(tx, ledger)
    return state


async def _finish(tx: Tx, id: UUID, changed: Sequence[Line], state: str) -> None:
    await store_documents.change_lines(tx, TRANSFERS, id, changed)
    closed_at = utc_now() if state in ("received", "cancelled") else None
    await store_documents.set_document(tx, TRANSFERS, id, {"state": state, "closed_at": closed_at})


def _movement(id: UUID, *, on_hand: int = 0, incoming: int = 0, reason: str) -> store.Movement:
    return store.Movement(
        "transfer", on_hand=on_hand, incoming=incoming, reference_kind="transfer", reference_id=id, reason=reason
    )
