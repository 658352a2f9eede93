"""The job that runs a simulation: it feeds a process of its own with orders and writes down what that answers."""

from __future__ import annotations

import asyncio
import csv
import io
import sys
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Protocol
from uuid import UUID

import msgspec

from entrepot.allocation import store_simulations as store
from entrepot.allocation.location_choices import Whereabouts, placed
from entrepot.allocation.order_file import UnreadableOrders
from entrepot.allocation.replay_locations import Location
from entrepot.allocation.replaying import Channel, Task, Told, Trial
from entrepot.allocation.simulations import (
    InvalidSimulation,
    OrderFileNotFound,
    Simulate,
    SimulationNotFound,
    SimulationSettings,
    lag_words,
)
from entrepot.database.pool import Tx
from entrepot.jobs.facade import JobHandler, JobRun
from entrepot.kernel.clock import utc_now
from entrepot.stock import facade as stock

PAGE = 5_000
PATIENCE_S = 1.0
"""How often is looked whether the job is to stop, at least."""
PROGRAM = "entrepot.allocation.replaying"


class ReplayFailed(RuntimeError):
    """The process that replays ended without a word."""


@dataclass(frozen=True, slots=True)
class PastLine:
    """A line of an order of the hub. Money in minor units of the organisation's currency; None: not known.

    `country`: where it goes, two letters; empty: not known.
    """

    key: tuple[datetime, UUID]
    order: str
    connection_id: UUID
    sku: str
    units: int
    price_minor: int | None
    cost_minor: int | None
    country: str = ""


