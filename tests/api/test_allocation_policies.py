"""Policies by scope, limits, preview, lags and rates over HTTP."""

from __future__ import annotations

from uuid import UUID

import httpx
import pytest
from tests.api.support import check_problem
from tests.api.test_stock_in_full import get, make, send
from tests.orders.support import make_connection, make_listing

from entrepot.allocation import facade as allocation
from entrepot.catalog import facade as catalog
from entrepot.database.pool import Database
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id


@pytest.fixture
async def variant(client: httpx.AsyncClient, database: Database, organisation_id: UUID) -> UUID:
    """A-1, ten units, on a Shopify connection."""
    made = UUID(await make(client, "A-1", 10))
    connection = await make_connection(database, organisation_id)
    await make_listing(database, organisation_id, connection, made, "a")
    return made


async def product_of(client: httpx.AsyncClient, variant: UUID) -> str:
    listed = await get(client, "/products")
    assert len(listed["products"]) == 1, variant
    return str(listed["products"][0]["id"])


async def category(database: Database, organisation_id: UUID) -> UUID:
    async with database.transaction(organisation_id) as tx:
        found = (await catalog.ensure_categories(tx, [("Home", "Cups")]))["Home", "Cups"]
        await tx.execute("update product set category_id = $2 where organisation_id = $1", organisation_id, found)
    return found


async def test_policies_by_scope(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID, variant: UUID
) -> None:
    product, cups = await product_of(client, variant), await category(database, organisation_id)
    own = f"/products/{product}/allocation-policy"
    first = (await get(client, own))["policy"]
    assert (first["strategy"], first["scope"], first["scopeId"], first["stored"]) == (
        "fixed_shares",
        "shop",
        None,
        False,
    )
    await send(client, "PUT", f"/categories/{cups}/allocation-policy", strategy="equal")
    found = (await get(client, own))["policy"]
    assert (found["strategy"], found["scope"], found["name"]) == ("equal", "category", "Home › Cups")
    set_ = await send(client, "PUT", own, strategy="risk", parameters={"lag_s": 60})
    assert (set_["policy"]["scope"], set_["policy"]["parameters"]) == ("product", {"lag_s": 60})
    listed = await get(client, "/allocation-policies", limit=1)
    assert [row["scope"] for row in listed["policies"]] == ["category"]
    more = await get(client, "/allocation-policies", cursor=listed["nextCursor"])
    assert [(row["scope"], row["strategy"]) for row in more["policies"]] == [("product", "risk")]
    await send(client, "DELETE", own, 204)
    check_problem(await client.delete(f"/v1{own}"), 404, "no-such-policy")
    await send(client, "DELETE", f"/categories/{cups}/allocation-policy", 204)
    await send(client, "PUT", "/allocation-policy", strategy="equal")
    await send(client, "DELETE", "/allocation-policy", 204)
    assert (await get(client, own))["policy"] == first
    for path in ("products", "categories"):
        check_problem(await client.get(f"/v1/{path}/{new_id()}/allocation-policy"), 404, "no-such-scope")
    actions = [entry["action"] for entry in (await get(client, "/audit"))["entries"]]
    assert actions.count("allocation.set_policy") == 3
    assert actions.count("allocation.drop_policy") == 3


async def test_a_mistake_is_answered_with_its_place(client: httpx.AsyncClient) -> None:
    body = {"strategy": "rules", "parameters": {"rules": [{"then": {"cap": -1}}]}}
    for method, path in (("PUT", "/v1/allocation-policy"), ("POST", "/v1/allocation-policy/preview")):
        answer = check_problem(await client.request(method, path, json=body), 422, "invalid-policy")
        assert answer["errors"][0]["pointer"] == "#/parameters/rules/0/then/cap"


