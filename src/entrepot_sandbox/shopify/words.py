"""How the channel writes money, times, names and places."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

COUNTRY_NAMES = {
    "AE": "United Arab Emirates",
    "AT": "Austria",
    "AU": "Australia",
    "BE": "Belgium",
    "BH": "Bahrain",
    "BR": "Brazil",
    "CA": "Canada",
    "CH": "Switzerland",
    "CY": "Cyprus",
    "CZ": "Czech Republic",
    "DE": "Germany",
    "DK": "Denmark",
    "ES": "Spain",
    "FI": "Finland",
    "FR": "France",
    "GB": "United Kingdom",
    "GR": "Greece",
    "HK": "Hong Kong",
    "IE": "Ireland",
    "IL": "Israel",
    "IS": "Iceland",
    "IT": "Italy",
    "JP": "Japan",
    "LB": "Lebanon",
    "LT": "Lithuania",
    "MT": "Malta",
    "NL": "Netherlands",
    "NO": "Norway",
    "PL": "Poland",
    "PT": "Portugal",
    "SA": "Saudi Arabia",
    "SE": "Sweden",
    "SG": "Singapore",
    "US": "United States",
    "ZA": "South Africa",
}


def amount(value: Decimal) -> str:
    """Write an amount as the channel does: text with two decimals."""
    return f"{value:.2f}"


def stamp(moment: datetime) -> str:
    """Write a time as the channel does: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def country_name(code: str) -> str:
    """Return a country's English name, or the code where it is not in the list."""
    return COUNTRY_NAMES.get(code, code)


def first_and_last(name: str) -> tuple[str, str]:
    """Split a name as a checkout form would have it."""
    first, _, last = name.rpartition(" ")
    return first, last


def handle_of(title: str) -> str:
    """Return the title as the end of a web address."""
    return "-".join("".join(c.lower() if c.isalnum() else " " for c in title).split()) or "product"
