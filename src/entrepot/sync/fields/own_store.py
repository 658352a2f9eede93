"""Statements of values that a listing has of its own, and of where values of the catalog came from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx
from entrepot.sync.merge.values import Value


async def overrides_of(tx: Tx, listing_ids: Sequence[UUID]) -> dict[tuple[UUID, str], Any]:
    """Return what listings have of their own, by (listing, field): value, set_by, set_at."""
    rows = await tx.fetch(
        "select listing_id, field, value, set_by, set_at from listing_override"
        " where organisation_id = $1 and listing_id = any($2::uuid[])",
        tx.organisation,
        listing_ids,
    )
    return {(row["listing_id"], row["field"]): row for row in rows}


async def put_overrides(tx: Tx, rows: Sequence[tuple[UUID, str, Value, str, datetime]]) -> None:
    """Give listings values of their own: (listing, field, value, by whom, when)."""
    if rows:
        await tx.execute(
            """
            insert into listing_override (organisation_id, listing_id, field, value, set_by, set_at)
            select $1, (i->>0)::uuid, i->>1, i->2, i->>3, (i->>4)::timestamptz from jsonb_array_elements($2::jsonb) i
            order by 2, 3
            on conflict (organisation_id, listing_id, field) do update set
                value = excluded.value, set_by = excluded.set_by, set_at = excluded.set_at
            """,
            tx.organisation,
            rows,
        )


async def remove_override(tx: Tx, listing_id: UUID, field_name: str) -> bool:
    """Let a listing have the catalog's value again; return whether it had one of its own."""
    return bool(
        await tx.execute(
            "delete from listing_override where organisation_id = $1 and listing_id = $2 and field = $3",
            tx.organisation,
            listing_id,
            field_name,
        )
    )


async def remove_overrides(tx: Tx, keys: Sequence[tuple[UUID, str]]) -> list[Any]:
    """Let listings have the catalog's values again: (listing, field). Return those that had one: listing_id, field, value."""
    return await tx.fetch(
        """
        delete from listing_override o using unnest($2::uuid[], $3::text[]) as i(listing_id, field)
        where o.organisation_id = $1 and o.listing_id = i.listing_id and o.field = i.field
        returning o.listing_id, o.field, o.value
        """,
        tx.organisation,
        [key[0] for key in keys],
        [key[1] for key in keys],
    )


_OWN_PRICES = """
    from listing_override o
    join listing l on l.organisation_id = $1 and l.id = o.listing_id and l.active
    join connection c on c.organisation_id = $1 and c.id = l.connection_id
    join variant v on v.organisation_id = $1 and v.id = l.variant_id
    join product p on p.organisation_id = $1 and p.id = v.product_id
    where o.organisation_id = $1 and o.field in ('price', 'compare_at')
      and ($2::uuid is null or l.connection_id = $2)
"""


async def own_prices(
    tx: Tx, connection_id: UUID | None, product_id: UUID | None, after: tuple[datetime, UUID, str] | None, limit: int
) -> list[Any]:
    """Return prices that listings have of their own, the newest first, on a connection and of a product (None: any)."""
    at, listing_id, field = after or (None, None, None)
    return await tx.fetch(
        f"""
        select o.listing_id, o.field, o.value, o.set_by, o.set_at, l.connection_id, c.name as connection, l.external_id,
               l.currency as listing_currency, v.id as variant_id, v.sku, p.id as product_id, p.title
        {_OWN_PRICES} and ($3::uuid is null or p.id = $3)
          and ($4::timestamptz is null or (o.set_at, o.listing_id, o.field) < ($4, $5::uuid, $6::text))
        order by o.set_at desc, o.listing_id desc, o.field desc limit $7
        """,
        tx.organisation,
        connection_id,
        product_id,
        at,
        listing_id,
        field,
        limit,
    )


async def count_own_prices(tx: Tx, product_id: UUID | None) -> list[Any]:
    """Return how many prices listings have of their own, of a product (None: of all), by connection: id, name, count."""
    return await tx.fetch(
        f"select l.connection_id as id, c.name, count(*) as count {_OWN_PRICES} and ($3::uuid is null or p.id = $3)"
        " group by 1, 2 order by lower(c.name), 1",
        tx.organisation,
        None,
        product_id,
    )


async def own_prices_until(tx: Tx, connection_id: UUID, until: datetime, limit: int) -> list[tuple[UUID, str]]:
    """Return (listing, field) of the prices of their own that listings of a connection had at a time, the oldest first."""
    rows = await tx.fetch(
        f"select o.listing_id, o.field {_OWN_PRICES} and o.set_at <= $3 order by o.set_at, o.listing_id, o.field limit $4",
        tx.organisation,
        connection_id,
        until,
        limit,
    )
    return [(row[0], row[1]) for row in rows]


async def connections_of(tx: Tx, listing_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Return the connection of each of these listings."""
    rows = await tx.fetch(
        "select id, connection_id from listing where organisation_id = $1 and id = any($2::uuid[])",
        tx.organisation,
        list(listing_ids),
    )
    return {row[0]: row[1] for row in rows}


async def origins_of(tx: Tx, subject_ids: Sequence[UUID]) -> dict[tuple[UUID, str], Any]:
    """Return where values of products and variants came from, by (subject, field)."""
    rows = await tx.fetch(
        "select subject_id, field, value, connection_id, source, changed_by, changed_at from value_origin"
        " where organisation_id = $1 and subject_id = any($2::uuid[])",
        tx.organisation,
        subject_ids,
    )
    return {(row["subject_id"], row["field"]): row for row in rows}


Origin = tuple[UUID, str, Value, UUID | None, str, str, datetime]
"""(product or variant, field, value, connection, source, by whom, when by our clock)"""


async def put_origins(tx: Tx, rows: Sequence[Origin]) -> None:
    """Remember where values came from."""
    if rows:
        await tx.execute(
            """
            insert into value_origin (organisation_id, subject_id, field, value, connection_id, source, changed_by,
                changed_at)
            select $1, (i->>0)::uuid, i->>1, i->2, (i->>3)::uuid, i->>4, i->>5, (i->>6)::timestamptz
            from jsonb_array_elements($2::jsonb) i order by 2, 3
            on conflict (organisation_id, subject_id, field) do update set value = excluded.value,
                connection_id = excluded.connection_id, source = excluded.source, changed_by = excluded.changed_by,
                changed_at = excluded.changed_at
            """,
            tx.organisation,
            rows,
        )
