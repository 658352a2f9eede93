"""What pages and the API read of stock. Select statements only; lists are paged by key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from entrepot.database.pool import Tx
from entrepot.kernel.errors import NotFound
from entrepot.kernel.ids import first_id_at, made_at
from entrepot.kernel.paging import Slice, bounded, decode_cursor, slice_of

STATES = ("all", "low", "out", "short")
BEFORE, AFTER = timedelta(minutes=1), timedelta(seconds=5)
"""How far from the moment that another room noted the ledger may have been written: that room may have reacted later."""


@dataclass(frozen=True, slots=True)
class StockFilter:
    """Which variants: `state` all, low (at most `low_at` units to sell, where neither the variant nor its product has a
    threshold of its own), out (none to sell), short (sold more than there is)."""

    search: str = ""
    state: str = "all"
    low_at: int = 10


@dataclass(frozen=True, slots=True)
class StockRow:
    """A variant's stock, summed over its locations, in units."""

    variant_id: UUID
    product_id: UUID
    sku: str
    title: str
    on_hand: int
    reserved: int
    held: int
    unavailable: int
    incoming: int
    safety_stock: int
    shortage: int
    locations: int
    bundle_units: int | None = None
    """How many of a bundle its parts make; None: it is no bundle."""

    @property
    def ats(self) -> int:
        """Available to sell: what is on hand less every claim, and less what is owed already."""
        if self.bundle_units is not None:
            return self.bundle_units
        claimed = self.reserved + self.held + self.unavailable + self.safety_stock
        return self.on_hand - claimed - self.shortage


@dataclass(frozen=True, slots=True)
class LevelView:
    """A variant's stock at one location, in units."""

    variant_id: UUID
    location_id: UUID
    location: str
    on_hand: int
    reserved: int
    held: int
    unavailable: int
    incoming: int
    safety_stock: int

    @property
    def ats(self) -> int:
        """Available to sell here."""
        return self.on_hand - self.reserved - self.held - self.unavailable - self.safety_stock


@dataclass(frozen=True, slots=True)
class MovementView:
    """One ledger line."""

    id: UUID
    at: datetime
    kind: str
    location: str
    on_hand_delta: int
    reserved_delta: int
    held_delta: int
    on_hand_after: int
    reserved_after: int
    reference_kind: str
    reference_id: UUID | None
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class MovementAbout:
    """A ledger line about something, such as an order line."""

    id: UUID
    at: datetime
    kind: str
    sku: str
    location: str
    on_hand_delta: int
    reserved_delta: int
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class RecentMovement:
    """A ledger line with its SKU, for the list of what moves now."""

    id: UUID
    variant_id: UUID
    sku: str
    at: datetime
    kind: str
    on_hand_delta: int
    reserved_delta: int
    held_delta: int
    on_hand_after: int
    reserved_after: int


_SELECT = """
    select v.id as variant_id, v.product_id, v.sku,
           case when v.title = '' or v.title = p.title then p.title else p.title || ' · ' || v.title end as title,
           s.on_hand, s.reserved, s.held, s.unavailable, s.incoming, s.safety_stock, s.locations,
           coalesce((select sum(quantity) from shortage h where h.organisation_id = v.organisation_id
                     and h.variant_id = v.id and h.state = 'open'), 0)::bigint as shortage,
           (select min(floor(coalesce(k.units, 0)::numeric / b.quantity))::bigint
            from bundle_component b
            cross join lateral (
                select sum(l.on_hand - l.reserved - l.held - l.unavailable - l.safety_stock)
                       - coalesce((select sum(quantity) from shortage h where h.organisation_id = $1
                                   and h.variant_id = b.component_id and h.state = 'open'), 0) as units
                from stock_level l where l.organisation_id = $1 and l.variant_id = b.component_id) k
            where b.organisation_id = v.organisation_id and b.bundle_id = v.id) as bundle_units
    from {source} v
    join product p on p.organisation_id = v.organisation_id and p.id = v.product_id
    cross join lateral (
        select coalesce(sum(on_hand), 0)::bigint as on_hand, coalesce(sum(reserved), 0)::bigint as reserved,
               coalesce(sum(held), 0)::bigint as held, coalesce(sum(unavailable), 0)::bigint as unavailable,
               coalesce(sum(incoming), 0)::bigint as incoming, coalesce(sum(safety_stock), 0)::bigint as safety_stock,
               count(*) as locations
        from stock_level l where l.organisation_id = v.organisation_id and l.variant_id = v.id) s
    where v.organisation_id = $1
"""


