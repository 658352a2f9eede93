"""The hub's drafts as Shopify's input, and Shopify's objections in the hub's words. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from entrepot.channels.contract import (
    ChannelReason,
    ListingDraft,
    ListingField,
    ListingImage,
    ListingRef,
    VariantDraft,
    image_key,
)
from entrepot.connectors.shopify import listing_shapes, shapes
from entrepot.connectors.shopify.listing_mapping import NO_OPTION, NO_TITLE, file_name_of, ref_of, source_key_of
from entrepot.connectors.shopify.listing_queries import IMAGES_A_CALL
from entrepot.connectors.shopify.mapping import gid_of
from entrepot.connectors.shopify.queries import KEY, NAMESPACE

_HANDLE_MAX = 200
_FIELDS: Mapping[str, ListingField] = {
    "title": ListingField.TITLE,
    "descriptionHtml": ListingField.DESCRIPTION,
    "vendor": ListingField.VENDOR,
    "productType": ListingField.PRODUCT_TYPE,
    "category": ListingField.CATEGORY,
    "tags": ListingField.TAGS,
    "productOptions": ListingField.OPTIONS,
    "optionValues": ListingField.OPTIONS,
    "files": ListingField.IMAGES,
    "seo": ListingField.SEO_TITLE,
    "status": ListingField.STATUS,
    "sku": ListingField.SKU,
    "barcode": ListingField.BARCODE,
    "price": ListingField.PRICE,
    "compareAtPrice": ListingField.COMPARE_AT,
    "inventoryItem": ListingField.WEIGHT,
}
_WORDS = {
    "PRODUCT_DOES_NOT_EXIST": "Shopify does not know this product any more: it was deleted there.",
    "NOT_FOUND": "Shopify does not know this product any more: it was deleted there.",
    "PRODUCT_VARIANT_DOES_NOT_EXIST": "Shopify does not know this variant any more: import the listings again.",
    "HANDLE_NOT_UNIQUE": "Another product in the shop has this address (handle): choose another one.",
    "DUPLICATED_OPTION_NAME": "Two options have the same name: give each its own.",
    "DUPLICATED_OPTION_VALUE": "Two variants have the same options: make them differ in one.",
    "OPTIONS_OVER_LIMIT": "Shopify takes at most three options.",
    "VARIANTS_OVER_LIMIT": "The product has more variants than the shop may have.",
    "PRODUCT_SUSPENDED": "Shopify has suspended this product: ask its support.",
    "NEGATIVE_PRICE_VALUE": "The price cannot be negative.",
    "GREATER_THAN_OR_EQUAL_TO": "The price cannot be negative.",
    "SUBSCRIPTION_VIOLATION": "The shop's plan allows no more SKUs.",
}


def handles_of(draft: ListingDraft) -> tuple[str, str]:
    """Return the address that the product is to have, and another of its own where somebody else has that.

    A new product is found again by it, so the title, which may change, is no part of it.
    """
    plain = (
        unicodedata.normalize("NFKD", draft.handle or f"product-{draft.key}").encode("ascii", "ignore").decode().lower()
    )
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_HANDLE_MAX].strip("-") or "product"
    own = re.sub(r"[^a-z0-9]", "", draft.key.lower())[-12:]
    return words, f"{words}-{own}"


def input_of(draft: ListingDraft, head: listing_shapes.Head | None, handle: str, location: str) -> dict[str, Any]:
    """Return the ProductSetInput of a draft. `head`: the product as it is, None for a new one, which gets the
    handle and our mark. What is not in the input stays as it is, but lists (variants, files) are made exactly so."""
    written: dict[str, Any] = {
        "title": draft.title,
        "descriptionHtml": draft.description,
        "vendor": draft.vendor,
        "productType": draft.product_type,
        "tags": list(draft.tags),
        "seo": {"title": draft.seo_title, "description": draft.seo_description},
        "status": "ACTIVE" if draft.published else "DRAFT",
        "productOptions": _options(draft),
        "variants": [_variant(draft, each, head, location, place) for place, each in enumerate(draft.variants, 1)],
    }
    if not draft.vendor:
        del written["vendor"]  # Shopify puts the shop's name there; an empty one is refused.
    if draft.category:
        written["category"] = gid_of("TaxonomyCategory", draft.category)
    if draft.images is not None:
        written["files"] = _files(draft.images, head.media.nodes if head else ())
    if head is None:
        written["handle"] = handle
        written["metafields"] = [
            {"namespace": NAMESPACE, "key": KEY, "type": "single_line_text_field", "value": draft.key}
        ]
    return written


def _options(draft: ListingDraft) -> list[dict[str, Any]]:
    if not draft.option_names:
        return [{"name": NO_OPTION, "position": 1, "values": [{"name": NO_TITLE}]}]
    columns = [
        dict.fromkeys(each.options[place] for each in draft.variants) for place in range(len(draft.option_names))
    ]
    return [
        {"name": name, "position": place, "values": [{"name": value} for value in values]}
        for place, (name, values) in enumerate(zip(draft.option_names, columns, strict=True), 1)
    ]


def _values(draft: ListingDraft, variant: VariantDraft) -> tuple[str, ...]:
    return variant.options if draft.option_names else (NO_TITLE,)


def _variant(
    draft: ListingDraft, variant: VariantDraft, head: listing_shapes.Head | None, location: str, place: int
) -> dict[str, Any]:
    names = draft.option_names or (NO_OPTION,)
    item: dict[str, Any] = {"tracked": True}
    if variant.weight_g is not None:
        item["measurement"] = {"weight": {"unit": "GRAMS", "value": float(variant.weight_g)}}
    written: dict[str, Any] = {
        "optionValues": [
            {"optionName": name, "name": value} for name, value in zip(names, _values(draft, variant), strict=True)
        ],
        "price": str(variant.price),
        "compareAtPrice": None if variant.compare_at is None else str(variant.compare_at),
        "sku": variant.sku,
        "barcode": variant.barcode or None,
        "position": place,
        "inventoryItem": item,
    }
    known = _known(draft, variant, head.variants.nodes if head else ())
    if known is not None:
        written["id"] = known.id
    else:
        # It is stocked at our location with nothing on offer: the quantity comes by its own way.
        level = {"locationId": gid_of("Location", location), "name": "available", "quantity": 0}
        written["inventoryQuantities"] = [level]
    return written


def _known(
    draft: ListingDraft, variant: VariantDraft, there: Sequence[listing_shapes.HeadVariant]
) -> listing_shapes.HeadVariant | None:
    """Return the variant as Shopify has it: by its id, else its options, else its SKU if only one there has it."""
    if variant.ref is not None:
        wanted = gid_of("ProductVariant", variant.ref.external_id)
        by_id = next((each for each in there if each.id == wanted), None)
        if by_id is not None:
            return by_id
    claimed = {gid_of("ProductVariant", each.ref.external_id) for each in draft.variants if each.ref is not None}
    free = [each for each in there if each.id not in claimed]
    by_options = next((each for each in free if values_of(each) == _values(draft, variant)), None)
    if by_options is not None:
        return by_options
    taken = {_values(draft, each) for each in draft.variants}
    by_sku = [each for each in free if each.sku == variant.sku and variant.sku and values_of(each) not in taken]
    return by_sku[0] if len(by_sku) == 1 else None


def values_of(variant: listing_shapes.HeadVariant) -> tuple[str, ...]:
    """Return a variant's option values in their order."""
    return tuple(option.value for option in variant.selected_options)


