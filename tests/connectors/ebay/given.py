"""What the tests of the eBay connector have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
from tests.connectors.scripted import Answer, ScriptedApi, reply
from tests.connectors.specs import openapi

from entrepot.channels.contract import Call, ListingRef, QuantityBatch, QuantityChange, Reply
from entrepot.connectors.ebay import CONNECTOR

AT = datetime(2026, 11, 20, 11, 59, 58, 250_000, tzinfo=UTC)
SETTINGS = {
    "marketplace_id": "EBAY_DE",
    "location_key": "hamburg",
    "fulfillment_policy_id": "6001",
    "payment_policy_id": "6002",
    "return_policy_id": "6003",
    "orders_since": "",
}
CREDENTIALS = {
    "client_id": "Entrepot-ours-PRD-client-id",
    "client_secret": "PRD-client-secret-of-ebay",
    "refresh_token": "v^1.1#refresh-token-of-ebay",
    "access_token": "v^1.1#access-token-of-ebay",
    "application_token": "v^1.1#application-token-of-ebay",
}
SPEC_OF = {
    "/sell/inventory/v1": "ebay/sell_inventory_v1_oas3.json",
    "/sell/fulfillment/v1": "ebay/sell_fulfillment_v1_oas3.json",
    "/sell/finances/v1": "ebay/sell_finances_v1_oas3.json",
    "/sell/account/v1": "ebay/sell_account_v1_oas3.json",
    "/commerce/notification/v1": "ebay/commerce_notification_v1_oas3.json",
    "/commerce/taxonomy/v1": "ebay/commerce_taxonomy_v1_oas3.json",
    "/developer/analytics/v1_beta": "ebay/developer_analytics_v1_beta_oas3.json",
}
"""Start of a path -> its specification, in which the start is left out."""
_CALLED_TEXT = ("aspects", "deliveryConfig")
"""Objects that eBay's documents call a text, though eBay takes and gives objects (its own samples show them)."""


def spec_of(call: Call) -> tuple[str, Call] | None:
    """Return the specification of a call and the call as it has it; the token service has none."""
    for start, name in SPEC_OF.items():
        if call.path.startswith(start):
            body = (
                call.body if call.body is None else msgspec.json.encode(as_documented(msgspec.json.decode(call.body)))
            )
            return name, replace(call, path=call.path.removeprefix(start), body=body)
    return None


def as_documented(value: Any) -> Any:
    """Return JSON in which the objects that eBay's documents call a text are one."""
    if isinstance(value, dict):
        return {
            name: msgspec.json.encode(each).decode()
            if name == "aspects" and isinstance(each, dict)
            else as_documented(each)
            for name, each in value.items()
        }
    return [as_documented(each) for each in value] if isinstance(value, list) else value


def check_call(call: Call) -> None:
    """Assert that the call obeys its specification."""
    found = spec_of(call)
    if found is None:
        assert call.base == "auth", call.path
        return
    openapi(found[0]).check_call(found[1])
    if call.operation in (
        "createOrReplaceInventoryItem",
        "createOrReplaceInventoryItemGroup",
        "createOffer",
        "updateOffer",
    ):
        assert call.headers["content-language"], "a required header"


def check_answer(call: Call, answer: Reply) -> None:
    """Assert that the call and what was answered obey the specification."""
    check_call(call)
    found = spec_of(call)
    if found is None or not answer.body or answer.status >= 300:
        return
    told = as_documented(msgspec.json.decode(answer.body))
    for each in told.get("destinations", []) if isinstance(told, dict) else []:
        each["deliveryConfig"] = msgspec.json.encode(each["deliveryConfig"]).decode()
    openapi(found[0]).check_reply(found[1], replace(answer, body=msgspec.json.encode(told)))


def change(sku: str, after: int, before: int | None = 1, **keys: str) -> QuantityChange:
    named = {"offer_id": f"7{sku}", "published": "yes", **keys}
    return QuantityChange(ListingRef(sku, named), sku, after, before)


def batch(*changes: QuantityChange) -> QuantityBatch:
    return QuantityBatch("batch-7", changes, AT)


def updated(*told: tuple[str, int, int | None]) -> Reply:
    """Return an answer to a bulk update: (SKU, status, eBay's error or None) of each."""
    responses = [
        {"sku": sku, "offerId": f"7{sku}", "statusCode": status, **({"errors": [an_error(code)]} if code else {})}
        for sku, status, code in told
    ]
    return reply({"responses": responses}, 200 if all(status == 200 for _, status, _ in told) else 207)


def an_error(code: int, message: str = "said by eBay") -> dict[str, Any]:
    return {"errorId": code, "domain": "API_INVENTORY", "category": "REQUEST", "message": message}


def refusal(status: int, code: int, message: str = "said by eBay") -> Reply:
    return reply({"errors": [an_error(code, message)]}, status)


def an_offer(sku: str, units: int, **more: Any) -> dict[str, Any]:
    offer = {
        "offerId": f"7{sku}",
        "sku": sku,
        "marketplaceId": "EBAY_DE",
        "format": "FIXED_PRICE",
        "availableQuantity": units,
        "categoryId": "20685",
        "pricingSummary": {"price": {"value": "12.50", "currency": "EUR"}},
        "status": "PUBLISHED",
        "listing": {"listingId": "110011", "listingStatus": "ACTIVE", "soldQuantity": 0},
    }
    return {**offer, **more}


def offers(*found: dict[str, Any]) -> Reply:
    return reply({"total": len(found), "size": 1, "limit": 100, "offers": list(found)})


def scripted(answers: Sequence[Answer], **settings: str) -> ScriptedApi:
    merged = {**SETTINGS, **settings}
    return ScriptedApi(CONNECTOR, answers, settings=merged, credentials=CREDENTIALS, check_call=check_call)
