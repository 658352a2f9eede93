"""The channel's side of a listing's fields: what a reading tells, and storing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from entrepot.channels.contract import ChannelListing, ListingImage, Manifest
from entrepot.database.pool import Tx
from entrepot.kernel.errors import InvalidInput
from entrepot.sync.fields import store
from entrepot.sync.fields.store import Row
from entrepot.sync.merge import values
from entrepot.sync.merge.fields import FIELDS, Level
from entrepot.sync.merge.rules import Reading, take_reading
from entrepot.sync.merge.values import EMPTY, Value
from entrepot.sync.publishing.codec import attributes_to_json


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
        "images": None if listing.images is None else values.images(map(_address, listing.images)),
        "price": price,
        "compare_at": before,
        "barcode": values.text(listing.barcode),
        "options": values.options(listing.options),
    }
    return {name: value for name, value in found.items() if name in told}


def _address(image: ListingImage) -> str:
    return f"{image.url}{values.SOURCE}{image.source_key}" if image.source_key else image.url


def rest_of(listing: ChannelListing) -> dict[str, Any]:
    """Return what a whole draft needs of a listing and nobody compares. Pure."""
    kept: dict[str, Any] = {
        "product_title": listing.product_title,
        "category": listing.category,
        "product_type": listing.product_type,
        "vendor": listing.vendor,
        "description": listing.description_html or listing.description,
        "tags": list(listing.tags),
        "images": [{"url": _address(i), "alt": i.alt_text} for i in listing.images or ()],
        "options": [list(pair) for pair in listing.options],
        "seo_title": listing.seo_title,
        "seo_description": listing.seo_description,
        "barcode": listing.barcode,
        "sku": listing.sku or "",
        "price": "" if listing.price is None else str(listing.price),
        "compare_at": "" if listing.compare_at is None else str(listing.compare_at),
        "currency": listing.currency,
        "weight_g": listing.weight_g,
        "key": listing.managed_key,
        "attributes": attributes_to_json(listing.attributes) or None,
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
    page = _Page(connection_id, by_id, told, read_at, settling)
    leads, fresh = page.compare(await store.readings_of(tx, list(by_id)))
    if not fresh and not page.new(await store.rows_of(tx, list(by_id)), leads):
        return 0
    # There is something to write: once more under lock, as what is stored may have moved on since.
    products = sorted({_product_of(v) for v in by_id.values()})
    await store.lock_connection(tx, connection_id)
    await store.lock_readings(tx, connection_id, list(by_id), products)
    await store.put_readings(tx, connection_id, read_at, [page.told_of(i) for i in sorted(by_id)])
    await store.choose_leads(tx, connection_id, products)
    leads, _ = page.compare(await store.readings_of(tx, list(by_id)))
    changed = page.new(await store.rows_of(tx, list(by_id), lock=True), leads)
    await store.put_rows(tx, changed)
    touched = sorted({row.listing_id for row in changed})
    await store.want_merge(tx, touched)
    if touched:
        tx.hint(f"merge:{connection_id}")
    return len(touched)


def _product_of(listing: ChannelListing) -> str:
    return listing.product_external_id or listing.ref.external_id


@dataclass(frozen=True, slots=True)
class _Page:
    """Listings that were read together."""

    connection_id: UUID
    by_id: Mapping[UUID, ChannelListing]
    told: frozenset[str]
    read_at: datetime
    settling: timedelta

    def told_of(self, listing_id: UUID) -> store.Told:
        """Return what is stored of the reading of a listing as a whole."""
        listing = self.by_id[listing_id]
        return listing_id, _product_of(listing), listing.product_version, listing.updated_at, rest_of(listing)

    def compare(self, stored: Mapping[UUID, Any]) -> tuple[set[UUID], bool]:
        """Return which listings keep their product's fields, and whether any reading tells something else than is stored."""
        fresh = False
        for listing_id in self.by_id:
            row, told = stored.get(listing_id), self.told_of(listing_id)
            if row is None or (row["product_external_id"], row["product_version"], row["rest"]) != (
                told[1], told[2], told[4]
            ):  # fmt: skip
                fresh = True
        return {listing_id for listing_id, row in stored.items() if row["leads"]}, fresh

    def new(self, known: Mapping[tuple[UUID, str], Row], leads: set[UUID]) -> list[Row]:
        """Return the fields of which this reading tells something new."""
        readings = {
            (listing_id, name): Reading(value, self.read_at, listing.updated_at)
            for listing_id, listing in self.by_id.items()
            for name, value in theirs_of(listing, self.told).items()
            if FIELDS[name].level is Level.VARIANT or listing_id in leads
        }
        return take_readings(known, readings, self.connection_id, self.settling)


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
        told_before = (before.theirs, before.shown, before.base)
        if after is before or ((after.theirs, after.shown, after.base) == told_before and not before.awaits_echo):
            continue
        row.known = after
        changed.append(row)
    return changed
