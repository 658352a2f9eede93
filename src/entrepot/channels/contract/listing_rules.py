"""What a channel requires of a listing, as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from entrepot.channels.contract.listings import ListingField


class AttributeKind(StrEnum):
    """What an attribute's value is."""

    TEXT = "text"
    WHOLE = "whole"
    NUMBER = "number"
    YES_NO = "yes_no"


@dataclass(frozen=True, slots=True)
class AttributeRule:
    """What a channel wants of one attribute. `choices` empty: any value. `values_max` 0: no limit is told."""

    name: str
    title: str
    kind: AttributeKind = AttributeKind.TEXT
    required: bool = False
    choices: tuple[str, ...] = ()
    length_max: int | None = None
    values_max: int = 1
    help: str = ""


@dataclass(frozen=True, slots=True)
class ListingRules:
    """What a channel requires of a listing in one category (empty: in every other). None: no limit.

    Lengths in characters, image sides in pixels, image formats as file endings in lower case, prices in major units of whatever
    currency. `required` must be there, `wanted` makes a listing better; both count for its completeness. `html_tags`: the
    tags that a description may hold, others are left out and their text stays; None: any; empty: it takes plain text.
    `images_max`: so many are sent, the first ones. `barcode_lengths`: a barcode is a GTIN of these lengths; None: any number
    of the shop's own is taken.
    `barcode_exemption`: the attribute by which a seller declares to be exempt from barcodes; what is none is not sent then.
    `forbidden_words` are whole words or phrases, in any case, in title and description; `forbidden_in_title`: characters.
    `title_word_repeats_max`: how often one word may stand in a title. `source`: where the channel says so.
    """

    category: str = ""
    required: frozenset[ListingField] = frozenset({ListingField.TITLE, ListingField.PRICE})
    wanted: frozenset[ListingField] = frozenset()
    title_length_max: int | None = None
    description_length_max: int | None = None
    html_tags: frozenset[str] | None = None
    forbidden_words: tuple[str, ...] = ()
    forbidden_in_title: str = ""
    title_word_repeats_max: int | None = None
    options_max: int = 3
    variants_max: int | None = None
    option_length_max: int | None = None
    tags_max: int | None = None
    tag_length_max: int | None = None
    vendor_length_max: int | None = None
    sku_length_max: int | None = None
    barcode_lengths: frozenset[int] | None = None
    barcode_exemption: str = ""
    seo_title_length_max: int | None = None
    seo_description_length_max: int | None = None
    images_min: int = 0
    images_max: int | None = None
    image_formats: frozenset[str] | None = None
    image_side_min_px: int | None = None
    image_side_max_px: int | None = None
    alt_text_length_max: int | None = None
    price_min: Decimal | None = None
    price_max: Decimal | None = None
    attributes: tuple[AttributeRule, ...] = ()
    source: str = ""


def rules_of(rules: Iterable[ListingRules], category: str) -> ListingRules | None:
    """Return the rules of a category, else those for every category, else None. Pure."""
    by_category = {each.category: each for each in rules}
    return by_category.get(category) or by_category.get("")
