"""The channel's side of a listing's fields: what a reading tells, and storing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from entrepot.channels.contract import ChannelListing, Manifest
from entrepot.database.pool import Tx
from entrepot.kernel.errors import InvalidInput
from entrepot.sync.fields import store
from entrepot.sync.fields.store import Row
from entrepot.sync.merge import values
from entrepot.sync.merge.fields import FIELDS, Level
from entrepot.sync.merge.rules import Reading, take_reading
from entrepot.sync.merge.values import EMPTY, Value


def compared(manifest: Manifest) -> frozenset[str]:
    """Return the fields that a channel keeps as they are written and tells again. Pure."""
    return frozenset(f.value for f in manifest.listing_fields if f.value in FIELDS)


def theirs_of(listing: ChannelListing, told: frozenset[str]) -> dict[str, Value]:
    """Return what a listing tells of these fields. Pure. A price without a currency, or that is none, is missing."""
    try:
        price = values.money(listing.price, listing.currency)
        before = values.money(listing.compare_at, listing.currency) or EMPTY
    except InvalidInput:
        price, before = None, None
    found = {
        "title": values.text(listing.product_title),
        "description": values.html(listing.description_html or listing.description),
        "vendor": values.text(listing.vendor),
        "product_type": values.text(listing.product_type),
        "tags": values.tags(listing.tags),
        "images": values.images(image.url for image in listing.images),
        "price": price,
        "compare_at": before,
        "barcode": values.text(listing.barcode),
        "options": values.options(listing.options),
    }
    return {name: value for name, value in found.items() if name in told}


def rest_of(listing: ChannelListing) -> dict[str, Any]:
    """Return what a whole draft needs of a listing and nobody compares. Pure."""
    kept: dict[str, Any] = {
        "product_title": listing.product_title,
        "category": listing.category,
        "product_type": listing.product_type,
        "vendor": listing.vendor,
        "description": listing.description_html or listing.description,
        "tags": list(listing.tags),
        "images": [{"url": i.url, "alt": i.alt_text} for i in listing.images],
        "options": [list(pair) for pair in listing.options],
        "seo_title": listing.seo_title,
        "seo_description": listing.seo_description,
        "barcode": listing.barcode,
        "key": listing.managed_key,
        "published": None if listing.status is None else str(listing.status) == "live",
    }
    return {name: value for name, value in kept.items() if value not in ("", [], None)}


async def save_theirs(
    tx: Tx,
    connection_id: UUID,
    manifest: Manifest,
    listings: Sequence[ChannelListing],
    saved: Mapping[str, tuple[UUID, UUID | None]],
    read_at: datetime,
    settling: timedelta,
) -> int:
    """Store what a channel told of fields, and have listings merged where that is new; return how many listings that is.

    `saved`: external id -> (listing, variant). `read_at`: when the reading began, by our clock.
    """
    told = compared(manifest)
    by_id = {saved[v.ref.external_id][0]: v for v in listings if v.ref.external_id in saved}
    if not told or not by_id:
        return 0
    await store.put_readings(
        tx,
        connection_id,
        read_at,
        [(i, v.product_external_id or v.ref.external_id, v.product_version, v.updated_at, rest_of(v))
         for i, v in sorted(by_id.items())],
    )  # fmt: skip
    await store.choose_leads(tx, connection_id, [v.product_external_id or v.ref.external_id for v in by_id.values()])
    leads = await store.leads_among(tx, list(by_id))
    readings = {
        (listing_id, name): Reading(value, read_at, listing.updated_at)
        for listing_id, listing in by_id.items()
        for name, value in theirs_of(listing, told).items()
        if FIELDS[name].level is Level.VARIANT or listing_id in leads
    }
    changed = take_readings(await store.rows_of(tx, list(by_id)), readings, connection_id, settling)
    touched = sorted({row.listing_id for row in changed})
    if touched:
        # Once more under lock: what is stored may have moved on since.
        chosen = {key: reading for key, reading in readings.items() if key[0] in set(touched)}
        known = await store.rows_of(tx, touched, lock=True)
        await store.put_rows(tx, take_readings(known, chosen, connection_id, settling))
        await store.want_merge(tx, touched)
        tx.hint(f"merge:{connection_id}")
    return len(touched)


def take_readings(
    known: Mapping[tuple[UUID, str], Row],
    readings: Mapping[tuple[UUID, str], Reading],
    connection_id: UUID,
    settling: timedelta,
) -> list[Row]:
    """Return the fields of which a reading tells something new, with it. Pure but for the rows, which are changed.

    One that only repeats what is known is left as it is, unless it is the first since a write.
    """
    changed = []
    for (listing_id, name), reading in readings.items():
        row = known.get((listing_id, name)) or Row(listing_id, name, connection_id)
        before = row.known
        after = take_reading(FIELDS[name].kind, before, reading, settling)
        if after is before or ((after.theirs, after.shown) == (before.theirs, before.shown) and not before.awaits_echo):
            continue
        row.known = after
        changed.append(row)
    return changed
