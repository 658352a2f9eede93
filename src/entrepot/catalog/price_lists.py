"""Price lists of connections and channels, the prices set in them by hand, and what a variant costs where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from asyncpg import Record, UniqueViolationError

from entrepot.catalog.contracts import VariantNotFound
from entrepot.catalog.exchange_rates import newest_rates, rates_changed_at
from entrepot.catalog.price_events import tell_prices
from entrepot.catalog.pricing import ROUNDINGS, Priced, PriceRule, Rates, compare_at_of, price_of
from entrepot.database.pool import Tx
from entrepot.kernel.errors import Conflict, InvalidInput, NotFound
from entrepot.kernel.ids import new_id
from entrepot.kernel.money import Money
from entrepot.kernel.paging import Slice, bounded, decode_cursor, slice_of


class PriceListNotFound(NotFound):
    """There is no such price list."""


class PriceListExists(Conflict):
    """Another price list has this name, or is used there already: one list per connection and per channel."""


class InvalidPriceList(InvalidInput):
    """The price list is not valid."""


@dataclass(frozen=True, slots=True)
class PriceListInput:
    """A price list to be made or changed. It is of one connection, or of all of a channel, or (neither) of none yet."""

    name: str
    rule: PriceRule
    connection_id: UUID | None = None
    channel: str | None = None
    active: bool = True


@dataclass(frozen=True, slots=True)
class PriceList:
    """A price list. `explicit`: how many variants have a price set by hand."""

    id: UUID
    name: str
    rule: PriceRule
    connection_id: UUID | None
    connection: str | None
    channel: str | None
    active: bool
    explicit: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ChannelPrice:
    """What a variant costs on a connection, and why. `price.minor` None: no price can be told.

    `price_list_id` None: the base price is taken as it is. `changed_at`: when what decides it was changed last.
    """

    variant_id: UUID
    price: Priced
    compare_at_minor: int | None
    price_list_id: UUID | None
    price_list: str
    changed_at: datetime


_LIST = """
    select l.id, l.name, l.currency, l.connection_id, c.name as connection, l.channel, l.markup_percent, l.step_minor,
           l.end_minor, l.rounding, l.active, l.updated_at, (select count(*) from price_list_price p
               where p.organisation_id = l.organisation_id and p.price_list_id = l.id) as explicit
    from price_list l left join connection c on c.organisation_id = l.organisation_id and c.id = l.connection_id
    where l.organisation_id = $1
"""


def _list(row: Record) -> PriceList:
    return PriceList(
        row["id"], row["name"], _rule(row), row["connection_id"], row["connection"], row["channel"], row["active"],
        row["explicit"], row["updated_at"],
    )  # fmt: skip


def _rule(row: Record) -> PriceRule:
    return PriceRule(row["currency"], row["markup_percent"], row["step_minor"], row["end_minor"], row["rounding"])


async def list_price_lists(tx: Tx) -> tuple[PriceList, ...]:
    """Return all price lists by name."""
    return tuple(_list(row) for row in await tx.fetch(f"{_LIST} order by lower(l.name), l.id", tx.organisation))


async def get_price_list(tx: Tx, price_list_id: UUID) -> PriceList:
    """Return a price list. Raises PriceListNotFound."""
    row = await tx.fetch_row(f"{_LIST} and l.id = $2", tx.organisation, price_list_id)
    if row is None:
        raise PriceListNotFound
    return _list(row)


async def create_price_list(tx: Tx, given: PriceListInput) -> UUID:
    """Make a price list; what it decides goes to the channels. Raises InvalidPriceList, PriceListExists."""
    _check(given)
    id = new_id()
    await _write(
        tx,
        """insert into price_list (organisation_id, id, name, currency, connection_id, channel, markup_percent, step_minor,
               end_minor, rounding, active) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
        id,
        given,
    )
    if given.active:
        await tell_prices(tx, [given.connection_id], [given.channel])
    return id


async def change_price_list(tx: Tx, price_list_id: UUID, given: PriceListInput) -> None:
    """Change a price list; what it decides goes to the channels. Raises InvalidPriceList, PriceListExists, PriceListNotFound."""
    _check(given)
    before = await get_price_list(tx, price_list_id)
    if before.explicit and before.rule.currency != given.rule.currency:
        raise InvalidPriceList(
            f"{before.explicit:,} prices are set by hand in {before.rule.currency}: take them off before you change the currency."
        )
    await _write(
        tx,
        """update price_list set name = $3, currency = $4, connection_id = $5, channel = $6, markup_percent = $7,
               step_minor = $8, end_minor = $9, rounding = $10, active = $11, updated_at = now()
           where organisation_id = $1 and id = $2""",
        price_list_id,
        given,
    )
    used = [each for each in (before, given) if each.active]
    await tell_prices(tx, [each.connection_id for each in used], [each.channel for each in used])


