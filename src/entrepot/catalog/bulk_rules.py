"""What a bulk edit does to one product: its fields before and after, or why it cannot be. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from typing import Any
from uuid import UUID

from entrepot.catalog.filters import STATUSES
from entrepot.catalog.product_rules import AMOUNT_MAX, LENGTHS, SIZE_MAX
from entrepot.catalog.snapshot import Flat
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.money import exponent

TEXTS = ("vendor", "product_type")
LISTS = ("tags", "collections")
AMOUNTS = {"price": "price_minor", "compare_at": "compare_at_minor", "cost": "cost_minor"}
FIELDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "status": ("Status", ("set",)),
    "vendor": ("Vendor", ("set",)),
    "product_type": ("Type", ("set",)),
    "category_id": ("Category", ("set", "clear")),
    "tags": ("Tags", ("add", "remove", "set")),
    "collections": ("Collections", ("add", "remove")),
    "price": ("Price", ("set", "percent", "amount")),
    "compare_at": ("Compare-at price", ("set", "percent", "amount", "clear")),
    "cost": ("Cost", ("set", "percent", "amount", "clear")),
    "weight_g": ("Weight in grams", ("set", "clear")),
}
"""What can be changed of many products at once, and how."""
ACTIONS = {
    "set": "set to", "add": "add", "remove": "remove", "clear": "make empty", "percent": "change by percent",
    "amount": "change by amount",
}  # fmt: skip
CHANGES_MAX = 20


class InvalidBulkEdit(InvalidInput):
    """The bulk edit is not valid."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change: a field, how, and with which value (as a person types it; several tags or ids parted by commas)."""

    field: str
    action: str
    value: str = ""

    @property
    def words(self) -> str:
        """The change as people read it."""
        return f"{FIELDS[self.field][0]}: {ACTIONS[self.action]}{f' {self.value}' if self.value else ''}"


class Problem(Exception):
    """A product that a change cannot be done to, and why."""


def archives(changes: Sequence[Change]) -> bool:
    """Return whether these changes archive products."""
    return any(each.field == "status" and each.value.strip() == "archived" for each in changes)


def check_changes(changes: Sequence[Change]) -> None:
    """Raise InvalidBulkEdit unless these changes can be done to products at all."""
    if not 0 < len(changes) <= CHANGES_MAX:
        raise InvalidBulkEdit(f"Choose 1 to {CHANGES_MAX} changes.")
    for change in changes:
        if change.field not in FIELDS:
            raise InvalidBulkEdit(f"{change.field!r} cannot be changed in bulk. Known: {', '.join(FIELDS)}.")
        title, actions = FIELDS[change.field]
        if change.action not in actions:
            raise InvalidBulkEdit(f"{title}: {change.action!r} is not one of {', '.join(actions)}.")
        _check_value(change, title)
    if len({(c.field, c.action) for c in changes}) < len(changes):
        raise InvalidBulkEdit("Name each change once.")


def _check_value(change: Change, title: str) -> None:
    value = change.value.strip()
    if "\x00" in value:
        raise InvalidBulkEdit(f"{title}: the value holds a character that is none.")
    if change.action == "clear":
        return
    if change.field == "status" and value not in STATUSES:
        raise InvalidBulkEdit(f"A status is one of {', '.join(STATUSES)}, not {value!r}.")
    if change.field in TEXTS and len(value) > LENGTHS[change.field]:
        raise InvalidBulkEdit(f"{title} has at most {LENGTHS[change.field]} characters.")
    if change.field in LISTS and not parts(value) and change.action != "set":
        raise InvalidBulkEdit(f"{title}: say which.")
    if change.field == "tags" and any(len(tag) > 200 for tag in parts(value)):
        raise InvalidBulkEdit("A tag has at most 200 characters.")
    if change.field == "category_id":
        _id(value, title)
    if change.field == "collections":
        for each in parts(value):
            _id(each, title)
    if change.field in AMOUNTS:
        number = _number(value, title)
        if change.action == "set" and number < 0:
            raise InvalidBulkEdit(f"{title} cannot be less than nothing.")
        if change.action == "percent" and not -100 < number <= 10_000:
            raise InvalidBulkEdit(f"{title} changes by more than -100% and at most 10,000%.")
    if change.field == "weight_g":
        weight = _number(value, title)
        if weight != weight.to_integral_value() or not 0 <= weight <= SIZE_MAX:
            raise InvalidBulkEdit("A weight is a whole number of grams.")


