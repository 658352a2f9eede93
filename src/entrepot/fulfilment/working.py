"""The lane `route`, and the events that call for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from entrepot.database.pool import Database, Tx
from entrepot.fulfilment import store
from entrepot.fulfilment.routing import route_orders
from entrepot.kernel.clock import utc_now

log = structlog.get_logger(__name__)

BATCH = 20
"""Orders in one transaction, which keeps their stock locked."""
STOCK_PATIENCE = timedelta(seconds=2)
"""What waits is looked at so long after a change of stock: one often comes with the next."""
AFTER_FAILURE = timedelta(minutes=1)
ROUTE = "route"
"""Hint: orders of this organisation are to be looked at."""


async def route_step(database: Database, organisation_id: UUID, now: datetime) -> float | None:
    """Look at orders that are due; return 0 while there may be more.

    An order that fails is put off and said in the log; the others of its batch are done.
    """
    async with database.transaction(organisation_id) as tx:
        due = await store.due_orders(tx, now, BATCH)
    if not due:
        return None
    try:
        async with database.transaction(organisation_id) as tx:
            await route_orders(tx, due, now)
    except Exception as error:
        log.warning("routing_batch_failed", orders=len(due), error=str(error))
        for order_id in due:
            await _one(database, organisation_id, order_id, now)
    return 0.0


async def _one(database: Database, organisation_id: UUID, order_id: UUID, now: datetime) -> None:
    try:
        async with database.transaction(organisation_id) as tx:
            await route_orders(tx, [order_id], now)
    except Exception as error:
        log.error("order_not_routed", order=str(order_id), error=str(error), exc_info=error)
        async with database.transaction(organisation_id) as tx:
            await store.postpone(tx, order_id, now + AFTER_FAILURE)


async def orders_changed(tx: Tx, events: Sequence[Mapping[str, Any]]) -> None:
    """React to `orders.changed`: look at these orders."""
    changed = list(dict.fromkeys(UUID(order) for event in events for order in event["order_ids"]))
    await store.ask(tx, changed, "order", utc_now())
    tx.hint(ROUTE)


async def stock_changed(tx: Tx, events: Sequence[Mapping[str, Any]]) -> None:
    """React to `stock.changed`: look at orders that wait for these variants."""
    variants = list({UUID(variant) for event in events for variant in event["variant_ids"]})
    await store.ask(tx, await store.parked_for(tx, variants), "stock", utc_now() + STOCK_PATIENCE)
