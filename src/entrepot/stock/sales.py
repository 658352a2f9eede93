"""Sales that channels have made: always recorded, reserved as far as there is stock, short for the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id
from entrepot.stock import rules, store, store_claims
from entrepot.stock.claims import tell_changed, tell_lines
from entrepot.stock.contracts import ClaimResult, SaleClaim
from entrepot.stock.shortages import fill_shortages


async def _locked(tx: Tx, variant_ids: Sequence[UUID]) -> tuple[store.Levels, catalog.Parts]:
    """Lock the levels of these variants, made where there are none, in the order in which stock is taken.

    Returns them with the parts of those that are bundles. Usually one statement; levels that are missing are made before
    any is locked (decision record 0017).
    """
    levels = await store.lock_levels_if_all(tx, variant_ids)
    parts: catalog.Parts = {}
    if any(variant_id not in levels for variant_id in variant_ids):
        parts = await catalog.parts_of(tx, [v for v in variant_ids if v not in levels])
    if variant_ids and not levels:
        goods = {v for v in variant_ids if v not in parts}
        goods |= {part.variant_id for made_of in parts.values() for part in made_of}
        missing = goods - await store.with_levels(tx, list(goods))
        if missing:
            await store.ensure_levels(tx, list(missing), await store.default_location(tx))
        levels = await store.lock_levels(tx, variant_ids)
    if any(len(found) > 1 for found in levels.values()):
        rank = await store.location_order(tx)
        levels = {variant_id: rules.in_order(found, rank) for variant_id, found in levels.items()}
    return levels, parts


async def lock_for_sales(tx: Tx, order_lines: Sequence[UUID], variant_ids: Sequence[UUID]) -> None:
    """Lock the stock of these order lines and variants at once, in the one order.

    For a transaction that ships, releases and claims one after another, each of which locks: without it two such
    transactions could wait for each other.
    """
    await _locked(tx, list({*variant_ids, *await store_claims.variants_of_lines(tx, order_lines)}))


async def lock_sold(tx: Tx, variant_ids: Sequence[UUID]) -> store.Levels:
    """Lock and return the levels of variants that are reserved for sales, in the order in which stock is taken."""
    levels, _ = await _locked(tx, variant_ids)
    return levels


async def claim_sales(tx: Tx, claims: Sequence[SaleClaim], *, actor: str) -> dict[UUID, ClaimResult]:
    """Reserve units for order lines that a channel has sold; what is not there becomes a shortage.

    Set-based: a fixed number of statements for any number of lines. Returns results by order line, in what it sells: of
    a bundle so many are reserved as all its parts are.
    """
    if not claims:
        return {}
    levels, parts = await _locked(tx, list({claim.variant_id for claim in claims}))
    ledger = store.Ledger(levels, actor)
    results: dict[UUID, ClaimResult] = {}
    rows: list[store_claims.ReservationRow] = []
    shortages: list[store_claims.ShortageRow] = []
    for claim in claims:
        whole = claim.quantity
        for piece in rules.pieces([(claim.variant_id, claim.quantity)], parts):
            short = _take(ledger, piece, claim.order_line_id, rows)
            if short:
                shortages.append(
                    (new_id(), piece.variant_id, short, claim.order_line_id, "sold without stock", piece.per_bundle)
                )
            whole = min(whole, (piece.quantity - short) // piece.per_bundle)
        before = results.get(claim.order_line_id, ClaimResult(claim.order_line_id, 0, 0))
        results[claim.order_line_id] = ClaimResult(
            claim.order_line_id, before.reserved + whole, before.shortage + claim.quantity - whole
        )
    await ledger.write(tx)
    await store_claims.insert_reservations(tx, rows)
    await store_claims.insert_shortages(tx, shortages)
    await tell_changed(tx, list(levels))
    return results


def _take(
    ledger: store.Ledger, piece: rules.Piece, order_line_id: UUID, rows: list[store_claims.ReservationRow]
) -> int:
    """Reserve what there is of a piece; add its reservation rows to `rows`; return how many units are short."""
    found, short = rules.take_what_is_there(piece.quantity, ledger.levels.get(piece.variant_id, ()))
    reservation_id = new_id()
    for number, (level, quantity) in enumerate(found):
        ledger.apply(
            level,
            store.Movement("reserve", reserved=quantity, reference_kind="order_line", reference_id=order_line_id),
        )
        rows.append(
            (reservation_id, number, "order", level.variant_id, level.location_id, quantity, order_line_id, None,
             piece.per_bundle)
        )  # fmt: skip
    return short


async def release_sales(tx: Tx, quantities: Mapping[UUID, int], *, actor: str) -> dict[UUID, ClaimResult]:
    """Give back so many units of each order line (a cancellation): its shortage first, then what is reserved.

    Returns what is reserved and short afterwards, by order line. Other lines whose shortage the freed stock filled are
    told of: their orders may be in the hands of somebody who waits for this stock.
    """
    return await _reduce(tx, quantities, actor=actor, ship=False)


async def ship_sales(
    tx: Tx, quantities: Mapping[UUID, int], *, actor: str, location_id: UUID | None = None
) -> dict[UUID, ClaimResult]:
    """Take so many reserved units of each order line out of stock: they have left. Same answer as `release_sales`.

    `location_id`: from where they left; what is reserved there is taken first. Units that were short and left all the same
    are taken from nowhere: the shortage closes, and the next count will show the difference.
    """
    return await _reduce(tx, quantities, actor=actor, ship=True, location_id=location_id)


async def _reduce(
    tx: Tx, quantities: Mapping[UUID, int], *, actor: str, ship: bool, location_id: UUID | None = None
) -> dict[UUID, ClaimResult]:
    lines = {line: quantity for line, quantity in quantities.items() if quantity > 0}
    if not lines:
        return {}
    levels, _ = await _locked(tx, await store_claims.variants_of_lines(tx, list(lines)))
    ledger = store.Ledger(levels, actor)
    shortages = await store_claims.open_shortages(tx, reference_ids=list(lines))
    reservations = await store_claims.active_by_reference(tx, list(lines))
    if location_id is not None:
        reservations.sort(key=lambda claim: claim.location_id != location_id)
    left = _units_to_take(lines, shortages, reservations)
    if ship:
        ended, shrunk = _take_reservations(ledger, reservations, left, ship=True)
        changes = _take_shortages(shortages, left)
    else:
        changes = _take_shortages(shortages, left)
        ended, shrunk = _take_reservations(ledger, reservations, left, ship=False)
    await store_claims.change_shortages(tx, changes, "" if ship else "cancel")
    await store_claims.end_reservations(tx, ended, "shipped" if ship else "released")
    for reservation_id, number, quantity in shrunk:
        await store_claims.shrink_reservation(tx, reservation_id, number, quantity)
    given = {} if ship else await fill_shortages(tx, ledger)
    await ledger.write(tx)
    await tell_changed(tx, list(levels))
    if others := [line for line in given if line not in quantities]:
        await tell_lines(tx, others)
    return await store_claims.claims_of_lines(tx, list(quantities))


Left = dict[tuple[UUID, UUID], int]
"""Units still to take, by order line and variant."""


def _units_to_take(
    lines: Mapping[UUID, int], shortages: Sequence[Mapping[str, Any]], reservations: Sequence[store_claims.Reservation]
) -> Left:
    """Return how many units of which variant so many of each line are: of a bundle, of each of its parts."""
    left: Left = {}
    for row in shortages:
        left[row["reference_id"], row["variant_id"]] = lines[row["reference_id"]] * row["per_bundle"]
    for claim in reservations:
        if claim.reference_id is not None:
            left[claim.reference_id, claim.variant_id] = lines[claim.reference_id] * claim.per_bundle
    return left


def _take_shortages(shortages: Sequence[Mapping[str, Any]], left: Left) -> list[tuple[UUID, int]]:
    """Close open shortages of the lines as far as units are left to take; return (shortage, still short)."""
    changes = []
    for row in shortages:
        key = row["reference_id"], row["variant_id"]
        part = min(left[key], row["quantity"])
        if part:
            left[key] -= part
            changes.append((row["id"], row["quantity"] - part))
    return changes


def _take_reservations(
    ledger: store.Ledger, reservations: Sequence[store_claims.Reservation], left: Left, *, ship: bool
) -> tuple[list[tuple[UUID, int]], list[tuple[UUID, int, int]]]:
    """End or shrink reservations of the lines as far as units are left to take; return (ended, shrunk)."""
    ended: list[tuple[UUID, int]] = []
    shrunk: list[tuple[UUID, int, int]] = []
    for claim in reservations:
        line = claim.reference_id
        part = min(left.get((line, claim.variant_id), 0), claim.quantity) if line is not None else 0
        if line is None or not part:
            continue
        left[line, claim.variant_id] -= part
        ledger.apply(
            ledger.at(claim.variant_id, claim.location_id),
            store.Movement("sale" if ship else "release", on_hand=-part if ship else 0, reserved=-part,
                           reference_kind="order_line", reference_id=line),
        )  # fmt: skip
        if part == claim.quantity:
            ended.append((claim.id, claim.line))
        else:
            shrunk.append((claim.id, claim.line, claim.quantity - part))
    return ended, shrunk
