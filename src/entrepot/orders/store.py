"""Statements of the orders room that change rows. Set-based: the same few for one order or two hundred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.channels.contract import Address, ChannelOrder, ChannelOrderStatus
from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id
from entrepot.kernel.money import to_minor
from entrepot.orders.rules import StoredLine
from entrepot.stock.contracts import ClaimResult

INSERT_OR_LOCK_ORDERS = """
insert into sales_order (organisation_id, connection_id, received_at, id, external_id, number, version, status,
    channel_status, currency, total_minor, tax_minor, shipping_minor, discount_minor, buyer_name, buyer_email, ship_to,
    fulfilled_by_channel, source_id, placed_at, channel_updated_at)
select $1, $2, $3, i.*
from unnest($4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::text[], $10::text[], $11::bigint[],
    $12::bigint[], $13::bigint[], $14::bigint[], $15::text[], $16::text[], $17::jsonb[], $18::boolean[], $19::text[],
    $20::timestamptz[], $21::timestamptz[]) as i(id, external_id)
order by i.external_id
on conflict (organisation_id, connection_id, external_id) do update set version = sales_order.version where false
returning id
"""
"""The update that never happens locks the row, so that new and known orders are taken in one order of keys."""


async def locked_orders(tx: Tx, connection_id: UUID, external_ids: Sequence[str]) -> dict[str, Any]:
    """Return the stored orders of these external ids, which this transaction has locked."""
    rows = await tx.fetch(
        "select id, external_id, version, status from sales_order where organisation_id = $1 and connection_id = $2"
        " and external_id = any($3::text[])",
        tx.organisation,
        connection_id,
        external_ids,
    )
    return {row["external_id"]: row for row in rows}


LOCK_ORDERS_WITH = """
select from sales_order where organisation_id = $1 and id in (
    select order_id from order_line where organisation_id = $1 and {lines})
order by connection_id, external_id for update
"""


async def lock_orders_named(tx: Tx, order_ids: Sequence[UUID]) -> None:
    """Lock these orders, in the order in which all lock orders."""
    await tx.execute(
        "select from sales_order where organisation_id = $1 and id = any($2::uuid[])"
        " order by connection_id, external_id for update",
        tx.organisation,
        order_ids,
    )


async def lock_orders_of_lines(tx: Tx, lines: Sequence[UUID]) -> None:
    """Lock the orders of these lines, in the order in which all lock orders: before lines and stock."""
    await tx.execute(LOCK_ORDERS_WITH.format(lines="id = any($2::uuid[])"), tx.organisation, lines)


async def lock_orders_waiting_for(tx: Tx, skus: Sequence[str]) -> None:
    """Lock the orders with lines that wait for one of these SKUs, in the order in which all lock orders."""
    lines = "exception is not null and sku = any($2::text[])"
    await tx.execute(LOCK_ORDERS_WITH.format(lines=lines), tx.organisation, skus)


async def insert_or_lock_orders(
    tx: Tx, connection_id: UUID, orders: Sequence[tuple[UUID, ChannelOrder]], now: datetime
) -> set[UUID]:
    """Insert the orders that are new and lock those that are stored, by external id; return the ids of the new ones."""
    rows = [
        (
            id, o.external_id, o.number, o.version, str(o.status), o.channel_status, o.currency,
            to_minor(o.total, o.currency), to_minor(o.tax, o.currency), to_minor(o.shipping, o.currency),
            to_minor(o.discount, o.currency), o.buyer_name, o.buyer_email, _address(o.ship_to), o.fulfilled_by_channel,
            o.source_id, o.placed_at, o.updated_at,
        )
        for id, o in orders
    ]  # fmt: skip
    found = await tx.fetch(
        INSERT_OR_LOCK_ORDERS, tx.organisation, connection_id, now, *map(list, zip(*rows, strict=True))
    )
    return {row[0] for row in found}


def _address(address: Address | None) -> dict[str, str] | None:
    if address is None:
        return None
    return {name: getattr(address, name) for name in Address.__slots__}


async def update_order(tx: Tx, id: UUID, order: ChannelOrder, status: ChannelOrderStatus) -> None:
    """Store a newer version of an order's head."""
    await tx.execute(
        """
        update sales_order set version = $3, status = $4, channel_status = $5, total_minor = $6, tax_minor = $7,
            shipping_minor = $8, discount_minor = $9, channel_updated_at = $10, ship_to = coalesce($11, ship_to),
            buyer_name = coalesce(nullif($12, ''), buyer_name), buyer_email = coalesce(nullif($13, ''), buyer_email),
            updated_at = now()
        where organisation_id = $1 and id = $2
        """,
        tx.organisation,
        id,
        order.version,
        str(status),
        order.channel_status,
        to_minor(order.total, order.currency),
        to_minor(order.tax, order.currency),
        to_minor(order.shipping, order.currency),
        to_minor(order.discount, order.currency),
        order.updated_at,
        _address(order.ship_to),
        order.buyer_name,
        order.buyer_email,
    )


