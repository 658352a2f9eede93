"""Values of listing fields in one form, so that equal things compare equal. Pure.

A value is JSON: what is stored, compared and shown. None is missing (not told, not known), which is neither zero nor
empty; `EMPTY` says that there is nothing there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache
from html import escape, unescape
from html.parser import HTMLParser
from typing import Any

from entrepot.channels.contract import image_key, is_gtin
from entrepot.channels.html_text import plain_text
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.money import exponent, to_decimal, to_minor

Value = Any
"""Text, HTML and numbers: str. Money: {"minor", "currency"}. Tags and images: list of str. Options: {name: value}."""

EMPTY = ""
"""Told to be empty, whatever the kind."""


class InvalidValue(InvalidInput):
    """That is not a value of this field."""


class FieldKind(StrEnum):
    """How the values of a field are read and compared."""

    TEXT = "text"
    """White space and the Unicode form do not count."""
    HTML = "html"
    """Nor do the way tags are written, the order of attributes, comments and entities; plain text is as good as HTML."""
    MONEY = "money"
    """Exact, in minor units of a currency; amounts of different currencies cannot be compared."""
    TAGS = "tags"
    """A set: order, repetition and case do not count."""
    IMAGES = "images"
    """Addresses in order; what follows a `?` does not count, and a channel's copy counts as what it was made from."""
    OPTIONS = "options"
    """Values by name, whatever their order."""
    BARCODE = "barcode"
    """Text. A channel that takes only GTINs shows nothing for a number of the shop's own."""
    NUMBER = "number"
    """An exact decimal."""


NUMERIC = frozenset({FieldKind.MONEY, FieldKind.NUMBER})


# ---- into the one form -----------------------------------------------------------------------------------


def text(value: str | None) -> Value:
    """Return a text: composed Unicode, runs of white space as one space."""
    if value is None:
        return None
    if value.isascii():
        return " ".join(value.split())
    return " ".join(unicodedata.normalize("NFC", value).split())


def html(value: str | None) -> Value:
    """Return HTML as it was written, without white space around it; it is compared by `html_key`."""
    return None if value is None else value.strip()


def money(amount: Decimal | str | int | None, currency: str | None) -> Value:
    """Return an amount (major units); missing without a currency. Raises InvalidMoney."""
    if amount is None or not currency:
        return None
    return {"minor": to_minor(amount, currency), "currency": currency}


def is_lower_or_same(one: Value, other: Value) -> bool:
    """Return whether an amount of money is known to be no higher than another of the same currency."""
    return bool(one and other and one["currency"] == other["currency"] and one["minor"] <= other["minor"])


def minor(amount_minor: int | None, currency: str | None) -> Value:
    """Return an amount that is in minor units already."""
    return None if amount_minor is None or not currency else {"minor": amount_minor, "currency": currency}


def tags(values: Iterable[str] | None) -> Value:
    """Return tags, each once, in the order of the alphabet; `EMPTY` if there are none."""
    if values is None:
        return None
    found: dict[str, str] = {}
    for value in values:
        if name := text(value):
            found.setdefault(name.casefold(), name)
    return [found[key] for key in sorted(found)] or EMPTY


def images(addresses: Iterable[str] | None) -> Value:
    """Return image addresses in their order, each once; `EMPTY` if there are none."""
    if addresses is None:
        return None
    return list(dict.fromkeys(a.strip() for a in addresses if a.strip())) or EMPTY


def options(pairs: Iterable[tuple[str, str]] | None) -> Value:
    """Return option values by name; `EMPTY` if there are none."""
    if pairs is None:
        return None
    return {text(name): text(value) for name, value in pairs if name and value} or EMPTY


def number(value: Decimal | int | str | None) -> Value:
    """Return an exact decimal as text without needless zeros. Raises InvalidValue."""
    if value is None:
        return None
    try:
        exact = Decimal(value)
    except InvalidOperation:
        raise InvalidValue(f"{value!r} is not a number.") from None
    if not exact.is_finite():
        raise InvalidValue(f"{value!r} is not a number.")
    return format(exact.normalize(), "f") if exact else "0"


