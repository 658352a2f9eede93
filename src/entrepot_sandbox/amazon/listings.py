"""Listings 2021-08-01: reading and patching, with the time that a patch takes to come into effect."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.amazon.answers import Refused, body_of, invalid, json_answer, list_of
from entrepot_sandbox.amazon.state import CHANNEL_CODE, PRODUCT_TYPE, State, money, stamp
from entrepot_sandbox.books import Listing
from entrepot_sandbox.journal import WriteKind

PAGE_MAX = 20
PATH = "/attributes/fulfillment_availability"
TAKES_EFFECT_S = (2.0, 10.0)
"""Between these an accepted patch comes into effect."""
QUANTITY_MAX = 99_999_999
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
    _check_place(state, request)
    listing = state.shop.by_sku.get(request.path_params["sku"])
    if listing is None:
        sku, place = request.path_params["sku"], state.place.id
        raise Refused(404, "NOT_FOUND", f"SKU '{sku}' not found in marketplace {place}")
    return json_answer(item_body(state, listing, _datasets(request)))


async def search_items(state: State, request: Request) -> Response:
    """GET /listings/2021-08-01/items/{sellerId}."""
    _check_place(state, request)
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
    for listing in state.shop.by_sku.values():
        own = {"SKU": listing.sku, "ASIN": listing.keys["asin"]}.get(kind or "", listing.product.barcode)
        statuses = set(_statuses(listing))
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


def _check_place(state: State, request: Request) -> None:
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
    return ["BUYABLE", "DISCOVERABLE"] if listing.quantity > 0 else ["DISCOVERABLE"]


def item_body(state: State, listing: Listing, datasets: Sequence[str]) -> dict[str, Any]:
    """Return a listing with the datasets asked for."""
    place, product = state.place.id, listing.product
    price = money(product.price, product.currency)
    availability = {"fulfillmentChannelCode": CHANNEL_CODE, "quantity": listing.quantity}
    whole: dict[str, Any] = {
        "summaries": [
            {
                "marketplaceId": place,
                "asin": listing.keys["asin"],
                "productType": PRODUCT_TYPE,
                "conditionType": "new_new",
                "status": _statuses(listing),
                "itemName": product.title,
                "createdDate": stamp(state.opened_at),
                "lastUpdatedDate": stamp(listing.updated_at),
            }
        ],
        "attributes": _attributes(listing, place),
        "issues": [],
        "offers": [
            {
                "marketplaceId": place,
                "offerType": "B2C",
                "price": price,
                "audience": {"value": "ALL", "displayName": "Sell on Amazon"},
            }
        ],
        "fulfillmentAvailability": [availability],
        "relationships": [{"marketplaceId": place, "relationships": []}],
        "productTypes": [{"marketplaceId": place, "productType": PRODUCT_TYPE}],
    }
    return {"sku": listing.sku, **{name: whole[name] for name in datasets if name in whole}}


def _attributes(listing: Listing, place: str) -> dict[str, Any]:
    product = listing.product
    attributes: dict[str, Any] = {
        "item_name": [{"value": product.title, "marketplace_id": place}],
        "condition_type": [{"value": "new_new", "marketplace_id": place}],
        "fulfillment_availability": [{"fulfillment_channel_code": CHANNEL_CODE, "quantity": listing.quantity}],
        "purchasable_offer": [
            {
                "currency": product.currency,
                "our_price": [{"schedule": [{"value_with_tax": float(product.price)}]}],
                "marketplace_id": place,
            }
        ],
    }
    if product.barcode:
        attributes["externally_assigned_product_identifier"] = [
            {"type": "ean", "value": product.barcode, "marketplace_id": place}
        ]
    return attributes


# -- patching -----------------------------------------------------------------------------------------------


async def patch_item(state: State, request: Request) -> Response:
    """PATCH /listings/2021-08-01/items/{sellerId}/{sku}: accepted at once, in effect a little later."""
    _check_place(state, request)
    body = await body_of(request)
    if not isinstance(body.get("productType"), str) or not isinstance(body.get("patches"), list):
        raise invalid("productType and patches are required.")
    sku = request.path_params["sku"]
    listing = state.shop.by_sku.get(sku)
    problems = [] if listing else [issue("4000003", f"SKU '{sku}' was not found.", "sku")]
    quantity, wrong = quantity_in(body["patches"])
    problems += wrong
    submission = f"{state.next_id('submission'):032x}"
    is_preview = request.query_params.get("mode") == "VALIDATION_PREVIEW"
    if not problems and not is_preview and listing is not None and quantity is not None:
        requested_at, due = state.desk.world.clock.monotonic(), _due(state, listing)
        state.desk.spawn(_take_effect(state, listing, quantity, submission, requested_at, due))
    status = "INVALID" if problems else "VALID" if is_preview else "ACCEPTED"
    answer: dict[str, Any] = {"sku": sku, "status": status, "submissionId": submission, "issues": problems}
    if "identifiers" in list_of(request, "includedData") and listing is not None:
        answer["identifiers"] = [{"marketplaceId": state.place.id, "asin": listing.keys["asin"]}]
    return json_answer(answer)


def quantity_in(patches: Sequence[Any]) -> tuple[int | None, list[dict[str, Any]]]:
    """Return the quantity that the patches set, and what is wrong with them."""
    quantity: int | None = None
    for patch in patches:
        if not isinstance(patch, Mapping) or patch.get("op") not in ("add", "replace", "merge"):
            return None, [issue("4000001", "The operation must be add, replace or merge.", "op")]
        if patch.get("path") != PATH:
            return None, [issue("4000001", f"Only {PATH} can be patched here.", "path")]
        for value in patch.get("value") or ():
            given = value.get("quantity") if isinstance(value, Mapping) else None
            if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= QUANTITY_MAX:
                return None, [issue("90220", "'quantity' must be a whole number of at least 0.", ATTRIBUTE)]
            if value.get("fulfillment_channel_code", CHANNEL_CODE) != CHANNEL_CODE:
                return None, [issue("90225", "'fulfillment_channel_code' must be DEFAULT.", ATTRIBUTE)]
            quantity = given
    return quantity, [] if quantity is not None else [issue("90220", "'quantity' is required.", ATTRIBUTE)]


ATTRIBUTE = "fulfillment_availability"


def issue(code: str, message: str, attribute: str) -> dict[str, Any]:
    """Return an error about an attribute."""
    return {
        "code": code,
        "message": message,
        "severity": "ERROR",
        "attributeNames": [attribute],
        "categories": ["INVALID_ATTRIBUTE"],
    }


def _due(state: State, listing: Listing) -> float:
    """Return when a patch of now comes into effect; never before an earlier one."""
    clock = state.desk.world.clock
    after = clock.scaled(state.effect_chance.uniform(*TAKES_EFFECT_S))
    due = max(clock.monotonic() + after, state.due.get(listing.id, 0.0) + 0.001)
    state.due[listing.id] = due
    return due


async def _take_effect(
    state: State, listing: Listing, quantity: int, request_id: str, requested_at: float, due: float
) -> None:
    await asyncio.sleep(max(0.0, due - state.desk.world.clock.monotonic()))
    write(state, [(listing, quantity)], request_id, requested_at)


def write(state: State, quantities: Sequence[tuple[Listing, int]], request_id: str, requested_at: float) -> None:
    """Write the quantities now. Absolute: whatever was sold since they were asked for is overwritten."""
    for listing, quantity in quantities:
        state.shop.write_quantity(
            listing, quantity, kind=WriteKind.ABSOLUTE, request_id=request_id, requested_at=requested_at
        )
