"""Statements of taking product files in: what there is of the products that a part of a file is about, and what is written.

Locks are taken in one order: products by id, then variants by id; new rows by handle and by SKU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from entrepot.catalog.files.cells import slug
from entrepot.catalog.intake_rules import ProductState, State, VariantState
from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id

_PRODUCT = (
    "id", "handle", "title", "description", "vendor", "product_type", "tags", "option_names", "status", "images",
    "category_id", "seo_title", "seo_description", "attributes",
)  # fmt: skip
_VARIANT = (
    "id", "product_id", "sku", "barcode", "title", "option_values", "price_minor", "compare_at_minor", "cost_minor",
    "currency", "weight_g", "position", "length_mm", "width_mm", "height_mm", "image_url",
)  # fmt: skip
_TYPES = {
    "id": "uuid", "product_id": "uuid", "category_id": "uuid", "tags": "text[]", "option_names": "text[]",
    "option_values": "text[]", "images": "jsonb", "attributes": "jsonb", "price_minor": "bigint",
    "compare_at_minor": "bigint", "cost_minor": "bigint", "weight_g": "integer", "position": "integer",
    "length_mm": "integer", "width_mm": "integer", "height_mm": "integer",
}  # fmt: skip


def _one_each(table: str, column: str, key: str, parameter: int) -> str:
    """Return the rest of a select that looks each of many keys up by itself.

    `key = any(array)` may be planned as one scan of a whole table that compares each row with each key.
    """
    return (
        f"x.{column} as id from unnest(${parameter}::text[]) w(key) cross join lateral (select t.{column} from {table} t"
        f" where t.organisation_id = $1 and t.{key} = w.key offset 0) x"
    )


async def read_state(tx: Tx, handles: Sequence[str], skus: Sequence[str], *, lock: bool) -> State:
    """Return the products with these handles or SKUs, with all variants of the former; locked if asked for."""
    # A plan that was kept from when the tables were empty would go through all of them for each key.
    await tx.execute("set local plan_cache_mode = force_custom_plan")
    locking = " for no key update of p" if lock else ""
    products = await tx.fetch(
        f"""
        with named as materialized (
            select {_one_each("product", "id", "handle", 2)}
            union
            select {_one_each("variant", "product_id", "sku", 3)}
        )
        select {", ".join(f"p.{name}" for name in _PRODUCT)} from named
        join product p on p.organisation_id = $1 and p.id = named.id order by p.id{locking}
        """,
        tx.organisation,
        handles,
        skus,
    )
    return await _with_variants(tx, products, skus, " for no key update of v" if lock else "")


async def _with_variants(tx: Tx, products: Sequence[Any], skus: Sequence[str], locking: str) -> State:
    state = State()
    paths = await category_paths(tx, list({row["category_id"] for row in products if row["category_id"]}))
    for row in products:
        found = ProductState(**dict(row))
        if found.category_id is not None:
            found.category = list(paths[found.category_id])
        state.add_product(found)
    ids = [row["id"] for row in products]
    for row in await _variants(tx, ids, skus, locking):
        state.add_variant(VariantState(**dict(row)))
    for product_id, titles in (await _collections(tx, ids)).items():
        state.by_id[product_id].collections = titles
    return state


async def _variants(tx: Tx, product_ids: Sequence[UUID], skus: Sequence[str], locking: str) -> list[Any]:
    return await tx.fetch(
        f"""
        with named as materialized (
            select x.id from unnest($2::uuid[]) w(product_id) cross join lateral (
                select v.id from variant v where v.organisation_id = $1 and v.product_id = w.product_id offset 0) x
            union
            select {_one_each("variant", "id", "sku", 3)}
        )
        select {", ".join(f"v.{name}" for name in _VARIANT)} from named
        join variant v on v.organisation_id = $1 and v.id = named.id order by v.id{locking}
        """,
        tx.organisation,
        product_ids,
        skus,
    )


async def _collections(tx: Tx, product_ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    rows = await tx.fetch(
        """
        select m.product_id, array_agg(c.title order by c.title) as titles from collection_product m
        join collection c on c.organisation_id = m.organisation_id and c.id = m.collection_id
        where m.organisation_id = $1 and m.product_id = any($2::uuid[]) group by m.product_id
        """,
        tx.organisation,
        product_ids,
    )
    return {row["product_id"]: row["titles"] for row in rows}


async def category_paths(tx: Tx, category_ids: Sequence[UUID]) -> Mapping[UUID, tuple[str, ...]]:
    """Return the names of these categories and of those above them, from the root down."""
    if not category_ids:
        return {}
    rows = await tx.fetch(
        """
        with recursive up as (
            select c.id as of, c.name, c.parent_id, 0 as height from category c
            where c.organisation_id = $1 and c.id = any($2::uuid[])
            union all
            select up.of, c.name, c.parent_id, up.height + 1
            from up join category c on c.organisation_id = $1 and c.id = up.parent_id
            where up.height < 50
        )
        select of, array_agg(name order by height desc) as names from up group by of
        """,
        tx.organisation,
        category_ids,
    )
    return {row["of"]: tuple(row["names"]) for row in rows}


async def read_full(tx: Tx, product_ids: Sequence[UUID]) -> State:
    """Return these products with all their variants; nothing is locked."""
    rows = await tx.fetch(
        f"select {', '.join(_PRODUCT)} from product where organisation_id = $1 and id = any($2::uuid[])",
        tx.organisation,
        product_ids,
    )
    return await _with_variants(tx, rows, (), "")


async def attribute_names(tx: Tx, limit: int) -> list[str]:
    """Return the names of all attributes of products, at most so many."""
    rows = await tx.fetch(
        "select distinct name from product p, jsonb_object_keys(p.attributes) name where p.organisation_id = $1"
        " order by name limit $2",
        tx.organisation,
        limit,
    )
    return [row["name"] for row in rows]


async def write_products(tx: Tx, products: Sequence[ProductState]) -> bool:
    """Write the new and the changed of these products; return False if a new one's handle was taken meanwhile."""
    new = sorted((p for p in products if p.new), key=lambda p: p.handle)
    changed = [p for p in products if p.changed and not p.new]
    if not await _insert(tx, "product", _PRODUCT, new):
        return False
    await _update(tx, "product", _PRODUCT, changed)
    await _join(tx, [(p.id, title) for p in products for title in p.joins])
    return True


