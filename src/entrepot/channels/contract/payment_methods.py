"""The methods of a payment provider, one protocol for each capability. Refunds and settlements: those of every channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from entrepot.channels.contract.paging import Page
from entrepot.channels.contract.payments import CaptureRequest, Dispute, Payment, Refund
from entrepot.channels.contract.wire import Api


@runtime_checkable
class HandlesPayments(Protocol):
    """Reads payments, captures and cancels them."""

    async def read_payments(self, api: Api, payment_refs: Sequence[str]) -> tuple[Payment, ...]:
        """Return these payments as they are now; an unknown one is left out."""

    async def find_payments(self, api: Api, order_ref: str) -> tuple[Payment, ...]:
        """Return the payments that carry this order's name. A payment may be found a minute late."""

    async def capture_payment(self, api: Api, request: CaptureRequest) -> Payment:
        """Take an authorised payment. Asked again it is harmless. Raises RequestRejected where it cannot be taken."""

    async def cancel_payment(self, api: Api, payment_ref: str, idempotency_key: str) -> Payment:
        """Release a payment that was not captured. Asked again it is harmless. Raises RequestRejected: too late."""

    async def read_refunds(self, api: Api, payment_ref: str) -> tuple[Refund, ...]:
        """Return all refunds of a payment as they are now, newest first. They are made by `Refunds.refund`."""


@runtime_checkable
class PullsDisputes(Protocol):
    """Reads disputes."""

    async def pull_disputes(self, api: Api, cursor: str | None) -> Page[Dispute]:
        """Return the disputes opened since the cursor, and again those that could still change."""


@runtime_checkable
class DatesWebhooks(Protocol):
    """Signs deliveries with the time of sending: an old one may be somebody's who recorded it."""

    def webhook_signed_at(self, headers: Mapping[str, str]) -> datetime | None:
        """Return when a verified delivery was signed (None: it does not say). Pure."""
