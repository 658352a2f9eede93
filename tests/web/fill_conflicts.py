"""Conflicts for pages, made by the merge itself: what was agreed, what the catalog says now, what a channel told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from tests.web.fill import Filled

from entrepot.channels import facade as channels
from entrepot.connectors.registry import connector_of
from entrepot.database.pool import Database
from entrepot.kernel.clock import utc_now
from entrepot.sync.fields import store
from entrepot.sync.fields.merging import Here, merge_listings
from entrepot.sync.fields.store import Row
from entrepot.sync.merge.rules import FieldState


def euros(minor: int) -> dict[str, Any]:
    return {"minor": minor, "currency": "EUR"}


async def add_conflicts(database: Database, organisation_id: UUID, filled: Filled, count: int = 6) -> None:
    """Prices of `count` SKUs were changed on both sides on one channel, one swings, and a title and tags differ."""
    now = utc_now()
    connection_id = filled.connections["Shopify EU"]
    async with database.transaction(organisation_id) as tx:
        connection = await channels.get(tx, connection_id)
        listed = [
            (v, filled.listings[(v[0], connection_id)])
            for v in filled.variants
            if (v[0], connection_id) in filled.listings
        ]
        told = [(listing, f"P{n}", "", now, {"sku": v[1]}) for n, (v, listing) in enumerate(listed[: count + 3])]
        await store.put_readings(tx, connection_id, now, told)
        rows = []
        for n, ((_, _, price), listing) in enumerate(listed[:count]):
            rows.append(_row(listing, "price", connection_id, euros(price - 50), euros(price + 25 * (n + 1)), now))
        (_, _, price), listing = listed[count]
        rows.append(_row(listing, "price", connection_id, euros(price), euros(price // 10), now))
        _, listing = listed[count + 1]
        rows.append(_row(listing, "title", connection_id, "Old name", "Their longer name for the same thing", now))
        _, listing = listed[count + 2]
        rows.append(_row(listing, "tags", connection_id, ["old"], ["old", "theirs"], now))
        await store.put_rows(tx, rows)
        here = Here(connection, replace(connector_of("shopify").manifest), connector_of, now)
        await store.lock_connection(tx, connection_id)
        await merge_listings(tx, here, sorted({row.listing_id for row in rows}))


def _row(listing: UUID, name: str, connection_id: UUID, base: Any, theirs: Any, now: Any) -> Row:
    at = now - timedelta(minutes=7)
    return Row(listing, name, connection_id, FieldState(base=base, theirs=theirs, theirs_at=at, read_at=at))
