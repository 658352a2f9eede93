"""eBay's notifications: signed by eBay's own key, which is fetched by its id; an address proves itself by a challenge.

The signature says that eBay sent it, to whomever: a notification only names an order, which is then read with our own token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from entrepot.channels.contract import Api, Call, Payload, RequestRejected, UnexpectedAnswer, WebhookEvent
from entrepot.channels.replies import json_of_bytes
from entrepot.connectors.ebay import calls, quota
from entrepot.connectors.ebay.errors import is_missing
from entrepot.connectors.ebay.manifest import SUBSCRIBED
from entrepot.connectors.ebay.reading import body_of, inner, objects, optional_text, text

HEADER = "x-ebay-signature"
SCHEMA_VERSION = "1.0"
NAME = "Entrepot"
_HASHES: Mapping[str, Callable[[], hashes.HashAlgorithm]] = {
    "SHA1": hashes.SHA1,
    "SHA256": hashes.SHA256,
}
_ARMOUR = re.compile(r"-----(?:BEGIN|END) PUBLIC KEY-----|\s")


# ---- signatures ----------------------------------------------------------------------------------------


def key_id_of(headers: Mapping[str, str]) -> str:
    """Return the id of the key that signed, empty where none is named."""
    kid = _signature(headers).get("kid")
    return kid if isinstance(kid, str) else ""


def signed(body: bytes, headers: Mapping[str, str], key: str) -> bool:
    """Return whether the holder of a public key (as `key_of` makes it) signed the body."""
    told = _signature(headers)
    digest, _, encoded = key.partition(":")
    algorithm = _HASHES.get(digest)
    if algorithm is None or not encoded or str(told.get("digest", digest)).upper() != digest:
        return False
    try:
        signature = base64.b64decode(str(told.get("signature", "")), validate=True)
        public = load_der_public_key(base64.b64decode(encoded, validate=True))
        if not isinstance(public, ec.EllipticCurvePublicKey):
            return False
        public.verify(signature, body, ec.ECDSA(algorithm()))
    except (binascii.Error, ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def key_of(payload: Payload) -> str:
    """Return a public key as eBay gives it out in the form that `signed` takes: its digest and the bare key.

    eBay leaves out the line breaks that the format asks for.
    """
    if optional_text(payload, "algorithm").upper() not in ("ECDSA", "EC"):
        raise UnexpectedAnswer("eBay signs with an algorithm that is not known here")
    digest = (optional_text(payload, "digest") or "SHA1").upper().replace("-", "")
    return f"{digest}:{_ARMOUR.sub('', text(payload, 'key'))}"


def _signature(headers: Mapping[str, str]) -> Mapping[str, Any]:
    """Return what the header holds, nothing where it is not exactly eBay's form."""
    header = headers.get(HEADER, "")
    try:
        raw = base64.b64decode(header, validate=True)
        if not header or base64.b64encode(raw).decode() != header:
            return {}
        told = msgspec.json.decode(raw)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return {}
    return told if isinstance(told, dict) else {}


async def fetch_key(api: Api, key_id: str) -> str:
    """Return the key with an id. Raises RequestRejected where eBay has none."""
    return key_of(body_of(await quota.send(api, calls.public_key(key_id))))


# ---- the challenge -------------------------------------------------------------------------------------


def verification_token(secret: str, url: str) -> str:
    """Return the token that we agree on with eBay for an address: it follows from our secret, so nothing is to be kept."""
    return hmac.new(secret.encode(), f"entrepot notifications {url}".encode(), hashlib.sha256).hexdigest()


def challenge(query: Mapping[str, str], url: str, secret: str) -> bytes | None:
    """Return the proof that eBay asks an address for, None where it asks for nothing."""
    code = query.get("challenge_code", "")
    if not code or not secret:
        return None
    told = hashlib.sha256((code + verification_token(secret, url) + url).encode()).hexdigest()
    return msgspec.json.encode({"challengeResponse": told})


def with_token(call: Call, secret: str) -> Call:
    """Return a call that tells eBay an address with the token for it, which is a secret and so is added at the last."""
    told = msgspec.json.decode(call.body or b"{}")
    config = told["deliveryConfig"]
    config["verificationToken"] = verification_token(secret, config["endpoint"])
    return replace(call, body=msgspec.json.encode(told))


