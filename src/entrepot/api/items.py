"""What requests name variants by, and lines of documents made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from entrepot.api.amounts import SkuText
from entrepot.api.answers import Input
from entrepot.catalog import editing
from entrepot.catalog import facade as catalog
from entrepot.catalog.contracts import VariantNotFound
from entrepot.database.pool import Tx

Units = Annotated[int, Field(ge=0, le=1_000_000_000)]
SomeUnits = Annotated[int, Field(ge=1, le=1_000_000_000)]


class Item(Input):
    """A variant, by one of `sku` and `variantId`."""

    sku: SkuText | None = None
    variant_id: UUID | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.sku is None) == (self.variant_id is None):
            raise ValueError("Name one of sku and variantId.")
        return self


class ItemUnits(Item):
    """So many units of a variant."""

    quantity: SomeUnits


async def variants_of(tx: Tx, items: Sequence[Item]) -> list[UUID]:
    """Return the variants that are named, in their order. Raises VariantNotFound."""
    found = await catalog.resolve(tx, UUID(int=0), [], [each.sku for each in items if each.sku is not None])
    ids: list[UUID] = []
    for each in items:
        variant_id = each.variant_id or found.by_sku.get(each.sku or "")
        if variant_id is None:
            raise VariantNotFound(f"There is no variant with the SKU {each.sku!r}.", sku=each.sku)
        ids.append(variant_id)
    known = await editing.skus_of(tx, ids)
    for variant_id in ids:
        if variant_id not in known:
            raise VariantNotFound(variant_id=str(variant_id))
    return ids


async def units_of(tx: Tx, items: Sequence[ItemUnits]) -> dict[UUID, int]:
    """Return variant -> units, lines of one variant together. Raises VariantNotFound."""
    units: dict[UUID, int] = {}
    for variant_id, each in zip(await variants_of(tx, items), items, strict=True):
        units[variant_id] = units.get(variant_id, 0) + each.quantity
    return units
