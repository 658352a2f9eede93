"""Statements on claims: reservations, holds and shortages. The levels they touch are locked first (store.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.stock.contracts import ClaimResult

INSERT_RESERVATIONS = """
insert into reservation (organisation_id, id, line, kind, variant_id, location_id, quantity, reference_id, expires_at,
    per_bundle)
select $1, i.*
from unnest($2::uuid[], $3::smallint[], $4::text[], $5::uuid[], $6::uuid[], $7::bigint[], $8::uuid[],
    $9::timestamptz[], $10::bigint[]) as i
"""

ReservationRow = tuple[UUID, int, str, UUID, UUID, int, "UUID | None", "datetime | None", int]


async def insert_reservations(tx: Tx, rows: Sequence[ReservationRow]) -> None:
    """Insert (id, line, kind, variant, location, quantity, reference, expires_at, units per bundle) rows."""
    if rows:
        await tx.execute(INSERT_RESERVATIONS, tx.organisation, *map(list, zip(*rows, strict=True)))


@dataclass(frozen=True, slots=True)
class Reservation:
    """An active claim as it is stored."""

    id: UUID
    line: int
    kind: str
    variant_id: UUID
    location_id: UUID
    quantity: int
    reference_id: UUID | None
    per_bundle: int


_RESERVATION = "id, line, kind, variant_id, location_id, quantity, reference_id, per_bundle"


async def variants_of_reservations(tx: Tx, ids: Sequence[UUID]) -> list[UUID]:
    """Return the variants that active reservations touch: to lock their levels before the reservations."""
    rows = await tx.fetch(
        "select distinct variant_id from reservation"
        " where organisation_id = $1 and id = any($2::uuid[]) and state = 'active'",
        tx.organisation,
        ids,
    )
    return [row[0] for row in rows]


async def active_reservations(tx: Tx, ids: Sequence[UUID], due: datetime | None = None) -> list[Reservation]:
    """Lock and return the active lines of these reservations. The levels must be locked already.

    `due`: only those whose time is over by then; one that was extended meanwhile is left alone.
    """
    rows = await tx.fetch(
        f"select {_RESERVATION} from reservation"
        " where organisation_id = $1 and id = any($2::uuid[]) and state = 'active'"
        " and ($3::timestamptz is null or expires_at <= $3) order by id, line for update",
        tx.organisation,
        ids,
        due,
    )
    return [Reservation(*row) for row in rows]


async def variants_of_lines(tx: Tx, order_lines: Sequence[UUID]) -> list[UUID]:
    """Return the variants that are reserved or short for these order lines."""
    rows = await tx.fetch(
        """
        select variant_id from reservation
        where organisation_id = $1 and reference_id = any($2::uuid[]) and state = 'active'
        union
        select variant_id from shortage
        where organisation_id = $1 and reference_id = any($2::uuid[]) and state = 'open'
        """,
        tx.organisation,
        order_lines,
    )
    return [row[0] for row in rows]


async def claims_of_lines(tx: Tx, order_lines: Sequence[UUID]) -> dict[UUID, ClaimResult]:
    """Return what is reserved and what is short for each of these order lines, in what the line sells.

    Of a bundle so many are reserved as all its parts are; the others are short.
    """
    rows = await tx.fetch(
        """
        select line.id, coalesce(min(part.had), 0)::bigint, coalesce(max(part.wanted) - min(part.had), 0)::bigint
        from unnest($2::uuid[]) as line(id)
        left join lateral (
            select variant_id, floor(sum(had) / max(per_bundle)) as had, ceil(sum(had + short) / max(per_bundle)) as wanted
            from (select variant_id, quantity as had, 0 as short, per_bundle from reservation r
                  where r.organisation_id = $1 and r.reference_id = line.id and r.state = 'active'
                  union all
                  select variant_id, 0, quantity, per_bundle from shortage s
                  where s.organisation_id = $1 and s.reference_id = line.id and s.state = 'open') claim
            group by variant_id) part on true
        group by line.id
        """,
        tx.organisation,
        order_lines,
    )
    return {row[0]: ClaimResult(*row) for row in rows}


@dataclass(frozen=True, slots=True)
class ReservedAt:
    """Units of a variant that are reserved for an order line at a location. `per_bundle`: units of it in one of the line."""

    order_line_id: UUID
    variant_id: UUID
    location_id: UUID
    units: int
    per_bundle: int


async def reserved_places(tx: Tx, order_lines: Sequence[UUID]) -> list[ReservedAt]:
    """Return where units are reserved for these order lines, a row for each line, variant and location."""
    rows = await tx.fetch(
        "select reference_id, variant_id, location_id, sum(quantity)::bigint, max(per_bundle) from reservation"
        " where organisation_id = $1 and reference_id = any($2::uuid[]) and state = 'active'"
        " group by reference_id, variant_id, location_id order by reference_id, variant_id, location_id",
        tx.organisation,
        order_lines,
    )
    return [ReservedAt(*row) for row in rows]


async def active_by_reference(tx: Tx, reference_ids: Sequence[UUID]) -> list[Reservation]:
    """Lock and return the active reservations of these order lines. The levels must be locked already."""
    rows = await tx.fetch(
        f"select {_RESERVATION} from reservation"
        " where organisation_id = $1 and reference_id = any($2::uuid[]) and state = 'active'"
        " order by id, line for update",
        tx.organisation,
        reference_ids,
    )
    return [Reservation(*row) for row in rows]


async def youngest_claims(tx: Tx, variant_id: UUID, location_id: UUID) -> list[Reservation]:
    """Lock and return active order reservations at a level, the youngest first. The level must be locked already."""
    rows = await tx.fetch(
        f"select {_RESERVATION} from reservation where organisation_id = $1 and variant_id = $2 and location_id = $3"
        " and state = 'active' and kind = 'order' order by id desc, line for update",
        tx.organisation,
        variant_id,
        location_id,
    )
    return [Reservation(*row) for row in rows]


async def end_reservations(tx: Tx, lines: Sequence[tuple[UUID, int]], state: str) -> None:
    """Set the state of these reservation lines."""
    await tx.execute(
        """
        update reservation r set state = $4, updated_at = now()
        from unnest($2::uuid[], $3::smallint[]) as i(id, line)
        where r.organisation_id = $1 and r.id = i.id and r.line = i.line
        """,
        tx.organisation,
        [line[0] for line in lines],
        [line[1] for line in lines],
        state,
    )


async def shrink_reservation(tx: Tx, reservation_id: UUID, line: int, quantity: int) -> None:
    """Set a smaller quantity on an active reservation line."""
    await tx.execute(
        "update reservation set quantity = $4, updated_at = now() where organisation_id = $1 and id = $2 and line = $3",
        tx.organisation,
        reservation_id,
        line,
        quantity,
    )


async def set_expiry(tx: Tx, ids: Sequence[UUID], expires_at: datetime, now: datetime) -> int:
    """Set when holds end, if they have not ended by `now`; return how many.

    Their lines are locked in the order in which everybody locks them: by id and line.
    """
    found: int = await tx.fetch_value(
        """
        with lines as materialized (
            select id, line from reservation
            where organisation_id = $1 and id = any($2::uuid[]) and state = 'active' and kind = 'hold' and expires_at > $4
            order by id, line for update
        ), changed as (
            update reservation r set expires_at = $3, updated_at = now() from lines
            where r.organisation_id = $1 and r.id = lines.id and r.line = lines.line returning r.id
        )
        select count(distinct id) from changed
        """,
        tx.organisation,
        list(ids),
        expires_at,
        now,
    )
    return found


async def expired_reservations(tx: Tx, now: datetime, limit: int) -> list[UUID]:
    """Return ids of active reservations whose time is over."""
    rows = await tx.fetch(
        "select distinct id from (select id, expires_at from reservation where organisation_id = $1 and"
        " state = 'active' and expires_at <= $2 order by expires_at limit $3) due",
        tx.organisation,
        now,
        limit,
    )
    return [row[0] for row in rows]


ShortageRow = tuple[UUID, UUID, int, "UUID | None", str, int]


async def insert_shortages(tx: Tx, rows: Sequence[ShortageRow]) -> None:
    """Insert open shortages: (id, variant, quantity, reference, reason, units per bundle)."""
    if rows:
        await tx.execute(
            "insert into shortage (organisation_id, id, variant_id, quantity, reference_id, reason, per_bundle)"
            " select $1, i.*"
            " from unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::uuid[], $6::text[], $7::bigint[]) as i",
            tx.organisation,
            *map(list, zip(*rows, strict=True)),
        )


async def open_shortages(tx: Tx, *, reference_ids: Sequence[UUID] = (), variant_ids: Sequence[UUID] = ()) -> list[Any]:
    """Lock and return open shortages of these order lines or variants, oldest first. Levels must be locked already."""
    return await tx.fetch(
        "select id, variant_id, quantity, reference_id, per_bundle from shortage where organisation_id = $1 and state = 'open'"
        " and (reference_id = any($2::uuid[]) or variant_id = any($3::uuid[])) order by id for update",
        tx.organisation,
        list(reference_ids),
        list(variant_ids),
    )


async def change_shortages(tx: Tx, rows: Sequence[tuple[UUID, int]], remedy: str = "") -> None:
    """Set what is still short, by shortage id; 0 closes it. `remedy`: what did, if no person had chosen one."""
    if rows:
        await tx.execute(
            """
            update shortage s
            set quantity = case when i.quantity > 0 then i.quantity else s.quantity end,
                state = case when i.quantity > 0 then 'open' else 'closed' end,
                closed_at = case when i.quantity > 0 then null else now() end,
                remedy = case when s.remedy = '' and i.quantity = 0 then $4 else s.remedy end
            from unnest($2::uuid[], $3::bigint[]) as i(id, quantity)
            where s.organisation_id = $1 and s.id = i.id
            """,
            tx.organisation,
            *map(list, zip(*rows, strict=True)),
            remedy,
        )
