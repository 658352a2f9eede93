"""What suppliers sell, read for many variants at once; what is on hand at the first location."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.stock.store import DEFAULT_LOCATION
from entrepot.stock.suppliers import Offer, SupplierNotFound


async def supplier_currency(tx: Tx, supplier_id: UUID) -> str:
    """Return the currency that a supplier asks in. Raises SupplierNotFound."""
    found: str | None = await tx.fetch_value(
        "select currency from supplier where organisation_id = $1 and id = $2", tx.organisation, supplier_id
    )
    if found is None:
        raise SupplierNotFound(supplier_id=str(supplier_id))
    return found


async def suppliers_named(tx: Tx, names: Sequence[str]) -> dict[str, UUID]:
    """Return the suppliers with these names."""
    rows = await tx.fetch(
        "select name, id from supplier where organisation_id = $1 and name = any($2::text[])", tx.organisation, names
    )
    return {row["name"]: row["id"] for row in rows}


async def variants_by_supplier_sku(tx: Tx, supplier_id: UUID, supplier_skus: Sequence[str]) -> dict[str, UUID]:
    """Return the variants that a supplier sells under these SKUs of its own; one SKU for several variants names none."""
    rows = await tx.fetch(
        "select supplier_sku, (array_agg(variant_id))[1] as variant_id from supplier_variant where organisation_id = $1"
        " and supplier_id = $2 and supplier_sku = any($3::text[]) group by supplier_sku having count(*) = 1",
        tx.organisation,
        supplier_id,
        supplier_skus,
    )
    return {row["supplier_sku"]: row["variant_id"] for row in rows}


async def offers_for(tx: Tx, supplier_id: UUID, variant_ids: Sequence[UUID]) -> dict[UUID, Offer]:
    """Return what a supplier asks for these variants, as far as it sells them."""
    rows = await tx.fetch(
        "select variant_id, supplier_sku, cost_minor, lead_time_days, pack_units, minimum_units, preferred"
        " from supplier_variant where organisation_id = $1 and supplier_id = $2 and variant_id = any($3::uuid[])",
        tx.organisation,
        supplier_id,
        variant_ids,
    )
    return {row["variant_id"]: Offer(**dict(row)) for row in rows}


async def preferred_elsewhere(tx: Tx, supplier_id: UUID, variant_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of these variants that are to be bought from another supplier."""
    rows = await tx.fetch(
        "select variant_id from supplier_variant where organisation_id = $1 and supplier_id <> $2 and preferred"
        " and variant_id = any($3::uuid[])",
        tx.organisation,
        supplier_id,
        variant_ids,
    )
    return {row["variant_id"] for row in rows}


async def on_hand_at_first(tx: Tx, variant_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return what is on hand at the location that is used when none is named; none there is left out."""
    rows = await tx.fetch(
        f"select variant_id, on_hand from stock_level where organisation_id = $1 and variant_id = any($2::uuid[])"
        f" and location_id = ({DEFAULT_LOCATION})",
        tx.organisation,
        variant_ids,
    )
    return {row["variant_id"]: row["on_hand"] for row in rows}
