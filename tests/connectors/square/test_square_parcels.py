"""Parcels told to Square once, all at a time or in part."""

from __future__ import annotations

from typing import Any

import pytest
from tests.connectors.scripted import reply
from tests.connectors.square.given import (
    AT,
    body_of,
    order,
    refusal,
    scripted,
)

from entrepot.channels.contract import (
    Fulfilment,
    FulfilmentLine,
    RequestRejected,
)
from entrepot.connectors.square import CONNECTOR


def parcel(key: str, *lines: tuple[str, int]) -> Fulfilment:
    of = tuple(FulfilmentLine(uid, units) for uid, units in lines)
    return Fulfilment("O", key, "Royal Mail", "RM1", "https://track.example/RM1", AT, of)


def open_order(**fields: Any) -> dict[str, Any]:
    lines = [{"uid": "L1", "quantity": "2", "name": "Tray"}, {"uid": "L2", "quantity": "1", "name": "Tea"}]
    shipment = {"uid": "F1", "type": "SHIPMENT", "state": "PROPOSED", "line_item_application": "ALL", **fields}
    return order(version=3, line_items=lines, fulfillments=[shipment])


async def test_a_parcel_with_everything_completes_the_fulfilment() -> None:
    api = scripted([reply({"orders": [open_order()]}), reply({"order": open_order()})])
    assert await CONNECTOR.push_fulfilment(api, parcel("P1", ("L1", 2), ("L2", 1))) == "F1"
    put = api.calls[1]
    assert (put.method, put.path, put.idempotent) == ("PUT", "/v2/orders/O", True)
    sent = body_of(put)["order"]
    assert sent["version"] == 3
    assert sent["fulfillments"][0]["state"] == "COMPLETED"
    assert sent["fulfillments"][0]["shipment_details"] == {
        "carrier": "Royal Mail",
        "tracking_number": "RM1",
        "tracking_url": "https://track.example/RM1",
    }


async def test_a_part_leaves_it_open_and_the_rest_completes_it() -> None:
    api = scripted([reply({"orders": [open_order()]}), reply({})])
    await CONNECTOR.push_fulfilment(api, parcel("P1", ("L1", 2)))
    first = body_of(api.calls[1])["order"]["fulfillments"][0]
    assert "state" not in first
    noted = open_order(metadata=first["metadata"])
    api = scripted([reply({"orders": [noted]}), reply({})])
    await CONNECTOR.push_fulfilment(api, parcel("P2", ("L2", 1)))
    second = body_of(api.calls[1])["order"]["fulfillments"][0]
    assert second["state"] == "COMPLETED"
    assert len(second["metadata"]) == 2


async def test_a_parcel_told_twice_is_written_once() -> None:
    api = scripted([reply({"orders": [open_order()]}), reply({})])
    await CONNECTOR.push_fulfilment(api, parcel("P1", ("L1", 2)))
    noted = open_order(metadata=body_of(api.calls[1])["order"]["fulfillments"][0]["metadata"])
    again = scripted([reply({"orders": [noted]})])
    assert await CONNECTOR.push_fulfilment(again, parcel("P1", ("L1", 2))) == "F1"


async def test_an_order_changed_in_the_meantime_is_read_again() -> None:
    newer = {**open_order(), "version": 4}
    conflict = refusal("VERSION_MISMATCH", 409)
    api = scripted([reply({"orders": [open_order()]}), conflict, reply({"orders": [newer]}), reply({})])
    await CONNECTOR.push_fulfilment(api, parcel("P1", ("L1", 2), ("L2", 1)))
    first, second = body_of(api.calls[1]), body_of(api.calls[3])
    assert (first["order"]["version"], second["order"]["version"]) == (3, 4)
    assert first["idempotency_key"] != second["idempotency_key"]


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"orders": [{**open_order(), "state": "CANCELED"}]},
        {"orders": [open_order(state="CANCELED")]},
        {"orders": [{**open_order(), "version": None}]},
    ],
)
async def test_a_parcel_that_cannot_be_told_is_refused_in_plain_words(found: dict[str, Any]) -> None:
    with pytest.raises(RequestRejected) as caught:
        await CONNECTOR.push_fulfilment(scripted([reply(found)]), parcel("P1", ("L1", 2)))
    assert len(caught.value.detail) > 10


async def test_an_order_that_was_completed_by_hand_needs_nothing() -> None:
    done = {**open_order(state="COMPLETED"), "state": "COMPLETED"}
    assert await CONNECTOR.push_fulfilment(scripted([reply({"orders": [done]})]), parcel("P1", ("L1", 2))) == "F1"
