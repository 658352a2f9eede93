"""The hub's drafts as Square's items, and Square's objections in the hub's words. Pure.

An item is written whole: what is left out would be cleared. So a draft is laid over the item as Square has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from entrepot.channels.contract import (
    ChannelReason,
    ConnectorError,
    ListingDraft,
    ListingField,
    ListingRef,
    VariantDraft,
)
from entrepot.channels.html_text import with_tags
from entrepot.connectors.square.errors import SquareRejected
from entrepot.connectors.square.manifest import HTML_TAGS
from entrepot.connectors.square.reading import inner, listing_id, objects, optional_text, text, variation_of
from entrepot.kernel.money import exponent, to_minor

Json = Mapping[str, Any]
NEW_ITEM = "#item"
PLAIN_NAME = "Regular"
_MARK = "entrepot/"
_READ_ONLY = ("updated_at", "created_at", "is_deleted", "catalog_v1_ids")
_READ_ONLY_DATA = ("description", "description_plaintext", "ordinal", "channels", "ecom_available", "ecom_visibility")
_FIELDS: Mapping[str, ListingField] = {
    "name": ListingField.TITLE,
    "description_html": ListingField.DESCRIPTION,
    "ecom_seo_data": ListingField.SEO_TITLE,
    "sku": ListingField.SKU,
    "upc": ListingField.BARCODE,
    "price_money": ListingField.PRICE,
    "is_archived": ListingField.STATUS,
}
_VARIATION = re.compile(r"variations\[(\d+)\]")


def mark_of(draft_key: str, variant_key: str) -> str:
    """Return what a variation carries so that it is known again."""
    return f"{_MARK}{draft_key}/{variant_key}"


def managed_key(variation: Json) -> str:
    """Return the key of the draft that a variation was made from, empty for others."""
    mark = optional_text(inner(variation, "item_variation_data"), "user_data")
    return mark.removeprefix(_MARK).partition("/")[0] if mark.startswith(_MARK) else ""


def version_of(item: Json) -> str:
    """Return the version of an item with its variations."""
    variations = objects(inner(item, "item_data"), "variations")
    return str(max(int(each.get("version") or 0) for each in (item, *variations)))


def writable(thing: Json) -> dict[str, Any]:
    """Return an object without what Square writes itself, ready to be changed and sent back."""
    copy: dict[str, Any] = {name: value for name, value in thing.items() if name not in _READ_ONLY}
    for name in ("item_data", "item_variation_data"):
        if isinstance(copy.get(name), dict):
            copy[name] = {key: value for key, value in copy[name].items() if key not in _READ_ONLY_DATA}
    data = copy.get("item_data")
    if isinstance(data, dict):
        data["variations"] = [writable(each) for each in objects(data, "variations")]
    return copy


def item_of(draft: ListingDraft, current: Json | None, location_id: str) -> dict[str, Any]:
    """Return the item that a draft asks for; equal to `writable(current)` where there is nothing to change."""
    item: dict[str, Any] = {"type": "ITEM", "id": NEW_ITEM, "item_data": {}}
    if current is not None:
        item = writable(current)
    data: dict[str, Any] = item["item_data"]
    if current is None:
        data["product_type"] = "REGULAR"
    data["name"] = draft.title
    _set(data, "description_html", with_tags(draft.description, HTML_TAGS))
    _set(data, "ecom_seo_data", _seo(inner(data, "ecom_seo_data"), draft))
    if data.get("is_archived") is True or current is None:
        data["is_archived"] = False
    there = objects(data, "variations") if current is not None else []
    known = matched(draft, there)
    data["variations"] = [
        _variation(draft, each, known.get(each.key), item["id"], location_id, place)
        for place, each in enumerate(draft.variants)
    ]
    show(item, location_id, shown=draft.published)
    return item


def matched(draft: ListingDraft, there: Sequence[Json]) -> dict[str, Json]:
    """Return the variations that are the draft's, by variant key: by id, else our mark, else the SKU."""
    found: dict[str, Json] = {}
    free = list(there)
    for same in (_same_id, _same_mark, _same_sku):
        for variant in draft.variants:
            if variant.key in found:
                continue
            match = next((each for each in free if same(draft, variant, each)), None)
            if match is not None:
                found[variant.key] = match
                free = [each for each in free if each is not match]
    return found


def _same_id(draft: ListingDraft, variant: VariantDraft, thing: Json) -> bool:
    return variant.ref is not None and thing.get("id") == variation_of(variant.ref.external_id)


def _same_mark(draft: ListingDraft, variant: VariantDraft, thing: Json) -> bool:
    return inner(thing, "item_variation_data").get("user_data") == mark_of(draft.key, variant.key)


def _same_sku(draft: ListingDraft, variant: VariantDraft, thing: Json) -> bool:
    sku = optional_text(inner(thing, "item_variation_data"), "sku").strip()
    return bool(sku) and sku == variant.sku


