"""The Stripe connector against the common contract, Stripe's specification, its published payloads and its own rules."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies
from tests.connectors.contract_suite import URL, ConnectorContract
from tests.connectors.scripted import Answer, reply
from tests.connectors.specs import published_payloads
from tests.connectors.stripe.given import (
    CREDENTIALS,
    PAYLOADS,
    SETTINGS,
    balance,
    charge,
    dispute,
    forbidden,
    intent,
    listed,
    payout,
    refund,
    refusal,
    scripted,
)
from tests.connectors.stripe.spec import stripe_spec

from entrepot.channels.contract import (
    Call,
    Capability,
    ConnectorError,
    CredentialsRejected,
    DisputeStatus,
    OutcomeUnknown,
    RateLimited,
    RequestRejected,
    SettlementKind,
    TemporarilyUnavailable,
)
from entrepot.connectors.stripe import CONNECTOR
from entrepot.connectors.stripe.errors import StripeRejected
from entrepot.connectors.stripe.lines import line_of
from entrepot.connectors.stripe.mapping import dispute_of, payment_of, payout_of, refund_of
from entrepot.connectors.stripe.money import THREE_DECIMAL, WHOLE_IN_HUNDREDTHS, ZERO_DECIMAL, from_minor, to_minor
from entrepot.connectors.stripe.webhooks import signature_of

SECRET = "whsec_ours_4711"
NAMES = ("order_id",)
MISSING = refusal("resource_missing", 404, "No such payment_intent: 'pi_entrepot_connection_test'")


class TestStripe(ConnectorContract):
    connector = CONNECTOR
    settings = SETTINGS
    credentials = CREDENTIALS
    payloads = PAYLOADS
    optional_fields = ("metadata",)
    status_errors: Mapping[int, type[ConnectorError]] = {}

    def check_call(self, call: Call) -> None:
        stripe_spec().check_call(call)

    def healthy(self) -> list[Answer]:
        return [reply(balance()), listed(), listed(), listed(), MISSING, MISSING, MISSING]

    def sign(self, body: bytes, url: str, secret: str) -> Mapping[str, str]:
        return {"stripe-signature": f"t=1795175999,v1={signature_of(body, '1795175999', secret)}"}

    def webhooks(self) -> Mapping[str, tuple[bytes, Mapping[str, str]]]:
        paid = intent(latest_charge="ch_1")
        return {
            "paid": _event("payment_intent.succeeded", paid),
            "failed": _event("payment_intent.payment_failed", _failed()),
            "to capture": _event("payment_intent.amount_capturable_updated", intent(status="requires_capture")),
            "refunded": _event("charge.refunded", charge("ch_1", 2500, amount_refunded=1000)),
            "refund failed": _event("charge.refund.updated", refund("re_1", 1000, "key-1", status="failed")),
            "disputed": _event("charge.dispute.created", dispute("dp_1")),
            "paid out": _event("payout.reconciliation_completed", payout("po_1")),
        }


def _event(topic: str, thing: Any) -> tuple[bytes, Mapping[str, str]]:
    event = {
        "id": f"evt_{topic}",
        "object": "event",
        "type": topic,
        "created": 1_795_000_100,
        "data": {"object": thing},
    }
    return msgspec.json.encode(event), {"content-type": "application/json"}


def _failed() -> Any:
    error = {"code": "card_declined", "message": "Your card was declined.", "type": "card_error"}
    return intent("pi_2", "requires_payment_method", last_payment_error=error, latest_charge=None)


# ---- what it is not ------------------------------------------------------------------------------------


def test_it_is_no_sales_channel() -> None:
    selling = {Capability.PULL_ORDERS, Capability.PULL_LISTINGS, Capability.PUSH_QUANTITIES, Capability.PUSH_LISTINGS}
    assert not selling & CONNECTOR.manifest.capabilities


# ---- published payloads --------------------------------------------------------------------------------


def test_the_published_payloads_map_without_loss() -> None:
    files = {path.stem: msgspec.json.decode(path.read_bytes()) for path in published_payloads("stripe")}
    if not files:
        pytest.skip("the published payloads are not here (ENTREPOT_DATA)")
    mapped: dict[str, Any] = {
        "payment_intent": payment_of(files["fixture_payment_intent"], NAMES),
        "charge": payment_of(files["fixture_charge"], NAMES),
        "refund": refund_of(files["fixture_refund"], NAMES),
        "dispute": dispute_of(files["fixture_dispute"]),
        "payout": payout_of(files["fixture_payout"]),
        "balance_transaction": line_of(files["fixture_balance_transaction"], NAMES),
    }
    for name, event in files.items():
        if name.startswith("event_"):
            body = msgspec.json.encode(event)
            assert CONNECTOR.webhook_event_id(body, {}) == (event["id"], event["type"])
            mapped[name] = CONNECTOR.parse_webhook(body, {})
    assert mapped["event_charge_refunded"].refunds
    assert mapped["event_charge_dispute_created"].disputes
    assert mapped["event_charge_succeeded"].payments[0].captured == Decimal("30.00")
    assert not mapped["event_customer_updated"].payments
    TestStripe().snapshot("published", mapped)


# ---- amounts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("12.34", "EUR", 1234),
        ("500", "JPY", 500),
        ("5.120", "KWD", 5120),
        ("5", "ISK", 500),
        ("5", "UGX", 500),
        ("12.5", "HUF", 1250),
        ("7", "MGA", 7),
        ("0.01", "USD", 1),
    ],
)
def test_amounts_are_in_stripes_units(amount: str, currency: str, units: int) -> None:
    assert to_minor(Decimal(amount), currency) == units
    assert from_minor(units, currency) == Decimal(amount)


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("12.345", "EUR"),
        ("500.5", "JPY"),
        ("5.124", "KWD"),
        ("5.5", "ISK"),
        ("0", "EUR"),
        ("-1", "EUR"),
        ("1", "eur"),
        ("NaN", "EUR"),
        ("Infinity", "EUR"),
    ],
)
def test_an_amount_that_stripe_cannot_take_is_refused_before_it_is_sent(amount: str, currency: str) -> None:
    with pytest.raises(StripeRejected) as caught:
        to_minor(Decimal(amount), currency)
    assert currency in caught.value.detail or amount in caught.value.detail


@given(
    strategies.integers(1, 10**10),
    strategies.sampled_from(sorted({"EUR", "USD"} | ZERO_DECIMAL | THREE_DECIMAL | WHOLE_IN_HUNDREDTHS)),
)
def test_units_come_back_as_they_went(units: int, currency: str) -> None:
    step = 10 if currency in THREE_DECIMAL else 100 if currency in WHOLE_IN_HUNDREDTHS else 1
    assert to_minor(from_minor(units * step, currency), currency) == units * step


# ---- errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (refusal("charge_already_refunded"), StripeRejected, "refunded already"),
        (refusal("", kind="idempotency_error"), StripeRejected, "another request"),
        (refusal("idempotency_key_in_use", 409), TemporarilyUnavailable, "still working"),
        (refusal("lock_timeout", 429), TemporarilyUnavailable, "at the moment"),
        (refusal("rate_limit", 429), RateLimited, "slow down"),
        (refusal("card_declined", 402, kind="card_error"), StripeRejected, "said by Stripe"),
        (refusal("resource_missing", 404), StripeRejected, "test key"),
        (forbidden("rak_payout_read"), CredentialsRejected, "payout: read"),
        (refusal("", 403, "Another reason"), CredentialsRejected, "Another reason"),
        (refusal("api_key_expired", 401), CredentialsRejected, "expired"),
        (refusal("", 500, kind="api_error"), TemporarilyUnavailable, "said by Stripe"),
    ],
)
def test_stripes_reasons_are_told_in_words(answer: Any, error: type[ConnectorError], words: str) -> None:
    found = CONNECTOR.classify(answer)
    assert isinstance(found, error)
    assert isinstance(found, RateLimited) == (error is RateLimited)
    assert words in found.detail


@pytest.mark.parametrize("reason", ["global-rate", "global-concurrency", "endpoint-rate", "endpoint-concurrency"])
def test_the_reason_of_a_limit_is_told(reason: str) -> None:
    answer = reply({"error": {"type": "x"}}, 429, stripe_rate_limited_reason=reason, retry_after="3")
    found = CONNECTOR.classify(answer)
    assert isinstance(found, RateLimited)
    assert "too many calls" in found.detail
    assert found.retry_after_s == 3


def test_a_limit_of_one_payment_does_not_slow_down_the_others() -> None:
    answer = reply({"error": {"type": "x"}}, 429, stripe_rate_limited_reason="resource-specific")
    assert type(CONNECTOR.classify(answer)) is TemporarilyUnavailable


def test_a_failure_that_stripe_repeats_tells_nothing_of_the_outcome() -> None:
    answer = reply({"error": {"type": "api_error", "message": "Oops"}}, 500, idempotent_replayed="true")
    assert isinstance(CONNECTOR.classify(answer), OutcomeUnknown)


def test_no_key_stays_in_the_words_of_an_error() -> None:
    for status in (400, 401, 403, 429, 500):
        found = CONNECTOR.classify(refusal("x", status, f"Invalid API Key provided: {CREDENTIALS['api_key']}"))
        assert found is not None
        assert CREDENTIALS["api_key"] not in repr(found) + str(found) + found.detail


# ---- the connection test -------------------------------------------------------------------------------


async def test_every_missing_permission_is_named_at_once() -> None:
    answers = [reply(balance()), forbidden("rak_bt_read"), listed(), forbidden("rak_dispute_read")]
    report = await CONNECTOR.check(scripted([*answers, MISSING, forbidden("rak_pi_write"), MISSING]))
    assert not report.ok
    assert report.details == (
        "Balance transaction sources: read",
        "Disputes: read",
        "Payment Intents: write",
    )
    assert all(each in report.summary for each in report.details)


async def test_a_key_of_the_other_mode_is_told() -> None:
    report = await CONNECTOR.check(scripted([reply(balance(live=True))]))
    assert not report.ok
    assert "live" in report.summary
    assert "test" in report.summary


async def test_the_test_writes_nothing() -> None:
    api = scripted([reply(balance()), listed(), listed(), listed(), MISSING, MISSING, MISSING])
    assert (await CONNECTOR.check(api)).ok
    for call in api.calls:
        assert call.method == "GET" or "entrepot_connection_test" in f"{call.path}{call.body!r}"


# ---- webhooks ------------------------------------------------------------------------------------------


def test_one_signature_of_several_is_enough_while_a_secret_is_rolled() -> None:
    body = b'{"id": "evt_1"}'
    old, ours = signature_of(body, "1795175999", "whsec_old"), signature_of(body, "1795175999", SECRET)
    header = f"t=1795175999,v1={old},v1={ours},v0=junk"
    assert CONNECTOR.verify_webhook(body, {"stripe-signature": header}, URL, SECRET)
    assert not CONNECTOR.verify_webhook(body, {"stripe-signature": header}, URL, "whsec_other")
    # The test scheme must not pass for the real one, nor a signature for another time.
    assert not CONNECTOR.verify_webhook(body, {"stripe-signature": f"t=1795175999,v0={ours}"}, URL, SECRET)
    assert not CONNECTOR.verify_webhook(body, {"stripe-signature": f"t=1795176000,v1={ours}"}, URL, SECRET)
    for times in ("t=1,t=1795175999", "t=1795175999,t=1"):
        assert not CONNECTOR.verify_webhook(body, {"stripe-signature": f"{times},v1={ours}"}, URL, SECRET)


def test_the_time_of_the_signature_is_read() -> None:
    found = CONNECTOR.webhook_signed_at({"stripe-signature": "t=1795175999,v1=ab"})
    assert found is not None
    assert found.timestamp() == 1795175999
    for header in ("", "v1=ab", "t=x,v1=ab", "t=99999999999999,v1=ab", "t=,v1=ab"):
        assert CONNECTOR.webhook_signed_at({"stripe-signature": header}) is None


@pytest.mark.parametrize("status", ["requires_confirmation", "processing", "canceled"])
def test_every_state_of_a_payment_is_known(status: str) -> None:
    assert payment_of(intent(status=status), NAMES).channel_status == status


@pytest.mark.parametrize(
    ("word", "status", "inquiry"),
    [
        ("warning_needs_response", DisputeStatus.NEEDS_RESPONSE, True),
        ("warning_under_review", DisputeStatus.UNDER_REVIEW, True),
        ("warning_closed", DisputeStatus.CLOSED, True),
        ("needs_response", DisputeStatus.NEEDS_RESPONSE, False),
        ("under_review", DisputeStatus.UNDER_REVIEW, False),
        ("won", DisputeStatus.WON, False),
        ("lost", DisputeStatus.LOST, False),
    ],
)
def test_every_state_of_a_dispute_is_known(word: str, status: DisputeStatus, inquiry: bool) -> None:
    found = dispute_of(dispute("dp_1", status=word))
    assert (found.status, found.inquiry) == (status, inquiry)


def test_a_state_that_is_not_known_is_not_guessed() -> None:
    for thing, mapped in (
        (intent(status="new"), lambda x: payment_of(x, NAMES)),
        (refund("re", 1, status="new"), lambda x: refund_of(x, NAMES)),
        (dispute("dp", status="new"), dispute_of),
        (payout("po", status="new"), payout_of),
    ):
        with pytest.raises(ConnectorError, match="not known"):
            mapped(thing)


def test_dispute_reversals_are_no_adjustments() -> None:
    whole = {"id": "t", "amount": 1, "currency": "eur", "created": 1, "type": "adjustment"}
    assert line_of(whole | {"reporting_category": "dispute_reversal"}, NAMES).kind is SettlementKind.DISPUTE
    assert line_of(whole | {"reporting_category": "other_adjustment"}, NAMES).kind is SettlementKind.ADJUSTMENT


def test_a_line_that_does_not_add_up_is_refused() -> None:
    whole = {"id": "t", "amount": 100, "fee": 10, "net": 95, "currency": "eur", "created": 1, "type": "charge"}
    with pytest.raises(ConnectorError, match="add up"):
        line_of(whole, NAMES)
    assert line_of(whole | {"net": 90}, NAMES).fees[0].amount == Decimal("0.10")


def test_rejected_is_the_contracts_error() -> None:
    assert issubclass(StripeRejected, RequestRejected)
