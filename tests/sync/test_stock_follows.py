"""What a sale sets off beside the channels: bundles shown anew, low stock alerted, purchase orders drafted."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from tests.orders.support import make_connection, make_variants
from tests.sync.channel import Channel
from tests.sync.hub import Hub

from entrepot import upkeep
from entrepot.allocation import facade as allocation
from entrepot.allocation.facade import CATEGORY, PRODUCT, VARIANT, Limit, Scope
from entrepot.catalog import facade as catalog
from entrepot.catalog.contracts import NewProduct, NewVariant
from entrepot.channels import facade as channels
from entrepot.channels.contract import QuantitySemantics
from entrepot.channels.contracts import ConnectionChanges
from entrepot.channels.facade import Vault, new_vault_key
from entrepot.database.pool import Database
from entrepot.stock import facade as stock
from entrepot.sync.check import listings_step

CAS = QuantitySemantics.COMPARE_AND_SET


async def test_a_sold_part_lowers_the_bundles_made_of_it(database: Database, organisation_id: UUID) -> None:
    channel = Channel(CAS)
    hub = await Hub(database, organisation_id, channel).set_up({"PART": 100, "KIT": 0})
    async with database.transaction(organisation_id) as tx:
        await stock.set_bundle(tx, hub.made["KIT"], {hub.made["PART"]: 5})
    await hub.settle()
    assert channel.books == {"PART": 40, "KIT": 8}
    sold = channel.sell("PART", 20)
    assert sold is not None
    await hub.take(str(CAS), sold)
    await hub.settle()
    assert channel.books == {"PART": 32, "KIT": 6}
    kits = channel.sell("KIT", 2)
    assert kits is not None
    await hub.take(str(CAS), kits)
    await hub.settle()
    assert channel.books == {"PART": 28, "KIT": 5}
    await hub.verify()


async def test_a_sale_alerts_and_is_bought_again(database: Database, organisation_id: UUID) -> None:
    channel = Channel(CAS)
    hub = await Hub(database, organisation_id, channel).set_up({"A": 30})
    async with database.transaction(organisation_id) as tx:
        main = await tx.fetch_value("select id from location")
        supplier = await stock.create_supplier(tx, "Acme", "EUR")
        await stock.put_offers(tx, supplier, [stock.Offer(hub.made["A"])])
        await stock.set_reorder_rule(tx, hub.made["A"], main, point=20, quantity=50, max_level=None)
    await hub.react()
    sold = channel.sell("A", 10)
    assert sold is not None
    await hub.take(str(CAS), sold)
    await hub.set_stock("A", 18)
    assert await upkeep.reorder(database) == 1
    assert await upkeep.reorder(database) == 0
    async with database.transaction(organisation_id) as tx:
        assert await tx.fetch_value("select available from stock_alert where state = 'open'") == 8
        row = await tx.fetch_row(
            "select actor, quantity from purchase_order_line join purchase_order on id = purchase_order_id"
        )
        assert row is not None
        assert tuple(row) == (stock.AUTOMATIC, 50)


def test_orders_are_drafted_by_the_clock_only_if_wanted(database: Database) -> None:
    vault = Vault({"k": new_vault_key()}, "k")
    assert "reorder" not in {schedule.name for schedule in upkeep.schedules(database, vault)}
    assert "reorder" in {schedule.name for schedule in upkeep.schedules(database, vault, auto_reorder=True)}


async def test_limits_and_policies_reach_the_channels(database: Database, organisation_id: UUID) -> None:
    channel = Channel(CAS)
    hub = await Hub(database, organisation_id, channel).set_up({"A": 30, "B": 30})
    assert channel.books == {"A": 12, "B": 12}
    async with database.transaction(organisation_id) as tx:
        product = await tx.fetch_value("select product_id from variant where id = $1", hub.made["A"])
        await allocation.set_policy(tx, "pool_minus_buffer", {})
        await allocation.set_limit(tx, Scope(VARIANT, hub.made["A"]), hub.connections[str(CAS)], Limit(cap=7))
        await allocation.set_limit(tx, Scope(PRODUCT, product), None, Limit(buffer=4))
    await hub.settle()
    assert channel.books == {"A": 7, "B": 26}
    async with database.transaction(organisation_id) as tx:
        main = await tx.fetch_value("select id from location")
        await stock.change_location(tx, main, buffer=25)
    await hub.settle()
    assert channel.books == {"A": 1, "B": 1}
    reason = (await hub.row(str(CAS), "B"))["desired_reason"]
    assert reason["steps"][:2] == ["buffer of location Main: 25 kept back", "4 of 5 kept back for the product"]
    await hub.verify()


@pytest.mark.parametrize("semantics", list(QuantitySemantics))
async def test_a_connection_that_only_ships_from_now_on_shows_none(
    database: Database, organisation_id: UUID, semantics: QuantitySemantics
) -> None:
    channel = Channel(semantics)
    hub = await Hub(database, organisation_id, channel).set_up({"A": 30})
    assert channel.books == {"A": 12}
    for ships, shows in ((True, 0), (False, 12)):
        async with database.transaction(organisation_id) as tx:
            changes = ConnectionChanges(fulfilment_only=ships)
            await channels.update(tx, channel, hub.connections[str(semantics)], changes)
        await hub.settle()
        assert channel.books == {"A": shows}


async def test_a_connection_that_has_only_ever_shipped_is_left_alone(database: Database, organisation_id: UUID) -> None:
    channel = Channel(CAS)
    channel.books = {"A": 5}
    hub = Hub(database, organisation_id, channel)
    hub.made = await make_variants(database, organisation_id, {"A": 30})
    hub.connections[str(CAS)] = await make_connection(database, organisation_id, str(CAS), fulfilment_only=True)
    await listings_step(hub.context, hub.key("listings", str(CAS)))
    await hub.react()
    assert await hub.push(str(CAS)) is None
    assert channel.books == {"A": 5}


async def test_tags_and_categories_that_change_are_followed(database: Database, organisation_id: UUID) -> None:
    channel = Channel(CAS)
    hub = await Hub(database, organisation_id, channel).set_up({"A": 30})
    async with database.transaction(organisation_id) as tx:
        rule = {"if": {"tag": ["rare"]}, "then": {"quantity": 1}}
        await allocation.set_policy(tx, "rules", {"rules": [rule], "otherwise": {"strategy": "equal"}})
        path = ("Attic",)
        attic = (await catalog.ensure_categories(tx, [path]))[path]
        await allocation.set_policy(tx, "pool_minus_buffer", {"buffer": 28}, scope=Scope(CATEGORY, attic))
        handle = await tx.fetch_value("select handle from product")
    await hub.settle()
    assert channel.books == {"A": 30}
    product = NewProduct(handle, "P", (NewVariant("A", 100, "EUR"),), tags=("rare",))
    async with database.transaction(organisation_id) as tx:
        await catalog.save_products(tx, [product])
    await hub.settle()
    assert channel.books == {"A": 1}
    async with database.transaction(organisation_id) as tx:
        await catalog.save_products(tx, [replace(product, category=path)])
    await hub.settle()
    assert channel.books == {"A": 2}
