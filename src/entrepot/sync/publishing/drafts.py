"""What a product is to be on a channel that does not have it yet, and whether it may go there. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from entrepot.catalog.facade import ChannelPrice
from entrepot.catalog.publishing import Whole
from entrepot.channels.contract import (
    AttributeKind,
    AttributeRule,
    AttributeScalar,
    AttributeValue,
    ChannelListing,
    Completeness,
    Dimensions,
    ListingDraft,
    ListingImage,
    ListingProblem,
    ListingRef,
    ListingRules,
    VariantDraft,
    check_listing,
    completeness,
)
from entrepot.kernel.money import to_decimal

_YES = {"yes": True, "true": True, "no": False, "false": False}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the person says of a product on this channel: its category there, attributes by the channel's names as text."""

    category: str = ""
    attributes: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What a channel's rules say of a draft. `problems` empty: it can go."""

    problems: tuple[ListingProblem, ...]
    completeness: Completeness

    @property
    def missing(self) -> list[str]:
        """What is missing, required pieces first."""
        return [*self.completeness.missing_required, *self.completeness.missing_wanted]


def new_draft(
    whole: Whole,
    asked: Asked,
    rules: ListingRules | None,
    prices: Mapping[UUID, ChannelPrice],
    *,
    external_id: str = "",
    refs: Mapping[UUID, ListingRef] | None = None,
) -> ListingDraft:
    """Return the draft of a product as the catalog has it. `refs`: listings by variant, where there are some already.

    A variant without a price in the channel's list has the price 0, which the check names.
    """
    product = whole.product
    names = tuple(product["option_names"])
    return ListingDraft(
        key=str(product["id"]),
        title=product["title"],
        variants=tuple(_variant(each, names, prices.get(each["id"]), (refs or {}).get(each["id"])) for each in whole.variants),
        handle=product["handle"],
        external_id=external_id,
        description=product["description"],
        vendor=product["vendor"],
        product_type=product["product_type"],
        category=asked.category,
        tags=tuple(product["tags"]),
        option_names=names,
        images=tuple(ListingImage(each["url"], each.get("alt", "")) for each in product["images"]),
        seo_title=product["seo_title"],
        seo_description=product["seo_description"],
        attributes=attributes_of(product["attributes"], asked.attributes or {}, rules),
    )  # fmt: skip


def _variant(
    row: Mapping[str, Any], names: Sequence[str], price: ChannelPrice | None, ref: ListingRef | None
) -> VariantDraft:
    minor = price.price.minor if price is not None else None
    currency = price.price.currency if price is not None else row["currency"]
    before = price.compare_at_minor if price is not None else None
    sides = [row[name] for name in ("length_mm", "width_mm", "height_mm")]
    values = tuple(row["option_values"])
    return VariantDraft(
        key=str(row["id"]),
        sku=row["sku"],
        price=to_decimal(minor or 0, currency),
        currency=currency,
        options=(*values, *("",) * len(names))[: len(names)],
        barcode=row["barcode"],
        # A price before that is no higher than the price is none: channels refuse it or show nonsense.
        compare_at=to_decimal(before, currency) if before and minor is not None and before > minor else None,
        weight_g=row["weight_g"],
        dimensions=Dimensions(*sides) if all(sides) else None,
        ref=ref,
    )


def with_new_variants(there: ListingDraft, whole: ListingDraft) -> ListingDraft:
    """Return what the channel has, with the variants that it lacks: nothing else of it is decided by publishing again."""
    ours = {each.key: each for each in whole.variants}
    names = there.option_names
    if len(names) != len(whole.option_names) or not all(all(each.options) for each in there.variants):
        # The channel does not tell options, or has others: ours are what tells the variants apart.
        names = whole.option_names
        kept = tuple(replace(each, options=ours[each.key].options) for each in there.variants if each.key in ours)
    else:
        kept = there.variants
    known = {each.key for each in there.variants}
    added = tuple(each for each in whole.variants if each.key not in known)
    return replace(
        there, variants=(*kept, *added), option_names=names, category=whole.category or there.category,
        attributes=whole.attributes, published=True,
    )  # fmt: skip


def attributes_of(
    of_product: Mapping[str, str], asked: Mapping[str, str], rules: ListingRules | None
) -> dict[str, AttributeValue]:
    """Return the attributes to send: those of the product that the channel knows by name, and those asked for.

    Several values are written with `|` between them. What is no value of its kind stays text, so that the check names it.
    """
    known = {rule.name: rule for rule in rules.attributes} if rules is not None else {}
    given = {name: value for name, value in of_product.items() if name in known} | dict(asked)
    return {name: _value(value, known.get(name)) for name, value in given.items() if value.strip()}


def _value(text: str, rule: AttributeRule | None) -> AttributeValue:
    parts = [part.strip() for part in text.split("|") if part.strip()]
    kind = AttributeKind.TEXT if rule is None else rule.kind
    values: tuple[AttributeScalar, ...] = tuple(_scalar(part, kind) for part in parts)
    return values if len(values) > 1 else values[0]


def _scalar(text: str, kind: AttributeKind) -> AttributeScalar:
    if kind is AttributeKind.YES_NO:
        return _YES.get(text.lower(), text)
    if kind is AttributeKind.TEXT:
        return text
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    if not number.is_finite():
        return text
    return int(number) if kind is AttributeKind.WHOLE and number == int(number) else number


def check(rules: ListingRules | None, whole: Whole, draft: ListingDraft) -> Checked:
    """Return what keeps a product from being sent, and how complete it is."""
    found = list(check_listing(rules, draft)) if rules is not None else []
    if whole.product["status"] == "archived":
        how = "Make it active again, or take it out of the channel."
        found.insert(0, ListingProblem("status", "is archived", "", how))
    score = completeness(rules, draft) if rules is not None else Completeness(100, (), ())
    return Checked(tuple(found), score)


def shown_as(draft: ListingDraft, refs: Mapping[str, ListingRef], external_id: str) -> list[ChannelListing]:
    """Return the listings that a draft made, as the channel is to show them."""
    return [
        ChannelListing(
            ref=refs[each.key],
            sku=each.sku,
            title=draft.title,
            product_external_id=external_id,
            product_title=draft.title,
            barcode=each.barcode,
            price=each.price,
            currency=each.currency,
            options=tuple(zip(draft.option_names, each.options, strict=True)),
            vendor=draft.vendor,
            product_type=draft.product_type,
            description_html=draft.description,
            category=draft.category,
            tags=draft.tags,
            images=draft.images,
            seo_title=draft.seo_title,
            seo_description=draft.seo_description,
            attributes=draft.attributes,
            compare_at=each.compare_at,
            weight_g=each.weight_g,
            dimensions=each.dimensions,
            managed_key=draft.key,
        )
        for each in draft.variants
        if each.key in refs
    ]
