"""Publication lag and stale listings, by the marketplaces' own books; the definitions are the judge's. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from entrepot_sandbox.account import Account, known_remaining, remaining
from entrepot_sandbox.journal import (
    Cancelled,
    Event,
    QuantityWritten,
    Sold,
)
from entrepot_sandbox.strategy import Policy, Strategy


class Shown:
    """What each listing showed at any time, from the journal."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._times: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        self._values: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for event in events:
            if isinstance(event, QuantityWritten | Sold | Cancelled):
                key = (event.channel, event.sku)
                self._times[key].append(event.at)
                self._values[key].append(event.after if isinstance(event, QuantityWritten) else event.shown)

    def reached(self, channel: str, sku: str, value: int, moment: float) -> float:
        """Return when the listing first showed `value` or went past it after a moment; infinity if it never did."""
        key = (channel, sku)
        place = bisect_right(self._times[key], moment)
        above = self.at(channel, sku, moment) > value
        for at, shows in zip(self._times[key][place:], self._values[key][place:], strict=True):
            if (shows <= value) if above else (shows >= value):
                return at
        return math.inf

    def at(self, channel: str, sku: str, moment: float) -> int:
        """Return what the listing showed at that moment (0 before anything was written)."""
        key = (channel, sku)
        place = bisect_right(self._times[key], moment)
        return self._values[key][place - 1] if place else 0


@dataclass(frozen=True, slots=True)
class Lag:
    """The seconds from `at` on that a listing showed something else than it should."""

    channel: str
    sku: str
    at: float
    shown: int
    wanted: int
    seconds: float

    @property
    def kind(self) -> str:
        """The channel, and which way the listing had to change."""
        return f"{self.channel} {'raise' if self.shown < self.wanted else 'lower'}"


def publish_lags(
    account: Account, shown: Shown, opening: Mapping[str, int], strategy: Strategy, listed: Mapping[str, Sequence[str]]
) -> list[Lag]:
    """Return the lag of every (known sale, listing elsewhere) that was then closed."""
    writes: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for (channel, _), items in account.writes.items():
        for write in items:
            writes[channel, write.sku].append(write.at)
    lags = []
    for sku, sales in account.sold.items():
        for sale in sales:
            known = account.named.get((sale.channel, sale.order_id))
            if known is None:
                continue
            expected = strategy.quantities(known_remaining(account, opening, sku, known), listed[sku])
            for channel in listed[sku]:
                shows = shown.at(channel, sku, known)
                if channel == sale.channel or shows == expected[channel]:
                    continue
                if strategy.policy is Policy.RISK and shows < expected[channel]:
                    continue
                times = writes[channel, sku]
                place = bisect_right(times, known)
                written = times[place] if place < len(times) else math.inf
                closed = min(written, shown.reached(channel, sku, expected[channel], known))
                if closed < math.inf:
                    lags.append(Lag(channel, sku, known, shows, expected[channel], closed - known))
    return lags


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the nearest-rank percentile, None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


@dataclass(frozen=True, slots=True)
class ListedNow:
    """What a channel's own book shows for a listing now."""

    channel: str
    listing_id: str
    sku: str
    quantity: int


def stale_listings(
    account: Account, opening: Mapping[str, int], strategy: Strategy, listings: Sequence[ListedNow]
) -> list[dict[str, object]]:
    """Return the listings that do not show what the strategy gives for the true stock left."""
    shown: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for listing in listings:
        shown[listing.sku][listing.channel] = listing.quantity
    stale: list[dict[str, object]] = []
    for listing in listings:
        left = remaining(account, opening, listing.sku)
        expected = strategy.wrong(left, shown[listing.sku]).get(listing.channel)
        if expected is not None:
            stale.append(
                {
                    "channel": listing.channel,
                    "sku": listing.sku,
                    "shown": listing.quantity,
                    "expected": expected,
                    "remaining": left,
                }
            )
    return stale
