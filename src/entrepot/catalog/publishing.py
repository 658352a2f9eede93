"""What publishing needs of the catalog: whole products, their listings on a connection, and what becomes of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx


@dataclass(frozen=True, slots=True)
class Whole:
    """A product (its columns by name) with its variants that are in use, in their order."""

    product: Mapping[str, Any]
    variants: tuple[Mapping[str, Any], ...]


async def wholes(tx: Tx, product_ids: Sequence[UUID]) -> dict[UUID, Whole]:
    """Return these products by id; those that do not exist are left out."""
    products = await tx.fetch(
        "select id, handle, title, description, vendor, product_type, tags, option_names, images, seo_title,"
        " seo_description, attributes, status from product where organisation_id = $1 and id = any($2::uuid[])",
        tx.organisation,
        product_ids,
    )
    rows = await tx.fetch(
        "select id, product_id, sku, barcode, option_values, price_minor, compare_at_minor, currency, weight_g, length_mm,"
        " width_mm, height_mm from variant where organisation_id = $1 and product_id = any($2::uuid[])"
        " and state = 'active' order by product_id, position, id",
        tx.organisation,
        product_ids,
    )
    variants: dict[UUID, list[Mapping[str, Any]]] = {}
    for row in rows:
        variants.setdefault(row["product_id"], []).append(dict(row))
    return {row["id"]: Whole(dict(row), tuple(variants.get(row["id"], ()))) for row in products}


async def listings_there(tx: Tx, connection_id: UUID, product_ids: Sequence[UUID]) -> dict[UUID, list[Any]]:
    """Return the listings of these products on a connection by product, ended ones too, the oldest first.

    `retired`: the variant is not in use any more.
    """
    rows = await tx.fetch(
        "select l.id, v.product_id, l.variant_id, l.external_id, l.keys, l.active, l.closing,"
        " v.state <> 'active' as retired from listing l"
        " join variant v on v.organisation_id = $1 and v.id = l.variant_id"
        " where l.organisation_id = $1 and l.connection_id = $2 and v.product_id = any($3::uuid[]) order by l.id",
        tx.organisation,
        connection_id,
        product_ids,
    )
    found: dict[UUID, list[Any]] = {}
    for row in rows:
        found.setdefault(row["product_id"], []).append(row)
    return found


async def connections_listing(tx: Tx, product_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """Return the listings of these products that are on sale, by connection."""
    rows = await tx.fetch(
        "select l.id, l.connection_id from listing l join variant v on v.organisation_id = $1 and v.id = l.variant_id"
        " where l.organisation_id = $1 and v.product_id = any($2::uuid[]) and l.active order by l.connection_id, l.id",
        tx.organisation,
        list(product_ids),
    )
    found: dict[UUID, list[UUID]] = {}
    for row in rows:
        found.setdefault(row["connection_id"], []).append(row["id"])
    return found


async def retired_listings(tx: Tx, product_ids: Sequence[UUID]) -> list[Any]:
    """Return the listings on sale of variants of these products that are not in use any more, where the product still is.

    Columns: id, connection_id, product_id.
    """
    return await tx.fetch(
        """
        select l.id, l.connection_id, v.product_id from variant v
        join product p on p.organisation_id = $1 and p.id = v.product_id and p.status <> 'archived'
        join listing l on l.organisation_id = $1 and l.variant_id = v.id and l.active and not l.closing
        where v.organisation_id = $1 and v.product_id = any($2::uuid[]) and v.state = 'archived' order by l.id
        """,
        tx.organisation,
        list(product_ids),
    )


async def listings_back_in_use(tx: Tx, product_ids: Sequence[UUID]) -> list[Any]:
    """Return the closing listings of variants of these products that are in use, as the products are.

    Columns: id, connection_id, product_id.
    """
    return await tx.fetch(
        """
        select l.id, l.connection_id, v.product_id from variant v
        join product p on p.organisation_id = $1 and p.id = v.product_id and p.status <> 'archived'
        join listing l on l.organisation_id = $1 and l.variant_id = v.id and l.active and l.closing
        where v.organisation_id = $1 and v.product_id = any($2::uuid[]) and v.state = 'active' order by l.id
        """,
        tx.organisation,
        list(product_ids),
    )


async def archived_on_sale(tx: Tx, listing_ids: Sequence[UUID]) -> list[Any]:
    """Return (connection_id, product_id) of those of these listings that are on sale though their product is archived."""
    return await tx.fetch(
        """
        select distinct l.connection_id, p.id as product_id from listing l
        join variant v on v.organisation_id = $1 and v.id = l.variant_id
        join product p on p.organisation_id = $1 and p.id = v.product_id and p.status = 'archived'
        where l.organisation_id = $1 and l.id = any($2::uuid[]) and l.active and not l.closing order by 1, 2
        """,
        tx.organisation,
        list(listing_ids),
    )


async def products_of_listings(tx: Tx, listing_ids: Sequence[UUID]) -> list[UUID]:
    """Return the products of these listings, each once, in their order."""
    rows = await tx.fetch(
        "select distinct v.product_id from listing l join variant v on v.organisation_id = $1 and v.id = l.variant_id"
        " where l.organisation_id = $1 and l.id = any($2::uuid[]) order by 1",
        tx.organisation,
        list(listing_ids),
    )
    return [row[0] for row in rows]


async def close_listings(tx: Tx, listing_ids: Sequence[UUID], *, closing: bool) -> None:
    """Have these listings show nothing from now on, as they are about to end; or take that back."""
    await _change(tx, listing_ids, "closing = $3", closing)


async def end_listings(tx: Tx, listing_ids: Sequence[UUID]) -> None:
    """These have ended on their channel."""
    await _change(tx, listing_ids, "closing = false, active = $3", False)


async def _change(tx: Tx, listing_ids: Sequence[UUID], what: str, value: bool) -> None:
    await tx.execute(
        f"""
        with chosen as (select id from listing where organisation_id = $1 and id = any($2::uuid[])
                        order by id for no key update)
        update listing l set {what}, updated_at = now() from chosen
        where l.organisation_id = $1 and l.id = chosen.id
        """,
        tx.organisation,
        listing_ids,
        value,
    )


async def own_listings(tx: Tx, owners: Mapping[UUID, UUID]) -> None:
    """These listings (listing -> variant) are made by us: matched, whatever was said of them before, and on sale."""
    rows = sorted(owners.items())
    await tx.execute(
        """
        with chosen as (select l.id, i.variant_id from listing l
                        join unnest($2::uuid[], $3::uuid[]) as i(id, variant_id) on i.id = l.id
                        where l.organisation_id = $1 order by l.id for no key update of l)
        update listing l set variant_id = chosen.variant_id, closing = false, active = true, updated_at = now()
        from chosen where l.organisation_id = $1 and l.id = chosen.id
          and (l.variant_id is distinct from chosen.variant_id or l.closing or not l.active)
        """,
        tx.organisation,
        [row[0] for row in rows],
        [row[1] for row in rows],
    )
