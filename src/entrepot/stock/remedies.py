"""What a person does about a shortage: another location, a purchase, the supplier sends it, or the sale is given up."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.errors import Conflict, NotFound
from entrepot.kernel.ids import new_id
from entrepot.stock import store, store_claims, store_supply
from entrepot.stock.booking import LocationNotFound, close_books, open_books
from entrepot.stock.claims import tell_lines
from entrepot.stock.contracts import NotEnoughStock, Shortfall
from entrepot.stock.purchases import draft_purchase
from entrepot.stock.sales import release_sales


class ShortageNotFound(NotFound):
    """There is no such shortage, or it is closed."""


class NotASupplier(Conflict):
    """Only a location of the kind supplier or dropship sends goods itself: make one for this supplier first."""


class BeingBought(Conflict):
    """A purchase order for this shortage was made already."""


async def take_from_location(tx: Tx, id: UUID, location_id: UUID, *, actor: str) -> int:
    """Reserve what is free at a location for the sale; return the units still short.

    Raises ShortageNotFound, NotEnoughStock if nothing is free there, LocationNotFound, LocationRests.
    """
    variant_id = (await _found(tx, id))["variant_id"]
    ledger = await open_books(tx, [(variant_id, location_id)], actor=actor)
    shortage = await _found(tx, id, lock=True)
    units = min(shortage["quantity"], max(0, ledger.at(variant_id, location_id).free))
    if not units:
        raise NotEnoughStock((Shortfall(variant_id, shortage["quantity"], 0),))
    await store_supply.set_remedy(tx, id, "location", location_id, actor, "")
    return await _reserve(tx, ledger, shortage, location_id, units)


async def send_from_supplier(tx: Tx, id: UUID, location_id: UUID, *, note: str = "", actor: str) -> None:
    """Let a supplier send the goods itself: they are booked in at its location and reserved for the sale.

    Raises ShortageNotFound, LocationNotFound, LocationRests, NotASupplier.
    """
    variant_id = (await _found(tx, id))["variant_id"]
    kind = await store_supply.location_kind(tx, location_id)
    if kind is None:
        raise LocationNotFound(location_id=str(location_id))
    if kind not in ("supplier", "dropship"):
        raise NotASupplier
    ledger = await open_books(tx, [(variant_id, location_id)], actor=actor)
    shortage = await _found(tx, id, lock=True)
    ledger.apply(
        ledger.at(variant_id, location_id),
        store.Movement("purchase", on_hand=shortage["quantity"], reference_kind="shortage", reference_id=id,
                       reason="the supplier sends it"),
    )  # fmt: skip
    await store_supply.set_remedy(tx, id, "supplier", location_id, actor, note)
    await _reserve(tx, ledger, shortage, location_id, shortage["quantity"])


async def buy_for(tx: Tx, id: UUID, supplier_id: UUID, location_id: UUID | None, *, actor: str) -> UUID:
    """Draft a purchase order for what is short; return its id. What comes in fills the oldest shortages first.

    Raises ShortageNotFound, BeingBought, and what `draft_purchase` does.
    """
    variant_id = (await _found(tx, id))["variant_id"]
    place = location_id or await store.default_location(tx)
    units = (await _found(tx, id))["quantity"]
    purchase_id = await draft_purchase(
        tx, supplier_id, place, {variant_id: units}, note="for units that were sold and are not there", actor=actor
    )
    # The number of the order was taken first; who asks twice at once waits for it, and finds the first one's remedy.
    shortage = await _found(tx, id, lock=True)
    if shortage["remedy"] == "purchase":
        raise BeingBought
    await store_supply.set_remedy(tx, id, "purchase", purchase_id, actor, "")
    return purchase_id


async def give_up(tx: Tx, id: UUID, *, note: str = "", actor: str) -> None:
    """Close a shortage because its sale will not be sent; the order is told. Of a bundle all parts are given back.

    Should the channel still want the units when it next changes the order, they are claimed anew.
    Raises ShortageNotFound.
    """
    seen = await _found(tx, id)
    line = seen["reference_id"]
    variants = await store_claims.variants_of_lines(tx, [line])
    await store.lock_levels(tx, list({seen["variant_id"], *variants}))
    shortage = await _found(tx, id, lock=True)
    await store_supply.set_remedy(tx, id, "cancel", None, actor, note)
    await release_sales(tx, {line: -(-shortage["quantity"] // shortage["per_bundle"])}, actor=actor)
    await tell_lines(tx, [line])


async def _found(tx: Tx, id: UUID, *, lock: bool = False) -> Any:
    row = await store_supply.read_shortage(tx, id, lock=lock)
    if row is None:
        raise ShortageNotFound
    return row


async def _reserve(tx: Tx, ledger: store.Ledger, shortage: Any, location_id: UUID, units: int) -> int:
    """Reserve units at a location for a shortage, close or lessen it; return what is still short."""
    variant_id, line = shortage["variant_id"], shortage["reference_id"]
    ledger.apply(
        ledger.at(variant_id, location_id),
        store.Movement("reserve", reserved=units, reference_kind="order_line", reference_id=line,
                       reason="shortage remedied"),
    )  # fmt: skip
    await store_claims.insert_reservations(
        tx, [(new_id(), 0, "order", variant_id, location_id, units, line, None, shortage["per_bundle"])]
    )
    left: int = shortage["quantity"] - units
    await store_claims.change_shortages(tx, [(shortage["id"], left)])
    await close_books(tx, ledger)
    await tell_lines(tx, [line])
    return left