def parts(value: str) -> list[str]:
    """Return the values that commas part, each once, without empty ones."""
    return list(dict.fromkeys(part for each in value.split(",") if (part := each.strip())))


def _id(value: str, title: str) -> None:
    try:
        UUID(value)
    except ValueError:
        raise InvalidBulkEdit(f"{title}: {value!r} is no id.") from None


def _number(value: str, title: str) -> Decimal:
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number) >= 10**12:
        raise InvalidBulkEdit(f"{title}: {value!r} is not a number such as 12.50.")
    return number


def apply(fields: Flat, changes: Sequence[Change]) -> tuple[Flat, Flat]:
    """Return what the changes make of a product: the fields that differ, before and after. Raises Problem.

    Amounts change for each variant in use. A change by percent is rounded half up to the smallest coin.
    """
    after = dict(fields)
    for change in changes:
        if change.field in AMOUNTS or change.field == "weight_g":
            _each_variant(after, change)
        elif change.field in LISTS:
            after[change.field] = _list(after[change.field], change)
        else:
            after[change.field] = None if change.action == "clear" else change.value.strip()
    if len(after["tags"]) > 100:
        raise Problem("It would have more than 100 tags.")
    differ = [name for name in after if after[name] != fields[name]]
    return {name: fields[name] for name in differ}, {name: after[name] for name in differ}


def _list(present: Sequence[str], change: Change) -> list[str]:
    named = parts(change.value)
    if change.action == "set":
        return named
    if change.action == "remove":
        return [each for each in present if each not in named]
    return [*present, *(each for each in named if each not in present)]


def _each_variant(fields: dict[str, Any], change: Change) -> None:
    column = AMOUNTS.get(change.field, change.field)
    for name in [name for name in fields if name.startswith("variants.") and name.endswith(f".{column}")]:
        prefix = name.removesuffix(column)
        if fields[f"{prefix}state"] != "active":
            continue
        if change.field == "weight_g":
            fields[name] = None if change.action == "clear" else int(Decimal(change.value))
        else:
            fields[name] = _amount(fields[name], change, fields[f"{prefix}currency"], fields[f"{prefix}sku"])


def _amount(present: int | None, change: Change, currency: str, sku: str) -> int | None:
    title = FIELDS[change.field][0].lower()
    if change.action == "clear":
        return None
    with localcontext(prec=60):
        value = Decimal(change.value)
        scaled = value * 10 ** exponent(currency)
        if change.action != "percent" and scaled != scaled.to_integral_value():
            raise Problem(f"{sku}: {value} has more decimal places than {currency} has.")
        if change.action == "set":
            return int(scaled)
        if present is None:
            raise Problem(f"{sku} has no {title} that could be changed.")
        exact = present * (1 + value / 100) if change.action == "percent" else present + scaled
        found = int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))
    if found < 0:
        raise Problem(f"{sku}: the {title} would be less than nothing.")
    if found >= AMOUNT_MAX:
        raise Problem(f"{sku}: the {title} would be out of bounds.")
    return found


def restore(before: Mapping[str, Any], after: Mapping[str, Any], now: Flat) -> tuple[Flat, list[str]]:
    """Return the fields that an undo sets back, and those that somebody changed since, which it leaves alone."""
    back = {name: value for name, value in before.items() if now.get(name, _GONE) == after[name]}
    left = [name for name in before if name not in back and now.get(name, _GONE) != before[name]]
    return back, left


_GONE = object()


def described(name: str, skus: Mapping[str, str]) -> str:
    """Return the name of a field for people: `Price of CUP-1`."""
    parts_of = name.split(".")
    column = parts_of[-1]
    title = next((t for key, (t, _) in FIELDS.items() if AMOUNTS.get(key, key) == column), column)
    return f"{title} of {skus.get(parts_of[1], '?')}" if len(parts_of) == 3 else title
