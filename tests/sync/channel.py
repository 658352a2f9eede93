"""A channel in memory at the transport's boundary: its own books, an order feed that lags, and faults on demand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tests.orders.support import line, order

from entrepot.channels.contract import (
    Api,
    AuthKind,
    Call,
    Capability,
    ChannelListing,
    ChannelOrder,
    CheckReport,
    ConnectorError,
    Credentials,
    LimitReading,
    ListingRef,
    Manifest,
    OutcomeUnknown,
    Page,
    PushOutcome,
    PushReceipt,
    PushResult,
    QuantityBatch,
    QuantityChange,
    QuantitySemantics,
    Reply,
    ReportedQuantity,
    RequestRejected,
    TemporarilyUnavailable,
    TooLate,
)
from entrepot.channels.contracts import Connection


class WorkerDied(Exception):
    """The process that called was killed there."""


def manifest(
    key: str, semantics: QuantitySemantics, bulk_from: int | None = None, *, restocks: bool = False
) -> Manifest:
    capabilities = frozenset(
        {
            Capability.PULL_ORDERS,
            Capability.PULL_LISTINGS,
            Capability.PUSH_QUANTITIES,
            Capability.READ_QUANTITIES,
        }
    )
    return Manifest(
        key, key, "1", capabilities, AuthKind.STATIC_TOKEN, (), (), (), quantity_semantics=semantics,
        push_batch_max=10 if bulk_from is None else 100,
        push_bulk_from=bulk_from, cancel_restocks=restocks,
    )  # fmt: skip


@dataclass
class Channel:
    """One marketplace with one account. `faults`: what the next pushes do, one each; see `push_quantities`."""

    semantics: QuantitySemantics
    books: dict[str, int] = field(default_factory=dict)
    feed: dict[str, ChannelOrder] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    item_faults: dict[str, PushOutcome] = field(default_factory=dict)
    pushes: list[QuantityBatch] = field(default_factory=list)
    trail: list[tuple[str, int]] = field(default_factory=list)
    remembered: dict[str, PushReceipt] = field(default_factory=dict)
    read_error: ConnectorError | None = None
    pull_error: ConnectorError | None = None
    bulk_from: int | None = None
    restocks: bool = False
    """Whether it puts cancelled units back into its listing by itself."""
    after_reading: Callable[[], Awaitable[None]] | None = None
    """What happens between the next reading and whatever is done with it."""

    @property
    def manifest(self) -> Manifest:
        return manifest(str(self.semantics), self.semantics, self.bulk_from, restocks=self.restocks)

    # ---- shoppers

    def sell(self, external_id: str, units: int, *, hidden: bool = False) -> ChannelOrder | None:
        """Sell so many units off a listing as it shows; None if it is sold out. A hidden order is not in the feed yet."""
        units = min(units, self.books[external_id])
        if units <= 0:
            return None
        self.books[external_id] -= units
        name = f"{self.semantics}-{len(self.feed)}"
        sold = order(name, 1, [line(external_id, units)], placed_at=datetime.now(UTC))
        self.feed[name] = sold
        if hidden:
            self.hidden.add(name)
        return sold

    # ---- the contract

    async def push_quantities(self, api: Api, batch: QuantityBatch) -> PushReceipt:
        """Write. Faults: lost (written, no answer), dropped (not written, no answer), busy, late, died, killed before."""
        self.pushes.append(batch)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "busy":
            raise TemporarilyUnavailable("busy")
        if fault == "late":
            raise TooLate
        if fault == "dropped":
            raise OutcomeUnknown("no answer")
        if fault == "refused":
            raise RequestRejected("refused")
        if fault == "killed":
            raise WorkerDied
        receipt = self.remembered.get(batch.idempotency_key)
        if receipt is None or self.semantics is QuantitySemantics.ABSOLUTE:
            receipt = PushReceipt(tuple(self._write(change) for change in batch.changes))
            self.remembered[batch.idempotency_key] = receipt
        if fault == "lost":
            raise OutcomeUnknown("no answer")
        if fault == "died":
            raise WorkerDied
        return receipt

    def _write(self, change: QuantityChange) -> PushResult:
        name = change.ref.external_id
        outcome = self.item_faults.pop(name, PushOutcome.APPLIED)
        if outcome is PushOutcome.APPLIED and name not in self.books:
            outcome = PushOutcome.REFUSED
        if outcome is not PushOutcome.APPLIED:
            return PushResult(name, outcome, detail=f"{outcome} by the channel")
        if self.semantics is QuantitySemantics.COMPARE_AND_SET:
            if self.books[name] != change.from_quantity:
                return PushResult(name, PushOutcome.STALE)
            self.books[name] = change.to_quantity
        elif self.semantics is QuantitySemantics.DELTA:
            assert change.from_quantity is not None
            self.books[name] += change.to_quantity - change.from_quantity
        else:
            self.books[name] = change.to_quantity
        self.trail.append((name, self.books[name]))
        reported = self.books[name] if self.semantics is QuantitySemantics.DELTA else None
        return PushResult(name, PushOutcome.APPLIED, reported)

    async def read_quantities(self, api: Api, refs: Sequence[ListingRef]) -> tuple[ReportedQuantity, ...]:
        if self.read_error is not None:
            raise self.read_error
        found = tuple(ReportedQuantity(r.external_id, self.books.get(r.external_id)) for r in refs)
        happening, self.after_reading = self.after_reading, None
        if happening is not None:
            await happening()
        return found

    async def pull_orders(self, api: Api, cursor: str | None) -> Page[ChannelOrder]:
        """Return all that is visible; the feed is complete up to the first sale that is not."""
        if self.pull_error is not None:
            raise self.pull_error
        visible = tuple(o for name, o in self.feed.items() if name not in self.hidden)
        waiting = [self.feed[name].placed_at for name in self.hidden]
        until = min(waiting) - timedelta(microseconds=1) if waiting else datetime.now(UTC)
        return Page(visible, "c", False, until)

    async def fetch_orders(self, api: Api, external_ids: Sequence[str]) -> tuple[ChannelOrder, ...]:
        return tuple(self.feed[i] for i in external_ids if i in self.feed)

    async def pull_listings(self, api: Api, cursor: str | None) -> Page[ChannelListing]:
        items = tuple(
            ChannelListing(ListingRef(name), name, name, name, name, quantity=quantity)
            for name, quantity in self.books.items()
        )
        return Page(items, None, False)

    def authorise(self, call: Call, credentials: Credentials, at: datetime) -> Call:
        return call

    def classify(self, reply: Reply) -> ConnectorError | None:
        return None

    def read_limits(self, call: Call, reply: Reply) -> tuple[LimitReading, ...]:
        return ()

    async def check(self, api: Api) -> CheckReport:
        return CheckReport(True, "ok")

    def cancel(self, name: str) -> ChannelOrder:
        """Cancel an order."""
        from entrepot.channels.contract import ChannelOrderStatus

        before = self.feed[name]
        for sold in before.lines if self.restocks else ():
            self.books[str(sold.external_variant_id)] += sold.quantity
        self.feed[name] = replace(before, version=before.version + 1, status=ChannelOrderStatus.CANCELLED)
        return self.feed[name]


class Wire:
    """The transport: nothing is sent, the channel is in memory."""

    settings: Mapping[str, str] = {}
    ahead = timedelta(0)
    """How far the channels' clocks are ahead of ours."""

    def api(self, connection: Connection) -> Api:
        return self

    def clock_offset(self, connection_id: UUID) -> timedelta:
        return self.ahead

    async def send(self, call: Call) -> Any:
        raise AssertionError(call)
