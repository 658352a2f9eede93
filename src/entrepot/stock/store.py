"""Every statement of the stock room. Locks are taken here only, in one order: (variant, location)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id
from entrepot.stock.contracts import ClaimResult


@dataclass(slots=True)
class LockedLevel:
    """A level under our lock, as it was, with the changes made to it in this transaction."""

    variant_id: UUID
    location_id: UUID
    on_hand: int
    reserved: int
    held: int
    unavailable: int
    incoming: int
    safety_stock: int
    changed: bool = False

    @property
    def free(self) -> int:
        """Units that no claim has taken: on_hand - reserved - held - unavailable."""
        return self.on_hand - self.reserved - self.held - self.unavailable

    @property
    def available_to_sell(self) -> int:
        """`free` less the safety stock."""
        return self.free - self.safety_stock


@dataclass(frozen=True, slots=True)
class Movement:
    """A line of the ledger: how much each balance changes."""

    kind: str
    on_hand: int = 0
    reserved: int = 0
    held: int = 0
    unavailable: int = 0
    incoming: int = 0
    reference_kind: str = ""
    reference_id: UUID | None = None
    reason: str = ""


LOCK_LEVELS = """
select l.variant_id, l.location_id, l.on_hand, l.reserved, l.held, l.unavailable, l.incoming, l.safety_stock
from stock_level l
where l.organisation_id = $1 and l.variant_id = any($2::uuid[])
order by l.variant_id, l.location_id
for update
"""


async def lock_levels(tx: Tx, variant_ids: Sequence[UUID]) -> dict[UUID, list[LockedLevel]]:
    """Lock all levels of these variants in the one order and return them by variant."""
    levels: dict[UUID, list[LockedLevel]] = {}
    for row in await tx.fetch(LOCK_LEVELS, tx.organisation, variant_ids):
        levels.setdefault(row[0], []).append(LockedLevel(*row))
    return levels


async def location_order(tx: Tx) -> dict[UUID, int]:
    """Return the rank of each location: lower is taken first."""
    rows = await tx.fetch("select id from location where organisation_id = $1 order by priority, id", tx.organisation)
    return {row["id"]: rank for rank, row in enumerate(rows)}


async def default_location(tx: Tx) -> UUID:
    """Return the location that stock goes to when nobody says where; make `Main` if there is none."""
    found = await tx.fetch_value(
        "select id from location where organisation_id = $1 order by priority, id limit 1", tx.organisation
    )
    if found is None:
        await tx.execute(
            "insert into location (organisation_id, id, name) values ($1, $2, 'Main') on conflict do nothing",
            tx.organisation,
            new_id(),
        )
        found = await tx.fetch_value(
            "select id from location where organisation_id = $1 order by priority, id limit 1", tx.organisation
        )
    location: UUID = found
    return location


async def ensure_levels(tx: Tx, variant_ids: Sequence[UUID], location_id: UUID) -> None:
    """Make the levels that are missing, in the one order, so that two that do this never wait for each other."""
    await tx.execute(
        """
        insert into stock_level (organisation_id, variant_id, location_id)
        select $1, v, $3 from (select distinct unnest($2::uuid[]) as v order by 1) wanted
        on conflict do nothing
        """,
        tx.organisation,
        variant_ids,
        location_id,
    )


WRITE_LEVELS = """
update stock_level l
set on_hand = i.on_hand, reserved = i.reserved, held = i.held, unavailable = i.unavailable, incoming = i.incoming,
    safety_stock = i.safety_stock, updated_at = now()
from unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[])
     as i(variant_id, location_id, on_hand, reserved, held, unavailable, incoming, safety_stock)
where l.organisation_id = $1 and l.variant_id = i.variant_id and l.location_id = i.location_id
"""

INSERT_MOVEMENTS = """
insert into stock_movement (organisation_id, id, variant_id, location_id, kind, on_hand_delta, reserved_delta,
    held_delta, unavailable_delta, incoming_delta, on_hand_after, reserved_after, reference_kind, reference_id,
    reason, actor, at)
select $1, i.*, $16, now()
from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
    $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::uuid[], $15::text[]) as i
