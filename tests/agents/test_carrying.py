"""Approved actions are carried out once, whatever dies when; what is stale goes back; what was done is verified and undone."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.agents.support import Office, office, with_scopes
from tests.sync.fields_shop import FieldHub, Shop

from entrepot.actions import all_actions
from entrepot.agents import reading
from entrepot.agents.actions import CannotUndo, NothingToDo, Receipt, Registry
from entrepot.agents.carrying import Carrier
from entrepot.agents.facade import CARRY_OUT, VERIFY, ActionCall, Task, TaskDesk, TaskEdit
from entrepot.agents.jobs import TaskPayload
from entrepot.agents.library.prices import SetPrice, SetPriceInput
from entrepot.agents.lifecycle import State
from entrepot.catalog import price_lists
from entrepot.catalog.price_lists import PriceListInput
from entrepot.catalog.pricing import PriceRule
from entrepot.database.pool import Database, Tx
from entrepot.identity.facade import Actor, MissingScope, Scope
from entrepot.identity.facade import list_audit as audited
from entrepot.jobs import facade as jobs
from entrepot.jobs.facade import JobRun, Outcome


@pytest.fixture
async def shop(database: Database, organisation_id: UUID) -> FieldHub:
    return await FieldHub(database, organisation_id, Shop("alpha", 80), Shop("beta", 70)).set_up(("A", "B"))


@pytest.fixture
async def here(shop: FieldHub) -> Office:
    desk = TaskDesk(all_actions(shop.shops.__getitem__))  # type: ignore[arg-type]
    return await office(shop.database, shop.id, desk)


def price(sku: str, amount: str) -> ActionCall:
    return ActionCall("price.set", {"prices": [{"sku": sku, "price": amount}]})


async def price_of(here: Office, sku: str) -> int:
    async with here.database.transaction(here.id) as tx:
        found: int = await tx.fetch_value(
            "select price_minor from variant where organisation_id = $1 and sku = $2", here.id, sku
        )
    return found


async def changes(here: Office) -> int:
    """Return how often a product was changed by a task."""
    async with here.database.transaction(here.id) as tx:
        return len(list(await audited(tx, action="product.update", limit=250)))


async def test_an_approved_price_goes_to_every_channel_and_undo_puts_it_back(here: Office, shop: FieldHub) -> None:
    task = await here.propose(action=price("A", "12.50"), title="Raise the price")
    assert task.state is State.AWAITING_APPROVAL
    assert task.look
    assert task.look["changes"] == [{"what": "A: price", "before": "10.00 EUR", "after": "12.50 EUR"}]
    assert task.measure
    assert (task.measure["percent"], task.measure["money_minor"]) == ("25.00", 250)
    assert task.measure["channels"] == ["alpha", "beta"]
    await here.approve(task)
    assert await price_of(here, "A") == 1000
    carrier = Carrier(here.desk.actions)
    await _do(here, carrier)
    assert await price_of(here, "A") == 1250
    assert (await here.task(task)).state is State.IN_PROGRESS
    # The channels do not show it yet: reading it back waits.
    await _do(here, carrier)
    assert (await here.task(task)).state is State.IN_PROGRESS
    await shop.settle()
    await here.work(carrier)
    done = await here.task(task)
    assert done.state is State.COMPLETED
    assert done.outcome
    assert done.outcome["verified"] == "verified"
    assert done.outcome["words"] == "Done in the hub, and shown by 2 listings on channels."
    assert {each.listings["A"].price for each in shop.shops.values()} == {Decimal("12.50")}
    undone = await here.within(lambda tx: here.desk.undo(tx, here.admin, task.id))
    assert undone.undone_by == "Ana"
    assert await price_of(here, "A") == 1000
    await shop.settle()
    await here.work(carrier)
    assert {each.listings["A"].price for each in shop.shops.values()} == {Decimal("10.00")}
    last = await here.task(task)
    assert last.outcome
    assert (last.outcome["kind"], last.outcome["verified"]) == ("undo", "verified")
    with pytest.raises(CannotUndo):
        await here.within(lambda tx: here.desk.undo(tx, here.admin, task.id))
    moves = await here.moves(task)
    assert moves == ["create", "submit", "approve", "carry_out", "finish", "undo", "verify"]
    async with here.database.transaction(here.id) as tx:
        found = [e.action for e in await audited(tx, subject_kind="task", subject_id=str(task.id))]
    assert found == ["task.undo", "task.carry_out", "task.approve", "task.create"]


async def test_where_a_price_list_decides_the_price_is_not_waited_for(here: Office, shop: FieldHub) -> None:
    async with here.database.transaction(here.id) as tx:
        rule = PriceRule("EUR", Decimal(10))
        await price_lists.create_price_list(tx, PriceListInput("Dear", rule, connection_id=shop.connections["alpha"]))
    await shop.settle()
    task = await here.propose(action=price("A", "12.50"), title="Raise the price")
    await here.approve(task)
    carrier = Carrier(here.desk.actions)
    await _do(here, carrier)
    await shop.settle()
    await here.work(carrier)
    done = await here.task(task)
    assert done.outcome
    assert (done.state, done.outcome["verified"]) == (State.COMPLETED, "verified")
    assert {name: each.listings["A"].price for name, each in shop.shops.items()} == {
        "alpha": Decimal("13.75"), "beta": Decimal("12.50"),
    }  # fmt: skip


async def _do(here: Office, carrier: Carrier) -> None:
    """Do each open job once."""
    for kind, id in await here.open_jobs():
        if kind == CARRY_OUT.name:
            await jobs.perform(here.database, CARRY_OUT, carrier.carry_out, here.id, id)
        else:
            await jobs.perform(here.database, VERIFY, carrier.verify, here.id, id)


async def test_what_it_rests_on_has_changed_so_people_decide_anew(here: Office, shop: FieldHub) -> None:
    task = await here.propose(action=price("A", "12.50"))
    await here.approve(task)
    await shop.price("A", 1100)
    await here.work()
    back = await here.task(task)
    assert (back.state, back.approved_by, back.round) == (State.AWAITING_APPROVAL, None, 2)
    assert "has changed since" in back.stale
    assert back.look
    assert back.look["changes"][0]["before"] == "11.00 EUR"
    assert await price_of(here, "A") == 1100
    await here.approve(task)
    await shop.settle()
    await here.work()
    assert await price_of(here, "A") == 1250
    assert (await here.task(task)).stale == ""


async def test_what_cannot_be_done_any_more_comes_back_with_the_reason(here: Office) -> None:
    task = await here.propose(action=price("A", "12.50"))
    await here.approve(task)
    async with here.database.transaction(here.id) as tx:
        await tx.execute("update variant set sku = 'Z' where organisation_id = $1 and sku = 'A'", here.id)
    await here.work()
    back = await here.task(task)
    assert back.state is State.AWAITING_APPROVAL
    assert back.stale == "It could not be carried out: There is no variant with the SKU 'A'."


async def test_somebody_else_did_it_meanwhile(here: Office, shop: FieldHub) -> None:
    task = await here.propose(action=price("A", "12.50"))
    await here.approve(task)
    await shop.price("A", 1250)
    await here.work()
    back = await here.task(task)
    assert (back.state, back.stale) == (
        State.AWAITING_APPROVAL, "All is as it would make it, so there is nothing to do."
    )  # fmt: skip
    with pytest.raises(NothingToDo):
        await here.propose(action=price("A", "12.50"))


async def test_undo_does_not_overwrite_what_came_after(here: Office, shop: FieldHub) -> None:
    task = await here.propose(action=price("A", "12.50"))
    await here.approve(task)
    await _do(here, Carrier(here.desk.actions))
    await shop.price("A", 1400)
    with pytest.raises(CannotUndo, match="Somebody has changed the price since: A"):
        await here.within(lambda tx: here.desk.undo(tx, here.admin, task.id))
    assert await price_of(here, "A") == 1400
    assert (await here.task(task)).undone_at is None


async def test_a_person_needs_the_right_to_what_the_action_does(here: Office) -> None:
    reader = with_scopes(here.member, Scope.TASKS_PROPOSE, Scope.TASKS_READ)
    with pytest.raises(MissingScope):
        await here.propose(reader, action=price("A", "12.50"))
    assert (await here.propose(here.member, action=price("A", "12.50"))).state is State.AWAITING_APPROVAL


async def test_another_input_is_looked_at_anew(here: Office) -> None:
    task = await here.propose(here.member, action=price("A", "12.50"))
    edit = TaskEdit(action_input={"prices": [{"sku": "B", "price": "9"}]})
    edited = await here.within(lambda tx: here.desk.edit(tx, here.member, task.id, edit))
    assert edited.look
    assert edited.look["changes"][0]["what"] == "B: price"
    assert edited.round == 2
    looked = await here.within(lambda tx: here.desk.look_anew(tx, task.id))
    assert looked.fingerprint == edited.fingerprint


# ---- a worker dies ---------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process was killed there: nothing of it runs any more."""


