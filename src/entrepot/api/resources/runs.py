"""Sync: runs, the schedule, what waits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field, RootModel
from starlette.responses import Response

from entrepot.api.answers import Answer, Input, Resource, answer, once, respond
from entrepot.api.dependencies import Call, CallDep
from entrepot.api.paging import PagingDep
from entrepot.channels import facade as channels
from entrepot.channels.contracts import ConnectionChanges, ConnectionState
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.jobs import facade as jobs
from entrepot.kernel.errors import Conflict, NotFound
from entrepot.sync import facade as sync
from entrepot.sync import reading
from entrepot.sync.importing import PRODUCT_IMPORT

STOPPED = "Stopped with all channels"
"""The reason of connections that /sync/stop paused: /sync/start resumes those and leaves the others paused."""
KIND_OF = {
    "products": "listings", "listings": "listings", "orders": "orders", "inventory": "drift", "stock": "drift",
    "drift": "drift",
}  # fmt: skip
"""What clients call a part of the sync -> the kind of run that does it."""
EVERYTHING = ("listings", "orders", "drift")

Type = Literal["products", "listings", "orders", "inventory", "stock", "drift"]


class NotActive(Conflict):
    """The connection is not active."""


class RunView(Resource):
    """A sync run. `expectedTotal` null: unknown."""

    id: UUID
    connection_id: UUID | None
    connection_name: str | None
    kind: str
    trigger: str
    state: str
    started_at: datetime
    finished_at: datetime | None
    done: int
    expected_total: int | None
    counts: dict[str, Any]
    error: str
    cancel_requested: bool


class Runs(Resource):
    """Sync runs, newest first."""

    runs: list[RunView]
    next_cursor: str | None = None


class OneRun(Resource):
    """A sync run."""

    run: RunView


class Triggered(Resource):
    """The runs that were asked for; one that waited already is not asked for twice."""

    runs: list[RunView]


class ScheduleLine(Resource):
    """How often a connection is synced, and whether it is."""

    id: UUID
    channel: str
    name: str
    state: str
    condition: str
    interval_s: int
    last_sync_at: datetime | None
    waiting: int
    trouble: int


class SyncStatus(Resource):
    """`running`: at least one connection is synced by schedule."""

    running: bool
    connections: list[ScheduleLine]
    active_runs: list[RunView]
    recent_runs: list[RunView]


class Queue(Resource):
    """Work of one kind. Counts of rows stop at 999, those of background jobs are whole."""

    waiting: int
    active: int
    parked: int


class QueueStats(Resource):
    """What waits, by name of the job."""

    queues: dict[str, Queue]
    workers: int


class TriggerInput(Input):
    """Which connections (all active ones if absent) and what of them (everything if absent)."""

    connection_ids: Annotated[list[UUID] | None, Field(min_length=1, max_length=500)] = None
    types: Annotated[list[Type] | None, Field(min_length=1, max_length=6)] = None


class Types(RootModel[Annotated[list[Type], Field(max_length=6)]]):
    """What to sync: a list of products, orders, inventory; all of them if it is empty."""


class Interval(Input):
    """How often every connection is synced."""

    minutes: Annotated[float, Field(ge=0.25, le=10_080)]


async def list_runs(
    call: CallDep,
    paging: PagingDep,
    connection_id: Annotated[UUID | None, Query(alias="connectionId")] = None,
    state: Annotated[Literal["queued", "running", "done", "failed", "cancelled"] | None, Query()] = None,
) -> Response:
    """Return sync runs, newest first."""
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: reading.list_runs(tx, connection_id, state, cursor, limit))
    return respond(Runs(runs=_runs(found.items), next_cursor=found.next_cursor))


async def get_run(run_id: UUID, call: CallDep) -> Response:
    """Return a sync run."""
    async with call.transaction() as tx:
        return respond(OneRun(run=RunView.model_validate(await reading.run_detail(tx, run_id))))


async def cancel_run(run_id: UUID, call: CallDep) -> Response:
    """Ask a run to stop."""
    async with call.transaction() as tx:
        await reading.run_detail(tx, run_id)
        await sync.cancel(tx, run_id, call.services.clock())
        return respond(OneRun(run=RunView.model_validate(await reading.run_detail(tx, run_id))))


async def trigger(body: TriggerInput, call: CallDep) -> Response:
    """Start runs now."""
    return await _trigger(call, body.connection_ids, body.types)


async def run_full(call: CallDep) -> Response:
    """Start runs of everything on all active connections."""
    return await _trigger(call, None, None)


async def sync_channel(channel_id: UUID, call: CallDep, body: Types | None = None) -> Response:
    """Start runs on one connection. The body is a list of products, orders, inventory; all of them without."""
    return await _trigger(call, [channel_id], body.root if body is not None else None)


async def status(call: CallDep) -> Response:
    """Return the schedule of every connection and the runs that go on."""
    async with call.transaction() as tx:
        return respond(await _status(tx))


async def start(call: CallDep) -> Response:
    """Sync by schedule again: resumes the connections that were stopped together."""
    async with call.transaction() as tx:
        for connection in await channels.list_all(tx):
            if connection.state is ConnectionState.PAUSED and connection.state_reason == STOPPED:
                await channels.resume(tx, connection.id)
        await identity.record(tx, call.actor, "sync.start", "organisation", call.actor.organisation_id)
        return respond(await _status(tx))


async def stop(call: CallDep) -> Response:
    """Pause every active connection. Webhooks are still stored, nothing is lost."""
    async with call.transaction() as tx:
        for connection in await channels.list_all(tx):
            if connection.state is ConnectionState.ACTIVE:
                await channels.pause(tx, connection.id, reason=STOPPED)
        await identity.record(tx, call.actor, "sync.stop", "organisation", call.actor.organisation_id)
        return respond(await _status(tx))


async def set_interval(body: Interval, call: CallDep) -> Response:
    """Set how often every connection is synced."""
    seconds = round(body.minutes * 60)
    async with call.transaction() as tx:
        for connection in await channels.list_all(tx):
            connector = call.services.find_connector(connection.channel)
            await channels.update(tx, connector, connection.id, ConnectionChanges(sync_interval_s=seconds))
        after = {"interval_s": seconds}
        await identity.record(tx, call.actor, "sync.interval", "organisation", call.actor.organisation_id, after=after)
        return respond(await _status(tx))


async def queue_stats(call: CallDep) -> Response:
    """Return what waits, is being worked on, and was put aside, by name of the job."""
    async with call.transaction() as tx:
        overview = await reading.channel_overview(tx)
        needs = await reading.attention(tx)
        running = await reading.running_runs(tx, 500)
        events = await jobs.waiting(tx)
        queued_jobs = await jobs.counts(tx)
        workers = (await jobs.workers(tx, call.services.clock())).alive
    queued = sum(run.state == "queued" for run in running)
    queues = {
        "process-webhook": Queue(waiting=sum(c.inbox for c in overview), active=0, parked=needs.inbox),
        "sync-single-channel": Queue(waiting=queued, active=len(running) - queued, parked=0),
        "reallocate-inventory": Queue(waiting=events, active=0, parked=0),
        "push-inventory": Queue(waiting=sum(c.waiting for c in overview), active=0, parked=needs.listings),
        "push-fulfilment": Queue(waiting=0, active=0, parked=needs.shipments),
    }
    # The job kinds that a client may count on are there with zeros too.
    for name, counts in {PRODUCT_IMPORT.name: jobs.JobCounts(0, 0, 0), **queued_jobs}.items():
        queues[name] = Queue(waiting=counts.queued, active=counts.running, parked=counts.held)
    return respond(QueueStats(queues=queues, workers=workers))


async def _trigger(call: Call, connection_ids: Sequence[UUID] | None, types: Sequence[str] | None) -> Response:
    kinds = list(dict.fromkeys(KIND_OF[each] for each in types)) if types else list(EVERYTHING)

    async def work(tx: Tx) -> Answer:
        for connection_id in connection_ids or ():
            connection = await channels.get(tx, connection_id)
            if connection.state is not ConnectionState.ACTIVE:
                raise NotActive(f"{connection.name} is {connection.state.value.replace('_', ' ')}.")
        ids = await sync.trigger(tx, connection_ids, kinds, call.services.clock(), by=call.actor.kind.value)
        runs = [await reading.run_detail(tx, run_id) for run_id in dict.fromkeys(ids)]
        return answer(Triggered(runs=_runs(runs)), 202)

    return await once(call, work)


async def _status(tx: Tx) -> SyncStatus:
    overview = {each.id: each for each in await reading.channel_overview(tx)}
    lines = []
    for connection in await channels.list_all(tx):
        seen = overview.get(connection.id)
        if seen is None:
            raise NotFound
        lines.append(
            ScheduleLine(
                id=connection.id, channel=connection.channel, name=connection.name, state=connection.state.value,
                condition=seen.condition, interval_s=connection.sync_interval_s, last_sync_at=seen.pulled_at,
                waiting=seen.waiting, trouble=seen.trouble,
            )
        )  # fmt: skip
    return SyncStatus(
        running=any(line.state == ConnectionState.ACTIVE for line in lines),
        connections=lines,
        active_runs=_runs(await reading.running_runs(tx)),
        recent_runs=_runs((await reading.list_runs(tx, limit=20)).items),
    )


def _runs(runs: Sequence[reading.RunView]) -> list[RunView]:
    return [RunView.model_validate(run) for run in runs]
