"""Products as JSON: a list, an object with a list `products`, or one object to a line; each a product with variants or a row.

Read piece by piece: of a file only the product at hand is in memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from entrepot.catalog.files import cells
from entrepot.catalog.files.build import Book, variant_title
from entrepot.catalog.files.cells import BadCell
from entrepot.catalog.files.contracts import ROWS_MAX, TEXT_MAX, FileProduct, UnknownFormat
from entrepot.catalog.files.simple import (
    ATTRIBUTE,
    COLUMNS,
    OTHER_NAMES,
    PRODUCT_TEXTS,
    product_fields,
    read_variant,
)

OBJECT_MAX = 8 * 1024 * 1024
_PIECE = 64 * 1024
_LIST = re.compile(r'\s*\{\s*"products"\s*:\s*\[')


def objects(text: TextIO) -> Iterator[Any]:
    """Yield the values of the list or of the lines. Raises UnknownFormat."""
    decoder = json.JSONDecoder(parse_float=str, parse_constant=str)
    buffer, at, number, more = text.read(_PIECE).removeprefix("\ufeff"), 0, 0, True
    begun = _LIST.match(buffer)
    at = begun.end() if begun else len(buffer) - len(buffer.lstrip())
    listed = begun is not None
    if not listed and buffer[at : at + 1] == "[":
        at, listed = at + 1, True
    wanted = _PIECE
    while True:
        while at < len(buffer) and buffer[at] in " \t\r\n,":
            at += 1
        if listed and buffer[at : at + 1] == "]":
            return
        if at < len(buffer):
            try:
                value, end = decoder.raw_decode(buffer, at)
                # A number may go on in the next piece.
                if end < len(buffer) or not more:
                    number, at = number + 1, end
                    yield value
                    continue
            except (json.JSONDecodeError, RecursionError) as error:
                if not more or len(buffer) - at > OBJECT_MAX or isinstance(error, RecursionError):
                    raise UnknownFormat(f"The file cannot be read as JSON after product {number:,}: {error}.") from None
        elif not more:
            if listed:
                raise UnknownFormat(f"The JSON list ends too early, after product {number:,}.")
            return
        piece = text.read(wanted)
        more = bool(piece)
        # Read more each time while one object is not complete, so that a large one is not tried too often.
        wanted = min(OBJECT_MAX, wanted * 2) if at == 0 else _PIECE
        buffer, at = buffer[at:] + piece, 0


class JsonReader:
    """Reads products as JSON. Their number (from 1) stands for the row."""

    def __init__(self, text: TextIO, book: Book) -> None:
        self.text, self.book = text, book

    def products(self) -> Iterator[FileProduct]:
        """Yield the products. Raises UnknownFormat where the file cannot be read on."""
        for number, found_value in enumerate(objects(self.text), start=1):
            value = _clean(found_value)
            if number > ROWS_MAX:
                raise UnknownFormat(f"The file has more than {ROWS_MAX:,} products: import it in parts.")
            self.book.counts.rows += 1
            if not isinstance(value, dict):
                self.book.refuse(
                    number, "", "This is no product.", 'Write an object such as {"sku": "A", "title": "Cup"}.'
                )
                continue
            found = self._product(number, {_name(key): each for key, each in value.items()})
            if found is not None:
                yield self.book.product(found)

    def _product(self, number: int, value: Mapping[str, Any]) -> FileProduct | None:
        listed = value.get("variants")
        if listed is None:
            listed = [value]
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            self.book.refuse(number, "", "`variants` is not a list of objects.", "Write a list.", "variants")
            return None
        try:
            fields = _fields(value)
        except BadCell as bad:
            self.book.refuse_cell(number, str(value.get("sku", ""))[:200], bad)
            return None
        handle = str(value.get("handle") or "").strip()[:200]
        variants = []
        for each in listed:
            named: Mapping[str, Any] = value
            if each is not value:
                named = {"variant_title" if key == "title" else _name(key): v for key, v in each.items()}
            variant = self._variant(number, handle, named)
            if variant is not None:
                variants.append(variant)
        if not variants and listed:
            return None
        return FileProduct(handle, number, fields, variants, "variants" in value)

    def _variant(self, number: int, handle: str, value: Mapping[str, Any]) -> Any:
        options = value.get("option_values", value.get("options"))
        chosen = [str(each).strip() for each in options if each] if isinstance(options, list) else None
        sku = str(value.get("sku") or "").strip()
        if not sku and handle:
            sku = self.book.derived_sku(handle, chosen or ())
        if not sku:
            self.book.refuse(number, "", "The SKU is missing.", "Write the SKU of the variant.", "sku")
            return None
        cell = {name: _guarded(name, each) for key, each in value.items() if (name := _column(key)) and name != "sku"}
        variant = read_variant(self.book, number, sku, cell)
        if variant is not None and chosen is not None:
            variant.fields["option_values"], variant.fields["title_wish"] = chosen, variant_title(chosen)
        return variant


def _fields(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an object says of its product. Raises BadCell."""
    plain = {name: _guarded(name, each) for key, each in value.items() if (name := _column(key))}
    told = product_fields(
        {k: v for k, v in plain.items() if k not in ("tags", "collections", "images", "category", "handle")}
    )
    for name, most in PRODUCT_TEXTS.items():
        if isinstance(value.get(name), str):
            # Nothing in JSON is guarded against spreadsheets.
            told["product_type" if name == "type" else name] = value[name].strip()[:most]
    if not told.get("title", "-"):
        del told["title"]
    for name in ("tags", "collections", "category", "option_names"):
        each = value.get(name)
        if isinstance(each, list):
            texts = [text for part in each if (text := str(part).strip())]
            # A category may have the name of the one above it.
            told[name] = texts if name == "category" else list(dict.fromkeys(texts))
        elif isinstance(each, str):
            read = {"tags": cells.tags, "category": cells.path}.get(name, cells.names)
            told[name] = read(each)
        elif name in value and each is not None:
            raise BadCell(name, str(each), f"`{name}` is not a list.", "Write a list of texts.")
    if not told.get("category", "-"):
        del told["category"]
    if "images" in value:
        told["images"] = _images(value["images"])
    if isinstance(value.get("attributes"), dict):
        told["attributes"] = {str(name): _cell(each)[:TEXT_MAX] for name, each in value["attributes"].items()}
    return told


