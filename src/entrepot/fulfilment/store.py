"""Statements of the fulfilment room that change rows. An order's rows are written with the order locked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.fulfilment.contracts import Sending
from entrepot.kernel.ids import new_id

# ---- requests ------------------------------------------------------------------------------------------------------


async def ask(tx: Tx, order_ids: Sequence[UUID], kind: str, due_at: datetime) -> None:
    """Ask for these orders to be looked at from a time on. `kind`: order, stock or person."""
    if order_ids:
        await tx.execute(
            "insert into routing_request (organisation_id, id, order_id, kind, due_at)"
            " select $1, i.id, i.order_id, $4, $5 from unnest($2::uuid[], $3::uuid[]) as i(id, order_id)",
            tx.organisation,
            [new_id() for _ in order_ids],
            list(order_ids),
            kind,
            due_at,
        )


async def due_orders(tx: Tx, now: datetime, limit: int) -> list[UUID]:
    """Return orders that are to be looked at, those asked for first."""
    rows = await tx.fetch(
        "select order_id from (select order_id, due_at from routing_request where organisation_id = $1 and due_at <= $2"
        " order by due_at limit 10 * $3) due group by order_id order by min(due_at), order_id limit $3",
        tx.organisation,
        now,
        limit,
    )
    return [row[0] for row in rows]


async def take_requests(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, set[str]]:
    """Delete what is asked of these locked orders, also for later; return the kinds by order.

    Read the orders after this: what was changed before a request is then seen.
    """
    kinds: dict[UUID, set[str]] = {}
    for row in await tx.fetch(
        "delete from routing_request where organisation_id = $1 and order_id = any($2::uuid[]) returning order_id, kind",
        tx.organisation,
        order_ids,
    ):
        kinds.setdefault(row["order_id"], set()).add(row["kind"])
    return kinds


async def postpone(tx: Tx, order_id: UUID, due_at: datetime) -> None:
    """Look at an order not before a time."""
    await tx.execute(
        "update routing_request set due_at = $3 where organisation_id = $1 and order_id = $2 and due_at < $3",
        tx.organisation,
        order_id,
        due_at,
    )


async def parked_for(tx: Tx, variant_ids: Sequence[UUID]) -> list[UUID]:
    """Return orders of which units wait for one of these variants."""
    rows = await tx.fetch(
        "select distinct order_id from parked_line where organisation_id = $1 and variant_id = any($2::uuid[])",
        tx.organisation,
        variant_ids,
    )
    return [row[0] for row in rows]


async def all_parked(tx: Tx) -> list[UUID]:
    """Return all orders of which units wait."""
    rows = await tx.fetch("select distinct order_id from parked_line where organisation_id = $1", tx.organisation)
    return [row[0] for row in rows]


# ---- what was decided ----------------------------------------------------------------------------------------------


async def put_routing(tx: Tx, rows: Sequence[tuple[UUID, int, str, Sequence[str], datetime]]) -> None:
    """Keep (order, rules' number, rule, steps, at): how orders were routed last."""
    await tx.execute_many(
        "insert into order_routing (organisation_id, order_id, rules_number, rule, steps, routed_at)"
        " values ($1, $2, $3, $4, $5, $6) on conflict (organisation_id, order_id) do update set"
        " rules_number = excluded.rules_number, rule = excluded.rule, steps = excluded.steps,"
        " routed_at = excluded.routed_at",
        [(tx.organisation, *row) for row in rows],
    )


ParkedRow = tuple[UUID, UUID, UUID, int, str, "datetime | None", "datetime | None"]


async def put_parked(tx: Tx, order_ids: Sequence[UUID], rows: Sequence[ParkedRow]) -> None:
    """Let of these orders wait (line, variant, order, units, reason, look at, cancel at), and nothing else."""
    await tx.execute(
        "delete from parked_line where organisation_id = $1 and order_id = any($2::uuid[])", tx.organisation, order_ids
    )
    if rows:
        await tx.execute(
            "insert into parked_line (organisation_id, order_line_id, variant_id, order_id, quantity, reason, look_at,"
            " cancel_at) select $1, i.* from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::text[],"
            " $7::timestamptz[], $8::timestamptz[]) as i",
            tx.organisation,
            *map(list, zip(*rows, strict=True)),
        )


# ---- fulfilment orders ---------------------------------------------------------------------------------------------

SENDINGS = """
select f.id, f.order_id, f.location_id, f.status, f.pinned, f.created_at, l.order_line_id, l.quantity - l.shipped as units
from fulfilment_order f
left join fulfilment_order_line l on l.organisation_id = $1 and l.fulfilment_order_id = f.id
where f.organisation_id = $1 and f.order_id = any($2::uuid[]) and f.status in ('open', 'in_progress', 'ready')
order by f.id, l.order_line_id
"""


async def sendings(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, list[Sending]]:
    """Return the fulfilment orders of these orders that have something to send, by order."""
    heads: dict[UUID, tuple[Any, dict[UUID, int]]] = {}
    for row in await tx.fetch(SENDINGS, tx.organisation, order_ids):
        _, lines = heads.setdefault(row["id"], (row, {}))
        if row["units"]:
            lines[row["order_line_id"]] = row["units"]
    found: dict[UUID, list[Sending]] = {}
    for head, lines in heads.values():
        found.setdefault(head["order_id"], []).append(
            Sending(
                head["id"], head["order_id"], head["location_id"], head["status"], head["pinned"], head["created_at"], lines
            )
        )  # fmt: skip
    return found


async def order_of(tx: Tx, id: UUID) -> UUID | None:
    """Return the order of a fulfilment order."""
    found: UUID | None = await tx.fetch_value(
        "select order_id from fulfilment_order where organisation_id = $1 and id = $2", tx.organisation, id
    )
    return found


@dataclass(frozen=True, slots=True)
class NewSending:
    """A fulfilment order to be: units by line from a place."""

    id: UUID
    order_id: UUID
    location_id: UUID
    lines: Mapping[UUID, int]
    pinned: bool = False


async def insert_sendings(tx: Tx, made: Sequence[NewSending]) -> None:
    """Insert open fulfilment orders with their lines."""
    if not made:
        return
    await tx.execute(
        "insert into fulfilment_order (organisation_id, id, order_id, location_id, pinned)"
        " select $1, i.* from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::boolean[]) as i",
        tx.organisation,
        [each.id for each in made],
        [each.order_id for each in made],
        [each.location_id for each in made],
        [each.pinned for each in made],
    )
    rows = [(each.id, line, units) for each in made for line, units in each.lines.items()]
    await tx.execute(
        "insert into fulfilment_order_line (organisation_id, fulfilment_order_id, order_line_id, quantity)"
        " select $1, i.* from unnest($2::uuid[], $3::uuid[], $4::bigint[]) as i",
        tx.organisation,
        *map(list, zip(*rows, strict=True)),
    )


async def put_units(tx: Tx, id: UUID, lines: Mapping[UUID, int]) -> None:
    """Set what a fulfilment order has yet to send, by line; of lines that are not named nothing."""
    await tx.execute(
        "update fulfilment_order_line set quantity = shipped, picked = shipped where organisation_id = $1"
        " and fulfilment_order_id = $2 and order_line_id <> all($3::uuid[])",
        tx.organisation,
        id,
        list(lines),
    )
    await tx.execute(
        "insert into fulfilment_order_line as l (organisation_id, fulfilment_order_id, order_line_id, quantity)"
        " select $1, $2, i.* from unnest($3::uuid[], $4::bigint[]) as i"
        " on conflict (organisation_id, fulfilment_order_id, order_line_id) do update"
        " set quantity = l.shipped + excluded.quantity, picked = least(l.picked, l.shipped + excluded.quantity)",
        tx.organisation,
        id,
        list(lines),
        list(lines.values()),
    )


async def end_if_empty(tx: Tx, ids: Sequence[UUID]) -> None:
    """End fulfilment orders that have nothing to send any more: shipped where a part left, else cancelled."""
    await tx.execute(
        """
        update fulfilment_order f
        set status = case when t.shipped > 0 then 'shipped' else 'cancelled' end, updated_at = now()
        from (select fulfilment_order_id as id, sum(quantity) as quantity, sum(shipped) as shipped
              from fulfilment_order_line where organisation_id = $1 and fulfilment_order_id = any($2::uuid[])
              group by 1) t
        where f.organisation_id = $1 and f.id = t.id and t.quantity = t.shipped and f.status <> 'cancelled'
        """,
        tx.organisation,
        ids,
    )


async def set_sending(
    tx: Tx, id: UUID, *, status: str | None = None, location_id: UUID | None = None, pinned: bool | None = None
) -> None:
    """Set the status, the place or whether rules leave it alone."""
    await tx.execute(
        "update fulfilment_order set status = coalesce($3, status), location_id = coalesce($4, location_id),"
        " pinned = coalesce($5, pinned), updated_at = now() where organisation_id = $1 and id = $2",
        tx.organisation,
        id,
        status,
        location_id,
        pinned,
    )


async def set_picked(tx: Tx, id: UUID, lines: Mapping[UUID, int]) -> None:
    """Set how many units of lines have been picked."""
    await tx.execute(
        "update fulfilment_order_line l set picked = l.shipped + i.units from unnest($3::uuid[], $4::bigint[]) as i(id, units)"
        " where l.organisation_id = $1 and l.fulfilment_order_id = $2 and l.order_line_id = i.id",
        tx.organisation,
        id,
        list(lines),
        list(lines.values()),
    )


async def count_shipped(tx: Tx, id: UUID, lines: Mapping[UUID, int]) -> None:
    """Add units by line that have left."""
    await tx.execute(
        "update fulfilment_order_line l set shipped = l.shipped + i.units,"
        " picked = greatest(l.picked, l.shipped + i.units) from unnest($3::uuid[], $4::bigint[]) as i(id, units)"
        " where l.organisation_id = $1 and l.fulfilment_order_id = $2 and l.order_line_id = i.id",
        tx.organisation,
        id,
        list(lines),
        list(lines.values()),
    )


# ---- rules and places ----------------------------------------------------------------------------------------------


async def rules_in_force(tx: Tx) -> Any:
    """Return (number, rules) of the version in force, None if there is none."""
    return await tx.fetch_row(
        "select number, rules from routing_rules where organisation_id = $1 and in_force", tx.organisation
    )


async def lock_rules(tx: Tx) -> int:
    """Let nobody else write a version of this organisation's rules meanwhile; return the newest number."""
    await tx.execute(
        "select pg_advisory_xact_lock(hashtextextended('routing_rules' || $1::uuid::text, 0))", tx.organisation
    )
    found: int = await tx.fetch_value(
        "select coalesce(max(number), 0) from routing_rules where organisation_id = $1", tx.organisation
    )
    return found


async def insert_rules(tx: Tx, number: int, rules: Mapping[str, Any], note: str, actor: str) -> None:
    """Insert a version of the rules, not in force."""
    await tx.execute(
        "insert into routing_rules (organisation_id, id, number, rules, note, actor) values ($1, $2, $3, $4, $5, $6)",
        tx.organisation,
        new_id(),
        number,
        rules,
        note,
        actor,
    )


async def put_in_force(tx: Tx, number: int) -> bool:
    """Let this version alone be in force; return whether it is there."""
    await tx.execute(
        "update routing_rules set in_force = false where organisation_id = $1 and in_force and number <> $2",
        tx.organisation,
        number,
    )
    return bool(
        await tx.execute(
            "update routing_rules set in_force = true where organisation_id = $1 and number = $2",
            tx.organisation,
            number,
        )
    )


async def place_facts(tx: Tx) -> Sequence[Any]:
    """Return what is known of locations: (location_id, country, region, cost_minor, daily_capacity, groups)."""
    return await tx.fetch(
        "select location_id, country, region, cost_minor, daily_capacity, groups from routing_place"
        " where organisation_id = $1",
        tx.organisation,
    )


async def put_place(
    tx: Tx, location_id: UUID, country: str, region: str, cost_minor: int, daily_capacity: int | None,
    groups: Sequence[str],
) -> None:  # fmt: skip
    """Keep what is known of a location."""
    await tx.execute(
        "insert into routing_place (organisation_id, location_id, country, region, cost_minor, daily_capacity, groups)"
        " values ($1, $2, $3, $4, $5, $6, $7) on conflict (organisation_id, location_id) do update set"
        " country = excluded.country, region = excluded.region, cost_minor = excluded.cost_minor,"
        " daily_capacity = excluded.daily_capacity, groups = excluded.groups, updated_at = now()",
        tx.organisation,
        location_id,
        country,
        region,
        cost_minor,
        daily_capacity,
        list(groups),
    )


async def begun_since(tx: Tx, since: datetime) -> dict[UUID, int]:
    """Return how many fulfilment orders were made for each location since, but for those that were cancelled."""
    rows = await tx.fetch(
        "select location_id, count(*) from fulfilment_order where organisation_id = $1 and created_at >= $2"
        " and status <> 'cancelled' group by location_id",
        tx.organisation,
        since,
    )
    return {row[0]: row[1] for row in rows}
