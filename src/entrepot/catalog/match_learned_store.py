"""Statements about how a shop wants listings matched, and what was learned from what its people decided."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from entrepot.database.pool import Tx

NO_ID = UUID(int=0)


async def settings(tx: Tx) -> asyncpg.Record | None:
    """Return the organisation's row of match_setting."""
    return await tx.fetch_row(
        "select by_barcode, by_itself, model, learned_from, sure_from_ppm, variants_seen_at from match_setting"
        " where organisation_id = $1",
        tx.organisation,
    )


async def set_ways(tx: Tx, *, by_barcode: bool, by_itself: bool) -> None:
    """Set what the hub may match without asking."""
    await tx.execute(
        """
        insert into match_setting (organisation_id, by_barcode, by_itself) values ($1, $2, $3)
        on conflict (organisation_id) do update set by_barcode = excluded.by_barcode, by_itself = excluded.by_itself,
            updated_at = now()
        """,
        tx.organisation,
        by_barcode,
        by_itself,
    )


async def set_seen(tx: Tx, until: datetime) -> None:
    """Note up to when changes of variants have been looked at."""
    await tx.execute(
        """
        insert into match_setting (organisation_id, variants_seen_at) values ($1, $2)
        on conflict (organisation_id) do update set variants_seen_at = excluded.variants_seen_at
        """,
        tx.organisation,
        until,
    )


async def set_model(tx: Tx, model: Any, learned_from: int) -> None:
    """Keep what was learned."""
    await tx.execute(
        "update match_setting set model = $2, learned_from = $3, updated_at = now() where organisation_id = $1",
        tx.organisation,
        model,
        learned_from,
    )


async def set_sure_from(tx: Tx, sure_from_ppm: int | None) -> None:
    """Keep from which score on people said yes nearly always."""
    await tx.execute(
        "update match_setting set sure_from_ppm = $2 where organisation_id = $1 and sure_from_ppm is distinct from $2",
        tx.organisation,
        sure_from_ppm,
    )


async def count_decisions(tx: Tx) -> int:
    """Return how many proposals people decided."""
    found: int = await tx.fetch_value(
        "select count(*) from match_candidate where organisation_id = $1 and state <> 'open' and by_person"
        " and cardinality(facts) > 0",
        tx.organisation,
    )
    return found


async def decisions(tx: Tx, limit: int) -> list[asyncpg.Record]:
    """Return (listing_id, state, score_ppm, facts) of the proposals that people decided last.

    The score is the one they saw, from a model that did not know their decision.
    """
    return await tx.fetch(
        "select listing_id, state, score_ppm, facts from match_candidate where organisation_id = $1 and state <> 'open'"
        " and by_person and cardinality(facts) > 0 order by decided_at desc limit $2",
        tx.organisation,
        limit,
    )
