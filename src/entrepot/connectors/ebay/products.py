"""Making, changing, ending and reading listings: item, group and offer, then shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from entrepot.channels.contract import (
    Api,
    Call,
    ChannelListing,
    ChannelReason,
    ConnectorError,
    EndBatch,
    EndKind,
    ListingBatch,
    ListingDraft,
    ListingEnd,
    ListingReceipt,
    ListingRef,
    ListingResult,
    Page,
    Payload,
    PushOutcome,
    RateLimited,
    Reply,
    RequestRejected,
    TemporarilyUnavailable,
    UnexpectedAnswer,
    VariantDraft,
)
from entrepot.channels.in_turn import as_lost, written_in_turn
from entrepot.connectors.ebay import calls, drafts, quota, stock
from entrepot.connectors.ebay.errors import is_missing
from entrepot.connectors.ebay.listings import group_key_of, listing_of, ref_of
from entrepot.connectors.ebay.reading import body_of, objects, optional_text, text, whole

_NO_QUANTITY = "25004"


@dataclass(slots=True)
class _There:
    """What is at eBay of a variant."""

    item: Payload | None
    offer: Payload | None


# ---- writing -------------------------------------------------------------------------------------------


async def push(api: Api, batch: ListingBatch) -> ListingReceipt:
    """Write the listings one by one."""
    settings = await _settings(api) if batch.drafts else {}

    async def write(draft: ListingDraft) -> ListingResult:
        return await _push_one(api, draft, settings)

    return ListingReceipt(tuple(await written_in_turn(batch.drafts, write, _failed)))


def _failed(draft: ListingDraft, outcome: PushOutcome, error: ConnectorError) -> ListingResult:
    return ListingResult(draft.key, outcome, draft.external_id, reasons=drafts.reasons_of(error))


async def _settings(api: Api) -> Mapping[str, str]:
    """Return the connection's settings; what a new offer needs and nobody entered is looked up."""
    found = dict(api.settings)
    place = found["marketplace_id"]
    kinds: tuple[Literal["fulfillment", "payment", "return"], ...] = ("fulfillment", "payment", "return")
    for kind in kinds:
        name = f"{kind}_policy_id"
        if not found.get(name):
            body = body_of(await quota.send(api, calls.policies(kind, place)))
            policies = objects(body, f"{kind}Policies")
            found[name] = next((optional_text(each, f"{kind}PolicyId") for each in policies), "")
    if not found.get("location_key"):
        places = objects(body_of(await quota.send(api, calls.locations())), "locations")
        enabled = [each for each in places if each.get("merchantLocationStatus") == "ENABLED"]
        found["location_key"] = next((optional_text(each, "merchantLocationKey") for each in enabled), "")
    return found


async def _push_one(api: Api, draft: ListingDraft, settings: Mapping[str, str]) -> ListingResult:
    place = settings["marketplace_id"]
    reason = drafts.misfit(draft, place)
    if reason is not None:
        return ListingResult(draft.key, PushOutcome.REFUSED, draft.external_id, reasons=(reason,))
    grouped = drafts.is_group(draft)
    key = drafts.group_key(draft) if grouped else ""
    external_id = key or draft.variants[0].sku
    there = {each.key: await _look(api, each.sku) for each in draft.variants}
    try:
        for variant in draft.variants:
            await _write_item(api, draft, variant, there[variant.key], place)
        if grouped:
            await _write_group(api, draft, key, place)
        for variant in draft.variants:
            there[variant.key].offer = await _write_offer(api, draft, variant, there[variant.key], settings)
        published, reasons = await _show(api, draft, [each.offer for each in there.values() if each.offer], key, place)
        refs = {
            variant.key: ref_of(variant.sku, await stock.offer_of(api, variant.sku), key, published)
            for variant in draft.variants
        }
    except RequestRejected as error:
        return ListingResult(draft.key, PushOutcome.REFUSED, external_id, reasons=drafts.reasons_of(error))
    except RateLimited:
        raise
    except TemporarilyUnavailable as error:
        # A part may be written; the next call finds it and goes on.
        raise as_lost(error) from error
    return ListingResult(draft.key, PushOutcome.APPLIED, external_id, refs, reasons)


