"""What a product file says, product by product, before anything is compared with what there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from entrepot.kernel.errors import InvalidInput

ROWS_MAX = 200_000
SKU_MAX = 200
TEXT_MAX = 100_000

Fields = dict[str, Any]
"""Only what a file tells: a name that is missing stays as it is, None or an empty value is emptied. JSON values;
amounts of money as decimal text in major units. Of a product besides: `images_more` (added to those there),
`handle_wish` (the handle of a new one); of a variant `title_wish` (its title if it is new or its options change)."""


class UnknownFormat(InvalidInput):
    """This is no product file: Shopify's product CSV, or a table with a column sku, or JSON."""


class FileVariant(msgspec.Struct, array_like=True):
    """A variant as a file tells it. `stock`: units on hand, None if it does not tell."""

    sku: str
    row: int
    fields: Fields
    stock: int | None = None


class FileProduct(msgspec.Struct, array_like=True):
    """A product as a file tells it. `handle` empty: the product that its first SKU belongs to, or a new one.

    `ordered`: the variants are in the order that they are to have. `again`: its handle stood earlier in the file.
    """

    handle: str
    row: int
    fields: Fields
    variants: list[FileVariant]
    ordered: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong with a row. `row` counts from 1, the header of a table being row 1.

    `column` and `value` name the cell, `remedy` says how to mend it.
    """

    row: int
    sku: str
    problem: str
    column: str = ""
    value: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How a file is to be read. `currency`: where it names none (ISO 4217); `decimal`: what separates the fraction."""

    currency: str
    decimal: Literal[".", ","] = "."


@dataclass(slots=True)
class RowCounts:
    """What became of the rows so far: a row with a variant may carry an image too and counts as a variant."""

    rows: int = 0
    variants: int = 0
    images: int = 0
    blank: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """What a file is. `columns`: each head with what it is taken for, empty if it is left out."""

    format: str
    encoding: str = ""
    separator: str = ""
    columns: tuple[tuple[str, str], ...] = ()
