"""Writing products, following what Shopify finishes later, reading products whole, ending them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

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
    ListingField,
    ListingReceipt,
    ListingRef,
    ListingResult,
    PushOutcome,
    UnexpectedAnswer,
)
from entrepot.channels.in_turn import written_in_turn
from entrepot.connectors.shopify import drafts, listing_mapping, listing_queries, listing_shapes, mapping, shapes
from entrepot.connectors.shopify.calls import ask, written
from entrepot.connectors.shopify.queries import Operation
from entrepot.connectors.shopify.stock import location_of

BATCH_MAX = 25
_GONE = frozenset({"PRODUCT_DOES_NOT_EXIST", "PRODUCT_VARIANT_DOES_NOT_EXIST", "NOT_FOUND"})
_COMPLETE = "COMPLETE"


class _Pending(msgspec.Struct, frozen=True):
    """A product that Shopify is still writing: our key, its operation, and our variants' keys by their options."""

    key: str
    operation: str
    variants: list[tuple[str, list[str]]]


_handle = msgspec.json.Decoder(list[_Pending])


async def push(api: Api, batch: ListingBatch) -> ListingReceipt:
    """Write the products one by one. A large one is PENDING."""
    pending: list[_Pending] = []

    async def write(draft: ListingDraft) -> ListingResult:
        return await _push_one(api, draft, pending)

    results = await written_in_turn(batch.drafts, write, _failed_draft)
    return ListingReceipt(tuple(results), msgspec.json.encode(pending).decode() if pending else None)


def _failed_draft(draft: ListingDraft, outcome: PushOutcome, error: ConnectorError) -> ListingResult:
    return ListingResult(draft.key, outcome, draft.external_id, reasons=(ChannelReason(error.detail, code=error.code),))


def _refused(draft: ListingDraft, code: str, field: str, detail: str) -> ListingResult:
    reasons = (ChannelReason(detail, field, code),)
    return ListingResult(draft.key, PushOutcome.REFUSED, draft.external_id, reasons=reasons)


async def _push_one(api: Api, draft: ListingDraft, pending: list[_Pending]) -> ListingResult:
    shape = _misshapen(draft)
    if shape is not None:
        return shape
    location = location_of(api)
    head, handle, currency = await _find(api, draft)
    if head is None and draft.external_id:
        detail = "Shopify does not know this product any more: it was deleted there."
        return _refused(draft, "PRODUCT_DOES_NOT_EXIST", "", detail)
    if head is None and not handle:
        detail = (
            f"Other products in the shop have the addresses {' and '.join(drafts.handles_of(draft))}: choose a handle."
        )
        return _refused(draft, "HANDLE_NOT_UNIQUE", "", detail)
    if any(each.currency != currency for each in draft.variants):
        detail = f"The shop's prices are in {currency}: give the prices in it."
        return _refused(draft, "CURRENCY", ListingField.PRICE, detail)
    wanted = drafts.input_of(draft, head, handle, location)
    at_once = len(draft.variants) <= listing_queries.SYNCHRONOUS_MAX
    cost = len(draft.variants) * listing_queries.COST_OF_VARIANT
    cost += len(wanted.get("files", ())) * listing_queries.COST_OF_FILE
    # By its handle a new product is made once, however often this is sent.
    identifier = {"id": head.id} if head else {"handle": handle}
    variables = {"identifier": identifier, "input": wanted, "synchronous": at_once}
    data = await written(api, listing_queries.SET_PRODUCT, listing_shapes.SetProduct, variables, cost)
    answer = data.product_set
    if answer.user_errors:
        reasons = drafts.reasons_of(answer.user_errors, draft.variants)
        return ListingResult(draft.key, PushOutcome.REFUSED, draft.external_id, reasons=reasons)
    product_id = mapping.number_of(head.id) if head else ""
    if answer.product_set_operation is not None and answer.product is None:
        keys = [(each.key, list(each.options or (listing_mapping.NO_TITLE,))) for each in draft.variants]
        pending.append(_Pending(draft.key, answer.product_set_operation.id, keys))
        return ListingResult(draft.key, PushOutcome.PENDING, product_id)
    if answer.product is None:
        raise UnexpectedAnswer("Shopify wrote a product and does not say which")
    refs = drafts.refs_of(draft, answer.product.variants.nodes, location)
    return ListingResult(draft.key, PushOutcome.APPLIED, mapping.number_of(answer.product.id), refs)


