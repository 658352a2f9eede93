"""Statements of listing fields: readings, what is to be merged, states."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.sync.merge.fields import FIELDS, Level
from entrepot.sync.merge.rules import FieldState
from entrepot.sync.merge.values import Value

PRODUCT_FIELDS = [f.name for f in FIELDS.values() if f.level is Level.PRODUCT]

# ---- readings --------------------------------------------------------------------------------------------

PUT_READINGS = """
insert into listing_reading as r (organisation_id, listing_id, connection_id, product_external_id, product_version,
    changed_at, rest, read_at)
select $1, i.listing_id, $2, i.product_external_id, i.product_version, i.changed_at, i.rest, $3
from unnest($4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::jsonb[])
     as i(listing_id, product_external_id, product_version, changed_at, rest)
order by i.listing_id
on conflict (organisation_id, listing_id) do update set
    product_external_id = excluded.product_external_id, product_version = excluded.product_version,
    changed_at = excluded.changed_at, rest = excluded.rest, read_at = excluded.read_at
where r.read_at <= excluded.read_at and (r.changed_at is null or excluded.changed_at is null
      or excluded.changed_at >= r.changed_at)
  and (r.product_external_id, r.product_version, r.rest) is distinct from
      (excluded.product_external_id, excluded.product_version, excluded.rest)
