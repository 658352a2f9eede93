"""Quantities, parcels and webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from tests.sandbox.shopify.conftest import Client, Heard

from entrepot_sandbox.journal import QuantityWritten, WriteKind


async def test_set_compares_and_sets_and_is_journaled(client: Client) -> None:
    sku = client.skus[0]
    payload = await client.set((sku, 7, 0), referenceDocumentUri="gid://hub/Batch/1")
    assert payload["userErrors"] == []
    changes = payload["inventoryAdjustmentGroup"]["changes"]
    assert {"name": "available", "delta": 7, "quantityAfterChange": 7} in changes
    assert client.shown(sku) == 7
    (written,) = client.market.state.desk.world.journal.of(QuantityWritten)
    assert (written.before, written.after, written.kind) == (0, 7, WriteKind.COMPARE_AND_SET)


async def test_one_stale_row_keeps_all_from_being_set(client: Client) -> None:
    one, two, *_ = client.skus
    payload = await client.set((one, 5, 0), (two, 5, 3))
    assert payload["inventoryAdjustmentGroup"] is None
    (error,) = payload["userErrors"]
    assert error["code"] == "CHANGE_FROM_QUANTITY_STALE"
    assert error["field"] == ["input", "quantities", "1", "changeFromQuantity"]
    assert (client.shown(one), client.shown(two)) == (0, 0)


async def test_null_sets_without_comparing(client: Client) -> None:
    sku = client.skus[0]
    await client.set((sku, 7, 0))
    assert (await client.set((sku, 3, None)))["userErrors"] == []
    assert client.shown(sku) == 3


async def test_on_hand_counts_what_is_committed(client: Client) -> None:
    sku = client.skus[0]
    await client.set((sku, 7, 0))
    client.buy((sku, 2))
    assert (await client.set((sku, 10, 7), name="on_hand"))["userErrors"] == []
    assert client.shown(sku) == 8


async def test_the_same_key_and_input_give_the_same_answer_and_no_second_effect(client: Client) -> None:
    sku = client.skus[0]
    first = await client.set((sku, 7, None), key="same")
    client.buy((sku, 2))
    assert await client.set((sku, 7, None), key="same") == first
    assert client.shown(sku) == 5


async def test_the_same_key_with_other_input_is_refused(client: Client) -> None:
    sku = client.skus[0]
    await client.set((sku, 7, 0), key="same")
    payload = await client.set((sku, 8, 7), key="same")
    assert payload["userErrors"][0]["code"] == "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"
    assert client.shown(sku) == 7


async def test_a_failed_attempt_uses_its_key_up(client: Client) -> None:
    sku = client.skus[0]
    await client.set((sku, 7, 3), key="same")
    payload = await client.set((sku, 7, 3), key="same")
    assert payload["userErrors"][0]["code"] == "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"


def _input(client: Client, **row: Any) -> dict[str, Any]:
    whole = {"inventoryItemId": client.item(client.skus[0]), "locationId": client.location, "quantity": 1, **row}
    return {"name": "available", "reason": "correction", "quantities": [whole]}


async def test_the_directive_is_mandatory(client: Client) -> None:
    query = """mutation($input: InventorySetQuantitiesInput!) {
      inventorySetQuantities(input: $input) { userErrors { code } } }"""
    body = await client.post(query, input=_input(client, changeFromQuantity=0))
    assert body["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert body["errors"][0]["path"] == ["inventorySetQuantities"]
    assert body["data"] == {"inventorySetQuantities": None}
    assert client.shown(client.skus[0]) == 0


async def test_change_from_quantity_must_be_given(client: Client) -> None:
    query = """mutation($input: InventorySetQuantitiesInput!) {
      inventorySetQuantities(input: $input) @idempotent(key: "k") { userErrors { code } } }"""
    body = await client.post(query, input=_input(client))
    assert body["errors"][0]["extensions"]["code"] == "INVALID_FIELD_ARGUMENTS"


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"inventoryItemId": "gid://shopify/InventoryItem/1"}, "INVALID_INVENTORY_ITEM"),
        ({"locationId": "gid://shopify/Location/1"}, "INVALID_LOCATION"),
        ({"quantity": -1}, "INVALID_QUANTITY_NEGATIVE"),
    ],
)
async def test_wrong_rows_are_named(client: Client, row: dict[str, Any], code: str) -> None:
    query = """mutation($input: InventorySetQuantitiesInput!) {
      inventorySetQuantities(input: $input) @idempotent(key: "k") { userErrors { code field } } }"""
    data = await client.ask(query, input=_input(client, changeFromQuantity=0, **row))
    assert [error["code"] for error in data["inventorySetQuantities"]["userErrors"]] == [code]


async def test_adjusting_adds(client: Client) -> None:
    sku = client.skus[0]
    await client.set((sku, 7, 0))
    change = {
        "inventoryItemId": client.item(sku),
        "locationId": client.location,
        "delta": -3,
        "changeFromQuantity": None,
    }
    data = await client.ask(
        """mutation($input: InventoryAdjustQuantitiesInput!) {
        inventoryAdjustQuantities(input: $input) @idempotent(key: "a") {
          inventoryAdjustmentGroup { changes(quantityNames: ["available"]) { delta quantityAfterChange item { sku } } }
          userErrors { code } } }""",
        input={"name": "available", "reason": "correction", "changes": [change]},
    )
    group = data["inventoryAdjustQuantities"]["inventoryAdjustmentGroup"]
    assert group["changes"] == [{"delta": -3, "quantityAfterChange": 4, "item": {"sku": sku}}]
    assert client.shown(sku) == 4


FULFIL = """
mutation Fulfil($fulfillment: FulfillmentInput!) {
  fulfillmentCreate(fulfillment: $fulfillment) {
    fulfillment { id status trackingInfo { company number url } }
    userErrors { field message }
  }
}
"""
FULFILLMENT_ORDERS = """
query($id: ID!) { order(id: $id) { displayFulfillmentStatus
  fulfillmentOrders(first: 5) { nodes { id status
    lineItems(first: 5) { nodes { id remainingQuantity lineItem { id } } } } }
  fulfillments { id trackingInfo { number } } } }
