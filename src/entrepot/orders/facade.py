"""What other rooms may ask of orders. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.orders import store
from entrepot.orders.contracts import Ingested, NothingToShip, OrderNotFound
from entrepot.orders.ingest import ingest
from entrepot.stock import facade as stock

__all__ = ["Ingested", "NothingToShip", "OrderNotFound", "claims_changed", "ingest"]


async def claims_changed(tx: Tx, events: Sequence[Mapping[str, Any]]) -> None:
    """React to `stock.claims_changed`: take over what is reserved and short now."""
    lines = list({UUID(line) for event in events for line in event["order_lines"]})
    results = await stock.claims_of_lines(tx, lines)
    orders = await store.update_line_claims(tx, list(results.values()))
    await store.refresh_flags(tx, orders)
