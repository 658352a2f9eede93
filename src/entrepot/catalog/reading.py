"""What pages and the API read of the catalog. Select statements only; lists are paged by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

from entrepot.catalog.contracts import Image, VariantNotFound
from entrepot.database.pool import Tx
from entrepot.kernel.errors import NotFound


@dataclass(frozen=True, slots=True)
class ProductRow:
    """A product in a list. Prices in minor units; `currency` that of the cheapest variant."""

    id: UUID
    handle: str
    title: str
    vendor: str
    product_type: str
    status: str
    image_url: str
    variants: int
    listings: int
    first_sku: str | None
    price_min_minor: int | None
    price_max_minor: int | None
    currency: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class VariantView:
    """A variant of a product. Amounts in minor units."""

    id: UUID
    product_id: UUID
    sku: str
    barcode: str
    title: str
    option_values: tuple[str, ...]
    price_minor: int
    compare_at_minor: int | None
    cost_minor: int | None
    currency: str
    weight_g: int | None
    position: int
    length_mm: int | None = None
    width_mm: int | None = None
    height_mm: int | None = None
    image_url: str = ""
    state: str = "active"

    @property
    def is_active(self) -> bool:
        """Whether it is in use."""
        return self.state == "active"


@dataclass(frozen=True, slots=True)
class ListingView:
    """A listing of a variant on a connection."""

    id: UUID
    variant_id: UUID | None
    connection_id: UUID
    connection_name: str
    channel: str
    external_id: str
    sku: str | None
    title: str
    price_minor: int | None
    currency: str | None
    active: bool
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class ProductDetail:
    """A product with its variants and their listings."""

    row: ProductRow
    description: str
    tags: tuple[str, ...]
    option_names: tuple[str, ...]
    variants: tuple[VariantView, ...]
    """In use and archived."""
    listings: tuple[ListingView, ...]
    images: tuple[Image, ...] = ()
    category_id: UUID | None = None
    collections: tuple[UUID, ...] = ()
    seo_title: str = ""
    seo_description: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def active(self) -> tuple[VariantView, ...]:
        """The variants in use."""
        return tuple(variant for variant in self.variants if variant.is_active)

    @property
    def archived(self) -> tuple[VariantView, ...]:
        """The variants out of use."""
        return tuple(variant for variant in self.variants if not variant.is_active)


@dataclass(frozen=True, slots=True)
class Hit:
    """A variant that a search found."""

    variant_id: UUID
    product_id: UUID
    sku: str
    title: str


LAST = "\U0010ffff"
"""Sorts after every character: what starts with a text is not less than it and less than it + LAST."""

PRODUCT_ROW = """
    p.id, p.handle, p.title, p.vendor, p.product_type, p.status, p.created_at, p.updated_at,
    coalesce(p.images->0->>'url', '') as image_url,
    v.variants, v.first_sku, v.price_min_minor, v.price_max_minor, v.currency,
    (select count(*) from variant w join listing l on l.organisation_id = w.organisation_id and l.variant_id = w.id
     where w.organisation_id = p.organisation_id and w.product_id = p.id) as listings
"""
PRODUCT_VARIANTS = """
    cross join lateral (
        select count(*) as variants, min(sku) as first_sku, min(price_minor) as price_min_minor,
               max(price_minor) as price_max_minor, min(currency) as currency
        from variant w where w.organisation_id = p.organisation_id and w.product_id = p.id and w.state = 'active') v
