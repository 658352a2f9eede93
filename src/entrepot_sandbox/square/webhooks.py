"""Square's webhook subscriptions and events."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrepot_sandbox.marketplace import Desk, Hook
from entrepot_sandbox.square.answers import (
    Ids,
    Json,
    Keys,
    bad,
    body_of,
    list_of,
    not_found,
    object_of,
    ok,
    page_of,
    stamp,
    start_of,
)

API_VERSION = "2025-08-20"
EVENTS = frozenset(
    {
        "order.created",
        "order.updated",
        "inventory.count.updated",
        "catalog.version.updated",
        "order.fulfillment.updated",
    }
)
SIGNATURE = "x-square-hmacsha256-signature"
RETRY_AFTER_S = (60, 120, 240, 480, 960, 1920, 3600, 7200, 14400, 28800, 28800)


def signature(key: str, url: str, body: bytes) -> str:
    """Return base64 HMAC-SHA256 of the notification URL followed by the body."""
    return b64encode(hmac.new(key.encode(), url.encode() + body, hashlib.sha256).digest()).decode()


class Webhooks:
    """Subscriptions of the application, and the events that go to them."""

    def __init__(self, desk: Desk, ids: Ids, merchant_id: str) -> None:
        self._desk, self._ids, self._merchant_id = desk, ids, merchant_id
        self._keys = Keys()
        self._subscriptions: dict[str, Json] = {}

    def routes(self) -> list[Route]:
        """Return the routes."""
        base = "/v2/webhooks/subscriptions"
        return [
            Route(base, self.list_subscriptions, methods=["GET"]),
            Route(base, self.create, methods=["POST"]),
            Route(base + "/{subscription_id}", self.retrieve, methods=["GET"]),
            Route(base + "/{subscription_id}", self.update, methods=["PUT"]),
            Route(base + "/{subscription_id}", self.delete, methods=["DELETE"]),
            Route(base + "/{subscription_id}/signature-key", self.change_key, methods=["POST"]),
        ]

    async def list_subscriptions(self, request: Request) -> Response:
        """ListWebhookSubscriptions."""
        wants_all = request.query_params.get("include_disabled", "").lower() == "true"
        found = [each for each in self._subscriptions.values() if wants_all or each["enabled"]]
        page, following = page_of(found, start_of(request.query_params.get("cursor")), 100)
        return ok({"subscriptions": list(page) or None, "cursor": following})

    async def create(self, request: Request) -> Response:
        """CreateWebhookSubscription."""
        body = await body_of(request)
        key = body.get("idempotency_key")
        if key is not None:
            earlier = self._keys.earlier(key, body, at_most=45)
            if earlier is not None:
                return ok(earlier)
        told = object_of(body, "subscription")
        now = stamp(self._desk.now())
        made: Json = {
            "id": f"wbhk_{self._ids.mixed(32)}",
            "name": str(told.get("name", "")),
            "enabled": told.get("enabled", True) is True,
            "event_types": _events(told),
            "notification_url": _url(told),
            "api_version": str(told.get("api_version", API_VERSION)),
            "signature_key": self._ids.mixed(22),
            "created_at": now,
            "updated_at": now,
        }
        self._subscriptions[made["id"]] = made
        answer: Json = {"subscription": dict(made)}
        if key is not None:
            self._keys.keep(key, body, answer)
        return ok(answer)

    async def retrieve(self, request: Request) -> Response:
        """RetrieveWebhookSubscription."""
        return ok({"subscription": self._subscription(request)})

    async def update(self, request: Request) -> Response:
        """UpdateWebhookSubscription: only what is named changes."""
        held, told = self._subscription(request), object_of(await body_of(request), "subscription")
        if "event_types" in told:
            held["event_types"] = _events(told)
        if "notification_url" in told:
            held["notification_url"] = _url(told)
        if "name" in told:
            held["name"] = str(told["name"])
        if "enabled" in told:
            held["enabled"] = told["enabled"] is True
        held["updated_at"] = stamp(self._desk.now())
        return ok({"subscription": held})

    async def delete(self, request: Request) -> Response:
        """DeleteWebhookSubscription."""
        del self._subscriptions[self._subscription(request)["id"]]
        return ok({})

    async def change_key(self, request: Request) -> Response:
        """UpdateWebhookSubscriptionSignatureKey."""
        held = self._subscription(request)
        held["signature_key"] = self._ids.mixed(22)
        return ok({"signature_key": held["signature_key"]})

    def _subscription(self, request: Request) -> Json:
        held = self._subscriptions.get(request.path_params["subscription_id"])
        if held is None:
            raise not_found("There is no webhook subscription with that ID.")
        return held

    # -- events --

    def publish(self, topic: str, kind: str, data_id: str, content: Json, tells: tuple[tuple[str, int], ...]) -> None:
        """Send an event to every subscription that wants it. `kind` names the object in `data`."""
        if not any(topic in each["event_types"] for each in self._subscriptions.values() if each["enabled"]):
            return
        now = self._desk.now()
        event_id = self._ids.uuid()
        body = msgspec.json.encode(
            {
                "merchant_id": self._merchant_id,
                "type": topic,
                "event_id": event_id,
                "created_at": stamp(now),
                "data": {"type": kind, "id": data_id, "object": content},
            }
        )
        for held in self._subscriptions.values():
            if held["enabled"] and topic in held["event_types"]:
                self._desk.publish(
                    Hook(
                        subscription_id=held["id"],
                        url=held["notification_url"],
                        topic=topic,
                        event_id=event_id,
                        body=body,
                        headers=_headers(held["signature_key"], held["notification_url"], body, now),
                        tells=tells,
                        whole=False,
                        retry_after_s=RETRY_AFTER_S,
                    )
                )


def _headers(key: str, url: str, body: bytes, first_at: datetime) -> Callable[[int], Mapping[str, str]]:
    def headers(attempt: int) -> Mapping[str, str]:
        made = {
            SIGNATURE: signature(key, url, body),
            "square-environment": "Production",
            "square-initial-delivery-timestamp": stamp(first_at),
            "user-agent": "Square Connect v2",
        }
        if attempt > 1:
            made |= {"square-retry-number": str(attempt - 1), "square-retry-reason": "other_error"}
        return made

    return headers


def _events(told: Json) -> list[str]:
    events = list_of(told, "event_types", at_most=500, required=True)
    unknown = [event for event in events if event not in EVENTS]
    if unknown:
        raise bad("INVALID_VALUE", f"There is no event type {unknown[0]}.", "subscription.event_types")
    return list(dict.fromkeys(events))


def _url(told: Json) -> str:
    url = told.get("notification_url")
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise bad("INVALID_VALUE", "The notification URL is not valid.", "subscription.notification_url")
    return url
