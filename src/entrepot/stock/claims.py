"""Holds: expiring claims on stock for carts and proposals, all lines or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.database.pool import Tx
from entrepot.jobs import facade as jobs
from entrepot.kernel.errors import NotFound
from entrepot.stock import rules, store, store_claims
from entrepot.stock.contracts import MAX_QUANTITY, Hold, InvalidQuantity, NotEnoughStock, Shortfall
from entrepot.stock.shortages import fill_shortages

STOCK_CHANGED = "stock.changed"


class HoldNotFound(NotFound):
    """There is no such reservation, or it has ended."""


async def tell_changed(tx: Tx, variant_ids: Sequence[UUID]) -> None:
    """Emit that the stock of these variants changed."""
    if variant_ids:
        await jobs.emit(tx, STOCK_CHANGED, {"variant_ids": [str(v) for v in variant_ids]})


async def tell_lines(tx: Tx, order_lines: Sequence[UUID]) -> None:
    """Emit that the claims of these order lines changed by something else than their order."""
    await jobs.emit(tx, "stock.claims_changed", {"order_lines": [str(line) for line in order_lines]})


def check_quantities(hold: Hold) -> None:
    """Raise InvalidQuantity unless the hold asks for 1 to MAX_QUANTITY units on each of 1 to 500 lines."""
    if not 1 <= len(hold.lines) <= 500:
        raise InvalidQuantity("A reservation has 1 to 500 lines.")
    for line in hold.lines:
        if not 1 <= line.quantity <= MAX_QUANTITY:
            raise InvalidQuantity(f"The quantity {line.quantity} is not between 1 and {MAX_QUANTITY}.")


async def place_holds(tx: Tx, holds: Sequence[Hold], *, safety_too: bool = False) -> list[NotEnoughStock | None]:
    """Set stock aside for each hold in turn, all its lines or none; return its refusal or None for each.

    One lock query and a fixed number of writes for the whole batch. Holds are served in the order given. A bundle sets
    its parts aside; parts that several lines share are judged by their sum. `safety_too`: the safety stock is given away
    as well, never more than is there.
    """
    for hold in holds:
        check_quantities(hold)
    variant_ids = list({line.variant_id for hold in holds for line in hold.lines})
    levels = await store.lock_levels(tx, variant_ids)
    # Only what has no level of its own can be a bundle: the usual hold costs no further statement.
    bare = [variant_id for variant_id in variant_ids if variant_id not in levels]
    parts = await catalog.parts_of(tx, bare) if bare else {}
    if any(len(found) > 1 for found in levels.values()):
        rank = await store.location_order(tx)
        levels = {variant_id: rules.in_order(found, rank) for variant_id, found in levels.items()}
    actor = holds[0].actor if len({hold.actor for hold in holds}) == 1 else "several"
    ledger = store.Ledger(levels, actor)
    rows: list[store_claims.ReservationRow] = []
    outcome = [_place(ledger, hold, parts, rows, safety_too) for hold in holds]
    if rows:
        await ledger.write(tx)
        await store_claims.insert_reservations(tx, rows)
        await tell_changed(tx, ledger.changed_variants)
    return outcome


def _place(
    ledger: store.Ledger,
    hold: Hold,
    parts: Mapping[UUID, Sequence[rules.Part]],
    rows: list[store_claims.ReservationRow],
    safety_too: bool,
) -> NotEnoughStock | None:
    """Take a hold's units from the ledger's levels, or return why not; add its reservation rows to `rows`."""
    lines = [(line.variant_id, line.quantity) for line in hold.lines]
    asked = rules.pieces(lines, parts)
    takes, short = rules.take_all_or_nothing(
        [(piece.variant_id, piece.quantity) for piece in asked], ledger.levels, safety_too=safety_too
    )
    if short:
        told = rules.refused_lines(lines, parts, short) if parts else short
        return NotEnoughStock(tuple(Shortfall(*line) for line in told))
    for number, take in enumerate(takes):
        ledger.apply(
            ledger.at(take.variant_id, take.location_id),
            store.Movement("hold", held=take.quantity, reference_kind="reservation", reference_id=hold.id),
        )
        rows.append(
            (hold.id, number, "hold", take.variant_id, take.location_id, take.quantity, hold.reference_id,
             hold.expires_at, asked[take.line].per_bundle)
        )  # fmt: skip
    return None


async def end_holds(tx: Tx, ids: Sequence[UUID], *, state: str, actor: str, due: datetime | None = None) -> int:
    """Give back what these holds set aside; return how many lines that were. Ended ones are left as they are.

    `state` is `released` or `expired`; `due`: only holds whose time is over by then. What comes free first goes to open
    shortages.
    """
    variant_ids = await store_claims.variants_of_reservations(tx, ids)
    if not variant_ids:
        return 0
    levels = await store.lock_levels(tx, variant_ids)
    found = [line for line in await store_claims.active_reservations(tx, ids, due) if line.kind == "hold"]
    if not found:
        return 0
    ledger = store.Ledger(levels, actor)
    for line in found:
        ledger.apply(
            ledger.at(line.variant_id, line.location_id),
            store.Movement("release", held=-line.quantity, reference_kind="reservation", reference_id=line.id,
                           reason=state),
        )  # fmt: skip
    given = await fill_shortages(tx, ledger)
    await ledger.write(tx)
    await store_claims.end_reservations(tx, [(line.id, line.line) for line in found], state)
    await tell_changed(tx, ledger.changed_variants)
    if given:
        await tell_lines(tx, list(given))
    return len(found)


async def release_hold(tx: Tx, hold_id: UUID, *, actor: str) -> None:
    """Release a hold. Raises HoldNotFound if it does not exist or has ended."""
    if not await end_holds(tx, [hold_id], state="released", actor=actor):
        raise HoldNotFound()


async def expire_holds(tx: Tx, now: datetime, *, limit: int = 500) -> int:
    """Give back holds whose time is over by `now`; return how many lines that were."""
    ids = await store_claims.expired_reservations(tx, now, limit)
    return await end_holds(tx, ids, state="expired", actor="system", due=now) if ids else 0


async def extend_hold(tx: Tx, hold_id: UUID, expires_at: datetime, now: datetime) -> None:
    """Let a hold last until `expires_at`, also if that is sooner. Raises HoldNotFound if it has ended by `now`."""
    if not await extend_holds(tx, [hold_id], expires_at, now):
        raise HoldNotFound()


async def extend_holds(tx: Tx, ids: Sequence[UUID], expires_at: datetime, now: datetime) -> int:
    """Let holds last until `expires_at`; return how many have not ended by `now`. The others are left as they are."""
    return await store_claims.set_expiry(tx, ids, expires_at, now)


async def release_holds(tx: Tx, ids: Sequence[UUID], *, actor: str) -> int:
    """Release holds; return how many lines that were. Those that have ended are left as they are."""
    return await end_holds(tx, ids, state="released", actor=actor)
