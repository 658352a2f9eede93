"""Listing fields on real PostgreSQL: what changed on one side flows, both ways, once; conflicts wait for people or policies."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.sync.fields_shop import FieldHub, Shop

from entrepot.database.pool import Database
from entrepot.sync.conflicts import Flow, Policy, Side


@pytest.fixture
async def hub(database: Database, organisation_id: UUID) -> FieldHub:
    return await FieldHub(database, organisation_id, Shop("alpha", 80), Shop("beta", 70)).set_up(("A", "B"))


async def test_what_is_alike_is_agreed_and_nothing_is_written(hub: FieldHub) -> None:
    assert await hub.states() == {"agreed": len(await hub.rows())}
    assert [shop.writes for shop in hub.shops.values()] == [0, 0]
    assert await hub.open() == []
    # The product's own fields are kept once for each product of a channel, not once for each variant.
    assert len([r for r in await hub.rows() if r["field"] == "title"]) == 2


async def test_our_change_goes_out_to_every_channel_and_its_echo_ends(hub: FieldHub) -> None:
    await hub.change(title="Blue mug")
    assert await hub.settle() < 6
    for shop in hub.shops.values():
        assert {v.product_title for v in shop.listings.values()} == {"Blue mug"}
        assert len(shop.drafts) == 1
    assert set(await hub.states()) == {"agreed"}


async def test_their_change_comes_in_and_goes_on_to_the_others(hub: FieldHub) -> None:
    hub.shops["alpha"].edit("A", product_title="Green mug")
    await hub.settle()
    assert (await hub.detail()).row.title == "Green mug"
    assert {v.product_title for v in hub.shops["beta"].listings.values()} == {"Green mug"}
    assert hub.shops["alpha"].writes == 0
    async with hub.database.transaction(hub.id) as tx:
        row = await tx.fetch_row(
            "select actor_name, before, after from audit_log where organisation_id = $1 and action = 'listing.take_over'",
            hub.id,
        )
    assert row is not None
    assert (row["actor_name"], row["before"], row["after"]) == (
        "alpha", {"title": "Red mug with a long name"}, {"title": "Green mug"}
    )  # fmt: skip


async def test_a_price_goes_out_alone(hub: FieldHub) -> None:
    await hub.price("A", 1100)
    await hub.settle()
    for shop in hub.shops.values():
        assert shop.listings["A"].price == Decimal("11.00")
        assert shop.listings["B"].price == Decimal("10.00")
        assert len(shop.prices) == 1
        assert shop.drafts == []


async def test_both_changed_is_a_conflict_that_waits(hub: FieldHub) -> None:
    hub.shops["alpha"].edit("A", price=Decimal("12.00"))
    await hub.price("A", 1300)
    await hub.settle()
    [conflict] = await hub.open()
    assert (conflict["kind"], conflict["field"], conflict["why"]) == ("price", "price", "both_changed")
    assert (conflict["base"]["minor"], conflict["ours"]["minor"], conflict["theirs"]["minor"]) == (1000, 1300, 1200)
    assert hub.shops["alpha"].listings["A"].price == Decimal("12.00")
    assert hub.shops["beta"].listings["A"].price == Decimal("13.00")


@pytest.mark.parametrize(
    ("side", "value", "here", "there"),
    [
        (Side.OURS, None, "13.00", "13.00"),
        (Side.THEIRS, None, "12.00", "12.00"),
        (Side.VALUE, "12.50 EUR", "12.50", "12.50"),
        (Side.APART, None, "12.00", "13.00"),
    ],
)
async def test_a_decision_ends_the_conflict(hub: FieldHub, side: Side, value: Any, here: str, there: str) -> None:
    hub.shops["alpha"].edit("A", price=Decimal("12.00"))
    await hub.price("A", 1300)
    await hub.settle()
    [conflict] = await hub.open()
    await hub.resolve(conflict["id"], side, value)
    await hub.settle()
    assert await hub.open() == []
    assert hub.shops["alpha"].listings["A"].price == Decimal(here)
    assert hub.shops["beta"].listings["A"].price == Decimal(there)
    assert set(await hub.states()) == {"agreed"}


async def test_a_swing_asks_a_person_whatever_the_policy(hub: FieldHub) -> None:
    await hub.policy(policy=Policy.LAST_WRITE, swing_percent=Decimal(50))
    hub.shops["alpha"].edit("A", price=Decimal("1.00"))
    await hub.settle()
    [conflict] = await hub.open()
    assert conflict["why"] == "swing_in"
    assert (await hub.detail()).variants[0].price_minor == 1000
    await hub.resolve(conflict["id"], Side.THEIRS)
    await hub.settle()
    # The others would have been changed as much, so they ask as well.
    assert (await hub.detail()).variants[0].price_minor == 100
    assert [(c["why"], c["theirs"]["minor"]) for c in await hub.open()] == [("swing_out", 1000)]


async def test_a_policy_decides_and_says_so(hub: FieldHub) -> None:
    await hub.policy(field="price", policy=Policy.LOWEST)
    hub.shops["alpha"].edit("A", price=Decimal("12.00"))
    await hub.price("A", 1300)
    await hub.settle()
    assert await hub.open() == []
    assert {s.listings["A"].price for s in hub.shops.values()} == {Decimal("12.00")}
    async with hub.database.transaction(hub.id) as tx:
        [row] = await tx.fetch("select * from conflict where organisation_id = $1", hub.id)
    assert (row["state"], row["resolved_by"], row["resolution"]["policy"]) == ("resolved", "policy", "lowest")


@pytest.mark.parametrize(
    ("flow", "title"), [(Flow.OURS, "Red mug with a long name"), (Flow.THEIRS, "Theirs"), (Flow.NONE, None)]
)
async def test_who_may_change_a_field_is_settable(hub: FieldHub, flow: Flow, title: str | None) -> None:
    await hub.policy(field="title", flow=flow)
    hub.shops["alpha"].edit("A", product_title="Theirs")
    await hub.settle()
    titles = (await hub.detail()).row.title, hub.shops["alpha"].listings["A"].product_title
    assert titles == ((title, title) if title else ("Red mug with a long name", "Theirs"))


async def test_first_meeting_differing_is_a_conflict_but_missing_is_not(
    database: Database, organisation_id: UUID
) -> None:
    shop = Shop("alpha")
    hub = FieldHub(database, organisation_id, shop)
    await hub.set_up(description="", vendor="Acme")
    # Nothing was said on our side: theirs came in.
    assert (await hub.detail()).description == "<p>Good</p>"
    assert await hub.open() == []
    other = Shop("beta", listings={"A": hub.as_listed("A")})
    other.edit("A", product_title="Another name", vendor="")
    hub.shops["beta"] = other
    from tests.orders.support import make_connection

    hub.connections["beta"] = await make_connection(database, organisation_id, "beta", name="beta")
    await hub.settle()
    [conflict] = await hub.open()
    assert (conflict["field"], conflict["why"]) == ("title", "never_agreed")
    assert other.listings["A"].vendor == "Acme"
