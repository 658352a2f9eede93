"""Stock files: what each row says, and what is wrong with it. Pure.

Columns are named in the first row, in any order; others are left out of account. A row with an error is reported, the
others are taken.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from entrepot.kernel.errors import InvalidInput
from entrepot.stock.contracts import MAX_QUANTITY


class UnknownColumns(InvalidInput):
    """The file does not have the columns that it needs."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that a file must have: all of `needed`, and one of `either` if any are named."""

    needed: tuple[str, ...]
    either: tuple[str, ...] = ()

    def check(self, names: Sequence[str]) -> None:
        """Raise UnknownColumns if one is missing."""
        missing = [name for name in self.needed if name not in names]
        if missing or (self.either and not any(name in names for name in self.either)):
            wanted = ", ".join(self.needed) + (f", and one of {', '.join(self.either)}" if self.either else "")
            there = ", ".join(names[:12]) or "none"
            raise UnknownColumns(f"The file needs the columns {wanted}. Its columns are: {there}.")


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row that could not be taken. `row` counts from 1, the header being row 1."""

    row: int
    sku: str
    problem: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row by its columns, with its number."""

    number: int
    cells: Mapping[str, str]

    def text(self, name: str, default: str = "") -> str:
        """Return a cell, trimmed."""
        return self.cells.get(name, "") or default

    @property
    def sku(self) -> str:
        """The SKU of the row."""
        return self.text("sku")

    def units(self, name: str, *, least: int = 0, most: int = MAX_QUANTITY) -> int | None:
        """Return a whole number, or None for an empty cell. Raises ValueError with what is wrong."""
        text = self.text(name)
        if not text:
            return None
        try:
            value = int(text)
        except ValueError:
            raise ValueError(f"{name} {text[:40]!r} is not a whole number.") from None
        if not least <= value <= most:
            raise ValueError(f"{name} must be {least:,} to {most:,}.")
        return value

    def amount(self, name: str) -> Decimal | None:
        """Return an amount of money, or None for an empty cell. Raises ValueError with what is wrong."""
        text = self.text(name)
        if not text:
            return None
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise ValueError(f"{name} {text[:40]!r} is not an amount such as 12.50.") from None
        if not value.is_finite() or not 0 <= value < 10**12:
            raise ValueError(f"{name} is out of bounds.")
        return value

    def switch(self, name: str) -> bool:
        """Return yes or no; an empty cell is no. Raises ValueError with what is wrong."""
        text = self.text(name).lower()
        if text in ("yes", "true", "1"):
            return True
        if text in ("", "no", "false", "0"):
            return False
        raise ValueError(f"{name} {text[:40]!r} is neither yes nor no.")


@dataclass(slots=True)
class Sheet:
    """The rows of a file and what was wrong with others."""

    rows: list[Row] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)

    def refuse(self, row: Row, problem: str) -> None:
        """Note that a row cannot be taken."""
        self.problems.append(RowProblem(row.number, row.sku, problem))

    def checked(self, check: Callable[[Row], None]) -> list[Row]:
        """Return the rows that pass; a ValueError of `check` says what is wrong with the others."""
        return self.checked_of(self.rows, check)

    def checked_of(self, rows: Iterable[Row], check: Callable[[Row], None]) -> list[Row]:
        """Return those of these rows that pass."""
        good = []
        for row in rows:
            try:
                check(row)
            except ValueError as error:
                self.refuse(row, str(error))
            else:
                good.append(row)
        return good


def read_rows(text: str, columns: Columns) -> Iterator[Row]:
    """Read a file row by row; rows without anything in them are left out. Raises UnknownColumns, at the first row too."""
    head = next(lines_of(text), "")
    delimiter = max((",", ";", "\t"), key=head.count)
    reader = csv.reader(lines_of(text), delimiter=delimiter)
    number = 1
    try:
        names = [name.strip().lower().replace(" ", "_") for name in next(reader, [])]
        columns.check(names)
        for number, cells in enumerate(reader, start=2):
            if any(cell.strip() for cell in cells):
                yield Row(number, {name: _plain(cell) for name, cell in zip(names, cells, strict=False)})
    except csv.Error as error:
        raise UnknownColumns(f"The file cannot be read as CSV after row {number}: {error}.") from None


def lines_of(text: str) -> Iterator[str]:
    """Return the lines one by one, with their ends, so that a large file is not held twice."""
    end_of_line = "\n" if "\n" in text else "\r"
    start = 1 if text.startswith("\ufeff") else 0
    while start < len(text):
        end = text.find(end_of_line, start) + 1 or len(text)
        yield text[start:end].replace("\x00", "")
        start = end


def _plain(cell: str) -> str:
    """Return a cell without the quote that keeps spreadsheets from taking it for a formula."""
    cell = cell.strip()
    return cell[1:] if cell[:1] == "'" and cell[1:2] in ("=", "+", "-", "@") else cell
