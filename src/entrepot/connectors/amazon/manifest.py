"""What the hub must know of Amazon before it speaks to it."""

from __future__ import annotations

from collections.abc import Mapping

from entrepot.channels.contract import (
    AuthKind,
    Capability,
    Environment,
    Field,
    LimitKind,
    Manifest,
    QuantitySemantics,
    RateLimit,
)

FEED_MESSAGES_MAX = 2000
"""Most changes in one feed. Amazon takes 25,000; smaller feeds are processed sooner and keep the handle small."""

PATCHES_MAX = 40
"""Up to so many changes go one by one (5 at once, then 5 a second: seven seconds); a feed takes minutes."""

RATE_OF: Mapping[str, tuple[float, float]] = {
    "searchOrders": (0.0056, 20),
    "getOrder": (0.5, 30),
    "searchListingsItems": (5, 5),
    "getListingsItem": (5, 10),
    "patchListingsItem": (5, 5),
    "createFeedDocument": (0.5, 15),
    "createFeed": (0.0083, 15),
    "getFeed": (2, 15),
    "getFeedDocument": (0.0222, 10),
    "confirmShipment": (2, 10),
    "getMarketplaceParticipations": (0.016, 15),
}
"""Operation -> documented (calls a second, burst); the header `x-amzn-RateLimit-Limit` corrects the rate."""

CURRENCY_OF: Mapping[str, str] = {
    "ATVPDKIKX0DER": "USD",
    "A2EUQ1WTGCTBG2": "CAD",
    "A1AM78C64UM0Y8": "MXN",
    "A2Q3Y263D00KWC": "BRL",
    "A1F83G8C2ARO7P": "GBP",
    "A1PA6795UKMFR9": "EUR",
    "A13V1IB3VIYZZH": "EUR",
    "APJ6JRA9NG5V4": "EUR",
    "A1RKKUPIHCS9HS": "EUR",
    "A1805IZSGTT6HS": "EUR",
    "AMEN7PMS3EDWL": "EUR",
    "A28R8C7NBKEWEA": "EUR",
    "A2NODRKZP88ZB9": "SEK",
    "A1C3SOZRARQ6R3": "PLN",
    "A33AVAJ2PDY3EV": "TRY",
    "ARBP9OOSHTCHU": "EGP",
    "A17E79C6D8DWNP": "SAR",
    "A2VIGQ35RCS4UG": "AED",
    "A21TJRUUN4KGV": "INR",
    "AE08WJ6YKNBMC": "ZAR",
    "A1VC38T7YXB528": "JPY",
    "A39IBJ37TRP1C6": "AUD",
    "A19VAU5U5O7RUS": "SGD",
}
"""Marketplace -> its currency: Amazon tells no money of an order that is pending."""

MANIFEST = Manifest(
    key="amazon",
    title="Amazon",
    api_version="2026-01-01",
    capabilities=frozenset(
        {
            Capability.PULL_ORDERS,
            Capability.PULL_LISTINGS,
            Capability.PUSH_QUANTITIES,
            Capability.READ_QUANTITIES,
            Capability.FOLLOW_PUSHES,
            Capability.PUSH_FULFILMENT,
            Capability.REFRESH_TOKEN,
        }
    ),
    auth=AuthKind.OAUTH2_REFRESH,
    fields=(
        Field(
            "seller_id", "Seller ID", help="Seller Central, Account Info, Merchant Token.", pattern=r"[A-Z0-9]{5,20}"
        ),
        Field(
            "marketplace_id",
            "Marketplace ID",
            help="Such as ATVPDKIKX0DER (United States) or A1F83G8C2ARO7P (United Kingdom).",
            pattern=r"[A-Z0-9]{8,20}",
        ),
        Field(
            "region", "Region", help="na, eu or fe: where the marketplace belongs.", default="na", pattern="na|eu|fe"
        ),
        Field("client_id", "LWA client ID", help="Developer Central, your application.", secret=True),
        Field("client_secret", "LWA client secret", help="Developer Central, your application.", secret=True),
        Field(
            "refresh_token",
            "Refresh token",
            help="Given when the seller authorises your application.",
            secret=True,
        ),
        Field(
            "orders_since",
            "Import orders changed since",
            help="ISO 8601 time with offset. Empty: all that Amazon still tells.",
            required=False,
        ),
        Field("simulator_url", "Simulator address", help="Only for the simulated environment.", required=False),
    ),
    environments=(
        Environment(
            "production",
            {"api": "https://sellingpartnerapi-{region}.amazon.com", "auth": "https://api.amazon.com"},
        ),
        Environment(
            "sandbox",
            {"api": "https://sandbox.sellingpartnerapi-{region}.amazon.com", "auth": "https://api.amazon.com"},
        ),
        Environment("simulated", {"api": "{simulator_url}/amazon", "auth": "{simulator_url}/amazon"}),
    ),
    rate_limits=tuple(
        RateLimit(name, LimitKind.TOKEN_BUCKET, capacity=burst, refill_per_s=rate, operations=(name,))
        for name, (rate, burst) in RATE_OF.items()
    ),
    quantity_semantics=QuantitySemantics.ABSOLUTE,
    cancel_restocks=True,
    source_priority=70,
    push_batch_max=FEED_MESSAGES_MAX,
    push_bulk_from=PATCHES_MAX + 1,
)
