"""Product files: Shopify's product CSV as shops export it, and a simple one (sku, title, price, ...). Pure.

Shopify's format: https://help.shopify.com/en/manual/products/import-export/using-csv. Rows of one handle make a
product; a row without a price is a further image only.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from entrepot.catalog.contracts import Image, NewProduct, NewVariant
from entrepot.kernel.errors import EntrepotError, InvalidInput
from entrepot.kernel.money import to_minor

ROWS_MAX = 200_000
SKU_MAX = 200
SHOPIFY_COLUMNS = ("Handle", "Variant Price")
SIMPLE_COLUMNS = ("sku", "title", "price")


class UnknownFormat(InvalidInput):
    """This is neither Shopify's product CSV nor a file with the columns sku, title and price."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row that could not be taken over. `row` counts from 1, the header being row 1."""

    row: int
    sku: str
    problem: str


@dataclass(slots=True)
class ProductFile:
    """What a file says. `stock`: units on hand by SKU, where the file tells."""

    products: list[NewProduct] = field(default_factory=list)
    stock: dict[str, int] = field(default_factory=dict)
    problems: list[RowProblem] = field(default_factory=list)
    rows: int = 0


def read_products(text: str, *, currency: str) -> ProductFile:
    """Read a product file; rows with an error are reported, the others are kept. Raises UnknownFormat.

    `currency`: for files that do not name one (ISO 4217).
    """
    reader, simple = _open(text)
    return _Reader(currency).simple(reader) if simple else _Reader(currency).shopify(reader)


def check_columns(text: str) -> None:
    """Look at the header only. Raises UnknownFormat."""
    _open(text)


def _open(text: str) -> tuple[csv.DictReader[str], bool]:
    """Return the rows of a file, and whether it is a simple one. Raises UnknownFormat."""
    text = text.removeprefix("\ufeff")
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=False)
        columns = [c.strip() for c in reader.fieldnames or ()]
        reader.fieldnames = columns
    except csv.Error as error:
        raise UnknownFormat(f"The file cannot be read as CSV: {error}.") from None
    if all(c in columns for c in SHOPIFY_COLUMNS):
        return reader, False
    lower = [c.lower().replace(" ", "_") for c in columns]
    if all(c in lower for c in SIMPLE_COLUMNS):
        reader.fieldnames = lower
        return reader, True
    raise UnknownFormat(f"{UnknownFormat.__doc__} Its columns are: {', '.join(columns[:12]) or 'none'}.")