"""


async def test_parcels_ship_what_is_open(client: Client) -> None:
    sku = client.skus[0]
    await client.set((sku, 7, 0))
    order = client.buy((sku, 3))
    order_id = f"gid://shopify/Order/{order.id}"
    (work,) = (await client.ask(FULFILLMENT_ORDERS, id=order_id))["order"]["fulfillmentOrders"]["nodes"]
    line_id = work["lineItems"]["nodes"][0]["id"]

    async def ship(units: int) -> dict[str, Any]:
        lines = [{"id": line_id, "quantity": units}]
        wanted = {
            "lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": work["id"], "fulfillmentOrderLineItems": lines}],
            "trackingInfo": {"company": "DHL", "number": "JD01", "url": "https://example.com/JD01"},
        }
        payload: dict[str, Any] = (await client.ask(FULFIL, fulfillment=wanted))["fulfillmentCreate"]
        return payload

    first = await ship(2)
    assert first["fulfillment"]["trackingInfo"] == [
        {"company": "DHL", "number": "JD01", "url": "https://example.com/JD01"}
    ]
    now = (await client.ask(FULFILLMENT_ORDERS, id=order_id))["order"]
    assert now["displayFulfillmentStatus"] == "PARTIALLY_FULFILLED"
    assert (await ship(2))["userErrors"][0]["message"]
    assert (await ship(1))["userErrors"] == []
    now = (await client.ask(FULFILLMENT_ORDERS, id=order_id))["order"]
    assert now["displayFulfillmentStatus"] == "FULFILLED"
    assert now["fulfillmentOrders"]["nodes"][0]["status"] == "CLOSED"
    assert (await ship(1))["fulfillment"] is None
    assert client.market.state.committed[order.lines[0].listing.id] == 0


SUBSCRIBE = """
mutation($topic: WebhookSubscriptionTopic!, $to: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $to) {
    webhookSubscription { id topic uri format apiVersion { handle } } userErrors { field message } } }
