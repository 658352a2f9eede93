"""Our side of a listing's fields: what the catalog says, or what the listing has of its own. And writing into it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.catalog.facade import ChannelPrice, Takeover
from entrepot.sync.merge import values
from entrepot.sync.merge.fields import FIELDS, Level
from entrepot.sync.merge.values import EMPTY, Value

Offer = Mapping[str, Any]
"""A row of `catalog.offers`."""


def ours_of(offer: Offer, listed: ChannelPrice | None) -> dict[str, Value]:
    """Return the catalog's value of every field for a listing. `listed`: what the variant costs on its connection.

    A price in another currency than the listing's is missing: no rule of the catalog tells what it is there.
    """
    names: Sequence[str] = offer["option_names"]
    chosen: Sequence[str] = offer["option_values"]
    prices = prices_of(offer, listed)
    return {
        "title": values.text(offer["title"]),
        "description": values.html(offer["description"]),
        "vendor": values.text(offer["vendor"]),
        "product_type": values.text(offer["product_type"]),
        "tags": values.tags(offer["tags"]),
        "images": values.images(image["url"] for image in offer["images"]),
        "price": prices["price"],
        "compare_at": prices["compare_at"],
        "barcode": values.text(offer["barcode"]),
        "options": values.options(zip(names, chosen, strict=False)),
    }


def prices_of(offer: Offer, listed: ChannelPrice | None) -> dict[str, Value]:
    """Return the price and what it is compared with. Of the offer only the currency of the listing is looked at."""
    if listed is None or no_price(offer, listed):
        return {"price": None, "compare_at": None}
    currency = listed.price.currency
    before = values.minor(listed.compare_at_minor, currency) or EMPTY
    return {"price": values.minor(listed.price.minor, currency), "compare_at": before}


def no_price(offer: Offer, listed: ChannelPrice) -> str:
    """Return why the catalog does not tell what a listing costs; empty where it does."""
    there, here = offer["listing_currency"], listed.price.currency
    if listed.price.minor is None:
        return f"Its price is not known: {listed.price.why}."
    if there is not None and there != here:
        by = f"by the price list {listed.price_list}" if listed.price_list_id else "in the catalog"
        return f"It costs {here} {by} and {there} there: a price list in {there} for this channel tells its price."
    return ""


def subject_of(offer: Offer, name: str) -> UUID:
    """Return whose value a field is: the product or the variant."""
    subject: UUID = offer["product_id"] if FIELDS[name].level is Level.PRODUCT else offer["variant_id"]
    return subject


def changed_at(offer: Offer, name: str) -> datetime:
    """Return when the product or variant that has this field was changed last."""
    level = FIELDS[name].level
    at: datetime = offer["product_updated_at"] if level is Level.PRODUCT else offer["variant_updated_at"]
    return at


def can_take(offer: Offer, name: str, value: Value) -> bool:
    """Return whether the catalog can hold a value: no empty title or price, no price in another currency, no new options."""
    if FIELDS[name].required and not value:
        return False
    if name in ("price", "compare_at") and value:
        return bool(value["currency"] == offer["currency"])
    if name == "options":
        return bool(value) and set(value) == {values.text(n) for n in offer["option_names"]}
    return True


def columns_of(offer: Offer, name: str, value: Value) -> dict[str, Any]:
    """Return the columns that a value of a field becomes in the catalog."""
    match name:
        case "price":
            return {"price_minor": value["minor"]}
        case "compare_at":
            return {"compare_at_minor": value["minor"] if value else None}
        case "options":
            return {"option_values": [value[values.text(n)] for n in offer["option_names"]]}
        case "tags":
            return {"tags": list(value or ())}
        case "images":
            known = {values.image_id(image["url"]): image for image in offer["images"]}
            return {"images": [known.get(values.image_id(url)) or _image(url) for url in value or ()]}
        case _:
            return {name: value}


def _image(url: str) -> dict[str, str]:
    return {"url": url.partition(values.SOURCE)[0], "alt": ""}


@dataclass(slots=True)
class Takeovers:
    """Values that shall be written into the catalog, each field of a product or variant once."""

    found: dict[UUID, Takeover] = field(default_factory=dict)
    _values: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    _variants: dict[UUID, dict[UUID, tuple[datetime, dict[str, Any]]]] = field(default_factory=dict)
    _taken: set[tuple[UUID, str]] = field(default_factory=set)

    def add(self, offer: Offer, name: str, value: Value) -> bool:
        """Have a value written; return False if another listing already has this field written with this batch."""
        key = (subject_of(offer, name), name)
        if key in self._taken:
            return False
        self._taken.add(key)
        product = offer["product_id"]
        own = self._values.setdefault(product, {})
        variants = self._variants.setdefault(product, {})
        self.found.setdefault(product, Takeover(product, offer["product_updated_at"], own, variants))
        if FIELDS[name].level is Level.PRODUCT:
            own.update(columns_of(offer, name, value))
        else:
            _, columns = variants.setdefault(offer["variant_id"], (offer["variant_updated_at"], {}))
            columns.update(columns_of(offer, name, value))
        return True
