"""Reading values out of Square's JSON. Pure; raises UnexpectedAnswer where the documentation is broken."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from entrepot.channels.contract import Payload, Reply, UnexpectedAnswer
from entrepot.channels.replies import json_of
from entrepot.kernel.money import to_decimal

_VARIATION_AT = "@"
_PLAIN_NAMES = frozenset({"", "Regular"})
"""Square names the only variation of a plain item so."""


def variation_name(payload: Payload, name: str) -> str:
    """Return a variation's name, empty for the only one of a plain item."""
    value = optional_text(payload, name)
    return "" if value in _PLAIN_NAMES else value


def title_of(product: str, variation: str) -> str:
    """Return how a variation is called in a list."""
    return " - ".join(filter(None, (product, variation)))


def listing_id(variation_id: str, location_id: str) -> str:
    """Return a listing's id: Square counts stock per variation and location, and its events name both."""
    return f"{variation_id}{_VARIATION_AT}{location_id}"


def variation_of(external_id: str) -> str:
    """Return the variation in a listing's id."""
    return external_id.partition(_VARIATION_AT)[0]


def body_of(reply: Reply) -> Mapping[str, Any]:
    """Return the answer's body, which is always an object."""
    body = json_of(reply)
    if not isinstance(body, dict):
        raise UnexpectedAnswer("Square's answer is not an object")
    return body


def text(payload: Payload, name: str) -> str:
    """Return a text field that must be there."""
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise UnexpectedAnswer(f"Square's answer lacks the text field {name!r}")
    return value


def optional_text(payload: Payload, name: str) -> str:
    """Return a text field, or empty text."""
    value = payload.get(name)
    return value if isinstance(value, str) else ""


def objects(payload: Payload, name: str) -> list[Mapping[str, Any]]:
    """Return a list of objects, empty where it is absent or null."""
    value = payload.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise UnexpectedAnswer(f"Square's field {name!r} is not a list of objects")
    return value


def inner(payload: Payload, name: str) -> Mapping[str, Any]:
    """Return an object field, empty where it is absent or null."""
    value = payload.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnexpectedAnswer(f"Square's field {name!r} is not an object")
    return value


def decimal(written: Any) -> Decimal:
    """Return a quantity, which Square writes as decimal text."""
    try:
        value = Decimal(written) if isinstance(written, str) else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or abs(value) >= 10**12:
        raise UnexpectedAnswer(f"Square sent a quantity that cannot be read: {str(written)[:30]!r}")
    return value


def money(payload: Payload, name: str) -> Decimal:
    """Return an amount of money in major units; 0 where it is absent."""
    amount, currency = inner(payload, name).get("amount"), inner(payload, name).get("currency")
    if amount is None:
        return Decimal(0)
    if not isinstance(amount, int) or not isinstance(currency, str):
        raise UnexpectedAnswer(f"Square's field {name!r} is not an amount of money")
    return to_decimal(amount, currency)
