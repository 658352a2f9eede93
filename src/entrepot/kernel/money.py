"""Money: integer minor units with an ISO 4217 currency. Never a float."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from entrepot.kernel.errors import InvalidInput

# ISO 4217 exponents that differ from 2.
_EXPONENT = {
    "BHD": 3, "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "IQD": 3, "ISK": 0, "JOD": 3, "JPY": 0, "KMF": 0,
    "KRW": 0, "KWD": 3, "LYD": 3, "OMR": 3, "PYG": 0, "RWF": 0, "TND": 3, "UGX": 0, "UYI": 0, "VND": 0,
    "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
}  # fmt: skip


class InvalidMoney(InvalidInput):
    """The amount is not a number with a three-letter currency."""


def exponent(currency: str) -> int:
    """Return how many decimal places the currency's minor unit has (ISO 4217)."""
    return _EXPONENT.get(currency, 2)


def to_minor(amount: Decimal | str | int, currency: str) -> int:
    """Return `amount` (major units) in minor units, rounded half to even.

    Raises InvalidMoney if the amount is not a finite number or the currency not three capital letters.
    """
    if len(currency) != 3 or not currency.isascii() or not currency.isupper():
        raise InvalidMoney(f"{currency!r} is not a currency code such as EUR.")
    try:
        value = Decimal(amount)
    except InvalidOperation:
        raise InvalidMoney(f"{amount!r} is not an amount.") from None
    if not value.is_finite():
        raise InvalidMoney(f"{amount!r} is not an amount.")
    return int((value * 10 ** exponent(currency)).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def to_decimal(minor: int, currency: str) -> Decimal:
    """Return minor units as a Decimal of major units, with the currency's places."""
    places = exponent(currency)
    return Decimal(minor).scaleb(-places)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of a currency."""

    minor: int
    currency: str

    def __str__(self) -> str:
        return f"{to_decimal(self.minor, self.currency)} {self.currency}"
