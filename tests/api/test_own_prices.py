"""Prices over HTTP: a list that moves them too far is refused until that is confirmed, listings' own are listed and taken off;
whether what is archived ends on its channels."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.api.support import check_problem
from tests.orders.support import make_connection

from entrepot.catalog import facade as catalog
from entrepot.channels.contract import ChannelListing, ListingRef
from entrepot.database.pool import Database
from entrepot.kernel.clock import utc_now
from entrepot.sync.fields import own_store, store
from entrepot.sync.fields.store import Row
from entrepot.sync.merge.rules import FieldState


def euros(minor: int) -> dict[str, Any]:
    return {"minor": minor, "currency": "EUR"}


@pytest.fixture
async def shop(database: Database, organisation_id: UUID) -> UUID:
    return await make_connection(database, organisation_id, "shopify")


@pytest.fixture
async def listings(client: httpx.AsyncClient, database: Database, organisation_id: UUID, shop: UUID) -> dict[str, UUID]:
    """Two listings whose price, 9 euros, is agreed, by SKU."""
    for sku in ("A", "B"):
        made = await client.post("/products", json={"sku": sku, "title": f"Mug {sku}", "price": "9", "currency": "EUR"})
        assert made.status_code == 201, made.text
    async with database.transaction(organisation_id) as tx:
        told = [
            ChannelListing(
                ref=ListingRef(f"gid-{sku}", {}),
                product_external_id=f"p-{sku}",
                product_title=f"Mug {sku}",
                sku=sku,
                title=sku,
                currency="EUR",
            )
            for sku in ("A", "B")
        ]
        saved = await catalog.save_listings(tx, shop, told, utc_now())
        found = {sku: saved[f"gid-{sku}"][0] for sku in ("A", "B")}
        known = FieldState(base=euros(900), theirs=euros(900))
        await store.put_rows(tx, [Row(id, "price", shop, known, euros(900), state="agreed") for id in found.values()])
    return found


async def test_a_list_that_moves_prices_too_far_is_refused_until_that_is_confirmed(
    client: httpx.AsyncClient, shop: UUID, listings: dict[str, UUID]
) -> None:
    body = {"name": "Dear", "currency": "EUR", "markupPercent": "200", "connectionId": str(shop)}
    assert check_problem(await client.post("/v1/price-lists", json=body), 409, "prices-move")["prices"] == 2
    assert (await client.get("/v1/price-lists")).json()["priceLists"] == []
    too_few = await client.post("/v1/price-lists", json={**body, "confirmedPrices": 1})
    assert check_problem(too_few, 409, "prices-move")["prices"] == 2
    made = await client.post("/v1/price-lists", json={**body, "confirmedPrices": 2})
    assert made.status_code == 201, made.text
    path = f"/v1/price-lists/{made.json()['priceList']['id']}"
    more = {**body, "markupPercent": "400"}
    check_problem(await client.put(path, json=more), 409, "prices-move")
    assert (await client.put(path, json={**more, "confirmedPrices": 2})).status_code == 200
    price = {"prices": [{"sku": "A", "price": "0.01"}]}
    assert check_problem(await client.put(f"{path}/prices", json=price), 409, "prices-move")["prices"] == 1
    assert (await client.put(f"{path}/prices", json={**price, "confirmedPrices": 1})).status_code == 200
    audit = [row for row in (await client.get("/v1/audit")).json()["entries"] if row["action"] == "price-list.confirm"]
    assert [row["after"]["prices"] for row in audit] == [1, 2, 2]
    assert (await client.delete(path)).status_code == 204, "back to what is shown: nothing moves"


async def test_prices_of_listings_own_are_listed_and_taken_off(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID, shop: UUID, listings: dict[str, UUID]
) -> None:
    async with database.transaction(organisation_id) as tx:
        own = [(id, "price", euros(950), "Shop", utc_now()) for id in listings.values()]
        await own_store.put_overrides(tx, [*own, (listings["A"], "compare_at", "", "Ana", utc_now())])
    found = (await client.get("/v1/own-prices", params={"connectionId": str(shop), "limit": 2})).json()
    assert [(each["count"], each["connectionId"]) for each in found["counts"]] == [(3, str(shop))]
    first = found["prices"][0]
    assert (first["sku"], first["field"], first["value"], first["setBy"]) == ("A", "compare_at", None, "Ana")
    assert (found["prices"][1]["value"], found["prices"][1]["otherwise"]) == ("9.50", "9.00")
    rest = (await client.get("/v1/own-prices", params={"cursor": found["nextCursor"], "limit": 2})).json()
    assert len({(e["listingId"], e["field"]) for e in found["prices"] + rest["prices"]}) == 3
    body = {"prices": [{"listingId": str(listings["A"])}, {"listingId": str(shop)}]}
    assert (await client.post("/v1/own-prices/take-off", json=body)).json() == {"count": 1}
    for wrong in ({}, {"connectionId": str(shop)}, {"connectionId": str(shop), "until": "2026-01-01T00:00:00"}):
        assert (await client.post("/v1/own-prices/take-off", json=wrong)).status_code == 422
    early = {"connectionId": str(shop), "until": "2020-01-01T00:00:00Z"}
    assert (await client.post("/v1/own-prices/take-off", json=early)).json() == {"count": 0}
    late = {"connectionId": str(shop), "until": utc_now().isoformat()}
    assert (await client.post("/v1/own-prices/take-off", json=late)).json() == {"count": 2}
    assert (await client.get("/v1/own-prices")).json() == {"prices": [], "counts": [], "nextCursor": None}


@pytest.mark.parametrize("end", [True, False, None])
async def test_whether_what_is_archived_ends_is_a_choice(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID, listings: dict[str, UUID], end: bool | None
) -> None:
    choice = {} if end is None else {"endListings": end}
    body = {"filter": {"q": "A"}, "changes": [{"field": "status", "action": "set", "value": "archived"}], **choice}
    edit = await client.post("/v1/bulk-edits", json=body)
    assert edit.status_code == 201, edit.text
    assert edit.json()["bulkEdit"]["endListings"] is (end is not False)
    file = {"source": "csv", "data": "sku,status\nB,archived\n", **choice}
    done = await client.post("/v1/products/import", json=file)
    assert (done.status_code, done.json()["import"]["archived"]) == (200, 1), done.text
    async with database.transaction(organisation_id) as tx:
        told = await tx.fetch(
            "select payload from outbox where organisation_id = $1 and topic = 'catalog.products_archived' order by id",
            organisation_id,
        )
    by = [row["payload"]["by"].rpartition(", ")[2] for row in told]
    assert by == ([] if end is False else ["bulk edit", "import"])
