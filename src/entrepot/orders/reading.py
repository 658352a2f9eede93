"""What pages and the API read of orders. Select statements only; lists are paged by key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from entrepot.database.pool import Tx
from entrepot.kernel.errors import NotFound
from entrepot.kernel.paging import Counted, Slice, bounded, counted, decode_cursor, slice_of

STATUSES = ("pending", "open", "partly_shipped", "shipped", "cancelled")
COUNT_LIMIT = 999
SEARCH_LIMIT = 500
RECENT_LIMIT = 20_000
"""How many of the newest orders a search by part of a buyer's name goes through."""


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders: every field narrows. `trouble`: with an exception or a shortage."""

    status: str | None = None
    connection_id: UUID | None = None
    trouble: bool = False
    search: str = ""
    placed_from: datetime | None = None
    placed_to: datetime | None = None
    channel: str | None = None
    """All connections of this channel."""


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order in a list. Amounts in minor units."""

    id: UUID
    connection_id: UUID
    connection_name: str
    channel: str
    external_id: str
    number: str
    status: str
    channel_status: str
    currency: str
    total_minor: int
    buyer_name: str
    units: int
    has_exception: bool
    has_shortage: bool
    placed_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class OrderLineView:
    """A line with what the hub did about it. `sku`: the channel's word, or the variant's where the channel names none."""

    id: UUID
    position: int
    sku: str | None
    variant_id: UUID | None
    title: str
    quantity: int
    cancelled: int
    shipped: int
    reserved: int
    shortage: int
    unit_price_minor: int
    exception: str | None


@dataclass(frozen=True, slots=True)
class OrderEventView:
    """One step in an order's life."""

    id: UUID
    at: datetime
    kind: str
    summary: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ShipmentView:
    """A parcel of an order."""

    id: UUID
    carrier: str
    tracking_number: str
    tracking_url: str
    shipped_at: datetime
    push_state: str
    push_detail: str


@dataclass(frozen=True, slots=True)
class OrderDetail:
    """An order whole. Amounts in minor units."""

    row: OrderRow
    tax_minor: int
    shipping_minor: int
    discount_minor: int
    buyer_email: str
    ship_to: dict[str, str] | None
    fulfilled_by_channel: bool
    channel_updated_at: datetime
    version: int
    lines: tuple[OrderLineView, ...]
    events: tuple[OrderEventView, ...]
    shipments: tuple[ShipmentView, ...]


_ROW = """
    o.id, o.connection_id, c.name as connection_name, c.channel, o.external_id, o.number, o.status,
    o.channel_status, o.currency, o.total_minor, o.buyer_name, o.has_exception, o.has_shortage,
    o.placed_at, o.received_at,
    coalesce((select sum(l.quantity - l.cancelled) from order_line l
              where l.organisation_id = o.organisation_id and l.order_id = o.id), 0)::bigint as units
"""
_JOIN = "join connection c on c.organisation_id = o.organisation_id and c.id = o.connection_id"


def _row(record: asyncpg.Record) -> OrderRow:
    return OrderRow(**{name: record[name] for name in OrderRow.__slots__})


async def list_orders(tx: Tx, chosen: OrderFilter, cursor: str | None = None, limit: int = 50) -> Slice[OrderRow]:
    """Return orders, newest placed first. Raises InvalidCursor."""
    limit = bounded(limit)
    after = decode_cursor(cursor, datetime, UUID)
    args: list[Any] = [tx.organisation]
    where = ["o.organisation_id = $1"]
    _narrow(chosen, where, args)
    if chosen.search.strip():
        args.append(await matching_ids(tx, chosen.search.strip()))
        where.append(f"o.id = any(${len(args)})")
    if after:
        args += after
        where.append(f"(o.placed_at, o.id) < (${len(args) - 1}, ${len(args)})")
    args.append(limit + 1)
    rows = await tx.fetch(
        f"""with page as materialized (
                select * from sales_order o where {" and ".join(where)}
                order by o.placed_at desc, o.id desc limit ${len(args)})
            select {_ROW} from page o {_JOIN} order by o.placed_at desc, o.id desc""",
        *args,
    )
    items = [_row(row) for row in rows]
    last = items[limit - 1] if len(items) > limit else None
    return slice_of(items, limit, (last.placed_at, last.id) if last else None)


