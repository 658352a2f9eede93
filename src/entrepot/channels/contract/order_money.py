"""What an order says of money beside its total."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class OrderRefund:
    """Money given back, in major units of its own currency. `external_line_id` empty: for the order as a whole."""

    external_id: str
    amount: Decimal
    currency: str
    status: str
    at: datetime | None
    external_line_id: str = ""


@dataclass(frozen=True, slots=True)
class OrderMoney:
    """What becomes of a buyer's money, as far as the order itself tells. In major units of the order's currency.

    `collected_tax`: what the channel collects and hands to the state by itself; the seller never sees it. `fees`: what the
    channel keeps. `due`: what the seller gets, in `due_currency`, that of the balance at the channel; None: not told.
    """

    collected_tax: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    due: Decimal | None = None
    due_currency: str = ""
    refunds: tuple[OrderRefund, ...] = ()
