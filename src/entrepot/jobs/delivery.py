"""Deliveries of pgqueuer, sent and taken back in our own transactions.

A delivery carries ids only, for pgqueuer's tables know no organisation and have no row security.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec
from pgqueuer.adapters.persistence.qb import QueryQueueBuilder

from entrepot.database.pool import Tx


class Address(msgspec.Struct, frozen=True):
    """Which job a delivery means."""

    organisation: UUID
    job: UUID


async def send(tx: Tx, kind: str, job_id: UUID, *, after: timedelta, priority: int) -> int:
    """Queue a delivery in this transaction, for after so long; return its id.

    pgqueuer's own statement without its driver, which would hand our connections jsonb that is encoded already.
    """
    payload = msgspec.json.encode(Address(tx.organisation, job_id))
    sql = QueryQueueBuilder().build_enqueue_query()
    rows = await tx.fetch(sql, [priority], [kind], [payload], [after], [None], [None])
    return int(rows[0]["id"])


async def withdraw(tx: Tx, queue_id: int) -> None:
    """Take a delivery back, wherever it is."""
    await tx.execute("delete from pgqueuer where id = $1", queue_id)


async def withdraw_waiting(tx: Tx, queue_id: int) -> None:
    """Take a delivery back if no worker has it; a worker takes its own away when it is through."""
    await tx.execute("delete from pgqueuer where id = $1 and status = 'queued'", queue_id)


def address_of(payload: bytes | None) -> Address:
    """Return what a delivery means."""
    return msgspec.json.decode(payload or b"", type=Address)
