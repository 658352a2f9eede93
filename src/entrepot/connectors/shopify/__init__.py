"""Shopify: Admin GraphQL API 2026-10. Quirks are in README.md beside this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from entrepot.channels.contract import (
    Api,
    AuthKind,
    Call,
    Capability,
    ChannelListing,
    ChannelOrder,
    CheckReport,
    ConnectorError,
    Credentials,
    Environment,
    Field,
    Fulfilment,
    LimitKind,
    LimitReading,
    ListingRef,
    Manifest,
    Page,
    PushReceipt,
    QuantityBatch,
    QuantitySemantics,
    RateLimit,
    Reply,
    ReportedQuantity,
    WebhookEvent,
)
from entrepot.connectors.shopify import calls, checking, orders, parcels, queries, stock, webhooks

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
    webhook_topics=webhooks.TOPICS,
    webhook_secret_field="client_secret",  # noqa: S106 (the name of a field)
    webhook_account=("x-shopify-shop-domain", "shop"),
)


class ShopifyConnector:
    """Speaks Shopify's Admin GraphQL API."""

    @property
    def manifest(self) -> Manifest:
        return MANIFEST

    def authorise(self, call: Call, credentials: Credentials, at: datetime) -> Call:
        if call.absolute_url is not None:
            return call
        return replace(call, headers={**call.headers, "x-shopify-access-token": credentials["access_token"]})

    def classify(self, reply: Reply) -> ConnectorError | None:
        return calls.classify(reply)

    def read_limits(self, call: Call, reply: Reply) -> tuple[LimitReading, ...]:
        return calls.read_limits(reply)

    async def check(self, api: Api) -> CheckReport:
        return await checking.check(api)

    async def pull_orders(self, api: Api, cursor: str | None) -> Page[ChannelOrder]:
        return await orders.pull(api, cursor)

    async def fetch_orders(self, api: Api, external_ids: Sequence[str]) -> tuple[ChannelOrder, ...]:
        return await orders.fetch(api, external_ids)

    async def pull_listings(self, api: Api, cursor: str | None) -> Page[ChannelListing]:
        return await stock.pull_listings(api, cursor)

    async def push_quantities(self, api: Api, batch: QuantityBatch) -> PushReceipt:
        return await stock.push_quantities(api, batch)

    async def read_quantities(self, api: Api, refs: Sequence[ListingRef]) -> tuple[ReportedQuantity, ...]:
        return await stock.read_quantities(api, refs)

    async def push_fulfilment(self, api: Api, fulfilment: Fulfilment) -> str:
        return await parcels.push(api, fulfilment)

    def verify_webhook(self, body: bytes, headers: Mapping[str, str], url: str, secret: str) -> bool:
        return webhooks.verify(body, headers, secret)

    def webhook_event_id(self, body: bytes, headers: Mapping[str, str]) -> tuple[str, str]:
        return webhooks.event_id(headers)

    def parse_webhook(self, body: bytes, headers: Mapping[str, str]) -> WebhookEvent:
        return webhooks.parse(body, headers)

    async def subscribe_webhooks(self, api: Api, url: str) -> Mapping[str, str]:
        await webhooks.subscribe(api, url)
        return {}

    async def unsubscribe_webhooks(self, api: Api, url: str) -> None:
        await webhooks.unsubscribe(api, url)


CONNECTOR = ShopifyConnector()
