"""The eBay connector against the common contract, eBay's specifications and its own rules."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.connectors.contract_suite import ConnectorContract
from tests.connectors.ebay.given import (
    AT,
    CREDENTIALS,
    SETTINGS,
    an_error,
    an_offer,
    batch,
    change,
    check_call,
    offers,
    refusal,
    scripted,
    updated,
)
from tests.connectors.scripted import Answer, reply
from tests.connectors.specs import published_payloads

from entrepot.channels import limits
from entrepot.channels.contract import (
    Call,
    ChannelOrderStatus,
    CredentialsRejected,
    Fulfilment,
    FulfilmentLine,
    ListingRef,
    OutcomeUnknown,
    PushOutcome,
    QuantityBatch,
    QuotaExhausted,
    RateLimited,
    RefundLine,
    RefundRequest,
    Reply,
    RequestRejected,
    SettlementKind,
    SettlementLine,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)
from entrepot.connectors.ebay import CONNECTOR, webhooks
from entrepot.connectors.ebay.fulfilment import body_of_parcel
from entrepot.connectors.ebay.manifest import CALLS_PER_DAY, DAY_S
from entrepot.connectors.ebay.order_money import refunds_of
from entrepot.connectors.ebay.orders import order_of

PAYLOADS = Path(__file__).parent / "payloads"
KEY = ec.derive_private_key(4711, ec.SECP256R1())
OTHER_KEY = ec.derive_private_key(4712, ec.SECP256R1())


def public(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a public key as the connector keeps it."""
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"SHA1:{base64.b64encode(der).decode()}"


