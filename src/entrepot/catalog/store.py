"""Statements of the catalog that change rows or serve other rooms; lists for people are in reading.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.channels.contract import ChannelListing
from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id
from entrepot.kernel.money import to_minor


async def variants_by_listing(tx: Tx, connection_id: UUID, external_ids: Sequence[str]) -> dict[str, tuple[UUID, UUID]]:
    """Return external id -> (variant, listing) of the matched listings of a connection."""
    rows = await tx.fetch(
        "select external_id, variant_id, id from listing where organisation_id = $1 and connection_id = $2"
        " and external_id = any($3::text[]) and variant_id is not null",
        tx.organisation,
        connection_id,
        external_ids,
    )
    return {row[0]: (row[1], row[2]) for row in rows}


async def variants_by_sku(tx: Tx, skus: Sequence[str]) -> dict[str, UUID]:
    """Return SKU -> variant."""
    rows = await tx.fetch(
        "select sku, id from variant where organisation_id = $1 and sku = any($2::text[])", tx.organisation, skus
    )
    return {row[0]: row[1] for row in rows}


async def listings_by_variant(tx: Tx, variant_ids: Sequence[UUID]) -> list[Any]:
    """Return (id, connection_id, variant_id) of the active listings of these variants."""
    return await tx.fetch(
        "select id, connection_id, variant_id from listing where organisation_id = $1 and variant_id = any($2::uuid[])"
        " and active",
        tx.organisation,
        variant_ids,
    )


UPSERT_LISTINGS = """
with incoming as (
    select i.*, v.id as found
    from unnest($4::uuid[], $5::text[], $6::jsonb[], $7::text[], $8::text[], $9::bigint[], $10::text[], $11::boolean[])
         as i(id, external_id, keys, sku, title, price_minor, currency, active)
    left join variant v on v.organisation_id = $1 and v.sku = i.sku
), same as (
    select l.id, l.external_id, l.variant_id, l.active
    from incoming i
    join listing l on l.organisation_id = $1 and l.connection_id = $2 and l.external_id = i.external_id
    where l.keys = i.keys and l.sku is not distinct from i.sku and l.title = i.title
      and l.price_minor is not distinct from i.price_minor and l.currency is not distinct from i.currency
      and l.active = i.active and (l.variant_id is not null or i.found is null)
      and l.seen_at > $3::timestamptz - interval '1 day'
), written as (
    insert into listing (organisation_id, id, connection_id, external_id, keys, sku, title, price_minor, currency,
        active, variant_id, seen_at)
    select $1, i.id, $2, i.external_id, i.keys, i.sku, i.title, i.price_minor, i.currency, i.active, i.found,
        $3::timestamptz
    from incoming i where not exists (select 1 from same where same.external_id = i.external_id)
    order by i.external_id
    on conflict (organisation_id, connection_id, external_id) do update set
        keys = excluded.keys, sku = excluded.sku, title = excluded.title, price_minor = excluded.price_minor,
        currency = excluded.currency, active = excluded.active, seen_at = excluded.seen_at, updated_at = now(),
        variant_id = coalesce(listing.variant_id, excluded.variant_id)
    returning id, external_id, variant_id, active
)
select * from same union all select * from written
"""
"""Rows that are as they were stay unwritten (their `seen_at` is renewed daily): a check of a whole catalog mostly reads."""


async def upsert_listings(tx: Tx, connection_id: UUID, listings: Sequence[ChannelListing], now: datetime) -> list[Any]:
    """Store what a channel lists, matched to variants by SKU; return (id, external_id, variant_id, active) rows."""
    by_id = {listing.ref.external_id: listing for listing in listings}
    rows = [
        (
            new_id(),
            external_id,
            dict(v.ref.keys),
            v.sku or None,
            v.title or v.product_title,
            to_minor(v.price, v.currency) if v.price is not None and v.currency else None,
            v.currency or None,
            v.active,
        )
        for external_id, v in by_id.items()
    ]
    if not rows:
        return []
    return await tx.fetch(UPSERT_LISTINGS, tx.organisation, connection_id, now, *map(list, zip(*rows, strict=True)))


async def match_waiting_listings(tx: Tx, skus: Sequence[str]) -> list[Any]:
    """Match listings without a variant to variants of these SKUs; return (id, connection_id, variant_id) of the new ones."""
    return await tx.fetch(
        """
        update listing l set variant_id = v.id, updated_at = now()
        from variant v
        where l.organisation_id = $1 and v.organisation_id = $1 and l.variant_id is null and l.sku = v.sku
          and v.sku = any($2::text[])
        returning l.id, l.connection_id, l.variant_id
        """,
        tx.organisation,
        skus,
    )


async def upsert_products(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> dict[str, UUID]:
    """Insert or update products by handle; return handle -> id. Rows: id, handle, title, description, vendor,
    product_type, tags, option_names, status, then those that stay where they are null: images, category_id, seo_title,
    seo_description, attributes."""
    found = await tx.fetch(
        """
        insert into product (organisation_id, id, handle, title, description, vendor, product_type, tags, option_names,
            status, images, category_id, seo_title, seo_description, attributes)
        select $1, (r->>0)::uuid, r->>1, r->>2, r->>3, r->>4, r->>5,
               array(select jsonb_array_elements_text(r->6)), array(select jsonb_array_elements_text(r->7)),
               r->>8, coalesce(nullif(r->9, 'null'), old.images, '[]'), coalesce((r->>10)::uuid, old.category_id),
               coalesce(r->>11, old.seo_title, ''), coalesce(r->>12, old.seo_description, ''),
               coalesce(nullif(r->13, 'null'), old.attributes, '{}')
        from jsonb_array_elements($2::jsonb) r
        left join product old on old.organisation_id = $1 and old.handle = r->>1
        order by r->>1
        on conflict (organisation_id, handle) do update set
            title = excluded.title, description = excluded.description, vendor = excluded.vendor,
            product_type = excluded.product_type, tags = excluded.tags, option_names = excluded.option_names,
            status = excluded.status, images = excluded.images, category_id = excluded.category_id,
            seo_title = excluded.seo_title, seo_description = excluded.seo_description,
            attributes = excluded.attributes, updated_at = now()
        returning handle, id
        """,
        tx.organisation,
        [list(row) for row in rows],
    )
    return {row[0]: row[1] for row in found}


async def upsert_variants(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> dict[str, UUID]:
    """Insert or update variants by SKU; return SKU -> id. Rows: id, product_id, sku, barcode, title, option_values,
    price_minor, compare_at_minor, cost_minor, currency, weight_g, position, length_mm, width_mm, height_mm, image_url."""
    found = await tx.fetch(
        """
        insert into variant (organisation_id, id, product_id, sku, barcode, title, option_values, price_minor,
            compare_at_minor, cost_minor, currency, weight_g, position, length_mm, width_mm, height_mm, image_url)
        select $1, (r->>0)::uuid, (r->>1)::uuid, r->>2, r->>3, r->>4, array(select jsonb_array_elements_text(r->5)),
               (r->>6)::bigint, (r->>7)::bigint, (r->>8)::bigint, r->>9, (r->>10)::integer, (r->>11)::integer,
               coalesce((r->>12)::integer, old.length_mm), coalesce((r->>13)::integer, old.width_mm),
               coalesce((r->>14)::integer, old.height_mm), coalesce(r->>15, old.image_url, '')
        from jsonb_array_elements($2::jsonb) r
        left join variant old on old.organisation_id = $1 and old.sku = r->>2
        order by r->>2
        on conflict (organisation_id, sku) do update set
            product_id = excluded.product_id, barcode = excluded.barcode, title = excluded.title,
            option_values = excluded.option_values, price_minor = excluded.price_minor,
            compare_at_minor = excluded.compare_at_minor, cost_minor = coalesce(excluded.cost_minor, variant.cost_minor),
            currency = excluded.currency, weight_g = excluded.weight_g, position = excluded.position,
            length_mm = excluded.length_mm, width_mm = excluded.width_mm, height_mm = excluded.height_mm,
            image_url = excluded.image_url, updated_at = now()
        returning sku, id
        """,
        tx.organisation,
        [list(row) for row in rows],
    )
    return {row[0]: row[1] for row in found}


async def existing_skus(tx: Tx, skus: Sequence[str]) -> Mapping[str, UUID]:
    """Return the SKUs that exist already, with their variant."""
    return await variants_by_sku(tx, skus)
