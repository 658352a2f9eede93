"""What an eBay order says of money beside its total: refunds, tax that eBay collects, its fee, what the seller is due. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from entrepot.channels.contract import Payload
from entrepot.channels.replies import parse_time
from entrepot.connectors.ebay.reading import amount, inner, objects, optional_text


@dataclass(frozen=True, slots=True)
class OrderRefund:
    """A refund of an order, in the currency of the seller's balance. `line_id` empty: of the order as a whole."""

    id: str
    amount: Decimal
    currency: str
    status: str
    at: datetime | None
    line_id: str = ""


def refunds_of(payload: Payload) -> tuple[OrderRefund, ...]:
    """Return the refunds that the order names, those of single lines last."""
    whole = [_refund(each, "") for each in objects(inner(payload, "paymentSummary"), "refunds")]
    of_lines = [
        _refund(each, optional_text(line, "lineItemId"))
        for line in objects(payload, "lineItems")
        for each in objects(line, "refunds")
    ]
    return (*whole, *of_lines)


def _refund(payload: Payload, line_id: str) -> OrderRefund:
    at = optional_text(payload, "refundDate")
    return OrderRefund(
        optional_text(payload, "refundId") or optional_text(payload, "refundReferenceId"),
        amount(payload, "amount") or Decimal(0),
        optional_text(inner(payload, "amount"), "currency"),
        optional_text(payload, "refundStatus"),
        parse_time(at) if at else None,
        line_id,
    )
