"""Shortages: units sold that are not there. Stock that comes free goes to them first, the oldest first."""

from __future__ import annotations

from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id
from entrepot.stock import rules, store, store_claims


async def fill_shortages(tx: Tx, ledger: store.Ledger) -> dict[UUID, int]:
    """Reserve free units of the ledger's variants for open shortages; return units given by order line.

    The levels must be locked and the caller writes the ledger.
    """
    with_stock = [v for v, levels in ledger.levels.items() if any(level.free > 0 for level in levels)]
    if not with_stock:
        return {}
    given: dict[UUID, int] = {}
    changes: list[tuple[UUID, int]] = []
    rows: list[store_claims.ReservationRow] = []
    for row in await store_claims.open_shortages(tx, variant_ids=with_stock):
        parts, short = rules.take_what_is_there(row["quantity"], ledger.levels[row["variant_id"]])
        if not parts:
            continue
        reference: UUID | None = row["reference_id"]
        reservation_id = new_id()
        for number, (level, quantity) in enumerate(parts):
            ledger.apply(
                level,
                store.Movement("reserve", reserved=quantity, reference_kind="order_line", reference_id=reference,
                               reason="shortage filled"),
            )  # fmt: skip
            rows.append(
                (reservation_id, number, "order", level.variant_id, level.location_id, quantity, reference, None,
                 row["per_bundle"])
            )  # fmt: skip
        changes.append((row["id"], short))
        if reference is not None:
            given[reference] = given.get(reference, 0) + row["quantity"] - short
    await store_claims.insert_reservations(tx, rows)
    await store_claims.change_shortages(tx, changes, "stock")
    return given
