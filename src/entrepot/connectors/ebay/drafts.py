"""The hub's drafts as eBay's items, groups and offers. Pure.

All three are replaced whole: what is left out would be cleared. So a draft is laid over what is there, quantities included.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from entrepot.channels.contract import (
    AttributeValue,
    ChannelReason,
    ConnectorError,
    ListingDraft,
    ListingField,
    Payload,
    PriceChange,
    VariantDraft,
)
from entrepot.connectors.ebay.errors import EbayRejected
from entrepot.connectors.ebay.listings import BRAND, aspects_of
from entrepot.connectors.ebay.manifest import MARKETPLACES
from entrepot.connectors.ebay.reading import inner, objects

CONDITION = "condition"
TITLE_MAX = 80
_ITEM_FIELDS = (
    "availability",
    "condition",
    "conditionDescription",
    "conditionDescriptors",
    "packageWeightAndSize",
    "product",
)
_OFFER_READ_ONLY = ("offerId", "status", "listing")
_BARCODE_OF_LENGTH: Mapping[int, str] = {8: "ean", 10: "isbn", 12: "upc", 13: "ean", 14: "ean"}
_FIELD_OF_ERROR: Mapping[str, ListingField] = {
    "25003": ListingField.PRICE,
    "25005": ListingField.CATEGORY,
    "25014": ListingField.IMAGES,
    "25015": ListingField.IMAGES,
    "25020": ListingField.WEIGHT,
    "25021": ListingField.ATTRIBUTES,
    "25022": ListingField.ATTRIBUTES,
    "25707": ListingField.SKU,
    "25708": ListingField.SKU,
    "25715": ListingField.DIMENSIONS,
}
_FIELD_OF_WORD: Mapping[str, ListingField] = {
    "title": ListingField.TITLE,
    "description": ListingField.DESCRIPTION,
    "price": ListingField.PRICE,
    "category": ListingField.CATEGORY,
    "image": ListingField.IMAGES,
    "picture": ListingField.IMAGES,
    "aspect": ListingField.ATTRIBUTES,
    "brand": ListingField.VENDOR,
    "sku": ListingField.SKU,
}


def is_group(draft: ListingDraft) -> bool:
    """Return whether the draft is one listing with variations."""
    return len(draft.variants) > 1


def group_key(draft: ListingDraft) -> str:
    """Return the key of the draft's group: the one it has, else one that stays the same for the draft."""
    known = {each.ref.keys["group"] for each in draft.variants if each.ref is not None and each.ref.keys.get("group")}
    return min(known, default="") or draft.external_id or f"entrepot-{draft.key}"[:50]


def misfit(draft: ListingDraft, marketplace_id: str) -> ChannelReason | None:
    """Return why a draft cannot be sent at all, None if it can."""
    if not draft.variants:
        return ChannelReason("The product has no variant.", "variants", "NO_VARIANT")
    if len(draft.title) > TITLE_MAX:
        # eBay takes it with the item and refuses it at last, when it is to be shown.
        return ChannelReason(
            f"The title has {len(draft.title)} characters, eBay takes {TITLE_MAX}.", ListingField.TITLE, "TITLE"
        )
    place = MARKETPLACES.get(marketplace_id)
    for variant in draft.variants:
        if not variant.sku:
            return ChannelReason("eBay lists by SKU: give the variant one.", ListingField.SKU, "NO_SKU", variant.key)
        if place is not None and variant.currency != place.currency:
            detail = f"Prices on {marketplace_id} are in {place.currency}."
            return ChannelReason(detail, ListingField.PRICE, "CURRENCY", variant.key)
    if not draft.category:
        return ChannelReason("eBay needs a category: enter its number.", ListingField.CATEGORY, "NO_CATEGORY")
    if is_group(draft) and not draft.option_names:
        return ChannelReason("Several variants need options by which they differ.", ListingField.OPTIONS, "NO_OPTIONS")
    return None