async def _look(api: Api, sku: str) -> _There:
    return _There(await _found(api, calls.inventory_item(sku)), await stock.offer_of(api, sku))


async def _write_item(api: Api, draft: ListingDraft, variant: VariantDraft, there: _There, place: str) -> None:
    wanted = drafts.item_of(draft, variant, there.item)
    if not drafts.same_item(wanted, there.item):
        await _written(api, calls.put_item(place, variant.sku, wanted))


async def _write_group(api: Api, draft: ListingDraft, key: str, place: str) -> None:
    current = await _found(api, calls.group(key))
    wanted = drafts.group_of(draft, current)
    if not drafts.same_group(wanted, current):
        await _written(api, calls.put_group(place, key, wanted))


async def _write_offer(
    api: Api, draft: ListingDraft, variant: VariantDraft, there: _There, settings: Mapping[str, str]
) -> Payload:
    """Make or change the offer and return it. One that is as wanted is left alone, for writing it writes its quantity."""
    place = settings["marketplace_id"]
    wanted = drafts.offer_of(draft, variant, there.offer, settings)
    if there.offer is None:
        await _written(api, calls.create_offer(place, wanted))
    elif not drafts.same_offer(wanted, there.offer):
        # Its quantity goes along, so it is read again at the last moment.
        newest = await stock.offer_of(api, variant.sku)
        wanted = drafts.offer_of(draft, variant, newest, settings)
        await _written(api, calls.update_offer(place, text(there.offer, "offerId"), wanted))
    else:
        return there.offer
    made = await stock.offer_of(api, variant.sku)
    if made is None:
        raise UnexpectedAnswer(f"eBay took the offer of {variant.sku}, but does not show it")
    return made


async def _show(
    api: Api, draft: ListingDraft, offers: Sequence[Payload], key: str, place: str
) -> tuple[str, tuple[ChannelReason, ...]]:
    """Publish or withdraw as the draft says; return what the references say of it, and eBay's remarks."""
    shown = [each.get("status") == "PUBLISHED" for each in offers]
    if not draft.published:
        if any(shown):
            await _written(
                api, calls.withdraw_group(place, key) if key else calls.withdraw_offer(text(offers[0], "offerId"))
            )
        return "no", ()
    if all(shown):
        return "yes", ()
    call = calls.publish_group(place, key) if key else calls.publish_offer(text(offers[0], "offerId"))
    try:
        reply = await _written(api, call)
    except RequestRejected as error:
        if error.code != _NO_QUANTITY:
            raise
        # Quantities come by their own way; the first one above zero shows the listing.
        remark = ChannelReason("eBay shows the listing once it has stock.", "", error.code, blocking=False)
        return stock.WAITS, (remark,)
    warnings = objects(body_of(reply), "warnings") if reply.body else []
    return "yes", tuple(drafts.reason_of(each, blocking=False) for each in warnings[:5])


async def _written(api: Api, call: Call) -> Reply:
    """Send a write. Raises OutcomeUnknown where it may have been done."""
    try:
        return await quota.send(api, call)
    except RateLimited:
        raise
    except TemporarilyUnavailable as error:
        raise as_lost(error) from error


async def _found(api: Api, call: Call) -> Payload | None:
    """Return what a reading finds, None where eBay knows no such thing."""
    try:
        return body_of(await quota.send(api, call))
    except RequestRejected as error:
        if is_missing(error):
            return None
        raise


# ---- reading -------------------------------------------------------------------------------------------


