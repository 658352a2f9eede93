"""Products written as a file: Shopify's CSV, the simple table as CSV or Excel, JSON. Read back it says the same. Pure."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from xml.sax.saxutils import escape

from entrepot.catalog.files.cells import guarded, guarded_code
from entrepot.catalog.files.shopify import SETTINGS, attribute_of
from entrepot.catalog.files.simple import ATTRIBUTE, PRODUCT_COLUMNS, VARIANT_COLUMNS
from entrepot.catalog.intake_rules import ProductState, VariantState
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.money import to_decimal

FORMATS: Mapping[str, tuple[str, str, str]] = {
    "shopify": ("Shopify CSV", "csv", "text/csv; charset=utf-8"),
    "simple": ("Simple CSV", "csv", "text/csv; charset=utf-8"),
    "excel": ("Excel", "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "json": ("JSON", "json", "application/json"),
    "jsonl": ("JSON, one product a line", "jsonl", "application/x-ndjson"),
}
"""Format -> what it is called, the ending of its files, its media type."""
NUMBERS = frozenset(("price", "compare_at_price", "cost", "weight_g", "length_mm", "width_mm", "height_mm", "stock"))
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Full:
    """A product with all that is written of it. `stock`: units on hand by SKU."""

    product: ProductState
    variants: Sequence[VariantState]
    stock: Mapping[str, int] = field(default_factory=dict)


class UnknownExport(InvalidInput):
    """Products are written as shopify, simple, excel, json or jsonl."""


class Writer:
    """Writes a file piece by piece: `begin`, `page` for each part, `end`. `attributes`: names of all that occur."""

    def __init__(self, format: str, attributes: Sequence[str]) -> None:
        if format not in FORMATS:
            raise UnknownExport
        self._format = format
        self._first = True
        self._heads: list[str] = []
        self._rows: Callable[[Full], Iterator[list[str]]] = lambda full: iter(())
        if format == "shopify":
            self._shop = _Shopify(attributes)
            self._heads, self._rows = self._shop.heads, self._shop.rows
        elif format in ("simple", "excel"):
            self._heads = [*VARIANT_COLUMNS, *PRODUCT_COLUMNS, *(f"{ATTRIBUTE}{name}" for name in attributes)]
            self._rows = lambda full: simple_rows(full, attributes)
        self._book = _Excel(self._heads) if format == "excel" else None

    def begin(self) -> bytes:
        """Return the beginning of the file."""
        if self._book is not None:
            return self._book.begin()
        if self._heads:
            # Spreadsheets take a file without this mark for the encoding of old; Shopify wants none.
            mark = "\ufeff" if self._format == "simple" else ""
            return (mark + _csv([self._heads])).encode()
        return b'{"products": [\n' if self._format == "json" else b""

    def page(self, products: Sequence[Full]) -> bytes:
        """Return these products."""
        if self._heads:
            rows = [row for full in products for row in self._rows(full)]
            return self._book.rows(rows) if self._book is not None else _csv(rows).encode()
        texts = [json.dumps(as_object(full), ensure_ascii=False, separators=(",", ":")) for full in products]
        if self._format == "jsonl":
            return "".join(f"{text}\n" for text in texts).encode("utf-8", "replace")
        joined = ",\n".join(texts)
        text = joined if self._first or not joined else f",\n{joined}"
        self._first = self._first and not joined
        return text.encode("utf-8", "replace")

    def end(self) -> bytes:
        """Return the end of the file."""
        if self._book is not None:
            return self._book.end()
        return b"\n]}\n" if self._format == "json" else b""


def _csv(rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def _amount(minor: int | None, currency: str) -> str:
    return "" if minor is None else f"{to_decimal(minor, currency):f}"


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


# ---- the simple table ------------------------------------------------------------------------------------


def simple_rows(full: Full, attributes: Sequence[str]) -> Iterator[list[str]]:
    """Yield the rows of a product in the simple table."""
    p = full.product
    options = [*p.option_names, "", "", ""][:3]
    own = [
        p.handle, p.title, p.description, p.vendor, p.product_type, ", ".join(p.tags), p.status, " > ".join(p.category),
        "\n".join(p.collections), "\n".join(" ".join(filter(None, (i["url"], i["alt"]))) for i in p.images), p.seo_title,
        p.seo_description, *options,
    ]  # fmt: skip
    shared = [guarded(text) for text in (*own, *(p.attributes.get(name, "") for name in attributes))]
    for v in full.variants:
        yield [
            guarded_code(v.sku), _amount(v.price_minor, v.currency), v.currency, _amount(v.compare_at_minor, v.currency),
            _amount(v.cost_minor, v.currency), guarded_code(v.barcode),
            *(guarded(text) for text in [*v.option_values, "", "", ""][:3]), guarded(v.title), _plain(v.weight_g),
            _plain(v.length_mm), _plain(v.width_mm), _plain(v.height_mm), guarded(v.image_url),
            _plain(full.stock.get(v.sku)), *shared,
        ]  # fmt: skip


# ---- Shopify ---------------------------------------------------------------------------------------------


class _Shopify:
    """Shopify's heads of today, with the attributes as Google columns and metafields."""

    FIRST = (
        "Handle", "Title", "Body (HTML)", "Vendor", "Product Category", "Type", "Tags", "Published", "Option1 Name",
        "Option1 Value", "Option2 Name", "Option2 Value", "Option3 Name", "Option3 Value", "Variant SKU",
        "Variant Grams", "Variant Inventory Tracker", "Variant Inventory Qty", "Variant Inventory Policy",
        "Variant Fulfillment Service", "Variant Price", "Variant Compare At Price", "Variant Requires Shipping",
        "Variant Taxable", "Variant Barcode", "Image Src", "Image Position", "Image Alt Text", "Gift Card", "SEO Title",
        "SEO Description",
    )  # fmt: skip
    LAST = ("Variant Image", "Variant Weight Unit", "Variant Tax Code", "Cost per item", "Status", "Collection")

    def __init__(self, attributes: Sequence[str]) -> None:
        kept = {name for _, name, _ in SETTINGS.values()}
        self.columns = {head_of(name): name for name in attributes if name not in kept}
        self.heads = [*self.FIRST, *self.columns, *self.LAST]

    def rows(self, full: Full) -> Iterator[list[str]]:
        """Yield the rows of a product: a variant each, further images below."""
        p = full.product
        for at in range(max(len(full.variants), len(p.images), 1)):
            cells = {"Handle": guarded(p.handle)}
            if at == 0:
                cells |= self._product(p)
            if at < len(full.variants):
                cells |= self._variant(p, full.variants[at], full.stock)
            if at < len(p.images):
                image = p.images[at]
                cells |= {"Image Src": guarded(image["url"]), "Image Position": str(at + 1),
                          "Image Alt Text": guarded(image["alt"])}  # fmt: skip
            yield [cells.get(head, "") for head in self.heads]

    def _product(self, p: ProductState) -> dict[str, str]:
        setting = {key: p.attributes.get(name, usual) for key, (_, name, usual) in SETTINGS.items()}
        cells = {
            "Title": p.title, "Body (HTML)": p.description, "Vendor": p.vendor, "Product Category": " > ".join(p.category),
            "Type": p.product_type, "Tags": ", ".join(p.tags), "Published": "TRUE" if p.status == "active" else "FALSE",
            "Gift Card": setting["gift_card"], "SEO Title": p.seo_title, "SEO Description": p.seo_description,
            "Status": p.status, "Collection": p.collections[0] if p.collections else "",
        }  # fmt: skip
        names = p.option_names or ["Title"]
        cells |= {f"Option{n} Name": name for n, name in enumerate(names[:3], start=1)}
        cells |= {head: p.attributes.get(name, "") for head, name in self.columns.items()}
        return {head: guarded(text) for head, text in cells.items()}

    def _variant(self, p: ProductState, v: VariantState, stock: Mapping[str, int]) -> dict[str, str]:
        setting = {key: p.attributes.get(name, usual) for key, (_, name, usual) in SETTINGS.items()}
        units = stock.get(v.sku)
        values = v.option_values or ["Default Title"]
        cells = {f"Option{n} Value": guarded(value) for n, value in enumerate(values[:3], start=1)}
        return cells | {
            "Variant SKU": guarded_code(v.sku), "Variant Grams": _plain(v.weight_g),
            "Variant Inventory Tracker": "" if units is None else "shopify", "Variant Inventory Qty": _plain(units),
            "Variant Inventory Policy": setting["policy"], "Variant Fulfillment Service": setting["service"],
            "Variant Price": _amount(v.price_minor, v.currency),
            "Variant Compare At Price": _amount(v.compare_at_minor, v.currency),
            "Variant Requires Shipping": setting["requires_shipping"], "Variant Taxable": setting["taxable"],
            "Variant Barcode": guarded_code(v.barcode), "Variant Image": guarded(v.image_url),
            "Variant Weight Unit": setting["weight_unit"], "Variant Tax Code": setting["tax_code"],
            "Cost per item": _amount(v.cost_minor, v.currency),
        }  # fmt: skip


