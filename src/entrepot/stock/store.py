"""Statements on levels and the ledger. Levels are locked here only, in one order: (variant, location)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id


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


LOCK_LEVELS_IF_ALL = """
with wanted as (
    select unnest($2::uuid[]) as variant_id union
    select component_id from bundle_component where organisation_id = $1 and bundle_id = any($2::uuid[]))
select l.variant_id, l.location_id, l.on_hand, l.reserved, l.held, l.unavailable, l.incoming, l.safety_stock
from stock_level l
where l.organisation_id = $1 and l.variant_id = any(array(select variant_id from wanted))
  and not exists (
      select from wanted w
      where not exists (select from stock_level s where s.organisation_id = $1 and s.variant_id = w.variant_id)
        and not exists (select from bundle_component b where b.organisation_id = $1 and b.bundle_id = w.variant_id))
order by l.variant_id, l.location_id
for update of l
"""


async def lock_levels_if_all(tx: Tx, variant_ids: Sequence[UUID]) -> dict[UUID, list[LockedLevel]]:
    """Do as `lock_levels`, but lock and return nothing if any of them, or of the parts of bundles, has no level yet.

    Levels are made before any is locked: who made one while holding others could wait for somebody who waits for those.
    """
    levels: dict[UUID, list[LockedLevel]] = {}
    for row in await tx.fetch(LOCK_LEVELS_IF_ALL, tx.organisation, variant_ids):
        levels.setdefault(row[0], []).append(LockedLevel(*row))
    return levels


async def with_levels(tx: Tx, variant_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of these variants that have a level anywhere."""
    rows = await tx.fetch(
        "select distinct variant_id from stock_level where organisation_id = $1 and variant_id = any($2::uuid[])",
        tx.organisation,
        variant_ids,
    )
    return {row[0] for row in rows}


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
    """Lock and return the levels of one variant, not those of its parts."""
    rows = await tx.fetch(
        "select variant_id, location_id, on_hand, reserved, held, unavailable, incoming, safety_stock from stock_level"
        " where organisation_id = $1 and variant_id = $2 order by location_id for update",
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
