"""Simulations as they are asked for, kept and compared. Every function works in the caller's transaction."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from entrepot.allocation import order_file
from entrepot.allocation import store_simulations as store
from entrepot.allocation.location_choices import placed
from entrepot.allocation.simulate import Tally
from entrepot.allocation.simulation_outcomes import Outcome, SimulationView, as_csv, conclusions, marked
from entrepot.allocation.simulation_settings import (
    SHARES,
    Choice,
    InvalidSimulation,
    SimulationSettings,
    check_settings,
    choices,
    lag_of,
    lag_words,
    shares_of,
)
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobKind, JobNotFound, JobState
from entrepot.kernel.errors import Conflict, NotFound
from entrepot.kernel.ids import new_id
from entrepot.kernel.paging import Slice, bounded, decode_cursor, slice_of

__all__ = [
    "FILES_MAX", "FILE_BYTES_MAX", "SHARES", "SIMULATION", "Choice", "InvalidSimulation", "OrderFileNotFound", "Outcome",
    "Simulate", "SimulationNotFound", "SimulationSettings", "SimulationView", "StillRunning", "TooManyFiles", "as_csv",
    "as_utf8", "check_settings", "choices", "conclusions", "delete", "detail", "files", "keep_file", "lag_of", "lag_words",
    "listing", "marked", "of_job", "plain", "shares_of", "start", "stop",
]  # fmt: skip

FILE_BYTES_MAX = 64 * 1024 * 1024
FILES_MAX = 20


class SimulationNotFound(NotFound):
    """There is no such simulation."""


class OrderFileNotFound(NotFound):
    """There is no such file of orders: it went with the last simulation that used it. Send it again."""


class TooManyFiles(Conflict):
    """Twenty files of orders are kept: delete simulations that you need no more."""


class StillRunning(Conflict):
    """The simulation is still running: stop it first."""


class Simulate(msgspec.Struct, frozen=True):
    """The payload of the job."""

    simulation_id: UUID


SIMULATION = JobKind("simulation", "Simulation", Simulate)


async def keep_file(tx: Tx, name: str, data: bytes, *, actor: str) -> UUID:
    """Keep a file of orders for simulations; return its id. Raises UnreadableOrders, InvalidSimulation, TooManyFiles."""
    if len(data) > FILE_BYTES_MAX:
        raise InvalidSimulation(f"The file is larger than {FILE_BYTES_MAX // 1024 // 1024} MB: send a part of it.")
    form = order_file.form_of(name)
    # Beside the loop: a large file takes a second or two.
    packed = await asyncio.to_thread(_packed, name, form, data)
    await store.lock_files(tx)
    if len(await store.files(tx)) >= FILES_MAX:
        raise TooManyFiles
    id = new_id()
    await store.insert_file(tx, id, name[:200], form, packed, len(data), actor)
    return id


def _packed(name: str, form: str, data: bytes) -> bytes:
    if form == "csv":
        data = as_utf8(data)
        order_file.check_head(data[:65_536].decode(errors="replace"), name)
    return zlib.compress(data, 6)


def as_utf8(data: bytes) -> bytes:
    """Return the text in UTF-8; spreadsheets also save in the encoding of Windows."""
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace").encode()
    return data


async def start(
    tx: Tx, actor: Actor, settings: SimulationSettings, *, file_id: UUID | None = None, title: str = ""
) -> UUID:
    """Start a simulation of a file of orders, or of the hub's own; return its id.

    Raises InvalidSimulation, InvalidPolicy, OrderFileNotFound.
    """
    check_settings(settings)
    if settings.locations:
        ids = [str(row["id"]) for row in await store.locations(tx)]
        for choice in settings.locations:
            placed(choice, ids)
    about = "own orders"
    if file_id is not None:
        # The lock keeps the file from being deleted with its last simulation meanwhile.
        await store.lock_files(tx)
        file = await store.file_content(tx, file_id)
        if file is None:
            raise OrderFileNotFound
        about = file["name"]
    id = new_id()
    names = ", ".join(choice.name.replace("_", " ") for choice in settings.policies)
    title = title.strip()[:200] or f"{names[:1].upper()}{names[1:]} on {about}"[:200]
    job_id = await jobs.enqueue(tx, SIMULATION, Simulate(id), actor=actor.name, title=f"{SIMULATION.title}: {title}")
    await store.insert(tx, id, title, actor.name, job_id, file_id, msgspec.to_builtins(settings))
    after = {"title": title, "file": about, "policies": [choice.name for choice in settings.policies]}
    await identity.record(tx, actor, "simulation.start", "simulation", id, None, after)
    return id


async def detail(tx: Tx, id: UUID) -> SimulationView:
    """Return a simulation. Raises SimulationNotFound."""
    row = await store.detail(tx, id)
    if row is None:
        raise SimulationNotFound
    return (await _views(tx, [row]))[0]


async def of_job(tx: Tx, job_id: UUID) -> UUID:
    """Return the simulation that a job runs. Raises SimulationNotFound."""
    id = await store.of_job(tx, job_id)
    if id is None:
        raise SimulationNotFound
    return id


async def listing(tx: Tx, cursor: str | None = None, limit: int = 50) -> Slice[SimulationView]:
    """Return simulations, newest first. Raises InvalidCursor."""
    limit = bounded(limit)
    after = decode_cursor(cursor, UUID)
    before = after[0] if after else None
    found = await _views(tx, await store.listing(tx, before if isinstance(before, UUID) else None, limit + 1))
    return slice_of(found, limit, (found[limit - 1].id,) if len(found) > limit else None)


async def _views(tx: Tx, rows: Sequence[Any]) -> list[SimulationView]:
    tried = {row["id"]: msgspec.convert(row["settings"], SimulationSettings) for row in rows}
    outcomes: dict[UUID, list[Outcome]] = {}
    for row in await store.results(tx, [row["id"] for row in rows]):
        tally = Tally(**{name: row["tally"].get(name, 0) for name in Tally.__slots__})
        where = tried[row["simulation_id"]].trials()[row["position"]][1]
        outcomes.setdefault(row["simulation_id"], []).append(
            Outcome(row["policy"], row["lag_s"], tally, locations=where.name if where else "")
        )
    views = []
    for row in rows:
        settings = tried[row["id"]]
        try:
            job = await jobs.detail(tx, row["job_id"])
        except JobNotFound:
            job = None
        found = marked(outcomes.get(row["id"], []), settings.oversell_cost)
        views.append(
            SimulationView(
                row["id"], row["title"], row["actor"], job, row["file_id"], row["file_name"], settings, row["found"],
                row["created_at"], row["finished_at"], found,
            )
        )  # fmt: skip
    return views


async def stop(tx: Tx, actor: Actor, id: UUID) -> SimulationView:
    """Stop a simulation; what is done of it stays. Raises SimulationNotFound, JobHasEnded."""
    view = await detail(tx, id)
    if view.job is None:
        raise jobs.JobHasEnded
    await jobs.cancel(tx, view.job.id)
    await identity.record(tx, actor, "simulation.stop", "simulation", id)
    return await detail(tx, id)


async def delete(tx: Tx, actor: Actor, id: UUID) -> None:
    """Delete a simulation, and its file with the last one about it. Raises SimulationNotFound, StillRunning."""
    view = await detail(tx, id)
    if view.is_open:
        raise StillRunning
    await store.lock_files(tx)
    await store.delete(tx, id)
    if view.file_id is not None:
        await store.drop_unused_file(tx, view.file_id)
    if view.job is not None and view.job.state is JobState.HELD:
        await jobs.dismiss(tx, view.job.id)
    await identity.record(tx, actor, "simulation.delete", "simulation", id, {"title": view.title}, None)


async def files(tx: Tx) -> list[Any]:
    """Return (id, name, bytes, created_at) of the files of orders that are kept, newest first."""
    return await store.files(tx)


def plain(settings: SimulationSettings) -> dict[str, Any]:
    """Return the settings as JSON."""
    found: dict[str, Any] = msgspec.to_builtins(settings)
    return found
