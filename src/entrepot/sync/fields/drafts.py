"""What a channel is to show of a product, as a connector takes it. Pure.

A draft is whole. What goes out has our value; what is contested or not compared is sent as the channel has it, so that no
write decides what nobody decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from entrepot.channels.contract import ListingDraft, ListingImage, ListingRef, PriceChange, VariantDraft
from entrepot.kernel.money import to_decimal
from entrepot.sync.fields.ours import Offer
from entrepot.sync.fields.store import Row
from entrepot.sync.merge.values import Value
from entrepot.sync.publishing.codec import attributes_of_json

OURS = frozenset({"out", "sending", "agreed"})


@dataclass(frozen=True, slots=True)
class Listed:
    """A listing of a product on a channel: what was read of it, what is known of its fields, what the catalog says of it.

    `offer` None: it is not matched to a variant.
    """

    listing_id: UUID
    external_id: str
    keys: Mapping[str, str]
    product_external_id: str
    product_version: str
    leads: bool
    rest: Mapping[str, Any]
    fields: Mapping[str, Row]
    offer: Offer | None

    @property
    def ref(self) -> ListingRef:
        """How the channel addresses it."""
        return ListingRef(self.external_id, dict(self.keys))

    def value(self, name: str) -> Value:
        """Return what is to be sent of a field; None where nothing is known of it."""
        row = self.fields.get(name)
        if row is None:
            return None
        return row.ours if row.state in OURS else row.known.theirs


def price_change(listed: Listed) -> PriceChange | None:
    """Return the change of a listing's price; None where it has none to send."""
    price, before = listed.value("price"), listed.value("compare_at")
    if not price:
        return None
    if "compare_at" not in listed.fields:
        before = None
    known = listed.fields["price"].known.theirs
    return PriceChange(
        listed.ref,
        str(listed.rest.get("sku", "")),
        listed.product_external_id,
        _amount(price),
        price["currency"],
        _amount(before) if before else None,
        _amount(known) if known and known["currency"] == price["currency"] else None,
    )


def listing_draft(listings: Sequence[Listed], *, version_compared: bool) -> ListingDraft | None:
    """Return the draft of one product of a channel from all its listings; None where a price is not known."""
    leader = next((each for each in listings if each.leads), listings[0])
    common = _common_attributes(listings)
    variants = [_variant(each, common) for each in listings]
    names = _option_names(listings)
    if any(v is None for v in variants):
        return None
    offer = leader.offer or {}
    rest = leader.rest
    return ListingDraft(
        key=str(rest.get("key") or offer.get("product_id", leader.product_external_id)),
        title=_text(leader, "title", "product_title"),
        variants=tuple(v for v in variants if v is not None),
        handle=str(offer.get("handle", "")),
        external_id=leader.product_external_id,
        description=_text(leader, "description"),
        vendor=_text(leader, "vendor"),
        product_type=_text(leader, "product_type"),
        category=str(rest.get("category", "")),
        tags=tuple(_listed(leader, "tags")),
        option_names=names,
        images=_images(leader),
        seo_title=str(rest.get("seo_title", "")),
        seo_description=str(rest.get("seo_description", "")),
        attributes=attributes_of_json(common),
        published=bool(rest.get("published", True)),
        expected_version=leader.product_version if version_compared else "",
    )


def _text(listed: Listed, name: str, kept: str = "") -> str:
    value = listed.value(name)
    return str(listed.rest.get(kept or name, "") if value is None else value)


def _listed(listed: Listed, name: str) -> list[str]:
    value = listed.value(name)
    return list(listed.rest.get(name, ()) if value is None else value or ())


def _images(listed: Listed) -> tuple[ListingImage, ...] | None:
    """Return the pictures where ours go out; None: those on the channel stay."""
    row = listed.fields.get("images")
    if row is None or row.state != "out" or listed.offer is None:
        return None
    alt = {image["url"]: image["alt"] for image in listed.offer["images"]}
    return tuple(ListingImage(url, alt.get(url, "")) for url in row.ours or ())


def _option_names(listings: Sequence[Listed]) -> tuple[str, ...]:
    """Return the names in our order where they are ours, else as the channel has them."""
    theirs = [name for name, _ in listings[0].rest.get("options", ())]
    ours = next((list(each.offer["option_names"]) for each in listings if each.offer is not None), theirs)
    return tuple(ours if not theirs or set(ours) == set(theirs) else theirs)


def _common_attributes(listings: Sequence[Listed]) -> dict[str, Any]:
    """Return the attributes that all listings of a product have alike; the others are of single variants."""
    first, *others = [each.rest.get("attributes", {}) for each in listings]
    return {name: value for name, value in first.items() if all(each.get(name) == value for each in others)}


def _variant(listed: Listed, common: Mapping[str, Any]) -> VariantDraft | None:
    rest, offer = listed.rest, listed.offer
    price, before, currency = _prices(listed)
    if price is None:
        return None
    chosen = listed.value("options") or dict(rest.get("options", ()))
    names = _option_names([listed])
    return VariantDraft(
        key=str(offer["variant_id"] if offer is not None else listed.listing_id),
        sku=str(rest.get("sku") or (offer["sku"] if offer is not None else "")),
        price=price,
        currency=currency,
        options=tuple(chosen.get(name, "") for name in names),
        barcode=_text(listed, "barcode"),
        compare_at=before,
        weight_g=rest.get("weight_g"),
        attributes=attributes_of_json(
            {name: value for name, value in rest.get("attributes", {}).items() if name not in common}
        ),
        ref=listed.ref,
    )


def _prices(listed: Listed) -> tuple[Decimal | None, Decimal | None, str]:
    price, before, rest = listed.value("price"), listed.value("compare_at"), listed.rest
    kept = Decimal(rest["compare_at"]) if "compare_at" in rest else None
    if price:
        return _amount(price), (kept if before is None else _amount(before) if before else None), price["currency"]
    if "price" not in rest:
        return None, None, ""
    return Decimal(rest["price"]), kept, str(rest.get("currency", ""))


def _amount(value: Mapping[str, Any]) -> Decimal:
    return to_decimal(value["minor"], value["currency"])
