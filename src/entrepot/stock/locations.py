"""Locations: where stock sits. Stock is taken from the active ones in the order of their priority."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.errors import Conflict, InvalidInput
from entrepot.kernel.ids import new_id
from entrepot.stock import store, store_places
from entrepot.stock.booking import LocationNotFound
from entrepot.stock.claims import tell_changed
from entrepot.stock.contracts import MAX_QUANTITY

KINDS = ("warehouse", "store", "supplier", "dropship")
NAME_MAX = 100
TOLD_TOGETHER = 500
"""Variants in one event."""


class InvalidLocation(InvalidInput):
    """A location has a name of 1 to 100 characters and is a warehouse, store, supplier or dropship."""


class LocationNameTaken(Conflict):
    """Another location has this name."""


class LocationInUse(Conflict):
    """The location is still in use."""


def _check(name: str | None, kind: str | None) -> None:
    if (name is not None and not 1 <= len(name.strip()) <= NAME_MAX) or (kind is not None and kind not in KINDS):
        raise InvalidLocation


async def create_location(tx: Tx, name: str, kind: str = "warehouse") -> UUID:
    """Make a location, taken after all others; return its id. Raises InvalidLocation, LocationNameTaken."""
    _check(name, kind)
    id = new_id()
    if not await store_places.insert_location(tx, id, name.strip(), kind, await store_places.last_priority(tx) + 10):
        raise LocationNameTaken(f"There is a location called {name.strip()!r} already.")
    return id


async def change_location(
    tx: Tx, id: UUID, *, name: str | None = None, kind: str | None = None, buffer: int | None = None
) -> None:
    """Rename a location, say what it is, or how many units of each SKU it keeps back from channels.

    Another buffer has all SKUs that are there divided anew. Raises LocationNotFound, InvalidLocation, LocationNameTaken.
    """
    _check(name, kind)
    if buffer is not None and not 0 <= buffer <= MAX_QUANTITY:
        raise InvalidLocation(f"A location keeps back 0 to {MAX_QUANTITY:,} units of each SKU.")
    present = await _locked(tx, id)
    values: dict[str, Any] = {}
    if name is not None:
        if any(row["name"] == name.strip() and row["id"] != id for row in present):
            raise LocationNameTaken(f"There is a location called {name.strip()!r} already.")
        values["name"] = name.strip()
    if kind is not None:
        values["kind"] = kind
    before = next(row["buffer"] for row in present if row["id"] == id)
    if buffer is not None and buffer != before:
        values["buffer"] = buffer
    if values:
        await store_places.set_location(tx, id, values)
    if "buffer" in values:
        variants = await store_places.variants_at(tx, id)
        for start in range(0, len(variants), TOLD_TOGETHER):
            await tell_changed(tx, variants[start : start + TOLD_TOGETHER])


async def order_locations(tx: Tx, ids: Sequence[UUID]) -> None:
    """Take stock from locations in this order; those not named come after. Raises LocationNotFound."""
    present = await store_places.lock_locations(tx)
    known = {row["id"] for row in present}
    for id in ids:
        if id not in known:
            raise LocationNotFound(location_id=str(id))
    rest = sorted((row for row in present if row["id"] not in set(ids)), key=lambda row: (row["priority"], row["id"]))
    await store_places.set_priorities(tx, [*dict.fromkeys(ids), *(row["id"] for row in rest)])


async def deactivate_location(tx: Tx, id: UUID) -> None:
    """Put a location out of use: nothing comes there any more. Its safety stock moves to the one taken first.

    Raises LocationNotFound, or LocationInUse saying what is still there.
    """
    present = await _locked(tx, id)
    others = [row for row in present if row["active"] and row["id"] != id]
    if not others:
        raise LocationInUse("This is the only location in use: make another one first.")
    found = await store_places.in_use_at(tx, id)
    there = [
        f"{found[column]:,} {word}"
        for column, word in (
            ("on_hand", "units on hand"), ("reserved", "reserved"), ("held", "held"), ("incoming", "on their way there"),
            ("transfers", "open transfers"), ("counts", "open counts"), ("purchases", "open purchase orders"),
        )
        if found[column]
    ]  # fmt: skip
    if there:
        raise LocationInUse(
            f"It still has {', '.join(there)}: move, count or close those first.",
            **{column: found[column] for column in found.keys()},  # noqa: SIM118 (a record, not a mapping)
        )
    await store_places.set_location(tx, id, {"active": False})
    first = min(others, key=lambda row: (row["priority"], row["id"]))
    await _move_safety_stock(tx, id, first["id"])


async def activate_location(tx: Tx, id: UUID) -> None:
    """Put a location back into use. Raises LocationNotFound."""
    await _locked(tx, id)
    await store_places.set_location(tx, id, {"active": True})


async def _locked(tx: Tx, id: UUID) -> Sequence[Any]:
    present = await store_places.lock_locations(tx)
    if all(row["id"] != id for row in present):
        raise LocationNotFound(location_id=str(id))
    return present


async def _move_safety_stock(tx: Tx, source: UUID, target: UUID) -> None:
    kept = await store_places.safety_at(tx, source)
    if not kept:
        return
    await store.ensure_levels(tx, list(kept), target)
    levels = await store.lock_levels(tx, list(kept))
    ledger = store.Ledger(levels, "")
    for variant_id in kept:
        old, new = ledger.at(variant_id, source), ledger.at(variant_id, target)
        new.safety_stock += old.safety_stock
        old.safety_stock = 0
        old.changed = new.changed = True
    await ledger.write(tx)
    await tell_changed(tx, list(kept))