async def write_variants(tx: Tx, variants: Sequence[VariantState]) -> bool:
    """Write the new and the changed of these variants; return False if a new one's SKU was taken meanwhile."""
    new = sorted((v for v in variants if v.new), key=lambda v: v.sku)
    if not await _insert(tx, "variant", _VARIANT, new):
        return False
    await _update(tx, "variant", _VARIANT, [v for v in variants if v.changed and not v.new])
    return True


async def _insert(tx: Tx, table: str, columns: Sequence[str], rows: Sequence[Any]) -> bool:
    if not rows:
        return True
    names = ", ".join(columns)
    done = await tx.execute(
        f"""
        insert into {table} (organisation_id, {names})
        select $1, {names} from jsonb_to_recordset($2::jsonb) as r({_typed(columns)})
        on conflict do nothing
        """,
        tx.organisation,
        _records(columns, rows),
    )
    return done == len(rows)


async def _update(tx: Tx, table: str, columns: Sequence[str], rows: Sequence[Any]) -> None:
    if not rows:
        return
    sets = ", ".join(f"{name} = r.{name}" for name in columns if name not in ("id", "sku", "handle"))
    await tx.execute(
        f"""
        update {table} t set {sets}, updated_at = now()
        from jsonb_to_recordset($2::jsonb) as r({_typed(columns)})
        where t.organisation_id = $1 and t.id = r.id
        """,
        tx.organisation,
        _records(columns, rows),
    )


async def _join(tx: Tx, joins: Sequence[tuple[UUID, str]]) -> None:
    """Add products to collections, by title; those that are missing are made."""
    if not joins:
        return
    titles = sorted({title for _, title in joins})
    # Once under a handle made of the title; what finds that taken gets one of its own.
    for handles in (
        [slug(title) or title for title in titles],
        [f"{slug(title)}-{new_id().hex[-8:]}" for title in titles],
    ):
        await tx.execute(
            """
            insert into collection (organisation_id, id, handle, title)
            select $1, w.id, w.handle, w.title from unnest($2::uuid[], $3::text[], $4::text[]) as w(id, handle, title)
            where not exists (select 1 from collection c where c.organisation_id = $1 and c.title = w.title)
            on conflict (organisation_id, handle) do nothing
            """,
            tx.organisation,
            [new_id() for _ in titles],
            handles,
            titles,
        )
    await tx.execute(
        """
        insert into collection_product (organisation_id, collection_id, product_id)
        select $1, (select c.id from collection c where c.organisation_id = $1 and c.title = w.title order by c.id limit 1),
               w.product_id
        from unnest($2::uuid[], $3::text[]) as w(product_id, title)
        where exists (select 1 from collection c where c.organisation_id = $1 and c.title = w.title)
        on conflict do nothing
        """,
        tx.organisation,
        [product_id for product_id, _ in joins],
        [title for _, title in joins],
    )


def _typed(columns: Sequence[str]) -> str:
    return ", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in columns)


def _records(columns: Sequence[str], rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [{name: getattr(row, name) for name in columns} for row in rows]


async def currencies(tx: Tx, skus: Sequence[str]) -> dict[str, tuple[UUID, str]]:
    """Return SKU -> (variant, currency of its amounts)."""
    rows = await tx.fetch(
        "select sku, id, currency from variant where organisation_id = $1 and sku = any($2::text[])",
        tx.organisation,
        skus,
    )
    return {row["sku"]: (row["id"], row["currency"]) for row in rows}


async def tags_of(tx: Tx, variant_ids: Sequence[UUID]) -> dict[UUID, frozenset[str]]:
    """Return variant -> the tags of its product."""
    rows = await tx.fetch(
        "select v.id, p.tags from variant v join product p on p.organisation_id = $1 and p.id = v.product_id"
        " where v.organisation_id = $1 and v.id = any($2::uuid[])",
        tx.organisation,
        variant_ids,
    )
    return {row["id"]: frozenset(row["tags"]) for row in rows}


async def skus_of(tx: Tx, variant_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return variant -> SKU."""
    rows = await tx.fetch(
        "select id, sku from variant where organisation_id = $1 and id = any($2::uuid[])", tx.organisation, variant_ids
    )
    return {row["id"]: row["sku"] for row in rows}
