"""Offers: what is on sale on a marketplace, its price and quantity, and whether buyers see it."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.ebay.answers import Refused, body_of, error, json_answer
from entrepot_sandbox.ebay.inventory import unknown_sku
from entrepot_sandbox.ebay.state import Json, Offer, State, Units

OFFERS_MAX = 25
_FIXED = ("sku", "marketplaceId", "format")


async def get_offers(state: State, request: Request) -> Response:
    """GET /offer?sku=...: of a SKU that has none, 404."""
    given = request.query_params
    sku = given.get("sku", "")
    if sku not in state.items:
        raise Refused(404, 25702, f"{sku} could not be found or is not available in the system.")
    offer = state.offers.get(state.offer_of.get(sku, ""))
    if offer is None or given.get("marketplace_id", state.place.id) != state.place.id:
        raise Refused(404, 25713, "This Offer is not available : .")
    found = [offer_body(state, offer)]
    return json_answer(
        {"href": f"/sell/inventory/v1/offer?sku={sku}", "total": 1, "size": 1, "limit": 100, "offers": found}
    )


async def create_offer(state: State, request: Request) -> Response:
    """POST /offer: one for each SKU and marketplace."""
    body = await body_of(request)
    if not request.headers.get("content-language"):
        raise Refused(400, 25709, "Invalid value for header Content-Language.")
    sku = str(body.get("sku", ""))
    if sku not in state.items:
        raise Refused(400, 25702, f"{sku} could not be found or is not available in the system.")
    if body.get("marketplaceId") != state.place.id:
        raise Refused(400, 25709, f"Invalid value for marketplaceId. The seller sells on {state.place.id}.")
    if body.get("format") != "FIXED_PRICE":
        raise Refused(400, 25709, "Invalid value for format.")
    if sku in state.offer_of:
        raise Refused(400, 25002, "Offer entity already exists.", offerId=state.offer_of[sku])
    _check(state, body)
    available = body.get("availableQuantity")
    held = state.units[sku]
    state.units[sku] = Units(held.total, available if isinstance(available, int) else None)
    offer = state.add_offer(sku, {name: value for name, value in body.items() if name != "availableQuantity"})
    return json_answer({"offerId": offer.id}, 201)


async def update_offer(state: State, request: Request) -> Response:
    """PUT /offer/{offerId}: replaces it whole; without a quantity, the item's counts from then on."""
    offer, body = _offer(state, request), await body_of(request)
    if any(name in body for name in _FIXED):
        raise Refused(400, 2004, "Invalid request: sku, marketplaceId and format cannot be changed.", "ACCESS")
    _check(state, body)
    available = body.pop("availableQuantity", None)
    offer.body = {**{name: offer.body[name] for name in _FIXED}, **body}
    held = state.units[offer.sku]
    if available != held.available:
        state.write_units(offer.sku, Units(held.total, available), f"offer-{state.next_id('request')}", explicit=False)
    state.refresh(offer.sku)
    return Response(status_code=204)


async def delete_offer(state: State, request: Request) -> Response:
    """DELETE /offer/{offerId}."""
    state.delete_offer(_offer(state, request))
    return Response(status_code=204)


async def publish(state: State, request: Request) -> Response:
    """POST /offer/{offerId}/publish."""
    offer = _offer(state, request)
    if state.items[offer.sku].groups:
        raise Refused(400, 25604, "Input error. The SKU belongs to a group: publish the group.")
    _ready(state, offer)
    state.publish(offer)
    return json_answer({"listingId": offer.listing_id})


async def withdraw(state: State, request: Request) -> Response:
    """POST /offer/{offerId}/withdraw."""
    offer = _offer(state, request)
    state.withdraw(offer)
    return json_answer({"listingId": offer.listing_id})


async def publish_group(state: State, request: Request) -> Response:
    """POST /offer/publish_by_inventory_item_group: all of a group, as one listing."""
    offers = await _of_group(state, request)
    for each in offers:
        _ready(state, each)
    for each in offers:
        state.publish(each)
        each.listing_id = offers[0].listing_id
    return json_answer({"listingId": offers[0].listing_id})


async def withdraw_group(state: State, request: Request) -> Response:
    """POST /offer/withdraw_by_inventory_item_group."""
    for each in await _of_group(state, request):
        state.withdraw(each)
    return Response(status_code=204)


async def bulk_update(state: State, request: Request) -> Response:
    """POST /bulk_update_price_quantity: 25 at most, each for itself."""
    body = await body_of(request)
    wanted = body.get("requests")
    if not isinstance(wanted, list) or not wanted:
        raise Refused(400, 25709, "Invalid value for requests.")
    if len(wanted) > OFFERS_MAX or sum(len(each.get("offers", [])) for each in wanted) > OFFERS_MAX:
        raise Refused(400, 25709, f"Invalid value for requests. At most {OFFERS_MAX} are taken.")
    request_id = f"bulk-{state.next_id('request')}"
    responses = [answer for each in wanted for answer in _update(state, each, request_id)]
    is_mixed = any(each["statusCode"] != 200 for each in responses)
    return json_answer({"responses": responses}, 207 if is_mixed else 200)