def item_of(draft: ListingDraft, variant: VariantDraft, current: Payload | None) -> dict[str, Any]:
    """Return the item of a variant; its quantity is the one that is there, none for a new one."""
    item: dict[str, Any] = {name: current[name] for name in _ITEM_FIELDS if current and name in current}
    if "availability" not in item:
        item["availability"] = {"shipToLocationAvailability": {"quantity": 0}}
    attributes = {**draft.attributes, **variant.attributes}
    item["condition"] = str(attributes.pop(CONDITION, "") or item.get("condition") or "NEW")
    product: dict[str, Any] = dict(inner(item, "product"))
    aspects = {**aspects_of(product), **{name: _texts(value) for name, value in attributes.items()}}
    aspects |= {name: [value] for name, value in zip(draft.option_names, variant.options, strict=False)}
    product["title"] = draft.title
    _set(product, "description", draft.description[:4000])
    if draft.vendor:
        product["brand"] = draft.vendor
        aspects[BRAND] = [draft.vendor]
    product["aspects"] = aspects
    if draft.images is not None:
        _set(product, "imageUrls", [each.url for each in draft.images])
    name = _BARCODE_OF_LENGTH.get(len(variant.barcode), "ean")
    for each in ("ean", "upc", "isbn"):
        _set(product, each, [variant.barcode] if variant.barcode and each == name else None)
    item["product"] = product
    _set(item, "packageWeightAndSize", _package(item, variant))
    return item


def group_of(draft: ListingDraft, current: Payload | None) -> dict[str, Any]:
    """Return the group of a draft's items."""
    group: dict[str, Any] = {
        name: value
        for name, value in (current or {}).items()
        if name in ("aspects", "imageUrls", "subtitle", "videoIds")
    }
    group["title"] = draft.title
    _set(group, "description", draft.description)
    if draft.images is not None:
        _set(group, "imageUrls", [each.url for each in draft.images])
    group["variantSKUs"] = [each.sku for each in draft.variants]
    group["variesBy"] = {
        "specifications": [
            {"name": name, "values": list(dict.fromkeys(each.options[place] for each in draft.variants))}
            for place, name in enumerate(draft.option_names)
        ]
    }
    return group


def offer_of(
    draft: ListingDraft, variant: VariantDraft, current: Payload | None, settings: Mapping[str, str]
) -> dict[str, Any]:
    """Return the offer of a variant. `settings`: marketplace, location and policies for a new one."""
    offer: dict[str, Any] = {name: value for name, value in (current or {}).items() if name not in _OFFER_READ_ONLY}
    if current is None:
        offer |= {
            "sku": variant.sku,
            "marketplaceId": settings["marketplace_id"],
            "format": "FIXED_PRICE",
            "listingDuration": "GTC",
        }
    else:
        for name in ("sku", "marketplaceId", "format"):
            offer.pop(name, None)
    offer["categoryId"] = draft.category
    if is_group(draft):
        offer.pop("listingDescription", None)
    else:
        _set(offer, "listingDescription", draft.description)
    policies: dict[str, Any] = dict(inner(offer, "listingPolicies"))
    for name, setting in (
        ("fulfillmentPolicyId", "fulfillment_policy_id"),
        ("paymentPolicyId", "payment_policy_id"),
        ("returnPolicyId", "return_policy_id"),
    ):
        if not policies.get(name) and settings.get(setting):
            policies[name] = settings[setting]
    _set(offer, "listingPolicies", policies)
    if not offer.get("merchantLocationKey"):
        _set(offer, "merchantLocationKey", settings.get("location_key", ""))
    pricing: dict[str, Any] = dict(inner(offer, "pricingSummary"))
    pricing["price"] = money(variant.price, variant.currency)
    _set(pricing, "originalRetailPrice", money(variant.compare_at, variant.currency) if variant.compare_at else None)
    offer["pricingSummary"] = pricing
    return offer


