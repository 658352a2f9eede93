"""eBay's notifications: addresses that prove themselves, subscriptions, and events signed with eBay's own key."""

from __future__ import annotations

import base64
import hashlib
import secrets
import uuid
from collections.abc import Mapping

import httpx
import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.ebay.answers import Refused, body_of, json_answer
from entrepot_sandbox.ebay.state import Json, State, stamp
from entrepot_sandbox.marketplace import Hook

TOPICS = ("ORDER_CONFIRMATION", "ITEM_MARKED_SHIPPED", "MARKETPLACE_ACCOUNT_DELETION")
RETRY_AFTER_S = (10, 60, 300, 1800, 3600, 21600, 86400)
PROOF_TIMEOUT_S = 3.0
_DOMAIN = "API_NOTIFICATION"
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""How many private keys the curve P-256 has."""


class Notifications:
    """Destinations, subscriptions, the key, and what is sent."""

    def __init__(self, state: State) -> None:
        self._state = state
        chance = state.desk.random("signing key")
        self._key = ec.derive_private_key(chance.randrange(1, _ORDER), ec.SECP256R1())
        self.key_id = str(uuid.UUID(int=chance.getrandbits(128)))
        self.alert_email = ""
        self._destinations: dict[str, Json] = {}
        self._subscriptions: dict[str, Json] = {}

    # ---- sending -----------------------------------------------------------------------------------------

    def publish(self, topic: str, data: Json, told: tuple[tuple[str, int], ...]) -> None:
        """Send an event to whoever subscribed its topic. `told`: orders that it names."""
        now = stamp(self._state.desk.now())
        for subscription in self._subscriptions.values():
            destination = self._destinations.get(subscription["destinationId"])
            if subscription["topicId"] != topic or subscription["status"] != "ENABLED" or destination is None:
                continue
            chance = self._state.desk.random(f"event/{self._state.next_id('event')}")
            id = str(uuid.UUID(int=chance.getrandbits(128)))
            body = msgspec.json.encode(
                {
                    "metadata": {"topic": topic, "schemaVersion": "1.0", "deprecated": False},
                    "notification": {
                        "notificationId": id,
                        "eventDate": now,
                        "publishDate": now,
                        "publishAttemptCount": 1,
                        "data": data,
                    },
                }
            )
            headers = {"x-ebay-signature": self.signature(body)}
            self._state.desk.publish(
                Hook(
                    subscription["subscriptionId"],
                    destination["deliveryConfig"]["endpoint"],
                    topic,
                    id,
                    body,
                    lambda attempt, headers=headers: headers,  # type: ignore[misc]
                    tells=told,
                    whole=False,
                    retry_after_s=RETRY_AFTER_S,
                )
            )

    def signature(self, body: bytes) -> str:
        """Return what stands in X-EBAY-SIGNATURE."""
        raw = self._key.sign(body, ec.ECDSA(hashes.SHA1()))  # noqa: S303 - the channel's choice
        told: Mapping[str, str] = {
            "alg": "ecdsa",
            "kid": self.key_id,
            "signature": base64.b64encode(raw).decode(),
            "digest": "SHA1",
        }
        return base64.b64encode(msgspec.json.encode(told)).decode()

    async def get_public_key(self, state: State, request: Request) -> Response:
        """GET /public_key/{id}. The channel leaves out the line breaks of the format."""
        if request.path_params["key_id"] != self.key_id:
            raise Refused(404, 195023, "Public key id not found.", _DOMAIN)
        der = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        pem = f"-----BEGIN PUBLIC KEY-----{base64.b64encode(der).decode()}-----END PUBLIC KEY-----"
        return json_answer({"key": pem, "algorithm": "ECDSA", "digest": "SHA1"})

    # ---- destinations ------------------------------------------------------------------------------------

    async def put_config(self, state: State, request: Request) -> Response:
        """PUT /config."""
        email = str((await body_of(request)).get("alertEmail", ""))
        if "@" not in email:
            raise Refused(400, 195002, "Invalid or missing alertEmail.", _DOMAIN)
        self.alert_email = email
        return Response(status_code=204)

    async def get_destinations(self, state: State, request: Request) -> Response:
        """GET /destination; the tokens are not told again."""
        found = [
            {**each, "deliveryConfig": {"endpoint": each["deliveryConfig"]["endpoint"]}}
            for each in self._destinations.values()
        ]
        return json_answer({"total": len(found), "href": request.url.path, "limit": 100, "destinations": found})

    async def create_destination(self, state: State, request: Request) -> Response:
        """POST /destination: the address is asked for its proof first."""
        if not self.alert_email:
            raise Refused(
                409, 195003, "Please provide configurations required for notifications. Refer to /config", _DOMAIN
            )
        told = await self._proven(await body_of(request))
        endpoint = told["deliveryConfig"]["endpoint"]
        if any(each["deliveryConfig"]["endpoint"] == endpoint for each in self._destinations.values()):
            raise Refused(409, 195021, "Destination exists for this endpoint", _DOMAIN)
        id = f"{state.next_id('destination'):08x}"
        self._destinations[id] = {"destinationId": id, **told}
        return Response(b"{}", 201, {"location": f"{request.url.path}/{id}"}, "application/json")

    async def update_destination(self, state: State, request: Request) -> Response:
        """PUT /destination/{id}."""
        id = request.path_params["destination_id"]
        if id not in self._destinations:
            raise Refused(404, 195022, "Invalid destination id.", _DOMAIN)
        self._destinations[id] = {"destinationId": id, **await self._proven(await body_of(request))}
        return Response(status_code=204)

    async def delete_destination(self, state: State, request: Request) -> Response:
        """DELETE /destination/{id}: not while a subscription leads there."""
        id = request.path_params["destination_id"]
        if any(each["destinationId"] == id for each in self._subscriptions.values()):
            raise Refused(409, 195024, "The destination is in use.", _DOMAIN)
        if self._destinations.pop(id, None) is None:
            raise Refused(404, 195022, "Invalid destination id.", _DOMAIN)
        return Response(status_code=204)

    async def _proven(self, told: Json) -> Json:
        config = told.get("deliveryConfig") or {}
        endpoint, token = str(config.get("endpoint", "")), str(config.get("verificationToken", ""))
        if not endpoint.startswith(("http://", "https://")):
            raise Refused(400, 195017, "Invalid or missing endpoint.", _DOMAIN)
        if not 32 <= len(token) <= 80 or not token.replace("-", "").replace("_", "").isalnum():
            raise Refused(400, 195019, "Invalid or missing verification token for this endpoint.", _DOMAIN)
        code = secrets.token_hex(16)
        wanted = hashlib.sha256((code + token + endpoint).encode()).hexdigest()
        try:
            async with httpx.AsyncClient(timeout=PROOF_TIMEOUT_S, trust_env=False) as client:
                answer = await client.get(endpoint, params={"challenge_code": code})
                proof = answer.json().get("challengeResponse") if answer.status_code == 200 else None
        except (httpx.HTTPError, ValueError, AttributeError):
            proof = None
        if proof != wanted:
            raise Refused(409, 195020, "Challenge verification failed for requested endpoint", _DOMAIN)
        return {
            "name": str(told.get("name", "")),
            "status": str(told.get("status", "ENABLED")),
            "deliveryConfig": config,
        }

    # ---- subscriptions -----------------------------------------------------------------------------------

    async def get_subscriptions(self, state: State, request: Request) -> Response:
        """GET /subscription."""
        found = list(self._subscriptions.values())
        return json_answer({"total": len(found), "href": request.url.path, "limit": 100, "subscriptions": found})

    async def create_subscription(self, state: State, request: Request) -> Response:
        """POST /subscription: one for each topic."""
        told = await body_of(request)
        if told.get("topicId") not in TOPICS:
            raise Refused(400, 195027, "Invalid or missing topic id.", _DOMAIN)
        if told.get("destinationId") not in self._destinations:
            raise Refused(400, 195007, "Invalid or missing destination id.", _DOMAIN)
        if any(each["topicId"] == told["topicId"] for each in self._subscriptions.values()):
            raise Refused(409, 195012, "Subscription exists for this topic.", _DOMAIN)
        id = f"{state.next_id('subscription'):08x}"
        made = {
            "subscriptionId": id,
            "topicId": told["topicId"],
            "status": str(told.get("status", "DISABLED")),
            "creationDate": stamp(state.desk.now()),
            "payload": told.get("payload", {}),
            "destinationId": told["destinationId"],
        }
        self._subscriptions[id] = made
        return Response(b"{}", 201, {"location": f"{request.url.path}/{id}"}, "application/json")

    async def update_subscription(self, state: State, request: Request) -> Response:
        """PUT /subscription/{id}."""
        held, told = self._subscription(request), await body_of(request)
        if told.get("destinationId") not in self._destinations:
            raise Refused(400, 195007, "Invalid or missing destination id.", _DOMAIN)
        held |= {name: told[name] for name in ("status", "payload", "destinationId") if name in told}
        return Response(status_code=204)

    async def delete_subscription(self, state: State, request: Request) -> Response:
        """DELETE /subscription/{id}."""
        del self._subscriptions[self._subscription(request)["subscriptionId"]]
        return Response(status_code=204)

    def _subscription(self, request: Request) -> Json:
        held = self._subscriptions.get(request.path_params["subscription_id"])
        if held is None:
            raise Refused(404, 195013, "Invalid subscription id.", _DOMAIN)
        return held
