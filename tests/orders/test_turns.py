"""Orders that take a turn back: lines that vanish and come back, cancelled orders that live on, goods that are known late."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.orders.support import T0, line, make_connection, make_listing, order
from tests.orders.test_ingest import CANCELLED, Shop, shop

from entrepot.catalog import facade as catalog
from entrepot.catalog.contracts import NewProduct, NewVariant
from entrepot.channels.contract import ChannelOrderStatus
from entrepot.orders import facade as orders

PENDING, OPEN = ChannelOrderStatus.PENDING, ChannelOrderStatus.OPEN
PARTLY = ChannelOrderStatus.PARTLY_SHIPPED
__all__ = ["shop"]


async def test_a_line_that_vanishes_and_comes_back_was_sold_once(shop: Shop) -> None:
    await shop.take(order("1", 1, [line("A", 2), line("B", 1)]))
    await shop.take(order("1", 2, [line("B", 1)]))
    assert await shop.level("A") == (10, 0)
    await shop.take(order("1", 3, [line("A", 2), line("B", 1)]))
    assert await shop.level("A") == (10, 2)
    sold = await shop.sold()
    assert sum(units for _, variant, units in sold if variant == str(shop.made["A"])) == 2
    assert [units for name, _, units in sold if name == "A"] == [2, -2, 2], "told like a cancellation, by the listing"


async def test_an_order_that_lives_on_after_it_was_cancelled_can_be_shipped(shop: Shop) -> None:
    await shop.take(order("1", 1, [line("A", 2)], PENDING))
    await shop.take(order("1", 2, [line("A", 2)], CANCELLED))
    assert ((await shop.head())["status"], await shop.level("A")) == ("cancelled", (10, 0))
    await shop.take(order("1", 3, [line("A", 2)], OPEN))
    assert ((await shop.head())["status"], await shop.level("A")) == ("open", (10, 2))
    async with shop.database.transaction(shop.id) as tx:
        await orders.ship(tx, (await shop.head())["id"], orders.Parcel("UPS", "1"), actor="test", now=T0)
    assert ((await shop.head())["status"], await shop.level("A")) == ("shipped", (8, 0))


async def test_a_cancelled_order_claims_nothing_whatever_comes_late(shop: Shop) -> None:
    await shop.take(order("1", 3, [line("A", 2)], CANCELLED))
    await shop.take(order("1", 2, [line("A", 2)], OPEN))
    assert ((await shop.head())["status"], await shop.level("A")) == ("cancelled", (10, 0))


async def test_what_is_added_to_an_order_that_was_shipped_can_be_shipped(shop: Shop) -> None:
    await shop.take(order("1", 1, [line("A", 2)], OPEN))
    async with shop.database.transaction(shop.id) as tx:
        await orders.ship(tx, (await shop.head())["id"], orders.Parcel("UPS", "1"), actor="test", now=T0)
    await shop.take(order("1", 2, [line("A", 2)], OPEN))
    assert (await shop.head())["status"] == "shipped", "the channel does not know yet"
    await shop.take(order("1", 3, [line("A", 2, shipped=2), line("B", 1)], PARTLY))
    assert (await shop.head())["status"] == "partly_shipped"
    async with shop.database.transaction(shop.id) as tx:
        await orders.ship(tx, (await shop.head())["id"], orders.Parcel("UPS", "2"), actor="test", now=T0)
    assert ((await shop.head())["status"], await shop.level("B")) == ("shipped", (2, 0))


async def test_a_product_made_while_its_order_comes_in_is_found(shop: Shop) -> None:
    """Neither transaction sees the other's; whoever is last, the line must not wait for ever."""
    async with shop.database.transaction(shop.id) as making:
        made = await catalog.save_products(making, [NewProduct("new", "New", (NewVariant("NEW", 100, "EUR"),))])
        await orders.settle_exceptions(making, made)
        await shop.take(order("1", 1, [line("NEW", 3)]))
    assert (await shop.head())["has_exception"]
    async with shop.database.transaction(shop.id) as tx:
        assert await orders.settle_known(tx) == 1
        assert await orders.settle_known(tx) == 0
    assert not (await shop.head())["has_exception"]
    assert await shop.lines() == {"NEW": (3, 0, 0, 0, 3)}


async def test_a_line_without_a_sku_is_settled_once_its_listing_has_a_variant(shop: Shop) -> None:
    await shop.take(order("1", 1, [replace(line(None, 2), external_variant_id="L7"), line("GONE", 1)]))
    await make_listing(shop.database, shop.id, shop.connection_id, shop.made["A"], "L7")
    async with shop.database.transaction(shop.id) as tx:
        assert await orders.settle_known(tx) == 1
    assert await shop.level("A") == (10, 2)
    assert (await shop.head())["has_exception"], "the other line's SKU is nobody's"


async def test_the_listing_of_another_connection_says_nothing(shop: Shop) -> None:
    await shop.take(order("1", 1, [replace(line(None, 2), external_variant_id="L7")]))
    other = await make_connection(shop.database, shop.id)
    await make_listing(shop.database, shop.id, other, shop.made["A"], "L7")
    async with shop.database.transaction(shop.id) as tx:
        assert await orders.settle_known(tx) == 0


async def test_two_that_settle_at_once_claim_once(shop: Shop) -> None:
    await shop.take(order("1", 1, [replace(line(None, 2), external_variant_id="L7")]))
    await make_listing(shop.database, shop.id, shop.connection_id, shop.made["A"], "L7")

    async def settle() -> None:
        async with shop.database.transaction(shop.id) as tx:
            await orders.settle_known(tx)

    await asyncio.gather(*(settle() for _ in range(4)))
    assert await shop.level("A") == (10, 2)
