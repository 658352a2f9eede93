"""Which products are meant: a filter, and the parameters that write it in addresses, saved views and bulk edits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from uuid import UUID

from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.money import to_minor

STATUSES = ("active", "draft", "archived")
SORTS = {"title": "Title", "-title": "Title, Z first", "updated": "Changed last", "created": "Made last"}
TEXT_MAX = 200
NAMES = (
    "q", "status", "vendor", "type", "category", "tag", "collection", "channel", "listed", "price_min", "price_max",
    "image", "sort",
)  # fmt: skip
"""The parameters. Any other is none of a filter."""


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """Which products, in which order: every field narrows. `search`: starts of words of title, vendor and type, or
    the start of a SKU, or a barcode. `category_id`: with the categories below it. `listed`: on the connection
    `connection_id`, or on any. Prices in minor units of `currency`: of any variant.
    """

    search: str = ""
    status: str | None = None
    product_type: str | None = None
    vendor: str | None = None
    category_id: UUID | None = None
    tag: str | None = None
    collection_id: UUID | None = None
    connection_id: UUID | None = None
    listed: bool | None = None
    price_min_minor: int | None = None
    price_max_minor: int | None = None
    currency: str = "EUR"
    has_image: bool | None = None
    sort: str = "title"

    @property
    def narrows(self) -> bool:
        """Return whether it leaves anything out."""
        plain = ("sort", "currency")
        return any(getattr(self, each.name) not in (None, "") for each in fields(self) if each.name not in plain)


def filter_of(parameters: Mapping[str, str], currency: str) -> ProductFilter:
    """Return the filter that parameters write; those it does not know are ignored.

    `currency`: in which prices are written. Raises InvalidInput, naming the parameter.
    """
    told = {name: (parameters.get(name) or "").replace("\x00", "").strip() for name in NAMES}
    for name, value in told.items():
        if len(value) > TEXT_MAX:
            raise InvalidInput(f"{name} has more than {TEXT_MAX} characters.")
    connection_id = _id(told["channel"], "channel")
    return ProductFilter(
        search=told["q"],
        status=_one_of(told["status"], STATUSES, "status"),
        product_type=told["type"] or None,
        vendor=told["vendor"] or None,
        category_id=_id(told["category"], "category"),
        tag=told["tag"] or None,
        collection_id=_id(told["collection"], "collection"),
        connection_id=connection_id,
        listed=_yes_no(told["listed"], "listed") if told["listed"] else (True if connection_id else None),
        price_min_minor=_amount(told["price_min"], currency, "price_min"),
        price_max_minor=_amount(told["price_max"], currency, "price_max"),
        currency=currency,
        has_image=_yes_no(told["image"], "image"),
        sort=_one_of(told["sort"], tuple(SORTS), "sort") or "title",
    )


def parameters_of(told: Mapping[str, str]) -> dict[str, str]:
    """Return those parameters of an address that belong to a filter and say something."""
    return {name: value for name in NAMES if (value := (told.get(name) or "").strip())}


def _one_of(value: str, known: tuple[str, ...], name: str) -> str | None:
    if value and value not in known:
        raise InvalidInput(f"{value!r} is not a {name} of products. Known: {', '.join(known)}.")
    return value or None


def _yes_no(value: str, name: str) -> bool | None:
    if value not in ("", "yes", "no"):
        raise InvalidInput(f"{name} is yes or no, not {value!r}.")
    return {"yes": True, "no": False}.get(value)


def _id(value: str, name: str) -> UUID | None:
    try:
        return UUID(value) if value else None
    except ValueError:
        raise InvalidInput(f"{value!r} is no id of a {name}.") from None


def _amount(value: str, currency: str, name: str) -> int | None:
    if not value:
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or not 0 <= amount < 10**12:
        raise InvalidInput(f"{name} must be an amount such as 12.50, not {value!r}.")
    return to_minor(amount, currency)