def repriced(offer: Payload, change: PriceChange) -> dict[str, Any]:
    """Return an offer with another price and another price before the reduction, all else as it is."""
    left_out = (*_OFFER_READ_ONLY, "sku", "marketplaceId", "format")
    wanted = {name: value for name, value in offer.items() if name not in left_out}
    pricing: dict[str, Any] = dict(inner(offer, "pricingSummary"))
    pricing["price"] = money(change.price, change.currency)
    before = money(change.compare_at, change.currency) if change.compare_at is not None else None
    _set(pricing, "originalRetailPrice", before)
    return {**wanted, "pricingSummary": pricing}


def same_item(wanted: Mapping[str, Any], current: Payload | None) -> bool:
    """Return whether an item is already as wanted."""
    if current is None:
        return False
    there = _plain({name: current[name] for name in _ITEM_FIELDS if name in current})
    return bool(_plain(wanted) == there)


def same_offer(wanted: Mapping[str, Any], current: Payload | None) -> bool:
    """Return whether an offer is already as wanted."""
    if current is None:
        return False
    left_out = (*_OFFER_READ_ONLY, "sku", "marketplaceId", "format")
    return bool(_plain(wanted) == _plain({name: value for name, value in current.items() if name not in left_out}))


def same_group(wanted: Mapping[str, Any], current: Payload | None) -> bool:
    """Return whether a group is already as wanted."""
    return current is not None and bool(_plain(wanted) == _plain({name: current.get(name) for name in wanted}))


def money(value: Decimal, currency: str) -> dict[str, str]:
    """Return an amount as eBay writes it."""
    return {"value": str(value), "currency": currency}


def reasons_of(error: ConnectorError, variant_key: str = "") -> tuple[ChannelReason, ...]:
    """Return what eBay objects to, with the field that it names."""
    errors = error.errors if isinstance(error, EbayRejected) else ()
    if not errors:
        return (ChannelReason(error.detail, code=error.code, variant_key=variant_key),)
    return tuple(reason_of(each, variant_key) for each in errors[:5])


def reason_of(error: Payload, variant_key: str = "", *, blocking: bool = True) -> ChannelReason:
    """Return one of eBay's errors or warnings in the hub's form."""
    code = str(error.get("errorId") or "")
    said = " ".join(str(error.get("longMessage") or error.get("message") or f"eBay answered {code}.").split())[:300]
    named = " ".join(str(each.get("value", "")) for each in objects(error, "parameters"))
    field = _FIELD_OF_ERROR.get(code)
    if field is None:
        words = f"{said} {named}".lower()
        field = next((each for word, each in _FIELD_OF_WORD.items() if word in words), None)
    return ChannelReason(said, field.value if field else "", code, variant_key, blocking)


def _package(item: Mapping[str, Any], variant: VariantDraft) -> dict[str, Any] | None:
    package: dict[str, Any] = dict(inner(item, "packageWeightAndSize"))
    if variant.weight_g is not None:
        package["weight"] = {"value": variant.weight_g, "unit": "GRAM"}
    if variant.dimensions is not None:
        size = variant.dimensions
        sides = {"length": size.length_mm, "width": size.width_mm, "height": size.height_mm}
        package["dimensions"] = {**{name: _tenth(value) for name, value in sides.items()}, "unit": "CENTIMETER"}
    return package or None


def _tenth(millimetres: int) -> int | float:
    return millimetres // 10 if millimetres % 10 == 0 else millimetres / 10


def _texts(value: AttributeValue) -> list[str]:
    values = value if isinstance(value, tuple) else (value,)
    return [("Yes" if each else "No") if isinstance(each, bool) else str(each) for each in values]


def _plain(value: Any) -> Any:
    """Return a value in which numbers of the same worth are the same, and nothing empty stands."""
    if isinstance(value, Mapping):
        return {name: kept for name, each in value.items() if (kept := _plain(each)) not in (None, "", [], {})}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return Decimal(str(value)).normalize()
    return value


def _set(data: dict[str, Any], name: str, value: Any) -> None:
    if value:
        data[name] = value
    else:
        data.pop(name, None)
