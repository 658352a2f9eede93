"""The text of a record made comparable: words, model numbers, measures, colours. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache

from entrepot.catalog.matching import gtin

DESCRIPTION_MAX = 600
"""Characters of a description that are compared: what tells products apart is said first."""

_TOKEN = re.compile(r"[a-z0-9]+(?:[-./][a-z0-9]+)*")
_SIGNS = re.compile(r"[-./]")
_NUMBER = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)\s?-?\s?([a-z]+|'+|\")?")
_NUMBER_APART = re.compile(r"(\d)\s+\.\s*(\d)|(\d)\s*\.\s+(\d)")
_TAG = re.compile(r"<[^<>]{0,500}>")
_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]+")

_UNITS = {
    "inch": "in", "inches": "in", "in": "in", "'": "in", "''": "in", '"': "in", "ft": "ft", "foot": "ft", "feet": "ft",
    "gb": "gb", "gigabyte": "gb", "gigabytes": "gb", "mb": "mb", "tb": "tb", "megapixel": "mp", "megapixels": "mp",
    "mp": "mp", "user": "user", "users": "user", "pack": "pk", "pk": "pk", "pc": "pc", "pcs": "pc", "watt": "w",
    "watts": "w", "w": "w", "volt": "v", "v": "v", "x": "x", "mm": "mm", "cm": "cm", "m": "m", "ml": "ml", "l": "l",
    "oz": "oz", "g": "g", "kg": "kg", "lb": "lb", "lbs": "lb", "ghz": "ghz", "mhz": "mhz", "hz": "hz", "channel": "ch",
    "ch": "ch", "cu": "cu", "btu": "btu", "sheets": "ct", "sheet": "ct", "count": "ct", "ct": "ct", "box": "box",
    "quart": "qt", "qt": "qt", "port": "port", "ports": "port", "disc": "disc", "discs": "disc", "mah": "mah",
}  # fmt: skip
_COLOURS = {
    "black": "black", "schwarz": "black", "noir": "black", "white": "white", "weiss": "white", "weiß": "white",
    "blanc": "white", "silver": "silver", "red": "red", "rot": "red", "rouge": "red", "blue": "blue", "blau": "blue",
    "bleu": "blue", "green": "green", "grün": "green", "vert": "green", "yellow": "yellow", "gelb": "yellow",
    "gray": "gray", "grey": "gray", "grau": "gray", "pink": "pink", "orange": "orange", "purple": "purple",
    "brown": "brown", "braun": "brown", "gold": "gold", "beige": "beige", "cyan": "cyan", "magenta": "magenta",
    "titanium": "titanium", "graphite": "graphite", "charcoal": "charcoal", "burgundy": "burgundy", "navy": "navy",
    "ivory": "ivory", "bisque": "bisque", "mahogany": "mahogany", "oak": "oak", "cherry": "cherry",
    "walnut": "walnut", "maple": "maple", "clear": "clear", "smoke": "smoke", "teal": "teal", "violet": "violet",
    "bronze": "bronze", "chrome": "chrome", "stainless": "stainless",
}  # fmt: skip
_EMPTY_WORDS = frozenset(
    ["the", "a", "an", "and", "with", "for", "of", "in", "to", "by", "on", "or", "new", "w", "from", "at", "is",
     "und", "mit", "de", "für", "von", "der", "die", "das", "et", "avec", "pour"]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Record:
    """A listing or a variant as the matcher sees it. `price_minor` in minor units of `currency`; empty: not known."""

    title: str
    brand: str = ""
    code: str = ""
    """Its maker's model number or a SKU, where a field of its own says it."""
    description: str = ""
    price_minor: int | None = None
    currency: str = ""
    barcode: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record made ready once for many comparisons. What is named `more_...` counts the description too."""

    title: str
    brand: str
    gtin: str
    """As 14 digits; empty if there is none that is valid."""
    price: tuple[int, str] | None
    words: frozenset[str]
    more_words: frozenset[str]
    codes: frozenset[str]
    """What looks like a model number, without signs: letters with digits, or four digits and more."""
    more_codes: frozenset[str]
    numbers: frozenset[str]
    measures: dict[str, frozenset[str]] = field(hash=False)
    """Unit -> numbers of the title."""
    more_measures: dict[str, frozenset[str]] = field(hash=False)
    colours: frozenset[str]
    squashed: str
    """Letters and digits of the title only, for model numbers that are written apart."""
    more_squashed: str


def plain(text: str) -> str:
    """Return the text in lower case, without accents, with numbers closed up that were torn at their point."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
        text = "".join(c for c in text if not unicodedata.combining(c))
    text = text.lower()
    if "." in text:
        text = _NUMBER_APART.sub(lambda m: ".".join(g for g in m.groups() if g), text)
    return " ".join(text.split())


