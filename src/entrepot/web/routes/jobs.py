"""Background jobs: what failed and waits for a person, what runs, what ended; the schedule."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.allocation.facade import SIMULATION
from entrepot.catalog.bulk import BULK_EDIT, BULK_UNDO
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Scope
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobState, JobView
from entrepot.kernel.errors import InvalidInput
from entrepot.stock.files import STOCK_FILE
from entrepot.sync.importing import PRODUCT_IMPORT
from entrepot.web.services import PageServices
from entrepot.web.visit import Handler, Visit, page

PAGE_SIZE = 50
STATES = tuple(state.value for state in JobState)
PAGES = {
    PRODUCT_IMPORT.name: "/products/import/",
    STOCK_FILE.name: "/stock/files/",
    SIMULATION.name: "/stock/simulations/job/",
    BULK_EDIT.name: "/products/bulk/job/",
    BULK_UNDO.name: "/products/bulk/job/",
}
"""Where a job of a kind is shown with its report."""


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of background jobs."""
    return [
        Route("/jobs", page(services, listing, Scope.CHANNELS_READ), methods=["GET"]),
        *(
            Route(f"/jobs/{{job_id}}/{verb}", page(services, _changing(verb, *how), Scope.SYNC_RUN), methods=["POST"])
            for verb, how in CHANGES.items()
        ),
    ]


async def listing(visit: Visit) -> Response:
    """The list; htmx asks for its table again while a job is open."""
    state, cursor = visit.parameter("state"), visit.parameter("cursor")
    if state and state not in STATES:
        raise InvalidInput(f"{state!r} is not a state of a job.")
    async with visit.transaction() as tx:
        found = await jobs.list_jobs(tx, JobState(state) if state else None, None, cursor, PAGE_SIZE)
        # What is not over comes first, however old it is.
        first = () if state or cursor else await jobs.unfinished(tx, PAGE_SIZE)
        schedules = await jobs.schedule_views(tx)
    above = {job.id for job in first}
    context: dict[str, Any] = {
        "rows": [*first, *(job for job in found if job.id not in above)],
        "any_open": any(job.is_open for job in (*first, *found)),
        "next_cursor": found.next_cursor,
        "schedules": schedules,
        "states": STATES,
        "cursor": cursor,
        "parameters": {"state": state},
        "pages": PAGES,
    }
    if visit.is_partial:
        return visit.part("jobs_table.html", **context)
    return await visit.page("jobs.html", **context)


Change = Callable[[Tx, UUID], Awaitable[JobView]]
CHANGES: dict[str, tuple[Change, str]] = {
    "cancel": (jobs.cancel, "It stops after the step it is at."),
    "retry": (jobs.retry, "It goes on from where it was."),
    "dismiss": (jobs.dismiss, "Dismissed."),
}


def _changing(verb: str, change: Change, said: str) -> Handler:
    async def do(visit: Visit) -> Response:
        async with visit.transaction() as tx:
            job = await change(tx, visit.id_of("job_id"))
            after = {"kind": job.kind, "state": job.state.value}
            await identity.record(tx, visit.actor, f"job.{verb}", "job", job.id, after=after)
        return visit.go("/jobs", said)

    return do
