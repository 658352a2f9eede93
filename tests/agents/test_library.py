"""The actions of the rooms, each looked at, done, read back and undone on a real shop."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from tests.agents.support import Office, office
from tests.sync.fields_shop import FieldHub, Shop

from entrepot.actions import all_actions
from entrepot.agents import carrying
from entrepot.agents.actions import CannotUndo, InvalidActionInput, NothingToDo, Registry, UnknownAction
from entrepot.agents.carrying import Carrier
from entrepot.agents.facade import ActionCall, Task, TaskDesk
from entrepot.agents.jobs import TaskPayload
from entrepot.agents.lifecycle import State
from entrepot.allocation import facade as allocation
from entrepot.catalog import reading as catalog_reading
from entrepot.channels import facade as channels
from entrepot.database.pool import Database
from entrepot.kernel.clock import utc_now
from entrepot.kernel.errors import Conflict, EntrepotError, NotFound
from entrepot.kernel.ids import new_id
from entrepot.stock import facade as stock
from entrepot.stock import reading_papers


@pytest.fixture
async def shop(database: Database, organisation_id: UUID) -> FieldHub:
    return await FieldHub(database, organisation_id, Shop("alpha", 80), Shop("beta", 70)).set_up(("A", "B"))


@pytest.fixture
async def here(shop: FieldHub) -> Office:
    return await office(shop.database, shop.id, TaskDesk(all_actions(shop.shops.__getitem__)))  # type: ignore[arg-type]


async def carried_out(here: Office, shop: FieldHub, name: str, **given: Any) -> Task:
    """Propose, approve, carry out and verify; return the task."""
    task = await here.propose(action=ActionCall(name, given))
    assert task.state is State.AWAITING_APPROVAL
    await here.approve(task)
    await here.work(Carrier(here.desk.actions), rounds=1)
    await shop.settle()
    await here.work(Carrier(here.desk.actions))
    done = await here.task(task)
    assert done.state is State.COMPLETED, (done.state, done.stale)
    assert done.outcome
    assert done.outcome["verified"] == "verified", done.outcome
    return done


async def undo(here: Office, shop: FieldHub, task: Task) -> None:
    await here.within(lambda tx: here.desk.undo(tx, here.admin, task.id))
    await shop.settle()
    await here.work(Carrier(here.desk.actions))
    done = await here.task(task)
    assert done.outcome
    assert (done.outcome["kind"], done.outcome["verified"]) == ("undo", "verified"), done.outcome


async def test_edit_a_product(here: Office, shop: FieldHub) -> None:
    task = await carried_out(here, shop, "product.edit", productId=str(shop.product), title="Blue mug", tags=["a", "b"])
    assert task.look
    assert [c["what"] for c in task.look["changes"]] == ["Title", "Tags"]
    assert shop.shops["beta"].listings["A"].product_title == "Blue mug"
    await undo(here, shop, task)
    assert shop.shops["beta"].listings["A"].product_title == "Red mug with a long name"
    second = await carried_out(here, shop, "product.edit", productId=str(shop.product), title="Green mug")
    await shop.change(title="Yellow mug")
    with pytest.raises(CannotUndo, match="Title"):
        await here.within(lambda tx: here.desk.undo(tx, here.admin, second.id))


async def test_edit_one_listing_alone(here: Office, shop: FieldHub) -> None:
    async with here.database.transaction(here.id) as tx:
        listings = await catalog_reading.listings_of(tx, [shop.variants["A"]])
    (alpha,) = [each for each in listings if each.channel == "alpha"]
    task = await carried_out(here, shop, "listing.edit", listingId=str(alpha.id), field="price", value="15.00")
    assert (shop.shops["alpha"].listings["A"].price, shop.shops["beta"].listings["A"].price) == (15, 10)
    await undo(here, shop, task)
    assert shop.shops["alpha"].listings["A"].price == 10


async def test_set_an_allocation_policy(here: Office, shop: FieldHub) -> None:
    task = await carried_out(here, shop, "allocation.policy", strategy="equal")
    async with here.database.transaction(here.id) as tx:
        assert (await allocation.get_policy(tx)).strategy == "equal"
    with pytest.raises(NothingToDo):
        await here.propose(action=ActionCall("allocation.policy", {"strategy": "equal"}))
    await undo(here, shop, task)
    async with here.database.transaction(here.id) as tx:
        assert not (await allocation.in_force(tx, allocation.WHOLE_SHOP)).stored


async def test_set_limits(here: Office, shop: FieldHub) -> None:
    variant = str(shop.variants["A"])
    task = await carried_out(here, shop, "allocation.limit", scopeId=variant, cap=5, buffer=1)
    scope = allocation.Scope("variant", shop.variants["A"])
    async with here.database.transaction(here.id) as tx:
        assert await allocation.get_limit(tx, scope, None) == allocation.Limit(1, 5, None)
    await undo(here, shop, task)
    async with here.database.transaction(here.id) as tx:
        assert (await allocation.get_limit(tx, scope, None)).says_nothing


async def places(here: Office, shop: FieldHub) -> tuple[UUID, UUID]:
    async with here.database.transaction(here.id) as tx:
        await stock.change_on_hand(
            tx, [stock.StockChange(shop.variants["A"], "counted", on_hand=20)], kind="count", actor="test"
        )
        first = (await stock.levels(tx, [shop.variants["A"]]))[0].location_id
        return first, await stock.create_location(tx, "Attic")


async def test_buy_from_a_supplier(here: Office, shop: FieldHub) -> None:
    main, _ = await places(here, shop)
    async with here.database.transaction(here.id) as tx:
        mill = await stock.create_supplier(tx, "Mill", "EUR")
        await stock.put_offers(tx, mill, [stock.Offer(shop.variants["A"], cost_minor=250)])
    given: dict[str, Any] = {
        "supplierId": str(mill), "locationId": str(main), "lines": [{"sku": "A", "quantity": 40}], "order": True,
    }  # fmt: skip
    other = await here.propose(action=ActionCall("purchase.create", given))
    task = await carried_out(here, shop, "purchase.create", **given)
    assert task.measure
    assert (task.measure["money_minor"], task.measure["units"], task.measure["currency"]) == (10_000, 40, "EUR")
    async with here.database.transaction(here.id) as tx:
        (row,) = (await reading_papers.list_purchases(tx)).items
        assert (row.state, row.units) == ("ordered", 40)
    # Told to do it once more, by whatever mistake, it does nothing.
    again = await here.within(
        lambda tx: carrying.carry_out(tx, here.desk.actions, TaskPayload(task.id, task.round), utc_now())
    )
    assert again.startswith("It was done")
    # The same proposed before that: what is on its way has changed, so nobody buys twice.
    await here.approve(other)
    await here.work(Carrier(here.desk.actions))
    assert "has changed" in (await here.task(other)).stale
    await undo(here, shop, task)
    async with here.database.transaction(here.id) as tx:
        assert (await reading_papers.purchase(tx, row.id))[0].state == "cancelled"
        assert await stock.verify(tx) == []


async def test_move_stock(here: Office, shop: FieldHub) -> None:
    main, attic = await places(here, shop)
    given: dict[str, Any] = {
        "fromLocationId": str(main), "toLocationId": str(attic), "lines": [{"sku": "A", "quantity": 8}], "ship": True,
    }  # fmt: skip
    with pytest.raises(Conflict, match="There is not enough"):
        await here.propose(action=ActionCall("stock.transfer", {**given, "lines": [{"sku": "A", "quantity": 21}]}))
    task = await carried_out(here, shop, "stock.transfer", **given)
    async with here.database.transaction(here.id) as tx:
        levels = {lv.location_id: lv for lv in await stock.levels(tx, [shop.variants["A"]])}
        assert (levels[main].on_hand, levels[attic].incoming) == (12, 8)
    await undo(here, shop, task)
    async with here.database.transaction(here.id) as tx:
        levels = {lv.location_id: lv for lv in await stock.levels(tx, [shop.variants["A"]])}
        assert (levels[main].on_hand, levels[attic].incoming) == (20, 0)
        assert await stock.verify(tx) == []


async def test_a_sale_between_does_not_make_a_transfer_stale(here: Office, shop: FieldHub) -> None:
    main, attic = await places(here, shop)
    given = {"fromLocationId": str(main), "toLocationId": str(attic), "lines": [{"sku": "A", "quantity": 8}]}
    task = await here.approve(await here.propose(action=ActionCall("stock.transfer", given)))
    async with here.database.transaction(here.id) as tx:
        await stock.change_on_hand(
            tx, [stock.StockChange(shop.variants["A"], "sold", delta=-3)], kind="adjustment", actor="test"
        )
    await here.work(Carrier(here.desk.actions))
    assert (await here.task(task)).state is State.COMPLETED


async def test_pause_and_resume(here: Office, shop: FieldHub) -> None:
    alpha = str(shop.connections["alpha"])
    task = await here.approve(await here.propose(action=ActionCall("connection.pause", {"connectionId": alpha})))
    await here.work(Carrier(here.desk.actions))
    async with here.database.transaction(here.id) as tx:
        assert (await channels.get(tx, shop.connections["alpha"])).state == "paused"
    with pytest.raises(NothingToDo):
        await here.propose(action=ActionCall("connection.pause", {"connectionId": alpha}))
    resumed = await here.approve(await here.propose(action=ActionCall("connection.resume", {"connectionId": alpha})))
    await here.work(Carrier(here.desk.actions))
    assert (await here.task(resumed)).state is State.COMPLETED
    with pytest.raises(CannotUndo):
        await here.within(lambda tx: here.desk.undo(tx, here.admin, task.id))


INVALID: tuple[tuple[str, dict[str, Any], type[EntrepotError]], ...] = (
    ("price.set", {}, InvalidActionInput),
    ("price.set", {"prices": []}, InvalidActionInput),
    ("price.set", {"prices": [{"sku": "A", "price": -1}]}, InvalidActionInput),
    ("price.set", {"prices": [{"sku": "A", "price": "1"}], "extra": 1}, InvalidActionInput),
    ("price.set", {"prices": [{"price": "1"}]}, InvalidActionInput),
    ("price.set", {"prices": [{"sku": "NONE", "price": "1"}]}, NotFound),
    ("price.set", {"prices": [{"sku": "A", "price": "1.001"}]}, EntrepotError),
    ("price.set", {"prices": [{"sku": "A", "price": "1"}, {"sku": "A", "price": "2"}]}, EntrepotError),
    ("product.edit", {"productId": str(new_id()), "title": "x"}, NotFound),
    ("listing.edit", {"listingId": str(new_id()), "field": "colour", "value": "x"}, EntrepotError),
    ("allocation.policy", {"strategy": "magic"}, EntrepotError),
    ("allocation.policy", {"strategy": "equal", "scope": "product"}, InvalidActionInput),
    ("allocation.limit", {"scopeId": str(new_id()), "cap": 1}, NotFound),
    ("purchase.create", {"supplierId": str(new_id()), "locationId": str(new_id()),
                         "lines": [{"sku": "A", "quantity": 1}]}, NotFound),
    ("connection.pause", {"connectionId": str(new_id())}, NotFound),
    ("listing.publish", {"productIds": [str(new_id())], "connectionIds": [str(new_id())]}, NotFound),
    ("world.rule", {}, UnknownAction),
)  # fmt: skip


@pytest.mark.parametrize(("name", "given", "error"), INVALID, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(INVALID)])
async def test_what_makes_no_sense_is_refused(
    here: Office, name: str, given: dict[str, Any], error: type[EntrepotError]
) -> None:
    with pytest.raises(error) as refused:
        await here.propose(action=ActionCall(name, given))
    assert refused.value.status < 500
    assert refused.value.detail


def test_every_action_says_what_it_takes() -> None:
    actions = all_actions(lambda channel: None)  # type: ignore[arg-type,return-value]
    for action in actions.newest:
        assert action.title
        assert action.input.model_json_schema()["description"]
    with pytest.raises(UnknownAction):
        actions.get("price.set", 99)
    with pytest.raises(ValueError, match="registered twice"):
        Registry([*actions.newest, actions.newest[0]])
