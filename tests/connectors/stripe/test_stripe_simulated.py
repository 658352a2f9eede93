"""The Stripe connector against the simulated Stripe over real HTTP, both held to the official specification."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest
from tests.connectors.http_api import HttpApi
from tests.connectors.listener import listening
from tests.connectors.stripe.spec import stripe_spec

from entrepot.channels.contract import (
    Call,
    CaptureRequest,
    CredentialsRejected,
    Dispute,
    DisputeStatus,
    OutcomeUnknown,
    PaymentStatus,
    Payout,
    PayoutStatus,
    PushOutcome,
    RateLimited,
    RefundRequest,
    Reply,
    RequestRejected,
    SettlementItem,
    SettlementKind,
    SettlementLine,
    TemporarilyUnavailable,
)
from entrepot.connectors.stripe import CONNECTOR, calls
from entrepot_sandbox.faults import Level, Profile
from entrepot_sandbox.journal import SaleLost
from entrepot_sandbox.server import Config, Running, running


def check(call: Call, answer: Reply) -> None:
    stripe_spec().check_call(call)
    stripe_spec().check_reply(call, answer)


@dataclass(frozen=True, slots=True)
class Shop:
    """A Stripe account, its control, and our connection to it."""

    running: Running
    api: HttpApi
    control: httpx.AsyncClient

    async def tell(self, path: str, **told: Any) -> Any:
        answer = await self.control.post(f"/_sandbox/stripe{path}", json=told)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def pay(self, amount: int = 5000, currency: str = "eur", order: str = "1001", **told: Any) -> str:
        paid = await self.tell("/payments", order=order, amount=amount, currency=currency, **told)
        return str(paid["id"])

    async def books(self) -> Any:
        return (await self.control.get("/_sandbox/stripe/books")).json()

    async def settled(self, cursor: str | None = None) -> tuple[list[SettlementItem], str | None]:
        found: list[SettlementItem] = []
        while True:
            page = await CONNECTOR.pull_settlements(self.api, cursor)
            found += page.items
            cursor = page.cursor
            if not page.more:
                return found, cursor


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with opened() as shop:
        yield shop


def opened(**config: Any) -> Any:
    return _Opened(Config(seed=5, products=3, channels=("square", "stripe"), **config))


class _Opened:
    def __init__(self, config: Config) -> None:
        self._config = config

    async def __aenter__(self) -> Shop:
        self._sandbox = running(self._config)
        serving = await self._sandbox.__aenter__()
        account = serving.sandbox.markets["stripe"].accounts()[0]
        settings = {**account.settings, "simulator_url": serving.url}
        self._api = HttpApi(CONNECTOR, settings=settings, credentials=account.credentials, checks=(check,))
        self._control = httpx.AsyncClient(base_url=serving.url, trust_env=False)
        return Shop(serving, self._api, self._control)

    async def __aexit__(self, *_: object) -> None:
        await self._control.aclose()
        await self._api.__aexit__(None, None, None)
        await self._sandbox.__aexit__(None, None, None)


def ask(payment: str, key: str = "r-1", amount: str = "10.00", currency: str = "EUR") -> RefundRequest:
    return RefundRequest(payment, key, Decimal(amount), currency, reason="requested_by_customer", comment="Torn")


# ---- the connection ------------------------------------------------------------------------------------


async def test_the_test_passes_and_a_wrong_key_does_not(shop: Shop) -> None:
    report = await CONNECTOR.check(shop.api)
    assert report.ok, report
    assert report.details == ("Mode test", "Balance in EUR")
    shop.api.credentials["api_key"] = "sk_test_wrongwrongwrong"
    report = await CONNECTOR.check(shop.api)
    assert not report.ok
    assert "does not accept the key" in report.summary


async def test_a_restricted_key_is_told_what_it_lacks(shop: Shop) -> None:
    some = ["balance_read", "balance_transaction_source_read", "charge_read", "payment_intent_write", "payout_read"]
    shop.api.credentials["api_key"] = (await shop.tell("/keys", permissions=some))["key"]
    report = await CONNECTOR.check(shop.api)
    assert report.details == ("Disputes: read", "Charges and Refunds: write", "Webhook Endpoints: write")
    with pytest.raises(CredentialsRejected, match="charge: write"):
        await CONNECTOR.refund(shop.api, ask(await shop.pay()))


# ---- payments and refunds ------------------------------------------------------------------------------


async def test_a_payment_is_held_captured_in_part_and_found_by_its_order(shop: Shop) -> None:
    payment = await shop.pay(hold=True, order="it's 7")
    (held,) = await CONNECTOR.find_payments(shop.api, "it's 7")
    assert (held.external_id, held.status, held.capturable) == (payment, PaymentStatus.AUTHORISED, Decimal("50.00"))
    taken = await CONNECTOR.capture_payment(shop.api, CaptureRequest(payment, Decimal("30.00"), "EUR", "c-1"))
    assert (taken.status, taken.captured, taken.capturable) == (PaymentStatus.PAID, Decimal("30.00"), Decimal(0))
    again = await CONNECTOR.capture_payment(shop.api, CaptureRequest(payment, Decimal("30.00"), "EUR", "c-2"))
    assert again == taken
    with pytest.raises(RequestRejected, match="state"):
        await CONNECTOR.cancel_payment(shop.api, payment, "x-1")
    with pytest.raises(RequestRejected):
        await CONNECTOR.capture_payment(shop.api, CaptureRequest(payment, Decimal("40.00"), "EUR", "c-3"))


async def test_a_held_payment_is_released_once(shop: Shop) -> None:
    payment = await shop.pay(hold=True)
    for key in ("x-1", "x-1", "x-2"):
        assert (await CONNECTOR.cancel_payment(shop.api, payment, key)).status is PaymentStatus.CANCELLED
    (found,) = await CONNECTOR.read_payments(shop.api, [payment, "pi_unknown"])
    assert found.captured == 0


async def test_a_refund_asked_twice_is_made_once_and_two_keys_make_two(shop: Shop) -> None:
    payment = await shop.pay()
    made = [await CONNECTOR.refund(shop.api, ask(payment)) for _ in range(3)]
    assert len({each.external_id for each in made}) == 1
    assert made[0].outcome is PushOutcome.APPLIED
    await CONNECTOR.refund(shop.api, ask("1001", "r-2"))
    (found,) = await CONNECTOR.read_payments(shop.api, [payment])
    assert found.refunded == Decimal("20.00")
    assert {each.idempotency_key for each in await CONNECTOR.read_refunds(shop.api, payment)} == {"r-1", "r-2"}
    with pytest.raises(RequestRejected, match="already"):
        await CONNECTOR.refund(shop.api, ask(payment, "r-1", "11.00"))
    with pytest.raises(RequestRejected, match="greater"):
        await CONNECTOR.refund(shop.api, ask(payment, "r-3", "30.01"))


async def test_many_at_once_with_one_key_make_one_refund(shop: Shop) -> None:
    payment = await shop.pay()
    made = await asyncio.gather(*(CONNECTOR.refund(shop.api, ask(payment)) for _ in range(6)))
    assert len({each.external_id for each in made}) == 1
    assert len((await shop.books())["refunds"]) == 1


async def test_after_a_day_the_refund_itself_remembers() -> None:
    async with opened(time_scale=10_000_000) as shop:
        payment = await shop.pay()
        made = await CONNECTOR.refund(shop.api, ask(payment))
        await asyncio.sleep(0.05)  # More than a day of Stripe: the Idempotency-Key is forgotten.
        bare = calls.create_refund(payment, 1, "", {}, "r-1")
        assert (await shop.api.send(bare)).headers.get("idempotent-replayed") is None
        assert (await CONNECTOR.refund(shop.api, ask(payment))).external_id == made.external_id
        assert (await shop.books())["refunds_twice"] == 0


async def test_an_answer_lost_after_the_refund_was_made_is_healed(shop: Shop) -> None:
    payment = await shop.pay()
    faults = shop.running.sandbox.faults
    for _ in range(3):
        faults.level, faults.profile = Level.MILD, Profile(answer_lost=0.5, answer_lost_after_s=0.01)
        try:
            await CONNECTOR.refund(shop.api, ask(payment))
        except (OutcomeUnknown, TemporarilyUnavailable):
            faults.use(Level.NONE)
            await CONNECTOR.refund(shop.api, ask(payment))
    faults.use(Level.NONE)
    books = await shop.books()
    assert len(books["refunds"]) == 1


async def test_the_same_key_answers_as_before_and_refuses_another_request(shop: Shop) -> None:
    payment = await shop.pay()
    first = await shop.api.send(calls.create_refund(payment, 100, "", {}, "k"))
    again = await shop.api.send(calls.create_refund(payment, 100, "", {}, "k"))
    assert again.body == first.body
    assert again.headers["idempotent-replayed"] == "true"
    with pytest.raises(RequestRejected, match="another request"):
        await shop.api.send(calls.create_refund(payment, 200, "", {}, "k"))


async def test_a_refund_that_the_bank_sends_back_is_told_so(shop: Shop) -> None:
    payment = await shop.pay()
    made = await CONNECTOR.refund(shop.api, ask(payment))
    await shop.tell(f"/refunds/{made.external_id}/fail")
    told = await CONNECTOR.refund(shop.api, ask(payment))
    assert (told.external_id, told.outcome) == (made.external_id, PushOutcome.REFUSED)
    lines, _ = await shop.settled()
    assert sum(each.amount for each in lines if each.kind is SettlementKind.REFUND) == 0


@pytest.mark.parametrize(
    ("units", "currency", "amount", "part"),
    [
        (5000, "jpy", "5000", "1200"),
        (5120, "kwd", "5.120", "1.250"),
        (500, "isk", "5", "3"),
        (999, "eur", "9.99", "0.01"),
    ],
)
async def test_every_currency_comes_back_to_the_last_unit(
    shop: Shop, units: int, currency: str, amount: str, part: str
) -> None:
    payment = await shop.pay(units, currency)
    await CONNECTOR.refund(shop.api, ask(payment, "r-1", part, currency.upper()))
    (found,) = await CONNECTOR.read_payments(shop.api, [payment])
    assert (found.amount, found.refunded) == (Decimal(amount), Decimal(part))
    with pytest.raises(RequestRejected, match="steps of"):
        await CONNECTOR.refund(shop.api, ask(payment, "r-2", "0.0001", currency.upper()))


# ---- the account ---------------------------------------------------------------------------------------


async def test_every_line_finds_its_payout_and_the_sums_agree(shop: Shop) -> None:
    for number in range(105):
        await shop.pay(1000 + number, "eur", f"A{number}", foreign=number % 5 == 0)
        await asyncio.sleep(0.002)
    dollars = await shop.pay(2000, "usd", "B1")
    await CONNECTOR.refund(shop.api, ask(dollars, "r-1", "5.00", "USD"))
    before, cursor = await shop.settled()
    assert {each.payout_id for each in before if isinstance(each, SettlementLine)} == {""}
    await shop.tell("/payouts", at_once=True)
    after, cursor = await shop.settled(cursor)
    (payout,) = (each for each in after if isinstance(each, Payout))
    assert payout.status is PayoutStatus.PAID
    lines = {each.external_id: each for each in after if isinstance(each, SettlementLine) and each.payout_id}
    assert len(lines) == 107
    assert {each.payout_id for each in lines.values()} == {payout.external_id}
    assert sum(each.amount for each in lines.values()) == payout.amount
    assert all(each.amount == each.gross - sum(fee.amount for fee in each.fees) for each in lines.values())
    assert {each.external_order_id for each in lines.values()} == {f"A{n}" for n in range(105)} | {"B1"}
    exchanged = next(each for each in lines.values() if each.buyer_currency and each.kind is SettlementKind.SALE)
    assert (exchanged.buyer_amount, exchanged.buyer_currency, exchanged.currency) == (Decimal("20.00"), "USD", "EUR")
    assert exchanged.exchange_rate is not None
    assert exchanged.gross == (Decimal(20) * exchanged.exchange_rate).quantize(Decimal("0.01"))
    assert (await shop.books())["balance_minor"] == 0
    # Nothing is told twice without need: neither lines nor payouts that are finished are read for ever.
    again, _ = await shop.settled(cursor)
    assert not [each for each in again if isinstance(each, SettlementLine) and each.payout_id]


async def test_a_failed_payout_comes_again_with_the_next(shop: Shop) -> None:
    await shop.pay()
    first = (await shop.tell("/payouts", at_once=True))["payout"]
    _, cursor = await shop.settled()
    await shop.tell(f"/payouts/{first}/fail")
    second = (await shop.tell("/payouts", at_once=True))["payout"]
    found, _ = await shop.settled(cursor)
    payouts = {each.external_id: each for each in found if isinstance(each, Payout)}
    assert payouts[first].status is PayoutStatus.FAILED
    back = [each for each in found if isinstance(each, SettlementLine) and each.payout_id == second]
    assert [each.kind for each in back] == [SettlementKind.TRANSFER]
    assert sum(each.amount for each in back) == payouts[second].amount


async def test_the_schedule_pays_out_by_the_clock_and_tells_the_lines_later() -> None:
    async with opened(time_scale=86_400) as shop:
        await shop.pay()
        cursor, states = None, []
        async with asyncio.timeout(20):
            while "paid" not in states:
                found, cursor = await shop.settled(cursor)
                states += [each.channel_status for each in found if isinstance(each, Payout)]
                await asyncio.sleep(0.2)
        books = await shop.books()
        assert books["payouts"][0]["automatic"] is True
        assert books["payouts"][0]["reconciliation_status"] == "completed"


async def test_a_dispute_takes_the_money_and_gives_it_back(shop: Shop) -> None:
    won, lost = await shop.pay(order="W"), await shop.pay(order="L")
    ids = [(await shop.tell("/disputes", payment=each, reason="product_not_received"))["id"] for each in (won, lost)]
    with pytest.raises(RequestRejected, match="disputes"):
        await CONNECTOR.refund(shop.api, ask(won))
    page = await CONNECTOR.pull_disputes(shop.api, None)
    found = {each.payment_ref: each for each in page.items}
    assert {each.status for each in found.values()} == {DisputeStatus.NEEDS_RESPONSE}
    assert found[won].answer_by is not None
    await shop.tell(f"/disputes/{ids[0]}/close", won=True)
    await shop.tell(f"/disputes/{ids[1]}/close", won=False)
    page = await CONNECTOR.pull_disputes(shop.api, page.cursor)
    by_id: dict[str, Dispute] = {each.external_id: each for each in page.items}
    assert [by_id[each].status for each in ids] == [DisputeStatus.WON, DisputeStatus.LOST]
    lines, _ = await shop.settled()
    of = [each for each in lines if each.kind is SettlementKind.DISPUTE] if lines else []
    assert sorted(each.gross for each in of) == [Decimal("-50.00"), Decimal("-50.00"), Decimal("50.00")]
    assert sum(fee.amount for each in of for fee in each.fees) == Decimal("30.00")
    assert {each.payment_ref for each in of} == {won, lost}


# ---- limits and webhooks -------------------------------------------------------------------------------


async def test_too_many_calls_are_told_with_the_reason() -> None:
    async with opened(time_scale=0.001) as shop:
        answers = await asyncio.gather(
            *(CONNECTOR.read_refunds(shop.api, "pi_x") for _ in range(40)), return_exceptions=True
        )
        limited = [each for each in answers if isinstance(each, RateLimited)]
        assert len(limited) == 15
        assert "too many calls in a second" in limited[0].detail


async def test_webhooks_come_signed_and_tell_what_changed(shop: Shop) -> None:
    async with listening() as listener:
        learned = await CONNECTOR.subscribe_webhooks(shop.api, listener.url)
        assert learned == await CONNECTOR.subscribe_webhooks(shop.api, listener.url)
        payment = await shop.pay()
        await CONNECTOR.refund(shop.api, ask(payment))
        (delivery, *_), secret = await listener.until(3), learned["webhook_secret"]
        for each in listener.deliveries:
            assert CONNECTOR.verify_webhook(each.body, each.headers, listener.url, secret)
            assert not CONNECTOR.verify_webhook(each.body, each.headers, listener.url, secret[:-1])
            assert CONNECTOR.webhook_signed_at(each.headers) is not None
        events = [CONNECTOR.parse_webhook(each.body, each.headers) for each in listener.deliveries]
        assert {each.topic for each in events} == {"payment_intent.succeeded", "refund.created", "charge.refunded"}
        (made,) = (each.refunds[0] for each in events if each.topic == "refund.created")
        assert (made.payment_ref, made.amount, made.idempotency_key) == (payment, Decimal("10.00"), "r-1")
        assert {each.payments[0].external_id for each in events if each.payments} == {payment}

        # While the secret is rolled, the old one still proves a delivery.
        (endpoint,) = (await shop.books())["webhook_endpoints"]
        await shop.tell(f"/webhooks/{endpoint['id']}/roll")
        await shop.tell("/disputes", payment=payment)
        await listener.until(5)
        assert delivery.headers["stripe-signature"].count("v1=") == 1
        assert listener.deliveries[-1].headers["stripe-signature"].count("v1=") == 2
        last = listener.deliveries[-1]
        assert CONNECTOR.verify_webhook(last.body, last.headers, listener.url, secret)
        await CONNECTOR.unsubscribe_webhooks(shop.api, listener.url)
        assert (await shop.books())["webhook_endpoints"] == []


async def test_objects_and_events_are_as_the_specification_says(shop: Shop) -> None:
    async with listening() as listener:
        await CONNECTOR.subscribe_webhooks(shop.api, listener.url)
        payment = await shop.pay()
        made = await CONNECTOR.refund(shop.api, ask(payment))
        await shop.tell(f"/refunds/{made.external_id}/fail")
        dispute = (await shop.tell("/disputes", payment=payment))["id"]
        await shop.tell(f"/disputes/{dispute}/close", won=True)
        await shop.tell("/payouts", at_once=True)
        for each in await listener.until(9):
            event = msgspec.json.decode(each.body)
            thing = event["data"]["object"]
            stripe_spec().check_object("event", event | {"data": {"object": {}}})
            stripe_spec().check_object(thing["object"], thing)


async def test_the_control_says_what_is_wrong(shop: Shop) -> None:
    for path, told in (
        ("/payments", {"order": "1", "amount": 0, "currency": "eur"}),
        ("/payments", {"order": "1", "amount": 5124, "currency": "kwd"}),
        ("/payments", {"order": "1", "amount": 5, "currency": "xyz"}),
        ("/payments", {"order": "1"}),
        ("/disputes", {"payment": "pi_unknown"}),
        ("/payouts/po_unknown/fail", {}),
    ):
        answer = await shop.control.post(f"/_sandbox/stripe{path}", json=told)
        assert answer.status_code == 422, path
        assert answer.json()["error"]


async def test_shoppers_do_not_come_to_stripe(shop: Shop) -> None:
    assert set(shop.running.sandbox.markets) == {"square", "stripe"}
    assert "stripe" not in shop.running.sandbox.world.shops
    shop.running.sandbox.shoppers.start(30, 10_000)
    await asyncio.sleep(0.5)
    await shop.running.sandbox.shoppers.stop()
    assert {lost.channel for lost in shop.running.sandbox.world.journal.of(SaleLost)} == {"square"}


async def test_where_there_is_no_shop_nobody_can_be_sent_shopping() -> None:
    async with running(Config(products=1, channels=("stripe",))) as serving:
        with pytest.raises(ValueError, match="no channel"):
            serving.sandbox.shoppers.start(1, 1)
