"""Products that a channel deleted without our doing: their listings end here, and their stock goes to the others.

Only a complete reading tells, and only the second one some time after the first: an index may lag, and what was made a moment
ago may not be listed yet. What comes back is found again by the next reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from entrepot.catalog import facade as catalog
from entrepot.catalog import publishing as catalog_publishing
from entrepot.channels.contract import Capability
from entrepot.channels.contracts import Connection
from entrepot.database.pool import Tx
from entrepot.sync.context import SyncContext
from entrepot.sync.fields import gone_store
from entrepot.sync.fields import store as fields
from entrepot.sync.publishing import store

log = structlog.get_logger(__name__)


async def look(
    context: SyncContext, connection: Connection, products: Sequence[str] | None, seen: Iterable[str], read_at: datetime
) -> None:
    """Take up what a complete reading of these products of a channel (None: of all) did not have.

    `seen`: external ids of the listings that it had; `read_at`: when it began. After a reading of all, what is missing is read
    at its source, where the channel can: that decides.
    """
    after = timedelta(seconds=context.settings.gone_after_s)
    had = list(seen)
    at_source = Capability.READ_LISTINGS in context.find_connector(connection.channel).manifest.capabilities
    async with context.database.transaction(connection.organisation_id) as tx:
        await gone_store.note_found(tx, connection.id, had)
        rows = await gone_store.missing(tx, connection.id, products, had, read_at)
        named = sorted({row["product_external_id"] for row in rows})
        if not rows:
            return
        if products is None and at_source:
            await fields.want_read(tx, connection.id, named, read_at)
            tx.hint(f"read:{connection.id}")
            return
        gone = [
            row["listing_id"]
            for row in rows
            if row["missing_since"] is not None and row["missing_since"] + after <= read_at
        ]
        await gone_store.note_missing(tx, [row["listing_id"] for row in rows], read_at)
        waiting = sorted({row["product_external_id"] for row in rows if row["listing_id"] not in gone})
        if waiting and at_source:
            await fields.want_read(tx, connection.id, waiting, read_at + after)
    if gone:
        async with context.database.transaction(connection.organisation_id) as tx:
            await _end(tx, connection, gone, context.clock())


async def _end(tx: Tx, connection: Connection, listing_ids: Sequence[UUID], now: datetime) -> None:
    """End these listings; a product of which nothing is left there has ended there."""
    products = await catalog_publishing.products_of_listings(tx, listing_ids)
    await store.lock_products(tx, connection.id, products)
    await catalog_publishing.end_listings(tx, listing_ids)
    left = await gone_store.still_listed(tx, connection.id, products)
    words = f"It was deleted on {connection.name}. Publish it again, or archive it here."
    await store.ended_there(
        tx, connection.id, [each for each in products if each not in left], words, connection.name, now
    )
    await fields.want_merge(tx, listing_ids)
    await catalog.tell_matched(tx, listing_ids)
    tx.hint(f"merge:{connection.id}")
    log.info("listings_gone", connection=str(connection.id), listings=len(listing_ids))
