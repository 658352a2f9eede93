"""Changes that a person or a program makes to one product: made once, changed in part, archived."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from entrepot.catalog import facade, product_rules, reading, store
from entrepot.catalog.contracts import InvalidProduct, NewProduct, ProductNotFound, SkuTaken, VariantNotFound
from entrepot.catalog.reading import ProductDetail
from entrepot.catalog.snapshot import FieldChange, Flat, changes_between, collisions, flat, plain, version_of
from entrepot.database.pool import Tx
from entrepot.kernel.errors import Conflict
from entrepot.kernel.ids import new_id

_LOCK = "select pg_advisory_xact_lock(hashtextextended($1, 7201004))"
_NEW_VARIANT: dict[str, Any] = {
    "barcode": "", "title": "", "option_values": [], "price_minor": None, "compare_at_minor": None, "cost_minor": None,
    "weight_g": None, "length_mm": None, "width_mm": None, "height_mm": None, "image_url": "", "state": "active",
}  # fmt: skip


class HandleTaken(Conflict):
    """Another product has this handle."""


class ProductChanged(Conflict):
    """Somebody else changed this product meanwhile."""

    def __init__(self, changes: Sequence[FieldChange], version: str) -> None:
        super().__init__(version=version, fields=[change.field for change in changes])
        self.changes = tuple(changes)
        """What they changed: what each field was, and what it became."""


@dataclass(frozen=True, slots=True)
class VariantEdit:
    """What to change of a variant: its fields by name (see snapshot.VARIANT_FIELDS). `id` None: make it."""

    id: UUID | None
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ProductEdit:
    """What to change of a product: its fields by name (see snapshot.PRODUCT_FIELDS), and of its variants.

    What is not named stays. Amounts in minor units of the variant's currency, weight in grams, sizes in millimetres.
    A variant is taken out of use by its field `state`; it is never deleted, as stock and orders refer to it.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    variants: tuple[VariantEdit, ...] = ()


@dataclass(frozen=True, slots=True)
class Saved:
    """A product after an edit. `before` and `after`: the fields that changed. `made`: SKU -> variant of new ones."""

    product: ProductDetail
    before: Flat
    after: Flat
    made: Mapping[str, UUID]


def handle_of(title: str) -> str:
    """Return the title as a handle: lower-case ASCII letters, digits and hyphens; `product` if nothing is left."""
    plain_title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain_title).strip("-")[:120] or "product"


async def create(tx: Tx, product: NewProduct) -> tuple[UUID, dict[str, UUID]]:
    """Make a product that is not there yet; return its id and SKU -> variant.

    An empty handle is made from the title. Raises SkuTaken, HandleTaken, InvalidProduct.
    """
    # Two requests for one SKU at the same time: the second waits here and then finds the first.
    await _lock_skus(tx, [variant.sku for variant in product.variants])
    if len({variant.sku for variant in product.variants}) < len(product.variants):
        raise InvalidProduct("Two variants have the same SKU.")
    handle = product.handle or handle_of(product.title)
    await tx.execute(_LOCK, f"{tx.organisation}/handle/{handle}")
    if await store.product_by_handle(tx, handle) is not None:
        if product.handle:
            raise HandleTaken(f"The handle {handle!r} is taken.", handle=handle)
        handle = f"{handle}-{new_id().hex[-8:]}"
    variants = await facade.create_product(tx, replace(product, handle=handle))
    product_id = await store.product_by_handle(tx, handle)
    assert product_id is not None
    return product_id, variants


async def save(
    tx: Tx, product_id: UUID, edit: ProductEdit, *, version: str | None = None, base: Mapping[str, Any] | None = None
) -> Saved:
    """Change a product and its variants, if what they change is still what the editor saw.

    `version`: of the whole product, as the editor read it; any change since refuses the edit. `base`: the fields as the
    editor saw them; only a field that both changed refuses it, so that two who change different fields both have their
    way. Raises ProductChanged, ProductNotFound, VariantNotFound, SkuTaken, HandleTaken, InvalidFields.
    """
    # Categories are held before products, everywhere.
    category_id = edit.fields.get("category_id")
    if category_id:
        await store.require_category(tx, UUID(str(category_id)))
    if not await store.lock_products(tx, [product_id]):
        raise ProductNotFound
    present = await reading.product_detail(tx, product_id)
    now = flat(present)
    require_version(present, version)
    _refuse_if_changed(now, edit, base)
    wanted = {name: plain(value) for name, value in edit.fields.items()}
    variants = _variants_after(present, now, edit)
    product = {name: value for name, value in now.items() if "." not in name} | wanted
    after_variants = {f"variants.{key}.{name}": v for key, values in variants for name, v in values.items()}
    changed = {change.field for change in changes_between(now, product | after_variants)}
    product_rules.check(product, variants, changed)
    made = await _write(tx, product_id, now, wanted, variants)
    written = await reading.product_detail(tx, product_id)
    differences = changes_between(now, flat(written))
    return Saved(
        written, {c.field: c.before for c in differences}, {c.field: c.after for c in differences}, made
    )  # fmt: skip


