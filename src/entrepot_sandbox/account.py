"""What the journal holds, arranged for judging, and what the hub knew when. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from entrepot_sandbox.journal import (
    Cancelled,
    Event,
    HookFault,
    LimitEmpty,
    NotAnswering,
    OrderTold,
    Placed,
    QuantityWritten,
    Requested,
    SaleLost,
    Sold,
    ToldBy,
)

Span = tuple[float, float]


@dataclass(slots=True)
class Account:
    """What the journal holds, arranged for judging."""

    sold: defaultdict[str, list[Sold]] = field(default_factory=lambda: defaultdict(list))
    cancelled: defaultdict[str, list[Cancelled]] = field(default_factory=lambda: defaultdict(list))
    writes: defaultdict[tuple[str, str], list[QuantityWritten]] = field(default_factory=lambda: defaultdict(list))
    told: dict[tuple[str, str], float] = field(default_factory=dict)
    """When the hub first knew what an order holds."""
    named: dict[tuple[str, str], float] = field(default_factory=dict)
    """When the hub first heard of an order at all."""
    versions: defaultdict[tuple[str, str], list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    blocked: defaultdict[str, list[Span]] = field(default_factory=lambda: defaultdict(list))
    placed: list[Placed] = field(default_factory=list)
    lost: defaultdict[str, list[SaleLost]] = field(default_factory=lambda: defaultdict(list))
    """What shoppers wanted and a listing did not show, by SKU."""
    lost_units: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    limited: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


def arrange(events: Iterable[Event]) -> Account:
    """Sort the events into what the judge looks up."""
    account = Account()
    for event in events:
        match event:
            case Sold():
                account.sold[event.sku].append(event)
            case Placed():
                account.placed.append(event)
            case Cancelled():
                account.cancelled[event.sku].append(event)
            case QuantityWritten():
                account.writes[event.channel, event.listing_id].append(event)
            case OrderTold():
                _note_told(account, event)
            case NotAnswering():
                account.blocked[event.channel].append((event.at, event.until))
                account.faults[event.fault] += 1
            case LimitEmpty() if event.writes:
                account.blocked[event.channel].append((event.at, event.until))
            case SaleLost():
                account.lost_units += event.wanted
                account.lost[event.sku].append(event)
            case Requested():
                account.requests[event.channel] += 1
                account.limited[event.channel] += event.status == 429
            case HookFault():
                account.faults[f"webhook_{event.fault}"] += 1
            case _:
                pass
    for spans in account.blocked.values():
        spans[:] = merged(spans)
    return account


def _note_told(account: Account, event: OrderTold) -> None:
    key = (event.channel, event.order_id)
    account.named.setdefault(key, event.at)
    if event.by is not ToldBy.NOTICE:
        account.told.setdefault(key, event.at)
        account.versions[key].append((event.version, event.at))


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans sorted, with overlapping ones joined."""
    result: list[Span] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        elif end > start:
            result.append((start, end))
    return result


def free_time(since: float, until: float, blocked: Sequence[Span]) -> float:
    """Return the seconds of [since, until] outside of the (merged) blocked spans."""
    total = until - since
    first = max(0, bisect_right(blocked, (since, since)) - 1)
    for start, end in blocked[first:]:
        if start >= until:
            break
        total -= max(0.0, min(end, until) - max(start, since))
    return max(0.0, total)


def knew_version(account: Account, back: Cancelled) -> float | None:
    """Return when the hub was told of a version of the order that has this cancellation, or None if it never was."""
    times = [at for version, at in account.versions.get((back.channel, back.order_id), ()) if version >= back.version]
    return min(times, default=None)


def remaining(account: Account, opening: Mapping[str, int], sku: str, moment: float = float("inf")) -> int:
    """Return the true stock left at a moment; below zero by what was oversold."""
    sold = sum(sale.quantity for sale in account.sold.get(sku, ()) if sale.at <= moment)
    back = sum(item.quantity for item in account.cancelled.get(sku, ()) if item.at <= moment)
    return opening[sku] - sold + back


def known_remaining(account: Account, opening: Mapping[str, int], sku: str, moment: float) -> int:
    """Return the stock left at a moment by the sales and cancellations that the hub had heard of by then."""
    never = float("inf")
    sold = sum(
        sale.quantity
        for sale in account.sold.get(sku, ())
        if account.named.get((sale.channel, sale.order_id), never) <= moment
    )
    back = sum(
        item.quantity for item in account.cancelled.get(sku, ()) if (knew_version(account, item) or never) <= moment
    )
    return opening[sku] - sold + back
