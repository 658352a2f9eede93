"""Shopify's products as the hub's listings. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from entrepot.channels.contract import ChannelListing, ListingImage, ListingRef, ListingStatus, UnexpectedAnswer
from entrepot.connectors.shopify import listing_shapes, shapes
from entrepot.connectors.shopify.mapping import number_of, utc_of

NO_OPTION, NO_TITLE = "Title", "Default Title"
"""What Shopify calls the only option and the only variant of a product without options."""
_LISTED = frozenset({"ACTIVE", "UNLISTED"})
_STATUSES = {
    "ACTIVE": ListingStatus.LIVE,
    "UNLISTED": ListingStatus.LIVE,
    "DRAFT": ListingStatus.DRAFT,
    "ARCHIVED": ListingStatus.ENDED,
}
_GRAMS = {
    "GRAMS": Decimal(1),
    "KILOGRAMS": Decimal(1000),
    "OUNCES": Decimal("28.349523125"),
    "POUNDS": Decimal("453.59237"),
}
_OUR_FILE = re.compile(r"/entrepot-([0-9a-f]{20})\b")


def listing_of(
    variant: shapes.Variant,
    currency: str,
    location: str,
    product: shapes.Product | None = None,
    images: tuple[ListingImage, ...] | None = None,
) -> ChannelListing:
    """Map a product variant. `location`: the plain number of the location whose stock we keep; `product`: where it
    is not told inside of the variant; `images`: the product's, where they were read."""
    product = product or variant.product
    if product is None:
        raise UnexpectedAnswer("Shopify sent a variant without its product")
    item = variant.inventory_item
    is_single = variant.title == NO_TITLE
    seo = product.seo or shapes.Seo()
    return ChannelListing(
        ref=ref_of(variant.id, item.id, location),
        sku=variant.sku or None,
        title=product.title if is_single else f"{product.title} - {variant.title}",
        product_external_id=number_of(product.id),
        product_title=product.title,
        barcode=variant.barcode or "",
        price=variant.price,
        compare_at=variant.compare_at_price,
        currency=currency,
        quantity=available_of(item.tracked, item.inventory_level),
        active=product.status in _LISTED,
        options=() if is_single else tuple((option.name, option.value) for option in variant.selected_options),
        vendor=product.vendor or "",
        product_type=product.product_type or "",
        description=product.description or "",
        description_html=product.description_html or "",
        category=product.category.id if product.category else "",
        tags=tuple(product.tags),
        images=images,
        seo_title=seo.title or "",
        seo_description=seo.description or "",
        weight_g=_grams(item.measurement.weight if item.measurement else None),
        status=_STATUSES.get(product.status),
        channel_status=product.status.lower(),
        updated_at=utc_of(product.updated_at) if product.updated_at else None,
        product_version=product.updated_at.isoformat() if product.updated_at else "",
        managed_key=product.metafield.value if product.metafield else "",
    )


def ref_of(variant_gid: str, item_gid: str, location: str) -> ListingRef:
    """Return how the hub addresses a variant."""
    return ListingRef(number_of(variant_gid), {"inventory_item": number_of(item_gid), "location": location})


def images_of(media: Sequence[listing_shapes.Media]) -> tuple[ListingImage, ...]:
    """Return the pictures among a product's media; one that Shopify still works on has no address yet."""
    return tuple(
        ListingImage(
            url=each.image.url,
            alt_text=each.alt or "",
            width_px=each.image.width or 0,
            height_px=each.image.height or 0,
            source_key=source_key_of(each.image.url),
        )
        for each in media
        if each.image is not None
    )


def source_key_of(url: str) -> str:
    """Return what a picture that we sent was made from, by the name that we gave the file; empty for others."""
    match = _OUR_FILE.search(url)
    return match[1] if match else ""


def file_name_of(source_key: str, url: str) -> str:
    """Return the name under which a picture is sent, so that it is known again."""
    ending = url.partition("?")[0].rpartition(".")[2].lower()
    return f"entrepot-{source_key}.{ending if re.fullmatch('[a-z]{3,4}', ending) else 'jpg'}"


def _grams(weight: shapes.Weight | None) -> int | None:
    if weight is None or weight.unit not in _GRAMS or not weight.value:
        return None
    return int((weight.value * _GRAMS[weight.unit]).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def available_of(is_tracked: bool, level: shapes.Level | None) -> int | None:
    """Return the available units of an inventory item at our location, or None: not tracked, or not stocked there."""
    if not is_tracked or level is None:
        return None
    return next((each.quantity for each in level.quantities if each.name == "available"), None)
