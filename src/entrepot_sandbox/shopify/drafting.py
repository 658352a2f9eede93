"""What a productSet asks for: checked whole first, then carried out whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from entrepot_sandbox.books import Listing, Product
from entrepot_sandbox.journal import WriteKind
from entrepot_sandbox.sheets import Picture, Sheet
from entrepot_sandbox.shopify import ids
from entrepot_sandbox.shopify.ids import gid
from entrepot_sandbox.shopify.products import NO_OPTION, NO_TITLE
from entrepot_sandbox.shopify.state import State
from entrepot_sandbox.shopify.words import handle_of

VARIANTS_MAX, OPTIONS_MAX, TAGS_MAX, TEXT_MAX = 2048, 3, 250, 255
_SHOWN = frozenset({"ACTIVE", "UNLISTED"})
_GRAMS = {
    "GRAMS": Decimal(1),
    "KILOGRAMS": Decimal(1000),
    "OUNCES": Decimal("28.349523125"),
    "POUNDS": Decimal("453.59237"),
}
Row = Mapping[str, Any]


class Objection:
    """A user error: code, message, path."""

    def __init__(self, code: str, message: str, *path: str) -> None:
        self.code, self.message, self.path = code, message, path

    def node(self) -> dict[str, Any]:
        """Return it as the channel answers it."""
        return {"code": self.code, "field": list(self.path), "message": self.message}


@dataclass(frozen=True, slots=True)
class Plan:
    """A productSet that can be carried out, if there are no objections. `sheet` None: a new product."""

    wanted: Row
    sheet: Sheet | None
    handle: str
    objections: tuple[Objection, ...]


def price_of(written: object) -> Decimal | None:
    """Return an amount of money, None if it is none or below zero."""
    try:
        value = Decimal(str(written))
    except InvalidOperation:
        return None
    return value.quantize(Decimal("0.01")) if value.is_finite() and value >= 0 else None


def plan(state: State, wanted: Row, sheet: Sheet | None) -> Plan:
    """Look at everything that is asked for."""
    handle = wanted.get("handle") or (sheet.handle if sheet else handle_of(str(wanted.get("title") or "")))
    objections = [
        *field_objections(wanted, is_new=sheet is None),
        *_handle_objections(state, wanted, sheet),
        *_file_objections(wanted, sheet),
        *_variant_objections(state, wanted, sheet),
    ]
    if sheet is None and not wanted.get("handle"):
        handle = _free(state, handle)
    return Plan(wanted, sheet, handle, tuple(objections))


def _free(state: State, handle: str) -> str:
    """Return the handle, with a number if it is taken: that is what the shop does where none was asked for."""
    number, free = 0, handle
    while state.by_handle(free) is not None:
        number += 1
        free = f"{handle}-{number}"
    return free


def field_objections(wanted: Row, *, is_new: bool) -> Iterator[Objection]:
    """Yield what is wrong with the product's own fields."""
    title = wanted.get("title")
    if (is_new and not title) or (title is not None and not str(title).strip()):
        yield Objection("INVALID_PRODUCT", "Title can't be blank", "input", "title")
    for name, said in (("title", "Title"), ("vendor", "Vendor"), ("productType", "Product type")):
        if len(str(wanted.get(name) or "")) > TEXT_MAX:
            message = f"{said} is too long (maximum is {TEXT_MAX} characters)"
            yield Objection("INVALID_PRODUCT", message, "input", name)
    tags = wanted.get("tags") or ()
    if len(tags) > TAGS_MAX:
        yield Objection("INVALID_PRODUCT", f"Product tags can't have more than {TAGS_MAX} tags", "input", "tags")
    if any(len(tag) > TEXT_MAX for tag in tags):
        yield Objection("INVALID_PRODUCT", "Product tags is invalid", "input", "tags")
    category = wanted.get("category")
    if category and not str(category).startswith("gid://shopify/TaxonomyCategory/"):
        yield Objection("INVALID_INPUT", f"Invalid global id '{category}'", "input", "category")


def _handle_objections(state: State, wanted: Row, sheet: Sheet | None) -> Iterator[Objection]:
    handle = wanted.get("handle")
    holder = state.by_handle(handle) if handle else None
    if holder is not None and holder is not sheet:
        message = f"Handle '{handle}' already in use. Please provide a new handle."
        yield Objection("HANDLE_NOT_UNIQUE", message, "input", "handle")


