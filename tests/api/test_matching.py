"""Match candidates over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.api.support import check_problem
from tests.catalog.match_support import Shop, connection, listing
from tests.orders.support import ingest, line, order

from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id

THERE = replace(listing("9", "Makita DHP-453 18V combi drill", vendor="Makita"), sku="THEIRS-9")


@pytest.fixture
async def hub(database: Database, organisation_id: UUID, client: httpx.AsyncClient) -> Shop:
    async with database.transaction(organisation_id) as tx:
        made = Shop(database, organisation_id, await connection(tx), {})
    for sku, title in (("D1", "Makita DHP453 cordless combi drill 18 V"), ("M1", "Enamel mug")):
        answer = await client.post("/products", json={"sku": sku, "title": title, "price": "89", "vendor": "Makita"})
        assert answer.status_code == 201, answer.text
        made.variants[sku] = UUID(answer.json()["product"]["variants"][0]["id"])
    return made


async def get(client: httpx.AsyncClient, path: str, **parameters: Any) -> Any:
    answer = await client.get(f"/v1{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def waiting(hub: Shop, client: httpx.AsyncClient) -> tuple[UUID, str]:
    found = await hub.show(THERE)
    await hub.match()
    (row,) = (await get(client, "/match-candidates"))["matchCandidates"]
    return found["9"], row["id"]


async def test_a_candidate_is_shown_accepted_and_undone(client: httpx.AsyncClient, hub: Shop) -> None:
    listing_id, id = await waiting(hub, client)
    row = (await get(client, f"/match-candidates/{id}"))["matchCandidate"]
    assert (row["listing"]["sku"], row["variant"]["sku"], row["state"]) == ("THEIRS-9", "D1", "open")
    assert 0.8 < row["score"] < 1
    accepted = await client.post(f"/v1/match-candidates/{id}/accept")
    assert accepted.json()["matchCandidate"]["state"] == "accepted"
    check_problem(await client.post(f"/v1/match-candidates/{id}/accept"), 409, "already-decided")
    check_problem(await client.post(f"/v1/match-candidates/{id}/reject"), 409, "already-decided")
    assert len((await get(client, "/match-candidates", state="accepted"))["matchCandidates"]) == 1
    assert (await client.delete(f"/v1/listings/{listing_id}/variant")).status_code == 204
    check_problem(await client.delete(f"/v1/listings/{listing_id}/variant"), 409, "not-matched")
    assert len((await get(client, "/match-candidates", state="rejected"))["matchCandidates"]) == 1
    assert not (await get(client, "/match-candidates"))["matchCandidates"]


async def test_rejecting_choosing_and_making(client: httpx.AsyncClient, hub: Shop) -> None:
    listing_id, id = await waiting(hub, client)
    assert (await client.post(f"/v1/match-candidates/{id}/reject")).status_code == 200
    assert (await client.post(f"/v1/match-candidates/{id}/reopen")).json()["matchCandidate"]["state"] == "open"
    chosen = await client.put(f"/v1/listings/{listing_id}/variant", json={"sku": "M1"})
    assert chosen.json() == {"listingId": str(listing_id), "variantId": str(hub.variants["M1"])}
    check_problem(await client.put(f"/v1/listings/{listing_id}/variant", json={"sku": "D1"}), 409, "already-matched")
    check_problem(await client.put(f"/v1/listings/{new_id()}/variant", json={"sku": "D1"}), 404, "listing-not-found")
    check_problem(await client.get(f"/v1/match-candidates/{new_id()}"), 404, "candidate-not-found")
    found = await hub.show(listing("1", "Stanley hammer"))
    await hub.match()
    unlike = (await get(client, "/unlike-listings"))["listings"]
    assert [each["externalId"] for each in unlike] == ["1"]
    refused = await client.post(f"/v1/listings/{found['1']}/product", json={})
    assert check_problem(refused, 422, "invalid-product")["detail"].startswith("The listing has no SKU")
    made = await client.post(f"/v1/listings/{found['1']}/product", json={"sku": "HAMMER"})
    assert made.status_code == 201
    assert made.json()["variantId"] == str(await hub.variant_of(found["1"]))


async def test_many_at_once_the_file_and_the_settings(client: httpx.AsyncClient, hub: Shop) -> None:
    listing_id, _ = await waiting(hub, client)
    text = (await client.get("/v1/match-candidates/export")).text
    assert "THEIRS-9" in text
    check_problem(await client.post("/v1/match-candidates/accept-above", json={"score": 0.2}), 422, "invalid-request")
    done = await client.post("/v1/match-candidates/accept-above", json={"score": 0.5})
    assert done.json()["matched"] == [{"listingId": str(listing_id), "variantId": str(hub.variants["D1"])}]
    before = await get(client, "/match-settings")
    assert before == {"byBarcode": True, "byItself": False, "sureFrom": None, "learnedFrom": 0}
    after = await client.put("/v1/match-settings", json={"byBarcode": False, "byItself": True})
    assert after.json() == {**before, "byBarcode": False, "byItself": True}


async def test_an_order_line_that_waited_for_the_listing_is_settled(client: httpx.AsyncClient, hub: Shop) -> None:
    _, id = await waiting(hub, client)
    await ingest(hub.database, hub.id, hub.connection_id, order("1", 1, [line("THEIRS-9", 2)]))
    async with hub.database.transaction(hub.id) as tx:
        assert await tx.fetch_value("select variant_id from order_line where sku = 'THEIRS-9'") is None
    assert (await client.post(f"/v1/match-candidates/{id}/accept")).status_code == 200
    async with hub.database.transaction(hub.id) as tx:
        assert await tx.fetch_value("select variant_id from order_line where sku = 'THEIRS-9'") == hub.variants["D1"]
