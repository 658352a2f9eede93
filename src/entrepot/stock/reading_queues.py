"""What pages and the API read of locations, movements, shortages, alerts and suggestions. Select statements only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.kernel.errors import InvalidInput, NotFound
from entrepot.kernel.ids import first_id_at
from entrepot.kernel.paging import Key, Slice, bounded, decode_cursor, slice_of

T = TypeVar("T")

GOODS_KINDS = ("sale", "purchase", "adjustment", "transfer", "return", "count", "damage")
"""Kinds of movement in which goods move or are found to have."""
CLAIM_KINDS = ("hold", "reserve", "release")
MOVEMENT_FILTERS = ("all", "goods", "claims", *GOODS_KINDS, *CLAIM_KINDS)
_GOODS = "m.kind not in ('hold', 'release', 'reserve')"


def paged(rows: Sequence[Any], make: Callable[..., T], limit: int, key: Callable[[T], Key]) -> Slice[T]:
    """Return up to `limit` rows of up to `limit + 1` as a slice of `make(**row)`."""
    items = [make(**dict(row)) for row in rows]
    return slice_of(items, limit, key(items[limit - 1]) if len(items) > limit else None)


# ---- locations -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LocationRow:
    """A location with what is there, in units, and of how many SKUs. `buffer`: units of each kept back from channels."""

    id: UUID
    name: str
    kind: str
    priority: int
    active: bool
    buffer: int
    skus: int
    on_hand: int
    reserved: int
    incoming: int


async def location_rows(tx: Tx) -> tuple[LocationRow, ...]:
    """Return all locations, those in use first, in the order in which stock is taken from them."""
    rows = await tx.fetch(
        """
        select l.id, l.name, l.kind, l.priority, l.active, l.buffer, coalesce(s.skus, 0) as skus,
               coalesce(s.on_hand, 0)::bigint as on_hand, coalesce(s.reserved, 0)::bigint as reserved,
               coalesce(s.incoming, 0)::bigint as incoming
        from location l
        left join (select location_id, count(*) filter (where on_hand > 0) as skus, sum(on_hand) as on_hand,
                          sum(reserved + held) as reserved, sum(incoming) as incoming
                   from stock_level where organisation_id = $1 group by 1) s on s.location_id = l.id
        where l.organisation_id = $1 order by l.active desc, l.priority, l.id
        """,
        tx.organisation,
    )
    return tuple(LocationRow(**dict(row)) for row in rows)


async def location_row(tx: Tx, id: UUID) -> LocationRow:
    """Return one location. Raises NotFound."""
    for row in await location_rows(tx):
        if row.id == id:
            return row
    raise NotFound("There is no such location.", location_id=str(id))


# ---- movements -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MovementFilter:
    """Which ledger lines. `kind`: one of MOVEMENT_FILTERS; `variant_id` None: of all; times by when they were written."""

    kind: str = "all"
    variant_id: UUID | None = None
    location_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class MovementRow:
    """A ledger line with before and after."""

    id: UUID
    at: datetime
    kind: str
    variant_id: UUID
    sku: str
    location_id: UUID
    location: str
    on_hand_delta: int
    reserved_delta: int
    held_delta: int
    unavailable_delta: int
    incoming_delta: int
    on_hand_before: int
    on_hand_after: int
    reserved_before: int
    reserved_after: int
    reference_kind: str
    reference_id: UUID | None
    reason: str
    actor: str


_MOVEMENT = """
    select m.id, m.at, m.kind, m.variant_id, v.sku, m.location_id, l.name as location, m.on_hand_delta,
           m.reserved_delta, m.held_delta, m.unavailable_delta, m.incoming_delta,
           m.on_hand_after - m.on_hand_delta as on_hand_before, m.on_hand_after,
           m.reserved_after - m.reserved_delta as reserved_before, m.reserved_after,
           m.reference_kind, m.reference_id, m.reason, m.actor
