"""Listings 2021-08-01: reading."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.amazon.answers import Refused, invalid, json_answer, list_of
from entrepot_sandbox.amazon.attributes import attributes_of, first
from entrepot_sandbox.amazon.state import CHANNEL_CODE, State, money, stamp
from entrepot_sandbox.books import Listing

PAGE_MAX = 20
DATASETS = (
    "summaries",
    "attributes",
    "issues",
    "offers",
    "fulfillmentAvailability",
    "procurement",
    "relationships",
    "productTypes",
)
_Key = tuple[str, str]


async def get_item(state: State, request: Request) -> Response:
    """GET /listings/2021-08-01/items/{sellerId}/{sku}."""
    check_place(state, request)
    listing = state.shop.by_sku.get(request.path_params["sku"])
    if listing is None:
        sku, place = request.path_params["sku"], state.place.id
        raise Refused(404, "NOT_FOUND", f"SKU '{sku}' not found in marketplace {place}")
    return json_answer(item_body(state, listing, _datasets(request)))


async def search_items(state: State, request: Request) -> Response:
    """GET /listings/2021-08-01/items/{sellerId}."""
    check_place(state, request)
    given, datasets = request.query_params, _datasets(request)
    size = given.get("pageSize", "10")
    if not size.isdigit() or not 1 <= int(size) <= PAGE_MAX:
        raise invalid("pageSize must be between 1 and 20.")
    by, descending = given.get("sortBy", "lastUpdatedDate"), given.get("sortOrder", "DESC") == "DESC"
    if by not in ("sku", "createdDate", "lastUpdatedDate"):
        raise invalid("sortBy has a value that is not known.")
    matching = list(_matching(state, request))
    ordered = sorted(matching, key=lambda listing: _sort_key(listing, by), reverse=descending)
    mark = _mark(given.get("pageToken"))
    if mark is not None:
        ordered = [one for one in ordered if (_sort_key(one, by) < mark if descending else _sort_key(one, by) > mark)]
    page = ordered[: int(size)]
    body: dict[str, Any] = {
        "numberOfResults": len(matching),
        "items": [item_body(state, listing, datasets) for listing in page],
    }
    if len(ordered) > len(page):
        token = base64.urlsafe_b64encode(msgspec.json.encode(_sort_key(page[-1], by))).decode()
        body["pagination"] = {"nextToken": token}
    return json_answer(body)


def _matching(state: State, request: Request) -> Iterable[Listing]:
    given = request.query_params
    identifiers = list_of(request, "identifiers")
    kind = given.get("identifiersType")
    if identifiers and (len(identifiers) > PAGE_MAX or kind not in ("SKU", "ASIN", "EAN", "GTIN")):
        raise invalid("identifiers takes up to 20 values and needs identifiersType SKU, ASIN, EAN or GTIN.")
    with_status, without = set(list_of(request, "withStatus")), set(list_of(request, "withoutStatus"))
    after, before = _moment(given.get("lastUpdatedAfter")), _moment(given.get("lastUpdatedBefore"))
    family = given.get("variationParentSku")
    candidates: Iterable[Listing] = state.shop.by_sku.values()
    if family is not None:
        candidates = children_of(state, family)
    elif kind == "SKU":
        candidates = [state.shop.by_sku[sku] for sku in dict.fromkeys(identifiers) if sku in state.shop.by_sku]
    for listing in candidates:
        own = {"SKU": listing.sku, "ASIN": listing.keys["asin"]}.get(kind or "", listing.product.barcode)
        statuses = set(_statuses(listing)) if with_status or without else set()
        if (
            (not identifiers or own in identifiers)
            and with_status <= statuses
            and not without & statuses
            and (after is None or listing.updated_at >= after)
            and (before is None or listing.updated_at <= before)
        ):
            yield listing


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise invalid(f"{text!r} is not a time in ISO 8601.") from None


def _sort_key(listing: Listing, by: str) -> _Key:
    return (stamp(listing.updated_at) if by == "lastUpdatedDate" else "", listing.sku)


def _mark(token: str | None) -> _Key | None:
    if token is None:
        return None
    try:
        mark: _Key = msgspec.json.decode(base64.urlsafe_b64decode(token.encode()), type=_Key)
    except (ValueError, msgspec.DecodeError):
        raise invalid("The pageToken is not valid.") from None
    return mark


def check_place(state: State, request: Request) -> None:
    """Raise Refused for another seller or marketplace."""
    if request.path_params["seller_id"] != state.seller_id:
        raise Refused(403, "Unauthorized", "Access to requested resource is denied.", "The seller is not yours.")
    if state.place.id not in list_of(request, "marketplaceIds"):
        raise invalid(f"marketplaceIds must contain {state.place.id}.")


def _datasets(request: Request) -> list[str]:
    names = list_of(request, "includedData") or ["summaries"]
    if not set(names) <= set(DATASETS):
        raise invalid("includedData has a value that is not known.")
    return names


def _statuses(listing: Listing) -> list[str]:
    if listing.sheet is not None and not listing.sheet.shown:
        return []
    return ["BUYABLE", "DISCOVERABLE"] if listing.quantity > 0 else ["DISCOVERABLE"]


def item_body(state: State, listing: Listing, datasets: Sequence[str]) -> dict[str, Any]:
    """Return a listing with the datasets asked for."""
    place, product, sheet = state.place.id, listing.product, listing.sheet
    assert sheet is not None
    own = attributes_of(listing)
    product_type = sheet.extra["product_type"]
    offer = {
        "marketplaceId": place,
        "offerType": "B2C",
        "price": money(product.price, product.currency),
        "audience": {"value": "ALL", "displayName": "Sell on Amazon"},
    }
    is_sold = first(own, "parentage_level") != "parent"
    whole: dict[str, Any] = {
        "summaries": [
            {
                "marketplaceId": place,
                "asin": listing.keys["asin"],
                "productType": product_type,
                "conditionType": "new_new",
                "status": _statuses(listing),
                "itemName": sheet.title,
                "createdDate": stamp(sheet.created_at),
                "lastUpdatedDate": stamp(max(sheet.updated_at, listing.updated_at)),
            }
        ],
        "attributes": own,
        "issues": [],
        "offers": [offer] if own.get("purchasable_offer") else [],
        "fulfillmentAvailability": [{"fulfillmentChannelCode": CHANNEL_CODE, "quantity": listing.quantity}]
        if is_sold
        else [],
        "relationships": [{"marketplaceId": place, "relationships": _relationships(state, listing)}],
        "productTypes": [{"marketplaceId": place, "productType": product_type}],
    }
    return {"sku": listing.sku, **{name: whole[name] for name in datasets if name in whole}}


def _relationships(state: State, listing: Listing) -> list[dict[str, Any]]:
    """Return the family of a listing: its parent, or its children."""
    own = attributes_of(listing)
    theme = {"attributes": ["color"], "theme": str(first(own, "variation_theme", "name") or "")}
    parent = parent_of(listing)
    if parent:
        return [{"type": "VARIATION", "parentSkus": [parent], "variationTheme": theme}]
    if first(own, "parentage_level") != "parent":
        return []
    children = [one.sku for one in children_of(state, listing.sku)]
    return [{"type": "VARIATION", "childSkus": children, "variationTheme": theme}] if children else []


def children_of(state: State, sku: str) -> list[Listing]:
    """Return the listings of a family."""
    named = (state.shop.by_sku.get(each) for each in state.families.get(sku, ()))
    return [listing for listing in named if listing is not None and parent_of(listing) == sku]


def parent_of(listing: Listing) -> str:
    """Return the SKU of the family that a listing belongs to, or empty text."""
    assert listing.sheet is not None
    return str(first(listing.sheet.extra["attributes"], "child_parent_sku_relationship", "parent_sku") or "")
