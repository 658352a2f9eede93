"""Orders in: the one path for webhooks and polls. Seeing an order again, late or out of order changes nothing.

An order is known by (connection, external id); of its versions the newest by the channel's own clock counts. Every sale
is recorded, its units are claimed in the same transaction, and a line that cannot be mapped waits as an
exception on that line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.catalog import facade as catalog
from entrepot.channels.contract import ChannelOrder, ChannelOrderStatus
from entrepot.database.pool import Tx
from entrepot.jobs import facade as jobs
from entrepot.kernel.ids import new_id
from entrepot.kernel.money import to_minor
from entrepot.orders import rules, store
from entrepot.orders.contracts import ORDERS_SOLD, Ingested
from entrepot.orders.routing import tell_orders
from entrepot.stock import facade as stock
from entrepot.stock.contracts import ClaimResult, SaleClaim


@dataclass(slots=True)
class _Work:
    """What a batch asks of stock and of the tables, gathered before anything is written."""

    claims: list[SaleClaim] = field(default_factory=list)
    releases: dict[UUID, int] = field(default_factory=dict)
    ships: dict[UUID, int] = field(default_factory=dict)
    lines: list[store.LineRow] = field(default_factory=list)
    counts: list[tuple[UUID, int, int, int]] = field(default_factory=list)
    events: list[tuple[UUID, datetime, str, str, Mapping[str, Any]]] = field(default_factory=list)
    sold: list[tuple[str, str, int, str]] = field(default_factory=list)
    touched: set[UUID] = field(default_factory=set)
    exceptions: int = 0

    def sell(self, external_variant_id: str | None, variant_id: UUID, units: int, order: ChannelOrder) -> None:
        """Note units that the channel took off its own listing, or (negative) cancelled ones that it may have put back."""
        if units:
            self.sold.append((external_variant_id or "", str(variant_id), units, order.placed_at.isoformat()))


async def ingest(tx: Tx, connection_id: UUID, orders: Sequence[ChannelOrder], *, via: str, now: datetime) -> Ingested:
    """Store orders of a connection as the channel has them now and claim their stock. `via`: webhook or poll."""
    batch = rules.newest(orders)
    if not batch:
        return Ingested()
    variants = await _resolve(tx, connection_id, batch)
    given = [(new_id(), o) for o in batch]
    inserted = await store.insert_or_lock_orders(tx, connection_id, given, now)
    there = [o.external_id for id, o in given if id not in inserted]
    known = await store.locked_orders(tx, connection_id, there) if there else {}
    newer = [o for o in batch if o.external_id in known and o.version > known[o.external_id]["version"]]
    work = _Work()
    for id, order in given:
        if id in inserted:
            _plan_new(work, id, order, variants, via, now)
    await _plan_newer(tx, work, newer, known, variants, via, now)
    short = await _carry_out(tx, connection_id, work, now)
    created = len(inserted)
    return Ingested(created, len(newer), len(batch) - created - len(newer), work.exceptions, short)


async def _resolve(tx: Tx, connection_id: UUID, orders: Sequence[ChannelOrder]) -> catalog.Resolved:
    external = {v.external_variant_id for o in orders for v in o.lines if v.external_variant_id}
    skus = {v.sku for o in orders for v in o.lines if v.sku}
    return await catalog.resolve(tx, connection_id, list(external), list(skus))


def _plan_new(work: _Work, id: UUID, order: ChannelOrder, variants: catalog.Resolved, via: str, now: datetime) -> None:
    mapped = {v.external_id: variants.variant(v.external_variant_id, v.sku) for v in order.lines}
    work.events.append((id, now, "received", f"Order received by {via}", {"status": order.channel_status}))
    if order.status is ChannelOrderStatus.CANCELLED:
        work.events.append((id, now, "cancelled", "Was cancelled when first seen", {}))
    for position, plan in enumerate(rules.plan_order([], order, mapped), start=1):
        _add_line(work, id, order, plan, mapped, position, now)


def _add_line(
    work: _Work,
    order_id: UUID,
    order: ChannelOrder,
    plan: rules.LinePlan,
    mapped: Mapping[str, UUID | None],
    position: int,
    now: datetime,
) -> None:
    line = plan.incoming
    if line is None:
        return
    line_id, variant_id = new_id(), mapped.get(line.external_id)
    exception = None
    if variant_id is None and not order.fulfilled_by_channel:
        exception = f"No variant has the SKU {line.sku}." if line.sku else "The line has no SKU."
        work.exceptions += 1
        work.events.append((order_id, now, "exception", f"{line.title}: {exception}", {}))
        work.touched.add(order_id)
    price = to_minor(line.unit_price, order.currency)
    work.lines.append(
        (line_id, order_id, line.external_id, position, line.sku, line.external_variant_id, variant_id, line.title,
         plan.quantity, plan.cancelled, plan.shipped, price, exception)
    )  # fmt: skip
    if variant_id is None or order.fulfilled_by_channel:
        return
    if plan.claim:
        work.claims.append(SaleClaim(line_id, variant_id, plan.claim))
    work.sell(line.external_variant_id, variant_id, plan.quantity, order)
    work.sell(line.external_variant_id, variant_id, -plan.cancelled, order)


async def _plan_newer(
    tx: Tx,
    work: _Work,
    orders: Sequence[ChannelOrder],
    known: Mapping[str, Any],
    variants: catalog.Resolved,
    via: str,
    now: datetime,
) -> None:
    if not orders:
        return
    before = await store.stored_lines(tx, [known[o.external_id]["id"] for o in orders])
    for order in orders:
        id: UUID = known[order.external_id]["id"]
        old = ChannelOrderStatus(known[order.external_id]["status"])
        mapped = {v.external_id: variants.variant(v.external_variant_id, v.sku) for v in order.lines}
        stored = before.get(id, [])
        position = len(stored)
        plans = rules.plan_order(stored, order, mapped)
        for plan in plans:
            if plan.line is None:
                position += 1
                _add_line(work, id, order, plan, mapped, position, now)
            else:
                _change_line(work, plan, plan.line, order)
        left = sum(max(0, plan.quantity - plan.cancelled - plan.shipped) for plan in plans)
        status = rules.next_status(old, order.status, left)
        await store.update_order(tx, id, order, status)
        kind = str(status) if status is not old else "updated"
        summary = f"{old} → {status}" if status is not old else "Changed on the channel"
        work.events.append((id, now, kind, summary, {"via": via, "status": order.channel_status}))
        work.touched.add(id)


def _change_line(work: _Work, plan: rules.LinePlan, line: rules.StoredLine, order: ChannelOrder) -> None:
    if line.variant_id is not None and not order.fulfilled_by_channel:
        # A line that is gone was cancelled: it may come back, and is sold anew then.
        listing = plan.incoming.external_variant_id if plan.incoming else line.external_variant_id
        work.sell(listing, line.variant_id, plan.quantity - line.quantity, order)
        work.sell(listing, line.variant_id, line.cancelled - plan.cancelled, order)
    if (plan.quantity, plan.cancelled, plan.shipped) != (line.quantity, line.cancelled, line.shipped):
        work.counts.append((line.id, plan.quantity, plan.cancelled, plan.shipped))
    if plan.ship > 0:
        work.ships[line.id] = plan.ship
    if plan.release:
        work.releases[line.id] = plan.release
    if plan.claim and line.variant_id is not None:
        work.claims.append(SaleClaim(line.id, line.variant_id, plan.claim))


async def _carry_out(tx: Tx, connection_id: UUID, work: _Work, now: datetime) -> int:
    """Write what was planned; return how many lines are short now."""
    await store.insert_lines(tx, work.lines)
    await store.update_line_counts(tx, work.counts)
    results: dict[UUID, ClaimResult] = {}
    if sum(map(bool, (work.ships, work.releases, work.claims))) > 1:
        await stock.lock_for_sales(tx, [*work.ships, *work.releases], [claim.variant_id for claim in work.claims])
    results |= await stock.ship_sales(tx, work.ships, actor="channel")
    results |= await stock.release_sales(tx, work.releases, actor="channel")
    results |= await stock.claim_sales(tx, work.claims, actor="channel")
    orders = await store.update_line_claims(tx, await _totals(tx, work, results))
    await store.insert_events(tx, work.events)
    own = work.touched | {row[1] for row in work.lines}
    await store.note_claims_changed(tx, [order for order in orders if order not in own], now)
    short = [r for r in results.values() if r.shortage]
    # What was given back may have filled the shortage of another of these lines.
    flagged = {*work.touched, *(orders if short or work.releases else ())}
    await store.refresh_flags(tx, list(flagged))
    if work.sold:
        await jobs.emit(tx, ORDERS_SOLD, {"connection_id": str(connection_id), "sold": work.sold})
    await tell_orders(tx, sorted(own))
    return len(short)


async def _totals(tx: Tx, work: _Work, results: Mapping[UUID, ClaimResult]) -> list[ClaimResult]:
    """Return the whole claim of each line: a line that existed before may have had claims already."""
    new_lines = {row[0] for row in work.lines}
    earlier = [line for line in results if line not in new_lines]
    whole = list((await stock.claims_of_lines(tx, earlier)).values()) if earlier else []
    return [r for line, r in results.items() if line in new_lines] + whole
