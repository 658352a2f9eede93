"""Listings, and the quantities that they show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from entrepot.channels.contract import (
    Api,
    ChannelListing,
    ListingRef,
    OutcomeUnknown,
    Page,
    PushOutcome,
    PushReceipt,
    PushResult,
    QuantityBatch,
    QuantityChange,
    RateLimited,
    ReportedQuantity,
    RequestRejected,
    TemporarilyUnavailable,
)
from entrepot.connectors.shopify import listing_mapping, mapping, queries, shapes
from entrepot.connectors.shopify.calls import ask

ROUNDS_MAX = 4
"""How often a batch is sent again without the changes that made Shopify refuse it whole."""

_STALE = frozenset({"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE"})
_UNKNOWN = frozenset({"IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"})
_IN_PROGRESS = "IDEMPOTENCY_CONCURRENT_REQUEST"

_WORDS = {
    "INVALID_INVENTORY_ITEM": "Shopify does not know this inventory item any more: import the listings again.",
    "INVALID_LOCATION": "Shopify does not know the location: choose another one in the connection's settings.",
    "ITEM_NOT_STOCKED_AT_LOCATION": "This variant is not stocked at the location: stock it there in Shopify.",
    "NON_MUTABLE_INVENTORY_ITEM": "Shopify keeps this quantity itself (a bundle's, for example): it cannot be set.",
    "INVALID_QUANTITY_NEGATIVE": "Shopify takes no negative quantity here.",
    "INVALID_QUANTITY_TOO_HIGH": "Shopify takes at most 1,000,000,000 units.",
    "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR": "Two listings share one inventory item in Shopify.",
}


def location_of(api: Api) -> str:
    """Return the plain number of the location whose stock we keep. Raises RequestRejected if it is not set."""
    location = api.settings.get("location_id", "").strip()
    if not location:
        raise RequestRejected("The setting 'location_id' is empty: say which Shopify location this stock is in.")
    return mapping.number_of(location)


async def pull_listings(api: Api, cursor: str | None) -> Page[ChannelListing]:
    """Return the next page of product variants, in the order of their ids."""
    location = location_of(api)
    variables = {"after": cursor or None, "location": mapping.gid_of("Location", location)}
    data, _ = await ask(api, queries.LISTINGS_PAGE, shapes.ListingsPage, variables)
    variants = data.product_variants
    listings = tuple(listing_mapping.listing_of(node, data.shop.currency_code, location) for node in variants.nodes)
    after = variants.page_info.end_cursor
    more = variants.page_info.has_next_page and after is not None and after != cursor
    return Page(listings, after if more else None, more)


async def read_quantities(api: Api, refs: Sequence[ListingRef]) -> tuple[ReportedQuantity, ...]:
    """Return what these listings show at our location now."""
    if not refs:
        return ()
    location = mapping.gid_of("Location", location_of(api))
    items = list(dict.fromkeys(filter(None, (ref.keys.get("inventory_item") for ref in refs))))
    found: dict[str, int | None] = {}
    for start in range(0, len(items), queries.QUANTITIES_A_CALL):
        ids = [mapping.gid_of("InventoryItem", item) for item in items[start : start + queries.QUANTITIES_A_CALL]]
        data, _ = await ask(api, queries.QUANTITIES, shapes.Quantities, {"ids": ids, "location": location})
        for node in data.nodes:
            if node is not None and node.id is not None:
                found[mapping.number_of(node.id)] = listing_mapping.available_of(node.tracked, node.inventory_level)
    return tuple(ReportedQuantity(ref.external_id, found.get(ref.keys.get("inventory_item", ""))) for ref in refs)


# ---- writing -------------------------------------------------------------------------------------------


async def push_quantities(api: Api, batch: QuantityBatch) -> PushReceipt:
    """Write a batch by compare-and-set.

    Shopify writes all of a mutation or nothing. So the changes that it names are answered for (STALE, REFUSED) and
    the others are sent again without them, under a key of their own, up to ROUNDS_MAX times; what is still not
    written then is FAILED. Raises only in the first round, where nothing was written or all is unknown.
    """
    results: dict[str, PushResult] = {}
    left: list[QuantityChange] = []
    for change in batch.changes:
        if change.ref.keys.get("inventory_item") and change.from_quantity is not None:
            left.append(change)
        else:
            results[change.ref.external_id] = _unaddressed(change)
    for round_number in range(ROUNDS_MAX):
        if not left:
            break
        key = batch.idempotency_key if round_number == 0 else f"{batch.idempotency_key}/{round_number}"
        try:
            errors = await _set(api, key, left)
        except TemporarilyUnavailable as error:
            if round_number == 0:
                raise
            is_lost = isinstance(error, OutcomeUnknown)
            outcome = PushOutcome.UNKNOWN if is_lost else PushOutcome.FAILED
            results |= {each.ref.external_id: _result(each, outcome, error.code, error.detail) for each in left}
            left = []
            break
        answered = _results_of(left, errors)
        results |= answered
        left = [change for change in left if change.ref.external_id not in answered]
    for change in left:
        detail = "Shopify refused the whole batch for other listings' sake; nothing was written."
        results[change.ref.external_id] = _result(change, PushOutcome.FAILED, "BATCH_REFUSED", detail)
    return PushReceipt(tuple(results[change.ref.external_id] for change in batch.changes))


async def _set(api: Api, key: str, changes: Sequence[QuantityChange]) -> list[shapes.UserError]:
    """Send one mutation; return Shopify's objections, none if all was written. Raises OutcomeUnknown if it is lost."""
    location = mapping.gid_of("Location", location_of(api))
    quantities: list[dict[str, Any]] = [
        {
            "inventoryItemId": mapping.gid_of("InventoryItem", change.ref.keys["inventory_item"]),
            "locationId": location,
            "quantity": change.to_quantity,
            "changeFromQuantity": change.from_quantity,
        }
        for change in changes
    ]
    document = f"gid://entrepot/QuantityBatch/{quote(key, safe='')}"
    written = {"name": "available", "reason": "correction", "referenceDocumentUri": document, "quantities": quantities}
    try:
        data, _ = await ask(api, queries.SET_QUANTITIES, shapes.SetQuantities, {"input": written, "key": key})
    except (RateLimited, OutcomeUnknown):
        raise
    except TemporarilyUnavailable as error:
        # A 5xx, or an internal error in a 200, may come after the write.
        raise OutcomeUnknown(error.detail, code=error.code, retry_after_s=error.retry_after_s) from error
    errors = data.inventory_set_quantities.user_errors
    if any(error.code == _IN_PROGRESS for error in errors):
        raise OutcomeUnknown("Shopify is still working on this batch", code=_IN_PROGRESS, retry_after_s=1.0)
    return errors


