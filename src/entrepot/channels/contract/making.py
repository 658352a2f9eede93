"""Orders that somebody else makes or sends for us: print on demand, a fulfilment service.

Two steps, each safe to repeat: a draft that costs nothing, and its confirmation, which does. The maker's orders are
found by an id of ours, so that nothing is ordered twice whatever becomes of an answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from entrepot.channels.contract.answers import WebhookEvent
from entrepot.channels.contract.listings import AttributeValue, ListingRef
from entrepot.channels.contract.orders import Address

EXTERNAL_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
"""What an external id may be: the least that makers take. A UUID goes as its 32 hexadecimal digits."""


# ---- what is asked for -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DesignLayer:
    """A picture that is printed: where the maker fetches it. `position` in the maker's unit; empty: centred."""

    url: str
    position: Mapping[str, Decimal] = field(default_factory=dict)
    options: Mapping[str, AttributeValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placement:
    """A part of a product that is printed (front, left_sleeve), how, and with what; the first layer lies deepest."""

    name: str
    technique: str
    layers: tuple[DesignLayer, ...]
    options: Mapping[str, AttributeValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MakingLine:
    """So many units of a variant. `key`: ours, the same for the same goods of the same sale, unique over all orders.

    `ref`: the variant as the maker lists it. `placements`: its design; empty where the maker keeps the design itself.
    `retail_price`: what the buyer paid for one (for customs and the packing slip), in `RetailCosts.currency`.
    """

    key: str
    ref: ListingRef
    quantity: int
    title: str = ""
    retail_price: Decimal | None = None
    placements: tuple[Placement, ...] = ()
    options: Mapping[str, AttributeValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetailCosts:
    """What the buyer paid beside the goods, in major units."""

    currency: str
    shipping: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    discount: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class MakingDraft:
    """An order to the maker. `external_id` (see EXTERNAL_ID) is ours: under one id there never is a second order.

    `number`: what the buyer knows the order by, for the packing slip. `shipping_method`: the maker's own name of it,
    empty for its usual one.
    """

    external_id: str
    recipient: Address
    lines: tuple[MakingLine, ...]
    recipient_email: str = ""
    number: str = ""
    message: str = ""
    shipping_method: str = ""
    retail: RetailCosts | None = None


@dataclass(frozen=True, slots=True)
class MakingConfirmation:
    """Have a draft made, and be charged for it.

    `cost_max`: not if the maker asks for more than that, in `currency`; None: whatever it costs. `again`: also one that
    failed, after a person mended what was wrong; without it a repetition never sends a failed order anew.
    """

    external_id: str
    cost_max: Decimal | None = None
    currency: str = ""
    again: bool = False


# ---- what becomes of it ------------------------------------------------------------------------------------------


class MakingOutcome(StrEnum):
    """What became of a step."""

    DONE = "done"
    """It is as was asked, by this call or by an earlier one."""
    NOT_YET = "not_yet"
    """The maker is not ready for it: ask again in a few seconds. Nothing was changed."""
    REFUSED = "refused"
    """It can never work as it is: a person must look."""
    TOO_LATE = "too_late"
    """It cannot be cancelled any more."""
    UNKNOWN = "unknown"
    """The answer was lost, and looking did not help: repeat the same step."""


class MakingStatus(StrEnum):
    """Where an order at a maker stands, mapped from the maker's own word."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    """Confirmed, not accepted yet."""
    MAKING = "making"
    PARTLY_SHIPPED = "partly_shipped"
    SHIPPED = "shipped"
    ON_HOLD = "on_hold"
    """Stopped until something is settled with the maker."""
    FAILED = "failed"
    """Confirmed and not accepted; it can be mended and sent again."""
    CANCELLED = "cancelled"


_AFTER: Mapping[MakingStatus, frozenset[MakingStatus]] = {
    MakingStatus.DRAFT: frozenset(MakingStatus) - {MakingStatus.DRAFT},
    MakingStatus.SUBMITTED: frozenset(MakingStatus) - {MakingStatus.DRAFT, MakingStatus.SUBMITTED},
    MakingStatus.FAILED: frozenset(MakingStatus) - {MakingStatus.DRAFT, MakingStatus.FAILED},
    MakingStatus.MAKING: frozenset(
        {
            MakingStatus.PARTLY_SHIPPED,
            MakingStatus.SHIPPED,
            MakingStatus.ON_HOLD,
            MakingStatus.FAILED,
            MakingStatus.CANCELLED,
        }
    ),
    MakingStatus.ON_HOLD: frozenset(MakingStatus) - {MakingStatus.DRAFT, MakingStatus.ON_HOLD},
    MakingStatus.PARTLY_SHIPPED: frozenset({MakingStatus.SHIPPED, MakingStatus.ON_HOLD, MakingStatus.CANCELLED}),
    MakingStatus.SHIPPED: frozenset(),
    MakingStatus.CANCELLED: frozenset(),
}


def status_follows(before: MakingStatus, after: MakingStatus) -> bool:
    """Return whether a status may be followed by another: forward only, with holds and failures that can be mended. Pure."""
    return after in _AFTER[before]


class CostsState(StrEnum):
    """Whether the maker has worked out what an order costs."""

    CALCULATING = "calculating"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class MakingCosts:
    """What the maker asks for, in major units; `fees`: all that has no name of its own here. Amounts count if READY."""

    state: CostsState
    currency: str = ""
    items: Decimal = Decimal(0)
    shipping: Decimal = Decimal(0)
    discount: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    total: Decimal | None = None


@dataclass(frozen=True, slots=True)
class MadeLine:
    """A line as the maker has it. `key`: ours, empty where it is not of us. `problem`: what is wrong with it, in words."""

    key: str
    maker_id: str
    variant_id: str
    quantity: int
    unit_cost: Decimal | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class MadeOrder:
    """An order as the maker has it now. Times by the maker's clock; `channel_status`: its own word; `reason`: why it
    stands still, in words."""

    external_id: str
    maker_id: str
    status: MakingStatus
    created_at: datetime
    updated_at: datetime
    lines: tuple[MadeLine, ...]
    costs: MakingCosts
    shipping_method: str = ""
    channel_status: str = ""
    reason: str = ""


def newer_making(known: MadeOrder, read: MadeOrder) -> MadeOrder:
    """Return what is to be believed after a reading: never an older one, never a status that goes back. Pure."""
    if read.updated_at < known.updated_at:
        return known
    return read if read.status is known.status or status_follows(known.status, read.status) else known


@dataclass(frozen=True, slots=True)
class MakingResult:
    """The outcome of a step, and the order as it is now where that is known; `code` and `detail` say why it is not DONE."""

    external_id: str
    outcome: MakingOutcome
    order: MadeOrder | None = None
    code: str = ""
    detail: str = ""


class ShipmentStatus(StrEnum):
    """Where a maker's parcel stands."""

    WAITING = "waiting"
    PACKED = "packed"
    SENT = "sent"
    DELIVERED = "delivered"
    ON_HOLD = "on_hold"
    OUT_OF_STOCK = "out_of_stock"
    RETURNED = "returned"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ShipmentLine:
    """So many units of a line in a parcel; `key` is ours, empty where the maker does not tell it."""

    key: str
    maker_line_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class TrackingEvent:
    """What the carrier told of a parcel, in its own words."""

    at: datetime
    words: str


@dataclass(frozen=True, slots=True)
class MadeShipment:
    """A parcel of the maker. `replaces`: sent again for one that went wrong. `delivery`: the carrier's news in the
    maker's own word. `lines` is empty where this reading does not tell them."""

    maker_id: str
    order_maker_id: str
    external_id: str
    status: ShipmentStatus
    carrier: str = ""
    service: str = ""
    tracking_number: str = ""
    tracking_url: str = ""
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    expected_from: date | None = None
    expected_to: date | None = None
    departs_from: str = ""
    """ISO 3166-1 alpha-2."""
    replaces: bool = False
    delivery: str = ""
    lines: tuple[ShipmentLine, ...] = ()
    events: tuple[TrackingEvent, ...] = ()


# ---- estimates and availability ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EstimateReceipt:
    """What an order would cost; `handle` where it is still being worked out: follow it."""

    costs: MakingCosts | None = None
    handle: str | None = None


class Availability(StrEnum):
    """Whether a variant can be made now. Makers do not count it."""

    AVAILABLE = "available"
    OUT_OF_STOCK = "out_of_stock"
    """For now."""
    DISCONTINUED = "discontinued"
    NOT_FOR_REGION = "not_for_region"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class VariantAvailability:
    """Whether a variant can be made; `techniques`: each way of making it, where they differ.

    `keys`: all listings whose `ref.keys` contain these are meant; `external_id` names one where it was asked for by it.
    """

    external_id: str
    availability: Availability
    keys: Mapping[str, str] = field(default_factory=dict)
    techniques: Mapping[str, Availability] = field(default_factory=dict)


# ---- webhooks ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MakingNews:
    """What a delivery says of one order at the maker: read the order, and its parcels, to be sure.

    `status` None: it says none. `reason`: why, in words. `shipment`: the parcel that it tells of.
    """

    external_id: str
    maker_id: str
    at: datetime
    status: MakingStatus | None = None
    reason: str = ""
    shipment: MadeShipment | None = None


@dataclass(frozen=True, slots=True)
class MakingEvent(WebhookEvent):
    """A webhook of a maker: news of orders that we gave it, and of what can be made."""

    news: tuple[MakingNews, ...] = ()
    availability: tuple[VariantAvailability, ...] = ()
