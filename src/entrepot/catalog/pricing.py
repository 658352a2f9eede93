"""What a variant costs on a channel: an explicit price, or the base price times rate and markup, rounded. Pure.

Amounts are integers in minor units, rates and percentages Decimals: nothing here is a float.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, localcontext

from entrepot.kernel.money import Money, exponent, to_decimal

ROUNDINGS = {"nearest": "to the nearest", "up": "up", "down": "down"}
_PRECISION = 60


@dataclass(frozen=True, slots=True)
class Rate:
    """One unit of `base` is `value` units of `quote`, on that day, says `source`. `how`: if it was worked out from others."""

    base: str
    quote: str
    value: Decimal
    day: date
    source: str
    how: str = ""

    def __str__(self) -> str:
        return f"{_short(self.value)} ({self.source}, {self.day.isoformat()}{f', {self.how}' if self.how else ''})"


Rates = Mapping[tuple[str, str], Rate]
"""The newest rate of each pair (base, quote)."""


@dataclass(frozen=True, slots=True)
class PriceRule:
    """How a price list makes prices. A price is a multiple of `step_minor` plus `end_minor`: 100 and 99 end in .99."""

    currency: str
    markup_percent: Decimal = Decimal(0)
    step_minor: int = 1
    end_minor: int = 0
    rounding: str = "nearest"


@dataclass(frozen=True, slots=True)
class Priced:
    """A price and why it is that. `minor` None: there is none, and `why` says what is missing."""

    minor: int | None
    currency: str
    why: str


def find_rate(rates: Rates, base: str, quote: str) -> Rate | None:
    """Return the rate from one currency to another: as given, turned round, or by way of a third currency.

    Of several ways by a third the one whose older day is newest is taken, then the first by name.
    """
    direct = _one_step(rates, base, quote)
    if direct is not None:
        return direct
    ways = []
    for middle in sorted({code for pair in rates for code in pair} - {base, quote}):
        first, second = _one_step(rates, base, middle), _one_step(rates, middle, quote)
        if first is not None and second is not None:
            ways.append((min(first.day, second.day), first, second, middle))
    if not ways:
        return None
    day, first, second, middle = max(ways, key=lambda way: way[0])
    with localcontext(prec=_PRECISION):
        value = first.value * second.value
    sources = first.source if first.source == second.source else f"{first.source} and {second.source}"
    return Rate(base, quote, value, day, sources, f"by way of {middle}")


def _one_step(rates: Rates, base: str, quote: str) -> Rate | None:
    given, turned = rates.get((base, quote)), rates.get((quote, base))
    if given is not None and (turned is None or turned.day <= given.day):
        return given
    if turned is None:
        return None
    with localcontext(prec=_PRECISION):
        return Rate(base, quote, 1 / turned.value, turned.day, turned.source, f"from {quote} to {base}")


def round_to(exact_minor: Decimal, rule: PriceRule) -> int:
    """Return the price of the rule's form that is nearest to an amount (of two the higher), or next above or below.

    Nothing costs nothing: zero stays zero. Any other price is at least the smallest of the form that is more than zero.
    """
    if exact_minor <= 0:
        return 0
    mode = {"nearest": ROUND_HALF_UP, "up": ROUND_CEILING, "down": ROUND_FLOOR}[rule.rounding]
    with localcontext(prec=_PRECISION):
        steps = ((exact_minor - rule.end_minor) / rule.step_minor).to_integral_value(mode)
    # Half up means away from zero: below the first form both lead to it.
    return max(int(steps) * rule.step_minor + rule.end_minor, rule.end_minor or rule.step_minor)


def price_of(base: Money, rule: PriceRule, rates: Rates, explicit: Money | None = None) -> Priced:
    """Return the price of a variant with that base price under a rule; an explicit price is taken as it is."""
    if explicit is not None:
        return Priced(explicit.minor, explicit.currency, f"set by hand: {explicit}")
    with localcontext(prec=_PRECISION):
        amount = to_decimal(base.minor, base.currency)
        why = f"base {base}"
        if base.currency != rule.currency:
            rate = find_rate(rates, base.currency, rule.currency)
            if rate is None:
                return Priced(None, rule.currency, f"there is no exchange rate from {base.currency} to {rule.currency}")
            amount *= rate.value
            why += f" x {rate}"
        if rule.markup_percent:
            amount *= 1 + rule.markup_percent / 100
            sign = "+" if rule.markup_percent > 0 else "\u2212"
            why += f" {sign} {_short(abs(rule.markup_percent))}%"
        exact = amount * 10 ** exponent(rule.currency)
    minor = round_to(exact, rule)
    if minor != exact or base.currency != rule.currency:
        why += _rounded(rule)
    return Priced(minor, rule.currency, f"{why} = {Money(minor, rule.currency)}")


def compare_at_of(compare_at: Money | None, price: Priced, rule: PriceRule, rates: Rates) -> int | None:
    """Return what the price is compared with, by the same rule; None if that is not more than the price."""
    if compare_at is None or price.minor is None:
        return None
    found = price_of(compare_at, rule, rates).minor
    return found if found is not None and found > price.minor else None


def _rounded(rule: PriceRule) -> str:
    how = ROUNDINGS[rule.rounding]
    if rule.end_minor:
        places = exponent(rule.currency)
        width = max(places, len(str(rule.step_minor - 1)))
        digits = str(rule.end_minor).rjust(width, "0")
        end = f"{digits[: len(digits) - places]}.{digits[len(digits) - places :]}" if places else digits
        return f" rounded {how} {'price ending' if rule.rounding == 'nearest' else 'to the next price ending'} in {end}"
    if rule.step_minor > 1:
        of = to_decimal(rule.step_minor, rule.currency)
        return f" rounded {how} {of}" if rule.rounding == "nearest" else f" rounded {how} to {of}"
    return "" if rule.rounding == "nearest" else f" rounded {how}"


def _short(value: Decimal) -> str:
    """Return a number with at most six digits after the point, without zeros at its end."""
    text = f"{value:.6f}" if value >= Decimal("0.001") else f"{value:.6g}"
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text.lower() else text
