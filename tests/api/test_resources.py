"""Products, stock, reservations, orders, connections, allocation and sync over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from tests.api.support import check_problem

from entrepot.channels.contract import ChannelOrder, ChannelOrderLine, ChannelOrderStatus
from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id
from entrepot.orders import facade as orders
from entrepot_sandbox.server import Config, Running, running

KeyMaker = Callable[..., Awaitable[str]]


async def make_product(client: httpx.AsyncClient, sku: str, *, stock: int = 10, **more: Any) -> dict[str, Any]:
    body = {"sku": sku, "title": f"Thing {sku}", "price": "12.50", "stock": stock, **more}
    response = await client.post("/products", json=body)
    assert response.status_code == 201, response.text
    product: dict[str, Any] = response.json()["product"]
    return product


@pytest.fixture
async def connection_id(database: Database, organisation_id: UUID) -> UUID:
    identifier = new_id()
    async with database.transaction(organisation_id) as tx:
        await tx.execute(
            "insert into connection (organisation_id, id, channel, name, environment)"
            " values ($1, $2, 'shopify', 'Shop', 'simulated')",
            organisation_id,
            identifier,
        )
    return identifier


async def test_a_product_is_made_with_its_opening_stock(client: httpx.AsyncClient) -> None:
    product = await make_product(client, "A-1", stock=7)
    (variant,) = product["variants"]
    assert (variant["sku"], variant["price"], variant["currency"]) == ("A-1", "12.50", "EUR")
    assert (variant["stock"]["onHand"], variant["stock"]["available"]) == (7, 7)
    assert (await client.get(f"/products/{product['id']}")).json()["product"] == product
    listed = (await client.get("/products", params={"search": "a-1"})).json()
    assert [each["id"] for each in listed["products"]] == [product["id"]]
    check_problem(
        await client.post("/v1/products", json={"sku": "A-1", "title": "Again", "price": 1}), 409, "sku-taken"
    )
    movements = (await client.get(f"/v1/stock/{variant['id']}/movements")).json()["movements"]
    assert [(m["kind"], m["onHandDelta"]) for m in movements] == [("count", 7)]


async def test_one_sku_asked_for_twice_at_once_is_made_once(client: httpx.AsyncClient) -> None:
    body = {"sku": "A-1", "title": "Thing", "price": "1", "stock": 3}
    answers = await asyncio.gather(*(client.post("/products", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert [row["onHand"] for row in (await client.get("/v1/stock")).json()["stock"]] == [3]


async def test_two_products_of_one_title_are_two(client: httpx.AsyncClient) -> None:
    first = await make_product(client, "A-1", title="Same")
    second = await make_product(client, "A-2", title="Same")
    assert first["id"] != second["id"]
    taken = {"sku": "A-3", "title": "Same", "price": 1, "handle": first["handle"]}
    check_problem(await client.post("/products", json=taken), 409, "handle-taken")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": "T", "price": 1},
        {"sku": "A", "title": "T"},
        {"sku": "A", "title": "T", "price": -1},
        {"sku": "A", "title": "T", "price": "12.345"},
        {"sku": "A", "title": "T", "price": "NaN"},
        {"sku": "A", "title": "T", "price": 1, "stock": -1},
        {"sku": "A", "title": "T", "price": 1, "colour": "red"},
        {"sku": "A\u0000", "title": "T", "price": 1},
        {"sku": "A", "title": "T", "price": 1, "variants": [{"sku": "B", "price": 1}]},
        {"title": "T", "variants": [{"sku": "B", "price": 1}, {"sku": "B", "price": 2}]},
        [],
        "x",
    ],
)
async def test_products_that_make_no_sense_are_refused(client: httpx.AsyncClient, body: Any) -> None:
    response = await client.post("/products", json=body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert (await client.get("/products")).json()["products"] == []


async def test_a_product_is_changed_in_part_and_archived(client: httpx.AsyncClient) -> None:
    product = await make_product(client, "A-1")
    changed = await client.put(f"/products/{product['id']}", json={"title": "New", "price": "9.99"})
    assert changed.status_code == 200, changed.text
    after = changed.json()["product"]
    assert (after["title"], after["variants"][0]["price"], after["handle"]) == ("New", "9.99", product["handle"])
    wrong = {"variants": [{"sku": "other", "price": 1}]}
    check_problem(await client.patch(f"/v1/products/{product['id']}", json=wrong), 404, "variant-not-found")
    assert (await client.delete(f"/products/{product['id']}")).status_code == 204
    assert (await client.get("/products", params={"status": "active"})).json()["products"] == []
    actions = [entry["action"] for entry in (await client.get("/v1/audit")).json()["entries"]]
    assert actions[:3] == ["product.archive", "product.update", "product.create"]
    check_problem(await client.get(f"/products/{new_id()}"), 404, "not-found")


async def test_opening_stock_needs_the_right_to_write_stock(open_client: httpx.AsyncClient, make_key: KeyMaker) -> None:
    headers = {"Authorization": f"Bearer {await make_key('products:write')}"}
    body = {"sku": "A", "title": "T", "price": 1}
    refused = await open_client.post("/products", json={**body, "stock": 1}, headers=headers)
    check_problem(refused, 403, "missing-scope")
    assert (await open_client.post("/products", json=body, headers=headers)).status_code == 201


async def test_products_are_imported_once_however_often_they_are_sent(client: httpx.AsyncClient) -> None:
    text = "sku,title,price,currency,stock\nA-1,One,1.50,EUR,3\nA-2,Two,x,EUR,4\nA-3,Three,2,EUR,5\n"
    dry = (await client.post("/v1/products/import", json={"source": "csv", "data": text, "dryRun": True})).json()
    assert (dry["import"]["created"], dry["import"]["dryRun"]) == (2, True)
    assert (await client.get("/v1/stock")).json()["stock"] == []
    first = await client.post("/products/bulk-import", json={"source": "csv", "data": text})
    assert first.status_code == 200, first.text
    report = first.json()["import"]
    assert (report["created"], report["stockSet"]) == (2, 2)
    assert [(problem["row"], problem["sku"]) for problem in report["problems"]] == [(3, "A-2")]
    rows = [{"sku": "A-1", "title": "One", "price": "1.75", "stock": 99}, {"sku": "A-4", "title": "Four", "price": 2}]
    second = (await client.post("/products/bulk-import", json={"source": "api", "data": rows})).json()["import"]
    assert (second["created"], second["updated"]) == (1, 1)
    assert {row["sku"]: row["onHand"] for row in (await client.get("/v1/stock")).json()["stock"]} == {
        "A-1": 3,
        "A-3": 5,
        "A-4": 0,
    }
    for body in ({"source": "csv", "data": rows}, {"source": "api", "data": "x"}, {"source": "excel", "data": "x"}):
        assert (await client.post("/products/bulk-import", json=body)).status_code == 422
    check_problem(
        await client.post("/products/bulk-import", json={"source": "csv", "data": "a,b\n1,2"}), 422, "unknown-format"
    )


async def test_stock_is_reserved_refused_and_released(client: httpx.AsyncClient) -> None:
    await make_product(client, "A-1", stock=5)
    reserve = "/multi-channel/inventory/reserve"
    made = await client.post(reserve, json={"sku": "A-1", "quantity": 3, "expiresIn": 60})
    assert made.status_code == 201, made.text
    reservation = made.json()["reservation"]
    assert reservation["lines"][0]["quantity"] == 3
    left_s = (datetime.fromisoformat(reservation["expiresAt"]) - datetime.now(UTC)).total_seconds()
    assert 0 < left_s <= 60
    refused = check_problem(await client.post(reserve, json={"sku": "A-1", "quantity": 3}), 409, "not-enough-stock")
    assert (refused["asked"], refused["available"]) == (3, 2)
    assert refused["lines"][0]["sku"] == "A-1"
    assert (await client.get("/v1/stock")).json()["stock"][0]["held"] == 3
    release = "/multi-channel/inventory/release"
    assert (await client.post(release, json={"reservationId": reservation["id"]})).status_code == 200
    check_problem(await client.post(release, json={"reservationId": reservation["id"]}), 404, "hold-not-found")
    assert (await client.get("/v1/stock")).json()["stock"][0]["available"] == 5


async def test_a_reservation_of_many_lines_is_all_or_nothing(client: httpx.AsyncClient) -> None:
    one = await make_product(client, "A-1", stock=5)
    two = await make_product(client, "A-2", stock=1)
    lines = [{"productId": one["id"], "quantity": 2}, {"variantId": two["variants"][0]["id"], "quantity": 2}]
    refused = check_problem(await client.post("/v1/reservations", json={"lines": lines}), 409, "not-enough-stock")
    assert [(line["sku"], line["asked"], line["available"]) for line in refused["lines"]] == [("A-2", 2, 1)]
    assert [row["held"] for row in (await client.get("/v1/stock")).json()["stock"]] == [0, 0]
    lines[1]["quantity"] = 1
    made = await client.post("/v1/reservations", json={"lines": lines})
    assert made.status_code == 201
    assert (await client.delete(f"/v1/reservations/{made.json()['reservation']['id']}")).status_code == 204


async def test_nothing_is_reserved_twice_over_under_a_crowd(client: httpx.AsyncClient) -> None:
    await make_product(client, "A-1", stock=20)
    body = {"sku": "A-1", "quantity": 1}
    answers = await asyncio.gather(*(client.post("/v1/reservations", json=body) for _ in range(50)))
    assert sorted({answer.status_code for answer in answers}) == [201, 409]
    assert sum(answer.status_code == 201 for answer in answers) == 20
    (row,) = (await client.get("/v1/stock")).json()["stock"]
    assert (row["held"], row["available"]) == (20, 0)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#"),
        ({"quantity": 1}, "#"),
        ({"sku": "A", "variantId": str(uuid4()), "quantity": 1}, "#"),
        ({"sku": "A", "quantity": 0}, "#/quantity"),
        ({"sku": "A", "quantity": "2"}, "#/quantity"),
        ({"sku": "A", "quantity": 1, "expires": 2}, "#"),
        ({"lines": [{"sku": "A", "quantity": 1}, {"sku": "A", "quantity": 1.5}]}, "#/lines/1/quantity"),
        ({"lines": [{"sku": "A", "quantity": 1}, {"quantity": 1}]}, "#/lines/1"),
        ({"lines": []}, "#/lines"),
        ([], "#"),
    ],
)
async def test_reservations_that_make_no_sense_are_pointed_at(
    client: httpx.AsyncClient, body: Any, pointer: str
) -> None:
    problem = check_problem(await client.post("/v1/reservations", json=body), 422, "invalid-body")
    assert problem["errors"][0]["pointer"].startswith(pointer)


async def test_what_does_not_exist_cannot_be_reserved(client: httpx.AsyncClient) -> None:
    for line, code in (
        ({"sku": "none"}, "unknown-sku"),
        ({"variantId": str(new_id())}, "not-found"),
        ({"productId": str(new_id())}, "not-found"),
    ):
        check_problem(await client.post("/v1/reservations", json={**line, "quantity": 1}), 404, code)


async def test_a_reservation_sent_twice_is_made_once(client: httpx.AsyncClient) -> None:
    await make_product(client, "A-1", stock=5)
    body, headers = {"sku": "A-1", "quantity": 2}, {"Idempotency-Key": "k1"}

    async def send() -> httpx.Response:
        return await client.post("/v1/reservations", json=body, headers=headers)

    together = await asyncio.gather(send(), send(), send())
    made = [answer for answer in together if answer.status_code == 201]
    assert {answer.status_code for answer in together} <= {201, 409}
    assert len({answer.json()["reservation"]["id"] for answer in made}) == 1
    later = await send()
    assert (later.status_code, later.json()) == (201, made[0].json())
    assert later.headers["idempotency-replayed"] == "true"
    assert (await client.get("/v1/stock")).json()["stock"][0]["held"] == 2
    other = await client.post("/v1/reservations", json={"sku": "A-1", "quantity": 1}, headers=headers)
    check_problem(other, 422, "idempotency-key-reused")


async def test_stock_is_counted_and_adjusted_together_or_not_at_all(client: httpx.AsyncClient) -> None:
    one = await make_product(client, "A-1", stock=5)
    await make_product(client, "A-2", stock=5)
    variant_id = one["variants"][0]["id"]
    changes = [{"variantId": variant_id, "onHand": 9}, {"sku": "A-2", "delta": -2}]
    body = {"changes": changes, "reason": "Recount", "kind": "count"}
    adjusted = await client.post("/v1/stock-adjustments", json=body, headers={"Idempotency-Key": "c1"})
    assert adjusted.status_code == 201, adjusted.text
    assert [row["onHand"] for row in adjusted.json()["stock"]] == [9, 3]
    replayed = await client.post("/v1/stock-adjustments", json=body, headers={"Idempotency-Key": "c1"})
    assert replayed.json() == adjusted.json()
    for change, code in (
        ({"sku": "none", "delta": 1}, "variant-not-found"),
        ({"variantId": str(new_id()), "delta": 1}, "variant-not-found"),
        ({"sku": "A-1", "delta": 1, "locationId": str(new_id())}, "not-found"),
        ({"sku": "A-1", "delta": -100}, "invalid-quantity"),
    ):
        response = await client.post("/v1/stock-adjustments", json={"changes": [{"sku": "A-2", "delta": 1}, change]})
        check_problem(response, 422 if code == "invalid-quantity" else 404, code)
    assert [row["onHand"] for row in (await client.get("/v1/stock")).json()["stock"]] == [9, 3]
    kept = await client.put(f"/v1/stock/{variant_id}/safety-stock", json={"quantity": 4})
    assert kept.json()["stock"]["available"] == 5
    assert [level["onHand"] for level in kept.json()["levels"]] == [9]


async def take_order(database: Database, organisation_id: UUID, connection_id: UUID, sku: str, units: int) -> None:
    now = datetime.now(UTC)
    line = ChannelOrderLine("l1", sku, None, "Thing", units, 0, 0, Decimal("12.50"))
    order = ChannelOrder(
        external_id="x1", number="#1001", version=1, status=ChannelOrderStatus.OPEN, placed_at=now, updated_at=now,
        currency="EUR", lines=(line,), total=Decimal("25.00"), tax=Decimal(0), shipping=Decimal(0),
        discount=Decimal(0), buyer_name="Ada",
    )  # fmt: skip
    async with database.transaction(organisation_id) as tx:
        await orders.ingest(tx, connection_id, [order], via="poll", now=now)


async def test_an_order_is_found_and_fulfilled_once(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID, connection_id: UUID
) -> None:
    await make_product(client, "A-1", stock=5)
    await take_order(database, organisation_id, connection_id, "A-1", 2)
    for parameters in ({}, {"channel": "shopify"}, {"channel": str(connection_id)}, {"date_to": "2999-01-01"}):
        (order,) = (await client.get("/orders", params=parameters)).json()["orders"]
    for parameters in ({"channel": "square"}, {"date_from": "2999-01-01"}, {"status": "shipped"}):
        assert (await client.get("/orders", params=parameters)).json()["orders"] == []
    whole = (await client.get(f"/orders/{order['id']}")).json()["order"]
    (line,) = whole["lines"]
    assert (whole["total"], line["reserved"], line["unitPrice"]) == ("25.00", 2, "12.50")
    parcel = {"carrier": "DHL", "trackingNumber": "T1", "lines": [{"lineId": line["id"], "quantity": 1}]}
    headers = {"Idempotency-Key": "parcel-1"}
    first = await client.post(f"/orders/{order['id']}/fulfill", json=parcel, headers=headers)
    assert first.status_code == 201, first.text
    assert first.json()["order"]["status"] == "partly_shipped"
    assert (await client.post(f"/orders/{order['id']}/fulfill", json=parcel, headers=headers)).json() == first.json()
    assert (await client.get("/v1/stock")).json()["stock"][0]["onHand"] == 4
    too_many = {"lines": [{"lineId": line["id"], "quantity": 2}]}
    check_problem(await client.post(f"/orders/{order['id']}/fulfill", json=too_many), 409, "nothing-to-ship")
    rest = await client.post(f"/v1/orders/{order['id']}/shipments", json={"carrier": "DHL"})
    assert rest.json()["order"]["status"] == "shipped"
    check_problem(await client.get(f"/orders/{new_id()}"), 404, "not-found")


@pytest.fixture
async def market() -> AsyncIterator[Running]:
    async with running(Config(seed=5, products=3, channels=("shopify",), time_scale=50)) as sandbox:
        yield sandbox


async def test_connections_are_made_tested_changed_paused_and_ended(client: httpx.AsyncClient, market: Running) -> None:
    (account,) = market.sandbox.markets["shopify"].accounts()
    wanted = {
        "channel": "shopify", "name": "Shop", "environment": "simulated",
        "settings": {**account.settings, "simulator_url": market.url}, "credentials": account.credentials,
    }  # fmt: skip
    wrong = {**wanted, "credentials": {**account.credentials, "access_token": "wrong"}}
    refused = check_problem(await client.post("/v1/connections", json=wrong), 409, "connection-test-failed")
    assert "access token" in refused["detail"]
    assert (await client.get("/channels")).json()["channels"] == []
    made = await client.post("/v1/connections", json=wanted, headers={"Idempotency-Key": "shop"})
    assert made.status_code == 201, made.text
    assert (
        await client.post("/v1/connections", json=wanted, headers={"Idempotency-Key": "shop"})
    ).json() == made.json()
    (shown,) = (await client.get("/channels")).json()["channels"]
    assert (shown["id"], shown["condition"], shown["share"]) == (made.json()["connection"]["id"], "new", None)
    assert account.credentials["access_token"] not in made.text
    path = f"/v1/connections/{shown['id']}"
    changed = await client.put(f"/channels/{shown['id']}", json={"buffer": 3, "share": "0.25"})
    assert changed.status_code == 200, changed.text
    assert (await client.post(f"{path}/pause")).json()["connection"]["state"] == "paused"
    check_problem(await client.post(f"/channels/{shown['id']}/sync", json=["orders"]), 409, "not-active")
    assert (await client.post(f"{path}/resume")).json()["connection"]["state"] == "active"
    tested = (await client.post(f"{path}/test")).json()
    assert (tested["ok"], bool(tested["account"])) == (True, True), tested
    assert (await client.delete(f"/channels/{shown['id']}")).status_code == 204
    assert (await client.get("/channels")).json()["channels"] == []
    assert (await client.post(f"{path}/test")).json()["ok"] is False, "its credentials are gone"
    check_problem(await client.get(f"/v1/connections/{new_id()}"), 404, "connection-not-found")
    manifests = (await client.get("/v1/channels")).json()["channels"]
    assert {each["key"] for each in manifests} >= {"shopify", "square", "amazon"}


async def test_runs_are_started_stopped_and_counted(client: httpx.AsyncClient, connection_id: UUID) -> None:
    started = await client.post("/sync/trigger", json={"connectionIds": [str(connection_id)], "types": ["orders"]})
    assert started.status_code == 202, started.text
    (run,) = started.json()["runs"]
    assert (run["kind"], run["state"]) == ("orders", "queued")
    again = await client.post(f"/channels/{connection_id}/sync", json=["orders", "inventory"])
    assert [each["kind"] for each in again.json()["runs"]] == ["orders", "drift"]
    assert again.json()["runs"][0]["id"] == run["id"]
    assert len((await client.post("/sync/run-full")).json()["runs"]) == 3
    assert (await client.get(f"/v1/runs/{run['id']}")).json()["run"]["id"] == run["id"]
    stats = (await client.get("/multi-channel/queue/stats")).json()
    assert stats["queues"]["sync-single-channel"]["waiting"] == 3
    assert (await client.post(f"/v1/runs/{run['id']}/cancel")).status_code == 200
    assert (await client.post("/sync/stop")).json()["running"] is False
    assert (await client.get("/sync/status")).json()["connections"][0]["state"] == "paused"
    assert (await client.post("/sync/start")).json()["running"] is True


async def test_what_a_person_paused_stays_paused_when_all_are_started(
    client: httpx.AsyncClient, connection_id: UUID
) -> None:
    await client.post(f"/v1/connections/{connection_id}/pause")
    await client.post("/sync/stop")
    assert (await client.post("/sync/start")).json()["running"] is False


async def test_allocation_says_what_each_listing_may_show_and_why(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID, connection_id: UUID
) -> None:
    product = await make_product(client, "A-1", stock=10)
    variant_id = UUID(product["variants"][0]["id"])
    async with database.transaction(organisation_id) as tx:
        await tx.execute(
            "insert into listing (organisation_id, id, connection_id, variant_id, external_id, sku, seen_at)"
            " values ($1, $2, $3, $4, 'e1', 'A-1', now())",
            organisation_id,
            new_id(),
            connection_id,
            variant_id,
        )
    path = f"/multi-channel/inventory/allocation/{product['id']}"
    allocation = (await client.get(path)).json()["allocation"]
    assert allocation["policy"]["strategy"] == "fixed_shares"
    (listing,) = allocation["variants"][0]["listings"]
    assert (listing["quantity"], allocation["variants"][0]["pool"]) == (4, 10)
    assert listing["steps"]
    equal = await client.post(
        f"/multi-channel/inventory/allocate/{product['id']}", json={"strategy": "equal", "parameters": {}}
    )
    assert equal.json()["allocation"]["variants"][0]["listings"][0]["quantity"] == 10
    assert (await client.get("/v1/allocation-policy")).json()["policy"]["strategy"] == "fixed_shares"
    unknown = await client.put("/v1/allocation-policy", json={"strategy": "luck"})
    check_problem(unknown, 422, "invalid-policy")
    check_problem(await client.get(f"/multi-channel/inventory/allocation/{new_id()}"), 404, "not-found")


async def test_nothing_of_another_organisation_is_found(
    client: httpx.AsyncClient, database: Database, connection_id: UUID
) -> None:
    from entrepot.identity import facade as identity

    product = await make_product(client, "A-1")
    made = await client.post("/v1/reservations", json={"sku": "A-1", "quantity": 1})
    other = await identity.create_organisation(database, "Other")
    key = await identity.create_api_key(database, identity.system_actor(other.id), "K", ["all"])
    client.headers["Authorization"] = f"Bearer {key.secret}"
    variant_id = product["variants"][0]["id"]
    for method, path in (
        ("GET", f"/products/{product['id']}"),
        ("DELETE", f"/products/{product['id']}"),
        ("GET", f"/v1/stock/{variant_id}"),
        ("DELETE", f"/v1/reservations/{made.json()['reservation']['id']}"),
        ("GET", f"/v1/connections/{connection_id}"),
    ):
        assert (await client.request(method, path)).status_code == 404, path
    for sold in ({"sku": "A-1"}, {"variantId": variant_id}, {"productId": product["id"]}):
        assert (await client.post("/v1/reservations", json={**sold, "quantity": 1})).status_code == 404
    assert (await client.get("/products")).json()["products"] == []