def _file_objections(wanted: Row, sheet: Sheet | None) -> Iterator[Objection]:
    known = {each.id for each in sheet.pictures} if sheet else set()
    for index, file in enumerate(wanted.get("files") or ()):
        path = ("input", "files", str(index))
        if file.get("id"):
            if file["id"] not in known:
                yield Objection("INVALID_INPUT", "File does not exist", *path, "id")
            continue
        parts = urlsplit(file.get("originalSource") or "")
        if parts.scheme not in ("http", "https") or not parts.netloc:
            yield Objection("INVALID_INPUT", "Image URL is invalid", *path, "originalSource")
        if len(file.get("alt") or "") > 512:
            yield Objection("INVALID_INPUT", "The alt value exceeds the maximum limit of 512.", *path, "alt")


def _variant_objections(state: State, wanted: Row, sheet: Sheet | None) -> Iterator[Objection]:
    options, rows = wanted.get("productOptions"), wanted.get("variants")
    if options is None and rows is None:
        return
    if rows is None:
        yield Objection("VARIANTS_INPUT_MISSING", "Must specify variants when updating options.", "input", "variants")
        return
    if options is None:
        message = "Must specify product options when updating variants."
        yield Objection("PRODUCT_OPTIONS_INPUT_MISSING", message, "input", "productOptions")
        return
    if len(options) > OPTIONS_MAX:
        yield Objection("OPTIONS_OVER_LIMIT", "Options over limit.", "input", "productOptions")
    if len(rows) > VARIANTS_MAX:
        yield Objection("VARIANTS_OVER_LIMIT", "Number of product variants exceeds shop limit.", "input", "variants")
    names = [each.get("name") or "" for each in options]
    if len({name.lower() for name in names}) < len(names):
        yield Objection("DUPLICATED_OPTION_NAME", "Duplicated option name.", "input", "productOptions")
    allowed = {each.get("name"): {value.get("name") for value in each.get("values") or ()} for each in options}
    seen: set[tuple[str, ...]] = set()
    for index, row in enumerate(rows):
        path = ("input", "variants", str(index))
        values = _values(row, names)
        if values is None or any(value not in allowed[name] for name, value in zip(names, values, strict=True)):
            yield Objection("OPTION_VALUE_DOES_NOT_EXIST", "Option value does not exist.", *path, "optionValues")
        elif any(len(value) > TEXT_MAX for value in values):
            yield Objection("INVALID_VARIANT", "Option value name is too long.", *path, "optionValues")
        elif values in seen:
            title = " / ".join(values)
            message = f"The variant '{title}' already exists. Please change at least one option value."
            yield Objection("INVALID_VARIANT", message, *path, "optionValues")
        seen.add(values or ())
        yield from _row_objections(state, row, sheet, path)


def _row_objections(state: State, row: Row, sheet: Sheet | None, path: tuple[str, ...]) -> Iterator[Objection]:
    listing = state.by_variant.get(ids.number_of(row["id"], "ProductVariant") or "") if row.get("id") else None
    if row.get("id") and (listing is None or listing.sheet is not sheet):
        yield Objection("PRODUCT_VARIANT_DOES_NOT_EXIST", "Product variant does not exist.", *path, "id")
    for name in ("price", "compareAtPrice"):
        if row.get(name) is not None and price_of(row[name]) is None:
            yield Objection("INVALID_VARIANT", "Price must be greater than or equal to 0", *path, name)
    for number, level in enumerate(row.get("inventoryQuantities") or ()):
        if ids.number_of(level["locationId"], "Location") != str(ids.LOCATION):
            message = "Inventory level location does not exist"
            yield Objection("INVALID_VARIANT", message, *path, "inventoryQuantities", str(number), "locationId")


def _values(row: Row, names: Sequence[str]) -> tuple[str, ...] | None:
    """Return a variant's values in the order of the options, None if one is missing."""
    given = {each.get("optionName"): each.get("name") for each in row["optionValues"]}
    values = tuple(given.get(name) or "" for name in names)
    return values if all(values) and len(given) == len(names) else None


# -- carrying out -------------------------------------------------------------------------------------------


def carry_out(state: State, plan: Plan) -> tuple[Sheet, bool]:
    """Make it so; return the product, and whether it is new."""
    now, wanted, sheet = state.desk.now(), plan.wanted, plan.sheet
    is_new = sheet is None
    if sheet is None:
        sheet = Sheet(state.next_number("product"), "", "ACTIVE", now, now, handle=plan.handle, vendor="Entrepot Demo")
        sheet.option_names = [NO_OPTION]
        state.sheets[sheet.id] = sheet
    change_fields(state, sheet, wanted)
    if wanted.get("metafields") is not None:
        sheet.extra["metafields"] = {
            (each.get("namespace"), each.get("key")): {"value": each.get("value") or "", "type": each.get("type") or ""}
            for each in wanted["metafields"]
        }
    if wanted.get("files") is not None:
        sheet.pictures = [_picture(state, each, sheet) for each in wanted["files"]]
    if wanted.get("variants") is not None:
        _set_variants(state, sheet, wanted)
    elif is_new:
        _set_variants(state, sheet, _DEFAULT)
    sheet.touch(now)
    return sheet, is_new