def _images(value: Any) -> list[dict[str, str]]:
    if isinstance(value, str):
        return cells.pictures(value)
    found = []
    for each in value if isinstance(value, list) else []:
        if isinstance(each, str) and each.strip():
            found.append({"url": each.strip(), "alt": ""})
        elif isinstance(each, dict) and isinstance(each.get("url") or each.get("src"), str):
            found.append(
                {"url": str(each.get("url") or each.get("src")).strip(), "alt": str(each.get("alt") or "").strip()}
            )
    return list({image["url"]: image for image in reversed(found)}.values())[::-1]


def _clean(value: Any) -> Any:
    """Return a value without what PostgreSQL's text cannot hold: NUL, halves of characters."""
    if isinstance(value, str):
        value = value.replace("\x00", "")
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_clean(each) for each in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(each) for key, each in value.items()}
    return value


def _name(key: str) -> str:
    """Return a name as columns have it: compareAtPrice is compare_at_price."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()).strip("_")


def _column(name: str) -> str:
    if name == "image_url":
        return "variant_image"
    return name if name in COLUMNS or name.startswith(ATTRIBUTE) else OTHER_NAMES.get(name, "")


def _guarded(column: str, value: Any) -> str:
    """Return a value as a table would have it: nothing in JSON is guarded against spreadsheets."""
    text = _cell(value)
    return cells.guarded_code(text) if column == "barcode" else cells.guarded(text)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:TEXT_MAX] if isinstance(value, int | float) else ""
