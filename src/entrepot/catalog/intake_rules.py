"""What a product file would change: told against what there is. Pure.

The state is changed as it is gone through, so that two products of a file that turn out to be one are compared rightly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any
from uuid import UUID

from entrepot.catalog.categories import DEPTH_MAX
from entrepot.catalog.files.cells import slug
from entrepot.catalog.files.contracts import FileProduct, FileVariant, RowProblem
from entrepot.kernel.ids import new_id
from entrepot.kernel.money import exponent, to_decimal, to_minor

SHOWN_MAX = 300
PRODUCT_FIELDS = (
    "title", "description", "vendor", "product_type", "tags", "option_names", "status", "images", "seo_title",
    "seo_description",
)  # fmt: skip
VARIANT_FIELDS = (
    "title", "barcode", "option_values", "weight_g", "length_mm", "width_mm", "height_mm", "image_url",
)  # fmt: skip
AMOUNTS = {"price": "price_minor", "compare_at": "compare_at_minor", "cost": "cost_minor"}
Change = tuple[str, str, str, str]
"""(SKU or empty for the product, field, before, after), as text for people."""


class Outcome(StrEnum):
    """What a product of a file is to what there is."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(slots=True)
class ProductState:
    """A product as it is, or is to be. `category`: names from the root down."""

    id: UUID
    handle: str
    title: str
    description: str = ""
    vendor: str = ""
    product_type: str = ""
    tags: list[str] = field(default_factory=list)
    option_names: list[str] = field(default_factory=list)
    status: str = "active"
    images: list[dict[str, str]] = field(default_factory=list)
    category: list[str] = field(default_factory=list)
    category_id: UUID | None = None
    seo_title: str = ""
    seo_description: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    collections: list[str] = field(default_factory=list)
    joins: list[str] = field(default_factory=list)
    """Collections that it is to be added to."""
    new: bool = False
    changed: bool = False


@dataclass(slots=True)
class VariantState:
    """A variant as it is, or is to be. Money in minor units of `currency`."""

    id: UUID
    product_id: UUID
    sku: str
    price_minor: int
    currency: str
    barcode: str = ""
    title: str = ""
    option_values: list[str] = field(default_factory=list)
    compare_at_minor: int | None = None
    cost_minor: int | None = None
    weight_g: int | None = None
    position: int = 1
    length_mm: int | None = None
    width_mm: int | None = None
    height_mm: int | None = None
    image_url: str = ""
    new: bool = False
    changed: bool = False