async def _write(tx: Tx, sql: str, id: UUID, given: PriceListInput) -> None:
    rule = given.rule
    values: tuple[Any, ...] = (
        given.name.strip(), rule.currency, given.connection_id, given.channel, rule.markup_percent, rule.step_minor,
        rule.end_minor, rule.rounding, given.active,
    )  # fmt: skip
    if given.connection_id is not None and not await tx.fetch_value(
        "select 1 from connection where organisation_id = $1 and id = $2 for key share",
        tx.organisation,
        given.connection_id,
    ):
        raise InvalidPriceList("There is no such connection.")
    try:
        await tx.execute(sql, tx.organisation, id, *values)
    except UniqueViolationError:
        raise PriceListExists from None


def _check(given: PriceListInput) -> None:
    rule = given.rule
    if not 0 < len(given.name.strip()) <= 200 or "\x00" in given.name:
        raise InvalidPriceList("A price list has a name of 1 to 200 characters.")
    if len(rule.currency) != 3 or not rule.currency.isascii() or not rule.currency.isupper():
        raise InvalidPriceList(f"{rule.currency!r} is not a currency code such as EUR.")
    if not Decimal(-100) < rule.markup_percent <= Decimal(10_000):
        raise InvalidPriceList("The markup is more than -100% and at most 10,000%.")
    if not 1 <= rule.step_minor <= 10**9 or not 0 <= rule.end_minor < rule.step_minor:
        raise InvalidPriceList(
            "Prices are rounded to a step of at least the smallest coin, and end in less than a step."
        )
    if rule.rounding not in ROUNDINGS:
        raise InvalidPriceList(f"Prices are rounded {', '.join(ROUNDINGS)}, not {rule.rounding!r}.")
    if given.connection_id is not None and given.channel:
        raise InvalidPriceList("A price list is of a connection or of a channel, not of both.")


async def delete_price_list(tx: Tx, price_list_id: UUID) -> None:
    """Delete a price list with the prices set in it. Raises PriceListNotFound."""
    row = await tx.fetch_row(
        "delete from price_list where organisation_id = $1 and id = $2 returning connection_id, channel, active",
        tx.organisation,
        price_list_id,
    )
    if row is None:
        raise PriceListNotFound
    if row["active"]:
        await tell_prices(tx, [row["connection_id"]], [row["channel"]])


# ---- explicit prices -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExplicitPrice:
    """A price that a person set. Amounts in minor units of the list's currency."""

    variant_id: UUID
    sku: str
    title: str
    price_minor: int
    compare_at_minor: int | None


async def explicit_prices(
    tx: Tx, price_list_id: UUID, cursor: str | None = None, limit: int = 50
) -> Slice[ExplicitPrice]:
    """Return the prices set by hand in a list, in the order in which their variants were made."""
    limit = bounded(limit)
    after = decode_cursor(cursor, UUID)
    rows = await tx.fetch(
        """select x.variant_id, v.sku, p.title, x.price_minor, x.compare_at_minor
           from price_list_price x
           join variant v on v.organisation_id = $1 and v.id = x.variant_id
           join product p on p.organisation_id = $1 and p.id = v.product_id
           where x.organisation_id = $1 and x.price_list_id = $2 and ($3::uuid is null or x.variant_id > $3)
           order by x.variant_id limit $4""",
        tx.organisation,
        price_list_id,
        after[0] if after else None,
        limit + 1,
    )
    items = [ExplicitPrice(**dict(row)) for row in rows]
    return slice_of(items, limit, (items[limit - 1].variant_id,) if len(items) > limit else None)


