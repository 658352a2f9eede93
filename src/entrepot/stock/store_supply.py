"""Statements about suppliers, what they sell, and shortages that a person remedies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx


async def insert_supplier(tx: Tx, values: Mapping[str, Any]) -> bool:
    """Insert a supplier; return False if the name is taken."""
    columns = ", ".join(values)
    places = ", ".join(f"${number}" for number in range(2, len(values) + 2))
    return bool(
        await tx.execute(
            f"insert into supplier (organisation_id, {columns}) values ($1, {places})"
            " on conflict (organisation_id, name) do nothing",
            tx.organisation,
            *values.values(),
        )
    )


async def lock_supplier(tx: Tx, id: UUID) -> Any:
    """Lock and return a supplier, or None."""
    return await tx.fetch_row(
        "select id, name, currency, lead_time_days, active from supplier where organisation_id = $1 and id = $2"
        " for no key update",
        tx.organisation,
        id,
    )


async def supplier_named(tx: Tx, name: str) -> UUID | None:
    """Return the supplier of that name, or None."""
    found: UUID | None = await tx.fetch_value(
        "select id from supplier where organisation_id = $1 and name = $2", tx.organisation, name
    )
    return found


async def set_supplier(tx: Tx, id: UUID, values: Mapping[str, Any]) -> None:
    """Set columns of a supplier; the names are its columns."""
    columns = ", ".join(f"{name} = ${number}" for number, name in enumerate(values, start=3))
    await tx.execute(
        f"update supplier set {columns}, updated_at = now() where organisation_id = $1 and id = $2",
        tx.organisation,
        id,
        *values.values(),
    )


SupplierVariantRow = tuple[UUID, str, "int | None", "int | None", int, int, bool]


async def put_supplier_variants(tx: Tx, supplier_id: UUID, rows: Sequence[SupplierVariantRow]) -> list[UUID]:
    """Write (variant, their SKU, cost, lead time, pack, minimum, preferred); return the variants that do not exist.

    Preferring one supplier for a variant ends the preference of another.
    """
    if not rows:
        return []
    written = await tx.fetch(
        """
        insert into supplier_variant (organisation_id, supplier_id, variant_id, supplier_sku, cost_minor, lead_time_days,
            pack_units, minimum_units, preferred)
        select $1, $2, v.id, i.sku, i.cost, i.lead, i.pack, i.least, i.preferred
        from unnest($3::uuid[], $4::text[], $5::bigint[], $6::int[], $7::bigint[], $8::bigint[], $9::boolean[])
             as i(id, sku, cost, lead, pack, least, preferred)
        join variant v on v.organisation_id = $1 and v.id = i.id
        order by v.id
        on conflict (organisation_id, supplier_id, variant_id) do update
        set supplier_sku = excluded.supplier_sku, cost_minor = excluded.cost_minor,
            lead_time_days = excluded.lead_time_days, pack_units = excluded.pack_units,
            minimum_units = excluded.minimum_units, preferred = excluded.preferred, updated_at = now()
        returning variant_id
        """,
        tx.organisation,
        supplier_id,
        *map(list, zip(*rows, strict=True)),
    )
    preferred = [row[0] for row in rows if row[6]]
    if preferred:
        await tx.execute(
            "update supplier_variant set preferred = false, updated_at = now() where organisation_id = $1"
            " and variant_id = any($3::uuid[]) and supplier_id <> $2 and preferred",
            tx.organisation,
            supplier_id,
            preferred,
        )
    return list({row[0] for row in rows} - {row[0] for row in written})


async def drop_supplier_variants(tx: Tx, supplier_id: UUID, variant_ids: Sequence[UUID]) -> int:
    """Forget that a supplier sells these variants; return how many that were."""
    return await tx.execute(
        "delete from supplier_variant where organisation_id = $1 and supplier_id = $2 and variant_id = any($3::uuid[])",
        tx.organisation,
        supplier_id,
        list(variant_ids),
    )


async def lead_time_days(tx: Tx, purchase_id: UUID) -> int:
    """Return the longest time, in days, that a line of a purchase order takes its supplier."""
    found: int = await tx.fetch_value(
        """
        select coalesce(max(coalesce(v.lead_time_days, s.lead_time_days)), 0)
        from purchase_order o
        join supplier s on s.organisation_id = $1 and s.id = o.supplier_id
        join purchase_order_line l on l.organisation_id = $1 and l.purchase_order_id = o.id
        left join supplier_variant v on v.organisation_id = $1 and v.supplier_id = o.supplier_id
            and v.variant_id = l.variant_id
        where o.organisation_id = $1 and o.id = $2
        """,
        tx.organisation,
        purchase_id,
    )
    return found


async def best_suppliers(tx: Tx, variant_ids: Sequence[UUID]) -> dict[UUID, Any]:
    """Return who to buy each of these variants from: the preferred supplier, else the cheapest, else the quickest."""
    rows = await tx.fetch(
        """
        select distinct on (v.variant_id) v.variant_id, v.supplier_id, s.name, s.currency, v.pack_units, v.minimum_units,
               coalesce(v.lead_time_days, s.lead_time_days) as lead_time_days
        from supplier_variant v
        join supplier s on s.organisation_id = $1 and s.id = v.supplier_id and s.active
        where v.organisation_id = $1 and v.variant_id = any($2::uuid[])
        order by v.variant_id, v.preferred desc, v.cost_minor nulls last,
                 coalesce(v.lead_time_days, s.lead_time_days), v.supplier_id
        """,
        tx.organisation,
        list(variant_ids),
    )
    return {row["variant_id"]: row for row in rows}


async def read_shortage(tx: Tx, id: UUID, *, lock: bool = False) -> Any:
    """Return an open shortage, or None. To lock it, its levels must be locked already."""
    return await tx.fetch_row(
        "select id, variant_id, quantity, reference_id, per_bundle, remedy from shortage"
        f" where organisation_id = $1 and id = $2 and state = 'open'{' for update' if lock else ''}",
        tx.organisation,
        id,
    )


async def set_remedy(tx: Tx, id: UUID, remedy: str, remedy_id: UUID | None, actor: str, note: str) -> None:
    """Write what is being done about a shortage, and by whom."""
    await tx.execute(
        "update shortage set remedy = $3, remedy_id = $4, remedy_by = $5, note = $6 where organisation_id = $1 and id = $2",
        tx.organisation,
        id,
        remedy,
        remedy_id,
        actor,
        note,
    )


async def location_kind(tx: Tx, id: UUID) -> str | None:
    """Return the kind of a location."""
    found: str | None = await tx.fetch_value(
        "select kind from location where organisation_id = $1 and id = $2", tx.organisation, id
    )
    return found
