"""eBay's statements: what was booked, by date, and the transfers to the bank with what belongs to each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

import msgspec

from entrepot.channels.contract import (
    Api,
    FeePart,
    Page,
    Payload,
    Payout,
    PayoutStatus,
    SettlementItem,
    SettlementKind,
    SettlementLine,
    UnexpectedAnswer,
)
from entrepot.channels.replies import date_of, parse_time
from entrepot.connectors.ebay import calls, quota
from entrepot.connectors.ebay.reading import amount, body_of, inner, objects, optional_text, text, whole

SPAN_MAX = timedelta(days=90)
"""The longest interval that eBay searches."""
OVERLAP = timedelta(days=1)
"""How far a pull reaches back: bookings appear late and change until they are paid out."""
PAYOUTS_OVERLAP = timedelta(days=7)
"""Transfers take some days until they have succeeded or failed."""

_KIND_OF: Mapping[str, SettlementKind] = {
    "SALE": SettlementKind.SALE,
    "REFUND": SettlementKind.REFUND,
    "CREDIT": SettlementKind.ADJUSTMENT,
    "ADJUSTMENT": SettlementKind.ADJUSTMENT,
    "DISPUTE": SettlementKind.DISPUTE,
    "NON_SALE_CHARGE": SettlementKind.FEE,
    "SHIPPING_LABEL": SettlementKind.SHIPPING_LABEL,
    "TRANSFER": SettlementKind.TRANSFER,
    "LOAN_REPAYMENT": SettlementKind.TRANSFER,
    "WITHDRAWAL": SettlementKind.TRANSFER,
}
_STATUS_OF: Mapping[str, PayoutStatus] = {
    "SUCCEEDED": PayoutStatus.PAID,
    "RETRYABLE_FAILED": PayoutStatus.FAILED,
    "TERMINAL_FAILED": PayoutStatus.FAILED,
    "REVERSED": PayoutStatus.FAILED,
}


class _Cursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the two searches are: what was `booked` first, then the payouts with their lines.

    `booked`, `paid`: where the next search of the kind starts; `until`: the end of both; `offset`: the next page; `waiting`:
    payouts whose lines are still to be read, `inside`: the next page of the first one's.
    """

    phase: Literal["booked", "paid"]
    booked: str
    paid: str
    until: str | None = None
    offset: int = 0
    waiting: tuple[str, ...] = ()
    inside: int = 0
    more_payouts: bool = False


async def pull(api: Api, cursor: str | None) -> Page[SettlementItem]:
    """Return a page of statement lines or payouts."""
    at = _read(cursor)
    if at.waiting:
        return await _lines_of_payout(api, at)
    return await (_booked(api, at) if at.phase == "booked" else _payouts(api, at))


async def _booked(api: Api, at: _Cursor) -> Page[SettlementItem]:
    reply = await quota.send(api, calls.transactions(_span(at), at.offset))
    body = _body(reply.body and body_of(reply))
    found = objects(body, "transactions")
    until = parse_time(at.until) if at.until else _end(at.booked, date_of(reply))
    total = whole(body, "total") or 0
    items = tuple(line_of(each) for each in found)
    if found and at.offset + len(found) < total:
        following = msgspec.structs.replace(at, until=until.isoformat(), offset=at.offset + len(found))
    else:
        start = max(until - OVERLAP, parse_time(at.booked)) if at.booked else until - OVERLAP
        following = _Cursor("paid", start.isoformat(), at.paid, until.isoformat())
    return Page(items, cursor=_write(following), more=True)


async def _payouts(api: Api, at: _Cursor) -> Page[SettlementItem]:
    until = parse_time(at.until or "")
    # What lies before was seen already: a search of bookings covers 90 days at most, and this one reaches back a week.
    since = max(parse_time(at.paid), until - SPAN_MAX) if at.paid else until - SPAN_MAX
    reply = await quota.send(api, calls.payouts(since, until, at.offset))
    body = _body(reply.body and body_of(reply))
    found = objects(body, "payouts")
    more = bool(found) and at.offset + len(found) < (whole(body, "total") or 0)
    waiting = tuple(text(each, "payoutId") for each in found)
    following = msgspec.structs.replace(at, offset=at.offset + len(found), waiting=waiting, inside=0, more_payouts=more)
    return _page(tuple(payout_of(each) for each in found), following)


