"""The append-only record of what happened, in order, by monotonic time: all that the judge works from.

`at` is in seconds of `Clock.monotonic()`. Quantities are units. Events are never changed after they were written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import TypeVar

import msgspec


class WriteKind(StrEnum):
    """How a quantity write treats what the channel shows."""

    ABSOLUTE = "absolute"
    COMPARE_AND_SET = "compare_and_set"
    DELTA = "delta"


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something that happened at `at`."""

    at: float


class Sold(Event, frozen=True, kw_only=True, tag=True):
    """A channel sold units of a listing; its own book shows `shown` afterwards."""

    channel: str
    order_id: str
    listing_id: str
    sku: str
    quantity: int
    shown: int


class Placed(Event, frozen=True, kw_only=True, tag=True):
    """A channel accepted an order (its units are in `Sold`, written just before)."""

    channel: str
    order_id: str


class SaleLost(Event, frozen=True, kw_only=True, tag=True):
    """A shopper went away because a listing showed too little."""

    channel: str
    sku: str
    wanted: int
    shown: int


class Cancelled(Event, frozen=True, kw_only=True, tag=True):
    """Units of an order were cancelled before they shipped: they are back in truth. `version` is the order's."""

    channel: str
    order_id: str
    listing_id: str
    sku: str
    quantity: int
    version: int
    shown: int


class Returned(Event, frozen=True, kw_only=True, tag=True):
    """Shipped units came back: no stock changes until a person has looked at them."""

    channel: str
    order_id: str
    sku: str
    quantity: int


class Shipped(Event, frozen=True, kw_only=True, tag=True):
    """The seller told the channel that an order's units left."""

    channel: str
    order_id: str
    quantity: int


class QuantityWritten(Event, frozen=True, kw_only=True, tag=True):
    """The seller's write of a listing's quantity took effect at `at`; it was asked for at `requested_at`."""

    channel: str
    listing_id: str
    sku: str
    before: int
    after: int
    kind: WriteKind
    request_id: str
    requested_at: float


class ToldBy(StrEnum):
    """How the hub came to know of an order."""

    WEBHOOK = "webhook"
    """It acknowledged a webhook that carries the order."""
    NOTICE = "notice"
    """It acknowledged a webhook that only names the order."""
    ANSWER = "answer"
    """An answer that contains the order was delivered whole."""


class OrderTold(Event, frozen=True, kw_only=True, tag=True):
    """The hub was told of version `version` of an order."""

    channel: str
    order_id: str
    version: int
    by: ToldBy


class NotAnswering(Event, frozen=True, kw_only=True, tag=True):
    """An injected fault kept the channel from answering from `at` to `until`."""

    channel: str
    until: float
    fault: str
    operation: str = ""


class LimitEmpty(Event, frozen=True, kw_only=True, tag=True):
    """A rate limit had nothing left for one more call from `at` to `until`. `writes`: quantity writes use it."""

    channel: str
    until: float
    limit: str
    writes: bool


class Requested(Event, frozen=True, kw_only=True, tag=True):
    """A request came in and was answered with `status` (0: the connection was dropped)."""

    channel: str
    operation: str
    status: int
    seconds: float


class HookFault(Event, frozen=True, kw_only=True, tag=True):
    """A webhook was lost, doubled, late or reordered on purpose."""

    channel: str
    fault: str
    event_id: str


class HookAnswered(Event, frozen=True, kw_only=True, tag=True):
    """A webhook delivery was answered with `status` (0: no answer)."""

    channel: str
    event_id: str
    topic: str
    attempt: int
    status: int


E = TypeVar("E", bound=Event)


class Journal:
    """The events so far, oldest first."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def write(self, event: Event) -> None:
        """Append an event."""
        self._events.append(event)

    def of(self, kind: type[E]) -> Iterator[E]:
        """Return the events of one kind, oldest first."""
        return (event for event in self._events if isinstance(event, kind))

    def __iter__(self) -> Iterator[Event]:
        return iter(tuple(self._events))

    def __len__(self) -> int:
        return len(self._events)


def about(events: Iterable[Event], sku: str) -> Iterator[Event]:
    """Return the events of a SKU and those by which the hub was told of its orders."""
    orders: set[tuple[str, str]] = set()
    for event in events:
        if getattr(event, "sku", None) == sku:
            if isinstance(event, Sold):
                orders.add((event.channel, event.order_id))
            yield event
        elif isinstance(event, OrderTold) and (event.channel, event.order_id) in orders:
            yield event
