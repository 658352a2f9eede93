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
