"""The simple table: one row a variant, columns in any order; a column that is not there leaves its field as it is.

JSON goes the same way: each value is read as the cell of that name would be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from entrepot.catalog.files import cells
from entrepot.catalog.files.build import Book, variant_title
from entrepot.catalog.files.cells import BadCell
from entrepot.catalog.files.contracts import TEXT_MAX, FileProduct, FileVariant
from entrepot.catalog.files.rows import Table

ATTRIBUTE = "attribute:"
PRODUCT_TEXTS = {"title": 1000, "description": TEXT_MAX, "vendor": 1000, "type": 1000, "seo_title": 1000,
                 "seo_description": TEXT_MAX}  # fmt: skip
PRODUCT_COLUMNS = (
    "handle", "title", "description", "vendor", "type", "tags", "status", "category", "collections", "images", "seo_title",
    "seo_description", "option1_name", "option2_name", "option3_name",
)  # fmt: skip
VARIANT_COLUMNS = (
    "sku", "price", "currency", "compare_at_price", "cost", "barcode", "option1_value", "option2_value", "option3_value",
    "variant_title", "weight_g", "length_mm", "width_mm", "height_mm", "variant_image", "stock",
)  # fmt: skip
COLUMNS = (*VARIANT_COLUMNS, *PRODUCT_COLUMNS)
OTHER_NAMES = {
    "product_type": "type", "compare_at": "compare_at_price", "image": "images", "image_url": "images",
    "collection": "collections", "on_hand": "stock", "quantity": "stock", "weight": "weight_g", "name": "title",
    "variant_image_url": "variant_image", "cost_per_item": "cost", "ean": "barcode", "gtin": "barcode", "upc": "barcode",
}  # fmt: skip
_MEASURES = ("weight_g", "length_mm", "width_mm", "height_mm")


def column_of(head: str) -> str:
    """Return the column that a head names, `attribute:NAME` for an attribute, empty for one that is not known."""
    name = re.sub(r"[^a-z0-9]+", "_", head.lower()).strip("_")
    if head.lower().startswith(ATTRIBUTE):
        return f"{ATTRIBUTE}{head[len(ATTRIBUTE) :].strip()}"
    return name if name in COLUMNS else OTHER_NAMES.get(name, "")


def is_simple(heads: Sequence[str]) -> bool:
    """Return whether a table with these heads is a simple one."""
    return any(column_of(head) == "sku" for head in heads)


def product_fields(cell: Mapping[str, str]) -> dict[str, Any]:
    """Return what the cells of a row say of its product. Raises BadCell."""
    told: dict[str, Any] = {}
    for name, most in PRODUCT_TEXTS.items():
        if name in cell:
            told["product_type" if name == "type" else name] = cells.plain(cell[name])[:most]
    if not told.get("title", "-"):
        del told["title"]
    if "tags" in cell:
        told["tags"] = cells.tags(cells.plain(cell["tags"]))
    if cell.get("status", "").strip():
        told["status"] = cells.status("status", cell["status"].strip())
    if category := cells.path(cells.plain(cell.get("category", ""))):
        told["category"] = category
    if "collections" in cell:
        told["collections"] = cells.names(cells.plain(cell["collections"]))
    if "images" in cell:
        told["images"] = cells.pictures(cells.plain(cell["images"]))
    if "option1_name" in cell:
        told["option_names"] = [name for n in (1, 2, 3) if (name := cells.plain(cell.get(f"option{n}_name", "")))]
    attributes = {
        name[len(ATTRIBUTE) :]: cells.plain(value) for name, value in cell.items() if name.startswith(ATTRIBUTE)
    }
    if attributes:
        told["attributes"] = attributes
    return told


def variant_fields(cell: Mapping[str, str], decimal: str) -> dict[str, Any]:
    """Return what the cells of a row say of its variant. Raises BadCell."""
    told: dict[str, Any] = {}
    for column, name in (("price", "price"), ("compare_at_price", "compare_at"), ("cost", "cost")):
        if column in cell:
            told[name] = cells.amount(column, cells.plain(cell[column]), decimal)
    if told.get("price", "") is None:
        del told["price"]
    currency = cell.get("currency", "").strip()
    if currency:
        if not (len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper()):
            raise BadCell("currency", currency, f"{currency[:40]!r} is not a currency.", "Write a code such as EUR.")
        told["currency"] = currency
    for name in _MEASURES:
        if name in cell:
            unit = "grams" if name == "weight_g" else "millimetres"
            told[name] = cells.whole(name, cell[name].strip(), 0, cells.WHOLE_MAX, f"a number of {unit}", decimal)
    if "barcode" in cell:
        told["barcode"] = cells.code(cell["barcode"])[:200]
    if "variant_image" in cell:
        told["image_url"] = cells.plain(cell["variant_image"])
    if "option1_value" in cell:
        told["option_values"] = [value for n in (1, 2, 3) if (value := cells.plain(cell.get(f"option{n}_value", "")))]
        told["title_wish"] = variant_title(told["option_values"])
    if "variant_title" in cell:
        told["title"] = cells.plain(cell["variant_title"])[:1000]
    return told


class RowReader:
    """Takes rows (cells by column) one by one; gives a product when its last row is there."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self._open: FileProduct | None = None

    def take(self, number: int, cell: Mapping[str, str]) -> FileProduct | None:
        """Take a row; return the product that it shows to be complete."""
        self.book.counts.rows += 1
        sku = cells.code(cell.get("sku", ""))
        if not any(map(str.strip, cell.values())):
            self.book.counts.blank += 1
            return None
        if not sku:
            self.book.refuse(number, "", "The SKU is missing.", "Write the SKU of the variant.", "sku")
            return None
        variant = read_variant(self.book, number, sku, cell)
        if variant is None:
            return None
        handle = cells.plain(cell.get("handle", ""))[:200]
        if self._open is not None and handle and self._open.handle == handle:
            self._open.variants.append(variant)
            return None
        try:
            fields = product_fields(cell)
        except BadCell as bad:
            self.book.refuse_cell(number, sku, bad)
            fields = product_fields({k: v for k, v in cell.items() if k != "status"})
        done, self._open = self._open, FileProduct(handle, number, fields, [variant])
        return self.book.product(done) if done is not None else None

    def last(self) -> FileProduct | None:
        """Return the product that was open at the end."""
        done, self._open = self._open, None
        return self.book.product(done) if done is not None else None


