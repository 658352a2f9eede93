"""Printful's webhooks: the signature, the event, the subscription."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import msgspec

from entrepot.channels.contract import (
    Api,
    ConnectorError,
    MadeShipment,
    MakingEvent,
    MakingNews,
    MakingStatus,
    Payload,
    RequestRejected,
    ShipmentStatus,
    TemporarilyUnavailable,
    UnexpectedAnswer,
    VariantAvailability,
)
from entrepot.channels.replies import json_of_bytes
from entrepot.connectors.printful import calls
from entrepot.connectors.printful.availability import availability_of, best
from entrepot.connectors.printful.calls import send
from entrepot.connectors.printful.catalog import chosen_products
from entrepot.connectors.printful.manifest import ORDER_TOPICS, STOCK_TOPIC
from entrepot.connectors.printful.orders import reason_of, status_of
from entrepot.connectors.printful.reading import (
    inner,
    number_text,
    objects,
    optional_number_text,
    optional_text,
    optional_time,
    result_of,
    text,
    time,
)

SIGNATURE_HEADER = "x-pf-webhook-signature"
_PARCELS: Mapping[str, ShipmentStatus] = {
    "shipment_sent": ShipmentStatus.SENT,
    "shipment_returned": ShipmentStatus.RETURNED,
}


def signature_of(body: bytes, secret: str) -> str:
    """Return hexadecimal HMAC-SHA256 of the body. The secret is written in hexadecimal and meant as bytes."""
    try:
        key = bytes.fromhex(secret)
    except ValueError:
        key = secret.encode()
    return hmac.new(key, body, hashlib.sha256).hexdigest()


def signed(body: bytes, headers: Mapping[str, str], secret: str) -> bool:
    """Return whether the delivery carries the signature that our secret gives; never with an empty secret."""
    given = headers.get(SIGNATURE_HEADER, "")
    if not secret.strip() or not given:
        return False
    return hmac.compare_digest(signature_of(body, secret).encode(), given.encode())


# ---- events ------------------------------------------------------------------------------------------------------


def event_id_of(body: bytes) -> tuple[str, str]:
    """Return (event id, topic). Printful gives its events no id: it is made of what stays the same when one is sent
    again (its `retries` counts up). Raises UnexpectedAnswer."""
    return _id_of(_event(body))


def _id_of(event: Payload) -> tuple[str, str]:
    topic = text(event, "type")
    told: list[Any] = [topic, text(event, "occurred_at"), optional_number_text(event, "store_id")]
    data = event.get("data")
    if isinstance(data, dict):
        order, shipment = inner(data, "order"), inner(data, "shipment")
        told += [optional_number_text(order, "id"), order.get("status"), order.get("updated_at")]
        told += [optional_number_text(shipment, "id"), shipment.get("status"), data.get("is_out_of_stock")]
    elif isinstance(data, list):
        told += [_stock_id(each) for each in objects(event, "data")]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest(), topic


def _stock_id(change: Payload) -> list[Any]:
    return [number_text(change, "catalog_variant_id"), change.get("techniques"), change.get("availability")]


def event_of(body: bytes) -> MakingEvent:
    """Return the event."""
    event = _event(body)
    event_id, topic = _id_of(event)
    if topic == STOCK_TOPIC:
        return MakingEvent(event_id, topic, availability=_changes(event))
    data = inner(event, "data")
    order = inner(data, "order")
    if topic not in ORDER_TOPICS:
        # Not asked for; harmless.
        return MakingEvent(event_id, topic)
    word = optional_text(order, "status")
    status = status_of(word) if word else None
    news = MakingNews(
        external_id=optional_text(order, "external_id"),
        maker_id=number_text(order, "id"),
        at=time(event, "occurred_at"),
        status=status,
        reason=optional_text(data, "reason") or _reason(topic, data, status),
        shipment=_shipment(topic, data, order),
    )
    return MakingEvent(event_id, topic, news=(news,))


def _reason(topic: str, data: Payload, status: MakingStatus | None) -> str:
    if topic == "order_put_hold_approval":
        return "Printful changed something and waits for your approval: open the order in Printful's dashboard."
    if topic == "shipment_out_of_stock" and data.get("is_out_of_stock") is True:
        return "Printful has run out of something in the order and goes on when it is back."
    return "" if status is None else reason_of(status)


def _shipment(topic: str, data: Payload, order: Payload) -> MadeShipment | None:
    told = inner(data, "shipment")
    if not told:
        return None
    out = ShipmentStatus.OUT_OF_STOCK if data.get("is_out_of_stock") is True else ShipmentStatus.WAITING
    return MadeShipment(
        maker_id=number_text(told, "id"),
        order_maker_id=optional_number_text(order, "id"),
        external_id=optional_text(order, "external_id"),
        status=_PARCELS.get(topic, out),
        tracking_number=optional_text(told, "tracking_number"),
        shipped_at=optional_time(told, "shipped_at"),
        replaces=told.get("reshipment") is True,
    )


def _changes(event: Payload) -> tuple[VariantAvailability, ...]:
    """Return what changed, by variant: several ways of making it may be told one by one."""
    found: dict[str, dict[str, Any]] = {}
    for change in objects(event, "data"):
        word = availability_of(optional_text(change, "availability"))
        techniques = change.get("techniques")
        named = [each for each in techniques if isinstance(each, str)] if isinstance(techniques, list) else []
        known = found.setdefault(number_text(change, "catalog_variant_id"), {})
        known |= dict.fromkeys(named or [""], word)
    return tuple(
        VariantAvailability(
            "",
            best(techniques.values()),
            {"catalog_variant_id": variant_id},
            {name: each for name, each in techniques.items() if name},
        )
        for variant_id, techniques in found.items()
    )


def _event(body: bytes) -> Mapping[str, Any]:
    event = json_of_bytes(body)
    if not isinstance(event, dict):
        raise UnexpectedAnswer("Printful sent an event that is not an object")
    return event


# ---- the subscription --------------------------------------------------------------------------------------------


async def subscribe(api: Api, url: str) -> dict[str, str]:
    """Have every topic delivered to `url`; return the new secret, or nothing where all is as it should be.

    A token has one configuration: another address in it is replaced.
    """
    products = chosen_products(api.settings.get("catalog_products", ""))
    if _complete(await _configured(api), url, products):
        return {}
    try:
        answer = result_of(await send(api, calls.set_webhooks(url, products)))
        return {"webhook_secret": text(answer, "secret_key")}
    except (TemporarilyUnavailable, UnexpectedAnswer) as error:
        # The secret is shown only once: without it the deliveries could not be checked, so the next run begins anew.
        try:
            await send(api, calls.delete_webhooks())
        except ConnectorError as second:
            raise error from second
        raise


async def unsubscribe(api: Api, url: str) -> None:
    """End the deliveries to `url`; those to another address stay."""
    configured = await _configured(api)
    if configured is not None and configured.get("default_url") == url:
        await send(api, calls.delete_webhooks())


async def _configured(api: Api) -> Mapping[str, Any] | None:
    try:
        return result_of(await send(api, calls.get_webhooks()))
    except RequestRejected as error:
        if error.code == "404":
            return None
        raise


def _complete(configured: Mapping[str, Any] | None, url: str, products: tuple[str, ...]) -> bool:
    if configured is None or configured.get("default_url") != url or configured.get("expires_at"):
        return False
    events = {optional_text(each, "type"): each for each in objects(configured, "events")}
    wanted = {*ORDER_TOPICS, STOCK_TOPIC} if products else {*ORDER_TOPICS}
    if not wanted <= events.keys() or any(events[each].get("url") not in (None, url) for each in wanted):
        return False
    return not products or set(products) <= _watched(events[STOCK_TOPIC])


def _watched(event: Payload) -> set[str]:
    found: set[str] = set()
    for param in objects(event, "params"):
        if param.get("name") == "products":
            found |= {optional_number_text(each, "id") for each in objects(param, "value")}
    return found
