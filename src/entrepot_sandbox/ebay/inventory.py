"""Inventory items and groups: what the seller has, before it is offered."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.ebay.answers import Refused, body_of, error, json_answer, number
from entrepot_sandbox.ebay.state import Item, Json, State, Units

SKU_MAX = 50
BULK_MAX = 25
CONDITIONS = frozenset(
    {"NEW", "LIKE_NEW", "NEW_OTHER", "NEW_WITH_DEFECTS", "CERTIFIED_REFURBISHED", "SELLER_REFURBISHED", "USED_EXCELLENT",
     "USED_VERY_GOOD", "USED_GOOD", "USED_ACCEPTABLE", "FOR_PARTS_OR_NOT_WORKING"}
)  # fmt: skip
TITLE_MAX, DESCRIPTION_MAX, IMAGES_MAX = 80, 4000, 24


async def get_items(state: State, request: Request) -> Response:
    """GET /inventory_item. The offset counts pages."""
    size, page = number(request, "limit", 25, 200), number(request, "offset", 0, 1_000_000)
    everything = list(state.items.values())
    found = everything[page * size : (page + 1) * size]
    body: Json = {
        "href": f"/sell/inventory/v1/inventory_item?limit={size}&offset={page}",
        "total": len(everything),
        "size": -(-len(everything) // max(size, 1)),
        "limit": size,
        "inventoryItems": [item_body(state, each) for each in found],
    }
    if (page + 1) * size < len(everything):
        body["next"] = f"/sell/inventory/v1/inventory_item?limit={size}&offset={page + 1}"
    return json_answer(body)


async def get_item(state: State, request: Request) -> Response:
    """GET /inventory_item/{sku}."""
    item = state.items.get(request.path_params["sku"])
    if item is None:
        raise _unknown(request.path_params["sku"])
    return json_answer(item_body(state, item))


async def bulk_get(state: State, request: Request) -> Response:
    """POST /bulk_get_inventory_item: 25 at most, each for itself."""
    wanted = (await body_of(request)).get("requests")
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= BULK_MAX:
        raise Refused(400, 25709, f"Invalid value for requests. From 1 to {BULK_MAX} are taken.")
    responses: list[Json] = []
    for each in wanted:
        sku = str(each.get("sku", ""))
        item = state.items.get(sku)
        if item is None:
            responses.append({"sku": sku, "statusCode": 404, "errors": [unknown_sku(sku)]})
            continue
        body = {name: value for name, value in item_body(state, item).items() if name != "groupIds"}
        responses.append({"sku": sku, "statusCode": 200, "inventoryItem": body})
    is_mixed = any(each["statusCode"] != 200 for each in responses)
    return json_answer({"responses": responses}, 207 if is_mixed else 200)


async def put_item(state: State, request: Request) -> Response:
    """PUT /inventory_item/{sku}: replaces it whole; a quantity that is left out is lost."""
    sku, body = request.path_params["sku"], await body_of(request)
    if not request.headers.get("content-language"):
        raise Refused(400, 25709, "Invalid value for header Content-Language.")
    if not sku or len(sku) > SKU_MAX:
        raise Refused(400, 25707, "This is an invalid value for a SKU.")
    problem = _problem(body)
    if problem is not None:
        raise Refused(400, *problem)
    known = state.items.get(sku)
    total = _total(body)
    item = state.items[sku] = Item(sku, body, known.groups if known is not None else [])
    held = state.units.get(sku, Units())
    if known is None or total != held.total:
        state.write_units(sku, Units(total, held.available), f"item-{state.next_id('request')}", explicit=False)
    item.body["availability"] = {"shipToLocationAvailability": {"quantity": total}}
    state.refresh(sku)
    return Response(status_code=204) if known is not None else json_answer({"warnings": []}, 201)


async def delete_item(state: State, request: Request) -> Response:
    """DELETE /inventory_item/{sku}: with its offer and listing."""
    sku = request.path_params["sku"]
    item = state.items.pop(sku, None)
    if item is None:
        raise _unknown(sku)
    offer = state.offers.get(state.offer_of.get(sku, ""))
    if offer is not None:
        state.delete_offer(offer)
    state.units.pop(sku, None)
    return Response(status_code=204)


def item_body(state: State, item: Item) -> Json:
    """Return an item as it is answered."""
    body = {"sku": item.sku, "locale": state.place.locale, **item.body}
    if item.groups:
        body |= {"groupIds": item.groups, "inventoryItemGroupKeys": item.groups}
    return body


def _total(body: Json) -> int:
    held = body.get("availability", {}).get("shipToLocationAvailability", {}).get("quantity", 0)
    if not isinstance(held, int) or held < 0:
        raise Refused(400, 25709, "Invalid value for quantity.")
    return held


def _problem(body: Json) -> tuple[int, str] | None:
    product: Any = body.get("product", {})
    if body.get("condition") not in CONDITIONS:
        return 25021, "The eBay listing associated with the inventory item has invalid condition information."
    if len(str(product.get("title", ""))) > TITLE_MAX:
        return 25709, f"Invalid value for title. It must be between 1 and {TITLE_MAX} characters."
    if len(str(product.get("description", ""))) > DESCRIPTION_MAX:
        return 25709, f"Invalid value for description. It must be at most {DESCRIPTION_MAX} characters."
    images = product.get("imageUrls", [])
    if len(images) > IMAGES_MAX or any(not str(each).startswith("https://") for each in images):
        return 25015, "The eBay listing associated with the inventory item has an invalid picture URL."
    if not isinstance(product.get("aspects", {}), dict):
        return 25022, "Invalid attribute. aspects"
    return None


def _unknown(sku: str) -> Refused:
    return Refused(404, 25702, f"{sku} could not be found or is not available in the system.")


# ---- groups --------------------------------------------------------------------------------------------


async def get_group(state: State, request: Request) -> Response:
    """GET /inventory_item_group/{key}."""
    return json_answer(_group(state, request))


async def put_group(state: State, request: Request) -> Response:
    """PUT /inventory_item_group/{key}: replaces it whole."""
    key, body = request.path_params["key"], await body_of(request)
    skus = body.get("variantSKUs")
    if not isinstance(skus, list) or not skus or not body.get("title"):
        raise Refused(400, 25709, "Invalid value for variantSKUs or title.")
    if len(str(body["title"])) > TITLE_MAX:
        raise Refused(400, 25709, f"Invalid value for title. It must be between 1 and {TITLE_MAX} characters.")
    missing = [each for each in skus if each not in state.items]
    if missing:
        raise Refused(400, 25701, f"One or more of the supplied SKU(s) could not be found: {', '.join(missing[:3])}.")
    known = key in state.groups
    state.groups[key] = {"inventoryItemGroupKey": key, **body}
    for sku, item in state.items.items():
        item.groups = [each for each in item.groups if each != key] + ([key] if sku in skus else [])
    return Response(status_code=204) if known else json_answer({"warnings": []}, 201)


async def delete_group(state: State, request: Request) -> Response:
    """DELETE /inventory_item_group/{key}: its items stay."""
    _group(state, request)
    key = request.path_params["key"]
    del state.groups[key]
    for item in state.items.values():
        item.groups = [each for each in item.groups if each != key]
    return Response(status_code=204)


def _group(state: State, request: Request) -> Json:
    group = state.groups.get(request.path_params["key"])
    if group is None:
        raise Refused(404, 25705, f"The Inventory Item Group named {request.path_params['key']} could not be found.")
    return group


def unknown_sku(sku: str) -> Json:
    """Return the error of a SKU that is not there, for an answer about several."""
    return error(25702, f"{sku} could not be found or is not available in the system.")
