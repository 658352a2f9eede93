"""Around every request: an id, a bound on its size, security headers, and no exception that gets out."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrepot.api import problems

BODY_MAX_BYTES = 2_000_000
IMPORT_MAX_BYTES = 64_000_000

HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_STRICT_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_NO_STORE = (b"cache-control", b"no-store")
_HSTS = (b"strict-transport-security", b"max-age=31536000")


class Frame:
    """ASGI middleware of the HTTP interface. `larger`: paths (below the mount) that accept IMPORT_MAX_BYTES."""

    def __init__(self, app: ASGIApp, *, secure: bool, larger: frozenset[str]) -> None:
        self._app = app
        self._larger = larger
        self._headers = (*HEADERS, _HSTS) if secure else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identifier = secrets.token_hex(8)
        # A fresh mapping: the one of the server is shared by all requests of a connection.
        state: dict[str, Any] = {**scope.get("state", {}), "request_id": identifier}
        scope["state"] = state
        started = False

        async def framed_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": self._with_headers(message["headers"], state, identifier)}
            await send(message)

        limit = IMPORT_MAX_BYTES if _path(scope) in self._larger else BODY_MAX_BYTES
        try:
            if _announced_bytes(scope) > limit:
                refusal = problems.of_http_error(problems.BodyTooLarge(limit), identifier)
                await refusal(scope, receive, framed_send)
                return
            await self._app(scope, _bounded(receive, limit), framed_send)
        except Exception as error:
            if started:
                raise
            await problems.unexpected(error, identifier)(scope, receive, framed_send)

    def _with_headers(self, given: Any, state: Mapping[str, Any], identifier: str) -> list[tuple[bytes, bytes]]:
        headers = [*given, *self._headers, (b"x-request-id", identifier.encode()), *state.get("limit_headers", ())]
        names = {name for name, _ in given}
        headers += [header for header in (_STRICT_POLICY, _NO_STORE) if header[0] not in names]
        return headers


def _path(scope: Scope) -> str:
    return str(scope["path"]).removeprefix(str(scope.get("root_path", "")))


def _announced_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


def _bounded(receive: Receive, limit: int) -> Receive:
    """Return a receive that raises BodyTooLarge once a body without an honest length grows too large."""
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > limit:
                raise problems.BodyTooLarge(limit)
        return message

    return bounded
