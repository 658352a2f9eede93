"""Shopify's product CSV, in the spellings of its heads from 2017 to 2026.

https://help.shopify.com/en/manual/products/import-export/using-csv. Rows of one handle make a product; its own fields stand in
the row with its title; a row that has neither price nor SKU nor option is a further image.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from entrepot.catalog.files import cells
from entrepot.catalog.files.build import Book, variant_title
from entrepot.catalog.files.cells import BadCell
from entrepot.catalog.files.contracts import TEXT_MAX, FileProduct, FileVariant
from entrepot.catalog.files.rows import Table

SPELLINGS = {
    "handle": ("handle", "url handle"),
    "title": ("title",),
    "description": ("body html", "description"),
    "vendor": ("vendor",),
    "category": ("product category", "standardized product type", "standard product type"),
    "product_type": ("type", "custom product type"),
    "tags": ("tags",),
    "published": ("published", "published on online store"),
    "status": ("status",),
    "collections": ("collection",),
    "option1_name": ("option1 name",), "option1_value": ("option1 value",),
    "option2_name": ("option2 name",), "option2_value": ("option2 value",),
    "option3_name": ("option3 name",), "option3_value": ("option3 value",),
    "sku": ("variant sku", "sku"),
    "weight_g": ("variant grams", "weight value grams"),
    "stock": ("variant inventory qty", "inventory quantity"),
    "price": ("variant price", "price"),
    "compare_at": ("variant compare at price", "compare at price"),
    "cost": ("cost per item",),
    "barcode": ("variant barcode", "barcode"),
    "image": ("image src", "product image url"),
    "image_position": ("image position",),
    "image_alt": ("image alt text",),
    "variant_image": ("variant image", "variant image url"),
    "seo_title": ("seo title",),
    "seo_description": ("seo description",),
}  # fmt: skip
"""What a column means, and how its head has been spelled (lower case, letters and digits only)."""
SETTINGS = {
    "gift_card": (("gift card",), "gift_card", "false"),
    "tax_code": (("variant tax code", "tax code"), "shopify.tax_code", ""),
    "requires_shipping": (("variant requires shipping", "requires shipping"), "shopify.requires_shipping", "true"),
    "taxable": (("variant taxable", "charge tax"), "shopify.taxable", "true"),
    "policy": (("variant inventory policy", "continue selling when out of stock"), "shopify.inventory_policy", "deny"),
    "service": (("variant fulfillment service", "fulfillment service"), "shopify.fulfillment_service", "manual"),
    "weight_unit": (("variant weight unit", "weight unit for display"), "shopify.weight_unit", "g"),
}
"""Settings of a shop that are kept as attributes of the product where they are not what is usual (the last word)."""
_BELONGING = frozenset(
    (
        "body html",
        "url handle",
        "variant sku",
        "variant price",
        "variant inventory qty",
        "image src",
        "product image url",
    )
)
_METAFIELD = re.compile(r"\(product\.metafields\.([^.)]+)\.(.+)\)$")
_GOOGLE = re.compile(r"google shopping / (.+)", re.IGNORECASE)


def normal(head: str) -> str:
    """Return a head as the table of spellings has it."""
    return re.sub(r"[^a-z0-9]+", " ", head.lower()).strip()


def is_shopify(heads: Sequence[str]) -> bool:
    """Return whether a table with these heads is Shopify's product CSV."""
    found = {normal(head) for head in heads}
    if not found & {"handle", "url handle"}:
        return False
    return bool(found & _BELONGING) or ("title" in found and "sku" not in found)


def attribute_of(head: str) -> str:
    """Return the attribute that a metafield's or a Google column is kept as; empty if the head is neither."""
    metafield = _METAFIELD.search(head)
    if metafield:
        space, key = metafield.groups()
        return key if space == "custom" else f"{space}.{key}"
    google = _GOOGLE.match(head)
    return "google." + re.sub(r"[^a-z0-9]+", "_", google[1].lower()).strip("_") if google else ""


