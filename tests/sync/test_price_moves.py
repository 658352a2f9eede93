"""Price lists that move prices too far are asked about once; prices of listings' own are found, counted and taken off."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.sync.fields_shop import FieldHub, Shop

from entrepot.catalog import price_lists
from entrepot.catalog.price_lists import PriceListInput
from entrepot.catalog.pricing import PriceRule
from entrepot.database.pool import Database
from entrepot.kernel.errors import InvalidInput
from entrepot.sync import conflicts, own_prices, price_moves
from entrepot.sync.conflicts import Flow, NewPolicy
from entrepot.sync.price_moves import Moves, PricesMove


@pytest.fixture
async def hub(database: Database, organisation_id: UUID) -> FieldHub:
    return await FieldHub(database, organisation_id, Shop("alpha", 80), Shop("beta", 70)).set_up(("A", "B"))


def shown(hub: FieldHub, name: str) -> dict[str, str]:
    return {sku: str(each.price) for sku, each in hub.shops[name].listings.items()}


def given(hub: FieldHub, percent: int, **of: Any) -> PriceListInput:
    return PriceListInput(
        "List", PriceRule("EUR", Decimal(percent)), **({"connection_id": hub.connections["alpha"]} | of)
    )


async def make(hub: FieldHub, percent: int, confirmed: int = 0, **of: Any) -> UUID:
    async with hub.database.transaction(hub.id) as tx:
        return await price_moves.create(tx, hub.actor, given(hub, percent, **of), confirmed)


async def change(hub: FieldHub, id: UUID, percent: int, confirmed: int = 0, **of: Any) -> None:
    async with hub.database.transaction(hub.id) as tx:
        await price_moves.change(tx, hub.actor, id, given(hub, percent, **of), confirmed)


async def set_by_hand(hub: FieldHub, id: UUID, sku: str, minor: int | None, confirmed: int = 0) -> None:
    async with hub.database.transaction(hub.id) as tx:
        price = None if minor is None else (minor, None)
        await price_moves.set_prices(tx, hub.actor, id, {hub.variants[sku]: price}, confirmed)


def moves_of(refused: pytest.ExceptionInfo[PricesMove]) -> Moves:
    return refused.value.moves


async def test_a_list_that_moves_prices_too_far_asks_once_and_saves_nothing_until_then(hub: FieldHub) -> None:
    with pytest.raises(PricesMove, match="2 prices would move by more than the limit") as refused:
        await make(hub, 80)
    moves = moves_of(refused)
    assert (moves.count, [(m.sku, m.connection) for m in moves.first]) == (2, [("A", "alpha"), ("B", "alpha")])
    assert [(m.before["minor"], m.after["minor"]) for m in moves.first] == [(1000, 1800)] * 2
    async with hub.database.transaction(hub.id) as tx:
        assert await price_lists.list_price_lists(tx) == (), "nothing is saved"
    await hub.settle()
    assert shown(hub, "alpha") == {"A": "10.00", "B": "10.00"}
    with pytest.raises(PricesMove):
        await make(hub, 80, confirmed=1)
    id = await make(hub, 80, confirmed=2)
    await hub.settle()
    assert shown(hub, "alpha") == {"A": "18.00", "B": "18.00"}
    assert await hub.open() == []
    # What was confirmed is that move, not any other.
    await hub.price("A", 2500)
    await hub.settle()
    assert [each["why"] for each in await hub.open()] == ["swing_out", "swing_out"], "the base price moved, everywhere"
    await change(hub, id, 70, confirmed=9)
    await hub.settle()
    assert shown(hub, "alpha") == {"A": "42.50", "B": "17.00"}, "the list was confirmed as it stands now"


async def test_what_does_not_move_too_far_or_is_not_in_use_asks_nobody(hub: FieldHub) -> None:
    id = await make(hub, 40)
    await hub.settle()
    await change(hub, id, 300, active=False)  # 14 to 10 euros: paused, the base price counts again
    await hub.settle()
    assert shown(hub, "alpha") == {"A": "10.00", "B": "10.00"}
    await change(hub, id, 500, active=False)
    with pytest.raises(PricesMove):
        await change(hub, id, 500)
    async with hub.database.transaction(hub.id) as tx:
        await conflicts.set_policy(
            tx, hub.actor, NewPolicy(hub.connections["alpha"], "price", Flow.BOTH, swing_percent=Decimal(900)),
            datetime.now(UTC),
        )  # fmt: skip
    await change(hub, id, 500)
    await hub.settle()
    assert shown(hub, "alpha") == {"A": "60.00", "B": "60.00"}


async def test_every_way_to_save_a_list_asks(hub: FieldHub) -> None:
    id = await make(hub, 300, confirmed=4, connection_id=None, channel="alpha")
    await hub.settle()
    with pytest.raises(PricesMove) as refused:
        await set_by_hand(hub, id, "A", 400)
    assert moves_of(refused).count == 1
    await set_by_hand(hub, id, "A", 400, confirmed=1)
    await hub.settle()
    assert shown(hub, "alpha") == {"A": "4.00", "B": "40.00"}
    # Moved to the other connection: both sides of the move count.
    with pytest.raises(PricesMove) as refused:
        await change(hub, id, 300, connection_id=hub.connections["beta"])
    assert moves_of(refused).count == 4
    with pytest.raises(PricesMove) as refused:
        async with hub.database.transaction(hub.id) as tx:
            await price_moves.delete(tx, hub.actor, id)
    assert moves_of(refused).count == 2
    async with hub.database.transaction(hub.id) as tx:
        await price_moves.delete(tx, hub.actor, id, 2)
    await hub.settle()
    assert shown(hub, "alpha") == {"A": "10.00", "B": "10.00"}
    assert await hub.open() == []


async def own(hub: FieldHub, **of: Any) -> list[own_prices.OwnPrice]:
    async with hub.database.transaction(hub.id) as tx:
        return list(await own_prices.list_own(tx, **of))


async def test_prices_of_their_own_are_found_counted_and_taken_off(hub: FieldHub) -> None:
    await make(hub, 10)
    await hub.settle()
    hub.shops["alpha"].edit("A", price=Decimal("11.50"))
    await hub.settle()
    hub.shops["alpha"].edit("B", price=Decimal("12.00"))
    await hub.settle()
    found = await own(hub)
    assert [(each.sku, each.value["minor"], each.otherwise["minor"], each.price_list) for each in found] == [
        ("B", 1200, 1100, "List"), ("A", 1150, 1100, "List"),
    ]  # fmt: skip
    assert {each.set_by for each in found} == {"alpha"}
    assert await own(hub, connection_id=hub.connections["beta"]) == []
    assert len(await own(hub, product_id=found[0].product_id)) == 2
    async with hub.database.transaction(hub.id) as tx:
        assert [(each.connection, each.count) for each in await own_prices.count_own(tx)] == [("alpha", 2)]
        first = await own_prices.list_own(tx, limit=1)
        second = await own_prices.list_own(tx, cursor=first.next_cursor, limit=1)
        assert ([each.sku for each in (*first, *second)], second.next_cursor) == (["B", "A"], None)
        assert await own_prices.take_off(tx, hub.actor, [(found[0].listing_id, "price")]) == 1
        assert await own_prices.take_off(tx, hub.actor, [(found[0].listing_id, "price")]) == 0, "it is off already"
    await hub.settle()
    assert shown(hub, "alpha") == {"A": "11.50", "B": "11.00"}
    async with hub.database.transaction(hub.id) as tx:
        assert await own_prices.take_off_all(tx, hub.actor, hub.connections["alpha"], found[1].set_at) == 1
    await hub.settle()
    assert shown(hub, "alpha") == {"A": "11.00", "B": "11.00"}
    assert (await own(hub), await hub.open()) == ([], [])


async def test_a_price_that_is_taken_off_goes_out_however_far_it_moves(hub: FieldHub) -> None:
    await make(hub, 10)
    await hub.settle()
    hub.shops["alpha"].edit("A", price=Decimal("12.00"))
    await hub.settle()
    await hub.price("A", 1400)
    await hub.settle()
    await hub.price("A", 2000)
    await hub.settle()
    [one] = await own(hub)
    assert shown(hub, "alpha")["A"] == "12.00"
    async with hub.database.transaction(hub.id) as tx:
        await own_prices.take_off(tx, hub.actor, [(one.listing_id, "price")])
    await hub.settle()
    assert shown(hub, "alpha")["A"] == "22.00"
    assert await hub.open() == []


async def test_what_is_no_price_is_refused(hub: FieldHub) -> None:
    async with hub.database.transaction(hub.id) as tx:
        with pytest.raises(InvalidInput, match="'title' is not a price"):
            await own_prices.take_off(tx, hub.actor, [(hub.id, "title")])
        with pytest.raises(InvalidInput, match="Choose 1 to 5,000"):
            await own_prices.take_off(tx, hub.actor, [])
        assert await own_prices.take_off(tx, hub.actor, [(hub.id, "price")]) == 0


async def test_lists_saved_taken_off_and_merged_at_once_end_alike(hub: FieldHub) -> None:
    id = await make(hub, 10)
    await hub.settle()
    hub.shops["alpha"].edit("A", price=Decimal("11.50"))
    await hub.settle()
    [one] = await own(hub)

    async def off() -> None:
        async with hub.database.transaction(hub.id) as tx:
            await own_prices.take_off(tx, hub.actor, [(one.listing_id, "price")])

    await asyncio.gather(off(), *(change(hub, id, percent, confirmed=9) for percent in (70, 90, 150)), hub.settle())
    await hub.settle()
    async with hub.database.transaction(hub.id) as tx:
        percent = (await price_lists.get_price_list(tx, id)).rule.markup_percent
    assert set(shown(hub, "alpha").values()) == {f"{Decimal(10) * (1 + percent / 100):.2f}"}
    assert (await own(hub), await hub.open()) == ([], [])