@dataclass(slots=True)
class State:
    """The products and variants that a part of a file is about."""

    by_id: dict[UUID, ProductState] = field(default_factory=dict)
    by_handle: dict[str, ProductState] = field(default_factory=dict)
    variants: dict[str, VariantState] = field(default_factory=dict)
    of_product: dict[UUID, list[VariantState]] = field(default_factory=dict)

    def add_product(self, product: ProductState) -> None:
        """Take a product in."""
        self.by_id[product.id] = product
        self.by_handle[product.handle] = product

    def add_variant(self, variant: VariantState) -> None:
        """Take a variant in."""
        self.variants[variant.sku] = variant
        self.of_product.setdefault(variant.product_id, []).append(variant)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one product of a file comes to. `stock`: (variant, SKU, units) where the file tells."""

    outcome: Outcome
    product_id: UUID | None
    handle: str
    title: str
    changes: tuple[Change, ...] = ()
    problems: tuple[RowProblem, ...] = ()
    variants_new: tuple[str, ...] = ()
    variants_changed: int = 0
    stock: tuple[tuple[UUID, str, int, int], ...] = ()
    """(variant, SKU, units, row)."""


def compare(told: FileProduct, state: State, currency: str, *, only_known: bool = False) -> Finding:
    """Compare a product of a file with the state and bring the state to what it is to be.

    `currency`: of new variants where the file names none. `only_known`: unknown SKUs are refused, not made.
    """
    product = _product_of(told, state)
    new = product is None
    problems: list[RowProblem] = []
    variants = _usable(told, state, problems, only_known=only_known)
    if product is None:
        if not variants:
            if not problems:
                problems.append(
                    RowProblem(
                        told.row, "", "The product has no variant.", "", told.handle, "Give it a price and a SKU."
                    )
                )
            return Finding(Outcome.REFUSED, None, told.handle, told.fields.get("title", ""), (), tuple(problems))
        product = _made(told, state)
    changes: list[Change] = []
    _compare_product(told, product, changes, problems)
    made: list[str] = []
    touched = 0
    for variant in variants:
        found = state.variants.get(variant.sku)
        if found is None:
            found = _made_variant(variant, product, state, currency)
            made.append(variant.sku)
            if not new:
                changes.append((variant.sku, "variant", "", _money(found.price_minor, found.currency)))
            continue
        before = len(changes)
        _compare_variant(variant, found, product, state, changes)
        touched += len(changes) > before
    touched += _order(told, product, [state.variants[v.sku] for v in variants], state, changes)
    if new:
        outcome, changes = Outcome.NEW, []
    else:
        outcome = Outcome.CHANGED if changes else Outcome.UNCHANGED
    stock = tuple((state.variants[v.sku].id, v.sku, v.stock, v.row) for v in variants if v.stock is not None)
    return Finding(
        outcome, product.id, product.handle, product.title, tuple(changes), tuple(problems), tuple(made), touched, stock
    )


def candidate_handle(told: FileProduct) -> str:
    """Return the handle that a product is looked for under, or is to have if it is new."""
    if told.handle:
        return told.handle
    first = told.variants[0].sku if told.variants else ""
    return str(told.fields.get("handle_wish") or slug(first) or slug(str(told.fields.get("title", ""))) or first)


def _product_of(told: FileProduct, state: State) -> ProductState | None:
    if told.handle:
        return state.by_handle.get(told.handle)
    found = next((state.variants[v.sku] for v in told.variants if v.sku in state.variants), None)
    return state.by_id.get(found.product_id) if found is not None else None


def _usable(told: FileProduct, state: State, problems: list[RowProblem], *, only_known: bool) -> list[FileVariant]:
    usable = []
    for variant in told.variants:
        if variant.sku not in state.variants:
            if only_known:
                problems.append(
                    RowProblem(
                        variant.row, variant.sku, "There is no variant with this SKU.", "sku", variant.sku,
                        "Correct the SKU, or import the product first.",
                    )
                )  # fmt: skip
                continue
            if variant.fields.get("price") is None:
                problems.append(
                    RowProblem(
                        variant.row, variant.sku, "The price is missing: a new variant needs one.", "price", "",
                        "Write a price, 0 or more.",
                    )
                )  # fmt: skip
                continue
        usable.append(variant)
    return usable


def _made(told: FileProduct, state: State) -> ProductState:
    handle = candidate_handle(told)
    if handle in state.by_handle:
        # Another product has it: the SKU's own ending makes it this one's.
        handle = f"{handle[:180]}-{new_id().hex[-8:]}"
    title = told.fields.get("title") or told.handle or told.variants[0].sku
    product = ProductState(new_id(), handle, title, new=True)
    state.add_product(product)
    return product


def _compare_product(
    told: FileProduct, product: ProductState, changes: list[Change], problems: list[RowProblem]
) -> None:
    fields = told.fields
    before = len(changes)
    for name in PRODUCT_FIELDS:
        if name not in fields:
            continue
        if product.new:  # Nothing to compare with, and nobody reads what it was before.
            setattr(product, name, fields[name])
        else:
            _set(product, name, fields[name], "", changes)
    if fields.get("images_more"):
        urls = {image["url"] for image in product.images}
        more = [image for image in fields["images_more"] if image["url"] not in urls]
        if more:
            _set(product, "images", product.images + more, "", changes)
    if "attributes" in fields:
        merged = {**product.attributes, **fields["attributes"]}
        _set(product, "attributes", {name: value for name, value in merged.items() if value}, "", changes)
    path = fields.get("category")
    if path and (len(path) > DEPTH_MAX or any(len(name) > 200 for name in path)):
        problems.append(
            RowProblem(
                told.row, "", f"A category has at most {DEPTH_MAX} levels, each of at most 200 characters."
                " The category is left as it is.", "category", " > ".join(path)[:200], "Shorten it.",
            )
        )  # fmt: skip
    elif path:
        _set(product, "category", list(path), "", changes)
    joins = [title for title in fields.get("collections") or () if title not in product.collections]
    if joins:
        changes.append(("", "collections", ", ".join(product.collections), ", ".join(product.collections + joins)))
        product.joins += joins
        product.collections = product.collections + joins
    product.changed = product.changed or len(changes) > before


def _made_variant(told: FileVariant, product: ProductState, state: State, currency: str) -> VariantState:
    currency = told.fields.get("currency") or currency
    last = max((variant.position for variant in state.of_product.get(product.id, ())), default=0)
    variant = VariantState(
        new_id(), product.id, told.sku, _minor(told.fields["price"], currency), currency, position=last + 1, new=True
    )
    variant.title = told.fields.get("title_wish", "")
    for name in VARIANT_FIELDS:
        if told.fields.get(name) is not None:
            setattr(variant, name, told.fields[name])
    for name, column in AMOUNTS.items():
        if told.fields.get(name) is not None:
            setattr(variant, column, _minor(told.fields[name], currency))
    state.add_variant(variant)
    return variant


def _compare_variant(
    told: FileVariant, variant: VariantState, product: ProductState, state: State, changes: list[Change]
) -> None:
    before, sku = len(changes), told.sku
    if variant.product_id != product.id:
        former = state.by_id.get(variant.product_id)
        changes.append((sku, "product", former.handle if former else "", product.handle))
        state.of_product[variant.product_id].remove(variant)
        variant.product_id = product.id
        state.of_product.setdefault(product.id, []).append(variant)
    currency = told.fields.get("currency") or variant.currency
    if currency != variant.currency:
        changes.append((sku, "currency", variant.currency, currency))
        variant.currency = currency
    for name, column in AMOUNTS.items():
        if name in told.fields:
            text = told.fields[name]
            minor = None if text is None else _minor(text, currency)
            old = getattr(variant, column)
            if minor != old:
                changes.append((sku, name.replace("_", "-"), _money(old, currency), _money(minor, currency)))
                setattr(variant, column, minor)
    values = variant.option_values
    for name in VARIANT_FIELDS:
        if name in told.fields:
            _set(variant, name, told.fields[name], sku, changes)
    if variant.option_values is not values and "title" not in told.fields and "title_wish" in told.fields:
        _set(variant, "title", told.fields["title_wish"], sku, changes)
    variant.changed = variant.changed or (len(changes) > before and not variant.new)


def _order(
    told: FileProduct, product: ProductState, variants: Sequence[VariantState], state: State, changes: list[Change]
) -> int:
    """Bring the variants into the file's order, if it has one; return how many were moved that were there before."""
    if not told.ordered:
        return 0
    keys = [(variant.position, variant.sku) for variant in variants]
    if all(a < b for a, b in pairwise(keys)):
        return 0
    moved = 0
    for position, variant in enumerate(variants, start=1):
        if variant.position != position:
            if not variant.new:
                changes.append((variant.sku, "position", str(variant.position), str(position)))
                moved += not variant.changed
                variant.changed = True
            variant.position = position
    return moved