"""


class Ledger:
    """Applies movements to locked levels and writes both at once, so that neither can be without the other."""

    def __init__(self, levels: dict[UUID, list[LockedLevel]], actor: str) -> None:
        self.levels = levels
        self._actor = actor
        self._rows: list[tuple[Any, ...]] = []

    def apply(self, level: LockedLevel, movement: Movement) -> None:
        """Change the level and note the movement."""
        level.on_hand += movement.on_hand
        level.reserved += movement.reserved
        level.held += movement.held
        level.unavailable += movement.unavailable
        level.incoming += movement.incoming
        level.changed = True
        self._rows.append(
            (
                new_id(),
                level.variant_id,
                level.location_id,
                movement.kind,
                movement.on_hand,
                movement.reserved,
                movement.held,
                movement.unavailable,
                movement.incoming,
                level.on_hand,
                level.reserved,
                movement.reference_kind,
                movement.reference_id,
                movement.reason,
            )
        )

    @property
    def changed_variants(self) -> list[UUID]:
        """The variants whose stock this ledger changes."""
        return [variant for variant, levels in self.levels.items() if any(level.changed for level in levels)]

    async def write(self, tx: Tx) -> None:
        """Write the changed levels and their movements: two statements, however many there are."""
        changed = [level for levels in self.levels.values() for level in levels if level.changed]
        if not changed:
            return
        columns = zip(
            *(
                (v.variant_id, v.location_id, v.on_hand, v.reserved, v.held, v.unavailable, v.incoming, v.safety_stock)
                for v in changed
            ),
            strict=True,
        )
        await tx.execute(WRITE_LEVELS, tx.organisation, *map(list, columns))
        if self._rows:
            await tx.execute(INSERT_MOVEMENTS, tx.organisation, *map(list, zip(*self._rows, strict=True)), self._actor)


INSERT_RESERVATIONS = """
insert into reservation (organisation_id, id, line, kind, variant_id, location_id, quantity, reference_id, expires_at)
select $1, i.*
from unnest($2::uuid[], $3::smallint[], $4::text[], $5::uuid[], $6::uuid[], $7::bigint[], $8::uuid[], $9::timestamptz[])
     as i
"""

ReservationRow = tuple[UUID, int, str, UUID, UUID, int, "UUID | None", "datetime | None"]


async def insert_reservations(tx: Tx, rows: Sequence[ReservationRow]) -> None:
    """Insert (id, line, kind, variant, location, quantity, reference, expires_at) rows."""
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


_RESERVATION = "id, line, kind, variant_id, location_id, quantity, reference_id"


async def variants_of_reservations(tx: Tx, ids: Sequence[UUID]) -> list[UUID]:
    """Return the variants that active reservations touch: to lock their levels before the reservations."""
    rows = await tx.fetch(
        "select distinct variant_id from reservation"
        " where organisation_id = $1 and id = any($2::uuid[]) and state = 'active'",
        tx.organisation,
        ids,
    )
    return [row[0] for row in rows]


async def active_reservations(tx: Tx, ids: Sequence[UUID]) -> list[Reservation]:
    """Lock and return the active lines of these reservations. The levels must be locked already."""
    rows = await tx.fetch(
        f"select {_RESERVATION} from reservation"
        " where organisation_id = $1 and id = any($2::uuid[]) and state = 'active' order by id, line for update",
        tx.organisation,
        ids,
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
    """Return what is reserved and what is short for each of these order lines."""
    rows = await tx.fetch(
        """
        select line.id,
               (select coalesce(sum(quantity), 0)::bigint from reservation r
                where r.organisation_id = $1 and r.reference_id = line.id and r.state = 'active'),
               (select coalesce(sum(quantity), 0)::bigint from shortage s
                where s.organisation_id = $1 and s.reference_id = line.id and s.state = 'open')
        from unnest($2::uuid[]) as line(id)
        """,
        tx.organisation,
        order_lines,
    )
    return {row[0]: ClaimResult(*row) for row in rows}


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


async def insert_shortages(tx: Tx, rows: Sequence[tuple[UUID, UUID, int, UUID | None, str]]) -> None:
    """Insert open shortages: (id, variant, quantity, reference, reason)."""
    if rows:
        await tx.execute(
            "insert into shortage (organisation_id, id, variant_id, quantity, reference_id, reason)"
            " select $1, i.* from unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::uuid[], $6::text[]) as i",
            tx.organisation,
            *map(list, zip(*rows, strict=True)),
        )


async def open_shortages(tx: Tx, *, reference_ids: Sequence[UUID] = (), variant_ids: Sequence[UUID] = ()) -> list[Any]:
    """Lock and return open shortages of these order lines or variants, oldest first. Levels must be locked already."""
    return await tx.fetch(
        "select id, variant_id, quantity, reference_id from shortage where organisation_id = $1 and state = 'open'"
        " and (reference_id = any($2::uuid[]) or variant_id = any($3::uuid[])) order by id for update",
        tx.organisation,
        list(reference_ids),
        list(variant_ids),
    )


async def change_shortages(tx: Tx, rows: Sequence[tuple[UUID, int]]) -> None:
    """Set what is still short, by shortage id; 0 closes it."""
    if rows:
        await tx.execute(
            """
            update shortage s
            set quantity = case when i.quantity > 0 then i.quantity else s.quantity end,
                state = case when i.quantity > 0 then 'open' else 'closed' end,
                closed_at = case when i.quantity > 0 then null else now() end
            from unnest($2::uuid[], $3::bigint[]) as i(id, quantity)
            where s.organisation_id = $1 and s.id = i.id
            """,
            tx.organisation,
            *map(list, zip(*rows, strict=True)),
        )


async def read_levels(tx: Tx, variant_ids: Sequence[UUID]) -> list[Any]:
    """Return levels without locking."""
    return await tx.fetch(
        "select variant_id, location_id, on_hand, reserved, held, unavailable, incoming, safety_stock from stock_level"
        " where organisation_id = $1 and variant_id = any($2::uuid[]) order by variant_id, location_id",
        tx.organisation,
        variant_ids,
    )


async def available_to_sell(tx: Tx, variant_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return ATS over all locations by variant; a variant without a level is left out. Shortages lower it."""
    rows = await tx.fetch(
        """
        select l.variant_id,
               sum(l.on_hand - l.reserved - l.held - l.unavailable - l.safety_stock)::bigint - coalesce(max(s.short), 0)
        from stock_level l
        left join (select variant_id, sum(quantity)::bigint as short from shortage
                   where organisation_id = $1 and state = 'open' and variant_id = any($2::uuid[]) group by 1) s
               on s.variant_id = l.variant_id
        where l.organisation_id = $1 and l.variant_id = any($2::uuid[])
        group by l.variant_id
        """,
        tx.organisation,
        variant_ids,
    )
    return {row[0]: row[1] for row in rows}


