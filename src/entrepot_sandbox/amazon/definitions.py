"""Definitions of product types 2020-09-01: where a type's schema is kept, and the schema itself."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.amazon.answers import Refused, error_answer, invalid, json_answer, list_of
from entrepot_sandbox.amazon.attributes import DESCRIPTION_MAX, REQUIRED, TITLE_MAX, TYPES
from entrepot_sandbox.amazon.state import State

VERSION = "UAEjyUOzzz0JwDpzcMTSxM9IqAzqYKxDaiVDDJ9SdOw="


async def get_definition(state: State, request: Request) -> Response:
    """GET /definitions/2020-09-01/productTypes/{productType}."""
    if state.place.id not in list_of(request, "marketplaceIds"):
        raise invalid(f"marketplaceIds must contain {state.place.id}.")
    name = request.path_params["product_type"]
    requirements = request.query_params.get("requirements", "LISTING")
    if requirements not in REQUIRED:
        raise invalid("requirements has a value that is not known.")
    if name not in TYPES:
        raise Refused(404, "NOT_FOUND", f"Product type '{name}' was not found in marketplace {state.place.id}")
    url = f"{state.desk.base_url}/schemas/{name}/{requirements}?X-Amz-Expires=300"
    body = {
        "schema": {"link": {"resource": url, "verb": "GET"}, "checksum": "TBr8ubaxXrUyay9hmxUXUw=="},
        "requirements": requirements,
        "requirementsEnforced": "ENFORCED",
        "propertyGroups": {"product_details": {"title": "Product Details", "propertyNames": list(_properties(name))}},
        "locale": state.place.language,
        "marketplaceIds": [state.place.id],
        "productType": name,
        "displayName": name.replace("_", " ").title(),
        "productTypeVersion": {"version": VERSION, "latest": True, "releaseCandidate": False},
    }
    return json_answer(body)


async def get_schema(state: State, request: Request) -> Response:
    """GET from the address of a schema: whoever has it may."""
    name, requirements = request.path_params["product_type"], request.path_params["requirements"]
    if name not in TYPES or requirements not in REQUIRED:
        return error_answer(404, "NoSuchKey", "The specified key does not exist.")
    own = TYPES[name] if requirements != "LISTING_OFFER_ONLY" else ()
    schema = {
        "$schema": "https://schemas.amazon.com/selling-partners/definitions/product-types/meta-schema/v1",
        "$id": f"https://schemas.amazon.com/selling-partners/definitions/product-types/schema/v1/{name}",
        "type": "object",
        "required": [*REQUIRED[requirements], *own],
        "properties": _properties(name),
    }
    return Response(msgspec.json.encode(schema), media_type="application/json")


def _properties(name: str) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "item_name": _text("Item Name", TITLE_MAX),
        "brand": _text("Brand Name", 100),
        "product_description": _text("Product Description", DESCRIPTION_MAX),
        "bullet_point": _text("Bullet Point", 500, most=5),
        "color": _text("Color", 50),
        "size": _text("Size", 50),
        "condition_type": _choice("Item Condition", ["new_new", "used_good"]),
        "country_of_origin": _choice("Country of Origin", ["CN", "DE", "FR", "GB", "IE", "PT", "US"]),
        "number_of_items": _number("Number of Items", "integer"),
        "supplier_declared_has_product_identifier_exemption": _number("Product Identifier Exemption", "boolean"),
        "purchasable_offer": {"title": "Purchasable Offer", "type": "array", "items": {"type": "object"}},
        "variation_theme": {
            "title": "Variation Theme",
            "type": "array",
            "maxUniqueItems": 1,
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string", "enum": ["COLOR", "SIZE", "SIZE/COLOR"]}},
            },
        },
    }
    if "material" in TYPES[name]:
        properties["material"] = _text("Material", 50, most=3)
    if "department" in TYPES[name]:
        properties["department"] = _choice("Department", ["mens", "womens", "unisex-adult"])
    return properties


def _text(title: str, longest: int, most: int = 1) -> dict[str, Any]:
    return _list(title, {"type": "string", "maxLength": longest}, most)


def _choice(title: str, choices: list[str]) -> dict[str, Any]:
    return _list(title, {"type": "string", "enum": choices}, 1)


def _number(title: str, kind: str) -> dict[str, Any]:
    return _list(title, {"type": kind}, 1)


def _list(title: str, value: dict[str, Any], most: int) -> dict[str, Any]:
    properties = {"value": value, "marketplace_id": {"type": "string"}}
    items = {"type": "object", "required": ["value"], "properties": properties}
    return {"title": title, "type": "array", "minUniqueItems": 1, "maxUniqueItems": most, "items": items}
