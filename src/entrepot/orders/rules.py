"""What a new version of an order means. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from entrepot.channels.contract import ChannelOrder, ChannelOrderLine, ChannelOrderStatus

RANK = {
    ChannelOrderStatus.PENDING: 0,
    ChannelOrderStatus.OPEN: 1,
    ChannelOrderStatus.PARTLY_SHIPPED: 2,
    ChannelOrderStatus.SHIPPED: 3,
    ChannelOrderStatus.CANCELLED: 4,
}


def next_status(before: str, after: ChannelOrderStatus, open_units: int = 0) -> ChannelOrderStatus:
    """Return the status after a newer version, which leaves so many units to be shipped.

    It moves forward, and a shipped order is not cancelled any more. But where a cancelled order lives on (it was paid late),
    or something was added to a shipped one, its units can be shipped.
    """
    old = ChannelOrderStatus(before)
    if old is ChannelOrderStatus.CANCELLED:
        return after
    if old is ChannelOrderStatus.SHIPPED:
        return ChannelOrderStatus.PARTLY_SHIPPED if open_units and RANK[after] < RANK[old] else old
    return after if RANK[after] >= RANK[old] else old


@dataclass(frozen=True, slots=True)
class StoredLine:
    """An order line as the hub has it."""

    id: UUID
    external_id: str
    variant_id: UUID | None
    quantity: int
    cancelled: int
    shipped: int
    reserved: int
    shortage: int
    external_variant_id: str | None = None


@dataclass(frozen=True, slots=True)
class LinePlan:
    """What to do with the stock of a line, and its new figures. `claim`, `release` and `ship` are units, 0 or more."""

    line: StoredLine | None
    incoming: ChannelOrderLine | None
    quantity: int
    cancelled: int
    shipped: int
    claim: int = 0
    release: int = 0
    ship: int = 0


def plan_line(
    stored: StoredLine | None, incoming: ChannelOrderLine | None, *, cancelled: bool, variant_id: UUID | None
) -> LinePlan:
    """Compare a line as stored with the channel's newer one (None: the line is gone from the order).

    `cancelled`: the whole order is. The open units afterwards are quantity - cancelled - shipped; what leaves the open
    units by shipping is shipped, the rest of the difference is claimed or released.
    """
    if incoming is None:
        if stored is None:
            raise ValueError("a line must be stored or incoming")
        quantity, gone, shipped = stored.quantity, stored.quantity - stored.shipped, stored.shipped
    else:
        # Units that have left cannot be taken out of the order any more.
        quantity = max(incoming.quantity, stored.shipped if stored else 0)
        shipped = max(incoming.shipped, stored.shipped if stored else 0)
        gone = quantity - shipped if cancelled else min(incoming.cancelled, quantity - min(shipped, quantity))
    shipped = min(shipped, quantity)
    gone = max(0, min(gone, quantity - shipped))
    wanted = quantity - gone - shipped
    if stored is None:
        return LinePlan(None, incoming, quantity, gone, shipped, claim=wanted if variant_id else 0)
    if stored.variant_id is None:
        return LinePlan(stored, incoming, quantity, gone, shipped)
    open_before = stored.reserved + stored.shortage
    ship = min(shipped - stored.shipped, open_before)
    difference = wanted - (open_before - ship)
    return LinePlan(
        stored, incoming, quantity, gone, shipped, claim=max(0, difference), release=max(0, -difference), ship=ship
    )


def plan_order(
    stored: Sequence[StoredLine], order: ChannelOrder, variants: Mapping[str, UUID | None]
) -> list[LinePlan]:
    """Plan every line of an order, also those that are gone. `variants`: by the line's external id."""
    before = {line.external_id: line for line in stored}
    cancelled = order.status is ChannelOrderStatus.CANCELLED
    plans = []
    for line in order.lines:
        old = before.pop(line.external_id, None)
        variant = old.variant_id if old else variants.get(line.external_id)
        if order.fulfilled_by_channel:
            plans.append(LinePlan(old, line, line.quantity, min(line.cancelled, line.quantity), line.shipped))
        else:
            plans.append(plan_line(old, line, cancelled=cancelled, variant_id=variant))
    if not order.fulfilled_by_channel:
        plans += [plan_line(gone, None, cancelled=cancelled, variant_id=gone.variant_id) for gone in before.values()]
    return plans


def newest(orders: Sequence[ChannelOrder]) -> list[ChannelOrder]:
    """Return one version of each order, the newest, in a fixed order (by external id)."""
    best: dict[str, ChannelOrder] = {}
    for order in orders:
        seen = best.get(order.external_id)
        if seen is None or order.version > seen.version:
            best[order.external_id] = order
    return [best[key] for key in sorted(best)]
