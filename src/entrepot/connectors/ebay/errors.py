"""eBay's errors: a list of {errorId, message, longMessage, parameters}; the token service has its own shape. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

LIMIT_REACHED = "2001"
CONCURRENT = "25025"
PLAIN: Mapping[str, str] = {
    "1001": "eBay does not accept the access token.",
    "1100": "The token lacks a permission for this: the seller must agree anew.",
    "2001": "eBay takes no more calls at the moment.",
    "2003": "eBay has trouble of its own.",
    "invalid_grant": "eBay does not accept the refresh token or consent code: the seller must agree anew.",
    "invalid_client": "eBay does not accept the App ID and Cert ID.",
    "unauthorized_client": "The application may not use this refresh token.",
    "invalid_scope": "The seller did not agree to all that the hub needs: agree anew with every scope.",
    "195003": "eBay wants an email address for trouble first: enter one in the connection's settings.",
    "195011": "The application may not subscribe this topic yet: ask eBay for it.",
    "195020": "eBay asked this hub for its proof and got none: is its public address reachable by https?",
}
_OAUTH_CREDENTIALS = frozenset({"invalid_grant", "invalid_client", "unauthorized_client", "invalid_scope"})
_TEMPORARY = frozenset({CONCURRENT, "25001"})
_NO_SUCH = frozenset({"25702", "25705", "25710", "25713"})


class EbayRejected(RequestRejected):
    """eBay refuses this request; sending it again cannot help."""

    def __init__(
        self, detail: str = "", *, code: str = "", status: int = 0, errors: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(detail, code=code)
        self.status = status
        self.errors = tuple(errors)


def error_of(reply: Reply) -> ConnectorError | None:
    """Return the error that the answer means; errors of single items in a 200 or 207 are read with the items."""
    by_status = error_of_status(reply)
    if by_status is None or isinstance(by_status, UnexpectedAnswer):
        return by_status
    errors, code, words = _said(reply)
    if not code:
        return by_status
    if code in _OAUTH_CREDENTIALS or isinstance(by_status, CredentialsRejected):
        return CredentialsRejected(words, code=code)
    if isinstance(by_status, RateLimited):
        return RateLimited(words, code=code, retry_after_s=retry_after_s(reply))
    if isinstance(by_status, TemporarilyUnavailable) or code in _TEMPORARY:
        return TemporarilyUnavailable(words, code=code, retry_after_s=retry_after_s(reply))
    return EbayRejected(words, code=code, status=reply.status, errors=errors)


def is_missing(error: RequestRejected) -> bool:
    """Return whether eBay refuses because there is no such thing."""
    status = error.status if isinstance(error, EbayRejected) else 0
    return status == 404 or error.code == "404" or error.code in _NO_SUCH


def words_of(errors: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return (code, words) of the first of eBay's errors, or ("", ""). Pure."""
    first = next((each for each in errors if isinstance(each, Mapping)), None)
    if first is None:
        return "", ""
    said = str(first.get("longMessage") or first.get("message") or "")
    return _worded(str(first.get("errorId") or ""), said)


def _said(reply: Reply) -> tuple[Sequence[Mapping[str, Any]], str, str]:
    try:
        body = json_of(reply)
    except UnexpectedAnswer:
        return (), "", ""
    if not isinstance(body, dict):
        return (), "", ""
    if isinstance(body.get("error"), str):
        return (), *_worded(body["error"], str(body.get("error_description") or ""))
    errors = body.get("errors")
    known = [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
    return known, *words_of(known)


def _worded(code: str, own: str) -> tuple[str, str]:
    said = " ".join(own.split())[:300]
    plain = PLAIN.get(code, "")
    words = f"{plain} ({said})" if plain and said else plain or said or f"eBay answered {code}."
    return code, f"{words} [{code}]" if code else ""
