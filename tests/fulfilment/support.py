"""A shop with three places: its orders come in as channels tell them, and are routed as the lane does it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tests.orders.support import ingest, line, make_connection, make_variants, order, stored

from entrepot.channels.contract import ChannelOrder, ChannelOrderStatus
from entrepot.database.pool import Database, Tx
from entrepot.fulfilment.working import orders_changed, route_step, stock_changed
from entrepot.jobs.reactions import react
from entrepot.kernel.clock import utc_now
from entrepot.orders import facade as orders
from entrepot.stock import facade as stock

MAIN, SECOND, THIRD = "Main", "Second", "Third"


class Shop:
    """Variants by SKU with units at each place."""

    def __init__(self, database: Database, organisation_id: UUID) -> None:
        self.database, self.id = database, organisation_id

    async def open(self, stocked: Mapping[str, tuple[int, int, int]]) -> Shop:
        """Make variants with so many units at the three places."""
        self.variants = await make_variants(self.database, self.id, {sku: n[0] for sku, n in stocked.items()})
        self.connection_id = await make_connection(self.database, self.id)
        async with self.database.transaction(self.id) as tx:
            main = await tx.fetch_value("select id from location where organisation_id = $1", self.id)
            await stock.change_location(tx, main, name=MAIN)
            self.places = {MAIN: main}
            for number, name in ((1, SECOND), (2, THIRD)):
                self.places[name] = await stock.create_location(tx, name)
                there = [
                    stock.StockChange(self.variants[sku], "x", on_hand=n[number], location_id=self.places[name])
                    for sku, n in stocked.items()
                    if n[number]
                ]
                if there:
                    await stock.change_on_hand(tx, there, kind="count", actor="test")
        self.versions: dict[str, int] = {}
        return self

    async def sell(
        self, name: str, status: ChannelOrderStatus = ChannelOrderStatus.OPEN, *, cancelled: int = 0, **units: int
    ) -> UUID:
        """Tell an order, or a newer version of it, of so many units by SKU; return its id. `cancelled`: of each line."""
        await ingest(self.database, self.id, self.connection_id, self.told(name, status, cancelled=cancelled, **units))
        return (await stored(self.database, self.id, name))["id"]  # type: ignore[no-any-return]

    def told(
        self, name: str, status: ChannelOrderStatus = ChannelOrderStatus.OPEN, *, cancelled: int = 0, **units: int
    ) -> ChannelOrder:
        self.versions[name] = self.versions.get(name, 0) + 1
        return order(name, self.versions[name], [line(sku, n, cancelled) for sku, n in units.items()], status)

    async def settle(self, *, hours: float = 0) -> None:
        """Let reactions and the lane do all there is to do, so many hours from now."""
        table: Any = {
            stock.STOCK_CHANGED: (stock_changed,),
            "stock.claims_changed": (orders.claims_changed,),
            orders.ORDERS_CHANGED: (orders_changed,),
        }
        now = utc_now() + timedelta(hours=hours, minutes=1)
        while await react(self.database, self.id, table) or await self.step(now):
            pass

    async def step(self, now: datetime) -> bool:
        return await route_step(self.database, self.id, now) is not None

    async def sent_from(self, order_id: UUID, *statuses: str) -> dict[tuple[str, str], int]:
        """Return units by (place, SKU) of fulfilment orders that are not cancelled."""
        async with self.database.transaction(self.id) as tx:
            return await sent_from(tx, order_id, statuses or ("open", "in_progress", "ready", "shipped"))

    async def waiting(self, order_id: UUID) -> dict[str, tuple[int, str]]:
        """Return (units, reason) by SKU of what waits."""
        async with self.database.transaction(self.id) as tx:
            rows = await tx.fetch(
                "select l.sku, p.quantity, p.reason from parked_line p join order_line l on l.id = p.order_line_id"
                " where p.organisation_id = $1 and p.order_id = $2",
                self.id,
                order_id,
            )
        return {row[0]: (row[1], row[2]) for row in rows}

    async def check(self) -> None:
        """Prove the ledger, and that every unit of open fulfilment orders is reserved at its place."""
        async with self.database.transaction(self.id) as tx:
            assert await stock.verify(tx) == []
            rows = await tx.fetch(UNCOVERED, self.id)
            assert [dict(row) for row in rows] == []


UNCOVERED = """
select f.order_id, f.location_id, l.order_line_id, sum(l.quantity - l.shipped) as units,
       coalesce((select sum(r.quantity) from reservation r where r.organisation_id = $1 and r.state = 'active'
                 and r.reference_id = l.order_line_id and r.location_id = f.location_id), 0) as reserved
from fulfilment_order f
join fulfilment_order_line l on l.organisation_id = $1 and l.fulfilment_order_id = f.id
where f.organisation_id = $1 and f.status in ('open', 'in_progress', 'ready')
group by 1, 2, 3
having sum(l.quantity - l.shipped) > coalesce((select sum(r.quantity) from reservation r where r.organisation_id = $1
    and r.state = 'active' and r.reference_id = l.order_line_id and r.location_id = f.location_id), 0)
"""


async def sent_from(tx: Tx, order_id: UUID, statuses: tuple[str, ...]) -> dict[tuple[str, str], int]:
    rows = await tx.fetch(
        "select p.name, o.sku, sum(l.quantity)::bigint from fulfilment_order f"
        " join fulfilment_order_line l on l.organisation_id = $1 and l.fulfilment_order_id = f.id and l.quantity > 0"
        " join order_line o on o.organisation_id = $1 and o.id = l.order_line_id"
        " join location p on p.organisation_id = $1 and p.id = f.location_id"
        " where f.organisation_id = $1 and f.order_id = $2 and f.status = any($3::text[]) group by 1, 2",
        tx.organisation,
        order_id,
        list(statuses),
    )
    return {(row[0], row[1]): row[2] for row in rows}
