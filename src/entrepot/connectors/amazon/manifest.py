"""What the hub must know of Amazon before it speaks to it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from entrepot.channels.contract import (
    GTIN_LENGTHS,
    AttributeKind,
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
    "putListingsItem": (5, 10),
    "deleteListingsItem": (5, 10),
    "getDefinitionsProductType": (5, 10),
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

LANGUAGE_OF: Mapping[str, str] = {
    "ATVPDKIKX0DER": "en_US",
    "A2EUQ1WTGCTBG2": "en_CA",
    "A1AM78C64UM0Y8": "es_MX",
    "A2Q3Y263D00KWC": "pt_BR",
    "A1F83G8C2ARO7P": "en_GB",
    "A1PA6795UKMFR9": "de_DE",
    "A13V1IB3VIYZZH": "fr_FR",
    "APJ6JRA9NG5V4": "it_IT",
    "A1RKKUPIHCS9HS": "es_ES",
    "A1805IZSGTT6HS": "nl_NL",
    "AMEN7PMS3EDWL": "fr_BE",
    "A28R8C7NBKEWEA": "en_IE",
    "A2NODRKZP88ZB9": "sv_SE",
    "A1C3SOZRARQ6R3": "pl_PL",
    "A33AVAJ2PDY3EV": "tr_TR",
    "ARBP9OOSHTCHU": "ar_AE",
    "A17E79C6D8DWNP": "ar_AE",
    "A2VIGQ35RCS4UG": "en_AE",
    "A21TJRUUN4KGV": "en_IN",
    "AE08WJ6YKNBMC": "en_ZA",
    "A1VC38T7YXB528": "ja_JP",
    "A39IBJ37TRP1C6": "en_AU",
    "A19VAU5U5O7RUS": "en_SG",
}
"""Marketplace -> the language in which its listings are written."""

LISTINGS_BY_ONE = 20
"""Up to so many listings of a batch are written one by one; more go by a feed."""
PRODUCTS_MAX = 200
"""Most products in one go: Amazon takes few feeds an hour, each of up to 25,000 listings."""
PRICES_MAX = 2000
EXEMPTION = "supplier_declared_has_product_identifier_exemption"
"""Amazon grants it by brand and category. Nothing tells whether it did, so only the seller can say; who says it without
having it may lose the right to list, so the hub never says it unasked."""
RULES = ListingRules(
    required=frozenset(
        {ListingField.TITLE, ListingField.PRICE, ListingField.SKU, ListingField.CATEGORY, ListingField.VENDOR}
    ),
    wanted=frozenset(
        {
            ListingField.DESCRIPTION,
            ListingField.BARCODE,
            ListingField.IMAGES,
            ListingField.WEIGHT,
            ListingField.DIMENSIONS,
        }
    ),
    title_length_max=200,
    description_length_max=2000,
    html_tags=frozenset(),
    forbidden_words=("free shipping", "100% quality guaranteed", "hot item", "best seller", "money back guarantee"),
    forbidden_in_title="!$?_{}^¬¦",
    title_word_repeats_max=2,
    sku_length_max=40,
    barcode_lengths=GTIN_LENGTHS,
    barcode_exemption=EXEMPTION,
    images_max=9,
    image_formats=frozenset({"jpg", "jpeg", "png", "gif", "tif", "tiff"}),
    image_side_min_px=500,
    image_side_max_px=10_000,
    price_min=Decimal("0.01"),
    attributes=(
        AttributeRule(
            EXEMPTION,
            "Exempt from barcodes (GTIN)",
            kind=AttributeKind.YES_NO,
            help="yes, if Amazon has exempted you for this brand and category.",
        ),
        AttributeRule("bullet_point", "Bullet points", length_max=500, values_max=5),
        AttributeRule("country_of_origin", "Country of origin", length_max=2, help="Two letters, such as DE."),
    ),
    source="sellercentral: product title requirements, image guide; a product type's own rules are read from Amazon",
)

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
            Capability.PUSH_LISTINGS,
            Capability.PUSH_PRICES,
            Capability.END_LISTINGS,
            Capability.FOLLOW_LISTINGS,
            Capability.FOLLOW_PRICES,
            Capability.PREVIEW_LISTINGS,
            Capability.READ_LISTINGS,
            Capability.READ_LISTING_RULES,
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
    listing_rules=(RULES,),
    category_help="Amazon's product type, such as SHIRT.",
    listing_fields=frozenset(
        {
            ListingField.TITLE,
            ListingField.DESCRIPTION,
            ListingField.VENDOR,
            ListingField.CATEGORY,
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
    hides_variants=True,
    listing_batch_max=PRODUCTS_MAX,
    price_batch_max=PRICES_MAX,
)
