"""What pages and the API read of holds. Select statements only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.ids import first_id_at
from entrepot.kernel.paging import Key, Slice, bounded, decode_cursor, slice_of

OPEN, EXPIRED, RELEASED = "open", "expired", "released"
STATES = (OPEN, EXPIRED, RELEASED)
ENDED_DAYS = 30
"""Holds that have ended are listed for so many days after they were made."""


@dataclass(frozen=True, slots=True)
class HoldFilter:
    """Which holds. `sku`: that have units of it; `reference`: the hold's id or what it is for; `actor`: who made it."""

    state: str = OPEN
    sku: str = ""
    reference: UUID | None = None
    actor: str = ""


@dataclass(frozen=True, slots=True)
class HoldPart:
    """Units that a hold has of a variant at a location; of a bundle its parts."""

    variant_id: UUID
    sku: str
    location: str
    quantity: int


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A hold. `actor`: the reference of who made it; `ended_at`: when it was released or expired, None while it is open."""

    id: UUID
    state: str
    expires_at: datetime
    created_at: datetime
    ended_at: datetime | None
    reference_id: UUID | None
    actor: str
    parts: tuple[HoldPart, ...]

    @property
    def units(self) -> int:
        """All units that it has."""
        return sum(part.quantity for part in self.parts)


async def list_holds(
    tx: Tx, chosen: HoldFilter, now: datetime, cursor: str | None = None, limit: int = 50
) -> Slice[HoldRow]:
    """Return holds: open ones by when they end, soonest first; ended ones of the last ENDED_DAYS, newest first.

    Raises InvalidInput, InvalidCursor.
    """
    if chosen.state not in STATES:
        raise InvalidInput(f"{chosen.state!r} is not a state of a hold: there are {', '.join(STATES)}.", field="state")
    limit = bounded(limit)
    key: Key | None
    if chosen.state == OPEN:
        rows = await _open(tx, chosen, decode_cursor(cursor, datetime, UUID), limit + 1)
        key = (rows[limit - 1]["expires_at"], rows[limit - 1]["id"]) if len(rows) > limit else None
    else:
        before = decode_cursor(cursor, UUID)
        since = now - timedelta(days=ENDED_DAYS)
        rows = await _ended(tx, chosen, since, before[0] if before else None, limit + 1)
        key = (rows[limit - 1]["id"],) if len(rows) > limit else None
    return slice_of([_row(row, chosen.state) for row in rows], limit, key)


_WITH = """
    and ($2 = '' or exists (select from reservation o join variant v on v.organisation_id = $1 and v.id = o.variant_id
                            where o.organisation_id = $1 and o.id = r.id and v.sku = $2))
    and ($3::uuid is null or r.id = $3 or r.reference_id = $3)
    and ($4 = '' or m.actor = $4)
"""
# Who made it is in the ledger: the first line that tells of it comes right after its id was made.
_MADE_BY = """
    cross join lateral (
        select m.actor from stock_movement m
        where m.organisation_id = $1 and m.variant_id = r.variant_id and m.location_id = r.location_id and m.id > r.id
          and m.reference_id = r.id order by m.id limit 1) m
"""
_PARTS = """
    select h.*, p.parts
    from h
    cross join lateral (
        select jsonb_agg(jsonb_build_object('variant_id', r.variant_id, 'sku', v.sku, 'location', l.name,
                                            'quantity', r.quantity) order by r.line) as parts
        from reservation r
        join variant v on v.organisation_id = $1 and v.id = r.variant_id
        join location l on l.organisation_id = $1 and l.id = r.location_id
        where r.organisation_id = $1 and r.id = h.id) p
"""


async def _open(tx: Tx, chosen: HoldFilter, after: Sequence[Any] | None, limit: int) -> list[Any]:
    """Return open holds after (when it ends, id), soonest first: a walk along the index of when they end."""
    return await tx.fetch(
        f"""
        with h as (
            select r.id, r.expires_at, r.created_at, r.updated_at, r.reference_id, m.actor
            from reservation r {_MADE_BY}
            where r.organisation_id = $1 and r.state = 'active' and r.kind = 'hold' and r.expires_at is not null
              and r.line = 0 and ($5::timestamptz is null or (r.expires_at, r.id) > ($5, $6::uuid)) {_WITH}
            order by r.expires_at, r.id limit $7)
        {_PARTS} order by h.expires_at, h.id
        """,
        tx.organisation, chosen.sku, chosen.reference, chosen.actor, *(after or (None, None)), limit,
    )  # fmt: skip


async def _ended(tx: Tx, chosen: HoldFilter, since: datetime, before: Any, limit: int) -> list[Any]:
    """Return ended holds made since a time and before an id, newest first."""
    return await tx.fetch(
        f"""
        with h as (
            select r.id, r.expires_at, r.created_at, r.updated_at, r.reference_id, m.actor
            from reservation r {_MADE_BY}
            where r.organisation_id = $1 and r.kind = 'hold' and r.state = $5 and r.line = 0 and r.id >= $6
              and ($7::uuid is null or r.id < $7) {_WITH}
            order by r.id desc limit $8)
        {_PARTS} order by h.id desc
        """,
        tx.organisation, chosen.sku, chosen.reference, chosen.actor, chosen.state, first_id_at(since), before, limit,
    )  # fmt: skip


def _row(row: Any, state: str) -> HoldRow:
    parts = tuple(HoldPart(UUID(p["variant_id"]), p["sku"], p["location"], p["quantity"]) for p in row["parts"])
    ended = None if state == OPEN else row["updated_at"]
    return HoldRow(
        row["id"], state, row["expires_at"], row["created_at"], ended, row["reference_id"], row["actor"], parts
    )


async def hold_makers(tx: Tx, limit: int = 100) -> list[str]:
    """Return the references of those who made the holds that are open, for a filter."""
    rows = await tx.fetch(
        f"""
        select distinct m.actor from (
            select * from reservation where organisation_id = $1 and state = 'active' and kind = 'hold'
              and expires_at is not null and line = 0 order by expires_at limit 2000) r {_MADE_BY}
        order by 1 limit $2
        """,
        tx.organisation,
        limit,
    )
    return [row[0] for row in rows]