INSERT_LINES = """
insert into order_line (organisation_id, id, order_id, external_id, position, sku, external_variant_id, variant_id, title,
    quantity, cancelled, shipped, unit_price_minor, exception)
select $1, i.*
from unnest($2::uuid[], $3::uuid[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::uuid[], $9::text[],
    $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::text[]) as i
"""

LineRow = tuple[UUID, UUID, str, int, "str | None", "str | None", "UUID | None", str, int, int, int, int, "str | None"]


async def insert_lines(tx: Tx, rows: Sequence[LineRow]) -> None:
    """Insert (id, order, external id, position, sku, external variant, variant, title, quantity, cancelled, shipped,
    unit price, exception) rows."""
    if rows:
        await tx.execute(INSERT_LINES, tx.organisation, *map(list, zip(*rows, strict=True)))


async def stored_lines(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, list[StoredLine]]:
    """Return the lines of these orders by order."""
    lines: dict[UUID, list[StoredLine]] = {}
    for row in await tx.fetch(
        "select order_id, id, external_id, variant_id, quantity, cancelled, shipped, reserved, shortage,"
        " external_variant_id from order_line"
        " where organisation_id = $1 and order_id = any($2::uuid[]) order by order_id, position",
        tx.organisation,
        order_ids,
    ):
        lines.setdefault(row[0], []).append(StoredLine(*tuple(row)[1:]))
    return lines


async def update_line_counts(tx: Tx, rows: Sequence[tuple[UUID, int, int, int]]) -> None:
    """Set (line, quantity, cancelled, shipped)."""
    if rows:
        await tx.execute(
            """
            update order_line l set quantity = i.quantity, cancelled = i.cancelled, shipped = i.shipped
            from unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[]) as i(id, quantity, cancelled, shipped)
            where l.organisation_id = $1 and l.id = i.id
            """,
            tx.organisation,
            *map(list, zip(*rows, strict=True)),
        )


async def update_line_claims(tx: Tx, results: Sequence[ClaimResult]) -> list[UUID]:
    """Set what is reserved and short on these lines; return the orders they belong to."""
    if not results:
        return []
    rows = await tx.fetch(
        """
        update order_line l set reserved = i.reserved, shortage = i.shortage
        from unnest($2::uuid[], $3::bigint[], $4::bigint[]) as i(id, reserved, shortage)
        where l.organisation_id = $1 and l.id = i.id
        returning l.order_id
        """,
        tx.organisation,
        [r.order_line_id for r in results],
        [r.reserved for r in results],
        [r.shortage for r in results],
    )
    return list({row[0] for row in rows})


async def refresh_flags(tx: Tx, order_ids: Sequence[UUID]) -> None:
    """Set has_exception and has_shortage of these orders from their lines."""
    if order_ids:
        await tx.execute(
            """
            update sales_order o
            set has_exception = f.exception, has_shortage = f.shortage
            from (select order_id, bool_or(exception is not null and quantity > cancelled + shipped) as exception,
                         bool_or(shortage > 0) as shortage
                  from order_line where organisation_id = $1 and order_id = any($2::uuid[]) group by order_id) f
            where o.organisation_id = $1 and o.id = f.order_id
              and (o.has_exception, o.has_shortage) is distinct from (f.exception, f.shortage)
            """,
            tx.organisation,
            order_ids,
        )


async def insert_events(tx: Tx, rows: Sequence[tuple[UUID, datetime, str, str, Mapping[str, Any]]]) -> None:
    """Insert (order, at, kind, summary, detail) lines of the timeline."""
    if rows:
        await tx.execute(
            "insert into order_event (organisation_id, id, order_id, at, kind, summary, detail) select $1, i.*"
            " from unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::jsonb[]) as i",
            tx.organisation,
            *map(list, zip(*((new_id(), *row) for row in rows), strict=True)),
        )


