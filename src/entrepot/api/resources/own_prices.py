"""Prices that listings have of their own: a channel or a person changed them there, so no price list decides them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import Query
from pydantic import Field, model_validator
from starlette.responses import Response

from entrepot.api.amounts import text
from entrepot.api.answers import Answer, Input, Resource, answer, once, respond
from entrepot.api.dependencies import CallDep
from entrepot.api.paging import PagingDep
from entrepot.database.pool import Tx
from entrepot.sync import own_prices
from entrepot.sync.merge.values import Value
from entrepot.sync.own_prices import AT_ONCE_MOST, OwnPrice

PriceField = Literal["price", "compare_at"]


class OwnPriceView(Resource):
    """A price of a listing's own. `otherwise`: what it would be if it were taken off, by `priceList` or (empty) the base price;
    null: no compare-at price, or none that can be told."""

    listing_id: UUID
    field: str
    value: str | None
    otherwise: str | None
    currency: str | None
    price_list: str
    set_by: str
    set_at: datetime
    connection_id: UUID
    connection: str
    external_id: str
    sku: str
    product_id: UUID
    title: str


class OwnCountView(Resource):
    """How many a connection has."""

    connection_id: UUID
    connection: str
    count: int


class OwnPrices(Resource):
    """Prices of listings' own, what was changed last first, and how many each connection has."""

    prices: list[OwnPriceView]
    counts: list[OwnCountView]
    next_cursor: str | None


class OwnKey(Input):
    """A price of a listing."""

    listing_id: UUID
    field: PriceField = "price"


class TakeOffInput(Input):
    """Which: those named, or all that a connection had when you looked (`until`)."""

    prices: Annotated[list[OwnKey] | None, Field(min_length=1, max_length=AT_ONCE_MOST)] = None
    connection_id: UUID | None = None
    until: datetime | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.prices is None) == (self.connection_id is None) or (self.connection_id is None) != (
            self.until is None
        ):
            raise ValueError("Send either `prices`, or `connectionId` with `until`.")
        if self.until is not None and self.until.tzinfo is None:
            raise ValueError("`until` names its time zone, such as 2026-11-20T10:00:00Z.")
        return self


class TakenOff(Resource):
    """How many prices were taken off."""

    count: int


async def list_own(
    call: CallDep,
    paging: PagingDep,
    connection_id: Annotated[UUID | None, Query(alias="connectionId")] = None,
    product_id: Annotated[UUID | None, Query(alias="productId")] = None,
) -> Response:
    """Return prices that listings have of their own, on a connection, of a product, or all."""
    async with call.transaction() as tx:
        counts = await own_prices.count_own(tx, product_id)
        found = await paging.read(
            lambda cursor, limit: own_prices.list_own(tx, connection_id, product_id, cursor, limit)
        )
    return respond(
        OwnPrices(
            prices=[_view(each) for each in found], next_cursor=found.next_cursor,
            counts=[OwnCountView.model_validate(each) for each in counts],
        )
    )  # fmt: skip


async def take_off(body: TakeOffInput, call: CallDep) -> Response:
    """Let listings cost again what the price list or the base price says; of a connection at most 5,000 at a time.

    It goes out however far the prices move.
    """

    async def work(tx: Tx) -> Answer:
        if body.connection_id is not None and body.until is not None:
            return answer(TakenOff(count=await own_prices.take_off_all(tx, call.actor, body.connection_id, body.until)))
        keys = [(each.listing_id, str(each.field)) for each in body.prices or ()]
        return answer(TakenOff(count=await own_prices.take_off(tx, call.actor, keys)))

    return await once(call, work)


def _view(each: OwnPrice) -> OwnPriceView:
    named = [name for name in OwnPriceView.model_fields if name not in ("value", "otherwise", "currency")]
    currency = next((side["currency"] for side in (each.value, each.otherwise) if side), None)
    return OwnPriceView(
        **{name: getattr(each, name) for name in named}, currency=currency, value=_amount(each.value),
        otherwise=_amount(each.otherwise),
    )  # fmt: skip


def _amount(value: Value) -> str | None:
    return text(value["minor"], value["currency"]) if value else None
