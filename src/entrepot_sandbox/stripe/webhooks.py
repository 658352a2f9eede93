"""Stripe's webhook endpoints and events."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.marketplace import Desk, Hook
from entrepot_sandbox.stripe.answers import Form, Ids, Json, bad, form_of, missing, ok, page_of, query_of

API_VERSION = "2023-08-16"
RETRY_AFTER_S = (60, 300, 1_800, 7_200, 18_000, 36_000, 43_200, 43_200)
ENDPOINTS_MAX = 16


def signature(secret: str, seconds: int, body: bytes) -> str:
    """Return the hex HMAC-SHA256 of time, dot and body."""
    return hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()


class Webhooks:
    """The endpoints by id; their secrets are told once."""

    def __init__(self, desk: Desk, ids: Ids) -> None:
        self._desk, self._ids = desk, ids
        self._endpoints: dict[str, Json] = {}
        self._secrets: dict[str, list[str]] = {}
        """The newest first; an older one signs beside it while it is being rolled."""

    async def list_endpoints(self, request: Request) -> Response:
        """GET /v1/webhook_endpoints."""
        return ok(page_of(self._endpoints.values(), query_of(request), "/v1/webhook_endpoints"))

    async def create(self, request: Request) -> Response:
        """POST /v1/webhook_endpoints: the only answer with the secret."""
        form = await form_of(request)
        url, events, metadata = form.text("url"), form.several("enabled_events"), form.map("metadata")
        version, description = form.text("api_version"), form.text("description")
        form.done()
        if not url.startswith(("https://", "http://")) or not events:
            raise bad("Invalid URL, or no events.", code="url_invalid", param="url", kept=False)
        if len(self._endpoints) >= ENDPOINTS_MAX:
            raise bad("You have reached the maximum of 16 test webhook endpoints.", kept=False)
        made: Json = {
            "id": self._ids.new("we"),
            "object": "webhook_endpoint",
            "api_version": version or None,
            "application": None,
            "created": int(self._desk.now().timestamp()),
            "description": description or None,
            "enabled_events": events,
            "livemode": False,
            "metadata": metadata,
            "status": "enabled",
            "url": url,
        }
        self._endpoints[made["id"]] = made
        self._secrets[made["id"]] = [self._ids.new("whsec", 32)]
        return ok({**made, "secret": self._secrets[made["id"]][0]})

    async def update(self, request: Request) -> Response:
        """POST /v1/webhook_endpoints/{id}: only what is named changes."""
        held, form = self._endpoint(request), await form_of(request)
        self._change(held, form)
        return ok(held)

    async def delete(self, request: Request) -> Response:
        """DELETE /v1/webhook_endpoints/{id}."""
        id = self._endpoint(request)["id"]
        del self._endpoints[id], self._secrets[id]
        return ok({"id": id, "object": "webhook_endpoint", "deleted": True})

    def roll(self, id: str) -> None:
        """Give an endpoint a new secret; for a while both sign."""
        if id not in self._endpoints:
            raise missing("webhook endpoint", id)
        self._secrets[id] = [self._ids.new("whsec", 32), self._secrets[id][0]]

    @property
    def endpoints(self) -> Mapping[str, Json]:
        """The endpoints by id."""
        return self._endpoints

    def publish(self, topic: str, thing: Json) -> None:
        """Send an event to every endpoint that wants it, with the object as it is now."""
        wanting = [
            each
            for each in self._endpoints.values()
            if each["status"] == "enabled" and not {topic, "*"}.isdisjoint(each["enabled_events"])
        ]
        if not wanting:
            return
        event: Json = {
            "id": self._ids.new("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": int(self._desk.now().timestamp()),
            "data": {"object": thing},
            "livemode": False,
            "pending_webhooks": len(wanting),
            "request": {"id": None, "idempotency_key": None},
            "type": topic,
        }
        body = msgspec.json.encode(event)
        for each in wanting:
            self._desk.publish(
                Hook(
                    subscription_id=each["id"],
                    url=each["url"],
                    topic=topic,
                    event_id=event["id"],
                    body=body,
                    headers=self._headers(each["id"], body),
                    retry_after_s=RETRY_AFTER_S,
                )
            )

    def _headers(self, id: str, body: bytes) -> Callable[[int], Mapping[str, str]]:
        def headers(attempt: int) -> Mapping[str, str]:
            # Signed anew at each try, so that a late one is not too old.
            now = int(self._desk.now().timestamp())
            parts = [f"v1={signature(secret, now, body)}" for secret in self._secrets.get(id, ())]
            return {"stripe-signature": ",".join([f"t={now}", *parts]), "user-agent": "Stripe/1.0"}

        return headers

    def _change(self, held: Json, form: Form) -> None:
        events, disabled, url = form.several("enabled_events"), form.text("disabled"), form.text("url")
        form.done()
        if events:
            held["enabled_events"] = events
        if disabled:
            held["status"] = "disabled" if disabled == "true" else "enabled"
        if url:
            held["url"] = url

    def _endpoint(self, request: Request) -> Json:
        id = request.path_params["id"]
        if id not in self._endpoints:
            raise missing("webhook endpoint", id)
        return self._endpoints[id]
