"""How the channel answers: JSON, errors in a list, the rate of the operation in a header; and who may ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.amazon.state import State

Handler = Callable[[Request], Awaitable[Response]]
FAULT_WORDS = {
    429: ("QuotaExceeded", "You exceeded your quota for the requested resource."),
    500: ("InternalFailure", "We encountered an internal error. Please try again."),
    503: ("ServiceUnavailable", "Service is temporarily unavailable. Please try again."),
}


class Refused(Exception):
    """The request is answered with an error."""

    def __init__(self, status: int, code: str, message: str, details: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details


def invalid(message: str) -> Refused:
    """Return the refusal of a request that makes no sense."""
    return Refused(400, "InvalidInput", message)


def json_answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer."""
    return Response(msgspec.json.encode(content), status, dict(headers or {}), "application/json")


def error_answer(
    status: int, code: str, message: str, details: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    """Return errors as the channel words them."""
    return json_answer({"errors": [{"code": code, "message": message, "details": details}]}, status, headers)


def guarded(state: State, operation: str, handler: Handler) -> Handler:
    """Let in callers with a living access token, within the operation's rate; tell the rate."""
    bucket = state.buckets[operation]

    async def inner(request: Request) -> Response:
        headers = {
            "x-amzn-RequestId": f"{state.desk.world.seed:08x}-0000-4000-8000-{state.next_id('request'):012x}",
            "x-amzn-RateLimit-Limit": f"{bucket.refill_per_s:g}",
        }
        problem = _access_problem(state, request.headers.get("x-amz-access-token"))
        if problem:
            return error_answer(403, "Unauthorized", "Access to requested resource is denied.", problem, headers)
        if not bucket.take().ok:
            return error_answer(429, *FAULT_WORDS[429], headers=headers)
        try:
            response = await handler(request)
        except Refused as refusal:
            response = error_answer(refusal.status, refusal.code, refusal.message, refusal.details)
        response.headers.update(headers)
        return response

    return inner


def _access_problem(state: State, token: str | None) -> str:
    if not token:
        return "Access token is missing in the request header."
    ends = state.tokens.get(token)
    if ends is None:
        return "The access token you provided is revoked, malformed or invalid."
    return "" if state.desk.world.clock.monotonic() < ends else "The access token you provided has expired."


def list_of(request: Request, name: str) -> list[str]:
    """Return a list parameter, given repeatedly or separated by commas."""
    return [part for value in request.query_params.getlist(name) for part in value.split(",") if part]


async def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body. Raises Refused."""
    try:
        body = msgspec.json.decode(await request.body())
    except msgspec.DecodeError:
        raise invalid("The request body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise invalid("The request body must be a JSON object.")
    return body
