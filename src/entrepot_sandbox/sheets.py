"""What a channel shows of a product beside its stock: one sheet for all of its variants, which the seller writes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from entrepot_sandbox.books import Listing


@dataclass(slots=True)
class Picture:
    """A picture of a product: the channel's own id and copy, and what it shows."""

    id: str
    url: str
    alt: str = ""


@dataclass(slots=True)
class Sheet:
    """A product on a channel. `status` is the channel's own word. `extra` is the marketplace module's own."""

    id: str
    title: str
    status: str
    created_at: datetime
    updated_at: datetime
    listings: list[Listing] = field(default_factory=list)
    handle: str = ""
    description_html: str = ""
    vendor: str = ""
    product_type: str = ""
    category: str = ""
    tags: list[str] = field(default_factory=list)
    option_names: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    seo_title: str = ""
    seo_description: str = ""
    version: int = 1
    shown: bool = True
    """Whether buyers see it."""
    extra: dict[str, Any] = field(default_factory=dict)

    def touch(self, now: datetime) -> None:
        """Note that something about it changed."""
        self.version += 1
        self.updated_at = now


class Edit(msgspec.Struct, forbid_unknown_fields=True):
    """What a person does to a product in the channel's own admin: only what is given is changed.

    `sku` names the variant (and so its product). `price` and `compare_at` as text in major units.
    """

    channel: str
    sku: str
    title: str | None = None
    description_html: str | None = None
    vendor: str | None = None
    product_type: str | None = None
    tags: list[str] | None = None
    price: Decimal | None = None
    compare_at: Decimal | None = None
    barcode: str | None = None
    shown: bool | None = None
    deleted: bool = False


def apply(edit: Edit, listing: Listing, sheet: Sheet, now: datetime) -> None:
    """Make the changes that every channel has in common."""
    for name in ("title", "description_html", "vendor", "product_type", "shown"):
        value = getattr(edit, name)
        if value is not None:
            setattr(sheet, name, value)
    if edit.tags is not None:
        sheet.tags = list(edit.tags)
    product = listing.product
    if edit.title is not None and len(sheet.listings) == 1:
        product = replace(product, title=edit.title)
    if edit.price is not None:
        product = replace(product, price=edit.price)
    if edit.barcode is not None:
        product = replace(product, barcode=edit.barcode)
    if edit.compare_at is not None:
        listing.compare_at = edit.compare_at
    listing.product = product
    listing.updated_at = now
    sheet.touch(now)