class PastOrders(Protocol):
    """Reads the hub's own orders (the room of orders does; it comes after this one)."""

    async def __call__(
        self, tx: Tx, since: datetime, until: datetime, after: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[PastLine]:
        """Return lines placed in [since, until) that were not cancelled, after a key, in the order of their keys."""


class _Work(msgspec.Struct):
    """The checkpoint: how many trials are done."""

    trials: int = 0


def simulator(past_orders: PastOrders) -> JobHandler[Simulate]:
    """Return what runs simulations, given what reads the hub's own orders."""

    async def simulate(run: JobRun[Simulate]) -> Mapping[str, Any]:
        return await _Simulation(run, past_orders).run()

    return simulate


class _Simulation:
    """One run of one simulation."""

    def __init__(self, run: JobRun[Simulate], past_orders: PastOrders) -> None:
        self._run, self._past_orders = run, past_orders
        self._work = msgspec.convert(run.checkpoint or {}, _Work)
        self._skus = 0

    async def run(self) -> Mapping[str, Any]:
        async with self._run.step() as step:
            row = await store.detail(step.tx, self._run.payload.simulation_id)
            if row is None:
                raise SimulationNotFound
            self._settings = msgspec.convert(row["settings"], SimulationSettings)
            self._connections = await store.connections(step.tx) if row["file_id"] is None else []
            self._locations = await store.locations(step.tx) if self._settings.locations else []
            levels = await store.units_by_location(step.tx) if self._locations else []
            kept = await stock.parts_without(step.tx, [UUID(id) for id in self._settings.left_out])
            self._goods = await self._asked_about(step.tx)
            self._zone = await store.zone(step.tx)
            step.words = "reads the orders"
        task = self._task(row, kept, _by_sku(levels, [place["id"] for place in self._locations]))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", PROGRAM,
            # A session of its own: what ends the worker lets it put the job back first.
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        feeding = asyncio.create_task(self._feed(process, task, row))
        try:
            await self._listen(process, feeding)
        finally:
            feeding.cancel()
            with suppress(ProcessLookupError):
                process.kill()
            with suppress(asyncio.CancelledError, Exception):
                await feeding
            await process.communicate()
        async with self._run.step() as step:
            await store.set_finished(step.tx, self._run.payload.simulation_id, utc_now())
            step.words = "done"
        return {"trials": self._work.trials}

    def _task(self, row: Any, kept: Mapping[str, float], units: dict[str, list[int]]) -> Task:
        told = self._settings
        ids = [str(place["id"]) for place in self._locations]
        trials = [
            Trial(c.strategy, c.parameters, lag, placed(where, ids, told.left_out) if where else None)
            for lag, where, c in told.trials()
        ]
        self._names = [(c.name, lag) for lag, _, c in told.trials()]
        told_of = {place.location_id: place for place in told.whereabouts}
        locations = []
        for place in self._locations:
            found = told_of.get(str(place["id"]), Whereabouts(""))
            locations.append(Location(place["name"], found.country, found.latitude, found.longitude))
        form, name = "csv", row["file_name"] or "The hub's orders"
        if name.lower().endswith((".parquet", ".pq")):
            form = "parquet"
        labels = self._labels()
        channels = [
            Channel(labels[c["id"]], None if c["share"] is None else str(c["share"]), c["buffer"])
            for c in self._connections
            if c["sells"]
        ]
        return Task(
            name, form, trials, self._work.trials, channels, told.shares, told.seed, told.cover_days, told.every_days,
            told.margin, told.oversell_cost, dict(kept), self._goods, self._zone, locations, units,
        )  # fmt: skip

    async def _asked_about(self, tx: Tx) -> dict[str, tuple[UUID, list[str]]]:
        """Return the product and tags of the SKUs that rules name by one of them, as they are now."""
        rules = [
            r.get("if", {})
            for c in self._settings.policies
            if c.strategy == "rules"
            for r in c.parameters.get("rules", ())
        ]
        products = {id for found in rules for id in found.get("product", ())}
        tags = {tag for found in rules for tag in found.get("tag", ())}
        if not products and not tags:
            return {}
        return {
            row["sku"]: (row["product_id"], row["tags"])
            for row in await store.goods(tx, sorted(products), sorted(tags))
        }

    def _labels(self) -> dict[UUID, str]:
        """Return what connections are called: by their channel, so that its share counts, or by name if there are several."""
        channels = [c["channel"] for c in self._connections]
        return {c["id"]: c["channel"] if channels.count(c["channel"]) == 1 else c["name"] for c in self._connections}

    async def _feed(self, process: asyncio.subprocess.Process, task: Task, row: Any) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(msgspec.json.encode(task) + b"\n")
            async for part in self._file(row["file_id"]) if row["file_id"] else self._own():
                process.stdin.write(part)
                await process.stdin.drain()
            process.stdin.close()
        except (BrokenPipeError, ConnectionResetError):
            # It has said why on its way out.
            return

    async def _file(self, file_id: UUID) -> AsyncIterator[bytes]:
        async with self._run.database.transaction(self._run.organisation_id) as tx:
            file = await store.file_content(tx, file_id)
        if file is None:
            raise OrderFileNotFound
        unpacked = zlib.decompressobj()
        content = memoryview(file["content"])
        for start in range(0, len(content), 65_536):
            yield unpacked.decompress(content[start : start + 65_536])
        yield unpacked.flush()

    async def _own(self) -> AsyncIterator[bytes]:
        since, until = _bounds(self._settings)
        labels = self._labels()
        yield b"time,order,sku,quantity,channel,price,cost,country\n"
        after = None
        while True:
            async with self._run.database.transaction(self._run.organisation_id) as tx:
                lines = await self._past_orders(tx, since, until, after, PAGE)
            text = io.StringIO()
            csv.writer(text).writerows(
                (
                    line.key[0].isoformat(), line.order, line.sku, line.units, labels[line.connection_id],
                    _major(line.price_minor), _major(line.cost_minor if line.price_minor is not None else None), line.country,
                )
                for line in lines
            )  # fmt: skip
            if not lines and after is None:
                raise InvalidSimulation("No order was placed in that time: choose other days, or a file.")
            yield text.getvalue().encode()
            if len(lines) < PAGE:
                return
            after = lines[-1].key

    async def _listen(self, process: asyncio.subprocess.Process, feeding: asyncio.Task[None]) -> None:
        assert process.stdout is not None
        reading = asyncio.ensure_future(process.stdout.readline())
        try:
            while True:
                await asyncio.wait({reading}, timeout=PATIENCE_S)
                if feeding.done():
                    feeding.result()  # What went wrong there is said here.
                told = Told()
                if reading.done():
                    line = reading.result()
                    if not line:
                        raise ReplayFailed(f"The replay ended with {await process.wait()} and without a result.")
                    told = msgspec.json.decode(line, type=Told)
                    reading = asyncio.ensure_future(process.stdout.readline())
                if told.wrong:
                    raise UnreadableOrders(told.wrong)
                if told.end:
                    return
                await self._note(told)
        finally:
            reading.cancel()

    async def _note(self, told: Told) -> None:
        """Write down what was told; nothing was: look whether to stop."""
        id = self._run.payload.simulation_id
        async with self._run.step() as step:
            if told.found is not None:
                self._skus = told.found["skus"]
                await store.set_found(step.tx, id, told.found)
            if told.tally is not None:
                await store.put_result(step.tx, id, told.trial, *self._names[told.trial], told.tally)
                self._work.trials = told.trial + 1
                step.checkpoint = msgspec.to_builtins(self._work)
            if self._skus:
                step.total = len(self._names) * self._skus
                step.done = max(step.done, told.trial * self._skus + told.skus)
                policy, lag_s = self._names[min(self._work.trials, len(self._names) - 1)]
                step.words = f"{policy.replace('_', ' ')} at {lag_words(lag_s)}"


def _by_sku(levels: Sequence[Any], location_ids: Sequence[UUID]) -> dict[str, list[int]]:
    """Return by SKU the units at each of these locations."""
    places = {id: place for place, id in enumerate(location_ids)}
    found: dict[str, list[int]] = {}
    for level in levels:
        if level["location_id"] in places:
            found.setdefault(level["sku"], [0] * len(places))[places[level["location_id"]]] += level["units"]
    return found


def _bounds(settings: SimulationSettings) -> tuple[datetime, datetime]:
    def midnight(text: str, otherwise: datetime, days: int) -> datetime:
        if not text:
            return otherwise
        return datetime.combine(date.fromisoformat(text), time(), UTC) + timedelta(days=days)

    return midnight(settings.since, datetime(1970, 1, 1, tzinfo=UTC), 0), midnight(settings.until, utc_now(), 1)


def _major(minor: int | None) -> str:
    # Hundredths whatever the currency: the reader multiplies by a hundred again.
    return "" if minor is None else f"{minor / 100:.2f}"
