"""Webhooks: signature, mapping, subscriptions."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import msgspec

from entrepot.channels.contract import Api, ReportedQuantity, RequestRejected, UnexpectedAnswer, WebhookEvent
from entrepot.connectors.shopify import mapping, queries, shapes, webhook_shapes
from entrepot.connectors.shopify.calls import ask

SIGNATURE = "x-shopify-hmac-sha256"

ORDER_TOPICS = ("orders/create", "orders/updated", "orders/cancelled")
LEVELS = "inventory_levels/update"
PRODUCT_TOPICS = ("products/create", "products/update", "products/delete")
TOPICS = (*ORDER_TOPICS, LEVELS, *PRODUCT_TOPICS)
"""What we subscribe to. orders/updated comes with every change of an order, paid and fulfilled included; products/update with
every change of a product, and also when its stock changes."""

_WHOLE_ORDERS = frozenset({*ORDER_TOPICS, "orders/paid", "orders/fulfilled", "orders/partially_fulfilled"})
_EDITED = "orders/edited"

_order = msgspec.json.Decoder(webhook_shapes.RestOrder)
_level = msgspec.json.Decoder(webhook_shapes.RestLevel)
_product = msgspec.json.Decoder(webhook_shapes.RestProduct)
_edited = msgspec.json.Decoder(webhook_shapes.RestOrderEdited)


def verify(body: bytes, headers: Mapping[str, str], secret: str) -> bool:
    """Return whether the signature is the base64 HMAC-SHA256 of the body under the app's client secret."""
    given = headers.get(SIGNATURE, "")
    if not secret or not given:
        return False
    expected = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256))
    return hmac.compare_digest(expected, given.encode("utf-8", "replace"))


def event_id(headers: Mapping[str, str]) -> tuple[str, str]:
    """Return (event id, topic). One thing that happens in the shop has one id for all its topics, so the topic is part
    of ours: the order that came with orders/create may be older than the one that comes with orders/updated."""
    topic = headers.get("x-shopify-topic", "")
    event = headers.get("x-shopify-event-id", "") or headers.get("x-shopify-webhook-id", "")
    if not topic or not event:
        raise UnexpectedAnswer("The webhook names no topic or no event")
    return f"{event}:{topic}", topic


def parse(body: bytes, headers: Mapping[str, str]) -> WebhookEvent:
    """Map a verified delivery; a topic that says nothing to us is an event without content."""
    identifier, topic = event_id(headers)
    try:
        if topic in _WHOLE_ORDERS:
            return WebhookEvent(identifier, topic, order=mapping.order_of_webhook(_order.decode(body)))
        if topic == LEVELS:
            return WebhookEvent(identifier, topic, quantities=(_reported(_level.decode(body)),))
        if topic in PRODUCT_TOPICS:
            return WebhookEvent(identifier, topic, product_ids=(str(_product.decode(body).id),))
        if topic == _EDITED:
            return WebhookEvent(identifier, topic, order_ids=(str(_edited.decode(body).order_edit.order_id),))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnexpectedAnswer(f"The {topic} webhook is not as documented: {error}") from error
    return WebhookEvent(identifier, topic)


def _reported(level: webhook_shapes.RestLevel) -> ReportedQuantity:
    keys = {"inventory_item": str(level.inventory_item_id), "location": str(level.location_id)}
    return ReportedQuantity("", level.available, keys)


# ---- subscriptions -------------------------------------------------------------------------------------


async def subscribe(api: Api, url: str) -> None:
    """Make every topic of ours come to `url` exactly once, whole and as JSON."""
    kept: set[str] = set()
    topics = {_enum_of(topic) for topic in TOPICS}
    for subscription in await _ours(api, url):
        is_right = subscription.format == "JSON" and not subscription.include_fields and not subscription.filter
        if is_right and subscription.topic in topics - kept:
            kept.add(subscription.topic)
        elif subscription.topic in topics:
            await _remove(api, subscription.id)
    for topic in sorted(topics - kept):
        variables = {"topic": topic, "subscription": {"uri": url, "format": "JSON"}}
        data, _ = await ask(api, queries.SUBSCRIBE, shapes.SubscriptionCreate, variables)
        _raise_refusal(f"subscribe to {topic}", data.webhook_subscription_create, unless="already been taken")


async def unsubscribe(api: Api, url: str) -> None:
    """Remove every subscription that delivers to `url`."""
    for subscription in await _ours(api, url):
        await _remove(api, subscription.id)


async def _ours(api: Api, url: str) -> list[shapes.Subscription]:
    found: list[shapes.Subscription] = []
    after: str | None = None
    while True:
        data, _ = await ask(api, queries.SUBSCRIPTIONS, shapes.Subscriptions, {"after": after})
        page = data.webhook_subscriptions
        found += [each for each in page.nodes if each.uri == url]
        if not page.page_info.has_next_page or page.page_info.end_cursor in (None, after):
            return found
        after = page.page_info.end_cursor


async def _remove(api: Api, gid: str) -> None:
    data, _ = await ask(api, queries.UNSUBSCRIBE, shapes.SubscriptionDelete, {"id": gid})
    _raise_refusal("remove a webhook subscription", data.webhook_subscription_delete, unless="does not exist")


def _raise_refusal(what: str, outcome: shapes.Outcome, *, unless: str) -> None:
    """Raise RequestRejected for objections other than that the wish is already fulfilled."""
    words: list[Any] = [error.message for error in outcome.user_errors if unless not in error.message]
    if words:
        raise RequestRejected(f"Shopify refuses to {what}: {'; '.join(words[:3])}", code="WEBHOOK_REFUSED")


def _enum_of(topic: str) -> str:
    """Return GraphQL's name of a topic: `orders/create` is ORDERS_CREATE."""
    return topic.replace("/", "_").upper()
