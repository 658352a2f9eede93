"""Payments of a payment provider: what was paid, what is refunded, what a buyer disputes.

Amounts are Decimal in major units of their currency.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class PaymentStatus(StrEnum):
    """How far a payment is."""

    OPEN = "open"
    """The buyer has not paid yet."""
    PROCESSING = "processing"
    """Paid, but the provider does not know yet whether it works (a debit)."""
    AUTHORISED = "authorised"
    """Held on the buyer's card: it must be captured before that lapses."""
    PAID = "paid"
    CANCELLED = "cancelled"
    FAILED = "failed"
    """The last try to pay failed; the buyer may try again, so PAID may follow."""


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as the provider has it now. None: this answer did not say."""

    external_id: str
    status: PaymentStatus
    amount: Decimal
    currency: str
    created_at: datetime
    captured: Decimal
    """What was taken from the buyer, refunds not taken off."""
    capturable: Decimal
    """What could still be captured."""
    refunded: Decimal | None = None
    disputed: bool | None = None
    order_ref: str = ""
    """The order, as the shop wrote it on the payment."""
    charge_ref: str = ""
    """The charge behind it, which other messages of the provider name."""
    failure: str = ""
    channel_status: str = ""


class RefundStatus(StrEnum):
    """How far a refund is."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    """The buyer must do something, such as name a bank account."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """The buyer's bank did not take it; the money is back in the account. It may follow on SUCCEEDED."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund as the provider has it now. `idempotency_key`: ours, empty where another made it."""

    external_id: str
    status: RefundStatus
    amount: Decimal
    currency: str
    created_at: datetime
    payment_ref: str = ""
    charge_ref: str = ""
    order_ref: str = ""
    idempotency_key: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class CaptureRequest:
    """Take `amount` (None: all) of an authorised payment; what is left over is released. Asked twice, it is taken once."""

    payment_ref: str
    amount: Decimal | None
    currency: str
    idempotency_key: str


class DisputeStatus(StrEnum):
    """How far a dispute is."""

    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"
    CLOSED = "closed"
    """An inquiry that ended without a dispute."""


@dataclass(frozen=True, slots=True)
class Dispute:
    """A buyer's bank asks a payment back. `inquiry`: only a question so far, no money was taken."""

    external_id: str
    status: DisputeStatus
    amount: Decimal
    currency: str
    created_at: datetime
    reason: str
    inquiry: bool
    answer_by: datetime | None
    payment_ref: str = ""
    charge_ref: str = ""
    line_refs: tuple[str, ...] = ()
    """The settlement lines that took the money and gave it back."""
    channel_status: str = ""
