"""The Printful connector against the simulated Printful over real HTTP, both held to the official specification."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest
from tests.connectors.http_api import HttpApi
from tests.connectors.listener import listening
from tests.connectors.printful.given import TO, check_reply, placement
from tests.connectors.specs import openapi

from entrepot.channels.contract import (
    Availability,
    ChannelListing,
    CostsState,
    MadeOrder,
    MakingConfirmation,
    MakingDraft,
    MakingEvent,
    MakingLine,
    MakingOutcome,
    MakingStatus,
    OutcomeUnknown,
    RateLimited,
    RequestRejected,
    ShipmentStatus,
    TemporarilyUnavailable,
)
from entrepot.connectors.printful import CONNECTOR
from entrepot_sandbox.making import MakingSent, MakingSubmitted, figures
from entrepot_sandbox.server import Config, Running, running

DONE = MakingOutcome.DONE


@pytest.fixture
async def printful() -> AsyncIterator[Running]:
    """A Printful that makes nothing by itself: tests step it."""
    async with running(Config(seed=3, products=60, channels=("printful",), time_scale=20)) as sandbox:
        market(sandbox)._desk.spawn = lambda work: work.close()
        yield sandbox


@pytest.fixture
async def api(printful: Running) -> AsyncIterator[HttpApi]:
    account = printful.sandbox.markets["printful"].accounts()[0]
    settings = {**account.settings, "simulator_url": printful.url, "selling_region": "europe"}
    async with HttpApi(CONNECTOR, settings=settings, credentials=account.credentials, checks=(check_reply,)) as made:
        yield made


def market(sandbox: Running) -> Any:
    return sandbox.sandbox.markets["printful"]


def doubles(sandbox: Running) -> int:
    found = figures(sandbox.sandbox.world.journal, ["printful"])["duplicate_printful_orders"]
    assert isinstance(found, int)
    return found


def submitted(sandbox: Running) -> int:
    return len(list(sandbox.sandbox.world.journal.of(MakingSubmitted)))


async def listings(api: HttpApi) -> list[ChannelListing]:
    page = await CONNECTOR.pull_listings(api, None)
    found = [*page.items]
    while page.more:
        page = await CONNECTOR.pull_listings(api, page.cursor)
        found += page.items
    return found


async def blank(api: HttpApi, place: int = 0) -> ChannelListing:
    found = [each for each in await listings(api) if each.ref.external_id.startswith("catalog-")]
    return found[place]


async def own(api: HttpApi, place: int = 0) -> ChannelListing:
    found = [each for each in await listings(api) if each.ref.external_id.startswith("sync-")]
    return found[place]


def line(listing: ChannelListing, key: str = "line-1", units: int = 1, *, url: str = "https://f.example/a.png") -> Any:
    placements = (placement(url),) if listing.ref.external_id.startswith("catalog-") else ()
    return MakingLine(key, listing.ref, units, listing.title, Decimal("25.00"), placements)


def order(*lines: MakingLine, id: str = "order-1") -> MakingDraft:
    return MakingDraft(id, TO, lines, recipient_email="ada@example.com", number="#1001")


async def priced(api: HttpApi, id: str = "order-1") -> MadeOrder:
    """Wait until the costs of an order are worked out."""
    for _ in range(200):
        (found,) = await CONNECTOR.read_making(api, [id])
        if found.costs.state is CostsState.READY:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("the costs are never worked out")


async def confirmed(api: HttpApi, wanted: MakingDraft) -> MadeOrder:
    assert (await CONNECTOR.make_draft(api, wanted)).outcome is DONE
    await priced(api, wanted.external_id)
    result = await CONNECTOR.confirm_making(api, MakingConfirmation(wanted.external_id))
    assert result.outcome is DONE, result
    assert result.order is not None
    return result.order


# ---- the account and the catalog ------------------------------------------------------------------------------------


async def test_the_account_is_found_and_a_wrong_token_or_store_is_not(api: HttpApi) -> None:
    report = await CONNECTOR.check(api)
    assert report.ok, report
    assert report.account == "Simulated Printful"
    api.credentials["access_token"] = "wrong"
    report = await CONNECTOR.check(api)
    assert not report.ok
    assert "token" in report.summary


async def test_a_store_that_the_token_does_not_have_is_named(printful: Running, api: HttpApi) -> None:
    settings = {**api.settings, "store_id": "7"}
    async with HttpApi(CONNECTOR, settings=settings, credentials=api.credentials) as other:
        report = await CONNECTOR.check(other)
    assert not report.ok
    assert api.settings["store_id"] in report.summary


async def test_products_of_the_store_and_chosen_blanks_are_listed(printful: Running, api: HttpApi) -> None:
    found = await listings(api)
    books = market(printful).catalog
    assert {each.sku for each in found if each.sku} == {each.sku for each in books.store_variants.values()}
    blanks = [each for each in found if each.sku is None]
    assert {each.ref.keys["catalog_variant_id"] for each in blanks} == {str(id) for id in books.variants}
    assert len({each.ref.external_id for each in found}) == len(found)
    assert all(each.quantity is None for each in found)


async def test_what_can_be_made_is_read_by_product(printful: Running, api: HttpApi) -> None:
    first, second = (await listings(api))[:2]
    variant = market(printful).catalog.by_sku(first.sku)
    market(printful).catalog.set_stock(variant, out_of_stock=True)
    before = len(api.calls)
    found = await CONNECTOR.read_availability(api, [first.ref, second.ref])
    assert [each.availability for each in found] == [Availability.OUT_OF_STOCK, Availability.AVAILABLE]
    products = {each.ref.keys["catalog_product_id"] for each in (first, second)}
    assert len(api.calls) - before == len(products)
    alone = replace(first.ref, keys={"catalog_variant_id": first.ref.keys["catalog_variant_id"]})
    (again,) = await CONNECTOR.read_availability(api, [alone])
    assert again.availability is Availability.OUT_OF_STOCK


# ---- a draft, once --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [blank, own])
async def test_a_draft_is_made_once_confirmed_once_and_shipped(
    printful: Running, api: HttpApi, kind: Callable[[HttpApi], Awaitable[ChannelListing]]
) -> None:
    wanted = order(line(await kind(api), "line-1", 2))
    first = await CONNECTOR.make_draft(api, wanted)
    assert first.outcome is DONE
    assert first.order is not None
    assert first.order.status is MakingStatus.DRAFT
    again = await CONNECTOR.make_draft(api, wanted)
    assert (again.outcome, again.order and again.order.maker_id) == (DONE, first.order.maker_id)
    early = await CONNECTOR.confirm_making(api, MakingConfirmation("order-1"))
    assert early.outcome in (MakingOutcome.NOT_YET, DONE)
    costs = (await priced(api)).costs
    assert costs.total == costs.items + costs.shipping
    for _ in range(3):
        result = await CONNECTOR.confirm_making(api, MakingConfirmation("order-1"))
        assert result.outcome is DONE
    assert submitted(printful) == 1
    found = market(printful).orders.find("@order-1")
    market(printful).production.expect({"split": 1})
    for _ in range(3):
        market(printful).production.step(found)
    (made,) = await CONNECTOR.read_making(api, ["order-1", "nothing"])
    assert made.status is MakingStatus.SHIPPED
    parcels = await CONNECTOR.read_shipments(api, "order-1")
    assert [[(each.key, each.quantity) for each in parcel.lines] for parcel in parcels] == [[("line-1", 1)]] * 2
    assert all(each.status is ShipmentStatus.SENT for each in parcels)
    assert len({each.tracking_number for each in parcels}) == 2
    assert all(each.tracking_number and each.tracking_url and each.carrier for each in parcels)
    assert [each.units for each in printful.sandbox.world.journal.of(MakingSent)] == [1, 1]
    assert doubles(printful) == 0
    late = await CONNECTOR.cancel_making(api, "order-1")
    assert late.outcome is MakingOutcome.TOO_LATE
    assert "fulfilled" in late.detail


async def test_a_mixed_order_goes_by_the_first_version(printful: Running, api: HttpApi) -> None:
    result = await CONNECTOR.make_draft(api, order(line(await blank(api), "a", 1), line(await own(api), "b", 3)))
    assert result.outcome is DONE
    assert result.order is not None
    assert [(each.key, each.quantity) for each in result.order.lines] == [("a", 1), ("b", 3)]


async def test_another_order_under_the_id_is_left_alone(printful: Running, api: HttpApi) -> None:
    listing = await blank(api)
    await CONNECTOR.make_draft(api, order(line(listing, "line-1", 1)))
    other = await CONNECTOR.make_draft(api, order(line(listing, "line-2", 1)))
    assert (other.outcome, other.code) == (MakingOutcome.REFUSED, "another_order")
    assert len(market(printful).orders.orders) == 1


async def test_what_printful_refuses_is_told_in_its_words(printful: Running, api: HttpApi) -> None:
    unknown = replace(await blank(api), ref=replace((await blank(api)).ref, keys={"catalog_variant_id": "1"}))
    result = await CONNECTOR.make_draft(api, order(line(unknown)))
    assert (result.outcome, result.detail) == (MakingOutcome.REFUSED, "Variant 1 was not found.")


class Losing(HttpApi):
    """A connection that loses answers: each call named is sent, and its answer lost, so many times."""

    losses: dict[str, int]

    async def send(self, call: Any) -> Any:
        answer = await super().send(call)
        if self.losses.get(call.operation, 0) > 0:
            self.losses[call.operation] -= 1
            raise OutcomeUnknown("the answer was lost")
        return answer


@pytest.fixture
async def losing(printful: Running) -> AsyncIterator[Losing]:
    account = printful.sandbox.markets["printful"].accounts()[0]
    settings = {**account.settings, "simulator_url": printful.url}
    async with Losing(CONNECTOR, settings=settings, credentials=account.credentials, checks=(check_reply,)) as made:
        made.losses = {}
        yield made


@pytest.mark.parametrize("kind", [blank, own])
async def test_lost_answers_order_nothing_twice(
    printful: Running, losing: Losing, kind: Callable[[HttpApi], Awaitable[ChannelListing]]
) -> None:
    wanted = order(line(await kind(losing)))
    losing.losses = {"createOrder": 1, "createOldOrder": 1}
    assert (await CONNECTOR.make_draft(losing, wanted)).outcome is DONE
    await priced(losing)
    losing.losses = {"confirmOrder": 1}
    assert (await CONNECTOR.confirm_making(losing, MakingConfirmation("order-1"))).outcome is DONE
    assert len(market(printful).orders.orders) == 1
    assert submitted(printful) == 1
    losing.losses = {"cancelOrder": 1}
    assert (await CONNECTOR.cancel_making(losing, "order-1")).outcome is DONE
    assert doubles(printful) == 0


async def test_where_looking_fails_too_the_outcome_is_unknown_and_repeating_heals(
    printful: Running, losing: Losing
) -> None:
    wanted = order(line(await blank(losing)))

    async def lose_all(operation: str) -> None:
        original = losing.__class__.send

        async def send(call: Any) -> Any:
            answer = await original(losing, call)
            if call.operation == operation:
                losing.send = blind  # type: ignore[method-assign]
                raise OutcomeUnknown("lost")
            return answer

        async def blind(call: Any) -> Any:
            raise TemporarilyUnavailable("nobody answers")

        losing.send = send  # type: ignore[method-assign]

    await lose_all("createOrder")
    assert (await CONNECTOR.make_draft(losing, wanted)).outcome is MakingOutcome.UNKNOWN
    del losing.send  # type: ignore[method-assign]
    assert (await CONNECTOR.make_draft(losing, wanted)).outcome is DONE
    await priced(losing)
    await lose_all("confirmOrder")
    confirmation = MakingConfirmation("order-1")
    assert (await CONNECTOR.confirm_making(losing, confirmation)).outcome is MakingOutcome.UNKNOWN
    del losing.send  # type: ignore[method-assign]
    assert (await CONNECTOR.confirm_making(losing, confirmation)).outcome is DONE
    assert (len(market(printful).orders.orders), submitted(printful)) == (1, 1)


async def test_two_at_the_same_moment_make_one_order(printful: Running, api: HttpApi) -> None:
    wanted = order(line(await blank(api)))
    results = await asyncio.gather(*(CONNECTOR.make_draft(api, wanted) for _ in range(8)))
    assert {each.outcome for each in results} == {DONE}
    assert len({each.order.maker_id for each in results if each.order}) == 1
    await priced(api)
    confirmations = (CONNECTOR.confirm_making(api, MakingConfirmation("order-1")) for _ in range(8))
    assert {each.outcome for each in await asyncio.gather(*confirmations)} == {DONE}
    assert submitted(printful) == 1


# ---- confirming and cancelling --------------------------------------------------------------------------------------


async def test_an_order_that_costs_too_much_is_not_confirmed(printful: Running, api: HttpApi) -> None:
    await CONNECTOR.make_draft(api, order(line(await blank(api))))
    costs = (await priced(api)).costs
    assert costs.total is not None
    dear = MakingConfirmation("order-1", costs.total - 1, costs.currency)
    result = await CONNECTOR.confirm_making(api, dear)
    assert (result.outcome, result.code) == (MakingOutcome.REFUSED, "cost_above_limit")
    other = await CONNECTOR.confirm_making(api, replace(dear, currency="XTS"))
    assert (other.outcome, other.code) == (MakingOutcome.REFUSED, "currency")
    assert submitted(printful) == 0
    assert (await CONNECTOR.confirm_making(api, replace(dear, cost_max=costs.total))).outcome is DONE


async def test_a_draft_and_a_waiting_order_are_cancelled_and_never_made_again(printful: Running, api: HttpApi) -> None:
    wanted = order(line(await blank(api)))
    assert (await CONNECTOR.cancel_making(api, "order-1")).code == "no_order"
    await confirmed(api, wanted)
    for _ in range(2):
        result = await CONNECTOR.cancel_making(api, "order-1")
        assert result.outcome is DONE
        assert result.order is not None
        assert result.order.status is MakingStatus.CANCELLED
    late = await CONNECTOR.make_draft(api, wanted)
    assert (late.outcome, late.code) == (MakingOutcome.REFUSED, "cancelled")
    again = await CONNECTOR.confirm_making(api, MakingConfirmation("order-1"))
    assert (again.outcome, again.code) == (MakingOutcome.REFUSED, "cancelled")
    assert doubles(printful) == 0


async def test_a_failed_order_says_why_and_is_sent_again_only_when_asked(printful: Running, api: HttpApi) -> None:
    await confirmed(api, order(line(await blank(api), url="https://files.example/missing.png")))
    found = market(printful).orders.find("@order-1")
    market(printful).production.step(found)
    (made,) = await CONNECTOR.read_making(api, ["order-1"])
    assert made.status is MakingStatus.FAILED
    assert "missing.png could not be downloaded" in made.reason
    assert made.lines[0].problem
    repeated = await CONNECTOR.confirm_making(api, MakingConfirmation("order-1"))
    assert (repeated.outcome, repeated.code) == (MakingOutcome.REFUSED, "failed")
    assert submitted(printful) == 1
    assert (await CONNECTOR.confirm_making(api, MakingConfirmation("order-1", again=True))).outcome is DONE
    assert submitted(printful) == 2
    assert doubles(printful) == 0
    market(printful).production.step(found)
    deleted = await CONNECTOR.cancel_making(api, "order-1")
    assert (deleted.outcome, deleted.code) == (DONE, "deleted")
    assert await CONNECTOR.read_making(api, ["order-1"]) == ()


async def test_a_held_order_cannot_be_cancelled_and_goes_on(printful: Running, api: HttpApi) -> None:
    await confirmed(api, order(line(await blank(api))))
    found = market(printful).orders.find("@order-1")
    market(printful).production.step(found)
    market(printful).act("order-1", "hold", "A question about the design.")
    (held,) = await CONNECTOR.read_making(api, ["order-1"])
    assert (held.status, bool(held.reason)) == (MakingStatus.ON_HOLD, True)
    result = await CONNECTOR.cancel_making(api, "order-1")
    assert result.outcome is MakingOutcome.TOO_LATE
    market(printful).act("order-1", "release", "")
    (going,) = await CONNECTOR.read_making(api, ["order-1"])
    assert going.status is MakingStatus.MAKING


async def test_what_runs_out_waits_and_the_rest_goes(printful: Running, api: HttpApi) -> None:
    first, second = await blank(api, 0), await blank(api, 1)
    await confirmed(api, order(line(first, "a"), line(second, "b")))
    found = market(printful).orders.find("@order-1")
    market(printful).production.expect({"split": 1})
    market(printful).catalog.set_stock(found.items[0].variant, out_of_stock=True)
    for _ in range(3):
        market(printful).production.step(found)
    (made,) = await CONNECTOR.read_making(api, ["order-1"])
    assert made.status is MakingStatus.PARTLY_SHIPPED
    statuses = {parcel.lines[0].key: parcel.status for parcel in await CONNECTOR.read_shipments(api, "order-1")}
    assert statuses == {"a": ShipmentStatus.OUT_OF_STOCK, "b": ShipmentStatus.SENT}
    market(printful).catalog.set_stock(found.items[0].variant, out_of_stock=False)
    market(printful).production.step(found)
    (made,) = await CONNECTOR.read_making(api, ["order-1"])
    assert made.status is MakingStatus.SHIPPED


# ---- estimates ------------------------------------------------------------------------------------------------------


async def test_an_estimate_is_followed_to_its_end_and_orders_nothing(printful: Running, api: HttpApi) -> None:
    wanted = order(line(await blank(api), units=3))
    receipt = await CONNECTOR.start_estimate(api, wanted)
    assert receipt.handle is not None
    costs = None
    while costs is None:
        costs = await CONNECTOR.follow_estimate(api, receipt.handle)
        await asyncio.sleep(0.005)
    assert market(printful).orders.orders == {}
    await CONNECTOR.make_draft(api, wanted)
    assert (await priced(api)).costs == costs
    bad = await CONNECTOR.start_estimate(api, order(line(await blank(api), url="https://files.example/missing.png")))
    assert bad.handle is not None
    await asyncio.sleep(0.05)
    failed = await CONNECTOR.follow_estimate(api, bad.handle)
    assert failed is not None
    assert failed.state is CostsState.FAILED
    with pytest.raises(RequestRejected):
        await CONNECTOR.follow_estimate(api, "no-such-task")


async def test_products_of_the_store_are_estimated_at_once(printful: Running, api: HttpApi) -> None:
    wanted = order(line(await own(api)))
    receipt = await CONNECTOR.start_estimate(api, wanted)
    assert receipt.handle is None
    await CONNECTOR.make_draft(api, wanted)
    assert receipt.costs == (await priced(api)).costs


# ---- webhooks -------------------------------------------------------------------------------------------------------


def check_event(body: Any) -> None:
    """Assert that an event is what the specification says."""
    names = {
        "order_canceled": "OrderCanceled",
        "order_failed": "OrderFailed",
        "order_put_hold": "OrderPutHold",
        "order_remove_hold": "OrderRemoveHold",
        "order_updated": "OrderUpdated",
        "shipment_sent": "ShipmentSent",
        "shipment_returned": "ShipmentReturned",
        "shipment_out_of_stock": "ShipmentOutOfStock",
        "catalog_stock_updated": "CatalogStockUpdated",
    }
    where = f"#/components/requestBodies/{names[body['type']]}/content/application~1json/schema"
    openapi("printful/openapi-v2beta-spencerlepine.json")._check({"$ref": f"urn:spec{where}"}, body, body["type"])


async def test_webhooks_are_signed_with_the_secret_that_is_shown_once(printful: Running, api: HttpApi) -> None:
    listing = await blank(api)
    async with listening() as listener:
        learned = await CONNECTOR.subscribe_webhooks(api, listener.url)
        assert set(learned) == {"webhook_secret"}
        assert await CONNECTOR.subscribe_webhooks(api, listener.url) == {}
        await confirmed(api, order(line(listing)))
        found = market(printful).orders.find("@order-1")
        market(printful).production.step(found)
        market(printful).act("order-1", "hold", "The address needs to be confirmed.")
        market(printful).act("order-1", "release", "")
        market(printful).catalog.set_stock(found.items[0].variant, out_of_stock=True)
        market(printful).production.step(found)
        market(printful).catalog.set_stock(found.items[0].variant, out_of_stock=False)
        market(printful).production.step(found)
        market(printful).act("order-1", "return", "")
        deliveries = await listener.until(13)
        events: dict[str, list[MakingEvent]] = {}
        for each in deliveries:
            check_event(httpx.Response(200, content=each.body).json())
            assert CONNECTOR.verify_webhook(each.body, each.headers, listener.url, learned["webhook_secret"])
            assert not CONNECTOR.verify_webhook(each.body + b" ", each.headers, "", learned["webhook_secret"])
            event = CONNECTOR.parse_webhook(each.body, each.headers)
            events.setdefault(event.topic, []).append(event)
            assert all(news.external_id == "order-1" for news in event.news)
        (held,) = events["order_put_hold"]
        assert (held.news[0].status, held.news[0].reason) == (
            MakingStatus.ON_HOLD,
            "The address needs to be confirmed.",
        )
        (sent,) = events["shipment_sent"]
        assert sent.news[0].shipment is not None
        (parcel,) = await CONNECTOR.read_shipments(api, "order-1")
        assert sent.news[0].shipment.tracking_number == parcel.tracking_number
        outs = [each.news[0].shipment for each in events["shipment_out_of_stock"]]
        assert {each.status for each in outs if each} == {ShipmentStatus.OUT_OF_STOCK, ShipmentStatus.WAITING}
        stock = {each.availability[0].availability for each in events["catalog_stock_updated"]}
        assert stock == {Availability.OUT_OF_STOCK, Availability.AVAILABLE}
        assert parcel.status is ShipmentStatus.RETURNED
        await CONNECTOR.unsubscribe_webhooks(api, "https://elsewhere.example/hooks")
        assert await CONNECTOR.subscribe_webhooks(api, listener.url) == {}
        await CONNECTOR.unsubscribe_webhooks(api, listener.url)
        assert await CONNECTOR.subscribe_webhooks(api, listener.url) not in ({}, learned)


async def test_a_secret_that_was_lost_is_made_anew(printful: Running, losing: Losing) -> None:
    url = "https://hub.example/webhooks/in"
    losing.losses = {"createWebhook": 1}
    with pytest.raises(OutcomeUnknown):
        await CONNECTOR.subscribe_webhooks(losing, url)
    assert "webhook_secret" in await CONNECTOR.subscribe_webhooks(losing, url)


# ---- limits ---------------------------------------------------------------------------------------------------------


async def test_the_bucket_is_told_of_and_obeyed(printful: Running, api: HttpApi) -> None:
    reply = await api.send(replace(api_call(), idempotent=True))
    (reading,) = CONNECTOR.read_limits(api_call(), reply)
    assert (reading.capacity, reading.refill_per_s) == (120, 40)
    assert reading.available == 119
    market(printful).limit.take(market(printful).limit.available)
    with pytest.raises(RateLimited) as caught:
        await CONNECTOR.make_draft(api, order(MakingLine("a", replace_ref(), 1, placements=(placement(),))))
    assert caught.value.retry_after_s is not None


def api_call() -> Any:
    from entrepot.connectors.printful import calls

    return calls.scopes()


def replace_ref() -> Any:
    from entrepot.channels.contract import ListingRef

    return ListingRef("catalog-1", {"catalog_variant_id": "1"})
