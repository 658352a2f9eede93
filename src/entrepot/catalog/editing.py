"""Changes that a person or a program makes to one product: made once, changed in part, archived."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import UUID

from entrepot.catalog import facade, reading
from entrepot.catalog.contracts import Image, InvalidProduct, NewProduct, VariantNotFound
from entrepot.catalog.reading import ProductDetail
from entrepot.database.pool import Tx
from entrepot.kernel.errors import Conflict
from entrepot.kernel.ids import new_id

_LOCK = "select pg_advisory_xact_lock(hashtextextended($1, 7201004))"


class HandleTaken(Conflict):
    """Another product has this handle."""


@dataclass(frozen=True, slots=True)
class VariantChanges:
    """What to change of the variant with this SKU; None leaves it. Money in minor units of its currency."""

    sku: str
    title: str | None = None
    barcode: str | None = None
    price_minor: int | None = None
    compare_at_minor: int | None = None
    cost_minor: int | None = None
    weight_g: int | None = None


@dataclass(frozen=True, slots=True)
class ProductChanges:
    """What to change of a product; None leaves it."""

    title: str | None = None
    description: str | None = None
    vendor: str | None = None
    product_type: str | None = None
    tags: tuple[str, ...] | None = None
    images: tuple[Image, ...] | None = None
    status: str | None = None
    variants: tuple[VariantChanges, ...] = ()


def handle_of(title: str) -> str:
    """Return the title as a handle: lower-case ASCII letters, digits and hyphens; `product` if nothing is left."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:120] or "product"


async def create(tx: Tx, product: NewProduct) -> tuple[UUID, dict[str, UUID]]:
    """Make a product that is not there yet; return its id and SKU -> variant.

    An empty handle is made from the title. Raises SkuTaken, HandleTaken, InvalidProduct.
    """
    # Two requests for one SKU at the same time: the second waits here and then finds the first.
    for sku in sorted(variant.sku for variant in product.variants):
        await tx.execute(_LOCK, f"{tx.organisation}/sku/{sku}")
    if len({variant.sku for variant in product.variants}) < len(product.variants):
        raise InvalidProduct("Two variants have the same SKU.")
    handle = product.handle or handle_of(product.title)
    await tx.execute(_LOCK, f"{tx.organisation}/handle/{handle}")
    if await _handle_exists(tx, handle):
        if product.handle:
            raise HandleTaken(f"The handle {handle!r} is taken.", handle=handle)
        handle = f"{handle}-{new_id().hex[-8:]}"
    variants = await facade.create_product(tx, replace(product, handle=handle))
    product_id = await tx.fetch_value(
        "select id from product where organisation_id = $1 and handle = $2", tx.organisation, handle
    )
    return product_id, variants


async def update(tx: Tx, product_id: UUID, changes: ProductChanges) -> ProductDetail:
    """Change a product and some of its variants; return it. Raises NotFound, VariantNotFound, InvalidProduct."""
    before = await reading.product_detail(tx, product_id)
    skus = {variant.sku for variant in before.variants}
    for variant in changes.variants:
        if variant.sku not in skus:
            raise VariantNotFound(f"This product has no variant {variant.sku!r}.", sku=variant.sku)
    if changes.title == "":
        raise InvalidProduct("A product needs a title.")
    named = {name: value for name, value in asdict(changes).items() if value is not None and name != "variants"}
    if "tags" in named:
        named["tags"] = list(named["tags"])
    if "images" in named:
        named["images"] = list(named["images"])
    await _set(tx, "product", product_id, named)
    ids = {variant.sku: variant.id for variant in before.variants}
    for variant in changes.variants:
        values = {name: value for name, value in asdict(variant).items() if value is not None and name != "sku"}
        if any(isinstance(value, int) and not 0 <= value < 10**15 for value in values.values()):
            raise InvalidProduct(f"{variant.sku}: a number is out of bounds.")
        await _set(tx, "variant", ids[variant.sku], values)
    await facade.tell_changed(tx, [product_id])
    return await reading.product_detail(tx, product_id)


async def archive(tx: Tx, product_id: UUID) -> ProductDetail:
    """Take a product out of use; its history, stock and orders stay. Raises NotFound."""
    return await update(tx, product_id, ProductChanges(status="archived"))


async def only_variants(tx: Tx, product_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[UUID]]:
    """Return the variants of each of these products; unknown products are left out."""
    rows = await tx.fetch(
        "select product_id, array_agg(id) as ids from variant where organisation_id = $1 and product_id = any($2)"
        " group by product_id",
        tx.organisation,
        list(product_ids),
    )
    return {row["product_id"]: row["ids"] for row in rows}


async def skus_of(tx: Tx, variant_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """Return the SKU of each of these variants; unknown ones are left out."""
    rows = await tx.fetch(
        "select id, sku from variant where organisation_id = $1 and id = any($2)", tx.organisation, list(variant_ids)
    )
    return {row["id"]: row["sku"] for row in rows}


async def _handle_exists(tx: Tx, handle: str) -> bool:
    found = await tx.fetch_value(
        "select 1 from product where organisation_id = $1 and handle = $2", tx.organisation, handle
    )
    return found is not None


async def _set(tx: Tx, table: str, identifier: UUID, values: Mapping[str, Any]) -> None:
    """Set columns of one row; their names are fields of the dataclasses above."""
    if not values:
        return
    columns = ", ".join(f"{name} = ${number}" for number, name in enumerate(values, start=3))
    await tx.execute(
        f"update {table} set {columns}, updated_at = now() where organisation_id = $1 and id = $2",
        tx.organisation,
        identifier,
        *values.values(),
    )