"""


async def _subscribe(client: Client, topic: str, uri: str) -> str:
    payload = (await client.ask(SUBSCRIBE, topic=topic, to={"uri": uri, "format": "JSON"}))["webhookSubscriptionCreate"]
    assert payload["userErrors"] == []
    return str(payload["webhookSubscription"]["id"])


async def test_subscriptions_are_made_once_changed_and_deleted(client: Client) -> None:
    identifier = await _subscribe(client, "ORDERS_CREATE", "https://example.com/a")
    again = await client.ask(SUBSCRIBE, topic="ORDERS_CREATE", to={"uri": "https://example.com/a"})
    assert again["webhookSubscriptionCreate"]["userErrors"][0]["message"].endswith("already been taken")
    plain = await client.ask(SUBSCRIBE, topic="ORDERS_CREATE", to={"uri": "http://example.com/a"})
    assert plain["webhookSubscriptionCreate"]["webhookSubscription"] is None
    changed = await client.ask(
        """mutation($id: ID!) {
        webhookSubscriptionUpdate(id: $id, webhookSubscription: {uri: "https://example.com/b"}) {
        webhookSubscription { uri } userErrors { message } } }""",
        id=identifier,
    )
    assert changed["webhookSubscriptionUpdate"]["webhookSubscription"]["uri"] == "https://example.com/b"
    listed = "{ webhookSubscriptions(first: 10, topics: [ORDERS_CREATE]) { nodes { id uri } } }"
    assert (await client.ask(listed))["webhookSubscriptions"]["nodes"] == [
        {"id": identifier, "uri": "https://example.com/b"}
    ]
    delete = """mutation($id: ID!) { webhookSubscriptionDelete(id: $id) {
      deletedWebhookSubscriptionId userErrors { message } } }"""
    gone = (await client.ask(delete, id=identifier))["webhookSubscriptionDelete"]
    assert gone["deletedWebhookSubscriptionId"] == identifier
    assert (await client.ask(delete, id=identifier))["webhookSubscriptionDelete"]["userErrors"]


async def test_a_sale_is_told_signed_and_whole(client: Client, ear: Heard) -> None:
    sku = client.skus[0]
    await client.set((sku, 7, 0))
    await _subscribe(client, "ORDERS_CREATE", ear.url)
    order = client.buy((sku, 2))
    headers, body = await ear.next()
    secret = client.market.accounts()[0].credentials["client_secret"]
    signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    assert headers["x-shopify-hmac-sha256"] == signature
    assert headers["x-shopify-topic"] == "orders/create"
    assert headers["x-shopify-api-version"] == "2026-10"
    for name in ("webhook-id", "event-id", "triggered-at", "shop-domain"):
        assert headers[f"x-shopify-{name}"]
    told = json.loads(body)
    assert told["admin_graphql_api_id"] == f"gid://shopify/Order/{order.id}"
    (line,) = told["line_items"]
    assert (line["sku"], line["quantity"], line["current_quantity"]) == (sku, 2, 2)
    assert line["variant_id"] == int(order.lines[0].listing.id)
    assert told["total_price"] == f"{order.lines[0].unit_price * 2:.2f}"
    assert told["financial_status"] == "paid"
    assert told["fulfillment_status"] is None


async def test_cancelling_and_shipping_are_told(client: Client, ear: Heard) -> None:
    sku = client.skus[0]
    await client.set((sku, 7, 0))
    await _subscribe(client, "ORDERS_CANCELLED", ear.url)
    await _subscribe(client, "ORDERS_FULFILLED", ear.url)
    first, second = client.buy((sku, 1)), client.buy((sku, 1))
    client.market.cancel_order(first.id)
    headers, body = await ear.next()
    assert headers["x-shopify-topic"] == "orders/cancelled"
    told = json.loads(body)
    assert told["cancelled_at"]
    assert told["line_items"][0]["current_quantity"] == 0
    assert told["refunds"][0]["refund_line_items"][0]["quantity"] == 1
    data = await client.ask(FULFILLMENT_ORDERS, id=f"gid://shopify/Order/{second.id}")
    work = data["order"]["fulfillmentOrders"]["nodes"][0]["id"]
    await client.ask(FULFIL, fulfillment={"lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": work}]})
    headers, body = await ear.next()
    assert headers["x-shopify-topic"] == "orders/fulfilled"
    assert json.loads(body)["fulfillment_status"] == "fulfilled"


async def test_stock_is_told(client: Client, ear: Heard) -> None:
    sku = client.skus[0]
    await _subscribe(client, "INVENTORY_LEVELS_UPDATE", ear.url)
    await client.set((sku, 7, 0))
    headers, body = await ear.next()
    assert headers["x-shopify-topic"] == "inventory_levels/update"
    told = json.loads(body)
    assert told["available"] == 7
    assert client.item(sku).endswith(str(told["inventory_item_id"]))
    client.buy((sku, 3))
    _, body = await ear.next()
    assert json.loads(body)["available"] == 4
