"""Conflicts between the hub and its channels: the queue, deciding, policies; and values of a listing's own."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime, Field
from starlette.responses import Response

from entrepot.api.answers import Answer, Input, Resource, answer, empty, once, respond
from entrepot.api.dependencies import CallDep
from entrepot.api.paging import PagingDep
from entrepot.database.pool import Tx
from entrepot.kernel.clock import utc_now
from entrepot.sync import conflict_reading as reading
from entrepot.sync import conflicts
from entrepot.sync.conflict_reading import ConflictFilter, ConflictView
from entrepot.sync.conflicts import Choice, Flow, NewPolicy, Policy, Side

Kind = Literal["stock", "price", "content", "oversell", "duplicate_sale"]


class ConflictResource(Resource):
    """A conflict. Values are as they are stored (money: minor units with currency); times are by the hub's clock.

    `base`: last agreed; `why`: both_changed, never_agreed, swing_in, swing_out, stock, stock_swing, oversell or duplicate_sale;
    `suggestion`: side, value, policy and reason; `risk` 0 to 100.
    """

    id: UUID
    kind: str
    state: str
    field: str
    why: str
    subject_id: UUID
    connection_id: UUID | None
    connection: str | None
    variant_id: UUID | None
    sku: str | None
    title: str | None
    base: Any
    ours: Any
    theirs: Any
    ours_by: str
    ours_at: datetime | None
    theirs_at: datetime | None
    suggestion: dict[str, Any] | None
    risk: int
    history: list[dict[str, Any]]
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    resolved_by: str
    resolution: dict[str, Any] | None
    undoable: bool


class GroupResource(Resource):
    """How many conflicts of a kind, field and connection are open; `risk` is the highest of them."""

    kind: str
    field: str
    connection_id: UUID | None
    connection: str | None
    count: int
    risk: int


class Conflicts(Resource):
    """Conflicts, the riskiest first, and how many are open of which sort."""

    conflicts: list[ConflictResource]
    groups: list[GroupResource]
    count: int
    next_cursor: str | None = None


class OneConflict(Resource):
    """A conflict."""

    conflict: ConflictResource


class Decision(Input):
    """What is decided. `side`: ours, theirs, value (then `value`), or apart (theirs stays on this channel only).

    `similar`: all open conflicts of the same kind, field, connection and cause are decided alike, up to 500.
    `seen`: `updatedAt` of the conflict as you saw it; if it has changed since, nothing is decided.
    """

    side: Side
    value: Any = None
    similar: bool = False
    seen: AwareDatetime | None = None


class SettledResource(Resource):
    """What became of one conflict; `problem` is empty where it was decided as asked."""

    conflict_id: UUID
    problem: str


class Resolved(Resource):
    """What was decided, one result each."""

    conflict: ConflictResource
    results: list[SettledResource]


class PolicyResource(Resource):
    """Who may change a field and how its conflicts are decided. `connectionId` null: everywhere; `field` empty: every field."""

    connection_id: UUID | None
    connection_name: str | None
    field: str
    flow: str
    policy: str
    swing_percent: Decimal | None
    set_by: str
    set_at: datetime


class Policies(Resource):
    """All policies; the narrowest holds."""

    policies: list[PolicyResource]


class PolicyInput(Input):
    """A policy to set. `swingPercent`: most that a number may change by itself; null: no limit."""

    connection_id: UUID | None = None
    field: Annotated[str, Field(max_length=40)] = ""
    flow: Flow = Flow.BOTH
    policy: Policy = Policy.MANUAL
    swing_percent: Annotated[Decimal | None, Field(gt=0, le=100_000)] = None


class PreviewResource(Resource):
    """What a policy would have decided on past conflicts, beside what people decided; and of the open ones.

    `weightOfOurs`: learned from `decisions`, null until there are enough.
    """

    decided: int
    same_as_people: int
    other: int
    left_to_people: int
    open_decided: int
    open_left: int
    weight_of_ours: float | None
    decisions: int


class OnePreview(Resource):
    """A preview."""

    preview: PreviewResource


class OverrideInput(Input):
    """A value of a listing's own: JSON as the field has it, or text such as `12.50 EUR`."""

    value: Any