def require_version(product: ProductDetail, version: str | None) -> None:
    """Raise ProductChanged unless the product is still of this version; None is content with any."""
    present = version_of(flat(product))
    if version is not None and version != present:
        raise ProductChanged((), present)


def _refuse_if_changed(now: Flat, edit: ProductEdit, base: Mapping[str, Any] | None) -> None:
    if base is not None:
        mine = {name: plain(value) for name, value in edit.fields.items()}
        for variant in edit.variants:
            mine |= {f"variants.{variant.id}.{name}": plain(value) for name, value in variant.fields.items()}
        theirs = collisions(base, now, mine)
        if theirs:
            raise ProductChanged(theirs, version_of(now))


def _variants_after(product: ProductDetail, now: Flat, edit: ProductEdit) -> list[tuple[str, dict[str, Any]]]:
    """Return all variants as they shall be, by id; new ones by `new1`, `new2`, ... Raises VariantNotFound."""
    prefixes = {str(variant.id): f"variants.{variant.id}." for variant in product.variants}
    found = {
        key: {name.removeprefix(prefix): value for name, value in now.items() if name.startswith(prefix)}
        for key, prefix in prefixes.items()
    }
    last = max((variant.position for variant in product.variants), default=0)
    currency = product.variants[0].currency if product.variants else "EUR"
    for number, each in enumerate(edit.variants, start=1):
        fields = {name: plain(value) for name, value in each.fields.items()}
        if each.id is None:
            made = {**_NEW_VARIANT, "sku": "", "currency": currency, "position": last + number}
            found[f"new{number}"] = made | fields
        elif str(each.id) in found:
            found[str(each.id)] |= fields
        else:
            raise VariantNotFound(variant_id=str(each.id))
    for key, values in found.items():
        before = now.get(f"variants.{key}.option_values")
        if values["option_values"] != before and values["option_values"]:
            values["title"] = " / ".join(values["option_values"])
    return list(found.items())


async def _write(
    tx: Tx, product_id: UUID, now: Flat, wanted: Flat, variants: Sequence[tuple[str, dict[str, Any]]]
) -> dict[str, UUID]:
    changed = {name: value for name, value in wanted.items() if value != now[name]}
    skus = {values["sku"]: key for key, values in variants if values["sku"] != now.get(f"variants.{key}.sku")}
    await _lock_skus(tx, list(skus))
    taken = await store.existing_skus(tx, list(skus))
    if taken:
        raise SkuTaken(f"The SKU {next(iter(taken))} exists already.", sku=next(iter(taken)))
    if "handle" in changed:
        await tx.execute(_LOCK, f"{tx.organisation}/handle/{changed['handle']}")
        if await store.product_by_handle(tx, changed["handle"]) is not None:
            raise HandleTaken(f"The handle {changed['handle']!r} is taken.", handle=changed["handle"])
    collections = changed.pop("collections", None)
    if collections is not None:
        await store.set_collections(tx, product_id, [UUID(each) for each in collections])
    await store.set_fields(tx, "product", product_id, changed)
    made: dict[str, UUID] = {}
    for key, values in variants:
        if key.startswith("new"):
            made[values["sku"]] = id = new_id()
            await store.insert_variant(tx, product_id, id, values)
            continue
        fields = {name: value for name, value in values.items() if value != now[f"variants.{key}.{name}"]}
        await store.set_fields(tx, "variant", UUID(key), fields)
    touched = bool(changed) or collections is not None
    if not touched and any(values != _as_it_was(now, key) for key, values in variants):
        await store.set_fields(tx, "product", product_id, {}, touch=True)
    matched = await store.match_waiting_listings(tx, list(skus))
    await facade.tell_matched(tx, [row["id"] for row in matched])
    await facade.tell_changed(tx, [product_id])
    if not facade.FILING.isdisjoint(changed):
        await facade.tell_filed(tx, [product_id])
    return made


def _as_it_was(now: Flat, key: str) -> dict[str, Any]:
    prefix = f"variants.{key}."
    return {name.removeprefix(prefix): value for name, value in now.items() if name.startswith(prefix)}


async def _lock_skus(tx: Tx, skus: Sequence[str]) -> None:
    for sku in sorted(skus):
        await tx.execute(_LOCK, f"{tx.organisation}/sku/{sku}")


async def archive(tx: Tx, product_id: UUID) -> Saved:
    """Take a product out of use; its history, stock and orders stay. Raises ProductNotFound."""
    return await save(tx, product_id, ProductEdit({"status": "archived"}))


async def only_variants(tx: Tx, product_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[UUID]]:
    """Return the variants in use of each of these products; unknown products are left out."""
    rows = await tx.fetch(
        "select product_id, array_agg(id) as ids from variant where organisation_id = $1 and product_id = any($2)"
        " and state = 'active' group by product_id",
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
