"""Publishing over HTTP: checked, asked for, listed, ended, tried again; sent twice it is done once."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.orders.support import make_connection

from entrepot.database.pool import Database
from entrepot.sync.fields import first_contact


@pytest.fixture
async def shop(database: Database, organisation_id: UUID) -> UUID:
    return await make_connection(database, organisation_id, "shopify")


async def product(client: httpx.AsyncClient, sku: str, **fields: Any) -> str:
    answer = await client.post("/products", json={"sku": sku, "title": f"Mug {sku}", "price": "9", **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["product"]["id"])


async def test_a_product_is_checked_published_listed_and_ended(client: httpx.AsyncClient, shop: UUID) -> None:
    mug, free = await product(client, "A"), await product(client, "B", price="0")
    body = {"productIds": [mug, free], "connectionIds": [str(shop)]}
    looked = (await client.post("/v1/publications", json={**body, "dryRun": True})).json()
    assert (looked["products"], looked["dryRun"]) == (2, True)
    problems = {each["productId"]: [p["field"] for p in each["problems"]] for each in looked["looked"]}
    assert problems == {mug: [], free: ["price"]}
    assert (await client.get("/v1/listings")).json()["listings"] == [], "a dry run asks for nothing"
    asked = await client.post("/v1/publications", json=body, headers={"Idempotency-Key": "one"})
    assert (asked.status_code, asked.json()["products"]) == (202, 2)
    again = await client.post("/v1/publications", json=body, headers={"Idempotency-Key": "one"})
    assert again.json() == asked.json()
    rows = (await client.get("/v1/listings", params={"connectionId": str(shop)})).json()["listings"]
    assert {(row["productId"], row["wanted"], row["state"]) for row in rows} == {
        (mug, "publish", "publishing"), (free, "publish", "publishing"),
    }  # fmt: skip
    one = (await client.get(f"/v1/publications/{rows[0]['id']}")).json()["listing"]
    assert one == rows[0]
    assert "publishing" in (await client.get("/v1/listings/export")).text
    retried = await client.post("/v1/publications/retry", json={"listingIds": [rows[0]["id"]]})
    assert retried.json() == {"retried": 1}
    ended = await client.post("/v1/publications", json={**body, "action": "unpublish"})
    assert ended.status_code == 202
    rows = (await client.get("/v1/listings", params={"state": "ending"})).json()["listings"]
    assert len(rows) == 2


async def test_what_cannot_be_asked_is_refused(client: httpx.AsyncClient, database: Database, organisation_id: UUID,
                                               shop: UUID) -> None:  # fmt: skip
    mug = await product(client, "A")
    amazon = await make_connection(database, organisation_id, "amazon")
    body = {"productIds": [mug], "connectionIds": [str(amazon)], "action": "archive"}
    assert (await client.post("/v1/publications", json=body)).status_code == 422
    unknown = {**body, "connectionIds": ["01890000-0000-7000-8000-000000000000"]}
    assert (await client.post("/v1/publications", json=unknown)).status_code == 404
    assert (await client.post("/v1/publications", json={"connectionIds": [str(shop)]})).status_code == 422
    assert (await client.get("/v1/publications/01890000-0000-7000-8000-000000000000")).status_code == 404
    assert (await client.get("/v1/listings", params={"state": "nonsense"})).status_code == 422


async def listed(database: Database, organisation_id: UUID, shop: UUID, product_id: str) -> None:
    """The shop lists the product."""
    async with database.transaction(organisation_id) as tx:
        await tx.execute(
            "insert into listing (organisation_id, id, connection_id, external_id, variant_id, title, seen_at)"
            " select $1, gen_random_uuid(), $2, v.id::text, v.id, '', now() from variant v"
            " where v.organisation_id = $1 and v.product_id = $3",
            organisation_id,
            shop,
            UUID(product_id),
        )


async def test_an_archived_product_ends_on_its_channels_unless_that_is_not_wanted(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID, shop: UUID
) -> None:
    mugs = [await product(client, name) for name in "ABCD"]
    for mug in mugs:
        await listed(database, organisation_id, shop, mug)
    assert (await client.delete(f"/v1/products/{mugs[0]}")).status_code == 204
    assert (await client.delete(f"/v1/products/{mugs[1]}", params={"endListings": "false"})).status_code == 204
    assert (await client.patch(f"/v1/products/{mugs[2]}", json={"status": "archived"})).status_code == 200
    stays = await client.patch(f"/v1/products/{mugs[3]}", json={"status": "archived", "endListings": False})
    assert stays.json()["product"]["status"] == "archived"
    rows = (await client.get("/v1/listings")).json()["listings"]
    assert {row["productId"]: (row["wanted"], row["state"]) for row in rows} == {
        mugs[0]: ("archive", "ending"), mugs[2]: ("archive", "ending"),
    }  # fmt: skip
    rows = (await client.get("/v1/listings", params={"productId": mugs[0]})).json()["listings"]
    assert len(rows) == 1


async def test_the_first_comparison_is_read_and_decided(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID, shop: UUID
) -> None:
    path = f"/v1/connections/{shop}/first-comparison"
    assert (await client.get(path)).status_code == 404
    async with database.transaction(organisation_id) as tx:
        await first_contact.begin(tx, shop)
    found = (await client.get(path)).json()["firstComparison"]
    assert (found["decidedAt"], found["choices"], found["fields"]) == (None, {}, [])
    for wrong in ({"title": "both"}, {"colour": "ours"}):
        assert (await client.put(path, json={"choices": wrong})).status_code == 422
    decided = (await client.put(path, json={"choices": {"title": "ours"}})).json()["firstComparison"]
    assert decided["decidedAt"]
    assert (decided["choices"]["title"], decided["choices"]["price"]) == ("ours", "ask")
