"""Reading values out of Printful's JSON. Pure; raises UnexpectedAnswer where the documentation is broken."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from entrepot.channels.contract import Payload, Reply, UnexpectedAnswer
from entrepot.channels.fields import Fields
from entrepot.channels.replies import parse_time

_fields = Fields("Printful")
body_of = _fields.body_of
text = _fields.text
optional_text = _fields.optional_text
objects = _fields.objects
inner = _fields.inner
whole = _fields.whole


def data_of(reply: Reply) -> Mapping[str, Any]:
    """Return what an answer of the second version holds."""
    return _object(body_of(reply), "data")


def data_list(reply: Reply) -> list[Mapping[str, Any]]:
    """Return the list that an answer of the second version holds, which must be there."""
    body = body_of(reply)
    if body.get("data") is None:
        raise UnexpectedAnswer("Printful's answer lacks the list 'data'")
    return objects(body, "data")


def result_of(reply: Reply) -> Mapping[str, Any]:
    """Return what an answer of the first version (and of the webhooks) holds."""
    return _object(body_of(reply), "result")


def result_list(reply: Reply) -> list[Mapping[str, Any]]:
    """Return the list that an answer of the first version holds, which must be there."""
    body = body_of(reply)
    if body.get("result") is None:
        raise UnexpectedAnswer("Printful's answer lacks the list 'result'")
    return objects(body, "result")


def _object(body: Payload, name: str) -> Mapping[str, Any]:
    found = body.get(name)
    if not isinstance(found, dict):
        raise UnexpectedAnswer(f"Printful's answer lacks the object {name!r}")
    return found


def number_text(payload: Payload, name: str) -> str:
    """Return an id, which Printful writes as a number, as text. Must be there."""
    value = whole(payload, name)
    if value is None:
        raise UnexpectedAnswer(f"Printful's answer lacks the number {name!r}")
    return str(value)


def optional_number_text(payload: Payload, name: str) -> str:
    """Return an id as text, empty where it is absent or null."""
    value = whole(payload, name)
    return "" if value is None else str(value)


def money(payload: Payload, name: str) -> Decimal | None:
    """Return an amount in major units, which Printful writes as decimal text; None where it is absent, null or empty."""
    value = payload.get(name)
    if value is None or value == "":
        return None
    try:
        amount = Decimal(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or abs(amount) >= 10**12:
        raise UnexpectedAnswer(f"Printful's field {name!r} is not an amount of money: {str(value)[:30]!r}")
    return amount


def time(payload: Payload, name: str) -> datetime:
    """Return a time that must be there."""
    return parse_time(text(payload, name))


def optional_time(payload: Payload, name: str) -> datetime | None:
    """Return a time, None where it is absent, null or empty."""
    value = optional_text(payload, name)
    return parse_time(value) if value else None


def old_time(payload: Payload, name: str) -> datetime | None:
    """Return a time of the first version, which counts seconds since 1970; None where it is absent or null."""
    seconds = whole(payload, name)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError) as error:
        raise UnexpectedAnswer(f"Printful's field {name!r} is not a time: {seconds}") from error


def optional_date(payload: Payload, name: str) -> date | None:
    """Return a day, None where it is absent, null or empty."""
    value = optional_text(payload, name)
    if not value:
        return None
    try:
        return date.fromisoformat(value[:10])
    except ValueError as error:
        raise UnexpectedAnswer(f"Printful's field {name!r} is not a day: {value[:30]!r}") from error
