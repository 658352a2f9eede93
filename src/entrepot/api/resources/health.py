"""Whether the hub works."""

from __future__ import annotations

import asyncio
from datetime import datetime

import asyncpg
from starlette.responses import Response

import entrepot
from entrepot.api.answers import Resource, respond
from entrepot.api.dependencies import CallDep, OpenDep
from entrepot.database import revisions
from entrepot.jobs import facade as jobs
from entrepot.kernel.errors import EntrepotError
from entrepot.sync import reading as sync_reading

PING_TIMEOUT_S = 3.0


class Health(Resource):
    """`status`: ok, degraded (all workers have gone silent), or down (the database does not answer; status 503)."""

    status: str
    version: str
    database: str
    workers: int
    time: datetime


class Readiness(Resource):
    """Whether this process can serve: `reason` says why not (status 503)."""

    ready: bool
    reason: str = ""


class ChannelCondition(Resource):
    """A connection in one line."""

    id: str
    channel: str
    name: str
    condition: str
    queue: int


class Needs(Resource):
    """What needs a person; counts stop at 999."""

    orders: int
    shortages: int
    listings: int
    connections: int
    inbox: int
    shipments: int
    jobs: int
    matching: int


class Status(Resource):
    """The organisation at a glance."""

    status: str
    version: str
    workers: int
    channels: list[ChannelCondition]
    needs_attention: Needs
    time: datetime


async def health(services: OpenDep) -> Response:
    """Say whether the hub works. Needs no key and tells nothing about anybody's data."""
    now = services.clock()
    try:
        async with asyncio.timeout(PING_TIMEOUT_S), services.database.transaction(None) as tx:
            workers = await jobs.workers(tx, now)
    except (EntrepotError, TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        down = Health(status="down", version=entrepot.__version__, database="down", workers=0, time=now)
        return respond(down, 503)
    view = Health(status=_status(workers), version=entrepot.__version__, database="ok", workers=workers.alive, time=now)
    return respond(view)


async def ready(services: OpenDep) -> Response:
    """Say whether requests may be sent here: the database answers and has this version's schema. Needs no key.

    For load balancers and orchestrators; silent workers do not count, as requests are served without them.
    """
    try:
        async with asyncio.timeout(PING_TIMEOUT_S), services.database.transaction(None) as tx:
            found = await revisions.present(tx)
    except (EntrepotError, TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return respond(Readiness(ready=False, reason="The database does not answer."), 503)
    if found is None or found < revisions.newest():
        return respond(
            Readiness(ready=False, reason="The schema is older than this version: entrepot db migrate."), 503
        )
    return respond(Readiness(ready=True))


async def status(call: CallDep) -> Response:
    """Say how the channels do and what needs a person."""
    now = call.services.clock()
    async with call.transaction() as tx:
        channels = await sync_reading.channel_overview(tx)
        needs = await sync_reading.attention(tx)
        workers = await jobs.workers(tx, now)
    view = Status(
        status=_status(workers),
        version=entrepot.__version__,
        workers=workers.alive,
        channels=[
            ChannelCondition(id=str(c.id), channel=c.channel, name=c.name, condition=c.condition, queue=c.queue)
            for c in channels
        ],
        needs_attention=Needs.model_validate(needs),
        time=now,
    )
    return respond(view)


def _status(workers: jobs.Workers) -> str:
    return "degraded" if workers.known and not workers.alive else "ok"
