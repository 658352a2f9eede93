"""Webhook subscriptions made, repaired and removed, and what deliveries are told apart by."""

from __future__ import annotations

from typing import Any

import pytest
from tests.connectors.scripted import Answer, reply
from tests.connectors.shopify.calls import api_of, sent

from entrepot.channels.contract import (
    RequestRejected,
    UnexpectedAnswer,
)
from entrepot.connectors.shopify import CONNECTOR

URL = "https://hub.example/webhooks/in/abc"


def subscriptions(*nodes: dict[str, Any], more: str | None = None) -> Answer:
    info = {"hasNextPage": more is not None, "endCursor": more}
    return reply({"data": {"webhookSubscriptions": {"nodes": list(nodes), "pageInfo": info}}})


def subscription(number: int, topic: str, uri: str = URL, **more: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {"format": "JSON", "includeFields": [], "filter": None}
    return {"id": f"gid://shopify/WebhookSubscription/{number}", "topic": topic, "uri": uri, **plain, **more}


SUBSCRIBED = reply({"data": {"webhookSubscriptionCreate": {"webhookSubscription": {"id": "x"}, "userErrors": []}}})


REMOVED = reply({"data": {"webhookSubscriptionDelete": {"deletedWebhookSubscriptionId": "x", "userErrors": []}}})


async def test_subscriptions_are_made_once() -> None:
    api = api_of(subscriptions(), *[SUBSCRIBED] * 7)
    assert await CONNECTOR.subscribe_webhooks(api, URL) == {}
    topics = ["INVENTORY_LEVELS_UPDATE", "ORDERS_CANCELLED", "ORDERS_CREATE", "ORDERS_UPDATED"]
    topics += ["PRODUCTS_CREATE", "PRODUCTS_DELETE", "PRODUCTS_UPDATE"]
    assert [sent(api, i)["topic"] for i in range(1, 8)] == topics
    there = [subscription(i, topic) for i, topic in enumerate(topics)]
    again = api_of(subscriptions(*there[:2], more="S1"), subscriptions(*there[2:]))
    await CONNECTOR.subscribe_webhooks(again, URL)
    assert len(again.calls) == 2


async def test_subscriptions_are_repaired_and_others_left_alone() -> None:
    there = [
        subscription(1, "ORDERS_CREATE"),
        subscription(2, "ORDERS_CREATE"),
        subscription(3, "ORDERS_UPDATED", includeFields=["id"]),
        subscription(4, "ORDERS_CANCELLED"),
        subscription(5, "INVENTORY_LEVELS_UPDATE"),
        subscription(6, "ORDERS_UPDATED", "https://elsewhere.example/hook"),
        subscription(7, "PRODUCTS_UPDATE"),
        subscription(8, "PRODUCTS_CREATE"),
        subscription(9, "PRODUCTS_DELETE"),
        subscription(10, "SHOP_UPDATE"),
    ]
    api = api_of(subscriptions(*there), REMOVED, REMOVED, SUBSCRIBED)
    await CONNECTOR.subscribe_webhooks(api, URL)
    assert [sent(api, i).get("id", "")[-1:] for i in (1, 2)] == ["2", "3"]
    assert sent(api, 3)["topic"] == "ORDERS_UPDATED"
    gone = api_of(subscriptions(*there), *[REMOVED] * 9)
    await CONNECTOR.unsubscribe_webhooks(gone, URL)
    assert len(gone.calls) == 10


async def test_a_refused_subscription_is_told() -> None:
    refusal = {"webhookSubscription": None, "userErrors": [{"message": "Address is not allowed", "field": ["uri"]}]}
    with pytest.raises(RequestRejected, match="not allowed"):
        await CONNECTOR.subscribe_webhooks(
            api_of(subscriptions(), reply({"data": {"webhookSubscriptionCreate": refusal}})), URL
        )


def test_event_ids() -> None:
    headers = {"x-shopify-topic": "orders/create", "x-shopify-webhook-id": "w", "x-shopify-event-id": "e"}
    assert CONNECTOR.webhook_event_id(b"", headers) == ("e:orders/create", "orders/create")
    del headers["x-shopify-event-id"]
    assert CONNECTOR.webhook_event_id(b"", headers) == ("w:orders/create", "orders/create")
    with pytest.raises(UnexpectedAnswer):
        CONNECTOR.webhook_event_id(b"", {"x-shopify-topic": "orders/create"})


def test_an_edit_names_its_order_and_a_strange_topic_says_nothing() -> None:
    headers = {"x-shopify-topic": "orders/edited", "x-shopify-event-id": "e"}
    assert CONNECTOR.parse_webhook(b'{"order_edit": {"id": 1, "order_id": 5001}}', headers).order_ids == ("5001",)
    event = CONNECTOR.parse_webhook(b"{}", {**headers, "x-shopify-topic": "shop/update"})
    assert (event.order, event.order_ids, event.quantities) == (None, (), ())
