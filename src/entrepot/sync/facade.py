"""What other rooms may ask of synchronisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from entrepot.allocation import facade as allocation
from entrepot.catalog.facade import (
    LISTINGS_MATCHED,
    PRICES_CHANGED,
    PRODUCTS_ARCHIVED,
    PRODUCTS_CHANGED,
    PRODUCTS_FILED,
)
from entrepot.catalog.match_contracts import LISTINGS_UNMATCHED
from entrepot.channels import facade as channels
from entrepot.channels.contracts import ConnectionState, FindConnector
from entrepot.database.pool import Tx
from entrepot.fulfilment import facade as fulfilment
from entrepot.jobs.reactions import Reaction
from entrepot.orders import facade as orders
from entrepot.orders.contracts import ORDERS_SOLD
from entrepot.stock.facade import STOCK_CHANGED, StockWatch
from entrepot.sync import progress, store
from entrepot.sync.batches import QUANTITIES_SHOWN
from entrepot.sync.context import SyncContext, SyncSettings
from entrepot.sync.engine import RUN_LANES, lane_runner
from entrepot.sync.reactions import CLOCK_ERROR_S, LEARNING, Reactions, allot, preview
from entrepot.sync.rules import SwingLimit

__all__ = [
    "RUN_KINDS",
    "SwingLimit",
    "SyncContext",
    "SyncSettings",
    "allot",
    "cancel",
    "lane_runner",
    "preview",
    "reaction_table",
    "retry_parked",
    "trigger",
]

RUN_KINDS = tuple(RUN_LANES)


def reaction_table(
    find_connector: FindConnector,
    *,
    watch: StockWatch | None = None,
    learning: allocation.Learning = LEARNING,
    clock_error_s: float = CLOCK_ERROR_S,
) -> Mapping[str, Sequence[Reaction]]:
    """Return the one table of reactions: what follows from each event, in the order in which it does.

    `watch`: looks for what is low; `clock_error_s`: how far a channel's times may be off.
    """
    own = Reactions(find_connector, learning=learning, clock_error_s=clock_error_s)
    watch = watch or StockWatch()
    return {
        ORDERS_SOLD: (own.orders_sold,),
        STOCK_CHANGED: (own.stock_changed, watch.stock_changed, fulfilment.stock_changed),
        QUANTITIES_SHOWN: (own.stock_changed,),
        LISTINGS_UNMATCHED: (own.listings_unmatched,),
        LISTINGS_MATCHED: (own.listings_matched,),
        PRODUCTS_FILED: (own.products_filed,),
        PRODUCTS_CHANGED: (own.products_changed,),
        PRODUCTS_ARCHIVED: (own.products_archived,),
        PRICES_CHANGED: (own.prices_changed,),
        channels.CONNECTIONS_CHANGED: (own.connections_changed,),
        "stock.claims_changed": (orders.claims_changed,),
        orders.ORDERS_CHANGED: (fulfilment.orders_changed,),
    }


async def trigger(
    tx: Tx, connection_ids: Sequence[UUID] | None, kinds: Sequence[str], now: datetime, *, by: str = "person"
) -> list[UUID]:
    """Ask for runs of these kinds on these connections (None: all active ones); return the runs.

    A kind that is waiting or running already on a connection is not asked for twice: its run is returned.
    """
    chosen = [c for c in await channels.list_all(tx) if c.state is ConnectionState.ACTIVE]
    if connection_ids is not None:
        chosen = [await channels.get(tx, i) for i in connection_ids]
    runs = []
    for connection in chosen:
        for kind in kinds:
            run = await progress.waiting_run(tx, connection.id, kind)
            runs.append(run or await progress.begin_run(tx, connection.id, kind, by, now, state="queued"))
            tx.hint(f"{RUN_LANES[kind]}:{connection.id}")
    return runs


async def cancel(tx: Tx, run_id: UUID, now: datetime) -> bool:
    """Ask a run to stop; return whether there was one going."""
    return await progress.ask_cancel(tx, run_id, now)


async def retry_parked(tx: Tx, *, connection_id: UUID | None = None, listing_id: UUID | None = None) -> int:
    """Try parked listings again; return how many."""
    return await store.unpark(tx, connection_id=connection_id, listing_id=listing_id)
