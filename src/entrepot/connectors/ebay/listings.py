"""eBay's items, offers and groups, mapped to listings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from entrepot.channels.contract import (
    AttributeValue,
    ChannelListing,
    Dimensions,
    ListingImage,
    ListingRef,
    ListingStatus,
    Payload,
    image_key,
)
from entrepot.channels.html_text import plain_text
from entrepot.connectors.ebay.reading import amount, inner, objects, optional_text, text, texts
from entrepot.connectors.ebay.stock import shown

BRAND = "Brand"
_GRAMS: Mapping[str, Decimal] = {
    "GRAM": Decimal(1),
    "KILOGRAM": Decimal(1000),
    "OUNCE": Decimal("28.349523125"),
    "POUND": Decimal("453.59237"),
}
_MILLIMETRES: Mapping[str, Decimal] = {
    "CENTIMETER": Decimal(10),
    "METER": Decimal(1000),
    "INCH": Decimal("25.4"),
    "FEET": Decimal("304.8"),
}
_BARCODES = ("ean", "upc", "isbn")


def listing_of(item: Payload, offer: Payload | None, group: Payload | None) -> ChannelListing:
    """Return an item as a listing. `offer`: its offer on our marketplace; `group`: the variations that it belongs to."""
    sku = text(item, "sku")
    product, priced = inner(item, "product"), inner(offer or {}, "pricingSummary")
    whole_product = group if group is not None else product
    title = optional_text(whole_product, "title") or optional_text(product, "title") or sku
    html = optional_text(whole_product, "description") if group is not None else ""
    html = html or optional_text(offer or {}, "listingDescription") or optional_text(product, "description")
    price, compare_at = amount(priced, "price"), amount(priced, "originalRetailPrice")
    status, word = status_of(offer)
    names = option_names(group)
    aspects = aspects_of(product)
    group_key = group_key_of(item)
    return ChannelListing(
        ref=ref_of(sku, offer, group_key),
        sku=sku,
        title=optional_text(product, "title") or title,
        product_external_id=group_key or sku,
        product_title=title,
        barcode=next((codes[0] for name in _BARCODES if (codes := texts(product, name))), ""),
        price=price,
        currency=optional_text(inner(priced, "price"), "currency"),
        quantity=None if offer is None else shown(item, offer),
        active=status is ListingStatus.LIVE,
        options=tuple((name, aspects[name][0]) for name in names if aspects.get(name)),
        vendor=optional_text(product, "brand") or next(iter(aspects.get(BRAND, [])), ""),
        description=plain_text(html),
        description_html=html,
        category=optional_text(offer or {}, "categoryId"),
        images=_images(whole_product) or _images(product),
        attributes=_attributes(item, aspects, names),
        compare_at=compare_at,
        weight_g=_weight(item),
        dimensions=_dimensions(item),
        status=status,
        channel_status=word,
    )


def ref_of(sku: str, offer: Payload | None, group_key: str = "", published: str = "") -> ListingRef:
    """Return how the hub addresses an item."""
    keys: dict[str, str] = {}
    if offer is not None:
        keys["offer_id"] = text(offer, "offerId")
        keys["published"] = published or ("yes" if offer.get("status") == "PUBLISHED" else "no")
        listing_id = optional_text(inner(offer, "listing"), "listingId")
        if listing_id:
            keys["listing_id"] = listing_id
    if group_key:
        keys["group"] = group_key
    return ListingRef(sku, keys)


def group_key_of(item: Payload) -> str:
    """Return the group that an item belongs to, or empty text."""
    keys = texts(item, "inventoryItemGroupKeys") or texts(item, "groupIds")
    return keys[0] if keys else ""


def status_of(offer: Payload | None) -> tuple[ListingStatus, str]:
    """Return whether buyers see it, and eBay's own words."""
    if offer is None:
        return ListingStatus.DRAFT, "no offer"
    listing = inner(offer, "listing")
    word = optional_text(listing, "listingStatus")
    own = " ".join(filter(None, (optional_text(offer, "status"), word))).lower()
    if offer.get("status") != "PUBLISHED":
        return ListingStatus.DRAFT, own
    if listing.get("listingOnHold") is True:
        return ListingStatus.ERROR, f"{own}, on hold"
    if word in ("ENDED", "NOT_LISTED", "INACTIVE"):
        return ListingStatus.ENDED, own
    # OUT_OF_STOCK is hidden for as long as it has no stock, and comes back by itself.
    return ListingStatus.LIVE, own


def option_names(group: Payload | None) -> list[str]:
    """Return the aspects by which the items of a group differ."""
    varies = objects(inner(group or {}, "variesBy"), "specifications")
    return [text(each, "name") for each in varies]


def aspects_of(product: Payload) -> dict[str, list[str]]:
    """Return the aspects of an item. eBay's own documentation calls them a text: they are an object of lists."""
    aspects = product.get("aspects")
    if not isinstance(aspects, dict):
        return {}
    return {name: [str(each) for each in values] for name, values in aspects.items() if isinstance(values, list)}


def _attributes(item: Payload, aspects: Mapping[str, list[str]], names: list[str]) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    condition = optional_text(item, "condition")
    if condition:
        found["condition"] = condition
    for name, values in aspects.items():
        if name != BRAND and name not in names and values:
            found[name] = values[0] if len(values) == 1 else tuple(values)
    return found


def _images(product: Payload) -> tuple[ListingImage, ...]:
    return tuple(ListingImage(url, source_key=image_key(url)) for url in texts(product, "imageUrls"))


def _number(payload: Payload, name: str) -> Decimal | None:
    value = payload.get(name)
    return Decimal(str(value)) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def _weight(item: Payload) -> int | None:
    weight = inner(inner(item, "packageWeightAndSize"), "weight")
    value, unit = _number(weight, "value"), _GRAMS.get(optional_text(weight, "unit"))
    return None if value is None or unit is None else round(value * unit)


def _dimensions(item: Payload) -> Dimensions | None:
    size = inner(inner(item, "packageWeightAndSize"), "dimensions")
    unit = _MILLIMETRES.get(optional_text(size, "unit"))
    sides = [_number(size, name) for name in ("length", "width", "height")]
    if unit is None or any(each is None for each in sides):
        return None
    length, width, height = (round(each * unit) for each in sides if each is not None)
    return Dimensions(length, width, height)
