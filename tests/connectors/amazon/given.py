"""What the tests of the Amazon connector are given: an account, and Amazon's answers in short."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from tests.connectors.scripted import Answer, ScriptedApi, reply
from tests.connectors.specs import openapi

from entrepot.channels.contract import Call, ListingRef, QuantityBatch, QuantityChange, Reply
from entrepot.connectors.amazon import CONNECTOR

AT = datetime(2026, 11, 20, 11, 59, 58, 250_000, tzinfo=UTC)
MARKETPLACE = "A1F83G8C2ARO7P"
SETTINGS = {"seller_id": "A2SELLER", "marketplace_id": MARKETPLACE, "region": "eu", "orders_since": ""}
CREDENTIALS = {
    "client_id": "amzn1.application-oa2-client.ours",
    "client_secret": "client-secret-of-amazon",
    "refresh_token": "Atzr|refresh-token",
    "access_token": "Atza|access-token",
}
SPEC_OF = {
    "/orders/2026-01-01": "amazon/orders_2026-01-01.json",
    "/orders/v0": "amazon/ordersV0.json",
    "/listings": "amazon/listingsItems_2021-08-01.json",
    "/feeds": "amazon/feeds_2021-06-30.json",
    "/sellers": "amazon/sellers.json",
    "/definitions": "amazon/definitionsProductTypes_2020-09-01.json",
}


def spec_of(call: Call) -> str | None:
    """Return the specification that has the call's path; Login with Amazon and document addresses have none."""
    return next((spec for start, spec in SPEC_OF.items() if call.path.startswith(start)), None)


def check_call(call: Call) -> None:
    """Assert that the call obeys its specification."""
    spec = spec_of(call)
    if spec is None:
        assert call.base == "auth", call.path
        return
    openapi(spec).check_call(call)


def check_answer(call: Call, answer: Reply) -> None:
    """Assert that the call and what was answered obey the specification."""
    spec = None if call.absolute_url else spec_of(call)
    if spec is not None:
        openapi(spec).check_call(call)
        openapi(spec).check_reply(call, answer)


def change(sku: str, after: int, before: int | None = 1, **keys: str) -> QuantityChange:
    return QuantityChange(ListingRef(sku, {"product_type": "HOME", **keys}), sku, after, before)


def batch(*changes: QuantityChange) -> QuantityBatch:
    return QuantityBatch("batch-7", changes, AT)


def accepted(sku: str, status: str = "ACCEPTED", *severities: str) -> Reply:
    issues = [{"code": "90220", "message": f"{s} here", "severity": s, "categories": []} for s in severities]
    return reply({"sku": sku, "status": status, "submissionId": "f1", "issues": issues})


def refusal(status: int, code: str) -> Reply:
    return reply({"errors": [{"code": code, "message": "said by Amazon", "details": ""}]}, status)


def scripted(answers: Sequence[Answer], **settings: str) -> ScriptedApi:
    merged = {**SETTINGS, **settings}
    return ScriptedApi(CONNECTOR, answers, settings=merged, credentials=CREDENTIALS, check_call=check_call)