"""
"""A reading that says nothing new is not written: a check of a whole catalog mostly reads."""

Told = tuple[UUID, str, str, datetime | None, Mapping[str, Any]]
"""(listing, product on the channel, its version there, changed at by the channel's clock, the rest)"""


async def put_readings(tx: Tx, connection_id: UUID, read_at: datetime, rows: Sequence[Told]) -> None:
    """Store what listings are on the channel."""
    if rows:
        await tx.execute(PUT_READINGS, tx.organisation, connection_id, read_at, *map(list, zip(*rows, strict=True)))


CHOOSE_LEADS = """
with ranked as (
    select r.listing_id, r.product_external_id, r.leads,
           row_number() over (partition by r.product_external_id
               order by l.variant_id is null, not l.active, not r.leads, r.listing_id) = 1 as shall,
           first_value(r.listing_id) over (partition by r.product_external_id
               order by l.variant_id is null, not l.active, not r.leads, r.listing_id) as leader
    from listing_reading r join listing l on l.organisation_id = $1 and l.id = r.listing_id
    where r.organisation_id = $1 and r.connection_id = $2 and r.product_external_id = any($3::text[])
), set_leads as (
    update listing_reading r set leads = ranked.shall
    from ranked where r.organisation_id = $1 and r.listing_id = ranked.listing_id and r.leads <> ranked.shall
)
select listing_id, leader from ranked where leads and not shall
"""
MOVE_FIELDS = """
update listing_field f set listing_id = i.leader
from unnest($2::uuid[], $3::uuid[]) as i(listing_id, leader)
where f.organisation_id = $1 and f.listing_id = i.listing_id and f.field = any($4::text[]) and f.state <> 'sending'
  and not exists (select 1 from listing_field o where o.organisation_id = $1 and o.listing_id = i.leader
                  and o.field = f.field)
"""


async def choose_leads(tx: Tx, connection_id: UUID, products: Iterable[str]) -> None:
    """Let one listing of each of these products keep the product's own fields: a matched one, the oldest."""
    moved = await tx.fetch(CHOOSE_LEADS, tx.organisation, connection_id, sorted(set(products)))
    if moved:
        ids, leaders = [row[0] for row in moved], [row[1] for row in moved]
        await tx.execute(MOVE_FIELDS, tx.organisation, ids, leaders, PRODUCT_FIELDS)


async def products_of(tx: Tx, listing_ids: Sequence[UUID]) -> list[Any]:
    """Return (connection, product on the channel) of these listings, each once."""
    return await tx.fetch(
        "select distinct connection_id, product_external_id from listing_reading"
        " where organisation_id = $1 and listing_id = any($2::uuid[])",
        tx.organisation,
        listing_ids,
    )


async def readings_of(tx: Tx, listing_ids: Sequence[UUID]) -> dict[UUID, Any]:
    """Return what is stored of these listings' readings."""
    rows = await tx.fetch(
        "select listing_id, connection_id, product_external_id, product_version, leads, rest from listing_reading"
        " where organisation_id = $1 and listing_id = any($2::uuid[])",
        tx.organisation,
        listing_ids,
    )
    return {row["listing_id"]: row for row in rows}


async def lock_connection(tx: Tx, connection_id: UUID) -> None:
    """Let nobody else work on the fields of a connection until the end of this transaction.

    Comes before any lock of rows: readings, then fields (both by listing), then products and variants.
    """
    await tx.execute(
        "select pg_advisory_xact_lock(hashtextextended($1, 7201012))", f"{tx.organisation}/fields/{connection_id}"
    )


async def lock_readings(tx: Tx, connection_id: UUID, listing_ids: Sequence[UUID], products: Sequence[str]) -> None:
    """Lock the readings of these listings and of these products on the channel, in the one order."""
    await tx.execute(
        "select listing_id from listing_reading where organisation_id = $1 and connection_id = $2"
        " and (listing_id = any($3::uuid[]) or product_external_id = any($4::text[]))"
        " order by listing_id for no key update",
        tx.organisation,
        connection_id,
        listing_ids,
        products,
    )


async def want_read(tx: Tx, connection_id: UUID, products: Sequence[str], now: datetime) -> list[str]:
    """Have these products of a channel read again; return those that are not known."""
    rows = await tx.fetch(
        """
        with chosen as (
            select listing_id from listing_reading
            where organisation_id = $1 and connection_id = $2 and product_external_id = any($3::text[])
            order by listing_id for no key update
        )
        update listing_reading r set read_wanted_at = $4
        from chosen where r.organisation_id = $1 and r.listing_id = chosen.listing_id
        returning r.product_external_id
        """,
        tx.organisation,
        connection_id,
        products,
        now,
    )
    return sorted(set(products) - {row[0] for row in rows})


async def wanted_products(tx: Tx, connection_id: UUID, now: datetime, limit: int) -> list[str]:
    """Return the products that wait longest to be read again."""
    rows = await tx.fetch(
        "select product_external_id from listing_reading"
        " where organisation_id = $1 and connection_id = $2 and read_wanted_at <= $3"
        " group by 1 order by min(read_wanted_at) limit $4",
        tx.organisation,
        connection_id,
        now,
        limit,
    )
    return [row[0] for row in rows]


async def was_read(tx: Tx, connection_id: UUID, products: Sequence[str], read_at: datetime) -> None:
    """These were read, beginning at a time: wishes from before then are answered."""
    await tx.execute(
        "update listing_reading set read_wanted_at = null where organisation_id = $1 and connection_id = $2"
        " and product_external_id = any($3::text[]) and read_wanted_at <= $4",
        tx.organisation,
        connection_id,
        products,
        read_at,
    )


# ---- what is to be merged --------------------------------------------------------------------------------


async def want_merge(tx: Tx, listing_ids: Sequence[UUID]) -> set[UUID]:
    """Have these listings merged soon; return their connections. Locks them in the order of their ids."""
    if not listing_ids:
        return set()
    rows = await tx.fetch(
        """
        with chosen as (select listing_id from listing_reading where organisation_id = $1 and listing_id = any($2::uuid[])
                        order by listing_id for no key update)
        update listing_reading r set merge_wanted_at = now()
        from chosen where r.organisation_id = $1 and r.listing_id = chosen.listing_id
        returning r.connection_id
        """,
        tx.organisation,
        listing_ids,
    )
    return {row[0] for row in rows}


async def want_merge_of_connections(tx: Tx, connection_ids: Sequence[UUID]) -> None:
    """Have all listings of these connections merged anew: their policies or prices changed."""
    await tx.execute(
        """
        with chosen as (select listing_id from listing_reading where organisation_id = $1 and connection_id = any($2::uuid[])
                        order by listing_id for no key update)
        update listing_reading r set merge_wanted_at = now()
        from chosen where r.organisation_id = $1 and r.listing_id = chosen.listing_id
        """,
        tx.organisation,
        list(connection_ids),
    )


async def take_wanted(tx: Tx, connection_id: UUID, limit: int) -> list[UUID]:
    """Take the listings that wait longest to be merged; they are wanted no more unless somebody asks again."""
    rows = await tx.fetch(
        """
        with chosen as (
            select listing_id from listing_reading
            where organisation_id = $1 and connection_id = $2 and merge_wanted_at is not null
            order by merge_wanted_at, listing_id limit $3
        ), locked as (
            select listing_id from listing_reading
            where organisation_id = $1 and listing_id in (select listing_id from chosen)
            order by listing_id for no key update
        )
        update listing_reading r set merge_wanted_at = null
        from locked where r.organisation_id = $1 and r.listing_id = locked.listing_id
        returning r.listing_id
        """,
        tx.organisation,
        connection_id,
        limit,
    )
    return sorted(row[0] for row in rows)


# ---- states ----------------------------------------------------------------------------------------------


@dataclasses.dataclass(slots=True)
class Row:
    """A field of a listing with all that is stored of it."""

    listing_id: UUID
    field: str
    connection_id: UUID
    known: FieldState = dataclasses.field(default_factory=FieldState)
    ours: Value = None
    ours_at: datetime | None = None
    state: str = "unknown"
    detail: str = ""
    attempts: int = 0
    next_attempt_at: datetime | None = None

    @property
    def key(self) -> tuple[UUID, str]:
        """What tells it from others."""
        return self.listing_id, self.field


_KNOWN = ("base", "shown", "theirs", "theirs_at", "read_at", "sent", "sent_at", "before", "pushed_at", "approved")
_COLUMNS = (*_KNOWN, "ours", "ours_at", "state", "detail", "attempts", "next_attempt_at")
_TYPES = {
    "theirs_at": "timestamptz", "read_at": "timestamptz", "sent_at": "timestamptz", "pushed_at": "timestamptz",
    "next_attempt_at": "timestamptz", "ours_at": "timestamptz", "state": "text", "detail": "text", "attempts": "smallint",
}  # fmt: skip
_SELECT = f"select listing_id, field, connection_id, {', '.join(_COLUMNS)} from listing_field"
PUT_ROWS = f"""
insert into listing_field as f (organisation_id, listing_id, field, connection_id, {", ".join(_COLUMNS)})
select $1, i.listing_id, i.field, i.connection_id, {", ".join(f"i.{c}" for c in _COLUMNS)}
from jsonb_to_recordset($2::jsonb) as i(listing_id uuid, field text, connection_id uuid,
    {", ".join(f"{c} {_TYPES.get(c, 'jsonb')}" for c in _COLUMNS)})
order by 2, 3
on conflict (organisation_id, listing_id, field) do update set
    {", ".join(f"{c} = excluded.{c}" for c in _COLUMNS)}, version = f.version + 1, updated_at = now()
"""
"""Rows come as one JSON array: a value may itself be a list, which an array of values could not hold."""


def _row(record: Any) -> Row:
    known = FieldState(*(record[name] for name in _KNOWN))
    return Row(
        record["listing_id"], record["field"], record["connection_id"], known, record["ours"], record["ours_at"], record["state"],
        record["detail"], record["attempts"], record["next_attempt_at"],
    )  # fmt: skip


async def rows_of(tx: Tx, listing_ids: Sequence[UUID], *, lock: bool = False) -> dict[tuple[UUID, str], Row]:
    """Return what is known of the fields of these listings; `lock` them, in the one order."""
    found = await tx.fetch(
        f"{_SELECT} where organisation_id = $1 and listing_id = any($2::uuid[]) order by listing_id, field"
        f"{' for no key update' if lock else ''}",
        tx.organisation,
        listing_ids,
    )
    return {(record["listing_id"], record["field"]): _row(record) for record in found}


async def listings_with_prices(tx: Tx, connection_id: UUID, variant_ids: Sequence[UUID] | None) -> list[UUID]:
    """Return the matched listings on sale of a connection, of all variants or of these, by id."""
    rows = await tx.fetch(
        "select id from listing where organisation_id = $1 and connection_id = $2 and active and variant_id is not null"
        " and ($3::uuid[] is null or variant_id = any($3)) order by id",
        tx.organisation,
        connection_id,
        None if variant_ids is None else list(variant_ids),
    )
    return [row[0] for row in rows]


async def price_rows(tx: Tx, listing_ids: Sequence[UUID]) -> list[tuple[Row, Any]]:
    """Return the price fields of these listings that are not their own, locked in the one order, each with variant_id, sku and
    listing_currency."""
    found = await tx.fetch(
        f"""
        select {", ".join(f"f.{c}" for c in ("listing_id", "field", "connection_id", *_COLUMNS))}, l.variant_id,
               l.currency as listing_currency, v.sku as variant_sku
        from listing_field f join listing l on l.organisation_id = $1 and l.id = f.listing_id
        join variant v on v.organisation_id = $1 and v.id = l.variant_id
        where f.organisation_id = $1 and f.listing_id = any($2::uuid[]) and f.field in ('price', 'compare_at')
          and not exists (select 1 from listing_override o where o.organisation_id = $1
                          and o.listing_id = f.listing_id and o.field = f.field)
        order by f.listing_id, f.field for no key update of f
        """,
        tx.organisation,
        listing_ids,
    )
    return [(_row(record), record) for record in found]


async def put_rows(tx: Tx, rows: Sequence[Row]) -> None:
    """Store fields."""
    if rows:
        values = [
            {"listing_id": str(r.listing_id), "field": r.field, "connection_id": str(r.connection_id), "ours": r.ours,
             "ours_at": r.ours_at, "state": r.state, "detail": r.detail[:500], "attempts": r.attempts,
             "next_attempt_at": r.next_attempt_at, **{name: getattr(r.known, name) for name in _KNOWN}}
            for r in rows
        ]  # fmt: skip
        await tx.execute(PUT_ROWS, tx.organisation, values)


async def prices_going_out(tx: Tx, listing_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of these listings whose price is on its way to the channel, or about to be."""
    rows = await tx.fetch(
        "select listing_id from listing_field where organisation_id = $1 and listing_id = any($2::uuid[])"
        " and field = 'price' and state in ('out', 'sending')",
        tx.organisation,
        listing_ids,
    )
    return {row[0] for row in rows}
