"""The hub's drafts as Amazon's attributes and back. Pure.

An attribute is a list of objects, each for one marketplace, most with a `value`. A name with dots goes into a nested one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from entrepot.channels.contract import (
    AttributeScalar,
    AttributeValue,
    Dimensions,
    ListingDraft,
    ListingImage,
    Payload,
    VariantDraft,
    image_key,
    is_gtin,
)
from entrepot.channels.html_text import plain_text
from entrepot.connectors.amazon.manifest import LANGUAGE_OF
from entrepot.connectors.amazon.reading import inner, objects, optional_text

Json = dict[str, Any]
IMAGES_MAX = 9
MAIN_IMAGE, OTHER_IMAGE = "main_product_image_locator", "other_product_image_locator_"
BARCODES = {8: "ean", 12: "upc", 13: "ean", 14: "gtin"}
OFFER, LIST_PRICE = "purchasable_offer", "list_price"
ASIN = "merchant_suggested_asin"
THEME = "variation_theme"
OURS = frozenset(
    {
        "item_name",
        "product_description",
        "brand",
        "condition_type",
        "externally_assigned_product_identifier",
        "fulfillment_availability",
        "item_package_weight",
        "item_package_dimensions",
        OFFER,
        LIST_PRICE,
        MAIN_IMAGE,
        *(f"{OTHER_IMAGE}{number}" for number in range(1, IMAGES_MAX)),
        "parentage_level",
        "child_parent_sku_relationship",
    }
)
"""What is made from the draft's own fields; every other attribute goes by its name."""
_GRAMS = {
    "grams": Decimal(1),
    "kilograms": Decimal(1000),
    "ounces": Decimal("28.349523125"),
    "pounds": Decimal("453.59237"),
}
_MILLIMETRES = {
    "millimeters": Decimal(1),
    "centimeters": Decimal(10),
    "meters": Decimal(1000),
    "inches": Decimal("25.4"),
    "feet": Decimal("304.8"),
}
_OPTION_NAMES = {
    "color": "color",
    "colour": "color",
    "farbe": "color",
    "size": "size",
    "größe": "size",
    "grösse": "size",
}
_LOCALISED = frozenset({"item_name", "product_description", "brand", "bullet_point", "generic_keyword"})
_SELECTORS = frozenset({"marketplace_id", "language_tag"})


def parent_sku_of(draft: ListingDraft) -> str:
    """Return the SKU of the family that a draft with several variants makes: the same for the same draft."""
    if draft.external_id and draft.external_id not in {each.sku for each in draft.variants}:
        return draft.external_id
    return f"family-{re.sub(r'[^A-Za-z0-9-]', '', draft.key)[-32:]}"


def is_family(draft: ListingDraft) -> bool:
    """Return whether the draft has variants that belong to a parent."""
    return len(draft.variants) > 1


def themed(draft: ListingDraft) -> ListingDraft:
    """Return a draft that says by what its variants differ, where it has several and their options tell: colour and size.

    Another option is in the way only if the variants differ in it.
    """
    if not is_family(draft) or draft.attributes.get(THEME):
        return draft
    columns = zip(draft.option_names, zip(*(each.options for each in draft.variants), strict=False), strict=False)
    names = {_OPTION_NAMES.get(name.lower(), "") for name, values in columns if len(set(values)) > 1}
    if not names or "" in names:
        return draft
    theme = "/".join(name.upper() for name in ("size", "color") if name in names)
    return replace(draft, attributes={**draft.attributes, THEME: theme})


def child_attributes(draft: ListingDraft, variant: VariantDraft, marketplace_id: str) -> Json:
    """Return everything that Amazon is to know of a variant, but for its quantity."""
    if ASIN in draft.attributes or ASIN in variant.attributes:
        product = _named({**draft.attributes, **variant.attributes}, marketplace_id)
        return product | _sales(variant, marketplace_id)
    product = _product(draft, marketplace_id)
    product |= _named({**_options(draft, variant), **draft.attributes, **variant.attributes}, marketplace_id)
    product |= _of_variant(variant, marketplace_id)
    if is_family(draft):
        link = {"child_relationship_type": "variation", "parent_sku": parent_sku_of(draft)}
        product["parentage_level"] = [{"value": "child", "marketplace_id": marketplace_id}]
        product["child_parent_sku_relationship"] = [{**link, "marketplace_id": marketplace_id}]
    return product | (_sales(variant, marketplace_id) if draft.published else {})


