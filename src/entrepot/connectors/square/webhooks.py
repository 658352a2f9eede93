"""Square's webhooks: the signature, the event, the subscription."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from entrepot.channels.contract import Api, Payload, ReportedQuantity, UnexpectedAnswer, WebhookEvent
from entrepot.channels.replies import json_of_bytes
from entrepot.connectors.square import calls
from entrepot.connectors.square.listings import counts_of
from entrepot.connectors.square.manifest import TOPICS
from entrepot.connectors.square.reading import body_of, inner, objects, optional_text, text

SIGNATURE_HEADER = "x-square-hmacsha256-signature"
_ORDER_OBJECTS = ("order_created", "order_updated", "order_fulfillment_updated")


def signature_of(body: bytes, url: str, key: str) -> str:
    """Return base64 HMAC-SHA256 of the notification URL followed by the body."""
    return b64encode(hmac.new(key.encode(), url.encode() + body, hashlib.sha256).digest()).decode()


def signed(body: bytes, headers: Mapping[str, str], url: str, secret: str) -> bool:
    """Return whether the delivery carries the signature that our key gives; never with an empty key."""
    given = headers.get(SIGNATURE_HEADER, "")
    if not secret or not given:
        return False
    return hmac.compare_digest(signature_of(body, url, secret).encode(), given.encode())


def event_id_of(body: bytes) -> tuple[str, str]:
    """Return (event id, topic). Raises UnexpectedAnswer."""
    event = _event(body)
    return text(event, "event_id"), text(event, "type")


def event_of(body: bytes) -> WebhookEvent:
    """Return the event. Orders are only named by Square, so they are to be fetched; of the catalog it only says
    that something was changed."""
    event = _event(body)
    topic = text(event, "type")
    data = inner(event, "data")
    things = inner(data, "object")
    quantities: tuple[ReportedQuantity, ...] = ()
    order_ids: tuple[str, ...] = ()
    if topic == "inventory.count.updated":
        counts = counts_of(objects(things, "inventory_counts"))
        quantities = tuple(ReportedQuantity(listing, units) for listing, units in counts.items())
    elif topic.startswith("order."):
        named = [optional_text(inner(things, name), "order_id") for name in _ORDER_OBJECTS]
        order_id = next(filter(None, named), "") or optional_text(data, "id")
        if not order_id:
            raise UnexpectedAnswer(f"Square's event {topic} names no order")
        order_ids = (order_id,)
    changed = topic == "catalog.version.updated"
    return WebhookEvent(
        text(event, "event_id"), topic, order_ids=order_ids, quantities=quantities, listings_changed=changed
    )


async def subscribe(api: Api, url: str) -> dict[str, str]:
    """Have every topic delivered to `url` by exactly one subscription; return its signature key."""
    ours = await _subscriptions(api, url)
    for extra in ours[1:]:
        await api.send(calls.delete_subscription(text(extra, "id")))
    if not ours:
        # A lost answer is repeated with this very key; a later call finds the subscription in the list.
        answer = await api.send(calls.create_subscription(url, str(uuid4())))
        ours = [inner(body_of(answer), "subscription")]
    elif not _complete(ours[0]):
        await api.send(calls.repair_subscription(text(ours[0], "id")))
    key = optional_text(ours[0], "signature_key")
    if not key:
        answer = await api.send(calls.retrieve_subscription(text(ours[0], "id")))
        key = text(inner(body_of(answer), "subscription"), "signature_key")
    return {"signature_key": key}


async def unsubscribe(api: Api, url: str) -> None:
    """Remove every subscription of the application for `url`."""
    for each in await _subscriptions(api, url):
        await api.send(calls.delete_subscription(text(each, "id")))


async def _subscriptions(api: Api, url: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    page: str | None = None
    while True:
        answer = body_of(await api.send(calls.list_subscriptions(page)))
        found += [each for each in objects(answer, "subscriptions") if each.get("notification_url") == url]
        page = optional_text(answer, "cursor") or None
        if page is None:
            return found


def _complete(subscription: Payload) -> bool:
    return subscription.get("enabled") is True and set(TOPICS) <= set(subscription.get("event_types") or ())


def _event(body: bytes) -> Mapping[str, Any]:
    event = json_of_bytes(body)
    if not isinstance(event, dict):
        raise UnexpectedAnswer("Square sent an event that is not an object")
    return event
