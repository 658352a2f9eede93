"""What the tests of stock share: variants with stock, holds, and balances that the ledger has proved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from entrepot.database.pool import Database, Tx
from entrepot.kernel.clock import utc_now
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.stock.contracts import ClaimLine, Hold, Level

T = TypeVar("T")


async def within(database: Database, organisation_id: UUID, work: Callable[[Tx], Awaitable[T]]) -> T:
    """Do the work in a transaction of its own."""
    async with database.transaction(organisation_id) as tx:
        return await work(tx)


async def make_variants(database: Database, organisation_id: UUID, on_hand: list[int]) -> list[UUID]:
    ids = [new_id() for _ in on_hand]
    async with database.transaction(organisation_id) as tx:
        product = new_id()
        await tx.execute(
            "insert into product (organisation_id, id, handle, title) values ($1, $2, $3, 'P')",
            organisation_id,
            product,
            str(product),
        )
        for identifier in ids:
            await tx.execute(
                "insert into variant (organisation_id, id, product_id, sku, price_minor, currency)"
                " values ($1, $2, $3, $4, 100, 'EUR')",
                organisation_id,
                identifier,
                product,
                str(identifier),
            )
        await stock.change_on_hand(
            tx,
            [stock.StockChange(v, "opening stock", on_hand=n) for v, n in zip(ids, on_hand, strict=True)],
            kind="count",
            actor="test",
        )
    return ids


def hold(*lines: tuple[UUID, int], minutes: float = 15) -> Hold:
    expires = utc_now() + timedelta(minutes=minutes)
    return Hold(new_id(), tuple(ClaimLine(v, q) for v, q in lines), expires, "test")


async def state(database: Database, organisation_id: UUID, variant: UUID) -> tuple[int, int, int]:
    async with database.transaction(organisation_id) as tx:
        level = (await stock.levels(tx, [variant]))[0]
        assert await stock.verify(tx) == []
        return level.on_hand, level.reserved, level.held


async def level_at(tx: Tx, variant: UUID, location: UUID) -> Level:
    """Return the level of a variant at a location; the ledger must prove all balances."""
    assert await stock.verify(tx) == []
    return next(level for level in await stock.levels(tx, [variant]) if level.location_id == location)


async def default_location(tx: Tx) -> UUID:
    """Return the location that takes what names none."""
    found: UUID = await tx.fetch_value("select id from location order by priority, id limit 1")
    return found