def read_variant(book: Book, number: int, sku: str, cell: Mapping[str, str]) -> FileVariant | None:
    """Return the variant that the cells tell; None, with the problem noted, if they make none."""
    try:
        fields = variant_fields(cell, book.options.decimal)
    except BadCell as bad:
        book.refuse_cell(number, sku, bad)
        return None
    if not book.claim(number, sku):
        return None
    stock = None
    try:
        text = cell.get("stock", "").strip()
        stock = cells.whole("stock", text, 0, cells.UNITS_MAX, "a number of units", book.options.decimal)
    except BadCell as bad:
        bad.problem += " The stock is left as it is."
        book.refuse_cell(number, sku, bad)
    book.counts.variants += 1
    return FileVariant(sku, number, fields, stock)


class SimpleReader:
    """Reads a simple table."""

    def __init__(self, table: Table, book: Book) -> None:
        self.table, self.book = table, book
        self.columns: dict[str, int] = {}
        for at, head in enumerate(table.heads):
            name = column_of(head)
            if name:
                self.columns.setdefault(name, at)

    def meaning(self) -> dict[int, str]:
        """Return what each column is taken for."""
        return {at: name.replace("_", " ") for name, at in self.columns.items()}

    def products(self) -> Iterator[FileProduct]:
        """Yield the products. Raises UnknownFormat where the file cannot be read on."""
        rows = RowReader(self.book)
        columns = list(self.columns.items())
        for number, row in self.table.rows:
            width = len(row)
            if not self.book.fits(number, row, len(self.table.heads)):
                self.book.counts.rows += 1
                continue
            found = rows.take(number, {name: row[at] if at < width else "" for name, at in columns})
            if found is not None:
                yield found
        last = rows.last()
        if last is not None:
            yield last
