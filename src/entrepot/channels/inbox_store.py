"""Every statement on the webhook inbox."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from entrepot.channels.contracts import InboxCounts, InboxEvent
from entrepot.database.pool import Tx


class Delivery(msgspec.Struct, frozen=True):
    """A verified delivery on its way into the inbox."""

    id: UUID
    connection_id: UUID
    event_id: str
    topic: str
    headers: str
    """JSON text."""
    body: bytes
    received_at: datetime


async def insert_deliveries(tx: Tx, deliveries: Sequence[Delivery]) -> int:
    """Store deliveries, leaving out events that are there already; return how many were new."""
    return await tx.execute(
        """
        insert into webhook_inbox
            (organisation_id, id, connection_id, event_id, topic, headers, body, received_at, next_attempt_at)
        select $1, u.id, u.connection_id, u.event_id, u.topic, u.headers::jsonb, u.body, u.received_at, u.received_at
        from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::timestamptz[])
            as u(id, connection_id, event_id, topic, headers, body, received_at)
        order by u.connection_id, u.event_id
        on conflict (organisation_id, connection_id, event_id) do nothing
        """,
        tx.organisation,
        [each.id for each in deliveries],
        [each.connection_id for each in deliveries],
        [each.event_id for each in deliveries],
        [each.topic for each in deliveries],
        [each.headers for each in deliveries],
        [each.body for each in deliveries],
        [each.received_at for each in deliveries],
    )


async def take_pending(tx: Tx, connection_id: UUID, limit: int) -> list[InboxEvent]:
    """Return the oldest due events of a connection, locked until the transaction ends; nobody else takes them."""
    rows = await tx.fetch(
        """
        select id, connection_id, event_id, topic, headers, body, received_at, attempts
        from webhook_inbox
        where organisation_id = $1 and connection_id = $2 and state = 'pending' and next_attempt_at <= now()
        order by id limit $3
        for update skip locked
        """,
        tx.organisation,
        connection_id,
        limit,
    )
    return [InboxEvent(**dict(row)) for row in rows]


async def mark_done(tx: Tx, ids: Sequence[UUID]) -> None:
    """These events are processed."""
    await tx.execute(
        """
        update webhook_inbox set state = 'done', processed_at = now(), detail = ''
        where organisation_id = $1 and id = any($2)
        """,
        tx.organisation,
        list(ids),
    )


async def mark_failed(tx: Tx, id: UUID, detail: str, next_attempt_at: datetime, attempts_max: int) -> bool:
    """Count a failure: try again then, or put the event aside after `attempts_max`. True if it was put aside."""
    state = await tx.fetch_value(
        """
        update webhook_inbox set attempts = attempts + 1, next_attempt_at = $3, detail = $4,
            state = case when attempts + 1 >= $5 then 'parked' else 'pending' end
        where organisation_id = $1 and id = $2 and state = 'pending'
        returning state
        """,
        tx.organisation,
        id,
        next_attempt_at,
        detail.replace("\x00", ""),
        attempts_max,
    )
    return bool(state == "parked")


async def replay(tx: Tx, ids: Sequence[UUID]) -> int:
    """Process these events again from the first attempt on, whatever became of them; return how many there were."""
    return await tx.execute(
        """
        update webhook_inbox set state = 'pending', attempts = 0, next_attempt_at = now(), detail = ''
        where organisation_id = $1 and id = any($2)
        """,
        tx.organisation,
        list(ids),
    )


async def counts(tx: Tx) -> list[InboxCounts]:
    """Return how much waits and how much was put aside, per connection that has any."""
    rows = await tx.fetch(
        """
        select connection_id, count(*) filter (where state = 'pending') as pending,
            count(*) filter (where state = 'parked') as parked,
            min(received_at) filter (where state = 'pending') as oldest_pending_at
        from webhook_inbox where organisation_id = $1 and state in ('pending', 'parked')
        group by connection_id order by connection_id
        """,
        tx.organisation,
    )
    return [InboxCounts(**dict(row)) for row in rows]


async def delete_done(tx: Tx, before: UUID, limit: int) -> int:
    """Delete up to `limit` processed events whose time-ordered id is below `before`; return how many."""
    return await tx.execute(
        """
        delete from webhook_inbox where organisation_id = $1 and id in (
            select id from webhook_inbox
            where organisation_id = $1 and id < $2 and state = 'done'
            order by id limit $3 for update skip locked)
        """,
        tx.organisation,
        before,
        limit,
    )
