"""The Square connector against the common contract, Square's specification and its own rules."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.connectors.contract_suite import ConnectorContract
from tests.connectors.scripted import Answer, ScriptedApi, reply
from tests.connectors.specs import openapi, published_payloads
from tests.connectors.square.given import (
    AT,
    CREDENTIALS,
    PAYLOADS,
    SETTINGS,
    SPEC,
    batch,
    body_of,
    change,
    count,
    order,
    refusal,
    scripted,
)

from entrepot.channels.contract import (
    Call,
    ChannelOrderStatus,
    ConnectorError,
    CredentialsRejected,
    ListingRef,
    QuantityBatch,
    RateLimited,
    Reply,
    TemporarilyUnavailable,
)
from entrepot.connectors.square import CONNECTOR, SquareConnector
from entrepot.connectors.square.errors import SquareRejected
from entrepot.connectors.square.listings import listings_of
from entrepot.connectors.square.orders import order_of


class TestSquare(ConnectorContract):
    connector = CONNECTOR
    settings = SETTINGS
    credentials = CREDENTIALS
    payloads = PAYLOADS
    optional_fields = (
        "line_item_application",
        "reference_id",
        "total_tax_money",
        "total_discount_money",
        "total_service_charge_money",
        "net_amount_due_money",
        "base_price_money",
        "variation_name",
        "fulfillments",
        "shipment_details",
        "recipient",
        "address",
        "address_line_2",
        "item_type",
        "version",
        "sku",
        "upc",
        "price_money",
        "location_overrides",
        "track_inventory",
        "present_at_all_locations",
        "description_plaintext",
        "product_type",
        "name",
    )

    def check_call(self, call: Call) -> None:
        openapi(SPEC).check_call(call)

    def order_pages(self) -> list[Answer]:
        return [self.recorded("orders_1.json"), self.recorded("orders_2.json")]

    def listing_pages(self) -> list[Answer]:
        return [self.recorded(name) for name in ("items_1.json", "counts_1.json", "items_2.json", "counts_2.json")]

    def push(self) -> tuple[QuantityBatch, list[Answer]]:
        changes = (change("V-TRAY", 12, 9), change("V-TEA", 0, 40), change("V-OLD", 3, 3))
        return batch(*changes), [reply({"counts": [count("V-TRAY", "9"), count("V-TEA", "38")]})]

    def read(self) -> tuple[Sequence[ListingRef], list[Answer]]:
        refs = [ListingRef("V-TRAY@LSHOP1"), ListingRef("V-TEA@LSHOP1"), ListingRef("V-GONE@LSHOP1")]
        return refs, [
            reply({"counts": [count("V-TEA", "0")], "cursor": "more"}),
            reply({"counts": [count("V-TRAY", "12"), count("V-TEA", "5", "LOTHER")]}),
        ]

    def healthy(self) -> list[Answer]:
        return [self.recorded("location.json"), reply({}), reply({"counts": []})]

    def sign(self, body: bytes, url: str, secret: str) -> Mapping[str, str]:
        mac = hmac.new(secret.encode(), url.encode() + body, hashlib.sha256).digest()
        return {"x-square-hmacsha256-signature": b64encode(mac).decode()}

    def webhooks(self) -> Mapping[str, tuple[bytes, Mapping[str, str]]]:
        def event(name: str, topic: str, **data: Any) -> tuple[bytes, Mapping[str, str]]:
            whole = {"merchant_id": "M1", "type": topic, "event_id": f"event-{name}", "data": data}
            return msgspec.json.encode(whole), {"content-type": "application/json"}

        counts = [count("V-TEA", "4"), count("V-TEA", "11", "LOTHER"), {**count("V-TRAY", "1"), "state": "SOLD"}]
        return {
            "created": event("1", "order.created", object={"order_created": {"order_id": "O-OPEN", "version": 1}}),
            "updated": event("2", "order.updated", id="O-OPEN", object={"order_updated": {"order_id": "O-OPEN"}}),
            "bare": event("3", "order.updated", id="O-OPEN"),
            "catalog": event(
                "5", "catalog.version.updated", object={"catalog_version": {"updated_at": "2026-11-19T17:26:16.53Z"}}
            ),
            "counts": event("4", "inventory.count.updated", object={"inventory_counts": counts}),
        }


# ---- orders --------------------------------------------------------------------------------------------


async def test_a_pull_keeps_its_query_over_pages_and_overlaps_the_next() -> None:
    answers: list[Answer] = [reply((PAYLOADS / f"orders_{n}.json").read_bytes()) for n in (1, 2)]
    api = scripted([*answers, reply({}), reply({})])
    first = await CONNECTOR.pull_orders(api, None)
    last = await CONNECTOR.pull_orders(api, first.cursor)
    later = await CONNECTOR.pull_orders(api, last.cursor)
    again = await CONNECTOR.pull_orders(api, later.cursor)
    bodies = [body_of(call) for call in api.calls]
    assert bodies[0] == {key: value for key, value in bodies[1].items() if key != "cursor"}
    assert bodies[1]["cursor"] == "page-2"
    # The return at 12:10:00 is no order, but it is the last change seen.
    for body in bodies[2:]:
        assert body["query"]["filter"]["date_time_filter"]["updated_at"] == {"start_at": "2026-11-18T12:09:30.000Z"}
    assert later.cursor == again.cursor
    assert last.complete_until == datetime(2026, 11, 20, 11, 59, 55, tzinfo=UTC)


async def test_the_first_pull_starts_where_the_settings_say() -> None:
    settings = {**SETTINGS, "orders_since": "2026-11-01T00:00:00+01:00"}
    api = ScriptedApi(CONNECTOR, [reply({})], settings=settings, credentials=CREDENTIALS)
    await CONNECTOR.pull_orders(api, None)
    sent = body_of(api.calls[0])["query"]["filter"]["date_time_filter"]["updated_at"]
    assert sent == {"start_at": "2026-10-31T23:00:00.000Z"}


async def test_orders_are_fetched_by_id_a_hundred_at_a_time() -> None:
    orders = msgspec.json.decode((PAYLOADS / "orders_1.json").read_bytes())["orders"]
    elsewhere = {**orders[0], "id": "O-ELSEWHERE", "location_id": "LOTHER"}
    api = scripted([reply({"orders": [orders[0], elsewhere]}), reply({})])
    found = await CONNECTOR.fetch_orders(api, [f"O-{n}" for n in range(101)])
    assert [order.external_id for order in found] == ["O-OPEN"]
    assert [len(body_of(call)["order_ids"]) for call in api.calls] == [100, 1]


def test_drafts_and_orders_of_other_locations_claim_nothing() -> None:
    assert order_of(order(state="DRAFT"), "LSHOP1") is None
    assert order_of(order(), "LOTHER") is None
    assert order_of(order(line_items=[]), "LSHOP1") is None


def test_an_open_order_is_pending_until_it_is_paid() -> None:
    tender = {"type": "CASH", "amount_money": {"amount": 500, "currency": "GBP"}}
    statuses = [
        (order(), ChannelOrderStatus.PENDING),
        (order(tenders=[tender]), ChannelOrderStatus.OPEN),
        (order(net_amount_due_money={"amount": 0, "currency": "GBP"}), ChannelOrderStatus.OPEN),
        (order(tenders=[tender], net_amount_due_money={"amount": 1, "currency": "GBP"}), ChannelOrderStatus.PENDING),
    ]
    for payload, status in statuses:
        mapped = order_of(payload, "LSHOP1")
        assert mapped is not None
        assert mapped.status is status


def test_what_is_sold_by_weight_stays_on_the_order_as_a_line_to_look_at() -> None:
    line = {"uid": "L1", "quantity": "0.750", "name": "Beans", "catalog_object_id": "V-BEANS"}
    mapped = order_of(order(line_items=[line]), "LSHOP1")
    assert mapped is not None
    assert mapped.lines[0].external_variant_id is None
    assert mapped.lines[0].quantity == 1
    assert "0.75 ordered" in mapped.lines[0].title


# ---- listings ------------------------------------------------------------------------------------------


def test_a_listing_is_a_variation_at_the_location() -> None:
    items = [
        each for n in (1, 2) for each in msgspec.json.decode((PAYLOADS / f"items_{n}.json").read_bytes())["objects"]
    ]
    found = {each.ref.external_id: each for each in listings_of(items, "LSHOP1")}
    assert found["V-TRAY-S@LSHOP1"].sku == "TRAY-S"
    assert str(found["V-TRAY-S@LSHOP1"].price) == "9.00"
    assert found["V-TRAY@LSHOP1"].title == "Oak tray - Large"
    assert {name for name, each in found.items() if not each.active} == {"V-OLD@LSHOP1", "V-AWAY@LSHOP1"}


# ---- webhooks ------------------------------------------------------------------------------------------


URL = "https://hub.example/webhooks/in/abc"


def subscription(id_: str, **fields: Any) -> dict[str, Any]:
    whole = {"id": id_, "enabled": True, "event_types": list(CONNECTOR.manifest.webhook_topics)}
    return {**whole, "notification_url": URL, "signature_key": f"key-of-{id_}", **fields}


async def test_subscribing_makes_one_subscription_and_learns_its_key() -> None:
    other = subscription("other", notification_url="https://elsewhere.example")
    api = scripted([reply({"subscriptions": [other]}), reply({"subscription": subscription("S1")})])
    assert await CONNECTOR.subscribe_webhooks(api, URL) == {"signature_key": "key-of-S1"}
    sent = body_of(api.calls[1])
    assert sent["subscription"]["event_types"] == list(CONNECTOR.manifest.webhook_topics)
    assert len(sent["idempotency_key"]) <= 45


async def test_subscribing_again_repairs_and_removes_doubles() -> None:
    broken = subscription("S1", enabled=False, signature_key=None)
    pages = [reply({"subscriptions": [broken], "cursor": "2"}), reply({"subscriptions": [subscription("S2")]})]
    api = scripted([*pages, reply({}), reply({}), reply({"subscription": subscription("S1")})])
    assert await CONNECTOR.subscribe_webhooks(api, URL) == {"signature_key": "key-of-S1"}
    assert [(call.method, call.path.rpartition("/")[2]) for call in api.calls[2:]] == [
        ("DELETE", "S2"),
        ("PUT", "S1"),
        ("GET", "S1"),
    ]


async def test_unsubscribing_removes_only_ours() -> None:
    other = subscription("other", notification_url="https://elsewhere.example")
    api = scripted([reply({"subscriptions": [other, subscription("S1")]}), reply({})])
    await CONNECTOR.unsubscribe_webhooks(api, URL)
    assert [call.path for call in api.calls if call.method == "DELETE"] == ["/v2/webhooks/subscriptions/S1"]


# ---- errors, check, published payloads -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal("ACCESS_TOKEN_EXPIRED", 401, "AUTHENTICATION_ERROR"), CredentialsRejected),
        (refusal("INSUFFICIENT_SCOPES", 403, "AUTHENTICATION_ERROR"), CredentialsRejected),
        (refusal("RATE_LIMITED", 429, "RATE_LIMIT_ERROR"), RateLimited),
        (refusal("INTERNAL_SERVER_ERROR", 500, "API_ERROR"), TemporarilyUnavailable),
        (refusal("VALUE_TOO_LONG", 400), SquareRejected),
        (refusal("NOT_FOUND", 200), SquareRejected),
    ],
)
def test_square_words_its_errors_in_a_list(answer: Reply, error: type[ConnectorError]) -> None:
    found = CONNECTOR.classify(answer)
    assert type(found) is error
    assert "said by Square" in found.detail
    assert found.code


async def test_check_tells_a_wrong_location_from_a_wrong_token() -> None:
    report = await CONNECTOR.check(scripted([refusal("NOT_FOUND", 404)]))
    assert "no location LSHOP1" in report.summary
    report = await CONNECTOR.check(scripted([refusal("UNAUTHORIZED", 401, "AUTHENTICATION_ERROR")]))
    assert "access token" in report.summary


def test_published_payloads_map() -> None:
    files = published_payloads("square")
    if not files:
        pytest.skip("the published payloads are not here (ENTREPOT_DATA)")
    orders = listings = events = 0
    for path in files:
        payload = msgspec.json.decode(path.read_bytes())
        if "event_id" in payload:
            event = SquareConnector().parse_webhook(path.read_bytes(), {})
            events += bool(event.order_ids or event.quantities)
        elif "order" in payload:
            mapped = order_of(payload["order"], payload["order"]["location_id"])
            orders += mapped is not None
        elif "objects" in payload:
            listings += len(listings_of(payload["objects"], "L"))
    assert orders >= 1
    assert listings >= 3
    assert events >= 4


def test_the_time_of_a_batch_is_written_in_utc() -> None:
    from entrepot.connectors.square.calls import rfc3339

    zone = AT.astimezone().tzinfo
    assert rfc3339((AT + timedelta(hours=1)).astimezone(zone)) == "2026-11-20T12:59:58.250Z"