_THRESHOLD = """(select t.low_at from stock_threshold t
    where t.organisation_id = $1 and t.scope = '{}' and t.scope_id = v.{})"""


def _row(record: asyncpg.Record) -> StockRow:
    return StockRow(**{name: record[name] for name in StockRow.__slots__})


async def list_stock(tx: Tx, chosen: StockFilter, cursor: str | None = None, limit: int = 50) -> Slice[StockRow]:
    """Return variants with their stock by SKU. Raises InvalidCursor."""
    limit = bounded(limit)
    after = decode_cursor(cursor, str)
    args: list[Any] = [tx.organisation]
    where = []
    if after:
        args.append(after[0])
        where.append(f"v.sku > ${len(args)}")
    text = chosen.search.strip()
    if text:
        args += [text.upper(), text.lower()]
        where.append(
            f"""(upper(v.sku) ^@ ${len(args) - 1} or position(${len(args)} in lower(p.title)) > 0
                 or v.barcode = ${len(args)})"""
        )
    if chosen.state in ("low", "out"):
        args.append(chosen.low_at if chosen.state == "low" else 0)
        few = f"${len(args)}"
        if chosen.state == "low":
            few = f"coalesce({_THRESHOLD.format('variant', 'id')}, {_THRESHOLD.format('product', 'product_id')}, {few})"
        where.append(f"s.on_hand - s.reserved - s.held - s.unavailable - s.safety_stock <= {few}")
        # Of a bundle there are as many as its parts make: they are in the list themselves.
        where.append("not exists (select from bundle_component b where b.organisation_id = $1 and b.bundle_id = v.id)")
    if chosen.state == "short":
        where.append("""v.id in (select variant_id from shortage where organisation_id = $1 and state = 'open')""")
    args.append(limit + 1)
    extra = "".join(f" and {condition}" for condition in where)
    rows = await tx.fetch(f"{_SELECT.format(source='variant')}{extra} order by v.sku limit ${len(args)}", *args)
    items = [_row(row) for row in rows]
    return slice_of(items, limit, (items[limit - 1].sku,) if len(items) > limit else None)


async def stock_rows(tx: Tx, variant_ids: Sequence[UUID]) -> tuple[StockRow, ...]:
    """Return the stock of these variants, by SKU."""
    rows = await tx.fetch(
        f"{_SELECT.format(source='variant')} and v.id = any($2) order by v.sku", tx.organisation, list(variant_ids)
    )
    return tuple(_row(row) for row in rows)


async def stock_row(tx: Tx, variant_id: UUID) -> StockRow:
    """Return the stock of one variant. Raises NotFound."""
    rows = await stock_rows(tx, [variant_id])
    if not rows:
        raise NotFound("There is no such variant.")
    return rows[0]


async def levels_of(tx: Tx, variant_ids: Sequence[UUID]) -> tuple[LevelView, ...]:
    """Return the stock of these variants by location, the preferred location first."""
    rows = await tx.fetch(
        """select s.variant_id, s.location_id, l.name as location, s.on_hand, s.reserved, s.held, s.unavailable,
                  s.incoming, s.safety_stock
           from stock_level s join location l on l.organisation_id = s.organisation_id and l.id = s.location_id
           where s.organisation_id = $1 and s.variant_id = any($2) order by s.variant_id, l.priority, l.name""",
        tx.organisation,
        list(variant_ids),
    )
    return tuple(LevelView(**dict(row)) for row in rows)


async def locations(tx: Tx) -> tuple[tuple[UUID, str], ...]:
    """Return (id, name) of the locations in use, the preferred first."""
    rows = await tx.fetch(
        "select id, name from location where organisation_id = $1 and active order by priority, name", tx.organisation
    )
    return tuple((row["id"], row["name"]) for row in rows)


