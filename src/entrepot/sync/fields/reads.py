"""The read lane: products that a channel says were changed are read at the source, whatever its message carried.

A message may be late, repeated, out of order or an echo of our own write; what the channel shows when it is asked is none of
that. Nothing new ends here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from entrepot.channels.contract import Api, Capability, ChannelListing, ReadsListings
from entrepot.channels.contracts import Connection
from entrepot.jobs.lanes import LaneKey
from entrepot.sync import progress
from entrepot.sync.check import take_listings
from entrepot.sync.context import SyncContext
from entrepot.sync.fields import store
from entrepot.sync.fields.theirs import save_theirs
from entrepot.sync.publishing import gone

PRODUCTS_MAX = 50


async def read_step(context: SyncContext, key: LaneKey) -> float | None:
    """Read products of a connection that are to be read again; return 0 while there are more."""

    async def work(connection: Connection, api: Api, connector: ReadsListings) -> float | None:
        able = context.find_connector(connection.channel).manifest.capabilities
        async with context.database.transaction(key.organisation_id) as tx:
            products = await store.wanted_products(tx, connection.id, context.clock(), PRODUCTS_MAX)
            if products and Capability.READ_LISTINGS not in able:
                await progress.want_listings(tx, connection.id, context.clock())
                await store.was_read(tx, connection.id, products, context.clock())
                return None
        if not products:
            return None
        await read_products(context, connection, api, connector, products)
        return 0.0 if len(products) == PRODUCTS_MAX else None

    return await context.guarded(key, work)


async def read_products(
    context: SyncContext, connection: Connection, api: Api, connector: ReadsListings, products: Sequence[str]
) -> tuple[ChannelListing, ...]:
    """Read these products and store what they show; return their listings."""
    read_at = context.clock()
    listings = await connector.read_listings(api, products)
    manifest = context.find_connector(connection.channel).manifest
    settling = timedelta(seconds=context.settings.field_settling_s)
    async with context.database.transaction(connection.organisation_id) as tx:
        saved = await take_listings(tx, connection.id, listings, read_at, {"listings": 0, "matched": 0, "differing": 0})
        await save_theirs(tx, connection.id, manifest, listings, saved, read_at, settling)
        await store.was_read(tx, connection.id, products, read_at)
    await gone.look(context, connection, products, [each.ref.external_id for each in listings], read_at)
    return listings
