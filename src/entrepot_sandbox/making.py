"""Orders that a simulated maker makes: what the journal holds of them, and how many were ordered twice. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from entrepot_sandbox.journal import Event


class MakingSubmitted(Event, frozen=True, kw_only=True, tag=True):
    """An order was confirmed: it will be charged and made. `keys`: the seller's own ids of what is in it."""

    channel: str
    order_id: str
    external_id: str
    keys: tuple[str, ...]
    units: int


class MakingWithdrawn(Event, frozen=True, kw_only=True, tag=True):
    """A confirmed order was cancelled before it was made, or failed: unless it is submitted again, it is not made."""

    channel: str
    order_id: str


class MakingSent(Event, frozen=True, kw_only=True, tag=True):
    """A parcel left the maker."""

    channel: str
    order_id: str
    parcel_id: str
    units: int


@runtime_checkable
class Maker(Protocol):
    """A marketplace that makes orders, as the control room sees it."""

    @property
    def key(self) -> str: ...

    def act(self, order: str, do: str, reason: str) -> None:
        """Do to an order (its id or external id) or a SKU what would happen at the maker. Raises ValueError."""

    def expect(self, accidents: dict[str, float]) -> None:
        """Have shares of orders meet accidents from now on. Raises ValueError."""


def figures(events: Iterable[Event], makers: Sequence[str]) -> dict[str, object]:
    """Return by maker how many orders were submitted and shipped, and how many of them were ordered twice.

    An order is a double if something in it, by the seller's own id, is also in an earlier order that was made or is to
    be. Orders whose lines have no ids of the seller are told apart by their external ids.
    """
    journal = tuple(events)
    found: dict[str, object] = {}
    for maker in makers:
        submitted = [each for each in journal if isinstance(each, MakingSubmitted) and each.channel == maker]
        parcels = [each for each in journal if isinstance(each, MakingSent) and each.channel == maker]
        doubles = _doubles(journal, maker)
        found |= {
            f"{maker}_orders": len({each.order_id for each in submitted}),
            f"{maker}_parcels": len(parcels),
            f"duplicate_{maker}_orders": len(doubles),
            f"duplicate_{maker}_detail": doubles[:20],
        }
    return found


def _doubles(journal: Sequence[Event], maker: str) -> list[dict[str, object]]:
    live: dict[str, MakingSubmitted] = {}
    for event in journal:
        if isinstance(event, MakingSubmitted) and event.channel == maker:
            live[event.order_id] = event
        elif isinstance(event, MakingWithdrawn) and event.channel == maker:
            live.pop(event.order_id, None)
    first: dict[str, str] = {}
    found: dict[str, dict[str, object]] = {}
    for order_id, submitted in live.items():
        for key in submitted.keys or (f"order {submitted.external_id}",):
            earlier = first.setdefault(key, order_id)
            if earlier != order_id:
                found[order_id] = {"order_id": order_id, "double_of": earlier, "key": key}
    return list(found.values())
