"""What became of drafts, prices and ends, one result each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from entrepot.channels.contract.listings import ListingRef
from entrepot.channels.contract.quantities import PushOutcome


@dataclass(frozen=True, slots=True)
class ChannelReason:
    """Why the channel refuses something, or what it would rather have, in plain words.

    `field`: the field of the draft that it concerns (a `ListingField`, or an attribute's name), empty where the channel does
    not say. `variant_key`: the variant that it concerns, empty for the product. `blocking` False: only a warning.
    """

    detail: str
    field: str = ""
    code: str = ""
    variant_key: str = ""
    blocking: bool = True


@dataclass(frozen=True, slots=True)
class ListingResult:
    """What became of one draft or end, by its `key`. APPLIED: the channel has taken it.

    `external_id`: the product on the channel. `refs`: its listings by the variant's key (of a draft). An APPLIED result may carry
    reasons that do not block, and such as concern one variant that was refused while the others were taken.
    """

    key: str
    outcome: PushOutcome
    external_id: str = ""
    refs: Mapping[str, ListingRef] = field(default_factory=dict)
    reasons: tuple[ChannelReason, ...] = ()
    product_version: str = ""


@dataclass(frozen=True, slots=True)
class ListingReceipt:
    """One result per draft or end; `handle` where outcomes are PENDING."""

    results: tuple[ListingResult, ...]
    handle: str | None = None


@dataclass(frozen=True, slots=True)
class PriceResult:
    """What became of one price, by its listing's external id. `reported`: what the channel says it shows."""

    external_id: str
    outcome: PushOutcome
    reported: Decimal | None = None
    reasons: tuple[ChannelReason, ...] = ()


@dataclass(frozen=True, slots=True)
class PriceReceipt:
    """One result per change; `handle` where outcomes are PENDING."""

    results: tuple[PriceResult, ...]
    handle: str | None = None
