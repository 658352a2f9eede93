"""An order that came in has its lane due; once it is routed, it is not."""

from __future__ import annotations

from uuid import UUID

from tests.orders.support import line, order
from tests.sync.channel import Channel
from tests.sync.hub import Hub

from entrepot.channels.contract import QuantitySemantics
from entrepot.database.pool import Database
from entrepot.fulfilment import facade as fulfilment
from entrepot.sync.engine import find_due


async def test_an_order_that_came_in_is_routed_by_its_lane(database: Database, organisation_id: UUID) -> None:
    hub = await Hub(database, organisation_id, Channel(QuantitySemantics.ABSOLUTE)).set_up({"A": 5})

    async def is_due() -> bool:
        return fulfilment.ROUTE in {key.kind for key in await find_due(hub.context, hub.id)}

    assert not await is_due()
    await hub.take(next(iter(hub.channels)), order("1", 1, [line("A", 2)]))
    assert await is_due()
    while await fulfilment.route_step(database, hub.id, hub.context.clock()) is not None:
        pass
    await hub.react()
    assert not await is_due()
    async with database.transaction(hub.id) as tx:
        assert await tx.fetch_value("select status from fulfilment_order where organisation_id = $1", hub.id) == "open"