@dataclass(slots=True)
class Heads:
    """Where each thing stands. `attributes`: column -> (attribute, what is usual)."""

    at: dict[str, int] = field(default_factory=dict)
    attributes: dict[int, tuple[str, str]] = field(default_factory=dict)
    meaning: dict[int, str] = field(default_factory=dict)


def heads_of(heads: Sequence[str]) -> Heads:
    """Return what the columns mean; of two with one meaning the first counts."""
    by_spelling = {spelling: name for name, spellings in SPELLINGS.items() for spelling in spellings}
    settings = {spelling: setting[1:] for setting in SETTINGS.values() for spelling in setting[0]}
    found = Heads()
    for column, head in enumerate(heads):
        name = by_spelling.get(normal(head), "")
        if name and name not in found.at:
            found.at[name] = column
            found.meaning[column] = name.replace("_", " ")
        elif normal(head) in settings:
            found.attributes[column] = settings[normal(head)]
        elif attribute := attribute_of(head):
            found.attributes[column] = (attribute, "")
    for column, (attribute, _) in found.attributes.items():
        found.meaning[column] = f"attribute {attribute}"
    return found


@dataclass(slots=True)
class _Group:
    handle: str
    row: int
    titled: Sequence[str] | None = None
    images: list[tuple[int, int, str, str]] = field(default_factory=list)
    variants: list[FileVariant] = field(default_factory=list)


