"""A scripted shop, recorded payloads and what was sent, for the tests of the connector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from tests.connectors.scripted import Answer, ScriptedApi
from tests.connectors.shopify.test_contract import CREDENTIALS, SETTINGS, check_call

from entrepot.connectors.shopify import CONNECTOR

PAYLOADS = Path(__file__).parent / "payloads"


def api_of(*answers: Answer, settings: Mapping[str, str] = SETTINGS) -> ScriptedApi:
    return ScriptedApi(CONNECTOR, answers, settings=settings, credentials=CREDENTIALS, check_call=check_call)


def payload(name: str) -> Any:
    return msgspec.json.decode((PAYLOADS / f"{name}.json").read_bytes())


def sent(api: ScriptedApi, index: int) -> dict[str, Any]:
    body = api.calls[index].body
    assert body is not None
    variables: dict[str, Any] = msgspec.json.decode(body)["variables"]
    return variables


def failed(code: str, **more: Any) -> dict[str, Any]:
    return {"errors": [{"message": "It failed", "extensions": {"code": code}, **more}]}
