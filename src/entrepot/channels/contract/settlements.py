"""What a channel or a payment provider settles: lines of its account, and what they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class SettlementKind(StrEnum):
    """What a line of an account is about."""

    SALE = "sale"
    REFUND = "refund"
    FEE = "fee"
    """A fee of its own; one that belongs to a sale is among that line's `fees`."""
    DISPUTE = "dispute"
    """Taken because a buyer disputes a payment, or given back because the dispute was won."""
    PAYOUT = "payout"
    """Sent to the seller's bank (negative), or come back from there."""
    ADJUSTMENT = "adjustment"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class FeePart:
    """A part of what a line cost. `amount` in major units of the line's currency, above zero where it costs."""

    kind: str
    """The channel's own word for it."""
    amount: Decimal
    title: str = ""


@dataclass(frozen=True, slots=True)
class SettlementLine:
    """One line of the account, by its `external_id` for ever the same line; told again, it replaces what was told before:
    to which payout a line belongs is known only later.

    `amount` in major units, before `fees`: above zero is ours, below zero was taken. What it did to the account is
    `amount` less all fees. `at`: when it was booked, by the channel's clock.
    """

    external_id: str
    kind: SettlementKind
    amount: Decimal
    currency: str
    at: datetime
    fees: tuple[FeePart, ...] = ()
    order_ref: str = ""
    """The order as the channel names it; empty where it does not say."""
    payout_ref: str = ""
    """The payout that brought it to the bank; empty while there is none."""
    payment_ref: str = ""
    """The payment that it is about, where that has an id of its own."""
    source_ref: str = ""
    """What made the line: the id of the charge, the refund, the dispute, the payout."""
    buyer_amount: Decimal | None = None
    """The same amount in the currency that the buyer paid in, where that is another."""
    buyer_currency: str = ""
    exchange_rate: Decimal | None = None
    """Units of `currency` for one of `buyer_currency`, as the channel exchanged it."""
    channel_kind: str = ""
    """The channel's own word(s) for the kind, for people."""
    title: str = ""

    @property
    def net(self) -> Decimal:
        """What the line did to the account: the amount less all fees."""
        return self.amount - sum((fee.amount for fee in self.fees), Decimal(0))


class PayoutStatus(StrEnum):
    """How far a payout is."""

    PENDING = "pending"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    FAILED = "failed"
    """The bank did not take it; the money is back in the account. It may follow on PAID for some days."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Payout:
    """Money on its way to the seller's bank. `amount` in major units, above zero towards the bank."""

    external_id: str
    status: PayoutStatus
    amount: Decimal
    currency: str
    created_at: datetime
    arrives_at: datetime
    by_schedule: bool
    """True: made by the channel, which knows the lines in it. False: asked for by a person, of no certain lines."""
    lines_known: bool
    """Whether the channel has told the lines in it by now."""
    title: str = ""
    failure: str = ""
