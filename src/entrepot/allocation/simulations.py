"""Simulations as they are asked for, kept and compared. Every function works in the caller's transaction."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from entrepot.allocation import order_file
from entrepot.allocation import store_simulations as store
from entrepot.allocation.contracts import Policy
from entrepot.allocation.rules import check_policy
from entrepot.allocation.simulate import NAMED, Tally
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.identity.facade import Actor
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobKind, JobNotFound, JobState, JobView
from entrepot.kernel.errors import Conflict, InvalidInput, NotFound
from entrepot.kernel.ids import new_id
from entrepot.kernel.paging import Slice, bounded, decode_cursor, slice_of

FILE_BYTES_MAX = 64 * 1024 * 1024
FILES_MAX = 20
TRIALS_MAX = 24
LAG_MOST_S = 7 * 86_400.0
DAYS_MOST = 3_650.0
SHARES: Mapping[str, float] = {"first": 0.5, "second": 0.3, "third": 0.2}
"""Channels of a file that names none, with their parts of the orders."""


class SimulationNotFound(NotFound):
    """There is no such simulation."""


class OrderFileNotFound(NotFound):
    """There is no such file of orders: it went with the last simulation that used it. Send it again."""


class TooManyFiles(Conflict):
    """Twenty files of orders are kept: delete simulations that you need no more."""


class StillRunning(Conflict):
    """The simulation is still running: stop it first."""


class InvalidSimulation(InvalidInput):
    """The simulation cannot be run like that."""


class Choice(msgspec.Struct, frozen=True):
    """A policy to try, by the name that it is shown under."""

    name: str
    strategy: str
    parameters: dict[str, Any] = {}


class SimulationSettings(msgspec.Struct, frozen=True):
    """What to try. Lags in seconds; `margin`: part of the price where no cost is known; `oversell_cost`: in margins.

    `since` and `until` (dates, the last one included) choose among the hub's own orders; `left_out`: locations whose stock is
    not there; `shares`, `seed`: which order goes to which channel, where a file names no channels.
    """

    policies: list[Choice]
    lags_s: list[float]
    since: str = ""
    until: str = ""
    cover_days: float = 28.0
    every_days: float = 42.0
    margin: float = 0.3
    oversell_cost: float = 10.0
    left_out: list[str] = []
    shares: dict[str, float] = msgspec.field(default_factory=lambda: dict(SHARES))
    seed: int = 1


class Simulate(msgspec.Struct, frozen=True):
    """The payload of the job."""

    simulation_id: UUID


SIMULATION = JobKind("simulation", "Simulation", Simulate)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy at a lag came to. `best`: it earns most at its lag."""

    policy: str
    lag_s: float
    tally: Tally
    best: bool = False

    @property
    def oversold_share(self) -> float:
        """Stock-outs with an oversell, of all stock-outs."""
        return self.tally.stock_outs_oversold / self.tally.stock_outs if self.tally.stock_outs else 0.0

    @property
    def lost_share(self) -> float:
        """Units lost, of those that the clairvoyant sells."""
        return self.tally.lost / self.tally.clairvoyant_sold if self.tally.clairvoyant_sold else 0.0

    @property
    def margin_share(self) -> float | None:
        """The margin less oversells, of what the clairvoyant earns; None where no price is known."""
        whole = self.tally.clairvoyant_margin_minor
        return self.tally.margin_minor / whole if whole > 0 else None


@dataclass(frozen=True, slots=True)
class SimulationView:
    """A simulation with what came of it so far. `job` is None once its record is too old to be kept."""

    id: UUID
    title: str
    actor: str
    job: JobView | None
    file_id: UUID | None
    file_name: str | None
    settings: SimulationSettings
    found: Mapping[str, Any] | None
    created_at: datetime
    finished_at: datetime | None
    outcomes: tuple[Outcome, ...]

    @property
    def state(self) -> str:
        """Return where it stands: done, or where its job does."""
        if self.finished_at is not None:
            return JobState.DONE.value
        return self.job.state.value if self.job else JobState.CANCELLED.value

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.finished_at is None and self.job is not None and self.job.is_open


def marked(outcomes: Sequence[Outcome], oversell_cost: float) -> tuple[Outcome, ...]:
    """Return the outcomes with the best at each lag marked: it earns most; without prices it sells most, less oversells."""

    def worth(each: Outcome) -> tuple[float, float, float]:
        tally = each.tally
        units = tally.sold - tally.oversold * oversell_cost
        return (tally.margin_minor if each.margin_share is not None else units, -tally.oversold, -tally.lost)

    best = {}
    for lag in {each.lag_s for each in outcomes}:
        best[lag] = max(worth(each) for each in outcomes if each.lag_s == lag)
    return tuple(Outcome(e.policy, e.lag_s, e.tally, worth(e) == best[e.lag_s]) for e in outcomes)


