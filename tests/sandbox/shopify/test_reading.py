"""Access, catalog, orders, paging, search and the cost bucket."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from graphql import GraphQLInterfaceType, GraphQLObjectType, get_named_type
from tests.sandbox.shopify.conftest import PATH, Client

from entrepot_sandbox.journal import OrderTold
from entrepot_sandbox.shopify.api import schema
from entrepot_sandbox.shopify.search import compile_query


async def test_without_the_token_is_401(client: Client) -> None:
    answer = await client.http.post(PATH, json={"query": "{ shop { name } }"}, headers={"X-Shopify-Access-Token": "no"})
    assert answer.status_code == 401
    assert answer.json()["errors"].startswith("[API] Invalid API key or access token")


async def test_shop_and_location(client: Client) -> None:
    data = await client.ask("{ shop { name myshopifyDomain currencyCode } locations(first: 5) { nodes { id name } } }")
    assert data["shop"]["currencyCode"] == "EUR"
    assert [node["id"] for node in data["locations"]["nodes"]] == [client.location]


VARIANTS = """
query Variants($after: String, $first: Int!, $location: ID!, $query: String) {
  productVariants(first: $first, after: $after, query: $query) {
    nodes {
      id sku barcode price title inventoryQuantity
      product { id title vendor productType descriptionHtml status }
      inventoryItem { id tracked inventoryLevel(locationId: $location) {
        quantities(names: ["available", "on_hand", "committed"]) { name quantity } } }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""


async def test_variants_page_by_page_are_each_seen_once(client: Client) -> None:
    seen: list[str] = []
    after, more = None, True
    while more:
        page = (await client.ask(VARIANTS, first=2, after=after, location=client.location))["productVariants"]
        seen += [node["sku"] for node in page["nodes"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert seen == client.skus


async def test_a_sale_moves_units_from_available_to_committed(client: Client) -> None:
    sku = client.skus[0]
    await client.set((sku, 9, 0))
    client.buy((sku, 2))
    page = await client.ask(VARIANTS, first=1, location=client.location, query=f"sku:{sku}")
    (node,) = page["productVariants"]["nodes"]
    quantities = {one["name"]: one["quantity"] for one in node["inventoryItem"]["inventoryLevel"]["quantities"]}
    assert quantities == {"available": 7, "committed": 2, "on_hand": 9}
    assert node["inventoryQuantity"] == 7


async def test_nodes_by_id_leave_a_null_for_what_is_not_there(client: Client) -> None:
    item = client.item(client.skus[1])
    data = await client.ask(
        "query($ids: [ID!]!) { nodes(ids: $ids) { id ... on InventoryItem { sku } } }",
        ids=[item, "gid://shopify/InventoryItem/1"],
    )
    assert data["nodes"] == [{"id": item, "sku": client.skus[1]}, None]


ORDERS = """
query Orders($query: String, $after: String, $first: Int!) {
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {
    nodes {
      id name updatedAt cancelledAt displayFinancialStatus displayFulfillmentStatus
      totalPriceSet { shopMoney { amount currencyCode } } currentTotalPriceSet { shopMoney { amount } }
      customer { displayName defaultEmailAddress { emailAddress } }
      shippingAddress { name address1 city zip countryCodeV2 }
      lineItems(first: 50) { nodes {
        id sku quantity currentQuantity unfulfilledQuantity variant { id }
        originalUnitPriceSet { shopMoney { amount } } } }
      fulfillmentOrders(first: 5) { nodes { id status lineItems(first: 5) { nodes { id remainingQuantity } } } }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""


async def test_orders_by_change_with_lines_and_cancellation(client: Client) -> None:
    one, two, _, *_ = client.skus
    await client.set((one, 10, 0), (two, 10, 0))
    first, second = client.buy((one, 2), (two, 1)), client.buy((two, 3))
    client.market.cancel_order(first.id, {first.lines[0].id: 1})
    client.market.cancel_order(second.id)
    nodes = (await client.ask(ORDERS, first=50))["orders"]["nodes"]
    assert [node["id"].rpartition("/")[2] for node in nodes] == [first.id, second.id]
    partly, wholly = nodes
    assert partly["cancelledAt"] is None
    assert [line["currentQuantity"] for line in partly["lineItems"]["nodes"]] == [1, 1]
    assert partly["displayFinancialStatus"] == "PARTIALLY_REFUNDED"
    assert wholly["cancelledAt"] is not None
    assert wholly["lineItems"]["nodes"][0]["quantity"] == 3
    assert wholly["lineItems"]["nodes"][0]["currentQuantity"] == 0
    assert wholly["fulfillmentOrders"]["nodes"][0]["status"] == "CANCELLED"
    assert client.shown(two) == 9


async def test_orders_are_filtered_by_the_time_of_change_and_paged(client: Client) -> None:
    sku = client.skus[0]
    await client.set((sku, 10, 0))
    orders = [client.buy((sku, 1)) for _ in range(5)]
    since = orders[2].updated_at.isoformat()
    found: list[str] = []
    after, more = None, True
    while more:
        page = (await client.ask(ORDERS, first=2, after=after, query=f"updated_at:>='{since}'"))["orders"]
        found += [node["id"].rpartition("/")[2] for node in page["nodes"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert found == [order.id for order in orders[2:]]
    later = (orders[-1].updated_at + timedelta(days=1)).isoformat()
    assert (await client.ask(ORDERS, first=2, query=f"updated_at:>'{later}'"))["orders"]["nodes"] == []


async def test_an_answer_with_an_order_says_that_the_seller_knows_it(client: Client) -> None:
    sku = client.skus[0]
    await client.set((sku, 10, 0))
    order = client.buy((sku, 1))
    await client.ask("{ orders(first: 5) { nodes { id } } }")
    journal = client.market.state.desk.world.journal
    assert not list(journal.of(OrderTold))
    await client.ask(ORDERS, first=5)
    assert [(told.order_id, told.version) for told in journal.of(OrderTold)] == [(order.id, order.version)]


async def test_every_served_field_has_a_value_of_its_type(client: Client) -> None:
    one, two, *_ = client.skus
    await client.set((one, 10, 0), (two, 10, 0))
    order = client.buy((one, 2), (two, 1))
    client.market.cancel_order(order.id, {order.lines[0].id: 1})
    await client.ask(
        """mutation($uri: String!) { webhookSubscriptionCreate(topic: ORDERS_CREATE,
        webhookSubscription: {uri: $uri}) { userErrors { message } } }""",
        uri="https://example.com/hooks",
    )
    query_type = schema().query_type
    assert query_type is not None
    ids = {
        "product": "Product",
        "productVariant": "ProductVariant",
        "inventoryItem": "InventoryItem",
        "order": "Order",
    }
    listing = client.market.state.shop.by_sku[one]
    numbers = {"Product": listing.keys["product"], "ProductVariant": listing.id, "InventoryItem": listing.keys["item"]}
    for name, kind in ids.items():
        number = numbers.get(kind, order.id)
        selection = _selection(query_type.fields[name].type, 4, client.location, client.item(one))
        body = await _unlimited(client, f'{{ {name}(id: "gid://shopify/{kind}/{number}") {selection} }}')
        assert body["data"][name]["id"]
    for name in ("shop", "locations(first: 2)", "webhookSubscriptions(first: 2)", "currentAppInstallation"):
        field = query_type.fields[name.partition("(")[0]]
        await _unlimited(client, f"{{ {name} {_selection(field.type, 3, client.location, client.item(one))} }}")


async def _unlimited(client: Client, query: str) -> dict[str, Any]:
    from graphql import execute_sync, parse

    from entrepot_sandbox.shopify import queries

    class _Request:
        def __init__(self) -> None:
            self.scope: dict[str, Any] = {}

    result = execute_sync(
        schema(), parse(query), root_value=queries.root(client.market.state), context_value=_Request()
    )
    assert result.errors is None, result.errors
    return {"data": result.data}


def _selection(returns: Any, depth: int, location: str, item: str) -> str:
    """Everything below, as deep as `depth` objects."""
    kind = get_named_type(returns)
    if depth < 1 or not isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        return ""
    given = {
        "first": "3",
        "key": '"key"',
        "names": '["available", "on_hand"]',
        "locationId": f'"{location}"',
        "inventoryItemId": f'"{item}"',
    }
    parts = []
    for name, field in kind.fields.items():
        inner = _selection(field.type, depth - 1, location, item)
        if not inner and isinstance(get_named_type(field.type), GraphQLObjectType | GraphQLInterfaceType):
            continue
        wanted = [f"{key}: {given[key]}" for key in field.args if key in given]
        parts.append(f"{name}({', '.join(wanted)}) {inner}" if wanted else f"{name} {inner}")
    return "{ " + " ".join(parts) + " }" if parts else ""


async def test_calls_cost_points_and_an_empty_bucket_throttles(client: Client) -> None:
    body = await client.post("{ productVariants(first: 250) { nodes { inventoryItem { id tracked } } } }")
    cost = body["extensions"]["cost"]
    assert cost["requestedQueryCost"] == 25
    assert 0 < cost["actualQueryCost"] < cost["requestedQueryCost"]
    assert cost["throttleStatus"]["maximumAvailable"] == 2000
    assert cost["throttleStatus"]["restoreRate"] == 100
    client.market.endpoint.bucket.take(client.market.endpoint.bucket.available)
    body = await client.post(VARIANTS, first=250, location=client.location)
    assert body["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert "data" not in body
    assert body["extensions"]["cost"]["actualQueryCost"] is None


async def test_a_query_that_costs_too_much_is_not_run(client: Client) -> None:
    inner = (
        "lineItems(first: 250) { nodes { variant { product { variants(first: 250) { nodes { product { id } } } } } } }"
    )
    body = await client.post(f"{{ orders(first: 250) {{ nodes {{ {inner} }} }} }}")
    assert body["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"


@pytest.mark.parametrize(
    "query",
    ["{ orders { nodes { id } } }", "{ orders(first: 251) { nodes { id } } }", "{ shop { nothing } }", "{ shop {"],
)
async def test_mistakes_are_said(client: Client, query: str) -> None:
    assert (await client.post(query))["errors"][0]["message"]


def test_search_syntax() -> None:
    fields = {"sku": lambda thing: thing["sku"], "n": lambda thing: thing["n"], "": lambda thing: thing["sku"]}
    thing = {"sku": "TEA-1", "n": 5}

    def matches(text: str) -> bool:
        return compile_query(text, fields)(thing)

    assert matches("sku:TEA-1 AND n:>=5")
    assert matches("sku:'TEA-1' n:<6")
    assert matches("sku:nope OR n:5")
    assert matches("sku:TEA*")
    assert matches("tea")
    assert matches("unknown:anything")
    assert matches("(sku:nope OR n:5) AND NOT n:6")
    assert not matches("-sku:TEA-1")
    assert not matches("sku:TEA-1 AND n:>5")
    assert not matches("coffee")
