"""What the seller is paid: sales less fees, refunds, and a transfer to the bank every day."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from starlette.requests import Request
from starlette.responses import Response

from entrepot_sandbox.books import Order
from entrepot_sandbox.ebay.answers import Refused, json_answer, number
from entrepot_sandbox.ebay.state import DAY_S, Json, State, money, stamp

FEE_SHARE = Decimal("0.11")
FEE_PER_ORDER = Decimal("0.35")
_RANGE = re.compile(r"(transactionDate|payoutDate):\[([^\]]*?Z)\.\.([^\]]*)\]")
_PAYOUT = re.compile(r"payoutId:\{([^}]*)\}")


@dataclass(slots=True)
class Refund:
    """Money given back."""

    id: str
    order_id: str
    amount: Decimal
    currency: str
    at: datetime

    @property
    def body(self) -> Json:
        """It as the order tells it."""
        return {
            "refundId": self.id,
            "refundDate": stamp(self.at),
            "amount": money(self.amount, self.currency),
            "refundStatus": "REFUNDED",
            "refundReferenceId": f"R{self.id}",
        }


@dataclass(slots=True)
class Booking:
    """A line of the statement; `amount` is net of fees, above zero."""

    id: str
    kind: str
    order_id: str
    amount: Decimal
    is_credit: bool
    fees: list[tuple[str, str, Decimal]]
    currency: str
    at: datetime
    payout_id: str = ""


@dataclass(slots=True)
class Payout:
    """A transfer to the bank."""

    id: str
    amount: Decimal
    currency: str
    at: datetime
    count: int


@dataclass(slots=True)
class Ledger:
    """The seller's balance."""

    state: State
    bookings: list[Booking] = field(default_factory=list)
    payouts: list[Payout] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    next_payout_at: datetime | None = None

    def fees_of(self, order: Order) -> list[tuple[str, str, Decimal]]:
        """Return the fees of an order: (line, kind, amount)."""
        fees = []
        for place, line in enumerate(order.lines):
            share = (line.unit_price * line.quantity * FEE_SHARE).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
            fees.append((line.id, "FINAL_VALUE_FEE", share))
            if place == 0:
                fees.append((line.id, "FINAL_VALUE_FEE_FIXED_PER_ORDER", FEE_PER_ORDER))
        return fees

    def sale(self, order: Order) -> None:
        """Book a paid order."""
        fees = self.fees_of(order)
        total = sum((line.unit_price * line.quantity for line in order.lines), Decimal(0))
        kept = sum((amount for _, _, amount in fees), Decimal(0))
        self._book("SALE", order, total - kept, fees, is_credit=True)

    def refund(self, order: Order, amount: Decimal) -> Refund:
        """Give money back; the share of the fee is given back to the seller, the fixed part is not."""
        now = self.state.desk.now()
        refund = Refund(str(5_000_000_000 + self.state.next_id("refund")), order.id, amount, order.currency, now)
        self.refunds.append(refund)
        back = (amount * FEE_SHARE).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
        self._book("REFUND", order, amount - back, [(order.lines[0].id, "FINAL_VALUE_FEE", back)], is_credit=False)
        return refund

    def refunds_of(self, order_id: str) -> list[Refund]:
        """Return what was given back of an order."""
        return [each for each in self.refunds if each.order_id == order_id]

    def refunded(self, order_id: str) -> Decimal:
        """Return how much was given back of an order."""
        return sum((each.amount for each in self.refunds_of(order_id)), Decimal(0))

    def _book(
        self, kind: str, order: Order, amount: Decimal, fees: list[tuple[str, str, Decimal]], *, is_credit: bool
    ) -> None:
        id = f"{self.state.next_id('booking'):02d}-{order.id}"
        self.bookings.append(
            Booking(id, kind, order.id, amount, is_credit, fees, order.currency, self.state.desk.now())
        )

    def settle(self) -> None:
        """Make the transfers that are due by now, one for each day (of the sandbox's scaled time)."""
        now = self.state.desk.now()
        day = timedelta(seconds=self.state.desk.world.clock.scaled(DAY_S))
        if self.next_payout_at is None:
            self.next_payout_at = self.state.opened_at + day
        while self.next_payout_at <= now:
            due = [each for each in self.bookings if not each.payout_id and each.at < self.next_payout_at]
            worth = sum((each.amount if each.is_credit else -each.amount for each in due), Decimal(0))
            if worth > 0:
                id = str(6_000_000_000 + self.state.next_id("payout"))
                self.payouts.append(Payout(id, worth, due[0].currency, self.next_payout_at, len(due)))
                for each in due:
                    each.payout_id = id
            self.next_payout_at += day

    # ---- answers -----------------------------------------------------------------------------------------

    async def get_transactions(self, state: State, request: Request) -> Response:
        """GET /transaction, by date or payout, the newest first."""
        self.settle()
        filter_ = request.query_params.get("filter", "")
        payout, span = _PAYOUT.search(filter_), _RANGE.search(filter_)
        found = sorted(self.bookings, key=lambda each: each.at, reverse=True)
        if payout is not None:
            found = [each for each in found if each.payout_id == payout[1]]
        elif span is not None:
            found = [each for each in found if _within(each.at, span[2], span[3])]
        return _paged(request, "transactions", [_transaction(each) for each in found], 1000)

    async def get_payouts(self, state: State, request: Request) -> Response:
        """GET /payout, by date."""
        self.settle()
        span = _RANGE.search(request.query_params.get("filter", ""))
        found = [each for each in self.payouts if span is None or _within(each.at, span[2], span[3])]
        if request.query_params.get("sort", "-payoutDate").startswith("-"):
            found.reverse()
        return _paged(request, "payouts", [_payout(each) for each in found], 200)


