"""A file of any kind, as the products it tells."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from entrepot.catalog.files.build import Book, merge
from entrepot.catalog.files.contracts import FileProduct, Look, ReadOptions, RowCounts, RowProblem, UnknownFormat
from entrepot.catalog.files.json_in import JsonReader
from entrepot.catalog.files.rows import Table, encoding_of, kind_of, open_csv, open_excel, open_text
from entrepot.catalog.files.shopify import ShopifyReader, is_shopify
from entrepot.catalog.files.simple import SimpleReader, is_simple

__all__ = ["ProductFile", "merge", "open_table"]


@dataclass(slots=True)
class Part:
    """Some products of a file, with what was wrong with rows up to there."""

    products: list[FileProduct]
    problems: list[RowProblem]


class ProductFile:
    """An open product file. It is read once, from its beginning to its end.

    `look`: what it is. Raises UnknownFormat if it is none.
    """

    def __init__(self, stream: BinaryIO, options: ReadOptions) -> None:
        self._book = Book(options)
        kind = kind_of(stream)
        if kind == "json":
            encoding = encoding_of(stream)
            # Held, so that the stream is not closed with it.
            self._text = open_text(stream, encoding)
            self._products = JsonReader(self._text, self._book).products()
            self.look = Look("json", encoding)
            return
        table = open_table(stream)
        self._table = table
        shape: ShopifyReader | SimpleReader
        if is_shopify(table.heads):
            shape, name = ShopifyReader(table, self._book), "shopify"
            meaning = shape.heads.meaning
        elif is_simple(table.heads):
            shape, name = SimpleReader(table, self._book), "simple"
            meaning = shape.meaning()
        else:
            raise UnknownFormat(
                f"{UnknownFormat.__doc__} Its columns are: {', '.join(table.heads[:12]) or 'none'}. Name the first row's"
                " columns as the documentation says."
            )
        self._products = shape.products()
        columns = tuple((head, meaning.get(at, "")) for at, head in enumerate(table.heads))
        self.look = Look(name if kind == "csv" else f"{name} excel", table.encoding, table.separator, columns)

    @property
    def counts(self) -> RowCounts:
        """What became of the rows so far."""
        return self._book.counts

    def part(self, most: int) -> Part:
        """Return the next products, at most so many; none at the end. Raises UnknownFormat."""
        products = list(islice(self._products, most))
        return Part(products, self._book.take_problems())

    def __iter__(self) -> Iterator[FileProduct]:
        return self._products


def open_table(stream: BinaryIO) -> Table:
    """Return a CSV or Excel file as a table. Raises UnknownFormat."""
    return open_excel(stream) if kind_of(stream) == "excel" else open_csv(stream)


def read_all(data: bytes, options: ReadOptions) -> tuple[list[FileProduct], list[RowProblem], RowCounts]:
    """Read a file that is in memory, for small ones; products of one handle are made one. Raises UnknownFormat."""
    file = ProductFile(io.BytesIO(data), options)
    part = file.part(10**9)
    found: dict[str, FileProduct] = {}
    products = []
    for product in part.products:
        if product.again:
            merge(found[product.handle], product)
        else:
            products.append(product)
            found[product.handle] = product
    return products, part.problems, file.counts
