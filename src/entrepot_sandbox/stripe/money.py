"""What Stripe takes and how it exchanges: a percentage and a fixed part, in the account's currency. Pure; whole units only."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

_ZERO = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)
_THREE = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
_WHOLE = frozenset(["isk", "ugx"])
_USD: dict[str, str] = {
    "usd": "1",
    "eur": "1.09",
    "gbp": "1.27",
    "chf": "1.13",
    "jpy": "0.0067",
    "kwd": "3.26",
    "isk": "0.0072",
}
EXCHANGE_FEE = Decimal("0.02")
DISPUTE_FEE = 1500
"""Units of the account's currency; it is kept whoever wins."""
_PLANS: dict[str, tuple[str, str, int]] = {
    "eur": ("0.015", "0.0325", 25),
    "gbp": ("0.015", "0.0325", 20),
    "usd": ("0.029", "0.044", 30),
}
_OTHER_PLAN = ("0.036", "0.051", 0)


def places(currency: str) -> int:
    """Return how many decimal places Stripe counts of a currency (lower case)."""
    return 0 if currency in _ZERO else 3 if currency in _THREE else 2


def is_payable(amount: int, currency: str) -> bool:
    """Return whether a card can be charged so much."""
    return amount > 0 and amount % (10 if currency in _THREE else 100 if currency in _WHOLE else 1) == 0


def known(currency: str) -> bool:
    """Return whether there is a rate for a currency."""
    return currency in _USD


def rate(currency: str, home: str) -> Decimal | None:
    """Return how much of `home` one of `currency` gives, Stripe's fee taken off; None for the same currency."""
    if currency == home:
        return None
    market = Decimal(_USD[currency]) / Decimal(_USD[home])
    return (market * (1 - EXCHANGE_FEE)).quantize(Decimal("0.000001"))


def exchanged(amount: int, currency: str, home: str) -> int:
    """Return an amount in units of `home`."""
    factor = rate(currency, home)
    if factor is None:
        return amount
    return _whole(Decimal(amount).scaleb(places(home) - places(currency)) * factor)


def fee(amount: int, home: str, *, foreign: bool) -> int:
    """Return what Stripe keeps of a payment of so many units of `home`, with a card of the account's region or from abroad."""
    domestic, abroad, fixed = _PLANS.get(home, _OTHER_PLAN)
    return _whole(amount * Decimal(abroad if foreign else domestic)) + fixed


def _whole(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))
