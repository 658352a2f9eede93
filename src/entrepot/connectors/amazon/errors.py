"""Amazon's errors: a list of {code, message, details}; Login with Amazon has its own shape. Pure."""

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
    "Unauthorized": "Amazon refuses access: the token has ended, or the application lacks the role for this.",
    "MissingAuthenticationToken": "Amazon got no access token.",
    "InvalidSignature": "Amazon does not accept the access token.",
    "NotFound": "Amazon does not know it.",
    "InvalidInput": "Amazon does not accept the request.",
    "QuotaExceeded": "Amazon asks us to slow down.",
    "InternalFailure": "Amazon has trouble of its own.",
    "InternalError": "Amazon has trouble of its own.",
    "ServiceUnavailable": "Amazon does not answer at the moment.",
    "invalid_grant": "Amazon does not accept the refresh token: the seller must authorise the application again.",
    "invalid_client": "Amazon does not accept the client ID and secret.",
    "unauthorized_client": "The application may not use this refresh token.",
}
_LWA_CREDENTIALS = frozenset({"invalid_grant", "invalid_client", "unauthorized_client"})


class AmazonRejected(RequestRejected):
    """Amazon refuses this request; sending it again cannot help."""

    def __init__(self, detail: str = "", *, code: str = "", status: int = 0) -> None:
        super().__init__(detail, code=code)
        self.status = status


def error_of(reply: Reply) -> ConnectorError | None:
    """Return the error that the answer means; nothing is hidden in a 200."""
    by_status = error_of_status(reply)
    if by_status is None or isinstance(by_status, UnexpectedAnswer):
        return by_status
    code, words = _said(reply)
    if not code:
        return by_status
    if code in _LWA_CREDENTIALS or isinstance(by_status, CredentialsRejected):
        return CredentialsRejected(words, code=code)
    if isinstance(by_status, RateLimited) or code == "QuotaExceeded":
        return RateLimited(words, code=code, retry_after_s=retry_after_s(reply))
    if isinstance(by_status, TemporarilyUnavailable):
        return TemporarilyUnavailable(words, code=code, retry_after_s=retry_after_s(reply))
    return AmazonRejected(words, code=code, status=reply.status)


def _said(reply: Reply) -> tuple[str, str]:
    """Return (code, words) of the first error in the body, or ("", "")."""
    try:
        body = json_of(reply)
    except UnexpectedAnswer:
        return "", ""
    if not isinstance(body, dict):
        return "", ""
    if isinstance(body.get("error"), str):
        return _worded(body["error"], body.get("error_description"))
    errors: Any = body.get("errors")
    if isinstance(errors, dict):
        # confirmShipment wraps its list once more.
        errors = errors.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    own = " ".join(str(each) for each in (first.get("message"), first.get("details")) if each)
    return _worded(str(first.get("code") or ""), own)


def _worded(code: str, own: Any) -> tuple[str, str]:
    said = " ".join(str(own or "").split())[:300]
    plain = PLAIN.get(code, "")
    words = f"{plain} ({said})" if plain and said else plain or said or f"Amazon answered {code}."
    return code, f"{words} [{code}]" if code else ""
