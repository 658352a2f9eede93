"""What the hub must know of eBay before it speaks to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from entrepot.channels.contract import (
    AttributeRule,
    AuthKind,
    Capability,
    EndKind,
    Environment,
    Field,
    LimitKind,
    ListingField,
    ListingRules,
    Manifest,
    QuantitySemantics,
    RateLimit,
)

OFFERS_MAX = 25
"""Most offers in one bulkUpdatePriceQuantity call, and most items in one bulkGetInventoryItem call."""
DAY_S = 86_400.0
BURST_SHARE = 0.1
"""How much of a day's calls may be made at once; the rest is spread over the day, so that a refused burst costs no day."""

CALLS_PER_DAY: Mapping[str, tuple[float, str, tuple[str, ...]]] = {
    "inventory": (
        2_000_000,
        "sell",
        (
            "getInventoryItems",
            "getInventoryItem",
            "bulkGetInventoryItem",
            "createOrReplaceInventoryItem",
            "deleteInventoryItem",
            "bulkUpdatePriceQuantity",
            "getOffers",
            "createOffer",
            "updateOffer",
            "publishOffer",
            "withdrawOffer",
            "deleteOffer",
            "getInventoryItemGroup",
            "createOrReplaceInventoryItemGroup",
            "deleteInventoryItemGroup",
            "publishOfferByInventoryItemGroup",
            "withdrawOfferByInventoryItemGroup",
            "getInventoryLocations",
        ),
    ),
    "fulfillment": (
        100_000,
        "sell",
        ("getOrders", "getShippingFulfillments", "createShippingFulfillment", "issueRefund"),
    ),
    "finances": (15_000, "sell", ("getTransactions", "getPayouts")),
    "account": (25_000, "sell", ("getFulfillmentPolicies", "getPaymentPolicies", "getReturnPolicies")),
    "taxonomy": (5_000, "commerce", ("getDefaultCategoryTreeId", "getItemAspectsForCategory")),
    "notification": (
        10_000,
        "commerce",
        (
            "getPublicKey",
            "updateConfig",
            "getDestinations",
            "createDestination",
            "updateDestination",
            "deleteDestination",
            "getSubscriptions",
            "createSubscription",
            "updateSubscription",
            "deleteSubscription",
        ),
    ),
}
"""API -> (calls a day that an application has by default, eBay's context of it, our operations)."""

TOPICS = ("ORDER_CONFIRMATION", "ITEM_MARKED_SHIPPED", "MARKETPLACE_ACCOUNT_DELETION")
SUBSCRIBED = ("ORDER_CONFIRMATION", "ITEM_MARKED_SHIPPED")
"""Those that a seller subscribes; the third eBay sends for an application, and nothing is taken from it."""


@dataclass(frozen=True, slots=True)
class Marketplace:
    """An eBay site: its currency, and the language in which its listings are written."""

    currency: str
    language: str


MARKETPLACES: Mapping[str, Marketplace] = {
    "EBAY_US": Marketplace("USD", "en-US"),
    "EBAY_MOTORS_US": Marketplace("USD", "en-US"),
    "EBAY_GB": Marketplace("GBP", "en-GB"),
    "EBAY_IE": Marketplace("EUR", "en-IE"),
    "EBAY_DE": Marketplace("EUR", "de-DE"),
    "EBAY_AT": Marketplace("EUR", "de-AT"),
    "EBAY_CH": Marketplace("CHF", "de-CH"),
    "EBAY_FR": Marketplace("EUR", "fr-FR"),
    "EBAY_IT": Marketplace("EUR", "it-IT"),
    "EBAY_ES": Marketplace("EUR", "es-ES"),
    "EBAY_NL": Marketplace("EUR", "nl-NL"),
    "EBAY_BE": Marketplace("EUR", "nl-BE"),
    "EBAY_PL": Marketplace("PLN", "pl-PL"),
    "EBAY_CA": Marketplace("CAD", "en-CA"),
    "EBAY_AU": Marketplace("AUD", "en-AU"),
    "EBAY_HK": Marketplace("HKD", "zh-HK"),
    "EBAY_SG": Marketplace("SGD", "en-SG"),
    "EBAY_MY": Marketplace("MYR", "en-US"),
    "EBAY_PH": Marketplace("PHP", "en-PH"),
    "EBAY_TW": Marketplace("TWD", "zh-TW"),
}

SCOPES = (
    "https://api.ebay.com/oauth/api_scope",
    "https://api.ebay.com/oauth/api_scope/sell.inventory",
    "https://api.ebay.com/oauth/api_scope/sell.fulfillment",
    "https://api.ebay.com/oauth/api_scope/sell.account.readonly",
    "https://api.ebay.com/oauth/api_scope/sell.finances",
    "https://api.ebay.com/oauth/api_scope/commerce.notification.subscription",
)
"""What a seller must allow us; the consent page is opened with all of them."""
APPLICATION_SCOPE = "https://api.ebay.com/oauth/api_scope"

RULES = ListingRules(
    required=frozenset({ListingField.TITLE, ListingField.PRICE, ListingField.SKU, ListingField.CATEGORY}),
    wanted=frozenset(
        {
            ListingField.DESCRIPTION,
            ListingField.IMAGES,
            ListingField.BARCODE,
            ListingField.VENDOR,
            ListingField.WEIGHT,
            ListingField.DIMENSIONS,
        }
    ),
    title_length_max=80,
    description_length_max=4000,
    options_max=5,
    variants_max=250,
    option_length_max=50,
    vendor_length_max=65,
    sku_length_max=50,
    barcode_lengths=frozenset({8, 10, 12, 13, 14}),
    images_max=24,
    image_side_min_px=500,
    price_min=Decimal("0.01"),
    attributes=(
        AttributeRule(
            "condition",
            "Condition",
            choices=("NEW", "LIKE_NEW", "NEW_OTHER", "NEW_WITH_DEFECTS", "CERTIFIED_REFURBISHED", "USED_EXCELLENT",
                     "USED_VERY_GOOD", "USED_GOOD", "USED_ACCEPTABLE", "FOR_PARTS_OR_NOT_WORKING"),
            help="NEW where nothing is said.",
        ),
        AttributeRule("MPN", "Manufacturer's part number", length_max=65),
    ),
    source="developer.ebay.com: Inventory API field lengths, picture requirements; a category's own aspects are read there",
)  # fmt: skip

