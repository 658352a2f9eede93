"""Making, changing and deleting listings: accepted at once, in effect a little later."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.amazon import attributes
from entrepot_sandbox.amazon.answers import Refused, body_of, invalid, json_answer, list_of
from entrepot_sandbox.amazon.attributes import ATTRIBUTE, REQUIRED, Json, issue
from entrepot_sandbox.amazon.listings import check_place
from entrepot_sandbox.amazon.state import State
from entrepot_sandbox.books import Listing, Product
from entrepot_sandbox.journal import WriteKind
from entrepot_sandbox.sheets import Edit, Sheet, apply

TAKES_EFFECT_S = (2.0, 10.0)
"""Between these an accepted submission comes into effect."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a submission asks of a SKU. `whole`: these are all of its attributes; `patches`: changes to them."""

    sku: str
    product_type: str
    requirements: str = "LISTING"
    whole: Json | None = None
    patches: Sequence[Any] = ()
    deleted: bool = False


async def put_item(state: State, request: Request) -> Response:
    """PUT /listings/2021-08-01/items/{sellerId}/{sku}: makes it, or replaces it whole."""
    check_place(state, request)
    body = await body_of(request)
    whole, requirements = body.get("attributes"), body.get("requirements", "LISTING")
    if not isinstance(body.get("productType"), str) or not isinstance(whole, dict):
        raise invalid("productType and attributes are required.")
    if requirements not in REQUIRED:
        raise invalid("requirements has a value that is not known.")
    wish = Wish(request.path_params["sku"], body["productType"], requirements, whole=whole)
    return _answer(state, request, wish)


async def patch_item(state: State, request: Request) -> Response:
    """PATCH /listings/2021-08-01/items/{sellerId}/{sku}."""
    check_place(state, request)
    body = await body_of(request)
    if not isinstance(body.get("productType"), str) or not isinstance(body.get("patches"), list) or not body["patches"]:
        raise invalid("productType and patches are required.")
    return _answer(state, request, Wish(request.path_params["sku"], body["productType"], patches=body["patches"]))


async def delete_item(state: State, request: Request) -> Response:
    """DELETE /listings/2021-08-01/items/{sellerId}/{sku}."""
    check_place(state, request)
    sku = request.path_params["sku"]
    if sku not in state.shop.by_sku:
        raise Refused(404, "NOT_FOUND", f"SKU '{sku}' not found in marketplace {state.place.id}")
    return _answer(state, request, Wish(sku, "", deleted=True))


def _answer(state: State, request: Request, wish: Wish) -> Response:
    problems = problems_of(state, wish)
    is_refused = any(each["severity"] == "ERROR" for each in problems)
    submission = f"{state.next_id('submission'):032x}"
    is_preview = request.query_params.get("mode") == "VALIDATION_PREVIEW"
    if not is_refused and not is_preview:
        requested_at = state.desk.world.clock.monotonic()
        state.desk.spawn(_take_effect(state, wish, submission, requested_at, _due(state, wish.sku)))
    status = "INVALID" if is_refused else "VALID" if is_preview else "ACCEPTED"
    answer: dict[str, Any] = {"sku": wish.sku, "status": status, "submissionId": submission, "issues": problems}
    listing = state.shop.by_sku.get(wish.sku)
    if "identifiers" in list_of(request, "includedData") and listing is not None:
        answer["identifiers"] = [{"marketplaceId": state.place.id, "asin": listing.keys["asin"]}]
    return json_answer(answer)


def problems_of(state: State, wish: Wish) -> list[Json]:
    """Return what is wrong with a submission."""
    if wish.deleted:
        return []
    listing = state.shop.by_sku.get(wish.sku)
    if wish.whole is None:
        if listing is None:
            return [issue("4000003", f"SKU '{wish.sku}' was not found.", "sku")]
        after, wrong = attributes.patched(attributes.attributes_of(listing), wish.patches)
        if wrong:
            return wrong
        wrong = attributes.quantity_in(after)[1]
        touched = {str(patch["path"]).removeprefix("/attributes/") for patch in wish.patches}
        if wrong or touched <= {ATTRIBUTE}:
            return wrong
        # A patch answers for what it touches; what else may be missing is an old story.
        found = attributes.problems_in(after, wish.product_type, _requirements(after), state.place.currency)
        return [each for each in found if set(each["attributeNames"]) & (touched | {"productType"})]
    wrong = attributes.quantity_in(wish.whole)[1]
    found = attributes.problems_in(wish.whole, wish.product_type, wish.requirements, state.place.currency)
    parent = attributes.first(wish.whole, "child_parent_sku_relationship", "parent_sku")
    if parent and not wish.whole.get("variation_theme"):
        message = "'variation_theme' is required for a child."
        found.append(issue("90220", message, "variation_theme", missing=True))
    return wrong + found


