"""Holds as lists: by state, SKU, reference and maker, page by page; many extended at once beside who ends them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from tests.stock.support import hold, make_variants

from entrepot.database.pool import Database
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.stock import reading_holds
from entrepot.stock.reading_holds import HoldFilter, HoldRow


async def found(
    database: Database, organisation_id: UUID, chosen: HoldFilter = HoldFilter(), size: int = 2
) -> list[HoldRow]:
    """Return all pages of a list."""
    rows: list[HoldRow] = []
    cursor = None
    while True:
        async with database.transaction(organisation_id) as tx:
            part = await reading_holds.list_holds(tx, chosen, utc_now(), cursor, size)
        rows += part
        if part.next_cursor is None:
            return rows
        assert len(part) == size
        cursor = part.next_cursor


async def test_holds_are_listed_by_when_they_end(database: Database, organisation_id: UUID) -> None:
    a, b = await make_variants(database, organisation_id, [50, 50])
    cart = new_id()
    holds = [
        hold((a, 1), minutes=30), hold((b, 2), (a, 3), minutes=10), replace(hold((b, 4), minutes=20), reference_id=cart),
        replace(hold((a, 5), minutes=40), actor="somebody"), hold((a, 6), minutes=5),
    ]  # fmt: skip
    one, two, three, four, five = holds
    async with database.transaction(organisation_id) as tx:
        for each in holds:
            assert await stock.place_holds(tx, [each]) == [None]
    rows = await found(database, organisation_id)
    assert [row.id for row in rows] == [five.id, two.id, three.id, one.id, four.id]
    assert [(row.units, row.actor, len(row.parts)) for row in rows[:2]] == [(6, "test", 1), (5, "test", 2)]
    assert [row.id for row in await found(database, organisation_id, HoldFilter(sku=str(b)))] == [two.id, three.id]
    assert [row.id for row in await found(database, organisation_id, HoldFilter(reference=cart))] == [three.id]
    assert [row.id for row in await found(database, organisation_id, HoldFilter(reference=one.id))] == [one.id]
    assert [row.id for row in await found(database, organisation_id, HoldFilter(actor="somebody"))] == [four.id]
    async with database.transaction(organisation_id) as tx:
        assert await reading_holds.hold_makers(tx) == ["somebody", "test"]
        assert await stock.release_holds(tx, [one.id, two.id, one.id], actor="x") == 3
        assert await stock.release_holds(tx, [one.id], actor="x") == 0
        assert await stock.expire_holds(tx, utc_now() + timedelta(minutes=7)) == 1
        with pytest.raises(InvalidInput, match="is not a state"):
            await reading_holds.list_holds(tx, HoldFilter("odd"), utc_now())
    assert [row.id for row in await found(database, organisation_id)] == [three.id, four.id]
    released = await found(database, organisation_id, HoldFilter("released"), 1)
    assert [row.id for row in released] == sorted([one.id, two.id], reverse=True)
    assert all(row.ended_at for row in released)
    assert [row.id for row in await found(database, organisation_id, HoldFilter("expired"))] == [five.id]


async def test_many_are_extended_and_those_that_ended_left(database: Database, organisation_id: UUID) -> None:
    [a] = await make_variants(database, organisation_id, [50])
    holds = [hold((a, 1), minutes=minutes) for minutes in (1, 5, 9)]
    now = utc_now()
    until = now + timedelta(hours=2)
    async with database.transaction(organisation_id) as tx:
        await stock.place_holds(tx, holds)
        await stock.release_hold(tx, holds[1].id, actor="x")
        assert await stock.extend_holds(tx, [each.id for each in holds], until, now + timedelta(minutes=2)) == 1
    rows = await found(database, organisation_id)
    assert [(row.id, row.expires_at) for row in rows] == [(holds[0].id, holds[0].expires_at), (holds[2].id, until)]


async def test_extending_and_releasing_the_same_holds_at_once_never_deadlocks(
    database: Database, organisation_id: UUID
) -> None:
    a, b = await make_variants(database, organisation_id, [500, 500])
    holds = [hold((a, 1), (b, 1)) for _ in range(20)]
    async with database.transaction(organisation_id) as tx:
        await stock.place_holds(tx, holds)
    ids = [each.id for each in holds]

    async def extend(order: list[UUID]) -> None:
        for _ in range(5):
            now = utc_now()
            async with database.transaction(organisation_id) as tx:
                await stock.extend_holds(tx, order, now + timedelta(hours=1), now)

    async def release(some: list[UUID]) -> None:
        async with database.transaction(organisation_id) as tx:
            await stock.release_holds(tx, some, actor="x")

    await asyncio.gather(extend(ids), extend(ids[::-1]), release(ids[10:]), release(ids[:5]), extend(ids[5:]))
    assert {row.id for row in await found(database, organisation_id, size=50)} == set(ids[5:10])
    async with database.transaction(organisation_id) as tx:
        assert await stock.verify(tx) == []
        assert {level.held for level in await stock.levels(tx, [a, b])} == {5}
