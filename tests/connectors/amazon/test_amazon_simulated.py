"""The Amazon connector against the simulated Amazon over real HTTP, both held to the official specifications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.connectors.amazon.given import check_answer
from tests.connectors.http_api import HttpApi

from entrepot.channels.contract import (
    ChannelListing,
    ChannelOrder,
    ChannelOrderStatus,
    CredentialsRejected,
    Fulfilment,
    FulfilmentLine,
    ListingRef,
    PushOutcome,
    PushResult,
    QuantityBatch,
    QuantityChange,
    RequestRejected,
)
from entrepot.connectors.amazon import CONNECTOR
from entrepot.connectors.amazon.manifest import PATCHES_MAX
from entrepot_sandbox.books import Buyer, Sale
from entrepot_sandbox.server import Config, Running, running

FASTER = 600.0
"""How many times faster the simulated Amazon is: its two minutes of feed lag take a fifth of a second."""


@pytest.fixture
async def amazon() -> AsyncIterator[Running]:
    async with running(Config(seed=6, products=60, channels=("amazon",), time_scale=FASTER)) as sandbox:
        yield sandbox


@pytest.fixture
async def api(amazon: Running) -> AsyncIterator[HttpApi]:
    account = amazon.sandbox.markets["amazon"].accounts()[0]
    settings = {**account.settings, "simulator_url": amazon.url}
    async with HttpApi(CONNECTOR, settings=settings, credentials=account.credentials, checks=(check_answer,)) as api:
        token = await CONNECTOR.refresh_token(api, api.credentials)
        assert token.expires_at > datetime.now(UTC) + timedelta(minutes=50)
        api.credentials["access_token"] = token.access_token
        yield api


async def listings(api: HttpApi) -> list[ChannelListing]:
    page = await CONNECTOR.pull_listings(api, None)
    found = [*page.items]
    while page.more:
        page = await CONNECTOR.pull_listings(api, page.cursor)
        found += page.items
    return found


def changes(some: list[ChannelListing], *units: int) -> tuple[QuantityChange, ...]:
    pairs = zip(some, units, strict=False)
    return tuple(QuantityChange(each.ref, each.sku or "", to, each.quantity) for each, to in pairs)


async def shows(api: HttpApi, expected: dict[str, int]) -> dict[str, int | None]:
    """Return what the listings show, as soon as that is what is expected, or at last."""
    refs = [ListingRef(sku) for sku in expected]
    for _ in range(50):
        shown = {each.external_id: each.quantity for each in await CONNECTOR.read_quantities(api, refs)}
        if shown == expected:
            break
        await asyncio.sleep(0.05)
    return shown


async def stocked(api: HttpApi) -> list[ChannelListing]:
    """Put 20 units on three listings and return them."""
    some = (await listings(api))[:3]
    receipt = await CONNECTOR.push_quantities(
        api, QuantityBatch("opening", changes(some, 20, 20, 20), datetime.now(UTC))
    )
    assert {each.outcome for each in receipt.results} == {PushOutcome.APPLIED}
    expected = {each.sku or "": 20 for each in some}
    assert await shows(api, expected) == expected
    return [replace(each, quantity=20) for each in some]


def sell(amazon: Running, *lines: tuple[ChannelListing, int]) -> str:
    """Have a shopper buy these units; return the order's id."""
    wanted = tuple((listing.sku or "", units) for listing, units in lines)
    buyer = Buyer("Ada Byron", "ada@example.com", "1 Mill Lane", "Leeds", "LS1 1AA", "GB")
    order = amazon.sandbox.markets["amazon"].place_order(Sale(wanted, buyer))
    assert order is not None
    return order.id


async def order_when(api: HttpApi, order_id: str, status: ChannelOrderStatus) -> ChannelOrder:
    """Return the order as soon as it has the status, or at last."""
    for _ in range(60):
        (order,) = await CONNECTOR.fetch_orders(api, [order_id])
        if order.status is status:
            break
        await asyncio.sleep(0.1)
    assert order.status is status
    return order


async def test_the_account_is_found_and_a_wrong_token_is_not(api: HttpApi) -> None:
    report = await CONNECTOR.check(api)
    assert report.ok, report
    with pytest.raises(CredentialsRejected):
        await CONNECTOR.refresh_token(api, {**api.credentials, "refresh_token": "wrong"})
    api.credentials["access_token"] = "wrong"
    assert not (await CONNECTOR.check(api)).ok


async def test_listings_come_over_many_pages(amazon: Running, api: HttpApi) -> None:
    found = await listings(api)
    books = {product.sku: product for product in amazon.sandbox.world.products.values()}
    assert len(found) == 60
    assert {each.sku for each in found} == books.keys()
    for each in found:
        assert each.quantity is not None
        assert each.price == books[each.sku or ""].price


async def test_a_few_quantities_are_patched_and_read_back(api: HttpApi) -> None:
    first, second, third = await stocked(api)
    gone = QuantityChange(ListingRef("NO-SUCH-SKU"), "NO-SUCH-SKU", 5, 1)
    batch = QuantityBatch("batch-1", (*changes([first, second], 7, 0), gone), datetime.now(UTC))
    for _ in range(2):
        receipt = await CONNECTOR.push_quantities(api, batch)
        outcomes = {each.external_id: each.outcome for each in receipt.results}
        assert outcomes == {
            first.sku: PushOutcome.APPLIED,
            second.sku: PushOutcome.APPLIED,
            "NO-SUCH-SKU": PushOutcome.REFUSED,
        }
    expected = {first.sku or "": 7, second.sku or "": 0, third.sku or "": 20}
    assert await shows(api, expected) == expected
    (unknown,) = await CONNECTOR.read_quantities(api, [ListingRef("NO-SUCH-SKU")])
    assert unknown.quantity is None


