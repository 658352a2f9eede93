"""What runs by itself: approval policies with a trial on the past, the switch that stops everything; teams and routing rules."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from starlette.responses import Response

from entrepot.agents import policy_desk, routing
from entrepot.agents.contracts import Category
from entrepot.agents.facade import Policy, Priority
from entrepot.agents.policies import Decision
from entrepot.agents.policy_desk import PAST_DAYS, PolicyView
from entrepot.api.amounts import Amount, Currency, optional_minor, text
from entrepot.api.answers import Answer, Input, Resource, answer, empty, once, respond
from entrepot.api.dependencies import Call, CallDep
from entrepot.api.resources.task_shapes import Marketplace, PriorityName
from entrepot.database.pool import Tx
from entrepot.kernel.ids import new_id

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Key = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
Percent = Annotated[Decimal, Field(ge=0, le=1_000_000, max_digits=12, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


class PolicyInput(Input):
    """A policy. `decision`: run (by itself, within the limits), ask (a person) or two (two people approve).

    `agent`, `action`, `channel`: which tasks it is about; left out, any. Limits left out: none. Amounts in `currency`.
    """

    name: Name
    decision: Decision
    enabled: bool = False
    agent: Key | None = None
    action: Key | None = None
    channel: Key | None = None
    currency: Currency = "EUR"
    money_most: Amount | None = None
    percent_most: Percent | None = None
    units_most: Count | None = None
    day_tasks_most: Count | None = None
    day_money_most: Amount | None = None


class TrialInput(PolicyInput):
    """A policy to be tried on the tasks of the last `days`; nothing is changed."""

    days: Annotated[int, Field(ge=1, le=PAST_DAYS)] = PAST_DAYS


class ApprovalPolicy(Resource):
    """A policy, in the order in which they are asked. `tasksToday`, `moneyToday`: what is used of the day's budget."""

    id: UUID
    name: str
    position: int
    enabled: bool
    decision: Decision
    agent: str | None
    action: str | None
    channel: str | None
    currency: str
    money_most: str | None
    percent_most: str | None
    units_most: int | None
    day_tasks_most: int | None
    day_money_most: str | None
    tasks_today: int
    money_today: str


class ApprovalPolicies(Resource):
    """The policies in their order."""

    approval_policies: list[ApprovalPolicy]


class OneApprovalPolicy(Resource):
    """One policy."""

    approval_policy: ApprovalPolicy


class TrialTask(Resource):
    """A past task, what people did with it, and what the policy says of it."""

    task_id: UUID
    title: str
    ended: str
    words: str


class Trial(Resource):
    """What a policy would have done: of the tasks it is about, how many would have run by themselves, and how those ended."""

    about: int
    run: int
    run_money: str
    ended: dict[str, int]
    tasks: list[TrialTask]


class EnabledInput(Input):
    """Whether the policy is on."""

    enabled: bool


class StopInput(Input):
    """Whether everything is stopped that runs by itself or for a task."""

    stopped: bool


class StopView(Resource):
    """Whether everything is stopped. `resumed`: how many approved tasks go on now."""

    stopped: bool
    set_by: str
    set_at: datetime | None
    resumed: int = 0


class TeamInput(Input):
    """A team; its members by id or email address."""

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
    members: Annotated[list[Key], Field(max_length=routing.MEMBERS_MOST)] = Field(default_factory=list)


class TeamView(Resource):
    """A team with the ids of its members."""

    id: UUID
    name: str
    members: list[UUID]


class Teams(Resource):
    """Teams by name."""

    teams: list[TeamView]


class OneTeam(Resource):
    """One team."""

    team: TeamView


class RouteView(Resource):
    """Which tasks go to whom once they are approved: to a person, or to the least busy of a team. Null is any."""

    marketplace: str | None = None
    category: Category | None = None
    priority: str | None = None
    tag: str | None = None
    team_id: UUID | None = None
    person_id: UUID | None = None


class RouteInput(Input):
    """Which tasks go to whom once they are approved: to a person, or to the least busy of a team. Left out is any."""

    marketplace: Marketplace | None = None
    category: Category | None = None
    priority: PriorityName | None = None
    tag: Key | None = None
    team_id: UUID | None = None
    person_id: UUID | None = None


class RoutesInput(Input):
    """All routing rules in their order; the first that a task meets counts."""

    task_routes: Annotated[list[RouteInput], Field(max_length=routing.ROUTES_MOST)]


class Routes(Resource):
    """The routing rules in their order."""

    task_routes: list[RouteView]


def _policy(body: PolicyInput, id: UUID) -> Policy:
    return Policy(
        id, body.name, 0, body.enabled, body.decision, body.currency, body.agent, body.action, body.channel,
        optional_minor(body.money_most, body.currency), body.percent_most, body.units_most, body.day_tasks_most,
        optional_minor(body.day_money_most, body.currency),
    )  # fmt: skip


def _view(view: PolicyView) -> ApprovalPolicy:
    p = view.policy
    return ApprovalPolicy(
        id=p.id, name=p.name, position=p.position, enabled=p.enabled, decision=p.decision, agent=p.agent, action=p.action,
        channel=p.channel, currency=p.currency, money_most=text(p.money_most_minor, p.currency),
        percent_most=None if p.percent_most is None else f"{p.percent_most:f}", units_most=p.units_most,
        day_tasks_most=p.day_tasks_most, day_money_most=text(p.day_money_most_minor, p.currency),
        tasks_today=view.spent.tasks, money_today=text(view.spent.money_minor, p.currency) or "0",
    )  # fmt: skip