async def pull(api: Api, cursor: str | None) -> Page[ChannelListing]:
    """Return a page of items as listings; those that were never offered here are left out."""
    page = _page(cursor)
    body = body_of(await quota.send(api, calls.inventory_items(page)))
    items = objects(body, "inventoryItems")
    more = bool(items) and (page + 1) * calls.ITEMS_PAGE < (whole(body, "total") or 0)
    listings = await _listings(api, items)
    return Page(tuple(listings), cursor=str(page + 1) if more else None, more=more)


def _page(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isdecimal():
        raise UnexpectedAnswer("The stored place in eBay's listings cannot be read.")
    return int(cursor)


async def read(api: Api, product_ids: Sequence[str]) -> tuple[ChannelListing, ...]:
    """Return the listings of these products: of a group its variations, else the item with that SKU."""
    found: list[ChannelListing] = []
    for product_id in dict.fromkeys(product_ids):
        group = await _found(api, calls.group(product_id))
        names = group.get("variantSKUs") if group is not None else [product_id]
        skus = [each for each in names if isinstance(each, str)] if isinstance(names, list) else []
        items = [
            {"sku": sku, **item} for sku in skus if (item := await _found(api, calls.inventory_item(sku))) is not None
        ]
        found += await _listings(api, items)
    return tuple(found)


async def _listings(api: Api, items: Sequence[Payload]) -> list[ChannelListing]:
    """Return items as listings, with their offers and groups."""
    offers = await stock.offers_of(api, [text(item, "sku") for item in items])
    groups: dict[str, Payload | None] = {}
    for key in dict.fromkeys(filter(None, map(group_key_of, items))):
        groups[key] = await _found(api, calls.group(key))
    return [
        listing_of(item, offer, groups.get(group_key_of(item)))
        for item, offer in zip(items, offers, strict=True)
        if offer is not None
    ]


# ---- ending --------------------------------------------------------------------------------------------


async def end(api: Api, batch: EndBatch) -> ListingReceipt:
    """Withdraw the offers, or delete the items, one listing after the other."""

    async def write(ending: ListingEnd) -> ListingResult:
        return await _end_one(api, ending)

    def failed(ending: ListingEnd, outcome: PushOutcome, error: ConnectorError) -> ListingResult:
        return ListingResult(ending.key, outcome, ending.external_id, reasons=drafts.reasons_of(error))

    return ListingReceipt(tuple(await written_in_turn(batch.ends, write, failed)))


async def _end_one(api: Api, ending: ListingEnd) -> ListingResult:
    if ending.kind is EndKind.ARCHIVE:
        reason = ChannelReason("eBay has no archive: unpublish or delete the listing.")
        return ListingResult(ending.key, PushOutcome.REFUSED, ending.external_id, reasons=(reason,))
    place = api.settings["marketplace_id"]
    group_key = next((ref.keys["group"] for ref in ending.refs if ref.keys.get("group")), "")
    if group_key and ending.whole:
        await _gone_already(api, calls.withdraw_group(place, group_key))
        if ending.kind is EndKind.DELETE:
            await _gone_already(api, calls.delete_group(group_key))
    for ref in ending.refs:
        await _end_item(api, ref, ending.kind, withdrawn=bool(group_key and ending.whole))
    return ListingResult(ending.key, PushOutcome.APPLIED, ending.external_id)


async def _end_item(api: Api, ref: ListingRef, kind: EndKind, *, withdrawn: bool) -> None:
    if kind is EndKind.DELETE:
        await _gone_already(api, calls.delete_item(ref.external_id))
        return
    offer = None if withdrawn else await stock.offer_of(api, ref.external_id)
    if offer is not None and offer.get("status") == "PUBLISHED":
        await _gone_already(api, calls.withdraw_offer(text(offer, "offerId")))


async def _gone_already(api: Api, call: Call) -> None:
    """Send an ending; one of what is not there any more is done already."""
    try:
        await _written(api, call)
    except RequestRejected as error:
        if not is_missing(error):
            raise
