"""Many products as flat sets of fields (see snapshot), read and written set by set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from entrepot.catalog import facade
from entrepot.catalog.reading import variants_of
from entrepot.catalog.snapshot import VARIANT_FIELDS, Flat, plain
from entrepot.database.pool import Tx

_TYPES = {
    "status": "text", "vendor": "text", "product_type": "text", "category_id": "uuid", "price_minor": "bigint",
    "compare_at_minor": "bigint", "cost_minor": "bigint", "weight_g": "integer",
}  # fmt: skip


async def flats_of(tx: Tx, product_ids: Sequence[UUID]) -> dict[UUID, Flat]:
    """Return the fields of these products, as `snapshot.flat` has them; unknown products are left out."""
    rows = await tx.fetch(
        """select p.id, p.handle, p.title, p.description, p.vendor, p.product_type, p.status, p.tags, p.option_names,
                  p.images, p.category_id, p.seo_title, p.seo_description, p.attributes,
                  array(select c.collection_id from collection_product c
                        where c.organisation_id = $1 and c.product_id = p.id order by c.collection_id) as collections
           from product p where p.organisation_id = $1 and p.id = any($2::uuid[]) order by p.id""",
        tx.organisation,
        list(product_ids),
    )
    found: dict[UUID, Flat] = {
        row["id"]: {name: plain(value) for name, value in row.items() if name != "id"} for row in rows
    }
    for variant in await variants_of(tx, list(found)):
        fields = found[variant.product_id]
        fields |= {f"variants.{variant.id}.{name}": plain(getattr(variant, name)) for name in VARIANT_FIELDS}
    return found


async def write_flats(tx: Tx, changes: Mapping[UUID, Mapping[str, Any]]) -> None:
    """Write the changed fields of these products, which the caller has locked: a statement per column.

    Only fields that `bulk_rules` changes.
    """
    columns: dict[tuple[str, str], dict[UUID, Any]] = {}
    for product_id, fields in changes.items():
        for name, value in fields.items():
            if name.startswith("variants."):
                _, variant_id, column = name.split(".")
                columns.setdefault(("variant", column), {})[UUID(variant_id)] = value
            else:
                columns.setdefault(("product", name), {})[product_id] = value
    for (table, column), values in columns.items():
        if column == "collections":
            await _set_collections(tx, values)
        elif column == "tags":
            await _set_tags(tx, values)
        else:
            await _set_column(tx, table, column, values)
    await tx.execute(
        "update product set updated_at = now() where organisation_id = $1 and id = any($2::uuid[])",
        tx.organisation,
        list(changes),
    )
    await facade.tell_changed(tx, changes)
    await facade.tell_filed(tx, [id for id, fields in changes.items() if not facade.FILING.isdisjoint(fields)])


async def _set_column(tx: Tx, table: str, column: str, values: Mapping[UUID, Any]) -> None:
    kind = _TYPES[column]
    await tx.execute(
        f"""update {table} t set {column} = i.value, updated_at = now()
            from unnest($2::uuid[], $3::{kind}[]) as i(id, value) where t.organisation_id = $1 and t.id = i.id""",
        tx.organisation,
        list(values),
        list(values.values()),
    )


async def _set_tags(tx: Tx, values: Mapping[UUID, Sequence[str]]) -> None:
    await tx.execute(
        """update product p set tags = array(select jsonb_array_elements_text(i->1)), updated_at = now()
           from jsonb_array_elements($2::jsonb) i where p.organisation_id = $1 and p.id = (i->>0)::uuid""",
        tx.organisation,
        [[str(id), list(tags)] for id, tags in values.items()],
    )


async def _set_collections(tx: Tx, values: Mapping[UUID, Sequence[str]]) -> None:
    """Let products be in these collections only; collections that are gone are left out."""
    pairs = [(UUID(each), product_id) for product_id, ids in values.items() for each in ids]
    await tx.execute(
        """delete from collection_product c where c.organisation_id = $1 and c.product_id = any($2::uuid[])
           and not (c.collection_id, c.product_id) in (
               select i.collection_id, i.product_id from unnest($3::uuid[], $4::uuid[]) as i(collection_id, product_id))""",
        tx.organisation,
        list(values),
        [collection_id for collection_id, _ in pairs],
        [product_id for _, product_id in pairs],
    )
    await tx.execute(
        """insert into collection_product (organisation_id, collection_id, product_id, position)
           select $1, k.id, i.product_id, coalesce((select max(o.position) from collection_product o
                      where o.organisation_id = $1 and o.collection_id = k.id), 0)
                  + row_number() over (partition by k.id order by i.product_id)
           from unnest($2::uuid[], $3::uuid[]) as i(collection_id, product_id)
           join collection k on k.organisation_id = $1 and k.id = i.collection_id
           on conflict (organisation_id, collection_id, product_id) do nothing""",
        tx.organisation,
        [collection_id for collection_id, _ in pairs],
        [product_id for _, product_id in pairs],
    )