def _narrow(chosen: OrderFilter, where: list[str], args: list[Any]) -> None:
    """Append the conditions of the filter, but for the search."""
    for column, comparison, value in (
        ("o.status", "=", chosen.status),
        ("o.connection_id", "=", chosen.connection_id),
        ("o.placed_at", ">=", chosen.placed_from),
        ("o.placed_at", "<", chosen.placed_to),
    ):
        if value is not None:
            args.append(value)
            where.append(f"{column} {comparison} ${len(args)}")
    if chosen.channel is not None:
        args.append(chosen.channel)
        where.append(
            f"o.connection_id in (select id from connection where organisation_id = $1 and channel = ${len(args)})"
        )
    if chosen.trouble:
        where.append("(o.has_exception or o.has_shortage)")


async def matching_ids(tx: Tx, text: str) -> list[UUID]:
    """Return the ids of at most a few thousand orders that the text may mean.

    Anywhere: the start of the number, the channel's id, the buyer's e-mail or a SKU, exactly. Part of the buyer's
    name only among the newest RECENT_LIMIT orders.
    """
    rows = await tx.fetch(
        """(select id from sales_order where organisation_id = $1 and number ~>=~ $2 and number ~<~ ($2 || chr(1114111))
            limit $5)
           union
           (select id from sales_order where organisation_id = $1 and number ~>=~ $3 and number ~<~ ($3 || chr(1114111))
            limit $5)
           union
           (select o.id from connection c join sales_order o
              on o.organisation_id = c.organisation_id and o.connection_id = c.id and o.external_id = $2
            where c.organisation_id = $1 limit $5)
           union
           (select id from sales_order
            where organisation_id = $1 and buyer_email <> '' and buyer_email = any($4) limit $5)
           union
           (select l.order_id from variant v join order_line l
              on l.organisation_id = v.organisation_id and l.variant_id = v.id
            where v.organisation_id = $1 and v.sku = any($4) limit $5)
           union
           (select id from (select id, buyer_name from sales_order where organisation_id = $1
                            order by placed_at desc, id desc limit $6) recent
            where position(lower($2) in lower(buyer_name)) > 0 limit $5)""",
        tx.organisation,
        text,
        f"#{text}",
        [text, text.upper(), text.lower()],
        SEARCH_LIMIT,
        RECENT_LIMIT,
    )
    return [row["id"] for row in rows]


async def count_orders(tx: Tx, chosen: OrderFilter, limit: int = COUNT_LIMIT) -> Counted:
    """Return how many orders there are, counting no further than `limit`."""
    args: list[Any] = [tx.organisation]
    where = ["o.organisation_id = $1"]
    _narrow(chosen, where, args)
    if chosen.search.strip():
        args.append(await matching_ids(tx, chosen.search.strip()))
        where.append(f"o.id = any(${len(args)})")
    args.append(limit + 1)
    found = await tx.fetch_value(
        f"select count(*) from (select 1 from sales_order o where {' and '.join(where)} limit ${len(args)}) s",
        *args,
    )
    return counted(found, limit)


async def orders_since(tx: Tx, since_id: UUID, limit: int = 50) -> tuple[OrderRow, ...]:
    """Return the newest orders that the hub stored after that id was made, newest first."""
    rows = await tx.fetch(
        f"""with page as materialized (
                select * from sales_order o where o.organisation_id = $1 and o.id > $2 order by o.id desc limit $3)
            select {_ROW} from page o {_JOIN} order by o.id desc""",
        tx.organisation,
        since_id,
        limit,
    )
    return tuple(_row(row) for row in rows)


