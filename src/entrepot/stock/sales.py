"""Sales that channels have made: always recorded, reserved as far as there is stock, short for the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id
from entrepot.stock import rules, store
from entrepot.stock.claims import tell_changed
from entrepot.stock.contracts import ClaimResult, SaleClaim
from entrepot.stock.shortages import fill_shortages


async def _locked(tx: Tx, variant_ids: Sequence[UUID]) -> dict[UUID, list[store.LockedLevel]]:
    """Lock the levels of these variants, made where there are none, in the order in which stock is taken."""
    levels = await store.lock_levels(tx, variant_ids)
    missing = [v for v in variant_ids if v not in levels]
    if missing:
        await store.ensure_levels(tx, missing, await store.default_location(tx))
        levels = await store.lock_levels(tx, variant_ids)
    if any(len(found) > 1 for found in levels.values()):
        rank = await store.location_order(tx)
        levels = {variant_id: rules.in_order(found, rank) for variant_id, found in levels.items()}
    return levels


async def claim_sales(tx: Tx, claims: Sequence[SaleClaim], *, actor: str) -> dict[UUID, ClaimResult]:
    """Reserve units for order lines that a channel has sold; what is not there becomes a shortage.

    Set-based: a fixed number of statements for any number of lines. Returns results by order line.
    """
    if not claims:
        return {}
    levels = await _locked(tx, list({claim.variant_id for claim in claims}))
    ledger = store.Ledger(levels, actor)
    results: dict[UUID, ClaimResult] = {}
    rows: list[store.ReservationRow] = []
    shortages: list[tuple[UUID, UUID, int, UUID | None, str]] = []
    for claim in claims:
        parts, short = rules.take_what_is_there(claim.quantity, levels[claim.variant_id])
        reservation_id = new_id()
        for number, (level, quantity) in enumerate(parts):
            ledger.apply(
                level,
                store.Movement("reserve", reserved=quantity, reference_kind="order_line",
                               reference_id=claim.order_line_id),
            )  # fmt: skip
            rows.append(
                (reservation_id, number, "order", level.variant_id, level.location_id, quantity, claim.order_line_id,
                 None)
            )  # fmt: skip
        if short:
            shortages.append((new_id(), claim.variant_id, short, claim.order_line_id, "sold without stock"))
        before = results.get(claim.order_line_id, ClaimResult(claim.order_line_id, 0, 0))
        results[claim.order_line_id] = ClaimResult(
            claim.order_line_id, before.reserved + claim.quantity - short, before.shortage + short
        )
    await ledger.write(tx)
    await store.insert_reservations(tx, rows)
    await store.insert_shortages(tx, shortages)
    await tell_changed(tx, list(levels))
    return results


async def release_sales(tx: Tx, quantities: Mapping[UUID, int], *, actor: str) -> dict[UUID, ClaimResult]:
    """Give back so many units of each order line (a cancellation): its shortage first, then what is reserved.

    Returns what is reserved and short afterwards, by order line, also of lines whose shortage the freed stock filled.
    """
    return await _reduce(tx, quantities, actor=actor, ship=False)


async def ship_sales(tx: Tx, quantities: Mapping[UUID, int], *, actor: str) -> dict[UUID, ClaimResult]:
    """Take so many reserved units of each order line out of stock: they have left. Same answer as `release_sales`.

    Units that were short and left all the same are taken from nowhere: the shortage closes, and the next count will
    show the difference.
    """
    return await _reduce(tx, quantities, actor=actor, ship=True)


async def _reduce(tx: Tx, quantities: Mapping[UUID, int], *, actor: str, ship: bool) -> dict[UUID, ClaimResult]:
    left = {line: quantity for line, quantity in quantities.items() if quantity > 0}
    if not left:
        return {}
    levels = await _locked(tx, await store.variants_of_lines(tx, list(left)))
    ledger = store.Ledger(levels, actor)
    shortages = await store.open_shortages(tx, reference_ids=list(left))
    reservations = await store.active_by_reference(tx, list(left))
    if ship:
        ended, shrunk = _take_reservations(ledger, reservations, left, ship=True)
        changes = _take_shortages(shortages, left)
    else:
        changes = _take_shortages(shortages, left)
        ended, shrunk = _take_reservations(ledger, reservations, left, ship=False)
    await store.change_shortages(tx, changes)
    await store.end_reservations(tx, ended, "shipped" if ship else "released")
    for reservation_id, number, quantity in shrunk:
        await store.shrink_reservation(tx, reservation_id, number, quantity)
    given = {} if ship else await fill_shortages(tx, ledger)
    await ledger.write(tx)
    await tell_changed(tx, list(levels))
    return await store.claims_of_lines(tx, list({*quantities, *given}))


def _take_shortages(shortages: Sequence[Mapping[str, Any]], left: dict[UUID, int]) -> list[tuple[UUID, int]]:
    """Close open shortages of the lines as far as units are left to take; return (shortage, still short)."""
    changes = []
    for row in shortages:
        part = min(left[row["reference_id"]], row["quantity"])
        if part:
            left[row["reference_id"]] -= part
            changes.append((row["id"], row["quantity"] - part))
    return changes


def _take_reservations(
    ledger: store.Ledger, reservations: Sequence[store.Reservation], left: dict[UUID, int], *, ship: bool
) -> tuple[list[tuple[UUID, int]], list[tuple[UUID, int, int]]]:
    """End or shrink reservations of the lines as far as units are left to take; return (ended, shrunk)."""
    at = {(v.variant_id, v.location_id): v for group in ledger.levels.values() for v in group}
    ended: list[tuple[UUID, int]] = []
    shrunk: list[tuple[UUID, int, int]] = []
    for claim in reservations:
        line = claim.reference_id
        part = min(left.get(line, 0), claim.quantity) if line is not None else 0
        if line is None or not part:
            continue
        left[line] -= part
        ledger.apply(
            at[claim.variant_id, claim.location_id],
            store.Movement("sale" if ship else "release", on_hand=-part if ship else 0, reserved=-part,
                           reference_kind="order_line", reference_id=line),
        )  # fmt: skip
        if part == claim.quantity:
            ended.append((claim.id, claim.line))
        else:
            shrunk.append((claim.id, claim.line, claim.quantity - part))
    return ended, shrunk
