"""The connector over real HTTP against the simulated shop: what it reads, writes and is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tests.connectors.http_api import HttpApi
from tests.connectors.shopify.test_contract import SPEC, variable_errors
from tests.connectors.specs import graphql_errors

from entrepot.channels.contract import (
    Call,
    ChannelListing,
    ChannelOrder,
    ChannelOrderStatus,
    Fulfilment,
    FulfilmentLine,
    QuantityBatch,
    QuantityChange,
    Reply,
    RequestRejected,
)
from entrepot.connectors.shopify import CONNECTOR, queries
from entrepot_sandbox.books import Buyer, Order, Sale
from entrepot_sandbox.marketplace import Marketplace
from entrepot_sandbox.server import Config, bind, running, server_of

BUYER = Buyer("Ada Byron King", "ada@example.com", "St James's Square 12", "London", "SW1Y 4JH", "GB")
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@dataclass
class Shop:
    """A connection to the simulated shop, and the shop itself, where shoppers buy."""

    api: HttpApi
    market: Marketplace
    skus: list[str]
    client_secret: str
    asked: list[Reply]

    def buy(self, *lines: tuple[str, int]) -> Order:
        order = self.market.place_order(Sale(lines, BUYER))
        assert order is not None
        return order

    async def listings(self) -> dict[str, ChannelListing]:
        found: dict[str, ChannelListing] = {}
        cursor: str | None = None
        while True:
            page = await CONNECTOR.pull_listings(self.api, cursor)
            found |= {listing.sku or "": listing for listing in page.items}
            if not page.more:
                return found
            cursor = page.cursor

    async def orders(self) -> dict[str, ChannelOrder]:
        found: dict[str, ChannelOrder] = {}
        cursor: str | None = None
        while True:
            page = await CONNECTOR.pull_orders(self.api, cursor)
            found |= {order.external_id: order for order in page.items}
            if not page.more:
                assert page.complete_until is not None
                return found
            cursor = page.cursor


def check_by_the_schema(call: Call, reply: Reply) -> None:
    assert call.body is not None
    sent = msgspec.json.decode(call.body)
    assert graphql_errors(SPEC, sent["query"]) == ()
    assert variable_errors(sent["query"], sent["variables"]) == []


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with running(Config(seed=5, products=120, channels=("shopify",), time_scale=50)) as sandbox:
        market = sandbox.sandbox.markets["shopify"]
        (account,) = market.accounts()
        asked: list[Reply] = []
        async with HttpApi(
            CONNECTOR,
            settings={**account.settings, "simulator_url": sandbox.url},
            credentials=account.credentials,
            checks=(check_by_the_schema, lambda call, reply: asked.append(reply)),
        ) as api:
            skus = list(sandbox.sandbox.world.products)
            shop = Shop(api, market, skus, account.credentials["client_secret"], asked)
            changes = tuple(setting(listing, 20) for listing in (await shop.listings()).values())
            receipt = await CONNECTOR.push_quantities(api, QuantityBatch("opening", changes, NOW))
            assert {result.outcome.value for result in receipt.results} == {"applied"}
            api.calls.clear()
            asked.clear()
            yield shop


def setting(listing: ChannelListing, to: int, was: int | None = None) -> QuantityChange:
    assert listing.quantity is not None
    return QuantityChange(listing.ref, listing.sku or "", to, listing.quantity if was is None else was)


async def test_the_check_is_content(shop: Shop) -> None:
    report = await CONNECTOR.check(shop.api)
    assert report.ok, report
    shop.api.credentials["access_token"] = "wrong"
    refused = await CONNECTOR.check(shop.api)
    assert not refused.ok
    assert "access token" in refused.summary


async def test_the_limit_is_learned_and_our_prices_suffice(shop: Shop) -> None:
    await shop.orders()
    await shop.listings()
    for call, reply in zip(shop.api.calls, shop.asked, strict=True):
        (reading,) = CONNECTOR.read_limits(call, reply)
        assert reading.available is not None
        cost = msgspec.json.decode(reply.body)["extensions"]["cost"]
        assert cost["requestedQueryCost"] <= call.cost


async def test_listings_are_all_there(shop: Shop) -> None:
    listings = await shop.listings()
    assert sorted(listings) == sorted(shop.skus)
    assert len(shop.api.calls) == -(-len(shop.skus) // queries.LISTINGS_A_PAGE)
    refs = [listing.ref for listing in listings.values()]
    shown = await CONNECTOR.read_quantities(shop.api, refs)
    assert {each.external_id: each.quantity for each in shown} == {
        listing.ref.external_id: listing.quantity for listing in listings.values()
    }


async def test_orders_come_with_all_their_lines_and_are_found_again(shop: Shop) -> None:
    listings = await shop.listings()
    placed = [shop.buy((sku, 1)) for sku in shop.skus[:20]]
    placed.append(shop.buy(*[(sku, 1) for sku in shop.skus[20:35]]))
    found = await shop.orders()
    assert set(found) == {order.id for order in placed}
    large = found[placed[-1].id]
    assert [line.sku for line in large.lines] == shop.skus[20:35]
    known = {listing.ref.external_id for listing in listings.values()}
    assert {line.external_variant_id for line in large.lines} <= known
    assert large.status is ChannelOrderStatus.OPEN
    again = await CONNECTOR.fetch_orders(shop.api, [placed[0].id, placed[-1].id, "999"])
    assert again == (found[placed[0].id], large)


async def test_a_cancellation_is_seen(shop: Shop) -> None:
    order = shop.buy((shop.skus[0], 2), (shop.skus[1], 1))
    before = (await shop.orders())[order.id]
    shop.market.cancel_order(order.id, None)
    after = (await shop.orders())[order.id]
    assert after.status is ChannelOrderStatus.CANCELLED
    assert all(line.cancelled == line.quantity for line in after.lines)
    assert after.version > before.version


async def test_a_part_cancelled_is_seen(shop: Shop) -> None:
    order = shop.buy((shop.skus[0], 2), (shop.skus[1], 1))
    shop.market.cancel_order(order.id, {order.lines[0].id: 1})
    found = (await shop.orders())[order.id]
    assert found.status is ChannelOrderStatus.OPEN
    assert [(line.quantity, line.cancelled) for line in found.lines] == [(2, 1), (1, 0)]


async def test_quantities_are_compared_and_set(shop: Shop) -> None:
    listings = await shop.listings()
    one, two, three = (listings[sku] for sku in shop.skus[:3])
    shop.buy((shop.skus[1], 1))
    assert two.quantity is not None
    batch = QuantityBatch("first", (setting(one, 40), setting(two, 41), setting(three, 42)), NOW)
    receipt = await CONNECTOR.push_quantities(shop.api, batch)
    assert [result.outcome.value for result in receipt.results] == ["applied", "stale", "applied"]
    shown = await CONNECTOR.read_quantities(shop.api, [one.ref, two.ref, three.ref])
    assert [each.quantity for each in shown] == [40, two.quantity - 1, 42]


async def test_a_batch_sent_twice_is_written_once(shop: Shop) -> None:
    listing = (await shop.listings())[shop.skus[0]]
    batch = QuantityBatch("once", (setting(listing, 40),), NOW)
    first = await CONNECTOR.push_quantities(shop.api, batch)
    shop.buy((shop.skus[0], 3))
    assert await CONNECTOR.push_quantities(shop.api, batch) == first
    (shown,) = await CONNECTOR.read_quantities(shop.api, [listing.ref])
    assert shown.quantity == 37


async def test_a_refused_batch_sent_twice_writes_nothing_twice(shop: Shop) -> None:
    listing = (await shop.listings())[shop.skus[0]]
    assert listing.quantity is not None
    batch = QuantityBatch("stale", (setting(listing, 40, listing.quantity + 1),), NOW)
    for _ in range(2):
        (result,) = (await CONNECTOR.push_quantities(shop.api, batch)).results
        assert result.outcome.value in ("stale", "unknown")
    (shown,) = await CONNECTOR.read_quantities(shop.api, [listing.ref])
    assert shown.quantity == listing.quantity


def parcel(order: ChannelOrder, units: list[int], tracking: str) -> Fulfilment:
    lines = tuple(
        FulfilmentLine(line.external_id, number) for line, number in zip(order.lines, units, strict=True) if number
    )
    return Fulfilment(order.external_id, f"key-{tracking}", "UPS", tracking, "", NOW, lines)


async def test_parcels_are_told_once_and_seen(shop: Shop) -> None:
    identifier = shop.buy((shop.skus[0], 2), (shop.skus[1], 1)).id
    order = (await shop.orders())[identifier]
    first = await CONNECTOR.push_fulfilment(shop.api, parcel(order, [1, 0], "1Z1"))
    assert await CONNECTOR.push_fulfilment(shop.api, parcel(order, [1, 0], "1Z1")) == first
    partly = (await shop.orders())[identifier]
    assert partly.status is ChannelOrderStatus.PARTLY_SHIPPED
    assert [line.shipped for line in partly.lines] == [1, 0]
    assert await CONNECTOR.push_fulfilment(shop.api, parcel(order, [1, 1], "1Z2")) != first
    done = (await shop.orders())[identifier]
    assert done.status is ChannelOrderStatus.SHIPPED
    assert [line.shipped for line in done.lines] == [2, 1]
    assert done.version > partly.version > order.version
    with pytest.raises(RequestRejected, match="left to ship"):
        await CONNECTOR.push_fulfilment(shop.api, parcel(order, [1, 0], "1Z3"))


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[str, asyncio.Queue[tuple[dict[str, str], bytes]]]]:
    bound, heard = bind(0), asyncio.Queue[tuple[dict[str, str], bytes]]()

    async def take(request: Request) -> Response:
        await heard.put((dict(request.headers), await request.body()))
        return Response(status_code=200)

    server = server_of(Starlette(routes=[Route("/in", take, methods=["POST"])]))
    task = asyncio.get_running_loop().create_task(server.serve([bound]))
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/in", heard
    finally:
        server.should_exit = True
        await task
        bound.close()


async def test_webhooks_tell_the_same_as_the_feed(shop: Shop) -> None:
    async with listening() as (url, heard):
        for _ in range(2):
            await CONNECTOR.subscribe_webhooks(shop.api, url)
        order = shop.buy((shop.skus[0], 2), (shop.skus[1], 1))
        shop.market.cancel_order(order.id, {order.lines[0].id: 1})
        listing = (await shop.listings())[shop.skus[0]]
        told: list[ChannelOrder] = []
        levels, events = set[int | None](), list[str]()
        async with asyncio.timeout(60):
            while len(told) < 2 or not levels:
                headers, body = await heard.get()
                assert CONNECTOR.verify_webhook(body, headers, url, shop.client_secret)
                assert not CONNECTOR.verify_webhook(body, headers, url, "another")
                event = CONNECTOR.parse_webhook(body, headers)
                events.append(event.event_id)
                told += [event.order] if event.order else []
                levels |= {each.quantity for each in event.quantities if each.keys.items() <= listing.ref.keys.items()}
        assert len(events) == len(set(events))
        feed = (await shop.orders())[order.id]
        assert max(told, key=lambda each: each.version) == feed
        await CONNECTOR.unsubscribe_webhooks(shop.api, url)
        shop.buy((shop.skus[2], 1))
        await asyncio.sleep(0.3)
        while not heard.empty():
            headers, body = heard.get_nowait()
            said = CONNECTOR.parse_webhook(body, headers)
            assert said.order is None or said.order.external_id == order.id


async def test_the_feed_goes_on_from_its_cursor(shop: Shop) -> None:
    first = shop.buy((shop.skus[0], 1))
    page = await CONNECTOR.pull_orders(shop.api, None)
    assert [order.external_id for order in page.items] == [first.id]
    second = shop.buy((shop.skus[1], 1))
    later = await CONNECTOR.pull_orders(shop.api, page.cursor)
    assert second.id in {order.external_id for order in later.items}
    assert page.complete_until is not None
    assert abs(datetime.now(UTC) - page.complete_until) < timedelta(days=2)
