"""Statements about what is written on paper: locations, transfers, purchase orders and their lines, count sheets.

Transfers and purchase orders have the same lines (units sent, received, damaged, still outstanding), so they share
their statements; `Papers` names the tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx


@dataclass(frozen=True, slots=True)
class Papers:
    """The tables of one kind of document."""

    table: str
    lines: str
    parent: str
    word: str


TRANSFERS = Papers("stock_transfer", "stock_transfer_line", "transfer_id", "transfer")
PURCHASES = Papers("purchase_order", "purchase_order_line", "purchase_order_id", "purchase order")
COUNTS = Papers("stock_count", "stock_count_line", "count_id", "count")


@dataclass(frozen=True, slots=True)
class Line:
    """Units of a variant on a transfer or purchase order. `received` counts the damaged ones too."""

    variant_id: UUID
    quantity: int
    received: int
    damaged: int
    outstanding: int


async def next_number(tx: Tx, papers: Papers) -> int:
    """Return the next number of a document of this kind; until the commit nobody else gets one."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended($1, 7201017))", f"{tx.organisation}/{papers.table}")
    number: int = await tx.fetch_value(
        f"select coalesce(max(number), 0) + 1 from {papers.table} where organisation_id = $1", tx.organisation
    )
    return number


async def insert_document(tx: Tx, papers: Papers, values: Mapping[str, Any]) -> None:
    """Insert a document; the names are its columns."""
    columns = ", ".join(values)
    places = ", ".join(f"${number}" for number in range(2, len(values) + 2))
    await tx.execute(
        f"insert into {papers.table} (organisation_id, {columns}) values ($1, {places})",
        tx.organisation,
        *values.values(),
    )


async def lock_document(tx: Tx, papers: Papers, id: UUID) -> Any:
    """Lock and return a document, or None."""
    return await tx.fetch_row(
        f"select * from {papers.table} where organisation_id = $1 and id = $2 for update", tx.organisation, id
    )


async def set_document(tx: Tx, papers: Papers, id: UUID, values: Mapping[str, Any]) -> None:
    """Set columns of a document; the names are its columns."""
    columns = ", ".join(f"{name} = ${number}" for number, name in enumerate(values, start=3))
    await tx.execute(
        f"update {papers.table} set {columns} where organisation_id = $1 and id = $2",
        tx.organisation,
        id,
        *values.values(),
    )


async def lines_of(tx: Tx, papers: Papers, id: UUID) -> list[Line]:
    """Return the lines of a transfer or purchase order."""
    rows = await tx.fetch(
        f"select variant_id, quantity, received, damaged, outstanding from {papers.lines}"
        f" where organisation_id = $1 and {papers.parent} = $2 order by variant_id",
        tx.organisation,
        id,
    )
    return [Line(*row) for row in rows]


async def put_lines(tx: Tx, papers: Papers, id: UUID, units: Mapping[UUID, int]) -> list[UUID]:
    """Set the lines of a draft (variant -> units); return the variants that do not exist."""
    await tx.execute(f"delete from {papers.lines} where organisation_id = $1 and {papers.parent} = $2",
                     tx.organisation, id)  # fmt: skip
    rows = await tx.fetch(
        f"""
        insert into {papers.lines} (organisation_id, {papers.parent}, variant_id, quantity)
        select $1, $2, v.id, i.quantity
        from unnest($3::uuid[], $4::bigint[]) as i(id, quantity)
        join variant v on v.organisation_id = $1 and v.id = i.id
        returning variant_id
        """,
        tx.organisation,
        id,
        list(units),
        list(units.values()),
    )
    return list(set(units) - {row[0] for row in rows})


async def add_lines(tx: Tx, papers: Papers, id: UUID, units: Mapping[UUID, int]) -> None:
    """Add units (variant -> units) to the lines of a draft, whose variants must exist."""
    await tx.execute(
        f"""
        insert into {papers.lines} (organisation_id, {papers.parent}, variant_id, quantity)
        select $1, $2, i.* from unnest($3::uuid[], $4::bigint[]) as i(id, quantity)
        on conflict (organisation_id, {papers.parent}, variant_id) do update
        set quantity = {papers.lines}.quantity + excluded.quantity
        """,
        tx.organisation,
        id,
        list(units),
        list(units.values()),
    )


async def put_costs(tx: Tx, purchase_id: UUID, costs: Mapping[UUID, int | None]) -> None:
    """Set what a unit costs, in minor units of the order's currency; None takes the supplier's price, if there is one."""
    await tx.execute(
        """
        update purchase_order_line l
        set cost_minor = coalesce(i.cost, (
            select s.cost_minor from supplier_variant s join purchase_order o
                on o.organisation_id = $1 and o.id = $2 and o.supplier_id = s.supplier_id
            where s.organisation_id = $1 and s.variant_id = l.variant_id))
        from unnest($3::uuid[], $4::bigint[]) as i(id, cost)
        where l.organisation_id = $1 and l.purchase_order_id = $2 and l.variant_id = i.id
        """,
        tx.organisation,
        purchase_id,
        list(costs),
        list(costs.values()),
    )


