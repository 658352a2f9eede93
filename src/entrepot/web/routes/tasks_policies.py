"""What runs by itself: approval policies, tried on the past before they are switched on, and the switch that stops everything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal, InvalidOperation
from uuid import UUID

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from entrepot.agents import policy_desk
from entrepot.agents.facade import Policy
from entrepot.agents.policies import Decision
from entrepot.channels import facade as channels
from entrepot.database.pool import Tx
from entrepot.identity.facade import Scope
from entrepot.kernel.errors import InvalidInput
from entrepot.kernel.ids import new_id
from entrepot.web.services import PageServices
from entrepot.web.stock_forms import Done, Typed, amount_typed, attempt
from entrepot.web.visit import Handler, Visit, page, parse_id, whole_number

DECISIONS = {
    Decision.RUN: "Runs by itself, within the limits",
    Decision.ASK: "A person decides",
    Decision.TWO: "Two people approve",
}
ENDED = {"approved": "people approved", "rejected": "people rejected", "undone": "people undid", "waiting": "waits"}


def routes(services: PageServices) -> list[BaseRoute]:
    """Return the routes of approval policies."""
    read, approve = Scope.TASKS_READ, Scope.TASKS_APPROVE
    return [
        Route("/tasks/policies", page(services, listing, read), methods=["GET"]),
        Route("/tasks/policies", page(services, create, approve), methods=["POST"]),
        Route("/tasks/policies/stop", page(services, _doing(_stop), approve), methods=["POST"]),
        Route("/tasks/policies/{id}/switch", page(services, _doing(_switch), approve), methods=["POST"]),
        Route("/tasks/policies/{id}/delete", page(services, _doing(_delete), approve), methods=["POST"]),
    ]


async def listing(visit: Visit) -> Response:
    """The policies; of one of them (`try`) also what it would have done."""
    return await _listing(visit, Typed())


async def _listing(visit: Visit, typed: Typed, error: str = "") -> Response:
    tried, at = visit.parameter("try"), visit.services.tasks.now()
    async with visit.transaction() as tx:
        views = await policy_desk.list_policies(tx, at)
        policy = await policy_desk.get_policy(tx, parse_id(tried)) if tried else None
        found = await policy_desk.simulate(tx, policy, at) if policy else None
        switch = await policy_desk.switch(tx)
        agents = await policy_desk.agents_known(tx, at)
        keys = sorted({each.channel for each in await channels.list_all(tx)})
    return await visit.page(
        "tasks_policies.html", status=422 if error else 200, views=views, tried=policy, found=found, switch=switch,
        agents=agents, channels=keys, actions=visit.services.tasks.actions.newest, decisions=DECISIONS, ended=ENDED,
        typed=typed, error=error, tab="policies",
    )  # fmt: skip


async def create(visit: Visit) -> Response:
    """Make a policy that is off; it is tried on the past at once."""
    form = Typed(await visit.form())

    async def work(tx: Tx) -> Done:
        made = await visit.services.tasks.put_policy(tx, visit.actor, policy_typed(form), new=True)
        return f"/tasks/policies?try={made.id}", "Made, and off. Below is what it would have done."

    return await attempt(visit, work, lambda error: _listing(visit, form, error))


def policy_typed(form: Typed) -> Policy:
    """Return the policy that a person typed. Raises InvalidInput."""
    currency = form["currency"].upper()
    try:
        decision = Decision(form["decision"] or Decision.RUN)
        percent = Decimal(form["percent"].removesuffix("%").replace(",", ".")) if form["percent"] else None
    except (ValueError, InvalidOperation):
        raise InvalidInput("The limit in percent is a number such as 10.") from None
    if percent is not None and not percent.is_finite():
        raise InvalidInput("The limit in percent is a number such as 10.")
    return Policy(
        new_id(), form["name"], 0, False, decision, currency, form["agent"] or None, form["action"] or None,
        form["channel"] or None, _amount(form["money"], currency), percent, _whole(form["units"], "Units"),
        _whole(form["day_tasks"], "Tasks a day"), _amount(form["day_money"], currency),
    )  # fmt: skip


def _amount(text: str, currency: str) -> int | None:
    return amount_typed(text.replace(",", "."), currency, "The limit") if text else None


def _whole(text: str, what: str) -> int | None:
    return whole_number(text, what) if text else None


Work = Callable[[Visit, Tx, Mapping[str, str]], Awaitable[str]]


def _doing(work: Work) -> Handler:
    async def do(visit: Visit) -> Response:
        form = await visit.form()

        async def done(tx: Tx) -> Done:
            return "/tasks/policies", await work(visit, tx, form)

        return await attempt(visit, done, lambda error: _listing(visit, Typed(), error))

    return do


async def _stop(visit: Visit, tx: Tx, form: Mapping[str, str]) -> str:
    stopped = form.get("stopped") == "1"
    resumed = await visit.services.tasks.set_stopped(tx, visit.actor, stopped)
    if stopped:
        return "Stopped: nothing runs by itself, and nothing approved is carried out."
    return f"It goes on. {resumed:,} approved tasks are carried out now." if resumed else "It goes on."


async def _switch(visit: Visit, tx: Tx, form: Mapping[str, str]) -> str:
    policy = await policy_desk.switch_policy(tx, visit.actor, _id(visit), on=form.get("on") == "1")
    return f"{policy.name} is {'on' if policy.enabled else 'off'}."


async def _delete(visit: Visit, tx: Tx, form: Mapping[str, str]) -> str:
    await policy_desk.delete_policy(tx, visit.actor, _id(visit))
    return "Deleted."


def _id(visit: Visit) -> UUID:
    return visit.id_of("id")
