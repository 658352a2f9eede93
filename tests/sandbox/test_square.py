"""The simulated Square over HTTP; every answer is checked against Square's own specification where that is present."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from tests.sandbox.helpers import Ear, sale, until

from entrepot_sandbox.journal import OrderTold, QuantityWritten, ToldBy, WriteKind
from entrepot_sandbox.server import Config, Running, running

Json = dict[str, Any]


@pytest.fixture(scope="session")
def square_spec(specs: Path) -> Json:
    """The paths, and a registry of the schemas by `urn:square#/components/schemas/...` (made once: it is big)."""
    loaded: Json = json.loads((specs / "square" / "api-2025-08-20.patched.json").read_text())
    document = DRAFT202012.create_resource({"components": loaded["components"]})
    return {"paths": loaded["paths"], "registry": Registry().with_resource("urn:square", document)}


@dataclass
class Seller:
    """Speaks to the simulated Square as a hub would."""

    running: Running
    http: httpx.AsyncClient
    location_id: str
    spec: Json

    async def ask(self, method: str, path: str, body: Json | None = None, *, status: int = 200, **query: str) -> Json:
        """Ask, and check the answer's status and its shape."""
        reply = await self.http.request(method, path, json=body, params=query)
        assert reply.status_code == status, reply.text
        answer: Json = reply.json()
        self._check(method, path, answer)
        return answer

    def _check(self, method: str, path: str, answer: Json) -> None:
        for template, methods in self.spec["paths"].items():
            parts, wanted = path.split("/"), template.split("/")
            fits = len(parts) == len(wanted) and all(
                ours == theirs or theirs.startswith("{") for ours, theirs in zip(parts, wanted, strict=True)
            )
            if fits and method.lower() in methods and not (set(wanted) ^ set(parts)) & {"search", "batch-retrieve"}:
                schema = methods[method.lower()]["responses"]["200"]["content"]["application/json"]["schema"]
                checker = jsonschema.Draft202012Validator(
                    {"$ref": f"urn:square{schema['$ref']}"}, registry=self.spec["registry"]
                )
                checker.validate(answer)
                return
        raise AssertionError(f"Square has no {method} {path}")

    @property
    def world(self) -> Any:
        return self.running.sandbox.world

    @property
    def shop(self) -> Any:
        return self.world.shops["square"]

    def listing(self, place: int = 0) -> Any:
        return list(self.shop.listings.values())[place]

    def adjustment(self, units: int, *, place: int = 0, at: datetime | None = None, **more: Any) -> Json:
        told = {
            "from_state": "NONE" if units > 0 else "IN_STOCK",
            "to_state": "IN_STOCK" if units > 0 else "SOLD",
            "location_id": self.location_id,
            "catalog_object_id": self.listing(place).id,
            "quantity": str(abs(units)),
            "occurred_at": (at or datetime.now(UTC)).isoformat(),
        }
        return {"type": "ADJUSTMENT", "adjustment": told | more}

    def physical_count(self, units: int, *, place: int = 0, at: datetime | None = None) -> Json:
        told = {
            "state": "IN_STOCK",
            "location_id": self.location_id,
            "catalog_object_id": self.listing(place).id,
            "quantity": str(units),
            "occurred_at": (at or datetime.now(UTC)).isoformat(),
        }
        return {"type": "PHYSICAL_COUNT", "physical_count": told}

    async def change(self, *changes: Json, key: str = "k", status: int = 200) -> Json:
        body = {"idempotency_key": key, "changes": list(changes)}
        return await self.ask("POST", "/v2/inventory/changes/batch-create", body, status=status)

    def sell(self, units: int = 1, place: int = 0) -> Any:
        market = self.running.sandbox.markets["square"]
        return market.place_order(sale(**{self.listing(place).sku: units}))

    async def search(self, **more: Any) -> Json:
        query = {"sort": {"sort_field": "UPDATED_AT", "sort_order": "ASC"}}
        return await self.ask("POST", "/v2/orders/search", {"location_ids": [self.location_id], "query": query, **more})


