"""What other rooms may ask of the catalog. Every function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.catalog import match_intake, store
from entrepot.catalog.archiving import PRODUCTS_ARCHIVED, still_archived, tell_archived
from entrepot.catalog.bundles import (
    PARTS_MAX,
    InvalidBundle,
    Part,
    Parts,
    PartView,
    bundles_with,
    part_views,
    parts_of,
    put_parts,
)
from entrepot.catalog.categories import ancestors_of, ensure_categories
from entrepot.catalog.contracts import InvalidProduct, NewProduct, SkuTaken
from entrepot.catalog.intake import Taken, TakenMeanwhile, find, take
from entrepot.catalog.intake_store import attribute_names, currencies, read_full, skus_of, tags_of
from entrepot.catalog.offers import (
    PRODUCTS_CHANGED,
    Takeover,
    listings_of_products,
    listings_of_variants,
    offers,
    take_over,
    tell_changed,
)
from entrepot.catalog.price_events import PRICES_CHANGED, follow_rates
from entrepot.catalog.price_lists import ChannelPrice, channel_prices
from entrepot.channels.contract import ChannelListing
from entrepot.database.pool import Tx
from entrepot.jobs import facade as jobs
from entrepot.kernel.ids import new_id

__all__ = [
    "FILING",
    "LISTINGS_MATCHED",
    "PARTS_MAX",
    "PRICES_CHANGED",
    "PRODUCTS_ARCHIVED",
    "PRODUCTS_CHANGED",
    "PRODUCTS_FILED",
    "ChannelPrice",
    "InvalidBundle",
    "Part",
    "PartView",
    "Parts",
    "Resolved",
    "Taken",
    "TakenMeanwhile",
    "Takeover",
    "ancestors_of",
    "attribute_names",
    "bundles_with",
    "channel_prices",
    "create_product",
    "currencies",
    "find",
    "follow_rates",
    "known_skus",
    "listings_of_products",
    "listings_of_variants",
    "offers",
    "part_views",
    "parts_of",
    "put_parts",
    "read_full",
    "resolve",
    "save_listings",
    "save_products",
    "skus_of",
    "still_archived",
    "tags_of",
    "take",
    "take_over",
    "tell_archived",
    "tell_changed",
    "tell_filed",
    "tell_matched",
]

LISTINGS_MATCHED = "catalog.listings_matched"
"""Event: {"listings": [id]}: these listings have a variant now."""
PRODUCTS_FILED = "catalog.products_filed"
"""Event: {"product_ids": [id]}: these products are in another category or have other tags now."""


FILING = frozenset({"category", "category_id", "tags"})
"""Fields of a product that decide which policies and rules count for it."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Which variant (and listing) each external variant id and each SKU means."""

    by_external_id: dict[str, tuple[UUID, UUID]]
    by_sku: dict[str, UUID]

    def variant(self, external_variant_id: str | None, sku: str | None) -> UUID | None:
        """Return the variant: the listing's where it is matched, else by SKU, else None."""
        if external_variant_id and external_variant_id in self.by_external_id:
            return self.by_external_id[external_variant_id][0]
        return self.by_sku.get(sku) if sku else None


async def resolve(tx: Tx, connection_id: UUID, external_ids: Sequence[str], skus: Sequence[str]) -> Resolved:
    """Find the variants behind external variant ids and SKUs of order lines."""
    return Resolved(
        await store.variants_by_listing(tx, connection_id, external_ids) if external_ids else {},
        await store.variants_by_sku(tx, skus) if skus else {},
    )


