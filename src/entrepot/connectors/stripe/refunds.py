"""Refunds, each made once.

Stripe keeps an Idempotency-Key for a day. After that only the refund itself remembers: it carries our key in its metadata,
and is looked for before one is made. Between two who ask at the same moment the Idempotency-Key decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from entrepot.channels.contract import Api, Payment, PushOutcome, Refund, RefundRequest, RefundResult, RefundStatus
from entrepot.connectors.stripe import calls, payments
from entrepot.connectors.stripe.errors import StripeRejected
from entrepot.connectors.stripe.mapping import refund_of
from entrepot.connectors.stripe.money import to_minor
from entrepot.connectors.stripe.reading import an, list_of, text

METADATA_LENGTH_MAX = 500
PAYMENT_IDS = ("pi_", "ch_", "py_")
REASONS = ("duplicate", "fraudulent", "requested_by_customer")
_OUTCOME: Mapping[RefundStatus, PushOutcome] = {
    RefundStatus.SUCCEEDED: PushOutcome.APPLIED,
    RefundStatus.PENDING: PushOutcome.PENDING,
    RefundStatus.REQUIRES_ACTION: PushOutcome.PENDING,
    RefundStatus.FAILED: PushOutcome.REFUSED,
    RefundStatus.CANCELLED: PushOutcome.REFUSED,
}


async def make(api: Api, request: RefundRequest, order_names: Sequence[str]) -> RefundResult:
    """Make the refund, or tell how the one made under this key before stands now."""
    key = request.idempotency_key
    if not key or len(key) > METADATA_LENGTH_MAX:
        raise StripeRejected("A refund needs a key of 1 to 500 characters.", code="idempotency_key")
    if request.reason not in ("", *REASONS):
        raise StripeRejected(f"Stripe's reasons for a refund are: {', '.join(REASONS)}.", code="reason")
    minor = to_minor(request.amount, request.currency)
    payment = await _payment(api, request.external_order_id, order_names)
    payments.check_currency(payment, request.currency)
    for each in await of_payment(api, payment.external_id, order_names):
        if each.idempotency_key == key:
            return _result(each, request)
    metadata = {calls.REFUND_MARK: key}
    if payment.order_ref:
        metadata[order_names[0]] = payment.order_ref[:METADATA_LENGTH_MAX]
    if request.comment:
        metadata["note"] = request.comment[:METADATA_LENGTH_MAX]
    call = calls.create_refund(payment.external_id, minor, request.reason, metadata, key)
    return _result(refund_of(an(await api.send(call), "refund"), order_names), request)


async def _payment(api: Api, named: str, order_names: Sequence[str]) -> Payment:
    """Return the payment by its id, or the one paid payment of the order of that name."""
    if named.startswith(PAYMENT_IDS):
        return await payments.one(api, named, order_names)
    found = [each for each in await payments.find(api, named, order_names) if each.captured > 0]
    if len(found) != 1:
        names = ", ".join(each.external_id for each in found) or "none"
        words = f"Stripe must have one payment of the order {named!r}, it has {len(found)} ({names}): name the payment."
        raise StripeRejected(words, code="payment_not_found" if not found else "payment_ambiguous")
    return found[0]


def _result(refund: Refund, request: RefundRequest) -> RefundResult:
    if refund.amount != request.amount:
        words = f"This key was used for a refund of {refund.amount} {refund.currency} already: nothing was done."
        raise StripeRejected(words, code="idempotency_error")
    outcome, detail = _OUTCOME[refund.status], ""
    if outcome is PushOutcome.REFUSED:
        why = refund.failure or refund.status.value
        detail = f"The refund did not reach the buyer ({why}); the money is back in the Stripe balance. Ask anew."
    elif refund.status is RefundStatus.REQUIRES_ACTION:
        detail = "The buyer must tell Stripe where to send the money; Stripe has written to them."
    return RefundResult(refund.external_id, outcome, refund.status.value, detail)


async def of_payment(api: Api, payment_ref: str, order_names: Sequence[str]) -> tuple[Refund, ...]:
    """Return all refunds of a payment, newest first."""
    refunds: list[Refund] = []
    page = ""
    while True:
        found, more = list_of(await api.send(calls.list_refunds(payment_ref, page)))
        refunds += [refund_of(each, order_names) for each in found]
        if not more or not found:
            return tuple(refunds)
        page = text(found[-1], "id")
