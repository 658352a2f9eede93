"""Giving money back. eBay has no idempotency key: a refund that the order did not have before is the one that was asked for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from entrepot.channels.contract import (
    Api,
    OrderRefund,
    OutcomeUnknown,
    PushOutcome,
    RateLimited,
    RefundRequest,
    RefundResult,
    RequestRejected,
    TemporarilyUnavailable,
)
from entrepot.connectors.ebay import calls, quota
from entrepot.connectors.ebay.drafts import money
from entrepot.connectors.ebay.order_money import refunds_of
from entrepot.connectors.ebay.reading import body_of, objects, optional_text

REASONS = frozenset(
    {"BUYER_CANCEL", "SELLER_CANCEL", "ITEM_NOT_RECEIVED", "BUYER_RETURN", "ITEM_NOT_AS_DESCRIBED", "OTHER_ADJUSTMENT",
     "SHIPPING_DISCOUNT"}
)  # fmt: skip
USUAL_REASON = "OTHER_ADJUSTMENT"
COMMENT_MAX = 100
_OUTCOMES = {"PENDING": PushOutcome.PENDING, "REFUNDED": PushOutcome.APPLIED, "FAILED": PushOutcome.REFUSED}


async def push(api: Api, refund: RefundRequest) -> RefundResult:
    """Give the money back once. Raises as the contract says."""
    body = body_of_refund(refund)
    found = body_of(await quota.send(api, calls.orders_by_id([refund.external_order_id])))
    order = next((each for each in objects(found, "orders")), None)
    if order is None:
        raise RequestRejected("eBay does not know the order.", code="no_order")
    done = new_refund(refunds_of(order), refund)
    if done is not None:
        return RefundResult(done.external_id, _outcome(done.status), code=done.status)
    try:
        answer = body_of(await quota.send(api, calls.issue_refund(refund.external_order_id, body)))
    except RateLimited:
        raise
    except TemporarilyUnavailable as error:
        raise OutcomeUnknown(error.detail, code=error.code, retry_after_s=error.retry_after_s) from error
    status = optional_text(answer, "refundStatus")
    detail = "eBay could not give the money back." if status == "FAILED" else ""
    return RefundResult(optional_text(answer, "refundId"), _outcome(status), code=status, detail=detail)


def body_of_refund(refund: RefundRequest) -> dict[str, Any]:
    """Return what is asked. Pure. Raises RequestRejected in plain words."""
    if refund.amount <= 0:
        raise RequestRejected("A refund must be above zero.", code="amount")
    reason = refund.reason or USUAL_REASON
    if reason not in REASONS:
        raise RequestRejected(f"eBay takes these reasons: {', '.join(sorted(REASONS))}.", code="reason")
    body: dict[str, Any] = {"reasonForRefund": reason}
    if refund.comment:
        body["comment"] = refund.comment[:COMMENT_MAX]
    if not refund.lines:
        body["orderLevelRefundAmount"] = money(refund.amount, refund.currency)
        return body
    if sum((line.amount for line in refund.lines), Decimal(0)) != refund.amount:
        raise RequestRejected(
            "The lines' amounts do not make up the refund: eBay takes one or the other.", code="amount"
        )
    body["refundItems"] = [
        {"lineItemId": line.external_line_id, "refundAmount": money(line.amount, refund.currency)}
        for line in refund.lines
    ]
    return body


def new_refund(refunds: tuple[OrderRefund, ...], asked: RefundRequest) -> OrderRefund | None:
    """Return the refund that an earlier call with this request made, None where there is none. Pure.

    Raises RequestRejected where the order has a new refund of another amount: it may be this one (eBay tells the seller's net
    amount where it pays a part itself) or a person's, so nothing more is given back until somebody has looked.
    """
    known = set(asked.known_refund_ids)
    fresh = [each for each in refunds if each.external_id not in known and each.status != "FAILED"]
    exact = next((each for each in fresh if each.amount == asked.amount), None)
    if exact is None and fresh:
        told = ", ".join(f"{each.external_id} of {each.amount} {each.currency}" for each in fresh)
        raise RequestRejected(
            f"The order has a refund at eBay that the hub does not know: {told}.", code="unknown_refund"
        )
    return exact


def _outcome(status: str) -> PushOutcome:
    return _OUTCOMES.get(status, PushOutcome.PENDING)