def _misshapen(draft: ListingDraft) -> ListingResult | None:
    if not draft.variants:
        return _refused(draft, "NO_VARIANT", "variants", "The product has no variant.")
    wrong = next((each for each in draft.variants if len(each.options) != len(draft.option_names)), None)
    if wrong is None:
        return None
    detail = f"{wrong.sku} has {len(wrong.options)} option values for {len(draft.option_names)} options."
    return _refused(draft, "OPTIONS", ListingField.OPTIONS, detail)


async def _find(api: Api, draft: ListingDraft) -> tuple[listing_shapes.Head | None, str, str]:
    """Return the product as it is (None: it is to be made), the handle for a new one, and the shop's currency.

    Without an id it is found by its handle, and is ours only if it carries our key: another's product is never
    overwritten. No handle is returned where both that we would give are taken.
    """
    if draft.external_id:
        gid = mapping.gid_of("Product", draft.external_id)
        head, currency = await _head(api, listing_queries.HEAD_BY_ID, {"id": gid})
        return head, "", currency
    currency = ""
    for handle in drafts.handles_of(draft):
        head, currency = await _head(api, listing_queries.HEAD_BY_HANDLE, {"handle": handle})
        if head is None or (head.metafield is not None and head.metafield.value == draft.key):
            return head, handle, currency
    return None, "", currency


async def _head(api: Api, operation: Operation, variables: dict[str, Any]) -> tuple[listing_shapes.Head | None, str]:
    """Return a product with all of its variants, and the shop's currency."""
    data, _ = await ask(api, operation, listing_shapes.ProductHead, {**variables, "after": None})
    head, page = data.product, data.product
    while page is not None and head is not None and page.variants.page_info.has_next_page:
        after = page.variants.page_info.end_cursor
        further, _ = await ask(api, operation, listing_shapes.ProductHead, {**variables, "after": after})
        page = further.product
        if page is not None:
            nodes = [*head.variants.nodes, *page.variants.nodes]
            head = msgspec.structs.replace(head, variants=shapes.Connection(nodes, page.variants.page_info))
    return head, data.shop.currency_code


# ---- following -----------------------------------------------------------------------------------------


async def follow(api: Api, handle: str) -> tuple[ListingResult, ...] | None:
    """Return how the operations of a push ended, or None while one is still going on."""
    try:
        pending = _handle.decode(handle)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswer("The handle of this push cannot be read: push the products again.") from error
    results = []
    for each in pending:
        data, _ = await ask(api, listing_queries.SET_OPERATION, listing_shapes.SetOperation, {"id": each.operation})
        operation = data.product_operation
        if operation is None:
            detail = "Shopify does not know this operation any more: look at the product."
            reasons = (ChannelReason(detail, code="OPERATION_GONE"),)
            results.append(ListingResult(each.key, PushOutcome.UNKNOWN, reasons=reasons))
        elif operation.status != _COMPLETE:
            return None
        else:
            results.append(await _ended(api, each, operation))
    return tuple(results)


async def _ended(api: Api, pending: _Pending, operation: listing_shapes.Operation) -> ListingResult:
    if operation.user_errors or operation.product is None:
        reasons = drafts.reasons_of(operation.user_errors)
        keys = [key for key, _ in pending.variants]
        reasons = tuple(
            _with_key(each, error, keys) for each, error in zip(reasons, operation.user_errors, strict=True)
        )
        return ListingResult(pending.key, PushOutcome.REFUSED, reasons=reasons)
    head, _ = await _head(api, listing_queries.HEAD_BY_ID, {"id": operation.product.id})
    by_values = {drafts.values_of(each): each for each in head.variants.nodes} if head else {}
    refs: dict[str, ListingRef] = {}
    for key, values in pending.variants:
        variant = by_values.get(tuple(values))
        if variant is not None:
            refs[key] = listing_mapping.ref_of(variant.id, variant.inventory_item.id, location_of(api))
    return ListingResult(pending.key, PushOutcome.APPLIED, mapping.number_of(operation.product.id), refs)


