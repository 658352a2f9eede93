"""What is particular to Shopify."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.connectors.contract_base import utc
from tests.connectors.scripted import AT, Answer, reply
from tests.connectors.shopify.calls import api_of, failed, payload, sent
from tests.connectors.shopify.test_contract import SETTINGS

from entrepot.channels.contract import (
    Call,
    ChannelOrder,
    ChannelOrderStatus,
    CredentialsRejected,
    LimitReading,
    RateLimited,
    RequestRejected,
    TemporarilyUnavailable,
)
from entrepot.connectors.shopify import CONNECTOR, mapping, orders, queries

CALL = Call("probe", "POST", "/")


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
