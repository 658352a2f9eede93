"""Stock: levels, the ledger, counts and adjustments, safety stock, locations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import Query
from pydantic import Field, model_validator
from starlette.responses import Response

from entrepot.api.amounts import SkuText, Text255
from entrepot.api.answers import Answer, Input, Resource, answer, once, respond
from entrepot.api.dependencies import CallDep
from entrepot.api.paging import PagingDep
from entrepot.catalog import facade as catalog
from entrepot.catalog.contracts import VariantNotFound
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.kernel.errors import NotFound
from entrepot.stock import facade as stock
from entrepot.stock import reading

Kind = Literal["count", "adjustment", "purchase", "return", "damage"]
Units = Annotated[int, Field(ge=0, le=1_000_000_000)]


class StockView(Resource):
    """A variant's units over all locations. `available`: on hand less reserved, held, unavailable and safety stock."""

    variant_id: UUID
    product_id: UUID
    sku: str
    title: str
    on_hand: int
    reserved: int
    held: int
    unavailable: int
    incoming: int
    safety_stock: int
    available: int
    shortage: int


class LevelView(Resource):
    """A variant's units at one location."""

    variant_id: UUID
    location_id: UUID
    location: str
    on_hand: int
    reserved: int
    held: int
    unavailable: int
    incoming: int
    safety_stock: int
    available: int


class Stocks(Resource):
    """Variants with their stock, by SKU."""

    stock: list[StockView]
    next_cursor: str | None


class OneStock(Resource):
    """A variant's stock, whole and by location."""

    stock: StockView
    levels: list[LevelView]


class MovementView(Resource):
    """A line of the ledger."""

    id: UUID
    at: datetime
    kind: str
    location: str
    on_hand_delta: int
    reserved_delta: int
    held_delta: int
    on_hand_after: int
    reserved_after: int
    reference_kind: str
    reference_id: UUID | None
    reason: str
    actor: str


class Movements(Resource):
    """Lines of the ledger, newest first."""

    movements: list[MovementView]
    next_cursor: str | None


class Change(Input):
    """A new number on hand, or a difference, of one variant at one location (the preferred one if absent)."""

    sku: SkuText | None = None
    variant_id: UUID | None = None
    on_hand: Units | None = None
    delta: Annotated[int | None, Field(ge=-1_000_000_000, le=1_000_000_000)] = None
    location_id: UUID | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if (self.sku is None) == (self.variant_id is None):
            raise ValueError("Name one of sku and variantId.")
        if (self.on_hand is None) == (self.delta is None):
            raise ValueError("Send one of onHand and delta.")
        return self


class Adjustment(Input):
    """Changes made together, with the reason that the ledger keeps."""

    changes: Annotated[list[Change], Field(min_length=1, max_length=500)]
    reason: Text255 = ""
    kind: Kind = "adjustment"


class Adjusted(Resource):
    """The stock of the variants that were changed."""

    stock: list[StockView]


class SafetyStock(Input):
    """Units kept back everywhere."""

    quantity: Units


class Damaged(Input):
    """Units on hand that cannot be sold, at a location (the preferred one if absent)."""

    damaged: Units
    location_id: UUID | None = None
    reason: Text255 = ""


async def list_stock(
    call: CallDep,
    paging: PagingDep,
    state: Annotated[Literal["all", "low", "out", "short"], Query()] = "all",
    search: Annotated[str, Query(max_length=200, description="Start of a SKU, part of the title, barcode")] = "",
) -> Response:
    """Return variants with their stock, by SKU."""
    chosen = reading.StockFilter(search.replace("\x00", ""), state, call.services.low_stock_threshold)
    async with call.transaction() as tx:
        found = await paging.read(lambda cursor, limit: reading.list_stock(tx, chosen, cursor, limit))
    return respond(Stocks(stock=[_stock(row) for row in found], next_cursor=found.next_cursor))


async def get_stock(variant_id: UUID, call: CallDep) -> Response:
    """Return a variant's stock, whole and by location."""
    async with call.transaction() as tx:
        return respond(await _one(tx, variant_id))