def _results_of(changes: Sequence[QuantityChange], errors: Sequence[shapes.UserError]) -> dict[str, PushResult]:
    """Return the results that an answer gives: of all changes if it was written, else of those it objects to."""
    results: dict[str, PushResult] = {}
    if not errors:
        for change in changes:
            result = PushResult(change.ref.external_id, PushOutcome.APPLIED, reported=change.to_quantity)
            results[change.ref.external_id] = result
        return results
    for error in errors:
        code = error.code or ""
        index = _index_of(error.field)
        if code in _UNKNOWN:
            outcome = PushOutcome.UNKNOWN
            meant: Sequence[QuantityChange] = changes
        else:
            outcome = PushOutcome.STALE if code in _STALE else PushOutcome.REFUSED
            meant = [changes[index]] if index is not None and index < len(changes) else changes
        for change in meant:
            detail = _WORDS.get(code, error.message)
            results.setdefault(change.ref.external_id, _result(change, outcome, code, detail))
    return results


def _index_of(path: Sequence[str] | None) -> int | None:
    """Return the place in the batch that an error is about: `["input", "quantities", "3", ...]` is 3."""
    return next((int(part) for part in path or () if part.isascii() and part.isdigit()), None)


def _result(change: QuantityChange, outcome: PushOutcome, code: str, detail: str) -> PushResult:
    return PushResult(change.ref.external_id, outcome, code=code, detail=detail)


def _unaddressed(change: QuantityChange) -> PushResult:
    if change.from_quantity is None:
        detail = "It is not known what Shopify shows for this listing: read it first."
        return _result(change, PushOutcome.FAILED, "FROM_QUANTITY_MISSING", detail)
    detail = "The listing has no inventory item: import the listings again."
    return _result(change, PushOutcome.REFUSED, "INVENTORY_ITEM_MISSING", detail)
