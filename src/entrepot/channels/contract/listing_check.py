"""Whether a draft is what a channel requires, and how complete it is. Pure.

It stands beside the rules because both sides need it: the hub before it asks for anything to be sent, and for the
score that people see; a test of a connector against what the channel itself refuses.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from urllib.parse import urlsplit

from entrepot.channels.contract.drafts import ListingDraft, VariantDraft
from entrepot.channels.contract.listing_rules import AttributeKind, AttributeRule, ListingRules
from entrepot.channels.contract.listings import AttributeValue, ListingField, ListingImage
from entrepot.channels.html_text import plain_text, with_tags

_NOWHERE = ""
GTIN_LENGTHS = frozenset({8, 12, 13, 14})


@dataclass(frozen=True, slots=True)
class ListingProblem:
    """What keeps a draft from being taken: the field (or the attribute's name), what is wrong, where, how to mend it.

    `where`: empty for the product, else which variant (its SKU) or which image. `variant_key`: that variant's.
    `missing`: something is not there, rather than wrong.
    """

    field: str
    what: str
    where: str
    how: str
    variant_key: str = ""
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Completeness:
    """How much of what a channel requires or likes is there: 0 to 100, and the names of what is missing, required first."""

    score: int
    missing_required: tuple[str, ...]
    missing_wanted: tuple[str, ...]


def check_listing(rules: ListingRules, draft: ListingDraft) -> tuple[ListingProblem, ...]:
    """Return everything that keeps the draft from what the channel requires; nothing: it can go."""
    return (
        *_missing(rules, draft),
        *_texts(rules, draft),
        *_words(rules, draft),
        *_shape(rules, draft),
        *_images(rules, draft),
        *_variants(rules, draft),
        *_attributes(rules, draft),
    )


def completeness(rules: ListingRules, draft: ListingDraft) -> Completeness:
    """Return how complete the draft is: of the required (three points each) and wanted pieces, how many are there."""
    counted = {ListingField.IMAGES} if rules.images_min else set()
    required = [(str(name), _is_there(name, draft)) for name in _ordered(rules.required - counted)]
    wanted = [(str(name), _is_there(name, draft)) for name in _ordered(rules.wanted - rules.required - counted)]
    for rule in rules.attributes:
        if rule.name == rules.barcode_exemption:
            continue
        (required if rule.required else wanted).append((rule.name, _has_attribute(rule, draft)))
    if rules.images_min:
        required.append(("images", len(draft.images or ()) >= rules.images_min))
    points = 3 * sum(there for _, there in required) + sum(there for _, there in wanted)
    total = 3 * len(required) + len(wanted)
    lacking = tuple(name for name, there in required if not there)
    score = 100 * points // total if total else 100
    return Completeness(score, lacking, tuple(name for name, there in wanted if not there))


# ---- is it there -----------------------------------------------------------------------------------------

_OF_PRODUCT: dict[ListingField, Callable[[ListingDraft], object]] = {
    ListingField.TITLE: lambda draft: draft.title.strip(),
    ListingField.DESCRIPTION: lambda draft: plain_text(draft.description),
    ListingField.VENDOR: lambda draft: draft.vendor.strip(),
    ListingField.PRODUCT_TYPE: lambda draft: draft.product_type.strip(),
    ListingField.CATEGORY: lambda draft: draft.category.strip(),
    ListingField.TAGS: lambda draft: draft.tags,
    ListingField.OPTIONS: lambda draft: draft.option_names or len(draft.variants) == 1,
    ListingField.IMAGES: lambda draft: draft.images,
    ListingField.SEO_TITLE: lambda draft: draft.seo_title.strip(),
    ListingField.SEO_DESCRIPTION: lambda draft: draft.seo_description.strip(),
    ListingField.ATTRIBUTES: lambda draft: draft.attributes,
    ListingField.STATUS: lambda draft: True,
}
_OF_VARIANT: dict[ListingField, Callable[[VariantDraft], bool]] = {
    ListingField.SKU: lambda variant: bool(variant.sku.strip()),
    ListingField.BARCODE: lambda variant: bool(variant.barcode.strip()),
    ListingField.PRICE: lambda variant: variant.price > 0,
    ListingField.COMPARE_AT: lambda variant: variant.compare_at is not None,
    ListingField.WEIGHT: lambda variant: variant.weight_g is not None,
    ListingField.DIMENSIONS: lambda variant: variant.dimensions is not None,
}


def _ordered(names: Set[ListingField]) -> list[ListingField]:
    return [name for name in ListingField if name in names]


def _is_there(name: ListingField, draft: ListingDraft) -> bool:
    if name in _OF_VARIANT:
        return bool(draft.variants) and all(_OF_VARIANT[name](each) for each in draft.variants)
    return bool(_OF_PRODUCT[name](draft))


def _values(rule: AttributeRule, attributes: Mapping[str, AttributeValue]) -> tuple[object, ...]:
    value = attributes.get(rule.name)
    several = value if isinstance(value, tuple) else (value,)
    return tuple(each for each in several if each is not None and each != "")


def _has_attribute(rule: AttributeRule, draft: ListingDraft) -> bool:
    if _values(rule, draft.attributes):
        return True
    return bool(draft.variants) and all(_values(rule, each.attributes) for each in draft.variants)


def _missing(rules: ListingRules, draft: ListingDraft) -> Iterator[ListingProblem]:
    if not draft.variants:
        yield ListingProblem("variants", "has no variant", _NOWHERE, "Add at least one variant.", missing=True)
    for name in _ordered(rules.required):
        if name in _OF_PRODUCT and not _is_there(name, draft):
            yield ListingProblem(name, "is missing", _NOWHERE, f"Enter the {_said(name)}.", missing=True)
        for variant in draft.variants if name in _OF_VARIANT else ():
            if not _OF_VARIANT[name](variant):
                yield _of_variant(variant, name, "is missing", f"Enter the {_said(name)}.", missing=True)
    for rule in rules.attributes:
        if rule.required and not _has_attribute(rule, draft):
            how = f"Enter {rule.title}." + (f" {rule.help}" if rule.help else "")
            yield ListingProblem(rule.name, "is missing", _NOWHERE, how, missing=True)


def _said(name: ListingField) -> str:
    return {"seo_title": "title for search engines", "seo_description": "description for search engines"}.get(
        name, name.removesuffix("_g").replace("_", " ")
    )


# ---- is it right -----------------------------------------------------------------------------------------


def _texts(rules: ListingRules, draft: ListingDraft) -> Iterator[ListingProblem]:
    limits: tuple[tuple[str, str, int | None], ...] = (
        (ListingField.TITLE, draft.title, rules.title_length_max),
        (ListingField.DESCRIPTION, _description(rules, draft), rules.description_length_max),
        (ListingField.VENDOR, draft.vendor, rules.vendor_length_max),
        (ListingField.SEO_TITLE, draft.seo_title, rules.seo_title_length_max),
        (ListingField.SEO_DESCRIPTION, draft.seo_description, rules.seo_description_length_max),
    )
    for name, value, most in limits:
        yield from _too_long(name, value, most)
    for tag in draft.tags:
        yield from _too_long(ListingField.TAGS, tag, rules.tag_length_max, f"tag {tag[:30]!r}")


def _description(rules: ListingRules, draft: ListingDraft) -> str:
    """Return the description as it is sent: tags that the channel does not take are left out."""
    if rules.html_tags is None:
        return draft.description
    return with_tags(draft.description, rules.html_tags) if rules.html_tags else plain_text(draft.description)


def _too_long(name: str, value: str, most: int | None, where: str = _NOWHERE) -> Iterator[ListingProblem]:
    if most is not None and len(value) > most:
        how = f"Shorten it by {len(value) - most}, to at most {most} characters."
        yield ListingProblem(name, f"has {len(value)} characters", where, how)


def _words(rules: ListingRules, draft: ListingDraft) -> Iterator[ListingProblem]:
    texts = ((ListingField.TITLE, draft.title), (ListingField.DESCRIPTION, plain_text(draft.description)))
    for name, value in texts:
        for word in rules.forbidden_words:
            if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", value, re.IGNORECASE):
                yield ListingProblem(name, f"says {word!r}, which is not allowed", _NOWHERE, "Take these words out.")
    for sign in dict.fromkeys(each for each in draft.title if each in rules.forbidden_in_title):
        yield ListingProblem(ListingField.TITLE, f"holds {sign!r}, which is not allowed", _NOWHERE, "Take it out.")
    if rules.title_word_repeats_max is not None:
        most = rules.title_word_repeats_max
        for word, count in Counter(re.findall(r"\w{3,}", draft.title.lower())).items():
            if count > most:
                how = f"Say it at most {most} times."
                yield ListingProblem(ListingField.TITLE, f"says {word!r} {count} times", _NOWHERE, how)


def _shape(rules: ListingRules, draft: ListingDraft) -> Iterator[ListingProblem]:
    counts = (
        (ListingField.OPTIONS.value, "options", len(draft.option_names), rules.options_max),
        ("variants", "variants", len(draft.variants), rules.variants_max),
        (ListingField.TAGS.value, "tags", len(draft.tags), rules.tags_max),
    )
    for name, noun, count, most in counts:
        if most is not None and count > most:
            yield ListingProblem(name, f"{count} {noun} are too many", _NOWHERE, f"Keep at most {most}.")
    seen: dict[tuple[str, ...], str] = {}
    skus: set[str] = set()
    for variant in draft.variants:
        if len(variant.options) != len(draft.option_names):
            what = f"has {len(variant.options)} option values for {len(draft.option_names)} options"
            yield _of_variant(variant, ListingField.OPTIONS, what, "Give it one value for each option.")
        elif variant.options in seen:
            what = f"has the same options as {seen[variant.options]}"
            yield _of_variant(variant, ListingField.OPTIONS, what, "Make them differ in one option.")
        seen.setdefault(variant.options, variant.sku or variant.key)
        if variant.sku and variant.sku in skus:
            yield _of_variant(variant, ListingField.SKU, "is used twice in this product", "Give each its own SKU.")
        skus.add(variant.sku)


def _images(rules: ListingRules, draft: ListingDraft) -> Iterator[ListingProblem]:
    images = draft.images or ()
    count = len(images)
    if count < rules.images_min:
        how = f"Add {rules.images_min - count} more."
        yield ListingProblem(ListingField.IMAGES, f"{count} images are too few", _NOWHERE, how, missing=True)
    for number, image in enumerate(images[: rules.images_max], 1):
        yield from _image(rules, image, f"image {number}")


def _image(rules: ListingRules, image: ListingImage, where: str) -> Iterator[ListingProblem]:
    parts = urlsplit(image.url)
    if parts.scheme not in ("https", "http") or not parts.netloc:
        yield ListingProblem(ListingField.IMAGES, "has no web address", where, "Give the full address, with https://.")
        return
    ending = parts.path.rpartition(".")[2].lower() if "." in parts.path.rpartition("/")[2] else ""
    if rules.image_formats is not None and ending and ending not in rules.image_formats:
        how = f"Use one of: {', '.join(sorted(rules.image_formats))}."
        yield ListingProblem(ListingField.IMAGES, f"is of the format {ending!r}", where, how)
    yield from _too_long(ListingField.IMAGES, image.alt_text, rules.alt_text_length_max, f"alt text of {where}")
    if not image.width_px or not image.height_px:
        return
    size = f"is {image.width_px} x {image.height_px} pixels"
    if rules.image_side_min_px is not None and max(image.width_px, image.height_px) < rules.image_side_min_px:
        how = f"The longer side must have at least {rules.image_side_min_px} pixels."
        yield ListingProblem(ListingField.IMAGES, size, where, how)
    if rules.image_side_max_px is not None and max(image.width_px, image.height_px) > rules.image_side_max_px:
        how = f"The longer side may have at most {rules.image_side_max_px} pixels."
        yield ListingProblem(ListingField.IMAGES, size, where, how)


def _variants(rules: ListingRules, draft: ListingDraft) -> Iterator[ListingProblem]:
    for variant in draft.variants:
        where = variant.sku or variant.key
        for problem in (
            *_too_long(ListingField.SKU, variant.sku, rules.sku_length_max, where),
            *(each for value in variant.options for each in _option(rules, value, where)),
            *_prices(rules, variant, where),
        ):
            yield _with_key(problem, variant.key)
        yield from _barcode(rules, draft, variant)


def _option(rules: ListingRules, value: str, where: str) -> Iterator[ListingProblem]:
    if not value.strip():
        yield ListingProblem(ListingField.OPTIONS, "has an empty option", where, "Enter a value.", missing=True)
    yield from _too_long(ListingField.OPTIONS, value, rules.option_length_max, where)


def _prices(rules: ListingRules, variant: VariantDraft, where: str) -> Iterator[ListingProblem]:
    price = variant.price
    if price < 0 or (rules.price_min is not None and 0 < price < rules.price_min):
        least = max(rules.price_min or 0, 0)
        yield ListingProblem(ListingField.PRICE, f"{price} is too low", where, f"Ask for at least {least}.")
    if rules.price_max is not None and price > rules.price_max:
        yield ListingProblem(ListingField.PRICE, f"{price} is too high", where, f"Ask for at most {rules.price_max}.")
    if variant.compare_at is not None and variant.compare_at < price:
        what = f"{variant.compare_at} is below the price of {price}"
        how = "Make it at least the price, or leave it out."
        yield ListingProblem(ListingField.COMPARE_AT, what, where, how)


def _barcode(rules: ListingRules, draft: ListingDraft, variant: VariantDraft) -> Iterator[ListingProblem]:
    digits, lengths = variant.barcode.strip(), rules.barcode_lengths
    if not digits or lengths is None or (is_gtin(digits) and len(digits) in lengths):
        return
    how = f"It has {', '.join(map(str, sorted(lengths)))} digits, the last of which checks."
    if rules.barcode_exemption and len(digits) not in lengths:
        # A number of the shop's own, not a slip of the pen: a seller who is exempt lists it without one.
        if {**draft.attributes, **variant.attributes}.get(rules.barcode_exemption) is True:
            return
        how += (
            " If this is a number of your own and the channel has exempted you from barcodes,"
            f" say so: set {rules.barcode_exemption} to yes."
        )
    yield _of_variant(variant, ListingField.BARCODE, f"{digits!r} is not a valid barcode", how)


def is_gtin(digits: str) -> bool:
    """Return whether this is a GTIN (a UPC or an EAN too): 8, 12, 13 or 14 digits, the last of which checks."""
    if not (digits.isascii() and digits.isdigit() and len(digits) in GTIN_LENGTHS):
        return False
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return total % 10 == 0


def _attributes(rules: ListingRules, draft: ListingDraft) -> Iterator[ListingProblem]:
    holders = [(draft.attributes, _NOWHERE, "")]
    holders += [(each.attributes, each.sku or each.key, each.key) for each in draft.variants]
    for rule in rules.attributes:
        for attributes, where, key in holders:
            values = _values(rule, attributes)
            if rule.values_max and len(values) > rule.values_max:
                how = f"Give at most {rule.values_max}."
                yield ListingProblem(rule.name, f"has {len(values)} values", where, how, key)
            for value in values:
                for problem in _attribute(rule, value, where):
                    yield _with_key(problem, key)


def _attribute(rule: AttributeRule, value: object, where: str) -> Iterator[ListingProblem]:
    if rule.choices and str(value) not in rule.choices:
        shown = ", ".join(rule.choices[:10]) + (", ..." if len(rule.choices) > 10 else "")
        yield ListingProblem(rule.name, f"{str(value)[:40]!r} is not a value of it", where, f"Choose one of: {shown}.")
    wanted = _KIND_NAMES[rule.kind]
    if not _is_of_kind(rule.kind, value):
        yield ListingProblem(rule.name, f"{str(value)[:40]!r} is not {wanted}", where, f"Enter {wanted}.")
    elif isinstance(value, str):
        yield from _too_long(rule.name, value, rule.length_max, where)


_KIND_NAMES = {
    AttributeKind.TEXT: "text",
    AttributeKind.WHOLE: "a whole number",
    AttributeKind.NUMBER: "a number",
    AttributeKind.YES_NO: "yes or no",
}


def _is_of_kind(kind: AttributeKind, value: object) -> bool:
    if kind is AttributeKind.TEXT:
        return isinstance(value, str)
    if kind is AttributeKind.YES_NO:
        return isinstance(value, bool)
    is_number = not isinstance(value, bool | str)
    return is_number and (kind is AttributeKind.NUMBER or isinstance(value, int))


def _of_variant(
    variant: VariantDraft, name: ListingField, what: str, how: str, *, missing: bool = False
) -> ListingProblem:
    return ListingProblem(name, what, variant.sku or variant.key, how, variant.key, missing)


def _with_key(problem: ListingProblem, key: str) -> ListingProblem:
    return ListingProblem(problem.field, problem.what, problem.where, problem.how, key, problem.missing)
