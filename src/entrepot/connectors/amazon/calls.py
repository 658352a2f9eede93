"""Amazon's requests, built from values. Pure: each function returns the Call, nothing is sent here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote, urlencode

import msgspec

from entrepot.channels.contract import Call, Credentials, ListingRef, QuantityChange

ORDERS_PAGE = 100
LISTINGS_PAGE = 20
"""Most listings on a page, and most SKUs searched for in one call."""
FEED_TYPE = "JSON_LISTINGS_FEED"
FEED_CONTENT_TYPE = "application/json; charset=UTF-8"

_ORDER_DATA = "BUYER,RECIPIENT,PROCEEDS,CANCELLATION,FULFILLMENT"
_LISTING_DATA = "summaries,attributes,issues,offers,fulfillmentAvailability,relationships,productTypes"
_JSON = {"content-type": "application/json"}


def token(credentials: Credentials) -> Call:
    """Exchange the refresh token for an access token (Login with Amazon)."""
    form = {
        "grant_type": "refresh_token",
        "refresh_token": credentials.get("refresh_token", ""),
        "client_id": credentials.get("client_id", ""),
        "client_secret": credentials.get("client_secret", ""),
    }
    headers = {"content-type": "application/x-www-form-urlencoded;charset=UTF-8"}
    body = urlencode(form).encode()
    return Call("getToken", "POST", "/auth/o2/token", headers=headers, body=body, base="auth", idempotent=True)


def search_orders(marketplace_id: str, by: Literal["created", "changed"], since: datetime, page: str | None) -> Call:
    """Orders of a marketplace that were placed, or that changed, at or after a time."""
    query = [
        ("marketplaceIds", marketplace_id),
        ("createdAfter" if by == "created" else "lastUpdatedAfter", iso8601(since)),
        ("maxResultsPerPage", str(ORDERS_PAGE)),
        ("includedData", _ORDER_DATA),
    ]
    if page is not None:
        query.append(("paginationToken", page))
    return _get("searchOrders", "/orders/2026-01-01/orders", *query)


def get_order(order_id: str, included: str = _ORDER_DATA) -> Call:
    """One order."""
    return _get("getOrder", f"/orders/2026-01-01/orders/{quote(order_id, safe='')}", ("includedData", included))


def confirm_shipment(order_id: str, body: Mapping[str, Any]) -> Call:
    """Tell of a parcel. Under the same package reference Amazon keeps one package."""
    path = f"/orders/v0/orders/{quote(order_id, safe='')}/shipmentConfirmation"
    return _send("confirmShipment", "POST", path, body, idempotent=True)


def search_listings(
    seller_id: str, marketplace_id: str, page: str | None, created_after: str | None, page_size: int = LISTINGS_PAGE
) -> Call:
    """Listings by the time that they were made, oldest first."""
    query = [
        ("marketplaceIds", marketplace_id),
        ("includedData", _LISTING_DATA),
        ("sortBy", "createdDate"),
        ("sortOrder", "ASC"),
        ("pageSize", str(page_size)),
    ]
    if created_after is not None:
        query.append(("createdAfter", created_after))
    if page is not None:
        query.append(("pageToken", page))
    return _get("searchListingsItems", _listings_path(seller_id), *query)


def search_quantities(seller_id: str, marketplace_id: str, skus: Sequence[str]) -> Call:
    """What up to LISTINGS_PAGE listings show, by SKU."""
    return _get(
        "searchListingsItems",
        _listings_path(seller_id),
        ("marketplaceIds", marketplace_id),
        ("identifiersType", "SKU"),
        ("identifiers", ",".join(skus)),
        ("includedData", "summaries,fulfillmentAvailability"),
        ("pageSize", str(LISTINGS_PAGE)),
    )


def get_quantity(seller_id: str, marketplace_id: str, sku: str) -> Call:
    """What one listing shows."""
    return _get(
        "getListingsItem",
        _listing_path(seller_id, sku),
        ("marketplaceIds", marketplace_id),
        ("includedData", "summaries,fulfillmentAvailability"),
    )


def patch_quantity(seller_id: str, marketplace_id: str, change: QuantityChange, not_after: datetime | None) -> Call:
    """Set what one listing shows, by `not_after`."""
    body = {"productType": product_type_of(change.ref), "patches": [quantity_patch(change)]}
    path = _listing_path(seller_id, change.ref.external_id)
    query = (("marketplaceIds", marketplace_id), ("includedData", "issues"))
    # A repetition writes over what sold since the first one came through: after a lost answer it is looked at again first.
    # Only nothing can be written twice.
    call = _send("patchListingsItem", "PATCH", path, body, query=query, idempotent=change.to_quantity == 0)
    return replace(call, not_after=not_after)


def get_listing(seller_id: str, marketplace_id: str, sku: str) -> Call:
    """One listing, whole."""
    query = (("marketplaceIds", marketplace_id), ("includedData", _LISTING_DATA))
    return _get("getListingsItem", _listing_path(seller_id, sku), *query)


def search_by_sku(seller_id: str, marketplace_id: str, skus: Sequence[str]) -> Call:
    """Up to LISTINGS_PAGE listings by SKU, whole."""
    return _get(
        "searchListingsItems",
        _listings_path(seller_id),
        ("marketplaceIds", marketplace_id),
        ("identifiersType", "SKU"),
        ("identifiers", ",".join(skus)),
        ("includedData", _LISTING_DATA),
        ("pageSize", str(LISTINGS_PAGE)),
    )


def put_listing(seller_id: str, marketplace_id: str, sku: str, body: Mapping[str, Any], *, preview: bool) -> Call:
    """Make a listing, or say what would come of it; the same SKU is the same listing, so twice is harmless."""
    query = _submission(marketplace_id, preview)
    path = _listing_path(seller_id, sku)
    return _send("putListingsItem", "PUT", path, body, query=query, idempotent=True)


def patch_listing(seller_id: str, marketplace_id: str, sku: str, body: Mapping[str, Any], *, preview: bool) -> Call:
    """Change a listing, or say what would come of it; setting attributes twice is harmless."""
    query = _submission(marketplace_id, preview)
    path = _listing_path(seller_id, sku)
    return _send("patchListingsItem", "PATCH", path, body, query=query, idempotent=True)


def delete_listing(seller_id: str, marketplace_id: str, sku: str) -> Call:
    """Delete a listing."""
    path = _listing_path(seller_id, sku)
    return Call("deleteListingsItem", "DELETE", path, query=(("marketplaceIds", marketplace_id),), idempotent=True)


def get_definition(seller_id: str, marketplace_id: str, product_type: str) -> Call:
    """What Amazon requires of a product type; the schema itself is at another address."""
    query = (("sellerId", seller_id), ("marketplaceIds", marketplace_id), ("requirements", "LISTING"))
    path = f"/definitions/2020-09-01/productTypes/{quote(product_type, safe='')}"
    return _get("getDefinitionsProductType", path, *query)


def download_schema(url: str) -> Call:
    """Read a product type's schema where Amazon keeps it."""
    return Call("downloadSchema", "GET", "", idempotent=True, absolute_url=url)


