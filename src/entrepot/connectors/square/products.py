"""Making, changing, ending and reading items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from entrepot.channels.contract import (
    Api,
    ChannelListing,
    ChannelReason,
    ConnectorError,
    EndBatch,
    EndKind,
    ListingBatch,
    ListingDraft,
    ListingEnd,
    ListingReceipt,
    ListingResult,
    OutcomeUnknown,
    PushOutcome,
    RateLimited,
    TemporarilyUnavailable,
)
from entrepot.channels.in_turn import as_lost, written_in_turn
from entrepot.connectors.square import calls, drafts, stock
from entrepot.connectors.square.errors import SquareRejected
from entrepot.connectors.square.listings import listings_of, with_quantities
from entrepot.connectors.square.reading import body_of, inner, objects, optional_text, variation_of
from entrepot.connectors.square.upserts import CONFLICTS, Work, Written, upsert

Json = Mapping[str, Any]
_CHANGED = "It was changed at Square in the meantime: nothing was written. Look at both versions."


# ---- reading -------------------------------------------------------------------------------------------


async def fetch(api: Api, object_ids: Sequence[str]) -> dict[str, Json]:
    """Return catalog objects by id, as they are now."""
    found: dict[str, Json] = {}
    ids = list(dict.fromkeys(filter(None, object_ids)))
    for start in range(0, len(ids), calls.OBJECTS_MAX):
        body = body_of(await api.send(calls.retrieve_objects(ids[start : start + calls.OBJECTS_MAX])))
        found |= {
            optional_text(each, "id"): each for each in objects(body, "objects") if each.get("is_deleted") is not True
        }
    return found


async def find_by_sku(api: Api, skus: Sequence[str]) -> dict[str, list[Json]]:
    """Return the items that have a variation with one of these SKUs, by SKU."""
    found: dict[str, list[Json]] = {}
    wanted = list(dict.fromkeys(skus))
    for start in range(0, len(wanted), calls.SKUS_MAX):
        page: str | None = None
        while True:
            body = body_of(await api.send(calls.search_skus(wanted[start : start + calls.SKUS_MAX], page)))
            items = {optional_text(each, "id"): each for each in objects(body, "related_objects")}
            for variation in objects(body, "objects"):
                data = inner(variation, "item_variation_data")
                item = items.get(optional_text(data, "item_id"))
                if item is not None:
                    found.setdefault(optional_text(data, "sku"), []).append(item)
            page = optional_text(body, "cursor") or None
            if page is None:
                break
    return found


async def read(api: Api, product_ids: Sequence[str]) -> tuple[ChannelListing, ...]:
    """Return the items' listings with their counts."""
    items = await fetch(api, product_ids)
    listings = listings_of(items.values(), api.settings["location_id"])
    counts = await stock.counts_at(api, [each.ref.keys["variation_id"] for each in listings])
    return with_quantities(listings, counts)


# ---- pushing -------------------------------------------------------------------------------------------


async def push(api: Api, batch: ListingBatch) -> ListingReceipt:
    """Write the items: those that are there in one request, new ones one by one, each under its own key.

    A new one must not be made twice. Square's search may not show it at once; but the same request under the same key
    gets the same answer, so a batch that is sent again repeats the very same requests.
    """
    results: dict[str, ListingResult] = {}
    fit: list[ListingDraft] = []
    for draft in batch.drafts:
        reason = drafts.misfit(draft)
        if reason is None:
            fit.append(draft)
        else:
            results[draft.key] = ListingResult(draft.key, PushOutcome.REFUSED, draft.external_id, reasons=(reason,))
    if fit:
        known, taken = await _known(api, fit)
        results |= taken
        results |= await _change(api, batch.idempotency_key, [each for each in fit if each.key in known], known)
        new = [each for each in fit if each.key not in known and each.key not in results]
        results |= await _make(api, batch.idempotency_key, new, bool(results))
    return ListingReceipt(tuple(results[draft.key] for draft in batch.drafts))


