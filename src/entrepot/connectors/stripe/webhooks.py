"""Stripe's webhooks: the signature, the event, the endpoint."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from entrepot.channels.contract import Api, Payload, PaymentEvent, RequestRejected, UnexpectedAnswer
from entrepot.channels.replies import json_of_bytes
from entrepot.connectors.stripe import calls
from entrepot.connectors.stripe.manifest import API_VERSION, TOPICS
from entrepot.connectors.stripe.mapping import dispute_of, payment_of, payout_of, refund_of, refunds_in
from entrepot.connectors.stripe.paging import now_of
from entrepot.connectors.stripe.reading import an, at, inner, list_of, moment, optional_text, text

SIGNATURE_HEADER = "stripe-signature"
_SCHEME = "v1"
KEY_LASTS = timedelta(hours=23)
"""How long a request is answered as before; Stripe promises a day."""


def signature_of(body: bytes, seconds: str, secret: str) -> str:
    """Return the hex HMAC-SHA256 of the time of sending, a dot and the body."""
    return hmac.new(secret.encode(), seconds.encode() + b"." + body, hashlib.sha256).hexdigest()


def signed(body: bytes, headers: Mapping[str, str], secret: str) -> bool:
    """Return whether one of the delivery's signatures is ours: while a secret is rolled there are several."""
    seconds, given = _parts(headers)
    if not secret or not seconds or not given:
        return False
    expected = signature_of(body, seconds, secret).encode()
    return any(hmac.compare_digest(expected, each.encode()) for each in given)


def signed_at(headers: Mapping[str, str]) -> datetime | None:
    """Return when the delivery was signed."""
    seconds, _ = _parts(headers)
    try:
        return at(int(seconds)) if seconds else None
    except UnexpectedAnswer:
        return None


def event_id_of(body: bytes) -> tuple[str, str]:
    """Return (event id, topic). Raises UnexpectedAnswer."""
    event = _event(body)
    return text(event, "id"), text(event, "type")


def event_of(body: bytes, order_names: Sequence[str]) -> PaymentEvent:
    """Return the event with what its object was at that moment. Of objects that do not concern us it has nothing."""
    event = _event(body)
    id, topic, happened_at = text(event, "id"), text(event, "type"), moment(event, "created")
    data = inner(event, "data")
    thing = inner(data, "object")
    if topic not in TOPICS and not topic.startswith("charge."):
        return PaymentEvent(id, topic, happened_at=happened_at)
    kind = optional_text(thing, "object")
    if kind not in ("payment_intent", "charge", "refund", "dispute", "payout"):
        raise UnexpectedAnswer(f"Stripe's event {topic} holds no object that belongs there")
    return PaymentEvent(
        id,
        topic,
        payments=(payment_of(thing, order_names),) if kind in ("payment_intent", "charge") else (),
        refunds=(refund_of(thing, order_names),) if kind == "refund" else refunds_in(thing, order_names),
        disputes=(dispute_of(thing),) if kind == "dispute" else (),
        payouts=(payout_of(thing),) if kind == "payout" else (),
        happened_at=happened_at,
    )


async def subscribe(api: Api, url: str) -> dict[str, str]:
    """Have every topic delivered to `url` by exactly one endpoint; return its secret where Stripe tells it.

    Stripe tells it to the request that makes the endpoint, and for a day to whoever repeats that very request. So its key
    stands in the endpoint's metadata and is used again while it lasts: where the hub went down before it stored the
    secret, the next time mends it. One at our address that we did not make has a secret that nobody here knows: it goes.
    """
    found, now = await _endpoints(api, url)
    ours = [each for each in found if _key_of(each) and each.get("api_version") == API_VERSION]
    for each in found:
        if each is not next(iter(ours), None):
            await api.send(calls.delete_endpoint(text(each, "id")))
    if not ours:
        return _secret(an(await api.send(calls.create_endpoint(url, str(uuid4()))), "webhook_endpoint"))
    kept = ours[0]
    if not _complete(kept):
        await api.send(calls.repair_endpoint(text(kept, "id")))
    if now - moment(kept, "created") > KEY_LASTS:
        return {}
    try:
        again = an(await api.send(calls.create_endpoint(url, _key_of(kept))), "webhook_endpoint")
    except RequestRejected:
        return {}  # What we ask for has changed since: the key stands for the request as it was.
    return _secret(again) if again.get("id") == kept["id"] else {}


async def unsubscribe(api: Api, url: str) -> None:
    """Remove every endpoint for `url`."""
    for each in (await _endpoints(api, url))[0]:
        await api.send(calls.delete_endpoint(text(each, "id")))


async def _endpoints(api: Api, url: str) -> tuple[list[Mapping[str, Any]], datetime]:
    found: list[Mapping[str, Any]] = []
    page = ""
    while True:
        reply = await api.send(calls.list_endpoints(page))
        some, more = list_of(reply)
        found += [each for each in some if each.get("url") == url]
        if not more or not some:
            return found, now_of(reply)
        page = text(some[-1], "id")


def _key_of(endpoint: Payload) -> str:
    return optional_text(inner(endpoint, "metadata"), calls.ENDPOINT_KEY)


def _complete(endpoint: Payload) -> bool:
    return endpoint.get("status") == "enabled" and set(TOPICS) <= set(endpoint.get("enabled_events") or ())


def _secret(endpoint: Payload) -> dict[str, str]:
    return {"webhook_secret": text(endpoint, "secret")}


def _parts(headers: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return the time and the signatures of our scheme in the header, as they are written."""
    pairs = [each.partition("=")[::2] for each in headers.get(SIGNATURE_HEADER, "").split(",")]
    times = [value for name, value in pairs if name == "t" and value.isascii() and value.isdigit() and len(value) < 15]
    return (times[0] if len(times) == 1 else ""), [value for name, value in pairs if name == _SCHEME and value]


def _event(body: bytes) -> Mapping[str, Any]:
    event = json_of_bytes(body)
    if not isinstance(event, dict) or event.get("object") != "event":
        raise UnexpectedAnswer("Stripe sent something that is not an event")
    return event