def parse(kind: FieldKind, given: Any, currency: str | None = None) -> Value:
    """Return what a person or a program entered as a value of the kind. Raises InvalidValue.

    `given`: a JSON value, or text: an amount such as `12.50 EUR` (or `12.50` in `currency`), tags and images one to a
    line or with commas between, options as `Name: value` one to a line.
    """
    if given is None or given in ("", [], {}):
        return EMPTY
    try:
        return _PARSERS[kind](given, currency)
    except InvalidInput as error:
        raise InvalidValue(error.detail) from None
    except (TypeError, ValueError, KeyError, AttributeError):
        raise InvalidValue(f"{given!r} is not a value of the kind {kind}.") from None


def _parse_money(given: Any, currency: str | None) -> Value:
    if isinstance(given, Mapping):
        code, units = given["currency"], given["minor"]
        if type(units) is not int:
            raise InvalidValue(f"{units!r} is not a whole number of minor units.")
        return {"minor": to_minor(to_decimal(units, code), code), "currency": code}
    amount, _, code = str(given).strip().partition(" ")
    code = code.strip() or currency or ""
    value = money(amount, code)
    if value is None:
        raise InvalidValue(f"{given!r} has no currency: write it as 12.50 EUR.")
    if value["minor"] < 0 or Decimal(amount) != to_decimal(value["minor"], code):
        raise InvalidValue(f"{given!r} is no amount with {exponent(code)} decimal places.")
    return value


def _lines(given: Any) -> Sequence[str]:
    if isinstance(given, str):
        return re.split(r"[\n,]", given)
    return [str(item) for item in given]


def _parse_options(given: Any, _currency: str | None) -> Value:
    if isinstance(given, Mapping):
        return options((str(name), str(value)) for name, value in given.items())
    parts = [line.partition(":") for line in str(given).splitlines() if line.strip()]
    return options((name, value) for name, _, value in parts)


_PARSERS: Mapping[FieldKind, Callable[[Any, str | None], Value]] = {
    FieldKind.TEXT: lambda given, _: text(str(given)),
    FieldKind.HTML: lambda given, _: html(str(given)),
    FieldKind.MONEY: _parse_money,
    FieldKind.TAGS: lambda given, _: tags(_lines(given)),
    FieldKind.IMAGES: lambda given, _: images(
        given.split() if isinstance(given, str) else [str(item) for item in given]
    ),
    FieldKind.OPTIONS: _parse_options,
    FieldKind.NUMBER: lambda given, _: number(str(given)),
    FieldKind.BARCODE: lambda given, _: text(str(given)),
}


# ---- comparing -------------------------------------------------------------------------------------------


def same(kind: FieldKind, one: Value, other: Value) -> bool:
    """Return whether two values mean the same. Missing is the same as missing only."""
    if one == other:
        return True
    if one is None or other is None or one == EMPTY or other == EMPTY:
        # HTML without any content is empty too.
        return kind is FieldKind.HTML and one is not None and other is not None and html_key(one) == html_key(other)
    if kind is FieldKind.HTML:
        return html_key(one) == html_key(other) or _same_words(one, other)
    if kind is FieldKind.TAGS:
        return {t.casefold() for t in one} == {t.casefold() for t in other}
    if kind is FieldKind.IMAGES:
        return len(one) == len(other) and all(same_image(a, b) for a, b in zip(one, other, strict=True))
    return False


def _same_words(one: str, other: str) -> bool:
    """Return whether plain text is the text of HTML: a channel that keeps no HTML shows that of ours."""
    if ("<" in one) is ("<" in other):
        return False
    written, plain = (one, other) if "<" in one else (other, one)
    return " ".join(plain_text(written).split()) == html_key(plain)


SOURCE = "#source="
"""A channel's copy of a picture carries what it was made from after this."""


def same_image(one: str, other: str) -> bool:
    """Return whether two addresses are of the same picture: the same address, or one made from the other."""
    return one.partition("?")[0] == other.partition("?")[0] or image_id(one) == image_id(other)


@lru_cache(maxsize=4096)
def image_id(address: str) -> str:
    """Return what a picture is told by: what it was made from where that is known, else its own address."""
    _, marked, source = address.partition(SOURCE)
    return source if marked else image_key(address)


