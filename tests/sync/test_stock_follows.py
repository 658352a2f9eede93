"""What a sale sets off beside the channels: bundles shown anew, low stock alerted, purchase orders drafted."""

from __future__ import annotations

from uuid import UUID

from tests.sync.channel import Channel
from tests.sync.hub import Hub

from entrepot import upkeep
from entrepot.channels.contract import QuantitySemantics
from entrepot.channels.facade import Vault, new_vault_key
from entrepot.database.pool import Database
from entrepot.stock import facade as stock

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
