"""Payments: read, found by order, captured, cancelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from entrepot.channels.contract import (
    Api,
    Call,
    CaptureRequest,
    Payment,
    PaymentStatus,
    RequestRejected,
    TemporarilyUnavailable,
)
from entrepot.connectors.stripe import calls
from entrepot.connectors.stripe.errors import StripeRejected
from entrepot.connectors.stripe.mapping import payment_of
from entrepot.connectors.stripe.money import to_minor
from entrepot.connectors.stripe.reading import body_of, list_of, optional_text

SEARCH_PAGES_MAX = 10
_IsSo = Callable[[Payment], bool]
_STATE = frozenset({"payment_intent_unexpected_state", "charge_already_captured"})


async def read(api: Api, payment_refs: Sequence[str], order_names: Sequence[str]) -> tuple[Payment, ...]:
    """Return these payments; an unknown one is left out."""
    found = []
    for ref in payment_refs:
        try:
            found.append(await one(api, ref, order_names))
        except RequestRejected as error:
            if error.code not in ("resource_missing", "404"):
                raise
    return tuple(found)


async def one(api: Api, payment_ref: str, order_names: Sequence[str]) -> Payment:
    """Return a payment as it is now. Raises RequestRejected where there is none."""
    return payment_of(body_of(await api.send(calls.retrieve_payment(payment_ref))), order_names)


async def find(api: Api, order_ref: str, order_names: Sequence[str]) -> tuple[Payment, ...]:
    """Return the payments whose metadata name the order, under any of the names."""
    found: dict[str, Payment] = {}
    for name in order_names if order_ref.strip() else ():
        page = ""
        for _ in range(SEARCH_PAGES_MAX):
            reply = await api.send(calls.search_payments(name, order_ref, page))
            objects, more = list_of(reply)
            for each in objects:
                payment = payment_of(each, order_names)
                found.setdefault(payment.external_id, payment)
            page = optional_text(body_of(reply), "next_page")
            if not more or not page:
                break
    return tuple(found.values())


async def capture(api: Api, request: CaptureRequest, order_names: Sequence[str]) -> Payment:
    """Take an authorised payment; one that was taken as asked already is returned as it is."""
    before = await one(api, request.payment_ref, order_names)
    check_currency(before, request.currency)
    minor = None if request.amount is None else to_minor(request.amount, request.currency)
    wanted = before.amount if request.amount is None else request.amount

    def taken(payment: Payment) -> bool:
        return payment.status is PaymentStatus.PAID and payment.captured == wanted

    if taken(before):
        return before
    call = calls.capture_payment(_intent(request.payment_ref), minor, request.idempotency_key)
    return await _change(api, call, request.payment_ref, order_names, taken)


async def cancel(api: Api, payment_ref: str, key: str, order_names: Sequence[str]) -> Payment:
    """Release a payment; one that is cancelled already is returned as it is."""

    def cancelled(payment: Payment) -> bool:
        return payment.status is PaymentStatus.CANCELLED

    return await _change(api, calls.cancel_payment(_intent(payment_ref), key), payment_ref, order_names, cancelled)


def check_currency(payment: Payment, currency: str) -> None:
    """Raise StripeRejected where an amount is told in another currency than the payment's: it would be another amount."""
    if payment.currency != currency:
        raise StripeRejected(
            f"The payment {payment.external_id} is in {payment.currency}, the request in {currency}.", code="currency"
        )


async def _change(api: Api, call: Call, payment_ref: str, order_names: Sequence[str], is_so: _IsSo) -> Payment:
    try:
        return payment_of(body_of(await api.send(call)), order_names)
    except (RequestRejected, TemporarilyUnavailable) as error:
        # Done long ago, or while the answer was lost: the payment itself tells. Else the error stands.
        if isinstance(error, RequestRejected) and error.code not in _STATE:
            raise
        try:
            now = await one(api, payment_ref, order_names)
        except (RequestRejected, TemporarilyUnavailable):
            raise error from None
        if is_so(now):
            return now
        raise


def _intent(payment_ref: str) -> str:
    if calls.is_charge(payment_ref):
        raise StripeRejected(f"{payment_ref} is a charge: only a payment intent can be captured or cancelled here.")
    return payment_ref
