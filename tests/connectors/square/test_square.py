"""The Square connector against the common contract, Square's specification and its own rules."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.connectors.contract_suite import ConnectorContract
from tests.connectors.scripted import Answer, ScriptedApi, reply
from tests.connectors.specs import openapi, published_payloads

from entrepot.channels.contract import (
    Call,
    ChannelOrderStatus,
    ConnectorError,
    CredentialsRejected,
    Fulfilment,
    FulfilmentLine,
    ListingRef,
    OutcomeUnknown,
    PushOutcome,
    QuantityBatch,
    QuantityChange,
    RateLimited,
    Reply,
    RequestRejected,
    TemporarilyUnavailable,
)
from entrepot.connectors.square import CONNECTOR, SquareConnector
from entrepot.connectors.square.errors import SquareRejected
from entrepot.connectors.square.listings import listings_of
from entrepot.connectors.square.orders import order_of

SPEC = "square/api-2025-08-20.patched.json"
PAYLOADS = Path(__file__).parent / "payloads"
AT = datetime(2026, 11, 20, 11, 59, 58, 250_000, tzinfo=UTC)
SETTINGS = {"location_id": "LSHOP1", "orders_since": "", "simulator_url": ""}
CREDENTIALS = {"access_token": "EAAAsecret-token-of-square", "signature_key": "signature-key-of-square"}


def change(variation: str, before: int | None, after: int) -> QuantityChange:
    return QuantityChange(ListingRef(f"{variation}@LSHOP1", {"variation_id": variation}), variation, after, before)


def batch(*changes: QuantityChange) -> QuantityBatch:
    return QuantityBatch("batch-7", changes, AT)


def count(variation: str, units: str, location: str = "LSHOP1") -> dict[str, Any]:
    return {"catalog_object_id": variation, "state": "IN_STOCK", "location_id": location, "quantity": units}


def refusal(code: str, status: int = 400, category: str = "INVALID_REQUEST_ERROR", field: str = "") -> Reply:
    error = {"category": category, "code": code, "detail": "said by Square", **({"field": field} if field else {})}
    return reply({"errors": [error]}, status)


def body_of(call: Call) -> Any:
    return msgspec.json.decode(call.body or b"")


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


def scripted(answers: Sequence[Answer]) -> ScriptedApi:
    return ScriptedApi(
        CONNECTOR, answers, settings=SETTINGS, credentials=CREDENTIALS, check_call=openapi(SPEC).check_call
    )


# ---- stock ---------------------------------------------------------------------------------------------


async def test_stock_is_moved_by_the_difference() -> None:
    api = scripted([reply({"counts": [count("A", "9"), count("B", "38"), count("B", "2", "LOTHER")]})])
    receipt = await CONNECTOR.push_quantities(api, batch(change("A", 12, 9), change("B", 0, 40)))
    sent = body_of(api.calls[0])
    assert sent["idempotency_key"] == "batch-7"
    moves = [(c["type"], c["adjustment"]) for c in sent["changes"]]
    assert [kind for kind, _ in moves] == ["ADJUSTMENT", "ADJUSTMENT"]
    assert [(a["from_state"], a["to_state"], a["quantity"]) for _, a in moves] == [
        ("IN_STOCK", "SOLD", "3"),
        ("NONE", "IN_STOCK", "40"),
    ]
    assert {a["occurred_at"] for _, a in moves} == {"2026-11-20T11:59:58.250Z"}
    assert {a["location_id"] for _, a in moves} == {"LSHOP1"}
    assert [(r.outcome, r.reported) for r in receipt.results] == [(PushOutcome.APPLIED, 9), (PushOutcome.APPLIED, 38)]


async def test_nothing_to_move_calls_nobody_and_no_count_is_refused() -> None:
    receipt = await CONNECTOR.push_quantities(scripted([]), batch(change("A", 5, 5), change("B", None, 5)))
    assert [r.outcome for r in receipt.results] == [PushOutcome.APPLIED, PushOutcome.REFUSED]


async def test_one_bad_variation_that_square_names_does_not_stop_its_neighbours() -> None:
    api = scripted([refusal("NOT_FOUND", field="changes[1].adjustment.catalog_object_id"), reply({"counts": []})])
    receipt = await CONNECTOR.push_quantities(api, batch(change("A", 1, 0), change("B", 1, 0), change("C", 1, 0)))
    assert [r.outcome.value for r in receipt.results] == ["applied", "refused", "applied"]
    assert receipt.results[1].code == "NOT_FOUND"
    first, second = (body_of(call) for call in api.calls)
    assert [c["adjustment"]["catalog_object_id"] for c in second["changes"]] == ["A", "C"]
    assert first["idempotency_key"] != second["idempotency_key"]


async def test_one_bad_variation_that_square_does_not_name_is_found_by_halving_repeatably() -> None:
    def answer(call: Call) -> Reply:
        bad = any(c["adjustment"]["catalog_object_id"] == "C" for c in body_of(call)["changes"])
        return refusal("INVALID_VALUE") if bad else reply({"counts": []})

    runs = []
    for _ in range(2):
        api = scripted([answer] * 5)
        receipt = await CONNECTOR.push_quantities(api, batch(*(change(v, 1, 0) for v in "ABCD")))
        assert {r.external_id[0]: r.outcome.value for r in receipt.results} == {
            "A": "applied",
            "B": "applied",
            "C": "refused",
            "D": "applied",
        }
        runs.append(api.calls)
    assert runs[0] == runs[1]
    keys = [body_of(call)["idempotency_key"] for call in runs[0]]
    assert len(set(keys)) == len(keys) == 5
    assert all(len(key) <= 128 for key in keys)


@pytest.mark.parametrize("error", [TemporarilyUnavailable(), OutcomeUnknown(), reply({}, 503)])
async def test_a_lost_answer_asks_for_the_same_batch_again(error: Answer) -> None:
    with pytest.raises(OutcomeUnknown):
        await CONNECTOR.push_quantities(scripted([error]), batch(change("A", 1, 0)))


@pytest.mark.parametrize("status", [429, 401, 503])
async def test_trouble_after_a_part_was_written_is_told_as_unknown(status: int) -> None:
    answers: list[Answer] = [refusal("INVALID_VALUE"), reply({"counts": []}), reply({}, status)]
    with pytest.raises(OutcomeUnknown):
        await CONNECTOR.push_quantities(scripted(answers), batch(change("A", 1, 0), change("B", 1, 0)))


async def test_being_asked_to_slow_down_before_anything_was_written_is_told_as_that() -> None:
    with pytest.raises(RateLimited):
        await CONNECTOR.push_quantities(scripted([reply({}, 429)]), batch(change("A", 1, 0)))


@pytest.mark.parametrize("code", ["INVALID_TIME", "IDEMPOTENCY_KEY_REUSED"])
async def test_a_refused_time_or_key_leaves_the_outcome_open(code: str) -> None:
    receipt = await CONNECTOR.push_quantities(scripted([refusal(code)]), batch(change("A", 1, 0), change("B", 1, 0)))
    assert {r.outcome for r in receipt.results} == {PushOutcome.UNKNOWN}


async def test_a_wrong_location_is_everyones_trouble() -> None:
    api = scripted([refusal("INVALID_VALUE", field="changes[0].adjustment.location_id")])
    with pytest.raises(RequestRejected):
        await CONNECTOR.push_quantities(api, batch(change("A", 1, 0), change("B", 1, 0)))


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


def order(**fields: Any) -> dict[str, Any]:
    money = {"amount": 500, "currency": "GBP"}
    line = {"uid": "L1", "quantity": "1", "name": "Tea", "catalog_object_id": "V", "base_price_money": money}
    whole = {"id": "O", "location_id": "LSHOP1", "state": "OPEN", "updated_at": "2026-11-18T09:00:00Z"}
    return {**whole, "line_items": [line], "total_money": money, **fields}


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


# ---- fulfilment ----------------------------------------------------------------------------------------


def parcel(key: str, *lines: tuple[str, int]) -> Fulfilment:
    of = tuple(FulfilmentLine(uid, units) for uid, units in lines)
    return Fulfilment("O", key, "Royal Mail", "RM1", "https://track.example/RM1", AT, of)


def open_order(**fields: Any) -> dict[str, Any]:
    lines = [{"uid": "L1", "quantity": "2", "name": "Tray"}, {"uid": "L2", "quantity": "1", "name": "Tea"}]
    shipment = {"uid": "F1", "type": "SHIPMENT", "state": "PROPOSED", "line_item_application": "ALL", **fields}
    return order(version=3, line_items=lines, fulfillments=[shipment])


async def test_a_parcel_with_everything_completes_the_fulfilment() -> None:
    api = scripted([reply({"orders": [open_order()]}), reply({"order": open_order()})])
    assert await CONNECTOR.push_fulfilment(api, parcel("P1", ("L1", 2), ("L2", 1))) == "F1"
    put = api.calls[1]
    assert (put.method, put.path, put.idempotent) == ("PUT", "/v2/orders/O", True)
    sent = body_of(put)["order"]
    assert sent["version"] == 3
    assert sent["fulfillments"][0]["state"] == "COMPLETED"
    assert sent["fulfillments"][0]["shipment_details"] == {
        "carrier": "Royal Mail",
        "tracking_number": "RM1",
        "tracking_url": "https://track.example/RM1",
    }


async def test_a_part_leaves_it_open_and_the_rest_completes_it() -> None:
    api = scripted([reply({"orders": [open_order()]}), reply({})])
    await CONNECTOR.push_fulfilment(api, parcel("P1", ("L1", 2)))
    first = body_of(api.calls[1])["order"]["fulfillments"][0]
    assert "state" not in first
    noted = open_order(metadata=first["metadata"])
    api = scripted([reply({"orders": [noted]}), reply({})])
    await CONNECTOR.push_fulfilment(api, parcel("P2", ("L2", 1)))
    second = body_of(api.calls[1])["order"]["fulfillments"][0]
    assert second["state"] == "COMPLETED"
    assert len(second["metadata"]) == 2


async def test_a_parcel_told_twice_is_written_once() -> None:
    api = scripted([reply({"orders": [open_order()]}), reply({})])
    await CONNECTOR.push_fulfilment(api, parcel("P1", ("L1", 2)))
    noted = open_order(metadata=body_of(api.calls[1])["order"]["fulfillments"][0]["metadata"])
    again = scripted([reply({"orders": [noted]})])
    assert await CONNECTOR.push_fulfilment(again, parcel("P1", ("L1", 2))) == "F1"


async def test_an_order_changed_in_the_meantime_is_read_again() -> None:
    newer = {**open_order(), "version": 4}
    conflict = refusal("VERSION_MISMATCH", 409)
    api = scripted([reply({"orders": [open_order()]}), conflict, reply({"orders": [newer]}), reply({})])
    await CONNECTOR.push_fulfilment(api, parcel("P1", ("L1", 2), ("L2", 1)))
    first, second = body_of(api.calls[1]), body_of(api.calls[3])
    assert (first["order"]["version"], second["order"]["version"]) == (3, 4)
    assert first["idempotency_key"] != second["idempotency_key"]


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"orders": [{**open_order(), "state": "CANCELED"}]},
        {"orders": [open_order(state="CANCELED")]},
        {"orders": [{**open_order(), "version": None}]},
    ],
)
async def test_a_parcel_that_cannot_be_told_is_refused_in_plain_words(found: dict[str, Any]) -> None:
    with pytest.raises(RequestRejected) as caught:
        await CONNECTOR.push_fulfilment(scripted([reply(found)]), parcel("P1", ("L1", 2)))
    assert len(caught.value.detail) > 10


async def test_an_order_that_was_completed_by_hand_needs_nothing() -> None:
    done = {**open_order(state="COMPLETED"), "state": "COMPLETED"}
    assert await CONNECTOR.push_fulfilment(scripted([reply({"orders": [done]})]), parcel("P1", ("L1", 2))) == "F1"


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
