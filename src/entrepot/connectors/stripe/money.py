"""Amounts as Stripe writes them: whole numbers of what Stripe takes for the currency's smallest unit. Pure.

Stripe's units are not ISO 4217's everywhere: `kernel.money` must not be used for them. Source: docs.stripe.com/currencies.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from entrepot.channels.contract import UnexpectedAnswer
from entrepot.connectors.stripe.errors import StripeRejected

ZERO_DECIMAL = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
THREE_DECIMAL = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
"""The last digit must be 0: the card networks behind Stripe take two decimals only."""
WHOLE_IN_HUNDREDTHS = frozenset({"ISK", "UGX"})
"""They have no decimals any more, yet Stripe goes on counting them in hundredths: 5 ISK is 500."""


def places(currency: str) -> int:
    """Return how many decimal places Stripe counts of a currency."""
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


def to_minor(amount: Decimal, currency: str) -> int:
    """Return an amount in Stripe's units, exactly. Raises StripeRejected where Stripe cannot take it to the last digit."""
    if len(currency) != 3 or not currency.isascii() or not currency.isupper():
        raise StripeRejected(f"{currency!r} is not a currency code such as EUR.", code="currency")
    try:
        units = amount.scaleb(places(currency))
        whole = int(units.to_integral_value())
    except (InvalidOperation, ValueError, OverflowError):
        raise StripeRejected(f"{amount} is not an amount of money.", code="amount") from None
    if whole != units or whole % _step(currency):
        least = from_minor(_step(currency), currency)
        raise StripeRejected(f"Stripe takes {currency} in steps of {least}; {amount} is not one.", code="amount")
    if whole <= 0:
        raise StripeRejected(f"The amount must be above zero; it is {amount} {currency}.", code="amount")
    return whole


def from_minor(units: int, currency: str) -> Decimal:
    """Return Stripe's units as major units, with the currency's places."""
    return Decimal(units).scaleb(-places(currency))


def currency_of(payload: Any) -> str:
    """Return the currency of an object of Stripe in capitals. Raises UnexpectedAnswer."""
    written = payload.get("currency")
    if not isinstance(written, str) or len(written) != 3 or not written.isalpha():
        raise UnexpectedAnswer("Stripe's answer lacks a currency")
    return written.upper()


def amount_of(payload: Any, name: str, currency: str) -> Decimal:
    """Return a field in Stripe's units as major units; 0 where it is absent. Raises UnexpectedAnswer."""
    units = payload.get(name)
    if units is None:
        return from_minor(0, currency)
    if isinstance(units, bool) or not isinstance(units, int):
        raise UnexpectedAnswer(f"Stripe's field {name!r} is not an amount of money")
    return from_minor(units, currency)


def _step(currency: str) -> int:
    return 10 if currency in THREE_DECIMAL else 100 if currency in WHOLE_IN_HUNDREDTHS else 1
