"""What transfers and purchase orders have in common: their lines, and units that are on their way and come in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.catalog.contracts import VariantNotFound
from entrepot.database.pool import Tx
from entrepot.kernel.errors import Conflict, InvalidInput, NotFound
from entrepot.stock import store, store_documents
from entrepot.stock.booking import BundleHasNoStock
from entrepot.stock.contracts import MAX_QUANTITY, InvalidQuantity
from entrepot.stock.store_documents import Line, Papers

LINES_MAX = 2_000
ON_THE_WAY = ("in_transit", "ordered", "partly_received")


class DocumentNotFound(NotFound):
    """There is no such document."""


class WrongState(Conflict):
    """The document is in another state."""


class NotOnDocument(InvalidInput):
    """The document does not have this SKU: put it in stock with an adjustment."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Units of a variant that came in; `damaged` of them cannot be sold."""

    variant_id: UUID
    received: int
    damaged: int = 0


async def locked(tx: Tx, papers: Papers, id: UUID, *states: str) -> Any:
    """Lock a document that must be in one of these states. Raises DocumentNotFound, WrongState."""
    row = await store_documents.lock_document(tx, papers, id)
    if row is None:
        raise DocumentNotFound(f"There is no such {papers.word}.")
    if row["state"] not in states:
        state = str(row["state"]).replace("_", " ")
        raise WrongState(f"This {papers.word} is {state}, so that cannot be done with it.", state=row["state"])
    return row


async def put_lines(tx: Tx, papers: Papers, id: UUID, units: Mapping[UUID, int]) -> None:
    """Set the lines of a draft. Raises InvalidQuantity, VariantNotFound, BundleHasNoStock."""
    if not 1 <= len(units) <= LINES_MAX:
        raise InvalidQuantity(f"A {papers.word} has 1 to {LINES_MAX:,} lines.")
    for quantity in units.values():
        if not 1 <= quantity <= MAX_QUANTITY:
            raise InvalidQuantity(f"The quantity {quantity} is not between 1 and {MAX_QUANTITY}.")
    if await catalog.parts_of(tx, list(units)):
        raise BundleHasNoStock("A bundle has no stock of its own: name its parts.")
    missing = await store_documents.put_lines(tx, papers, id, units)
    if missing:
        raise VariantNotFound(variant_id=str(missing[0]))


def take_in(
    ledger: store.Ledger,
    location_id: UUID,
    lines: Sequence[Line],
    receipts: Sequence[Receipt],
    booked: store.Movement,
    *,
    close: bool,
) -> list[Line]:
    """Book what came in at a location and return the lines that changed.

    More than was sent is taken in as it is; what is missing stays outstanding, or with `close` is given up. `booked`
    says kind and reference of the movements. Raises NotOnDocument, InvalidQuantity.
    """
    came = _sum(receipts)
    by_variant = {line.variant_id: line for line in lines}
    for variant_id in came:
        if variant_id not in by_variant:
            raise NotOnDocument(variant_id=str(variant_id))
    changed = []
    for line in lines:
        received, damaged = came.get(line.variant_id, (0, 0))
        fulfilled = min(received, line.outstanding)
        given_up = line.outstanding - fulfilled if close else 0
        level = ledger.at(line.variant_id, location_id)
        if received:
            ledger.apply(level, replace(booked, on_hand=received, unavailable=damaged, incoming=-fulfilled))
        if given_up:
            ledger.apply(level, replace(booked, incoming=-given_up, reason="did not arrive"))
        if received or given_up:
            left = line.outstanding - fulfilled - given_up
            changed.append(Line(line.variant_id, line.quantity, line.received + received, line.damaged + damaged, left))
    return changed


def _sum(receipts: Sequence[Receipt]) -> dict[UUID, tuple[int, int]]:
    came: dict[UUID, tuple[int, int]] = {}
    for receipt in receipts:
        if not 0 <= receipt.damaged <= receipt.received <= MAX_QUANTITY:
            raise InvalidQuantity(
                f"{receipt.received} received of which {receipt.damaged} damaged: the second cannot be more."
            )
        received, damaged = came.get(receipt.variant_id, (0, 0))
        came[receipt.variant_id] = (received + receipt.received, damaged + receipt.damaged)
    return came


def state_after(lines: Sequence[Line], changed: Sequence[Line]) -> str:
    """Return the state of a document after a receipt: received once nothing is outstanding."""
    left = {line.variant_id: line.outstanding for line in (*lines, *changed)}
    return "partly_received" if any(left.values()) else "received"
