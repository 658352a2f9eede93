"""Builds products from the rows of a file: keeps count of SKUs, handles and what was wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from entrepot.catalog.files.cells import BadCell, slug
from entrepot.catalog.files.contracts import SKU_MAX, FileProduct, ReadOptions, RowCounts, RowProblem

TWICE = "A SKU names one variant: give this row a SKU of its own, or delete it."


class Book:
    """What a reader keeps while it goes through a file: the SKUs and handles so far, problems that nobody took yet."""

    def __init__(self, options: ReadOptions) -> None:
        self.options = options
        self.counts = RowCounts()
        self.problems: list[RowProblem] = []
        self._skus: dict[str, int] = {}
        self._handles: set[str] = set()

    def refuse(self, row: int, sku: str, problem: str, remedy: str = "", column: str = "", value: str = "") -> None:
        """Note what is wrong with a row."""
        self.problems.append(RowProblem(row, sku[:SKU_MAX], problem, column, value[:200], remedy))

    def refuse_cell(self, row: int, sku: str, bad: BadCell) -> None:
        """Note a cell that cannot be read."""
        self.refuse(row, sku, bad.problem, bad.remedy, bad.column, bad.value)

    def fits(self, row: int, cells: Sequence[str], width: int) -> bool:
        """Return whether a row has no more cells than there are columns; else note it: what it says would be shifted."""
        if len(cells) <= width or not any(cell.strip() for cell in cells[width:]):
            return True
        self.refuse(
            row, "", f"The row has {len(cells)} cells, but there are {width} columns.",
            "Put text that has the separator in it between quotes.", "", cells[width],
        )  # fmt: skip
        return False

    def take_problems(self) -> list[RowProblem]:
        """Return the problems since this was asked last."""
        found, self.problems = self.problems, []
        return found

    def claim(self, row: int, sku: str) -> bool:
        """Return whether this SKU is the row's; else note why not."""
        if len(sku) > SKU_MAX:
            self.refuse(row, sku[:40], f"A SKU has at most {SKU_MAX} characters.", "Shorten the SKU.", "SKU", sku)
        elif sku in self._skus:
            self.refuse(row, sku, f"The SKU stands in row {self._skus[sku]} already.", TWICE, "SKU", sku)
        else:
            self._skus[sku] = row
            return True
        return False

    def derived_sku(self, handle: str, options: Sequence[str]) -> str:
        """Return the SKU of a variant whose row has none: the same for the same handle and options, each time."""
        sku = "-".join((handle, *map(slug, options))).rstrip("-")
        if sku in self._skus or len(sku) > SKU_MAX:
            digest = hashlib.sha256("\x1f".join((handle, *options)).encode()).hexdigest()[:8]
            sku = f"{sku[: SKU_MAX - 9]}-{digest}"
        return sku

    def product(self, product: FileProduct) -> FileProduct:
        """Return the product, marked if its handle stood in the file before."""
        if product.handle:
            product.again = product.handle in self._handles
            self._handles.add(product.handle)
        return product


def merge(first: FileProduct, more: FileProduct) -> None:
    """Add what a file says further down of a product to what it said first, which stands."""
    for name, value in more.fields.items():
        if name in ("images", "images_more"):
            name = "images" if "images" in first.fields else "images_more"
            there = first.fields.setdefault(name, [])
            urls = {image["url"] for image in there}
            there += [image for image in value if image["url"] not in urls]
        elif name not in first.fields:
            first.fields[name] = value
    first.variants += more.variants


def variant_title(options: Sequence[str]) -> str:
    """Return what a variant is called after its options."""
    return " / ".join(options)
