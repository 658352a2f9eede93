"""The frame of every change that people and supply make: places checked, levels locked, what follows settled.

Locks are taken in one order: the document, its places, then levels by variant and location, then claims and shortages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.catalog.contracts import VariantNotFound
from entrepot.database.pool import Tx
from entrepot.kernel.errors import Conflict, NotFound
from entrepot.kernel.ids import new_id
from entrepot.stock import rules, store, store_claims
from entrepot.stock.claims import tell_changed, tell_lines
from entrepot.stock.shortages import fill_shortages

Place = tuple[UUID, UUID]
"""(variant, location)"""


class LocationNotFound(NotFound):
    """There is no such location."""


class LocationRests(Conflict):
    """The location is not in use: put it back into use first."""


class BundleHasNoStock(Conflict):
    """The stock of a bundle follows its parts: change those."""


async def open_books(tx: Tx, places: Iterable[Place], *, actor: str) -> store.Ledger:
    """Lock the levels of the variants at these places, made where there are none; return the ledger to write in.

    Raises LocationNotFound, LocationRests, BundleHasNoStock, VariantNotFound.
    """
    wanted = set(places)
    await use_locations(tx, {location_id for _, location_id in wanted})
    for location_id in sorted({location_id for _, location_id in wanted}):
        await store.ensure_levels(tx, [variant for variant, at in wanted if at == location_id], location_id)
    levels = await store.lock_levels(tx, list({variant_id for variant_id, _ in wanted}))
    there = {(level.variant_id, level.location_id) for found in levels.values() for level in found}
    missing = [variant_id for variant_id, location_id in wanted if (variant_id, location_id) not in there]
    if missing:
        if await catalog.parts_of(tx, missing):
            raise BundleHasNoStock
        raise VariantNotFound(variant_id=str(missing[0]))
    if any(len(found) > 1 for found in levels.values()):
        rank = await store.location_order(tx)
        levels = {variant_id: rules.in_order(found, rank) for variant_id, found in levels.items()}
    return store.Ledger(levels, actor)


async def use_locations(tx: Tx, location_ids: Iterable[UUID]) -> None:
    """Make sure that these locations are in use and stay so until the commit. Raises LocationNotFound, LocationRests."""
    wanted = sorted(set(location_ids))
    found = await store.share_locations(tx, wanted)
    for location_id in wanted:
        if location_id not in found:
            raise LocationNotFound(location_id=str(location_id))
        name, active = found[location_id]
        if not active:
            raise LocationRests(f"{name} is not in use: put it back into use first.", location_id=str(location_id))


async def close_books(tx: Tx, ledger: store.Ledger) -> None:
    """Write what the ledger changed, with what follows: claims without units become shortages, what is free fills them."""
    short = await _short_where_overbooked(tx, ledger)
    given = await fill_shortages(tx, ledger)
    await ledger.write(tx)
    await tell_changed(tx, ledger.changed_variants)
    lines = list({*short, *given})
    if lines:
        await tell_lines(tx, lines)


async def _short_where_overbooked(tx: Tx, ledger: store.Ledger) -> list[UUID]:
    """Turn reservations that a change left without units into shortages, the youngest first; return their lines."""
    affected: list[UUID] = []
    for levels in ledger.levels.values():
        for level in levels:
            if not level.changed:
                continue
            if level.unavailable > level.on_hand:
                gone = level.unavailable - level.on_hand
                ledger.apply(level, store.Movement("damage", unavailable=-gone, reason="not there any more"))
            missing = level.reserved + level.held + level.unavailable - level.on_hand
            if missing > 0 and level.reserved:
                affected += await _overbooked(tx, ledger, level, min(missing, level.reserved))
    return affected


async def _overbooked(tx: Tx, ledger: store.Ledger, level: store.LockedLevel, missing: int) -> list[UUID]:
    shortages: list[store_claims.ShortageRow] = []
    ended: list[tuple[UUID, int]] = []
    reason = "fewer there than reserved"
    for claim in await store_claims.youngest_claims(tx, level.variant_id, level.location_id):
        part = min(missing, claim.quantity)
        missing -= part
        ledger.apply(
            level,
            store.Movement("release", reserved=-part, reference_kind="order_line", reference_id=claim.reference_id,
                           reason=reason),
        )  # fmt: skip
        shortages.append((new_id(), level.variant_id, part, claim.reference_id, reason, claim.per_bundle))
        if part == claim.quantity:
            ended.append((claim.id, claim.line))
        else:
            await store_claims.shrink_reservation(tx, claim.id, claim.line, claim.quantity - part)
        if not missing:
            break
    await store_claims.end_reservations(tx, ended, "released")
    await store_claims.insert_shortages(tx, shortages)
    return [line for _, _, _, line, _, _ in shortages if line is not None]


def free_at(ledger: store.Ledger, wanted: Sequence[tuple[UUID, UUID, int]]) -> list[tuple[UUID, int, int]]:
    """Return (variant, asked, free) where fewer units are free at a place than asked: (variant, location, units)."""
    short = []
    for variant_id, location_id, units in wanted:
        free = ledger.at(variant_id, location_id).free
        if free < units:
            short.append((variant_id, units, max(0, free)))
    return short
