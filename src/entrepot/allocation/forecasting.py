"""The nightly job that forecasts: what each listing will sell in 30 days, and at what pace each variant sells."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Protocol
from uuid import UUID

import msgspec

from entrepot.allocation import bunching
from entrepot.allocation import store_forecast as store
from entrepot.allocation.bunching import Counted
from entrepot.allocation.forecast import Learner, daily, in_30_days, pace_of, plain, shop_profile
from entrepot.database.pool import Tx
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobKind, JobRun
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import NotFound
from entrepot.stock import facade as stock

HISTORY_DAYS = 364
"""So far back sales are looked at: whole weeks."""
FRESH_DAYS = 3
"""A forecast counts for so many days after the one it was made on."""
CHUNK = 200
TOLD_AT_ONCE = 500
ACTOR = "the hub"


class ForecastOrder(msgspec.Struct, frozen=True):
    """The payload: nothing, it is about all goods as they are when it runs."""


FORECAST = JobKind("forecast", "Demand forecast", ForecastOrder)


class NoForecast(NotFound):
    """Nothing is forecast for this variant: it did not sell in the last year, or the night was not over since."""


@dataclass(frozen=True, slots=True)
class ListingForecast:
    """Units expected on a connection in 30 days, from so many days of history. Below `SHORT_DAYS` strategies do not use it."""

    connection_id: UUID
    units_in_30_days: float
    days: int


@dataclass(frozen=True, slots=True)
class VariantForecast:
    """How a variant sells: `units_a_day` as forecast, `mean_a_day` over the `days` of history that are known."""

    variant_id: UUID
    units_a_day: float
    mean_a_day: float
    days: int
    made_on: date
    listings: tuple[ListingForecast, ...]


async def order_forecast(tx: Tx, actor: str = ACTOR) -> UUID | None:
    """Have demand forecast anew; return the job, or None if one waits or runs already."""
    counts = (await jobs.counts(tx)).get(FORECAST.name)
    if counts is not None and (counts.queued or counts.running):
        return None
    return await jobs.enqueue(tx, FORECAST, ForecastOrder(), actor=actor)


async def forecast_of(tx: Tx, variant_id: UUID) -> VariantForecast:
    """Return what is forecast for a variant. Raises NoForecast."""
    row = await store.forecast_of(tx, variant_id)
    if row is None:
        raise NoForecast
    listings = [
        ListingForecast(each["connection_id"], each["units_30d"], each["days"])
        for each in await store.listing_forecasts(tx, [variant_id], row["made_on"])
    ]
    return VariantForecast(
        variant_id,
        row["units_a_day"],
        row["mean_a_day"],
        row["days"],
        row["made_on"],
        tuple(sorted(listings, key=lambda each: -each.units_in_30_days)),
    )


async def last_forecast(tx: Tx) -> tuple[int, datetime] | None:
    """Return how many variants were forecast last, and when; None if never."""
    row = await store.model_made(tx)
    return None if row is None else (row["variants"], row["updated_at"])


@dataclass(slots=True)
class _Sold:
    """Of one variant: units by day, on each connection and in all, since when it is listed where, days without stock."""

    by_connection: dict[UUID, dict[date, int]] = field(default_factory=lambda: defaultdict(dict))
    whole: Counter[date] = field(default_factory=Counter)
    listed: dict[UUID, date] = field(default_factory=dict)
    without: frozenset[date] = frozenset()


@dataclass(slots=True)
class _Made:
    listings: list[store.ListingRow] = field(default_factory=list)
    variants: list[store.VariantRow] = field(default_factory=list)


class CountSales(Protocol):
    """Counts the hub's own orders (the room of orders does; it comes after this one)."""

    async def __call__(self, tx: Tx, since: datetime, until: datetime) -> Counted:
        """Return what is to be known of orders placed in [since, until)."""


async def forecast(run: JobRun[ForecastOrder], *, count_sales: CountSales) -> Mapping[str, Any]:
    """Do the job. It may begin anew at any time: what it writes it writes over."""
    today = utc_now().date()
    since, until = today - timedelta(days=HISTORY_DAYS), today - timedelta(days=1)
    async with run.step() as step:
        profile = shop_profile(await store.shop_sales(step.tx, since, until), since, until)
        variants = await store.variants_sold(step.tx, since, until)
        step.done, step.total, step.words = 0, len(variants), "reads the sales"
    learner = Learner(profile)
    for start in range(0, len(variants), CHUNK):
        chunk = variants[start : start + CHUNK]
        async with run.database.transaction(run.organisation_id) as tx:
            read = await _read(tx, chunk, since, until)
        # Beside the loop: the worker has its lanes to run.
        made = await asyncio.to_thread(_work_out, read, learner, since, until)
        async with run.step() as step:
            await store.put_forecasts(step.tx, made.listings, made.variants, today)
            step.done = start + len(chunk)
            step.words = f"{step.done:,} of {len(variants):,} variants"
    scatters = await asyncio.to_thread(learner.scatters)
    async with run.step() as step:
        step.words = "counts how close together sales come"
    async with run.database.transaction(run.organisation_id) as tx:
        counted = await count_sales(tx, _midnight(since), _midnight(today))
    async with run.step() as step:
        habits = bunching.plain(bunching.habits_of(counted), counted)
        await store.put_model(step.tx, profile, plain(scatters), habits, len(variants), today)
        await store.forget(step.tx, today - timedelta(days=FRESH_DAYS))
        for start in range(0, len(variants), TOLD_AT_ONCE):
            # Divided and bought anew by what is expected now.
            told = [str(id) for id in variants[start : start + TOLD_AT_ONCE]]
            await jobs.emit(step.tx, stock.STOCK_CHANGED, {"variant_ids": told})
    return {"variants": len(variants), "horizons": sorted(scatters)}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


async def _read(tx: Tx, variant_ids: Sequence[UUID], since: date, until: date) -> dict[UUID, _Sold]:
    found = {id: _Sold() for id in variant_ids}
    for row in await store.sales(tx, variant_ids, since, until):
        sold = found[row["variant_id"]]
        sold.whole[row["day"]] += row["units"]
        if row["connection_id"] is not None:
            sold.by_connection[row["connection_id"]][row["day"]] = row["units"]
    for row in await store.listed_since(tx, variant_ids):
        found[row["variant_id"]].listed[row["connection_id"]] = row["day"]
    for id, days in (await stock.days_without_stock(tx, variant_ids, since, until)).items():
        found[id].without = days
    return found


def _work_out(read: Mapping[UUID, _Sold], learner: Learner, since: date, until: date) -> _Made:
    made = _Made()
    tomorrow = (until + timedelta(days=1)).weekday()
    for variant_id, sold in read.items():
        begins = [min(day, *sold.by_connection.get(c, {}), until) for c, day in sold.listed.items()]
        first = max(since, min([*begins, *sold.whole]))
        days = daily(sold.whole, sold.without, first, until)
        pace = pace_of(days)
        made.variants.append((variant_id, pace.units_a_day, pace.mean_a_day, pace.days))
        learner.learn(days, first.weekday())
        for connection_id in sold.listed.keys() | sold.by_connection.keys():
            here = sold.by_connection.get(connection_id, {})
            begin = max(since, min(sold.listed.get(connection_id, until), *here, until))
            own = pace_of(daily(here, sold.without, begin, until))
            units = in_30_days(own, learner.profile, tomorrow)
            made.listings.append((variant_id, connection_id, units, own.days))
    return made