def head_of(attribute: str) -> str:
    """Return the head of the column that an attribute is written in for Shopify."""
    space, _, key = attribute.partition(".")
    if space == "google":
        head = f"Google Shopping / {key.replace('_', ' ').title()}"
    else:
        head = f"{attribute} (product.metafields.{space}.{key})"
    return head if attribute_of(head) == attribute else f"{attribute} (product.metafields.custom.{attribute})"


# ---- JSON ------------------------------------------------------------------------------------------------


def as_object(full: Full) -> dict[str, Any]:
    """Return a product as JSON has it."""
    p = full.product
    return {
        "handle": p.handle, "title": p.title, "description": p.description, "vendor": p.vendor, "type": p.product_type,
        "tags": p.tags, "status": p.status, "category": p.category, "collections": p.collections, "images": p.images,
        "seo_title": p.seo_title, "seo_description": p.seo_description, "option_names": p.option_names,
        "attributes": p.attributes,
        "variants": [
            {
                "sku": v.sku, "title": v.title, "barcode": v.barcode, "option_values": v.option_values,
                "price": _amount(v.price_minor, v.currency), "currency": v.currency,
                "compare_at_price": _amount(v.compare_at_minor, v.currency) or None,
                "cost": _amount(v.cost_minor, v.currency) or None, "weight_g": v.weight_g, "length_mm": v.length_mm,
                "width_mm": v.width_mm, "height_mm": v.height_mm, "image_url": v.image_url,
                "stock": full.stock.get(v.sku),
            }
            for v in full.variants
        ],
    }  # fmt: skip