class ShopifyReader:
    """Reads a Shopify product CSV, one product (the rows of a handle that follow each other) at a time."""

    def __init__(self, table: Table, book: Book) -> None:
        self.table, self.book = table, book
        self.heads = heads_of(table.heads)

    def products(self) -> Iterator[FileProduct]:
        """Yield the products. Raises UnknownFormat where the file cannot be read on."""
        group: _Group | None = None
        for number, row in self.table.rows:
            self.book.counts.rows += 1
            if not self.book.fits(number, row, len(self.table.heads)):
                continue
            handle = self._cell(row, "handle")
            if not handle:
                if any(cell.strip() for cell in row):
                    self.book.refuse(
                        number, self._cell(row, "sku"), "The handle is missing.",
                        "Write the handle of the product that the row belongs to.", "Handle",
                    )  # fmt: skip
                else:
                    self.book.counts.blank += 1
                continue
            if group is None or group.handle != handle:
                if group is not None:
                    yield self._finished(group)
                group = _Group(handle, number)
            self._take(group, number, row)
        if group is not None:
            yield self._finished(group)

    def _cell(self, row: Sequence[str], name: str) -> str:
        at = self.heads.at.get(name, -1)
        return cells.plain(row[at]) if 0 <= at < len(row) else ""

    def _code(self, row: Sequence[str], name: str) -> str:
        at = self.heads.at.get(name, -1)
        return cells.code(row[at]) if 0 <= at < len(row) else ""

    def _take(self, group: _Group, number: int, row: Sequence[str]) -> None:
        cell = self._cell
        first = group.titled is None and bool(cell(row, "title"))
        if first:
            group.titled = row
        image = cell(row, "image")
        if image:
            position = cell(row, "image_position")
            at = int(position) if position.isdecimal() and len(position) < 7 else 10**6
            group.images.append((at, len(group.images), image, cell(row, "image_alt")))
        options = [cell(row, f"option{n}_value") for n in (1, 2, 3)]
        if cell(row, "price") or cell(row, "sku") or any(options):
            self._variant(group, number, row, options)
        elif image:
            self.book.counts.images += 1
        elif not first:
            self.book.refuse(
                number, "", "The row has neither a variant nor an image.",
                "Give it a price, an option or an image, or delete it.",
            )  # fmt: skip
        else:
            self.book.counts.blank += 1

    def _variant(self, group: _Group, number: int, row: Sequence[str], options: Sequence[str]) -> None:
        at, book = self.heads.at, self.book
        chosen = [value for value in options if value and value != "Default Title"]
        sku = self._code(row, "sku") or book.derived_sku(group.handle, chosen)
        fields: dict[str, Any] = {}
        decimal = book.options.decimal
        try:
            for name, head in (("price", "price"), ("compare_at", "compare-at price"), ("cost", "cost")):
                if name in at:
                    fields[name] = cells.amount(head, self._cell(row, name), decimal)
            if fields.get("price", "") is None:
                del fields["price"]  # A variant always has one; there is none to take.
            if "weight_g" in at:
                grams = cells.whole(
                    "weight",
                    self._cell(row, "weight_g"),
                    -cells.WHOLE_MAX,
                    cells.WHOLE_MAX,
                    "a number of grams",
                    decimal,
                )
                fields["weight_g"] = None if grams is None else max(0, grams)
        except BadCell as bad:
            book.refuse_cell(number, sku, bad)
            return
        if not book.claim(number, sku):
            return
        if "barcode" in at:
            fields["barcode"] = self._code(row, "barcode")[:200]
        if "variant_image" in at:
            fields["image_url"] = self._cell(row, "variant_image")
        if "option1_value" in at:
            fields["option_values"], fields["title_wish"] = chosen, variant_title(chosen)
        stock = None
        try:
            stock = cells.whole("stock", self._cell(row, "stock"), 0, cells.UNITS_MAX, "a number of units", decimal)
        except BadCell as bad:
            bad.problem += " The stock is left as it is."
            book.refuse_cell(number, sku, bad)
        book.counts.variants += 1
        group.variants.append(FileVariant(sku, number, fields, stock))

    def _finished(self, group: _Group) -> FileProduct:
        images = [{"url": url, "alt": alt} for _, _, url, alt in sorted(group.images)]
        images = list({image["url"]: image for image in reversed(images)}.values())[::-1]
        fields: dict[str, Any] = {}
        if group.titled is not None:
            fields = self._fields(group.row, group.titled)
            if "image" in self.heads.at:
                fields["images"] = images
        elif images:
            # A row that was mended and sent alone: what it shows is added.
            fields["images_more"] = images
        return self.book.product(
            FileProduct(group.handle[:200], group.row, fields, group.variants, group.titled is not None)
        )

    def _fields(self, number: int, row: Sequence[str]) -> dict[str, Any]:
        at = self.heads.at
        told: dict[str, Any] = {"title": self._cell(row, "title")[:1000]}
        for name in ("vendor", "product_type", "seo_title"):
            if name in at:
                told[name] = self._cell(row, name)[:1000]
        for name in ("description", "seo_description"):
            if name in at:
                told[name] = self._cell(row, name)[:TEXT_MAX]
        if "tags" in at:
            told["tags"] = cells.tags(self._cell(row, "tags"))
        if self._cell(row, "category"):
            told["category"] = cells.path(self._cell(row, "category"))
        if self._cell(row, "collections"):
            told["collections"] = [self._cell(row, "collections")[:200]]
        if "option1_name" in at:
            options = [self._cell(row, f"option{n}_name") for n in (1, 2, 3)]
            told["option_names"] = [name for name in options if name and name != "Title"]
        status = self._status(number, row)
        if status:
            told["status"] = status
        attributes = {
            name: "" if (value := cells.plain(row[column]) if column < len(row) else "").lower() == usual else value
            for column, (name, usual) in self.heads.attributes.items()
        }
        if attributes:
            told["attributes"] = attributes
        return told

    def _status(self, number: int, row: Sequence[str]) -> str:
        text, published = self._cell(row, "status"), self._cell(row, "published").lower()
        if text:
            try:
                return cells.status("Status", text)
            except BadCell as bad:
                self.book.refuse_cell(number, "", bad)
        if published:
            return "active" if cells.truth(published) else "draft"
        return ""
