"""Values that cross the wall of the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from entrepot.kernel.errors import Conflict, InvalidInput, NotFound


@dataclass(frozen=True, slots=True)
class Image:
    """A picture of a product, at an address that channels can read."""

    url: str
    alt: str = ""


@dataclass(frozen=True, slots=True)
class NewVariant:
    """A variant to be made or updated. Money in minor units. None: not known; what is there stays."""

    sku: str
    price_minor: int
    currency: str
    title: str = ""
    barcode: str = ""
    option_values: tuple[str, ...] = ()
    compare_at_minor: int | None = None
    cost_minor: int | None = None
    weight_g: int | None = None
    length_mm: int | None = None
    width_mm: int | None = None
    height_mm: int | None = None
    image_url: str | None = None


@dataclass(frozen=True, slots=True)
class NewProduct:
    """A product with its variants, by handle. None: not known; what is there stays.

    `category`: names from the root down, made where they are missing.
    """

    handle: str
    title: str
    variants: tuple[NewVariant, ...]
    description: str = ""
    vendor: str = ""
    product_type: str = ""
    tags: tuple[str, ...] = ()
    option_names: tuple[str, ...] = ()
    images: tuple[Image, ...] | None = None
    status: str = "active"
    category: tuple[str, ...] | None = None
    seo_title: str | None = None
    seo_description: str | None = None
    attributes: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A variant on a connection. `variant_id` None: not matched yet."""

    id: UUID
    connection_id: UUID
    variant_id: UUID | None
    external_id: str
    sku: str | None
    keys: Mapping[str, str] = field(default_factory=dict)


class SkuTaken(Conflict):
    """Another variant has this SKU."""


class VariantNotFound(NotFound):
    """There is no such variant."""


class ProductNotFound(NotFound):
    """There is no such product."""


class InvalidProduct(InvalidInput):
    """The product is not valid."""