async def mismatches(tx: Tx) -> list[Any]:
    """Return every balance that is not the sum of its movements or active reservations, and what is reserved of nothing.

    More reserved for orders than on hand is wrong too: what is not there is a shortage, never a reservation. (A hold may
    outlast a count that finds less.)
    """
    return await tx.fetch(
        """
        with ledger as (
            select variant_id, location_id, sum(on_hand_delta)::bigint as on_hand,
                   sum(reserved_delta)::bigint as reserved, sum(held_delta)::bigint as held,
                   sum(unavailable_delta)::bigint as unavailable, sum(incoming_delta)::bigint as incoming
            from stock_movement where organisation_id = $1 group by 1, 2
        ), claims as (
            select variant_id, location_id, sum(quantity) filter (where kind = 'order')::bigint as reserved,
                   sum(quantity) filter (where kind = 'hold')::bigint as held
            from reservation where organisation_id = $1 and state = 'active' group by 1, 2
        )
        select variant_id, location_id, c.name, c.balance, c.ledger
        from (select * from stock_level where organisation_id = $1) l
        full join ledger g using (variant_id, location_id)
        full join claims k using (variant_id, location_id)
        cross join lateral (values
            ('on_hand', coalesce(l.on_hand, 0), coalesce(g.on_hand, 0)),
            ('reserved', coalesce(l.reserved, 0), coalesce(g.reserved, 0)),
            ('held', coalesce(l.held, 0), coalesce(g.held, 0)),
            ('unavailable', coalesce(l.unavailable, 0), coalesce(g.unavailable, 0)),
            ('incoming', coalesce(l.incoming, 0), coalesce(g.incoming, 0)),
            ('reservations', coalesce(l.reserved, 0), coalesce(k.reserved, 0)),
            ('holds', coalesce(l.held, 0), coalesce(k.held, 0)),
            ('uncovered', greatest(l.reserved, l.on_hand), l.on_hand)
        ) as c(name, balance, ledger)
        where c.balance <> c.ledger
        order by 1, 2, 3
        """,
        tx.organisation,
    )