def _set(target: Any, name: str, value: Any, sku: str, changes: list[Change]) -> None:
    old = getattr(target, name)
    if value is None and isinstance(old, str):
        value = ""
    if value == old or _alike(old, value):
        return
    changes.append((sku, name.replace("_", " "), shown(old), shown(value)))
    setattr(target, name, value)


def _alike(old: Any, new: Any) -> bool:
    """Return whether two values differ only in what a file cannot carry: blanks around text, kinds of line ends."""
    if isinstance(old, str) and isinstance(new, str):
        return _flat(old) == _flat(new)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(a == b or _alike(a, b) for a, b in zip(old, new, strict=True))
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(a == new[key] or _alike(a, new[key]) for key, a in old.items())
    return False


def _flat(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def shown(value: Any) -> str:
    """Return a value as people read it in a list of changes, shortened."""
    if value is None:
        text = ""
    elif isinstance(value, Mapping):
        text = ", ".join(f"{name}: {each}" for name, each in sorted(value.items()))
    elif isinstance(value, list):
        text = ", ".join(_each(part) for part in value)
    else:
        text = str(value)
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"


def _each(part: Any) -> str:
    if isinstance(part, Mapping):
        return f"{part.get('url', '')} ({part['alt']})" if part.get("alt") else str(part.get("url", ""))
    return str(part)


def _minor(text: str, currency: str) -> int:
    """Return an amount in minor units; the usual kind without the cost of decimals."""
    whole, _, part = text.partition(".")
    if len(part) == 2 and part.isdecimal() and whole.isdecimal() and exponent(currency) == 2:
        return int(whole) * 100 + int(part)
    return to_minor(text, currency)


def _money(minor: int | None, currency: str) -> str:
    return "" if minor is None else f"{to_decimal(minor, currency)} {currency}"
