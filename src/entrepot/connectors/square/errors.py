"""Square's errors: a list of {category, code, detail, field} in the body. Pure."""

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
from entrepot.channels.replies import error_of_status, json_of, retry_after_s

PLAIN: Mapping[str, str] = {
    "UNAUTHORIZED": "Square does not accept the access token.",
    "ACCESS_TOKEN_EXPIRED": "The access token has expired: connect Square again.",
    "ACCESS_TOKEN_REVOKED": "The seller has withdrawn the access token: connect Square again.",
    "APPLICATION_DISABLED": "Square has disabled the application that the token belongs to.",
    "CLIENT_DISABLED": "Square has disabled the application that the token belongs to.",
    "FORBIDDEN": "The access token may not do that.",
    "INSUFFICIENT_SCOPES": "The access token lacks a permission: it needs orders, items, inventory and locations.",
    "NOT_FOUND": "Square does not know it.",
    "IDEMPOTENCY_KEY_REUSED": "The same key was used for another request.",
    "INVALID_TIME": "Square does not accept the time of the change: it must be within the last 24 hours and not "
    "in the future. Check the clock of this machine.",
    "CONFLICT": "It was changed by someone else in the meantime.",
    "VERSION_MISMATCH": "It was changed by someone else in the meantime.",
    "RATE_LIMITED": "Square asks us to slow down.",
}


class SquareRejected(RequestRejected):
    """Square refuses this request; sending it again cannot help."""

    def __init__(self, detail: str = "", *, code: str = "", fields: tuple[str, ...] = ()) -> None:
        super().__init__(detail, code=code)
        self.fields = fields
        """The request's fields that Square complains of, such as `changes[3].adjustment.quantity`."""


def error_of(reply: Reply) -> ConnectorError | None:
    """Return the error that the answer means. Square may list errors in a 200 too."""
    by_status = error_of_status(reply)
    if by_status is None and b'"errors"' not in reply.body:
        return None
    errors = _errors(reply)
    if not errors:
        return by_status
    return _error_of(errors, by_status, reply)


def _error_of(errors: list[Mapping[str, Any]], by_status: ConnectorError | None, reply: Reply) -> ConnectorError | None:
    first = errors[0]
    code, category = str(first.get("code", "")), str(first.get("category", ""))
    detail = _words(errors)
    if isinstance(by_status, UnexpectedAnswer):
        return by_status
    if category == "AUTHENTICATION_ERROR" or isinstance(by_status, CredentialsRejected):
        return CredentialsRejected(detail, code=code)
    if category == "RATE_LIMIT_ERROR" or isinstance(by_status, RateLimited):
        return RateLimited(detail, code=code, retry_after_s=retry_after_s(reply))
    if category == "API_ERROR" or isinstance(by_status, TemporarilyUnavailable):
        return TemporarilyUnavailable(detail, code=code, retry_after_s=retry_after_s(reply))
    fields = tuple(str(each["field"]) for each in errors if each.get("field"))
    return SquareRejected(detail, code=code, fields=fields)


def _errors(reply: Reply) -> list[Mapping[str, Any]]:
    try:
        body = json_of(reply)
    except UnexpectedAnswer:
        return []
    errors = body.get("errors") if isinstance(body, dict) else None
    return [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []


def _words(errors: list[Mapping[str, Any]]) -> str:
    parts = []
    for each in errors[:3]:
        code = str(each.get("code", ""))
        own = " ".join(str(each.get("detail") or "").split())[:200]
        plain = PLAIN.get(code, "")
        words = f"{plain} ({own})" if plain and own else plain or own or f"Square answered {code or 'an error'}."
        parts.append(f"{words} [{code}{' ' + str(each['field']) if each.get('field') else ''}]")
    return " ".join(parts)