class Dying(SetPrice):
    """Sets prices, and is killed before or after doing it, once."""

    def __init__(self, when: str) -> None:
        self.when = when
        self.done = 0

    async def look(self, tx: Tx, given: SetPriceInput) -> Any:
        found = await super().look(tx, given)
        self._die("looked")
        return found

    async def perform(self, tx: Tx, actor: Actor, given: SetPriceInput, key: str) -> Receipt:
        self._die("before")
        receipt = await super().perform(tx, actor, given, key)
        self.done += 1
        self._die("after")
        return receipt

    async def verify(self, tx: Tx, given: SetPriceInput, receipt: Receipt) -> Any:
        self._die("verifying")
        found = await super().verify(tx, given, receipt)
        self._die("verified")
        return found

    def _die(self, at: str) -> None:
        if self.when == at:
            self.when = ""
            raise Killed


class DyingCarrier(Carrier):
    """Dies after its transaction is committed, before the job is ended."""

    def __init__(self, actions: Registry, when: str) -> None:
        super().__init__(actions)
        self.when = when

    async def carry_out(self, run: JobRun[TaskPayload]) -> Any:
        result = await super().carry_out(run)
        self._die("committed")
        return result

    async def verify(self, run: JobRun[TaskPayload]) -> Any:
        result = await super().verify(run)
        self._die("finished")
        return result

    def _die(self, at: str) -> None:
        if self.when == at:
            self.when = ""
            raise Killed


