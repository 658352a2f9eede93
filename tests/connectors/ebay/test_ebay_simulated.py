"""The eBay connector against the simulated eBay over real HTTP, both held to the official specifications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from tests.connectors.ebay.given import check_answer
from tests.connectors.http_api import HttpApi
from tests.connectors.listener import listening

from entrepot.channels.contract import (
    ChannelListing,
    ChannelOrder,
    ChannelOrderStatus,
    CredentialsRejected,
    Fulfilment,
    FulfilmentLine,
    ListingRef,
    Payout,
    PushOutcome,
    QuantityBatch,
    QuantityChange,
    QuotaExhausted,
    RefundLine,
    RefundRequest,
    RequestRejected,
    SettlementKind,
    SettlementLine,
)
from entrepot.connectors.ebay import CONNECTOR
from entrepot_sandbox.books import Buyer, Order, Sale
from entrepot_sandbox.ebay.market import Ebay
from entrepot_sandbox.journal import QuantityWritten
from entrepot_sandbox.server import Config, Running, running

BUYER = Buyer("Ada Byron", "ada@example.com", "1 Mill Lane", "Leeds", "LS1 1AA", "GB")
T = TypeVar("T")


@pytest.fixture
async def ebay() -> AsyncIterator[Running]:
    async with running(Config(seed=5, products=60, channels=("ebay",), time_scale=200)) as sandbox:
        yield sandbox


@pytest.fixture
async def api(ebay: Running) -> AsyncIterator[HttpApi]:
    account = ebay.sandbox.markets["ebay"].accounts()[0]
    settings = {**account.settings, "simulator_url": ebay.url}
    async with HttpApi(CONNECTOR, settings=settings, credentials=account.credentials, checks=(check_answer,)) as api:
        token = await CONNECTOR.refresh_token(api, api.credentials)
        api.credentials |= {**token.credentials, "access_token": token.access_token}
        yield api


def market(ebay: Running) -> Ebay:
    found = ebay.sandbox.markets["ebay"]
    assert isinstance(found, Ebay)
    return found


async def until(read: Callable[[], Awaitable[T]], true: Callable[[T], bool]) -> T:
    """Read until it is so: the search shows an order a little late."""
    for _ in range(200):
        found = await read()
        if true(found):
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"it does not come to be so: {found}")


async def listings(api: HttpApi) -> list[ChannelListing]:
    page = await CONNECTOR.pull_listings(api, None)
    found = [*page.items]
    while page.more:
        page = await CONNECTOR.pull_listings(api, page.cursor)
        found += page.items
    return found


async def orders(api: HttpApi) -> dict[str, ChannelOrder]:
    page = await CONNECTOR.pull_orders(api, None)
    return {order.external_id: order for order in page.items}


async def stocked(api: HttpApi, count: int = 3, units: int = 20) -> list[ChannelListing]:
    some = (await listings(api))[:count]
    changes = tuple(QuantityChange(each.ref, each.sku or "", units, 0) for each in some)
    receipt = await CONNECTOR.push_quantities(api, QuantityBatch("opening", changes, datetime.now(UTC)))
    assert {each.outcome for each in receipt.results} == {PushOutcome.APPLIED}
    return [replace(each, quantity=units) for each in some]


def sell(ebay: Running, *lines: tuple[ChannelListing, int]) -> Order:
    wanted = tuple((listing.sku or "", units) for listing, units in lines)
    order = market(ebay).place_order(Sale(wanted, BUYER))
    assert order is not None
    if order.extra.pop("paying", None):
        market(ebay)._paid(order)
    return order


async def test_the_account_is_found_and_a_wrong_token_is_not(api: HttpApi) -> None:
    report = await CONNECTOR.check(api)
    assert report.ok, report
    assert "60 inventory items" in report.details
    api.credentials["access_token"] = api.credentials["application_token"]
    assert not (await CONNECTOR.check(api)).ok
    with pytest.raises(CredentialsRejected):
        await CONNECTOR.pull_listings(api, None)


async def test_a_seller_agrees_and_the_code_is_good_once(ebay: Running, api: HttpApi) -> None:
    state = market(ebay).state
    query = {"client_id": state.client_id, "redirect_uri": "Kiln-Runame", "response_type": "code", "scope": "x"}
    async with httpx.AsyncClient(trust_env=False) as client:
        led = await client.get(f"{ebay.url}/ebay/oauth2/authorize", params=query)
    code = dict(parse_qsl(urlsplit(led.headers["location"]).query))["code"]
    entered = {**api.credentials, "refresh_token": "", "authorization_code": code}
    api._settings = {**api.settings, "ru_name": "Kiln-Runame"}  # type: ignore[attr-defined]
    token = await CONNECTOR.refresh_token(api, entered)
    assert token.credentials["refresh_token"] == state.refresh_token
    with pytest.raises(CredentialsRejected):
        await CONNECTOR.refresh_token(api, entered)


async def test_listings_come_with_offers_over_two_pages(ebay: Running, api: HttpApi) -> None:
    found = await listings(api)
    books = ebay.sandbox.world.products
    assert {each.sku for each in found} == books.keys()
    for each in found:
        assert (each.active, each.quantity, each.price) == (True, 0, books[each.sku or ""].price)


async def test_a_quantity_is_written_whole_and_overwrites_what_sold(ebay: Running, api: HttpApi) -> None:
    first, second, third = await stocked(api)
    sell(ebay, (first, 4))
    gone = QuantityChange(ListingRef("NO-SUCH", {"offer_id": "1"}), "NO-SUCH", 5, 0)
    changes = (QuantityChange(first.ref, "", 18, 20), gone, QuantityChange(second.ref, "", 0, 20))
    receipt = await CONNECTOR.push_quantities(api, QuantityBatch("b", changes, datetime.now(UTC)))
    assert [each.outcome.value for each in receipt.results] == ["applied", "refused", "applied"]
    refs = [first.ref, second.ref, third.ref, ListingRef("NO-SUCH")]
    assert [each.quantity for each in await CONNECTOR.read_quantities(api, refs)] == [18, 0, 20, None]
    written = [each for each in ebay.sandbox.world.journal.of(QuantityWritten) if each.sku == first.sku]
    assert [(each.before, each.after) for each in written] == [(0, 20), (16, 18)], "the four sold are written over"


async def test_orders_are_found_by_search_and_by_id(ebay: Running, api: HttpApi) -> None:
    first, second, _ = await stocked(api)
    one, two = sell(ebay, (first, 1)), sell(ebay, (first, 2), (second, 3))
    found = await until(lambda: orders(api), lambda found: len(found) == 2)
    assert [(line.sku, line.quantity) for line in found[two.id].lines] == [(first.sku, 2), (second.sku, 3)]
    assert found[one.id].status is ChannelOrderStatus.OPEN
    assert found[one.id].buyer_name == "Ada Byron"
    fetched = await CONNECTOR.fetch_orders(api, [one.id, two.id, "99-00000-00000"])
    assert {order.external_id: order for order in fetched} == found
    page = await CONNECTOR.pull_orders(api, None)
    assert page.complete_until is not None
    assert page.complete_until < datetime.now(UTC) - timedelta(seconds=8)
    again = await CONNECTOR.pull_orders(api, page.cursor)
    assert again.complete_until is None
    assert {order.external_id for order in again.items} == {one.id, two.id}, "by change"


async def test_an_unpaid_order_claims_its_units_and_a_cancelled_one_none(ebay: Running, api: HttpApi) -> None:
    first, *_ = await stocked(api)
    order = sell(ebay, (first, 2))
    order.extra["paying"] = "yes"
    (unpaid,) = await CONNECTOR.fetch_orders(api, [order.id])
    assert unpaid.status is ChannelOrderStatus.PENDING
    del order.extra["paying"]
    assert market(ebay).cancel_order(order.id, {order.lines[0].id: 1}) == 0, "whole or not at all"
    assert market(ebay).cancel_order(order.id) == 2
    (cancelled,) = await CONNECTOR.fetch_orders(api, [order.id])
    assert cancelled.status is ChannelOrderStatus.CANCELLED
    assert cancelled.version > unpaid.version
    assert [(line.quantity, line.cancelled) for line in cancelled.lines] == [(2, 2)]
    assert "fully refunded" in cancelled.channel_status
    assert (await CONNECTOR.read_quantities(api, [first.ref]))[0].quantity == 20


async def test_parcels_are_told_once_and_a_part_is_counted(ebay: Running, api: HttpApi) -> None:
    first, second, _ = await stocked(api)
    order = sell(ebay, (first, 3), (second, 1))
    lines = [line.id for line in order.lines]

    def parcel(key: str, line_id: str, units: int) -> Fulfilment:
        return Fulfilment(order.id, key, "DHL", f"JD-{key}", "", datetime.now(UTC), (FulfilmentLine(line_id, units),))

    told = [await CONNECTOR.push_fulfilment(api, parcel("P1", lines[0], 2)) for _ in range(2)]
    assert told == ["JDP1", "JDP1"]
    assert len(order.parcels) == 1
    (partly,) = await CONNECTOR.fetch_orders(api, [order.id])
    assert partly.status is ChannelOrderStatus.PARTLY_SHIPPED
    assert [(line.quantity, line.shipped) for line in partly.lines] == [(3, 2), (1, 0)]
    await CONNECTOR.push_fulfilment(api, parcel("P2", lines[0], 1))
    await CONNECTOR.push_fulfilment(api, parcel("P3", lines[1], 1))
    (done,) = await CONNECTOR.fetch_orders(api, [order.id])
    assert done.status is ChannelOrderStatus.SHIPPED
    with pytest.raises(RequestRejected):
        await CONNECTOR.push_fulfilment(api, parcel("P4", lines[1], 1))


async def test_a_refund_asked_twice_is_given_once(ebay: Running, api: HttpApi) -> None:
    first, *_ = await stocked(api)
    order = sell(ebay, (first, 2))
    amount = Decimal("3.50")
    asked = RefundRequest(order.id, "R1", amount, order.currency, (RefundLine(order.lines[0].id, amount),))
    results = [await CONNECTOR.refund(api, asked) for _ in range(2)]
    assert results[0].external_id == results[1].external_id
    assert market(ebay).ledger.refunded(order.id) == amount
    more = replace(asked, idempotency_key="R2", known_refund_ids=(results[0].external_id,))
    assert (await CONNECTOR.refund(api, more)).external_id != results[0].external_id
    assert market(ebay).ledger.refunded(order.id) == 2 * amount
    with pytest.raises(RequestRejected, match="does not know"):
        await CONNECTOR.refund(api, replace(more, amount=Decimal("1.00"), lines=()))
    known = tuple(each.id for each in market(ebay).ledger.refunds_of(order.id))
    with pytest.raises(RequestRejected, match="exceeds"):
        await CONNECTOR.refund(api, replace(more, amount=Decimal(10_000), lines=(), known_refund_ids=known))


async def test_the_statement_adds_up_to_the_payout(ebay: Running, api: HttpApi) -> None:
    first, second, _ = await stocked(api)
    sold = [sell(ebay, (first, 1)), sell(ebay, (second, 2))]
    asked = RefundRequest(sold[0].id, "R1", Decimal("2.00"), sold[0].currency)
    await CONNECTOR.refund(api, asked)
    # The day's transfer, five seconds ago.
    ledger = market(ebay).ledger
    for booking in ledger.bookings:
        booking.at -= timedelta(seconds=10)
    ledger.next_payout_at = datetime.now(UTC) - timedelta(seconds=5)
    lines: dict[str, SettlementLine] = {}
    payouts: list[Payout] = []
    cursor: str | None = None
    for _ in range(20):
        page = await CONNECTOR.pull_settlements(api, cursor)
        for item in page.items:
            if isinstance(item, Payout):
                payouts.append(item)
            else:
                lines[item.external_id] = item
        cursor = page.cursor
        if not page.more:
            break
    (payout,) = payouts
    assert {line.payout_id for line in lines.values()} == {payout.external_id}
    assert payout.line_count == len(lines) == 3
    assert sum((line.amount for line in lines.values()), Decimal(0)) == payout.amount
    kinds = sorted(line.kind for line in lines.values())
    assert kinds == [SettlementKind.REFUND, SettlementKind.SALE, SettlementKind.SALE]
    paid = sum((order.total for order in sold), Decimal(0))
    assert sum((line.gross for line in lines.values()), Decimal(0)) == paid - Decimal("2.00")
    again = await CONNECTOR.pull_settlements(api, cursor)
    assert {item.external_id for item in again.items} == lines.keys(), "it reaches back, and changes nothing"
    for item in again.items:
        assert item == lines[item.external_id]


async def test_a_used_up_day_is_told_from_a_burst(ebay: Running, api: HttpApi) -> None:
    quota = market(ebay).state.quotas["fulfillment"]
    await CONNECTOR.pull_orders(api, None)
    quota.limit = quota.used
    with pytest.raises(QuotaExhausted) as caught:
        await CONNECTOR.pull_orders(api, None)
    assert caught.value.back_at is not None
    assert quota.resets_at is not None
    assert abs(caught.value.back_at - quota.resets_at) < timedelta(seconds=1)
    await listings(api)


async def test_what_a_category_asks_for(api: HttpApi) -> None:
    rules = await CONNECTOR.read_listing_rules(api, "20685")
    named = {each.name: each for each in rules.attributes}
    assert {"condition", "Material", "Colour"} <= named.keys()
    assert named["Colour"].choices == ("Blue", "Green", "Natural")
    assert named["Material"].values_max > 1
    for unknown in ("1", "mugs"):
        with pytest.raises(RequestRejected):
            await CONNECTOR.read_listing_rules(api, unknown)


async def test_notifications_come_signed_to_an_address_that_has_proved_itself(ebay: Running, api: HttpApi) -> None:
    listing, *_ = await stocked(api, 1)
    secret = api.credentials["client_secret"]
    async with listening() as listener:
        with pytest.raises(RequestRejected, match="proof"):
            await CONNECTOR.subscribe_webhooks(api, listener.url)
        listener.answer = lambda query: CONNECTOR.webhook_challenge(query, listener.url, secret)
        for _ in range(2):
            assert await CONNECTOR.subscribe_webhooks(api, listener.url) == {}
        assert len(market(ebay).notifications._subscriptions) == 2
        order = sell(ebay, (listing, 2))
        parcel = Fulfilment(order.id, "P", "DHL", "JD1", "", datetime.now(UTC), (FulfilmentLine(order.lines[0].id, 2),))
        await CONNECTOR.push_fulfilment(api, parcel)
        topics = set()
        for each in await listener.until(2):
            key = await CONNECTOR.fetch_webhook_key(api, CONNECTOR.webhook_key_id(each.headers))
            assert CONNECTOR.verify_webhook(each.body, each.headers, listener.url, key)
            assert not CONNECTOR.verify_webhook(each.body + b" ", each.headers, listener.url, key)
            event = CONNECTOR.parse_webhook(each.body, each.headers)
            assert event.order_ids == (order.id,)
            topics.add(event.topic)
        assert topics == {"ORDER_CONFIRMATION", "ITEM_MARKED_SHIPPED"}
        with pytest.raises(RequestRejected):
            await CONNECTOR.fetch_webhook_key(api, "no-such-key")
        await CONNECTOR.unsubscribe_webhooks(api, listener.url)
        await CONNECTOR.unsubscribe_webhooks(api, listener.url)
        assert not market(ebay).notifications._subscriptions