async def movements_of(tx: Tx, variant_id: UUID, cursor: str | None = None, limit: int = 50) -> Slice[MovementView]:
    """Return the ledger of a variant, newest first. Raises InvalidCursor."""
    limit = bounded(limit)
    after = decode_cursor(cursor, UUID)
    rows = await tx.fetch(
        """select m.id, m.at, m.kind, l.name as location, m.on_hand_delta, m.reserved_delta, m.held_delta,
                  m.on_hand_after, m.reserved_after, m.reference_kind, m.reference_id, m.reason, m.actor
           from stock_movement m join location l on l.organisation_id = m.organisation_id and l.id = m.location_id
           where m.organisation_id = $1 and m.variant_id = $2 and ($3::uuid is null or m.id < $3)
           order by m.id desc limit $4""",
        tx.organisation,
        variant_id,
        after[0] if after else None,
        limit + 1,
    )
    items = [MovementView(**dict(row)) for row in rows]
    return slice_of(items, limit, (items[limit - 1].id,) if len(items) > limit else None)


async def movements_about(
    tx: Tx, variant_ids: Sequence[UUID], reference_ids: Sequence[UUID], noted: Sequence[UUID]
) -> tuple[MovementAbout, ...]:
    """Return the ledger lines about these references (order lines), oldest first.

    `noted`: ids of what another room wrote down about them; only what was written near one of these is looked at, as the
    ledger may be long.
    """
    windows = _windows([made_at(id) for id in noted])
    rows = await tx.fetch(
        """select m.id, m.at, m.kind, v.sku, l.name as location, m.on_hand_delta, m.reserved_delta, m.reason, m.actor
           from unnest($2::uuid[], $3::uuid[]) as w(first, last)
           cross join (select unnest($4::uuid[]) as variant_id union
                       select component_id from bundle_component
                       where organisation_id = $1 and bundle_id = any($4::uuid[])) u
           join location l on l.organisation_id = $1
           join stock_movement m on m.organisation_id = $1 and m.variant_id = u.variant_id and m.location_id = l.id
                and m.id >= w.first and m.id < w.last
           join variant v on v.organisation_id = $1 and v.id = u.variant_id
           where m.reference_id = any($5::uuid[])
           order by m.id""",
        tx.organisation,
        [first_id_at(start) for start, _ in windows],
        [first_id_at(end) for _, end in windows],
        list(variant_ids),
        list(reference_ids),
    )
    return tuple(MovementAbout(**dict(row)) for row in rows)


def _windows(moments: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
    """Return spans around these moments, joined where they overlap."""
    joined: list[tuple[datetime, datetime]] = []
    for moment in sorted(moments):
        if joined and moment - BEFORE <= joined[-1][1]:
            joined[-1] = (joined[-1][0], moment + AFTER)
        else:
            joined.append((moment - BEFORE, moment + AFTER))
    return joined


async def moved_variants(tx: Tx, since_id: UUID, limit: int = 500) -> dict[UUID, UUID]:
    """Return the variants whose stock moved after that id was made: variant -> its newest movement."""
    rows = await tx.fetch(
        """select distinct on (variant_id) variant_id, id from (
               select variant_id, id from stock_movement where organisation_id = $1 and id > $2
               order by id desc limit $3) recent
           order by variant_id, id desc""",
        tx.organisation,
        since_id,
        limit * 4,
    )
    return dict(list({row["variant_id"]: row["id"] for row in rows}.items())[:limit])


async def recent_movements(tx: Tx, since_id: UUID | None = None, limit: int = 12) -> tuple[RecentMovement, ...]:
    """Return the newest ledger lines (made after `since_id`), newest first."""
    rows = await tx.fetch(
        """select m.id, m.variant_id, v.sku, m.at, m.kind, m.on_hand_delta, m.reserved_delta, m.held_delta,
                  m.on_hand_after, m.reserved_after
           from (select * from stock_movement where organisation_id = $1 and ($2::uuid is null or id > $2)
                 order by id desc limit $3) m
           join variant v on v.organisation_id = m.organisation_id and v.id = m.variant_id
           order by m.id desc""",
        tx.organisation,
        since_id,
        limit,
    )
    return tuple(RecentMovement(**dict(row)) for row in rows)


async def open_shortages(tx: Tx, limit: int = 999) -> int:
    """Return how many variants are short, counting no further than `limit`."""
    found: int = await tx.fetch_value(
        """select count(distinct variant_id) from (
               select variant_id from shortage where organisation_id = $1 and state = 'open' limit $2) s""",
        tx.organisation,
        limit,
    )
    return found
