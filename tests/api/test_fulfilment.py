"""Fulfilment over HTTP: orders are picked, sent and moved; rules are tried out, kept and put in force."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.api.support import check_problem
from tests.fulfilment.support import MAIN, SECOND, THIRD, Shop

from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id


@pytest.fixture
async def shop(database: Database, organisation_id: UUID) -> Shop:
    return await Shop(database, organisation_id).open({"A": (5, 3, 0)})


async def get(client: httpx.AsyncClient, path: str, **parameters: Any) -> Any:
    answer = await client.get(f"/v1{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_fulfilment_order_is_picked_moved_and_sent_once(client: httpx.AsyncClient, shop: Shop) -> None:
    order_id = await shop.sell("1", A=3)
    await shop.settle()
    [row] = (await get(client, "/fulfilment-orders"))["fulfilmentOrders"]
    assert (row["orderId"], row["location"], row["units"], row["pinned"]) == (str(order_id), MAIN, 3, False)
    path = f"/v1/fulfilment-orders/{row['id']}"
    [line] = (await client.get(path)).json()["fulfilmentOrder"]["lines"]
    begun = (await client.post(f"{path}/begin")).json()["fulfilmentOrder"]
    assert begun["status"] == "in_progress"
    check_problem(await client.post(f"{path}/begin"), 409, "work-moved")
    one = [{"orderLineId": line["orderLineId"], "quantity": 1}]
    picked = await client.put(f"{path}/picked", json={"lines": one})
    assert picked.json()["fulfilmentOrder"]["picked"] == 1
    moved = await client.post(f"{path}/move", json={"locationId": str(shop.places[SECOND]), "lines": one})
    assert moved.json()["fulfilmentOrder"]["location"] == SECOND
    gone = await client.post(f"{path}/move", json={"locationId": str(shop.places[THIRD])})
    check_problem(gone, 409, "not-enough-stock")
    assert (await client.post(f"{path}/pack")).json()["fulfilmentOrder"]["status"] == "ready"
    assert (await client.post(f"{path}/reopen")).json()["fulfilmentOrder"]["status"] == "open"
    key = {"Idempotency-Key": new_id().hex}
    answers = [await client.post(f"{path}/shipments", json={"carrier": "DHL"}, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["fulfilmentOrder"]["status"] == "shipped"
    check_problem(await client.post(f"{path}/shipments", json={}), 409, "work-moved")
    twice = await client.put(f"{path}/picked", json={"lines": one * 2})
    check_problem(twice, 422, "invalid-input")
    check_problem(await client.get(f"/v1/fulfilment-orders/{new_id()}"), 404, "work-not-found")
    await shop.check()


async def test_rules_are_tried_kept_and_put_in_force(client: httpx.AsyncClient, shop: Shop) -> None:
    rules = {"rules": [{"name": "west", "then": {"from": {"groups": ["west"]}, "else": "park"}}]}
    described = await client.put(
        f"/v1/routing-places/{shop.places[SECOND]}",
        json={"country": "pt", "groups": ["west"], "costMinor": 450, "dailyCapacity": 9},
    )
    assert next(p for p in described.json()["places"] if p["name"] == SECOND)["country"] == "PT"
    first = await shop.sell("1", A=1)
    await shop.settle()
    tried = (await client.post("/v1/routing-rules/try", json={"rules": rules})).json()
    assert (tried["inForce"]["byPlace"], tried["tried"]["byPlace"]) == ({MAIN: 1}, {SECOND: 1})
    assert (tried["tried"]["costMinor"], tried["differ"]) == (450, [str(first)])
    kept = await client.post("/v1/routing-rules", json={"rules": rules, "note": "x", "putInForce": True})
    assert (kept.status_code, kept.json()["routingRules"]["inForce"]) == (201, True)
    second, third = await shop.sell("2", A=1), await shop.sell("3", A=4)
    await shop.settle()
    assert await shop.sent_from(second) == {(SECOND, "A"): 1}
    assert [row["orderId"] for row in (await get(client, "/parked-lines"))["parked"]] == [str(third)]
    await client.post("/v1/routing-rules", json={"rules": {"rules": []}})
    assert (await client.post("/v1/routing-rules/2/put-in-force")).json()["routingRules"]["number"] == 2
    await shop.settle()
    assert sum((await shop.sent_from(third)).values()) == 4, "what waited is looked at again"
    assert [row["number"] for row in (await get(client, "/routing-rules"))["routingRules"]] == [2, 1]
    check_problem(await client.post("/v1/routing-rules/9/put-in-force"), 404, "rules-not-found")
    check_problem(await client.post("/v1/routing-rules", json={"rules": {"x": 1}}), 422, "invalid-routing")
    lost = {"otherwise": {"from": {"places": [str(new_id())]}}}
    check_problem(await client.post("/v1/routing-rules", json={"rules": lost}), 422, "invalid-routing")