def _requirements(after: Mapping[str, Any]) -> str:
    return "LISTING" if after.get("purchasable_offer") else "LISTING_PRODUCT_ONLY"


def _due(state: State, sku: str) -> float:
    """Return when a submission of now comes into effect; never before an earlier one."""
    clock = state.desk.world.clock
    after = clock.scaled(state.effect_chance.uniform(*TAKES_EFFECT_S))
    due = max(clock.monotonic() + after, state.due.get(sku, 0.0) + 0.001)
    state.due[sku] = due
    return due


async def _take_effect(state: State, wish: Wish, request_id: str, requested_at: float, due: float) -> None:
    await asyncio.sleep(max(0.0, due - state.desk.world.clock.monotonic()))
    carry_out(state, wish, request_id, requested_at)


def carry_out(state: State, wish: Wish, request_id: str, requested_at: float) -> None:
    """Do what was accepted, now. A quantity overwrites whatever was sold since it was asked for."""
    listing = state.shop.by_sku.get(wish.sku)
    if wish.deleted:
        if listing is not None:
            state.shop.remove_listing(listing)
        return
    if listing is None:
        if wish.whole is None:
            return
        listing = _new_listing(state, wish.sku)
    touched = {str(patch["path"]).removeprefix("/attributes/") for patch in wish.patches}
    after = wish.whole
    if after is None:
        after, _ = attributes.patched(attributes.attributes_of(listing), wish.patches)
    if wish.whole is not None or touched - {ATTRIBUTE}:
        attributes.take(state, listing, after, wish.product_type)
    if wish.whole is None and ATTRIBUTE not in touched:
        return
    quantity, _ = attributes.quantity_in(after)
    if quantity is not None and (quantity != listing.quantity or wish.whole is None):
        state.shop.write_quantity(
            listing, quantity, kind=WriteKind.ABSOLUTE, request_id=request_id, requested_at=requested_at
        )


def _new_listing(state: State, sku: str) -> Listing:
    truth, now = state.desk.world.products.get(sku), state.desk.now()
    product = Product(sku, sku, Decimal(0), state.place.currency, "", truth.stock if truth else 0)
    listing = state.shop.add_listing(product, sku, {"asin": f"B1{state.next_id('asin'):08d}"})
    listing.sheet = Sheet(sku, sku, "LISTING", now, now, [listing])
    listing.sheet.extra = {"attributes": {}, "product_type": ""}
    return listing


def edit(state: State, told: Edit, listing: Listing) -> None:
    """Change a listing as somebody would in Seller Central: at once."""
    sheet = listing.sheet
    assert sheet is not None
    if told.deleted:
        state.shop.remove_listing(listing)
        return
    own = dict(sheet.extra["attributes"])
    apply(told, listing, sheet, state.desk.now())
    place = {"marketplace_id": state.place.id}
    own["item_name"] = [{"value": sheet.title, **place}]
    if told.description_html is not None:
        own["product_description"] = [{"value": told.description_html, **place}]
    if told.vendor is not None:
        own["brand"] = [{"value": told.vendor, **place}]
    offer = {
        "audience": "ALL",
        "currency": listing.product.currency,
        "our_price": [{"schedule": [{"value_with_tax": float(listing.product.price)}]}],
        **place,
    }
    if told.shown is False:
        own.pop("purchasable_offer", None)
    elif told.price is not None or told.shown:
        own["purchasable_offer"] = [offer]
    attributes.take(state, listing, own, sheet.extra["product_type"])
