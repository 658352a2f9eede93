"""Amazon's listings, mapped. Pure. A listing is a SKU of the seller in one marketplace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entrepot.channels.contract import ChannelListing, ListingRef, Payload
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
    keys = {"asin": asin, "product_type": _product_type(item, summary, marketplace_id)}
    if _by_amazon(item):
        keys["fulfilled_by"] = "amazon"
    status = summary.get("status")
    return ChannelListing(
        ref=ListingRef(sku, {name: value for name, value in keys.items() if value}),
        sku=sku,
        title=title,
        product_external_id=asin or sku,
        product_title=title,
        barcode=_barcode(item),
        price=amount(offer, "price"),
        currency=optional_text(inner(offer, "price"), "currencyCode"),
        quantity=quantity_of(item),
        active=_is_offered(status),
        product_type=keys["product_type"],
    )


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
