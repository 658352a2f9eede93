"""What a simulated Printful keeps: blank products, the store's products, orders, parcels."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

Json = dict[str, Any]


@dataclass(slots=True)
class Variant:
    """A blank product in a size and colour. `price`: what Printful asks for it, printed."""

    id: int
    product_id: int
    name: str
    color: str
    size: str
    price: Decimal
    out_of_stock: bool = False


@dataclass(slots=True)
class Blank:
    """A product of Printful's catalog."""

    id: int
    name: str
    techniques: tuple[str, ...]
    variants: list[Variant] = field(default_factory=list)


@dataclass(slots=True)
class StoreVariant:
    """A variant of the store, with its design."""

    id: int
    sku: str
    name: str
    retail_price: Decimal
    variant: Variant


@dataclass(slots=True)
class StoreProduct:
    """A product of the store."""

    id: int
    name: str
    variants: list[StoreVariant] = field(default_factory=list)


@dataclass(slots=True)
class Item:
    """A line of an order."""

    id: int
    external_id: str | None
    variant: Variant
    quantity: int
    name: str
    retail_price: Decimal | None
    placements: list[Json]
    product_options: list[Json]
    sync_variant_id: int | None = None


@dataclass(slots=True)
class Parcel:
    """Units of items that go together."""

    id: int
    units: dict[int, int]
    """Item id -> units."""
    created_at: datetime
    status: str = "pending"
    tracking_number: str = ""
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    is_reshipment: bool = False


@dataclass(slots=True)
class Order:
    """An order. `costs_ready_at`: by the monotonic clock, when its costs are worked out. `held_steps`: how long a hold
    still lasts, None: until somebody ends it."""

    id: int
    external_id: str | None
    shipping: str
    recipient: Json
    items: list[Item]
    retail: Json
    customization: Json
    created_at: datetime
    updated_at: datetime
    costs_ready_at: float
    status: str = "draft"
    reason: str = ""
    parcels: list[Parcel] = field(default_factory=list)
    held_steps: int | None = None
    status_before_hold: str = ""

    @property
    def subtotal(self) -> Decimal:
        """What its items cost."""
        return sum((each.variant.price * each.quantity for each in self.items), Decimal(0))

    @property
    def shipping_cost(self) -> Decimal:
        """What sending it costs: the more units, the less each."""
        units = sum(each.quantity for each in self.items)
        return Decimal("4.29") + Decimal("1.50") * max(0, units - 1)

    @property
    def units(self) -> int:
        """How many units are in it."""
        return sum(each.quantity for each in self.items)
