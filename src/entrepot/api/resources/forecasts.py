"""What is expected to sell."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from starlette.responses import Response

from entrepot.allocation import facade as allocation
from entrepot.api.answers import Answer, Resource, answer, once, respond
from entrepot.api.dependencies import CallDep
from entrepot.api.resources.jobs import JobResource
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.jobs import facade as jobs


class ListingForecast(Resource):
    """Units expected on a connection in 30 days, from so many days of history (below 28 the measured rate is used)."""

    connection_id: UUID
    units_in_30_days: float
    days: int


class Forecast(Resource):
    """How a variant sells: `unitsADay` as forecast, `meanADay` over the `days` of history, days without stock left out."""

    variant_id: UUID
    units_a_day: float
    mean_a_day: float
    days: int
    made_on: date
    listings: list[ListingForecast]


class OneForecast(Resource):
    """A forecast."""

    forecast: Forecast


class ForecastStarted(Resource):
    """The job that forecasts; null: one waits or runs already."""

    job: JobResource | None


async def get_forecast(variant_id: UUID, call: CallDep) -> Response:
    """Return what is expected of a variant, as of the last night."""
    async with call.transaction() as tx:
        found = await allocation.forecast_of(tx, variant_id)
    return respond(OneForecast(forecast=Forecast.model_validate(found)))


async def start(call: CallDep) -> Response:
    """Forecast demand now, as a background job; it is done each night anyway."""

    async def work(tx: Tx) -> Answer:
        job_id = await allocation.order_forecast(tx, call.actor.name)
        if job_id is None:
            return answer(ForecastStarted(job=None), 202)
        await identity.record(tx, call.actor, "forecast.start", "job", job_id)
        return answer(ForecastStarted(job=JobResource.model_validate(await jobs.detail(tx, job_id))), 202)

    return await once(call, work)
