"""The judge: what went wrong, by the sandbox's own books and never by the hub's word. Pure over the journal.

Definitions:

- Truth of a SKU = opening stock - units sold over all channels + units of orders cancelled before they shipped.
- An **oversold** unit is one that a channel sold while truth had none left.
- It is **avoidable** if, when it was sold, the hub had for more than 2 s known that the SKU was gone (by the sales and
  cancellations it knew of, nothing was left) while that channel was answering and within its rate limit; or if it comes
  of a **lost update**: the last write that set this listing (absolute or compare-and-set, not a delta) raised it
  although the channel's own books already held sales of it that the hub did not know when it asked, and this unit is
  one of those that the write thereby offered a second time. Not offered twice is what the write left out: if it set the
  listing to less than the strategy gives for what the hub knew (under RISK: less than all of that), the difference was
  left for sales that were not known.
- A sale is **known** from when a webhook that carries the order was acknowledged, or an answer that contains it was
  delivered whole. A webhook that only names the order does not tell what was sold; it starts the publish lag.
- Time does not count as answering while a fault kept the channel from answering, while a limit that quantity writes use
  was empty, or while the channel was still processing a lowering write of this listing that it had accepted.
- **publish lag**: from when the hub was told of a sale, for each listing of the SKU on another channel that then showed
  something else than the strategy gives for what the hub knew then, until the next write of that listing took effect or
  sales on the channel itself took it there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType

from entrepot_sandbox.account import Account, arrange, free_time, knew_version, merged, remaining
from entrepot_sandbox.journal import (
    Event,
    Placed,
    Sold,
    WriteKind,
)
from entrepot_sandbox.lags import ListedNow, Shown, percentile, publish_lags, stale_listings
from entrepot_sandbox.strategy import Strategy

GRACE_S = 2.0
"""How long the hub may know that something is gone before an oversold unit counts as avoidable."""


@dataclass(frozen=True, slots=True)
class Oversold:
    """Units of one line sold while none was left in truth; `avoidable` of them by the rules above."""

    at: float
    channel: str
    order_id: str
    sku: str
    units: int
    avoidable: int
    why: str


Aim = Callable[[str, int], int]
"""What the strategy gives a channel for so many units left."""


def oversold(
    account: Account, opening: Mapping[str, int], aims: Mapping[str, Aim] = MappingProxyType({})
) -> list[Oversold]:
    """Return every line with units that were sold while none was left in truth, oldest first.

    `aims`: what the strategy gives, by SKU; without it, all that is left.
    """
    found = [
        item
        for sku, sales in account.sold.items()
        for item in _oversold_of(account, opening[sku], sku, sales, aims.get(sku, _everything))
    ]
    return sorted(found, key=lambda item: item.at)


def _everything(channel: str, left: int) -> int:
    return max(0, left)


def _oversold_of(account: Account, opening: int, sku: str, sales: Sequence[Sold], aim: Aim) -> Iterable[Oversold]:
    left = opening
    cancelled = iter(account.cancelled.get(sku, ()))
    back = next(cancelled, None)
    for sale in sales:
        while back is not None and back.at <= sale.at:
            left += back.quantity
            back = next(cancelled, None)
        units = min(sale.quantity, sale.quantity - left) if left < sale.quantity else 0
        left -= sale.quantity
        if units > 0:
            avoidable, why = _avoidable(account, opening, sale, units, aim)
            yield Oversold(sale.at, sale.channel, sale.order_id, sku, units, avoidable, why)


def _avoidable(account: Account, opening: int, sale: Sold, units: int, aim: Aim) -> tuple[int, str]:
    known_for = _known_gone_for(account, opening, sale)
    if known_for > GRACE_S:
        return units, f"known to be gone for {known_for:.1f} s while the channel was answering"
    twice = min(units, _offered_twice(account, opening, sale, aim))
    return (twice, "a raise overwrote a sale that the hub did not know") if twice else (0, "not known in time")


def _known_steps(account: Account, sku: str, before: float) -> list[tuple[float, int]]:
    """Return by how much what the hub knew to be left changed, and when, up to a moment."""
    steps: list[tuple[float, int]] = []
    for other in account.sold[sku]:
        known = account.told.get((other.channel, other.order_id))
        if known is not None and known < before:
            steps.append((known, -other.quantity))
    for back in account.cancelled.get(sku, ()):
        known = knew_version(account, back)
        if known is not None and known < before:
            steps.append((known, back.quantity))
    return steps


def _known_gone_for(account: Account, opening: int, sale: Sold) -> float:
    """Return for how long, when the sale was made, the hub had known that none was left (answering time only)."""
    steps = _known_steps(account, sale.sku, sale.at)
    left, gone_since = opening, None if opening > 0 else 0.0
    for at, change in sorted(steps):
        left += change
        gone_since = (at if gone_since is None else gone_since) if left <= 0 else None
    if gone_since is None:
        return 0.0
    under_way = [
        (write.requested_at, min(write.at, sale.at))
        for write in account.writes.get((sale.channel, sale.listing_id), ())
        if write.after < write.before and write.requested_at < min(write.at, sale.at)
    ]
    blocked = account.blocked.get(sale.channel, [])
    return free_time(gone_since, sale.at, merged([*blocked, *under_way]) if under_way else blocked)


def _offered_twice(account: Account, opening: int, sale: Sold, aim: Aim) -> int:
    """Return how many units of this sale a lost update had offered a second time."""
    writes = account.writes.get((sale.channel, sale.listing_id), ())
    place = bisect_right(writes, sale.at, key=lambda write: write.at)
    setting = next((write for write in reversed(writes[:place]) if write.kind is not WriteKind.DELTA), None)
    if setting is None or setting.after <= setting.before:
        return 0
    here = []
    for other in account.sold[sale.sku]:
        if other is sale:
            break
        if (other.channel, other.listing_id) == (sale.channel, sale.listing_id):
            here.append(other)
    unknown = sum(
        other.quantity
        for other in here
        if other.at < setting.requested_at
        and account.told.get((other.channel, other.order_id), float("inf")) >= setting.requested_at
    )
    known_left = opening + sum(change for _, change in _known_steps(account, sale.sku, setting.requested_at))
    left_out = max(0, aim(sale.channel, known_left) - setting.after)
    unknown = min(unknown - left_out, setting.after - setting.before)
    if unknown <= 0:
        return 0
    sold_since = sum(other.quantity for other in here if other.at >= setting.at)
    legitimate = max(0, setting.after - unknown - sold_since)
    return max(0, sale.quantity - legitimate)


def stranded(account: Account, opening: Mapping[str, int]) -> int:
    """Return the units that a shopper wanted and did not get though they were there: another channel kept them."""
    total = 0
    for sku, wishes in account.lost.items():
        changes = [(sale.at, -sale.quantity) for sale in account.sold.get(sku, ())]
        changes += [(back.at, back.quantity) for back in account.cancelled.get(sku, ())]
        changes.sort()
        left, place = opening[sku], 0
        for wish in wishes:
            while place < len(changes) and changes[place][0] <= wish.at:
                left += changes[place][1]
                place += 1
            total += max(0, min(wish.wanted, left))
    return total


# ---- the verdict ----


def verdict(
    events: Iterable[Event],
    opening: Mapping[str, int],
    listings: Sequence[ListedNow],
    strategy: Strategy | None,
    hub_orders: Sequence[tuple[str, str]] | None = None,
) -> dict[str, object]:
    """Return all figures. Those that need a strategy are None without one; `hub_orders` adds lost and duplicated."""
    journal = tuple(events)
    account = arrange(journal)
    found = oversold(account, opening, _aims(strategy, listings) if strategy is not None else {})
    by_channel = Counter(event.channel for event in account.placed)
    figures: dict[str, object] = {
        "orders_placed": len(account.placed),
        "orders_by_channel": dict(by_channel),
        "units_sold": sum(sale.quantity for sales in account.sold.values() for sale in sales),
        "units_cancelled": sum(item.quantity for items in account.cancelled.values() for item in items),
        "lost_sales_units": account.lost_units,
        "stranded_units": stranded(account, opening),
        "oversold_units": sum(item.units for item in found),
        "avoidable_oversold_units": sum(item.avoidable for item in found),
        "oversold_detail": [_told(item) for item in sorted(found, key=lambda item: (-item.avoidable, item.at))[:20]],
        "skus_sold_out": sum(1 for sku in opening if remaining(account, opening, sku) <= 0),
        "listings": len(listings),
        "writes": sum(len(items) for items in account.writes.values()),
        "requests": dict(account.requests),
        "answers_429": dict(account.limited),
        "faults_injected": dict(account.faults),
        "publish_lag_ms": {"p50": None, "p99": None},
        "stale_listings_at_end": None,
        "stale_detail": [],
    }
    if strategy is not None:
        figures |= _with_strategy(journal, account, opening, listings, strategy)
    if hub_orders is not None:
        figures |= _against_hub(account.placed, hub_orders)
    return figures


def _aims(strategy: Strategy, listings: Sequence[ListedNow]) -> dict[str, Aim]:
    listed: defaultdict[str, list[str]] = defaultdict(list)
    for listing in listings:
        listed[listing.sku].append(listing.channel)

    def aim_of(channels: Sequence[str]) -> Aim:
        return lambda channel, left: strategy.quantities(left, channels).get(channel, 0)

    return {sku: aim_of(channels) for sku, channels in listed.items()}


def _told(item: Oversold) -> dict[str, object]:
    return {
        "at_s": round(item.at, 3),
        "channel": item.channel,
        "order_id": item.order_id,
        "sku": item.sku,
        "units": item.units,
        "avoidable": item.avoidable,
        "why": item.why,
    }


def _with_strategy(
    journal: Sequence[Event],
    account: Account,
    opening: Mapping[str, int],
    listings: Sequence[ListedNow],
    strategy: Strategy,
) -> dict[str, object]:
    listed: defaultdict[str, list[str]] = defaultdict(list)
    for listing in listings:
        listed[listing.sku].append(listing.channel)
    lags = publish_lags(account, Shown(journal), opening, strategy, listed)
    stale = stale_listings(account, opening, strategy, listings)
    worst = sorted(lags, key=lambda lag: -lag.seconds)[:10]
    return {
        "publish_lag_ms": _milliseconds([lag.seconds for lag in lags]),
        "publish_lag_detail": {
            kind: _milliseconds([lag.seconds for lag in lags if lag.kind == kind])
            for kind in sorted({lag.kind for lag in lags})
        },
        "publish_lag_worst": [asdict(lag) for lag in worst],
        "stale_listings_at_end": len(stale),
        "stale_detail": stale[:20],
    }


def _milliseconds(seconds: Sequence[float]) -> dict[str, float | None]:
    p50, p99 = percentile(seconds, 0.5), percentile(seconds, 0.99)
    return {
        "p50": None if p50 is None else round(p50 * 1000, 1),
        "p99": None if p99 is None else round(p99 * 1000, 1),
    }


def _against_hub(placed: Sequence[Placed], hub_orders: Sequence[tuple[str, str]]) -> dict[str, object]:
    """Compare by channel and the last part of the id, so that a global id equals the plain one."""
    ours = {(event.channel, _plain(event.order_id)) for event in placed}
    theirs = Counter((channel, _plain(external_id)) for channel, external_id in hub_orders)
    lost = sorted(ours - set(theirs))
    return {
        "orders_in_hub": len(hub_orders),
        "lost": len(lost),
        "lost_detail": lost[:20],
        "duplicated": sum(count - 1 for count in theirs.values()),
        "unknown_in_hub": sum(1 for key in theirs if key not in ours),
    }


def _plain(order_id: str) -> str:
    return order_id.rsplit("/", 1)[-1]
