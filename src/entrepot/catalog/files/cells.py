"""Cells of a product file: amounts, whole numbers, lists. What makes no sense raises BadCell with how to mend it."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

STATUSES = ("active", "draft", "archived")
WHOLE_MAX = 2_000_000_000
UNITS_MAX = 1_000_000_000
_POINT = re.compile(r"\d+(\.\d*)?|\.\d+|\d{1,3}(,\d{3})+(\.\d*)?")
_COMMA = re.compile(r"\d+(,\d*)?|,\d+|\d{1,3}(\.\d{3})+(,\d*)?")
_GUARDED = re.compile(r"'+[=+\-@]")
_RISKY = re.compile(r"'*[=+\-@\t\r]")
_AROUND = " \u00a0\u202f€$£¥'"


class BadCell(Exception):
    """A cell that cannot be read."""

    def __init__(self, column: str, value: str, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.column, self.value, self.problem, self.remedy = column, value[:200], problem, remedy


def plain(cell: str) -> str:
    """Return a cell trimmed, without the quote that keeps spreadsheets from taking it for a formula."""
    cell = cell.strip()
    return cell[1:] if cell[:1] == "'" and _GUARDED.match(cell) else cell


def code(cell: str) -> str:
    """Return a SKU or barcode, without the quote that keeps spreadsheets from taking it for a number."""
    return cell.strip().removeprefix("'")


def guarded(text: str) -> str:
    """Return text as a cell that no spreadsheet takes for a formula; `plain` gives the text again."""
    return f"'{text}" if _RISKY.match(text) else text


def guarded_code(text: str) -> str:
    """Return a SKU or barcode as a cell; `code` gives it again."""
    return f"'{text}" if text[:1] in ("'", "=", "+", "-", "@") else text


def amount(column: str, text: str, decimal: str) -> str | None:
    """Return an amount of money as decimal text, None for an empty cell. Raises BadCell."""
    if not text:
        return None
    bare = text.strip(_AROUND)
    shape = _COMMA if decimal == "," else _POINT
    if not shape.fullmatch(bare):
        other = _POINT if decimal == "," else _COMMA
        if other.fullmatch(bare):
            hint = "a point" if decimal == "," else "a comma"
            raise BadCell(
                column, text, f"The amount {text[:40]!r} is not an amount with the separator chosen: it has {hint}.",
                "Choose the other decimal separator for the file, or write it as "
                + ("12,50." if decimal == "," else "12.50."),
            )  # fmt: skip
        raise BadCell(
            column, text, f"The {column} {text[:40]!r} is not an amount.", "Write a number such as 12.50, 0 or more."
        )
    bare = bare.replace(".", "").replace(",", ".") if decimal == "," else bare.replace(",", "")
    if len(bare.partition(".")[0].lstrip("0")) > 12:
        raise BadCell(column, text, f"The {column} {text[:40]} is out of bounds.", "Write less than 1,000,000,000,000.")
    return bare[:40]


def whole(column: str, text: str, least: int, most: int, what: str, decimal: str = ".") -> int | None:
    """Return a number without its fraction, None for an empty cell. Raises BadCell."""
    if not text:
        return None
    try:
        value = Decimal(text.replace(",", ".") if decimal == "," else text)
    except InvalidOperation:
        value = Decimal("NaN")
    # Compared before it is made whole: a short text such as 1e999999 is a number with a million digits.
    if not value.is_finite() or abs(value) > 10**12 or not least <= int(value) <= most:
        raise BadCell(
            column, text, f"The {column} {text[:40]!r} is not {what}.", f"Write a number from {least:,} to {most:,}."
        )
    return int(value)


def status(column: str, text: str) -> str:
    """Return a status. Raises BadCell."""
    found = text.lower()
    if found not in STATUSES:
        raise BadCell(column, text, f"{text[:40]!r} is no status.", "Write active, draft or archived.")
    return found


def truth(text: str) -> bool:
    """Return whether a cell says yes."""
    return text.lower() in ("true", "yes", "1", "y")


def path(text: str) -> list[str]:
    """Return a category such as "Home > Kitchen" as its names."""
    return [name for part in text.split(">") if (name := part.strip())]


def names(text: str) -> list[str]:
    """Return names that stand one to a line, or on one line with "|" between them, each once."""
    parts = text.splitlines() if "\n" in text else text.split("|")
    return list(dict.fromkeys(name for part in parts if (name := part.strip())))


def pictures(text: str) -> list[dict[str, str]]:
    """Return images, one to a line: an address, then its alternative text; or several addresses on a line."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and all(word.startswith(("http://", "https://")) for word in words):
            found += [{"url": word, "alt": ""} for word in words]
        elif words:
            found.append({"url": words[0], "alt": " ".join(words[1:])})
    return found


def tags(text: str) -> list[str]:
    """Return tags that are separated by commas, each once."""
    return list(dict.fromkeys(tag for part in text.split(",") if (tag := part.strip())))


def slug(text: str) -> str:
    """Return text as a handle: lower case, letters and digits joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:200]