async def test_a_preview_saves_nothing(client: httpx.AsyncClient, variant: UUID) -> None:
    body = {"strategy": "pool_minus_buffer", "parameters": {"buffer": 1}}
    found = (await send(client, "POST", "/allocation-policy/preview", **body))["preview"]
    assert (found["concerned"], found["examined"], found["changed"]) == (1, 1, 1)
    [listing] = found["listings"]
    assert (listing["sku"], listing["today"], listing["draft"], listing["change"]) == ("A-1", 4, 9, 5)
    assert listing["steps"] == ["the pool of 10 less a buffer of 1"]
    assert (await get(client, "/allocation-policy"))["policy"]["strategy"] == "fixed_shares"
    assert (await get(client, "/allocation-policies"))["policies"] == []
    product = await product_of(client, variant)
    one = await send(client, "POST", "/allocation-policy/preview", **body, productId=product, sku="A-1")
    assert one["preview"]["listings"][0]["draft"] == 9
    file = await client.post("/v1/allocation-policy/preview?form=csv", json=body, headers={"Idempotency-Key": "one"})
    assert file.headers["content-type"].startswith("text/csv")
    assert file.text.splitlines()[1].startswith("A-1,")
    assert ",10,4,9,5," in file.text
    missing = await client.post("/v1/allocation-policy/preview", json={**body, "sku": "NONE"})
    check_problem(missing, 404, "variant-not-found")
    both = await client.post(
        "/v1/allocation-policy/preview", json={**body, "productId": product, "categoryId": product}
    )
    check_problem(both, 422, "invalid-policy")


async def test_limits_and_a_location_s_buffer(client: httpx.AsyncClient, variant: UUID) -> None:
    connection = (await get(client, "/connections"))["connections"][0]["id"]
    place = {"scope": "variant", "scopeId": str(variant)}
    await send(client, "PUT", "/allocation-policy", strategy="pool_minus_buffer")
    made = await send(client, "PUT", "/allocation-limits", **place, connectionId=connection, cap=6, least=2)
    assert made["limits"][0]["name"] == "A-1"
    await send(client, "PUT", "/allocation-limits", **place, buffer=5)
    product = await product_of(client, variant)
    shown = (await get(client, f"/products/{product}/allocation"))["allocation"]["variants"][0]["listings"][0]
    assert shown["quantity"] == 5
    main = (await get(client, "/locations"))["locations"][0]
    assert main["buffer"] == 0
    assert (await send(client, "PATCH", f"/locations/{main['id']}", buffer=3))["location"]["buffer"] == 3
    found = (await get(client, f"/products/{product}/allocation"))["allocation"]["variants"][0]
    assert (found["pool"], found["listings"][0]["quantity"]) == (7, 2)
    assert found["listings"][0]["steps"][0] == "buffer of location Main: 3 kept back"
    assert len((await get(client, "/allocation-limits"))["limits"]) == 2
    assert (await send(client, "PUT", "/allocation-limits", **place))["limits"] == []
    assert len((await get(client, "/allocation-limits", q="A-"))["limits"]) == 1
    wrong = await client.put("/v1/allocation-limits", json={**place, "cap": 1, "least": 2})
    check_problem(wrong, 422, "invalid-limit")
    unknown = await client.put("/v1/allocation-limits", json={**place, "connectionId": str(new_id()), "cap": 1})
    check_problem(unknown, 404, "no-such-scope")


async def test_lags_rates_and_lists_as_files(
    client: httpx.AsyncClient, database: Database, organisation_id: UUID, variant: UUID
) -> None:
    connection = UUID((await get(client, "/connections"))["connections"][0]["id"])
    async with database.transaction(organisation_id) as tx:
        await allocation.count_lags(tx, connection, allocation.HEARD, [3.0] * 25, utc_now())
        await allocation.count_sales(tx, connection, [(variant, 1)] * 6, utc_now(), allocation.Learning())
    heard, shown = (await get(client, "/channel-lags"))["lags"]
    assert (heard["kind"], heard["count"], heard["known"]) == ("heard", 25, True)
    assert (shown["kind"], shown["count"], shown["known"], shown["p99S"]) == ("shown", 0, False, None)
    [rates] = (await get(client, "/sales-rates", q="A"))["rates"]
    assert (rates["sku"], rates["rates"][0]["sold30Days"], rates["lagKnown"]) == ("A-1", 6, False)
    for name in ("allocation-policies", "allocation-limits", "channel-lags", "sales-rates", "simulations"):
        answer = await client.get(f"/v1/exports/{name}")
        assert answer.status_code == 200
        assert answer.text.count("\r\n") >= 1
    assert "A-1" in (await client.get("/v1/exports/sales-rates")).text
    assert "A-1" not in (await client.get("/v1/exports/sales-rates?q=B")).text
