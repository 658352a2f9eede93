"""What an eBay order says of money beside its total: refunds, tax that eBay collects, its fee, what the seller is due. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from entrepot.channels.contract import OrderMoney, OrderRefund, Payload
from entrepot.channels.replies import parse_time
from entrepot.connectors.ebay.reading import amount, amount_before_conversion, inner, objects, optional_text


def money_of(payload: Payload, lines: Sequence[Payload]) -> OrderMoney:
    """Return what becomes of the buyer's money. `lines`: those of our marketplace; fee and due are of the whole order."""
    paid = inner(payload, "paymentSummary")
    taxes = (
        amount_before_conversion(tax, "amount") for each in lines for tax in objects(each, "ebayCollectAndRemitTaxes")
    )
    return OrderMoney(
        collected_tax=sum((each for each in taxes if each is not None), Decimal(0)),
        fees=amount_before_conversion(payload, "totalMarketplaceFee") or Decimal(0),
        due=amount(paid, "totalDueSeller"),
        due_currency=optional_text(inner(paid, "totalDueSeller"), "currency"),
        refunds=refunds_of(payload),
    )


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