@pytest.fixture
async def seller(square_spec: Json) -> AsyncIterator[Seller]:
    async with running(Config(seed=5, products=6, channels=("square",), time_scale=1000)) as serving:
        (account,) = serving.sandbox.markets["square"].accounts()
        headers = {"authorization": f"Bearer {account.credentials['access_token']}"}
        async with httpx.AsyncClient(base_url=f"{serving.url}/square", headers=headers, trust_env=False) as http:
            yield Seller(serving, http, account.settings["location_id"], square_spec)


async def test_a_wrong_token_is_refused_as_square_does(seller: Seller) -> None:
    seller.http.headers["authorization"] = "Bearer nonsense"
    answer = await seller.ask("GET", "/v2/locations", status=401)
    assert [(error["category"], error["code"]) for error in answer["errors"]] == [
        ("AUTHENTICATION_ERROR", "UNAUTHORIZED")
    ]


async def test_locations(seller: Seller) -> None:
    (location,) = (await seller.ask("GET", "/v2/locations"))["locations"]
    assert (location["id"], location["currency"]) == (seller.location_id, "EUR")
    one = await seller.ask("GET", f"/v2/locations/{seller.location_id}")
    assert one["location"] == location
    await seller.ask("GET", "/v2/locations/elsewhere", status=404)


async def test_the_catalog_lists_every_product_with_its_variation(seller: Seller) -> None:
    objects = (await seller.ask("GET", "/v2/catalog/list", types="ITEM"))["objects"]
    variations = [item["item_data"]["variations"][0]["item_variation_data"] for item in objects]
    products = seller.world.products
    assert {each["sku"] for each in variations} == set(products)
    assert all(each["price_money"]["amount"] == int(products[each["sku"]].price * 100) for each in variations)


async def test_the_catalog_can_be_searched_by_sku_page_by_page(seller: Seller) -> None:
    sku = seller.listing(2).sku
    query = {"exact_query": {"attribute_name": "sku", "attribute_value": sku.lower()}}
    body = {"object_types": ["ITEM_VARIATION"], "query": query, "include_related_objects": True}
    found = await seller.ask("POST", "/v2/catalog/search", body)
    assert [each["id"] for each in found["objects"]] == [seller.listing(2).id]
    assert [each["id"] for each in found["related_objects"]] == [seller.listing(2).keys["item_id"]]
    seen, cursor = [], None
    while True:
        page = await seller.ask("POST", "/v2/catalog/search", {"object_types": ["ITEM"], "limit": 4, "cursor": cursor})
        seen += [each["id"] for each in page["objects"]]
        cursor = page.get("cursor")
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 6
    await seller.ask("POST", "/v2/catalog/search", {"query": {"range_query": {}}}, status=400)


async def test_catalog_objects_by_id(seller: Seller) -> None:
    listing = seller.listing()
    one = await seller.ask("GET", f"/v2/catalog/object/{listing.id}", include_related_objects="true")
    assert one["object"]["item_variation_data"]["sku"] == listing.sku
    assert one["related_objects"][0]["id"] == listing.keys["item_id"]
    several = await seller.ask("POST", "/v2/catalog/batch-retrieve", {"object_ids": [listing.id, "nothing"]})
    assert [each["id"] for each in several["objects"]] == [listing.id]
    await seller.ask("GET", "/v2/catalog/object/nothing", status=404)


# -- stock --


async def test_nothing_is_on_offer_until_the_seller_says_so(seller: Seller) -> None:
    assert seller.sell() is None
    body = {"location_ids": [seller.location_id], "states": ["IN_STOCK"]}
    assert await seller.ask("POST", "/v2/inventory/counts/batch-retrieve", body) == {}