def messages_feed(seller_id: str, messages: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a listings feed (version 2.0) of these messages, numbered from 1."""
    header = {"sellerId": seller_id, "version": "2.0", "issueLocale": "en_US"}
    numbered = [{"messageId": number, **message} for number, message in enumerate(messages, start=1)]
    return msgspec.json.encode({"header": header, "messages": numbered})


def _submission(marketplace_id: str, preview: bool) -> tuple[tuple[str, str], ...]:
    query = (("marketplaceIds", marketplace_id), ("includedData", "issues"))
    return (*query, ("mode", "VALIDATION_PREVIEW")) if preview else query


def create_feed_document() -> Call:
    """Ask where to put a feed's contents; a further one is harmless."""
    body = {"contentType": FEED_CONTENT_TYPE}
    return _send("createFeedDocument", "POST", "/feeds/2021-06-30/documents", body, idempotent=True)


def upload_feed(url: str, contents: bytes) -> Call:
    """Put a feed's contents where Amazon said."""
    headers = {"content-type": FEED_CONTENT_TYPE}
    return Call("uploadFeed", "PUT", "", headers=headers, body=contents, idempotent=True, absolute_url=url)


def create_feed(marketplace_id: str, document_id: str) -> Call:
    """Start a feed; sent twice it would run twice."""
    body = {"feedType": FEED_TYPE, "marketplaceIds": [marketplace_id], "inputFeedDocumentId": document_id}
    return _send("createFeed", "POST", "/feeds/2021-06-30/feeds", body)


def get_feed(feed_id: str) -> Call:
    """How a feed is doing."""
    return _get("getFeed", f"/feeds/2021-06-30/feeds/{quote(feed_id, safe='')}")


def get_feed_document(document_id: str) -> Call:
    """Where to read a processing report."""
    return _get("getFeedDocument", f"/feeds/2021-06-30/documents/{quote(document_id, safe='')}")


def download_feed(url: str) -> Call:
    """Read a processing report."""
    return Call("downloadFeed", "GET", "", idempotent=True, absolute_url=url)


def participations() -> Call:
    """The marketplaces that the seller takes part in."""
    return _get("getMarketplaceParticipations", "/sellers/v1/marketplaceParticipations")


def feed_contents(seller_id: str, changes: Sequence[QuantityChange]) -> bytes:
    """Return the listings feed (version 2.0) for these changes: message n is the n-th change."""
    messages = [
        {
            "sku": change.ref.external_id,
            "operationType": "PATCH",
            "productType": product_type_of(change.ref),
            "patches": [quantity_patch(change)],
        }
        for change in changes
    ]
    return messages_feed(seller_id, messages)


def quantity_patch(change: QuantityChange) -> dict[str, Any]:
    """Return the patch: merge leaves lead time and restock date as they are, replace would wipe them."""
    value = {"fulfillment_channel_code": "DEFAULT", "quantity": max(0, change.to_quantity)}
    return {"op": "merge", "path": "/attributes/fulfillment_availability", "value": [value]}


def product_type_of(ref: ListingRef) -> str:
    """Return the listing's product type; PRODUCT is Amazon's word for any."""
    return ref.keys.get("product_type") or "PRODUCT"


def iso8601(time: datetime) -> str:
    """Return the time as Amazon writes it: UTC, milliseconds, Z."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _listings_path(seller_id: str) -> str:
    return f"/listings/2021-08-01/items/{quote(seller_id, safe='')}"


def _listing_path(seller_id: str, sku: str) -> str:
    return f"{_listings_path(seller_id)}/{quote(sku, safe='')}"


def _get(operation: str, path: str, *query: tuple[str, str]) -> Call:
    return Call(operation, "GET", path, query=query, headers={"accept": "application/json"}, idempotent=True)


def _send(
    operation: str,
    method: str,
    path: str,
    body: Mapping[str, Any],
    *,
    query: tuple[tuple[str, str], ...] = (),
    idempotent: bool = False,
) -> Call:
    encoded = msgspec.json.encode(body)
    return Call(operation, method, path, query=query, headers=_JSON, body=encoded, idempotent=idempotent)
