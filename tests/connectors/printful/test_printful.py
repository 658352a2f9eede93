"""The Printful connector against the common contract, Printful's specification and its own rules."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.connectors.contract_suite import ConnectorContract
from tests.connectors.printful.given import (
    CREDENTIALS,
    MISSING,
    PAYLOADS,
    SETTINGS,
    TAKEN,
    asked,
    check_call,
    draft,
    is_beyond,
    of_store,
    order,
    placement,
    printed,
    refusal,
    scripted,
    told,
)
from tests.connectors.scripted import Answer, reply

from entrepot.channels.contract import (
    Address,
    Call,
    ConnectorError,
    CostsState,
    CredentialsRejected,
    DesignLayer,
    ListingRef,
    MakingConfirmation,
    MakingDraft,
    MakingOutcome,
    MakingResult,
    MakingStatus,
    OutcomeUnknown,
    Placement,
    RateLimited,
    RequestRejected,
    RetailCosts,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)
from entrepot.connectors.printful import CONNECTOR, drafts, orders
from entrepot.connectors.printful.checking import missing_scopes
from entrepot.connectors.printful.orders import STATUSES, costs_of, order_of

DONE, REFUSED, UNKNOWN = MakingOutcome.DONE, MakingOutcome.REFUSED, MakingOutcome.UNKNOWN
SCOPES = [
    {"name": "View and manage orders of the authorized store", "value": "orders"},
    {"name": "View store products", "value": "sync_products/read"},
    {"name": "View and manage store webhooks", "value": "webhooks"},
]
STORES = [{"id": 10, "type": "native", "name": "Poppy"}, {"id": 11, "type": "shopify", "name": "Poppy US"}]


class TestPrintful(ConnectorContract):
    connector = CONNECTOR
    settings = SETTINGS
    credentials = CREDENTIALS
    payloads = PAYLOADS
    optional_fields = (
        "sku",
        "retail_price",
        "currency",
        "thumbnail_url",
        "availability_status",
        "is_ignored",
        "synced",
        "color",
        "size",
        "product",
        "variant_id",
        "brand",
        "description",
        "image",
        "is_discontinued",
    )

    def check_call(self, call: Call) -> None:
        check_call(call)

    def listing_pages(self) -> list[Answer]:
        names = ("store_products_1", "store_product_501", "store_products_2", "store_product_502")
        catalog = ("catalog_product_71", "catalog_variants_1", "catalog_variants_2")
        return [self.recorded(f"{name}.json") for name in (*names, *catalog)]

    def healthy(self) -> list[Answer]:
        return [reply({"data": SCOPES}), reply({"code": 200, "result": STORES}), reply({"data": []})]

    def sign(self, body: bytes, url: str, secret: str) -> Mapping[str, str]:
        return {"x-pf-webhook-signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}

    def webhooks(self) -> Mapping[str, tuple[bytes, Mapping[str, str]]]:
        return {
            "sent": event("shipment_sent", {"shipment": parcel("shipped"), "order": made("partial")}),
            "returned": event(
                "shipment_returned",
                {"reason": "Nobody was there.", "shipment": parcel("returned"), "order": made("fulfilled")},
            ),
            "out": event(
                "shipment_out_of_stock",
                {"is_out_of_stock": True, "shipment": parcel("outstock"), "order": made("inprocess")},
            ),
            "back": event(
                "shipment_out_of_stock",
                {"is_out_of_stock": False, "shipment": parcel("pending"), "order": made("inprocess")},
            ),
            "updated": event("order_updated", {"order": made("pending")}),
            "failed": event("order_failed", {"reason": "The card was declined.", "order": made("failed")}),
            "canceled": event("order_canceled", {"order": made("canceled")}),
            "held": event("order_put_hold", {"reason": "The address is not whole.", "order": made("onhold")}),
            "approval": event("order_put_hold_approval", {"order": made("onhold")}),
            "released": event("order_remove_hold", {"order": made("inprocess")}),
            "stock": event(
                "catalog_stock_updated",
                [
                    {"catalog_product_id": 71, "catalog_variant_id": 4011, "techniques": ["dtg"], "availability": word}
                    for word in ("out of stock", "on demand")
                ]
                + [{"catalog_product_id": 71, "catalog_variant_id": 4012, "availability": "discontinued"}],
            ),
        }

    # ---- recorded answers -------------------------------------------------------------------------------------------

    async def test_an_order_and_its_parcels_map_to_the_snapshot(self) -> None:
        (found,) = await CONNECTOR.read_making(self.api([self.recorded("order.json")]), ["order-1"])
        self.snapshot("order", found)
        api = self.api([self.recorded("shipments.json"), self.recorded("old_order.json")])
        self.snapshot("shipments", await CONNECTOR.read_shipments(api, "order-1"))

    async def test_availability_maps_to_the_snapshot(self) -> None:
        refs = [
            ListingRef(f"catalog-{id}", {"catalog_variant_id": id, "catalog_product_id": "71"})
            for id in ("4013", "4012", "4011", "9999")
        ]
        found = await CONNECTOR.read_availability(self.api([self.recorded("availability.json")]), refs)
        assert [each.external_id for each in found] == [ref.external_id for ref in refs]
        self.snapshot("availability", found)


def event(topic: str, data: Any) -> tuple[bytes, Mapping[str, str]]:
    whole = {"type": topic, "occurred_at": "2026-11-20T10:00:00Z", "retries": 0, "store_id": 10, "data": data}
    return msgspec.json.encode(whole), {"content-type": "application/json"}


def made(status: str) -> dict[str, Any]:
    times = {"created_at": "2026-11-18T09:00:00Z", "updated_at": "2026-11-20T10:00:00Z"}
    return {"id": 123, "external_id": "order-1", "status": status, "store_id": 10, **times}


def parcel(status: str) -> dict[str, Any]:
    times = {"created_at": "2026-11-19T09:00:00Z", "shipped_at": "2026-11-20T09:58:00Z", "ship_date": "2026-11-20"}
    return {"id": 31, "status": status, "store_id": 10, "tracking_number": "1Z31", **times, "reshipment": False}


# ---- our orders as Printful takes them -------------------------------------------------------------------------------


def body_of(call: Call) -> Any:
    return msgspec.json.decode(call.body or b"")


async def test_a_draft_is_looked_for_then_made_whole() -> None:
    design = Placement(
        "front",
        "embroidery",
        (
            DesignLayer(
                "https://files.example/a.png",
                {"width": Decimal(10), "height": Decimal("8"), "top": Decimal(1), "left": Decimal(1)},
                {"thread_colors": ("#FFFFFF", "#000000")},
            ),
        ),
    )
    line = printed("a", 2, placements=(design,), options={"notes": "Mind the seam."})
    wanted = replace(draft(line), retail=RetailCosts("EUR", Decimal("4.9"), Decimal(0), Decimal("2.00")), message="Hi")
    api = scripted(MISSING, told(order_items=[{**order()["order_items"][0], "external_id": "a"}]))
    result = await CONNECTOR.make_draft(api, wanted)
    assert result.outcome is DONE
    assert asked(api) == ["GET /v2/orders/@order-1", "POST /v2/orders"]
    assert not any(call.idempotent for call in api.calls if call.method == "POST")
    assert all(call.headers["x-pf-store-id"] == "10" for call in api.calls)
    body = body_of(api.calls[1])
    assert body["retail_costs"] == {"currency": "EUR", "discount": "2.00", "shipping": "4.90", "tax": "0.00"}
    assert body["customization"] == {"packing_slip": {"custom_order_id": "#1001", "message": "Hi"}}
    assert "state_code" not in body["recipient"]
    (item,) = body["order_items"]
    assert item["product_options"] == [{"name": "notes", "value": "Mind the seam."}]
    layer = item["placements"][0]["layers"][0]
    assert layer["layer_options"] == [{"name": "thread_colors", "value": ["#FFFFFF", "#000000"]}]
    assert layer["position"] == {"width": 10, "height": 8, "top": 1, "left": 1}


async def test_products_of_the_store_go_by_the_first_version() -> None:
    api = scripted(MISSING, reply({"code": 200, "result": {"id": 123}}), told())
    result = await CONNECTOR.make_draft(api, draft(of_store("line-1", 2)))
    assert result.outcome is DONE
    assert asked(api) == ["GET /v2/orders/@order-1", "POST /orders", "GET /v2/orders/@order-1"]
    assert body_of(api.calls[1])["items"] == [
        {"external_id": "line-1", "quantity": 2, "sync_variant_id": 901, "name": "Poppy mug"}
    ]


@pytest.mark.parametrize(
    ("region", "told_as"),
    [("CA", {"state_code": "CA"}), ("California", {"state_name": "California"}), ("", {})],
)
def test_a_state_is_told_as_what_it_is(region: str, told_as: dict[str, str]) -> None:
    body = drafts.recipient_body(Address("Ada", line1="1 Mill", city="X", region=region, country="FR"), "")
    assert {name: value for name, value in body.items() if name.startswith("state")} == told_as


_TO = draft().recipient


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (draft(external_id="has spaces"), "external_id"),
        (draft(external_id="x" * 33), "external_id"),
        (draft(external_id=""), "external_id"),
        (replace(draft(), lines=()), "lines"),
        (draft(printed("a"), printed("a")), "lines"),
        (draft(printed("")), "lines"),
        (draft(printed(quantity=0)), "quantity"),
        (draft(replace(printed(), ref=ListingRef("x"))), "variant"),
        (draft(printed(placements=())), "placements"),
        (draft(printed(placements=(placement("ftp://files.example/a.png"),))), "placements"),
        (draft(printed(placements=(placement("https:///a.png"),))), "placements"),
        (draft(printed(placements=(Placement("front", "dtg", ()),))), "placements"),
        (draft(printed(retail_price=Decimal("1.005"))), "amount"),
        (replace(draft(), recipient=replace(_TO, line1=" ")), "recipient"),
        (replace(draft(), recipient=replace(_TO, country="Portugal")), "recipient"),
        (replace(draft(), recipient=replace(_TO, country="US")), "recipient"),
        (draft(of_store("a"), printed("b", options={"notes": "x"})), "mixed"),
        (
            draft(
                of_store("a"), printed("b", placements=(Placement("front", "dtg", (DesignLayer("https://f/a"),) * 2),))
            ),
            "mixed",
        ),
    ],
)
async def test_what_printful_could_not_take_is_refused_before_it_is_asked(wanted: MakingDraft, code: str) -> None:
    result = await CONNECTOR.make_draft(scripted(), wanted)
    assert (result.outcome, result.code) == (REFUSED, code)
    assert len(result.detail) > 15


# ---- each step, whatever fails ---------------------------------------------------------------------------------------

LOST = OutcomeUnknown("lost")
DOWN = reply(b"", 503)
GARBLED = reply(b"<html>", 200)


@pytest.mark.parametrize("lost", [LOST, DOWN, GARBLED, TAKEN], ids=["lost", "503", "garbled", "taken"])
async def test_a_lost_creation_is_found_by_looking(lost: Answer) -> None:
    api = scripted(MISSING, lost, told())
    result = await CONNECTOR.make_draft(api, draft())
    assert (result.outcome, result.order and result.order.maker_id) == (DONE, "123")
    assert [call.method for call in api.calls] == ["GET", "POST", "GET"]


@pytest.mark.parametrize("lost", [LOST, DOWN, GARBLED], ids=["lost", "503", "garbled"])
@pytest.mark.parametrize(
    "look", [MISSING, DOWN, LOST, GARBLED, reply({}, 401)], ids=["none", "503", "lost", "x", "401"]
)
async def test_a_creation_that_cannot_be_found_is_unknown_never_repeated(lost: Answer, look: Answer) -> None:
    api = scripted(MISSING, lost, look)
    result = await CONNECTOR.make_draft(api, draft())
    assert result.outcome is UNKNOWN
    assert [call.method for call in api.calls].count("POST") == 1


@pytest.mark.parametrize("first", [DOWN, LOST, GARBLED, reply({}, 401), reply({}, 429)])
async def test_nothing_is_made_where_looking_fails(first: Answer) -> None:
    for step in (
        lambda api: CONNECTOR.make_draft(api, draft()),
        lambda api: CONNECTOR.confirm_making(api, MakingConfirmation("order-1")),
        lambda api: CONNECTOR.cancel_making(api, "order-1"),
    ):
        api = scripted(first)
        with pytest.raises(ConnectorError):
            await step(api)
        assert [call.method for call in api.calls] == ["GET"]


async def test_a_refused_rate_is_raised_as_nothing_was_done() -> None:
    for step, before in (
        (lambda api: CONNECTOR.make_draft(api, draft()), MISSING),
        (lambda api: CONNECTOR.confirm_making(api, MakingConfirmation("order-1")), told()),
        (lambda api: CONNECTOR.cancel_making(api, "order-1"), told()),
    ):
        with pytest.raises(RateLimited):
            await step(scripted(before, reply({}, 429, retry_after="5")))


@pytest.mark.parametrize("status", ["pending", "inprocess", "partial", "fulfilled", "onhold"])
async def test_what_is_confirmed_is_not_confirmed_again(status: str) -> None:
    api = scripted(told(status))
    result = await CONNECTOR.confirm_making(api, MakingConfirmation("order-1", again=True))
    assert result.outcome is DONE
    assert len(api.calls) == 1


@pytest.mark.parametrize("answer", [told("pending"), LOST, DOWN, GARBLED, refusal(409, "Already confirmed")])
@pytest.mark.parametrize("after", ["pending", "inprocess", "fulfilled"])
async def test_a_confirmation_is_judged_by_what_is_there_afterwards(answer: Answer, after: str) -> None:
    api = scripted(told(), answer, told(after))
    assert (await CONNECTOR.confirm_making(api, MakingConfirmation("order-1"))).outcome is DONE
    assert asked(api)[1] == "POST /v2/orders/123/confirmation"


async def test_a_confirmation_that_did_not_come_through() -> None:
    lost = await CONNECTOR.confirm_making(scripted(told(), LOST, told()), MakingConfirmation("order-1"))
    assert lost.outcome is UNKNOWN
    refused = await CONNECTOR.confirm_making(
        scripted(told(), refusal(400, "No payment method."), told()), MakingConfirmation("order-1")
    )
    assert (refused.outcome, refused.detail) == (REFUSED, "No payment method.")
    busy = await CONNECTOR.confirm_making(
        scripted(told(), refusal(409, "It is being updated."), told()), MakingConfirmation("order-1")
    )
    assert busy.outcome is MakingOutcome.NOT_YET
    for answer in (refusal(409, "Only a draft can be confirmed."), refusal(400, "No.")):
        unseen = await CONNECTOR.confirm_making(scripted(told(), answer, DOWN), MakingConfirmation("order-1"))
        assert unseen.outcome is UNKNOWN
    items = reply({"data": []})
    failed = await CONNECTOR.confirm_making(
        scripted(told(), told("pending"), told("failed"), items), MakingConfirmation("order-1")
    )
    assert (failed.outcome, failed.code) == (REFUSED, "failed")


@pytest.mark.parametrize(
    ("found", "outcome", "code"),
    [
        (MISSING, REFUSED, "no_order"),
        (told("canceled"), REFUSED, "cancelled"),
        (told(costs="calculating"), MakingOutcome.NOT_YET, "costs"),
        (told(costs="failed"), REFUSED, "costs"),
    ],
)
async def test_what_cannot_be_confirmed_is_not_tried(found: Answer, outcome: MakingOutcome, code: str) -> None:
    api = scripted(found)
    result = await CONNECTOR.confirm_making(api, MakingConfirmation("order-1"))
    assert (result.outcome, result.code) == (outcome, code)
    assert len(api.calls) == 1


async def test_cancelling_is_judged_by_what_is_there_afterwards() -> None:
    async def cancelled(*answers: Answer) -> MakingResult:
        return await CONNECTOR.cancel_making(scripted(*answers), "order-1")

    assert (await cancelled(MISSING)).outcome is DONE
    assert (await cancelled(told("canceled"))).outcome is DONE
    for answer in (reply({"code": 200}), LOST, DOWN, refusal(400, "It is canceled.")):
        assert (await cancelled(told("pending"), answer, told("canceled"))).outcome is DONE
    assert (await cancelled(told(), LOST, told())).outcome is UNKNOWN
    assert (await cancelled(told(), refusal(400, "It is canceled."), DOWN)).outcome is UNKNOWN
    late = await cancelled(told("pending"), refusal(400, "In production."), told("inprocess"))
    assert late.outcome is MakingOutcome.TOO_LATE
    assert "In production." in late.detail
    for status in ("inprocess", "partial", "fulfilled"):
        assert (await cancelled(told(status))).outcome is MakingOutcome.TOO_LATE


async def test_a_store_behind_a_shop_platform_has_its_products_elsewhere() -> None:
    empty = reply({"code": 200, "result": [], "paging": {"total": 0, "offset": 0, "limit": 20}})
    api = scripted(refusal(400, "For stores on the Manual platform only."), empty, settings={"catalog_products": ""})
    page = await CONNECTOR.pull_listings(api, None)
    assert (page.items, page.more) == ((), False)
    assert asked(api) == ["GET /store/products", "GET /sync/products"]


async def test_a_catalog_product_that_is_not_there_is_named() -> None:
    with pytest.raises(RequestRejected, match="no product 71"):
        await CONNECTOR.pull_listings(scripted(MISSING), '{"part":"catalog","at":0}')


@pytest.mark.parametrize("cursor", ["", "{}", "nonsense", '{"part":"else","at":0}', '{"part":"store","at":-1}'])
async def test_a_damaged_place_in_the_products_is_an_unexpected_answer(cursor: str) -> None:
    with pytest.raises(UnexpectedAnswer):
        await CONNECTOR.pull_listings(scripted(), cursor)


async def test_products_that_vanish_between_two_calls_are_left_out() -> None:
    listed = reply({"code": 200, "result": [{"id": 1}], "paging": {"total": 1, "offset": 0, "limit": 20}})
    page = await CONNECTOR.pull_listings(scripted(listed, MISSING, settings={"store_id": "10"}), None)
    assert (page.items, page.cursor) == ((), None)


# ---- mapping ---------------------------------------------------------------------------------------------------------


def test_every_status_of_the_documents_is_known_and_a_new_one_is_not_guessed() -> None:
    assert {orders.status_of(word) for word in STATUSES} == set(MakingStatus)
    with pytest.raises(UnexpectedAnswer):
        order_of(order("teleported"))
    stopped = (MakingStatus.FAILED, MakingStatus.ON_HOLD, MakingStatus.CANCELLED)
    assert all(orders.reason_of(status) for status in stopped)


def test_costs_count_only_when_they_are_worked_out() -> None:
    assert costs_of({"calculation_status": "calculating", "total": None}).state is CostsState.CALCULATING
    assert costs_of({"calculation_status": "done", "total": None}).state is CostsState.CALCULATING
    assert costs_of({"calculation_status": "done", "total": "0.10", "subtotal": "0.10"}).total == Decimal("0.10")
    with pytest.raises(UnexpectedAnswer):
        costs_of({"calculation_status": "done", "total": "NaN"})


async def test_news_is_the_same_each_time_it_is_sent() -> None:
    body, headers = event("order_failed", {"reason": "No", "order": made("failed")})
    again = body.replace(b'"retries":0', b'"retries":3')
    assert again != body
    assert CONNECTOR.webhook_event_id(again, headers) == CONNECTOR.webhook_event_id(body, headers)
    later = body.replace(b"2026-11-20T10:00:00Z", b"2026-11-20T10:00:01Z")
    assert CONNECTOR.webhook_event_id(later, headers) != CONNECTOR.webhook_event_id(body, headers)


def test_the_secret_is_hexadecimal() -> None:
    body, secret = b"{}", CREDENTIALS["webhook_secret"]
    signature = hmac.new(bytes.fromhex(secret), body, hashlib.sha256).hexdigest()
    assert CONNECTOR.verify_webhook(body, {"x-pf-webhook-signature": signature}, "", secret)
    wrong = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert not CONNECTOR.verify_webhook(body, {"x-pf-webhook-signature": wrong}, "", secret)
    empty = hmac.new(b"", body, hashlib.sha256).hexdigest()
    for blank in ("", " ", "  "):
        assert not CONNECTOR.verify_webhook(body, {"x-pf-webhook-signature": empty}, "", blank)


# ---- the test, the limits, the errors --------------------------------------------------------------------------------


async def test_a_token_that_may_too_little_is_told_what_it_lacks() -> None:
    report = await CONNECTOR.check(scripted(reply({"data": SCOPES[1:]})))
    assert not report.ok
    assert "View and manage orders" in report.summary
    assert missing_scopes({each["value"] for each in SCOPES}) == []


@pytest.mark.parametrize(("store_id", "ok"), [("10", True), ("12", False), ("", False)])
async def test_the_store_is_found_or_the_stores_are_listed(store_id: str, ok: bool) -> None:
    answers = [reply({"data": SCOPES}), reply({"code": 200, "result": STORES}), reply({"data": []})]
    report = await CONNECTOR.check(scripted(*answers, settings={"store_id": store_id}))
    assert report.ok is ok
    assert "Poppy" in report.summary


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x_ratelimit_limit": "120", "x_ratelimit_remaining": "7", "x_ratelimit_policy": "120;w=60;"}, (7, 120, 2)),
        ({"x_ratelimit_remaining": "7"}, (7, None, None)),
        ({"x_ratelimit_policy": "5;w=0;", "x_ratelimit_limit": "many"}, None),
        ({}, None),
    ],
)
def test_the_bucket_is_read_from_the_headers(headers: dict[str, str], expected: Any) -> None:
    found = CONNECTOR.read_limits(Call("x", "GET", "/"), reply({}, **headers))
    if expected is None:
        assert found == ()
    else:
        assert (found[0].available, found[0].capacity, found[0].refill_per_s) == expected


@pytest.mark.parametrize(
    ("answer", "kind", "code", "words"),
    [
        (TAKEN, RequestRejected, "OR-13", "already exists"),
        (refusal(400, "Order with this External ID already exists"), RequestRejected, "OR-13", "already exists"),
        (reply({"type": "x", "status": 400, "title": "Bad", "detail": "The zip is wrong."}, 400), RequestRejected, "400",
         "The zip is wrong."),
        (reply({"data": "No such task", "error": {}}, 404), RequestRejected, "404", "No such task"),
        (reply({"errors": [{"detail": "Name is missing"}, "x"]}, 422), RequestRejected, "422", "Name is missing"),
        (refusal(401, "Malformed Authorization header."), CredentialsRejected, "401", "Malformed"),
        (reply({"status": 500, "details": "It broke."}, 500), TemporarilyUnavailable, "500", "It broke."),
    ],
)  # fmt: skip
def test_errors_are_told_in_printfuls_words(answer: Any, kind: type[ConnectorError], code: str, words: str) -> None:
    error = CONNECTOR.classify(answer)
    assert type(error) is kind
    assert error.code == code
    assert words in error.detail


def test_a_link_to_the_next_page_leads_nowhere_else() -> None:
    from entrepot.connectors.printful import calls

    first = calls.catalog_variants("71")
    call = calls.next_page(first, "https://evil.example/v2/other?limit=2&offset=2")
    assert (call.path, call.absolute_url, call.query) == (first.path, None, (("limit", "2"), ("offset", "2")))


def test_requests_beyond_the_specification_are_few() -> None:
    assert is_beyond(Call("x", "DELETE", "/orders/1"))
    assert not is_beyond(Call("x", "GET", "/v2/orders/@a"))