def squash(text: str) -> str:
    """Return the letters and digits of a plain text, nothing else."""
    return _NOT_ALPHANUMERIC.sub("", text)


def is_code(squashed: str) -> bool:
    """Return whether a word looks like a model number rather than like a word or a measure (`500gb`)."""
    if len(squashed) < 3:
        return False
    digits = sum(c.isdigit() for c in squashed)
    if digits == len(squashed):
        return digits >= 4
    if digits == 0:
        return False
    number = squashed.rstrip("abcdefghijklmnopqrstuvwxyz")
    return not (number.isdigit() and squashed[len(number) :] in _UNITS)


@lru_cache(maxsize=50_000)
def parts_of(token: str) -> tuple[str, ...]:
    """Return what a token counts as: a model number without its signs, else its words without signs of the plural."""
    if token.replace(".", "").isdigit():
        return (token.removesuffix(".0"),)
    if _SIGNS.search(token) and is_code(whole := _SIGNS.sub("", token)):
        return (whole,)
    return tuple(_singular(part) for part in _SIGNS.split(token) if part and part not in _EMPTY_WORDS)


def _singular(word: str) -> str:
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss") and word.isalpha():
        return word[:-1]
    return word


def words_of(text: str) -> set[str]:
    """Return the words of a plain text."""
    return {part for token in _TOKEN.findall(text) for part in parts_of(token)}


def title_words(record: Record) -> set[str]:
    """Return the words that a record is found by: those of its title and its model number."""
    words = words_of(plain(record.title))
    code = squash(plain(record.code))
    return words | {code} if len(code) >= 3 else words


def _measures(text: str) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for number, unit in _NUMBER.findall(text):
        if unit in _UNITS:
            found.setdefault(_UNITS[unit], set()).add(number.removesuffix(".0"))
    return {unit: frozenset(numbers) for unit, numbers in found.items()}


def _numbers(words: set[str]) -> frozenset[str]:
    found = set()
    for word in words:
        bare = word[1:] if word[0] == "v" else word
        head = bare.rstrip("abcdefghijklmnopqrstuvwxyz")
        if head.replace(".", "").isdigit() and (head == bare or bare[len(head) :] in _UNITS):
            found.add(head.removesuffix(".0"))
    return frozenset(found)


def prepare(record: Record) -> Prepared:
    """Make a record ready for comparing."""
    title, described = plain(record.title), plain(_TAG.sub(" ", record.description)[:DESCRIPTION_MAX])
    words = title_words(record)
    more = words | words_of(described)
    code = squash(plain(record.code))
    price = record.price_minor
    return Prepared(
        title=title,
        brand=plain(record.brand),
        gtin=gtin.normalised(record.barcode),
        price=(price, record.currency) if price else None,
        words=frozenset(words),
        more_words=frozenset(more),
        codes=frozenset(w for w in words if w == code or is_code(w)),
        more_codes=frozenset(w for w in more if w == code or is_code(w)),
        numbers=_numbers(words),
        measures=_measures(title),
        more_measures=_measures(f"{title} {described}"),
        colours=frozenset(_COLOURS[w] for w in words if w in _COLOURS),
        squashed=f"{squash(title)} {code}",
        more_squashed=f"{squash(title)} {squash(described)} {code}",
    )
