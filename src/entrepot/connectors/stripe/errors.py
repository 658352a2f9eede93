"""Stripe's errors: `error` with type, code, message and param in the body. Pure. No key of ours stays in their words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from entrepot.channels.contract import (
    ConnectorError,
    CredentialsRejected,
    OutcomeUnknown,
    RateLimited,
    Reply,
    RequestRejected,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)
from entrepot.channels.replies import error_of_status, json_of, retry_after_s

PLAIN: Mapping[str, str] = {
    "api_key_expired": "The key has expired: make a new one in Stripe and connect again.",
    "testmode_charges_only": "The Stripe account may take test payments only: finish its activation in Stripe.",
    "platform_api_key_expired": "The key has expired: make a new one in Stripe and connect again.",
    "resource_missing": "Stripe does not know it with this key; a test key does not see live payments.",
    "charge_already_refunded": "All of this payment has been refunded already.",
    "charge_disputed": "The buyer disputes this payment: it cannot be refunded, answer the dispute instead.",
    "charge_expired_for_capture": "The hold on the card has lapsed: the payment can no longer be captured.",
    "charge_already_captured": "This payment was captured already.",
    "payment_intent_unexpected_state": "The payment is not in a state that allows this.",
    "amount_too_large": "The amount is greater than what is left of this payment.",
    "amount_too_small": "The amount is below what Stripe takes in this currency.",
    "balance_insufficient": "The Stripe balance does not cover it: add funds in Stripe or wait for sales.",
    "insufficient_funds": "The Stripe balance does not cover it: add funds in Stripe or wait for sales.",
    "refund_disputed_payment": "The buyer disputes this payment: it cannot be refunded, answer the dispute instead.",
    "invalid_charge_amount_no_decimal_compatible": "Stripe takes this currency in whole units only.",
    "idempotency_key_in_use": "Stripe is still working on the same request.",
    "lock_timeout": "Stripe is working on this payment at the moment.",
    "rate_limit": "Stripe asks us to slow down.",
    "idempotency_error": "The same key was used for another request: nothing was done.",
    "secret_key_required": "This is a publishable key: enter the secret or a restricted key.",
}
_REASONS: Mapping[str, str] = {
    "global-rate": "too many calls in a second",
    "global-concurrency": "too many calls at the same time",
    "endpoint-rate": "too many calls of this kind in a second",
    "endpoint-concurrency": "too many calls of this kind at the same time",
    "resource-specific": "too many calls about the same payment",
}
_KEY = re.compile(r"\b(?:sk|rk|pk|whsec)_[\w*]+")
_PERMISSION = re.compile(r"\brak_(\w+?)_(read|write)\b")


class StripeRejected(RequestRejected):
    """Stripe refuses this request; sending it again cannot help."""


class PermissionMissing(CredentialsRejected):
    """The restricted key may not do this."""

    def __init__(self, detail: str = "", *, code: str = "", permission: str = "") -> None:
        super().__init__(detail, code=code)
        self.permission = permission
        """What Stripe says is missing, such as `charge: write`; empty where it does not say."""


def error_of(reply: Reply) -> ConnectorError | None:
    """Return the error that the answer means, in plain words, or None for a success."""
    by_status = error_of_status(reply)
    if by_status is None:
        return None
    error = _error(reply)
    code = str(error.get("code") or error.get("type") or "") or by_status.code
    detail = _words(error, code, reply)
    if isinstance(by_status, UnexpectedAnswer):
        return UnexpectedAnswer(detail, code=code)
    if reply.status == 403:
        return _forbidden(detail, code, error)
    if isinstance(by_status, CredentialsRejected):
        return CredentialsRejected(detail, code=code)
    if code in ("lock_timeout", "idempotency_key_in_use") or _of_one_object(reply):
        # It concerns one payment: the other calls of the connection need not slow down.
        return TemporarilyUnavailable(detail, code=code, retry_after_s=retry_after_s(reply))
    if isinstance(by_status, RateLimited):
        return RateLimited(detail, code=code, retry_after_s=retry_after_s(reply))
    if isinstance(by_status, TemporarilyUnavailable):
        if reply.headers.get("idempotent-replayed") == "true":
            # Stripe keeps the first answer of a key for a day, a failure too: what it did is not known, and
            # asking again tells no more.
            return OutcomeUnknown(
                f"Stripe failed on this request and repeats that answer for a day. {detail}", code=code
            )
        return TemporarilyUnavailable(detail, code=code, retry_after_s=retry_after_s(reply))
    return StripeRejected(detail, code=code) if error else RequestRejected(detail, code=code)


def _forbidden(detail: str, code: str, error: Mapping[str, Any]) -> ConnectorError:
    named = _PERMISSION.search(str(error.get("message") or ""))
    if named is None:
        return CredentialsRejected(detail, code=code)
    permission = f"{named[1].replace('_', ' ')}: {named[2]}"
    words = f"The restricted key lacks the permission {permission!r}: add it in Stripe, Developers, API keys."
    return PermissionMissing(words, code=code, permission=permission)


def _of_one_object(reply: Reply) -> bool:
    return reply.status == 429 and reply.headers.get("stripe-rate-limited-reason") == "resource-specific"


def _error(reply: Reply) -> Mapping[str, Any]:
    try:
        body = json_of(reply)
    except UnexpectedAnswer:
        return {}
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}


def _words(error: Mapping[str, Any], code: str, reply: Reply) -> str:
    own = " ".join(_KEY.sub("the key", str(error.get("message") or "")).split())[:250]
    plain = PLAIN.get(code) or PLAIN.get(str(error.get("type") or ""), "")
    if reply.status == 401 and not plain:
        plain = "Stripe does not accept the key."
    if reply.status == 429:
        reason = reply.headers.get("stripe-rate-limited-reason", "")
        plain = plain or PLAIN["rate_limit"]
        plain = f"{plain[:-1]}: {_REASONS[reason]}." if reason in _REASONS else plain
    param = f" {error['param']}" if error.get("param") else ""
    words = f"{plain} ({own})" if plain and own else plain or own or f"Stripe answered {reply.status}."
    return f"{words} [{code}{param}]" if code or param else words
