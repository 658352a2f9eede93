"""A supplier's price list: a table with our SKU or the supplier's, and what a unit costs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO

from entrepot.catalog.files import cells
from entrepot.catalog.files.build import Book
from entrepot.catalog.files.cells import BadCell
from entrepot.catalog.files.contracts import FileProduct, FileVariant, Look, ReadOptions, RowCounts, UnknownFormat
from entrepot.catalog.files.reading import Part, open_table
from entrepot.catalog.files.rows import Table, kind_of

NAMES = {
    "supplier": ("supplier", "supplier_name", "vendor"),
    "sku": ("sku", "our_sku", "variant_sku"),
    "supplier_sku": ("supplier_sku", "their_sku", "article", "article_number", "item", "item_number", "part_number"),
    "cost": ("cost", "price", "unit_price", "cost_per_item", "net_price"),
    "lead_time_days": ("lead_time_days", "lead_time"),
    "pack_units": ("pack_units", "pack", "pack_size"),
    "minimum_units": ("minimum_units", "minimum", "moq"),
}


class PriceList:
    """Reads a price list; each row is a product with one variant that has to be there. Raises UnknownFormat.

    `named`: it is known whose it is; else a column has to say.
    """

    def __init__(self, stream: BinaryIO, options: ReadOptions, *, named: bool) -> None:
        if kind_of(stream) == "json":
            raise UnknownFormat("A price list is a CSV or Excel file.")
        table = open_table(stream)
        by_name = {spelling: name for name, spellings in NAMES.items() for spelling in spellings}
        self._at: dict[str, int] = {}
        for at, head in enumerate(table.heads):
            name = by_name.get(re.sub(r"[^a-z0-9]+", "_", head.lower()).strip("_"), "")
            if name:
                self._at.setdefault(name, at)
        if "cost" not in self._at or not self._at.keys() & {"sku", "supplier_sku"}:
            raise UnknownFormat(
                "A price list needs the columns cost, and sku or supplier_sku. Its columns are:"
                f" {', '.join(table.heads[:12]) or 'none'}."
            )
        if not named and "supplier" not in self._at:
            raise UnknownFormat("Say whose price list it is, or add a column supplier with the names.")
        self._named = named
        self._book = Book(options)
        meaning = {at: name.replace("_", " ") for name, at in self._at.items()}
        columns = tuple((head, meaning.get(at, "")) for at, head in enumerate(table.heads))
        self.look = Look("price list", table.encoding, table.separator, columns)
        self._products = self._read(table)

    @property
    def counts(self) -> RowCounts:
        """What became of the rows so far."""
        return self._book.counts

    def part(self, most: int) -> Part:
        """Return the next products, at most so many; none at the end. Raises UnknownFormat."""
        products = list(islice(self._products, most))
        return Part(products, self._book.take_problems())

    def _read(self, table: Table) -> Iterator[FileProduct]:
        book = self._book
        for number, row in table.rows:
            book.counts.rows += 1
            if not book.fits(number, row, len(table.heads)):
                continue
            cell = {name: row[at].strip() if at < len(row) else "" for name, at in self._at.items()}
            if not any(cell.values()):
                book.counts.blank += 1
                continue
            sku, theirs = cells.code(cell.get("sku", "")), cells.code(cell.get("supplier_sku", ""))[:200]
            if not sku and not theirs:
                book.refuse(number, "", "The SKU is missing.", "Write our SKU or the supplier's.", "sku")
                continue
            try:
                fields = self._fields(cell)
            except BadCell as bad:
                book.refuse_cell(number, sku or theirs, bad)
                continue
            if sku and not book.claim(number, sku):
                continue
            if theirs:
                fields["supplier_sku"] = theirs
            if not self._named:
                fields["supplier"] = cells.plain(cell["supplier"])
            book.counts.variants += 1
            yield FileProduct("", number, {}, [FileVariant(sku, number, fields)])

    def _fields(self, cell: dict[str, str]) -> dict[str, Any]:
        decimal = self._book.options.decimal
        fields: dict[str, Any] = {"cost": cells.amount("cost", cell["cost"], decimal)}
        if fields["cost"] is None:
            raise BadCell("cost", "", "The cost is missing.", "Write what a unit costs.")
        for name, least, most, what in (
            ("lead_time_days", 0, 730, "a number of days"),
            ("pack_units", 1, cells.UNITS_MAX, "a number of units"),
            ("minimum_units", 1, cells.UNITS_MAX, "a number of units"),
        ):
            value = cells.whole(name, cell.get(name, ""), least, most, what, decimal)
            if value is not None:
                fields[name] = value
        return fields
