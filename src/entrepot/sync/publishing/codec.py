"""Drafts and ends as JSON and back, exactly: a batch whose answer was lost is sent again as it was. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from entrepot.channels.contract import (
    AttributeScalar,
    AttributeValue,
    Dimensions,
    EndKind,
    ListingDraft,
    ListingEnd,
    ListingImage,
    ListingRef,
    VariantDraft,
)

Json = dict[str, Any]
_TEXTS = (
    "key", "title", "handle", "external_id", "description", "vendor", "product_type", "category", "seo_title",
    "seo_description", "expected_version",
)  # fmt: skip
_VARIANT_TEXTS = ("key", "sku", "currency", "barcode")


def draft_to_json(draft: ListingDraft) -> Json:
    """Return a draft as JSON."""
    images = None if draft.images is None else [_image(each) for each in draft.images]
    return {
        **{name: getattr(draft, name) for name in _TEXTS},
        "tags": list(draft.tags),
        "option_names": list(draft.option_names),
        "images": images,
        "attributes": attributes_to_json(draft.attributes),
        "published": draft.published,
        "variants": [_variant(each) for each in draft.variants],
    }


def draft_of_json(kept: Mapping[str, Any]) -> ListingDraft:
    """Return the draft that was kept."""
    images = None if kept["images"] is None else tuple(ListingImage(**each) for each in kept["images"])
    return ListingDraft(
        **{name: kept[name] for name in _TEXTS},
        tags=tuple(kept["tags"]),
        option_names=tuple(kept["option_names"]),
        images=images,
        attributes=attributes_of_json(kept["attributes"]),
        published=kept["published"],
        variants=tuple(_variant_of(each) for each in kept["variants"]),
    )


def end_to_json(end: ListingEnd) -> Json:
    """Return an end as JSON."""
    refs = [_ref(each) for each in end.refs]
    return {"key": end.key, "external_id": end.external_id, "refs": refs, "kind": str(end.kind), "whole": end.whole}


def end_of_json(kept: Mapping[str, Any]) -> ListingEnd:
    """Return the end that was kept."""
    refs = tuple(_ref_of(each) for each in kept["refs"])
    return ListingEnd(kept["key"], kept["external_id"], refs, EndKind(kept["kind"]), kept["whole"])


def _image(image: ListingImage) -> Json:
    return {"url": image.url, "alt_text": image.alt_text, "width_px": image.width_px, "height_px": image.height_px}


def _variant(variant: VariantDraft) -> Json:
    size = variant.dimensions
    return {
        **{name: getattr(variant, name) for name in _VARIANT_TEXTS},
        "price": str(variant.price),
        "compare_at": None if variant.compare_at is None else str(variant.compare_at),
        "options": list(variant.options),
        "weight_g": variant.weight_g,
        "dimensions": None if size is None else [size.length_mm, size.width_mm, size.height_mm],
        "attributes": attributes_to_json(variant.attributes),
        "ref": None if variant.ref is None else _ref(variant.ref),
    }


def _variant_of(kept: Mapping[str, Any]) -> VariantDraft:
    return VariantDraft(
        **{name: kept[name] for name in _VARIANT_TEXTS},
        price=Decimal(kept["price"]),
        compare_at=None if kept["compare_at"] is None else Decimal(kept["compare_at"]),
        options=tuple(kept["options"]),
        weight_g=kept["weight_g"],
        dimensions=None if kept["dimensions"] is None else Dimensions(*kept["dimensions"]),
        attributes=attributes_of_json(kept["attributes"]),
        ref=None if kept["ref"] is None else _ref_of(kept["ref"]),
    )


def _ref(ref: ListingRef) -> Json:
    return {"external_id": ref.external_id, "keys": dict(ref.keys)}


def _ref_of(kept: Mapping[str, Any]) -> ListingRef:
    return ListingRef(kept["external_id"], kept["keys"])


def attributes_to_json(given: Mapping[str, AttributeValue]) -> Json:
    """Return attributes as JSON."""
    return {
        name: {"several": [_scalar(each) for each in value]} if isinstance(value, tuple) else _scalar(value)
        for name, value in given.items()
    }


def _scalar(value: AttributeScalar) -> Any:
    # JSON knows no exact decimals, and a text of digits is another thing than a number.
    return {"decimal": str(value)} if isinstance(value, Decimal) else value


def attributes_of_json(kept: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Return the attributes that were kept."""
    return {
        name: tuple(_scalar_of(each) for each in value["several"])
        if isinstance(value, Mapping) and "several" in value
        else _scalar_of(value)
        for name, value in kept.items()
    }


def _scalar_of(value: Any) -> AttributeScalar:
    scalar: AttributeScalar = Decimal(value["decimal"]) if isinstance(value, Mapping) else value
    return scalar
