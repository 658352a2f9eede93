"""One object per web process that watches the database for those who watch a page, and tells them what changed.

Once a second and organisation (only while somebody watches) it asks a few cheap questions: which variants moved
since, which listings wait, which orders came. What it finds is one set of patches for every watcher. A watcher
that is slow gets the newest value of each cell, not a queue of old ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from entrepot.database.pool import Database
from entrepot.kernel.clock import Clock, utc_now
from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.paging import earliest_id
from entrepot.orders import reading as orders
from entrepot.stock import reading as stock
from entrepot.sync import reading as sync
from entrepot.web.live import patches
from entrepot.web.live.patches import Patch
from entrepot.web.needs import needs_of

log = logging.getLogger(__name__)

TICK_S = 1.0
SLOW_EVERY = 5
"""Counts that read more rows (24 hours of orders, queues) are taken every so many ticks."""
OVERLAP = timedelta(seconds=4)
"""Ids are made before their transaction commits: look back that far again."""
VARIANTS_MAX = 400
NEW_MAX = 12
CATCH_UP = timedelta(minutes=10)
"""A browser that was away for longer reads its page again."""


@dataclass(slots=True)
class Update:
    """What one message to a browser carries."""

    patch: Patch = field(default_factory=dict)
    orders: list[dict[str, Any]] = field(default_factory=list)
    movements: list[dict[str, Any]] = field(default_factory=list)
    stale: bool = False

    def merge(self, other: Update) -> None:
        """Add a later update; later values of a cell win, lists keep the newest."""
        self.patch.update(other.patch)
        self.orders = (other.orders + self.orders)[:NEW_MAX]
        self.movements = (other.movements + self.movements)[:NEW_MAX]
        self.stale = self.stale or other.stale

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.patch or self.orders or self.movements or self.stale)


class Watcher:
    """One open stream."""

    def __init__(self) -> None:
        self._pending = Update()
        self._ready = asyncio.Event()
        self.closed = False

    def tell(self, update: Update) -> None:
        """Add what is to be told."""
        self._pending.merge(update)
        self._ready.set()

    def close(self) -> None:
        """End the stream."""
        self.closed = True
        self._ready.set()

    async def next(self, timeout_s: float) -> Update | None:
        """Return what is to be told, or None if there was nothing for `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            return None
        self._ready.clear()
        update, self._pending = self._pending, Update()
        return None if update.is_empty else update


class _Board:
    """What the hub knows of one organisation that somebody watches."""

    def __init__(self, organisation_id: UUID, now: datetime) -> None:
        self.organisation_id = organisation_id
        self.watchers: set[Watcher] = set()
        self.ticks = 0
        self.told: Patch = {}
        self.looked_at = now
        self.seen_orders: dict[UUID, None] = {}
        self.seen_movements: dict[UUID, None] = {}
        self.primed = False
        self.unsettled: set[UUID] = set()
        self.open_runs: set[UUID] = set()
        self.figures: dict[str, Any] = {}

    def changed(self, patch: Patch) -> Patch:
        """Return the part of the patch that is new, and remember it."""
        fresh = {key: value for key, value in patch.items() if self.told.get(key) != value}
        self.told.update(fresh)
        return fresh


class LiveHub:
    """Watches for all open streams of this process. `close()` ends them at once, so that they never hold up a stop."""

    def __init__(self, database: Database, *, tick_s: float = TICK_S, clock: Clock = utc_now) -> None:
        self._database = database
        self._tick_s = tick_s
        self._clock = clock
        self._boards: dict[UUID, _Board] = {}
        self._task: asyncio.Task[None] | None = None
        self.closed = False

    @contextlib.asynccontextmanager
    async def watch(self, organisation_id: UUID, since: datetime | None = None) -> AsyncIterator[Watcher]:
        """Open a stream. It first gets the present figures and, if it was away, what changed `since`."""
        watcher = Watcher()
        board = self._boards.setdefault(organisation_id, _Board(organisation_id, self._clock()))
        board.watchers.add(watcher)
        if self.closed:
            watcher.close()
        else:
            try:
                if not board.primed:
                    await self._look(board)
                watcher.tell(await self._since(board, since))
            except (EntrepotError, OSError):
                log.warning("live data is not available yet", exc_info=True)
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._run(), name="live hub")
        try:
            yield watcher
        finally:
            board.watchers.discard(watcher)
            if not board.watchers:
                self._boards.pop(organisation_id, None)

    def close(self) -> None:
        """End all streams and the watching."""
        self.closed = True
        for board in self._boards.values():
            for watcher in board.watchers:
                watcher.close()
        if self._task is not None:
            self._task.cancel()

    def figures(self, organisation_id: UUID) -> dict[str, Any]:
        """Return the present figures of an organisation that is watched."""
        board = self._boards.get(organisation_id)
        return dict(board.figures) if board else {}

    async def _run(self) -> None:
        while self._boards and not self.closed:
            await asyncio.sleep(self._tick_s)
            for board in list(self._boards.values()):
                try:
                    update = await self._look(board)
                except Exception:
                    # The database may be away for a moment: streams stay open and the next look tells all.
                    log.warning("live data could not be read", exc_info=True)
                    continue
                if not update.is_empty:
                    for watcher in board.watchers:
                        watcher.tell(update)

    async def _since(self, board: _Board, since: datetime | None) -> Update:
        """Return the present figures, and the cells that changed while a browser was away."""
        update = Update(patch={k: v for k, v in board.told.items() if k.split(":", 1)[0] in _ALWAYS})
        if since is None:
            return update
        if self._clock() - since > CATCH_UP:
            update.stale = True
            return update
        async with self._database.transaction(board.organisation_id) as tx:
            moved = await stock.moved_variants(tx, earliest_id(since - OVERLAP), VARIANTS_MAX)
            if len(moved) >= VARIANTS_MAX:
                update.stale = True
                return update
            update.patch |= await _variant_patch(tx, moved)
        return update

    async def _look(self, board: _Board) -> Update:
        """Ask the database what is new for one organisation."""
        now = self._clock()
        slow = board.ticks % SLOW_EVERY == 0
        board.ticks += 1
        update = Update()
        patch: Patch = {}
        async with self._database.transaction(board.organisation_id) as tx:
            since = earliest_id(board.looked_at - OVERLAP)
            fresh = _unseen(board.seen_orders, await orders.orders_since(tx, since, NEW_MAX))
            update.orders = [patches.order_item(row) for row in fresh]
            moves = _unseen(board.seen_movements, await stock.recent_movements(tx, since, NEW_MAX * 2))
            update.movements = [patches.movement_item(row) for row in moves[:NEW_MAX]]
            moved = set(await stock.moved_variants(tx, since, VARIANTS_MAX))
            waiting = set(await sync.waiting_variants(tx, VARIANTS_MAX))
            chosen = list(moved | waiting | board.unsettled)[:VARIANTS_MAX]
            if chosen:
                rows = await stock.stock_rows(tx, chosen)
                cells = await sync.listing_cells(tx, chosen)
                for row in rows:
                    patch |= patches.stock_patch(row)
                for cell in cells:
                    patch |= patches.cell_patch(cell)
                board.unsettled = {cell.variant_id for cell in cells if cell.badge == "pending"}
            patch |= await self._runs(tx, board, now)
            if slow or fresh:
                patch |= await self._figures(tx, board, now)
        board.looked_at = now
        update.patch = board.changed(patch)
        if not board.primed:
            board.primed = True
            update.orders, update.movements = [], []
        if len(board.told) > 20_000:
            board.told = {k: v for k, v in board.told.items() if k.split(":", 1)[0] in _ALWAYS}
        return update

    async def _runs(self, tx: Any, board: _Board, now: datetime) -> Patch:
        patch: Patch = {}
        running = await sync.running_runs(tx)
        ended = board.open_runs - {run.id for run in running}
        for run in (*running, *[await sync.run_detail(tx, run_id) for run_id in ended]):
            patch |= patches.run_patch(run, now)
        # A run that began: pages that list runs read the list again.
        if {run.id for run in running} != board.open_runs:
            patch["runs:open"] = ",".join(sorted(str(run.id) for run in running))
        board.open_runs = {run.id for run in running}
        return patch

    async def _figures(self, tx: Any, board: _Board, now: datetime) -> Patch:
        overview = await sync.channel_overview(tx)
        day = await orders.placed_counts(tx, now - timedelta(hours=24))
        hour = await orders.placed_counts(tx, now - timedelta(hours=1))
        needs = await needs_of(tx)
        live = [row for row in overview if row.state != "disconnected"]
        patch = patches.attention_patch(needs) | patches.totals_patch(live, day, sum(hour.values()))
        for row in live:
            patch |= patches.channel_patch(row, day.get(row.id, 0))
        board.figures = {
            "orders24h": sum(day.values()),
            "ordersLastHour": sum(hour.values()),
            "queue": sum(row.queue for row in live),
            "attention": {name: getattr(needs, name) for name in patches.ATTENTION},
            "channels": [
                {
                    "id": str(row.id), "name": row.name, "channel": row.channel, "condition": row.condition,
                    "orders24h": day.get(row.id, 0), "queue": row.queue, "trouble": row.trouble,
                }
                for row in live
            ],
            "runs": len(board.open_runs),
        }  # fmt: skip
        return patch


_ALWAYS = frozenset(
    ("needs", "total", "health", "pulled", "orders24", "queue", "trouble", "run", "run-note", "run-bar", "run-state")
)
"""First words of the keys that every new stream gets at once."""


async def _variant_patch(tx: Any, variant_ids: Iterable[UUID]) -> Patch:
    patch: Patch = {}
    chosen = list(variant_ids)
    for row in await stock.stock_rows(tx, chosen):
        patch |= patches.stock_patch(row)
    for cell in await sync.listing_cells(tx, chosen):
        patch |= patches.cell_patch(cell)
    return patch


def _unseen(seen: dict[UUID, None], rows: Iterable[Any]) -> list[Any]:
    """Return the rows not met before, and remember them (the newest thousand)."""
    fresh = [row for row in rows if row.id not in seen]
    for row in fresh:
        seen[row.id] = None
    while len(seen) > 1000:
        seen.pop(next(iter(seen)))
    return fresh
