"""What listings may show, from stock, connections and policies on PostgreSQL."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.orders.support import make_connection, make_listing, make_variants

from entrepot.allocation import facade as allocation
from entrepot.database.pool import Database


async def shown(database: Database, organisation_id: UUID, *variants: UUID) -> dict[UUID, int]:
    async with database.transaction(organisation_id) as tx:
        return {s.listing_id: s.quantity for s in await allocation.allot_variants(tx, variants)}


async def test_paused_ones_keep_their_part_and_others_get_none(database: Database, organisation_id: UUID) -> None:
    made = await make_variants(database, organisation_id, {"A": 100})
    listings = {}
    settings: dict[str, dict[str, Any]] = {
        "gone": {"state": "disconnected"},
        "ships": {"fulfilment_only": True},
        "first": {"buffer": 5},
        "paused": {"state": "paused"},
        "attention": {"state": "needs_attention", "share": Decimal("0.1")},
    }
    for place, (name, columns) in enumerate(settings.items()):
        connection = await make_connection(database, organisation_id, priority=place, **columns)
        listings[name] = await make_listing(database, organisation_id, connection, made["A"], name)
    assert await shown(database, organisation_id, made["A"]) == {
        listings["first"]: 35,
        listings["paused"]: 30,
        listings["attention"]: 10,
    }


async def test_the_product_s_policy_goes_before_the_shop_s(database: Database, organisation_id: UUID) -> None:
    one = await make_variants(database, organisation_id, {"A": 10})
    two = await make_variants(database, organisation_id, {"B": 10})
    connection = await make_connection(database, organisation_id)
    a = await make_listing(database, organisation_id, connection, one["A"], "a")
    b = await make_listing(database, organisation_id, connection, two["B"], "b")
    assert await shown(database, organisation_id, one["A"], two["B"]) == {a: 4, b: 4}
    async with database.transaction(organisation_id) as tx:
        product: UUID = await tx.fetch_value("select product_id from variant where id = $1", two["B"])
        await allocation.set_policy(tx, "pool_minus_buffer", {"buffer": 1})
        await allocation.set_policy(tx, "equal", {}, product_id=product)
        topics = await tx.fetch("select payload from outbox where organisation_id = $1 order by id", organisation_id)
        assert topics[-2]["payload"]["variant_ids"] == [str(one["A"]), str(two["B"])]
        assert topics[-1]["payload"]["variant_ids"] == [str(two["B"])]
        assert (await allocation.get_policy(tx, product)).strategy == "equal"
        assert (await allocation.get_policy(tx)).strategy == "pool_minus_buffer"
    assert await shown(database, organisation_id, one["A"], two["B"]) == {a: 9, b: 10}


async def test_setting_a_policy_again_replaces_it(database: Database, organisation_id: UUID) -> None:
    async with database.transaction(organisation_id) as tx:
        await allocation.set_policy(tx, "equal", {})
        await allocation.set_policy(tx, "pool_minus_buffer", {"buffer": 3})
        with pytest.raises(allocation.InvalidPolicy):
            await allocation.set_policy(tx, "guess", {})
        assert (
            await tx.fetch_value("select count(*) from allocation_policy where organisation_id = $1", organisation_id)
            == 1
        )
        assert await allocation.get_policy(tx) == allocation.Policy("pool_minus_buffer", {"buffer": 3})


async def test_listings_of_one_variant_on_a_connection_divide_its_share(
    database: Database, organisation_id: UUID
) -> None:
    made = await make_variants(database, organisation_id, {"A": 100})
    connection = await make_connection(database, organisation_id)
    pair = [await make_listing(database, organisation_id, connection, made["A"], name) for name in "xy"]
    assert await shown(database, organisation_id, made["A"]) == dict.fromkeys(pair, 20)
