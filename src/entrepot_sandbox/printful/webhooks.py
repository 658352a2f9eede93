"""Webhooks: one configuration for the token, a secret that is shown once, signed events."""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from entrepot_sandbox.marketplace import Desk, Hook
from entrepot_sandbox.printful.answers import Json, bad, body_of, list_of, not_found, result, stamp
from entrepot_sandbox.printful.books import Order, Parcel, Variant

EVENTS = frozenset(
    {
        "shipment_sent",
        "shipment_returned",
        "shipment_out_of_stock",
        "order_created",
        "order_updated",
        "order_failed",
        "order_canceled",
        "order_put_hold",
        "order_put_hold_approval",
        "order_remove_hold",
        "catalog_stock_updated",
        "catalog_price_changed",
        "product_synced",
        "product_updated",
        "product_deleted",
        "mockup_task_finished",
    }
)
_WITH_REASON = frozenset({"order_failed", "order_canceled", "order_put_hold", "order_remove_hold"})
_MINUTES = (1, 4, 16, 64, 256, 1024)


class Webhooks:
    """Keeps the configuration and sends events."""

    def __init__(self, desk: Desk, store_id: int) -> None:
        self._desk, self._store_id = desk, store_id
        self._chance: random.Random = desk.random("webhooks")
        self._kept: Json | None = None
        self._secret = self._public_key = ""
        self._count = 0

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v2/webhooks", self.get, methods=["GET"]),
            Route("/v2/webhooks", self.create, methods=["POST"]),
            Route("/v2/webhooks", self.delete, methods=["DELETE"]),
        ]

    async def get(self, request: Request) -> Response:
        """Return the configuration, without its secret."""
        if self._kept is None:
            raise not_found("There are no webhook settings.")
        return result(self._kept)

    async def create(self, request: Request) -> Response:
        """Set the configuration, in place of an earlier one, and show its secret this once."""
        body = await body_of(request)
        url = _url(body.get("default_url"), required=True)
        events = []
        for each in list_of(body, "events"):
            if each.get("type") not in EVENTS:
                raise bad(f"There is no event type {each.get('type')}.")
            if each["type"] == "catalog_stock_updated" and not list_of(each, "params"):
                raise bad("catalog_stock_updated needs the products to tell of.")
            own = _url(each.get("url"), required=False)
            events.append({"type": each["type"], "url": own, "params": list_of(each, "params")})
        if not events:
            raise bad("Name at least one event.")
        self._secret = self._chance.randbytes(32).hex()
        self._public_key = self._chance.randbytes(16).hex()
        self._kept = {"default_url": url, "expires_at": None, "events": events, "public_key": self._public_key}
        return result({**self._kept, "secret_key": self._secret})

    async def delete(self, request: Request) -> Response:
        """End all deliveries."""
        if self._kept is None:
            raise not_found("There are no webhook settings.")
        self._kept = None
        return Response(status_code=204)

    # -- events --

    def order(self, order: Order, topic: str) -> None:
        """Tell of an order. Whatever happens to it is also an update."""
        content: Json = {"order": self._order(order)}
        if topic in _WITH_REASON:
            content["reason"] = order.reason
        self._publish(topic, content)
        if topic not in ("order_updated", "order_created"):
            self._publish("order_updated", {"order": self._order(order)})

    def parcel(self, topic: str, order: Order, parcel: Parcel, reason: str) -> None:
        """Tell of a parcel."""
        shipment: Json = {
            "id": parcel.id,
            "status": parcel.status,
            "store_id": self._store_id,
            "tracking_number": parcel.tracking_number,
            "created_at": stamp(parcel.created_at),
            "reshipment": parcel.is_reshipment,
        }
        if parcel.shipped_at is not None:
            shipment |= {"ship_date": parcel.shipped_at.date().isoformat(), "shipped_at": stamp(parcel.shipped_at)}
        content: Json = {"shipment": shipment, "order": self._order(order)}
        if topic == "shipment_out_of_stock":
            content["is_out_of_stock"] = parcel.status == "outstock"
        elif topic == "shipment_returned":
            content["reason"] = reason
        self._publish(topic, content)

    def stock(self, variant: Variant, techniques: tuple[str, ...]) -> None:
        """Tell that a variant ran out of stock or is back, if its product was asked for."""
        if variant.product_id not in self._watched():
            return
        change = {
            "catalog_product_id": variant.product_id,
            "catalog_variant_id": variant.id,
            "techniques": list(techniques),
            "availability": "out of stock" if variant.out_of_stock else "in stock",
        }
        self._publish("catalog_stock_updated", [change])

    def _watched(self) -> set[int]:
        found: set[int] = set()
        for event in self._kept["events"] if self._kept else ():
            for param in event["params"]:
                found |= {each["id"] for each in param.get("value") or ()}
        return found

    def _order(self, order: Order) -> Json:
        told: Json = {
            "id": order.id,
            "status": order.status,
            "store_id": self._store_id,
            "dashboard_url": f"https://www.printful.com/dashboard?order_id={order.id}",
            "created_at": stamp(order.created_at),
            "updated_at": stamp(order.updated_at),
        }
        if order.external_id is not None:
            told["external_id"] = order.external_id
        return told

    def _publish(self, topic: str, content: Any) -> None:
        event = next((each for each in self._kept["events"] if each["type"] == topic), None) if self._kept else None
        if event is None or self._kept is None:
            return
        self._count += 1
        told = {"type": topic, "occurred_at": stamp(self._desk.now()), "retries": 0, "store_id": self._store_id}
        body = msgspec.json.encode({**told, "data": content})
        self._desk.publish(
            Hook(
                subscription_id=self._public_key,
                url=event["url"] or self._kept["default_url"],
                topic=topic,
                event_id=f"{topic}-{self._count}",
                body=body,
                headers=_headers(self._secret, self._public_key, body),
                retry_after_s=[60.0 * minutes for minutes in _MINUTES],
            )
        )


def _headers(secret: str, public_key: str, body: bytes) -> Callable[[int], Mapping[str, str]]:
    signature = hmac.new(bytes.fromhex(secret), body, hashlib.sha256).hexdigest()
    return lambda attempt: {"x-pf-webhook-signature": signature, "x-pf-webhook-public-key": public_key}


def _url(told: Any, *, required: bool) -> str | None:
    if told is None and not required:
        return None
    if not isinstance(told, str) or not told.startswith(("https://", "http://")):
        raise bad("The webhook URL is not valid.")
    return told
