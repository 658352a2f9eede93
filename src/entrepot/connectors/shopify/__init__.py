"""Shopify: Admin GraphQL API 2026-10. Quirks are in README.md beside this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from entrepot.channels.contract import (
    Api,
    Call,
    ChannelListing,
    ChannelOrder,
    CheckReport,
    ConnectorError,
    Credentials,
    EndBatch,
    Fulfilment,
    LimitReading,
    ListingBatch,
    ListingReceipt,
    ListingRef,
    ListingResult,
    Manifest,
    Page,
    PriceBatch,
    PriceReceipt,
    PushReceipt,
    QuantityBatch,
    Reply,
    ReportedQuantity,
    WebhookEvent,
)
from entrepot.connectors.shopify import calls, checking, listings, orders, parcels, prices, stock, webhooks
from entrepot.connectors.shopify.manifest import MANIFEST


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

    async def push_listings(self, api: Api, batch: ListingBatch) -> ListingReceipt:
        return await listings.push(api, batch)

    async def follow_listings(self, api: Api, handle: str) -> tuple[ListingResult, ...] | None:
        return await listings.follow(api, handle)

    async def push_prices(self, api: Api, batch: PriceBatch) -> PriceReceipt:
        return await prices.push(api, batch)

    async def end_listings(self, api: Api, batch: EndBatch) -> ListingReceipt:
        return await listings.end(api, batch)

    async def read_listings(self, api: Api, product_ids: Sequence[str]) -> tuple[ChannelListing, ...]:
        return await listings.read(api, product_ids)

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
