"""Listings as a channel has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class ListingRef:
    """What a channel needs to address a listing: its id there and further ids (inventory item, location, ...)."""

    external_id: str
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChannelListing:
    """A sellable thing as the channel has it now. `quantity` None: not tracked or not told."""

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