_DEFAULT: Row = {
    "productOptions": [{"name": NO_OPTION}],
    "variants": [{"optionValues": [{"optionName": NO_OPTION, "name": NO_TITLE}]}],
}


def change_fields(state: State, sheet: Sheet, wanted: Row) -> None:
    """Change the product's own fields that are given."""
    for name, field in (
        ("title", "title"),
        ("descriptionHtml", "description_html"),
        ("vendor", "vendor"),
        ("productType", "product_type"),
        ("category", "category"),
        ("handle", "handle"),
        ("status", "status"),
    ):
        if wanted.get(name) is not None:
            setattr(sheet, field, wanted[name])
    if wanted.get("tags") is not None:
        sheet.tags = list({tag.strip().lower(): tag.strip() for tag in reversed(wanted["tags"])}.values())[::-1]
    if wanted.get("seo") is not None:
        sheet.seo_title = wanted["seo"].get("title") or ""
        sheet.seo_description = wanted["seo"].get("description") or ""
    sheet.shown = sheet.status in _SHOWN
    state.handles[sheet.handle] = sheet


def _picture(state: State, file: Row, sheet: Sheet) -> Picture:
    if file.get("id"):
        kept = next(each for each in sheet.pictures if each.id == file["id"])
        return Picture(kept.id, kept.url, file["alt"] if file.get("alt") is not None else kept.alt)
    name = file.get("filename") or urlsplit(file["originalSource"]).path.rpartition("/")[2] or "image.jpg"
    number = state.next_number("media")
    return Picture(
        gid("MediaImage", number),
        f"https://cdn.shopify.com/s/files/1/0582/files/{name}?v={number}",
        file.get("alt") or "",
    )


def _set_variants(state: State, sheet: Sheet, wanted: Row) -> None:
    names = [each["name"] for each in wanted["productOptions"]]
    kept: list[Listing] = []
    by_values = {each.options: each for each in sheet.listings} if sheet.option_names == names else {}
    sheet.option_names = names
    rows = []
    for row in wanted["variants"]:
        values = _values(row, names) or ()
        listing = state.by_variant.get(ids.number_of(row["id"], "ProductVariant") or "") if row.get("id") else None
        rows.append((row, values, listing or by_values.get(values)))
    for gone in [each for each in sheet.listings if all(each is not kept_one for _, _, kept_one in rows)]:
        remove_variant(state, gone)
    for row, values, known in rows:
        listing = known or _new_variant(state, sheet, row)
        listing.options = values
        change_variant(state, listing, row)
        kept.append(listing)
    sheet.listings = kept
    for listing in kept:
        title = sheet.title if listing.options == (NO_TITLE,) else f"{sheet.title} - {' / '.join(listing.options)}"
        state.shop.change_product(listing, replace(listing.product, title=title))


def _new_variant(state: State, sheet: Sheet, row: Row) -> Listing:
    sku = (row.get("inventoryItem") or {}).get("sku") or row.get("sku") or ""
    truth = state.desk.world.products.get(sku)
    product = Product(sku, sheet.title, Decimal(0), state.currency, "", truth.stock if truth else 0)
    numbers = {"product": sheet.id, "item": state.next_number("item")}
    listing: Listing = state.shop.add_listing(product, state.next_number("variant"), numbers)
    listing.sheet = sheet
    state.know(listing)
    for level in row.get("inventoryQuantities") or ():
        if level["quantity"]:
            state.shop.write_quantity(listing, level["quantity"], kind=WriteKind.ABSOLUTE, request_id=listing.id)
    return listing


def change_variant(state: State, listing: Listing, row: Row) -> None:
    """Change what is given of a variant."""
    product = listing.product
    price = price_of(row["price"]) if row.get("price") is not None else None
    if price is not None:
        product = replace(product, price=price)
    if "barcode" in row:
        product = replace(product, barcode=row["barcode"] or "")
    item = row.get("inventoryItem") or {}
    sku = item.get("sku", row.get("sku"))
    if sku is not None:
        product = replace(product, sku=sku)
    if "compareAtPrice" in row:
        listing.compare_at = price_of(row["compareAtPrice"]) if row["compareAtPrice"] is not None else None
    weight = (item.get("measurement") or {}).get("weight")
    if weight is not None:
        listing.weight_g = int((Decimal(str(weight["value"])) * _GRAMS[weight["unit"]]).to_integral_value())
    state.shop.change_product(listing, product)


def remove_variant(state: State, listing: Listing) -> None:
    """Take a variant out of its product and the shop."""
    state.forget(listing)
    state.shop.remove_listing(listing)
    if listing.sheet is not None:
        listing.sheet.listings = [each for each in listing.sheet.listings if each is not listing]
