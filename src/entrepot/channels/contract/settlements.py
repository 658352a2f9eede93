"""What a channel paid, took and keeps for the seller: lines of its statement, and transfers to the bank."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, runtime_checkable

from entrepot.channels.contract.paging import Page
from entrepot.channels.contract.wire import Api


class SettlementKind(StrEnum):
    """What a line of a statement is, mapped from the channel's own word."""

    SALE = "sale"
    REFUND = "refund"
    FEE = "fee"
    """A charge of its own (a subscription, an advertisement), not a part of a sale."""
    SHIPPING_LABEL = "shipping_label"
    DISPUTE = "dispute"
    TRANSFER = "transfer"
    """Money moved between the seller and the channel outside of a payout."""
    ADJUSTMENT = "adjustment"
    """Anything else, credits above all."""


@dataclass(frozen=True, slots=True)
class FeePart:
    """A part of what the channel kept. `amount` is what the seller pays (negative: given back)."""

    kind: str
    amount: Decimal
    external_line_id: str = ""


@dataclass(frozen=True, slots=True)
class SettlementLine:
    """A line of the channel's statement, money in major units of `currency`, which is that of the seller's balance.

    `amount` is what it does to the balance, fees taken off: `amount == gross - sum of fees` (negative: taken from the seller).
    The same `external_id` and kind may come again, with its payout once there is one: the later replaces the earlier.
    """

    external_id: str
    kind: SettlementKind
    amount: Decimal
    gross: Decimal
    currency: str
    at: datetime
    fees: tuple[FeePart, ...] = ()
    external_order_id: str = ""
    external_line_id: str = ""
    payout_id: str = ""
    """The transfer that it is a part of, empty while it waits."""
    channel_kind: str = ""
    """The channel's own word(s), for people."""
    detail: str = ""


class PayoutStatus(StrEnum):
    """How a transfer to the bank stands."""

    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Payout:
    """A transfer to the seller's bank. `line_count`: how many lines it has, None where the channel does not say."""

    external_id: str
    amount: Decimal
    currency: str
    at: datetime
    status: PayoutStatus
    line_count: int | None = None
    channel_status: str = ""


SettlementItem = SettlementLine | Payout


@runtime_checkable
class PullsSettlements(Protocol):
    """Reads the channel's statements."""

    async def pull_settlements(self, api: Api, cursor: str | None) -> Page[SettlementItem]:
        """Return statement lines and payouts since the cursor (None: as far back as the channel tells).

        A payout comes before its lines are repeated with its id. What comes twice is the same or newer.
        """
