"""Parcels: what may leave, what the order says then, and what becomes of telling the channel."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import pytest
from tests.orders.support import T0, ingest, level, line, lines_of, make_connection, make_variants, order, stored

from entrepot.channels.contract import ChannelOrderStatus
from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id
from entrepot.orders import facade as orders


class Desk:
    """An order of 3 A (4 in stock) and 2 B (1 in stock), to be shipped."""

    def __init__(self, database: Database, organisation_id: UUID) -> None:
        self.database, self.id = database, organisation_id

    async def set_up(self, status: ChannelOrderStatus = ChannelOrderStatus.OPEN) -> Desk:
        self.made = await make_variants(self.database, self.id, {"A": 4, "B": 1})
        self.connection_id = await make_connection(self.database, self.id)
        await ingest(self.database, self.id, self.connection_id, order("1", 1, [line("A", 3), line("B", 2)], status))
        self.order_id: UUID = (await stored(self.database, self.id, "1"))["id"]
        async with self.database.transaction(self.id) as tx:
            rows = await tx.fetch("select external_id, id from order_line where order_id = $1", self.order_id)
        self.lines: Mapping[str, UUID] = {row[0]: row[1] for row in rows}
        return self

    async def ship(self, **units: int) -> UUID:
        parcel = orders.Parcel("DHL", "T1", "", {self.lines[n]: q for n, q in units.items()})
        async with self.database.transaction(self.id) as tx:
            return await orders.ship(tx, self.order_id, parcel, actor="test", now=T0)

    async def status(self) -> str:
        return str((await stored(self.database, self.id, "1"))["status"])


@pytest.fixture
async def desk(database: Database, organisation_id: UUID) -> Desk:
    return await Desk(database, organisation_id).set_up()


async def test_a_part_then_all_that_is_in_stock(desk: Desk) -> None:
    await desk.ship(A=1)
    assert await desk.status() == "partly_shipped"
    assert await lines_of(desk.database, desk.id, "1") == {"A": (3, 0, 1, 2, 0), "B": (2, 0, 0, 1, 1)}
    await desk.ship()
    assert await desk.status() == "partly_shipped"
    assert await lines_of(desk.database, desk.id, "1") == {"A": (3, 0, 3, 0, 0), "B": (2, 0, 1, 0, 1)}
    assert await level(desk.database, desk.id, desk.made["A"]) == (1, 0)
    assert await level(desk.database, desk.id, desk.made["B"]) == (0, 0)


async def test_an_order_of_which_nothing_is_left_is_shipped(desk: Desk) -> None:
    await desk.ship()
    await ingest(
        desk.database, desk.id, desk.connection_id, order("1", 2, [line("A", 3), line("B", 2, cancelled=1)])
    )  # fmt: skip
    assert await lines_of(desk.database, desk.id, "1") == {"A": (3, 0, 3, 0, 0), "B": (2, 1, 1, 0, 0)}
    head = await stored(desk.database, desk.id, "1")
    assert not head["has_shortage"]


@pytest.mark.parametrize("units", [{"A": 4}, {"B": 2}, {"A": 0}, {"A": -1}])
async def test_more_than_is_in_stock_is_refused_whole(desk: Desk, units: dict[str, int]) -> None:
    with pytest.raises(orders.NothingToShip):
        await desk.ship(**units)
    assert await level(desk.database, desk.id, desk.made["A"]) == (4, 3)
    assert await desk.status() == "open"


async def test_a_line_of_another_order_and_an_unknown_order_are_refused(desk: Desk) -> None:
    parcel = orders.Parcel("DHL", "T", units={new_id(): 1})
    with pytest.raises(orders.NothingToShip):
        async with desk.database.transaction(desk.id) as tx:
            await orders.ship(tx, desk.order_id, parcel, actor="test", now=T0)
    with pytest.raises(orders.OrderNotFound):
        async with desk.database.transaction(desk.id) as tx:
            await orders.ship(tx, new_id(), orders.Parcel("DHL", "T"), actor="test", now=T0)


@pytest.mark.parametrize("status", ["pending", "cancelled", "shipped"])
async def test_an_order_in_such_a_state_cannot_be_shipped(
    database: Database, organisation_id: UUID, status: str
) -> None:
    desk = await Desk(database, organisation_id).set_up(ChannelOrderStatus(status))
    with pytest.raises(orders.NothingToShip, match=status):
        await desk.ship()


async def test_the_channel_saying_later_what_we_shipped_ships_nothing_twice(desk: Desk) -> None:
    await desk.ship(A=3)
    told = order("1", 2, [line("A", 3, shipped=3), line("B", 2)], ChannelOrderStatus.PARTLY_SHIPPED)
    await ingest(desk.database, desk.id, desk.connection_id, told)
    assert await level(desk.database, desk.id, desk.made["A"]) == (1, 0)


async def test_a_shipment_waits_to_be_told_until_it_is_told_or_put_aside(desk: Desk) -> None:
    first = await desk.ship(A=1)
    second = await desk.ship(A=1)
    later = T0 + timedelta(minutes=1)
    async with desk.database.transaction(desk.id) as tx:
        rows = await orders.shipments_to_tell(tx, desk.connection_id, T0, 10)
        assert [(r["id"], r["external_id"], r["lines"]) for r in rows] == [
            (i, "1", [{"line_id": str(desk.lines["A"]), "external_id": "A", "quantity": 1}]) for i in (first, second)
        ]
        await orders.shipment_told(tx, first, "F1", T0)
        await orders.shipment_refused(tx, second, "busy", later)
        assert await orders.shipments_to_tell(tx, desk.connection_id, T0, 10) == []
        [again] = await orders.shipments_to_tell(tx, desk.connection_id, later, 10)
        assert (again["id"], again["attempts"]) == (second, 1)
        await orders.shipment_refused(tx, second, "no such carrier", None)
        assert await orders.shipments_to_tell(tx, desk.connection_id, later, 10) == []
        rows = await tx.fetch(
            "select push_state, external_id, push_detail from shipment where order_id = $1 order by id", desk.order_id
        )
    assert [tuple(row) for row in rows] == [("done", "F1", ""), ("parked", None, "no such carrier")]