async def _one(call: Call, tx: Tx, policy_id: UUID) -> OneApprovalPolicy:
    views = await policy_desk.list_policies(tx, call.services.tasks.now())
    return OneApprovalPolicy(approval_policy=next(_view(view) for view in views if view.policy.id == policy_id))


async def list_policies(call: CallDep) -> Response:
    """Return the approval policies in their order."""
    async with call.transaction() as tx:
        views = await policy_desk.list_policies(tx, call.services.tasks.now())
    return respond(ApprovalPolicies(approval_policies=[_view(view) for view in views]))


async def create_policy(body: PolicyInput, call: CallDep) -> Response:
    """Make an approval policy, at the end of the order."""

    async def work(tx: Tx) -> Answer:
        made = await call.services.tasks.put_policy(tx, call.actor, _policy(body, new_id()), new=True)
        return answer(await _one(call, tx, made.id), 201)

    return await once(call, work)


async def update_policy(policy_id: UUID, body: PolicyInput, call: CallDep) -> Response:
    """Change an approval policy."""
    async with call.transaction() as tx:
        await call.services.tasks.put_policy(tx, call.actor, _policy(body, policy_id), new=False)
        return respond(await _one(call, tx, policy_id))


async def switch_policy(policy_id: UUID, body: EnabledInput, call: CallDep) -> Response:
    """Switch an approval policy on or off."""
    async with call.transaction() as tx:
        await policy_desk.switch_policy(tx, call.actor, policy_id, on=body.enabled)
        return respond(await _one(call, tx, policy_id))


async def delete_policy(policy_id: UUID, call: CallDep) -> Response:
    """Delete an approval policy."""
    async with call.transaction() as tx:
        await policy_desk.delete_policy(tx, call.actor, policy_id)
    return empty()


async def try_policy(body: TrialInput, call: CallDep) -> Response:
    """Return what a policy would have done with past tasks, and what people did with them."""
    async with call.transaction() as tx:
        found = await policy_desk.simulate(tx, _policy(body, new_id()), call.services.tasks.now(), body.days)
    tasks = [TrialTask(task_id=id, title=title, ended=ended, words=words) for id, title, ended, words in found.sample]
    return respond(
        Trial(
            about=found.about, run=found.run, run_money=text(found.run_money_minor, body.currency) or "0",
            ended=dict(found.ended), tasks=tasks,
        )
    )  # fmt: skip


async def get_switch(call: CallDep) -> Response:
    """Return whether everything is stopped that runs by itself or for a task."""
    async with call.transaction() as tx:
        return respond(StopView.model_validate({**_switch(await policy_desk.switch(tx))}))


def _switch(found: policy_desk.SwitchView) -> dict[str, Any]:
    return {"stopped": found.stopped, "set_by": found.set_by, "set_at": found.set_at}


async def set_switch(body: StopInput, call: CallDep) -> Response:
    """Stop everything that runs by itself or for a task, or let it go on."""
    async with call.transaction() as tx:
        resumed = await call.services.tasks.set_stopped(tx, call.actor, body.stopped)
        return respond(StopView.model_validate({**_switch(await policy_desk.switch(tx)), "resumed": resumed}))


async def list_teams(call: CallDep) -> Response:
    """Return the teams."""
    async with call.transaction() as tx:
        found = await routing.teams(tx)
    return respond(Teams(teams=[TeamView(id=t.id, name=t.name, members=list(t.members)) for t in found]))


async def _team(tx: Tx, team_id: UUID) -> OneTeam:
    found = next(team for team in await routing.teams(tx) if team.id == team_id)
    return OneTeam(team=TeamView(id=found.id, name=found.name, members=list(found.members)))


async def create_team(body: TeamInput, call: CallDep) -> Response:
    """Make a team."""

    async def work(tx: Tx) -> Answer:
        id = await routing.put_team(tx, call.actor, None, body.name, body.members)
        return answer(await _team(tx, id), 201)

    return await once(call, work)


async def update_team(team_id: UUID, body: TeamInput, call: CallDep) -> Response:
    """Give a team another name and members."""
    async with call.transaction() as tx:
        await routing.put_team(tx, call.actor, team_id, body.name, body.members)
        return respond(await _team(tx, team_id))


async def delete_team(team_id: UUID, call: CallDep) -> Response:
    """Delete a team with the routing rules that name it."""
    async with call.transaction() as tx:
        await routing.delete_team(tx, call.actor, team_id)
    return empty()


async def _routes(tx: Tx) -> Routes:
    return Routes(
        task_routes=[
            RouteView(
                marketplace=r.marketplace, category=r.category, priority=None if r.priority is None else r.priority.code,
                tag=r.tag, team_id=r.team_id, person_id=r.person_id,
            )
            for r in await routing.routes(tx)
        ]
    )  # fmt: skip


async def list_routes(call: CallDep) -> Response:
    """Return the routing rules in their order."""
    async with call.transaction() as tx:
        return respond(await _routes(tx))


async def set_routes(body: RoutesInput, call: CallDep) -> Response:
    """Set all routing rules in their order."""
    given = [
        routing.Route(
            r.marketplace,
            r.category,
            None if r.priority is None else Priority.of(r.priority),
            r.tag,
            r.team_id,
            r.person_id,
        )
        for r in body.task_routes
    ]
    async with call.transaction() as tx:
        await routing.set_routes(tx, call.actor, given)
        return respond(await _routes(tx))
