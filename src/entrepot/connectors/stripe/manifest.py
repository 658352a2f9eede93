"""What the hub must know of Stripe before it speaks to it."""

from __future__ import annotations

from entrepot.channels.contract import AuthKind, Capability, Environment, Field, LimitKind, Manifest, RateLimit

API_VERSION = "2023-08-16"
"""Sent with every call and asked for every webhook, whatever the account's own is: answers keep their shape."""
SIGNATURE_AGE_MAX_S = 300.0
"""How old a signature may be, as Stripe's own libraries have it."""
TOPICS = (
    "payment_intent.succeeded",
    "payment_intent.amount_capturable_updated",
    "payment_intent.processing",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "charge.captured",
    "charge.refunded",
    "charge.refund.updated",
    "refund.created",
    "refund.updated",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "payout.created",
    "payout.updated",
    "payout.paid",
    "payout.failed",
    "payout.canceled",
    "payout.reconciliation_completed",
)

MANIFEST = Manifest(
    key="stripe",
    title="Stripe",
    api_version=API_VERSION,
    capabilities=frozenset(
        {
            Capability.PAYMENTS,
            Capability.REFUND,
            Capability.PULL_SETTLEMENTS,
            Capability.DISPUTES,
            Capability.WEBHOOKS,
            Capability.DATED_WEBHOOKS,
        }
    ),
    auth=AuthKind.STATIC_TOKEN,
    fields=(
        Field(
            "mode",
            "Mode",
            help="live for real money, test for Stripe's test mode. The key must be of the same mode.",
            default="live",
            pattern="live|test",
        ),
        Field(
            "api_key",
            "Secret or restricted key",
            help="Stripe, Developers, API keys: best a restricted key (rk_...) that may read balance, balance transaction "
            "sources, disputes and payouts, and write charges and refunds, payment intents and webhook endpoints.",
            secret=True,
            pattern=r"(sk|rk)_(live|test)_\w{8,240}",
        ),
        Field(
            "order_metadata",
            "Metadata with the order's number",
            help="The names, with commas, under which your shop writes the order's number on a payment; the first that is "
            "there counts. What the hub writes goes under the first name.",
            default="order_id,order_number",
            pattern=r"[A-Za-z0-9_.-]{1,40}(,[A-Za-z0-9_.-]{1,40}){0,4}",
        ),
        Field(
            "settlements_since",
            "Take over the account since",
            help="ISO 8601 time with offset, such as 2026-01-01T00:00:00Z. Empty: from its beginning.",
            required=False,
            pattern=r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})",
        ),
        Field("simulator_url", "Simulator address", help="Only for the simulated environment.", required=False),
    ),
    environments=(
        Environment("production", {"api": "https://api.stripe.com"}),
        Environment("simulated", {"api": "{simulator_url}/stripe"}),
    ),
    # Documented: 100 calls a second live, 25 in test mode. This keeps below both, so that the shop's own calls go first.
    rate_limits=(
        RateLimit("calls", LimitKind.TOKEN_BUCKET, capacity=20, refill_per_s=15),
        RateLimit("search", LimitKind.TOKEN_BUCKET, capacity=10, refill_per_s=10, operations=("searchPaymentIntents",)),
    ),
    webhook_topics=TOPICS,
    # Learned when the hub subscribes; Stripe tells it then and never again. It is no field to be entered, so that
    # entering a new key does not lose it.
    webhook_secret_field="webhook_secret",  # noqa: S106 - a name
    webhook_age_max_s=SIGNATURE_AGE_MAX_S,
    sells=False,
    source_priority=40,
)
