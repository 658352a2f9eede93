"""Listings as a channel has them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

AttributeScalar = str | int | bool | Decimal
AttributeValue = AttributeScalar | tuple[AttributeScalar, ...]
"""An attribute's value, or several where the channel takes several."""


@dataclass(frozen=True, slots=True)
class ListingRef:
    """What a channel needs to address a listing: its id there and further ids (inventory item, location, ...)."""

    external_id: str
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListingImage:
    """A picture: where it is to be fetched, and what it shows for those who cannot see it. Size 0: not known.

    `source_key`: on a picture read from a channel, the `image_key` of the address it was made from, where it can be told;
    the same as that of the picture in our draft means the same picture.
    """

    url: str
    alt_text: str = ""
    width_px: int = 0
    height_px: int = 0
    source_key: str = ""


def image_key(url: str) -> str:
    """Return a short key for the address of a picture, by which a channel's copy can be told. Pure."""
    return hashlib.sha256(url.encode()).hexdigest()[:20]


class ListingStatus(StrEnum):
    """Whether buyers see a listing, mapped from the channel's own word."""

    LIVE = "live"
    DRAFT = "draft"
    """There, but not shown: not published yet, or unpublished."""
    ENDED = "ended"
    """Archived, closed or switched off for good."""
    ERROR = "error"
    """The channel does not show it because something is wrong with it."""


class ListingField(StrEnum):
    """A field of a listing. A manifest names those that its channel keeps and tells again (`listing_fields`)."""

    TITLE = "title"
    DESCRIPTION = "description"
    VENDOR = "vendor"
    PRODUCT_TYPE = "product_type"
    CATEGORY = "category"
    TAGS = "tags"
    OPTIONS = "options"
    IMAGES = "images"
    SEO_TITLE = "seo_title"
    SEO_DESCRIPTION = "seo_description"
    ATTRIBUTES = "attributes"
    STATUS = "status"
    SKU = "sku"
    BARCODE = "barcode"
    PRICE = "price"
    COMPARE_AT = "compare_at"
    WEIGHT = "weight_g"
    DIMENSIONS = "dimensions"


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Outer measures in millimetres."""

    length_mm: int
    width_mm: int
    height_mm: int


@dataclass(frozen=True, slots=True)
class ChannelListing:
    """A sellable thing as the channel has it now. `quantity` None: not tracked or not told.

    `product_*`, `description`, `vendor`, `tags`, `images` and `seo_*` are the product's, the same for each of its
    variants. `description` is plain text; `description_html` is it as the channel keeps it, empty where it keeps plain
    text only. `images`: the addresses may be of the channel's own copies; None: this reading does not tell them.
    `updated_at` is by the channel's clock.
    `product_version`: what the channel counts or stamps with every change of the product, empty where it has none.
    `managed_key`: the `key` of our draft that made it, where the channel remembers it.
    """

    ref: ListingRef
    sku: str | None
    title: str
    product_external_id: str
    product_title: str
    barcode: str = ""
    price: Decimal | None = None
    currency: str = ""
    quantity: int | None = None
    active: bool = True
    options: tuple[tuple[str, str], ...] = ()
    vendor: str = ""
    product_type: str = ""
    description: str = ""
    description_html: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    images: tuple[ListingImage, ...] | None = None
    seo_title: str = ""
    seo_description: str = ""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    compare_at: Decimal | None = None
    weight_g: int | None = None
    dimensions: Dimensions | None = None
    status: ListingStatus | None = None
    channel_status: str = ""
    """The channel's own word(s), for people."""
    updated_at: datetime | None = None
    product_version: str = ""
    managed_key: str = ""
