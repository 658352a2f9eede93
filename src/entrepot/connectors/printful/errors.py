"""Printful's errors: of the first version, of the second, and problem details, all three in use. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entrepot.channels.contract import (
    ConnectorError,
    CredentialsRejected,
    RateLimited,
    Reply,
    RequestRejected,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)
from entrepot.channels.replies import DETAIL_LENGTH_MAX, error_of_status, json_of, retry_after_s

EXTERNAL_ID_TAKEN = "OR-13"
"""Printful's code for an order whose external id another one has."""
_TAKEN_WORDS = "external id already exists"
_PLAIN: Mapping[int, str] = {
    401: "Printful does not accept the token: it is wrong, was withdrawn or has expired.",
    403: "The token may not do that: it needs the scopes for orders, webhooks and products, and the right store.",
    429: "Printful asks us to slow down.",
}


def error_of(reply: Reply) -> ConnectorError | None:
    """Return the error that the answer means."""
    by_status = error_of_status(reply)
    if by_status is None or isinstance(by_status, UnexpectedAnswer):
        return by_status
    body = _body(reply)
    own = _words(body)[:DETAIL_LENGTH_MAX]
    plain = _PLAIN.get(reply.status, "")
    detail = f"{plain} ({own})" if plain and own else plain or own or by_status.detail
    code = _code(body) or str(reply.status)
    if isinstance(by_status, CredentialsRejected):
        return CredentialsRejected(detail, code=code)
    if isinstance(by_status, RateLimited):
        return RateLimited(detail, code=code, retry_after_s=retry_after_s(reply))
    if isinstance(by_status, TemporarilyUnavailable):
        return TemporarilyUnavailable(detail, code=code, retry_after_s=retry_after_s(reply))
    if _TAKEN_WORDS in own.lower():
        code = EXTERNAL_ID_TAKEN
    return RequestRejected(detail, code=code)


def _body(reply: Reply) -> Mapping[str, Any]:
    try:
        body = json_of(reply)
    except UnexpectedAnswer:
        return {}
    return body if isinstance(body, dict) else {}


def _code(body: Mapping[str, Any]) -> str:
    error = body.get("error")
    inside = error.get("api_error_code") if isinstance(error, dict) else None
    code = inside or body.get("api_error_code")
    return code if isinstance(code, str) else ""


def _words(body: Mapping[str, Any]) -> str:
    """Return Printful's own explanation: `error.message`, `result`, `data` or problem details, whichever there is."""
    error = body.get("error")
    told = [
        error.get("message") if isinstance(error, dict) else None,
        body.get("detail"),
        body.get("details"),
        body.get("result"),
        body.get("data"),
        body.get("title"),
    ]
    words = next((" ".join(each.split()) for each in told if isinstance(each, str) and each.strip()), "")
    errors = body.get("errors") or body.get("validation_errors")
    parts = [each.get("detail") for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
    more = "; ".join(" ".join(each.split()) for each in parts[:3] if isinstance(each, str))
    return f"{words} {more}".strip()