def _within(at: datetime, start: str, end: str) -> bool:
    try:
        return datetime.fromisoformat(start) <= at and (not end or at <= datetime.fromisoformat(end))
    except ValueError:
        raise Refused(400, 135004, "Invalid date in the filter.", "API_FINANCES") from None


def _paged(request: Request, name: str, bodies: list[Json], most: int) -> Response:
    size, offset = number(request, "limit", 20, most), number(request, "offset", 0, 1_000_000)
    if not bodies:
        return Response(status_code=204)
    body: Json = {
        "href": request.url.path,
        "total": len(bodies),
        "limit": size,
        "offset": offset,
        name: bodies[offset : offset + size],
    }
    if offset + size < len(bodies):
        body["next"] = f"{request.url.path}?limit={size}&offset={offset + size}"
    return json_answer(body)


def _transaction(booking: Booking) -> Json:
    lines: dict[str, list[Json]] = {}
    for line_id, kind, amount in booking.fees:
        lines.setdefault(line_id, []).append({"feeType": kind, "amount": money(amount, booking.currency)})
    fee = sum((amount for _, _, amount in booking.fees), Decimal(0))
    told: Json = {
        "transactionId": booking.id,
        "orderId": booking.order_id,
        "transactionType": booking.kind,
        "amount": money(booking.amount, booking.currency),
        "bookingEntry": "CREDIT" if booking.is_credit else "DEBIT",
        "transactionDate": stamp(booking.at),
        "transactionStatus": "PAYOUT" if booking.payout_id else "FUNDS_AVAILABLE_FOR_PAYOUT",
        "paymentsEntity": "eBay S.a.r.l.",
        "totalFeeBasisAmount": money(booking.amount + fee, booking.currency),
        "totalFeeAmount": money(fee, booking.currency),
        "orderLineItems": [{"lineItemId": line_id, "marketplaceFees": fees} for line_id, fees in lines.items()],
    }
    if booking.payout_id:
        told["payoutId"] = booking.payout_id
    return told


def _payout(payout: Payout) -> Json:
    return {
        "payoutId": payout.id,
        "payoutStatus": "SUCCEEDED",
        "payoutStatusDescription": "Funds sent",
        "amount": money(payout.amount, payout.currency),
        "payoutDate": stamp(payout.at),
        "transactionCount": payout.count,
        "payoutInstrument": {"instrumentType": "BANK", "nickname": "Demo bank", "accountLastFourDigits": "4711"},
    }
