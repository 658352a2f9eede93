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


Levels = dict[UUID, list[LockedLevel]]
LOCK_LEVELS = """
select l.variant_id, l.location_id, l.on_hand, l.reserved, l.held, l.unavailable, l.incoming, l.safety_stock
from stock_level l
where l.organisation_id = $1 and l.variant_id = any(array(
    select unnest($2::uuid[]) union all
    select component_id from bundle_component where organisation_id = $1 and bundle_id = any($2::uuid[])))
order by l.variant_id, l.location_id
for update
"""


async def lock_levels(tx: Tx, variant_ids: Sequence[UUID]) -> dict[UUID, list[LockedLevel]]:
    """Lock all levels of these variants, and of the parts of those that are bundles, in the one order.

    Returns them by variant; a bundle has no levels of its own.
    """
    levels: dict[UUID, list[LockedLevel]] = {}
    for row in await tx.fetch(LOCK_LEVELS, tx.organisation, variant_ids):
        levels.setdefault(row[0], []).append(LockedLevel(*row))
    return levels


async def location_order(tx: Tx) -> dict[UUID, int]:
    """Return the rank of each location: lower is taken first."""
    rows = await tx.fetch("select id from location where organisation_id = $1 order by priority, id", tx.organisation)
    return {row["id"]: rank for rank, row in enumerate(rows)}


async def share_locations(tx: Tx, location_ids: Sequence[UUID]) -> dict[UUID, tuple[str, bool]]:
    """Lock these locations against being put out of use; return (name, whether in use) of each that exists."""
    rows = await tx.fetch(
        "select id, name, active from location where organisation_id = $1 and id = any($2::uuid[])"
        " order by id for share",
        tx.organisation,
        location_ids,
    )
    return {row[0]: (row[1], row[2]) for row in rows}


DEFAULT_LOCATION = """
select id from location where organisation_id = $1 and active order by priority, id limit 1
"""


async def default_location(tx: Tx) -> UUID:
    """Return the location that is used when none is named: the active one taken first; make `Main` if there is none."""
    found = await tx.fetch_value(DEFAULT_LOCATION, tx.organisation)
    if found is None:
        await tx.execute(
            "insert into location (organisation_id, id, name) values ($1, $2, 'Main') on conflict do nothing",
            tx.organisation,
            new_id(),
        )
        found = await tx.fetch_value(DEFAULT_LOCATION, tx.organisation)
    location: UUID = found
    return location


async def ensure_levels(tx: Tx, variant_ids: Sequence[UUID], location_id: UUID) -> None:
    """Make the levels that are missing, in the one order, so that two that do this never wait for each other.

    A bundle gets none, nor does an unknown variant. The variants are locked first: none becomes a bundle meanwhile.
    """
    await tx.execute(
        "select from variant where organisation_id = $1 and id = any($2::uuid[]) order by id for share",
        tx.organisation,
        variant_ids,
    )
    await tx.execute(
        """
        insert into stock_level (organisation_id, variant_id, location_id)
        select $1, v.id, $3 from variant v
        where v.organisation_id = $1 and v.id = any($2::uuid[])
          and not exists (select from bundle_component b where b.organisation_id = $1 and b.bundle_id = v.id)
        order by v.id
        on conflict do nothing
        """,
        tx.organisation,
        variant_ids,
        location_id,
    )


async def lock_own_levels(tx: Tx, variant_id: UUID) -> list[LockedLevel]:
    """Lock and return the levels of one variant; an error of the database if another transaction has one locked."""
    rows = await tx.fetch(
        "select variant_id, location_id, on_hand, reserved, held, unavailable, incoming, safety_stock from stock_level"
        " where organisation_id = $1 and variant_id = $2 order by location_id for update nowait",
        tx.organisation,
        variant_id,
    )
    return [LockedLevel(*row) for row in rows]


async def drop_levels(tx: Tx, variant_id: UUID) -> None:
    """Delete the levels of a variant that has nothing anywhere."""
    await tx.execute(
        "delete from stock_level where organisation_id = $1 and variant_id = $2", tx.organisation, variant_id
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

    def at(self, variant_id: UUID, location_id: UUID) -> LockedLevel:
        """Return the level of a variant at a location."""
        return next(level for level in self.levels[variant_id] if level.location_id == location_id)

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


async def set_expiry(tx: Tx, hold_id: UUID, expires_at: datetime, now: datetime) -> int:
    """Set when a hold ends, if it has not ended by `now`; return how many lines it has."""
    return await tx.execute(
        "update reservation set expires_at = $3, updated_at = now() where organisation_id = $1 and id = $2"
        " and state = 'active' and kind = 'hold' and expires_at > $4",
        tx.organisation,
        hold_id,
        expires_at,
        now,
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
