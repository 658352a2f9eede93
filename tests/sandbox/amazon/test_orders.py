"""Searching orders, single orders, shipping them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.sandbox.amazon.conftest import Check, Client

from entrepot_sandbox.amazon.orders import PENDING
from entrepot_sandbox.books import Order
from entrepot_sandbox.journal import OrderTold

MODEL = "orders_2026-01-01.json"
PATH = "/amazon/orders/2026-01-01/orders"
ALL = "BUYER,RECIPIENT,PROCEEDS,EXPENSE,PROMOTION,CANCELLATION,FULFILLMENT,PACKAGES,TAX,PAYMENT,FULFILLMENT_ORDERS"
SINCE = "2020-01-01T00:00:00Z"


async def _search(client: Client, **more: Any) -> dict[str, Any]:
    params = {"lastUpdatedAfter": SINCE, "includedData": ALL, **more}
    answer = await client.http.get(PATH, params={key: value for key, value in params.items() if value is not None})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def _paid(order: Order) -> None:
    async with asyncio.timeout(5):
        while PENDING in order.extra:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.005)


async def _shown(client: Client, count: int, **more: Any) -> dict[str, Any]:
    """Search until so many orders are shown."""
    async with asyncio.timeout(5):
        while True:
            body = await _search(client, **more)
            if len(body["orders"]) == count:
                return body
            await asyncio.sleep(0.02)


async def test_an_order_is_shown_after_its_lag_and_told(client: Client, official: Check) -> None:
    one, two, *_ = client.skus
    client.offer(one, 10)
    client.offer(two, 10)
    order = client.buy((one, 2), (two, 1))
    await _paid(order)
    body = await _shown(client, 1)
    official(MODEL, "SearchOrdersResponse", body)
    (shown,) = body["orders"]
    assert shown["orderId"] == order.id
    assert shown["fulfillment"]["fulfillmentStatus"] == "UNSHIPPED"
    assert [(item["product"]["sellerSku"], item["quantityOrdered"]) for item in shown["orderItems"]] == [
        (one, 2),
        (two, 1),
    ]
    assert shown["proceeds"]["grandTotal"] == {"amount": f"{order.total:.2f}", "currencyCode": "EUR"}
    assert shown["recipient"]["deliveryAddress"]["countryCode"] == "DE"
    told = [(event.order_id, event.version) for event in client.market.state.desk.world.journal.of(OrderTold)]
    assert set(told) == {(order.id, order.version)}
    assert client.shown(one) == 8


async def test_a_fresh_order_is_not_shown_and_the_answer_says_up_to_when(slow_client: Client) -> None:
    sku = slow_client.skus[0]
    slow_client.offer(sku, 10)
    order = slow_client.buy((sku, 1))
    body = await _search(slow_client)
    assert body["orders"] == []
    assert body["lastUpdatedBefore"] < order.placed_at.isoformat()
    answer = await slow_client.http.get(
        PATH, params={"lastUpdatedAfter": SINCE, "lastUpdatedBefore": order.placed_at.isoformat()}
    )
    assert answer.status_code == 400


async def test_a_pending_order_hides_money_and_people(slow_client: Client, official: Check) -> None:
    sku = slow_client.skus[0]
    slow_client.offer(sku, 10)
    order = slow_client.buy((sku, 1))
    answer = await slow_client.http.get(f"{PATH}/{order.id}", params={"includedData": ALL})
    official(MODEL, "GetOrderResponse", answer.json())
    shown = answer.json()["order"]
    assert shown["fulfillment"]["fulfillmentStatus"] == "PENDING"
    assert not {"buyer", "recipient", "proceeds"} & shown.keys()
    assert "price" not in shown["orderItems"][0]["product"]
    assert shown["orderItems"][0]["quantityOrdered"] == 1


async def test_only_what_is_asked_for_is_included(client: Client) -> None:
    sku = client.skus[0]
    client.offer(sku, 10)
    order = client.buy((sku, 1))
    await _paid(order)
    shown = (await client.http.get(f"{PATH}/{order.id}")).json()["order"]
    assert not {"buyer", "recipient", "proceeds", "fulfillment", "packages"} & shown.keys()


async def test_pages_show_each_order_once_in_the_order_of_change(client: Client) -> None:
    sku = client.skus[0]
    client.offer(sku, 10)
    orders = [client.buy((sku, 1)) for _ in range(5)]
    for order in orders:
        await _paid(order)
    await _shown(client, 5)
    seen: list[str] = []
    times: list[str] = []
    token: str | None = None
    while True:
        page = (
            await _search(client, maxResultsPerPage=2)
            if token is None
            else await _search(client, lastUpdatedAfter=None, includedData=None, paginationToken=token)
        )
        seen += [order["orderId"] for order in page["orders"]]
        times += [order["lastUpdatedTime"] for order in page["orders"]]
        assert all("fulfillment" in order for order in page["orders"])
        token = page.get("pagination", {}).get("nextToken")
        if token is None:
            break
    assert sorted(seen) == sorted(order.id for order in orders)
    assert times == sorted(times)


async def test_changed_since_and_by_status(client: Client) -> None:
    sku = client.skus[0]
    client.offer(sku, 10)
    first, second = client.buy((sku, 1)), client.buy((sku, 1))
    await _paid(first)
    await _paid(second)
    await asyncio.sleep(0.01)
    client.market.cancel_order(second.id)
    since = (first.updated_at + timedelta(milliseconds=1)).isoformat()
    changed = await _shown(client, 1, lastUpdatedAfter=since, fulfillmentStatuses="CANCELLED")
    assert [order["orderId"] for order in changed["orders"]] == [second.id]
    unshipped = await _search(client, fulfillmentStatuses="UNSHIPPED")
    assert [order["orderId"] for order in unshipped["orders"]] == [first.id]


async def test_a_cancelled_order_says_so_and_its_units_are_on_offer_again(client: Client, official: Check) -> None:
    sku = client.skus[0]
    client.offer(sku, 10)
    order = client.buy((sku, 3))
    await _paid(order)
    client.market.cancel_order(order.id)
    answer = (await client.http.get(f"{PATH}/{order.id}", params={"includedData": ALL})).json()
    official(MODEL, "GetOrderResponse", answer)
    assert answer["order"]["fulfillment"]["fulfillmentStatus"] == "CANCELLED"
    (item,) = answer["order"]["orderItems"]
    assert item["fulfillment"] == {"quantityFulfilled": 0, "quantityUnfulfilled": 0}
    assert item["cancellation"]["cancellationExecution"]["cancelledBy"] == "BUYER"
    assert client.shown(sku) == 10


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"lastUpdatedAfter": SINCE, "createdAfter": SINCE},
        {"lastUpdatedAfter": "yesterday"},
        {"lastUpdatedAfter": SINCE, "maxResultsPerPage": "101"},
        {"lastUpdatedAfter": SINCE, "fulfillmentStatuses": "GONE"},
        {"lastUpdatedAfter": SINCE, "marketplaceIds": "ELSEWHERE"},
        {"lastUpdatedAfter": SINCE, "includedData": "SECRETS"},
        {"paginationToken": "no"},
    ],
)
async def test_wrong_searches_are_refused(client: Client, official: Check, params: dict[str, str]) -> None:
    answer = await client.http.get(PATH, params=params)
    assert answer.status_code == 400
    official(MODEL, "ErrorList", answer.json())


async def test_an_unknown_order_is_404(client: Client, official: Check) -> None:
    answer = await client.http.get(f"{PATH}/302-0000000-0000000")
    assert answer.status_code == 404
    official(MODEL, "ErrorList", answer.json())


async def _confirm(client: Client, order: Order, units: int, **more: Any) -> int:
    detail = {
        "packageReferenceId": "1",
        "carrierCode": "DHL",
        "trackingNumber": "JD01",
        "shipDate": "2026-01-02T03:04:05Z",
        "orderItems": [{"orderItemId": order.lines[0].id, "quantity": units}],
        **more,
    }
    answer = await client.http.post(
        f"/amazon/orders/v0/orders/{order.id}/shipmentConfirmation",
        json={"marketplaceId": client.place, "packageDetail": detail},
    )
    return answer.status_code


async def test_confirming_ships_once_and_may_change_the_tracking(client: Client, official: Check) -> None:
    sku = client.skus[0]
    client.offer(sku, 10)
    order = client.buy((sku, 3))
    await _paid(order)
    assert await _confirm(client, order, 2) == 204
    assert await _confirm(client, order, 2) == 204
    assert order.lines[0].shipped == 2
    assert await _confirm(client, order, 2, trackingNumber="JD02") == 204
    assert await _confirm(client, order, 2, packageReferenceId="2") == 400
    assert await _confirm(client, order, 1, packageReferenceId="2") == 204
    answer = (await client.http.get(f"{PATH}/{order.id}", params={"includedData": ALL})).json()
    official(MODEL, "GetOrderResponse", answer)
    assert answer["order"]["fulfillment"]["fulfillmentStatus"] == "SHIPPED"
    assert [package["trackingNumber"] for package in answer["order"]["packages"]] == ["JD02", "JD01"]


async def test_a_pending_order_cannot_be_shipped(slow_client: Client) -> None:
    sku = slow_client.skus[0]
    slow_client.offer(sku, 10)
    order = slow_client.buy((sku, 1))
    assert await _confirm(slow_client, order, 1) == 400