def signature(body: bytes, key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    raw = key.sign(body, ec.ECDSA(hashes.SHA1()))
    told = {"alg": "ecdsa", "kid": "key-1", "signature": base64.b64encode(raw).decode(), "digest": "SHA1"}
    return {"x-ebay-signature": base64.b64encode(msgspec.json.encode(told)).decode()}


class TestEbay(ConnectorContract):
    connector = CONNECTOR
    settings = SETTINGS
    credentials = CREDENTIALS
    payloads = PAYLOADS
    webhook_secret = public(KEY)
    optional_fields = (
        "buyer",
        "email",
        "primaryPhone",
        "addressLine2",
        "shippingStep",
        "pricingSummary",
        "cancelStatus",
        "paymentSummary",
        "salesRecordReference",
        "title",
        "variationAspects",
        "lastModifiedDate",
        "description",
        "brand",
        "aspects",
        "ean",
        "imageUrls",
        "packageWeightAndSize",
        "availableQuantity",
        "categoryId",
        "listing",
    )

    def check_call(self, call: Call) -> None:
        check_call(call)

    def order_pages(self) -> list[Answer]:
        return [
            self.recorded("orders_1.json"),
            self.recorded("parcels.json"),
            self.recorded("orders_2.json"),
            self.recorded("parcels.json"),
            self.recorded("orders_3.json"),
        ]

    def listing_pages(self) -> list[Answer]:
        group = self.recorded("group.json")
        first = [offers(an_offer("MUG-1", 4)), offers(an_offer("MUG-2", 0, status="UNPUBLISHED"))]
        second = [offers(an_offer("MUG-3", 1)), refusal(404, 25713)]
        return [self.recorded("items_1.json"), *first, group, self.recorded("items_2.json"), *second]

    def push(self) -> tuple[QuantityBatch, list[Answer]]:
        return batch(change("A", 3), change("B/1", 0)), [updated(("A", 200, None), ("B/1", 200, None))]

    def read(self) -> tuple[Sequence[ListingRef], list[Answer]]:
        def told(sku: str, units: int) -> dict[str, Any]:
            item = {"sku": sku, "availability": {"shipToLocationAvailability": {"quantity": units}}}
            return {"sku": sku, "statusCode": 200, "inventoryItem": item}

        gone = {"sku": "C", "statusCode": 404, "errors": [an_error(25702)]}
        answer = reply({"responses": [told("A", 4), told("B", 0), gone]}, 207)
        return [ListingRef("A"), ListingRef("B"), ListingRef("C")], [answer]

    def healthy(self) -> list[Answer]:
        place = {"merchantLocationKey": "hamburg", "merchantLocationStatus": "ENABLED"}
        return [
            reply({"total": 1, "locations": [place]}),
            reply({"total": 7, "orders": []}),
            reply({"total": 4, "inventoryItems": []}),
            reply({"total": 1, "fulfillmentPolicies": [{"fulfillmentPolicyId": "6001"}]}),
        ]

    def sign(self, body: bytes, url: str, secret: str) -> Mapping[str, str]:
        return signature(body, KEY)

    def webhooks(self) -> Mapping[str, tuple[bytes, Mapping[str, str]]]:
        def event(topic: str, data: dict[str, Any]) -> tuple[bytes, Mapping[str, str]]:
            told = {
                "metadata": {"topic": topic, "schemaVersion": "1.0", "deprecated": False},
                "notification": {
                    "notificationId": f"n-{topic.lower()}",
                    "eventDate": "2026-11-20T11:00:00.000Z",
                    "publishDate": "2026-11-20T11:00:01.000Z",
                    "publishAttemptCount": 1,
                    "data": data,
                },
            }
            return msgspec.json.encode(told), {"content-type": "application/json"}

        return {
            "order": event("ORDER_CONFIRMATION", {"orderId": "11-00001-00001", "lineItems": [{"lineItemId": "1001"}]}),
            "order inside": event("ORDER_CONFIRMATION", {"order": {"orderId": "11-00002-00002"}}),
            "shipped": event("ITEM_MARKED_SHIPPED", {"lineItems": [{"orderId": "11-00001-00001"}]}),
            "account closed": event("MARKETPLACE_ACCOUNT_DELETION", {"username": "u", "userId": "x"}),
        }


# ---- orders --------------------------------------------------------------------------------------------


async def test_what_the_orders_say_is_mapped() -> None:
    answers: list[Answer] = [
        reply((PAYLOADS / "orders_2.json").read_bytes()),
        reply((PAYLOADS / "parcels.json").read_bytes()),
    ]
    found = {order.external_id[-1]: order for order in await CONNECTOR.fetch_orders(scripted(answers), ["any"])}
    partly = found["2"]
    assert partly.status is ChannelOrderStatus.PARTLY_SHIPPED
    assert [(line.sku, line.quantity, line.shipped) for line in partly.lines] == [("MUG-2", 3, 2), (None, 1, 0)]
    cancelled = found["3"]
    assert cancelled.status is ChannelOrderStatus.CANCELLED
    assert [(line.cancelled, line.shipped) for line in cancelled.lines] == [(1, 0)]
    assert "refund refunded" in cancelled.channel_status
    assert [line.sku for line in found["4"].lines] == ["MUG-3"], "a line of another marketplace is another connection's"
    assert found["4"].status is ChannelOrderStatus.SHIPPED
    assert order_of(msgspec.json.decode((PAYLOADS / "orders_3.json").read_bytes())["orders"][1], "EBAY_DE") is None


def test_refunds_are_read_from_order_and_lines() -> None:
    orders = msgspec.json.decode((PAYLOADS / "orders_2.json").read_bytes())["orders"]

    def told(payload: dict[str, Any]) -> list[tuple[str, Decimal, str]]:
        return [(each.external_id, each.amount, each.external_line_id) for each in refunds_of(payload)]

    assert told(orders[2]) == [("5001", Decimal("17.40"), "")]
    assert told(orders[3]) == [("5002", Decimal("2.50"), "1005")]


def page(total: int, *numbers: int) -> Reply:
    template = msgspec.json.decode((PAYLOADS / "orders_1.json").read_bytes())["orders"][0]
    orders = [{**template, "orderId": f"11-00000-{number:05d}"} for number in numbers]
    return reply({"total": total, "limit": 2, "orders": orders})


async def test_an_order_that_leaves_the_interval_while_it_is_paged_hides_no_other() -> None:
    # Four orders changed; between the pages the first one changes again, so the third moves up past the second page.
    answers: list[Answer] = [page(4, 1, 2), page(4, 1, 2), page(3, 4), page(3, 2, 3), page(1, 1)]
    cursor = '{"by":"changed","created":"2026-11-01T00:00:00Z","changed":"2026-11-02T00:00:00Z"}'
    api = scripted(answers)
    seen: set[str] = set()
    while True:
        told = await CONNECTOR.pull_orders(api, cursor)
        seen |= {order.external_id[-1] for order in told.items}
        assert told.complete_until is None, "only a search by creation tells that all is known"
        assert told.cursor is not None
        cursor = told.cursor
        if not told.more:
            break
    assert seen == {"1", "2", "3", "4"}
    filters = [dict(call.query)["filter"] for call in api.calls]
    assert filters[0].endswith("..]")
    assert len(set(filters[1:])) == 1
    assert not filters[1].endswith("..]")
    last = await CONNECTOR.pull_orders(api, cursor)
    assert last.complete_until == datetime(2026, 11, 20, 11, 59, 50, tzinfo=UTC)


async def test_the_published_order_is_mapped_without_loss() -> None:
    found = [path for path in published_payloads("ebay") if path.stem.startswith("getOrders")]
    if not found:
        pytest.skip("eBay's published payloads are not here (ENTREPOT_DATA)")
    (payload,) = msgspec.json.decode(found[0].read_bytes())["orders"]
    order = order_of(payload, "EBAY_DE")
    assert order is not None
    # In the currency of the buyer, which the amounts of the lines are in, not in that of the seller's balance.
    assert (order.currency, order.total, order.shipping, order.tax) == ("EUR", Decimal("116.26"), Decimal("16.26"), 0)
    (line,) = order.lines
    assert (line.quantity, line.unit_price, line.sku, line.external_variant_id) == (1, Decimal("100.00"), None, None)
    assert order.status is ChannelOrderStatus.OPEN
    assert order.ship_to is not None
    assert (order.ship_to.country, order.ship_to.name[:1]) == ("ES", "B")
    assert order.placed_at == datetime(2023, 8, 2, 8, 26, 18, tzinfo=UTC)
    assert order.version == 1690965301000
    money = order.money
    assert money is not None
    assert (money.collected_tax, money.fees) == (Decimal("24.41"), Decimal("19.83"))
    assert (money.due, money.due_currency, money.refunds) == (Decimal("85.02"), "GBP", ())
    assert order_of(payload, "EBAY_AT") is None, "bought on another marketplace, but listed on the German one"


# ---- quantities ----------------------------------------------------------------------------------------


async def test_item_and_offer_are_written_together_and_hidden_ones_by_the_item() -> None:
    api = scripted([updated(("A", 200, None), ("B", 400, 25713), ("C", 400, 25713)), updated(("B", 200, None))])
    changes = (change("A", 3), change("B", 4, published="no"), change("C", 5))
    receipt = await CONNECTOR.push_quantities(api, batch(*changes))
    assert [each.outcome.value for each in receipt.results] == ["applied", "applied", "refused"]
    first, second = (msgspec.json.decode(call.body or b"")["requests"] for call in api.calls)
    assert first[1] == {
        "sku": "B",
        "shipToLocationAvailability": {"quantity": 4},
        "offers": [{"offerId": "7B", "availableQuantity": 4}],
    }
    assert second == [{"sku": "B", "shipToLocationAvailability": {"quantity": 4}}]
    assert not api.calls[0].idempotent, "a repetition would write over what sold meanwhile"
    lost = scripted([updated(("A", 200, None), ("B", 400, 25713)), refusal(503, 2003)])
    receipt = await CONNECTOR.push_quantities(lost, batch(changes[0], changes[1]))
    assert [each.outcome.value for each in receipt.results] == ["applied", "unknown"]
    api = scripted([updated(("A", 200, None))])
    await CONNECTOR.push_quantities(api, batch(change("A", 0)))
    assert api.calls[0].idempotent


async def test_each_item_has_its_own_result() -> None:
    answer = updated(("A", 200, None), ("B", 400, 25713), ("C", 500, 25001), ("D", 500, 25025))
    changes = [change(sku, 3) for sku in "ABCDE"]
    receipt = await CONNECTOR.push_quantities(scripted([answer]), batch(*changes))
    outcomes = [each.outcome.value for each in receipt.results]
    assert outcomes == ["applied", "refused", "unknown", "failed", "unknown"]
    assert receipt.results[1].code == "25713"


async def test_an_item_done_and_its_offer_not_is_unknown() -> None:
    answer = reply(
        {
            "responses": [
                {"sku": "A", "statusCode": 200},
                {"sku": "A", "offerId": "7A", "statusCode": 500, "errors": [{"errorId": 25025, "message": "busy"}]},
            ]
        },
        207,
    )
    receipt = await CONNECTOR.push_quantities(scripted([answer]), batch(change("A", 3)))
    assert [each.outcome for each in receipt.results] == [PushOutcome.UNKNOWN]


async def test_what_waits_for_stock_is_shown_with_the_first_units() -> None:
    answers: list[Answer] = [
        updated(("A", 400, 25713), ("B", 400, 25713)),
        updated(("A", 200, None), ("B", 200, None)),
        reply({"listingId": "1"}),
    ]
    api = scripted(answers)
    await CONNECTOR.push_quantities(api, batch(change("A", 3, published="waits"), change("B", 0, published="waits")))
    assert [call.operation for call in api.calls] == ["bulkUpdatePriceQuantity"] * 2 + ["publishOffer"]


async def test_a_server_error_may_have_been_written_and_a_refused_burst_was_not() -> None:
    with pytest.raises(OutcomeUnknown):
        await CONNECTOR.push_quantities(scripted([refusal(503, 2003)]), batch(change("A", 3)))
    limits = reply(
        {"rateLimits": [{"resources": [{"rates": [{"remaining": 5, "reset": "2026-11-21T00:00:00.000Z"}]}]}]}
    )
    with pytest.raises(RateLimited):
        await CONNECTOR.push_quantities(scripted([refusal(429, 2001), limits]), batch(change("A", 3)))
    with pytest.raises(RequestRejected):
        await CONNECTOR.push_quantities(scripted([]), batch(*(change(f"S{n}", 1) for n in range(26))))


async def test_a_used_up_day_says_when_it_is_back() -> None:
    rates = [{"limit": 100_000, "remaining": 0, "reset": "2026-11-21T00:00:00.000Z", "timeWindow": 86400}]
    limits = reply(
        {"rateLimits": [{"apiName": "fulfillment", "resources": [{"name": "sell.fulfillment", "rates": rates}]}]}
    )
    api = scripted([refusal(429, 2001), limits])
    with pytest.raises(QuotaExhausted) as caught:
        await CONNECTOR.pull_orders(api, None)
    assert caught.value.back_at == datetime(2026, 11, 21, tzinfo=UTC)
    assert dict(api.calls[1].query) == {"api_context": "sell", "api_name": "fulfillment"}


# ---- tokens --------------------------------------------------------------------------------------------


def tokens(**more: Any) -> list[Answer]:
    return [
        reply({"access_token": "user-1", "expires_in": 7200, **more}),
        reply({"access_token": "app-1", "expires_in": 7000}),
    ]


async def test_both_tokens_are_fetched_and_the_shorter_life_counts() -> None:
    api = scripted(tokens())
    token = await CONNECTOR.refresh_token(api, CREDENTIALS)
    assert (token.access_token, dict(token.credentials)) == ("user-1", {"application_token": "app-1"})
    assert (token.expires_at - datetime(2026, 11, 20, 12, tzinfo=UTC)).total_seconds() == 7000
    form = parse_qs((api.calls[0].body or b"").decode())
    assert form["grant_type"] == ["refresh_token"]
    assert "https://api.ebay.com/oauth/api_scope/sell.finances" in form["scope"][0].split()
    pair = f"{CREDENTIALS['client_id']}:{CREDENTIALS['client_secret']}"
    assert api.authorised[0].headers["authorization"] == f"Basic {base64.b64encode(pair.encode()).decode()}"


async def test_a_consent_code_becomes_a_refresh_token() -> None:
    entered = {**CREDENTIALS, "refresh_token": "", "authorization_code": "v%5E1.1%23code"}
    api = scripted(tokens(refresh_token="fresh"), ru_name="Kiln-Runame")
    token = await CONNECTOR.refresh_token(api, entered)
    assert token.credentials["refresh_token"] == "fresh"
    form = parse_qs((api.calls[0].body or b"").decode())
    assert (form["code"], form["redirect_uri"]) == (["v^1.1#code"], ["Kiln-Runame"])
    with pytest.raises(CredentialsRejected):
        await CONNECTOR.refresh_token(scripted([]), {**CREDENTIALS, "refresh_token": ""})


def test_the_token_fits_what_is_asked() -> None:
    for base, name in (("api", "access_token"), ("apiz", "access_token"), ("application", "application_token")):
        told = CONNECTOR.authorise(Call("x", "GET", "/x", base=base), CREDENTIALS, AT)
        assert told.headers["authorization"] == f"Bearer {CREDENTIALS[name]}"


# ---- notifications -------------------------------------------------------------------------------------


def test_the_published_notification_is_verified() -> None:
    found = [path for path in published_payloads("ebay") if path.stem.startswith("event_notification")]
    if not found:
        pytest.skip("eBay's published payloads are not here (ENTREPOT_DATA)")
    told = msgspec.json.decode(found[0].read_bytes())
    for name, good in (("VALID", True), ("INVALID", False), ("SIGNATURE_MISMATCH", False)):
        case = told[name]
        body, headers = msgspec.json.encode(case["message"]), {"x-ebay-signature": case["signature"]}
        key = webhooks.key_of(case["response"])
        assert CONNECTOR.verify_webhook(body, headers, "https://hub.example/in", key) is good, name
    assert CONNECTOR.webhook_key_id({"x-ebay-signature": told["VALID"]["signature"]}) == told["VALID"]["public_key"]
    event = CONNECTOR.parse_webhook(msgspec.json.encode(told["VALID"]["message"]), {})
    assert (event.topic, event.order_ids) == ("MARKETPLACE_ACCOUNT_DELETION", ())


def test_a_key_of_another_is_no_key() -> None:
    body = b'{"a":1}'
    assert CONNECTOR.verify_webhook(body, signature(body, KEY), "", public(KEY))
    assert not CONNECTOR.verify_webhook(body, signature(body, OTHER_KEY), "", public(KEY))
    for key in ("", "SHA1:", "SHA1:AAAA", public(KEY).removeprefix("SHA1:"), public(KEY).replace("SHA1", "MD5")):
        assert not CONNECTOR.verify_webhook(body, signature(body, KEY), "", key)


async def test_a_key_is_fetched_with_the_applications_token() -> None:
    pem = f"-----BEGIN PUBLIC KEY-----{public(KEY).removeprefix('SHA1:')}-----END PUBLIC KEY-----"
    api = scripted([reply({"key": pem, "algorithm": "ECDSA", "digest": "SHA1"})])
    assert await CONNECTOR.fetch_webhook_key(api, "key-1") == public(KEY)
    assert api.authorised[0].headers["authorization"].endswith(CREDENTIALS["application_token"])
    with pytest.raises(UnexpectedAnswer):
        await CONNECTOR.fetch_webhook_key(
            scripted([reply({"key": pem, "algorithm": "RSA", "digest": "SHA1"})]), "key-1"
        )


def test_the_challenge_is_answered_as_ebay_says() -> None:
    import hashlib

    url, secret = "https://hub.example/webhooks/1", CREDENTIALS["client_secret"]
    token = webhooks.verification_token(secret, url)
    assert 32 <= len(token) <= 80
    assert token.isalnum()
    proof = CONNECTOR.webhook_challenge({"challenge_code": "abc"}, url, secret)
    assert msgspec.json.decode(proof or b"") == {
        "challengeResponse": hashlib.sha256(f"abc{token}{url}".encode()).hexdigest()
    }
    assert CONNECTOR.webhook_challenge({}, url, secret) is None
    assert CONNECTOR.webhook_challenge({"challenge_code": "abc"}, url, "") is None
    assert proof != CONNECTOR.webhook_challenge({"challenge_code": "abc"}, url + "/", secret)


def test_the_token_for_an_address_is_added_at_the_last() -> None:
    call = Call(
        "createDestination", "POST", "/d", base="application", body=b'{"deliveryConfig":{"endpoint":"https://h/x"}}'
    )
    told = CONNECTOR.authorise(call, CREDENTIALS, AT)
    config = msgspec.json.decode(told.body or b"")["deliveryConfig"]
    assert config["verificationToken"] == webhooks.verification_token(CREDENTIALS["client_secret"], "https://h/x")


# ---- parcels, refunds ----------------------------------------------------------------------------------


def parcel(number: str = "JD 01-2", carrier: str = "DHL", units: int = 2) -> Fulfilment:
    return Fulfilment("11-1", "P1", carrier, number, "", AT, (FulfilmentLine("1002", units),))


async def test_a_parcel_is_told_once() -> None:
    none = reply({"fulfillments": [], "total": 0})
    made = reply({}, 201, location="https://api.ebay.com/sell/fulfillment/v1/order/11-1/shipping_fulfillment/JD012")
    api = scripted([none, made])
    assert await CONNECTOR.push_fulfilment(api, parcel()) == "JD012"
    body = msgspec.json.decode(api.calls[1].body or b"")
    assert (body["trackingNumber"], body["shippingCarrierCode"]) == ("JD012", "DHL")
    assert not api.calls[1].idempotent
    known = {
        "fulfillmentId": "900",
        "shipmentTrackingNumber": "JD012",
        "lineItems": [{"lineItemId": "1002", "quantity": 2}],
    }
    again = scripted([reply({"fulfillments": [known], "total": 1})])
    assert await CONNECTOR.push_fulfilment(again, parcel()) == "900"
    assert len(again.calls) == 1


def test_a_parcel_without_a_number_names_no_carrier() -> None:
    assert body_of_parcel(parcel(number="")).keys() == {"lineItems", "shippedDate"}
    assert body_of_parcel(parcel(carrier="Night Owl Couriers"))["shippingCarrierCode"] == "NightOwlCouriers"
    with pytest.raises(RequestRejected):
        body_of_parcel(Fulfilment("11-1", "P1", "DHL", "1", "", AT, ()))


def an_order(*refunds: tuple[str, str]) -> Reply:
    order = msgspec.json.decode((PAYLOADS / "orders_1.json").read_bytes())["orders"][0]
    order["paymentSummary"]["refunds"] = [
        {"refundId": id, "amount": {"value": value, "currency": "EUR"}, "refundStatus": "REFUNDED"}
        for id, value in refunds
    ]
    return reply({"total": 1, "orders": [order]})


ASKED = RefundRequest("11-00001-00001", "R1", Decimal("5.00"), "EUR", known_refund_ids=("5001",), comment="Chipped")


async def test_a_refund_is_given_once_even_if_the_answer_was_lost() -> None:
    api = scripted([an_order(("5001", "5.00")), reply({"refundId": "5002", "refundStatus": "PENDING"})])
    result = await CONNECTOR.refund(api, ASKED)
    assert (result.external_id, result.outcome) == ("5002", PushOutcome.PENDING)
    assert msgspec.json.decode(api.calls[1].body or b"")["orderLevelRefundAmount"] == {
        "value": "5.00",
        "currency": "EUR",
    }
    lost = scripted([an_order(("5001", "5.00")), TemporarilyUnavailable("lost")])
    with pytest.raises(OutcomeUnknown):
        await CONNECTOR.refund(lost, ASKED)
    healed = scripted([an_order(("5001", "5.00"), ("5002", "5.00"))])
    assert (await CONNECTOR.refund(healed, ASKED)).external_id == "5002"
    assert len(healed.calls) == 1


async def test_a_refund_that_makes_no_sense_asks_nobody() -> None:
    lines = (RefundLine("1001", Decimal("1.00")),)
    for wrong in (
        RefundRequest("o", "R", Decimal(0), "EUR"),
        RefundRequest("o", "R", Decimal(2), "EUR", lines),
        RefundRequest("o", "R", Decimal(2), "EUR", reason="BECAUSE"),
    ):
        with pytest.raises(RequestRejected):
            await CONNECTOR.refund(scripted([]), wrong)


# ---- settlements ---------------------------------------------------------------------------------------


async def test_every_kind_of_booking_adds_up() -> None:
    def booking(id: str, kind: str, value: str, entry: str, fee: str = "0.00", **more: Any) -> dict[str, Any]:
        return {
            "transactionId": id,
            "transactionType": kind,
            "amount": {"value": value, "currency": "EUR"},
            "bookingEntry": entry,
            "transactionDate": "2026-11-18T10:00:00.000Z",
            "transactionStatus": "PAYOUT",
            "totalFeeAmount": {"value": fee, "currency": "EUR"},
            **more,
        }

    fees = [{"feeType": "FINAL_VALUE_FEE", "amount": {"value": "2.00", "currency": "EUR"}}]
    told = [
        booking(
            "1",
            "SALE",
            "17.65",
            "CREDIT",
            "2.35",
            orderId="11-1",
            orderLineItems=[{"lineItemId": "1001", "marketplaceFees": fees}],
        ),
        booking("2", "REFUND", "18.00", "DEBIT", "2.00", orderId="11-1", payoutId="P9"),
        booking(
            "3", "SHIPPING_LABEL", "4.10", "DEBIT", references=[{"referenceId": "11-1", "referenceType": "ORDER_ID"}]
        ),
        booking("4", "NON_SALE_CHARGE", "19.95", "DEBIT", feeType="STORE_SUBSCRIPTION"),
        booking("5", "SOMETHING_NEW", "1.00", "CREDIT"),
    ]
    first = await CONNECTOR.pull_settlements(scripted([reply({"total": 5, "transactions": told})]), None)
    lines = [each for each in first.items if isinstance(each, SettlementLine)]
    assert [each.kind for each in lines] == [
        SettlementKind.SALE,
        SettlementKind.REFUND,
        SettlementKind.SHIPPING_LABEL,
        SettlementKind.FEE,
        SettlementKind.ADJUSTMENT,
    ]
    assert [str(each.amount) for each in lines] == ["17.65", "-18.00", "-4.10", "-19.95", "1.00"]
    assert [str(each.gross) for each in lines[:2]] == ["20.00", "-20.00"]
    assert [(each.kind, str(each.amount)) for each in lines[0].fees] == [("FINAL_VALUE_FEE", "2.00"), ("OTHER", "0.35")]
    for each in lines:
        assert each.amount == each.gross - sum((fee.amount for fee in each.fees), Decimal(0))
    assert (lines[2].external_order_id, lines[1].payout_id, lines[0].external_line_id) == ("11-1", "P9", "1001")
    assert "STORE_SUBSCRIPTION" in lines[3].channel_kind


@pytest.mark.parametrize("cursor", ["", "nonsense", "{}", "[]"])
async def test_a_damaged_place_in_the_statements_is_said(cursor: str) -> None:
    with pytest.raises(UnexpectedAnswer):
        await CONNECTOR.pull_settlements(scripted([]), cursor)


# ---- quotas --------------------------------------------------------------------------------------------


def test_refused_bursts_cost_no_day_and_a_day_no_more_than_its_calls() -> None:
    """A pace by the day's window stood still after some refusals, as each takes half of what is left."""
    calls = {name: most for name, (most, _, _) in CALLS_PER_DAY.items()}
    for limit in CONNECTOR.manifest.rate_limits:
        bucket = limits.full(limit, 0.0)
        for _ in range(40):
            bucket = limits.penalised(bucket, 1.0, 0.0)
        assert limits.take(bucket, 1.0, 1.0)[1] < 60, limit.name
        assert limit.capacity + limit.refill_per_s * DAY_S <= calls[limit.name] + 1
