"""What surrounds the seller: locations, policies, categories, quotas."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.ebay.answers import Refused, json_answer
from entrepot_sandbox.ebay.state import CALLS_PER_DAY, CATEGORY, DAY_S, LOCATION, Json, State, stamp

_POLICIES = {
    "fulfillment": ("fulfillmentPolicies", "fulfillmentPolicyId", "6001", "Parcel, one day"),
    "payment": ("paymentPolicies", "paymentPolicyId", "6002", "Paid at once"),
    "return": ("returnPolicies", "returnPolicyId", "6003", "30 days"),
}
_ASPECTS = (
    ("Brand", True, "SINGLE", "FREE_TEXT", ()),
    ("Material", False, "MULTI", "FREE_TEXT", ("Stoneware", "Cotton", "Linen")),
    ("Colour", False, "SINGLE", "SELECTION_ONLY", ("Blue", "Green", "Natural")),
)


async def get_locations(state: State, request: Request) -> Response:
    """GET /location."""
    address = {"addressLine1": "Quay 1", "city": "Hamburg", "postalCode": "20457", "country": state.place.country}
    place: Json = {
        "merchantLocationKey": LOCATION,
        "merchantLocationStatus": "ENABLED",
        "name": "Main warehouse",
        "locationTypes": ["WAREHOUSE"],
        "location": {"address": address, "locationId": "L1"},
    }
    return json_answer({"href": request.url.path, "limit": 100, "offset": 0, "total": 1, "locations": [place]})


async def get_policies(state: State, request: Request) -> Response:
    """GET /fulfillment_policy, /payment_policy, /return_policy."""
    kind = request.path_params["kind"]
    if kind not in _POLICIES:
        raise Refused(404, 2002, "Resource not found", "ACCESS")
    name, field, id, title = _POLICIES[kind]
    policy = {
        field: id,
        "name": title,
        "marketplaceId": state.place.id,
        "categoryTypes": [{"name": "ALL_EXCLUDING_MOTORS_VEHICLES"}],
    }
    found = [policy] if request.query_params.get("marketplace_id") == state.place.id else []
    return json_answer({"href": request.url.path, "limit": 20, "offset": 0, "total": len(found), name: found})


async def get_tree(state: State, request: Request) -> Response:
    """GET /get_default_category_tree_id."""
    if request.query_params.get("marketplace_id") != state.place.id:
        raise Refused(400, 62008, "The marketplace_id is not known.", "API_TAXONOMY")
    return json_answer({"categoryTreeId": "77", "categoryTreeVersion": "129"})


async def get_aspects(state: State, request: Request) -> Response:
    """GET /category_tree/{id}/get_item_aspects_for_category."""
    if request.path_params["tree_id"] != "77" or request.query_params.get("category_id") != CATEGORY:
        raise Refused(404, 62007, "The category is not known in this tree.", "API_TAXONOMY")
    aspects = [
        {
            "localizedAspectName": name,
            "aspectConstraint": {
                "aspectRequired": required,
                "itemToAspectCardinality": cardinality,
                "aspectMode": mode,
                "aspectDataType": "STRING",
                "aspectMaxLength": 65,
            },
            "aspectValues": [{"localizedValue": value} for value in values],
        }
        for name, required, cardinality, mode, values in _ASPECTS
    ]
    return json_answer({"aspects": aspects})


async def get_quotas(state: State, request: Request) -> Response:
    """GET /user_rate_limit/."""
    wanted = request.query_params.get("api_name")
    limits = []
    for name, (context, _) in CALLS_PER_DAY.items():
        if wanted is not None and name != wanted:
            continue
        quota = state.quotas[name]
        rate = {
            "limit": quota.limit,
            "remaining": max(0, quota.limit - quota.used),
            "reset": stamp(quota.resets_at or state.desk.now()),
            "timeWindow": int(DAY_S),
        }
        resources = [{"name": f"{context}.{name}", "rates": [rate]}]
        limits.append({"apiContext": context, "apiName": name, "apiVersion": "v1", "resources": resources})
    return json_answer({"rateLimits": limits})
