"""From balance transactions to settlement lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from entrepot.channels.contract import FeePart, Payload, SettlementKind, SettlementLine, UnexpectedAnswer
from entrepot.connectors.stripe.money import amount_of, currency_of
from entrepot.connectors.stripe.reading import id_in, inner, moment, objects, optional_text, order_ref, text

_KIND: Mapping[str, SettlementKind] = {
    "charge": SettlementKind.SALE,
    "payment": SettlementKind.SALE,
    "refund": SettlementKind.REFUND,
    "payment_refund": SettlementKind.REFUND,
    "refund_failure": SettlementKind.REFUND,
    "payment_failure_refund": SettlementKind.REFUND,
    "stripe_fee": SettlementKind.FEE,
    "stripe_fx_fee": SettlementKind.FEE,
    "tax_fee": SettlementKind.FEE,
    "payout_cancel": SettlementKind.TRANSFER,
    "payout_failure": SettlementKind.TRANSFER,
    "topup": SettlementKind.TRANSFER,
    "topup_reversal": SettlementKind.TRANSFER,
    "transfer": SettlementKind.TRANSFER,
    "adjustment": SettlementKind.ADJUSTMENT,
    "payment_reversal": SettlementKind.ADJUSTMENT,
}
_DISPUTES = frozenset({"dispute", "dispute_reversal"})
_EXCHANGED = frozenset({"charge", "refund", "dispute"})
"""What tells the amount in the buyer's currency."""


def lines_of(
    payloads: Sequence[Payload], order_names: Sequence[str], payout_id: str = ""
) -> tuple[SettlementLine, ...]:
    """Return the lines; the one that a payout itself is in Stripe's books is told as the payout."""
    return tuple(line_of(each, order_names, payout_id) for each in payloads if each.get("type") != "payout")


def line_of(payload: Payload, order_names: Sequence[str], payout_id: str = "") -> SettlementLine:
    """Return a line. `payout_id`: the payout whose lines were asked for. Raises UnexpectedAnswer if the sums do not agree."""
    currency = currency_of(payload)
    source = payload.get("source")
    made_by: Mapping[str, Any] = source if isinstance(source, dict) else {}
    source_ref = id_in(payload, "source")
    buyer_amount, buyer_currency = _buyer_amount(payload, made_by, currency)
    gross, fees = amount_of(payload, "amount", currency), _fees(payload, currency)
    net = gross - sum((fee.amount for fee in fees), Decimal(0))
    if payload.get("net") is not None and net != amount_of(payload, "net", currency):
        raise UnexpectedAnswer(f"The parts of Stripe's balance transaction {text(payload, 'id')} do not add up")
    return SettlementLine(
        external_id=text(payload, "id"),
        kind=_kind(payload),
        amount=net,
        gross=gross,
        currency=currency,
        at=moment(payload, "created"),
        fees=fees,
        external_order_id=order_ref(inner(made_by, "metadata"), order_names),
        payout_id=payout_id,
        channel_kind=_words(payload),
        detail=optional_text(payload, "description"),
        payment_ref=_payment_ref(made_by, source_ref),
        buyer_amount=buyer_amount,
        buyer_currency=buyer_currency,
        exchange_rate=_rate(payload),
    )


def _kind(payload: Payload) -> SettlementKind:
    if optional_text(payload, "reporting_category") in _DISPUTES:
        return SettlementKind.DISPUTE
    return _KIND.get(text(payload, "type"), SettlementKind.ADJUSTMENT)


def _words(payload: Payload) -> str:
    parts = dict.fromkeys((text(payload, "type"), optional_text(payload, "reporting_category")))
    return ", ".join(part for part in parts if part)


def _fees(payload: Payload, currency: str) -> tuple[FeePart, ...]:
    parts = tuple(
        FeePart(text(each, "type"), amount_of(each, "amount", currency_of(each)))
        for each in objects(payload, "fee_details")
    )
    fee = amount_of(payload, "fee", currency)
    rest = fee - sum((part.amount for part in parts), Decimal(0))
    # The parts explain the fee; what they leave unexplained is a fee all the same.
    return parts if not rest else (*parts, FeePart("fee", rest))


def _payment_ref(made_by: Payload, source_ref: str) -> str:
    """The payment intent, or the charge where there is none; empty for what is not about a payment."""
    own = source_ref if source_ref.startswith(("ch_", "py_")) else ""
    return id_in(made_by, "payment_intent") or own or id_in(made_by, "charge")


def _buyer_amount(payload: Payload, made_by: Payload, currency: str) -> tuple[Decimal | None, str]:
    if made_by.get("object") not in _EXCHANGED or currency_of(made_by) == currency:
        return None, ""
    name = "amount_captured" if made_by.get("object") == "charge" and made_by.get("amount_captured") else "amount"
    buyer_currency = currency_of(made_by)
    amount = amount_of(made_by, name, buyer_currency)
    return (-amount if amount_of(payload, "amount", currency) < 0 else amount), buyer_currency


def _rate(payload: Payload) -> Decimal | None:
    rate = payload.get("exchange_rate")
    if rate is None:
        return None
    if isinstance(rate, bool) or not isinstance(rate, int | Decimal):
        raise UnexpectedAnswer("Stripe sent an exchange rate that is not a number")
    return Decimal(rate)