async def _known(api: Api, wanted: Sequence[ListingDraft]) -> tuple[dict[str, str], dict[str, ListingResult]]:
    """Return the items that are there already, by the drafts' keys, and the drafts that cannot be made for another's."""
    known = {draft.key: draft.external_id for draft in wanted if draft.external_id}
    new = [draft for draft in wanted if not draft.external_id]
    found = await find_by_sku(api, [each.sku for draft in new for each in draft.variants])
    taken: dict[str, ListingResult] = {}
    for draft in new:
        for variant in draft.variants:
            for item in found.get(variant.sku, ()):
                ours = {drafts.managed_key(each) for each in objects(inner(item, "item_data"), "variations")}
                if draft.key in ours:
                    known[draft.key] = optional_text(item, "id")
                    continue
                detail = f"Square has another item with the SKU {variant.sku}: import the listings and match it."
                reason = ChannelReason(detail, "sku", "SKU_TAKEN", variant.key)
                taken.setdefault(draft.key, ListingResult(draft.key, PushOutcome.REFUSED, reasons=(reason,)))
    return known, {key: result for key, result in taken.items() if key not in known}


async def _make(
    api: Api, key: str, new: Sequence[ListingDraft], something_is_written: bool
) -> dict[str, ListingResult]:
    location_id = api.settings["location_id"]

    async def write(draft: ListingDraft) -> ListingResult:
        item = drafts.item_of(draft, None, location_id)

        async def plan(names: Sequence[str]) -> tuple[dict[str, ListingResult], dict[str, dict[str, Any]]]:
            return {}, {draft.key: item}

        work = Work(plan, lambda _, answer: _written(draft, item, answer, location_id), lambda _, e: _refused(draft, e))
        return (await upsert(api, f"{key}/{draft.key}", [draft.key], work))[draft.key]

    if something_is_written:
        try:
            made = await written_in_turn(new, write, _failed)
        except ConnectorError as error:
            made = [_failed(draft, PushOutcome.FAILED, error) for draft in new]
    else:
        made = await written_in_turn(new, write, _failed)
    return {result.key: result for result in made}


async def _change(
    api: Api, key: str, wanted: Sequence[ListingDraft], known: Mapping[str, str]
) -> dict[str, ListingResult]:
    location_id = api.settings["location_id"]
    by_key = {draft.key: draft for draft in wanted}
    sent: dict[str, dict[str, Any]] = {}

    async def plan(names: Sequence[str]) -> tuple[dict[str, ListingResult], dict[str, dict[str, Any]]]:
        items = await fetch(api, [known[name] for name in names])
        decided: dict[str, ListingResult] = {}
        for name in names:
            draft, item = by_key[name], items.get(known[name])
            if item is None:
                reason = ChannelReason(
                    "Square does not know this item any more: it was deleted there.", code="NOT_FOUND"
                )
                decided[name] = ListingResult(name, PushOutcome.REFUSED, known[name], reasons=(reason,))
                continue
            sent[name] = drafts.item_of(draft, item, location_id)
            if sent[name] == drafts.writable(item):
                decided[name] = _written(draft, sent[name], Written(item, {}), location_id)
            elif draft.expected_version and draft.expected_version != drafts.version_of(item):
                decided[name] = _stale(draft, known[name], drafts.version_of(item))
        return decided, {name: sent[name] for name in names if name not in decided}

    def written(name: str, answer: Written) -> ListingResult:
        return _written(by_key[name], sent[name], answer, location_id)

    work = Work(plan, written, lambda name, error: _refused(by_key[name], error))
    try:
        return await upsert(api, key, list(by_key), work) if by_key else {}
    except OutcomeUnknown as error:
        return {name: _failed(draft, PushOutcome.UNKNOWN, error) for name, draft in by_key.items()}


def _written(draft: ListingDraft, sent: Json, answer: Written, location_id: str) -> ListingResult:
    own = optional_text(sent, "id")
    item_id = answer.ids.get(own, own)
    refs = drafts.refs_of(draft, sent, answer.ids, location_id, item_id)
    version = drafts.version_of(answer.object) if answer.object else ""
    return ListingResult(draft.key, PushOutcome.APPLIED, item_id, refs, product_version=version)


