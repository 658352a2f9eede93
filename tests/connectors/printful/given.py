"""Settings, drafts and checks for the tests of the Printful connector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from jsonschema import Draft4Validator
from tests.connectors.scripted import Answer, ScriptedApi, reply
from tests.connectors.specs import openapi

from entrepot.channels.contract import (
    Address,
    Call,
    DesignLayer,
    ListingRef,
    MakingDraft,
    MakingLine,
    Placement,
    Reply,
    RetailCosts,
)
from entrepot.connectors.printful import CONNECTOR
from entrepot.connectors.printful.manifest import STOCK_TOPIC

SPEC = "printful/openapi-v2beta-spencerlepine.json"
PAYLOADS = Path(__file__).parent / "payloads"
SETTINGS = {"store_id": "10", "catalog_products": "71", "selling_region": "europe", "simulator_url": ""}
CREDENTIALS = {"access_token": "printful-token-not-to-be-seen", "webhook_secret": "0123456789abcdef" * 4}

TO = Address("Ada Byron", "", "1 Mill Lane", "", "Lisbon", "", "1100-148", "PT", "+351 200")

# ---- requests that the specification at hand does not have ---------------------------------------------------------

_ADDRESS = {"type": "object", "required": ["name", "address1", "city", "country_code"]}
_OLD_ITEM = {
    "type": "object",
    "required": ["quantity"],
    "properties": {
        "external_id": {"type": "string"},
        "quantity": {"type": "integer", "minimum": 1},
        "sync_variant_id": {"type": "integer"},
        "variant_id": {"type": "integer"},
        "name": {"type": "string"},
        "retail_price": {"type": "string"},
        "files": {"type": "array", "items": {"type": "object", "required": ["type", "url"]}},
    },
    "additionalProperties": False,
}
_OLD_ORDER = {
    "type": "object",
    "required": ["recipient", "items"],
    "properties": {
        "external_id": {"type": "string", "maxLength": 32},
        "shipping": {"type": "string"},
        "recipient": _ADDRESS,
        "items": {"type": "array", "minItems": 1, "items": _OLD_ITEM},
        "packing_slip": {"type": "object"},
        "retail_costs": {"type": "object"},
    },
    "additionalProperties": False,
}
_ESTIMATE = {
    "type": "object",
    "required": ["recipient", "order_items"],
    "properties": {"recipient": _ADDRESS, "order_items": {"type": "array", "minItems": 1}, "retail_costs": {}},
    "additionalProperties": False,
}
BEYOND: dict[tuple[str, str], tuple[set[str], Any]] = {
    ("GET", "/stores"): (set(), None),
    ("GET", "/store/products"): ({"limit", "offset"}, None),
    ("GET", "/sync/products"): ({"limit", "offset"}, None),
    ("GET", "/store/products/{}"): (set(), None),
    ("GET", "/sync/products/{}"): (set(), None),
    ("GET", "/orders/{}"): (set(), None),
    ("DELETE", "/orders/{}"): (set(), None),
    ("POST", "/orders"): (set(), _OLD_ORDER),
    ("POST", "/orders/estimate-costs"): (set(), _OLD_ORDER),
    ("POST", "/v2/order-estimation-tasks"): (set(), _ESTIMATE),
    ("GET", "/v2/order-estimation-tasks"): ({"id"}, None),
}
"""What Printful has beside the specification at hand (its first version, estimates): (query names, body)."""


def _template(path: str) -> str:
    head, _, last = path.rpartition("/")
    named = head in ("/store/products", "/sync/products") or (head == "/orders" and last != "estimate-costs")
    return f"{head}/{{}}" if named else path


def is_beyond(call: Call) -> bool:
    """Return whether the specification at hand does not have the request."""
    return (call.method, _template(call.path)) in BEYOND


def check_call(call: Call) -> None:
    """Assert that a request is valid: by the specification, or by what is known beyond it."""
    if is_beyond(call):
        names, schema = BEYOND[call.method, _template(call.path)]
        assert {name for name, _ in call.query} <= names
        if schema is None:
            assert call.body is None
        else:
            Draft4Validator(schema).validate(msgspec.json.decode(call.body or b""))
        return
    if call.path.endswith("/catalog-variants") and call.query:
        # The specification names no paging there, and its own example of a link has it.
        assert {name for name, _ in call.query} <= {"limit", "offset"}
        call = Call(call.operation, call.method, call.path)
    if (call.method, call.path) == ("POST", "/v2/webhooks"):
        call = _without_stock_event(call)
    openapi(SPEC).check_call(call)


def _without_stock_event(call: Call) -> Call:
    """Check the event that watches stock by the schema that its type picks: by `oneOf` alone it fits two."""
    body = msgspec.json.decode(call.body or b"")
    for event in body["events"]:
        if event["type"] == STOCK_TOPIC:
            schema = {"$ref": "urn:spec#/components/schemas/CatalogStockUpdatedEventConfigurationRequest"}
            openapi(SPEC)._check(schema, event, "the event that watches stock")
    body["events"] = [each for each in body["events"] if each["type"] != STOCK_TOPIC]
    return replace(call, body=msgspec.json.encode(body))


def check_reply(call: Call, answer: Reply) -> None:
    """Assert that an answer is what the specification says, where it has the request."""
    check_call(call)
    if not is_beyond(call) and answer.status not in (429, 500, 503):
        openapi(SPEC).check_reply(call, answer)


# ---- drafts and answers --------------------------------------------------------------------------------------------


def placement(url: str = "https://files.example/front.png", name: str = "front") -> Placement:
    return Placement(name, "dtg", (DesignLayer(url),))


def printed(key: str = "line-1", quantity: int = 2, variant: str = "4011", **fields: Any) -> MakingLine:
    """A line of the catalog with its design."""
    given = {"placements": (placement(),), "title": "Poppy tee", "retail_price": Decimal("24.90"), **fields}
    return MakingLine(key, ListingRef(f"catalog-{variant}", {"catalog_variant_id": variant}), quantity, **given)


def of_store(key: str = "line-1", quantity: int = 1, variant: str = "901", **fields: Any) -> MakingLine:
    """A line of the store."""
    keys = {"sync_variant_id": variant, "catalog_variant_id": "4011"}
    return MakingLine(key, ListingRef(f"sync-{variant}", keys), quantity, title="Poppy mug", **fields)


def draft(*lines: MakingLine, **fields: Any) -> MakingDraft:
    given = {"number": "#1001", "recipient_email": "ada@example.com", "retail": RetailCosts("EUR"), **fields}
    return MakingDraft(given.pop("external_id", "order-1"), TO, lines or (printed(),), **given)


def order(status: str = "draft", costs: str = "done", **fields: Any) -> dict[str, Any]:
    """An order as Printful tells it."""
    item = {
        "id": 7,
        "type": "order_item",
        "source": "catalog",
        "catalog_variant_id": 4011,
        "external_id": "line-1",
        "quantity": 2,
        "name": "Poppy tee",
        "price": "9.50",
        "currency": "EUR",
    }
    total = "23.79" if costs == "done" else None
    return {
        "id": 123,
        "external_id": "order-1",
        "store_id": 10,
        "shipping": "STANDARD",
        "status": status,
        "created_at": "2026-11-20T10:00:00Z",
        "updated_at": "2026-11-20T10:05:00Z",
        "costs": {"calculation_status": costs, "currency": "EUR", "subtotal": total and "19.00", "total": total},
        "order_items": [item],
        **fields,
    }


def told(status: str = "draft", costs: str = "done", **fields: Any) -> Reply:
    return reply({"data": order(status, costs, **fields)})


def refusal(status: int, message: str = "No", **error: Any) -> Reply:
    body = {"code": status, "result": message, "error": {"reason": "BadRequest", "message": message, **error}}
    return reply(body, status)


MISSING = refusal(404, "Not found")
TAKEN = refusal(400, "Order with this External ID already exists", api_error_code="OR-13")


def scripted(*answers: Answer, settings: dict[str, str] | None = None) -> ScriptedApi:
    return ScriptedApi(
        CONNECTOR, answers, settings=settings or SETTINGS, credentials=CREDENTIALS, check_call=check_call
    )


def asked(api: ScriptedApi) -> Sequence[str]:
    """The requests that were made, in short."""
    return [f"{call.method} {call.path}" for call in api.calls]
