"""Sync runs: what goes on and went on, start and stop."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.identity.facade import Scope
from entrepot.kernel.errors import InvalidInput
from entrepot.sync import reading as sync
from entrepot.web.routes.now import run_notes
from entrepot.web.services import PageServices
from entrepot.web.visit import Visit, page, parse_id

PAGE_SIZE = 50
STATES = ("queued", "running", "done", "failed", "cancelled")


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of sync runs."""
    return [
        Route("/sync", page(services, listing, Scope.CHANNELS_READ), methods=["GET"]),
        Route("/sync", page(services, start, Scope.SYNC_RUN), methods=["POST"]),
        Route("/sync/{run_id}/cancel", page(services, cancel, Scope.SYNC_RUN), methods=["POST"]),
    ]


async def listing(visit: Visit) -> Response:
    """The list; htmx asks for its table again when a run begins or ends."""
    state = visit.parameter("state") or None
    if state is not None and state not in STATES:
        raise InvalidInput(f"{state!r} is not a state of a run.")
    channel = visit.parameter("channel")
    connection_id: UUID | None = parse_id(channel) if channel else None
    cursor = visit.parameter("cursor")
    async with visit.transaction() as tx:
        runs = await sync.list_runs(tx, connection_id, state, cursor, PAGE_SIZE)
        channels = await sync.connection_names(tx)
    context: dict[str, Any] = {
        "runs": runs,
        "notes": run_notes(runs),
        "channels": channels,
        "states": STATES,
        "kinds": visit.services.channels.kinds,
        "cursor": cursor,
        "parameters": {"state": state or "", "channel": channel},
    }
    if visit.is_partial:
        return visit.part("runs_table.html", **context)
    return await visit.page("runs.html", **context)


async def start(visit: Visit) -> Response:
    """Start runs of one kind, on one channel or on all."""
    form = await visit.form()
    kind = form.get("kind", "")
    if kind not in visit.services.channels.kinds:
        raise InvalidInput("Choose what to do.")
    chosen = form.get("channel", "")
    if chosen:
        connection_ids = [parse_id(chosen)]
    else:
        async with visit.transaction() as tx:
            connection_ids = list(await sync.connection_names(tx))
    if not connection_ids:
        raise InvalidInput("Connect a channel first.")
    for connection_id in connection_ids:
        await visit.services.channels.start_sync(visit.actor, connection_id, kind)
    said = "Started." if len(connection_ids) == 1 else f"Started on {len(connection_ids)} channels."
    return visit.go("/sync", said)


async def cancel(visit: Visit) -> Response:
    """Ask a run to stop."""
    await visit.services.channels.cancel_run(visit.actor, visit.id_of("run_id"))
    return visit.done("It stops after the step it is at.", refresh=not visit.is_partial)
