"""The event stream of the pages and the dashboard's web socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from entrepot.identity.facade import Actor, cookie_name
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import NotSignedIn
from entrepot.web.live.hub import Update, Watcher
from entrepot.web.services import PageServices

HEARTBEAT_S = 10.0
"""So that both ends notice a dead stream, and an ended session."""


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of the live data."""

    async def events(request: Request) -> Response:
        token = request.cookies.get(cookie_name(services.secure))
        try:
            actor = await services.authenticator.authenticate(None, token)
        except NotSignedIn:
            # 204 tells an EventSource to stop asking.
            return Response(status_code=204)
        since = _event_time(request.headers.get("last-event-id") or request.query_params.get("since"))
        stream = _stream(services, actor, token, since)
        return StreamingResponse(
            stream, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )

    async def dashboard(socket: WebSocket) -> None:
        actor = await _socket_actor(services, socket)
        if actor is None:
            await socket.close(code=4401, reason="Sign in, or send a valid key.")
            return
        await socket.accept()
        await _send_metrics(services, actor, socket)

    return [Route("/events", events, methods=["GET"]), WebSocketRoute("/ws/dashboard", dashboard)]


async def _stream(
    services: PageServices, actor: Actor, token: str | None, since: datetime | None
) -> AsyncIterator[bytes]:
    yield b"retry: 1000\n\n"
    async with services.hub.watch(actor.organisation_id, since) as watcher:
        first = True
        while not watcher.closed:
            update = await watcher.next(HEARTBEAT_S)
            if watcher.closed:
                return
            if update is None:
                try:
                    await services.authenticator.authenticate(None, token)
                except NotSignedIn:
                    return
                yield _message("beat", {}, utc_now())
                continue
            yield _message("first" if first else "update", _shape(update), utc_now())
            first = False


def _shape(update: Update) -> dict[str, object]:
    shape: dict[str, object] = {"patch": update.patch}
    if update.orders:
        shape["orders"] = update.orders
    if update.movements:
        shape["movements"] = update.movements
    if update.stale:
        shape["stale"] = True
    return shape


def _message(event: str, data: dict[str, object], at: datetime) -> bytes:
    stamp = at.isoformat()
    body = msgspec.json.encode({**data, "at": stamp})
    return b"event: " + event.encode() + b"\nid: " + stamp.encode() + b"\ndata: " + body + b"\n\n"


def _event_time(text: str | None) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return None if at is None or at.tzinfo is None else at.astimezone(UTC)


async def _socket_actor(services: PageServices, socket: WebSocket) -> Actor | None:
    """Return who opens the socket: by key or token, or by the session cookie from a page of this hub only."""
    authorization = socket.headers.get("authorization")
    token = socket.cookies.get(cookie_name(services.secure))
    if authorization is None:
        origin = socket.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != socket.headers.get("host"):
            return None
    try:
        return await services.authenticator.authenticate(authorization, token)
    except NotSignedIn:
        return None


async def _send_metrics(services: PageServices, actor: Actor, socket: WebSocket) -> None:
    async with services.hub.watch(actor.organisation_id) as watcher:
        reader = asyncio.create_task(_until_gone(socket, watcher))
        told: object = None
        try:
            while not watcher.closed:
                data = services.hub.figures(actor.organisation_id)
                if data != told:
                    told = data
                    message = {"type": "metrics_update", "data": data, "timestamp": utc_now().isoformat()}
                    await socket.send_text(msgspec.json.encode(message).decode())
                await watcher.next(HEARTBEAT_S)
            if socket.client_state is WebSocketState.CONNECTED:
                await socket.close(code=1001)
        except (WebSocketDisconnect, RuntimeError):
            return
        finally:
            reader.cancel()


async def _until_gone(socket: WebSocket, watcher: Watcher) -> None:
    """Read and drop what the other end sends until it is gone, then end the stream."""
    try:
        while True:
            await socket.receive()
            if socket.client_state is not WebSocketState.CONNECTED:
                break
    except (WebSocketDisconnect, RuntimeError):
        pass
    watcher.close()
