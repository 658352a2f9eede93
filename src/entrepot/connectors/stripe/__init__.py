"""Stripe: payments, refunds, disputes, the account's lines and payouts, signed webhooks. No sales channel. Quirks: README.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from entrepot.channels.contract import (
    Api,
    Call,
    CaptureRequest,
    CheckReport,
    ConnectorError,
    Credentials,
    Dispute,
    DisputeStatus,
    LimitReading,
    Manifest,
    Page,
    Payment,
    PaymentEvent,
    Refund,
    RefundRequest,
    RefundResult,
    Reply,
    SettlementItem,
)
from entrepot.connectors.stripe import calls, checking, paging, payments, refunds, settlements, webhooks
from entrepot.connectors.stripe.errors import error_of
from entrepot.connectors.stripe.manifest import API_VERSION, MANIFEST
from entrepot.connectors.stripe.mapping import dispute_of

_ORDER_METADATA = next(field.default for field in MANIFEST.fields if field.name == "order_metadata")


class StripeConnector:
    """Speaks Stripe's API."""

    @property
    def manifest(self) -> Manifest:
        """What Stripe is."""
        return MANIFEST

    def authorise(self, call: Call, credentials: Credentials, at: datetime) -> Call:
        """Add the key and the API version; never to another host."""
        if call.absolute_url is not None:
            return call
        signed = {"authorization": f"Bearer {credentials.get('api_key', '')}", "stripe-version": API_VERSION}
        return replace(call, headers={**call.headers, **signed})

    def classify(self, reply: Reply) -> ConnectorError | None:
        """Return the error in the answer, in plain words."""
        return error_of(reply)

    def read_limits(self, call: Call, reply: Reply) -> tuple[LimitReading, ...]:
        """Stripe says nothing of what is left of its limits."""
        return ()

    async def check(self, api: Api) -> CheckReport:
        """Try the key, its mode and its permissions."""
        return await checking.check(api)

    async def read_payments(self, api: Api, payment_refs: Sequence[str]) -> tuple[Payment, ...]:
        """Return payments as they are now."""
        return await payments.read(api, payment_refs, order_names(api.settings))

    async def find_payments(self, api: Api, order_ref: str) -> tuple[Payment, ...]:
        """Return an order's payments."""
        return await payments.find(api, order_ref, order_names(api.settings))

    async def capture_payment(self, api: Api, request: CaptureRequest) -> Payment:
        """Take an authorised payment."""
        return await payments.capture(api, request, order_names(api.settings))

    async def cancel_payment(self, api: Api, payment_ref: str, idempotency_key: str) -> Payment:
        """Release a payment."""
        return await payments.cancel(api, payment_ref, idempotency_key, order_names(api.settings))

    async def refund(self, api: Api, refund: RefundRequest) -> RefundResult:
        """Give money back, once."""
        return await refunds.make(api, refund, order_names(api.settings))

    async def read_refunds(self, api: Api, payment_ref: str) -> tuple[Refund, ...]:
        """Return all refunds of a payment."""
        return await refunds.of_payment(api, payment_ref, order_names(api.settings))

    async def pull_settlements(self, api: Api, cursor: str | None) -> Page[SettlementItem]:
        """Return a page of lines of the account, and of payouts."""
        return await settlements.pull(api, cursor, order_names(api.settings))

    async def pull_disputes(self, api: Api, cursor: str | None) -> Page[Dispute]:
        """Return a page of disputes."""
        return await paging.pull(api, cursor, calls.list_disputes, dispute_of, _dispute_may_change)

    def verify_webhook(self, body: bytes, headers: Mapping[str, str], url: str, secret: str) -> bool:
        """Return whether Stripe signed the delivery with our secret."""
        return webhooks.signed(body, headers, secret)

    def webhook_signed_at(self, headers: Mapping[str, str]) -> datetime | None:
        """Return when Stripe signed the delivery."""
        return webhooks.signed_at(headers)

    def webhook_event_id(self, body: bytes, headers: Mapping[str, str]) -> tuple[str, str]:
        """Return (event id, topic)."""
        return webhooks.event_id_of(body)

    def parse_webhook(self, body: bytes, headers: Mapping[str, str]) -> PaymentEvent:
        """Return the event; the order's name only where it stands under a usual name of metadata."""
        return webhooks.event_of(body, order_names({}))

    async def subscribe_webhooks(self, api: Api, url: str) -> Mapping[str, str]:
        """Subscribe; return the signing secret where Stripe tells it."""
        return await webhooks.subscribe(api, url)

    async def unsubscribe_webhooks(self, api: Api, url: str) -> None:
        """Unsubscribe."""
        await webhooks.unsubscribe(api, url)


def order_names(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of metadata under which a payment may hold its order's."""
    return tuple((settings.get("order_metadata") or _ORDER_METADATA).split(","))


def _dispute_may_change(dispute: Dispute, now: datetime) -> bool:
    return dispute.status in (DisputeStatus.NEEDS_RESPONSE, DisputeStatus.UNDER_REVIEW)


CONNECTOR = StripeConnector()