def comparable(kind: FieldKind, one: Value, other: Value) -> bool:
    """Return whether comparing two values means anything: amounts of different currencies do not compare."""
    if kind is not FieldKind.MONEY or not one or not other:
        return True
    return bool(one["currency"] == other["currency"])


def amount(kind: FieldKind, value: Value) -> Decimal | None:
    """Return a numeric value as an exact number (money: minor units); None if it has none."""
    if not value or kind not in NUMERIC:
        return None
    return Decimal(value["minor"]) if kind is FieldKind.MONEY else Decimal(value)


def of_amount(kind: FieldKind, figure: Decimal, like: Value) -> Value:
    """Return a number as a value of the kind: money in whole minor units (half to even) of the currency of `like`."""
    if kind is FieldKind.MONEY:
        return {"minor": int(figure.to_integral_value()), "currency": like["currency"]}
    return number(figure)


_VOID = frozenset(
    {"br", "hr", "img", "wbr", "input", "meta", "link", "source", "area", "base", "col", "embed", "track"}
)
_BLOCK = frozenset(
    {"p", "div", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "td", "th",
     "section", "article", "blockquote", "pre", "br", "hr"}
)  # fmt: skip
_ALIASES = {"b": "strong", "i": "em"}


class _Canonical(HTMLParser):
    """Writes HTML in one form: lower case, attributes sorted, white space that shows nothing left out."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        tag = _ALIASES.get(tag, tag)
        written = "".join(f' {n}="{escape(" ".join((v or "").split()))}"' for n, v in sorted(set(attrs), key=str))
        self._tag(tag, f"<{tag}{written}>")

    def handle_endtag(self, tag: str) -> None:
        tag = _ALIASES.get(tag, tag)
        if tag not in _VOID:
            self._tag(tag, f"</{tag}>")

    def handle_data(self, data: str) -> None:
        data = re.sub(r"\s+", " ", unicodedata.normalize("NFC", data))
        if self.parts and (self.parts[-1].endswith(" ") or self._after_block()):
            data = data.lstrip(" ")
        if data:
            self.parts.append(escape(data, quote=False))

    def _after_block(self) -> bool:
        last = self.parts[-1]
        return last[0] == "<" and last.strip("</>").partition(" ")[0] in _BLOCK

    def _tag(self, tag: str, written: str) -> None:
        if tag in _BLOCK and self.parts and self.parts[-1][0] != "<":
            self.parts[-1] = self.parts[-1].rstrip(" ")
            if not self.parts[-1]:
                self.parts.pop()
        self.parts.append(written)


@lru_cache(maxsize=4096)
def html_key(value: str) -> str:
    """Return HTML in one form; plain text counts as one paragraph of it."""
    if "<" not in value:
        return " ".join(unicodedata.normalize("NFC", unescape(value)).split())
    reader = _Canonical()
    reader.feed(value)
    reader.close()
    joined = "".join(reader.parts).strip()
    alone = re.fullmatch(r"<p>([^<]*)</p>", joined)
    joined = alone[1] if alone else joined
    return unescape(joined).strip() if "<" not in joined else joined


def shown_as(kind: FieldKind, sent: Value, reads: Value) -> bool:
    """Return whether a reading after a write can be what was sent, in the channel's own way.

    Channels keep images at addresses of their own, cut long texts, leave out mark-up that they do not take and numbers that
    are no barcodes to them.
    """
    if sent is None or reads is None:
        return False
    if kind is FieldKind.HTML:
        return plain_text(sent).split() == plain_text(reads).split()
    if kind is FieldKind.BARCODE:
        return sent != EMPTY and reads == EMPTY and not is_gtin(sent)
    if not sent or not reads:
        return False
    if kind is FieldKind.IMAGES:
        # A channel that takes fewer shows the first ones.
        return len(sent) == len(reads) or (
            len(reads) < len(sent) and all(same_image(a, b) for a, b in zip(sent, reads, strict=False))
        )
    if kind is FieldKind.TEXT:
        cut = reads.removesuffix("...").removesuffix("\N{HORIZONTAL ELLIPSIS}").rstrip()
        return len(cut) >= 20 and len(cut) < len(sent) and sent.startswith(cut)
    return False
