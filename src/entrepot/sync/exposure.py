"""Statements about how many units listings may be showing, for those who must not offer a unit twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from entrepot.database.pool import Tx


async def exposures(tx: Tx, variant_ids: Sequence[UUID]) -> list[Any]:
    """Return (variant, listing, most units it may be showing) of all listings of these variants."""
    return await tx.fetch(
        "select variant_id, listing_id, greatest(expected, -gap, sending_to, case when uncertain then published end, 0)"
        " as most from listing_quantity where organisation_id = $1 and variant_id = any($2::uuid[])",
        tx.organisation,
        variant_ids,
    )


LIVE = """
select q.listing_id, q.connection_id,
       case when q.sending_to > q.sending_from then q.sending_to - q.sending_from else 0 end as rising,
       case when q.state = 'sending' then q.sending_to - q.sending_from else 0 end as under_way,
       coalesce(q.expected + coalesce(q.gap, 0), q.reported, q.published) as shows, greatest(-q.gap, 0) as lacking,
       greatest(case when q.uncertain then q.published end, q.shown_before) as perhaps
from listing_quantity q
where q.organisation_id = $1 and q.variant_id = any($2::uuid[])
"""


async def live_figures(tx: Tx, variant_ids: Sequence[UUID]) -> list[Any]:
    """Return what the listings of these variants show as far as is known, what is on its way, and what they perhaps show.

    `lacking`: units that should be there and are not, for no known reason: most likely they are sold, so nobody else gets them.
    """
    return await tx.fetch(LIVE, tx.organisation, variant_ids)


async def waiting_variants(tx: Tx, variant_ids: Sequence[UUID] | None = None) -> list[UUID]:
    """Return the variants (of these) with a listing that shall show more once others show less."""
    rows = await tx.fetch(
        "select distinct variant_id from listing_quantity where organisation_id = $1 and waits"
        " and ($2::uuid[] is null or variant_id = any($2::uuid[]))",
        tx.organisation,
        variant_ids,
    )
    return [row[0] for row in rows]


async def make_certain_before(tx: Tx, connection_id: UUID, moment: datetime) -> None:
    """Every sale there up to a time is known: what was shown before earlier writes matters no more."""
    await tx.execute(
        """
        update listing_quantity set shown_before = null
        where organisation_id = $1 and connection_id = $2 and shown_before is not null and expected is not null
          and not uncertain and greatest(published_at, believed_at) <= $3
        """,
        tx.organisation,
        connection_id,
        moment,
    )
