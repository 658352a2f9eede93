"""What pages and the API read of fulfilment. Select statements only; lists are paged by key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.fulfilment.contracts import RulesNotFound, WorkNotFound
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.paging import Slice, bounded, decode_cursor, slice_of

STATUSES = ("open", "in_progress", "ready", "shipped", "cancelled")
COUNT_LIMIT = 999
TRIED_MOST = 500
"""Orders that rules are tried out on."""


@dataclass(frozen=True, slots=True)
class WorkRow:
    """A fulfilment order. `pinned`: a person chose its place; units are counted over its lines."""

    id: UUID
    order_id: UUID
    number: str
    connection: str
    location_id: UUID
    location: str
    status: str
    pinned: bool
    units: int
    picked: int
    shipped: int
    placed_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WorkLine:
    """Units of an order line that a fulfilment order has to send."""

    order_line_id: UUID
    sku: str
    title: str
    quantity: int
    picked: int
    shipped: int


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """Units of an order line that wait, and for what."""

    order_line_id: UUID
    order_id: UUID
    number: str
    sku: str
    title: str
    quantity: int
    reason: str
    look_at: datetime | None
    cancel_at: datetime | None


@dataclass(frozen=True, slots=True)
class RoutingView:
    """How an order was routed last: the version of the rules (0: none were in force), the rule, why."""

    rules_number: int
    rule: str
    steps: tuple[str, ...]
    routed_at: datetime


@dataclass(frozen=True, slots=True)
class RulesRow:
    """A version of the routing rules."""

    number: int
    rules: dict[str, Any]
    note: str
    actor: str
    in_force: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """What routing knows of a location in use. `cost_minor`: of a parcel; `daily_capacity`: orders a day."""

    location_id: UUID
    name: str
    country: str
    region: str
    cost_minor: int
    daily_capacity: int | None
    groups: tuple[str, ...]


WORK = """
select f.id, f.order_id, o.number, c.name as connection, f.location_id, p.name as location, f.status, f.pinned,
       t.units, t.picked, t.shipped, o.placed_at, f.created_at
from fulfilment_order f
join sales_order o on o.organisation_id = $1 and o.id = f.order_id
join connection c on c.organisation_id = $1 and c.id = o.connection_id
join location p on p.organisation_id = $1 and p.id = f.location_id
cross join lateral (select coalesce(sum(quantity), 0)::bigint as units, coalesce(sum(picked), 0)::bigint as picked,
                           coalesce(sum(shipped), 0)::bigint as shipped
                    from fulfilment_order_line where organisation_id = $1 and fulfilment_order_id = f.id) t