def _stale(draft: ListingDraft, item_id: str, version: str) -> ListingResult:
    reasons = (ChannelReason(_CHANGED, code="VERSION_MISMATCH"),)
    return ListingResult(draft.key, PushOutcome.STALE, item_id, reasons=reasons, product_version=version)


def _refused(draft: ListingDraft, error: SquareRejected) -> ListingResult:
    if error.code in CONFLICTS:
        return _stale(draft, draft.external_id, "")
    reasons = drafts.reasons_of(error, draft.variants)
    return ListingResult(draft.key, PushOutcome.REFUSED, draft.external_id, reasons=reasons)


def _failed(draft: ListingDraft, outcome: PushOutcome, error: ConnectorError) -> ListingResult:
    return ListingResult(draft.key, outcome, draft.external_id, reasons=drafts.reasons_of(error, draft.variants))


# ---- ending --------------------------------------------------------------------------------------------


async def end(api: Api, batch: EndBatch) -> ListingReceipt:
    """Take items off our location, archive or delete them."""
    results: dict[str, ListingResult] = {}
    deleted = [each for each in batch.ends if each.kind is EndKind.DELETE]
    if deleted:
        named = [each.external_id for each in deleted if each.whole]
        named += [variation_of(ref.external_id) for each in deleted if not each.whole for ref in each.refs]
        for start in range(0, len(named), calls.DELETES_MAX):
            try:
                await api.send(calls.delete_objects(named[start : start + calls.DELETES_MAX]))
            except RateLimited:
                raise
            except TemporarilyUnavailable as error:
                raise as_lost(error) from error
        results |= {each.key: ListingResult(each.key, PushOutcome.APPLIED, each.external_id) for each in deleted}
    kept = {each.key: each for each in batch.ends if each.kind is not EndKind.DELETE}
    if kept:
        results |= await _hide(api, batch.idempotency_key, kept)
    return ListingReceipt(tuple(results[each.key] for each in batch.ends))


async def _hide(api: Api, key: str, ends: Mapping[str, ListingEnd]) -> dict[str, ListingResult]:
    location_id = api.settings["location_id"]

    async def plan(names: Sequence[str]) -> tuple[dict[str, ListingResult], dict[str, dict[str, Any]]]:
        items = await fetch(api, [ends[name].external_id for name in names])
        decided: dict[str, ListingResult] = {}
        to_send: dict[str, dict[str, Any]] = {}
        for name in names:
            ending = ends[name]
            item = items.get(ending.external_id)
            if not ending.whole and ending.kind is EndKind.ARCHIVE:
                reason = ChannelReason("Square archives whole items: unpublish or delete the single variant.")
                decided[name] = ListingResult(name, PushOutcome.REFUSED, ending.external_id, reasons=(reason,))
                continue
            changed = _hidden(ending, item, location_id) if item is not None else None
            if item is None or changed is None or changed == drafts.writable(item):
                decided[name] = ListingResult(name, PushOutcome.APPLIED, ending.external_id)
            else:
                to_send[name] = changed
        return decided, to_send

    def written(name: str, answer: Written) -> ListingResult:
        version = drafts.version_of(answer.object) if answer.object else ""
        return ListingResult(name, PushOutcome.APPLIED, ends[name].external_id, product_version=version)

    def refused(name: str, error: SquareRejected) -> ListingResult:
        outcome = PushOutcome.STALE if error.code in CONFLICTS else PushOutcome.REFUSED
        return ListingResult(name, outcome, ends[name].external_id, reasons=drafts.reasons_of(error))

    return await upsert(api, key, list(ends), Work(plan, written, refused))


def _hidden(ending: ListingEnd, item: Json, location_id: str) -> dict[str, Any]:
    changed = drafts.writable(item)
    if ending.kind is EndKind.ARCHIVE:
        changed["item_data"]["is_archived"] = True
        return changed
    named = {variation_of(ref.external_id) for ref in ending.refs}
    variations = changed["item_data"]["variations"]
    hidden = [changed, *variations] if ending.whole else [each for each in variations if each["id"] in named]
    for thing in hidden:
        drafts.show(thing, location_id, shown=False)
    return changed
