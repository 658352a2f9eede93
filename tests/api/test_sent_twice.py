"""A POST with an Idempotency-Key is done once, on every path that changes something."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.api.support import check_problem

from entrepot.api.contract import PATHS, Path
from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.kernel.ids import new_id

POSTS = [path for path in PATHS if path.method == "POST" and not path.public]


async def post(client: httpx.AsyncClient, path: str, body: Any = None, key: str = "k1") -> httpx.Response:
    return await client.post(path, json=body, headers={"Idempotency-Key": key})


def test_every_path_that_changes_something_documents_it(open_document: dict[str, Any]) -> None:
    for path in PATHS:
        operation = open_document["paths"][path.path][path.method.lower()]
        named = {each["name"]: each for each in operation.get("parameters", ())}
        expected = path.method == "POST" and not path.public
        assert ("Idempotency-Key" in named) == expected, f"{path.method} {path.path}"
        if expected:
            assert named["Idempotency-Key"]["in"] == "header"
            assert "409" in operation["responses"]


@pytest.fixture
async def open_document(open_client: httpx.AsyncClient) -> dict[str, Any]:
    document: dict[str, Any] = (await open_client.get("/openapi.json")).json()
    return document


PLACE = str(UUID(int=1))
SKUS = [{"sku": "A-1", "quantity": 1}]
CONNECTION = {"channel": "square", "name": "Till", "environment": "simulated", "settings": {}, "credentials": {}}
BULK = {"filter": {}, "changes": [{"field": "tags", "action": "add", "value": "new"}]}
TASK = {"marketplace": "amazon", "title": "Titles"}
BODIES: dict[str, Any] = {
    "/v1/tasks": TASK,
    "/v1/approval-policies": {"name": "Small", "decision": "ask"},
    "/v1/approval-policies/try": {"name": "Small", "decision": "ask"},
    "/v1/teams": {"name": "Listings"},
    "/v1/task-templates": {"name": "Weekly", "rhythm": "weekly", "task": TASK},
    "/v1/tasks/decide": {"taskIds": [PLACE], "approved": True},
    "/v1/tasks/{task_id}/assign": {"assignedTo": PLACE},
    "/v1/tasks/{task_id}/complete": {"actualHours": 1},
    "/v1/tasks/{task_id}/comments": {"text": "Seen"},
    "/orchestration/tasks": {
        **TASK,
        "description": "",
        "category": "analysis",
        "priority": "low",
        "estimatedHours": 1,
        "createdBy": "amazon",
    },
    "/v1/conflicts/{conflict_id}/resolve": {"side": "ours"},
    "/multi-channel/conflicts/{conflict_id}/resolve": {"side": "ours"},
    "/v1/people": {"email": "a@example.com", "name": "Ana"},
    "/v1/keys": {"name": "Till", "scopes": ["stock:read"]},
    "/v1/agent-tokens": {"agent": "amazon"},
    "/v1/products": {"sku": "A-1", "title": "Mug", "price": "1.00"},
    "/v1/imports/channel": {"connectionId": PLACE},
    "/v1/categories": {"name": "Home"},
    "/v1/categories/{category_id}/merge": {"intoId": PLACE},
    "/v1/collections": {"title": "Sale"},
    "/v1/saved-views": {"name": "Drafts", "parameters": {"status": "draft"}},
    "/v1/price-lists": {"name": "Euro", "currency": "EUR"},
    "/v1/exchange-rates": {
        "rates": [{"base": "EUR", "quote": "USD", "rate": "1.1", "day": "2026-11-20", "source": "ECB"}]
    },
    "/v1/bulk-edits/preview": BULK,
    "/v1/bulk-edits": BULK,
    "/v1/allocation-policy/preview": {"strategy": "equal"},
    "/v1/order-files": {"name": "Past", "data": "time,sku,quantity\n2026-01-01,A,1\n"},
    "/v1/simulations": {"policies": ["equal"], "lagsS": [60]},
    "/v1/match-candidates/accept-above": {"score": "0.9"},
    "/v1/listings/{listing_id}/product": {"sku": "A-1"},
    "/v1/own-prices/take-off": {"prices": [{"listingId": PLACE}]},
    "/v1/publications": {"filter": {}, "connectionIds": [PLACE]},
    "/v1/publications/retry": {},
    "/v1/products/import": {"source": "csv", "data": "sku,title,price\nA-1,Mug,1\n"},
    "/v1/orders/{order_id}/shipments": {},
    "/v1/fulfilment-orders/{fulfilment_order_id}/shipments": {"carrier": "Post"},
    "/v1/fulfilment-orders/{fulfilment_order_id}/move": {"locationId": PLACE},
    "/v1/routing-rules": {"rules": {"rules": []}},
    "/v1/routing-rules/try": {"rules": {"rules": []}},
    "/v1/stock-adjustments": {"changes": [{"sku": "A-1", "delta": 1}]},
    "/v1/locations": {"name": "Attic"},
    "/v1/transfers": {"fromLocationId": PLACE, "toLocationId": PLACE, "lines": SKUS},
    "/v1/transfers/{transfer_id}/receive": {"lines": []},
    "/v1/counts": {"locationId": PLACE},
    "/v1/suppliers": {"name": "Mill", "currency": "EUR"},
    "/v1/purchase-orders": {"supplierId": PLACE, "locationId": PLACE, "lines": SKUS},
    "/v1/purchase-orders/{purchase_order_id}/order": {},
    "/v1/purchase-orders/{purchase_order_id}/receive": {"lines": []},
    "/v1/shortages/{shortage_id}/remedy": {"remedy": "cancel"},
    "/v1/stock-files": {"kind": "stock", "data": "sku\n"},
    "/v1/reorder-suggestions/buy": {"suggestionIds": [PLACE]},
    "/v1/reservations/{reservation_id}/extend": {"expiresIn": 60},
    "/v1/connections": CONNECTION,
    "/v1/runs": {"connectionIds": [PLACE]},
    "/channels": CONNECTION,
    "/channels/{channel_id}/sync": ["orders"],
    "/sync/interval": {"minutes": 5},
    "/multi-channel/channels/connect": CONNECTION,
    "/multi-channel/sync/channel/{channel_id}": ["orders"],
    "/multi-channel/inventory/release": {"reservationId": PLACE},
}
KEPT = identity.KeptAnswer(201, b'{"kept":true}')


def body_of(path: Path) -> Any:
    return BODIES.get(path.path, BODIES.get(path.alias_of or ""))


@pytest.mark.parametrize("path", POSTS, ids=[path.path for path in POSTS])
async def test_every_path_gives_the_first_answer_again(
    client: httpx.AsyncClient, database: Database, path: Path
) -> None:
    """Where an answer is kept, nothing is done: not even looked whether what the path names exists."""
    actor = await identity.Authenticator(database, b"k" * 32).authenticate(client.headers["Authorization"])
    url = re.sub(r"\{\w+\}", str(new_id()), path.path.replace("{number}", "1"))
    body = body_of(path)
    if path.lean:
        await client.post("/v1/products", json=BODIES["/v1/products"])
        body = SKUS[0]
    request = client.build_request("POST", url, json=body, headers={"Idempotency-Key": "k1"})
    hashed = identity.request_hash("POST", request.url.path, "", request.content)
    await identity.close_claim(database, actor, "k1", hashed, KEPT)
    answer = await client.send(request)
    assert (answer.status_code, answer.headers.get("idempotency-replayed")) == (201, "true"), answer.text
    assert answer.content == KEPT.body
    other = await client.post(f"{url}?other=1", json=body, headers={"Idempotency-Key": "k1"})
    check_problem(other, 422, "idempotency-key-reused")


async def test_a_key_is_made_once_and_its_secret_is_not_in_the_database(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID
) -> None:
    body = {"name": "Till", "scopes": ["stock:read"]}
    first, again = await post(client, "/v1/keys", body), await post(client, "/v1/keys", body)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
    assert [key["name"] for key in (await client.get("/v1/keys")).json()["keys"]].count("Till") == 1
    async with database.transaction(organisation_id) as tx:
        kept = await tx.fetch_value("select body from idempotency_key where organisation_id = $1", organisation_id)
    assert str(first.json()["secret"]).encode() not in bytes(kept)
    other = await post(client, "/v1/keys", {**body, "name": "Other"})
    check_problem(other, 422, "idempotency-key-reused")


async def test_two_at_a_time_do_it_once(client: httpx.AsyncClient) -> None:
    for number, (path, body, listed) in enumerate(
        (
            ("/v1/keys", {"name": "Till", "scopes": ["stock:read"]}, "/v1/keys"),
            ("/v1/locations", {"name": "Attic"}, "/v1/locations"),
        )
    ):
        both = await asyncio.gather(*(post(client, path, body, key=f"pair-{number}") for _ in range(4)))
        assert {answer.status_code for answer in both} <= {201, 409}, [answer.text for answer in both]
        done = [answer.json() for answer in both if answer.status_code == 201]
        assert done
        assert all(answer == done[0] for answer in done)
        for answer in both:
            if answer.status_code == 409:
                check_problem(answer, 409, "request-in-progress")
        name = body["name"]
        found = next(iter((await client.get(listed)).json().values()))
        assert [each["name"] for each in found].count(name) == 1


async def test_an_answer_without_a_body_is_given_again(client: httpx.AsyncClient, database: Database) -> None:
    first, again = await post(client, "/v1/sync/stop"), await post(client, "/v1/sync/stop")
    assert (first.status_code, again.json()) == (200, first.json())
    await client.post("/v1/sync/start")
    assert (await post(client, "/v1/sync/stop")).headers["idempotency-replayed"] == "true"


async def test_an_error_is_not_kept(client: httpx.AsyncClient) -> None:
    path = f"/v1/jobs/{new_id()}/cancel"
    for _ in range(2):
        assert (await post(client, path)).status_code == 404
    place = (await client.post("/v1/locations", json={"name": "Attic"})).json()["location"]
    only = (await post(client, f"/v1/locations/{place['id']}/deactivate", key="d")).status_code
    await client.post("/v1/locations", json={"name": "Cellar"})
    again = await post(client, f"/v1/locations/{place['id']}/deactivate", key="d")
    assert only in (200, 409)
    assert again.status_code == 200
