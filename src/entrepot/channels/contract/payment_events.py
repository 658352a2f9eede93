"""What a payment provider's webhooks tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from entrepot.channels.contract.answers import WebhookEvent
from entrepot.channels.contract.payments import Dispute, Payment, Refund
from entrepot.channels.contract.settlements import Payout


@dataclass(frozen=True, slots=True)
class PaymentEvent(WebhookEvent):
    """A webhook with payments, refunds, disputes, payouts as they were at `happened_at`, by the channel's clock.

    Deliveries come in any order: what is known as of later is not taken back.
    """

    payments: tuple[Payment, ...] = ()
    refunds: tuple[Refund, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    payouts: tuple[Payout, ...] = ()
    happened_at: datetime | None = None