STEPS = ("looked", "before", "after", "committed", "verifying", "verified", "finished")


@pytest.mark.parametrize("when", STEPS)
async def test_killed_at_any_step_it_is_done_once(here: Office, shop: FieldHub, when: str) -> None:
    action = Dying("")
    actions = Registry([action])
    here.desk = TaskDesk(actions)
    task = await here.propose(action=price("A", "12.50"))
    await here.approve(task)
    action.when, carrier = when, DyingCarrier(actions, when)
    before, deaths = await changes(here), 0
    for _ in range(10):
        try:
            await here.work(carrier, rounds=1)
        except Killed:
            deaths += 1
        await shop.settle()
    assert deaths == 1
    done = await here.task(task)
    assert (done.state, await price_of(here, "A")) == (State.COMPLETED, 1250)
    assert await changes(here) == before + 1
    # Whoever died inside of the transaction had done nothing.
    assert action.done == (2 if when == "after" else 1)
    assert (await here.moves(task)).count("carry_out") == 1
    runs = await here.within(lambda tx: reading.runs(tx, task.id))
    assert [(run.kind, run.state) for run in runs] == [("do", "verified")]
    assert await here.open_jobs() == []


async def test_two_workers_at_once_do_it_once(here: Office) -> None:
    task = await here.propose(action=price("A", "12.50"))
    await here.approve(task)
    [(_, job)] = await here.open_jobs()
    carrier, before = Carrier(here.desk.actions), await changes(here)
    await asyncio.gather(
        *(jobs.perform(here.database, CARRY_OUT, carrier.carry_out, here.id, job) for _ in range(3)),
        return_exceptions=True,
    )
    assert await changes(here) == before + 1
    assert (await here.moves(task)).count("carry_out") == 1


async def test_an_unforeseen_error_is_tried_again_and_then_held(here: Office) -> None:
    class Broken(SetPrice):
        async def perform(self, tx: Tx, actor: Actor, given: SetPriceInput, key: str) -> Receipt:
            raise LookupError("nobody thought of that")

    actions = Registry([Broken()])
    here.desk = TaskDesk(actions)
    task = await here.approve(await here.propose(action=price("A", "12.50")))
    [(_, job)] = await here.open_jobs()
    outcome: Any = 0.0
    for _ in range(5):
        outcome = await jobs.perform(here.database, CARRY_OUT, Carrier(actions).carry_out, here.id, job, backoff_s=0)
    assert outcome is Outcome.HELD
    assert (await here.task(task)).state is State.APPROVED
    # Mended and tried again by a person, it is done.
    mended = TaskDesk(Registry([SetPrice()]))
    await here.within(lambda tx: jobs.retry(tx, job))
    await jobs.perform(here.database, CARRY_OUT, Carrier(mended.actions).carry_out, here.id, job)
    assert await price_of(here, "A") == 1250


# ---- stopped ---------------------------------------------------------------------------------------------------


async def test_stop_all_keeps_everything_until_it_goes_on(here: Office) -> None:
    task = await here.approve(await here.propose(action=price("A", "12.50")))
    with pytest.raises(MissingScope):
        await here.within(lambda tx: here.desk.set_stopped(tx, here.member, True))
    await here.within(lambda tx: here.desk.set_stopped(tx, here.admin, True))
    await here.work()
    assert (await here.task(task)).state is State.APPROVED
    assert await price_of(here, "A") == 1000
    assert await here.within(lambda tx: here.desk.set_stopped(tx, here.admin, False)) == 1
    await here.work(rounds=1)
    assert await price_of(here, "A") == 1250
    assert await here.within(lambda tx: here.desk.set_stopped(tx, here.admin, False)) == 0


async def test_a_channel_that_never_answers_is_told_as_not_confirmed(here: Office) -> None:
    task = await here.approve(await here.propose(action=price("A", "12.50")))
    await here.work(rounds=30)
    done: Task = await here.task(task)
    assert done.state is State.COMPLETED
    assert done.outcome
    assert done.outcome["verified"] == "unconfirmed"
    assert "do not show it yet" in done.outcome["words"]
