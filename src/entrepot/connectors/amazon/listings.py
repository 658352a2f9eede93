"""Amazon's listings, mapped. Pure. A listing is a SKU of the seller in one marketplace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entrepot.channels.contract import ChannelListing, ListingRef, ListingStatus, Payload
from entrepot.channels.replies import parse_time
from entrepot.connectors.amazon.attributes import (
    compare_at_of,
    dimensions_of,
    first_value,
    further_of,
    images_of,
    weight_of,
)
from entrepot.connectors.amazon.reading import amount, inner, objects, optional_text, text, whole

_BARCODES = frozenset({"ean", "upc", "gtin", "isbn", "jan"})
OWN_STOCK = "DEFAULT"
"""Amazon's code for stock that the seller ships; every other is Amazon's own warehouse."""


def listing_of(item: Payload, marketplace_id: str) -> ChannelListing:
    """Return the listing; its quantity only where the seller ships it."""
    sku = text(item, "sku")
    summary = _of_marketplace(item, "summaries", marketplace_id)
    offer = _offer(item, marketplace_id)
    asin, title = optional_text(summary, "asin"), optional_text(summary, "itemName")
    attributes = inner(item, "attributes")
    parent = parent_of(item, marketplace_id)
    keys = {"asin": asin, "product_type": _product_type(item, summary, marketplace_id), "parent_sku": parent}
    if _by_amazon(item):
        keys["fulfilled_by"] = "amazon"
    status = _status(item, summary)
    changed = optional_text(summary, "lastUpdatedDate")
    words = summary.get("status")
    return ChannelListing(
        ref=ListingRef(sku, {name: value for name, value in keys.items() if value}),
        sku=sku,
        title=title,
        product_external_id=parent or sku,
        product_title=title,
        barcode=_barcode(item),
        price=amount(offer, "price"),
        compare_at=compare_at_of(attributes),
        currency=optional_text(inner(offer, "price"), "currencyCode"),
        quantity=quantity_of(item),
        active=status is ListingStatus.LIVE,
        vendor=first_value(attributes, "brand"),
        product_type=keys["product_type"],
        category=keys["product_type"],
        description=first_value(attributes, "product_description"),
        images=images_of(attributes),
        attributes=further_of(attributes),
        weight_g=weight_of(attributes),
        dimensions=dimensions_of(attributes),
        status=status,
        channel_status=", ".join(map(str, words)).lower() if isinstance(words, list) else "",
        updated_at=parse_time(changed) if changed else None,
    )


def is_parent(item: Payload) -> bool:
    """Return whether it is the family of other listings, which is not sold itself."""
    return first_value(inner(item, "attributes"), "parentage_level") == "parent"


def parent_of(item: Payload, marketplace_id: str) -> str:
    """Return the SKU of the family that a listing belongs to, or empty text."""
    related = _of_marketplace(item, "relationships", marketplace_id)
    for each in objects(related, "relationships"):
        parents = each.get("parentSkus")
        if each.get("type") == "VARIATION" and isinstance(parents, list) and parents:
            return str(parents[0])
    return ""


def children_of(item: Payload, marketplace_id: str) -> tuple[str, ...]:
    """Return the SKUs of the variants that a family names."""
    related = _of_marketplace(item, "relationships", marketplace_id)
    found: dict[str, None] = {}
    for each in objects(related, "relationships"):
        children = each.get("childSkus")
        if each.get("type") == "VARIATION" and isinstance(children, list):
            found |= dict.fromkeys(map(str, children))
    return tuple(found)


def _status(item: Payload, summary: Payload) -> ListingStatus:
    if _is_offered(summary.get("status")):
        return ListingStatus.LIVE
    has_errors = any(each.get("severity") == "ERROR" for each in objects(item, "issues"))
    return ListingStatus.ERROR if has_errors else ListingStatus.DRAFT


def quantity_of(item: Payload) -> int | None:
    """Return what the listing offers from the seller's own stock; None where it does not say."""
    for each in objects(item, "fulfillmentAvailability"):
        if each.get("fulfillmentChannelCode") == OWN_STOCK:
            return whole(each, "quantity")
    return None


def created_of(item: Payload, marketplace_id: str) -> str:
    """Return when the listing was made, as Amazon writes it, or empty text."""
    return optional_text(_of_marketplace(item, "summaries", marketplace_id), "createdDate")


def _by_amazon(item: Payload) -> bool:
    codes = {each.get("fulfillmentChannelCode") for each in objects(item, "fulfillmentAvailability")}
    return bool(codes) and OWN_STOCK not in codes


def _of_marketplace(item: Payload, name: str, marketplace_id: str) -> Mapping[str, Any]:
    return next((each for each in objects(item, name) if each.get("marketplaceId") == marketplace_id), {})


def _offer(item: Payload, marketplace_id: str) -> Mapping[str, Any]:
    """Return the offer to consumers, else any."""
    offers = [each for each in objects(item, "offers") if each.get("marketplaceId") == marketplace_id]
    return next((each for each in offers if each.get("offerType") == "B2C"), offers[0] if offers else {})


def _product_type(item: Payload, summary: Payload, marketplace_id: str) -> str:
    # What the seller submitted comes first: that is what a patch is checked against.
    submitted = optional_text(_of_marketplace(item, "productTypes", marketplace_id), "productType")
    return submitted or optional_text(summary, "productType")


def _barcode(item: Payload) -> str:
    for each in objects(inner(item, "attributes"), "externally_assigned_product_identifier"):
        if str(each.get("type", "")).lower() in _BARCODES:
            return optional_text(each, "value")
    return ""


def _is_offered(status: object) -> bool:
    """Return whether our stock matters to the listing. One that is sold out is not BUYABLE but still DISCOVERABLE."""
    return isinstance(status, list) and bool({"BUYABLE", "DISCOVERABLE"} & set(status))