_HELP_POLICY = "The number of the policy at eBay. Empty: the first one of the marketplace."

MANIFEST = Manifest(
    key="ebay",
    title="eBay",
    api_version="sell v1",
    capabilities=frozenset(
        {
            Capability.PULL_ORDERS,
            Capability.PULL_LISTINGS,
            Capability.PUSH_QUANTITIES,
            Capability.READ_QUANTITIES,
            Capability.PUSH_FULFILMENT,
            Capability.WEBHOOKS,
            Capability.WEBHOOK_KEYS,
            Capability.REFRESH_TOKEN,
            Capability.PUSH_LISTINGS,
            Capability.PUSH_PRICES,
            Capability.END_LISTINGS,
            Capability.READ_LISTINGS,
            Capability.READ_LISTING_RULES,
            Capability.PULL_SETTLEMENTS,
            Capability.REFUND,
        }
    ),
    auth=AuthKind.OAUTH2_REFRESH,
    fields=(
        Field(
            "marketplace_id",
            "Marketplace",
            help="Such as EBAY_US, EBAY_GB or EBAY_DE. One connection is one marketplace.",
            default="EBAY_US",
            pattern="|".join(MARKETPLACES),
        ),
        Field("client_id", "App ID (client ID)", help="developer.ebay.com, Application Keys.", secret=True),
        Field("client_secret", "Cert ID (client secret)", help="developer.ebay.com, Application Keys.", secret=True),
        Field(
            "refresh_token",
            "Refresh token",
            help="Lives 18 months. Leave it empty if you enter a consent code instead.",
            secret=True,
            required=False,
        ),
        Field(
            "authorization_code",
            "Consent code",
            help="What stands after code= in the address that eBay leads you to after you agreed. It works once, for five "
            "minutes: press Connect at once, without Test.",
            secret=True,
            required=False,
        ),
        Field(
            "ru_name",
            "RuName",
            help="developer.ebay.com, User Tokens, Your eBay Sign-in Settings. Only with a consent code.",
            required=False,
        ),
        Field(
            "location_key",
            "Inventory location",
            help="The merchantLocationKey at which new listings are stocked. Empty: the first one that is enabled.",
            required=False,
            pattern=r"[A-Za-z0-9_-]{1,36}",
        ),
        Field("fulfillment_policy_id", "Shipping policy", help=_HELP_POLICY, required=False, pattern=r"\d{1,20}"),
        Field("payment_policy_id", "Payment policy", help=_HELP_POLICY, required=False, pattern=r"\d{1,20}"),
        Field("return_policy_id", "Return policy", help=_HELP_POLICY, required=False, pattern=r"\d{1,20}"),
        Field(
            "alert_email",
            "Email for trouble with notifications",
            help="eBay asks for one before it sends notifications; it writes there when this hub does not answer.",
            required=False,
        ),
        Field(
            "orders_since",
            "Import orders changed since",
            help="ISO 8601 time with offset. Empty: the last 90 days.",
            required=False,
        ),
        Field("simulator_url", "Simulator address", help="Only for the simulated environment.", required=False),
    ),
    environments=(
        Environment(
            "production",
            {
                "api": "https://api.ebay.com",
                "application": "https://api.ebay.com",
                "apiz": "https://apiz.ebay.com",
                "auth": "https://api.ebay.com",
            },
        ),
        Environment(
            "sandbox",
            {
                "api": "https://api.sandbox.ebay.com",
                "application": "https://api.sandbox.ebay.com",
                "apiz": "https://apiz.sandbox.ebay.com",
                "auth": "https://api.sandbox.ebay.com",
            },
        ),
        Environment("simulated", dict.fromkeys(("api", "application", "apiz", "auth"), "{simulator_url}/ebay")),
    ),
    rate_limits=tuple(
        RateLimit(
            name,
            LimitKind.TOKEN_BUCKET,
            capacity=calls * BURST_SHARE,
            refill_per_s=calls * (1 - BURST_SHARE) / DAY_S,
            operations=operations,
        )
        for name, (calls, _, operations) in CALLS_PER_DAY.items()
    ),
    quantity_semantics=QuantitySemantics.ABSOLUTE,
    cancel_restocks=True,
    source_priority=60,
    push_batch_max=OFFERS_MAX,
    webhook_topics=TOPICS,
    webhook_secret_field="client_secret",  # noqa: S106 - the name of a field
    listing_rules=(RULES,),
    listing_fields=frozenset(
        {
            ListingField.TITLE,
            ListingField.DESCRIPTION,
            ListingField.VENDOR,
            ListingField.CATEGORY,
            ListingField.OPTIONS,
            ListingField.IMAGES,
            ListingField.ATTRIBUTES,
            ListingField.STATUS,
            ListingField.SKU,
            ListingField.BARCODE,
            ListingField.PRICE,
            ListingField.COMPARE_AT,
            ListingField.WEIGHT,
            ListingField.DIMENSIONS,
        }
    ),
    listing_ends=frozenset({EndKind.UNPUBLISH, EndKind.DELETE}),
    listing_batch_max=20,
    price_batch_max=OFFERS_MAX,
)