async def test_adjustments_move_the_count_and_are_journaled_as_deltas(seller: Seller) -> None:
    await seller.change(seller.adjustment(7), key="a")
    answer = await seller.change(seller.adjustment(-3), seller.adjustment(2, place=1), key="b")
    assert [count["quantity"] for count in answer["counts"]] == ["4", "2"]
    writes = [(event.before, event.after, event.kind) for event in seller.world.journal.of(QuantityWritten)]
    assert writes == [(0, 7, WriteKind.DELTA), (7, 4, WriteKind.DELTA), (0, 2, WriteKind.DELTA)]
    body = {"catalog_object_ids": [seller.listing().id]}
    read = await seller.ask("POST", "/v2/inventory/counts/batch-retrieve", body)
    assert [count["quantity"] for count in read["counts"]] == ["4"]


async def test_a_delta_keeps_a_sale_that_the_seller_did_not_know(seller: Seller) -> None:
    await seller.change(seller.adjustment(5), key="a")
    assert seller.sell(2) is not None
    answer = await seller.change(seller.adjustment(1), key="b")
    assert answer["counts"][0]["quantity"] == "4"


async def test_a_physical_count_holds_for_its_moment_and_later_moves_are_added(seller: Seller) -> None:
    await seller.change(seller.physical_count(10), key="a")
    before = datetime.now(UTC) - timedelta(seconds=1)
    assert seller.sell(3) is not None
    answer = await seller.change(seller.physical_count(20), key="b")
    assert answer["counts"][0]["quantity"] == "20"
    late = await seller.change(seller.physical_count(99, at=before), key="c")
    assert late["counts"][0]["quantity"] == "20"
    await seller.change(seller.adjustment(4, at=before), key="d")
    assert seller.listing().quantity == 20


async def test_a_count_from_before_a_sale_does_not_undo_the_sale(seller: Seller) -> None:
    await seller.change(seller.physical_count(10, at=datetime.now(UTC) - timedelta(minutes=5)), key="a")
    counted = datetime.now(UTC) - timedelta(seconds=1)
    assert seller.sell(3) is not None
    await seller.change(seller.physical_count(8, at=counted), key="b")
    assert seller.listing().quantity == 5


async def test_the_same_key_and_body_are_done_once(seller: Seller) -> None:
    change = seller.adjustment(5)
    first = await seller.change(change)
    assert seller.sell() is not None
    assert await seller.change(change) == first
    assert seller.listing().quantity == 4


async def test_the_same_key_with_another_body_is_refused(seller: Seller) -> None:
    await seller.change(seller.adjustment(5))
    answer = await seller.change(seller.adjustment(6), status=400)
    assert answer["errors"][0]["code"] == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize(
    ("bad", "status", "code", "field"),
    [
        ({"catalog_object_id": "nothing"}, 404, "NOT_FOUND", "catalog_object_id"),
        ({"quantity": "1.5"}, 400, "INVALID_VALUE", "quantity"),
        ({"quantity": 3}, 400, "INVALID_VALUE", "quantity"),
        ({"quantity": "-3"}, 400, "VALUE_TOO_LOW", "quantity"),
        ({"location_id": "elsewhere"}, 400, "INVALID_LOCATION", "location_id"),
        ({"to_state": "COMPOSED"}, 400, "INVALID_VALUE", "to_state"),
        ({"occurred_at": "2020-01-01T00:00:00Z"}, 400, "INVALID_TIME", "occurred_at"),
        ({"occurred_at": "yesterday"}, 400, "INVALID_TIME", "occurred_at"),
    ],
)
async def test_one_bad_change_refuses_the_batch_and_is_named(
    seller: Seller, bad: Json, status: int, code: str, field: str
) -> None:
    answer = await seller.change(seller.adjustment(5), seller.adjustment(1, place=1, **bad), status=status)
    assert answer["errors"][0]["code"] == code
    assert answer["errors"][0]["field"] == f"changes[1].adjustment.{field}"
    assert seller.listing().quantity == 0


async def test_at_most_a_hundred_changes(seller: Seller) -> None:
    await seller.change(*[seller.adjustment(1)] * 101, status=400)
    await seller.change(*[seller.adjustment(1)] * 100)
    assert seller.listing().quantity == 100


# -- orders --


