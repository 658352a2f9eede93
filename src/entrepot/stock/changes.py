"""Changes that people and channels of supply make: counts, adjustments, safety stock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.jobs import facade as jobs
from entrepot.kernel.ids import new_id
from entrepot.stock import store
from entrepot.stock.claims import tell_changed
from entrepot.stock.contracts import MAX_QUANTITY, InvalidQuantity, Level
from entrepot.stock.shortages import fill_shortages


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
    and makes a shortage; what comes in goes to open shortages first. Raises InvalidQuantity.
    """
    default = await store.default_location(tx)
    variant_ids = list({change.variant_id for change in changes})
    for location_id in {change.location_id or default for change in changes}:
        at_location = [c.variant_id for c in changes if (c.location_id or default) == location_id]
        await store.ensure_levels(tx, at_location, location_id)
    levels = await store.lock_levels(tx, variant_ids)
    ledger = store.Ledger(levels, actor)
    at = {(level.variant_id, level.location_id): level for group in levels.values() for level in group}
    touched = []
    for change in changes:
        level = at[change.variant_id, change.location_id or default]
        touched.append(level)
        target = change.on_hand if change.on_hand is not None else level.on_hand + (change.delta or 0)
        if not 0 <= target <= MAX_QUANTITY:
            raise InvalidQuantity(f"On hand would be {target}: it must be between 0 and {MAX_QUANTITY}.")
        if target != level.on_hand:
            ledger.apply(level, store.Movement(kind, on_hand=target - level.on_hand, reason=change.reason))
    await _short_where_overbooked(tx, ledger)
    given = await fill_shortages(tx, ledger)
    await ledger.write(tx)
    await tell_changed(tx, ledger.changed_variants)
    if given:
        await tell_lines(tx, list(given))
    return [_level(level) for level in touched]


async def tell_lines(tx: Tx, order_lines: Sequence[UUID]) -> None:
    """Emit that the claims of these order lines changed by something else than their order."""
    await jobs.emit(tx, "stock.claims_changed", {"order_lines": [str(line) for line in order_lines]})


async def _short_where_overbooked(tx: Tx, ledger: store.Ledger) -> None:
    """Turn reservations that a recount left without units into shortages, the youngest first."""
    affected: list[UUID] = []
    for levels in ledger.levels.values():
        for level in levels:
            missing = level.reserved + level.held - level.on_hand if level.changed else 0
            if missing > 0 and level.reserved:
                affected += await _overbooked(tx, ledger, level, min(missing, level.reserved))
    if affected:
        await tell_lines(tx, affected)


async def _overbooked(tx: Tx, ledger: store.Ledger, level: store.LockedLevel, missing: int) -> list[UUID]:
    shortages: list[tuple[UUID, UUID, int, UUID | None, str]] = []
    ended: list[tuple[UUID, int]] = []
    for claim in await store.youngest_claims(tx, level.variant_id, level.location_id):
        part = min(missing, claim.quantity)
        missing -= part
        ledger.apply(
            level,
            store.Movement("release", reserved=-part, reference_kind="order_line", reference_id=claim.reference_id,
                           reason="counted below what is reserved"),
        )  # fmt: skip
        shortages.append((new_id(), level.variant_id, part, claim.reference_id, "counted below what is reserved"))
        if part == claim.quantity:
            ended.append((claim.id, claim.line))
        else:
            await store.shrink_reservation(tx, claim.id, claim.line, claim.quantity - part)
        if not missing:
            break
    await store.end_reservations(tx, ended, "released")
    await store.insert_shortages(tx, shortages)
    return [line for _, _, _, line, _ in shortages if line is not None]


async def set_safety_stock(tx: Tx, variant_id: UUID, quantity: int) -> None:
    """Keep so many units of a variant back everywhere (at the first location). Raises InvalidQuantity."""
    if not 0 <= quantity <= MAX_QUANTITY:
        raise InvalidQuantity(f"A safety stock is between 0 and {MAX_QUANTITY}.")
    location = await store.default_location(tx)
    await store.ensure_levels(tx, [variant_id], location)
    levels = await store.lock_levels(tx, [variant_id])
    for level in levels[variant_id]:
        level.safety_stock = quantity if level.location_id == location else 0
        level.changed = True
    await store.Ledger(levels, "").write(tx)
    await tell_changed(tx, [variant_id])


def _level(level: store.LockedLevel) -> Level:
    return Level(
        level.variant_id, level.location_id, level.on_hand, level.reserved, level.held, level.unavailable,
        level.incoming, level.safety_stock,
    )  # fmt: skip