async def test_many_quantities_go_by_feed_to_its_end(api: HttpApi) -> None:
    some = (await listings(api))[: PATCHES_MAX + 5]
    gone = QuantityChange(ListingRef("NO-SUCH-SKU"), "NO-SUCH-SKU", 5, 1)
    units = range(1, len(some) + 1)
    batch = QuantityBatch("batch-2", (*changes(some, *units), gone), datetime.now(UTC))
    receipt = await CONNECTOR.push_quantities(api, batch)
    assert {each.outcome for each in receipt.results} == {PushOutcome.PENDING}
    assert receipt.handle is not None
    ended: tuple[PushResult, ...] | None = None
    for _ in range(100):
        ended = await CONNECTOR.follow_push(api, receipt.handle)
        if ended is not None:
            break
        await asyncio.sleep(0.05)
    assert ended is not None
    assert {each.external_id for each in ended} == {change.ref.external_id for change in batch.changes}
    refused = [each for each in ended if each.outcome is PushOutcome.REFUSED]
    assert [each.external_id for each in refused] == ["NO-SUCH-SKU"]
    assert refused[0].detail
    assert sum(each.outcome is PushOutcome.APPLIED for each in ended) == len(some)
    expected = {listing.sku or "": number for listing, number in zip(some, units, strict=True)}
    assert await shows(api, expected) == expected


async def test_orders_are_pulled_up_to_what_amazon_covers(amazon: Running, api: HttpApi) -> None:
    first, second, _ = await stocked(api)
    order_ids = {sell(amazon, (first, 1)), sell(amazon, (first, 2), (second, 3))}
    sold_at = amazon.sandbox.world.clock.now("amazon")
    found: dict[str, ChannelOrder] = {}
    cursor: str | None = None
    for _ in range(18):
        page = await CONNECTOR.pull_orders(api, cursor)
        cursor = page.cursor
        found |= {order.external_id: order for order in page.items}
        if page.complete_until is not None and page.complete_until > sold_at:
            # Though payments went on meanwhile: searched by creation, nothing hides.
            assert found.keys() == order_ids
            break
        await asyncio.sleep(0.4)
    assert found.keys() == order_ids
    big = next(order for order in found.values() if len(order.lines) == 2)
    assert {line.sku: line.quantity for line in big.lines} == {first.sku: 2, second.sku: 3}
    assert all(len(order.currency) == 3 for order in found.values())
    assert await CONNECTOR.fetch_orders(api, ["026-0000000-0000000"]) == ()


async def test_a_cancelled_order_claims_nothing_more(amazon: Running, api: HttpApi) -> None:
    listing, *_ = await stocked(api)
    order_id = sell(amazon, (listing, 2))
    (before,) = await CONNECTOR.fetch_orders(api, [order_id])
    assert before.lines[0].cancelled == 0
    amazon.sandbox.markets["amazon"].cancel_order(order_id)
    (after,) = await CONNECTOR.fetch_orders(api, [order_id])
    assert after.status is ChannelOrderStatus.CANCELLED
    assert after.version > before.version
    assert [(line.quantity, line.cancelled) for line in after.lines] == [(2, 2)]


async def test_units_cancelled_in_part_are_told_by_line(amazon: Running, api: HttpApi) -> None:
    first, second, _ = await stocked(api)
    order_id = sell(amazon, (first, 3), (second, 1))
    (before,) = await CONNECTOR.fetch_orders(api, [order_id])
    amazon.sandbox.markets["amazon"].cancel_order(order_id, {before.lines[0].external_id: 2})
    (after,) = await CONNECTOR.fetch_orders(api, [order_id])
    assert [(line.quantity, line.cancelled) for line in after.lines] == [(3, 2), (1, 0)]
    assert after.status is not ChannelOrderStatus.CANCELLED


async def test_parcels_are_told_once(amazon: Running, api: HttpApi) -> None:
    first, second, _ = await stocked(api)
    order_id = sell(amazon, (first, 2), (second, 1))
    order = await order_when(api, order_id, ChannelOrderStatus.OPEN)
    uids = {line.sku: line.external_id for line in order.lines}

    def parcel(key: str, sku: str | None, units: int) -> Fulfilment:
        lines = (FulfilmentLine(uids[sku], units),)
        return Fulfilment(order_id, key, "DHL", f"T-{key}", "", datetime.now(UTC), lines)

    told = [await CONNECTOR.push_fulfilment(api, parcel("P1", first.sku, 2)) for _ in range(2)]
    assert told[0] == told[1]
    (partly,) = await CONNECTOR.fetch_orders(api, [order_id])
    assert partly.status is ChannelOrderStatus.PARTLY_SHIPPED
    await CONNECTOR.push_fulfilment(api, parcel("P2", second.sku, 1))
    assert await CONNECTOR.push_fulfilment(api, parcel("P1", first.sku, 2)) == told[0]
    (done,) = await CONNECTOR.fetch_orders(api, [order_id])
    assert done.status is ChannelOrderStatus.SHIPPED
    assert all(line.shipped == line.quantity for line in done.lines)
    with pytest.raises(RequestRejected):
        await CONNECTOR.push_fulfilment(api, parcel("P3", first.sku, 1))