def parent_attributes(draft: ListingDraft, marketplace_id: str) -> Json:
    """Return what Amazon is to know of the family: it is not sold itself."""
    parent = _product(draft, marketplace_id) | _named(draft.attributes, marketplace_id)
    parent["parentage_level"] = [{"value": "parent", "marketplace_id": marketplace_id}]
    return parent


def _product(draft: ListingDraft, place: str) -> Json:
    written = {"item_name": _texts("item_name", [draft.title], place)}
    description = plain_text(draft.description)
    if description:
        written["product_description"] = _texts("product_description", [description], place)
    if draft.vendor:
        written["brand"] = _texts("brand", [draft.vendor], place)
    for number, image in enumerate((draft.images or ())[:IMAGES_MAX]):
        name = MAIN_IMAGE if number == 0 else f"{OTHER_IMAGE}{number}"
        written[name] = [{"media_location": image.url, "marketplace_id": place}]
    return written


def _of_variant(variant: VariantDraft, place: str) -> Json:
    written: Json = {}
    if is_gtin(variant.barcode):
        kind = BARCODES.get(len(variant.barcode), "ean")
        identifier = {"type": kind, "value": variant.barcode, "marketplace_id": place}
        written["externally_assigned_product_identifier"] = [identifier]
    if variant.weight_g is not None:
        weight = {"value": variant.weight_g, "unit": "grams", "marketplace_id": place}
        written["item_package_weight"] = [weight]
    if variant.dimensions is not None:
        sizes = variant.dimensions
        sides = {"length": sizes.length_mm, "width": sizes.width_mm, "height": sizes.height_mm}
        measured = {name: {"value": size, "unit": "millimeters"} for name, size in sides.items()}
        written["item_package_dimensions"] = [{**measured, "marketplace_id": place}]
    return written


def _sales(variant: VariantDraft, place: str) -> Json:
    written: Json = {
        "condition_type": [{"value": "new_new", "marketplace_id": place}],
        OFFER: [offer_of(variant.price, variant.currency, place)],
    }
    if variant.compare_at is not None:
        written[LIST_PRICE] = [list_price_of(variant.compare_at, variant.currency, place)]
    return written


def offer_of(price: Decimal, currency: str, place: str) -> Json:
    """Return the offer to consumers."""
    schedule = [{"schedule": [{"value_with_tax": float(price)}]}]
    return {"audience": "ALL", "currency": currency, "our_price": schedule, "marketplace_id": place}


def list_price_of(price: Decimal, currency: str, place: str) -> Json:
    """Return the price that is shown crossed out."""
    return {"value_with_tax": float(price), "currency": currency, "marketplace_id": place}


def _options(draft: ListingDraft, variant: VariantDraft) -> dict[str, AttributeValue]:
    """Return the options that have an attribute of Amazon's own: colour and size."""
    pairs = zip(draft.option_names, variant.options, strict=False)
    return {_OPTION_NAMES[name.lower()]: value for name, value in pairs if name.lower() in _OPTION_NAMES}


def _named(attributes: Mapping[str, AttributeValue], place: str) -> Json:
    written: Json = {}
    for name, value in attributes.items():
        head, _, path = name.partition(".")
        values: Sequence[AttributeScalar] = value if isinstance(value, tuple) else (value,)
        if head == THEME:
            written[head] = [{"name": str(values[0]), "marketplace_id": place}]
        elif not path:
            written[head] = _texts(head, values, place)
        else:
            entry = written.setdefault(head, [{"marketplace_id": place}])[0]
            _put(entry, path.split("."), values[0])
    return written


def _put(entry: Json, path: Sequence[str], value: AttributeScalar) -> None:
    for step in path[:-1]:
        entry = entry.setdefault(step, {})
    entry[path[-1]] = _plain(value)


def _texts(name: str, values: Sequence[AttributeScalar], place: str) -> list[Json]:
    tag = {"language_tag": LANGUAGE_OF.get(place, "en_US")} if name in _LOCALISED else {}
    return [{"value": _plain(value), **tag, "marketplace_id": place} for value in values]