"""


def _id_at(moment: datetime) -> UUID:
    """Return the least id of that moment; of one before 1970 the least of all."""
    return first_id_at(max(moment, datetime(1970, 1, 1, tzinfo=UTC)))


async def list_movements(
    tx: Tx, chosen: MovementFilter, cursor: str | None = None, limit: int = 50
) -> Slice[MovementRow]:
    """Return ledger lines, newest first. Raises InvalidCursor, InvalidInput."""
    limit = bounded(limit)
    if chosen.kind not in MOVEMENT_FILTERS:
        raise InvalidInput(f"{chosen.kind!r} is not a kind of movement.")
    after = decode_cursor(cursor, UUID)
    args: list[Any] = [tx.organisation]

    def arg(value: Any) -> str:
        args.append(value)
        return f"${len(args)}"

    where = ["m.organisation_id = $1"]
    if after:
        where.append(f"m.id < {arg(after[0])}")
    if chosen.since is not None:
        where.append(f"m.id >= {arg(_id_at(chosen.since))}")
    if chosen.until is not None:
        where.append(f"m.id < {arg(_id_at(chosen.until))}")
    if chosen.kind in CLAIM_KINDS or chosen.kind == "claims":
        where.append(f"m.kind = any({arg(list(CLAIM_KINDS) if chosen.kind == 'claims' else [chosen.kind])}::text[])")
    elif chosen.kind != "all":
        # Said as the partial indexes say it, so that they serve.
        where.append(_GOODS if chosen.kind == "goods" else f"{_GOODS} and m.kind = {arg(chosen.kind)}")
    if chosen.location_id is not None:
        where.append(f"m.location_id = {arg(chosen.location_id)}")
    most = arg(limit + 1)
    claims_too = chosen.kind in (*CLAIM_KINDS, "claims", "all")
    if chosen.variant_id is not None and not claims_too:
        where.append(f"m.variant_id = {arg(chosen.variant_id)}")
    if chosen.variant_id is not None and claims_too:
        # One short walk along the index per location, instead of sorting all that ever happened to the variant.
        own = " and ".join((*where, f"m.variant_id = {arg(chosen.variant_id)}", "m.location_id = l.id"))
        source = f"""from location l
            cross join lateral (select * from stock_movement m where {own} order by m.id desc limit {most}) m
            join variant v on v.organisation_id = $1 and v.id = m.variant_id
            where l.organisation_id = $1"""
    else:
        source = f"""from (select * from stock_movement m where {" and ".join(where)} order by m.id desc limit {most}) m
            join location l on l.organisation_id = $1 and l.id = m.location_id
            join variant v on v.organisation_id = $1 and v.id = m.variant_id"""
    rows = await tx.fetch(f"{_MOVEMENT} {source} order by m.id desc limit {most}", *args)
    return paged(rows, MovementRow, limit, lambda row: (row.id,))


# ---- shortages -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShortageRow:
    """Units that were sold and are not there. `remedy` is empty until somebody has chosen one."""

    id: UUID
    variant_id: UUID
    sku: str
    title: str
    quantity: int
    reason: str
    reference_id: UUID | None
    state: str
    remedy: str
    remedy_id: UUID | None
    remedy_by: str
    note: str
    created_at: datetime
    closed_at: datetime | None


async def list_shortages(tx: Tx, state: str = "open", cursor: str | None = None, limit: int = 50) -> Slice[ShortageRow]:
    """Return shortages: open ones, oldest first (they are filled in that order); closed ones, newest first."""
    if state not in ("open", "closed"):
        raise InvalidInput(f"{state!r} is not a state of a shortage.")
    limit = bounded(limit)
    after = decode_cursor(cursor, UUID)
    newer, order = (">", "asc") if state == "open" else ("<", "desc")
    only = "s.state = 'open'" if state == "open" else "s.state = 'closed'"
    rows = await tx.fetch(
        f"""
        select s.id, s.variant_id, v.sku, p.title, s.quantity, s.reason, s.reference_id, s.state, s.remedy, s.remedy_id,
               s.remedy_by, s.note, s.created_at, s.closed_at
        from (select * from shortage s where s.organisation_id = $1 and {only}
              and ($2::uuid is null or s.id {newer} $2) order by s.id {order} limit $3) s
        join variant v on v.organisation_id = $1 and v.id = s.variant_id
        join product p on p.organisation_id = $1 and p.id = v.product_id
        order by s.id {order}
        """,
        tx.organisation,
        after[0] if after else None,
        limit + 1,
    )
    return paged(rows, ShortageRow, limit, lambda row: (row.id,))


# ---- alerts and suggestions ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AlertRow:
    """A variant with few units left: at most `low_at`."""

    id: UUID
    variant_id: UUID
    sku: str
    title: str
    available: int
    low_at: int
    seen_by: str
    created_at: datetime


async def list_alerts(tx: Tx, cursor: str | None = None, limit: int = 50) -> Slice[AlertRow]:
    """Return open alerts, newest first."""
    limit = bounded(limit)
    after = decode_cursor(cursor, UUID)
    rows = await tx.fetch(
        """
        select a.id, a.variant_id, v.sku, p.title, a.available, a.low_at, a.seen_by, a.created_at
        from (select * from stock_alert where organisation_id = $1 and state = 'open' and ($2::uuid is null or id < $2)
              order by id desc limit $3) a
        join variant v on v.organisation_id = $1 and v.id = a.variant_id
        join product p on p.organisation_id = $1 and p.id = v.product_id
        order by a.id desc
        """,
        tx.organisation,
        after[0] if after else None,
        limit + 1,
    )
    return paged(rows, AlertRow, limit, lambda row: (row.id,))


@dataclass(frozen=True, slots=True)
class SuggestionRow:
    """What to buy and why: `steps` are short sentences."""

    id: UUID
    variant_id: UUID
    sku: str
    title: str
    location_id: UUID
    location: str
    supplier_id: UUID | None
    supplier: str | None
    quantity: int
    position: int
    steps: list[str]
    state: str
    purchase_order_id: UUID | None
    created_at: datetime


SUGGESTION_STATES = ("open", "drafted", "dismissed", "ordered", "met")


async def list_suggestions(
    tx: Tx, state: str = "open", cursor: str | None = None, limit: int = 50
) -> Slice[SuggestionRow]:
    """Return suggestions in a state, newest first."""
    if state not in SUGGESTION_STATES:
        raise InvalidInput(f"{state!r} is not a state of a suggestion.")
    limit = bounded(limit)
    after = decode_cursor(cursor, UUID)
    rows = await tx.fetch(
        """
        select n.id, n.variant_id, v.sku, p.title, n.location_id, l.name as location, n.supplier_id, s.name as supplier,
               n.quantity, n.position, n.steps, n.state, n.purchase_order_id, n.created_at
        from (select * from reorder_suggestion where organisation_id = $1 and state = $2
              and ($3::uuid is null or id < $3) order by id desc limit $4) n
        join variant v on v.organisation_id = $1 and v.id = n.variant_id
        join product p on p.organisation_id = $1 and p.id = v.product_id
        join location l on l.organisation_id = $1 and l.id = n.location_id
        left join supplier s on s.organisation_id = $1 and s.id = n.supplier_id
        order by n.id desc
        """,
        tx.organisation,
        state,
        after[0] if after else None,
        limit + 1,
    )
    return paged(rows, SuggestionRow, limit, lambda row: (row.id,))


@dataclass(frozen=True, slots=True)
class RuleRow:
    """When a variant is bought for a location."""

    location_id: UUID
    location: str
    reorder_point: int
    reorder_quantity: int | None
    max_level: int | None


async def rules_of(tx: Tx, variant_id: UUID) -> tuple[RuleRow, ...]:
    """Return the reorder rules of a variant."""
    rows = await tx.fetch(
        """
        select r.location_id, l.name as location, r.reorder_point, r.reorder_quantity, r.max_level
        from reorder_rule r join location l on l.organisation_id = $1 and l.id = r.location_id
        where r.organisation_id = $1 and r.variant_id = $2 order by l.priority, l.id
        """,
        tx.organisation,
        variant_id,
    )
    return tuple(RuleRow(**dict(row)) for row in rows)


async def thresholds_of(tx: Tx, variant_id: UUID) -> dict[str, int]:
    """Return at how many units a variant is low by its own threshold and by its product's: scope -> units."""
    rows = await tx.fetch(
        """
        select t.scope, t.low_at from variant v
        join stock_threshold t on t.organisation_id = $1
            and (t.scope, t.scope_id) in (('variant', v.id), ('product', v.product_id))
        where v.organisation_id = $1 and v.id = $2
        """,
        tx.organisation,
        variant_id,
    )
    return {row[0]: row[1] for row in rows}


# ---- reservations ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeldLine:
    """Units that a hold has of a variant at a location."""

    variant_id: UUID
    sku: str
    location: str
    quantity: int
    state: str
    expires_at: datetime | None


async def hold_lines(tx: Tx, id: UUID) -> tuple[HeldLine, ...]:
    """Return the lines of a hold, also of one that has ended. Raises NotFound."""
    rows = await tx.fetch(
        """
        select r.variant_id, v.sku, l.name as location, r.quantity, r.state, r.expires_at
        from reservation r
        join variant v on v.organisation_id = $1 and v.id = r.variant_id
        join location l on l.organisation_id = $1 and l.id = r.location_id
        where r.organisation_id = $1 and r.id = $2 and r.kind = 'hold' order by r.line
        """,
        tx.organisation,
        id,
    )
    if not rows:
        raise NotFound("There is no such reservation.", reservation_id=str(id))
    return tuple(HeldLine(**dict(row)) for row in rows)
