"""The Square connector against the simulated Square over real HTTP, both held to the official specification."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.connectors.http_api import HttpApi
from tests.connectors.listener import listening
from tests.connectors.specs import openapi

from entrepot.channels.contract import (
    Call,
    ChannelListing,
    ChannelOrder,
    ChannelOrderStatus,
    CredentialsRejected,
    Fulfilment,
    FulfilmentLine,
    ListingRef,
    PushOutcome,
    QuantityBatch,
    QuantityChange,
    Reply,
)
from entrepot.connectors.square import CONNECTOR
from entrepot_sandbox.books import Buyer, Sale
from entrepot_sandbox.server import Config, Running, running

SPEC = "square/api-2025-08-20.patched.json"


def check(call: Call, answer: Reply) -> None:
    openapi(SPEC).check_call(call)
    openapi(SPEC).check_reply(call, answer)


@pytest.fixture
async def square() -> AsyncIterator[Running]:
    async with running(Config(seed=5, products=105, channels=("square",))) as sandbox:
        yield sandbox


@pytest.fixture
async def api(square: Running) -> AsyncIterator[HttpApi]:
    account = square.sandbox.markets["square"].accounts()[0]
    settings = {**account.settings, "simulator_url": square.url}
    async with HttpApi(CONNECTOR, settings=settings, credentials=account.credentials, checks=(check,)) as api:
        yield api


async def listings(api: HttpApi) -> list[ChannelListing]:
    page = await CONNECTOR.pull_listings(api, None)
    found = [*page.items]
    while page.more:
        page = await CONNECTOR.pull_listings(api, page.cursor)
        found += page.items
    return found


async def orders(api: HttpApi) -> list[ChannelOrder]:
    page = await CONNECTOR.pull_orders(api, None)
    assert page.complete_until is not None
    assert page.complete_until < datetime.now(UTC) + timedelta(seconds=5)
    return [*page.items]


async def stocked(api: HttpApi, count: int = 3, units: int = 20) -> list[ChannelListing]:
    """Put stock on some listings and return them as they are then."""
    some = (await listings(api))[:count]
    changes = tuple(moved(each, units, each.quantity or 0) for each in some)
    await CONNECTOR.push_quantities(api, QuantityBatch("opening", changes, datetime.now(UTC)))
    return [replace(each, quantity=units) for each in some]


def sell(square: Running, *lines: tuple[ChannelListing, int]) -> str:
    """Have a shopper buy these units; return the order's id."""
    wanted = tuple((listing.sku or "", units) for listing, units in lines)
    buyer = Buyer("Ada Byron", "ada@example.com", "1 Mill Lane", "Leeds", "LS1 1AA", "GB")
    order = square.sandbox.markets["square"].place_order(Sale(wanted, buyer))
    assert order is not None
    return order.id


def moved(listing: ChannelListing, to: int, frm: int) -> QuantityChange:
    return QuantityChange(listing.ref, listing.sku or "", to, frm)


async def test_the_account_is_found_and_a_wrong_token_is_not(api: HttpApi) -> None:
    report = await CONNECTOR.check(api)
    assert report.ok, report
    api.credentials["access_token"] = "wrong"
    report = await CONNECTOR.check(api)
    assert not report.ok
    with pytest.raises(CredentialsRejected):
        await CONNECTOR.pull_listings(api, None)


async def test_listings_come_with_their_stock_over_two_pages(square: Running, api: HttpApi) -> None:
    found = await listings(api)
    books = {product.sku: product for product in square.sandbox.world.products.values()}
    assert {each.sku for each in found} == books.keys()
    assert len(found) == 105
    for each in found:
        assert each.active
        assert each.quantity is not None
        assert each.price == books[each.sku or ""].price


async def test_a_batch_sent_twice_moves_the_stock_once(api: HttpApi) -> None:
    first, second, third = await stocked(api)
    changes = (moved(first, 27, 20), moved(second, 19, 20), moved(third, 20, 20))
    batch = QuantityBatch("batch-1", changes, datetime.now(UTC))
    receipts = [await CONNECTOR.push_quantities(api, batch) for _ in range(2)]
    assert receipts[0] == receipts[1]
    assert {each.outcome for each in receipts[0].results} == {PushOutcome.APPLIED}
    refs = [first.ref, second.ref, third.ref, ListingRef("NO-SUCH-THING")]
    shown = await CONNECTOR.read_quantities(api, refs)
    assert [each.quantity for each in shown] == [27, 19, 20, None]


async def test_a_sale_in_between_is_kept_by_the_difference(square: Running, api: HttpApi) -> None:
    listing, *_ = await stocked(api, 1)
    sell(square, (listing, 4))
    batch = QuantityBatch("batch-2", (moved(listing, 23, 20),), datetime.now(UTC))
    receipt = await CONNECTOR.push_quantities(api, batch)
    assert receipt.results[0].reported == 19


async def test_an_unknown_variation_does_not_stop_its_neighbours(api: HttpApi) -> None:
    first, second = await stocked(api, 2)
    gone = QuantityChange(ListingRef("NOSUCHVARIATION@HERE"), "GONE", 5, 0)
    batch = QuantityBatch("batch-3", (moved(first, 21, 20), gone, moved(second, 22, 20)), datetime.now(UTC))
    receipt = await CONNECTOR.push_quantities(api, batch)
    assert [each.outcome.value for each in receipt.results] == ["applied", "refused", "applied"]
    shown = await CONNECTOR.read_quantities(api, [first.ref, second.ref])
    assert [each.quantity for each in shown] == [21, 22]


