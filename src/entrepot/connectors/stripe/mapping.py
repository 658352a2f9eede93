"""From Stripe's objects to the contract's values. Pure; raises UnexpectedAnswer where the documentation is broken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from entrepot.channels.contract import (
    Dispute,
    DisputeStatus,
    Payload,
    Payment,
    PaymentStatus,
    Payout,
    PayoutStatus,
    Refund,
    RefundStatus,
    UnexpectedAnswer,
)
from entrepot.connectors.stripe.calls import REFUND_MARK
from entrepot.connectors.stripe.money import amount_of, currency_of
from entrepot.connectors.stripe.reading import (
    id_in,
    inner,
    moment,
    objects,
    optional_moment,
    optional_text,
    order_ref,
    text,
)

_INTENT: Mapping[str, PaymentStatus] = {
    "requires_payment_method": PaymentStatus.OPEN,
    "requires_confirmation": PaymentStatus.OPEN,
    "requires_action": PaymentStatus.OPEN,
    "processing": PaymentStatus.PROCESSING,
    "requires_capture": PaymentStatus.AUTHORISED,
    "succeeded": PaymentStatus.PAID,
    "canceled": PaymentStatus.CANCELLED,
}
_REFUND: Mapping[str, RefundStatus] = {
    "pending": RefundStatus.PENDING,
    "requires_action": RefundStatus.REQUIRES_ACTION,
    "succeeded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.CANCELLED,
}
_PAYOUT: Mapping[str, PayoutStatus] = {
    "pending": PayoutStatus.PENDING,
    "in_transit": PayoutStatus.PENDING,
    "paid": PayoutStatus.PAID,
    "failed": PayoutStatus.FAILED,
    "canceled": PayoutStatus.FAILED,
}
_DISPUTE: Mapping[str, DisputeStatus] = {
    "warning_needs_response": DisputeStatus.NEEDS_RESPONSE,
    "warning_under_review": DisputeStatus.UNDER_REVIEW,
    "warning_closed": DisputeStatus.CLOSED,
    "needs_response": DisputeStatus.NEEDS_RESPONSE,
    "under_review": DisputeStatus.UNDER_REVIEW,
    "won": DisputeStatus.WON,
    "lost": DisputeStatus.LOST,
}


def payment_of(payload: Payload, order_names: Sequence[str]) -> Payment:
    """Return a payment from a payment intent, or from a charge (which then stands for it)."""
    if payload.get("object") == "charge":
        return _payment_of_charge(payload, order_names)
    currency, status = currency_of(payload), text(payload, "status")
    if status not in _INTENT:
        raise UnexpectedAnswer(f"Stripe has a payment in a state that is not known: {status!r}")
    found = _INTENT[status]
    error = inner(payload, "last_payment_error")
    if found is PaymentStatus.OPEN and error:
        found = PaymentStatus.FAILED
    charge = payload.get("latest_charge")
    charge = charge if isinstance(charge, dict) else None
    return Payment(
        external_id=text(payload, "id"),
        status=found,
        amount=amount_of(payload, "amount", currency),
        currency=currency,
        created_at=moment(payload, "created"),
        captured=amount_of(payload, "amount_received", currency),
        capturable=amount_of(payload, "amount_capturable", currency),
        refunded=None if charge is None else amount_of(charge, "amount_refunded", currency),
        disputed=None if charge is None else charge.get("disputed") is True,
        order_ref=order_ref(inner(payload, "metadata"), order_names),
        charge_ref=id_in(payload, "latest_charge"),
        failure=_failure(error),
        channel_status=status,
    )


def _payment_of_charge(payload: Payload, order_names: Sequence[str]) -> Payment:
    currency, status = currency_of(payload), text(payload, "status")
    amount, captured = amount_of(payload, "amount", currency), amount_of(payload, "amount_captured", currency)
    is_captured = payload.get("captured") is True
    found = {"failed": PaymentStatus.FAILED, "pending": PaymentStatus.PROCESSING}.get(status)
    if found is None:
        found = PaymentStatus.PAID if is_captured else PaymentStatus.AUTHORISED
        # A hold that was released stands in Stripe's books as refunded though nothing was taken.
        if not is_captured and payload.get("refunded") is True:
            found = PaymentStatus.CANCELLED
    nothing = Decimal(0) * amount
    refunded = amount_of(payload, "amount_refunded", currency)
    return Payment(
        external_id=id_in(payload, "payment_intent") or text(payload, "id"),
        status=found,
        amount=amount,
        currency=currency,
        created_at=moment(payload, "created"),
        captured=captured,
        capturable=amount if found is PaymentStatus.AUTHORISED else nothing,
        refunded=min(refunded, captured),
        disputed=payload.get("disputed") is True,
        order_ref=order_ref(inner(payload, "metadata"), order_names),
        charge_ref=text(payload, "id"),
        failure=_failure({"message": payload.get("failure_message"), "code": payload.get("failure_code")}),
        channel_status=status,
    )


def refund_of(payload: Payload, order_names: Sequence[str]) -> Refund:
    """Return a refund. Without a status (old ones) it has succeeded."""
    currency, metadata = currency_of(payload), inner(payload, "metadata")
    status = optional_text(payload, "status") or "succeeded"
    if status not in _REFUND:
        raise UnexpectedAnswer(f"Stripe has a refund in a state that is not known: {status!r}")
    return Refund(
        external_id=text(payload, "id"),
        status=_REFUND[status],
        amount=amount_of(payload, "amount", currency),
        currency=currency,
        created_at=moment(payload, "created"),
        payment_ref=id_in(payload, "payment_intent") or id_in(payload, "charge"),
        charge_ref=id_in(payload, "charge"),
        order_ref=order_ref(metadata, order_names),
        idempotency_key=optional_text(metadata, REFUND_MARK),
        failure=optional_text(payload, "failure_reason").replace("_", " "),
    )


def dispute_of(payload: Payload) -> Dispute:
    """Return a dispute."""
    currency, status = currency_of(payload), text(payload, "status")
    if status not in _DISPUTE:
        raise UnexpectedAnswer(f"Stripe has a dispute in a state that is not known: {status!r}")
    return Dispute(
        external_id=text(payload, "id"),
        status=_DISPUTE[status],
        amount=amount_of(payload, "amount", currency),
        currency=currency,
        created_at=moment(payload, "created"),
        reason=optional_text(payload, "reason").replace("_", " "),
        inquiry=status.startswith("warning_"),
        answer_by=optional_moment(inner(payload, "evidence_details"), "due_by"),
        payment_ref=id_in(payload, "payment_intent") or id_in(payload, "charge"),
        charge_ref=id_in(payload, "charge"),
        line_refs=tuple(text(each, "id") for each in objects(payload, "balance_transactions")),
        channel_status=status,
    )


def payout_of(payload: Payload) -> Payout:
    """Return a payout."""
    currency, status = currency_of(payload), text(payload, "status")
    if status not in _PAYOUT:
        raise UnexpectedAnswer(f"Stripe has a payout in a state that is not known: {status!r}")
    return Payout(
        external_id=text(payload, "id"),
        amount=amount_of(payload, "amount", currency),
        currency=currency,
        at=moment(payload, "created"),
        status=_PAYOUT[status],
        channel_status=status,
    )


def refunds_in(charge: Payload, order_names: Sequence[str]) -> tuple[Refund, ...]:
    """Return the refunds inside of a charge; Stripe's later versions leave them out."""
    return tuple(refund_of(each, order_names) for each in objects(inner(charge, "refunds"), "data"))


def _failure(error: Mapping[str, Any]) -> str:
    parts = [value for name in ("message", "code") if isinstance(value := error.get(name), str) and value]
    return parts[0][:300] if parts else ""