def _variation(
    draft: ListingDraft, variant: VariantDraft, known: Json | None, item_id: str, location_id: str, place: int
) -> dict[str, Any]:
    thing: dict[str, Any] = {"type": "ITEM_VARIATION", "id": f"#variation{place}"}
    if known is not None:
        thing = writable(known)
    data: dict[str, Any] = thing.setdefault("item_variation_data", {})
    data["item_id"] = item_id
    data["name"] = " / ".join(variant.options) or PLAIN_NAME
    _set(data, "sku", variant.sku)
    _set(data, "upc", variant.barcode)
    if known is None:
        data |= {"track_inventory": True, "sellable": True, "stockable": True}
    set_price(thing, variant.price, variant.currency, location_id)
    if not data.get("user_data") or managed_key(thing):
        data["user_data"] = mark_of(draft.key, variant.key)
    show(thing, location_id, shown=draft.published)
    return thing


def set_price(variation: dict[str, Any], price: Decimal, currency: str, location_id: str) -> None:
    """Set the price where it counts: at our location if that has one of its own, else the variation's."""
    data = variation["item_variation_data"]
    money = {"amount": to_minor(price, currency), "currency": currency}
    overrides = [dict(each) for each in objects(data, "location_overrides")]
    own = next((each for each in overrides if each.get("location_id") == location_id and each.get("price_money")), None)
    if own is not None:
        own["price_money"] = money
        data["location_overrides"] = overrides
        return
    data["pricing_type"] = "FIXED_PRICING"
    data["price_money"] = money


def show(thing: dict[str, Any], location_id: str, *, shown: bool) -> None:
    """Make an object present at our location, or not; other locations stay as they are."""
    everywhere = thing.get("present_at_all_locations") is not False and not str(thing["id"]).startswith("#")
    name = "absent_at_location_ids" if everywhere else "present_at_location_ids"
    listed = [each for each in thing.get(name) or () if each != location_id]
    if shown is not everywhere:
        listed.append(location_id)
    if not everywhere:
        thing["present_at_all_locations"] = False
    _set(thing, name, listed)


def _seo(known: Json, draft: ListingDraft) -> dict[str, Any]:
    seo = dict(known)
    _set(seo, "page_title", draft.seo_title)
    _set(seo, "page_description", draft.seo_description)
    return seo


def _set(data: dict[str, Any], name: str, value: Any) -> None:
    """Set a field; one that is empty is left out, which clears it."""
    if value:
        data[name] = value
    else:
        data.pop(name, None)


def refs_of(
    draft: ListingDraft, sent: Json, ids: Mapping[str, str], location_id: str, item_id: str
) -> dict[str, ListingRef]:
    """Return the listings of the draft's variants by their keys. `sent`: the item as it was sent."""
    found: dict[str, ListingRef] = {}
    for variant, thing in zip(draft.variants, objects(inner(sent, "item_data"), "variations"), strict=True):
        own = text(thing, "id")
        keys = {"variation_id": ids.get(own, own), "item_id": item_id, "tracked": tracked(thing, location_id)}
        found[variant.key] = ListingRef(listing_id(keys["variation_id"], location_id), keys)
    return found


def tracked(variation: Json, location_id: str) -> str:
    """Return whether Square counts a variation at the location: `true`, `false`, or empty where it does not say."""
    own = inner(variation, "item_variation_data")
    overrides = objects(own, "location_overrides")
    here: Json = next((each for each in overrides if each.get("location_id") == location_id), {})
    tracks = here["track_inventory"] if isinstance(here.get("track_inventory"), bool) else own.get("track_inventory")
    return str(tracks).lower() if isinstance(tracks, bool) else ""


def misfit(draft: ListingDraft) -> ChannelReason | None:
    """Return why a draft cannot be sent at all, None if it can."""
    if not draft.variants:
        return ChannelReason("The product has no variant.", "variants", "NO_VARIANT")
    for variant in draft.variants:
        if not variant.sku:
            detail = "Square is told the variant by its SKU: give it one."
            return ChannelReason(detail, ListingField.SKU, "NO_SKU", variant.key)
        places = exponent(variant.currency)
        if variant.price != round(variant.price, places):
            detail = f"{variant.price} has more than the {places} decimals that {variant.currency} has."
            return ChannelReason(detail, ListingField.PRICE, "PRICE", variant.key)
    return None


def reasons_of(error: ConnectorError, variants: Sequence[VariantDraft] = ()) -> tuple[ChannelReason, ...]:
    """Return what Square objects to, with the field and the variant that it names."""
    fields = error.fields if isinstance(error, SquareRejected) else ()
    if not fields:
        return (ChannelReason(error.detail, code=error.code),)
    reasons = []
    for path in fields:
        index = int(match[1]) if (match := _VARIATION.search(path)) else None
        last = next((part for part in reversed(re.split(r"[.\[\]]+", path)) if part in _FIELDS), "")
        named = "" if not last else ListingField.OPTIONS if last == "name" and index is not None else _FIELDS[last]
        key = variants[index].key if index is not None and index < len(variants) else ""
        reasons.append(ChannelReason(error.detail, named, error.code, key))
    return tuple(reasons)