def choices(names: Sequence[str], present: Policy | None = None) -> list[Choice]:
    """Return the policies of these names; `present`: the shop's own, as `now`. Raises InvalidSimulation."""
    found = []
    for name in names:
        if name == "now" and present is not None:
            found.append(Choice("now", present.strategy, dict(present.parameters)))
        elif name in NAMED:
            found.append(Choice(name, NAMED[name].strategy, dict(NAMED[name].parameters)))
        else:
            raise InvalidSimulation(f"There is no policy {name!r} to simulate: choose among {', '.join(NAMED)}, now.")
    return found


def check_settings(settings: SimulationSettings) -> SimulationSettings:
    """Return the settings. Raises InvalidSimulation, InvalidPolicy saying what is wrong."""
    if not settings.policies or not settings.lags_s:
        raise InvalidSimulation("Choose at least one policy and one lag.")
    if len(settings.policies) * len(settings.lags_s) > TRIALS_MAX:
        raise InvalidSimulation(f"Policies times lags are at most {TRIALS_MAX}.")
    for choice in settings.policies:
        check_policy(choice.strategy, choice.parameters)
    if len({choice.name for choice in settings.policies}) < len(settings.policies):
        raise InvalidSimulation("Give each policy a name of its own.")
    if not all(0 <= lag <= LAG_MOST_S for lag in settings.lags_s):
        raise InvalidSimulation("A lag lies between 0 seconds and 7 days.")
    if not (0 < settings.cover_days <= DAYS_MOST and 0 < settings.every_days <= DAYS_MOST):
        raise InvalidSimulation(f"Days of stock and days between deliveries are more than 0, up to {DAYS_MOST:,.0f}.")
    if not (0 < settings.margin <= 1 and 0 <= settings.oversell_cost <= 1_000):
        raise InvalidSimulation("The margin lies between 0 and 1, what an oversell costs between 0 and 1,000 margins.")
    _check_texts(settings)
    if not settings.shares or not all(share > 0 for share in settings.shares.values()) or len(settings.shares) > 50:
        raise InvalidSimulation("Name channels with shares above 0.")
    return settings


def _check_texts(settings: SimulationSettings) -> None:
    for text in (settings.since, settings.until):
        try:
            date.fromisoformat(text or "2026-01-01")
        except ValueError:
            raise InvalidSimulation(f"{text[:40]!r} is not a date such as 2026-05-31.") from None
    if settings.since and settings.until and settings.since > settings.until:
        raise InvalidSimulation("The first day lies after the last.")
    for text in settings.left_out:
        try:
            UUID(text)
        except ValueError:
            raise InvalidSimulation(f"{text[:40]!r} is not the id of a location.") from None


_UNITS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def lag_of(text: str) -> float:
    """Return the seconds of a lag such as 5s, 60s, 15min or 1h. Raises InvalidSimulation."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip())
    if not match or match[2] not in _UNITS:
        raise InvalidSimulation(f"{text.strip()[:40]!r} is not a time: write 5s, 60s, 15min or 1h.")
    return float(match[1]) * _UNITS[match[2]]


def lag_words(seconds: float) -> str:
    """Return a lag as it is typed."""
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def shares_of(text: str) -> dict[str, float]:
    """Return the parts of channels, such as shop=0.6,market=0.4. Raises InvalidSimulation."""
    shares = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        if not name.strip() or not re.fullmatch(r"\d*\.?\d+", share.strip()) or float(share) <= 0:
            raise InvalidSimulation(f"{part[:40]!r} is not a channel and its part: write shop=0.6,market=0.4.")
        shares[name.strip()] = float(share)
    return shares


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
    outcomes: dict[UUID, list[Outcome]] = {}
    for row in await store.results(tx, [row["id"] for row in rows]):
        tally = Tally(**{name: row["tally"].get(name, 0) for name in Tally.__slots__})
        outcomes.setdefault(row["simulation_id"], []).append(Outcome(row["policy"], row["lag_s"], tally))
    views = []
    for row in rows:
        settings = msgspec.convert(row["settings"], SimulationSettings)
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


CSV_COLUMNS = (
    "asked", "sold", "oversold", "lost", "stranded", "stock_outs", "stock_outs_oversold", "clairvoyant_sold",
    "revenue_minor", "margin_minor", "clairvoyant_revenue_minor", "clairvoyant_margin_minor", "asked_with_cost",
)  # fmt: skip


def as_csv(view: SimulationView) -> str:
    """Return the comparison as a file. A name that a spreadsheet would take for a formula is quoted."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("policy", "lag_s", "best", *CSV_COLUMNS))
    for each in view.outcomes:
        name = f"'{each.policy}" if each.policy[:1] in "=+-@\t\r" else each.policy
        figures = [round(getattr(each.tally, column)) for column in CSV_COLUMNS]
        writer.writerow((name, f"{each.lag_s:g}", "yes" if each.best else "", *figures))
    return text.getvalue()