async def test_a_batch_of_yesterday_has_an_unknown_outcome(api: HttpApi) -> None:
    first, *_ = await listings(api)
    old = datetime.now(UTC) - timedelta(hours=25)
    receipt = await CONNECTOR.push_quantities(api, QuantityBatch("batch-4", (moved(first, 9, 1),), old))
    assert [(each.outcome, each.code) for each in receipt.results] == [(PushOutcome.UNKNOWN, "INVALID_TIME")]


async def test_orders_are_pulled_and_fetched_alike(square: Running, api: HttpApi) -> None:
    first, second, _ = await stocked(api)
    ids = [sell(square, (first, 1)), sell(square, (first, 2), (second, 3))]
    pulled = await orders(api)
    found = {order.external_id: order for order in pulled}
    assert sorted(found) == sorted(ids)
    assert [(line.external_variant_id, line.quantity) for line in found[ids[1]].lines] == [
        (first.ref.external_id, 2),
        (second.ref.external_id, 3),
    ]
    for order in pulled:
        assert order.status is ChannelOrderStatus.OPEN
        assert order.ship_to is not None
    fetched = await CONNECTOR.fetch_orders(api, [*ids, "no-such-order"])
    assert {order.external_id: order for order in fetched} == found
    later = await CONNECTOR.pull_orders(api, (await CONNECTOR.pull_orders(api, None)).cursor)
    assert {order.external_id for order in later.items} == set(ids)


async def test_a_cancelled_order_claims_nothing_more(square: Running, api: HttpApi) -> None:
    listing, *_ = await stocked(api)
    order_id = sell(square, (listing, 2))
    (before,) = await orders(api)
    square.sandbox.markets["square"].cancel_order(order_id)
    (after,) = await orders(api)
    assert after.status is ChannelOrderStatus.CANCELLED
    assert after.version > before.version
    assert [(line.quantity, line.cancelled) for line in after.lines] == [(2, 2)]


async def test_parcels_are_told_once_and_the_last_one_completes_the_order(square: Running, api: HttpApi) -> None:
    first, second, _ = await stocked(api)
    order_id = sell(square, (first, 2), (second, 1))
    (order,) = await orders(api)
    uids = [line.external_id for line in order.lines]

    def parcel(key: str, uid: str, units: int) -> Fulfilment:
        return Fulfilment(order_id, key, "An Post", f"T-{key}", "", datetime.now(UTC), (FulfilmentLine(uid, units),))

    told = [await CONNECTOR.push_fulfilment(api, parcel("P1", uids[0], 2)) for _ in range(2)]
    assert told[0] == told[1]
    (still,) = await CONNECTOR.fetch_orders(api, [order_id])
    assert still.status is ChannelOrderStatus.OPEN
    assert still.version == order.version + 1
    await CONNECTOR.push_fulfilment(api, parcel("P2", uids[1], 1))
    assert await CONNECTOR.push_fulfilment(api, parcel("P1", uids[0], 2)) == told[0]
    (done,) = await CONNECTOR.fetch_orders(api, [order_id])
    assert done.status is ChannelOrderStatus.SHIPPED
    assert all(line.shipped == line.quantity for line in done.lines)


async def test_webhooks_are_signed_with_the_key_that_subscribing_learns(square: Running, api: HttpApi) -> None:
    listing, *_ = await stocked(api, 1)
    async with listening() as listener:
        learned = await CONNECTOR.subscribe_webhooks(api, listener.url)
        assert await CONNECTOR.subscribe_webhooks(api, listener.url) == learned
        order_id = sell(square, (listing, 2))
        deliveries = await listener.until(2)
        seen = set()
        for each in deliveries:
            key = learned["signature_key"]
            assert CONNECTOR.verify_webhook(each.body, each.headers, listener.url, key)
            assert not CONNECTOR.verify_webhook(each.body, each.headers, listener.url + "/", key)
            event = CONNECTOR.parse_webhook(each.body, each.headers)
            seen.add(event.topic)
            if event.topic.startswith("order."):
                assert event.order_ids == (order_id,)
            else:
                refs = [ListingRef(quantity.external_id) for quantity in event.quantities]
                assert event.quantities == await CONNECTOR.read_quantities(api, refs)
        assert seen == {"order.created", "inventory.count.updated"}
        await CONNECTOR.unsubscribe_webhooks(api, listener.url)
        assert await CONNECTOR.subscribe_webhooks(api, listener.url) != learned


async def test_a_broken_subscription_is_repaired_not_doubled(api: HttpApi) -> None:
    url = "https://hub.example/webhooks/in"
    learned = await CONNECTOR.subscribe_webhooks(api, url)
    made = api.calls[-1]
    await api.send(replace(made, body=(made.body or b"").replace(b'"idempotency_key":"', b'"idempotency_key":"x')))
    assert await CONNECTOR.subscribe_webhooks(api, url) == learned
    before = len(api.calls)
    await CONNECTOR.unsubscribe_webhooks(api, url)
    assert [call.method for call in api.calls[before:]] == ["GET", "DELETE"]
