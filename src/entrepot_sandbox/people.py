"""Buyers: names and addresses that belong to nobody."""

from __future__ import annotations

import random

from entrepot_sandbox.books import Buyer

_FIRST = ("Ada", "Bruno", "Chiara", "Dario", "Elif", "Femke", "Gita", "Hugo", "Ines", "Jonas", "Kaia", "Liam", "Mara")
_LAST = (
    "Andersen",
    "Bianchi",
    "Costa",
    "Dubois",
    "Eriksen",
    "Fischer",
    "Garcia",
    "Horvat",
    "Ivanova",
    "Jensen",
    "Kaya",
)
_STREETS = ("Mill Lane", "Harbour Street", "Station Road", "Garden Row", "Bridge Street", "Chapel Hill", "North Quay")
_PLACES = (
    ("Lisbon", "1100-148", "PT"),
    ("Utrecht", "3511 LX", "NL"),
    ("Graz", "8010", "AT"),
    ("Lyon", "69002", "FR"),
    ("Bologna", "40121", "IT"),
    ("Leipzig", "04109", "DE"),
    ("Ghent", "9000", "BE"),
    ("Girona", "17001", "ES"),
)


def buyer(chance: random.Random, *, country: str | None = None) -> Buyer:
    """Return somebody; in `country` (ISO 3166-1 alpha-2) if given."""
    first, last = chance.choice(_FIRST), chance.choice(_LAST)
    city, postal_code, where = chance.choice(_PLACES)
    if country is not None and country != where:
        city, postal_code, where = "Newtown", f"{chance.randint(10000, 99999)}", country
    number = chance.randint(1, 180)
    email = f"{first}.{last}{chance.randint(1, 999)}@example.com".lower()
    return Buyer(f"{first} {last}", email, f"{number} {chance.choice(_STREETS)}", city, postal_code, where)
