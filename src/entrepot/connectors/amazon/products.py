"""Making, changing, trying, ending and reading listings: a few one by one, many by a feed that is followed."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence

import msgspec

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
    PushOutcome,
    RateLimited,
    Reply,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)
from entrepot.channels.in_turn import as_lost, written_in_turn
from entrepot.connectors.amazon import attributes, calls, feeds
from entrepot.connectors.amazon.errors import AmazonRejected
from entrepot.connectors.amazon.issues import blocks, reasons_of
from entrepot.connectors.amazon.listings import children_of, is_parent, listing_of
from entrepot.connectors.amazon.manifest import LISTINGS_BY_ONE
from entrepot.connectors.amazon.reading import inner, objects, optional_text
from entrepot.connectors.amazon.submissions import (
    NOT_FOUND,
    Ended,
    Parts,
    Submission,
    ended_of,
    listed,
    misfit,
    parts_of,
    skus_of,
    submissions_of,
    whole_listing,
)


class _Handle(msgspec.Struct, frozen=True):
    """A feed of listings, and what its messages are about."""

    feed: str
    parts: list[Parts]


async def push(api: Api, batch: ListingBatch) -> ListingReceipt:
    """Write the listings."""
    fit, results = _fit(api, batch.drafts)
    if not fit:
        return ListingReceipt(tuple(results[draft.key] for draft in batch.drafts))
    there = await listed(api, [sku for draft in fit for sku in skus_of(draft)])
    place = api.settings["marketplace_id"]
    planned = {draft.key: submissions_of(draft, there, place) for draft in fit}
    handle: str | None = None
    if sum(each.is_needed for some in planned.values() for each in some) > LISTINGS_BY_ONE:
        handle = await _push_feed(api, fit, planned)
        for draft in fit:
            external_id = parts_of(draft, planned[draft.key]).external_id
            results[draft.key] = ListingResult(draft.key, PushOutcome.PENDING, external_id)
    else:

        async def write(draft: ListingDraft) -> ListingResult:
            return await _push_one(api, draft, planned[draft.key])

        results |= {each.key: each for each in await written_in_turn(fit, write, _failed)}
    return ListingReceipt(tuple(results[draft.key] for draft in batch.drafts), handle)


async def preview(api: Api, batch: ListingBatch) -> tuple[ListingResult, ...]:
    """Have Amazon look at the listings without taking them."""
    fit, results = _fit(api, batch.drafts)
    there = await listed(api, [sku for draft in fit for sku in skus_of(draft)]) if fit else {}
    for draft in fit:
        planned = submissions_of(draft, there, api.settings["marketplace_id"])
        ended = [await _submit(api, each, preview=True) for each in planned]
        results[draft.key] = parts_of(draft, planned).result(ended)
    return tuple(results[draft.key] for draft in batch.drafts)


def _fit(api: Api, wanted: Sequence[ListingDraft]) -> tuple[list[ListingDraft], dict[str, ListingResult]]:
    fit, results = [], {}
    for draft in map(attributes.themed, wanted):
        reason = misfit(draft, api.settings["marketplace_id"])
        if reason is None:
            fit.append(draft)
        else:
            results[draft.key] = ListingResult(draft.key, PushOutcome.REFUSED, draft.external_id, reasons=(reason,))
    return fit, results


def _failed(draft: ListingDraft, outcome: PushOutcome, error: ConnectorError) -> ListingResult:
    return ListingResult(draft.key, outcome, draft.external_id, reasons=(ChannelReason(error.detail, code=error.code),))


async def _push_one(api: Api, draft: ListingDraft, planned: Sequence[Submission]) -> ListingResult:
    ended: list[Ended] = []
    for each in planned:
        ended.append(await _submit(api, each, preview=False))
        if not each.variant_key and ended[0].outcome is not PushOutcome.APPLIED:
            ended += [Ended(PushOutcome.REFUSED, ())] * (len(planned) - 1)
            break
    return parts_of(draft, planned).result(ended)


async def _submit(api: Api, submission: Submission, *, preview: bool) -> Ended:
    if not submission.is_needed:
        return Ended(PushOutcome.APPLIED, ())
    make = calls.put_listing if submission.patches is None else calls.patch_listing
    seller_id, place = api.settings["seller_id"], api.settings["marketplace_id"]
    reply = await written(api, make(seller_id, place, submission.sku, submission.body, preview=preview))
    return ended_of(reply, submission.variant_key)


async def written(api: Api, call: Call) -> Reply:
    """Send a write. Raises OutcomeUnknown where it may have been done."""
    try:
        return await api.send(call)
    except RateLimited:
        raise
    except TemporarilyUnavailable as error:
        raise as_lost(error) from error


# ---- by feed -------------------------------------------------------------------------------------------


async def _push_feed(api: Api, fit: Sequence[ListingDraft], planned: dict[str, list[Submission]]) -> str:
    """Hand everything over as one feed; return its handle."""
    parts, messages = [], []
    for draft in fit:
        needed = [each for each in planned[draft.key] if each.is_needed]
        parts.append(parts_of(draft, planned[draft.key]))
        messages += [each.message for each in needed]
    contents = calls.messages_feed(api.settings["seller_id"], messages)
    feed_id = await feeds.submit(api, contents)
    packed = zlib.compress(msgspec.json.encode(_Handle(feed_id, parts)), 9)
    return base64.urlsafe_b64encode(packed).decode()


async def follow(api: Api, handle: str) -> tuple[ListingResult, ...] | None:
    """Return how the feed of a push ended, draft by draft, or None while Amazon works on it."""
    try:
        told = msgspec.json.decode(zlib.decompress(base64.urlsafe_b64decode(handle)), type=_Handle)
    except (binascii.Error, ValueError, zlib.error, msgspec.DecodeError) as error:
        raise UnexpectedAnswer("The stored handle of the feed cannot be read") from error
    ended = await feeds.ended_of(api, told.feed)
    if ended is None:
        return None
    if not ended.report:
        why = (ChannelReason(ended.detail, code=ended.code),)
        return tuple(ListingResult(each.key, ended.outcome, each.external_id, reasons=why) for each in told.parts)
    by_sku: dict[str, list[dict[str, object]]] = {}
    whole: list[dict[str, object]] = []
    for issue in objects(ended.report, "issues"):
        sku = optional_text(issue, "sku")
        by_sku.setdefault(sku, []).append(dict(issue)) if sku else whole.append(dict(issue))
    if blocks(whole) and not inner(ended.report, "summary").get("messagesAccepted"):
        reasons = reasons_of(whole)
        return tuple(ListingResult(each.key, PushOutcome.REFUSED, reasons=reasons) for each in told.parts)
    return tuple(each.result([_of_report(by_sku.get(sku, []), key) for sku, key in each.skus]) for each in told.parts)


def _of_report(issues: Sequence[dict[str, object]], variant_key: str) -> Ended:
    outcome = PushOutcome.REFUSED if blocks(issues) else PushOutcome.APPLIED
    return Ended(outcome, reasons_of(issues, variant_key))


# ---- reading -------------------------------------------------------------------------------------------


async def read(api: Api, product_ids: Sequence[str]) -> tuple[ChannelListing, ...]:
    """Return these listings; of a family, its variants. Many are asked for at once, first the families, then what they name."""
    place = api.settings["marketplace_id"]
    wanted = list(dict.fromkeys(product_ids))
    there = await listed(api, wanted)
    families = {sku: children_of(there[sku], place) for sku in wanted if sku in there and is_parent(there[sku])}
    variants = await listed(api, [sku for skus in families.values() for sku in skus])
    found: list[ChannelListing] = []
    for sku in wanted:
        of_one = [variants[each] for each in families[sku] if each in variants] if sku in families else []
        if sku in there and sku not in families:
            of_one = [there[sku]]
        found += [listing_of(each, place) for each in of_one]
    return tuple(found)


# ---- ending --------------------------------------------------------------------------------------------


async def end(api: Api, batch: EndBatch) -> ListingReceipt:
    """Close the offers, or delete the listings, one by one."""

    async def write(ending: ListingEnd) -> ListingResult:
        return await _end_one(api, ending)

    return ListingReceipt(tuple(await written_in_turn(batch.ends, write, _failed_end)))


def _failed_end(ending: ListingEnd, outcome: PushOutcome, error: ConnectorError) -> ListingResult:
    reasons = (ChannelReason(error.detail, code=error.code),)
    return ListingResult(ending.key, outcome, ending.external_id, reasons=reasons)


async def _end_one(api: Api, ending: ListingEnd) -> ListingResult:
    if ending.kind is EndKind.ARCHIVE:
        reason = ChannelReason("Amazon has no archive: unpublish or delete the listing.")
        return ListingResult(ending.key, PushOutcome.REFUSED, ending.external_id, reasons=(reason,))
    reasons: list[ChannelReason] = []
    outcome = PushOutcome.APPLIED
    refs = list(ending.refs)
    if ending.kind is EndKind.DELETE and ending.whole and ending.external_id not in {ref.external_id for ref in refs}:
        refs.append(ListingRef(ending.external_id))
    for ref in refs:
        ended = await _end_listing(api, ref, ending.kind)
        reasons += ended.reasons
        if ended.outcome is not PushOutcome.APPLIED:
            outcome = ended.outcome
    return ListingResult(ending.key, outcome, ending.external_id, reasons=tuple(reasons))


async def _end_listing(api: Api, ref: ListingRef, kind: EndKind) -> Ended:
    seller_id, place = api.settings["seller_id"], api.settings["marketplace_id"]
    if kind is EndKind.DELETE:
        call = calls.delete_listing(seller_id, place, ref.external_id)
    else:
        patch = attributes.delete_of(attributes.OFFER, place)
        body = {"productType": calls.product_type_of(ref), "patches": [patch]}
        call = calls.patch_listing(seller_id, place, ref.external_id, body, preview=False)
    try:
        ended = ended_of(await written(api, call))
    except AmazonRejected as error:
        if error.status == NOT_FOUND:
            return Ended(PushOutcome.APPLIED, ())
        raise
    if ended.outcome is PushOutcome.REFUSED and await whole_listing(api, ref.external_id) is None:
        return Ended(PushOutcome.APPLIED, ())
    return ended
