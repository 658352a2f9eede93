"""Shopify against the contract that every connector keeps, each query checked against the official schema."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    parse,
)
from tests.connectors.contract_suite import ConnectorContract
from tests.connectors.scripted import AT, Answer, reply
from tests.connectors.specs import graphql_errors, graphql_schema, published_payloads

from entrepot.channels.contract import Call, ListingRef, QuantityBatch, QuantityChange
from entrepot.connectors.shopify import CONNECTOR, listing_queries, mapping, queries, webhook_shapes

SPEC = "shopify/admin_2026-10.json.gz"
SETTINGS = {"shop": "kiln.myshopify.com", "location_id": "11"}
CREDENTIALS = {"access_token": "shpat_0123456789abcdef", "client_secret": "shpss_fedcba9876543210"}
PAYLOADS = Path(__file__).parent / "payloads"


def check_call(call: Call) -> None:
    """Assert that the call is a valid query with valid variables by the official schema, to the right address."""
    assert (call.method, call.path) == ("POST", "/admin/api/2026-10/graphql.json")
    assert call.headers["content-type"] == "application/json"
    assert call.headers["x-shopify-access-token"] == CREDENTIALS["access_token"]
    assert call.body is not None
    sent = msgspec.json.decode(call.body)
    assert sent.keys() == {"query", "variables"}
    assert graphql_errors(SPEC, sent["query"]) == ()
    assert variable_errors(sent["query"], sent["variables"]) == []
    largest = max((len(each) for each in _arrays(sent["variables"])), default=0)
    assert largest <= 250


def variable_errors(query: str, variables: dict[str, Any]) -> list[str]:
    """Return what is wrong with the variables by the official schema."""
    from graphql.execution.values import get_variable_values

    operation = next(d for d in parse(query).definitions if isinstance(d, OperationDefinitionNode))
    found = get_variable_values(graphql_schema(SPEC), operation.variable_definitions or (), variables)
    unknown = variables.keys() - {d.variable.name.value for d in operation.variable_definitions or ()}
    errors = [str(error) for error in found] if isinstance(found, list) else []
    return errors + [f"unknown variable {name}" for name in unknown]


def _arrays(value: Any) -> list[list[Any]]:
    if isinstance(value, dict):
        return [found for each in value.values() for found in _arrays(each)]
    if isinstance(value, list):
        return [value, *(found for each in value for found in _arrays(each))]
    return []


def change(number: int, to: int, was: int | None) -> QuantityChange:
    keys = {"inventory_item": str(number + 200), "location": "11"}
    return QuantityChange(ListingRef(str(number), keys), f"SKU-{number}", to, was)


class TestShopify(ConnectorContract):
    connector = CONNECTOR
    settings = SETTINGS
    credentials = CREDENTIALS
    payloads = PAYLOADS
    optional_fields = ("email", "sku", "shippingAddress", "customer", "sourceIdentifier", "cancelledAt", "barcode")

    def check_call(self, call: Call) -> None:
        check_call(call)

    def order_pages(self) -> list[Answer]:
        return [self.recorded(f"{n}.json") for n in ("orders_1", "orders_2", "order_moves", "order_whole")]

    def listing_pages(self) -> list[Answer]:
        return [self.recorded("listings_1.json"), self.recorded("listings_2.json")]

    def push(self) -> tuple[QuantityBatch, list[Answer]]:
        batch = QuantityBatch("batch-1", (change(701, 5, 6), change(702, 0, 1)), AT)
        done = {"inventoryAdjustmentGroup": {"id": "gid://shopify/InventoryAdjustmentGroup/1"}, "userErrors": []}
        return batch, [reply({"data": {"inventorySetQuantities": done}})]

    def read(self) -> tuple[Sequence[ListingRef], list[Answer]]:
        refs = [change(n, 0, 0).ref for n in (701, 702, 709)]
        nodes = [
            {"id": f"gid://shopify/InventoryItem/{item}", "tracked": True, "inventoryLevel": level}
            for item, level in (
                (902, {"quantities": [{"name": "available", "quantity": 0}]}),
                (901, {"quantities": [{"name": "available", "quantity": -2}]}),
            )
        ]
        return refs, [reply({"data": {"nodes": [*nodes, None]}})]

    def healthy(self) -> list[Answer]:
        return [self.recorded("check.json")]

    def sign(self, body: bytes, url: str, secret: str) -> Mapping[str, str]:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
        return {"x-shopify-hmac-sha256": base64.b64encode(digest).decode()}

    def webhooks(self) -> Mapping[str, tuple[bytes, Mapping[str, str]]]:
        topics = {
            "create": "orders/create",
            "pending": "orders/create",
            "cancelled": "orders/cancelled",
            "shipped": "orders/updated",
            "partly": "orders/updated",
            "level": "inventory_levels/update",
            "product": "products/update",
        }
        return {
            name: (
                (PAYLOADS / f"webhook_{name}.json").read_bytes(),
                {"x-shopify-topic": topic, "x-shopify-event-id": f"event-{name}", "x-shopify-webhook-id": "w-1"},
            )
            for name, topic in topics.items()
        }


@pytest.mark.parametrize(
    "operation", [*queries.OPERATIONS, *listing_queries.OPERATIONS], ids=lambda operation: operation.name
)
def test_every_query_is_valid(operation: queries.Operation) -> None:
    assert graphql_errors(SPEC, operation.text) == ()
    items = {"orders_by_id": queries.ORDERS_A_PAGE, "quantities": queries.QUANTITIES_A_CALL}.get(operation.name, 1)
    assert worst_cost(operation.text, items) <= 1000


def worst_cost(text: str, ids: int) -> float:
    """Return the cost if lists counted in full: objects 1, a mutation 10, a list its `first` (or `ids`) times."""
    document = parse(text)
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def of(selection: SelectionSetNode | None, times: int) -> float:
        return sum(one(node, times) for node in selection.selections) if selection else 0.0

    def one(node: SelectionNode, times: int) -> float:
        if isinstance(node, FragmentSpreadNode):
            return of(fragments[node.name.value].selection_set, times)
        if not isinstance(node, FieldNode):
            return of(node.selection_set, times) if isinstance(node, InlineFragmentNode) else 0.0
        if node.selection_set is None:
            return 0.0
        first = next((a.value for a in node.arguments or () if a.name.value == "first"), None)
        if isinstance(first, IntValueNode):
            return times + of(node.selection_set, times * int(first.value))
        if node.name.value == "nodes" and node.arguments:
            return ids + of(node.selection_set, ids)
        if node.name.value in ("pageInfo", "userErrors"):
            return 0.0
        return times + of(node.selection_set, times)

    operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return of(operation.selection_set, 1) + (10 if operation.operation is OperationType.MUTATION else 0)


def test_variables_are_checked() -> None:
    text = queries.QUANTITIES.text
    assert (
        variable_errors(text, {"ids": ["gid://shopify/InventoryItem/1"], "location": "gid://shopify/Location/1"}) == []
    )
    assert variable_errors(text, {"ids": [None], "location": "x"})
    assert variable_errors(text, {"ids": [], "location": "x", "more": 1})


def test_published_orders_map() -> None:
    paths = [path for path in published_payloads("shopify") if path.name == "order.json"]
    if not paths:
        pytest.skip("the channel's published sample payloads are not here (ENTREPOT_DATA)")
    document = msgspec.json.decode(paths[0].read_bytes())
    whole = [order for order in document.get("orders") or [document["order"]] if "line_items" in order]
    assert whole
    for order in whole:
        mapped = mapping.order_of_webhook(msgspec.convert(order, webhook_shapes.RestOrder, strict=False))
        assert mapped.external_id == str(order["id"])
        assert len(mapped.lines) == len(order["line_items"])
        assert mapped.total > 0
