"""What a channel is to show: whole products, prices, and which listings are to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from entrepot.channels.contract.listings import AttributeValue, Dimensions, ListingImage, ListingRef


@dataclass(frozen=True, slots=True)
class VariantDraft:
    """One sellable form of a product as the channel shall show it. Money in major units of `currency`.

    `key` is ours, stable, and unique in the product (the variant's id). `ref` is its listing on the channel where that
    is known. `options`: one value for each of the product's `option_names`. `attributes` come on top of the product's.
    """

    key: str
    sku: str
    price: Decimal
    currency: str
    options: tuple[str, ...] = ()
    barcode: str = ""
    compare_at: Decimal | None = None
    weight_g: int | None = None
    dimensions: Dimensions | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    ref: ListingRef | None = None


@dataclass(frozen=True, slots=True)
class ListingDraft:
    """A product with its variants, whole, as the channel shall show it.

    `key` is ours and stable (the product's id on this connection): the same key never makes a second product on the
    channel, whatever became of an earlier call. `handle`: the words of its address, where the channel has one.
    `external_id`: the product on the channel, empty where it is not known. `description` is simple HTML; a channel that
    takes plain text gets its text. `images` None: those on the channel stay as they are. `category`: the channel's own name
    or id of a category (Amazon's product type).
    `attributes`: by the channel's own names; a dot goes into a nested one (`item_weight.value`). `published` False: made or
    changed, but not shown. `expected_version`: the `ChannelListing.product_version` that the draft rests on; where
    the channel compares it and has another one by now, nothing is written and the outcome is STALE. Empty: not compared.
    """

    key: str
    title: str
    variants: tuple[VariantDraft, ...]
    handle: str = ""
    external_id: str = ""
    description: str = ""
    vendor: str = ""
    product_type: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    option_names: tuple[str, ...] = ()
    images: tuple[ListingImage, ...] | None = None
    seo_title: str = ""
    seo_description: str = ""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    published: bool = True
    expected_version: str = ""


@dataclass(frozen=True, slots=True)
class ListingBatch:
    """Drafts sent together. Sent again after a lost answer, it is the same batch with the same key.

    `at`: when the hub made the batch (aware UTC).
    """

    idempotency_key: str
    drafts: tuple[ListingDraft, ...]
    at: datetime


class EndKind(StrEnum):
    """How a listing ends. A manifest names those that its channel can do (`listing_ends`)."""

    UNPUBLISH = "unpublish"
    """Not shown, but there: pushing its draft again shows it again."""
    ARCHIVE = "archive"
    """Put away, with its history."""
    DELETE = "delete"
    """Gone from the channel, for good."""


@dataclass(frozen=True, slots=True)
class ListingEnd:
    """End a product on the channel: all of it, or only the variants in `refs` where `whole` is False.

    `refs`: its listings as known. `key` is the draft's.
    """

    key: str
    external_id: str
    refs: tuple[ListingRef, ...]
    kind: EndKind
    whole: bool = True


@dataclass(frozen=True, slots=True)
class EndBatch:
    """Listings to be ended together. Ending what has ended already, or is not there any more, is APPLIED."""

    idempotency_key: str
    ends: tuple[ListingEnd, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class PriceChange:
    """Make listing `ref` cost `price` (major units of `currency`).

    `compare_at`: the price before a reduction; None: the channel shall show none. `from_price`: the last acknowledged
    one; a channel that compares (`Manifest.price_compared`) and shows neither it nor `price` answers STALE. None: not
    compared. `product_external_id`: as in `ChannelListing`.
    """

    ref: ListingRef
    sku: str
    product_external_id: str
    price: Decimal
    currency: str
    compare_at: Decimal | None = None
    from_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PriceBatch:
    """Price changes sent together. Sent again after a lost answer, it is the same batch with the same key."""

    idempotency_key: str
    changes: tuple[PriceChange, ...]
    at: datetime
