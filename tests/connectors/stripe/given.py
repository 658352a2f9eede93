"""Settings, objects as Stripe has them, and a scripted account, for the tests of the connector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from tests.connectors.scripted import Answer, ScriptedApi, reply
from tests.connectors.stripe.spec import stripe_spec

from entrepot.channels.contract import Call, Reply
from entrepot.connectors.stripe import CONNECTOR

PAYLOADS = Path(__file__).parent / "payloads"
SETTINGS = {"mode": "test", "order_metadata": "order_id,order_number", "settlements_since": "", "simulator_url": ""}
CREDENTIALS = {
    "api_key": "rk_test_51SecretSecretSecretKey",
    "webhook_secret": "whsec_SecretSecretSecretSecret",
}
DAY = 86_400
T0 = 1_795_000_000
"""Nov 18, 2026, two days before the scripted answers' Date."""


def scripted(answers: Sequence[Answer], *, repeat_last: bool = False, **settings: str) -> ScriptedApi:
    return ScriptedApi(
        CONNECTOR,
        answers,
        settings=SETTINGS | settings,
        credentials=CREDENTIALS,
        check_call=stripe_spec().check_call,
        repeat_last=repeat_last,
    )


def listed(*objects: Any, more: bool = False, kind: str = "list") -> Reply:
    return reply({"object": kind, "data": list(objects), "has_more": more, "url": "/v1/things"})


def refusal(
    code: str, status: int = 400, message: str = "said by Stripe", kind: str = "invalid_request_error"
) -> Reply:
    return reply({"error": {"type": kind, "code": code, "message": message}}, status)


def forbidden(permission: str) -> Reply:
    words = (
        "The provided key 'rk_test_***cret' does not have the required permissions for this endpoint on account 'acct_1'. "
        f"Having the '{permission}' permission would allow this request to continue."
    )
    return reply({"error": {"type": "invalid_request_error", "message": words}}, 403)


def form(call: Call) -> dict[str, str]:
    return dict(parse_qsl((call.body or b"").decode()))


def balance(live: bool = False) -> dict[str, Any]:
    part = [{"amount": 1, "currency": "eur", "source_types": {"card": 1}}]
    return {"object": "balance", "available": part, "pending": part, "livemode": live}


def intent(id: str = "pi_1", status: str = "succeeded", amount: int = 2500, currency: str = "eur", **more: Any) -> Any:
    received = amount if status == "succeeded" else 0
    whole = {
        "id": id,
        "object": "payment_intent",
        "amount": amount,
        "amount_received": received,
        "amount_capturable": amount if status == "requires_capture" else 0,
        "currency": currency,
        "created": T0,
        "status": status,
        "metadata": {"order_id": "1001"},
        "latest_charge": charge(f"ch_{id[3:]}", amount, currency, captured=received > 0),
    }
    return whole | more


def charge(id: str, amount: int, currency: str = "eur", **more: Any) -> dict[str, Any]:
    whole = {
        "id": id,
        "object": "charge",
        "amount": amount,
        "amount_captured": amount,
        "amount_refunded": 0,
        "captured": True,
        "currency": currency,
        "created": T0,
        "disputed": False,
        "metadata": {"order_id": "1001"},
        "payment_intent": f"pi_{id[3:]}",
        "refunded": False,
        "status": "succeeded",
    }
    return whole | more


def refund(id: str, amount: int, key: str = "", currency: str = "eur", status: str = "succeeded") -> dict[str, Any]:
    metadata = {"entrepot_refund": key, "order_id": "1001"} if key else {}
    return {
        "id": id,
        "object": "refund",
        "amount": amount,
        "currency": currency,
        "created": T0 + 60,
        "status": status,
        "metadata": metadata,
        "payment_intent": "pi_1",
        "charge": "ch_1",
    }


def line(id: str, amount: int, fee: int = 0, kind: str = "charge", created: int = T0, **more: Any) -> dict[str, Any]:
    parts = [{"type": "stripe_fee", "amount": fee, "currency": "eur", "description": "Stripe processing fees"}]
    whole = {
        "id": id,
        "object": "balance_transaction",
        "amount": amount,
        "fee": fee,
        "fee_details": parts if fee else [],
        "net": amount - fee,
        "currency": "eur",
        "created": created,
        "type": kind,
        "reporting_category": kind,
        "source": charge(f"ch_{id[4:]}", amount) if kind == "charge" else None,
        "status": "pending",
    }
    return whole | more


def payout(id: str, created: int = T0, status: str = "paid", **more: Any) -> dict[str, Any]:
    whole = {
        "id": id,
        "object": "payout",
        "amount": 2440,
        "currency": "eur",
        "created": created,
        "arrival_date": created + DAY,
        "automatic": True,
        "reconciliation_status": "completed",
        "status": status,
        "description": "STRIPE PAYOUT",
    }
    return whole | more


def dispute(id: str, created: int = T0, status: str = "needs_response") -> dict[str, Any]:
    return {
        "id": id,
        "object": "dispute",
        "amount": 2500,
        "currency": "eur",
        "created": created,
        "status": status,
        "reason": "product_not_received",
        "payment_intent": "pi_1",
        "charge": "ch_1",
        "evidence_details": {"due_by": created + 7 * DAY, "has_evidence": False},
        "balance_transactions": [{"id": "txn_d"}],
    }
