"""The lanes of this hub: which there are, when each is due, and what its step does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from entrepot.fulfilment import facade as fulfilment
from entrepot.jobs.lanes import LaneKey, LaneRunner, Step
from entrepot.jobs.reactions import Reaction, react
from entrepot.stock import facade as stock
from entrepot.sync import progress, store
from entrepot.sync.check import check_step, listings_step
from entrepot.sync.context import SyncContext
from entrepot.sync.fields.merging import merge_step
from entrepot.sync.fields.reads import read_step
from entrepot.sync.fields.troubles import EVERY_S, troubles_step
from entrepot.sync.fields.writing import write_step
from entrepot.sync.fulfilment import fulfilment_step
from entrepot.sync.publishing.working import publish_step
from entrepot.sync.pull import inbox_step, pull_step
from entrepot.sync.push import push_step
from entrepot.sync.reactions import Reactions

RUN_LANES = {"orders": "pull", "listings": "listings", "drift": "listings"}
"""Which lane carries out a run that a person asked for."""
FETCHING_LANES = ("pull", "listings")
"""Lanes that read page after page. What sales depend on (inbox, push, check) never waits for them."""


def lane_runner(context: SyncContext, reactions: Mapping[str, Sequence[Reaction]]) -> LaneRunner:
    """Return the runner of all lanes, with this table of reactions."""

    own = Reactions(context.find_connector)

    async def react_step(key: LaneKey) -> float | None:
        return 0.0 if await react(context.database, key.organisation_id, reactions, own.lock) else None

    async def expire_step(key: LaneKey) -> float | None:
        async with context.database.transaction(key.organisation_id) as tx:
            return 0.0 if await stock.expire_holds(tx, context.clock()) else None

    async def route_step(key: LaneKey) -> float | None:
        return await fulfilment.route_step(context.database, key.organisation_id, context.clock())

    steps: dict[str, Step] = {
        "react": react_step,
        "expire": expire_step,
        fulfilment.ROUTE: route_step,
        "inbox": partial(inbox_step, context),
        "pull": partial(pull_step, context),
        "push": partial(push_step, context),
        "check": partial(check_step, context),
        "listings": partial(listings_step, context),
        "ship": partial(fulfilment_step, context),
        "merge": partial(merge_step, context),
        "read": partial(read_step, context),
        "fields": partial(write_step, context),
        "publish": partial(publish_step, context),
        "troubles": partial(troubles_step, context),
    }
    fetching = asyncio.Semaphore(context.settings.parallel_syncs)
    return LaneRunner(
        context.database, steps, partial(find_due, context), gates=dict.fromkeys(FETCHING_LANES, fetching)
    )


async def find_due(context: SyncContext, organisation_id: UUID) -> set[LaneKey]:
    """Return the lanes of an organisation that have something to do now: one transaction of a few indexed reads."""
    settings, now = context.settings, context.clock()
    async with context.database.transaction(organisation_id) as tx:
        row = await store.due_work(
            tx, now, now - timedelta(seconds=settings.drift_interval_s), settings.pull_spacing_s,
            settings.listings_spacing_s,
        )  # fmt: skip
        asked = await progress.waiting_runs(tx)
    due = {LaneKey(kind, organisation_id, organisation_id) for kind in ("react", "expire", "route") if row[kind]}
    looked_at = context.looked_at.get(organisation_id)
    if looked_at is None or looked_at + timedelta(seconds=EVERY_S) <= now:
        due.add(LaneKey("troubles", organisation_id, organisation_id))
    for kind in ("inbox", "pull", "push", "check", "listings", "ship", "merge", "read", "fields", "publish"):
        due |= {LaneKey(kind, organisation_id, subject) for subject in row[kind]}
    return due | {LaneKey(RUN_LANES[kind], organisation_id, subject) for subject, kind in asked if kind in RUN_LANES}