def _with_key(reason: ChannelReason, error: shapes.UserError, keys: Sequence[str]) -> ChannelReason:
    path = error.field or []
    index = next((int(part) for part in path if part.isascii() and part.isdigit()), None)
    key = keys[index] if "variants" in path and index is not None and index < len(keys) else ""
    return ChannelReason(reason.detail, reason.field, reason.code, key)


# ---- reading -------------------------------------------------------------------------------------------


async def read(api: Api, product_ids: Sequence[str]) -> tuple[ChannelListing, ...]:
    """Return the products' listings with their pictures."""
    found: list[ChannelListing] = []
    location = location_of(api)
    for product_id in dict.fromkeys(product_ids):
        variables = {"id": mapping.gid_of("Product", product_id), "location": mapping.gid_of("Location", location)}
        after: str | None = None
        while True:
            data, _ = await ask(
                api, listing_queries.PRODUCT_WHOLE, listing_shapes.ProductWhole, {**variables, "after": after}
            )
            product = data.product
            if product is None:
                break
            images = listing_mapping.images_of(product.media.nodes)
            currency = data.shop.currency_code
            found += [
                listing_mapping.listing_of(each, currency, location, product, images) for each in product.variants.nodes
            ]
            page = product.variants.page_info
            if not page.has_next_page or page.end_cursor in (None, after):
                break
            after = page.end_cursor
    return tuple(found)


# ---- ending --------------------------------------------------------------------------------------------


async def end(api: Api, batch: EndBatch) -> ListingReceipt:
    """End the products one by one."""

    async def write(ending: ListingEnd) -> ListingResult:
        return await _end_one(api, ending)

    return ListingReceipt(tuple(await written_in_turn(batch.ends, write, _failed_end)))


def _failed_end(ending: ListingEnd, outcome: PushOutcome, error: ConnectorError) -> ListingResult:
    reasons = (ChannelReason(error.detail, code=error.code),)
    return ListingResult(ending.key, outcome, ending.external_id, reasons=reasons)


async def _end_one(api: Api, ending: ListingEnd) -> ListingResult:
    product = mapping.gid_of("Product", ending.external_id)
    if ending.whole and ending.kind is EndKind.DELETE:
        deleted = await written(api, listing_queries.DELETE_PRODUCT, listing_shapes.DeleteProduct, {"id": product})
        errors = deleted.product_delete.user_errors
    elif ending.whole:
        status = "DRAFT" if ending.kind is EndKind.UNPUBLISH else "ARCHIVED"
        variables: dict[str, Any] = {"product": {"id": product, "status": status}}
        changed = await written(api, listing_queries.SET_STATUS, listing_shapes.SetStatus, variables)
        errors = changed.product_update.user_errors
    elif ending.kind is EndKind.DELETE:
        errors = await _delete_variants(api, product, ending.refs)
    else:
        detail = "Shopify shows or hides whole products: a single variant can only be deleted."
        return ListingResult(ending.key, PushOutcome.REFUSED, ending.external_id, reasons=(ChannelReason(detail),))
    serious = [error for error in errors if not _is_gone(error)]
    outcome = PushOutcome.REFUSED if serious else PushOutcome.APPLIED
    return ListingResult(ending.key, outcome, ending.external_id, reasons=drafts.reasons_of(serious))


async def _delete_variants(api: Api, product: str, refs: Sequence[ListingRef]) -> list[shapes.UserError]:
    """Delete those variants that are still there: Shopify would refuse all for one that is not."""
    head, _ = await _head(api, listing_queries.HEAD_BY_ID, {"id": product})
    wanted = {mapping.gid_of("ProductVariant", ref.external_id) for ref in refs}
    there = [each.id for each in head.variants.nodes if each.id in wanted] if head else []
    if not there:
        return []
    variables = {"product": product, "variants": there}
    removed = await written(api, listing_queries.DELETE_VARIANTS, listing_shapes.DeleteVariants, variables)
    return removed.product_variants_bulk_delete.user_errors


def _is_gone(error: shapes.UserError) -> bool:
    """Return whether the objection is that it is not there any more, which is what we want. Some have no code."""
    return error.code in _GONE or "does not exist" in error.message.lower()
