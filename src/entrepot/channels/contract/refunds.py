"""Giving money back through the channel that took it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, runtime_checkable

from entrepot.channels.contract.quantities import PushOutcome
from entrepot.channels.contract.wire import Api


@dataclass(frozen=True, slots=True)
class RefundLine:
    """So much back for an order line, in major units of the refund's currency."""

    external_line_id: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """Give back `amount` (major units of `currency`) of an order; `lines` say for what, empty: for the order as a whole.

    `known_refund_ids`: the refunds that the order had when this one was asked for. On a channel without idempotency keys a
    refund that is not among them, of the same amount, is this one, done by a call whose answer was lost.
    """

    external_order_id: str
    idempotency_key: str
    amount: Decimal
    currency: str
    lines: tuple[RefundLine, ...] = ()
    reason: str = ""
    """One of the channel's own words, or empty: the connector's usual one."""
    comment: str = ""
    known_refund_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RefundResult:
    """What became of a refund. PENDING: the channel has taken it and the money follows; it need not be asked again."""

    external_id: str
    outcome: PushOutcome
    code: str = ""
    detail: str = ""


@runtime_checkable
class Refunds(Protocol):
    """Gives money back."""

    async def refund(self, api: Api, refund: RefundRequest) -> RefundResult:
        """Give it back, once however often it is asked with the same key and known refunds.

        Raises RequestRejected where the channel refuses, OutcomeUnknown where the answer was lost: ask again with the same.
        """
