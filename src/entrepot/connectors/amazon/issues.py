"""What Amazon objects to, in the hub's words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from entrepot.channels.contract import ChannelReason, ListingField
from entrepot.connectors.amazon.attributes import LIST_PRICE, MAIN_IMAGE, OFFER, OTHER_IMAGE
from entrepot.connectors.amazon.reading import optional_text

_FIELDS: Mapping[str, ListingField] = {
    "item_name": ListingField.TITLE,
    "product_description": ListingField.DESCRIPTION,
    "brand": ListingField.VENDOR,
    "productType": ListingField.CATEGORY,
    "externally_assigned_product_identifier": ListingField.BARCODE,
    "item_package_weight": ListingField.WEIGHT,
    "item_package_dimensions": ListingField.DIMENSIONS,
    OFFER: ListingField.PRICE,
    LIST_PRICE: ListingField.COMPARE_AT,
    "sku": ListingField.SKU,
}
_PLAIN: Mapping[str, str] = {
    "5665": "Amazon has not approved the seller for this brand yet.",
    "5461": "Amazon does not let the seller make a product of this brand or type.",
    "8026": "The seller may not sell this product yet: ask Amazon for approval.",
    "8541": "The data contradict what Amazon has for this barcode: correct them, or list an offer on its product.",
    "8560": "Amazon finds no product that fits: it needs more attributes, or another barcode.",
    "8572": "The barcode does not belong to this brand, as Amazon sees it.",
}


def reasons_of(issues: Iterable[Mapping[str, Any]], variant_key: str = "") -> tuple[ChannelReason, ...]:
    """Return the issues, those that block first. One that names several attributes is told of each."""
    reasons = []
    for issue in issues:
        severity = optional_text(issue, "severity")
        if severity == "INFO":
            continue
        code, own = optional_text(issue, "code"), " ".join(optional_text(issue, "message").split())[:500]
        plain = _PLAIN.get(code, "")
        words = f"{plain} ({own})" if plain and own else plain or own or f"Amazon objects [{code}]."
        names = attributes_in(issue) or [""]
        reasons += [ChannelReason(words, field_of(name), code, variant_key, severity == "ERROR") for name in names]
    return tuple(sorted(reasons, key=lambda reason: not reason.blocking))


def attributes_in(issue: Mapping[str, Any]) -> list[str]:
    """Return the attributes that an issue names: an answer has a list of them, a report may have one."""
    names: Any = issue.get("attributeNames")
    found = [each for each in names if isinstance(each, str)] if isinstance(names, Sequence) else []
    return found or list(filter(None, [optional_text(issue, "attributeName")]))


def field_of(attribute: str) -> str:
    """Return the draft's field that an attribute is made from, or the attribute's own name."""
    if attribute == MAIN_IMAGE or attribute.startswith(OTHER_IMAGE):
        return ListingField.IMAGES
    return _FIELDS.get(attribute, attribute)


def blocks(issues: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether one of the issues keeps the listing from being taken."""
    return any(issue.get("severity") == "ERROR" for issue in issues)
