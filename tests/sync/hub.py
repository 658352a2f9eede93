"""The reconcilers on real PostgreSQL, moved step by step by hand, with channels in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from tests.orders.support import ingest, make_connection, make_variants
from tests.sync.channel import Channel, Wire

from entrepot.channels.contract import ChannelOrder
from entrepot.database.pool import Database
from entrepot.jobs.lanes import LaneKey
from entrepot.jobs.reactions import react
from entrepot.kernel.clock import utc_now
from entrepot.stock import facade as stock
from entrepot.sync import comparisons, progress
from entrepot.sync import facade as sync
from entrepot.sync.check import check_step, listings_step
from entrepot.sync.pull import pull_step
from entrepot.sync.push import push_step


class Hub:
    """An organisation whose connections are `channels` by name; SKUs are the external ids."""

    def __init__(self, database: Database, organisation_id: UUID, *channels: Channel, patience_s: float = 600.0):
        self.database, self.id = database, organisation_id
        self.channels = {str(c.semantics): c for c in channels}
        settings = sync.SyncSettings(
            raise_patience_s=patience_s, pull_spacing_s=0.0, recheck_s=0.0, write_settling_s=0.0
        )
        self.context = sync.SyncContext(database, Wire(), self.channels.__getitem__, settings)
        self.connections: dict[str, UUID] = {}
        self.made: dict[str, UUID] = {}

    async def set_up(self, on_hand: dict[str, int], shares: Mapping[str, Any] | None = None) -> Hub:
        """Make the variants and connections, list every SKU on every channel and bring all in step."""
        self.made = await make_variants(self.database, self.id, on_hand)
        for place, (name, channel) in enumerate(self.channels.items()):
            self.connections[name] = await make_connection(self.database, self.id, name, priority=place)
            channel.books = dict.fromkeys(on_hand, 0) | channel.books
            await listings_step(self.context, self.key("listings", name))
        await self.settle()
        return self

    def key(self, kind: str, name: str) -> LaneKey:
        return LaneKey(kind, self.id, self.connections[name])

    async def take(self, name: str, *versions: ChannelOrder) -> None:
        """Take versions of orders over, as by webhook, and react."""
        await ingest(self.database, self.id, self.connections[name], *versions, via="webhook")
        await self.react()

    async def set_stock(self, sku: str, on_hand: int) -> None:
        async with self.database.transaction(self.id) as tx:
            change = stock.StockChange(self.made[sku], "count", on_hand=on_hand)
            await stock.change_on_hand(tx, [change], kind="count", actor="test")
        await self.react()

    async def react(self) -> None:
        while await react(self.database, self.id, sync.reaction_table(self.channels.__getitem__, clock_error_s=0.0)):
            pass

    async def pass_time(self) -> None:
        """Everything that waits for a time is due now."""
        async with self.database.transaction(self.id) as tx:
            for statement in (
                "update listing_quantity set next_attempt_at = null, check_at = least(check_at, now())",
                "update push_batch set next_attempt_at = null",
            ):
                await tx.execute(f"{statement} where organisation_id = $1", self.id)

    async def push(self, name: str) -> float | None:
        return await push_step(self.context, self.key("push", name))

    async def check(self, name: str) -> float | None:
        return await check_step(self.context, self.key("check", name))

    async def check_all(self, name: str) -> None:
        """Compare every listing of a channel now."""
        async with self.database.transaction(self.id) as tx:
            await comparisons.want_check(tx, [row["listing_id"] for row in await self.rows(name)], utc_now())
        await self.check(name)

    async def pull(self, name: str) -> float | None:
        async with self.database.transaction(self.id) as tx:
            await progress.want_pull(tx, self.connections[name], utc_now())
        told = await pull_step(self.context, self.key("pull", name))
        await self.react()
        return told

    async def settle(self, rounds: int = 8) -> None:
        """Let all lanes work until nothing is to be done, or the rounds are over."""
        for _ in range(rounds):
            await self.react()
            for name in self.channels:
                await self.pull(name)
                await self.pass_time()
                while await self.push(name) == 0.0:
                    pass
                await self.check(name)
            rows = [row for name in self.channels for row in await self.rows(name)]
            if all(row["state"] == "in_step" and row["check_at"] is None and not row["waits"] for row in rows):
                return

    async def rows(self, name: str) -> list[Any]:
        """Return the figures of a channel's listings."""
        async with self.database.transaction(self.id) as tx:
            return await tx.fetch(
                "select q.*, l.external_id from listing_quantity q join listing l on l.organisation_id = $1"
                " and l.id = q.listing_id where q.organisation_id = $1 and q.connection_id = $2 order by l.external_id",
                self.id,
                self.connections[name],
            )

    async def row(self, name: str, sku: str) -> Any:
        [row] = [row for row in await self.rows(name) if row["external_id"] == sku]
        return row

    async def desired(self, name: str) -> dict[str, int]:
        return {row["external_id"]: row["desired"] for row in await self.rows(name)}

    async def verify(self) -> None:
        async with self.database.transaction(self.id) as tx:
            assert await stock.verify(tx) == []