"""


def product_row(record: asyncpg.Record) -> ProductRow:
    """Return a row of PRODUCT_ROW as a value."""
    return ProductRow(**{name: record[name] for name in ProductRow.__slots__})


async def product_detail(tx: Tx, product_id: UUID) -> ProductDetail:
    """Return one product with its variants (by position) and their listings. Raises NotFound."""
    record = await tx.fetch_row(
        f"""select {PRODUCT_ROW}, p.description, p.tags, p.option_names, p.images, p.category_id, p.seo_title,
                p.seo_description, p.attributes,
                array(select c.collection_id from collection_product c
                      where c.organisation_id = $1 and c.product_id = p.id order by c.collection_id) as collections
            from product p {PRODUCT_VARIANTS}
            where p.organisation_id = $1 and p.id = $2""",
        tx.organisation,
        product_id,
    )
    if record is None:
        raise NotFound("There is no such product.")
    variants = await variants_of(tx, [product_id])
    return ProductDetail(
        row=product_row(record),
        description=record["description"],
        tags=tuple(record["tags"]),
        option_names=tuple(record["option_names"]),
        variants=variants,
        listings=await listings_of(tx, [variant.id for variant in variants]),
        images=tuple(Image(each["url"], each.get("alt", "")) for each in record["images"]),
        category_id=record["category_id"],
        collections=tuple(record["collections"]),
        seo_title=record["seo_title"],
        seo_description=record["seo_description"],
        attributes=record["attributes"],
    )


async def variants_of(tx: Tx, product_ids: Sequence[UUID]) -> tuple[VariantView, ...]:
    """Return the variants of these products, by product and position."""
    rows = await tx.fetch(
        """select id, product_id, sku, barcode, title, option_values, price_minor, compare_at_minor, cost_minor,
                  currency, weight_g, position, length_mm, width_mm, height_mm, image_url, state
           from variant where organisation_id = $1 and product_id = any($2) order by product_id, position, sku""",
        tx.organisation,
        list(product_ids),
    )
    return tuple(VariantView(**{**dict(row), "option_values": tuple(row["option_values"])}) for row in rows)


async def variants_by_id(tx: Tx, variant_ids: Sequence[UUID]) -> dict[UUID, VariantView]:
    """Return these variants by id; unknown ones are left out."""
    rows = await tx.fetch(
        """select id, product_id, sku, barcode, title, option_values, price_minor, compare_at_minor, cost_minor,
                  currency, weight_g, position, length_mm, width_mm, height_mm, image_url, state
           from variant where organisation_id = $1 and id = any($2::uuid[])""",
        tx.organisation,
        list(variant_ids),
    )
    return {row["id"]: VariantView(**{**dict(row), "option_values": tuple(row["option_values"])}) for row in rows}


async def listings_of(tx: Tx, variant_ids: Sequence[UUID]) -> tuple[ListingView, ...]:
    """Return the listings of these variants, by connection name."""
    rows = await tx.fetch(
        """select l.id, l.variant_id, l.connection_id, c.name as connection_name, c.channel, l.external_id, l.sku,
                  l.title, l.price_minor, l.currency, l.active, l.seen_at
           from listing l join connection c on c.organisation_id = l.organisation_id and c.id = l.connection_id
           where l.organisation_id = $1 and l.variant_id = any($2) order by c.name, l.external_id""",
        tx.organisation,
        list(variant_ids),
    )
    return tuple(ListingView(**dict(row)) for row in rows)


async def find_variants(tx: Tx, text: str, limit: int = 8) -> tuple[Hit, ...]:
    """Return the variants whose SKU starts with the text, by SKU."""
    rows = await tx.fetch(
        """select v.id as variant_id, v.product_id, v.sku, p.title from variant v
           join product p on p.organisation_id = v.organisation_id and p.id = v.product_id
           where v.organisation_id = $1 and v.id in (
               select f.id from unnest($2::text[]) s cross join lateral (
                   select id from variant where organisation_id = $1 and sku ~>=~ s and sku ~<~ (s || $4)
                   order by sku using ~<~ limit $3) f)
           order by v.sku limit $3""",
        tx.organisation,
        sorted({text, text.upper()}),
        limit,
        LAST,
    )
    return tuple(Hit(**dict(row)) for row in rows)


async def has_products(tx: Tx) -> bool:
    """Return whether there is any product."""
    return bool(
        await tx.fetch_value("select exists (select 1 from product where organisation_id = $1)", tx.organisation)
    )


async def variant_hit(tx: Tx, variant_id: UUID) -> Hit:
    """Return a variant with its product's title. Raises VariantNotFound."""
    row = await tx.fetch_row(
        """select v.id as variant_id, v.product_id, v.sku, p.title from variant v
           join product p on p.organisation_id = v.organisation_id and p.id = v.product_id
           where v.organisation_id = $1 and v.id = $2""",
        tx.organisation,
        variant_id,
    )
    if row is None:
        raise VariantNotFound
    return Hit(**dict(row))