# ---- Excel -----------------------------------------------------------------------------------------------

_PARTS = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/xl/workbook.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"'
    ' Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    ' xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
    '<sheets><sheet name="Products" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"'
    ' Target="worksheets/sheet1.xml"/></Relationships>',
}
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_SHEET = (
    f'{_XML}<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetViews><sheetView'
    ' workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
    "<sheetData>"
)


class _Sink:
    """Where the archive is written: what came since is taken away and sent."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Take bytes."""
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing to do."""

    def take(self) -> bytes:
        """Return what came since."""
        found, self._pieces = b"".join(self._pieces), []
        return found


class _Excel:
    """An Excel file of one sheet, written as it goes: neither rows nor texts are held."""

    def __init__(self, heads: Sequence[str]) -> None:
        self._heads = heads
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(cast(Any, self._sink), "w", zipfile.ZIP_DEFLATED)
        self._numeric = [head in NUMBERS for head in heads]
        self._sheet: Any = None

    def begin(self) -> bytes:
        for name, text in _PARTS.items():
            self._zip.writestr(name, _XML + text)
        self._sheet = self._zip.open("xl/worksheets/sheet1.xml", "w", force_zip64=True)
        self._sheet.write(_SHEET.encode())
        self._sheet.write(self._row(self._heads, head=True))
        return self._sink.take()

    def rows(self, rows: Sequence[Sequence[str]]) -> bytes:
        self._sheet.write(b"".join(self._row(row) for row in rows))
        return self._sink.take()

    def end(self) -> bytes:
        self._sheet.write(b"</sheetData></worksheet>")
        self._sheet.close()
        self._zip.close()
        return self._sink.take()

    def _row(self, row: Sequence[str], *, head: bool = False) -> bytes:
        cells = []
        for text, numeric in zip(row, self._numeric, strict=True):
            if not text:
                cells.append("<c/>")
            elif numeric and not head:
                cells.append(f"<c><v>{text}</v></c>")
            else:
                clean = escape(_NOT_XML.sub("", text))
                cells.append(f'<c t="inlineStr"><is><t xml:space="preserve">{clean}</t></is></c>')
        return f"<row>{''.join(cells)}</row>".encode()
