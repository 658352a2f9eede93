"""Money: minor units by the currency's own places, rounded half to even, and words for what is no amount."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.kernel.money import InvalidMoney, Money, exponent, to_decimal, to_minor

CURRENCIES = st.sampled_from(["EUR", "USD", "JPY", "KWD", "BRL"])


@given(st.integers(-(10**15), 10**15), CURRENCIES)
def test_what_is_written_is_read_the_same(minor: int, currency: str) -> None:
    assert to_minor(to_decimal(minor, currency), currency) == minor
    assert to_minor(str(Money(minor, currency)).split()[0], currency) == minor


@given(st.decimals(-(10**9), 10**9, allow_nan=False, places=5), CURRENCIES)
def test_it_is_never_off_by_more_than_half_a_unit(amount: Decimal, currency: str) -> None:
    off = abs(to_decimal(to_minor(amount, currency), currency) - amount)
    assert off * 2 <= Decimal(1).scaleb(-exponent(currency))


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("12.345", "EUR", 1234), ("12.355", "EUR", 1236), ("12.5", "JPY", 12), ("1.2345", "KWD", 1234), (7, "EUR", 700)],
)
def test_places_and_rounding_are_the_currencys(amount: str | int, currency: str, minor: int) -> None:
    assert to_minor(amount, currency) == minor


@pytest.mark.parametrize(
    ("amount", "currency", "said"),
    [
        ("dear", "EUR", "'dear' is not an amount"), ("NaN", "EUR", "not an amount"), ("Infinity", "EUR", "not an amount"),
        ("1", "eur", "'eur' is not a currency code"), ("1", "EURO", "not a currency"), ("1", "ÉUR", "not a currency"),
    ],
)  # fmt: skip
def test_what_is_no_money_is_said(amount: str, currency: str, said: str) -> None:
    with pytest.raises(InvalidMoney, match=said):
        to_minor(amount, currency)
