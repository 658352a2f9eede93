"""The simulated Printful over HTTP: what its connector does not ask, its clock, its control room and its judge."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from tests.sandbox.helpers import Ear, until

from entrepot_sandbox.journal import Event, Requested
from entrepot_sandbox.making import MakingSubmitted, MakingWithdrawn, figures
from entrepot_sandbox.server import Config, Running, running

Json = dict[str, Any]
TO = {"name": "Ada", "address1": "1 Mill Lane", "city": "Lisbon", "country_code": "PT", "zip": "1100-148"}


@dataclass
class Customer:
    """Speaks to the simulated Printful as a hub would."""

    running: Running
    http: httpx.AsyncClient

    @property
    def market(self) -> Any:
        return self.running.sandbox.markets["printful"]

    async def ask(self, method: str, path: str, body: Json | None = None, *, status: int = 200, **query: str) -> Json:
        reply = await self.http.request(method, path, json=body, params=query)
        assert reply.status_code == status, reply.text
        found: Json = reply.json() if reply.content else {}
        return found

    async def control(self, body: Json, status: int = 200) -> Json:
        reply = await self.http.post(f"{self.running.url}/_sandbox/making", json={"channel": "printful", **body})
        assert reply.status_code == status, reply.text
        found: Json = reply.json()
        return found

    def item(self, key: str = "a", quantity: int = 1, **more: Any) -> Json:
        layer = {"type": "file", "url": "https://files.example/a.png"}
        placement = {"placement": "front", "technique": "dtg", "layers": [layer]}
        variant = next(iter(self.market.catalog.variants))
        told = {"source": "catalog", "catalog_variant_id": variant, "quantity": quantity, "external_id": key}
        return {**told, "placements": [placement], **more}

    async def draft(self, id: str = "order-1", *items: Json, status: int = 200) -> Json:
        body = {"external_id": id, "recipient": TO, "order_items": list(items) or [self.item()]}
        return await self.ask("POST", "/v2/orders", body, status=status)

    async def priced(self, id: str) -> None:
        order = self.market.orders.find(f"@{id}")
        await until(lambda: self.market.orders.costs_ready(order))

    async def submit(self, id: str = "order-1", *items: Json) -> None:
        await self.draft(id, *items)
        await self.priced(id)
        await self.ask("POST", f"/v2/orders/@{id}/confirmation")

    def status(self, id: str = "order-1") -> str:
        word: str = self.market.orders.find(f"@{id}").status
        return word


@pytest.fixture
async def customer() -> AsyncIterator[Customer]:
    async with running(Config(seed=4, products=20, channels=("printful", "square"), time_scale=100)) as serving:
        (account,) = serving.sandbox.markets["printful"].accounts()
        headers = {"authorization": f"Bearer {account.credentials['access_token']}"}
        async with httpx.AsyncClient(base_url=f"{serving.url}/printful", headers=headers, trust_env=False) as http:
            yield Customer(serving, http)


async def test_an_external_id_is_taken_once_also_by_a_cancelled_order(customer: Customer) -> None:
    await customer.draft()
    refused = await customer.draft(status=400)
    assert refused["result"] == "Order with this External ID already exists"
    old = {"external_id": "order-1", "recipient": TO, "items": [{"sync_variant_id": 1, "quantity": 1}]}
    old["items"] = [{"sync_variant_id": next(iter(customer.market.catalog.store_variants)), "quantity": 1}]
    assert (await customer.ask("POST", "/orders", old, status=400))["error"]["api_error_code"] == "OR-13"
    await customer.ask("DELETE", "/orders/@order-1")
    assert customer.status() == "canceled"
    await customer.draft(status=400)
    await customer.ask("DELETE", "/v2/orders/@order-1", status=204)
    await customer.draft()


async def test_a_draft_is_confirmed_once_and_only_with_its_costs(customer: Customer) -> None:
    made = (await customer.draft())["data"]
    order = customer.market.orders.find("@order-1")
    order.costs_ready_at = float("inf")
    assert (await customer.ask("GET", "/v2/orders/@order-1"))["data"]["costs"]["calculation_status"] == "calculating"
    await customer.ask("POST", "/v2/orders/@order-1/confirmation", status=409)
    order.costs_ready_at = 0.0
    await customer.ask("POST", f"/v2/orders/{made['id']}/confirmation")
    await customer.ask("POST", "/v2/orders/@order-1/confirmation", status=409)
    await customer.ask("DELETE", "/v2/orders/@order-1", status=409)


@pytest.mark.parametrize(
    "bad",
    [
        {"source": "sync"},
        {"catalog_variant_id": 1},
        {"quantity": 0},
        {"placements": []},
        {"placements": [{"placement": "front", "technique": "dtg", "layers": [{"type": "file", "url": "a.png"}]}]},
        {"retail_price": "much"},
    ],
)
async def test_items_that_cannot_be_made_are_refused(customer: Customer, bad: Json) -> None:
    await customer.draft("order-1", customer.item(**bad), status=400)
    assert customer.market.orders.orders == {}


async def test_orders_are_made_by_the_clock_in_parcels(customer: Customer) -> None:
    await customer.control({"accidents": {"split": 1}})
    await customer.submit("order-1", customer.item("a", 2), customer.item("b", 1))
    await until(lambda: customer.status() == "fulfilled")
    parcels = (await customer.ask("GET", "/v2/orders/@order-1/shipments"))["data"]
    assert len(parcels) == 2
    units: dict[str, int] = {}
    for item in (item for parcel in parcels for item in parcel["shipment_items"]):
        units[item["order_item_external_id"]] = units.get(item["order_item_external_id"], 0) + item["quantity"]
    assert units == {"a": 2, "b": 1}


async def test_the_control_room_holds_fails_and_returns(customer: Customer, ear: Ear) -> None:
    events = [{"type": "order_put_hold"}, {"type": "order_remove_hold"}]
    await customer.ask("POST", "/v2/webhooks", {"default_url": ear.url, "events": events})
    await customer.control({"accidents": {"hold": 1}})
    await customer.submit()
    await until(lambda: len(ear.heard) == 2)
    await until(lambda: customer.status() == "fulfilled")
    await customer.control({"order": "order-1", "do": "return", "reason": "Nobody was there."})
    (parcel,) = (await customer.ask("GET", "/v2/orders/@order-1/shipments"))["data"]
    assert parcel["shipment_status"] == "returned"
    await customer.control({"accidents": {"fail": 1, "hold": 0}})
    await customer.submit("order-2")
    await until(lambda: customer.status("order-2") == "failed")
    for wrong in (
        {"order": "order-9", "do": "hold"},
        {"order": "order-2", "do": "hold"},
        {"order": "order-2", "do": "burn"},
        {"order": "NO-SKU", "do": "out_of_stock"},
        {"accidents": {"fire": 1}},
        {"accidents": {"fail": 2}},
        {"channel": "square", "do": "hold"},
    ):
        assert (await customer.control(wrong, status=422))["error"]


async def test_what_is_out_of_stock_waits_and_is_told(customer: Customer, ear: Ear) -> None:
    variant = next(iter(customer.market.catalog.store_variants.values()))
    watched = [{"name": "products", "value": [{"id": variant.variant.product_id}]}]
    events = [{"type": "catalog_stock_updated", "params": watched}, {"type": "shipment_out_of_stock"}]
    await customer.ask("POST", "/v2/webhooks", {"default_url": ear.url, "events": events})
    await customer.control({"order": variant.sku, "do": "out_of_stock"})
    item = customer.item(catalog_variant_id=variant.variant.id)
    await customer.submit("order-1", item)
    await until(lambda: len(ear.heard) == 2)
    await customer.control({"order": variant.sku, "do": "back_in_stock"})
    await until(lambda: customer.status() == "fulfilled")
    await until(lambda: len(ear.heard) == 4)
    told = [(event["type"], event["data"]) for event in ear.events]
    assert [data[0]["availability"] for topic, data in told if topic == "catalog_stock_updated"] == [
        "out of stock",
        "in stock",
    ]


async def test_nobody_shops_there(customer: Customer) -> None:
    customer.running.sandbox.shoppers.start(5, 1000)
    await customer.running.sandbox.shoppers.wait()
    visited = {each.channel for each in customer.running.sandbox.world.journal.of(Requested)}
    assert "printful" not in visited
    reply = await customer.http.get(f"{customer.running.url}/_sandbox/judge")
    assert (reply.json()["printful_orders"], reply.json()["duplicate_printful_orders"]) == (0, 0)


async def test_where_only_services_are_nobody_can_shop() -> None:
    async with running(Config(products=2, channels=("printful",))) as serving:
        with pytest.raises(ValueError, match="no channel"):
            serving.sandbox.shoppers.start(1, 1)


async def test_the_bucket_is_leaky_and_says_so(customer: Customer) -> None:
    reply = await customer.http.get("/v2/oauth-scopes")
    assert reply.headers["x-ratelimit-limit"] == "120"
    assert float(reply.headers["x-ratelimit-remaining"]) >= 118
    customer.market.limit.take(customer.market.limit.available)
    customer.market.limit.refill_per_s = 0.5
    reply = await customer.http.get("/v2/oauth-scopes")
    assert reply.status_code == 429
    assert int(reply.headers["retry-after"]) >= 1


async def test_a_wrong_token_and_a_foreign_store_stay_outside(customer: Customer) -> None:
    reply = await customer.http.get("/v2/orders", headers={"authorization": "Bearer no"})
    assert reply.status_code == 401
    reply = await customer.http.get("/v2/orders", headers={"x-pf-store-id": "5"})
    assert reply.status_code == 403
    await customer.ask("GET", "/v2/nothing", status=404)


# ---- the judge ------------------------------------------------------------------------------------------------------


def submitted(order: str, *keys: str) -> Event:
    return MakingSubmitted(at=1, channel="printful", order_id=order, external_id=f"x{order}", keys=keys, units=1)


def withdrawn(order: str) -> Event:
    return MakingWithdrawn(at=2, channel="printful", order_id=order)


@pytest.mark.parametrize(
    ("events", "doubles"),
    [
        ([submitted("1", "a"), submitted("2", "b")], 0),
        ([submitted("1", "a"), submitted("1", "a")], 0),
        ([submitted("1", "a", "b"), submitted("2", "b", "c")], 1),
        ([submitted("1", "a"), submitted("2", "a"), submitted("3", "a")], 2),
        ([submitted("1", "a"), withdrawn("1"), submitted("2", "a")], 0),
        ([submitted("1", "a"), submitted("2", "a"), withdrawn("1")], 0),
        ([submitted("1", "a"), withdrawn("1"), submitted("1", "a"), submitted("2", "a")], 1),
        ([submitted("1"), submitted("2")], 0),
    ],
)
def test_doubles_are_counted_by_what_is_in_them(events: list[Event], doubles: int) -> None:
    assert figures(events, ["printful"])["duplicate_printful_orders"] == doubles
