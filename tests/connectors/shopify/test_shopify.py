"""What is particular to Shopify."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.connectors.contract_suite import utc
from tests.connectors.scripted import AT, Answer, ScriptedApi, reply
from tests.connectors.shopify.test_contract import CREDENTIALS, SETTINGS, change, check_call

from entrepot.channels.contract import (
    Call,
    ChannelOrder,
    ChannelOrderStatus,
    CredentialsRejected,
    Fulfilment,
    FulfilmentLine,
    LimitReading,
    OutcomeUnknown,
    PushOutcome,
    QuantityBatch,
    RateLimited,
    RequestRejected,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)
from entrepot.connectors.shopify import CONNECTOR, mapping, orders, parcels, queries

PAYLOADS = Path(__file__).parent / "payloads"
URL = "https://hub.example/webhooks/in/abc"
CALL = Call("probe", "POST", "/")


def api_of(*answers: Answer, settings: Mapping[str, str] = SETTINGS) -> ScriptedApi:
    return ScriptedApi(CONNECTOR, answers, settings=settings, credentials=CREDENTIALS, check_call=check_call)


def payload(name: str) -> Any:
    return msgspec.json.decode((PAYLOADS / f"{name}.json").read_bytes())


def sent(api: ScriptedApi, index: int) -> dict[str, Any]:
    body = api.calls[index].body
    assert body is not None
    variables: dict[str, Any] = msgspec.json.decode(body)["variables"]
    return variables


def webhook(name: str, body: Any = None) -> ChannelOrder:
    raw = msgspec.json.encode(body if body is not None else payload(name))
    event = CONNECTOR.parse_webhook(raw, {"x-shopify-topic": "orders/updated", "x-shopify-event-id": "e"})
    assert event.order is not None
    return event.order


async def pulled() -> dict[str, ChannelOrder]:
    answers = [reply(payload(name)) for name in ("orders_1", "orders_2", "order_moves", "order_whole")]
    api = api_of(*answers)
    first = await CONNECTOR.pull_orders(api, None)
    last = await CONNECTOR.pull_orders(api, first.cursor)
    return {order.external_id: order for order in (*first.items, *last.items)}


# ---- the two ways in -----------------------------------------------------------------------------------


async def test_both_ways_in_give_the_same_order() -> None:
    found = await pulled()
    for name in ("create", "pending", "cancelled", "shipped", "partly"):
        order = webhook(f"webhook_{name}")
        assert order == found[order.external_id]


async def test_orders_say_what_became_of_their_units() -> None:
    found = await pulled()
    assert found["5001"].status is ChannelOrderStatus.OPEN
    assert found["5002"].status is ChannelOrderStatus.PENDING
    assert found["5003"].status is ChannelOrderStatus.CANCELLED
    assert found["5004"].status is ChannelOrderStatus.SHIPPED
    assert found["5005"].status is ChannelOrderStatus.PARTLY_SHIPPED
    (line,) = found["5003"].lines
    assert (line.cancelled, line.shipped) == (1, 0)
    partly = {line.external_id: line for line in found["5005"].lines}
    # Of five, two were shipped (one came back) and one was removed before shipping.
    assert (partly["66"].cancelled, partly["66"].shipped) == (1, 2)
    assert (partly["67"].cancelled, partly["67"].shipped) == (0, 0)
    assert len(found["5006"].lines) == 2, "the lines that did not come with the page are read"


def test_a_cancelled_order_claims_nothing_even_if_its_counts_do_not_say_so() -> None:
    body = payload("webhook_create") | {"cancelled_at": "2026-11-20T10:05:00+01:00"}
    order = webhook("", body)
    assert order.status is ChannelOrderStatus.CANCELLED
    assert all(line.cancelled == line.quantity for line in order.lines)


def test_two_states_of_one_second_are_told_apart() -> None:
    body = payload("webhook_create")
    cancelled = body | {"cancelled_at": body["updated_at"]}
    assert webhook("", cancelled).updated_at == webhook("", body).updated_at
    assert webhook("", cancelled).version > webhook("", body).version
    pending = body | {"financial_status": "pending"}
    assert webhook("", body).version > webhook("", pending).version


@settings(deadline=None)
@given(
    ordered=st.integers(1, 20),
    current=st.integers(0, 20),
    shipped=st.integers(0, 25),
    returned=st.integers(0, 25),
    loose=st.integers(0, 25),
    is_cancelled=st.booleans(),
)
def test_units_always_add_up(
    ordered: int, current: int, shipped: int, returned: int, loose: int, is_cancelled: bool
) -> None:
    moves = mapping.Moves({"1": shipped}, {"1": returned}, {"1": loose})
    cancelled, out = mapping.settled("1", ordered, min(current, ordered), moves, is_cancelled)
    assert cancelled >= 0
    assert out >= 0
    assert cancelled + out <= ordered
    if is_cancelled:
        assert cancelled + out == ordered
    elif not shipped and not returned and not loose:
        assert cancelled == ordered - min(current, ordered)


# ---- the order feed ------------------------------------------------------------------------------------


async def test_the_next_sweep_overlaps_the_last_and_never_goes_back() -> None:
    answers = [reply(payload(name)) for name in ("orders_1", "orders_2", "order_moves", "order_whole")]
    api = api_of(*answers)
    first = await CONNECTOR.pull_orders(api, None)
    assert sent(api, 0) == {"after": None, "query": None}
    last = await CONNECTOR.pull_orders(api, first.cursor)
    assert sent(api, 1) == {"after": "C1", "query": None}
    assert last.complete_until == AT - orders.MARGIN
    empty = {"data": {"orders": {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}}}
    later = api_of(reply(empty), reply(empty))
    page = await CONNECTOR.pull_orders(later, last.cursor)
    assert sent(later, 0) == {"after": None, "query": "updated_at:>='2026-11-20T09:49:00Z'"}
    assert page.cursor == last.cursor, "an empty page moves nothing"


async def test_the_feed_starts_where_the_setting_says() -> None:
    empty = {"data": {"orders": {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}}}
    api = api_of(reply(empty), settings={**SETTINGS, "orders_since": "2026-01-31"})
    page = await CONNECTOR.pull_orders(api, None)
    assert sent(api, 0)["query"] == "updated_at:>='2026-01-31T00:00:00Z'"
    assert page.complete_until == AT - orders.MARGIN
    with pytest.raises(RequestRejected, match="orders_since"):
        await CONNECTOR.pull_orders(api_of(settings={**SETTINGS, "orders_since": "soon"}), None)


async def test_without_the_channels_clock_nothing_is_called_complete() -> None:
    empty = {"data": {"orders": {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}}}
    page = await CONNECTOR.pull_orders(api_of(reply(empty, 200, date="")), None)
    assert page.complete_until is None


async def test_a_very_deep_sweep_starts_anew_from_the_latest() -> None:
    deep = orders.Cursor(None, utc("2026-11-20T08:00:00Z"), "X", queries.ORDERS_A_PAGE + orders.DEPTH_MAX, AT)
    api = api_of(reply(payload("orders_1")))
    page = await CONNECTOR.pull_orders(api, msgspec.json.encode(deep).decode())
    assert page.more
    assert page.cursor is not None
    onwards = msgspec.json.decode(page.cursor.encode(), type=orders.Cursor)
    assert onwards.after is None
    assert onwards.since == utc("2026-11-20T09:20:00Z")


async def test_an_order_that_changes_while_it_is_read_is_read_again() -> None:
    moved = payload("order_moves")
    moved["data"]["order"]["updatedAt"] = "2026-11-20T09:45:00Z"
    order = payload("orders_2")["data"]["orders"]["nodes"][2]
    whole = {"data": {"order": order | {"updatedAt": "2026-11-20T09:45:00Z"}}}
    page = {"data": {"nodes": [order, None]}}
    api = api_of(reply(page), reply(moved), reply(whole), reply(moved))
    (found,) = await CONNECTOR.fetch_orders(api, ["5005", "404"])
    assert found.updated_at == utc("2026-11-20T09:45:00Z")
    assert sent(api, 0) == {"ids": ["gid://shopify/Order/5005", "gid://shopify/Order/404"]}
    restless = [reply(moved), reply({"data": {"order": order}})] * orders.RESTARTS_MAX
    with pytest.raises(TemporarilyUnavailable):
        await CONNECTOR.fetch_orders(api_of(reply(page), *restless), ["5005"])


# ---- errors in a 200 -----------------------------------------------------------------------------------


def failed(code: str, **more: Any) -> dict[str, Any]:
    return {"errors": [{"message": "It failed", "extensions": {"code": code}, **more}]}


def test_throttling_says_how_long_to_wait() -> None:
    cost = {"requestedQueryCost": 752, "throttleStatus": {"currentlyAvailable": 666, "restoreRate": 50.0}}
    error = CONNECTOR.classify(reply(failed("THROTTLED") | {"extensions": {"cost": cost}}))
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == pytest.approx(1.72)
    bare = CONNECTOR.classify(reply(failed("THROTTLED")))
    assert isinstance(bare, RateLimited)
    assert bare.retry_after_s is None


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ACCESS_DENIED", CredentialsRejected),
        ("SHOP_INACTIVE", CredentialsRejected),
        ("INTERNAL_SERVER_ERROR", TemporarilyUnavailable),
        ("MAX_COST_EXCEEDED", RequestRejected),
        ("undefinedField", RequestRejected),
    ],
)
def test_errors_hidden_in_a_200(code: str, kind: type[Exception]) -> None:
    assert type(CONNECTOR.classify(reply(failed(code)))) is kind


def test_errors_as_plain_text() -> None:
    assert isinstance(CONNECTOR.classify(reply({"errors": "Not Found"})), RequestRejected)
    assert CONNECTOR.classify(reply({"errors": None, "data": {}})) is None


def test_withheld_personal_data_is_no_error() -> None:
    denied = failed("ACCESS_DENIED", path=["orders", "nodes", 0, "customer"])
    assert CONNECTOR.classify(reply(denied | {"data": {"orders": None}})) is None
    assert isinstance(CONNECTOR.classify(reply(failed("ACCESS_DENIED", path=["orders"]))), CredentialsRejected)


def test_the_cost_bucket_is_learned() -> None:
    answer = reply(payload("orders_1"))
    assert CONNECTOR.read_limits(CALL, answer) == (LimitReading("graphql", 1960, 2000.0, 100.0),)
    assert CONNECTOR.read_limits(CALL, reply(b"?")) == ()
    assert CONNECTOR.read_limits(CALL, reply({"data": {}})) == ()


# ---- quantities ----------------------------------------------------------------------------------------


def set_reply(*errors: tuple[str, int | None]) -> Answer:
    listed = [
        {
            "code": code,
            "field": None if index is None else ["input", "quantities", str(index), "changeFromQuantity"],
            "message": f"said {code}",
        }
        for code, index in errors
    ]
    return reply({"data": {"inventorySetQuantities": {"inventoryAdjustmentGroup": None, "userErrors": listed}}})


def batch(*numbers: int) -> QuantityBatch:
    return QuantityBatch("batch-7", tuple(change(n, 5, 6) for n in numbers), AT)


def outcomes(results: Sequence[Any]) -> dict[str, str]:
    return {result.external_id: result.outcome.value for result in results}


async def test_a_batch_is_compared_set_and_keyed() -> None:
    api = api_of(set_reply())
    receipt = await CONNECTOR.push_quantities(api, batch(701, 702))
    assert outcomes(receipt.results) == {"701": "applied", "702": "applied"}
    assert [result.reported for result in receipt.results] == [5, 5]
    variables = sent(api, 0)
    assert variables["key"] == "batch-7"
    assert variables["input"]["quantities"][1] == {
        "inventoryItemId": "gid://shopify/InventoryItem/902",
        "locationId": "gid://shopify/Location/11",
        "quantity": 5,
        "changeFromQuantity": 6,
    }
    assert api.calls[0].idempotent


async def test_stale_ones_do_not_keep_their_neighbours() -> None:
    refused = set_reply(("CHANGE_FROM_QUANTITY_STALE", 1), ("INVALID_INVENTORY_ITEM", 3))
    api = api_of(refused, set_reply(("CHANGE_FROM_QUANTITY_STALE", 0)), set_reply())
    receipt = await CONNECTOR.push_quantities(api, batch(701, 702, 703, 704))
    assert outcomes(receipt.results) == {"701": "stale", "702": "stale", "703": "applied", "704": "refused"}
    assert [sent(api, i)["key"] for i in range(3)] == ["batch-7", "batch-7/1", "batch-7/2"]
    assert "import the listings again" in receipt.results[3].detail


async def test_what_is_left_after_the_last_round_is_failed() -> None:
    api = api_of(*[set_reply(("CHANGE_FROM_QUANTITY_STALE", 0))] * 4)
    receipt = await CONNECTOR.push_quantities(api, batch(1, 2, 3, 4, 5))
    assert outcomes(receipt.results) == {"1": "stale", "2": "stale", "3": "stale", "4": "stale", "5": "failed"}


async def test_an_answer_lost_in_a_later_round_is_unknown_for_the_rest_only() -> None:
    refused = set_reply(("CHANGE_FROM_QUANTITY_STALE", 0))
    receipt = await CONNECTOR.push_quantities(api_of(refused, OutcomeUnknown()), batch(1, 2))
    assert outcomes(receipt.results) == {"1": "stale", "2": "unknown"}
    slowed = await CONNECTOR.push_quantities(api_of(refused, reply({}, 429)), batch(1, 2))
    assert outcomes(slowed.results) == {"1": "stale", "2": "failed"}


@pytest.mark.parametrize("answer", [reply({}, 502), reply(failed("INTERNAL_SERVER_ERROR"))])
async def test_a_failure_that_may_come_after_the_write_is_unknown(answer: Answer) -> None:
    with pytest.raises(OutcomeUnknown):
        await CONNECTOR.push_quantities(api_of(answer), batch(1))


async def test_a_batch_that_shopify_still_works_on_is_unknown() -> None:
    with pytest.raises(OutcomeUnknown):
        await CONNECTOR.push_quantities(api_of(set_reply(("IDEMPOTENCY_CONCURRENT_REQUEST", None))), batch(1))


async def test_a_key_that_failed_before_leaves_all_unknown() -> None:
    answer = set_reply(("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", None))
    receipt = await CONNECTOR.push_quantities(api_of(answer), batch(1, 2))
    assert outcomes(receipt.results) == {"1": "unknown", "2": "unknown"}


async def test_an_objection_to_no_one_in_particular_is_to_all() -> None:
    stale = await CONNECTOR.push_quantities(api_of(set_reply(("CHANGE_FROM_QUANTITY_STALE", None))), batch(1, 2))
    assert outcomes(stale.results) == {"1": "stale", "2": "stale"}
    wrong = await CONNECTOR.push_quantities(api_of(set_reply(("INVALID_REASON", None))), batch(1, 2))
    assert outcomes(wrong.results) == {"1": "refused", "2": "refused"}


async def test_a_change_that_cannot_be_addressed_keeps_nobody() -> None:
    unread = change(2, 5, None)
    mixed = QuantityBatch("b", (change(1, 5, 6), unread), AT)
    receipt = await CONNECTOR.push_quantities(api_of(set_reply()), mixed)
    assert outcomes(receipt.results) == {"1": "applied", "2": "failed"}
    assert receipt.results[0].outcome is PushOutcome.APPLIED


# ---- parcels -------------------------------------------------------------------------------------------


def open_order(*parcels_there: dict[str, Any], remaining: int = 2) -> dict[str, Any]:
    line = {"id": "gid://shopify/FulfillmentOrderLineItem/31", "remainingQuantity": remaining}
    work = {
        "id": "gid://shopify/FulfillmentOrder/21",
        "status": "OPEN",
        "assignedLocation": {"location": {"id": "gid://shopify/Location/11"}},
        "lineItems": {
            "nodes": [{**line, "lineItem": {"id": "gid://shopify/LineItem/61"}}],
            "pageInfo": {"hasNextPage": False},
        },
    }
    orders_there = {"nodes": [work], "pageInfo": {"hasNextPage": False}}
    return {"data": {"order": {"fulfillments": list(parcels_there), "fulfillmentOrders": orders_there}}}


def parcel(tracking: str = "1Z9", quantity: int = 2) -> Fulfilment:
    lines = (FulfilmentLine("61", quantity),)
    return Fulfilment("5001", "parcel-1", "UPS", tracking, "https://ups.example/1Z9" if tracking else "", AT, lines)


MADE = {"data": {"fulfillmentCreate": {"fulfillment": {"id": "gid://shopify/Fulfillment/81"}, "userErrors": []}}}


async def test_a_parcel_is_told_once() -> None:
    api = api_of(reply(open_order()), reply(MADE))
    assert await CONNECTOR.push_fulfilment(api, parcel()) == "81"
    assert sent(api, 1)["fulfillment"] == {
        "lineItemsByFulfillmentOrder": [
            {
                "fulfillmentOrderId": "gid://shopify/FulfillmentOrder/21",
                "fulfillmentOrderLineItems": [{"id": "gid://shopify/FulfillmentOrderLineItem/31", "quantity": 2}],
            }
        ],
        "notifyCustomer": True,
        "trackingInfo": {"company": "UPS", "number": "1Z9", "url": "https://ups.example/1Z9"},
    }
    assert not api.calls[1].idempotent
    there = {"id": "gid://shopify/Fulfillment/81", "status": "SUCCESS", "trackingInfo": [{"number": "1Z9"}]}
    assert await CONNECTOR.push_fulfilment(api_of(reply(open_order(there, remaining=0))), parcel()) == "81"


async def test_a_cancelled_parcel_does_not_count_as_told() -> None:
    dead = {"id": "gid://shopify/Fulfillment/80", "status": "CANCELLED", "trackingInfo": [{"number": "1Z9"}]}
    assert await CONNECTOR.push_fulfilment(api_of(reply(open_order(dead)), reply(MADE)), parcel()) == "81"


async def test_a_parcel_without_a_number_is_known_by_its_lines() -> None:
    there = {"id": "gid://shopify/Fulfillment/82", "status": "SUCCESS", "trackingInfo": []}
    held = {"nodes": [{"quantity": 1, "lineItem": {"id": "gid://shopify/LineItem/61"}}]}
    moves = {"data": {"order": {"updatedAt": "2026-11-20T09:00:05Z", "fulfillments": [{**there}], "refunds": []}}}
    moves["data"]["order"]["fulfillments"] = [there | {"fulfillmentLineItems": held}]
    again = api_of(reply(open_order(there, remaining=1)), reply(moves))
    assert await CONNECTOR.push_fulfilment(again, parcel("", 1)) == "82"
    other = api_of(reply(open_order(there, remaining=2)), reply(moves), reply(MADE))
    assert await CONNECTOR.push_fulfilment(other, parcel("", 2)) == "81"
    assert sent(other, 2)["fulfillment"]["trackingInfo"] == {"company": "UPS"}


async def test_a_parcel_that_cannot_be_told_says_why() -> None:
    with pytest.raises(RequestRejected, match="left to ship"):
        await CONNECTOR.push_fulfilment(api_of(reply(open_order(remaining=1))), parcel())
    with pytest.raises(RequestRejected, match="no order 5001"):
        await CONNECTOR.push_fulfilment(api_of(reply({"data": {"order": None}})), parcel())
    refusal = {
        "data": {"fulfillmentCreate": {"fulfillment": None, "userErrors": [{"message": "On hold", "field": None}]}}
    }
    with pytest.raises(RequestRejected, match="On hold"):
        await CONNECTOR.push_fulfilment(api_of(reply(open_order()), reply(refusal)), parcel())


def test_a_parcel_leaves_from_one_location() -> None:
    lines = [
        parcels.Open("f1", "A", "l1", "61", 1),
        parcels.Open("f2", "B", "l2", "61", 2),
        parcels.Open("f3", "B", "l3", "62", 1),
    ]
    for some in permutations(lines):
        chosen = parcels.choose({"61": 2, "62": 1}, some)
        assert chosen is not None
        assert {line.location for line in chosen} == {"B"}
        assert parcels.choose({"61": 3}, some) is None
    assert parcels.choose({}, lines) is None


# ---- webhooks ------------------------------------------------------------------------------------------


def subscriptions(*nodes: dict[str, Any], more: str | None = None) -> Answer:
    info = {"hasNextPage": more is not None, "endCursor": more}
    return reply({"data": {"webhookSubscriptions": {"nodes": list(nodes), "pageInfo": info}}})


def subscription(number: int, topic: str, uri: str = URL, **more: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {"format": "JSON", "includeFields": [], "filter": None}
    return {"id": f"gid://shopify/WebhookSubscription/{number}", "topic": topic, "uri": uri, **plain, **more}


SUBSCRIBED = reply({"data": {"webhookSubscriptionCreate": {"webhookSubscription": {"id": "x"}, "userErrors": []}}})
REMOVED = reply({"data": {"webhookSubscriptionDelete": {"deletedWebhookSubscriptionId": "x", "userErrors": []}}})


async def test_subscriptions_are_made_once() -> None:
    api = api_of(subscriptions(), *[SUBSCRIBED] * 7)
    assert await CONNECTOR.subscribe_webhooks(api, URL) == {}
    topics = ["INVENTORY_LEVELS_UPDATE", "ORDERS_CANCELLED", "ORDERS_CREATE", "ORDERS_UPDATED"]
    topics += ["PRODUCTS_CREATE", "PRODUCTS_DELETE", "PRODUCTS_UPDATE"]
    assert [sent(api, i)["topic"] for i in range(1, 8)] == topics
    there = [subscription(i, topic) for i, topic in enumerate(topics)]
    again = api_of(subscriptions(*there[:2], more="S1"), subscriptions(*there[2:]))
    await CONNECTOR.subscribe_webhooks(again, URL)
    assert len(again.calls) == 2


async def test_subscriptions_are_repaired_and_others_left_alone() -> None:
    there = [
        subscription(1, "ORDERS_CREATE"),
        subscription(2, "ORDERS_CREATE"),
        subscription(3, "ORDERS_UPDATED", includeFields=["id"]),
        subscription(4, "ORDERS_CANCELLED"),
        subscription(5, "INVENTORY_LEVELS_UPDATE"),
        subscription(6, "ORDERS_UPDATED", "https://elsewhere.example/hook"),
        subscription(7, "PRODUCTS_UPDATE"),
        subscription(8, "PRODUCTS_CREATE"),
        subscription(9, "PRODUCTS_DELETE"),
        subscription(10, "SHOP_UPDATE"),
    ]
    api = api_of(subscriptions(*there), REMOVED, REMOVED, SUBSCRIBED)
    await CONNECTOR.subscribe_webhooks(api, URL)
    assert [sent(api, i).get("id", "")[-1:] for i in (1, 2)] == ["2", "3"]
    assert sent(api, 3)["topic"] == "ORDERS_UPDATED"
    gone = api_of(subscriptions(*there), *[REMOVED] * 9)
    await CONNECTOR.unsubscribe_webhooks(gone, URL)
    assert len(gone.calls) == 10


async def test_a_refused_subscription_is_told() -> None:
    refusal = {"webhookSubscription": None, "userErrors": [{"message": "Address is not allowed", "field": ["uri"]}]}
    with pytest.raises(RequestRejected, match="not allowed"):
        await CONNECTOR.subscribe_webhooks(
            api_of(subscriptions(), reply({"data": {"webhookSubscriptionCreate": refusal}})), URL
        )


def test_event_ids() -> None:
    headers = {"x-shopify-topic": "orders/create", "x-shopify-webhook-id": "w", "x-shopify-event-id": "e"}
    assert CONNECTOR.webhook_event_id(b"", headers) == ("e:orders/create", "orders/create")
    del headers["x-shopify-event-id"]
    assert CONNECTOR.webhook_event_id(b"", headers) == ("w:orders/create", "orders/create")
    with pytest.raises(UnexpectedAnswer):
        CONNECTOR.webhook_event_id(b"", {"x-shopify-topic": "orders/create"})


def test_an_edit_names_its_order_and_a_strange_topic_says_nothing() -> None:
    headers = {"x-shopify-topic": "orders/edited", "x-shopify-event-id": "e"}
    assert CONNECTOR.parse_webhook(b'{"order_edit": {"id": 1, "order_id": 5001}}', headers).order_ids == ("5001",)
    event = CONNECTOR.parse_webhook(b"{}", {**headers, "x-shopify-topic": "shop/update"})
    assert (event.order, event.order_ids, event.quantities) == (None, (), ())


# ---- the connection test -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (reply({"errors": "[API] Invalid API key or access token"}, 401), "access token"),
        (reply({}, 404), "knows no shop kiln.myshopify.com"),
        (reply({}, 402), "frozen"),
        (reply({}, 423), "locked"),
        (reply({}, 403), "grant it"),
        (reply(failed("ACCESS_DENIED", path=["location"])), "read_orders"),
        (reply({}, 503), "does not answer"),
        (reply(b"<html>"), "not Shopify"),
    ],
)
async def test_the_check_speaks_plainly(answer: Answer, words: str) -> None:
    report = await CONNECTOR.check(api_of(answer))
    assert not report.ok
    assert words in report.summary


async def test_the_check_finds_missing_permissions_and_locations() -> None:
    body = payload("check")
    assert (await CONNECTOR.check(api_of(reply(body)))).ok
    inactive = body["data"] | {"location": {"name": "Attic", "isActive": False}}
    assert "switched off" in (await CONNECTOR.check(api_of(reply({"data": inactive})))).summary
    nowhere = body["data"] | {"location": None}
    assert "no location 11" in (await CONNECTOR.check(api_of(reply({"data": nowhere})))).summary
    poor = body["data"] | {"currentAppInstallation": {"accessScopes": [{"handle": "read_orders"}]}}
    report = await CONNECTOR.check(api_of(reply({"data": poor})))
    assert "write_inventory" in report.summary
    assert not report.ok
    assert "location_id" in (await CONNECTOR.check(api_of(settings={"shop": "kiln.myshopify.com"}))).summary


def test_times_are_whole_microseconds() -> None:
    time = datetime(2026, 11, 20, 9, 0, 5, 123456, UTC)
    assert mapping.version_of(time, 0, True) == round(time.timestamp() * 1_000_000)
    assert mapping.version_of(time + timedelta(seconds=1), 0, True) > mapping.version_of(time, 400_000, False)
