"""Changes that people and channels of supply make: counts, adjustments, safety stock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.stock import store
from entrepot.stock.booking import close_books, open_books
from entrepot.stock.claims import tell_changed
from entrepot.stock.contracts import MAX_QUANTITY, InvalidQuantity, Level


@dataclass(frozen=True, slots=True)
class StockChange:
    """A new number of units on hand (`on_hand`), or a difference (`delta`), of a variant at a location."""

    variant_id: UUID
    reason: str
    on_hand: int | None = None
    delta: int | None = None
    location_id: UUID | None = None
    """None: the first location."""


async def change_on_hand(tx: Tx, changes: Sequence[StockChange], *, kind: str, actor: str) -> list[Level]:
    """Set or adjust what is on hand; return the levels afterwards.

    `kind` is the movement's: count, adjustment, purchase, return, damage. A count below what is reserved is accepted
    and makes a shortage; what comes in goes to open shortages first. Raises InvalidQuantity, and what `open_books` does.
    """
    default = await store.default_location(tx)
    ledger = await open_books(tx, [(c.variant_id, c.location_id or default) for c in changes], actor=actor)
    touched = []
    for change in changes:
        level = ledger.at(change.variant_id, change.location_id or default)
        touched.append(level)
        target = change.on_hand if change.on_hand is not None else level.on_hand + (change.delta or 0)
        if not 0 <= target <= MAX_QUANTITY:
            raise InvalidQuantity(f"On hand would be {target}: it must be between 0 and {MAX_QUANTITY}.")
        if target != level.on_hand:
            ledger.apply(level, store.Movement(kind, on_hand=target - level.on_hand, reason=change.reason))
    await close_books(tx, ledger)
    return [_level(level) for level in touched]


async def set_damaged(
    tx: Tx, variant_id: UUID, location_id: UUID | None, damaged: int, *, reason: str, actor: str
) -> Level:
    """Say how many of the units on hand are damaged: there, but not for sale. Fewer than before: some are good again.

    Damaged units that orders had reserved become shortages. Raises InvalidQuantity, and what `open_books` does.
    """
    place = location_id or await store.default_location(tx)
    ledger = await open_books(tx, [(variant_id, place)], actor=actor)
    level = ledger.at(variant_id, place)
    if not 0 <= damaged <= level.on_hand:
        raise InvalidQuantity(f"Of {level.on_hand} on hand {damaged} cannot be damaged.")
    if damaged != level.unavailable:
        ledger.apply(level, store.Movement("damage", unavailable=damaged - level.unavailable, reason=reason))
    await close_books(tx, ledger)
    return _level(level)


async def set_safety_stock(tx: Tx, variant_id: UUID, quantity: int) -> None:
    """Keep so many units of a variant back everywhere (at the first location). Raises InvalidQuantity."""
    if not 0 <= quantity <= MAX_QUANTITY:
        raise InvalidQuantity(f"A safety stock is between 0 and {MAX_QUANTITY}.")
    location = await store.default_location(tx)
    ledger = await open_books(tx, [(variant_id, location)], actor="")
    for level in ledger.levels[variant_id]:
        level.safety_stock = quantity if level.location_id == location else 0
        level.changed = True
    await ledger.write(tx)
    await tell_changed(tx, [variant_id])


def _level(level: store.LockedLevel) -> Level:
    return Level(
        level.variant_id, level.location_id, level.on_hand, level.reserved, level.held, level.unavailable,
        level.incoming, level.safety_stock,
    )  # fmt: skip
