"""Purchase orders: draft -> ordered -> partly received -> received; a draft or an order can be cancelled.

What is ordered is incoming at its location until it is received, given up or cancelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import Conflict
from entrepot.kernel.ids import new_id
from entrepot.stock import store, store_documents, store_supply, store_watch
from entrepot.stock.booking import close_books, open_books, use_locations
from entrepot.stock.contracts import MAX_QUANTITY, InvalidQuantity
from entrepot.stock.documents import LINES_MAX, Receipt, locked, put_lines, state_after, take_in
from entrepot.stock.store_documents import PURCHASES, Line
from entrepot.stock.suppliers import SupplierNotFound


class SupplierRests(Conflict):
    """Nothing is bought from this supplier any more: put it back into use first."""


async def draft_purchase(
    tx: Tx,
    supplier_id: UUID,
    location_id: UUID,
    units: Mapping[UUID, int],
    *,
    costs: Mapping[UUID, int | None] | None = None,
    note: str = "",
    actor: str,
) -> UUID:
    """Write a purchase order that has not been sent (variant -> units); return its id.

    `costs`: minor units of the supplier's currency for one unit; where none is given the supplier's price is taken.
    Raises SupplierNotFound, SupplierRests, LocationNotFound, LocationRests, InvalidQuantity, VariantNotFound,
    BundleHasNoStock.
    """
    number = await store_documents.next_number(tx, PURCHASES)
    supplier = await store_supply.lock_supplier(tx, supplier_id)
    if supplier is None:
        raise SupplierNotFound(supplier_id=str(supplier_id))
    if not supplier["active"]:
        raise SupplierRests
    await use_locations(tx, [location_id])
    id = new_id()
    await store_documents.insert_document(
        tx,
        PURCHASES,
        {"id": id, "number": number, "supplier_id": supplier_id, "location_id": location_id,
         "currency": supplier["currency"], "note": note, "actor": actor},
    )  # fmt: skip
    await _put(tx, id, units, costs or {})
    return id


async def change_purchase(
    tx: Tx, id: UUID, units: Mapping[UUID, int], *, costs: Mapping[UUID, int | None] | None = None
) -> None:
    """Set the lines of a draft. Raises DocumentNotFound, WrongState, and what `draft_purchase` does."""
    await locked(tx, PURCHASES, id, "draft")
    await _put(tx, id, units, costs or {})


async def add_to_draft(
    tx: Tx, id: UUID, units: Mapping[UUID, int], *, costs: Mapping[UUID, int | None] | None = None
) -> bool:
    """Add units to a draft, whose variants exist and are no bundles; return False if it is none any more or would be too long.

    `costs`: as in `draft_purchase`; where none is given a line that is there keeps its own.
    """
    row = await store_documents.lock_document(tx, PURCHASES, id)
    if row is None or row["state"] != "draft":
        return False
    before = {line.variant_id: line.quantity for line in await store_documents.lines_of(tx, PURCHASES, id)}
    if len(before.keys() | units.keys()) > LINES_MAX:
        return False
    if any(before.get(variant, 0) + more > MAX_QUANTITY for variant, more in units.items()):
        raise InvalidQuantity(f"A line has at most {MAX_QUANTITY:,} units.")
    await store_documents.add_lines(tx, PURCHASES, id, units)
    told = costs or {}
    await store_documents.put_costs(
        tx,
        id,
        {variant: told.get(variant) for variant in units if variant not in before or told.get(variant) is not None},
    )
    return True


async def _put(tx: Tx, id: UUID, units: Mapping[UUID, int], costs: Mapping[UUID, int | None]) -> None:
    if any(cost is not None and not 0 <= cost < 10**15 for cost in costs.values()):
        raise InvalidQuantity("A price is out of bounds.")
    await put_lines(tx, PURCHASES, id, units)
    await store_documents.put_costs(tx, id, {variant_id: costs.get(variant_id) for variant_id in units})


async def order_purchase(tx: Tx, id: UUID, *, expected_on: date | None = None, actor: str) -> None:
    """Say that a draft has been ordered: its units are incoming. `expected_on`: else after the supplier's lead time.

    Raises DocumentNotFound, WrongState.
    """
    order = await locked(tx, PURCHASES, id, "draft")
    await store_watch.close_drafted(tx, id)
    lines = await store_documents.lines_of(tx, PURCHASES, id)
    location_id = order["location_id"]
    ledger = await open_books(tx, [(line.variant_id, location_id) for line in lines], actor=actor)
    for line in lines:
        movement = _movement(id, incoming=line.quantity, reason="ordered")
        ledger.apply(ledger.at(line.variant_id, location_id), movement)
    now = utc_now()
    if expected_on is None:
        expected_on = (now + timedelta(days=await store_supply.lead_time_days(tx, id))).date()
    await store_documents.send_lines(tx, PURCHASES, id)
    await store_documents.set_document(
        tx, PURCHASES, id, {"state": "ordered", "ordered_at": now, "expected_on": expected_on}
    )
    await close_books(tx, ledger)


async def receive_purchase(tx: Tx, id: UUID, receipts: Sequence[Receipt], *, close: bool = False, actor: str) -> str:
    """Take in what came; return the state afterwards. `close`: the rest will not come.

    More than was ordered is taken in; damaged units are on hand but not for sale. Raises DocumentNotFound, WrongState,
    NotOnDocument, InvalidQuantity.
    """
    order = await locked(tx, PURCHASES, id, "ordered", "partly_received")
    lines = await store_documents.lines_of(tx, PURCHASES, id)
    location_id = order["location_id"]
    ledger = await open_books(tx, [(line.variant_id, location_id) for line in lines], actor=actor)
    changed = take_in(ledger, location_id, lines, receipts, _movement(id, reason="came in"), close=close)
    state = state_after(lines, changed)
    await _finish(tx, id, changed, state)
    await close_books(tx, ledger)
    return state


async def cancel_purchase(tx: Tx, id: UUID, *, actor: str) -> str:
    """Give a purchase order up: nothing more of it is expected; return the state afterwards.

    What came stays: then the order is received. Raises DocumentNotFound, WrongState.
    """
    order = await locked(tx, PURCHASES, id, "draft", "ordered", "partly_received")
    await store_watch.reopen_drafted(tx, id)
    if order["state"] == "draft":
        await _finish(tx, id, [], "cancelled")
        return "cancelled"
    lines = await store_documents.lines_of(tx, PURCHASES, id)
    location_id = order["location_id"]
    ledger = await open_books(tx, [(line.variant_id, location_id) for line in lines], actor=actor)
    changed = []
    for line in lines:
        if line.outstanding:
            movement = _movement(id, incoming=-line.outstanding, reason="cancelled")
            ledger.apply(ledger.at(line.variant_id, location_id), movement)
            changed.append(Line(line.variant_id, line.quantity, line.received, line.damaged, 0))
    state = "received" if any(line.received for line in lines) else "cancelled"
    await _finish(tx, id, changed, state)
    await close_books(tx, ledger)
    return state


async def _finish(tx: Tx, id: UUID, changed: Sequence[Line], state: str) -> None:
    await store_documents.change_lines(tx, PURCHASES, id, changed)
    closed_at = utc_now() if state in ("received", "cancelled") else None
    await store_documents.set_document(tx, PURCHASES, id, {"state": state, "closed_at": closed_at})


def _movement(id: UUID, *, incoming: int = 0, reason: str) -> store.Movement:
    return store.Movement(
        "purchase", incoming=incoming, reference_kind="purchase_order", reference_id=id, reason=reason
    )
