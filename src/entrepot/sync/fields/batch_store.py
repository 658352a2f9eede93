"""Statements of writes of fields: what is due, what is under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx


async def due_products(
    tx: Tx, connection_id: UUID, fields: Sequence[str] | None, now: datetime, limit: int
) -> list[str]:
    """Return the products of a channel of which fields (None: any) are to go out now, those that wait longest first."""
    rows = await tx.fetch(
        """
        select r.product_external_id
        from listing_field f join listing_reading r on r.organisation_id = $1 and r.listing_id = f.listing_id
        join listing l on l.organisation_id = $1 and l.id = f.listing_id and l.active
        where f.organisation_id = $1 and f.connection_id = $2 and f.state = 'out'
          and (f.next_attempt_at is null or f.next_attempt_at <= $4) and ($3::text[] is null or f.field = any($3))
        group by 1 order by min(f.updated_at), 1 limit $5
        """,
        tx.organisation,
        connection_id,
        fields,
        now,
        limit,
    )
    return [row[0] for row in rows]


async def next_due(tx: Tx, connection_id: UUID) -> datetime | None:
    """Return when the next field that waits for a time may go out."""
    found: datetime | None = await tx.fetch_value(
        "select min(next_attempt_at) from listing_field where organisation_id = $1 and connection_id = $2"
        " and state = 'out'",
        tx.organisation,
        connection_id,
    )
    return found


async def listings_of(tx: Tx, connection_id: UUID, products: Sequence[str]) -> list[UUID]:
    """Return the active listings of these products of a channel, by id."""
    rows = await tx.fetch(
        "select r.listing_id from listing_reading r"
        " join listing l on l.organisation_id = $1 and l.id = r.listing_id and l.active"
        " where r.organisation_id = $1 and r.connection_id = $2 and r.product_external_id = any($3::text[])"
        " order by r.listing_id",
        tx.organisation,
        connection_id,
        products,
    )
    return [row[0] for row in rows]


async def listed_rows(tx: Tx, listing_ids: Sequence[UUID]) -> list[Any]:
    """Return these listings with what was read of them, the leading one of each product first."""
    return await tx.fetch(
        "select r.listing_id, l.external_id, l.keys, r.product_external_id, r.product_version, r.leads, r.rest"
        " from listing_reading r join listing l on l.organisation_id = $1 and l.id = r.listing_id"
        " where r.organisation_id = $1 and r.listing_id = any($2::uuid[])"
        " order by r.product_external_id, not r.leads, r.listing_id",
        tx.organisation,
        listing_ids,
    )


async def begin(tx: Tx, batch_id: UUID, connection_id: UUID, what: str, items: Sequence[Mapping[str, Any]]) -> None:
    """Record the intent to write."""
    await tx.execute(
        "insert into field_batch (organisation_id, id, connection_id, what, idempotency_key, items)"
        " values ($1, $2, $3, $4, $5, $6)",
        tx.organisation,
        batch_id,
        connection_id,
        what,
        str(batch_id),
        items,
    )


async def open_batches(tx: Tx, connection_id: UUID) -> list[Any]:
    """Return the batches of a connection whose end is not known."""
    return await tx.fetch(
        "select id, what, items, state, handle, next_attempt_at from field_batch"
        " where organisation_id = $1 and connection_id = $2 and state <> 'done' order by id",
        tx.organisation,
        connection_id,
    )


async def set_state(
    tx: Tx, batch_id: UUID, state: str, items: Sequence[Mapping[str, Any]] | None = None, *, handle: str | None = None,
    next_attempt_at: datetime | None = None,
) -> None:  # fmt: skip
    """Move a batch on; `items`: those of which the end is not known yet."""
    await tx.execute(
        "update field_batch set state = $3, handle = coalesce($4, handle), next_attempt_at = $5, attempts = attempts + 1,"
        " items = coalesce($6, items),"
        " finished_at = case when $3 = 'done' then now() end where organisation_id = $1 and id = $2",
        tx.organisation,
        batch_id,
        state,
        handle,
        next_attempt_at,
        items,
    )