def _plain(value: AttributeScalar) -> AttributeScalar | float:
    return float(value) if isinstance(value, Decimal) else value


def patches_of(attributes: Mapping[str, Any], draft: ListingDraft, place: str) -> list[Json]:
    """Return the patches that make a listing that is there the same. Offers are merged, so that one to businesses stays;
    what the draft does not have any more of its own fields is deleted."""
    patches = [
        {"op": "merge" if name == OFFER else "replace", "path": f"/attributes/{name}", "value": value}
        for name, value in attributes.items()
    ]
    gone = [LIST_PRICE] if draft.published and LIST_PRICE not in attributes else []
    if draft.images is not None:
        names = [MAIN_IMAGE, *(f"{OTHER_IMAGE}{number}" for number in range(1, IMAGES_MAX))]
        gone += [name for name in names if name not in attributes]
    if not draft.published:
        gone.append(OFFER)
    return patches + [delete_of(name, place) for name in gone]


def delete_of(name: str, place: str) -> Json:
    """Return the patch that removes an attribute in the marketplace."""
    return {"op": "delete", "path": f"/attributes/{name}", "value": [{"marketplace_id": place}]}


# ---- reading back --------------------------------------------------------------------------------------


def first_value(attributes: Payload, name: str) -> str:
    """Return the text of an attribute's first value."""
    return next((str(each["value"]) for each in objects(attributes, name) if "value" in each), "")


def images_of(attributes: Payload) -> tuple[ListingImage, ...]:
    """Return the pictures as they were submitted."""
    names = [MAIN_IMAGE, *(f"{OTHER_IMAGE}{number}" for number in range(1, IMAGES_MAX))]
    urls = [optional_text(each, "media_location") for name in names for each in objects(attributes, name)[:1]]
    return tuple(ListingImage(url, source_key=image_key(url)) for url in urls if url)


def compare_at_of(attributes: Payload) -> Decimal | None:
    """Return the price that is shown crossed out."""
    for each in objects(attributes, LIST_PRICE):
        written = each.get("value_with_tax", each.get("value"))
        if isinstance(written, int | Decimal) and not isinstance(written, bool):
            return Decimal(written).quantize(Decimal("0.01"))
    return None


def weight_of(attributes: Payload) -> int | None:
    """Return the weight of the package in grams."""
    for each in objects(attributes, "item_package_weight"):
        return _measured(each, _GRAMS)
    return None


def dimensions_of(attributes: Payload) -> Dimensions | None:
    """Return the outer measures of the package."""
    for each in objects(attributes, "item_package_dimensions"):
        sides = [_measured(inner(each, name), _MILLIMETRES) for name in ("length", "width", "height")]
        if all(side is not None for side in sides):
            return Dimensions(*(side or 0 for side in sides))
    return None


def _measured(payload: Payload, units: Mapping[str, Decimal]) -> int | None:
    value, unit = payload.get("value"), units.get(optional_text(payload, "unit"))
    if unit is None or isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return round(Decimal(value) * unit)


def further_of(attributes: Payload) -> dict[str, AttributeValue]:
    """Return the attributes that are none of the draft's own fields, by name, as a draft has them."""
    found: dict[str, AttributeValue] = {}
    for name, written in attributes.items():
        if name in OURS or not isinstance(written, list):
            continue
        entries = [each for each in written if isinstance(each, Mapping)]
        if name == THEME:
            found[name] = next((optional_text(each, "name") for each in entries), "")
            continue
        leaves = [dict(_leaves(each, "")) for each in entries]
        paths = list(dict.fromkeys(path for each in leaves for path in each))
        for path in paths:
            values = tuple(each[path] for each in leaves if path in each)
            found[name if paths == ["value"] else f"{name}.{path}"] = values if len(values) > 1 else values[0]
    return found


def _leaves(value: Mapping[str, Any], path: str) -> list[tuple[str, AttributeScalar]]:
    found: list[tuple[str, AttributeScalar]] = []
    for name, each in value.items():
        where = f"{path}.{name}" if path else name
        if isinstance(each, Mapping):
            found += _leaves(each, where)
        elif name not in _SELECTORS and isinstance(each, str | int | bool | Decimal):
            found.append((where, each))
    return found