def _update(state: State, wanted: Json, request_id: str) -> list[Json]:
    """Change one item and its offers; nothing of it where one of its parts is wrong."""
    offers = wanted.get("offers", [])
    known = [state.offers.get(str(each.get("offerId", ""))) for each in offers]
    sku = str(wanted.get("sku") or next((each.sku for each in known if each is not None), ""))
    if sku not in state.items:
        return [{"sku": sku, "statusCode": 404, "errors": [unknown_sku(sku)]}]
    total = wanted.get("shipToLocationAvailability", {}).get("quantity")
    problem = None if total is None else _bad_quantity(total)
    for told, offer in zip(offers, known, strict=True):
        if offer is None or offer.sku != sku:
            problem = problem or error(25713, f"This Offer is not available : {told.get('offerId')}.")
        elif not offer.published:
            problem = problem or error(25713, f"This Offer is not available : {offer.id} is not published.")
        problem = problem or _bad_offer(told)
    if problem is not None:
        return [{"sku": sku, "statusCode": 400, "errors": [problem], **_named(told)} for told in offers or [{}]]
    held = state.units[sku]
    after = Units(held.total if total is None else total, held.available)
    for told, offer in zip(offers, known, strict=True):
        assert offer is not None
        if "price" in told:
            offer.body.setdefault("pricingSummary", {})["price"] = told["price"]
        if "availableQuantity" in told:
            after.available = told["availableQuantity"]
    if total is not None and not offers and not _is_published(state, sku):
        # What is not shown takes the item's quantity when it is.
        after.available = None
    if total is not None or any("availableQuantity" in told for told in offers):
        state.write_units(sku, after, request_id, explicit=True)
    state.refresh(sku)
    return [{"sku": sku, "statusCode": 200, **_named(told)} for told in offers or [{}]]


def _is_published(state: State, sku: str) -> bool:
    offer = state.offers.get(state.offer_of.get(sku, ""))
    return offer is not None and offer.published


def _named(told: Json) -> Json:
    return {"offerId": str(told["offerId"])} if told.get("offerId") else {}


def _bad_quantity(value: Any) -> Json | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 9_999_999:
        return None
    return error(25004, "The eBay listing associated with the inventory item has an invalid quantity.")


def _bad_offer(told: Json) -> Json | None:
    if "availableQuantity" in told and (problem := _bad_quantity(told["availableQuantity"])) is not None:
        return problem
    if "price" in told and not _is_price(told["price"]):
        return error(25003, "The eBay listing associated with the inventory item has an invalid price.")
    return None


def _is_price(price: Any) -> bool:
    try:
        return isinstance(price, dict) and Decimal(str(price.get("value"))) > 0
    except InvalidOperation:
        return False


def _check(state: State, body: Json) -> None:
    priced = body.get("pricingSummary", {}).get("price")
    if priced is not None and (not _is_price(priced) or priced.get("currency") != state.place.currency):
        raise Refused(400, 25003, "The eBay listing associated with the inventory item has an invalid price.")
    available = body.get("availableQuantity")
    if available is not None and _bad_quantity(available) is not None:
        raise Refused(400, 25004, "The eBay listing associated with the inventory item has an invalid quantity.")


def _ready(state: State, offer: Offer) -> None:
    """Raise Refused where something lacks that a listing needs."""
    body, product = offer.body, state.items[offer.sku].body.get("product", {})
    if not product.get("title"):
        raise Refused(400, 25016, "The title value is invalid.")
    if not str(body.get("categoryId", "")).isdecimal():
        raise Refused(400, 25005, "The eBay listing has an invalid category.")
    if not _is_price(body.get("pricingSummary", {}).get("price")):
        raise Refused(400, 25003, "The eBay listing has an invalid price.")
    policies = body.get("listingPolicies", {})
    for name, code in (("fulfillmentPolicyId", 25007), ("paymentPolicyId", 25008), ("returnPolicyId", 25009)):
        if not policies.get(name):
            raise Refused(400, code, f"The eBay listing lacks a valid {name}.")
    if not body.get("merchantLocationKey"):
        raise Refused(400, 25012, "Invalid inventory location.")


async def _of_group(state: State, request: Request) -> list[Offer]:
    body = await body_of(request)
    group = state.groups.get(str(body.get("inventoryItemGroupKey", "")))
    if group is None or body.get("marketplaceId") != state.place.id:
        raise Refused(
            400, 25705, f"The Inventory Item Group named {body.get('inventoryItemGroupKey')} could not be found."
        )
    offers = [state.offers.get(state.offer_of.get(sku, "")) for sku in group["variantSKUs"]]
    found = [each for each in offers if each is not None]
    if len(found) < len(offers) or not found:
        raise Refused(400, 25604, "Input error. Not every SKU of the group has an offer.")
    return found


def _offer(state: State, request: Request) -> Offer:
    offer = state.offers.get(request.path_params["offer_id"])
    if offer is None:
        raise Refused(404, 25713, f"This Offer is not available : {request.path_params['offer_id']}.")
    return offer


def offer_body(state: State, offer: Offer) -> Json:
    """Return an offer as it is answered."""
    shown = state.units[offer.sku].shown
    body: Json = {
        "offerId": offer.id,
        **offer.body,
        "availableQuantity": shown,
        "status": "PUBLISHED" if offer.published else "UNPUBLISHED",
    }
    if offer.published:
        word = "ACTIVE" if shown > 0 else "OUT_OF_STOCK"
        body["listing"] = {"listingId": offer.listing_id, "listingStatus": word, "soldQuantity": offer.sold}
    return body