async def save_products(tx: Tx, products: Sequence[NewProduct]) -> dict[str, UUID]:
    """Create or update products by handle and their variants by SKU; return SKU -> variant id.

    Saving the same again changes nothing but the time. Listings that waited for one of the SKUs are matched and told
    of. Raises InvalidProduct.
    """
    if not products:
        return {}
    for product in products:
        _check(product)
    categories = await ensure_categories(tx, [p.category for p in products if p.category])
    once = {p.handle: p for p in products}
    filed = await store.filed(tx, list(once))
    handles = await store.upsert_products(tx, [_product_row(p, categories) for p in once.values()])
    after = await store.filed(tx, list(filed))
    await tell_filed(tx, [handles[handle] for handle in filed if filed[handle] != after[handle]])
    variants = {
        v.sku: (str(new_id()), str(handles[p.handle]), v.sku, v.barcode, v.title, list(v.option_values), v.price_minor,
                v.compare_at_minor, v.cost_minor, v.currency, v.weight_g, position, v.length_mm, v.width_mm,
                v.height_mm, v.image_url)
        for p in products
        for position, v in enumerate(p.variants, start=1)
    }  # fmt: skip
    saved = await store.upsert_variants(tx, list(variants.values()))
    matched = await store.match_waiting_listings(tx, list(saved))
    await tell_matched(tx, [row["id"] for row in matched])
    await tell_changed(tx, handles.values())
    return saved


def _product_row(p: NewProduct, categories: Mapping[tuple[str, ...], UUID]) -> tuple[Any, ...]:
    images = None if p.images is None else [{"url": image.url, "alt": image.alt} for image in p.images]
    return (
        str(new_id()), p.handle, p.title, p.description, p.vendor, p.product_type, list(p.tags), list(p.option_names),
        p.status, images, str(categories[p.category]) if p.category else None, p.seo_title, p.seo_description,
        None if p.attributes is None else dict(p.attributes),
    )  # fmt: skip


async def create_product(tx: Tx, product: NewProduct) -> dict[str, UUID]:
    """Create a product; like `save_products`, but raises SkuTaken if one of its SKUs exists."""
    taken = await store.existing_skus(tx, [v.sku for v in product.variants])
    if taken:
        raise SkuTaken(f"The SKU {next(iter(taken))} exists already.")
    return await save_products(tx, [product])


async def known_skus(tx: Tx, skus: Sequence[str]) -> dict[str, UUID]:
    """Return those of these SKUs that exist, with their variant."""
    return dict(await store.existing_skus(tx, skus))


async def save_listings(
    tx: Tx, connection_id: UUID, listings: Sequence[ChannelListing], now: datetime
) -> dict[str, tuple[UUID, UUID | None]]:
    """Store what a channel lists, matched by SKU; return external id -> (listing, variant or None).

    What has no variant is matched soon after, or proposed to people (see match_work).
    """
    rows = await store.upsert_listings(tx, connection_id, listings, now)
    waiting = {row["external_id"]: row["id"] for row in rows if row["variant_id"] is None and row["active"]}
    if waiting:
        await match_intake.keep_waiting(tx, listings, waiting)
    return {row["external_id"]: (row["id"], row["variant_id"] if row["active"] else None) for row in rows}


async def tell_filed(tx: Tx, product_ids: Sequence[UUID]) -> None:
    """Emit that these products are in another category or have other tags now."""
    if product_ids:
        await jobs.emit(tx, PRODUCTS_FILED, {"product_ids": [str(i) for i in product_ids]})


async def tell_matched(tx: Tx, listing_ids: Sequence[UUID]) -> None:
    """Emit that these listings have a variant now."""
    if listing_ids:
        await jobs.emit(tx, LISTINGS_MATCHED, {"listings": [str(i) for i in listing_ids]})


def _check(product: NewProduct) -> None:
    if not product.handle or not product.title:
        raise InvalidProduct("A product needs a handle and a title.")
    if not product.variants:
        raise InvalidProduct(f"{product.handle}: a product needs at least one variant.")
    for variant in product.variants:
        if not variant.sku or len(variant.sku) > 200:
            raise InvalidProduct(f"{product.handle}: a variant needs a SKU of at most 200 characters.")
        if not 0 <= variant.price_minor < 10**15:
            raise InvalidProduct(f"{variant.sku}: the price is out of bounds.")
