"""Reading values out of Amazon's JSON. Pure; raises UnexpectedAnswer where the documentation is broken."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from entrepot.channels.contract import Payload, Reply, UnexpectedAnswer
from entrepot.channels.replies import json_of


def body_of(reply: Reply) -> Mapping[str, Any]:
    """Return the answer's body, which is always an object."""
    body = json_of(reply)
    if not isinstance(body, dict):
        raise UnexpectedAnswer("Amazon's answer is not an object")
    return body


def text(payload: Payload, name: str) -> str:
    """Return a text field that must be there."""
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise UnexpectedAnswer(f"Amazon's answer lacks the text field {name!r}")
    return value


def optional_text(payload: Payload, name: str) -> str:
    """Return a text field, or empty text."""
    value = payload.get(name)
    return value if isinstance(value, str) else ""


def whole(payload: Payload, name: str) -> int | None:
    """Return a whole number, None where it is absent or null."""
    value = payload.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise UnexpectedAnswer(f"Amazon's field {name!r} is not a whole number")
    return value


def objects(payload: Payload, name: str) -> list[Mapping[str, Any]]:
    """Return a list of objects, empty where it is absent or null."""
    value = payload.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise UnexpectedAnswer(f"Amazon's field {name!r} is not a list of objects")
    return value


def inner(payload: Payload, name: str) -> Mapping[str, Any]:
    """Return an object field, empty where it is absent or null."""
    value = payload.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnexpectedAnswer(f"Amazon's field {name!r} is not an object")
    return value


def amount(payload: Payload, name: str) -> Decimal | None:
    """Return an amount of money in major units, None where it is absent."""
    written = inner(payload, name).get("amount")
    if written is None:
        return None
    try:
        value = Decimal(written) if isinstance(written, str | int | Decimal) else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite():
        raise UnexpectedAnswer(f"Amazon's field {name!r} is not an amount of money")
    return value