def refs_of(draft: ListingDraft, there: Sequence[listing_shapes.HeadVariant], location: str) -> dict[str, ListingRef]:
    """Return the listings of the draft's variants by their keys, told by their options."""
    by_values = {values_of(each): each for each in there}
    found = {each.key: by_values.get(_values(draft, each)) for each in draft.variants}
    return {key: ref_of(each.id, each.inventory_item.id, location) for key, each in found.items() if each is not None}


def _files(images: Sequence[ListingImage], there: Sequence[listing_shapes.Media]) -> list[dict[str, Any]]:
    """Return the pictures: those that Shopify has from us by their id, so that none is there twice; others to fetch."""
    by_source = {source_key_of(each.image.url): each.id for each in there if each.image is not None}
    by_url = {each.image.url: each.id for each in there if each.image is not None}
    written: list[dict[str, Any]] = []
    for image in images[:IMAGES_A_CALL]:
        key = image_key(image.url)
        known = by_url.get(image.url) or by_source.get(key)
        if known is not None:
            written.append({"id": known, "alt": image.alt_text})
            continue
        written.append(
            {
                "originalSource": image.url,
                "alt": image.alt_text,
                "contentType": "IMAGE",
                "filename": file_name_of(key, image.url),
                "duplicateResolutionMode": "REPLACE",
            }
        )
    return written


def reasons_of(errors: Sequence[shapes.UserError], variants: Sequence[VariantDraft] = ()) -> tuple[ChannelReason, ...]:
    """Return Shopify's objections with the field and variant that they name."""
    reasons = []
    for error in errors:
        path = [part for part in error.field or () if part not in ("input", "variants")]
        index = next((int(part) for part in path if part.isascii() and part.isdigit()), None)
        in_variants = "variants" in (error.field or ())
        named = next((_FIELDS[part] for part in reversed(path) if part in _FIELDS), "")
        key = variants[index].key if in_variants and index is not None and index < len(variants) else ""
        code = error.code or ""
        reasons.append(ChannelReason(_WORDS.get(code, error.message), named, code, key))
    return tuple(reasons)
