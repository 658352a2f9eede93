"""Which fields of a listing are compared, what they are, and where their value lives on our side. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from entrepot.kernel.errors import InvalidInput
from entrepot.sync.merge.values import FieldKind


class UnknownField(InvalidInput):
    """There is no such field of a listing."""


class Level(StrEnum):
    """Whose value it is: the product's (shared by its variants) or the variant's own."""

    PRODUCT = "product"
    VARIANT = "variant"


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `required`: an empty value of it is no value. `weight`: how much a wrong one harms, 0 to 50."""

    name: str
    title: str
    kind: FieldKind
    level: Level
    required: bool = False
    weight: int = 10


FIELDS = {
    field.name: field
    for field in (
        Field("title", "Title", FieldKind.TEXT, Level.PRODUCT, required=True, weight=25),
        Field("description", "Description", FieldKind.HTML, Level.PRODUCT, weight=15),
        Field("vendor", "Vendor", FieldKind.TEXT, Level.PRODUCT),
        Field("product_type", "Type", FieldKind.TEXT, Level.PRODUCT, weight=5),
        Field("tags", "Tags", FieldKind.TAGS, Level.PRODUCT, weight=5),
        Field("images", "Images", FieldKind.IMAGES, Level.PRODUCT, weight=15),
        Field("price", "Price", FieldKind.MONEY, Level.VARIANT, required=True, weight=50),
        Field("compare_at", "Compare-at price", FieldKind.MONEY, Level.VARIANT, weight=30),
        Field("barcode", "Barcode", FieldKind.BARCODE, Level.VARIANT, weight=20),
        Field("options", "Options", FieldKind.OPTIONS, Level.VARIANT, weight=20),
    )
}


def field_of(name: str) -> Field:
    """Return a field by name. Raises UnknownField."""
    try:
        return FIELDS[name]
    except KeyError:
        raise UnknownField(f"There is no field {name!r}; fields are {', '.join(FIELDS)}.") from None