async def list_movements(variant_id: UUID, call: CallDep, paging: PagingDep) -> Response:
    """Return the ledger of a variant, newest first."""
    async with call.transaction() as tx:
        await reading.stock_row(tx, variant_id)
        found = await paging.read(lambda cursor, limit: reading.movements_of(tx, variant_id, cursor, limit))
    movements = [MovementView.model_validate(movement) for movement in found]
    return respond(Movements(movements=movements, next_cursor=found.next_cursor))


async def adjust(body: Adjustment, call: CallDep) -> Response:
    """Change what is on hand: all changes or none. A count below what is reserved is accepted and makes a shortage."""

    async def work(tx: Tx) -> Answer:
        variant_ids = await _variants(tx, body.changes)
        await _check_locations(tx, body.changes)
        changes = [
            stock.StockChange(variant_id, body.reason, each.on_hand, each.delta, each.location_id)
            for variant_id, each in zip(variant_ids, body.changes, strict=True)
        ]
        before = {str(row.variant_id): row.on_hand for row in await reading.stock_rows(tx, variant_ids)}
        await stock.change_on_hand(tx, changes, kind=body.kind, actor=call.actor.reference)
        rows = await reading.stock_rows(tx, variant_ids)
        after = {str(row.variant_id): row.on_hand for row in rows}
        subject = variant_ids[0] if len(variant_ids) == 1 else ""
        await identity.record(tx, call.actor, f"stock.{body.kind}", "variant", subject, before, after)
        return answer(Adjusted(stock=[_stock(row) for row in rows]), 201)

    return await once(call, work)


async def set_safety_stock(variant_id: UUID, body: SafetyStock, call: CallDep) -> Response:
    """Keep so many units of a variant back from every channel."""
    async with call.transaction() as tx:
        before = await reading.stock_row(tx, variant_id)
        await stock.set_safety_stock(tx, variant_id, body.quantity)
        await identity.record(
            tx, call.actor, "stock.safety", "variant", variant_id, {"safetyStock": before.safety_stock},
            {"safetyStock": body.quantity},
        )  # fmt: skip
        return respond(await _one(tx, variant_id))


async def set_damaged(variant_id: UUID, body: Damaged, call: CallDep) -> Response:
    """Say how many of the units on hand at a location are damaged: there, but not for sale."""
    async with call.transaction() as tx:
        level = await stock.set_damaged(
            tx, variant_id, body.location_id, body.damaged, reason=body.reason, actor=call.actor.reference
        )
        after = {"damaged": level.unavailable, "locationId": str(level.location_id), "reason": body.reason}
        await identity.record(tx, call.actor, "stock.damaged", "variant", variant_id, None, after)
        return respond(await _one(tx, variant_id))


async def _variants(tx: Tx, changes: list[Change]) -> list[UUID]:
    """Return the variants of the changes. Raises VariantNotFound."""
    found = await catalog.resolve(tx, UUID(int=0), [], [each.sku for each in changes if each.sku is not None])
    ids = [each.variant_id or found.by_sku.get(each.sku or "") for each in changes]
    for each, variant_id in zip(changes, ids, strict=True):
        if variant_id is None:
            raise VariantNotFound(f"There is no variant with the SKU {each.sku!r}.", sku=each.sku)
    known = {row.variant_id for row in await reading.stock_rows(tx, [i for i in ids if i is not None])}
    for variant_id in ids:
        if variant_id not in known:
            raise VariantNotFound(variant_id=str(variant_id))
    return [variant_id for variant_id in ids if variant_id is not None]


async def _check_locations(tx: Tx, changes: list[Change]) -> None:
    named = {each.location_id for each in changes if each.location_id is not None}
    if named and (unknown := named - {identifier for identifier, _ in await reading.locations(tx)}):
        raise NotFound("There is no such location.", location_id=str(unknown.pop()))


async def _one(tx: Tx, variant_id: UUID) -> OneStock:
    row = await reading.stock_row(tx, variant_id)
    levels = await reading.levels_of(tx, [variant_id])
    return OneStock(stock=_stock(row), levels=[_level(level) for level in levels])


def _stock(row: reading.StockRow) -> StockView:
    names = [name for name in StockView.model_fields if name != "available"]
    return StockView(**{name: getattr(row, name) for name in names}, available=row.ats)


def _level(level: reading.LevelView) -> LevelView:
    names = [name for name in LevelView.model_fields if name != "available"]
    return LevelView(**{name: getattr(level, name) for name in names}, available=level.ats)