# ---- events --------------------------------------------------------------------------------------------


def event_id_of(body: bytes) -> tuple[str, str]:
    """Return (id, topic) of a notification."""
    payload = _payload(body)
    return text(inner(payload, "notification"), "notificationId"), text(inner(payload, "metadata"), "topic")


def event_of(body: bytes) -> WebhookEvent:
    """Return the event: which order to read again. Of other topics nothing is taken."""
    event_id, topic = event_id_of(body)
    data = inner(inner(_payload(body), "notification"), "data")
    found = {optional_text(each, "orderId") for each in (data, inner(data, "order"), *objects(data, "lineItems"))}
    return WebhookEvent(event_id, topic, order_ids=tuple(sorted(filter(None, found))))


def _payload(body: bytes) -> Payload:
    payload = json_of_bytes(body)
    if not isinstance(payload, dict):
        raise UnexpectedAnswer("eBay's notification is not an object")
    return payload


# ---- subscriptions -------------------------------------------------------------------------------------


async def subscribe(api: Api, url: str) -> None:
    """Tell eBay our address, and lead our topics there."""
    email = api.settings.get("alert_email", "")
    if email:
        await quota.send(api, calls.update_config(email))
    destination_id = await _destination(api, url)
    known = {text(each, "topicId"): each for each in await _all(api, calls.subscriptions, "subscriptions")}
    refused: RequestRejected | None = None
    done = 0
    for topic in SUBSCRIBED:
        try:
            await _subscribe(api, topic, known.get(topic), destination_id)
            done += 1
        except RequestRejected as error:
            # Some topics are given to some applications only.
            refused = error
    if refused is not None and not done:
        raise refused


async def _subscribe(api: Api, topic: str, known: Payload | None, destination_id: str) -> None:
    payload = {"format": "JSON", "schemaVersion": SCHEMA_VERSION, "deliveryProtocol": "HTTPS"}
    body = {"status": "ENABLED", "destinationId": destination_id, "payload": payload}
    if known is None:
        await quota.send(api, calls.create_subscription({"topicId": topic, **body}))
    elif known.get("destinationId") != destination_id or known.get("status") != "ENABLED":
        await quota.send(api, calls.update_subscription(text(known, "subscriptionId"), body))


async def _destination(api: Api, url: str) -> str:
    """Return the id of our address at eBay, made or switched on where needed."""
    body = {"name": NAME, "status": "ENABLED", "deliveryConfig": {"endpoint": url}}
    known = await _known_destination(api, url)
    if known is None:
        try:
            await quota.send(api, calls.create_destination(body))
        except RequestRejected as error:
            # Made meanwhile, or by a call whose answer was lost.
            if await _known_destination(api, url) is None:
                raise error from None
        known = await _known_destination(api, url)
    elif known.get("status") != "ENABLED":
        await quota.send(api, calls.update_destination(text(known, "destinationId"), body))
    if known is None:
        raise UnexpectedAnswer("eBay took our address, but does not show it")
    return text(known, "destinationId")


async def _known_destination(api: Api, url: str) -> Payload | None:
    for each in await _all(api, calls.destinations, "destinations"):
        if inner(each, "deliveryConfig").get("endpoint") == url:
            return each
    return None


async def unsubscribe(api: Api, url: str) -> None:
    """End our subscriptions to an address, and forget it."""
    known = await _known_destination(api, url)
    if known is None:
        return
    destination_id = text(known, "destinationId")
    for each in await _all(api, calls.subscriptions, "subscriptions"):
        if each.get("destinationId") == destination_id:
            await _gone(api, calls.delete_subscription(text(each, "subscriptionId")))
    await _gone(api, calls.delete_destination(destination_id))


async def _gone(api: Api, call: Call) -> None:
    try:
        await quota.send(api, call)
    except RequestRejected as error:
        if not is_missing(error):
            raise


async def _all(api: Api, call: Callable[[str | None], Call], name: str) -> list[Payload]:
    """Return everything in a paged list."""
    found: list[Payload] = []
    token: str | None = None
    while True:
        reply = await quota.send(api, call(token))
        body = body_of(reply) if reply.body else {}
        found += objects(body, name)
        named = re.search(r"continuation_token=([^&]+)", optional_text(body, "next"))
        if named is None or named[1] == token:
            return found
        token = named[1]
