"""Stripe's objects as they look when they are made. Pure."""

from __future__ import annotations

from entrepot_sandbox.stripe.answers import Json

_EVIDENCE_DAYS = 7
DAY = 86_400


def intent_object(
    id: str, now: int, amount: int, currency: str, metadata: dict[str, str], charge_id: str, *, manual: bool
) -> Json:  # fmt: skip
    """A payment intent whose payment is held (`manual`) or about to be taken."""
    return {
        "id": id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": amount if manual else 0,
        "amount_received": 0,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "manual" if manual else "automatic",
        "confirmation_method": "automatic",
        "created": now,
        "currency": currency,
        "description": None,
        "last_payment_error": None,
        "latest_charge": charge_id,
        "livemode": False,
        "metadata": dict(metadata),
        "payment_method_types": ["card"],
        "status": "requires_capture",
    }


def charge_object(id: str, now: int, amount: int, currency: str, metadata: dict[str, str]) -> Json:
    """A charge that is held."""
    return {
        "id": id,
        "object": "charge",
        "amount": amount,
        "amount_captured": 0,
        "amount_refunded": 0,
        "balance_transaction": None,
        "billing_details": {"address": None, "email": None, "name": None, "phone": None},
        "captured": False,
        "created": now,
        "currency": currency,
        "description": None,
        "disputed": False,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": dict(metadata),
        "paid": True,
        "payment_intent": None,
        "refunded": False,
        "status": "succeeded",
    }


def refund_object(id: str, now: int, amount: int, charge: Json, reason: str, metadata: dict[str, str]) -> Json:
    """A refund that has succeeded, as those to cards do at once."""
    return {
        "id": id,
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "metadata": dict(metadata),
        "payment_intent": charge["payment_intent"],
        "reason": reason or None,
        "receipt_number": None,
        "status": "succeeded",
    }


def dispute_object(id: str, now: int, charge: Json, reason: str) -> Json:
    """A dispute of a whole charge."""
    return {
        "id": id,
        "object": "dispute",
        "amount": charge["amount_captured"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "evidence": {},
        "evidence_details": {
            "due_by": now + _EVIDENCE_DAYS * DAY,
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": "needs_response",
    }


def payout_object(id: str, now: int, amount: int, currency: str, arrives: int) -> Json:
    """An automatic payout on its way, whose lines are not told yet."""
    return {
        "id": id,
        "object": "payout",
        "amount": amount,
        "arrival_date": arrives,
        "automatic": True,
        "balance_transaction": None,
        "created": now,
        "currency": currency,
        "description": "STRIPE PAYOUT",
        "destination": None,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "reconciliation_status": "in_progress",
        "source_type": "card",
        "statement_descriptor": None,
        "status": "in_transit",
        "type": "bank_account",
    }


def transaction(
    id: str, now: int, kind: str, amount: int, currency: str, source: str, fee: int, category: str, available_on: int
) -> Json:  # fmt: skip
    """A transaction of the balance."""
    part = {
        "amount": fee,
        "application": None,
        "currency": currency,
        "description": "Dispute fee" if category == "dispute" else "Stripe processing fees",
        "type": "stripe_fee",
    }
    return {
        "id": id,
        "object": "balance_transaction",
        "amount": amount,
        "available_on": available_on,
        "created": now,
        "currency": currency,
        "description": None,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [part] if fee else [],
        "net": amount - fee,
        "reporting_category": category,
        "source": source,
        "status": "pending",
        "type": kind,
    }
