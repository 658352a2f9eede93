"""The form of a product: what it shows, and what a person typed there as an edit."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from entrepot.catalog.bulk_rules import Change
from entrepot.catalog.contracts import Image
from entrepot.catalog.editing import ProductEdit, VariantEdit
from entrepot.catalog.product_rules import InvalidFields
from entrepot.catalog.reading import ProductDetail
from entrepot.catalog.snapshot import Flat, plain
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.money import to_decimal
from entrepot.web.stock_forms import amount_typed
from entrepot.web.visit import parse_id, whole_number

TEXTS = ("handle", "title", "description", "vendor", "product_type", "status", "seo_title", "seo_description")
AMOUNTS = {"price": "price_minor", "compare_at": "compare_at_minor", "cost": "cost_minor"}
SIZES = ("weight_g", "length_mm", "width_mm", "height_mm")
NEW_ROWS = 3
CHANGE_ROWS = 4
LABELS = {
    "title": "Title", "description": "Description", "handle": "Handle", "vendor": "Vendor", "product_type": "Type",
    "status": "Status", "tags": "Tags", "option_names": "Options", "images": "Images", "category_id": "Category",
    "collections": "Collections", "seo_title": "Search title", "seo_description": "Search description",
    "attributes": "Attributes", "sku": "SKU", "barcode": "Barcode", "option_values": "Options of a variant",
    "price_minor": "Price", "compare_at_minor": "Compare-at price", "cost_minor": "Cost", "weight_g": "Weight",
    "length_mm": "Length", "width_mm": "Width", "height_mm": "Height", "image_url": "Image of a variant",
    "position": "Order", "state": "Whether a variant is in use",
}  # fmt: skip


@dataclass(slots=True)
class FormRow:
    """A variant in the form. `key`: its id, or new1, new2, ... Values as they are typed."""

    key: str
    values: dict[str, str]
    options: list[str]
    archived: bool = False
    is_new: bool = False


@dataclass(slots=True)
class ProductForm:
    """What the form shows."""

    values: dict[str, str]
    rows: list[FormRow]
    collections: set[str]
    options: list[str]
    base: str
    currency: str
    errors: dict[str, str] = field(default_factory=dict)


def shown(product: ProductDetail, fields: Flat, new_rows: int = 1) -> ProductForm:
    """Return the form of a product as it is."""
    values = {name: str(fields[name]) for name in TEXTS}
    values |= {
        "tags": ", ".join(product.tags),
        "category_id": str(product.category_id or ""),
        "images": "\n".join(f"{image.url} | {image.alt}".rstrip(" |") for image in product.images),
        "attributes": "\n".join(f"{name}: {value}" for name, value in product.attributes.items()),
    }
    options = [*product.option_names, "", "", ""][:3]
    currency = product.variants[0].currency if product.variants else "EUR"
    rows = [_row(str(variant.id), fields) for variant in product.variants]
    rows += [FormRow(f"new{n}", {}, ["", "", ""], is_new=True) for n in range(1, new_rows + 1)]
    groups = {str(each) for each in product.collections}
    return ProductForm(values, rows, groups, options, json.dumps(fields), currency)


def _row(key: str, fields: Flat) -> FormRow:
    told = {name: fields[f"variants.{key}.{name}"] for name in ("sku", "barcode", "image_url")}
    currency = fields[f"variants.{key}.currency"]
    for name, column in AMOUNTS.items():
        value = fields[f"variants.{key}.{column}"]
        told[name] = "" if value is None else str(to_decimal(value, currency))
    for name in (*SIZES, "position"):
        value = fields[f"variants.{key}.{name}"]
        told[name] = "" if value is None else str(value)
    options = [*fields[f"variants.{key}.option_values"], "", "", ""][:3]
    return FormRow(key, told, options, archived=fields[f"variants.{key}.state"] != "active")


def typed(form: Mapping[str, str], lists: Mapping[str, list[str]], product: ProductDetail, now: Flat) -> ProductForm:
    """Return the form with what a person typed."""
    found = shown(product, now, NEW_ROWS)
    names = (*TEXTS, "tags", "category_id", "images", "attributes")
    found.values = {name: form.get(name, found.values[name]) for name in names}
    found.options = [form.get(f"option{n}", "") for n in (1, 2, 3)]
    found.collections = set(lists.get("collections", ()))
    found.base = form.get("base", "")
    rows = []
    for row in found.rows:
        prefix = f"v-{row.key}-"
        if not any(name.startswith(prefix) for name in form):
            if not row.is_new:
                rows.append(row)
            continue
        row.values = {
            name: form.get(prefix + name, "") for name in ("sku", "barcode", "image_url", "position", *AMOUNTS, *SIZES)
        }
        row.options = [form.get(f"{prefix}o{n}", "") for n in (1, 2, 3)]
        row.archived = form.get(f"{prefix}state") == "archived"
        rows.append(row)
    found.rows = rows
    return found


def base_of(form: ProductForm) -> Flat | None:
    """Return the product as the person saw it when the form was opened. Raises InvalidInput."""
    try:
        found = json.loads(form.base)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidInput("The form is not complete: open the product again.")
    return found


def edit_of(form: ProductForm, product: ProductDetail, base: Flat) -> ProductEdit:
    """Return what the person changed since the form was opened. Raises InvalidFields."""
    faults: dict[str, str] = {}
    options = [name for name in (text.strip() for text in form.options) if name]
    wanted: dict[str, Any] = {name: form.values[name].replace("\r\n", "\n") for name in TEXTS}
    wanted |= {
        "tags": list(dict.fromkeys(tag for each in form.values["tags"].split(",") if (tag := each.strip()))),
        "category_id": form.values["category_id"] or None,
        "collections": sorted(form.collections),
        "option_names": options,
    }
    for name, read in (("images", _images), ("attributes", _attributes)):
        try:
            wanted[name] = read(form.values[name])
        except InvalidInput as error:
            faults[name] = error.detail
    currency_of = {str(variant.id): variant.currency for variant in product.variants}
    edits = []
    for row in form.rows:
        if row.is_new and not row.values.get("sku"):
            continue
        fields = _variant(row, currency_of.get(row.key, form.currency), len(options), faults)
        prefix = f"variants.{row.key}."
        changed = {name: value for name, value in fields.items() if base.get(prefix + name, _NONE) != value}
        if changed:
            edits.append(VariantEdit(None if row.is_new else UUID(row.key), changed))
    if faults:
        raise InvalidFields(faults)
    differ = {name: value for name, value in wanted.items() if base.get(name, _NONE) != plain(value)}
    return ProductEdit(differ, tuple(edits))


_NONE = object()


def _variant(row: FormRow, currency: str, options: int, faults: dict[str, str]) -> dict[str, Any]:
    sku = row.values["sku"].strip()
    found: dict[str, Any] = {
        "sku": sku, "barcode": row.values["barcode"], "image_url": row.values["image_url"],
        "option_values": [value.strip() for value in row.options[:options]],
        "state": "archived" if row.archived else "active",
    }  # fmt: skip
    for name, column in AMOUNTS.items():
        text = row.values[name]
        try:
            found[column] = amount_typed(text, currency, f"{LABELS[column]} of {sku}") if text else None
        except InvalidInput as error:
            faults[f"variants.{row.key}.{column}"] = error.detail
    for name in (*SIZES, "position"):
        text = row.values[name]
        try:
            found[name] = whole_number(text, f"{LABELS[name]} of {sku}", maximum=10_000_000) if text else None
        except InvalidInput as error:
            faults[f"variants.{row.key}.{name}"] = error.detail
    if found.get("position") is None:
        found.pop("position", None)
    if row.is_new:
        return {name: value for name, value in found.items() if name != "state"}
    return found


def _images(text: str) -> list[Image]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [Image(url.strip(), alt.strip()) for url, _, alt in (line.partition("|") for line in lines)]


def _attributes(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, mark, value = line.partition(":")
        if not mark or not name.strip():
            raise InvalidInput(f"{line.strip()[:60]!r}: write a name, a colon and the value, such as Material: Steel.")
        found[name.strip()] = value.strip()
    return found


def label(name: str, now: Flat) -> str:
    """Return what people call a field: `Price of CUP-1`."""
    column = name.rpartition(".")[2]
    title = LABELS.get(column, column)
    variant = re.fullmatch(r"variants\.([^.]+)\.[a-z_]+", name)
    return f"{title} of {now.get(f'variants.{variant[1]}.sku', 'a new variant')}" if variant else title


def worded(name: str, value: Any, now: Flat) -> str:
    """Return the value of a field as people read it."""
    if value is None or value in ("", [], {}):
        return "empty"
    column = name.rpartition(".")[2]
    if column in AMOUNTS.values():
        currency = now.get(f"{name.removesuffix(column)}currency", "EUR")
        return f"{to_decimal(value, currency)} {currency}"
    if column == "images":
        return ", ".join(image["url"] for image in value)
    if isinstance(value, dict):
        return "; ".join(f"{key}: {text}" for key, text in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def changes_typed(form: Mapping[str, str]) -> list[Change]:
    """Return the changes of a bulk edit: rows of `field1` (as `price:percent`), `value1` or `choice1`."""
    found = []
    for number in range(1, CHANGE_ROWS + 1):
        key, _, action = form.get(f"field{number}", "").partition(":")
        if key:
            found.append(Change(key, action, form.get(f"value{number}") or form.get(f"choice{number}") or ""))
    return found


def decimal_typed(text: str, what: str, default: str = "0") -> Decimal:
    """Return a number that a person typed. Raises InvalidInput, naming `what`."""
    try:
        number = Decimal((text or default).replace(",", "."))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise InvalidInput(f"{what} must be a number such as 12.5.")
    return number


def id_typed(text: str) -> UUID | None:
    """Return the id that was chosen, or None. Raises NotFound."""
    return parse_id(text) if text else None
