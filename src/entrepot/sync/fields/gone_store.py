"""Statements of listings that a complete reading of their channel does not have any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx


async def missing(
    tx: Tx, connection_id: UUID, products: Sequence[str] | None, seen: Sequence[str], read_at: datetime
) -> list[Any]:
    """Return (listing_id, product_external_id, missing_since) of listings on sale that a reading of these products (None: of
    all) did not have. `seen`: the external ids that it had. What was made or changed since it began does not count."""
    return await tx.fetch(
        """
        select r.listing_id, r.product_external_id, r.missing_since from listing_reading r
        join listing l on l.organisation_id = $1 and l.id = r.listing_id and l.active and l.updated_at < $5
        left join unnest($4::text[]) as s(external_id) on s.external_id = l.external_id
        where r.organisation_id = $1 and r.connection_id = $2 and s.external_id is null
          and ($3::text[] is null or r.product_external_id = any($3))
        order by r.listing_id
        """,
        tx.organisation,
        connection_id,
        None if products is None else list(products),
        list(seen),
        read_at,
    )


async def note_missing(tx: Tx, listing_ids: Sequence[UUID], since: datetime) -> None:
    """Remember since when these are missing, where that is not known yet."""
    await tx.execute(
        """
        with chosen as (select listing_id from listing_reading where organisation_id = $1 and listing_id = any($2::uuid[])
                        and missing_since is null order by listing_id for no key update)
        update listing_reading r set missing_since = $3 from chosen
        where r.organisation_id = $1 and r.listing_id = chosen.listing_id
        """,
        tx.organisation,
        list(listing_ids),
        since,
    )


async def note_found(tx: Tx, connection_id: UUID, seen: Sequence[str]) -> None:
    """These are there: they were not deleted after all."""
    await tx.execute(
        """
        with chosen as (
            select r.listing_id from listing_reading r
            join listing l on l.organisation_id = $1 and l.id = r.listing_id and l.external_id = any($3::text[])
            where r.organisation_id = $1 and r.connection_id = $2 and r.missing_since is not null
            order by r.listing_id for no key update of r
        )
        update listing_reading r set missing_since = null from chosen
        where r.organisation_id = $1 and r.listing_id = chosen.listing_id
        """,
        tx.organisation,
        connection_id,
        list(seen),
    )


async def still_listed(tx: Tx, connection_id: UUID, product_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of these products of ours that have a listing on sale on the connection."""
    rows = await tx.fetch(
        "select distinct v.product_id from listing l join variant v on v.organisation_id = $1 and v.id = l.variant_id"
        " where l.organisation_id = $1 and l.connection_id = $2 and l.active and v.product_id = any($3::uuid[])",
        tx.organisation,
        connection_id,
        list(product_ids),
    )
    return {row[0] for row in rows}
