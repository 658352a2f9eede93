"""What a product may be: every field is checked, and each fault says which field and what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from typing import Any

from entrepot.catalog.contracts import InvalidProduct
from entrepot.catalog.filters import STATUSES

OPTIONS_MAX = 3
VARIANTS_MAX = 500
IMAGES_MAX = 100
TAGS_MAX = 100
ATTRIBUTES_MAX = 100
AMOUNT_MAX = 10**15
SIZE_MAX = 10_000_000
LENGTHS = {
    "title": 255, "description": 100_000, "vendor": 255, "product_type": 255, "seo_title": 255,
    "seo_description": 1_000, "handle": 255,
}  # fmt: skip
NAMES = {
    "title": "The title", "description": "The description", "vendor": "The vendor", "product_type": "The type",
    "seo_title": "The search title", "seo_description": "The search description", "handle": "The handle",
    "price_minor": "The price", "compare_at_minor": "The compare-at price", "cost_minor": "The cost",
    "weight_g": "The weight", "length_mm": "The length", "width_mm": "The width", "height_mm": "The height",
}  # fmt: skip
AMOUNTS = ("price_minor", "compare_at_minor", "cost_minor")
SIZES = ("weight_g", "length_mm", "width_mm", "height_mm")

Faults = dict[str, str]


class InvalidFields(InvalidProduct):
    """Some fields are not valid."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        first = next(iter(faults.values()), self.__doc__ or "")
        more = f" And {len(faults) - 1} more." if len(faults) > 1 else ""
        super().__init__(first + more, fields=dict(faults))
        self.faults = dict(faults)


SHAPE = ("variants", "option_names", "option_values", "state", "sku")
"""Fields that depend on one another: who changes one of them answers for all."""


def check(product: Mapping[str, Any], variants: Sequence[tuple[str, Mapping[str, Any]]], changed: Set[str]) -> None:
    """Raise InvalidFields if the product, with its variants as (key, fields), is none in what was changed.

    Faults of a variant stand under `variants.<key>.<field>`, as the names in `changed` do. What came in by a file and
    was not touched is nobody's fault here.
    """
    faults = faults_of(product, variants)
    shape = any(name.rpartition(".")[2] in SHAPE for name in changed)
    mine = {
        name: text for name, text in faults.items() if name in changed or (shape and name.rpartition(".")[2] in SHAPE)
    }
    if mine:
        raise InvalidFields(mine)


def faults_of(product: Mapping[str, Any], variants: Sequence[tuple[str, Mapping[str, Any]]]) -> Faults:
    """Return what is wrong, by field."""
    faults = _product(product)
    active = [(key, fields) for key, fields in variants if fields["state"] == "active"]
    if not active:
        faults["variants"] = "A product needs at least one variant in use: archive the product instead."
    if len(active) > VARIANTS_MAX:
        faults["variants"] = f"A product has at most {VARIANTS_MAX} variants."
    names = product["option_names"]
    seen: dict[tuple[str, ...], str] = {}
    skus: set[str] = set()
    for key, fields in variants:
        found = _variant(fields)
        if fields["sku"] in skus:
            found["sku"] = f"Two variants have the SKU {fields['sku']!r}."
        skus.add(fields["sku"])
        if fields["state"] == "active":
            values = tuple(fields["option_values"])
            if names and (len(values) != len(names) or not all(values)):
                found["option_values"] = f"{fields['sku']} needs a value for each option: {', '.join(names)}."
            elif names and values in seen:
                found["option_values"] = f"{fields['sku']} and {seen[values]} have the same options."
            seen[values] = fields["sku"]
        faults |= {f"variants.{key}.{name}": text for name, text in found.items()}
    if not names and len(active) > 1:
        faults["option_names"] = "Several variants need an option that tells them apart, such as Size."
    return faults


def _product(fields: Mapping[str, Any]) -> Faults:
    faults: Faults = {}
    for name, most in LENGTHS.items():
        if len(fields[name]) > most:
            faults[name] = f"{NAMES[name]} has more than {most:,} characters."
        if "\x00" in fields[name]:
            faults[name] = f"{NAMES[name]} holds a character that is none."
    if not fields["title"].strip():
        faults["title"] = "A product needs a title."
    if not re.fullmatch(r"[^\s/?#%]+", fields["handle"]):
        faults["handle"] = "A handle has no spaces and none of / ? # %."
    if fields["status"] not in STATUSES:
        faults["status"] = f"A status is one of {', '.join(STATUSES)}."
    tags = fields["tags"]
    if len(tags) > TAGS_MAX or len(set(tags)) < len(tags) or not all(0 < len(tag) <= 200 for tag in tags):
        faults["tags"] = f"Up to {TAGS_MAX} tags, each once, of up to 200 characters."
    options = fields["option_names"]
    if len(options) > OPTIONS_MAX or len(set(options)) < len(options) or not all(0 < len(o) <= 100 for o in options):
        faults["option_names"] = f"Up to {OPTIONS_MAX} options, each with a name of its own."
    if len(fields["images"]) > IMAGES_MAX:
        faults["images"] = f"At most {IMAGES_MAX} images."
    for image in fields["images"]:
        if not is_address(image["url"]) or len(image["alt"]) > 500:
            faults["images"] = (
                f"{image['url'][:60]!r}: an image needs an address that starts with https:// or http://,"
                " and a text of at most 500 characters."
            )
    named = fields["attributes"]
    if len(named) > ATTRIBUTES_MAX or not all(0 < len(n) <= 100 and len(v) <= 5_000 for n, v in named.items()):
        faults["attributes"] = f"Up to {ATTRIBUTES_MAX} attributes, names up to 100 characters, values up to 5,000."
    return faults


def _variant(fields: Mapping[str, Any]) -> Faults:
    faults: Faults = {}
    if not re.fullmatch(r"[^\x00-\x1f]{1,200}", fields["sku"]) or fields["sku"] != fields["sku"].strip():
        faults["sku"] = "A SKU has 1 to 200 characters, no line breaks, no spaces around it."
    for name in AMOUNTS:
        if fields[name] is not None and not 0 <= fields[name] < AMOUNT_MAX:
            faults[name] = f"{fields['sku']}: {NAMES[name].lower()} is out of bounds."
    if fields["price_minor"] is None:
        faults["price_minor"] = f"{fields['sku']} needs a price."
    for name in SIZES:
        if fields[name] is not None and not 0 <= fields[name] <= SIZE_MAX:
            faults[name] = f"{fields['sku']}: {NAMES[name].lower()} is out of bounds."
    if fields["image_url"] and not is_address(fields["image_url"]):
        faults["image_url"] = f"{fields['sku']}: the image needs an address that starts with https:// or http://."
    if len(fields["barcode"]) > 255 or len(fields["title"]) > 255 or any(len(v) > 255 for v in fields["option_values"]):
        faults["barcode"] = f"{fields['sku']}: barcode, title and options have at most 255 characters."
    return faults


def is_address(text: str) -> bool:
    """Return whether the text is an address that channels can read a picture at."""
    return re.fullmatch(r"https?://[^\s<>\"]{1,1990}", text) is not None
