"""What pages and the API read of the catalog. Select statements only; lists are paged by key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from entrepot.database.pool import Tx
from entrepot.kernel.errors import NotFound
from entrepot.kernel.paging import Slice, bounded, decode_cursor, slice_of

STATUSES = ("active", "draft", "archived")


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """Which products: every field narrows. `search`: start of a SKU or part of the title."""

    search: str = ""
    status: str | None = None
    product_type: str | None = None


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
    listings: tuple[ListingView, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A variant that a search found."""

    variant_id: UUID
    product_id: UUID
    sku: str
    title: str


_ROW = """
    p.id, p.handle, p.title, p.vendor, p.product_type, p.status, p.created_at, p.updated_at,
    coalesce(p.images->0->>'url', '') as image_url,
    v.variants, v.first_sku, v.price_min_minor, v.price_max_minor, v.currency,
    (select count(*) from variant w join listing l on l.organisation_id = w.organisation_id and l.variant_id = w.id
     where w.organisation_id = p.organisation_id and w.product_id = p.id) as listings
"""
_VARIANTS = """
    cross join lateral (
        select count(*) as variants, min(sku) as first_sku, min(price_minor) as price_min_minor,
               max(price_minor) as price_max_minor, min(currency) as currency
        from variant w where w.organisation_id = p.organisation_id and w.product_id = p.id) v
"""


def _row(record: asyncpg.Record) -> ProductRow:
    return ProductRow(**{name: record[name] for name in ProductRow.__slots__})


async def list_products(tx: Tx, chosen: ProductFilter, cursor: str | None = None, limit: int = 50) -> Slice[ProductRow]:
    """Return products by title. Raises InvalidCursor."""
    limit = bounded(limit)
    after = decode_cursor(cursor, str, UUID)
    args: list[Any] = [tx.organisation]
    where = ["p.organisation_id = $1"]
    for column, value in (("p.status", chosen.status), ("p.product_type", chosen.product_type)):
        if value is not None:
            args.append(value)
            where.append(f"{column} = ${len(args)}")
    if chosen.search.strip():
        args += [chosen.search.strip().lower(), await _products_by_sku(tx, chosen.search.strip())]
        where.append(f"(position(${len(args) - 1} in lower(p.title)) > 0 or p.id = any(${len(args)}))")
    if after:
        args += after
        where.append(f"(p.title, p.id) > (${len(args) - 1}, ${len(args)})")
    args.append(limit + 1)
    rows = await tx.fetch(
        f"""with page as materialized (
                select * from product p where {" and ".join(where)} order by p.title, p.id limit ${len(args)})
            select {_ROW} from page p {_VARIANTS} order by p.title, p.id""",
        *args,
    )
    items = [_row(row) for row in rows]
    last = items[limit - 1] if len(items) > limit else None
    return slice_of(items, limit, (last.title, last.id) if last else None)


async def _products_by_sku(tx: Tx, text: str) -> list[UUID]:
    """Return the products of the variants whose SKU starts with the text."""
    rows = await tx.fetch(
        """select distinct product_id from variant
           where organisation_id = $1 and (sku ^@ $2 or sku ^@ $3 or (barcode <> '' and barcode = $2)) limit 500""",
        tx.organisation,
        text,
        text.upper(),
    )
    return [row["product_id"] for row in rows]


async def product_detail(tx: Tx, product_id: UUID) -> ProductDetail:
    """Return one product with its variants (by position) and their listings. Raises NotFound."""
    record = await tx.fetch_row(
        f"""select {_ROW}, p.description, p.tags, p.option_names from product p {_VARIANTS}
            where p.organisation_id = $1 and p.id = $2""",
        tx.organisation,
        product_id,
    )
    if record is None:
        raise NotFound("There is no such product.")
    variants = await variants_of(tx, [product_id])
    return ProductDetail(
        row=_row(record),
        description=record["description"],
        tags=tuple(record["tags"]),
        option_names=tuple(record["option_names"]),
        variants=variants,
        listings=await listings_of(tx, [variant.id for variant in variants]),
    )


async def variants_of(tx: Tx, product_ids: Sequence[UUID]) -> tuple[VariantView, ...]:
    """Return the variants of these products, by product and position."""
    rows = await tx.fetch(
        """select id, product_id, sku, barcode, title, option_values, price_minor, compare_at_minor, cost_minor,
                  currency, weight_g, position
           from variant where organisation_id = $1 and product_id = any($2) order by product_id, position, sku""",
        tx.organisation,
        list(product_ids),
    )
    return tuple(VariantView(**{**dict(row), "option_values": tuple(row["option_values"])}) for row in rows)


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
           where v.organisation_id = $1 and (v.sku ^@ $2 or v.sku ^@ $3) order by v.sku limit $4""",
        tx.organisation,
        text,
        text.upper(),
        limit,
    )
    return tuple(Hit(**dict(row)) for row in rows)


async def has_products(tx: Tx) -> bool:
    """Return whether there is any product."""
    return bool(
        await tx.fetch_value("select exists (select 1 from product where organisation_id = $1)", tx.organisation)
    )