async def placed_counts(tx: Tx, since: datetime) -> dict[UUID, int]:
    """Return how many orders were placed since, by connection (only those with any)."""
    rows = await tx.fetch(
        """select c.id, count(o.id) as orders from connection c join sales_order o
             on o.organisation_id = c.organisation_id and o.connection_id = c.id and o.placed_at >= $2
           where c.organisation_id = $1 group by c.id""",
        tx.organisation,
        since,
    )
    return {row["id"]: row["orders"] for row in rows}


async def order_detail(tx: Tx, order_id: UUID) -> OrderDetail:
    """Return one order with its lines, timeline (oldest first) and parcels. Raises NotFound."""
    record = await tx.fetch_row(
        f"""select {_ROW}, o.tax_minor, o.shipping_minor, o.discount_minor, o.buyer_email, o.ship_to,
                   o.fulfilled_by_channel, o.channel_updated_at, o.version
            from sales_order o {_JOIN} where o.organisation_id = $1 and o.id = $2""",
        tx.organisation,
        order_id,
    )
    if record is None:
        raise NotFound("There is no such order.")
    return OrderDetail(
        row=_row(record),
        tax_minor=record["tax_minor"],
        shipping_minor=record["shipping_minor"],
        discount_minor=record["discount_minor"],
        buyer_email=record["buyer_email"],
        ship_to=record["ship_to"],
        fulfilled_by_channel=record["fulfilled_by_channel"],
        channel_updated_at=record["channel_updated_at"],
        version=record["version"],
        lines=(await order_lines(tx, [order_id])).get(order_id, ()),
        events=await order_events(tx, order_id),
        shipments=await order_shipments(tx, order_id),
    )


async def order_lines(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, tuple[OrderLineView, ...]]:
    """Return the lines of these orders, by order."""
    rows = await tx.fetch(
        """select l.*, coalesce(l.sku, v.sku) as named_sku from order_line l
           left join variant v on v.organisation_id = $1 and v.id = l.variant_id
           where l.organisation_id = $1 and l.order_id = any($2)
           order by l.order_id, l.position, l.id""",
        tx.organisation,
        list(order_ids),
    )
    lines: dict[UUID, list[OrderLineView]] = {}
    for row in rows:
        view = OrderLineView(**{name: row[name] for name in OrderLineView.__slots__} | {"sku": row["named_sku"]})
        lines.setdefault(row["order_id"], []).append(view)
    return {key: tuple(value) for key, value in lines.items()}


@dataclass(frozen=True, slots=True)
class LineOrder:
    """The order that a line belongs to, as it is named in lists."""

    order_id: UUID
    number: str
    connection: str


async def orders_of_lines(tx: Tx, line_ids: Sequence[UUID]) -> dict[UUID, LineOrder]:
    """Return the order of each of these lines, by line; ids that are no line's are left out."""
    rows = await tx.fetch(
        """select l.id, o.id as order_id, o.number, c.name as connection
           from order_line l
           join sales_order o on o.organisation_id = $1 and o.id = l.order_id
           join connection c on c.organisation_id = $1 and c.id = o.connection_id
           where l.organisation_id = $1 and l.id = any($2::uuid[])""",
        tx.organisation,
        list(line_ids),
    )
    return {row["id"]: LineOrder(row["order_id"], row["number"], row["connection"]) for row in rows}


async def order_events(tx: Tx, order_id: UUID) -> tuple[OrderEventView, ...]:
    """Return the timeline of an order, oldest first."""
    rows = await tx.fetch(
        """select id, at, kind, summary, detail from order_event
           where organisation_id = $1 and order_id = $2 order by id""",
        tx.organisation,
        order_id,
    )
    return tuple(OrderEventView(**dict(row)) for row in rows)


async def order_shipments(tx: Tx, order_id: UUID) -> tuple[ShipmentView, ...]:
    """Return the parcels of an order, oldest first."""
    rows = await tx.fetch(
        """select id, carrier, tracking_number, tracking_url, shipped_at, push_state, push_detail from shipment
           where organisation_id = $1 and order_id = $2 order by id""",
        tx.organisation,
        order_id,
    )
    return tuple(ShipmentView(**dict(row)) for row in rows)
