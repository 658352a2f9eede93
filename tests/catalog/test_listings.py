"""Listings that a channel shows again: only what changed is written."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.channels.contract import ChannelListing, ListingRef
from entrepot.database.pool import Database
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id

MUG = ChannelListing(ListingRef("1"), "MUG", "Mug", "p1", "Mug", price=Decimal("12.50"), currency="EUR", quantity=3)
CUP = replace(MUG, ref=ListingRef("2"), sku="CUP", title="Cup")


async def test_a_listing_that_is_as_it_was_stays_unwritten(database: Database, organisation_id: UUID) -> None:
    connection_id, now = new_id(), utc_now()
    async with database.transaction(organisation_id) as tx:
        await tx.execute(
            "insert into connection (organisation_id, id, channel, name, environment) values ($1, $2, 'shopify', 'S', 'x')",
            organisation_id, connection_id,
        )  # fmt: skip
        first = await catalog.save_listings(tx, connection_id, [MUG, CUP], now)
    before = await _written(database, organisation_id)
    async with database.transaction(organisation_id) as tx:
        again = await catalog.save_listings(
            tx, connection_id, [MUG, replace(CUP, title="Tall cup")], now + timedelta(hours=1)
        )
    after = await _written(database, organisation_id)
    assert again == first
    assert after["1"] == before["1"]
    assert after["2"] != before["2"]
    async with database.transaction(organisation_id) as tx:
        await catalog.save_listings(tx, connection_id, [MUG], now + timedelta(days=2))
    assert (await _written(database, organisation_id))["1"] != before["1"]


async def _written(database: Database, organisation_id: UUID) -> dict[str, Any]:
    """Return which transaction wrote each listing last."""
    async with database.transaction(organisation_id) as tx:
        rows = await tx.fetch("select external_id, xmin::text from listing where organisation_id = $1", organisation_id)
    return {row[0]: row[1] for row in rows}
