"""Parcels told to Shopify once, from one location."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from tests.connectors.scripted import AT, reply
from tests.connectors.shopify.calls import api_of, sent

from entrepot.channels.contract import (
    Fulfilment,
    FulfilmentLine,
    RequestRejected,
)
from entrepot.connectors.shopify import CONNECTOR, parcels


def open_order(*parcels_there: dict[str, Any], remaining: int = 2) -> dict[str, Any]:
    line = {"id": "gid://shopify/FulfillmentOrderLineItem/31", "remainingQuantity": remaining}
    work = {
        "id": "gid://shopify/FulfillmentOrder/21",
        "status": "OPEN",
        "assignedLocation": {"location": {"id": "gid://shopify/Location/11"}},
        "lineItems": {
            "nodes": [{**line, "lineItem": {"id": "gid://shopify/LineItem/61"}}],
            "pageInfo": {"hasNextPage": False},
        },
    }
    orders_there = {"nodes": [work], "pageInfo": {"hasNextPage": False}}
    return {"data": {"order": {"fulfillments": list(parcels_there), "fulfillmentOrders": orders_there}}}


def parcel(tracking: str = "1Z9", quantity: int = 2) -> Fulfilment:
    lines = (FulfilmentLine("61", quantity),)
    return Fulfilment("5001", "parcel-1", "UPS", tracking, "https://ups.example/1Z9" if tracking else "", AT, lines)


MADE = {"data": {"fulfillmentCreate": {"fulfillment": {"id": "gid://shopify/Fulfillment/81"}, "userErrors": []}}}


async def test_a_parcel_is_told_once() -> None:
    api = api_of(reply(open_order()), reply(MADE))
    assert await CONNECTOR.push_fulfilment(api, parcel()) == "81"
    assert sent(api, 1)["fulfillment"] == {
        "lineItemsByFulfillmentOrder": [
            {
                "fulfillmentOrderId": "gid://shopify/FulfillmentOrder/21",
                "fulfillmentOrderLineItems": [{"id": "gid://shopify/FulfillmentOrderLineItem/31", "quantity": 2}],
            }
        ],
        "notifyCustomer": True,
        "trackingInfo": {"company": "UPS", "number": "1Z9", "url": "https://ups.example/1Z9"},
    }
    assert not api.calls[1].idempotent
    there = {"id": "gid://shopify/Fulfillment/81", "status": "SUCCESS", "trackingInfo": [{"number": "1Z9"}]}
    assert await CONNECTOR.push_fulfilment(api_of(reply(open_order(there, remaining=0))), parcel()) == "81"


async def test_a_cancelled_parcel_does_not_count_as_told() -> None:
    dead = {"id": "gid://shopify/Fulfillment/80", "status": "CANCELLED", "trackingInfo": [{"number": "1Z9"}]}
    assert await CONNECTOR.push_fulfilment(api_of(reply(open_order(dead)), reply(MADE)), parcel()) == "81"


async def test_a_parcel_without_a_number_is_known_by_its_lines() -> None:
    there = {"id": "gid://shopify/Fulfillment/82", "status": "SUCCESS", "trackingInfo": []}
    held = {"nodes": [{"quantity": 1, "lineItem": {"id": "gid://shopify/LineItem/61"}}]}
    moves = {"data": {"order": {"updatedAt": "2026-11-20T09:00:05Z", "fulfillments": [{**there}], "refunds": []}}}
    moves["data"]["order"]["fulfillments"] = [there | {"fulfillmentLineItems": held}]
    again = api_of(reply(open_order(there, remaining=1)), reply(moves))
    assert await CONNECTOR.push_fulfilment(again, parcel("", 1)) == "82"
    other = api_of(reply(open_order(there, remaining=2)), reply(moves), reply(MADE))
    assert await CONNECTOR.push_fulfilment(other, parcel("", 2)) == "81"
    assert sent(other, 2)["fulfillment"]["trackingInfo"] == {"company": "UPS"}


async def test_a_parcel_that_cannot_be_told_says_why() -> None:
    with pytest.raises(RequestRejected, match="left to ship"):
        await CONNECTOR.push_fulfilment(api_of(reply(open_order(remaining=1))), parcel())
    with pytest.raises(RequestRejected, match="no order 5001"):
        await CONNECTOR.push_fulfilment(api_of(reply({"data": {"order": None}})), parcel())
    refusal = {
        "data": {"fulfillmentCreate": {"fulfillment": None, "userErrors": [{"message": "On hold", "field": None}]}}
    }
    with pytest.raises(RequestRejected, match="On hold"):
        await CONNECTOR.push_fulfilment(api_of(reply(open_order()), reply(refusal)), parcel())


def test_a_parcel_leaves_from_one_location() -> None:
    lines = [
        parcels.Open("f1", "A", "l1", "61", 1),
        parcels.Open("f2", "B", "l2", "61", 2),
        parcels.Open("f3", "B", "l3", "62", 1),
    ]
    for some in permutations(lines):
        chosen = parcels.choose({"61": 2, "62": 1}, some)
        assert chosen is not None
        assert {line.location for line in chosen} == {"B"}
        assert parcels.choose({"61": 3}, some) is None
    assert parcels.choose({}, lines) is None
