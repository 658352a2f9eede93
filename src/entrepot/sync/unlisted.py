"""Connections on which nothing is listed, such as those that take payments: their webhooks are set up all the same."""

from __future__ import annotations

from datetime import timedelta

from entrepot.channels.contract import Api
from entrepot.channels.contracts import Connection
from entrepot.sync import progress
from entrepot.sync.context import SyncContext

LISTINGS = "listings"
DRIFT = "drift"


async def nothing_listed(context: SyncContext, connection: Connection, api: Api) -> float:
    """Do what the reading of listings does besides: set up and repair webhooks, when asked and by schedule.

    A run that was asked for ends at once: there is nothing to read. Return seconds until the next time.
    """
    interval_s = context.settings.drift_interval_s
    async with context.database.transaction(connection.organisation_id) as tx:
        state = await progress.get_progress(tx, connection.id)
        asked = [run for kind in (LISTINGS, DRIFT) if (run := await progress.waiting_run(tx, connection.id, kind))]
    if not asked and state.drift_checked_at is not None:
        wait_s = (state.drift_checked_at + timedelta(seconds=interval_s) - context.clock()).total_seconds()
        if wait_s > 0:
            return min(wait_s, 60.0)
    if context.subscribe is not None:
        await context.subscribe(connection, api)
    async with context.database.transaction(connection.organisation_id) as tx:
        for run in asked:
            await progress.end_run(tx, run, "done", context.clock(), done=0, counts={"listings": 0})
        await progress.drift_checked(tx, connection.id, context.clock())
    return min(interval_s, 60.0)
