"""How the simulated eBay answers: JSON, errors in a list; and who may ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.ebay.state import APPLICATION, State

Handler = Callable[[Request], Awaitable[Response]]
LIMIT = (2001, "ACCESS", "Too many requests.", "The request limit has been reached for the resource.")
FAULTS = {
    429: LIMIT,
    500: (2003, "ACCESS", "Internal error", "There was a problem with an eBay internal system or process."),
    503: (2003, "ACCESS", "Service unavailable", "The service is not available at the moment."),
}


class Refused(Exception):
    """The request is answered with an error."""

    def __init__(self, status: int, code: int, message: str, domain: str = "API_INVENTORY", **parameters: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = error(code, message, domain, **parameters)


def error(code: int, message: str, domain: str = "API_INVENTORY", **parameters: str) -> dict[str, Any]:
    """Return an error as the channel words it."""
    told: dict[str, Any] = {
        "errorId": code,
        "domain": domain,
        "category": "REQUEST",
        "message": message,
        "longMessage": message,
    }
    if parameters:
        told["parameters"] = [{"name": name, "value": value} for name, value in parameters.items()]
    return told


def json_answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer."""
    return Response(msgspec.json.encode(content), status, dict(headers or {}), "application/json")


def fault(status: int) -> Response:
    """Return what the channel answers when it has trouble or had enough."""
    code, domain, message, longer = FAULTS.get(status, FAULTS[500])
    told = {"errorId": code, "domain": domain, "category": "APPLICATION", "message": message, "longMessage": longer}
    return json_answer({"errors": [told]}, status)


def guarded(state: State, api: str, audience: str, handler: Callable[[State, Request], Awaitable[Response]]) -> Handler:
    """Let in callers with a living token of the right kind, within the day's quota of the API (empty: it has none)."""

    async def inner(request: Request) -> Response:
        problem = _access_problem(state, request.headers.get("authorization", ""), audience)
        if problem is not None:
            return json_answer({"errors": [problem]}, 403 if problem["errorId"] == 1100 else 401)
        if api and not state.count_call(api):
            return fault(429)
        try:
            return await handler(state, request)
        except Refused as refusal:
            return json_answer({"errors": [refusal.error]}, refusal.status)

    return inner


def _access_problem(state: State, given: str, audience: str) -> dict[str, Any] | None:
    kind, ends = state.tokens.get(given.removeprefix("Bearer "), ("", 0.0))
    if not kind or state.desk.world.clock.monotonic() >= ends:
        return error(1001, "Invalid access token", "OAuth")
    if kind != audience:
        needed = "an application token" if audience == APPLICATION else "a user token"
        return error(1100, f"Insufficient permissions: this needs {needed}.", "ACCESS")
    return None


async def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body. Raises Refused."""
    try:
        body = msgspec.json.decode(await request.body())
    except msgspec.DecodeError:
        raise Refused(400, 2004, "Invalid request: the body is not JSON.", "ACCESS") from None
    if not isinstance(body, dict):
        raise Refused(400, 2004, "Invalid request: the body must be an object.", "ACCESS")
    return body


def number(request: Request, name: str, usual: int, most: int) -> int:
    """Return a whole number of the query. Raises Refused."""
    given = request.query_params.get(name)
    if given is None:
        return usual
    if not given.isdecimal() or int(given) > most:
        raise Refused(400, 25706, f"You have provided invalid pagination values: {name}.")
    return int(given)
