"""The outbox: each reaction to an event runs exactly once, in the transaction that removes the event."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from entrepot.database.pool import Database, Tx

Reaction = Callable[[Tx, Sequence[Mapping[str, Any]]], Awaitable[None]]
"""Gets the payloads of a run of events of one topic, oldest first, in the transaction that removes them."""

Prepare = Callable[[Tx, Sequence[Mapping[str, Any]]], Awaitable[None]]
"""Gets all payloads of a run before any reaction: to take the locks that they need together, in one order."""

BATCH = 500
RETRIES = 20


async def react(
    database: Database,
    organisation_id: UUID,
    table: Mapping[str, Sequence[Reaction]],
    prepare: Prepare | None = None,
) -> int:
    """Take the oldest events of the organisation, run their reactions, remove them; return how many there were.

    Topics come in the order of the table, whatever the order of their events: what is counted first is known to what follows.

    One snapshot, so that the rows a reaction reads are exactly as new as the events it was given: a level that already
    counts a sale whose event comes in the next batch would be published twice over. Tried again when it meets another
    writer.
    """
    for attempt in range(RETRIES):
        try:
            return await _react_once(database, organisation_id, table, prepare)
        except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError):
            await asyncio.sleep(0.002 * attempt)
    return await _react_once(database, organisation_id, table, prepare)


async def _react_once(
    database: Database, organisation_id: UUID, table: Mapping[str, Sequence[Reaction]], prepare: Prepare | None
) -> int:
    async with database.transaction(organisation_id, one_snapshot=True) as tx:
        rows = await take_events(tx, BATCH)
        if not rows:
            return 0
        if prepare is not None:
            await prepare(tx, [row["payload"] for row in rows])
        by_topic: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            by_topic.setdefault(row["topic"], []).append(row["payload"])
        for topic, reactions in table.items():
            for reaction in reactions if topic in by_topic else ():
                await reaction(tx, by_topic[topic])
        await remove_events(tx, [row["id"] for row in rows])
    return len(rows)


async def take_events(tx: Tx, limit: int) -> list[asyncpg.Record]:
    """Return the oldest events of this organisation, locked: about so many, as those of one transaction come together.

    A sale lowers both the stock and what its listing shows; one without the other would be published.
    """
    return await tx.fetch(
        """
        with oldest as (select id, written_by from outbox where organisation_id = $1 order by id limit $2)
        select id, topic, payload from outbox
        where organisation_id = $1 and (id in (select id from oldest) or written_by in (select written_by from oldest))
        order by id limit 4 * $2 for update
        """,
        tx.organisation,
        limit,
    )


async def remove_events(tx: Tx, ids: Sequence[int]) -> None:
    """Delete events that have been reacted to."""
    await tx.execute("delete from outbox where id = any($1::bigint[])", ids)


async def waiting_events(tx: Tx) -> bool:
    """Return whether this organisation has events to react to."""
    return bool(
        await tx.fetch_value("select exists (select 1 from outbox where organisation_id = $1)", tx.organisation)
    )
