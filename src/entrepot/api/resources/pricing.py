"""Price lists, prices set by hand, what variants cost on a connection and why, exchange rates."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import Query
from pydantic import Field, model_validator
from starlette.responses import Response

from entrepot.api.amounts import Amount, Currency, minor, optional_minor, text
from entrepot.api.answers import Answer, Input, Resource, answer, empty, once, respond
from entrepot.api.dependencies import CallDep
from entrepot.api.items import Item, variants_of
from entrepot.api.paging import PagingDep
from entrepot.catalog import exchange_rates, price_lists
from entrepot.catalog.price_lists import PriceList, PriceListInput
from entrepot.catalog.pricing import PriceRule, Rate
from entrepot.channels import facade as channels
from entrepot.database.pool import Tx
from entrepot.identity import facade as identity
from entrepot.sync import price_moves

Confirmed = Annotated[
    int,
    Field(
        ge=0, le=10**9, description="So many prices may move by more than the limit, as the error `prices-move` said"
    ),
]
Text = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]


class PriceListView(Resource):
    """A price list. A price is a multiple of `step` plus `end`: 1.00 and 0.99 end in .99."""

    id: UUID
    name: str
    currency: str
    connection_id: UUID | None
    channel: str | None
    markup_percent: str
    step: str
    end: str
    rounding: str
    active: bool
    explicit_prices: int


class PriceLists(Resource):
    """All price lists by name."""

    price_lists: list[PriceListView]


class OnePriceList(Resource):
    """A price list."""

    price_list: PriceListView


class PriceListBody(Input):
    """A price list: of one connection, of all of a channel, or (neither) not in use yet."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
    currency: Currency
    connection_id: UUID | None = None
    channel: Annotated[str | None, Field(min_length=1, max_length=50, pattern=r"^[^\x00]*$")] = None
    markup_percent: Annotated[Decimal, Field(gt=-100, le=10_000, max_digits=9, decimal_places=4)] = Decimal(0)
    step: Annotated[Amount | None, Field(description="Prices are multiples of it; else of the smallest coin")] = None
    end: Annotated[Amount, Field(description="What prices end in, such as 0.99 with a step of 1.00")] = Decimal(0)
    rounding: Literal["nearest", "up", "down"] = "nearest"
    active: bool = True
    confirmed_prices: Confirmed = 0

    def given(self) -> PriceListInput:
        """Return it as the catalog has it. Raises TooManyDecimals."""
        step = 1 if self.step is None else minor(self.step, self.currency)
        rule = PriceRule(self.currency, self.markup_percent, step, minor(self.end, self.currency), self.rounding)
        return PriceListInput(self.name, rule, self.connection_id, self.channel, self.active)


class ExplicitPrice(Resource):
    """A price set by hand."""

    variant_id: UUID
    sku: str
    title: str
    price: str
    compare_at_price: str | None


class ExplicitPrices(Resource):
    """Prices set by hand."""

    prices: list[ExplicitPrice]
    next_cursor: str | None


class PriceInput(Item):
    """The price of a variant; without a price it follows the rule again."""

    price: Amount | None = None
    compare_at_price: Amount | None = None


class PricesInput(Input):
    """Prices to be set by hand, or to be taken off."""

    prices: Annotated[list[PriceInput], Field(min_length=1, max_length=5000)]
    confirmed_prices: Confirmed = 0


class ChannelPrice(Resource):
    """What a variant costs on a connection, and why. `price` null: none can be told, and `why` says what is missing."""

    variant_id: UUID
    price: str | None
    compare_at_price: str | None
    currency: str
    why: str
    price_list_id: UUID | None


class ChannelPrices(Resource):
    """Prices of variants."""

    prices: list[ChannelPrice]


class RateView(Resource):
    """One unit of `base` is `rate` units of `quote`."""

    base: str
    quote: str
    rate: str
    day: date
    source: str


class Rates(Resource):
    """The newest rates."""

    rates: list[RateView]


class RateInput(Input):
    """A rate. `source`: where it is from, such as ECB."""

    base: Currency
    quote: Currency
    rate: Annotated[Decimal, Field(gt=0, max_digits=20, decimal_places=10)]
    day: date
    source: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]


class RatesInput(Input):
    """Rates, or the text of a CSV file with the columns base, quote, rate, day, source, or the ECB's file of a day."""

    rates: Annotated[list[RateInput] | None, Field(min_length=1, max_length=1000)] = None
    csv: Annotated[str | None, Field(max_length=500_000)] = None
    source: Annotated[Text, Field(description="Of a CSV file that names none")] = ""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.rates is None) == (self.csv is None):
            raise ValueError("Send either `rates` or `csv`.")
        return self

    def given(self) -> list[Rate]:
        """Return the rates. Raises InvalidRates."""
        if self.csv is not None:
            return exchange_rates.read_rates(self.csv.replace("\x00", ""), self.source)
        return [Rate(each.base, each.quote, each.rate, each.day, each.source) for each in self.rates or ()]


async def list_price_lists(call: CallDep) -> Response:
    """Return all price lists."""
    async with call.transaction() as tx:
        found = await price_lists.list_price_lists(tx)
    return respond(PriceLists(price_lists=[_view(each) for each in found]))


async def get_price_list(price_list_id: UUID, call: CallDep) -> Response:
    """Return a price list."""
    async with call.transaction() as tx:
        return respond(await _one(tx, price_list_id))