where f.organisation_id = $1 and {which}
order by f.id {limit}
"""


async def list_work(
    tx: Tx, status: str = "open", location_id: UUID | None = None, cursor: str | None = None, limit: int = 50
) -> Slice[WorkRow]:
    """Return fulfilment orders in a status, those made first before others. Raises InvalidInput."""
    if status not in STATUSES:
        raise InvalidInput(f"{status!r} is not a status of a fulfilment order. Known: {', '.join(STATUSES)}.")
    limit, after = bounded(limit), decode_cursor(cursor, UUID)
    which = "f.status = $2 and ($3::uuid is null or f.location_id = $3) and ($4::uuid is null or f.id > $4)"
    rows = await tx.fetch(
        WORK.format(which=which, limit="limit $5"),
        tx.organisation,
        status,
        location_id,
        after[0] if after else None,
        limit + 1,
    )
    found = [WorkRow(**dict(row)) for row in rows]
    return slice_of(found, limit, (found[limit - 1].id,) if len(found) > limit else None)


async def work_counts(tx: Tx) -> dict[str, int]:
    """Return how many fulfilment orders are to be picked, picked and packed, and how many order lines wait."""
    rows = await tx.fetch(
        "select status, count(*) from fulfilment_order where organisation_id = $1"
        " and status in ('open', 'in_progress', 'ready') group by status",
        tx.organisation,
    )
    parked = await tx.fetch_value(
        "select count(distinct order_line_id) from parked_line where organisation_id = $1", tx.organisation
    )
    return {"open": 0, "in_progress": 0, "ready": 0, **{row[0]: row[1] for row in rows}, "parked": parked}


async def work(tx: Tx, id: UUID) -> tuple[WorkRow, tuple[WorkLine, ...]]:
    """Return a fulfilment order with its lines. Raises WorkNotFound."""
    row = await tx.fetch_row(WORK.format(which="f.id = $2", limit=""), tx.organisation, id)
    if row is None:
        raise WorkNotFound()
    return WorkRow(**dict(row)), (await work_lines(tx, [id])).get(id, ())


async def work_of_order(tx: Tx, order_id: UUID) -> tuple[WorkRow, ...]:
    """Return the fulfilment orders of an order that are not cancelled."""
    rows = await tx.fetch(
        WORK.format(which="f.order_id = $2 and f.status <> 'cancelled'", limit=""), tx.organisation, order_id
    )
    return tuple(WorkRow(**dict(row)) for row in rows)


@dataclass(frozen=True, slots=True)
class OrderWork:
    """Where an order goes and why. `lines`: of fulfilment orders, by its id; `parked`: the first 250 that wait."""

    work: tuple[WorkRow, ...]
    lines: dict[UUID, tuple[WorkLine, ...]]
    parked: Slice[ParkedRow]
    routing: RoutingView | None


async def of_order(tx: Tx, order_id: UUID) -> OrderWork:
    """Return where an order goes and why."""
    found = await work_of_order(tx, order_id)
    lines = await work_lines(tx, [each.id for each in found])
    return OrderWork(found, lines, await list_parked(tx, order_id, limit=250), await routing_of(tx, order_id))


async def work_lines(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, tuple[WorkLine, ...]]:
    """Return the lines of fulfilment orders, by fulfilment order."""
    rows = await tx.fetch(
        """
        select w.fulfilment_order_id, w.order_line_id, coalesce(l.sku, v.sku, '') as sku, l.title, w.quantity, w.picked,
               w.shipped
        from fulfilment_order_line w
        join order_line l on l.organisation_id = $1 and l.id = w.order_line_id
        left join variant v on v.organisation_id = $1 and v.id = l.variant_id
        where w.organisation_id = $1 and w.fulfilment_order_id = any($2::uuid[]) and w.quantity > 0
        order by w.fulfilment_order_id, l.position, l.id
        """,
        tx.organisation,
        list(ids),
    )
    found: dict[UUID, list[WorkLine]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(WorkLine(*tuple(row)[1:]))
    return {id: tuple(lines) for id, lines in found.items()}


async def routing_of(tx: Tx, order_id: UUID) -> RoutingView | None:
    """Return how an order was routed last, None if it never was."""
    row = await tx.fetch_row(
        "select rules_number, rule, steps, routed_at from order_routing where organisation_id = $1 and order_id = $2",
        tx.organisation,
        order_id,
    )
    return None if row is None else RoutingView(row[0], row[1], tuple(row[2]), row[3])


async def list_parked(
    tx: Tx, order_id: UUID | None = None, cursor: str | None = None, limit: int = 50
) -> Slice[ParkedRow]:
    """Return order lines (of an order) of which units wait, those that came first before others."""
    limit, after = bounded(limit), decode_cursor(cursor, UUID)
    rows = await tx.fetch(
        """
        select distinct on (w.order_line_id) w.order_line_id, w.order_id, o.number, coalesce(l.sku, v.sku, '') as sku,
               l.title, w.quantity, w.reason, w.look_at, w.cancel_at
        from parked_line w
        join sales_order o on o.organisation_id = $1 and o.id = w.order_id
        join order_line l on l.organisation_id = $1 and l.id = w.order_line_id
        left join variant v on v.organisation_id = $1 and v.id = l.variant_id
        where w.organisation_id = $1 and ($2::uuid is null or w.order_id = $2) and ($3::uuid is null or w.order_line_id > $3)
        order by w.order_line_id limit $4
        """,
        tx.organisation,
        order_id,
        after[0] if after else None,
        limit + 1,
    )
    found = [ParkedRow(**dict(row)) for row in rows]
    return slice_of(found, limit, (found[limit - 1].order_line_id,) if len(found) > limit else None)


async def rules_versions(tx: Tx, limit: int = 20) -> tuple[RulesRow, ...]:
    """Return the newest versions of the routing rules, and the one in force."""
    rows = await tx.fetch(
        "select number, rules, note, actor, in_force, created_at from routing_rules where organisation_id = $1"
        " order by in_force desc, number desc limit $2",
        tx.organisation,
        limit,
    )
    return tuple(RulesRow(**dict(row)) for row in rows)


async def rules_version(tx: Tx, number: int) -> RulesRow:
    """Return a version of the routing rules. Raises RulesNotFound."""
    row = await tx.fetch_row(
        "select number, rules, note, actor, in_force, created_at from routing_rules"
        " where organisation_id = $1 and number = $2",
        tx.organisation,
        number,
    )
    if row is None:
        raise RulesNotFound()
    return RulesRow(**dict(row))


async def list_places(tx: Tx) -> tuple[PlaceRow, ...]:
    """Return the locations in use, with what routing knows of them, in the order in which stock is taken."""
    rows = await tx.fetch(
        """
        select l.id as location_id, l.name, coalesce(p.country, '') as country, coalesce(p.region, '') as region,
               coalesce(p.cost_minor, 0) as cost_minor, p.daily_capacity, coalesce(p.groups, '{}') as groups
        from location l
        left join routing_place p on p.organisation_id = $1 and p.location_id = l.id
        where l.organisation_id = $1 and l.active order by l.priority, l.id
        """,
        tx.organisation,
    )
    return tuple(PlaceRow(**(dict(row) | {"groups": tuple(row["groups"])})) for row in rows)


async def orders_to_try(tx: Tx, *, past: bool, limit: int = TRIED_MOST) -> list[UUID]:
    """Return the newest orders to try rules on: those that are to be sent, or `past` ones that have left."""
    rows = await tx.fetch(
        "select id from sales_order where organisation_id = $1 and status = any($2::text[]) and not fulfilled_by_channel"
        " order by placed_at desc, id desc limit $3",
        tx.organisation,
        ["shipped"] if past else ["open", "partly_shipped"],
        limit,
    )
    return [row[0] for row in rows]
