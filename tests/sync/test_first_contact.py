"""A channel whose products are in the catalog already: compared first, written once a person has said what counts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.orders.support import make_connection
from tests.sync.fields_shop import FieldHub, Shop

from entrepot.database.pool import Database
from entrepot.kernel.errors import InvalidInput
from entrepot.sync.conflicts import Flow, Policy
from entrepot.sync.fields import first_contact
from entrepot.sync.fields.first_contact import FieldCount, NoFirstContact


@pytest.fixture
async def hub(database: Database, organisation_id: UUID) -> FieldHub:
    """A hub in step with alpha; beta is connected, and says otherwise in some fields."""
    hub = await FieldHub(database, organisation_id, Shop("alpha", 80)).set_up(("A", "B"))
    shop = hub.shops["beta"] = Shop("beta", 70)
    for sku in ("A", "B"):
        shop.listings[sku] = hub.as_listed(sku)
    shop.edit("A", product_title="Their title", vendor="", price=Decimal("9.00"), compare_at=Decimal("12.00"))
    shop.told.clear()
    await connect(hub)
    return hub


async def connect(hub: FieldHub) -> None:
    """Connect beta as the page does, and read its listings."""
    hub.connections["beta"] = await make_connection(hub.database, hub.id, "beta", name="beta")
    async with hub.database.transaction(hub.id) as tx:
        await first_contact.begin(tx, hub.connections["beta"])
    await hub.settle()


async def compared(hub: FieldHub) -> dict[str, FieldCount]:
    async with hub.database.transaction(hub.id) as tx:
        found = await first_contact.compare(tx, hub.connections["beta"])
    return {each.name: each for each in found.fields}


async def choose(hub: FieldHub, choices: Mapping[str, str]) -> None:
    async with hub.database.transaction(hub.id) as tx:
        await first_contact.decide(tx, hub.actor, hub.connections["beta"], choices, datetime.now(UTC))
    await hub.settle()


async def test_nothing_is_written_and_nobody_asked_before_a_choice(hub: FieldHub) -> None:
    await hub.settle()
    assert [shop.writes for shop in hub.shops.values()] == [0, 0]
    assert await hub.open() == []
    assert (await hub.detail()).row.title == "Red mug with a long name"
    counts = await compared(hub)
    figures = {name: (c.equal, c.only_ours, c.only_theirs, c.differ) for name, c in counts.items() if c.waits}
    assert figures == {
        "title": (0, 0, 0, 1), "vendor": (0, 1, 0, 0), "price": (1, 0, 0, 1), "compare_at": (1, 0, 1, 0),
    }  # fmt: skip
    assert (counts["description"].equal, counts["description"].waits) == (1, 0)


async def test_what_was_equal_flows_while_the_rest_waits(hub: FieldHub) -> None:
    await hub.price("B", 1100)
    await hub.settle()
    shown = {sku: each.price for sku, each in hub.shops["beta"].listings.items()}
    assert shown == {"A": Decimal("9.00"), "B": Decimal("11.00")}
    assert hub.shops["beta"].listings["A"].product_title == "Their title"


async def test_each_field_goes_as_it_was_chosen(hub: FieldHub) -> None:
    await choose(hub, {"title": "ours", "price": "theirs"})
    beta, detail = hub.shops["beta"].listings["A"], await hub.detail()
    assert (beta.product_title, detail.row.title) == ("Red mug with a long name", "Red mug with a long name")
    assert {v.sku: v.price_minor for v in detail.variants} == {"A": 900, "B": 1000}
    assert hub.shops["alpha"].listings["A"].price == Decimal("9.00"), "what came in goes on"
    assert (beta.vendor, detail.variants[0].compare_at_minor) == ("Acme", 1200), (
        "who has nothing takes what the other has"
    )
    assert await hub.open() == []
    assert set(await hub.states()) == {"agreed"}
    assert not any(each.waits for each in (await compared(hub)).values())


async def test_asking_makes_a_question_of_each(hub: FieldHub) -> None:
    await choose(hub, {})
    assert sorted((c["field"], c["why"]) for c in await hub.open()) == [
        ("price", "never_agreed"),
        ("title", "never_agreed"),
    ]
    # Said otherwise later, it is decided so.
    await choose(hub, {"title": "theirs", "price": "ours"})
    assert await hub.open() == []
    assert (await hub.detail()).row.title == "Their title"
    assert hub.shops["beta"].listings["A"].price == Decimal("10.00")


@pytest.mark.parametrize(
    ("policy", "title"),
    [
        ({"flow": Flow.OURS}, "Red mug with a long name"),
        ({"policy": Policy.LAST_WRITE}, None),
        ({"flow": Flow.NONE}, "Their title"),
    ],
)
async def test_a_policy_for_the_field_goes_before(hub: FieldHub, policy: dict[str, Any], title: str | None) -> None:
    await hub.policy(connection_id=hub.connections["beta"], field="title", **policy)
    await hub.settle()
    assert (await compared(hub)).get("title", FieldCount("title", 0, 0, 0, 0)).waits == 0
    if title is not None:
        assert hub.shops["beta"].listings["A"].product_title == title
    else:
        assert hub.shops["beta"].listings["A"].product_title == (await hub.detail()).row.title


async def test_what_cannot_be_chosen_is_refused(hub: FieldHub) -> None:
    for wrong in ({"title": "both"}, {"colour": "ours"}):
        with pytest.raises(InvalidInput):
            await choose(hub, wrong)
    async with hub.database.transaction(hub.id) as tx:
        with pytest.raises(NoFirstContact):
            await first_contact.compare(tx, hub.connections["alpha"])
        with pytest.raises(NoFirstContact):
            await first_contact.decide(tx, hub.actor, hub.connections["alpha"], {}, datetime.now(UTC))
