"""What the catalog says of listings, and taking over what a channel says instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.catalog import match_intake
from entrepot.database.pool import Tx
from entrepot.jobs import facade as jobs

PRODUCTS_CHANGED = "catalog.products_changed"
"""Event: {"products": [id]}: something of these products or their variants was changed."""

OFFERS = """
select l.id as listing_id, l.connection_id, l.external_id, l.keys, l.currency as listing_currency,
       v.id as variant_id, v.product_id, v.sku, v.barcode, v.price_minor, v.compare_at_minor, v.currency, v.option_values,
       v.weight_g, v.length_mm, v.width_mm, v.height_mm, v.position, v.updated_at as variant_updated_at,
       p.handle, p.title, p.description, p.vendor, p.product_type, p.tags, p.option_names, p.images, p.seo_title,
       p.seo_description, p.attributes, p.status, p.updated_at as product_updated_at
from listing l
join variant v on v.organisation_id = $1 and v.id = l.variant_id
join product p on p.organisation_id = $1 and p.id = v.product_id
where l.organisation_id = $1 and l.id = any($2::uuid[]) and l.active
"""


async def offers(tx: Tx, listing_ids: Sequence[UUID]) -> list[Any]:
    """Return what the catalog says of these listings (variant and product); those without a variant, or ended, are left out."""
    return await tx.fetch(OFFERS, tx.organisation, listing_ids)


async def tell_changed(tx: Tx, product_ids: Iterable[UUID]) -> None:
    """Emit that these products or their variants were changed or made; listings that wait for one of them are looked at.

    Everything that writes products calls it.
    """
    named = sorted(str(i) for i in product_ids)
    if named:
        await jobs.emit(tx, PRODUCTS_CHANGED, {"products": named})
        await match_intake.variants_changed(tx)


async def listings_of_products(tx: Tx, product_ids: Sequence[UUID]) -> list[UUID]:
    """Return the listings of all variants of these products."""
    rows = await tx.fetch(
        "select l.id from listing l join variant v on v.organisation_id = $1 and v.id = l.variant_id"
        " where l.organisation_id = $1 and v.product_id = any($2::uuid[]) order by l.id",
        tx.organisation,
        product_ids,
    )
    return [row[0] for row in rows]


async def listings_of_variants(tx: Tx, connection_ids: Sequence[UUID], variant_ids: Sequence[UUID]) -> list[UUID]:
    """Return the active listings of these variants on these connections."""
    rows = await tx.fetch(
        "select id from listing where organisation_id = $1 and connection_id = any($2::uuid[]) and active"
        " and variant_id = any($3::uuid[]) order by id",
        tx.organisation,
        list(connection_ids),
        list(variant_ids),
    )
    return [row[0] for row in rows]


@dataclass(frozen=True, slots=True)
class Takeover:
    """New values for a product and one or more of its variants, by column; `seen`: when each was changed last, as read.

    Columns of a product: title, description, vendor, product_type, tags, images. Of a variant: price_minor,
    compare_at_minor (None: none), barcode, option_values.
    """

    product_id: UUID
    seen: datetime
    values: Mapping[str, Any]
    variants: Mapping[UUID, tuple[datetime, Mapping[str, Any]]]


_LOCK_PRODUCTS = """
select id, updated_at from product where organisation_id = $1 and id = any($2::uuid[]) order by id for no key update
"""
_LOCK_VARIANTS = """
select id, updated_at from variant where organisation_id = $1 and id = any($2::uuid[]) order by id for no key update
"""
_PUT_PRODUCTS = """
update product p set
    title = coalesce(i.title, p.title), description = coalesce(i.description, p.description),
    vendor = coalesce(i.vendor, p.vendor), product_type = coalesce(i.product_type, p.product_type),
    tags = coalesce(i.tags, p.tags), images = coalesce(i.images, p.images), updated_at = clock_timestamp()
from jsonb_to_recordset($2::jsonb) as i(id uuid, title text, description text, vendor text, product_type text, tags text[],
    images jsonb)
where p.organisation_id = $1 and p.id = i.id
"""
_PUT_VARIANTS = """
update variant v set
    price_minor = coalesce(i.price_minor, v.price_minor), barcode = coalesce(i.barcode, v.barcode),
    compare_at_minor = case when i.sets_compare_at then i.compare_at_minor else v.compare_at_minor end,
    option_values = coalesce(i.option_values, v.option_values), updated_at = clock_timestamp()
from jsonb_to_recordset($2::jsonb) as i(id uuid, price_minor bigint, barcode text, sets_compare_at boolean,
    compare_at_minor bigint, option_values text[])
where v.organisation_id = $1 and v.id = i.id
"""


async def take_over(tx: Tx, changes: Sequence[Takeover]) -> set[UUID]:
    """Write new values where nobody changed the row since it was read; return the products and variants that were written.

    Rows are locked in the one order of the catalog: products by id, then variants by id.
    """
    products = {c.product_id: c.seen for c in changes if c.values}
    variants = {i: seen for c in changes for i, (seen, values) in c.variants.items() if values}
    free = await _unchanged(tx, _LOCK_PRODUCTS, products) | await _unchanged(tx, _LOCK_VARIANTS, variants)
    rows = [{"id": str(c.product_id), **c.values} for c in changes if c.values and c.product_id in free]
    if rows:
        await tx.execute(_PUT_PRODUCTS, tx.organisation, rows)
    rows = [
        {"id": str(i), "sets_compare_at": "compare_at_minor" in values, **values}
        for c in changes
        for i, (_, values) in c.variants.items()
        if values and i in free
    ]
    if rows:
        await tx.execute(_PUT_VARIANTS, tx.organisation, rows)
    await tell_changed(tx, {c.product_id for c in changes if c.product_id in free or free.intersection(c.variants)})
    return free


async def _unchanged(tx: Tx, lock: str, seen: Mapping[UUID, datetime]) -> set[UUID]:
    if not seen:
        return set()
    rows = await tx.fetch(lock, tx.organisation, list(seen))
    return {row["id"] for row in rows if row["updated_at"] == seen[row["id"]]}
