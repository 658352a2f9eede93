"""A small channel of our own for tests: a connector, and a server that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn

from entrepot.channels.contract import (
    Api,
    AuthKind,
    Call,
    Capability,
    CheckReport,
    ConnectorError,
    Credentials,
    CredentialsRejected,
    Environment,
    Field,
    LimitKind,
    LimitReading,
    Manifest,
    RateLimit,
    RateLimited,
    Reply,
    RequestRejected,
    TemporarilyUnavailable,
    Token,
    UnexpectedAnswer,
    WebhookEvent,
)
from entrepot.channels.contracts import NewConnection

MANIFEST = Manifest(
    key="bazaar",
    title="Bazaar",
    api_version="1",
    capabilities=frozenset({Capability.WEBHOOKS}),
    auth=AuthKind.STATIC_TOKEN,
    fields=(
        Field("shop", "Shop", pattern=r"[a-z0-9-]+"),
        Field("simulator_url", "Address", required=False),
        Field("region", "Region", default="eu"),
        Field("access_token", "Token", secret=True),
        Field("client_secret", "Secret", secret=True, required=False),
    ),
    environments=(
        Environment("production", {"api": "https://{shop}.bazaar.example/api"}),
        Environment("simulated", {"api": "{simulator_url}/bazaar", "auth": "{simulator_url}/auth"}),
    ),
    rate_limits=(RateLimit("calls", LimitKind.TOKEN_BUCKET, 1000, 1000),),
    webhook_topics=("orders",),
    webhook_secret_field="client_secret",
    webhook_account=("x-bazaar-shop", "shop"),
)


class BazaarConnector:
    """Speaks Bazaar: a bearer token, plain statuses, HMAC-signed webhooks."""

    def __init__(self, manifest: Manifest = MANIFEST) -> None:
        self._manifest = manifest

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    def authorise(self, call: Call, credentials: Credentials, at: datetime) -> Call:
        if call.base == "auth":
            return call
        headers = {"authorization": f"Bearer {credentials.get('access_token', '')}", "x-at": at.isoformat()}
        return replace(call, headers={**call.headers, **headers})

    def classify(self, reply: Reply) -> ConnectorError | None:
        after = reply.headers.get("retry-after")
        retry_after_s = float(after) if after else None
        if reply.status < 300:
            return None
        if reply.status in (401, 403):
            return CredentialsRejected(f"answered {reply.status}")
        if reply.status == 429:
            return RateLimited("slow down", retry_after_s=retry_after_s)
        if reply.status >= 500:
            return TemporarilyUnavailable(f"answered {reply.status}", retry_after_s=retry_after_s)
        return RequestRejected(f"answered {reply.status}")

    def read_limits(self, call: Call, reply: Reply) -> tuple[LimitReading, ...]:
        left = reply.headers.get("x-left")
        return (LimitReading("calls", available=float(left)),) if left else ()

    async def check(self, api: Api) -> CheckReport:
        try:
            reply = await api.send(Call("whoami", "GET", "/whoami", idempotent=True))
        except ConnectorError as error:
            return CheckReport(False, error.detail)
        return CheckReport(True, "It works", account=json.loads(reply.body)["account"])

    def verify_webhook(self, body: bytes, headers: Mapping[str, str], url: str, secret: str) -> bool:
        given = headers.get("x-bazaar-signature", "")
        return bool(secret) and hmac.compare_digest(sign(body, secret), given)

    def webhook_event_id(self, body: bytes, headers: Mapping[str, str]) -> tuple[str, str]:
        if "x-bazaar-event" not in headers:
            raise UnexpectedAnswer("no event id")
        return headers["x-bazaar-event"], headers.get("x-bazaar-topic", "orders")

    def parse_webhook(self, body: bytes, headers: Mapping[str, str]) -> WebhookEvent:
        return WebhookEvent(headers["x-bazaar-event"], "orders")

    async def subscribe_webhooks(self, api: Api, url: str) -> Mapping[str, str]:
        return {}

    async def unsubscribe_webhooks(self, api: Api, url: str) -> None:
        return None


class TokenBazaarConnector(BazaarConnector):
    """Bazaar with access tokens that end, fetched with a refresh token that can be used once."""

    def __init__(self) -> None:
        fields = (*MANIFEST.fields[:3], Field("refresh_token", "Refresh token", secret=True))
        super().__init__(
            replace(
                MANIFEST,
                auth=AuthKind.OAUTH2_REFRESH,
                fields=fields,
                capabilities=MANIFEST.capabilities | {Capability.REFRESH_TOKEN},
            )
        )

    async def refresh_token(self, api: Api, credentials: Credentials) -> Token:
        body = json.dumps({"refresh_token": credentials["refresh_token"]}).encode()
        reply = await api.send(Call("token", "POST", "/token", body=body, base="auth"))
        answer = json.loads(reply.body)
        expires_at = datetime.now(UTC) + timedelta(seconds=answer["expires_in"])
        return Token(answer["access_token"], expires_at, {"refresh_token": answer["refresh_token"]})


def sign(body: bytes, secret: str) -> str:
    """Return what Bazaar puts in x-bazaar-signature."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def new_bazaar(name: str = "Bazaar", url: str = "http://127.0.0.1:9", **values: str) -> NewConnection:
    """Return the usual input for a connection to Bazaar."""
    usual = {"shop": "tea", "simulator_url": url, "access_token": "right", "client_secret": "hook-secret"}
    return NewConnection("bazaar", name, "simulated", {**usual, **values})


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Serve an ASGI app on a free port of 127.0.0.1; its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
        if task.done():
            task.result()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await task
