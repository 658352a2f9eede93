"""Statements about locations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx


async def insert_location(tx: Tx, id: UUID, name: str, kind: str, priority: int) -> bool:
    """Insert a location; return False if its name is taken."""
    return bool(
        await tx.execute(
            "insert into location (organisation_id, id, name, kind, priority) values ($1, $2, $3, $4, $5)"
            " on conflict (organisation_id, name) do nothing",
            tx.organisation,
            id,
            name,
            kind,
            priority,
        )
    )


async def last_priority(tx: Tx) -> int:
    """Return the highest priority number: the location taken last."""
    found: int = await tx.fetch_value(
        "select coalesce(max(priority), 0) from location where organisation_id = $1", tx.organisation
    )
    return found


async def lock_locations(tx: Tx) -> Sequence[Any]:
    """Lock all locations against changes, not against rows that refer to them; return them by id."""
    return await tx.fetch(
        "select id, name, kind, priority, active, buffer from location where organisation_id = $1 order by id"
        " for no key update",
        tx.organisation,
    )


async def set_location(tx: Tx, id: UUID, values: Mapping[str, Any]) -> None:
    """Set columns of a location; the names are its columns."""
    columns = ", ".join(f"{name} = ${number}" for number, name in enumerate(values, start=3))
    await tx.execute(
        f"update location set {columns} where organisation_id = $1 and id = $2", tx.organisation, id, *values.values()
    )


async def set_priorities(tx: Tx, ids: Sequence[UUID]) -> None:
    """Number the locations in this order."""
    await tx.execute(
        "update location l set priority = i.number * 10"
        " from unnest($2::uuid[]) with ordinality as i(id, number) where l.organisation_id = $1 and l.id = i.id",
        tx.organisation,
        list(ids),
    )


async def in_use_at(tx: Tx, id: UUID) -> Any:
    """Return what is still at a location: units by kind, and open documents."""
    return await tx.fetch_row(
        """
        select coalesce(sum(on_hand), 0)::bigint as on_hand, coalesce(sum(reserved), 0)::bigint as reserved,
               coalesce(sum(held), 0)::bigint as held, coalesce(sum(incoming), 0)::bigint as incoming,
               (select count(*) from stock_transfer where organisation_id = $1
                and state in ('draft', 'in_transit', 'partly_received') and $2 in (from_location_id, to_location_id))
                   as transfers,
               (select count(*) from stock_count where organisation_id = $1 and state = 'open' and location_id = $2)
                   as counts,
               (select count(*) from purchase_order where organisation_id = $1
                and state in ('draft', 'ordered', 'partly_received') and location_id = $2) as purchases
        from stock_level where organisation_id = $1 and location_id = $2
        """,
        tx.organisation,
        id,
    )


async def variants_at(tx: Tx, id: UUID) -> list[UUID]:
    """Return the variants with units on hand at a location."""
    rows = await tx.fetch(
        "select variant_id from stock_level where organisation_id = $1 and location_id = $2 and on_hand > 0"
        " order by variant_id",
        tx.organisation,
        id,
    )
    return [row[0] for row in rows]


async def safety_at(tx: Tx, id: UUID) -> dict[UUID, int]:
    """Return the safety stock kept at a location, by variant."""
    rows = await tx.fetch(
        "select variant_id, safety_stock from stock_level"
        " where organisation_id = $1 and location_id = $2 and safety_stock > 0",
        tx.organisation,
        id,
    )
    return {row[0]: row[1] for row in rows}


@dataclass(frozen=True, slots=True)
class Location:
    """A location. The lower its priority, the earlier stock is taken from it."""

    id: UUID
    name: str
    kind: str
    priority: int
    active: bool


async def locations(tx: Tx) -> list[Location]:
    """Return all locations by priority."""
    rows = await tx.fetch(
        "select id, name, kind, priority, active from location where organisation_id = $1 order by priority, id",
        tx.organisation,
    )
    return [Location(*row) for row in rows]
