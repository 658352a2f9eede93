"""The catalog over HTTP: fields, versions, categories, collections, prices, bulk edits, views."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
from tests.api.support import check_problem

from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id


async def make(client: httpx.AsyncClient, title: str, sku: str, **more: Any) -> dict[str, Any]:
    answer = await client.post("/v1/products", json={"title": title, "sku": sku, "price": "10.00", **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["product"])


async def test_a_product_is_changed_in_full_and_its_version_guards_it(client: httpx.AsyncClient) -> None:
    made = await make(client, "Cup", "CUP-1")
    path = f"/v1/products/{made['id']}"
    category = (await client.post("/v1/categories", json={"name": "Home"})).json()["category"]
    group = (await client.post("/v1/collections", json={"title": "New Things"})).json()["collection"]
    assert group["handle"] == "new-things"
    change = {
        "version": made["version"], "title": "Mug", "optionNames": ["Size"], "categoryId": category["id"],
        "collectionIds": [group["id"]], "attributes": {"material": "Clay"}, "seoTitle": "Mugs", "tags": ["a"],
        "images": [{"url": "https://img.test/1.png", "alt": "A mug"}],
        "variants": [{"sku": "CUP-1", "newSku": "MUG-S", "optionValues": ["S"], "price": "11", "cost": "4.50",
                      "weightG": 200, "lengthMm": 80, "position": 2}],
        "addedVariants": [{"sku": "MUG-L", "optionValues": ["L"], "price": "13.00", "position": 1}],
    }  # fmt: skip
    answer = await client.patch(path, json=change)
    assert answer.status_code == 200, answer.text
    whole = answer.json()["product"]
    assert [(v["sku"], v["price"], v["state"]) for v in whole["variants"]] == [
        ("MUG-L", "13.00", "active"), ("MUG-S", "11.00", "active"),
    ]  # fmt: skip
    assert (whole["categoryId"], whole["collectionIds"]) == (category["id"], [group["id"]])
    assert whole["images"] == [{"url": "https://img.test/1.png", "alt": "A mug"}]
    body = check_problem(await client.patch(path, json=change), 409, "product-changed")
    assert body["version"] == whole["version"]
    gone = await client.patch(path, json={"variants": [{"sku": "MUG-S", "state": "archived", "cost": None}]})
    small = gone.json()["product"]["variants"][1]
    assert (small["state"], small["cost"]) == ("archived", None)
    check_problem(
        await client.patch(path, json={"variants": [{"sku": "MUG-L", "state": "archived"}]}), 422, "invalid-fields"
    )
    audit = (await client.get("/v1/audit", params={"subjectKind": "product"})).json()
    assert any(
        "archived" in str(each["after"]) for each in next(iter(v for v in audit.values() if isinstance(v, list)))
    )


async def test_products_are_found(client: httpx.AsyncClient) -> None:
    await make(client, "Blue cup", "CUP-B", vendor="Acme", tags=["sale"])
    await make(client, "Red bowl", "BOWL-R", productType="Bowls")

    async def found(**asked: str) -> list[str]:
        answer = await client.get("/v1/products", params=asked)
        assert answer.status_code == 200, answer.text
        return [each["title"] for each in answer.json()["products"]]

    assert await found(search="blu") == ["Blue cup"]
    assert await found(search="bowl-r") == ["Red bowl"]
    assert await found(category="Bowls") == ["Red bowl"]
    assert await found(type="Bowls") == ["Red bowl"]
    assert await found(vendor="Acme", tag="sale", image="false", listed="false", priceMax="10") == ["Blue cup"]
    assert await found(sort="created") == ["Red bowl", "Blue cup"]
    assert await found(category=str(new_id())) == []


async def test_categories_and_collections(client: httpx.AsyncClient) -> None:
    ids = [(await client.post("/v1/categories", json={"name": n})).json()["category"]["id"] for n in ("A", "B")]
    moved = await client.put(f"/v1/categories/{ids[1]}", json={"name": "B", "parentId": ids[0]})
    assert moved.json()["category"]["path"] == ["A", "B"]
    circle = await client.put(f"/v1/categories/{ids[0]}", json={"name": "A", "parentId": ids[1]})
    check_problem(circle, 422, "category-in-itself")
    check_problem(await client.delete(f"/v1/categories/{ids[0]}"), 409, "category-not-empty")
    merged = await client.post(f"/v1/categories/{ids[1]}/merge", json={"intoId": ids[0]})
    assert merged.json()["moved"] == 0
    assert [c["name"] for c in (await client.get("/v1/categories")).json()["categories"]] == ["A"]
    assert (await client.delete(f"/v1/categories/{ids[0]}")).status_code == 204
    one, two = await make(client, "One", "1"), await make(client, "Two", "2")
    group = (await client.post("/v1/collections", json={"title": "New"})).json()["collection"]["id"]
    put = await client.put(f"/v1/collections/{group}/products", json={"productIds": [two["id"], one["id"]]})
    assert put.json()["productIds"] == [two["id"], one["id"]]
    assert (await client.put(f"/v1/collections/{group}", json={"title": "Newer"})).json()["collection"][
        "handle"
    ] == "new"
    assert (await client.get("/v1/collections")).json()["collections"][0]["products"] == 2
    assert (await client.delete(f"/v1/collections/{group}")).status_code == 204
    check_problem(await client.get(f"/v1/collections/{group}"), 404, "collection-not-found")


async def test_prices_of_a_connection(client: httpx.AsyncClient, database: Database, organisation_id: UUID) -> None:
    shop, variant = new_id(), (await make(client, "Cup", "CUP"))["variants"][0]["id"]
    async with database.transaction(organisation_id) as tx:
        await tx.execute(
            "insert into connection (organisation_id, id, channel, name, environment)"
            " values ($1, $2, 'shopify', 'Shop', 'live')",
            organisation_id,
            shop,
        )
    rates = {"rates": [{"base": "EUR", "quote": "USD", "rate": "1.08", "day": "2026-11-20", "source": "ECB"}]}
    assert (await client.post("/v1/exchange-rates", json=rates)).status_code == 201
    csv = await client.post(
        "/v1/exchange-rates", json={"csv": "base,quote,rate,day\nEUR,GBP,0.8,2026-11-20", "source": "x"}
    )
    assert {rate["quote"] for rate in csv.json()["rates"]} == {"USD", "GBP"}
    check_problem(await client.post("/v1/exchange-rates", json={"csv": "a"}), 422, "invalid-rates")
    body = {"name": "US", "currency": "USD", "connectionId": str(shop), "step": "1.00", "end": "0.99"}
    made = (await client.post("/v1/price-lists", json=body)).json()["priceList"]
    assert (made["step"], made["end"], made["markupPercent"]) == ("1.00", "0.99", "0")

    async def price() -> dict[str, Any]:
        answer = await client.get(f"/v1/connections/{shop}/prices", params={"variant": variant})
        return dict(answer.json()["prices"][0])

    assert (await price())["price"] == "10.99"
    assert "ending in .99" in (await price())["why"]
    await client.put(f"/v1/price-lists/{made['id']}/prices", json={"prices": [{"sku": "CUP", "price": "9"}]})
    assert (await price())["why"] == "set by hand: 9.00 USD"
    listed = (await client.get(f"/v1/price-lists/{made['id']}/prices")).json()["prices"]
    assert [(each["sku"], each["price"]) for each in listed] == [("CUP", "9.00")]
    await client.put(f"/v1/price-lists/{made['id']}/prices", json={"prices": [{"sku": "CUP"}]})
    changed = await client.put(f"/v1/price-lists/{made['id']}", json={**body, "markupPercent": "10"})
    assert changed.json()["priceList"]["markupPercent"] == "10"
    assert (await price())["price"] == "11.99"
    check_problem(await client.post("/v1/price-lists", json=body), 409, "price-list-exists")
    assert (await client.delete(f"/v1/price-lists/{made['id']}")).status_code == 204
    assert (await price())["price"] == "10.00"


async def test_bulk_edits(client: httpx.AsyncClient) -> None:
    ids = [(await make(client, f"Cup {n}", f"CUP-{n}"))["id"] for n in range(3)]
    change = {"filter": {"q": "cup"}, "changes": [{"field": "price", "action": "percent", "value": "-10"}]}
    seen = (await client.post("/v1/bulk-edits/preview", json=change)).json()
    assert (seen["total"], seen["changed"]) == (3, 3)
    assert seen["rows"][0]["changes"][0]["after"] == 900
    key = {"Idempotency-Key": "bulk-1"}
    done = await client.post("/v1/bulk-edits", json=change, headers=key)
    again = await client.post("/v1/bulk-edits", json=change, headers=key)
    assert done.status_code == 201
    assert done.json() == again.json()
    edit = done.json()["bulkEdit"]
    assert (edit["state"], edit["changed"], edit["changes"]) == ("done", 3, ["Price: change by percent -10"])
    await client.patch(f"/v1/products/{ids[0]}", json={"price": "1.00"})
    undone = (await client.post(f"/v1/bulk-edits/{edit['id']}/undo")).json()["bulkEdit"]
    assert (undone["state"], undone["undone"], undone["leftAlone"]) == ("undone", 2, 1)
    left = (await client.get(f"/v1/bulk-edits/{edit['id']}/items", params={"state": "left"})).json()["items"]
    assert [(item["productId"], item["note"]) for item in left] == [
        (ids[0], "Changed since, left as it is: Price of CUP-0.")
    ]
    check_problem(await client.post(f"/v1/bulk-edits/{edit['id']}/undo"), 409, "cannot-undo")
    assert len((await client.get("/v1/bulk-edits")).json()["bulkEdits"]) == 1
    bad = {"productIds": ids, "changes": [{"field": "sku", "action": "set", "value": "x"}]}
    check_problem(await client.post("/v1/bulk-edits", json=bad), 422, "invalid-bulk-edit")


async def test_saved_views(client: httpx.AsyncClient) -> None:
    saved = await client.post("/v1/saved-views", json={"name": "Drafts", "parameters": {"status": "draft"}})
    assert saved.status_code == 201
    assert (await client.get("/v1/saved-views")).json()["views"] == [saved.json()]
    bad = {"name": "x", "parameters": {"status": "gone"}}
    assert (await client.post("/v1/saved-views", json=bad)).status_code == 422
    assert (await client.delete(f"/v1/saved-views/{saved.json()['id']}")).status_code == 204
