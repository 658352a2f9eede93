"""What the hub must know of Square before it speaks to it."""

from __future__ import annotations

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

API_VERSION = "2025-08-20"
CHANGES_MAX = 100
"""Most changes in one inventory request (Square's documented limit)."""
TOPICS = ("inventory.count.updated", "order.created", "order.updated", "catalog.version.updated")

PRODUCTS_MAX, PRICES_MAX = 50, 500
"""Most items and prices in one call; Square takes 10,000 objects in a request."""
HTML_TAGS = frozenset(
    ["a", "b", "strong", "br", "code", "div", "h1", "h2", "h3", "h4", "h5", "h6", "i", "em", "li", "ol", "p", "ul", "u"]
)
"""What Square keeps of a description (CatalogItem.description_html)."""
RULES = ListingRules(
    required=frozenset({ListingField.TITLE, ListingField.PRICE, ListingField.SKU}),
    wanted=frozenset(
        {ListingField.DESCRIPTION, ListingField.BARCODE, ListingField.SEO_TITLE, ListingField.SEO_DESCRIPTION}
    ),
    title_length_max=512,
    description_length_max=65_535,
    html_tags=HTML_TAGS,
    options_max=6,
    variants_max=250,
    option_length_max=255,
    source="developer.squareup.com: CatalogItem, CatalogItemVariation, Catalog limits",
)

MANIFEST = Manifest(
    key="square",
    title="Square",
    api_version=API_VERSION,
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
            Capability.READ_LISTINGS,
        }
    ),
    auth=AuthKind.STATIC_TOKEN,
    fields=(
        Field(
            "location_id",
            "Location ID",
            help="Square Dashboard, Settings, Locations: the one whose stock and orders count.",
            pattern=r"[A-Za-z0-9_-]{1,32}",
        ),
        Field(
            "access_token",
            "Access token",
            help="Square Developer Console, your application, Credentials: the production access token.",
            secret=True,
        ),
        Field(
            "signature_key",
            "Webhook signature key",
            help="Leave empty: the hub learns it when it subscribes to Square's webhooks.",
            secret=True,
            required=False,
        ),
        Field(
            "orders_since",
            "Import orders changed since",
            help="ISO 8601 time with offset. Empty: all orders.",
            required=False,
        ),
        Field("simulator_url", "Simulator address", help="Only for the simulated environment.", required=False),
    ),
    environments=(
        Environment("production", {"api": "https://connect.squareup.com"}),
        Environment("sandbox", {"api": "https://connect.squareupsandbox.com"}),
        Environment("simulated", {"api": "{simulator_url}/square"}),
    ),
    # Square does not publish its limits; this stays below what its staff call normal use, and 429 is obeyed.
    rate_limits=(RateLimit("calls", LimitKind.TOKEN_BUCKET, capacity=20, refill_per_s=10),),
    quantity_semantics=QuantitySemantics.DELTA,
    push_batch_max=CHANGES_MAX,
    listing_rules=(RULES,),
    listing_fields=frozenset(
        {
            ListingField.TITLE,
            ListingField.DESCRIPTION,
            ListingField.SEO_TITLE,
            ListingField.SEO_DESCRIPTION,
            ListingField.STATUS,
            ListingField.SKU,
            ListingField.BARCODE,
            ListingField.PRICE,
        }
    ),
    listing_ends=frozenset(EndKind),
    hides_variants=True,
    listing_batch_max=PRODUCTS_MAX,
    price_batch_max=PRICES_MAX,
    price_compared=True,
    listing_version_compared=True,
    webhook_topics=TOPICS,
    webhook_secret_field="signature_key",  # noqa: S106 - a name
)
