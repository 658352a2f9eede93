"""Reading a channel's answer: the error that its status means, its JSON, its times. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from entrepot.channels.contract import (
    ConnectorError,
    CredentialsRejected,
    RateLimited,
    Reply,
    RequestRejected,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)

DETAIL_LENGTH_MAX = 300
"""How much of a channel's own words an error repeats, in characters."""

_TEMPORARY = frozenset({408, 421, 423, 425})
_WORD_FIELDS = ("message", "detail", "error_description", "description", "title", "error", "errors", "code")
_decoder = msgspec.json.Decoder(float_hook=Decimal)


def error_of_status(reply: Reply) -> ConnectorError | None:
    """Return the error that the HTTP status alone means, or None for 2xx.

    401 and 403: CredentialsRejected. 429: RateLimited. 408, 421, 423, 425 and 5xx: TemporarilyUnavailable; these two
    with what Retry-After says. Any other 4xx: RequestRejected. Everything else (a redirect): UnexpectedAnswer.
    The error's code is the status as text.
    """
    status = reply.status
    if 200 <= status < 300:
        return None
    code = str(status)
    detail = f"The channel answered {status}"
    words = words_of(reply)
    if words:
        detail = f"{detail}: {words}"
    if status in (401, 403):
        return CredentialsRejected(detail, code=code)
    if status == 429:
        return RateLimited(detail, code=code, retry_after_s=retry_after_s(reply))
    if status in _TEMPORARY or 500 <= status < 600:
        return TemporarilyUnavailable(detail, code=code, retry_after_s=retry_after_s(reply))
    if 400 <= status < 500:
        return RequestRejected(detail, code=code)
    return UnexpectedAnswer(detail, code=code)


def retry_after_s(reply: Reply) -> float | None:
    """Return how many seconds Retry-After asks to wait (0 or more), or None if it does not say.

    A date is measured against the answer's own Date, so that our clock does not matter.
    """
    text = reply.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        until, now = _http_date(text), date_of(reply)
        if until is None or now is None:
            return None
        seconds = (until - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def date_of(reply: Reply) -> datetime | None:
    """Return the channel's clock as the answer's Date header tells it (whole seconds), or None."""
    return _http_date(reply.headers.get("date", ""))


def json_of(reply: Reply) -> Any:
    """Return the body as JSON; numbers with a fraction come as Decimal, exactly as written.

    Raises UnexpectedAnswer if it is no JSON.
    """
    return json_of_bytes(reply.body)


def json_of_bytes(body: bytes) -> Any:
    """Return these bytes as JSON; see `json_of`."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnexpectedAnswer(f"The channel sent {len(body)} bytes that are not JSON") from error


def parse_time(text: str) -> datetime:
    """Return an ISO 8601 time as aware UTC. Raises UnexpectedAnswer if it is none or has no offset."""
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise ValueError("no offset")
        return time.astimezone(UTC)
    except (ValueError, TypeError, OverflowError) as error:
        raise UnexpectedAnswer(f"The channel sent a time that cannot be read: {str(text)[:40]!r}") from error


def words_of(reply: Reply) -> str:
    """Return the channel's own short explanation from a JSON error body, or empty text."""
    try:
        return _words(_decoder.decode(reply.body), 4)[:DETAIL_LENGTH_MAX]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _words(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    if depth == 0:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_words(each, depth - 1) for each in value[:3])))
    if isinstance(value, dict):
        for name in _WORD_FIELDS:
            if name in value and (words := _words(value[name], depth - 1)):
                return words
    return ""


def _http_date(text: str) -> datetime | None:
    try:
        time = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
