"""Reading values out of eBay's JSON. Pure; raises UnexpectedAnswer where the documentation is broken."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from entrepot.channels.contract import Payload, UnexpectedAnswer
from entrepot.channels.fields import Fields

_fields = Fields("eBay")
body_of = _fields.body_of
text = _fields.text
optional_text = _fields.optional_text
whole = _fields.whole
objects = _fields.objects
inner = _fields.inner


def amount(payload: Payload, name: str) -> Decimal | None:
    """Return an amount of money in major units, None where it is absent."""
    written = inner(payload, name).get("value")
    if written is None:
        return None
    try:
        value = Decimal(written) if isinstance(written, str | int | Decimal) else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite():
        raise UnexpectedAnswer(f"eBay's field {name!r} is not an amount of money")
    return value


def amount_before_conversion(payload: Payload, name: str) -> Decimal | None:
    """Return an amount in the currency of the order, where eBay tells it in the seller's own too."""
    held = inner(payload, name)
    if held.get("convertedFromValue") is not None:
        return amount({name: {"value": held["convertedFromValue"]}}, name)
    return amount(payload, name)


def texts(payload: Payload, name: str) -> list[str]:
    """Return a list of texts, empty where it is absent or null."""
    value = payload.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UnexpectedAnswer(f"eBay's field {name!r} is not a list of texts")
    return value
