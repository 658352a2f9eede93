"""Reading values out of Amazon's JSON. Pure; raises UnexpectedAnswer where the documentation is broken."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from entrepot.channels.contract import Payload, UnexpectedAnswer
from entrepot.channels.fields import Fields

_fields = Fields("Amazon")
body_of = _fields.body_of
text = _fields.text
optional_text = _fields.optional_text
whole = _fields.whole
objects = _fields.objects
inner = _fields.inner


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
