"""Refunds made once, captures, settlements and payouts by script; each request is checked against Stripe's specification."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.connectors.scripted import Answer, ScriptedApi, reply
from tests.connectors.stripe.given import (
    DAY,
    T0,
    dispute,
    form,
    intent,
    line,
    listed,
    payout,
    refund,
    refusal,
    scripted,
)

from entrepot.channels.contract import (
    CaptureRequest,
    OutcomeUnknown,
    Page,
    PaymentStatus,
    Payout,
    PayoutStatus,
    PushOutcome,
    RefundRequest,
    RefundResult,
    RequestRejected,
    SettlementKind,
    UnexpectedAnswer,
)
from entrepot.connectors.stripe import CONNECTOR

ASKED = RefundRequest(
    "pi_1", "refund-7", Decimal("10.00"), "EUR", reason="requested_by_customer", comment="Torn on arrival"
)


def asked(payment: str = "pi_1", key: str = "k", amount: str = "25.00") -> RefundRequest:
    return RefundRequest(payment, key, Decimal(amount), "EUR")


# ---- refunds -------------------------------------------------------------------------------------------


async def test_a_refund_is_made_with_our_key_in_header_and_metadata() -> None:
    api = scripted([reply(intent()), listed(), reply(refund("re_1", 1000, "refund-7"))])
    made = await CONNECTOR.refund(api, ASKED)
    assert made == RefundResult("re_1", PushOutcome.APPLIED, "succeeded")
    call = api.calls[-1]
    assert call.headers["idempotency-key"] == "refund-refund-7"
    assert form(call) == {
        "payment_intent": "pi_1",
        "amount": "1000",
        "reason": "requested_by_customer",
        "metadata[entrepot_refund]": "refund-7",
        "metadata[order_id]": "1001",
        "metadata[note]": "Torn on arrival",
    }


async def test_a_refund_made_before_is_found_however_late_and_on_whatever_page() -> None:
    first = listed(refund("re_9", 500), more=True)
    api = scripted([reply(intent()), first, listed(refund("re_1", 1000, "refund-7", status="pending"))])
    found = await CONNECTOR.refund(api, ASKED)
    assert (found.external_id, found.outcome) == ("re_1", PushOutcome.PENDING)
    assert all(call.method == "GET" for call in api.calls)


async def test_another_key_makes_another_refund() -> None:
    api = scripted([reply(intent()), listed(refund("re_1", 1000, "refund-6")), reply(refund("re_2", 1000, "refund-7"))])
    assert (await CONNECTOR.refund(api, ASKED)).external_id == "re_2"


async def test_one_key_for_two_amounts_is_refused() -> None:
    api = scripted([reply(intent()), listed(refund("re_1", 900, "refund-7"))])
    with pytest.raises(RequestRejected, match=r"9\.00 EUR"):
        await CONNECTOR.refund(api, ASKED)
    assert all(call.method == "GET" for call in api.calls)


async def test_the_same_request_is_the_same_to_the_byte() -> None:
    sent = []
    for _ in range(2):
        api = scripted([reply(intent()), listed(), OutcomeUnknown()])
        with pytest.raises(OutcomeUnknown):
            await CONNECTOR.refund(api, ASKED)
        sent.append(api.calls[-1])
    assert sent[0] == sent[1]
    assert sent[0].idempotent


async def test_a_refund_in_another_currency_is_refused_and_not_taken_for_its_number() -> None:
    api = scripted([reply(intent(currency="jpy"))])
    with pytest.raises(RequestRejected, match="JPY"):
        await CONNECTOR.refund(api, ASKED)


async def test_a_charge_without_an_intent_is_refunded_by_its_own_name() -> None:
    old = {**intent()["latest_charge"], "payment_intent": None}
    api = scripted([reply(old), listed(), reply(refund("re_1", 2500, "k"))])
    await CONNECTOR.refund(api, asked("ch_1"))
    assert ("charge", "ch_1") in api.calls[1].query
    assert form(api.calls[2]) == {
        "charge": "ch_1",
        "amount": "2500",
        "metadata[entrepot_refund]": "k",
        "metadata[order_id]": "1001",
    }


@pytest.mark.parametrize("key", ["", "k" * 501])
async def test_a_refund_without_a_usable_key_is_refused(key: str) -> None:
    with pytest.raises(RequestRejected):
        await CONNECTOR.refund(scripted([]), asked(key=key))


async def test_a_refund_by_the_orders_name_finds_its_one_payment() -> None:
    none, other = listed(kind="search_result"), listed(intent("pi_1"), intent("pi_2", "canceled"), kind="search_result")
    api = scripted([other, none, listed(), reply(refund("re_1", 2500, "k"))])
    assert (await CONNECTOR.refund(api, asked("1001"))).external_id == "re_1"
    assert form(api.calls[-1])["payment_intent"] == "pi_1"
    for found, words in ((listed(intent("pi_1"), intent("pi_2"), kind="search_result"), "pi_1, pi_2"), (none, "none")):
        with pytest.raises(RequestRejected, match=words):
            await CONNECTOR.refund(scripted([found, none]), asked("1001"))


async def test_a_refund_that_the_bank_sent_back_is_told_so() -> None:
    back = {**refund("re_1", 2500, "k", status="failed"), "failure_reason": "expired_or_canceled_card"}
    told = await CONNECTOR.refund(scripted([reply(intent()), listed(back)]), asked())
    assert told.outcome is PushOutcome.REFUSED
    assert "expired or canceled card" in told.detail


async def test_a_reason_that_stripe_does_not_know_is_refused() -> None:
    with pytest.raises(RequestRejected, match="requested_by_customer"):
        await CONNECTOR.refund(scripted([]), RefundRequest("pi_1", "k", Decimal(1), "EUR", reason="torn"))


async def test_a_long_key_still_fits_the_header() -> None:
    api = scripted([reply(intent()), listed(), reply(refund("re_1", 2500, "k"))])
    await CONNECTOR.refund(api, asked(key="k" * 400))
    assert len(api.calls[-1].headers["idempotency-key"]) <= 255


# ---- payments ------------------------------------------------------------------------------------------


async def test_payments_are_read_and_unknown_ones_left_out() -> None:
    api = scripted([reply(intent()), refusal("resource_missing", 404)])
    (found,) = await CONNECTOR.read_payments(api, ["pi_1", "pi_2"])
    assert (found.status, found.captured, found.refunded, found.order_ref) == (
        PaymentStatus.PAID,
        Decimal("25.00"),
        Decimal("0.00"),
        "1001",
    )


async def test_payments_are_found_by_order_under_every_name_and_once() -> None:
    again = reply({"object": "search_result", "data": [intent()], "has_more": True, "next_page": "p2", "url": "/"})
    api = scripted([again, listed(intent(), kind="search_result"), listed(intent("pi_3"), kind="search_result")])
    found = await CONNECTOR.find_payments(api, "it's 1001")
    assert [each.external_id for each in found] == ["pi_1", "pi_3"]
    queries = [dict(call.query) for call in api.calls]
    assert queries[0]["query"] == "metadata['order_id']:'it\\'s 1001'"
    assert queries[1]["page"] == "p2"
    assert queries[2]["query"].startswith("metadata['order_number']")
    assert await CONNECTOR.find_payments(scripted([]), " ") == ()


CAPTURE = CaptureRequest("pi_1", Decimal("20.00"), "EUR", "cap-1")


async def test_a_capture_takes_what_is_asked() -> None:
    held = intent(status="requires_capture")
    api = scripted([reply(held), reply(intent(amount_received=2000))])
    assert (await CONNECTOR.capture_payment(api, CAPTURE)).captured == Decimal("20.00")
    assert form(api.calls[1])["amount_to_capture"] == "2000"
    assert api.calls[1].headers["idempotency-key"] == "capture-cap-1"


async def test_a_capture_done_before_is_not_done_again() -> None:
    api = scripted([reply(intent(amount_received=2000))])
    assert (await CONNECTOR.capture_payment(api, CAPTURE)).status is PaymentStatus.PAID
    assert len(api.calls) == 1


async def test_a_capture_whose_answer_was_lost_is_looked_up() -> None:
    held = intent(status="requires_capture")
    api = scripted([reply(held), OutcomeUnknown(), reply(intent(amount_received=2000))])
    assert (await CONNECTOR.capture_payment(api, CAPTURE)).captured == Decimal("20.00")
    undecided = scripted([reply(held), OutcomeUnknown(), reply(held)])
    with pytest.raises(OutcomeUnknown):
        await CONNECTOR.capture_payment(undecided, CAPTURE)


async def test_cancelling_twice_is_harmless_and_too_late_is_told() -> None:
    refused = refusal("payment_intent_unexpected_state")
    api = scripted([refused, reply(intent(status="canceled", latest_charge=None))])
    assert (await CONNECTOR.cancel_payment(api, "pi_1", "k")).status is PaymentStatus.CANCELLED
    with pytest.raises(RequestRejected, match="state"):
        await CONNECTOR.cancel_payment(scripted([refused, reply(intent())]), "pi_1", "k")


# ---- settlements ---------------------------------------------------------------------------------------


async def pulled(api: ScriptedApi, cursor: str | None, what: str = "pull_settlements") -> tuple[list[Any], Page[Any]]:
    found: list[Any] = []
    for _ in range(30):
        page = await getattr(CONNECTOR, what)(api, cursor)
        found += page.items
        if not page.more:
            assert api.unused == 0
            return found, page
        assert page.cursor != cursor
        cursor = page.cursor
    raise AssertionError("the pages do not end")


async def test_lines_come_first_and_again_with_their_payout() -> None:
    paid_out = line("txn_p", -2440, kind="payout", created=T0 + DAY, source=payout("po_1"))
    answers: list[Answer] = [
        listed(paid_out, line("txn_2", 1000, 40), more=True),
        listed(line("txn_1", 1500, 20)),
        listed(payout("po_2", T0 + DAY, reconciliation_status="in_progress"), payout("po_1", T0)),
        listed(line("txn_2", 1000, 40), more=True),
        listed(line("txn_1", 1500, 20)),
    ]
    api = scripted(answers)
    found, last = await pulled(api, None)
    lines = [each for each in found if not isinstance(each, Payout)]
    assert [(each.external_id, each.payout_id) for each in lines] == [
        ("txn_2", ""),
        ("txn_1", ""),
        ("txn_2", "po_1"),
        ("txn_1", "po_1"),
    ]
    assert [each.external_id for each in found if isinstance(each, Payout)] == ["po_2", "po_1"]
    sold = lines[-1]
    assert (sold.kind, sold.gross, sold.amount) == (SettlementKind.SALE, Decimal("15.00"), Decimal("14.80"))
    assert (sold.external_order_id, sold.payment_ref) == ("1001", "pi_1")
    # What a payout brought is what its lines left.
    assert sum(each.amount for each in lines[2:]) == found[3].amount
    assert last.complete_until is not None
    assert ("starting_after", "txn_2") in api.calls[1].query
    assert dict(api.calls[4].query)["starting_after"] == "txn_2"

    # The next pull overlaps, asks for the payout that was not ready, and leaves alone the one that was told.
    payouts = listed(payout("po_2", T0 + DAY), payout("po_1", T0))
    later = scripted([listed(), payouts, listed(line("txn_3", 700, 30))])
    more, after = await pulled(later, last.cursor)
    assert [each.external_id for each in more] == ["po_2", "po_1", "txn_3"]
    assert more[2].payout_id == "po_2"
    assert ("created[gte]", str(T0 + DAY - 300)) in later.calls[0].query
    assert ("created[gte]", str(T0)) in later.calls[1].query
    assert ("payout", "po_2") in later.calls[2].query
    quiet = scripted([listed(), payouts])
    assert [type(each) for each in (await pulled(quiet, after.cursor))[0]] == [Payout, Payout]


async def test_many_payouts_are_read_page_by_page_and_the_cursor_stays_short() -> None:
    first = [payout(f"po_{n}", T0 - n * DAY) for n in range(100)]
    second = [payout(f"po_{n}", T0 - n * DAY) for n in range(100, 130)]
    answers: list[Answer] = [listed(), listed(*first, more=True)]
    answers += [listed(line(f"txn_{n}", 100)) for n in reversed(range(100))]
    answers += [listed(*second), *(listed(line(f"txn_{n}", 100)) for n in reversed(range(100, 130)))]
    api, found, cursor, longest = scripted(answers), list[Any](), None, 0
    while True:
        page = await CONNECTOR.pull_settlements(api, cursor)
        found, cursor = [*found, *page.items], page.cursor
        longest = max(longest, len(cursor or ""))
        if not page.more:
            break
    assert api.unused == 0
    members = {each.external_id[4:]: each.payout_id[3:] for each in found if not isinstance(each, Payout)}
    assert members == {str(n): str(n) for n in range(130)}
    assert longest < 4_000
    assert len(cursor or "") < 1_500


async def test_payouts_without_certain_lines_are_not_asked_for() -> None:
    by_hand = payout("po_1", automatic=False, reconciliation_status="not_applicable")
    failed = payout("po_2", reconciliation_status="in_progress", status="failed")
    api = scripted([listed(), listed(by_hand, failed)])
    found, _ = await pulled(api, None)
    assert [(each.external_id, each.status) for each in found] == [
        ("po_1", PayoutStatus.PAID),
        ("po_2", PayoutStatus.FAILED),
    ]


async def test_what_a_failed_payout_gave_back_is_a_line_of_the_next() -> None:
    back = line("txn_f", 2440, kind="payout_failure", source=payout("po_1"))
    found, _ = await pulled(scripted([listed(back), listed()]), None)
    assert [(each.kind, each.amount) for each in found] == [(SettlementKind.TRANSFER, Decimal("24.40"))]


async def test_the_first_pull_starts_where_the_settings_say() -> None:
    api = scripted([listed(), listed()], settlements_since="2026-11-18T00:00:00Z")
    await pulled(api, None)
    assert ("created[gte]", "1794960000") in api.calls[0].query
    assert ("created[gte]", "1794960000") in api.calls[1].query


async def test_the_buyers_currency_and_the_rate_are_kept() -> None:
    paid = {**line("txn_1", 1000)["source"], "amount": 1100, "amount_captured": 1100, "currency": "usd"}
    exchanged = line("txn_1", 1000, 50, source=paid, exchange_rate=0.909091)
    (found, *_), _ = await pulled(scripted([listed(exchanged), listed()]), None)
    assert (found.buyer_amount, found.buyer_currency, found.exchange_rate) == (
        Decimal("11.00"),
        "USD",
        Decimal("0.909091"),
    )


async def test_refunds_name_their_payment_and_are_below_zero() -> None:
    back = line("txn_1", -1000, kind="refund", source=refund("re_1", 1000, "refund-7"))
    (found, *_), _ = await pulled(scripted([listed(back), listed()]), None)
    assert (found.kind, found.amount, found.payment_ref, found.external_order_id) == (
        SettlementKind.REFUND,
        Decimal("-10.00"),
        "pi_1",
        "1001",
    )


async def test_fees_that_stripe_does_not_explain_are_fees_all_the_same() -> None:
    (found, *_), _ = await pulled(scripted([listed(line("txn_1", 1000, 40, fee_details=[])), listed()]), None)
    assert [each.amount for each in found.fees] == [Decimal("0.40")]


@pytest.mark.parametrize("what", ["pull_settlements", "pull_disputes"])
@pytest.mark.parametrize("cursor", ["", "nonsense", "[]", '{"a": 1}', '{"step": "none"}', "\x00", "\ud800"])
async def test_a_damaged_cursor_is_told_before_stripe_is_asked(what: str, cursor: str) -> None:
    api = scripted([])
    with pytest.raises(UnexpectedAnswer):
        await getattr(CONNECTOR, what)(api, cursor)
    assert api.calls == []


# ---- payouts and disputes ------------------------------------------------------------------------------


async def test_what_can_still_change_is_read_again() -> None:
    old, open_one, new = T0 - 40 * DAY, T0 - 30 * DAY, T0
    answers: list[Answer] = [
        listed(dispute("dp_3", new, "won"), dispute("dp_2", open_one, "under_review"), more=True),
        listed(dispute("dp_1", old, "lost")),
    ]
    found, last = await pulled(scripted(answers), None, "pull_disputes")
    assert [each.external_id for each in found] == ["dp_3", "dp_2", "dp_1"]
    later = scripted([listed(dispute("dp_3", new, "won"), dispute("dp_2", open_one, "won"))])
    _, after = await pulled(later, last.cursor, "pull_disputes")
    assert ("created[gte]", str(open_one)) in later.calls[0].query
    again = scripted([listed()])
    await pulled(again, after.cursor, "pull_disputes")
    assert ("created[gte]", str(new - 300)) in again.calls[0].query


async def test_a_payout_that_was_paid_is_looked_at_for_ten_days() -> None:
    fresh, stale = payout("po_2", T0), payout("po_1", T0 - 20 * DAY)
    api = scripted(
        [listed(), listed(payout("po_3", T0 + DAY, "in_transit"), fresh, stale), listed(), listed(), listed()]
    )
    found, last = await pulled(api, None)
    assert [each.status for each in found] == [PayoutStatus.PENDING, PayoutStatus.PAID, PayoutStatus.PAID]
    later = scripted([listed(), listed(payout("po_2", T0, "failed"))])
    again, _ = await pulled(later, last.cursor)
    assert ("created[gte]", str(T0)) in later.calls[1].query
    assert [each.status for each in again] == [PayoutStatus.FAILED]


# ---- webhook endpoints ---------------------------------------------------------------------------------

HOOK = "https://hub.example/webhooks/1"


def endpoint(id: str, created: int, **more: Any) -> dict[str, Any]:
    return {
        "id": id,
        "object": "webhook_endpoint",
        "url": HOOK,
        "created": created,
        "status": "enabled",
        "enabled_events": list(CONNECTOR.manifest.webhook_topics),
        "api_version": "2023-08-16",
        "metadata": {"entrepot_key": f"key-{id}"},
    } | more


NOW = 1_795_176_000
"""The Date of scripted answers."""


async def test_an_endpoint_is_made_and_its_secret_learned() -> None:
    other = endpoint("we_0", NOW - 5 * DAY, url="https://other.example")
    api = scripted([listed(other), reply(endpoint("we_1", NOW, secret="whsec_1"))])
    assert await CONNECTOR.subscribe_webhooks(api, HOOK) == {"webhook_secret": "whsec_1"}
    assert form(api.calls[1])["api_version"] == "2023-08-16"


async def test_within_a_day_the_secret_is_asked_for_again_with_the_same_key() -> None:
    ours = endpoint("we_1", NOW - 3600)
    api = scripted([listed(ours), reply(endpoint("we_1", NOW - 3600, secret="whsec_1"))])
    assert await CONNECTOR.subscribe_webhooks(api, HOOK) == {"webhook_secret": "whsec_1"}
    assert api.calls[1].headers["idempotency-key"] == "endpoint-key-we_1"
    changed = scripted([listed(ours), refusal("", kind="idempotency_error")])
    assert await CONNECTOR.subscribe_webhooks(changed, HOOK) == {}


async def test_later_an_endpoint_in_order_is_left_alone_and_a_broken_one_mended() -> None:
    assert await CONNECTOR.subscribe_webhooks(scripted([listed(endpoint("we_1", NOW - 2 * DAY))]), HOOK) == {}
    for broken in ({"status": "disabled"}, {"enabled_events": ["payout.paid"]}):
        api = scripted([listed(endpoint("we_1", NOW - 2 * DAY, **broken)), reply({})])
        assert await CONNECTOR.subscribe_webhooks(api, HOOK) == {}
        assert api.calls[1].path.endswith("/we_1")


async def test_doubles_and_endpoints_of_unknown_secret_go() -> None:
    ours, double = endpoint("we_1", NOW - 2 * DAY), endpoint("we_2", NOW - 3 * DAY)
    by_hand, aged = endpoint("we_3", NOW, metadata={}), endpoint("we_4", NOW, api_version="2020-08-27")
    api = scripted([listed(by_hand, ours, double, aged), reply({}), reply({}), reply({})])
    await CONNECTOR.subscribe_webhooks(api, HOOK)
    assert [call.path.rsplit("/", 1)[1] for call in api.calls[1:]] == ["we_3", "we_2", "we_4"]
    assert {call.method for call in api.calls[1:]} == {"DELETE"}


async def test_an_endpoint_of_another_version_is_made_anew() -> None:
    aged = endpoint("we_4", NOW - 2 * DAY, api_version="2020-08-27")
    api = scripted([listed(aged), reply({}), reply(endpoint("we_5", NOW, secret="whsec_5"))])
    assert await CONNECTOR.subscribe_webhooks(api, HOOK) == {"webhook_secret": "whsec_5"}


async def test_unsubscribing_removes_all_of_our_address() -> None:
    other = endpoint("we_0", NOW, url="https://other.example")
    api = scripted([listed(other, endpoint("we_1", NOW), endpoint("we_2", NOW)), reply({}), reply({})])
    await CONNECTOR.unsubscribe_webhooks(api, HOOK)
    assert len(api.calls) == 3
