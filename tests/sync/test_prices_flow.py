"""Prices of price lists flow to channels like any other field, in the channel's currency, and back as the listing's own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.sync.fields_shop import FieldHub, Shop

from entrepot.catalog import exchange_rates, price_lists
from entrepot.catalog.price_lists import PriceListInput
from entrepot.catalog.pricing import PriceRule, Rate
from entrepot.database.pool import Database
from entrepot.sync import conflicts
from entrepot.sync.conflicts import Side
from entrepot.upkeep import follow_rates

TEN_MORE = PriceRule("EUR", Decimal(10))


@pytest.fixture
async def hub(database: Database, organisation_id: UUID) -> FieldHub:
    return await FieldHub(database, organisation_id, Shop("alpha", 80), Shop("beta", 70)).set_up(("A", "B"))


def shown(hub: FieldHub, name: str) -> dict[str, str]:
    return {sku: f"{each.price} {each.currency}" for sku, each in hub.shops[name].listings.items()}


async def make_list(hub: FieldHub, rule: PriceRule = TEN_MORE, **of: Any) -> UUID:
    async with hub.database.transaction(hub.id) as tx:
        given = PriceListInput("List", rule, **(of or {"connection_id": hub.connections["alpha"]}))
        return await price_lists.create_price_list(tx, given)


async def change_list(hub: FieldHub, id: UUID, rule: PriceRule, **of: Any) -> None:
    async with hub.database.transaction(hub.id) as tx:
        await price_lists.change_price_list(tx, id, PriceListInput("List", rule, **of))


async def save_rate(hub: FieldHub, value: str, day: date | None = None) -> None:
    async with hub.database.transaction(hub.id) as tx:
        at = day or datetime.now(UTC).date()
        await exchange_rates.save_rates(tx, [Rate("EUR", "USD", Decimal(value), at, "ECB")], "Ana")


async def in_dollars(database: Database, organisation_id: UUID) -> FieldHub:
    """Return a hub whose shop beta sells in dollars."""
    hub = FieldHub(database, organisation_id, Shop("alpha"), Shop("beta"))
    await hub.set_up(("A", "B"))
    for sku, each in hub.shops["beta"].listings.items():
        hub.shops["beta"].listings[sku] = replace(each, currency="USD", price=Decimal("11.00"))
    await hub.settle()
    return hub


async def test_a_list_goes_out_as_it_is_made_changed_and_deleted(hub: FieldHub) -> None:
    here = {"connection_id": hub.connections["alpha"]}
    id = await make_list(hub)
    await hub.settle()
    assert shown(hub, "alpha") == {"A": "11.00 EUR", "B": "11.00 EUR"}
    assert shown(hub, "beta") == {"A": "10.00 EUR", "B": "10.00 EUR"}, "the list is not of this connection"
    await change_list(hub, id, PriceRule("EUR", Decimal(10), 100, 99, "up"), **here)
    await hub.settle()
    assert shown(hub, "alpha") == {"A": "11.99 EUR", "B": "11.99 EUR"}
    async with hub.database.transaction(hub.id) as tx:
        await price_lists.set_prices(tx, id, {hub.variants["B"]: (1234, 1500)})
    before = len(hub.shops["alpha"].prices)
    await hub.settle()
    assert shown(hub, "alpha") == {"A": "11.99 EUR", "B": "12.34 EUR"}
    assert hub.shops["alpha"].listings["B"].compare_at == Decimal("15.00")
    sent = [change.ref.external_id for batch in hub.shops["alpha"].prices[before:] for change in batch.changes]
    assert sent == ["B"], "what did not change is not sent"
    # A list moved to the other connection changes the prices of both.
    await change_list(hub, id, TEN_MORE, connection_id=hub.connections["beta"])
    await hub.settle()
    assert shown(hub, "alpha") == {"A": "10.00 EUR", "B": "10.00 EUR"}
    assert shown(hub, "beta") == {"A": "11.00 EUR", "B": "12.34 EUR"}
    async with hub.database.transaction(hub.id) as tx:
        await price_lists.delete_price_list(tx, id)
    await hub.settle()
    assert shown(hub, "beta") == {"A": "10.00 EUR", "B": "10.00 EUR"}
    assert not hub.shops["alpha"].drafts, "prices go the way of prices"
    assert await hub.open() == []
    assert set(await hub.states()) == {"agreed"}


async def test_the_base_price_goes_on_through_the_list_and_stays_itself(hub: FieldHub) -> None:
    await make_list(hub, channel="alpha")
    await hub.price("A", 1200)
    assert await hub.settle() < 8
    assert (shown(hub, "alpha")["A"], shown(hub, "beta")["A"]) == ("13.20 EUR", "12.00 EUR")
    assert {v.sku: v.price_minor for v in (await hub.detail()).variants} == {"A": 1200, "B": 1000}
    # What another channel changes comes into the catalog, and by the list to this one; there it ends.
    hub.shops["beta"].edit("A", price=Decimal("12.50"))
    writes = [shop.writes for shop in hub.shops.values()]
    await hub.settle()
    assert (shown(hub, "alpha")["A"], shown(hub, "beta")["A"]) == ("13.75 EUR", "12.50 EUR")
    assert [shop.writes for shop in hub.shops.values()] == [writes[0] + 1, writes[1]]


async def test_a_price_changed_on_a_channel_with_a_list_is_that_listings_own(hub: FieldHub) -> None:
    await make_list(hub)
    await hub.settle()
    hub.shops["alpha"].edit("A", price=Decimal("11.50"))
    await hub.settle()
    assert {v.sku: v.price_minor for v in (await hub.detail()).variants} == {"A": 1000, "B": 1000}
    await hub.price("A", 1100)
    await hub.settle()
    assert shown(hub, "alpha") == {"A": "11.50 EUR", "B": "11.00 EUR"}
    assert shown(hub, "beta")["A"] == "11.00 EUR"
    # Taken off, the list decides again.
    [listing] = {r["listing_id"] for r in await hub.rows() if (r["channel"], r["sku"]) == ("alpha", "A")}
    async with hub.database.transaction(hub.id) as tx:
        await conflicts.set_override(tx, hub.actor, listing, "price", None, datetime.now(UTC))
    await hub.settle()
    assert shown(hub, "alpha")["A"] == "12.10 EUR"


@pytest.mark.parametrize(
    ("side", "value", "there"),
    [(Side.OURS, None, "12.10 EUR"), (Side.THEIRS, None, "11.50 EUR"), (Side.VALUE, "11.80", "11.80 EUR")],
)
async def test_a_conflict_with_a_list_never_reaches_the_base_price(
    hub: FieldHub, side: Side, value: str | None, there: str
) -> None:
    await make_list(hub)
    await hub.settle()
    await hub.price("A", 1100)
    hub.shops["alpha"].edit("A", price=Decimal("11.50"))
    await hub.notify("alpha")
    await hub.settle()
    [conflict] = await hub.open()
    assert (conflict["ours"]["minor"], conflict["theirs"]["minor"], conflict["ours_by"]) == (
        1210,
        1150,
        "price list List",
    )
    await hub.resolve(conflict["id"], side, value)
    await hub.settle()
    assert shown(hub, "alpha")["A"] == there
    assert (await hub.detail()).variants[0].price_minor == 1100
    assert await hub.open() == []


async def test_a_decision_about_a_lists_price_can_be_undone(hub: FieldHub) -> None:
    await make_list(hub)
    await hub.settle()
    await hub.price("A", 1100)
    hub.shops["alpha"].edit("A", price=Decimal("11.50"))
    await hub.settle()
    [conflict] = await hub.open()
    await hub.resolve(conflict["id"], Side.VALUE, "11.80")
    async with hub.database.transaction(hub.id) as tx:
        await conflicts.undo(tx, hub.actor, conflict["id"], datetime.now(UTC))
        assert not await tx.fetch_value("select count(*) from listing_override where organisation_id = $1", hub.id)
    await hub.settle()
    [again] = await hub.open()
    assert (again["ours"]["minor"], again["theirs"]["minor"]) == (1210, 1150)


async def test_another_currency_is_compared_by_the_list_in_that_currency(
    database: Database, organisation_id: UUID
) -> None:
    hub = await in_dollars(database, organisation_id)
    row = await hub.row("beta", "price")
    assert (row["state"], "a price list in USD" in row["detail"]) == ("unknown", True), row["detail"]
    writes = hub.shops["beta"].writes
    await save_rate(hub, "1.10")
    await make_list(hub, PriceRule("USD"), connection_id=hub.connections["beta"])
    await hub.settle()
    assert {(await hub.row("beta", "price", sku))["state"] for sku in "AB"} == {"agreed"}
    assert hub.shops["beta"].writes == writes, "it costs the same already"
    await save_rate(hub, "1.20")
    await hub.settle()
    assert shown(hub, "beta") == {"A": "12.00 USD", "B": "12.00 USD"}
    assert {c.currency for batch in hub.shops["beta"].prices for c in batch.changes} == {"USD"}
    assert shown(hub, "alpha") == {"A": "10.00 EUR", "B": "10.00 EUR"}
    async with database.transaction(organisation_id) as tx:
        await tx.execute("delete from exchange_rate where organisation_id = $1", tx.organisation)
    await hub.price("A", 1300)
    await hub.settle()
    row = await hub.row("beta", "price")
    assert (row["state"], "no exchange rate from EUR to USD" in row["detail"]) == ("unknown", True)
    assert shown(hub, "beta")["A"] == "12.00 USD"


async def test_a_foreign_listing_without_a_price_before_leaves_the_catalogs_alone(
    database: Database, organisation_id: UUID
) -> None:
    hub = await in_dollars(database, organisation_id)
    await hub.change_variants({"A": {"compare_at_minor": 1500}})
    await hub.settle()
    changed = (await hub.detail()).row.updated_at
    await hub.settle()
    detail = await hub.detail()
    assert (detail.variants[0].compare_at_minor, detail.row.updated_at) == (1500, changed)
    assert (await hub.row("beta", "compare_at"))["state"] == "unknown"


async def test_a_rate_of_a_day_to_come_counts_from_that_day_on(database: Database, organisation_id: UUID) -> None:
    hub = await in_dollars(database, organisation_id)
    await save_rate(hub, "1.10")
    await make_list(hub, PriceRule("USD"), connection_id=hub.connections["beta"])
    today = datetime.now(UTC).date()
    await save_rate(hub, "1.30", today + timedelta(days=1))
    await hub.settle()
    assert shown(hub, "beta")["A"] == "11.00 USD"
    assert await follow_rates(database) == 0
    async with database.transaction(organisation_id) as tx:
        # The day is there.
        await tx.execute(
            "update exchange_rate set day = day - 1 where organisation_id = $1 and rate = 1.1", tx.organisation
        )
        await tx.execute(
            "update exchange_rate set day = day - 1 where organisation_id = $1 and rate = 1.3", tx.organisation
        )
    assert await follow_rates(database) == 1
    await hub.settle()
    assert shown(hub, "beta")["A"] == "13.00 USD"
    assert await follow_rates(database) == 0


async def test_a_price_before_that_is_no_discount_is_none_where_the_channel_shows_none(hub: FieldHub) -> None:
    id = await make_list(hub)
    await hub.settle()
    async with hub.database.transaction(hub.id) as tx:
        await price_lists.set_prices(tx, id, {hub.variants["A"]: (1150, 1100)})
    await hub.settle()
    assert (hub.shops["alpha"].listings["A"].price, hub.shops["alpha"].listings["A"].compare_at) == (
        Decimal("11.50"),
        None,
    )
    async with hub.database.transaction(hub.id) as tx:
        await price_lists.set_prices(tx, id, {hub.variants["A"]: (1150, 1400)})
    await hub.settle()
    assert hub.shops["alpha"].listings["A"].compare_at == Decimal("14.00")


async def test_a_list_that_moves_prices_by_more_than_the_limit_asks_first(hub: FieldHub) -> None:
    await make_list(hub, PriceRule("EUR", Decimal(80)))
    await hub.settle()
    assert {c["why"] for c in await hub.open()} == {"swing_out"}
    assert shown(hub, "alpha") == {"A": "10.00 EUR", "B": "10.00 EUR"}
