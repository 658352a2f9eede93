"""Values that cross the wall of the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from entrepot.kernel.errors import Conflict, InvalidInput, NotFound


@dataclass(frozen=True, slots=True)
class NewVariant:
    """A variant to be made or updated. Money in minor units."""

    sku: str
    price_minor: int
    currency: str
    title: str = ""
    barcode: str = ""
    option_values: tuple[str, ...] = ()
    compare_at_minor: int | None = None
    cost_minor: int | None = None
    weight_g: int | None = None


@dataclass(frozen=True, slots=True)
class NewProduct:
    """A product with its variants, by handle."""

    handle: str
    title: str
    variants: tuple[NewVariant, ...]
    description: str = ""
    vendor: str = ""
    product_type: str = ""
    tags: tuple[str, ...] = ()
    option_names: tuple[str, ...] = ()
    image_url: str = ""
    status: str = "active"


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
