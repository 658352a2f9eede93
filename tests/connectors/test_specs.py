"""The checks against official specifications can fail."""

from __future__ import annotations

import msgspec
import pytest
from tests.connectors.scripted import reply
from tests.connectors.specs import graphql_errors, openapi

from entrepot.channels.contract import Call

SQUARE = "square/api-2025-08-20.patched.json"
ORDERS = "amazon/orders_2026-01-01.json"


def _search(body: object) -> Call:
    return Call("x", "POST", "/v2/orders/search", body=msgspec.json.encode(body))


def test_openapi_3_bodies_are_checked() -> None:
    square = openapi(SQUARE)
    square.check_call(_search({"location_ids": ["L1"], "limit": 10}))
    for wrong in ({"location_idz": ["L1"]}, {"limit": "ten"}, {"query": {"sort": {"sort_field": "NOPE"}}}):
        with pytest.raises(AssertionError):
            square.check_call(_search(wrong))
    with pytest.raises(AssertionError):
        square.check_call(Call("x", "GET", "/v2/nothing"))


def test_swagger_2_queries_are_checked() -> None:
    orders = openapi(ORDERS)
    orders.check_call(Call("x", "GET", "/orders/2026-01-01/orders", query=(("maxResultsPerPage", "100"),)))
    for query in ((("maxResults", "1"),), (("fulfillmentStatuses", "NOPE"),), (("maxResultsPerPage", "many"),)):
        with pytest.raises(AssertionError):
            orders.check_call(Call("x", "GET", "/orders/2026-01-01/orders", query=query))


def test_answers_are_checked() -> None:
    call = Call("x", "GET", "/orders/2026-01-01/orders")
    openapi(ORDERS).check_reply(call, reply({"orders": []}))
    with pytest.raises(AssertionError):
        openapi(ORDERS).check_reply(call, reply({"orders": [{"orderId": 7}]}))


def test_graphql_is_checked() -> None:
    name = "shopify/admin_2026-10.json.gz"
    assert not graphql_errors(name, "{ shop { name } }")
    assert graphql_errors(name, "{ shop { nickname } }")
