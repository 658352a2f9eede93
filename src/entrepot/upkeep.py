"""What a worker does beside its lanes: says that it is alive, and deletes what has been kept long enough."""

from __future__ import annotations

import asyncio
import os
import socket
from datetime import timedelta
from uuid import UUID

import structlog

from entrepot.channels import facade as channels
from entrepot.database.pool import Database
from entrepot.identity import facade as identity
from entrepot.jobs import facade as jobs
from entrepot.kernel.clock import Clock, utc_now
from entrepot.kernel.ids import new_id

log = structlog.get_logger(__name__)

BEAT_EVERY_S = 10.0
TIDY_EVERY_S = 3600.0
KEEP_DELIVERIES = timedelta(days=7)
"""How long processed webhook deliveries stay, to look into or to replay."""


async def beat_forever(database: Database, *, clock: Clock = utc_now) -> None:
    """Say every few seconds that this worker is alive; /api/health and `doctor` tell from it."""
    worker_id = new_id()
    while True:
        try:
            await beat(database, worker_id, clock=clock)
        except Exception as error:  # A missed beat is made up by the next.
            log.warning("beat_missed", error=str(error))
        await asyncio.sleep(BEAT_EVERY_S)


async def beat(database: Database, worker_id: UUID, *, clock: Clock = utc_now) -> None:
    """Say once that this worker is alive."""
    async with database.transaction(None) as tx:
        await jobs.beat(tx, worker_id, socket.gethostname(), os.getpid(), clock())


async def tidy_forever(database: Database, *, clock: Clock = utc_now) -> None:
    """Delete every hour what has been kept long enough."""
    while True:
        await asyncio.sleep(TIDY_EVERY_S)
        try:
            log.info("tidied", rows=await tidy(database, clock=clock))
        except Exception as error:  # Nothing depends on it: the next hour does it.
            log.warning("not_tidied", error=str(error))


async def tidy(database: Database, *, clock: Clock = utc_now) -> int:
    """Delete ended sessions, spent links, kept answers and processed deliveries that are old; return how many rows.

    Harmless when two workers do it at once.
    """
    now = clock()
    deleted = await identity.forget_expired(database, clock=clock)
    for organisation in await identity.list_organisations(database):
        async with database.transaction(organisation.id) as tx:
            deleted += await identity.forget_answers(tx, now)
        deleted += await channels.purge_done(database, organisation.id, now, KEEP_DELIVERIES)
    return deleted