async def set_prices(tx: Tx, price_list_id: UUID, prices: Mapping[UUID, tuple[int, int | None] | None]) -> None:
    """Set prices by hand: variant -> (price, compare-at price or None), or None to take the price off.

    Raises PriceListNotFound, VariantNotFound, InvalidPriceList.
    """
    of = await get_price_list(tx, price_list_id)
    given = {id: price for id, price in prices.items() if price is not None}
    for price, compare_at in given.values():
        if not 0 <= price < 10**15 or (compare_at is not None and not 0 <= compare_at < 10**15):
            raise InvalidPriceList("A price is out of bounds.")
    known = await tx.fetch(
        "select id from variant where organisation_id = $1 and id = any($2::uuid[]) order by id for key share",
        tx.organisation,
        list(prices),
    )
    missing = set(prices) - {row["id"] for row in known}
    if missing:
        raise VariantNotFound(variant_id=str(missing.pop()))
    await tx.execute(
        "delete from price_list_price where organisation_id = $1 and price_list_id = $2 and variant_id = any($3::uuid[])",
        tx.organisation,
        price_list_id,
        [id for id, price in prices.items() if price is None],
    )
    await tx.execute(
        """insert into price_list_price (organisation_id, price_list_id, variant_id, price_minor, compare_at_minor)
           select $1, $2, i.* from unnest($3::uuid[], $4::bigint[], $5::bigint[]) as i(id, price, compare_at) order by i.id
           on conflict (organisation_id, price_list_id, variant_id) do update set
               price_minor = excluded.price_minor, compare_at_minor = excluded.compare_at_minor, updated_at = now()""",
        tx.organisation,
        price_list_id,
        list(given),
        [price for price, _ in given.values()],
        [compare_at for _, compare_at in given.values()],
    )
    if of.active:
        await tell_prices(tx, [of.connection_id], [of.channel], list(prices))


# ---- prices ----------------------------------------------------------------------------------------------


async def channel_prices(tx: Tx, connection_id: UUID, variant_ids: Sequence[UUID]) -> Mapping[UUID, ChannelPrice]:
    """Return what these variants cost on a connection, and why; unknown variants are left out.

    The list of the connection itself decides, else that of its channel, else the base price is taken as it is.
    """
    row = await tx.fetch_row(
        f"""{_LIST} and l.active and (l.connection_id = $2 or l.channel = (
                select channel from connection where organisation_id = $1 and id = $2))
            order by l.connection_id nulls last limit 1""",
        tx.organisation,
        connection_id,
    )
    return await _prices(tx, None if row is None else _list(row), variant_ids)


async def list_prices(tx: Tx, price_list_id: UUID, variant_ids: Sequence[UUID]) -> Mapping[UUID, ChannelPrice]:
    """Return what these variants cost by a price list, and why. Raises PriceListNotFound."""
    return await _prices(tx, await get_price_list(tx, price_list_id), variant_ids)


async def _prices(tx: Tx, used: PriceList | None, variant_ids: Sequence[UUID]) -> dict[UUID, ChannelPrice]:
    rows = await tx.fetch(
        """select v.id, v.price_minor, v.compare_at_minor, v.currency, x.price_minor as own, x.compare_at_minor as own_at,
                  greatest(v.updated_at, x.updated_at, $4::timestamptz) as changed_at
           from variant v left join price_list_price x
             on x.organisation_id = $1 and x.price_list_id = $3 and x.variant_id = v.id
           where v.organisation_id = $1 and v.id = any($2::uuid[])""",
        tx.organisation,
        list(variant_ids),
        None if used is None else used.id,
        None if used is None else used.updated_at,
    )
    if used is None:
        return {row["id"]: _plain(row) for row in rows}
    rates, rates_at = await newest_rates(tx), await rates_changed_at(tx)
    return {row["id"]: _priced(row, used, rates, rates_at) for row in rows}


def _plain(row: Record) -> ChannelPrice:
    base = Money(row["price_minor"], row["currency"])
    plain = Priced(base.minor, base.currency, f"base {base}")
    return ChannelPrice(row["id"], plain, row["compare_at_minor"], None, "", row["changed_at"])


def _priced(row: Record, used: PriceList, rates: Rates, rates_at: datetime | None) -> ChannelPrice:
    base, rule = Money(row["price_minor"], row["currency"]), used.rule
    if row["own"] is not None:
        price = price_of(base, rule, rates, Money(row["own"], rule.currency))
        return ChannelPrice(row["id"], price, row["own_at"], used.id, used.name, row["changed_at"])
    price = price_of(base, rule, rates)
    was = None if row["compare_at_minor"] is None else Money(row["compare_at_minor"], row["currency"])
    before = compare_at_of(was, price, rule, rates)
    at = row["changed_at"]
    if rates_at is not None and base.currency != rule.currency:
        at = max(at, rates_at)
    return ChannelPrice(row["id"], price, before, used.id, used.name, at)