async def test_orders_by_time_of_change_page_by_page(seller: Seller) -> None:
    await seller.change(seller.adjustment(50))
    orders = [seller.sell() for _ in range(5)]
    seller.running.sandbox.markets["square"].cancel_order(orders[0].id)
    seen: list[tuple[str, str]] = []
    cursor = None
    while True:
        page = await seller.search(limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [(order["updated_at"], order["id"]) for order in page["orders"]]
        cursor = page.get("cursor")
        if cursor is None:
            break
    assert seen == sorted(seen)
    assert sorted(order_id for _, order_id in seen) == sorted(order.id for order in orders)


async def test_orders_since_a_time_ask_for_the_fitting_sort(seller: Seller) -> None:
    await seller.change(seller.adjustment(5))
    first, second = seller.sell(), seller.sell()
    seller.shop.touch(first)
    start = first.updated_at.isoformat()
    span = {"filter": {"date_time_filter": {"updated_at": {"start_at": start[:23] + "+00:00"}}}}
    body: Json = {"location_ids": [seller.location_id], "query": {**span, "sort": {"sort_field": "UPDATED_AT"}}}
    found = {order["id"] for order in (await seller.ask("POST", "/v2/orders/search", body))["orders"]}
    assert first.id in found
    assert (second.id in found) == (second.updated_at >= datetime.fromisoformat(start[:23] + "+00:00"))
    body["query"]["sort"]["sort_field"] = "CREATED_AT"
    await seller.ask("POST", "/v2/orders/search", body, status=400)


async def test_an_order_carries_what_was_sold_and_the_hub_is_told(seller: Seller) -> None:
    await seller.change(seller.adjustment(5))
    order = seller.sell(2)
    (shown,) = (await seller.search())["orders"]
    (line,) = shown["line_items"]
    assert (line["catalog_object_id"], line["quantity"]) == (seller.listing().id, "2")
    assert shown["total_money"]["amount"] == int(seller.listing().product.price * 200)
    assert (shown["state"], shown["version"]) == ("OPEN", 1)
    await until(lambda: any(seller.world.journal.of(OrderTold)))
    told = list(seller.world.journal.of(OrderTold))
    assert [(event.order_id, event.by) for event in told] == [(order.id, ToldBy.ANSWER)]
    fetched = await seller.ask("POST", "/v2/orders/batch-retrieve", {"order_ids": [order.id, "nothing"]})
    assert fetched["orders"] == [shown]


async def test_cancelling_all_or_some(seller: Seller) -> None:
    await seller.change(seller.adjustment(9))
    market = seller.running.sandbox.markets["square"]
    whole, part = seller.sell(2), seller.sell(3)
    assert market.cancel_order(whole.id) == 2
    assert market.cancel_order(part.id, {part.lines[0].id: 1}) == 1
    shown = {order["id"]: order for order in (await seller.search())["orders"]}
    assert (shown[whole.id]["state"], shown[whole.id]["line_items"][0]["quantity"]) == ("CANCELED", "2")
    assert (shown[part.id]["state"], shown[part.id]["line_items"][0]["quantity"]) == ("OPEN", "2")
    assert seller.listing().quantity == 4


async def test_a_parcel_completes_the_order(seller: Seller) -> None:
    await seller.change(seller.adjustment(5))
    order = seller.sell(2)
    (shown,) = (await seller.search())["orders"]
    uid = shown["fulfillments"][0]["uid"]
    details = {"carrier": "DHL", "tracking_number": "T1"}
    change = {"uid": uid, "state": "COMPLETED", "shipment_details": details, "metadata": {"note": "1"}}
    body = {
        "idempotency_key": "p1",
        "order": {"location_id": seller.location_id, "version": 1, "fulfillments": [change]},
    }
    done = (await seller.ask("PUT", f"/v2/orders/{order.id}", body))["order"]
    assert (done["state"], done["version"]) == ("COMPLETED", 2)
    assert done["fulfillments"][0]["shipment_details"]["tracking_number"] == "T1"
    assert done["fulfillments"][0]["metadata"] == {"note": "1"}
    again = (await seller.ask("PUT", f"/v2/orders/{order.id}", body))["order"]
    assert again == done
    body["idempotency_key"] = "p2"
    stale = await seller.ask("PUT", f"/v2/orders/{order.id}", body, status=409)
    assert stale["errors"][0]["code"] == "CONFLICT"


# -- webhooks --


async def subscribe(seller: Seller, url: str, *events: str) -> Json:
    subscription = {"name": "Hub", "event_types": list(events), "notification_url": url}
    body = {"idempotency_key": "s", "subscription": subscription}
    made: Json = (await seller.ask("POST", "/v2/webhooks/subscriptions", body))["subscription"]
    return made


async def test_subscriptions_are_made_once_listed_changed_and_removed(seller: Seller) -> None:
    made = await subscribe(seller, "https://hub.example/hooks", "order.created")
    assert await subscribe(seller, "https://hub.example/hooks", "order.created") == made
    path = f"/v2/webhooks/subscriptions/{made['id']}"
    changed = await seller.ask("PUT", path, {"subscription": {"enabled": False}})
    assert changed["subscription"]["event_types"] == ["order.created"]
    assert await seller.ask("GET", "/v2/webhooks/subscriptions") == {}
    listed = await seller.ask("GET", "/v2/webhooks/subscriptions", include_disabled="true")
    assert [each["id"] for each in listed["subscriptions"]] == [made["id"]]
    await seller.ask("DELETE", path)
    await seller.ask("GET", path, status=404)


async def test_events_are_signed_over_address_and_body(seller: Seller, ear: Ear) -> None:
    topics = ("order.created", "order.updated", "inventory.count.updated")
    key = (await subscribe(seller, ear.url, *topics))["signature_key"]
    await seller.change(seller.adjustment(5))
    order = seller.sell(2)
    seller.running.sandbox.markets["square"].cancel_order(order.id)
    await until(lambda: len(ear.heard) == 4)
    assert sorted(event["type"] for event in ear.events) == [
        "inventory.count.updated",
        "inventory.count.updated",
        "order.created",
        "order.updated",
    ]
    for headers, body in ear.heard:
        digest = hmac.new(key.encode(), ear.url.encode() + body, hashlib.sha256).digest()
        assert headers["x-square-hmacsha256-signature"] == base64.b64encode(digest).decode()
    created = next(event for event in ear.events if event["type"] == "order.created")
    assert created["data"]["object"]["order_created"]["order_id"] == order.id
    await until(lambda: len(list(seller.world.journal.of(OrderTold))) == 2)
    assert {event.by for event in seller.world.journal.of(OrderTold)} == {ToldBy.NOTICE}


async def test_an_event_that_is_not_acknowledged_comes_again_under_the_same_id(seller: Seller, ear: Ear) -> None:
    ear.answers = [500, 503]
    await subscribe(seller, ear.url, "order.created")
    await seller.change(seller.adjustment(5))
    seller.sell()
    await until(lambda: len(ear.heard) == 3)
    assert len({event["event_id"] for event in ear.events}) == 1
    assert [headers.get("square-retry-number") for headers, _ in ear.heard] == [None, "1", "2"]


async def test_the_rate_limit_answers_429(square_spec: Json) -> None:
    async with running(Config(products=1, channels=("square",), time_scale=0.001)) as serving:
        (account,) = serving.sandbox.markets["square"].accounts()
        headers = {"authorization": f"Bearer {account.credentials['access_token']}"}
        async with httpx.AsyncClient(base_url=f"{serving.url}/square", headers=headers, trust_env=False) as http:
            seller = Seller(serving, http, account.settings["location_id"], square_spec)
            market: Any = serving.sandbox.markets["square"]
            market._limit.take(39)
            await seller.ask("GET", "/v2/locations")
            answer = await seller.ask("GET", "/v2/locations", status=429)
    assert answer["errors"][0]["code"] == "RATE_LIMITED"
