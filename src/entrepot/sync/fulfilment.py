"""Shipments out: tell the order's channel of every parcel, exactly once in effect."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any
from uuid import UUID

from entrepot.channels.contract import (
    Api,
    Capability,
    Fulfilment,
    FulfilmentLine,
    PushesFulfilment,
    RequestRejected,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)
from entrepot.channels.contracts import Connection
from entrepot.jobs.lanes import LaneKey
from entrepot.orders import facade as orders
from entrepot.sync.context import SyncContext
from entrepot.sync.rules import backoff_s

BATCH = 20


async def fulfilment_step(context: SyncContext, key: LaneKey) -> float | None:
    """Tell a connection of shipments that it has not acknowledged; return 0 while there are more."""

    async def work(connection: Connection, api: Api, connector: PushesFulfilment) -> float | None:
        if Capability.PUSH_FULFILMENT not in context.find_connector(connection.channel).manifest.capabilities:
            return None
        async with context.database.transaction(key.organisation_id) as tx:
            waiting = await orders.shipments_to_tell(tx, connection.id, context.clock(), BATCH)
        for row in waiting:
            await _tell(context, connection, api, connector, row)
        return 0.0 if len(waiting) == BATCH else None

    return await context.guarded(key, work)


async def _tell(context: SyncContext, connection: Connection, api: Api, connector: PushesFulfilment, row: Any) -> None:
    shipment_id: UUID = row["id"]
    fulfilment = Fulfilment(
        external_order_id=row["external_id"],
        idempotency_key=str(shipment_id),
        carrier=row["carrier"],
        tracking_number=row["tracking_number"],
        tracking_url=row["tracking_url"],
        shipped_at=row["shipped_at"],
        lines=tuple(FulfilmentLine(line["external_id"], line["quantity"]) for line in row["lines"]),
    )
    try:
        external_id = await connector.push_fulfilment(api, fulfilment)
    except (RequestRejected, UnexpectedAnswer) as error:
        attempts = row["attempts"] + 1
        wait = backoff_s(attempts + 5, random.random(), most_s=60)  # noqa: S311
        next_at = None if attempts >= context.settings.retry_attempts else context.clock() + timedelta(seconds=wait)
        async with context.database.transaction(connection.organisation_id) as tx:
            await orders.shipment_refused(tx, shipment_id, error.detail, next_at)
        return
    except TemporarilyUnavailable as error:
        # It may fail for this order only, and for ever: the others go before it.
        later = context.clock() + timedelta(seconds=backoff_s(row["attempts"] + 1, random.random(), most_s=60))  # noqa: S311
        async with context.database.transaction(connection.organisation_id) as tx:
            await orders.shipment_refused(tx, shipment_id, error.detail, later)
        raise
    async with context.database.transaction(connection.organisation_id) as tx:
        await orders.shipment_told(tx, shipment_id, external_id, context.clock())
