"""Amounts on the wire: decimal text, because JSON numbers are floats to most clients."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.money import to_decimal, to_minor

Amount = Annotated[Decimal, Field(ge=0, max_digits=15, description="Major units, as text or a number: `12.50`")]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", description="ISO 4217")]
Text255 = Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")]
Text10k = Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00]*$")]
SkuText = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]


class TooManyDecimals(InvalidInput):
    """The amount has more decimal places than its currency."""


def minor(amount: Decimal, currency: str) -> int:
    """Return the amount in minor units. Raises TooManyDecimals, InvalidMoney."""
    value = to_minor(amount, currency)
    if to_decimal(value, currency) != amount:
        raise TooManyDecimals(f"{amount} has more decimal places than {currency} has.")
    return value


def optional_minor(amount: Decimal | None, currency: str) -> int | None:
    """Return the amount in minor units, or None."""
    return None if amount is None else minor(amount, currency)


def text(value: int | None, currency: str | None) -> str | None:
    """Return minor units as decimal text, or None."""
    return None if value is None or currency is None else str(to_decimal(value, currency))