async def list_conflicts(
    call: CallDep,
    paging: PagingDep,
    state: Annotated[Literal["open", "resolved"], Query()] = "open",
    kind: Annotated[Kind | None, Query()] = None,
    field: Annotated[str | None, Query(max_length=40)] = None,
    connection_id: Annotated[UUID | None, Query(alias="connectionId")] = None,
    format: Annotated[Literal["json", "csv"], Query(description="csv: a file of up to 10,000")] = "json",
) -> Response:
    """Return conflicts, the riskiest first."""
    chosen = ConflictFilter(state, kind, field.replace("\x00", "") if field else None, connection_id)
    async with call.transaction() as tx:
        if format == "csv":
            text = await reading.csv_text(tx, chosen)
            headers = {"Content-Disposition": 'attachment; filename="conflicts.csv"'}
            return Response(text, media_type="text/csv; charset=utf-8", headers=headers)
        found = await paging.read(lambda cursor, limit: reading.list_conflicts(tx, chosen, cursor, limit))
        groups = await reading.groups(tx)
    return respond(
        Conflicts(
            conflicts=[_view(each) for each in found],
            groups=[GroupResource.model_validate(group) for group in groups],
            count=sum(group.count for group in groups),
            next_cursor=found.next_cursor,
        )
    )


async def get_conflict(conflict_id: UUID, call: CallDep) -> Response:
    """Return a conflict with its history."""
    async with call.transaction() as tx:
        return respond(OneConflict(conflict=_view(await reading.conflict_detail(tx, conflict_id))))


async def resolve(conflict_id: UUID, body: Decision, call: CallDep) -> Response:
    """Decide a conflict, or all like it; the decision can be undone until it has gone to the channel."""
    choice = Choice(body.side, body.value)

    async def work(tx: Tx) -> Answer:
        if body.similar:
            settled = await conflicts.resolve_similar(tx, call.actor, conflict_id, choice, utc_now())
        else:
            await conflicts.resolve(tx, call.actor, conflict_id, choice, utc_now(), seen=body.seen)
            settled = [conflicts.Settled(conflict_id)]
        view = _view(await reading.conflict_detail(tx, conflict_id))
        return answer(Resolved(conflict=view, results=[SettledResource.model_validate(each) for each in settled]))

    return await once(call, work)


async def undo(conflict_id: UUID, call: CallDep) -> Response:
    """Take a decision back while nothing of it has gone to the channel."""

    async def work(tx: Tx) -> Answer:
        await conflicts.undo(tx, call.actor, conflict_id, utc_now())
        return answer(OneConflict(conflict=_view(await reading.conflict_detail(tx, conflict_id))))

    return await once(call, work)


async def list_policies(call: CallDep) -> Response:
    """Return the policies of fields."""
    async with call.transaction() as tx:
        return respond(await _policies(tx))


async def set_policy(body: PolicyInput, call: CallDep) -> Response:
    """Set a policy; what is open is decided by it at once."""
    async with call.transaction() as tx:
        new = NewPolicy(body.connection_id, body.field, body.flow, body.policy, body.swing_percent)
        await conflicts.set_policy(tx, call.actor, new, utc_now())
        return respond(await _policies(tx))


async def remove_policy(
    call: CallDep,
    field: Annotated[str, Query(max_length=40)] = "",
    connection_id: Annotated[UUID | None, Query(alias="connectionId")] = None,
) -> Response:
    """Remove a policy, so that the more general one holds again."""
    async with call.transaction() as tx:
        if not await conflicts.remove_policy(tx, call.actor, connection_id, field.replace("\x00", "")):
            raise conflicts.PolicyNotFound
    return empty()


async def preview_policy(
    call: CallDep,
    field: Annotated[str, Query(max_length=40)],
    policy: Annotated[Policy, Query()],
    connection_id: Annotated[UUID | None, Query(alias="connectionId")] = None,
) -> Response:
    """Return what a policy would have decided on past conflicts."""
    async with call.transaction() as tx:
        found = await conflicts.preview_policy(tx, connection_id, field, policy)
    past = found.past
    return respond(
        OnePreview(
            preview=PreviewResource(
                decided=past.decided, same_as_people=past.same_as_people, other=past.other,
                left_to_people=past.left_to_people, open_decided=found.open_decided, open_left=found.open_left,
                weight_of_ours=found.weight_of_ours, decisions=found.decisions,
            )
        )
    )  # fmt: skip


async def set_override(listing_id: UUID, field: str, body: OverrideInput, call: CallDep) -> Response:
    """Give a listing a value of its own; it goes to its channel and nowhere else."""
    async with call.transaction() as tx:
        value = "" if body.value is None else body.value
        await conflicts.set_override(tx, call.actor, listing_id, field, value, utc_now())
    return empty()


async def remove_override(listing_id: UUID, field: str, call: CallDep) -> Response:
    """Let a listing have the catalog's value again."""
    async with call.transaction() as tx:
        await conflicts.set_override(tx, call.actor, listing_id, field, None, utc_now())
    return empty()


async def _policies(tx: Tx) -> Policies:
    rows = await conflicts.list_policies(tx)
    return Policies(policies=[PolicyResource.model_validate(dict(row)) for row in rows])


def _view(view: ConflictView) -> ConflictResource:
    return ConflictResource.model_validate(view)
