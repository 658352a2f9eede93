"""Orders as a channel has them, and the parcels that it is told of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from entrepot.channels.contract.order_money import OrderMoney


class ChannelOrderStatus(StrEnum):
    """An order's state as far as stock and shipping care, mapped from the channel's own."""

    PENDING = "pending"
    """Placed, not to be shipped yet (payment outstanding); its units are claimed."""
    OPEN = "open"
    PARTLY_SHIPPED = "partly_shipped"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ChannelOrderLine:
    """A line as the channel has it now. `quantity` ordered, of which `cancelled` will never ship and `shipped` have."""

    external_id: str
    sku: str | None
    external_variant_id: str | None
    title: str
    quantity: int
    cancelled: int
    shipped: int
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address; empty text where the channel did not say."""

    name: str = ""
    company: str = ""
    line1: str = ""
    line2: str = ""
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""
    """ISO 3166-1 alpha-2."""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class ChannelOrder:
    """An order as the channel has it now, whole: a later version replaces an earlier one.

    `version` orders versions of one order by the channel's own clock or counter: the greater is newer.
    """

    external_id: str
    number: str
    version: int
    status: ChannelOrderStatus
    placed_at: datetime
    updated_at: datetime
    currency: str
    lines: tuple[ChannelOrderLine, ...]
    total: Decimal
    tax: Decimal
    shipping: Decimal
    discount: Decimal
    buyer_name: str = ""
    buyer_email: str = ""
    ship_to: Address | None = None
    channel_status: str = ""
    """The channel's own word(s), for people."""
    fulfilled_by_channel: bool = False
    """True where the channel ships it from its own stock (FBA): our stock is not touched."""
    source_id: str = ""
    """An id that this order shares with the same order on another channel, if the channel says so."""
    money: OrderMoney | None = None
    """Fees, refunds and the like, where the order tells them."""


@dataclass(frozen=True, slots=True)
class FulfilmentLine:
    """So many units of an order line in a parcel."""

    external_line_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Fulfilment:
    """A parcel that left, to be told to the order's channel."""

    external_order_id: str
    idempotency_key: str
    carrier: str
    tracking_number: str
    tracking_url: str
    shipped_at: datetime
    lines: tuple[FulfilmentLine, ...]