async def note_claims_changed(tx: Tx, order_ids: Sequence[UUID], now: datetime) -> None:
    """Write into the timeline of these orders that what is reserved for them changed."""
    summary = "What is reserved for it changed with the stock"
    await insert_events(tx, [(order_id, now, "claims", summary, {}) for order_id in order_ids])


async def exception_lines(tx: Tx, skus: Sequence[str]) -> list[Any]:
    """Lock and return lines that wait for one of these SKUs: (id, order_id, sku, open units)."""
    return await tx.fetch(
        "select id, order_id, sku, quantity - cancelled - shipped as units, external_variant_id from order_line"
        " where organisation_id = $1 and exception is not null and sku = any($2::text[]) order by id for update",
        tx.organisation,
        skus,
    )


KNOWN_NOW = """
select l.id, l.order_id, coalesce(b.variant_id, v.id) as variant_id, l.quantity - l.cancelled - l.shipped as units
from order_line l
join sales_order o on o.organisation_id = $1 and o.id = l.order_id
left join listing b on b.organisation_id = $1 and b.connection_id = o.connection_id
    and b.external_id = l.external_variant_id
left join variant v on v.organisation_id = $1 and v.sku = l.sku
where l.organisation_id = $1 and l.exception is not null and coalesce(b.variant_id, v.id) is not null
  and ($2::uuid[] is null or l.id = any($2))
order by l.id limit $3
"""


async def lines_known_now(tx: Tx, limit: int) -> list[Any]:
    """Lock and return lines that wait although their variant is known: (id, order_id, variant_id, open units)."""
    found = [row["id"] for row in await tx.fetch(KNOWN_NOW, tx.organisation, None, limit)]
    if not found:
        return []
    await lock_orders_of_lines(tx, found)
    return await tx.fetch(f"{KNOWN_NOW} for update of l", tx.organisation, found, limit)


async def settle_exception(tx: Tx, rows: Sequence[tuple[UUID, UUID]]) -> None:
    """Give (line, variant) lines their variant and end their exception."""
    if rows:
        await tx.execute(
            "update order_line l set variant_id = i.variant, exception = null"
            " from unnest($2::uuid[], $3::uuid[]) as i(id, variant) where l.organisation_id = $1 and l.id = i.id",
            tx.organisation,
            *map(list, zip(*rows, strict=True)),
        )


async def insert_shipment(
    tx: Tx, id: UUID, order_id: UUID, carrier: str, tracking_number: str, tracking_url: str,
    lines: Sequence[Mapping[str, Any]], shipped_at: datetime,
) -> None:  # fmt: skip
    """Insert a shipment that the channel is to be told of."""
    await tx.execute(
        "insert into shipment (organisation_id, id, order_id, carrier, tracking_number, tracking_url, lines, shipped_at)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8)",
        tx.organisation,
        id,
        order_id,
        carrier,
        tracking_number,
        tracking_url,
        lines,
        shipped_at,
    )


async def shipments_to_tell(tx: Tx, connection_id: UUID, now: datetime, limit: int) -> list[Any]:
    """Return due, untold shipments of a connection, oldest first."""
    return await tx.fetch(
        """
        select s.id, s.carrier, s.tracking_number, s.tracking_url, s.shipped_at, s.lines, s.attempts, o.external_id
        from shipment s
        join sales_order o on o.organisation_id = $1 and o.id = s.order_id
        where s.organisation_id = $1 and s.push_state = 'pending' and o.connection_id = $2
          and (s.next_attempt_at is null or s.next_attempt_at <= $3)
        order by s.id limit $4
        """,
        tx.organisation,
        connection_id,
        now,
        limit,
    )


async def set_shipment(
    tx: Tx, id: UUID, state: str, *, external_id: str | None = None, detail: str = "",
    next_attempt_at: datetime | None = None,
) -> UUID:  # fmt: skip
    """Note what became of telling the channel; return the order."""
    order_id: UUID = await tx.fetch_value(
        "update shipment set push_state = $3, external_id = coalesce($4, external_id), push_detail = $5,"
        " next_attempt_at = $6, attempts = least(attempts + 1, 1000) where organisation_id = $1 and id = $2 returning order_id",
        tx.organisation,
        id,
        state,
        external_id,
        detail[:500],
        next_attempt_at,
    )
    return order_id


async def set_status(tx: Tx, order_id: UUID, status: str) -> None:
    """Set the status of an order."""
    await tx.execute(
        "update sales_order set status = $3, updated_at = now() where organisation_id = $1 and id = $2",
        tx.organisation,
        order_id,
        status,
    )