def slug(text: str) -> str:
    """Return text as a handle: lower case, letters and digits joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:200]


@dataclass(slots=True)
class _Product:
    row: Mapping[str, str]
    variants: list[NewVariant] = field(default_factory=list)


class _Reader:
    def __init__(self, currency: str) -> None:
        self.currency = currency
        self.file = ProductFile()
        self.seen: dict[str, int] = {}

    def _rows(self, reader: csv.DictReader[str]) -> Iterable[tuple[int, dict[str, str]]]:
        try:
            for number, raw in enumerate(reader, start=2):
                if number > ROWS_MAX + 1:
                    raise UnknownFormat(f"The file has more than {ROWS_MAX} rows: import it in parts.")
                self.file.rows += 1
                yield (
                    number,
                    {k: (v or "").strip() for k, v in raw.items() if isinstance(k, str) and not isinstance(v, list)},
                )
        except csv.Error as error:
            raise UnknownFormat(f"The file cannot be read as CSV after row {self.file.rows + 1}: {error}.") from None

    def simple(self, reader: csv.DictReader[str]) -> ProductFile:
        for number, row in self._rows(reader):
            sku = row.get("sku", "")
            if not any(row.values()):
                continue
            if not sku:
                self._problem(number, sku, "The SKU is missing.")
                continue
            variant = self._variant(number, sku, row.get("price", ""), row.get("currency", "") or self.currency, row)
            if variant is not None:
                title = row.get("title") or sku
                handle = row.get("handle") or slug(sku) or slug(title) or sku
                self.file.products.append(
                    NewProduct(
                        handle,
                        title,
                        (variant,),
                        description=row.get("description", ""),
                        vendor=row.get("vendor", ""),
                        product_type=row.get("type", ""),
                    )
                )
                self._stock(number, sku, row.get("stock", ""))
        self.file.products = _one_per_handle(self.file.products)
        return self.file

    def shopify(self, reader: csv.DictReader[str]) -> ProductFile:
        products: dict[str, _Product] = {}
        for number, row in self._rows(reader):
            handle = row.get("Handle", "")
            if not handle:
                if any(row.values()):
                    self._problem(number, row.get("Variant SKU", ""), "The handle is missing.")
                continue
            product = products.setdefault(handle, _Product(row))
            if not row.get("Variant Price"):
                continue
            options = tuple(v for n in (1, 2, 3) if (v := row.get(f"Option{n} Value", "")) and v != "Default Title")
            sku = row.get("Variant SKU", "").lstrip("'") or "-".join((handle, *map(slug, options)))
            mapped = {
                "barcode": row.get("Variant Barcode", "").lstrip("'"),
                "compare_at_price": row.get("Variant Compare At Price", ""),
                "cost": row.get("Cost per item", ""),
                "weight_g": row.get("Variant Grams", ""),
            }
            variant = self._variant(number, sku, row["Variant Price"], self.currency, mapped, options)
            if variant is not None:
                product.variants.append(variant)
                self._stock(number, sku, row.get("Variant Inventory Qty", ""))
        self.file.products = [_shopify_product(h, p) for h, p in products.items() if p.variants]
        return self.file

    def _variant(
        self, number: int, sku: str, price: str, currency: str, row: Mapping[str, str], options: tuple[str, ...] = ()
    ) -> NewVariant | None:
        if sku in self.seen:
            self._problem(number, sku, f"The SKU stands in row {self.seen[sku]} already.")
            return None
        if len(sku) > SKU_MAX:
            self._problem(number, sku[:40], f"A SKU has at most {SKU_MAX} characters.")
            return None
        try:
            variant = NewVariant(
                sku=sku,
                price_minor=_amount(price, currency, "price"),
                currency=currency,
                title=" / ".join(options),
                barcode=row.get("barcode", ""),
                option_values=options,
                compare_at_minor=_optional(row.get("compare_at_price", ""), currency, "compare-at price"),
                cost_minor=_optional(row.get("cost", ""), currency, "cost"),
                weight_g=_grams(row.get("weight_g", "")),
            )
        except EntrepotError as error:
            self._problem(number, sku, error.detail)
            return None
        self.seen[sku] = number
        return variant

    def _stock(self, number: int, sku: str, text: str) -> None:
        if not text:
            return
        units = _whole(text)
        if units is None or not 0 <= units <= 1_000_000_000:
            self._problem(number, sku, f"{text[:40]!r} is not a number of units; the stock is left as it is.")
            return
        self.file.stock[sku] = units

    def _problem(self, number: int, sku: str, problem: str) -> None:
        self.file.problems.append(RowProblem(number, sku, problem))


def _amount(text: str, currency: str, what: str) -> int:
    try:
        value = Decimal(text.replace(",", "")) if text else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite():
        raise InvalidInput(f"The {what} {text!r} is not an amount.")
    if not 0 <= value < 10**12:
        raise InvalidInput(f"The {what} {text} is out of bounds.")
    return to_minor(value, currency)


def _optional(text: str, currency: str, what: str) -> int | None:
    return _amount(text, currency, what) if text else None


def _grams(text: str) -> int | None:
    if not text:
        return None
    grams = _whole(text)
    if grams is None or grams > 2_000_000_000:
        raise InvalidInput(f"The weight {text[:40]!r} is not a number of grams.")
    return max(0, grams)


def _whole(text: str) -> int | None:
    """Return a number without its fraction; None if it is none, or too large to be anything we count."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    # Compared before it is made whole: a short text such as 1e999999 is a number with a million digits.
    return int(value) if value.is_finite() and abs(value) < 10**12 else None


def _shopify_product(handle: str, product: _Product) -> NewProduct:
    row = product.row
    status = row.get("Status", "").lower()
    published = row.get("Published", "").lower()
    if status not in ("active", "draft", "archived"):
        status = "draft" if published == "false" else "active"
    return NewProduct(
        handle=handle,
        title=row.get("Title") or handle,
        variants=tuple(product.variants),
        description=row.get("Body (HTML)", ""),
        vendor=row.get("Vendor", ""),
        product_type=row.get("Type", ""),
        tags=tuple(t.strip() for t in row.get("Tags", "").split(",") if t.strip()),
        option_names=tuple(v for n in (1, 2, 3) if (v := row.get(f"Option{n} Name", "")) and v != "Title"),
        images=(Image(row["Image Src"]),) if row.get("Image Src") else None,
        status=status,
    )


def _one_per_handle(products: list[NewProduct]) -> list[NewProduct]:
    """Give products whose SKUs make the same handle a handle of their own."""
    used: set[str] = set()
    counts: dict[str, int] = {}
    result = []
    for product in products:
        handle = product.handle
        while handle in used:
            count = counts[product.handle] = counts.get(product.handle, 1) + 1
            handle = f"{product.handle}-{count}"
        used.add(handle)
        result.append(
            NewProduct(
                handle, product.title, product.variants, product.description, product.vendor, product.product_type
            )
        )
    return result
