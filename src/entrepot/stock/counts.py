"""Counts: a sheet of SKUs of one location, counted blind, its differences looked at, then taken into the books.

What was counted is compared with what the books said at that moment. The difference is applied when the sheet is
confirmed, so goods that came or left in between are not counted away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from entrepot.catalog.contracts import VariantNotFound
from entrepot.database.pool import Tx
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import Conflict, InvalidInput
from entrepot.kernel.ids import new_id
from entrepot.stock import store, store_documents
from entrepot.stock.booking import close_books, open_books, use_locations
from entrepot.stock.contracts import MAX_QUANTITY, InvalidQuantity
from entrepot.stock.documents import locked
from entrepot.stock.store_documents import COUNTS

SHEET_MAX = 20_000


class SheetTooLong(InvalidInput):
    """A sheet holds up to 20,000 SKUs: count the location in parts, each with its SKUs chosen."""


class NothingCounted(Conflict):
    """Nothing on this sheet has been counted yet."""


async def open_count(
    tx: Tx, location_id: UUID, variant_ids: Sequence[UUID] | None, *, note: str = "", actor: str
) -> UUID:
    """Open a sheet for these variants, or (None) for all that the location has a level of; return its id.

    Raises LocationNotFound, LocationRests, SheetTooLong, VariantNotFound.
    """
    number = await store_documents.next_number(tx, COUNTS)
    await use_locations(tx, [location_id])
    chosen = variant_ids
    if chosen is None:
        chosen = await store_documents.variants_at(tx, location_id, SHEET_MAX + 1)
    if len(chosen) > SHEET_MAX:
        raise SheetTooLong
    id = new_id()
    await store_documents.insert_document(
        tx,
        COUNTS,
        {"id": id, "number": number, "location_id": location_id, "whole": variant_ids is None, "note": note,
         "actor": actor},
    )  # fmt: skip
    await _put_on_sheet(tx, id, chosen)
    return id


async def record_counts(tx: Tx, id: UUID, counted: Mapping[UUID, int], *, actor: str) -> None:
    """Write down what was counted (variant -> units); again for the same variant replaces it.

    A variant that was not on the sheet is added. Raises DocumentNotFound, WrongState, InvalidQuantity, SheetTooLong,
    VariantNotFound.
    """
    sheet = await locked(tx, COUNTS, id, "open")
    for units in counted.values():
        if not 0 <= units <= MAX_QUANTITY:
            raise InvalidQuantity(f"The quantity {units} is not between 0 and {MAX_QUANTITY}.")
    if len(counted) > SHEET_MAX:
        raise SheetTooLong
    await _put_on_sheet(tx, id, list(counted))
    await store_documents.record_counted(tx, id, sheet["location_id"], counted, actor=actor, now=utc_now())


async def _put_on_sheet(tx: Tx, id: UUID, variant_ids: Sequence[UUID]) -> None:
    there = set(await store_documents.add_count_lines(tx, id, variant_ids))
    for variant_id in variant_ids:
        if variant_id not in there:
            raise VariantNotFound("There is no such variant, or it is a bundle.", variant_id=str(variant_id))


async def confirm_count(tx: Tx, id: UUID, *, actor: str) -> int:
    """Take the differences into the books; return how many levels changed. What was not counted stays as it is.

    A level never goes below nothing: what left meanwhile and was missing in the count too is taken off once.
    Raises DocumentNotFound, WrongState, NothingCounted.
    """
    sheet = await locked(tx, COUNTS, id, "open")
    counted = await store_documents.counted_lines(tx, id)
    if not counted:
        raise NothingCounted
    location_id = sheet["location_id"]
    different = [(variant_id, units - expected) for variant_id, units, expected in counted if units != expected]
    applied = {variant_id: 0 for variant_id, _, _ in counted}
    if different:
        ledger = await open_books(tx, [(variant_id, location_id) for variant_id, _ in different], actor=actor)
        for variant_id, difference in different:
            level = ledger.at(variant_id, location_id)
            change = max(difference, -level.on_hand)
            applied[variant_id] = change
            if change:
                ledger.apply(
                    level,
                    store.Movement("count", on_hand=change, reference_kind="count", reference_id=id,
                                   reason=f"count {sheet['number']}"),
                )  # fmt: skip
        await close_books(tx, ledger)
    await store_documents.set_applied(tx, id, applied)
    await store_documents.set_document(tx, COUNTS, id, {"state": "confirmed", "closed_at": utc_now()})
    return sum(change != 0 for change in applied.values())


async def cancel_count(tx: Tx, id: UUID) -> None:
    """Put a sheet away without taking anything into the books. Raises DocumentNotFound, WrongState."""
    await locked(tx, COUNTS, id, "open")
    await store_documents.set_document(tx, COUNTS, id, {"state": "cancelled", "closed_at": utc_now()})
