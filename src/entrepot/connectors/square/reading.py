"""Reading values out of Square's JSON. Pure; raises UnexpectedAnswer where the documentation is broken."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from entrepot.channels.contract import Payload, UnexpectedAnswer
from entrepot.channels.fields import Fields
from entrepot.kernel.money import to_decimal

_fields = Fields("Square")
body_of = _fields.body_of
text = _fields.text
optional_text = _fields.optional_text
objects = _fields.objects
inner = _fields.inner

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
