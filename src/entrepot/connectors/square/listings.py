"""Square's catalog and stock counts, mapped. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from entrepot.channels.contract import ChannelListing, ListingRef, ListingStatus, Payload
from entrepot.channels.replies import parse_time
from entrepot.connectors.square.drafts import managed_key, tracked, version_of
from entrepot.connectors.square.reading import (
    decimal,
    inner,
    listing_id,
    money,
    objects,
    optional_text,
    text,
    title_of,
    variation_name,
)


def listings_of(objects_: Iterable[Mapping[str, Any]], location_id: str) -> tuple[ChannelListing, ...]:
    """Return a listing for every variation of the items; other objects are passed over."""
    found = []
    for item in objects_:
        if item.get("type") != "ITEM" or item.get("is_deleted") is True:
            continue
        found += [
            _listing(item, variation, location_id)
            for variation in objects(inner(item, "item_data"), "variations")
            if variation.get("is_deleted") is not True
        ]
    return tuple(found)


def with_quantities(listings: Sequence[ChannelListing], counts: Mapping[str, int]) -> tuple[ChannelListing, ...]:
    """Return the listings with their counts.

    A tracked one without a count has never been counted: Square starts from zero. One that is not tracked has none.
    """
    return tuple(replace(each, quantity=_quantity(each.ref, counts)) for each in listings)


def _quantity(ref: ListingRef, counts: Mapping[str, int]) -> int | None:
    tracked = ref.keys.get("tracked")
    if tracked == "false":
        return None
    return counts.get(ref.external_id, 0 if tracked == "true" else None)


def counts_of(counts: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return units in stock by listing id; fractions are cut off, as half a unit cannot be sold."""
    return {
        listing_id(text(each, "catalog_object_id"), text(each, "location_id")): math.floor(
            decimal(each.get("quantity"))
        )
        for each in counts
        if each.get("state") == "IN_STOCK"
    }


def price_at(variation: Payload, location_id: str) -> tuple[Decimal | None, str]:
    """Return what a variation costs at the location, and the currency; None and empty where it has no fixed price."""
    own = inner(variation, "item_variation_data")
    price = _override(own, location_id).get("price_money") or own.get("price_money")
    if not isinstance(price, dict):
        return None, ""
    return money({"price": price}, "price"), optional_text(price, "currency")


def _listing(item: Payload, variation: Payload, location_id: str) -> ChannelListing:
    data, own = inner(item, "item_data"), inner(variation, "item_variation_data")
    seo = inner(data, "ecom_seo_data")
    variation_id, product = text(variation, "id"), optional_text(data, "name")
    name = variation_name(own, "name")
    price, currency = price_at(variation, location_id)
    changed = max(filter(None, (optional_text(each, "updated_at") for each in (item, variation))), default="")
    status = _status(item, variation, location_id)
    return ChannelListing(
        ref=ListingRef(
            listing_id(variation_id, location_id),
            {
                "variation_id": variation_id,
                "item_id": text(item, "id"),
                "tracked": tracked(variation, location_id),
            },
        ),
        sku=optional_text(own, "sku").strip() or None,
        title=title_of(product, name),
        product_external_id=text(item, "id"),
        product_title=product,
        barcode=optional_text(own, "upc"),
        price=price,
        currency=currency,
        active=status is ListingStatus.LIVE,
        options=(("Variation", name),) if name else (),
        product_type=optional_text(data, "product_type"),
        description=optional_text(data, "description_plaintext") or optional_text(data, "description"),
        description_html=optional_text(data, "description_html"),
        seo_title=optional_text(seo, "page_title"),
        seo_description=optional_text(seo, "page_description"),
        status=status,
        channel_status=_WORDS[status],
        updated_at=parse_time(changed) if changed else None,
        product_version=version_of(item),
        managed_key=managed_key(variation),
    )


_WORDS = {
    ListingStatus.LIVE: "on sale",
    ListingStatus.DRAFT: "not at this location, or not sellable",
    ListingStatus.ENDED: "archived",
}


def _override(own: Payload, location_id: str) -> Mapping[str, Any]:
    return next((each for each in objects(own, "location_overrides") if each.get("location_id") == location_id), {})


def _status(item: Payload, variation: Payload, location_id: str) -> ListingStatus:
    if inner(item, "item_data").get("is_archived") is True:
        return ListingStatus.ENDED
    if inner(variation, "item_variation_data").get("sellable") is False:
        return ListingStatus.DRAFT
    is_here = all(_present(each, location_id) for each in (item, variation))
    return ListingStatus.LIVE if is_here else ListingStatus.DRAFT


def _present(thing: Payload, location_id: str) -> bool:
    if thing.get("present_at_all_locations") is False:
        return location_id in (thing.get("present_at_location_ids") or ())
    return location_id not in (thing.get("absent_at_location_ids") or ())