async def send_lines(tx: Tx, papers: Papers, id: UUID) -> None:
    """Make all units of a document outstanding: they are on their way."""
    await tx.execute(
        f"update {papers.lines} set outstanding = quantity where organisation_id = $1 and {papers.parent} = $2",
        tx.organisation,
        id,
    )


async def change_lines(tx: Tx, papers: Papers, id: UUID, lines: Sequence[Line]) -> None:
    """Write what came of these lines and what is still outstanding."""
    if lines:
        await tx.execute(
            f"""
            update {papers.lines} l set received = i.received, damaged = i.damaged, outstanding = i.outstanding
            from unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[])
                 as i(variant_id, received, damaged, outstanding)
            where l.organisation_id = $1 and l.{papers.parent} = $2 and l.variant_id = i.variant_id
            """,
            tx.organisation,
            id,
            [line.variant_id for line in lines],
            [line.received for line in lines],
            [line.damaged for line in lines],
            [line.outstanding for line in lines],
        )


# ---- count sheets ----------------------------------------------------------------------------------------


async def add_count_lines(tx: Tx, count_id: UUID, variant_ids: Sequence[UUID]) -> list[UUID]:
    """Put variants on a sheet, by SKU after those that are on it; bundles and unknown ones are left out.

    Returns those that are on the sheet now.
    """
    await tx.execute(
        """
        insert into stock_count_line (organisation_id, count_id, variant_id, position)
        select $1, $2, v.id, last.position + row_number() over (order by v.sku)
        from variant v
        cross join (select coalesce(max(position), 0) as position from stock_count_line
                    where organisation_id = $1 and count_id = $2) last
        where v.organisation_id = $1 and v.id = any($3::uuid[])
          and not exists (select from bundle_component b where b.organisation_id = $1 and b.bundle_id = v.id)
          and not exists (select from stock_count_line l
                          where l.organisation_id = $1 and l.count_id = $2 and l.variant_id = v.id)
        """,
        tx.organisation,
        count_id,
        list(variant_ids),
    )
    rows = await tx.fetch(
        "select variant_id from stock_count_line"
        " where organisation_id = $1 and count_id = $2 and variant_id = any($3::uuid[])",
        tx.organisation,
        count_id,
        list(variant_ids),
    )
    return [row[0] for row in rows]


async def variants_at(tx: Tx, location_id: UUID, limit: int) -> list[UUID]:
    """Return the variants that have a level at a location."""
    rows = await tx.fetch(
        "select variant_id from stock_level where organisation_id = $1 and location_id = $2"
        " order by variant_id limit $3",
        tx.organisation,
        location_id,
        limit,
    )
    return [row[0] for row in rows]


async def record_counted(
    tx: Tx, count_id: UUID, location_id: UUID, counted: Mapping[UUID, int], *, actor: str, now: datetime
) -> None:
    """Write what was counted, beside what the books say at this moment."""
    await tx.execute(
        """
        update stock_count_line l
        set counted = i.counted, counted_by = $6, counted_at = $7,
            expected = coalesce((select on_hand from stock_level s where s.organisation_id = $1
                                 and s.variant_id = l.variant_id and s.location_id = $3), 0)
        from unnest($4::uuid[], $5::bigint[]) as i(id, counted)
        where l.organisation_id = $1 and l.count_id = $2 and l.variant_id = i.id
        """,
        tx.organisation,
        count_id,
        location_id,
        list(counted),
        list(counted.values()),
        actor,
        now,
    )


async def counted_lines(tx: Tx, count_id: UUID) -> list[tuple[UUID, int, int]]:
    """Return (variant, counted, expected then) of what was counted."""
    rows = await tx.fetch(
        "select variant_id, counted, expected from stock_count_line"
        " where organisation_id = $1 and count_id = $2 and counted is not null order by variant_id",
        tx.organisation,
        count_id,
    )
    return [(row[0], row[1], row[2]) for row in rows]


async def set_applied(tx: Tx, count_id: UUID, applied: Mapping[UUID, int]) -> None:
    """Write by how much each counted line changed its level."""
    await tx.execute(
        """
        update stock_count_line l set applied = i.applied from unnest($3::uuid[], $4::bigint[]) as i(id, applied)
        where l.organisation_id = $1 and l.count_id = $2 and l.variant_id = i.id
        """,
        tx.organisation,
        count_id,
        list(applied),
        list(applied.values()),
    )
