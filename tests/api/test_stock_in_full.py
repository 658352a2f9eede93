"""Stock over HTTP: locations, movements, transfers, counts, suppliers, purchase orders, shortages, low stock, bundles."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.api.support import check_problem

from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.stock.contracts import SaleClaim


async def make(client: httpx.AsyncClient, sku: str, units: int = 0) -> str:
    body = {"sku": sku, "title": f"Thing {sku}", "price": "1", "stock": units}
    answer = await client.post("/products", json=body)
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["product"]["variants"][0]["id"]
    return found


async def send(client: httpx.AsyncClient, method: str, path: str, status: int = 200, **body: Any) -> Any:
    answer = await client.request(method, f"/v1{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def get(client: httpx.AsyncClient, path: str, **parameters: Any) -> Any:
    answer = await client.get(f"/v1{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def places(client: httpx.AsyncClient) -> tuple[str, str]:
    """Return the ids of Main (with the product A-1, 10 units) and a new Store."""
    await make(client, "A-1", 10)
    main = (await get(client, "/locations"))["locations"][0]["id"]
    store = (await send(client, "POST", "/locations", 201, name="Store", kind="store"))["location"]["id"]
    return main, store


async def test_locations(client: httpx.AsyncClient) -> None:
    main, store = await places(client)
    check_problem(await client.post("/v1/locations", json={"name": "Store"}), 409, "location-name-taken")
    check_problem(await client.post("/v1/locations", json={"name": "X", "kind": "cave"}), 422, "invalid-request")
    renamed = await send(client, "PATCH", f"/locations/{store}", name="Corner")
    assert (renamed["location"]["name"], renamed["location"]["kind"]) == ("Corner", "store")
    ordered = await send(client, "PUT", "/location-order", locationIds=[store, main])
    assert [each["id"] for each in ordered["locations"]] == [store, main]
    refused = check_problem(await client.post(f"/v1/locations/{main}/deactivate"), 409, "location-in-use")
    assert refused["onHand"] == 10
    assert "10 units on hand" in refused["detail"]
    assert (await send(client, "POST", f"/locations/{store}/deactivate"))["location"]["active"] is False
    assert (await send(client, "POST", f"/locations/{store}/activate"))["location"]["active"] is True
    check_problem(await client.patch(f"/v1/locations/{new_id()}", json={"name": "Y"}), 404, "not-found")
    actions = {entry["action"] for entry in (await get(client, "/audit"))["entries"]}
    assert {"location.create", "location.update", "location.order", "location.deactivate"} <= actions


async def test_a_transfer_and_its_movements(client: httpx.AsyncClient) -> None:
    main, store = await places(client)
    new = {"fromLocationId": main, "toLocationId": store, "lines": [{"sku": "A-1", "quantity": 11}], "note": "for May"}
    made = (await send(client, "POST", "/transfers", 201, **new))["transfer"]
    path = f"/transfers/{made['id']}"
    refused = check_problem(await client.post(f"/v1{path}/ship"), 409, "not-enough-stock")
    assert [(line["asked"], line["available"]) for line in refused["lines"]] == [(11, 10)]
    await send(client, "PUT", f"{path}/lines", lines=[{"sku": "A-1", "quantity": 6}])
    sent = await send(client, "POST", f"{path}/ship")
    assert (sent["transfer"]["state"], sent["lines"][0]["outstanding"]) == ("in_transit", 6)
    part = await send(client, "POST", f"{path}/receive", lines=[{"sku": "A-1", "received": 4, "damaged": 1}])
    assert part["transfer"]["state"] == "partly_received"
    done = await send(client, "POST", f"{path}/receive", lines=[], close=True)
    assert (done["transfer"]["state"], done["transfer"]["received"]) == ("received", 4)
    check_problem(await client.post(f"/v1{path}/cancel"), 409, "wrong-state")
    check_problem(await client.get(f"/v1/transfers/{new_id()}"), 404, "document-not-found")
    listed = await get(client, "/transfers", state="received")
    assert [each["number"] for each in listed["transfers"]] == [1]
    lines = (await get(client, "/movements", kind="transfer", locationId=store))["movements"]
    assert [(m["onHandBefore"], m["onHandAfter"], m["incomingDelta"], m["reason"]) for m in lines] == [
        (4, 4, -2, "did not arrive"), (0, 4, -4, "arrived"), (0, 0, 6, "on its way"),
    ]  # fmt: skip
    assert len((await get(client, "/movements", sku="A-1", limit=2))["movements"]) == 2
    assert (await get(client, "/movements", since="2999-01-01T00:00:00Z"))["movements"] == []
    assert (await client.get("/v1/movements", params={"since": "0001-01-01T00:00:00Z"})).status_code == 200
    check_problem(await client.get("/v1/movements", params={"kind": "odd"}), 422, "invalid-request")


async def test_movements_are_paged_without_loss(client: httpx.AsyncClient) -> None:
    await places(client)
    for n in range(7):
        await send(client, "POST", "/stock-adjustments", 201, changes=[{"sku": "A-1", "onHand": 20 + n}], kind="count")
    for parameters in ({}, {"sku": "A-1"}, {"kind": "count"}, {"kind": "goods"}):
        whole = (await get(client, "/movements", **parameters))["movements"]
        seen: list[str] = []
        cursor = None
        while True:
            page = await get(client, "/movements", limit=3, **parameters, **({"cursor": cursor} if cursor else {}))
            seen += [line["id"] for line in page["movements"]]
            cursor = page["nextCursor"]
            if cursor is None:
                break
        assert seen == [line["id"] for line in whole]
        assert len(seen) == 8


async def test_a_blind_count(client: httpx.AsyncClient) -> None:
    main, _ = await places(client)
    await make(client, "A-2", 5)
    sheet = (await send(client, "POST", "/counts", 201, locationId=main))["count"]
    path = f"/counts/{sheet['id']}"
    assert [line["sku"] for line in (await get(client, f"{path}/lines"))["lines"]] == ["A-1", "A-2"]
    check_problem(await client.post(f"/v1{path}/confirm"), 409, "nothing-counted")
    await send(client, "PUT", f"{path}/lines", lines=[{"sku": "A-1", "counted": 8}])
    uncounted = (await get(client, f"{path}/lines", only="uncounted"))["lines"]
    assert [line["sku"] for line in uncounted] == ["A-2"]
    await send(client, "POST", "/stock-adjustments", 201, changes=[{"sku": "A-1", "delta": 3}], kind="purchase")
    differences = (await get(client, f"{path}/lines", only="differences"))["lines"]
    assert [(line["expected"], line["counted"], line["difference"]) for line in differences] == [(10, 8, -2)]
    assert (await send(client, "POST", f"{path}/confirm"))["count"]["state"] == "confirmed"
    stocked = {row["sku"]: row["onHand"] for row in (await get(client, "/stock"))["stock"]}
    assert stocked == {"A-1": 11, "A-2": 5}
    other = (await send(client, "POST", "/counts", 201, locationId=main, items=[{"sku": "A-2"}]))["count"]
    assert (await send(client, "POST", f"/counts/{other['id']}/cancel"))["count"]["state"] == "cancelled"
    check_problem(await client.put(f"/v1/counts/{other['id']}/lines", json={"lines": [{"sku": "A-2", "counted": 1}]}),
                  409, "wrong-state")  # fmt: skip


async def test_buying(client: httpx.AsyncClient) -> None:
    main, _ = await places(client)
    variant = await make(client, "A-2")
    made = await send(client, "POST", "/suppliers", 201, name="Acme", currency="EUR", leadTimeDays=5)
    supplier = made["supplier"]["id"]
    items = [{"sku": "A-1", "cost": "2.50", "packUnits": 6}, {"variantId": variant, "supplierSku": "Z9"}]
    assert (await send(client, "PUT", f"/suppliers/{supplier}/items", items=items))["supplier"]["skus"] == 2
    offers = (await get(client, f"/suppliers/{supplier}/items"))["items"]
    assert [(o["sku"], o["cost"], o["supplierSku"]) for o in offers] == [("A-1", "2.50", ""), ("A-2", None, "Z9")]
    wrong = await client.put(f"/v1/suppliers/{supplier}/items", json={"items": [{"sku": "A-1", "cost": "2.505"}]})
    check_problem(wrong, 422, "too-many-decimals")
    lines = [{"sku": "A-1", "quantity": 4}, {"sku": "A-2", "quantity": 2, "cost": "1"}]
    new = {"supplierId": supplier, "locationId": main, "lines": lines}
    order = await send(client, "POST", "/purchase-orders", 201, **new)
    assert (order["purchaseOrder"]["cost"], [line["cost"] for line in order["lines"]]) == ("12.00", ["2.50", "1.00"])
    path = f"/purchase-orders/{order['purchaseOrder']['id']}"
    await send(client, "POST", f"{path}/order", expectedOn="2030-05-01")
    assert {r["sku"]: r["incoming"] for r in (await get(client, "/stock"))["stock"]} == {"A-1": 4, "A-2": 2}
    check_problem(await client.put(f"/v1{path}/lines", json={"lines": lines}), 409, "wrong-state")
    got = await send(client, "POST", f"{path}/receive", lines=[{"sku": "A-1", "received": 5, "damaged": 1}])
    assert (got["purchaseOrder"]["state"], got["purchaseOrder"]["expectedOn"]) == ("partly_received", "2030-05-01")
    unknown = await client.post(f"/v1{path}/receive", json={"lines": [{"sku": "NO", "received": 1}]})
    check_problem(unknown, 404, "variant-not-found")
    assert (await send(client, "POST", f"{path}/cancel"))["purchaseOrder"]["state"] == "received"
    assert (await get(client, "/suppliers", search="ac"))["suppliers"][0]["openOrders"] == 0
    assert (await get(client, "/purchase-orders", supplierId=supplier))["purchaseOrders"][0]["units"] == 6
    await send(client, "DELETE", f"/suppliers/{supplier}/items/{variant}")
    await send(client, "PATCH", f"/suppliers/{supplier}", active=False)
    check_problem(await client.post("/v1/purchase-orders", json=new), 409, "supplier-rests")


async def test_a_purchase_sent_twice_with_a_key_is_one(client: httpx.AsyncClient) -> None:
    main, _ = await places(client)
    supplier = (await send(client, "POST", "/suppliers", 201, name="Acme", currency="EUR"))["supplier"]["id"]
    body = {"supplierId": supplier, "locationId": main, "lines": [{"sku": "A-1", "quantity": 4}]}
    headers = {"Idempotency-Key": str(new_id())}
    answers = [await client.post("/v1/purchase-orders", json=body, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len((await get(client, "/purchase-orders"))["purchaseOrders"]) == 1


async def test_shortages_and_their_remedies(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID
) -> None:
    await places(client)
    variant = UUID(await make(client, "A-2"))
    async with database.transaction(organisation_id) as tx:
        claims = [SaleClaim(new_id(), variant, units) for units in (2, 3, 4)]
        await stock.claim_sales(tx, claims, actor="test")
    first, second, third = (await get(client, "/shortages"))["shortages"]
    assert [first["quantity"], second["quantity"], third["quantity"]] == [2, 3, 4]
    path = f"/shortages/{first['id']}/remedy"
    check_problem(await client.post(f"/v1{path}", json={"remedy": "supplier"}), 422, "invalid-body")
    direct = (await send(client, "POST", "/locations", 201, name="Direct", kind="dropship"))["location"]["id"]
    check_problem(
        await client.post(f"/v1{path}", json={"remedy": "location", "locationId": direct}), 409, "not-enough-stock"
    )
    await send(client, "POST", path, remedy="supplier", locationId=direct)
    await send(client, "POST", f"/shortages/{second['id']}/remedy", remedy="cancel", note="buyer agreed")
    supplier = (await send(client, "POST", "/suppliers", 201, name="Acme", currency="EUR"))["supplier"]["id"]
    bought = await send(client, "POST", f"/shortages/{third['id']}/remedy", remedy="purchase", supplierId=supplier)
    assert (await get(client, f"/purchase-orders/{bought['purchaseOrderId']}"))["lines"][0]["quantity"] == 4
    assert [each["remedy"] for each in (await get(client, "/shortages"))["shortages"]] == ["purchase"]
    closed = (await get(client, "/shortages", state="closed"))["shortages"]
    assert [(each["remedy"], each["note"]) for each in closed] == [("cancel", "buyer agreed"), ("supplier", "")]


async def test_low_stock_and_reordering(client: httpx.AsyncClient, database: Database, organisation_id: UUID) -> None:
    main, _ = await places(client)
    variant = UUID((await get(client, "/stock"))["stock"][0]["variantId"])
    assert (await client.put(f"/v1/stock/{variant}/low-stock-threshold", json={"lowAt": 12})).status_code == 204
    rule = {"reorderPoint": 15, "maxLevel": 40}
    shown = await send(client, "PUT", f"/stock/{variant}/reorder-rules/{main}", **rule)
    assert (shown["rules"][0]["maxLevel"], shown["lowAt"]) == (40, 12)
    wrong = await client.put(f"/v1/stock/{variant}/reorder-rules/{main}", json={"reorderPoint": 15, "maxLevel": 4})
    check_problem(wrong, 422, "invalid-quantity")
    supplier = (await send(client, "POST", "/suppliers", 201, name="Acme", currency="EUR"))["supplier"]["id"]
    await send(client, "PUT", f"/suppliers/{supplier}/items", items=[{"sku": "A-1", "packUnits": 8}])
    async with database.transaction(organisation_id) as tx:
        await stock.StockWatch().look(tx, [variant])
    [alert] = (await get(client, "/low-stock"))["alerts"]
    assert (alert["sku"], alert["available"], alert["lowAt"]) == ("A-1", 10, 12)
    assert (await client.post(f"/v1/low-stock/{alert['id']}/seen")).status_code == 204
    assert [row["sku"] for row in (await get(client, "/stock", state="low"))["stock"]] == ["A-1"]
    [suggestion] = (await get(client, "/reorder-suggestions"))["suggestions"]
    assert (suggestion["quantity"], suggestion["supplier"]) == (32, "Acme")
    assert suggestion["steps"][-2] == "Acme sells packs of 8: 32."
    bought = await send(client, "POST", "/reorder-suggestions/buy", 201, suggestionIds=[suggestion["id"]])
    assert len(bought["purchaseOrderIds"]) == 1
    again = await client.post("/v1/reorder-suggestions/buy", json={"suggestionIds": [suggestion["id"]]})
    check_problem(again, 404, "suggestion-not-open")
    check_problem(await client.post(f"/v1/reorder-suggestions/{new_id()}/dismiss"), 404, "suggestion-not-open")


async def test_a_bundle_follows_its_parts(client: httpx.AsyncClient) -> None:
    await places(client)
    kit = await make(client, "KIT")
    made = await send(client, "PUT", f"/bundles/{kit}", parts=[{"sku": "A-1", "quantity": 3}])
    assert (made["available"], made["parts"][0]["sku"]) == (3, "A-1")
    refused = check_problem(
        await client.post("/v1/reservations", json={"sku": "KIT", "quantity": 4}), 409, "not-enough-stock"
    )
    assert [(line["sku"], line["asked"], line["available"]) for line in refused["lines"]] == [("KIT", 4, 3)]
    reserved = await send(client, "POST", "/reservations", 201, sku="KIT", quantity=3)
    path = f"/reservations/{reserved['reservation']['id']}"
    held = (await get(client, path))["reservation"]
    assert (held["state"], [(line["sku"], line["quantity"]) for line in held["lines"]]) == ("active", [("A-1", 9)])
    later = (await send(client, "POST", f"{path}/extend", expiresIn=3600))["reservation"]["expiresAt"]
    assert later > held["expiresAt"]
    assert {row["sku"]: row["available"] for row in (await get(client, "/stock"))["stock"]} == {"A-1": 1, "KIT": 0}
    assert (await client.delete(f"/v1{path}")).status_code == 204
    check_problem(await client.post(f"/v1{path}/extend", json={}), 404, "hold-not-found")
    counted = await client.post("/v1/stock-adjustments", json={"changes": [{"sku": "KIT", "onHand": 4}]})
    check_problem(counted, 409, "bundle-has-no-stock")
    itself = await client.put(f"/v1/bundles/{kit}", json={"parts": [{"sku": "KIT", "quantity": 1}]})
    check_problem(itself, 422, "invalid-bundle")
    assert (await send(client, "PUT", f"/bundles/{kit}", parts=[]))["parts"] == []


@pytest.mark.parametrize("damaged", [0, 4, 10])
async def test_damaged_units(client: httpx.AsyncClient, damaged: int) -> None:
    await places(client)
    variant = (await get(client, "/stock"))["stock"][0]["variantId"]
    shown = await send(client, "PUT", f"/stock/{variant}/damaged", damaged=damaged, reason="wet")
    assert (shown["stock"]["unavailable"], shown["stock"]["available"]) == (damaged, 10 - damaged)
    check_problem(await client.put(f"/v1/stock/{variant}/damaged", json={"damaged": 11}), 422, "invalid-quantity")


async def file(client: httpx.AsyncClient, kind: str, data: str, **more: Any) -> Any:
    return await send(client, "POST", "/stock-files", kind=kind, data=data, **more)


async def export(client: httpx.AsyncClient, name: str, **parameters: str) -> list[str]:
    answer = await client.get(f"/v1/exports/{name}", params=parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return answer.text.splitlines()


async def test_a_stock_file_is_tried_then_taken_with_its_faults_named(client: httpx.AsyncClient) -> None:
    await places(client)
    await make(client, "A-2", 5)
    kit = await make(client, "KIT")
    await send(client, "PUT", f"/bundles/{kit}", parts=[{"sku": "A-1", "quantity": 1}])
    data = (
        "SKU;location;on hand;delta\nA-1;Store;7;\nA-2;;;-9\nA-2;;;3\nA-1;Nowhere;1;\nNO;;1;\nKIT;;1;\n"
        "A-1;;1;1\nA-1;;x;\n;;1;\n"
    )
    tried = await file(client, "stock", data, dryRun=True)
    assert {row["sku"]: row["onHand"] for row in (await get(client, "/stock"))["stock"]} == {
        "A-1": 10,
        "A-2": 5,
        "KIT": 0,
    }
    taken = await file(client, "stock", data)
    assert tried == {**taken, "dryRun": True, "job": tried["job"]}
    assert (taken["rows"], taken["done"]) == (9, 2)
    assert [(p["row"], p["problem"]) for p in taken["problems"]] == [
        (3, "On hand would be -4: it must be between 0 and 1000000000."),
        (5, "There is no location in use called 'Nowhere'."),
        (6, "There is no variant with this SKU."),
        (7, "The stock of a bundle follows its parts."),
        (8, "Give one of on_hand and delta."),
        (9, "on_hand 'x' is not a whole number."),
        (10, "The SKU is missing."),
    ]
    assert {row["sku"]: row["onHand"] for row in (await get(client, "/stock"))["stock"]} == {
        "A-1": 17,
        "A-2": 8,
        "KIT": 0,
    }
    wrong = await client.post("/v1/stock-files", json={"kind": "stock", "data": "a,b\n1,2\n"})
    assert "needs the columns sku" in check_problem(wrong, 422, "unknown-columns")["detail"]


async def test_what_is_exported_is_taken_back(client: httpx.AsyncClient) -> None:
    await places(client)
    await make(client, "=A-2", 5)
    lines = await export(client, "stock")
    assert lines[0] == "sku,title,location,on_hand,reserved,held,unavailable,incoming,safety_stock,available"
    assert [line.split(",")[0] for line in lines[1:]] == ["'=A-2", "A-1"]
    await send(client, "POST", "/stock-adjustments", 201, changes=[{"sku": "=A-2", "onHand": 1}])
    taken = await file(client, "stock", "\n".join(lines))
    assert (taken["done"], taken["problems"]) == (2, [])
    assert {row["sku"]: row["onHand"] for row in (await get(client, "/stock"))["stock"]} == {"=A-2": 5, "A-1": 10}


async def test_files_of_counts_suppliers_and_purchase_orders(client: httpx.AsyncClient) -> None:
    main, _ = await places(client)
    sheet = (await send(client, "POST", "/counts", 201, locationId=main))["count"]["id"]
    counted = await file(client, "count", "sku,counted\nA-1,4\nNO,1\n", countId=sheet)
    assert (counted["done"], len(counted["problems"])) == (1, 1)
    assert (await get(client, f"/counts/{sheet}"))["count"]["differences"] == 1
    check_problem(await client.post("/v1/stock-files", json={"kind": "count", "data": "x"}), 422, "invalid-input")
    data = (
        "name,email,lead_time_days,sku,supplier_sku,cost,pack_units\nAcme,a@example.com,4,A-1,X1,2.50,6\n"
        "Acme,,,NO,,,\nBolt,,,A-1,,1.005,\nBolt,,,,,,0\n"
    )
    taken = await file(client, "suppliers", data)
    assert (taken["done"], len(taken["made"])) == (1, 2)
    assert [p["row"] for p in taken["problems"]] == [3, 4, 5]
    again = await file(client, "suppliers", data)
    assert again["made"] == []
    order = "supplier,location,sku,quantity,cost\nAcme,Store,A-1,12,\nAcme,,A-1,6,9.99\nNobody,,A-1,1,\nAcme,,A-1,0,\n"
    drafted = await file(client, "purchase-orders", order)
    assert (len(drafted["made"]), drafted["done"]) == (2, 2)
    assert [p["row"] for p in drafted["problems"]] == [4, 5]
    orders = (await get(client, "/purchase-orders"))["purchaseOrders"]
    assert {(o["location"], o["cost"]) for o in orders} == {("Store", "30.00"), ("Main", "59.94")}


async def test_every_list_is_a_file(client: httpx.AsyncClient) -> None:
    await places(client)
    for name in ("stock", "locations", "movements", "shortages", "low-stock", "reorder-suggestions", "transfers",
                 "counts", "suppliers", "purchase-orders"):  # fmt: skip
        assert (await export(client, name))[0].count(",") >= 4
    assert len(await export(client, "movements", state="count")) == 2
    check_problem(await client.get("/v1/exports/odd"), 404, "not-found")
    check_problem(await client.get("/v1/exports/transfers", params={"state": "odd"}), 422, "invalid-input")
