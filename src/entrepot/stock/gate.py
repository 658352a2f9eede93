"""The gate: concurrent holds of one process go through the database together.

Every caller waits for its own durable commit; while one batch commits, the next gathers. Nobody waits for company: a
lone caller goes at once. Decision record 0004.
"""

from __future__ import annotations

import asyncio
from collections import deque
from uuid import UUID

from entrepot.database.pool import Database
from entrepot.stock.claims import check_quantities, place_holds
from entrepot.stock.contracts import Hold, NotEnoughStock

MOST = 128
"""Most holds in one transaction."""


class HoldGate:
    """Places holds, many callers to a transaction. One per process. `safety_too`: they may take the safety stock as well."""

    def __init__(self, database: Database, *, lanes: int = 2, safety_too: bool = False) -> None:
        self._database = database
        self.safety_too = safety_too
        self._lanes = lanes
        self._waiting: dict[UUID, deque[tuple[Hold, asyncio.Future[None]]]] = {}
        self._busy: dict[UUID, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def place(self, organisation_id: UUID, hold: Hold) -> None:
        """Place a hold; return when it is committed. Raises NotEnoughStock or InvalidQuantity, nothing being placed."""
        check_quantities(hold)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(organisation_id, deque()).append((hold, future))
        if self._busy.get(organisation_id, 0) < self._lanes:
            self._busy[organisation_id] = self._busy.get(organisation_id, 0) + 1
            task = asyncio.create_task(self._serve(organisation_id), name="hold-gate")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await future

    async def _serve(self, organisation_id: UUID) -> None:
        """Commit batches until nobody waits."""
        queue = self._waiting[organisation_id]
        try:
            while queue:
                await self._commit(organisation_id, [queue.popleft() for _ in range(min(MOST, len(queue)))])
        finally:
            self._busy[organisation_id] -= 1

    async def _commit(self, organisation_id: UUID, batch: list[tuple[Hold, asyncio.Future[None]]]) -> None:
        outcome: list[NotEnoughStock | None]
        try:
            async with self._database.transaction(organisation_id) as tx:
                outcome = await place_holds(tx, [hold for hold, _ in batch], safety_too=self.safety_too)
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        except BaseException:
            for _, future in batch:
                if not future.done():
                    future.cancel()
            raise
        for (_, future), refusal in zip(batch, outcome, strict=True):
            if future.done():
                continue
            if refusal is None:
                future.set_result(None)
            else:
                future.set_exception(refusal)
