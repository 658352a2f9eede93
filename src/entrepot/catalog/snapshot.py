"""A product as one flat set of fields, to compare two moments of it. Pure.

`title`, `tags`, `images`, ... are the product's; `variants.<id>.price_minor` is a field of a variant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from entrepot.catalog.reading import ProductDetail

PRODUCT_FIELDS = (
    "handle", "title", "description", "vendor", "product_type", "status", "tags", "option_names", "images",
    "category_id", "collections", "seo_title", "seo_description", "attributes",
)  # fmt: skip
VARIANT_FIELDS = (
    "sku", "barcode", "title", "option_values", "price_minor", "compare_at_minor", "cost_minor", "currency", "weight_g",
    "length_mm", "width_mm", "height_mm", "image_url", "position", "state",
)  # fmt: skip
Flat = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field that was `before` and is `after`."""

    field: str
    before: Any
    after: Any


def flat(product: ProductDetail) -> Flat:
    """Return a product as plain JSON values by field."""
    row = product.row
    found: Flat = {name: getattr(row, name) for name in ("handle", "title", "vendor", "product_type", "status")}
    found |= {name: plain(getattr(product, name)) for name in PRODUCT_FIELDS if name not in found}
    for variant in product.variants:
        found |= {f"variants.{variant.id}.{name}": plain(getattr(variant, name)) for name in VARIANT_FIELDS}
    return found


def plain(value: Any) -> Any:
    """Return a value as JSON has it: tuples are lists, ids are text."""
    return msgspec.json.decode(msgspec.json.encode(value))


def version_of(fields: Mapping[str, Any]) -> str:
    """Return a short text that is another one as soon as any field is."""
    return hashlib.sha256(msgspec.json.encode(fields, order="deterministic")).hexdigest()[:20]


def changes_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """Return the fields that differ; a missing one is None."""
    names = sorted({*before, *after})
    return tuple(FieldChange(n, before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n))


def collisions(base: Mapping[str, Any], now: Mapping[str, Any], mine: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """Return the fields of `mine` that somebody else changed since `base` to something else than mine.

    `before` is what the field was, `after` what it became meanwhile. A field that `base` does not have collides with
    nothing.
    """
    return tuple(
        FieldChange(name, base[name], now.get(name))
        for name, value in sorted(mine.items())
        if name in base and now.get(name) != base[name] and now.get(name) != value
    )
