"""What other rooms may ask of stock. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.stock import store_balances
from entrepot.stock.changes import StockChange, change_on_hand, set_safety_stock
from entrepot.stock.claims import (
    STOCK_CHANGED,
    HoldNotFound,
    end_holds,
    expire_holds,
    place_holds,
    release_hold,
)
from entrepot.stock.contracts import Level, Mismatch
from entrepot.stock.gate import HoldGate
from entrepot.stock.sales import claim_sales, release_sales, ship_sales
from entrepot.stock.store import claims_of_lines

__all__ = [
    "STOCK_CHANGED",
    "HoldGate",
    "HoldNotFound",
    "StockChange",
    "available_to_sell",
    "change_on_hand",
    "claim_sales",
    "claims_of_lines",
    "end_holds",
    "expire_holds",
    "levels",
    "place_holds",
    "release_hold",
    "release_sales",
    "set_safety_stock",
    "ship_sales",
    "verify",
]


async def levels(tx: Tx, variant_ids: Sequence[UUID]) -> list[Level]:
    """Return the levels of these variants at all locations."""
    return [Level(*row) for row in await store_balances.read_levels(tx, variant_ids)]


async def available_to_sell(tx: Tx, variant_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return units available to sell over all locations, less open shortages, by variant."""
    return await store_balances.available_to_sell(tx, variant_ids)


async def verify(tx: Tx) -> list[Mismatch]:
    """Return every balance that is not the sum of its ledger movements: empty if all is well."""
    return [Mismatch(*row) for row in await store_balances.mismatches(tx)]
