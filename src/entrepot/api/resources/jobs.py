"""Background jobs: what waits, runs, is held; stop, try again, give up."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from starlette.responses import Response

from entrepot.api.answers import Resource, respond
from entrepot.api.dependencies import Call, CallDep
from entrepot.api.paging import PagingDep
from entrepot.identity import facade as identity
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobState
from entrepot.kernel.paging import Slice


class JobResource(Resource):
    """A background job. `held`: it failed too often and waits for a person. `total` null: not known yet."""

    id: UUID
    kind: str
    title: str
    actor: str
    state: JobState
    attempts: int
    done: int
    total: int | None
    words: str
    error: str
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobDetail(JobResource):
    """A background job with its result, once it is done."""

    result: dict[str, Any] | None


class Jobs(Resource):
    """Background jobs, newest first."""

    jobs: list[JobResource]
    next_cursor: str | None = None


class OneJob(Resource):
    """A background job."""

    job: JobDetail


async def list_jobs(
    call: CallDep,
    paging: PagingDep,
    state: Annotated[JobState | None, Query()] = None,
    kind: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Return background jobs, newest first. Those that ended are kept for 30 days."""

    async def fetch(cursor: str | None, limit: int) -> Slice[jobs.JobView]:
        async with call.transaction() as tx:
            return await jobs.list_jobs(tx, state, kind and kind.replace("\x00", ""), cursor, limit)

    found = await paging.read(fetch)
    return respond(Jobs(jobs=[JobResource.model_validate(job) for job in found.items], next_cursor=found.next_cursor))


async def get_job(job_id: UUID, call: CallDep) -> Response:
    """Return a background job."""
    async with call.transaction() as tx:
        return respond(one(await jobs.detail(tx, job_id)))


async def cancel_job(job_id: UUID, call: CallDep) -> Response:
    """Stop a job: at once if it waits, after its present step if it runs."""
    async with call.transaction() as tx:
        job = await jobs.cancel(tx, job_id)
        await _record(call, tx, "job.cancel", job)
        return respond(one(job))


async def retry_job(job_id: UUID, call: CallDep) -> Response:
    """Let a held job go on from where it was."""
    async with call.transaction() as tx:
        job = await jobs.retry(tx, job_id)
        await _record(call, tx, "job.retry", job)
        return respond(one(job))


async def dismiss_job(job_id: UUID, call: CallDep) -> Response:
    """Give up a held job."""
    async with call.transaction() as tx:
        job = await jobs.dismiss(tx, job_id)
        await _record(call, tx, "job.dismiss", job)
        return respond(one(job))


async def _record(call: Call, tx: Any, action: str, job: jobs.JobView) -> None:
    await identity.record(tx, call.actor, action, "job", job.id, after={"kind": job.kind, "state": job.state.value})


def one(job: jobs.JobView) -> OneJob:
    """Return the answer with this job."""
    return OneJob(job=JobDetail.model_validate({**_fields(job), "result": _plain(job.result)}))


def _fields(job: jobs.JobView) -> dict[str, Any]:
    return {name: getattr(job, name) for name in JobResource.model_fields}


def _plain(result: Any) -> dict[str, Any] | None:
    return dict(result) if result is not None else None
