"""Webhook subscriptions, and who is told what."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from entrepot_sandbox.books import Listing, Order, Parcel
from entrepot_sandbox.marketplace import Hook
from entrepot_sandbox.sheets import Sheet
from entrepot_sandbox.shopify import ids, payloads
from entrepot_sandbox.shopify.catalog import Node
from entrepot_sandbox.shopify.ids import gid
from entrepot_sandbox.shopify.products import product_body, sheet_of
from entrepot_sandbox.shopify.state import API_VERSION, DOMAIN, Refund, State, Subscription
from entrepot_sandbox.shopify.words import stamp

TIMEOUT_S = 5.0
RETRY_AFTER_S = (10, 60, 300, 900, 1_800, 2_700, 3_600, 5_000)
"""The channel tries again eight times over about four hours."""


# -- subscriptions ------------------------------------------------------------------------------------------


def subscription_node(subscription: Subscription) -> Node:
    """A subscription as a GraphQL value."""
    return {
        "__typename": "WebhookSubscription",
        "id": gid("WebhookSubscription", subscription.number),
        "legacyResourceId": str(subscription.number),
        "topic": subscription.topic,
        "uri": subscription.uri,
        "callbackUrl": subscription.uri,
        "format": subscription.format,
        "includeFields": list(subscription.include_fields),
        "metafieldNamespaces": [],
        "name": subscription.name,
        "apiVersion": {"handle": API_VERSION, "displayName": API_VERSION, "supported": True},
        "createdAt": stamp(subscription.created_at),
        "updatedAt": stamp(subscription.updated_at),
    }


def subscribe(state: State, topic: str, wanted: Mapping[str, Any]) -> Node:
    """Answer webhookSubscriptionCreate."""
    uri = wanted.get("uri") or wanted.get("callbackUrl") or ""
    problem = _problem(state, topic, uri, wanted.get("format"), None)
    if problem:
        return {"webhookSubscription": None, "userErrors": [problem]}
    state.subscription_count += 1
    number, now = ids.SUBSCRIPTION + state.subscription_count * ids.STEP, state.desk.now()
    subscription = Subscription(
        number, topic, uri, "JSON", tuple(wanted.get("includeFields") or ()), wanted.get("name"), now, now
    )
    state.subscriptions[number] = subscription
    return {"webhookSubscription": subscription_node(subscription), "userErrors": []}


def resubscribe(state: State, global_id: str, wanted: Mapping[str, Any]) -> Node:
    """Answer webhookSubscriptionUpdate."""
    subscription = find(state, global_id)
    if subscription is None:
        return {"webhookSubscription": None, "userErrors": [_error(["id"], "Webhook subscription does not exist")]}
    uri = wanted.get("uri") or wanted.get("callbackUrl") or subscription.uri
    problem = _problem(state, subscription.topic, uri, wanted.get("format"), subscription)
    if problem:
        return {"webhookSubscription": None, "userErrors": [problem]}
    subscription.uri = uri
    if "includeFields" in wanted:
        subscription.include_fields = tuple(wanted["includeFields"] or ())
    if "name" in wanted:
        subscription.name = wanted["name"]
    subscription.updated_at = state.desk.now()
    return {"webhookSubscription": subscription_node(subscription), "userErrors": []}


def unsubscribe(state: State, global_id: str) -> Node:
    """Answer webhookSubscriptionDelete."""
    subscription = find(state, global_id)
    if subscription is None:
        error = _error(["id"], "Webhook subscription does not exist")
        return {"deletedWebhookSubscriptionId": None, "userErrors": [error]}
    del state.subscriptions[subscription.number]
    return {"deletedWebhookSubscriptionId": global_id, "userErrors": []}


def find(state: State, global_id: str) -> Subscription | None:
    """Return a subscription by its global id."""
    number = ids.number_of(global_id, "WebhookSubscription") or ""
    return state.subscriptions.get(int(number)) if number.isdigit() else None


def _problem(state: State, topic: str, uri: str, form: str | None, itself: Subscription | None) -> Node | None:
    field = ["webhookSubscription", "callbackUrl"]
    if not uri:
        return _error(field, "Address can't be blank")
    if not uri.startswith(("https://", "http://127.0.0.1", "http://localhost", "http://[::1]")):
        return _error(field, "Address protocol http:// is not supported")
    if form == "XML":
        return _error(["webhookSubscription", "format"], "Format is not supported by this shop")
    taken = any(one.topic == topic and one.uri == uri and one is not itself for one in state.subscriptions.values())
    return _error(field, "Address for this topic has already been taken") if taken else None


def _error(field: list[str], message: str) -> Node:
    return {"field": field, "message": message}


# -- telling ------------------------------------------------------------------------------------------------


def tell_placed(state: State, order: Order) -> None:
    """An order was placed and paid: the order, its stock and its products changed."""
    _tell_order(state, order, "ORDERS_CREATE", "ORDERS_PAID")
    _tell_listings(state, (line.listing for line in order.lines), "PRODUCTS_UPDATE")


def tell_cancelled(state: State, order: Order, refund: Refund) -> None:
    """Units of an order were cancelled, refunded and put back."""
    topics = ("ORDERS_CANCELLED", "ORDERS_UPDATED") if order.is_cancelled else ("ORDERS_UPDATED",)
    _tell_order(state, order, *topics)
    _tell(state, "REFUNDS_CREATE", partial(payloads.refund_body, order, refund))
    touched = (line.listing for line in order.lines if line.id in refund.units)
    _tell_listings(state, touched)


def tell_shipped(state: State, order: Order, parcel: Parcel) -> None:
    """A parcel left."""
    _tell_order(
        state, order, "ORDERS_FULFILLED" if order.is_shipped else "ORDERS_PARTIALLY_FULFILLED", "ORDERS_UPDATED"
    )
    _tell(state, "FULFILLMENTS_CREATE", partial(payloads.fulfillment_body, order, parcel))


def tell_product(state: State, sheet: Sheet, topic: str) -> None:
    """A product was made or changed (PRODUCTS_CREATE, PRODUCTS_UPDATE)."""
    _tell(state, topic, partial(product_body, sheet))


def tell_deleted(state: State, sheet: Sheet) -> None:
    """A product was deleted."""
    _tell(state, "PRODUCTS_DELETE", lambda: {"id": int(sheet.id)})


def tell_stock(state: State, listings: Iterable[Listing]) -> None:
    """The seller changed quantities."""
    _tell_listings(state, listings)


def _tell_order(state: State, order: Order, *topics: str) -> None:
    for topic in topics:
        _tell(state, topic, partial(payloads.order_body, state, order), ((order.id, order.version),), order.id)


def _tell_listings(state: State, listings: Iterable[Listing], *topics: str) -> None:
    for listing in {listing.id: listing for listing in listings}.values():
        if "PRODUCTS_UPDATE" in topics:
            _tell(state, "PRODUCTS_UPDATE", partial(product_body, sheet_of(listing)))
        _tell(state, "INVENTORY_LEVELS_UPDATE", partial(payloads.level_body, listing))


def _tell(
    state: State,
    topic: str,
    make: Callable[[], Mapping[str, Any]],
    tells: tuple[tuple[str, int], ...] = (),
    order_id: str = "",
) -> None:
    subscribers = [one for one in state.subscriptions.values() if one.topic == topic]
    if not subscribers:
        return
    body = make()
    event_id, at = state.next_event(), state.desk.now()
    for subscription in subscribers:
        fields = subscription.include_fields
        kept = {key: value for key, value in body.items() if key in fields} if fields else body
        state.desk.publish(_hook(state, subscription, event_id, at, msgspec.json.encode(kept), tells, order_id))


def _hook(
    state: State,
    subscription: Subscription,
    event_id: str,
    at: datetime,
    body: bytes,
    tells: tuple[tuple[str, int], ...],
    order_id: str,
) -> Hook:
    topic = topic_path(subscription.topic)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Shopify-Captain-Hook",
        "X-Shopify-Topic": topic,
        "X-Shopify-Hmac-Sha256": sign(body, state.client_secret),
        "X-Shopify-Shop-Domain": DOMAIN,
        "X-Shopify-API-Version": API_VERSION,
        "X-Shopify-Webhook-Id": str(uuid.uuid5(uuid.UUID(event_id), str(subscription.number))),
        "X-Shopify-Event-Id": event_id,
        "X-Shopify-Triggered-At": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z"),
        **({"X-Shopify-Order-Id": order_id} if order_id else {}),
        **({"X-Shopify-Name": subscription.name} if subscription.name else {}),
    }
    return Hook(
        subscription_id=str(subscription.number),
        url=subscription.uri,
        topic=topic,
        event_id=event_id,
        body=body,
        headers=lambda _attempt: headers,
        tells=tells,
        retry_after_s=RETRY_AFTER_S,
        timeout_s=TIMEOUT_S,
    )


def topic_path(topic: str) -> str:
    """Return a topic as the header has it: ORDERS_CREATE is orders/create."""
    thing, _, verb = topic.lower().rpartition("_")
    if topic == "ORDERS_PARTIALLY_FULFILLED":
        return "orders/partially_fulfilled"
    return f"{thing}/{verb}"


def sign(body: bytes, secret: str) -> str:
    """Return the base64 HMAC-SHA256 of a body with the app's client secret."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
