"""Prices of channels: rates, markup, rounding and price ends, and the words that explain them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.catalog.support import make

from entrepot.catalog import exchange_rates, price_lists, reading
from entrepot.catalog import facade as catalog
from entrepot.catalog.exchange_rates import InvalidRates, read_rates
from entrepot.catalog.price_lists import InvalidPriceList, PriceListExists, PriceListInput, PriceListNotFound
from entrepot.catalog.pricing import PriceRule, Rate, compare_at_of, find_rate, price_of, round_to
from entrepot.database.pool import Database
from entrepot.kernel.ids import new_id
from entrepot.kernel.money import Money

DAY = date(2026, 11, 20)
USD = Rate("EUR", "USD", Decimal("1.08"), DAY, "ECB")
GBP = Rate("EUR", "GBP", Decimal("0.8"), DAY, "ECB")
RATES = {("EUR", "USD"): USD, ("EUR", "GBP"): GBP}

rules = st.integers(1, 5_000).flatmap(
    lambda step: st.builds(
        PriceRule, st.just("USD"), st.decimals(-99, 500, places=2), st.just(step), st.integers(0, step - 1),
        st.sampled_from(("nearest", "up", "down")),
    )
)  # fmt: skip
exact = st.decimals(0, 10**12, places=4)


@given(exact, rules)
def test_a_price_has_the_form_and_is_the_right_one_of_it(amount: Decimal, rule: PriceRule) -> None:
    price = round_to(amount, rule)
    if amount == 0:
        assert price == 0
        return
    least = rule.end_minor or rule.step_minor
    assert price % rule.step_minor == rule.end_minor % rule.step_minor
    assert price >= least > 0
    if price > least:
        if rule.rounding == "nearest":
            assert abs(price - amount) * 2 <= rule.step_minor
        elif rule.rounding == "down":
            assert 0 <= amount - price < rule.step_minor
    if rule.rounding == "up":
        assert price >= amount
        assert price - amount < rule.step_minor or price == least


@given(exact, exact, rules)
def test_more_never_costs_less(one: Decimal, other: Decimal, rule: PriceRule) -> None:
    assert round_to(min(one, other), rule) <= round_to(max(one, other), rule)


@given(st.integers(0, 10**12))
def test_without_a_rule_a_price_stays_what_it_is(minor: int) -> None:
    found = price_of(Money(minor, "EUR"), PriceRule("EUR"), {})
    assert (found.minor, found.why) == (minor, f"base {Money(minor, 'EUR')} = {Money(minor, 'EUR')}")


@given(st.integers(1, 10**9), rules)
def test_a_price_of_the_form_is_a_fixed_point(units: int, rule: PriceRule) -> None:
    price = units * rule.step_minor + rule.end_minor
    assert round_to(Decimal(price), rule) == price


@pytest.mark.parametrize(
    ("base", "rule", "minor", "why"),
    [
        (Money(1000, "EUR"), PriceRule("USD", Decimal(0), 100, 99), 1099,
         "base 10.00 EUR x 1.08 (ECB, 2026-11-20) rounded to the nearest price ending in .99 = 10.99 USD"),
        (Money(1000, "EUR"), PriceRule("EUR", Decimal("12.5")), 1125, "base 10.00 EUR + 12.5% = 11.25 EUR"),
        (Money(1000, "EUR"), PriceRule("EUR", Decimal(-10), 1000, 995, "up"), 995,
         "base 10.00 EUR − 10% rounded up to the next price ending in 9.95 = 9.95 EUR"),
        (Money(1000, "EUR"), PriceRule("EUR", Decimal(0), 5, 0, "down"), 1000, "base 10.00 EUR = 10.00 EUR"),
        (Money(1003, "EUR"), PriceRule("EUR", Decimal(0), 5), 1005, "base 10.03 EUR rounded to the nearest 0.05 = 10.05 EUR"),
        (Money(1080, "USD"), PriceRule("EUR"), 1000,
         "base 10.80 USD x 0.925926 (ECB, 2026-11-20, from EUR to USD) = 10.00 EUR"),
        (Money(1080, "USD"), PriceRule("GBP"), 800,
         "base 10.80 USD x 0.740741 (ECB, 2026-11-20, by way of EUR) = 8.00 GBP"),
        (Money(1000, "EUR"), PriceRule("JPY"), None, "there is no exchange rate from EUR to JPY"),
    ],
)  # fmt: skip
def test_prices_and_why(base: Money, rule: PriceRule, minor: int | None, why: str) -> None:
    found = price_of(base, rule, RATES)
    assert (found.minor, found.why) == (minor, why)


def test_currencies_without_coins_are_whole() -> None:
    rates = {("EUR", "JPY"): Rate("EUR", "JPY", Decimal("163.37"), DAY, "ECB")}
    assert price_of(Money(1000, "EUR"), PriceRule("JPY", Decimal(0), 100, 80), rates).minor == 1680
    assert price_of(Money(1000, "EUR"), PriceRule("JPY"), rates).minor == 1634


def test_the_newer_of_two_directions_is_taken_and_zero_stays_zero() -> None:
    newer = Rate("USD", "EUR", Decimal("0.5"), date(2026, 11, 21), "bank")
    found = find_rate({("EUR", "USD"): USD, ("USD", "EUR"): newer}, "EUR", "USD")
    assert found is not None
    assert (found.value, found.day) == (Decimal(2), newer.day)
    assert price_of(Money(0, "EUR"), PriceRule("USD", Decimal(0), 100, 99), RATES).minor == 0


def test_compare_at_is_shown_only_where_it_is_more() -> None:
    rule = PriceRule("USD", Decimal(0), 100, 99)
    price = price_of(Money(1000, "EUR"), rule, RATES)
    assert compare_at_of(Money(2000, "EUR"), price, rule, RATES) == 2199
    assert compare_at_of(Money(1001, "EUR"), price, rule, RATES) is None
    assert compare_at_of(None, price, rule, RATES) is None


def test_files_of_rates() -> None:
    ecb = "Date, USD, JPY, XXX, \n20 November 2026, 1.0825, 163.37, N/A, \n"
    assert [str(rate) for rate in read_rates(ecb)] == ["1.0825 (ECB, 2026-11-20)", "163.37 (ECB, 2026-11-20)"]
    own = "\ufeffbase,quote,rate,day,source\neur,usd,1.1,2026-11-19,bank\n\n"
    assert read_rates(own) == [Rate("EUR", "USD", Decimal("1.1"), date(2026, 11, 19), "bank")]
    for text, words in (
        ("a,b\n1,2", "needs the columns"),
        ("", "needs the columns"),
        ("base,quote,rate,day,source\nEUR,USD,x,2026-11-19,b", "Row 2: 'x' is not a rate"),
        ("base,quote,rate,day,source\nEUR,USD,1,19.11.,b", "Row 2: '19.11.' is not a day"),
        ("base,quote,rate,day,source\nEUR,EUR,1,2026-11-19,b", "Row 2: A rate is between two"),
        ("base,quote,rate,day,source\nEUR,USD,-1,2026-11-19,b", "Row 2: The rate from EUR to USD is out of bounds"),
        ("base,quote,rate,day\nEUR,USD,1,2026-11-19", "Row 2: Say where the rate is from"),
    ):
        with pytest.raises(InvalidRates, match=words):
            read_rates(text)


@given(st.text(max_size=200))
def test_any_text_is_rates_or_refused(text: str) -> None:
    try:
        read_rates(text)
    except InvalidRates:
        return


async def _connection(database: Database, organisation_id: UUID, name: str) -> UUID:
    id = new_id()
    async with database.transaction(organisation_id) as tx:
        await tx.execute(
            "insert into connection (organisation_id, id, channel, name, environment)"
            " values ($1, $2, 'shopify', $3, 'live')",
            organisation_id,
            id,
            name,
        )
    return id


async def test_the_list_of_the_connection_goes_before_that_of_its_channel(
    database: Database, organisation_id: UUID
) -> None:
    here, there = [await _connection(database, organisation_id, name) for name in ("Here", "There")]
    product = await make(database, organisation_id, "Cup", "A", "B")
    async with database.transaction(organisation_id) as tx:
        a, b = (variant.id for variant in await reading.variants_of(tx, [product]))
        plain = await catalog.channel_prices(tx, here, [a, b, new_id()])
        assert {id: (p.price.minor, p.price.why) for id, p in plain.items()} == {
            a: (1000, "base 10.00 EUR"), b: (1000, "base 10.00 EUR"),
        }  # fmt: skip
        all_shops = PriceListInput("Shops", PriceRule("EUR", Decimal(50)), channel="shopify")
        await price_lists.create_price_list(tx, all_shops)
        rule = PriceRule("USD", Decimal(0), 100, 99)
        own = await price_lists.create_price_list(tx, PriceListInput("US", rule, connection_id=here))
        assert (await catalog.channel_prices(tx, here, [a]))[a].price.why == "there is no exchange rate from EUR to USD"
        await exchange_rates.save_rates(tx, [USD, Rate("EUR", "USD", Decimal(9), date(2999, 1, 1), "dream")], "Ana")
        await price_lists.set_prices(tx, own, {b: (777, 999)})
        found = await catalog.channel_prices(tx, here, [a, b])
        assert (found[a].price.minor, found[a].price.currency) == (1099, "USD")
        assert (found[b].price.minor, found[b].compare_at_minor, found[b].price.why) == (
            777, 999, "set by hand: 7.77 USD",
        )  # fmt: skip
        assert (await catalog.channel_prices(tx, there, [a]))[a].price.minor == 1500
        await price_lists.set_prices(tx, own, {b: None})
        assert (await catalog.channel_prices(tx, here, [b]))[b].price.minor == 1099
        await price_lists.change_price_list(tx, own, PriceListInput("US", rule, connection_id=here, active=False))
        assert (await catalog.channel_prices(tx, here, [a]))[a].price.minor == 1500


async def test_price_lists_that_are_none_are_refused(database: Database, organisation_id: UUID) -> None:
    for given_list in (
        PriceListInput("", PriceRule("EUR")),
        PriceListInput("x", PriceRule("euro")),
        PriceListInput("x", PriceRule("EUR", Decimal(-100))),
        PriceListInput("x", PriceRule("EUR", Decimal(0), 100, 100)),
        PriceListInput("x", PriceRule("EUR", Decimal(0), 0)),
        PriceListInput("x", PriceRule("EUR", rounding="odd")),
        PriceListInput("x", PriceRule("EUR"), new_id(), "shopify"),
        PriceListInput("x", PriceRule("EUR"), new_id()),
    ):
        async with database.transaction(organisation_id) as tx:
            with pytest.raises(InvalidPriceList):
                await price_lists.create_price_list(tx, given_list)
    product = await make(database, organisation_id, "Cup")
    async with database.transaction(organisation_id) as tx:
        id = await price_lists.create_price_list(tx, PriceListInput("x", PriceRule("EUR"), channel="shopify"))
        variant = (await reading.variants_of(tx, [product]))[0].id
        await price_lists.set_prices(tx, id, {variant: (1, None)})
        with pytest.raises(InvalidPriceList, match="set by hand in EUR"):
            await price_lists.change_price_list(tx, id, PriceListInput("x", PriceRule("USD")))
        with pytest.raises(InvalidPriceList):
            await price_lists.set_prices(tx, id, {variant: (-1, None)})
    with pytest.raises(PriceListExists):
        async with database.transaction(organisation_id) as tx:
            await price_lists.create_price_list(tx, PriceListInput("y", PriceRule("EUR"), channel="shopify"))
    async with database.transaction(organisation_id) as tx:
        await price_lists.delete_price_list(tx, id)
        with pytest.raises(PriceListNotFound):
            await price_lists.delete_price_list(tx, id)
