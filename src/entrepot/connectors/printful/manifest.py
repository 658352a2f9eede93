"""What the hub must know of Printful before it speaks to it."""

from __future__ import annotations

from entrepot.channels.contract import (
    AuthKind,
    Capability,
    Environment,
    Field,
    LimitKind,
    Manifest,
    RateLimit,
)

API_VERSION = "v2"
LIMIT_NAME = "calls"
STOCK_TOPIC = "catalog_stock_updated"
"""Asked for only with the products that it shall tell of."""
ORDER_TOPICS = (
    "shipment_sent",
    "shipment_returned",
    "shipment_out_of_stock",
    "order_updated",
    "order_failed",
    "order_canceled",
    "order_put_hold",
    "order_put_hold_approval",
    "order_remove_hold",
)
REGIONS = (
    "worldwide",
    "north_america",
    "canada",
    "europe",
    "spain",
    "latvia",
    "uk",
    "france",
    "australia",
    "japan",
    "new_zealand",
    "italy",
    "brazil",
    "southeast_asia",
    "republic_of_korea",
    "english_speaking_regions",
)
"""Printful's selling regions."""

MANIFEST = Manifest(
    key="printful",
    title="Printful",
    api_version=API_VERSION,
    capabilities=frozenset(
        {
            Capability.MAKE_ORDERS,
            Capability.ESTIMATE_MAKING,
            Capability.READ_AVAILABILITY,
            Capability.PULL_LISTINGS,
            Capability.WEBHOOKS,
        }
    ),
    auth=AuthKind.STATIC_TOKEN,
    fields=(
        Field(
            "access_token",
            "Private token",
            help="Printful's developer site, Your tokens: with the scopes for orders, webhooks and products of the store.",
            secret=True,
        ),
        Field(
            "store_id",
            "Store ID",
            help="Digits. Needed if the token is for the whole account rather than one store: the test lists the stores.",
            required=False,
            pattern=r"[0-9]{1,18}",
        ),
        Field(
            "catalog_products",
            "Catalog products",
            help="Numbers of products in Printful's catalog that you print on, with commas, such as 71, 19. "
            "Empty: only the products of your store are read.",
            required=False,
            pattern=r"[0-9]{1,9}(\s*,\s*[0-9]{1,9}){0,99}",
        ),
        Field(
            "selling_region",
            "Selling region",
            help=f"Where you sell; stock is told for it. One of: {', '.join(REGIONS)}.",
            required=False,
            default="worldwide",
            pattern="|".join(REGIONS),
        ),
        Field(
            "webhook_secret",
            "Webhook secret",
            help="Leave empty: the hub learns it when it sets up Printful's webhooks.",
            secret=True,
            required=False,
        ),
        Field("simulator_url", "Simulator address", help="Only for the simulated environment.", required=False),
    ),
    environments=(
        Environment("production", {"api": "https://api.printful.com"}),
        Environment("simulated", {"api": "{simulator_url}/printful"}),
    ),
    # 120 in a burst, one back every half second. The answers' headers correct it.
    rate_limits=(RateLimit(LIMIT_NAME, LimitKind.TOKEN_BUCKET, capacity=120, refill_per_s=2),),
    webhook_topics=(*ORDER_TOPICS, STOCK_TOPIC),
    webhook_secret_field="webhook_secret",  # noqa: S106 - a name
    sells=False,
)
