"""Refunds, each made once.

Stripe keeps an Idempotency-Key for a day. After that only the refund itself remembers: it carries our key in its metadata,
and is looked for before one is made. Between two who ask at the same moment the Idempotency-Key decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from entrepot.channels.contract import Api, Refund, RefundReason, RefundRequest
from entrepot.connectors.stripe import calls, payments
from entrepot.connectors.stripe.errors import StripeRejected
from entrepot.connectors.stripe.mapping import refund_of
from entrepot.connectors.stripe.money import to_minor
from entrepot.connectors.stripe.reading import an, list_of, text

METADATA_LENGTH_MAX = 500
_REASON: Mapping[RefundReason, str] = {
    RefundReason.DUPLICATE: "duplicate",
    RefundReason.FRAUDULENT: "fraudulent",
    RefundReason.BY_BUYER: "requested_by_customer",
}


async def make(api: Api, request: RefundRequest, order_names: Sequence[str]) -> Refund:
    """Make the refund, or return the one made under this key before."""
    if not request.idempotency_key or len(request.idempotency_key) > METADATA_LENGTH_MAX:
        raise StripeRejected("A refund needs a key of 1 to 500 characters.", code="idempotency_key")
    minor = None if request.amount is None else to_minor(request.amount, request.currency)
    payments.check_currency(await payments.one(api, request.payment_ref, order_names), request.currency)
    before = await _made(api, request, order_names)
    if before is not None:
        return before
    metadata = {calls.REFUND_MARK: request.idempotency_key}
    if request.order_ref:
        metadata[order_names[0]] = request.order_ref[:METADATA_LENGTH_MAX]
    if request.note:
        metadata["note"] = request.note[:METADATA_LENGTH_MAX]
    reason = _REASON[request.reason] if request.reason is not None else ""
    call = calls.create_refund(request.payment_ref, minor, reason, metadata, request.idempotency_key)
    return refund_of(an(await api.send(call), "refund"), order_names)


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


async def _made(api: Api, request: RefundRequest, order_names: Sequence[str]) -> Refund | None:
    for each in await of_payment(api, request.payment_ref, order_names):
        if each.idempotency_key != request.idempotency_key:
            continue
        if request.amount is not None and each.amount != request.amount:
            words = f"This key was used for a refund of {each.amount} {each.currency} already: nothing was done."
            raise StripeRejected(words, code="idempotency_error")
        return each
    return None