async def create_price_list(body: PriceListBody, call: CallDep) -> Response:
    """Make a price list.

    If prices on channels would move by more than the limit, nothing is saved and the error `prices-move` says how many
    (`prices`): send that number as `confirmedPrices` to let them.
    """

    async def work(tx: Tx) -> Answer:
        id = await price_moves.create(tx, call.actor, body.given(), body.confirmed_prices)
        made = await _one(tx, id)
        after = made.price_list.model_dump(mode="json")
        await identity.record(tx, call.actor, "price-list.create", "price_list", id, None, after)
        return answer(made, 201)

    return await once(call, work)


async def update_price_list(price_list_id: UUID, body: PriceListBody, call: CallDep) -> Response:
    """Change a price list as a whole; see how one is made for `confirmedPrices`."""
    async with call.transaction() as tx:
        before = await _one(tx, price_list_id)
        await price_moves.change(tx, call.actor, price_list_id, body.given(), body.confirmed_prices)
        after = await _one(tx, price_list_id)
        await identity.record(
            tx, call.actor, "price-list.update", "price_list", price_list_id,
            before.price_list.model_dump(mode="json"), after.price_list.model_dump(mode="json"),
        )  # fmt: skip
        return respond(after)


async def delete_price_list(
    price_list_id: UUID,
    call: CallDep,
    confirmed_prices: Annotated[int, Query(ge=0, le=10**9, alias="confirmedPrices")] = 0,
) -> Response:
    """Delete a price list with the prices set in it; see how one is made for `confirmedPrices`."""
    async with call.transaction() as tx:
        before = await _one(tx, price_list_id)
        await price_moves.delete(tx, call.actor, price_list_id, confirmed_prices)
        shown = before.price_list.model_dump(mode="json")
        await identity.record(tx, call.actor, "price-list.delete", "price_list", price_list_id, shown)
    return empty()


async def list_explicit(price_list_id: UUID, call: CallDep, paging: PagingDep) -> Response:
    """Return the prices set by hand in a list."""
    async with call.transaction() as tx:
        currency = (await price_lists.get_price_list(tx, price_list_id)).rule.currency
        found = await paging.read(lambda cursor, limit: price_lists.explicit_prices(tx, price_list_id, cursor, limit))
    items = [
        ExplicitPrice(
            variant_id=each.variant_id, sku=each.sku, title=each.title, price=text(each.price_minor, currency) or "",
            compare_at_price=text(each.compare_at_minor, currency),
        )
        for each in found
    ]  # fmt: skip
    return respond(ExplicitPrices(prices=items, next_cursor=found.next_cursor))


async def set_explicit(price_list_id: UUID, body: PricesInput, call: CallDep) -> Response:
    """Set prices by hand; one without a price is taken off. Those not named stay.

    See how a list is made for `confirmedPrices`.
    """
    async with call.transaction() as tx:
        currency = (await price_lists.get_price_list(tx, price_list_id)).rule.currency
        ids = await variants_of(tx, body.prices)
        prices = {
            id: None
            if each.price is None
            else (minor(each.price, currency), optional_minor(each.compare_at_price, currency))
            for id, each in zip(ids, body.prices, strict=True)
        }
        await price_moves.set_prices(tx, call.actor, price_list_id, prices, body.confirmed_prices)
        after = {str(id): price for id, price in list(prices.items())[:100]} | {"prices": len(prices)}
        await identity.record(tx, call.actor, "price-list.prices", "price_list", price_list_id, None, after)
        return respond(await _one(tx, price_list_id))


async def connection_prices(
    connection_id: UUID, call: CallDep, variant: Annotated[list[UUID], Query(min_length=1, max_length=200)]
) -> Response:
    """Return what variants cost on a connection, and why."""
    async with call.transaction() as tx:
        await channels.get(tx, connection_id)
        found = await price_lists.channel_prices(tx, connection_id, variant)
    prices = [
        ChannelPrice(
            variant_id=id, price=text(each.price.minor, each.price.currency), why=each.price.why,
            compare_at_price=text(each.compare_at_minor, each.price.currency), currency=each.price.currency,
            price_list_id=each.price_list_id,
        )
        for id, each in found.items()
    ]  # fmt: skip
    return respond(ChannelPrices(prices=prices))


async def list_rates(call: CallDep) -> Response:
    """Return the newest exchange rates."""
    async with call.transaction() as tx:
        found = await exchange_rates.list_rates(tx)
    return respond(Rates(rates=[_rate(each) for each in found]))


async def save_rates(body: RatesInput, call: CallDep) -> Response:
    """Enter exchange rates, each in the place of the one of its pair and day."""

    async def work(tx: Tx) -> Answer:
        given = body.given()
        await exchange_rates.save_rates(tx, given, call.actor.name)
        shown = [str(each) for each in given[:50]]
        after = {"rates": len(given), "first": shown}
        await identity.record(tx, call.actor, "exchange-rate.save", "exchange_rate", "", None, after)
        return answer(Rates(rates=[_rate(each) for each in await exchange_rates.list_rates(tx)]), 201)

    return await once(call, work)


def _rate(rate: Rate) -> RateView:
    return RateView(base=rate.base, quote=rate.quote, rate=f"{rate.value:f}", day=rate.day, source=rate.source)


async def _one(tx: Tx, id: UUID) -> OnePriceList:
    return OnePriceList(price_list=_view(await price_lists.get_price_list(tx, id)))


def _view(found: PriceList) -> PriceListView:
    rule = found.rule
    return PriceListView(
        id=found.id, name=found.name, currency=rule.currency, connection_id=found.connection_id, channel=found.channel,
        markup_percent=f"{rule.markup_percent.normalize():f}", step=text(rule.step_minor, rule.currency) or "",
        end=text(rule.end_minor, rule.currency) or "", rounding=rule.rounding, active=found.active,
        explicit_prices=found.explicit,
    )  # fmt: skip