async def _lines_of_payout(api: Api, at: _Cursor) -> Page[SettlementItem]:
    payout_id = at.waiting[0]
    reply = await quota.send(api, calls.transactions(f"payoutId:{{{payout_id}}}", at.inside))
    body = _body(reply.body and body_of(reply))
    found = objects(body, "transactions")
    read = at.inside + len(found)
    if found and read < (whole(body, "total") or 0):
        following = msgspec.structs.replace(at, inside=read)
    else:
        following = msgspec.structs.replace(at, waiting=at.waiting[1:], inside=0)
    return _page(tuple(line_of(each) for each in found), following)


def _page(items: tuple[SettlementItem, ...], following: _Cursor) -> Page[SettlementItem]:
    """Return a page of the second search; after its last one the next pull begins with what was booked."""
    if following.waiting or following.more_payouts:
        return Page(items, cursor=_write(following), more=True)
    until = parse_time(following.until or "")
    start = until - PAYOUTS_OVERLAP
    if following.paid:
        start = max(start, parse_time(following.paid))
    return Page(items, cursor=_write(_Cursor("booked", following.booked, start.isoformat())), more=False)


def line_of(payload: Payload) -> SettlementLine:
    """Return a booking as a line of the statement. Pure. Debits come as negative amounts."""
    word = text(payload, "transactionType")
    sign = -1 if payload.get("bookingEntry") == "DEBIT" else 1
    net = (amount(payload, "amount") or Decimal(0)) * sign
    fees = tuple(
        FeePart(
            optional_text(fee, "feeType"),
            (amount(fee, "amount") or Decimal(0)) * sign,
            optional_text(line, "lineItemId"),
        )
        for line in objects(payload, "orderLineItems")
        for fee in objects(line, "marketplaceFees")
    )
    total = (amount(payload, "totalFeeAmount") or Decimal(0)) * sign
    rest = total - sum((each.amount for each in fees), Decimal(0))
    if rest:
        fees = (*fees, FeePart("OTHER", rest))
    lines = objects(payload, "orderLineItems")
    fee_type = optional_text(payload, "feeType")
    return SettlementLine(
        external_id=text(payload, "transactionId"),
        kind=_KIND_OF.get(word, SettlementKind.ADJUSTMENT),
        amount=net,
        gross=net + total,
        currency=text(inner(payload, "amount"), "currency"),
        at=parse_time(text(payload, "transactionDate")),
        fees=fees,
        external_order_id=optional_text(payload, "orderId") or _reference(payload, "ORDER_ID"),
        external_line_id=optional_text(lines[0], "lineItemId") if len(lines) == 1 else "",
        payout_id=optional_text(payload, "payoutId"),
        channel_kind=" ".join(filter(None, (word, fee_type, optional_text(payload, "transactionStatus")))),
        detail=optional_text(payload, "transactionMemo"),
    )


def payout_of(payload: Payload) -> Payout:
    """Return a transfer to the bank. Pure."""
    word = optional_text(payload, "payoutStatus")
    return Payout(
        external_id=text(payload, "payoutId"),
        amount=amount(payload, "amount") or Decimal(0),
        currency=text(inner(payload, "amount"), "currency"),
        at=parse_time(text(payload, "payoutDate")),
        status=_STATUS_OF.get(word, PayoutStatus.PENDING),
        line_count=whole(payload, "transactionCount"),
        channel_status=word,
    )


def _reference(payload: Payload, kind: str) -> str:
    found = (
        optional_text(each, "referenceId")
        for each in objects(payload, "references")
        if each.get("referenceType") == kind
    )
    return next(found, "")


def _body(body: Payload | bytes) -> Payload:
    """Return the answer; eBay answers 204 without a body where nothing was found."""
    return body if isinstance(body, Mapping) else {}


def _span(at: _Cursor) -> str:
    """Return the filter of a search by date, empty for the first search of all: eBay then tells the last 90 days."""
    if not at.booked and not at.until:
        return ""
    end = calls.iso8601(parse_time(at.until)) if at.until else ""
    start = parse_time(at.booked) if at.booked else parse_time(at.until or "") - SPAN_MAX
    return f"transactionDate:[{calls.iso8601(start)}..{end}]"


def _end(booked: str, now: datetime | None) -> datetime:
    """Return what a search without an end has covered: until now, at most 90 days from its start."""
    if now is None:
        raise UnexpectedAnswer("eBay's answer does not tell the time")
    return min(now, parse_time(booked) + SPAN_MAX) if booked else now


def _read(cursor: str | None) -> _Cursor:
    if cursor is None:
        return _Cursor("booked", "", "")
    try:
        return msgspec.json.decode(cursor, type=_Cursor)
    except msgspec.DecodeError as error:
        raise UnexpectedAnswer(
            "The stored place in eBay's statements cannot be read: start the import over."
        ) from error


def _write(cursor: _Cursor) -> str:
    return msgspec.json.encode(cursor).decode()
