"""Settings, recorded payloads and a scripted seller, for the tests of the connector."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from tests.connectors.scripted import Answer, ScriptedApi, reply
from tests.connectors.specs import openapi

from entrepot.channels.contract import (
    Call,
    ListingRef,
    QuantityBatch,
    QuantityChange,
    Reply,
)
from entrepot.connectors.square import CONNECTOR

SPEC = "square/api-2025-08-20.patched.json"


PAYLOADS = Path(__file__).parent / "payloads"


AT = datetime(2026, 11, 20, 11, 59, 58, 250_000, tzinfo=UTC)


SETTINGS = {"location_id": "LSHOP1", "orders_since": "", "simulator_url": ""}


CREDENTIALS = {"access_token": "EAAAsecret-token-of-square", "signature_key": "signature-key-of-square"}


def change(variation: str, before: int | None, after: int) -> QuantityChange:
    return QuantityChange(ListingRef(f"{variation}@LSHOP1", {"variation_id": variation}), variation, after, before)


def batch(*changes: QuantityChange) -> QuantityBatch:
    return QuantityBatch("batch-7", changes, AT)


def count(variation: str, units: str, location: str = "LSHOP1") -> dict[str, Any]:
    return {"catalog_object_id": variation, "state": "IN_STOCK", "location_id": location, "quantity": units}


def refusal(code: str, status: int = 400, category: str = "INVALID_REQUEST_ERROR", field: str = "") -> Reply:
    error = {"category": category, "code": code, "detail": "said by Square", **({"field": field} if field else {})}
    return reply({"errors": [error]}, status)


def body_of(call: Call) -> Any:
    return msgspec.json.decode(call.body or b"")


def scripted(answers: Sequence[Answer]) -> ScriptedApi:
    return ScriptedApi(
        CONNECTOR, answers, settings=SETTINGS, credentials=CREDENTIALS, check_call=openapi(SPEC).check_call
    )


def order(**fields: Any) -> dict[str, Any]:
    money = {"amount": 500, "currency": "GBP"}
    line = {"uid": "L1", "quantity": "1", "name": "Tea", "catalog_object_id": "V", "base_price_money": money}
    whole = {"id": "O", "location_id": "LSHOP1", "state": "OPEN", "updated_at": "2026-11-18T09:00:00Z"}
    return {**whole, "line_items": [line], "total_money": money, **fields}
