"""What Shopify is: its manifest, and what it requires of listings."""

from __future__ import annotations

from decimal import Decimal

from entrepot.channels.contract import (
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
from entrepot.connectors.shopify import calls, listing_queries, listings, queries, webhooks

RULES = ListingRules(
    required=frozenset({ListingField.TITLE, ListingField.PRICE}),
    wanted=frozenset(
        {
            ListingField.DESCRIPTION,
            ListingField.VENDOR,
            ListingField.PRODUCT_TYPE,
            ListingField.CATEGORY,
            ListingField.TAGS,
            ListingField.IMAGES,
            ListingField.SEO_TITLE,
            ListingField.SEO_DESCRIPTION,
            ListingField.SKU,
            ListingField.BARCODE,
            ListingField.WEIGHT,
        }
    ),
    title_length_max=255,
    description_length_max=512_000,
    options_max=3,
    variants_max=2048,
    option_length_max=255,
    tags_max=250,
    tag_length_max=255,
    vendor_length_max=255,
    sku_length_max=255,
    seo_title_length_max=255,
    images_max=listing_queries.IMAGES_A_CALL,
    image_formats=frozenset({"jpg", "jpeg", "png", "gif", "webp", "heic"}),
    image_side_max_px=5000,
    alt_text_length_max=512,
    price_min=Decimal("0.01"),
    price_max=Decimal("999999999999999.99"),
    source="shopify.dev: productSet, product limits; help.shopify.com: product media types",
)
"""Shopify takes 250 pictures; we read 200 back, so no more can be compared."""

MANIFEST = Manifest(
    key="shopify",
    title="Shopify",
    api_version=queries.API_VERSION,
    capabilities=frozenset(
        {
            Capability.PULL_ORDERS,
            Capability.PULL_LISTINGS,
            Capability.PUSH_QUANTITIES,
            Capability.READ_QUANTITIES,
            Capability.PUSH_FULFILMENT,
            Capability.WEBHOOKS,
            Capability.PUSH_LISTINGS,
            Capability.PUSH_PRICES,
            Capability.END_LISTINGS,
            Capability.FOLLOW_LISTINGS,
            Capability.READ_LISTINGS,
        }
    ),
    auth=AuthKind.STATIC_TOKEN,
    fields=(
        Field(
            "shop", "Shop", "Its permanent name, such as example.myshopify.com.", pattern=r"[A-Za-z0-9][A-Za-z0-9.-]*"
        ),
        Field(
            "location_id",
            "Location",
            "The number of the location whose stock this is.",
            pattern=r"(gid://shopify/Location/)?[0-9]+",
        ),
        Field(
            "orders_since",
            "Orders since",
            "Read orders changed since this day (2026-01-31); empty: all that Shopify lets us read.",
            required=False,
        ),
        Field("simulator_url", "Simulator", "Only for the simulated environment.", required=False),
        Field("access_token", "Admin API access token", "Of the app that you made for the hub.", secret=True),
        Field("client_secret", "Client secret", "Of the same app: it signs the webhooks.", secret=True),
    ),
    environments=(
        Environment("production", {"api": "https://{shop}"}),
        Environment("simulated", {"api": "{simulator_url}/shopify"}),
    ),
    rate_limits=(RateLimit(calls.LIMIT, LimitKind.COST_BUCKET, capacity=2000, refill_per_s=100),),
    quantity_semantics=QuantitySemantics.COMPARE_AND_SET,
    cancel_restocks=True,
    source_priority=80,
    push_batch_max=queries.ARRAY_MAX,
    listing_rules=(RULES,),
    category_help="Its number in Shopify's taxonomy, such as hg-11-6.",
    listing_fields=frozenset(ListingField) - {ListingField.ATTRIBUTES, ListingField.DIMENSIONS},
    listing_ends=frozenset(EndKind),
    listing_batch_max=listings.BATCH_MAX,
    price_batch_max=queries.ARRAY_MAX,
    webhook_topics=webhooks.TOPICS,
    webhook_secret_field="client_secret",  # noqa: S106 (the name of a field)
    webhook_account=("x-shopify-shop-domain", "shop"),
)
